"""
Hold requests back before a provider's limit is hit, as the provider's answers report it.

A provider says in ``x-ratelimit-limit``, ``-remaining`` and ``-reset`` how many requests it will still take and until
when. This module counts down from one such answer as requests are sent, since later answers may overtake one another.
When that time is surely over and nothing is in flight, one request goes ahead, and its answer gives the next count. A
429 pauses everything. Requests to a provider that reports no limit never wait.

``http`` reads the headers and decides what a 429 means for its caller; it owns one ``RateLimit`` for each client.
"""

import asyncio
import logging
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from impactflow.clock import Clock

#: The assumed length of a window, in seconds, where its end is not given: the vendors count by the minute.
WINDOW_S = 60.0
#: A longer wait than this is not believed, and ``WINDOW_S`` is waited instead.
LONGEST_S = 86_400.0
#: The first pause after a 429 that names no time; it doubles up to the second figure.
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: The error of a time in seconds: a whole number may have been rounded either way, a fraction is nearly exact.
ROUNDING_S, HAIR_S = 1.01, 0.01
TOO_MANY_REQUESTS = 429
#: Numbers from here on are seconds since 1970, and from the second one on milliseconds.
EPOCH_SECONDS, EPOCH_MILLISECONDS = 1e9, 1e11


class HeldBackError(Exception):
    """
    The limit would hold the request back for longer than its caller is willing to wait; nothing was sent.

    Args:
        wait_s: Seconds until it may be worth trying again.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"held back for {wait_s:.0f} s")
        self.wait_s = wait_s


class Turn(NamedTuple):
    """
    Permission to send one request.

    Args:
        waited_s: Seconds that the request was held back.
        taken_at: The time at which it may go.
        finished: The number of requests finished by then.
        pauses: The number of pauses by then.
        ahead: Whether the request goes ahead alone, to learn the new count.
    """

    waited_s: float
    taken_at: datetime
    finished: int
    pauses: int
    ahead: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """The limit as one answer reports it: how many requests may still be sent, and between which two times it ends."""

    limit: int
    remaining: int
    ends_from: datetime
    ends_by: datetime


def moment(text: str, now: datetime) -> datetime | None:
    """
    Read the time that a header names.

    Args:
        text: Seconds from now, seconds or milliseconds since 1970, an ISO 8601 time or an HTTP date.
        now: The time from which "seconds from now" counts.

    Returns:
        The time in UTC, or None where the text is none of these.
    """
    try:
        number = float(text)
    except ValueError:
        return _date(text)
    try:
        if number >= EPOCH_MILLISECONDS:
            return datetime.fromtimestamp(number / 1000, UTC)
        if number >= EPOCH_SECONDS:
            return datetime.fromtimestamp(number, UTC)
        return now + timedelta(seconds=number)
    except (ValueError, OverflowError, OSError):
        return None


def _date(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text.strip())
            return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None


def seconds_until(text: str | None, now: datetime) -> float | None:
    """
    Return the seconds that a ``Retry-After`` asks to wait, never below zero.

    Args:
        text: The header's text, seconds or an HTTP date; None where the answer has none.
        now: The time now.

    Returns:
        The seconds, or None where the header is missing, unreadable or more than a day off.
    """
    then = moment(text, now) if text else None
    if then is None:
        return None
    wait_s = (then - now).total_seconds()
    return max(0.0, wait_s) if wait_s <= LONGEST_S else None


def _count(text: str | None) -> int | None:
    try:
        return max(0, int(float(text))) if text else None
    except (ValueError, OverflowError):
        return None


def _read_window(headers: Mapping[str, str], sent_at: datetime, now: datetime) -> _Window | None:
    """Read the three headers; None where there are none. The provider wrote them between ``sent_at`` and ``now``."""
    remaining = _count(headers.get("x-ratelimit-remaining"))
    if remaining is None:
        return None
    limit = _count(headers.get("x-ratelimit-limit"))
    reset = headers.get("x-ratelimit-reset") or ""
    first, last = moment(reset, sent_at), moment(reset, now)
    if first is None or last is None or (last - now).total_seconds() > LONGEST_S:
        first, last = sent_at, now + timedelta(seconds=WINDOW_S)
    rounding = timedelta(seconds=HAIR_S if "." in reset else ROUNDING_S)
    return _Window(max(limit or remaining, 1), remaining, first - rounding, last + rounding)


class RateLimit:
    """
    The turns of one client's requests: take a turn, send, then finish the turn with the answer.

    Args:
        clock: Gives the time and waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit: int | None = None  # requests per window; None while no answer has named it
        self._left = math.inf  # requests that may still be sent
        self._lapses_at: datetime | None = None  # the time until which `_left` holds
        self._may_end_at: datetime | None = None  # from then on a request may count in the next window
        self._strays = 0  # requests finished after that
        self._learning = False  # one request is to go ahead
        self._ahead = False  # that request is on its way
        self._in_flight = 0
        self._finished = 0
        self._paused_until: datetime | None = None
        self._pauses = 0
        self._refusals = 0  # 429s in a row
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they asked

    async def take(self, patience_s: float) -> Turn:
        """
        Wait for permission to send one request. Each turn taken must be finished, whatever happens.

        Args:
            patience_s: The most seconds to wait.

        Raises:
            HeldBackError: The wait would be, or was, longer than that.
        """
        asked_at = now = self._clock.now()
        while not self._may_go(now):
            left_s = patience_s - (now - asked_at).total_seconds()
            wait_s = self._wait_s(now)
            if left_s <= 0 or wait_s > left_s:
                raise HeldBackError(wait_s)
            await (self._clock.sleep(wait_s) if wait_s else self._next_finished())
            now = self._clock.now()
        waited_s = (now - asked_at).total_seconds()
        if waited_s > patience_s:
            raise HeldBackError(0.0)
        self._in_flight += 1
        self._left -= 1
        self._ahead = self._learning
        return Turn(waited_s, now, self._finished, self._pauses, self._learning)

    def finish(self, turn: Turn, status: int | None, headers: Mapping[str, str]) -> None:
        """
        Give a turn back, with the status and headers of its answer.

        Args:
            turn: The turn from ``take``.
            status: The answer's HTTP status; None where no answer came.
            headers: The answer's headers.
        """
        self._in_flight -= 1
        self._finished += 1
        if turn.ahead:
            self._ahead = False
        if self._limit is not None or "x-ratelimit-remaining" in headers:
            self._learn(turn, status, headers)
        if status == TOO_MANY_REQUESTS:
            self._pause(turn, headers)
        elif status is not None and turn.pauses == self._pauses:
            self._refusals = 0
            self._learning = self._learning and self._limit is not None
        if self._waiting:
            self._wake()

    def _may_go(self, now: datetime) -> bool:
        """Whether a request may be sent now; starts the next window when it is due."""
        if self._paused_until is not None:
            if now < self._paused_until:
                return False
            self._paused_until = None
        if self._lapses_at is not None and now >= self._lapses_at:
            if self._in_flight:
                return False
            self._start_learning(now)
        return self._left >= 1 and not self._ahead

    def _wait_s(self, now: datetime) -> float:
        """Seconds until a request may be sent; 0 where that depends on a request in flight."""
        if self._paused_until is not None and now < self._paused_until:
            return (self._paused_until - now).total_seconds()
        if self._lapses_at is not None and self._left < 1:
            return max(0.0, (self._lapses_at - now).total_seconds())
        return 0.0

    def _start_learning(self, now: datetime) -> None:
        assert self._limit is not None
        self._learning = True
        self._left = self._limit - self._strays
        self._strays = 0
        self._lapses_at = now + timedelta(seconds=WINDOW_S)  # in case no answer comes

    async def _next_finished(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            await future
        finally:
            self._waiting.pop(future, None)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _learn(self, turn: Turn, status: int | None, headers: Mapping[str, str]) -> None:
        """Adopt the window that an answer reports."""
        now = self._clock.now()
        window = _read_window(headers, turn.taken_at, now)
        if window is not None and (turn.ahead or self._limit is None):
            # Requests in flight, and requests finished since this one was sent, may count after it.
            overtook = self._finished - 1 - turn.finished
            self._left = window.remaining - self._in_flight - overtook
            self._strays = overtook if now >= window.ends_from else 0
            self._limit, self._may_end_at, self._lapses_at = window.limit, window.ends_from, window.ends_by
            self._learning = False
            return
        if turn.ahead and status is not None and status < TOO_MANY_REQUESTS:  # the provider reports no limit any more
            self._limit, self._left, self._lapses_at, self._learning = None, math.inf, None, False
            return
        self._strays += not self._learning and self._may_end_at is not None and now >= self._may_end_at
        if window is not None and not self._learning:
            self._left = min(self._left, window.remaining)  # other programs may use the same account

    def _pause(self, turn: Turn, headers: Mapping[str, str]) -> None:
        """Pause after a 429; several 429s of requests in flight together count as one refusal."""
        now = self._clock.now()
        wait_s = seconds_until(headers.get("retry-after"), now)
        if turn.pauses == self._pauses:
            self._pauses += 1
            self._refusals += 1
        elif wait_s is None:
            return
        if wait_s is None:
            wait_s = min(LONGEST_PAUSE_S, PAUSE_S * 2 ** min(self._refusals - 1, 10)) * random.uniform(1.0, 1.5)
        until = now + timedelta(seconds=wait_s)
        self._paused_until = max(until, self._paused_until or until)
        if self._limit is None:
            self._learning = True
        elif self._left >= 1:
            self._lapses_at = self._paused_until
        logging.getLogger(__name__).warning("Rate limited: waiting %.1f s", wait_s, extra={"action": "rate_limited"})
