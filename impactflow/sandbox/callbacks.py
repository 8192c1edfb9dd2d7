"""
The pretend providers' callbacks: when each is due, and how it was answered.

The module is pure: its caller (``server.py``) asks which callbacks are due, posts them, and reports what came back. A
callback that leaves this machine is written down like the others and is never due. Filled by the provider modules.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from impactflow.sandbox.messages import iso_millis

#: The only answer that ends the repeating.
_TAKEN = 200
#: A callback is repeated for a day; that each wait is twice as long as the one before is made up here.
_FIRST_WAIT, _PATIENCE = timedelta(minutes=1), timedelta(hours=24)
_LOOPBACK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?([/?][!-~]*)?")


@dataclass(slots=True, eq=False)
class Callback:
    """
    One callback to one URL.

    Args:
        url: The URL to post to.
        content: The content, as JSON.
        happened_at: The time of the event.
        due_at: The time of the next sending; None while the callback is under way, and when it is finished.
        answers: The status of each answer so far; None where none came.
    """

    url: str
    content: Any
    happened_at: datetime
    due_at: datetime | None = None
    answers: list[int | None] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """This callback as ``GET /_sandbox/callbacks`` shows it."""
        return {
            "url": self.url,
            "at": iso_millis(self.happened_at),
            "answers": self.answers,
            "content": self.content,
        }


class Callbacks:
    """
    All callbacks, including those still to come.

    Args:
        speed: The speed of the repeats, as a multiple of real time.
    """

    def __init__(self, speed: float) -> None:
        self._first_wait, self._patience = _FIRST_WAIT / speed, _PATIENCE / speed
        self._all: dict[Callback, None] = {}
        self._queue: list[tuple[datetime, int, Callback]] = []
        self._turns = count()

    def notify(self, url: str, content: Any, at: datetime) -> Callback:
        """Send this content from ``at`` on, until it is accepted."""
        callback = Callback(url, content, at)
        self._all[callback] = None
        if _LOOPBACK.fullmatch(url):
            self._put(callback, at)
        return callback

    def withdraw(self, callback: Callback) -> None:
        """Drop this callback: its event will not happen."""
        callback.due_at = None
        del self._all[callback]

    def happened(self, now: datetime) -> Iterable[Callback]:
        """The callbacks whose event has happened until now."""
        return (callback for callback in self._all if callback.happened_at <= now)

    def next_at(self) -> datetime | None:
        """The time of the next due callback; None while there is none."""
        while self._queue and self._queue[0][0] != self._queue[0][2].due_at:  # withdrawn
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def take_due(self, now: datetime) -> list[Callback]:
        """Take the callbacks to send now, in the order of their due times; report each to ``answered``."""
        due = []
        while (at := self.next_at()) is not None and at <= now:
            callback = heappop(self._queue)[-1]
            callback.due_at = None
            due.append(callback)
        return due

    def answered(self, callback: Callback, status: int | None, now: datetime) -> None:
        """Note an answer with this status, or none; the callback is repeated unless it was accepted or is too old."""
        callback.answers.append(status)
        again_at = now + self._first_wait * 2 ** (len(callback.answers) - 1)
        if status != _TAKEN and again_at <= callback.happened_at + self._patience:
            self._put(callback, again_at)

    def _put(self, callback: Callback, due_at: datetime) -> None:
        callback.due_at = due_at
        heappush(self._queue, (due_at, next(self._turns), callback))
