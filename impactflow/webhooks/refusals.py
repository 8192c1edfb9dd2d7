"""
The refused deliveries: counted in the ledger, logged, and put into words.

Anyone who knows the address can cause a refusal. So a refusal costs only a number in memory. The numbers go to the
ledger together every few seconds, and each source gets at most one line a minute in the log.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from impactflow.clock import Clock
from impactflow.errors import LedgerError
from impactflow.ledger import Ledger, RefusedDeliveries
from impactflow.webhooks.sources import CNAUGHT, CNAUGHT_VARIABLE, SCHEMES

log = logging.getLogger(__name__)

#: The time between two writes of the numbers to the ledger, in seconds.
FLUSH_S = 5.0
#: The time in which a source gets at most one line in the log.
_LINE = timedelta(minutes=1)
_VARIABLES = {scheme.source: scheme.variable for scheme in SCHEMES} | {CNAUGHT: CNAUGHT_VARIABLE}
_WORDS: Mapping[int, str] = {
    400: "malformed",
    401: "with a bad signature",
    404: "on a path that was given to no sender",
    408: "too slow",
    413: "too large",
    429: "too many at once",
    503: "not stored, since the ledger did not answer",
}
_REPEATED = "a sender repeats them later, but for WooCommerce: save such an order once more on its page"
_WHAT_TO_DO: Mapping[int, str] = {
    400: "docs/webhooks.md says what {source} sends and how its webhook is set up",
    401: "see that {variable} is the secret that {source} signs with, and that this machine's clock is right",
    404: "what was placed under another {variable} calls back in vain, and is tracked by the schedule all the same",
    408: "see that the proxy before the receiver passes a body on at once",
    413: "set IMPACTFLOW_WEBHOOKS_MAX_BYTES higher where the receiver runs, and have {source} send them again",
    429: _REPEATED,
    503: _REPEATED,
}


@dataclass(slots=True)
class _Unlogged:
    """The refusals of a source that are not logged yet, and the time of its last line in the log."""

    counts: Counter[int] = field(default_factory=Counter)
    last: str = ""
    logged_at: datetime | None = None


class Refusals:
    """
    Counts the deliveries that one store's receiver refuses.

    Args:
        ledger: The ledger that keeps the numbers.
        store: The store of the receiver.
        clock: Gives the day.
    """

    def __init__(self, ledger: Ledger, store: str, clock: Clock) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._counts: Counter[tuple[str, date, int]] = Counter()
        self._unlogged: dict[str, _Unlogged] = {}

    def note(self, source: str, status: int, why: str) -> None:
        """
        Count one refusal.

        Args:
            source: The source, by the path of the request.
            status: The HTTP status of the answer.
            why: The reason to log: neither the body, nor a header's text, nor the path.
        """
        now = self._clock.now()
        self._counts[source, now.astimezone(UTC).date(), status] += 1
        unlogged = self._unlogged.setdefault(source, _Unlogged())
        unlogged.counts[status] += 1
        unlogged.last = why
        self._say(source, unlogged, now)

    async def go_on(self) -> None:
        """Write the counts to the ledger and log the refusals, until cancelled."""
        while True:
            await self._clock.sleep(FLUSH_S)
            for source, unlogged in self._unlogged.items():
                self._say(source, unlogged, self._clock.now())
            await self.flush()

    async def flush(self) -> None:
        """Write the counts to the ledger; where the ledger does not accept them now, write them later."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._ledger.count_refused(
                [RefusedDeliveries(self._store, *of, count) for of, count in sorted(counts.items())]
            )
        except LedgerError:  # the deliveries that come meanwhile report it
            self._counts.update(counts)

    def _say(self, source: str, unlogged: _Unlogged, now: datetime) -> None:
        """Log the refusals since the last line, unless that was a moment ago; a clock may have been set back."""
        is_early = unlogged.logged_at is not None and timedelta() <= now - unlogged.logged_at < _LINE
        if is_early or not unlogged.counts:
            return
        refused = in_words(source, unlogged.counts)
        log.warning("%s; the last: %s; %s", refused, unlogged.last, what_to_do(source, unlogged.counts))
        self._unlogged[source] = _Unlogged(logged_at=now)


def in_words(source: str, counts: Mapping[int, int], when: str = "") -> str:
    """Return the refusals of a source as text: "12 deliveries of shopify were refused: 12 too large (413)"."""
    total = sum(counts.values())
    were = "delivery of {} was" if total == 1 else "deliveries of {} were"
    each = ", ".join(f"{count} {_WORDS.get(status, 'refused')} ({status})" for status, count in _largest_first(counts))
    return f"{total} {were.format(source)} refused{when and ' ' + when}: {each}"


def what_to_do(source: str, counts: Mapping[int, int]) -> str:
    """Return the remedies for a person, the most frequent reason first."""
    remedies = dict.fromkeys(_WHAT_TO_DO[status] for status, _ in _largest_first(counts) if status in _WHAT_TO_DO)
    return "; ".join(remedies).format(source=source, variable=_VARIABLES.get(source, "the source's variable"))


def _largest_first(counts: Mapping[int, int]) -> list[tuple[int, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
