"""
Backfill: a past range of days, planned in windows, oldest first.

Each range has its own watermark, named after the range's first day and the policy. So a run goes on where the last one
ended, however it ended. A policy with another meaning begins again; a later last day goes on from the earlier one. The
watermark of ``place`` is separate and does not move. The impacts of a window are bought before the next window is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Self

from impactflow.buying.rounds import Round
from impactflow.clock import Clock
from impactflow.errors import ConfigurationError
from impactflow.intake.planning import remember_days
from impactflow.ledger import Ledger, Planned
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.window import Window

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """
    The result of one window.

    Args:
        window: Its days.
        planned: The orders that were read and planned.
        stopped: The reason why the rest of the window is left for a later run; None where all of it is planned.
    """

    window: Window
    planned: Planned
    stopped: str | None = None

    @classmethod
    def of(cls, window: Window, planned: Planned, left: str | None) -> Self:
        """The result of ``plan_pages`` for a window; where orders may be missing, a later run reads it again."""
        if planned.missing:
            left = f"no two readings of its orders agreed, {planned.missing} may be missing"
        return cls(window, replace(planned, missing=0), left)


@dataclass(frozen=True, slots=True)
class Backfilled:
    """
    The result of a backfill run.

    Args:
        days: The range.
        windows: The windows that the run read; empty where an earlier run had planned all of them.
        left: The days that are left for a later run; None where the range is planned to its end.
        stopped: The reason why the run ended before the range's end.
    """

    days: Window
    windows: Sequence[PlannedWindow]
    left: Window | None
    stopped: str | None

    @classmethod
    def of(
        cls,
        days: Window,
        windows: Sequence[Window],
        done: Sequence[PlannedWindow],
        halted: Mapping[ProviderName, Round],
    ) -> Self:
        """
        The result of a run.

        Args:
            days: The range.
            windows: The windows that were left before the run.
            done: The windows that the run reached.
            halted: The result of the last round at each provider.
        """
        left = windows[sum(each.stopped is None for each in done) :]
        if not left:
            return cls(days, done, None, None)
        alone = [f"{name} was left alone: {each.halted}" for name, each in halted.items() if each.halted]
        stopped = done[-1].stopped or "; ".join(alone)
        return cls(days, done, Window(left[0].from_, days.to), stopped)

    @property
    def planned(self) -> Planned:
        """All windows as one."""
        return sum((each.planned for each in self.windows), Planned())

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "from": self.days.from_.isoformat(),
            "to": self.days.to.isoformat(),
            "windows": len(self.windows),
            "planned": self.planned.placements,
            "left_from": self.left.from_.isoformat() if self.left else None,
            "stopped": self.stopped,
            "said": self.in_words(),
        }

    def in_words(self) -> str:
        """Return the result in words, for a person."""
        days = f"{self.days.from_} to {self.days.to}"
        if self.left:
            return (
                f"Stopped on the way through {days}: {self.stopped}. From {self.left.from_} on it is left: the same"
                " backfill, run again, goes on there."
            )
        if not self.windows:
            return (
                f"{days} was planned to its end before, under this policy, so nothing was read;"
                f" `impactflow place --from {self.days.from_} --to {self.days.to}` reads it again."
            )
        return f"{days} is planned to its end; this run read {self.windows[0].window.from_} to {self.days.to}."


def choose_days(from_day: date, to_day: date, clock: Clock) -> Window:
    """
    The days of a range.

    Raises:
        ConfigurationError: The first day is after the last, or the days are not over.
    """
    today = clock.now().date()
    if to_day > today:
        msg = f"--to {to_day} is after today, {today}: a backfill is of the past"
        raise ConfigurationError(msg)
    return Window.parse(from_day.isoformat(), to_day.isoformat(), today=today, watermark=None)


async def windows_left(ledger: Ledger, policy: Policy, days: Window, window_days: int) -> list[Window]:
    """The windows of a range that are not planned under this policy, oldest first; empty where all are planned."""
    planned_to = await ledger.watermark(policy.store, _mark(policy, days))
    begin = days.from_ if planned_to is None else max(days.from_, planned_to + _DAY)
    return [
        Window(begin + offset * _DAY, min(days.to, begin + (offset + window_days - 1) * _DAY))
        for offset in range(0, (days.to - begin).days + 1, window_days)
    ]


async def remember(ledger: Ledger, policy: Policy, days: Window, window: Window, clock: Clock) -> None:
    """Record that a range is planned up to the end of this window; a day that is not over is read again."""
    today = clock.now().date()
    planned_to = min(window.to, today - _DAY)
    if planned_to >= window.from_:
        await ledger.advance_watermark(policy.store, _mark(policy, days), planned_to, today=today)
        await remember_days(ledger, policy.store, days.from_, planned_to)


def _mark(policy: Policy, days: Window) -> str:
    return f"backfill from {days.from_} under {policy.digest}"
