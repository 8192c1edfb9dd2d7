"""
The log of stored deliveries: the count by source and topic, and nothing of the content.

The first delivery is logged at once, the others together every few seconds.
"""

import logging
from collections import Counter, defaultdict
from datetime import datetime, timedelta

from impactflow.clock import Clock
from impactflow.texts import counted

log = logging.getLogger(__name__)

#: The time between two checks for something to log, in seconds.
_CHECK_S = 2.0
#: The time in which a source gets at most one line in the log.
_LINE = timedelta(seconds=10)


class Arrivals:
    """
    Counts the deliveries that a receiver stores.

    Args:
        clock: Gives the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unlogged: dict[str, Counter[str]] = defaultdict(Counter)
        self._logged_at: dict[str, datetime] = {}

    def note(self, source: str, topic: str) -> None:
        """Count one new delivery."""
        self._unlogged[source][topic] += 1
        self._say(source)

    async def go_on(self) -> None:
        """Log the arrivals that are not logged yet, until cancelled."""
        while True:
            await self._clock.sleep(_CHECK_S)
            for source in list(self._unlogged):
                self._say(source)

    def _say(self, source: str) -> None:
        """Log the arrivals since the last line, unless that was a moment ago; a clock may have been set back."""
        now, logged_at = self._clock.now(), self._logged_at.get(source)
        topics = self._unlogged[source]
        if not topics or (logged_at is not None and timedelta() <= now - logged_at < _LINE):
            return
        count = counted(topics.total(), "delivery", "deliveries")
        by_topic = ", ".join(f"{number} {topic}" for topic, number in sorted(topics.items()))
        log.info("stored %s of %s: %s", count, source, by_topic)
        self._logged_at[source] = now
        topics.clear()
