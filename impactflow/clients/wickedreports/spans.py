"""
Long windows, cut into spans that Wicked Reports answers. Pure.

The reference does not say whether the last day is included, nor in which time zone days are counted. So neighbouring
spans share two days, and the midnight (UTC) in the middle of these two decides to which span a click belongs. Both
answers hold the time around that midnight, however the days are counted, and each click is kept once.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """
    The days of one listing, and the times of the clicks to keep.

    Args:
        from_: The first day to ask for; None for no bound.
        to: The last day to ask for; None for no bound.
        begins: Clicks before this time belong to an earlier span; None in the first.
        ends: Clicks at or after this time belong to a later span; None in the last.
    """

    from_: date | None
    to: date | None
    begins: datetime | None = None
    ends: datetime | None = None

    def __contains__(self, moment: datetime) -> bool:
        return (self.begins is None or self.begins <= moment) and (self.ends is None or moment < self.ends)


def cut(from_: date | None, to: date | None, longest: timedelta) -> list[Span]:
    """
    Cut a window into spans, earliest first.

    Args:
        from_: The first day; None for no bound.
        to: The last day; None for no bound.
        longest: The most that a span's two days may differ.
    """
    if from_ is None or to is None:
        return [Span(from_, to)]
    spans: list[Span] = []
    begins = None
    while to - from_ > longest:
        last = from_ + longest
        ends = datetime.combine(last - _DAY, time(), UTC)
        spans.append(Span(from_, last, begins, ends))
        from_, begins = last - 2 * _DAY, ends
    return [*spans, Span(from_, to, begins)]
