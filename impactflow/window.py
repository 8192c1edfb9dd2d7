"""The days that a run reads orders of, from what a person asked for or from what was read before."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from impactflow.errors import ConfigurationError

_DAY = timedelta(days=1)
#: A day outside these is a mistake, and the very first and last have no day before or after them to read.
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Window:
    """
    The days that a run reads orders of.

    Args:
        from_: The first day, UTC.
        to: The last day, UTC, included.
        open_ended: Whether ``to`` means "until now": an order that a fast clock dated tomorrow belongs to it too.
        new_from: Orders of earlier days are read again where the ledger knows them, and left alone where it does not;
            None for no such day.
        watches: Whether it reaches back as far as changes of old orders are watched for.
        why: A description of these days, for a person.
    """

    from_: date
    to: date
    open_ended: bool = False
    new_from: date | None = field(default=None, compare=False)
    watches: bool = field(default=False, compare=False)
    why: str = field(default="the days that were asked for", compare=False)

    @classmethod
    def parse(
        cls,
        from_text: str | None,
        to_text: str | None,
        *,
        today: date,
        watermark: date | None,
        overlap_days: int = 7,
    ) -> Self:
        """
        The window that a person asked for; by default what may have changed since the last run.

        Args:
            from_text: The first day, ``YYYY-MM-DD``; by default ``overlap_days`` before the watermark, or before today.
            to_text: The last day; by default today.
            today: The day it is, UTC.
            watermark: The day up to which orders are planned; None before the first run.
            overlap_days: How far back a run looks again: orders reach Wicked Reports late.

        Raises:
            ConfigurationError: A text is not a day, or the first day is after the last.
        """
        from_ = day_of("--from", from_text) if from_text is not None else (watermark or today) - overlap_days * _DAY
        to = day_of("--to", to_text) if to_text is not None else today
        if from_ > to:
            default = " (the default)"
            raise ConfigurationError(
                f"--from {from_}{'' if from_text is not None else default} is after"
                f" --to {to}{'' if to_text is not None else default}: give days in order"
            )
        return cls(from_, to, open_ended=to_text is None)

    @property
    def reads(self) -> tuple[date, date]:
        """The days to ask for: one more on each side, since the source does not say in which time zone its days are."""
        return self.from_ - _DAY, self.to + _DAY

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The window as a half-open span of time."""
        ends = self.to + (2 * _DAY if self.open_ended else _DAY)
        return datetime.combine(self.from_, time.min, UTC), datetime.combine(ends, time.min, UTC)

    @property
    def new_since(self) -> datetime | None:
        """The start of the first day whose orders count as new; None for no such day."""
        return None if self.new_from is None else datetime.combine(self.new_from, time.min, UTC)

    def contains(self, ordered_at: datetime) -> bool:
        """Whether an order of this time belongs to the window."""
        began, ended = self.span
        return began <= ordered_at < ended


def day_of(option: str, text: str) -> date:
    """
    The day that a person has typed.

    Raises:
        ConfigurationError: The text is not a day; the message names the option.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python also reads 20250131 and 2025-W05-5.
    if day is None or day.isoformat() != text or not EARLIEST <= day <= LATEST:
        raise ConfigurationError(f"{option} {text!r} is not a day: write it as 2025-01-31")
    return day
