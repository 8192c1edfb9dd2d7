"""
The faulty network in front of one pretend provider: it counts requests, draws mishaps and carries them out.

The provider behind it (``api.py``) knows nothing of faults.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from impactflow.sandbox.api import Api, Call, Declined
from impactflow.sandbox.faults import Draws, Effect, Faults, Mishap, Nature
from impactflow.sandbox.messages import Reply, Request
from impactflow.sandbox.options import Options

_HTML = b"<!DOCTYPE html>\n<html><head><title>Something went wrong</title></head><body><h1>Oops</h1></body></html>\n"
_RESET = Reply(0, reset=True)
_OF_PAGES = frozenset({"shifting_pages", "short_listing"})
_NOT_FOUND = Declined(404, "There is nothing by this name.")
#: The number of answers of an operation that are remembered, for requests that get another's answer.
_REMEMBERED = 3


class Line:
    """One provider, and the faulty line that leads to it."""

    def __init__(self, api: Api, options: Options) -> None:
        self.api = api
        self._options = options
        self._draws = Draws(options.faults, api.name, options.seed)
        self._served = 0
        self._in_flight = 0
        self._fired: Counter[str] = Counter()
        self._late: list[tuple[datetime, int, Call]] = []
        self._turns = count()
        self._answers: defaultdict[tuple[str, str], deque[Reply]] = defaultdict(partial(deque, maxlen=_REMEMBERED))
        self._hidden_until: dict[tuple[str, str], datetime] = {}
        self._unpaid = timedelta(seconds=options.unpaid_s)
        self._paid_from: datetime | None = None

    @contextmanager
    def exchange(self, request: Request, path: str, now: datetime) -> Iterator[Reply]:
        """The reply to a request, which is in flight until the context is left."""
        self.catch_up(now)
        self._served += 1
        self._paid_from = self._paid_from or now + self._unpaid
        self._in_flight += 1
        self.api.hold(request)
        call = self.api.call(request, path, now)
        mishap = self._draws.draw(call.route.nature)
        try:
            reply = self._fare(call, mishap)
            yield replace(reply, delay_s=reply.delay_s + self._options.latency_s)
        finally:
            self._in_flight -= 1
            if mishap is None or mishap.fault.effect is not Effect.LATER:
                self.api.release(request)

    def catch_up(self, now: datetime) -> None:
        """Let every late request whose time has come take effect."""
        while self._late and self._late[0][0] <= now:
            due, _, call = heappop(self._late)
            self.api.hold(call.request)  # again: another request that held its key may be done by now
            self.api.answer(replace(call, now=due, listed_at=due))
            self.api.release(call.request)

    def calm(self) -> None:
        """Stop all faults from now on."""
        self._draws = Draws(Faults(), self.api.name, self._options.seed)
        self._unpaid, self._paid_from = timedelta(), None
        self._hidden_until.clear()

    def status(self) -> dict[str, Any]:
        """Count the requests: served, in flight now, still to take effect; and how often each fault struck."""
        faults = {name: struck for name, struck in sorted(self._fired.items()) if struck}
        if self.api.pages_shifted:
            faults["shifting_pages"] = self.api.pages_shifted
        if self.api.listings_cut:
            faults["short_listing"] = self.api.listings_cut
        return {"requests": self._served, "in_flight": self._in_flight, "late": len(self._late), "faults": faults}

    def _fare(self, call: Call, mishap: Mishap | None) -> Reply:
        """The reply after all faults."""
        if (declined := self._declined(call)) is not None:
            return self.api.decline(declined)
        if mishap is None or (mishap.fault.name == "passing_404" and _named(call) in self._hidden_until):
            return self._remember(call, self.api.answer(call))  # nothing goes wrong, or it has passed
        name = mishap.fault.name
        if name in _OF_PAGES:
            shift = 0 if name == "short_listing" else -1 if mishap.heads else 1
            return self.api.answer(replace(call, shift=shift, ends=not shift))
        if name == "late_records":
            call = replace(call, listed_at=call.now + self._lateness(mishap))
        if name == "wrong_amount":
            call = replace(call, times=2)
        honest = self.api.answer(call) if mishap.takes_effect else None
        if honest is not None and honest.status >= 400:  # noqa: PLR2004
            return honest
        if name == "foreign_answer" and honest is not None and not self._foreign(call, honest):
            return self._remember(call, honest)
        self._fired[name] += 1
        return self._broken(call, mishap) if honest is None else self._spoilt(call, honest, mishap)

    def _declined(self, call: Call) -> Declined | None:
        """A temporary refusal, independent of faults: of purchases, or of a name that was not found."""
        if call.route.nature.writes and self._paid_from is not None and call.now < self._paid_from:
            return Declined(402, "The account cannot pay for this.")
        hidden = call.now < self._hidden_until.get(_named(call), call.now)
        return _NOT_FOUND if hidden and call.route.nature is Nature.LOOK_UP else None

    def _remember(self, call: Call, reply: Reply) -> Reply:
        """Keep a reply that is delivered unchanged: another request of the operation may get it too."""
        if reply.status < 400:  # noqa: PLR2004
            self._answers[call.route.method, call.route.path].append(reply)
        return reply

    def _foreign(self, call: Call, honest: Reply) -> list[Reply]:
        """The answers to other requests of the operation, the last one first."""
        answers = self._answers[call.route.method, call.route.path]
        return [reply for reply in reversed(answers) if self.api.distinguishes(reply, honest)]

    def _spoilt(self, call: Call, honest: Reply, mishap: Mishap) -> Reply:
        """The client's view of a reply to a request that took effect."""
        match mishap.fault.name:
            case "late_records" | "wrong_amount":
                return self._remember(call, honest)
            case "foreign_answer":
                return self._foreign(call, honest)[0]
            case "refused_after":
                status = (400, 402, 403, 404)[int(mishap.chance * 4)]
                return self.api.decline(Declined(status, "Not as things stand."))
            case "limited_after":
                return self._limited(mishap)
            case "truncated":
                return replace(honest, body=honest.body[: max(1, len(honest.body) // 2)])
        return self._unreadable(mishap)

    def _broken(self, call: Call, mishap: Mishap) -> Reply:
        """The client's view of a request that has had no effect, or none yet."""
        if mishap.fault.effect is Effect.LATER:
            heappush(self._late, (call.now + self._lateness(mishap), next(self._turns), call))
        if mishap.fault.name == "refused":
            return self.api.decline(Declined(400 if mishap.heads else 403, "Not as things stand."))
        if mishap.fault.name == "passing_404":
            self._hidden_until[_named(call)] = call.now + self._lateness(mishap)
            return self.api.decline(_NOT_FOUND)
        return self._limited(mishap) if mishap.fault.name == "rate_limited" else self._unreadable(mishap)

    def _limited(self, mishap: Mishap) -> Reply:
        """Refuse with 429; half of these replies say when to come again."""
        reply = self.api.decline(Declined(429, "Too many requests."))
        return replace(reply, headers={**reply.headers, "retry-after": "1"}) if mishap.heads else reply

    def _unreadable(self, mishap: Mishap) -> Reply:
        """A reply that says nothing about the effect."""
        match mishap.fault.name:
            case "html":
                return _page(200 if mishap.second_chance < 0.5 else 502)  # noqa: PLR2004
            case "late_effect":  # a proxy says so, or breaks off; the provider goes on
                gave_up = self.api.decline(Declined(504, "It takes too long."))
                return (_RESET, gave_up, _page(200))[int(mishap.second_chance * 3)]
            case "hang":
                return replace(_RESET, delay_s=self._options.hang_s)
            case "error_before" | "error_after":
                return self.api.decline(Declined((500, 502, 503)[int(mishap.chance * 3)], "Something went wrong."))
        return _RESET

    def _lateness(self, mishap: Mishap) -> timedelta:
        """A delay from a tenth of the longest up to the longest."""
        return timedelta(seconds=self._options.late_s * (0.1 + 0.9 * mishap.chance))


def _page(status: int) -> Reply:
    """A page for a browser."""
    return Reply(status, {"content-type": "text/html"}, _HTML)


def _named(call: Call) -> tuple[str, str]:
    """The name that a look-up asks for."""
    return call.request.path, call.request.query
