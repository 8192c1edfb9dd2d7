"""
The bad line in front of one pretend provider: it counts requests, draws mishaps and carries them out.

The provider behind it (``api.py``) knows nothing of faults. Called by ``Sandbox`` alone.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from impactflow.sandbox.api import Api, Call, Declined
from impactflow.sandbox.faults import Draws, Effect, Faults, Mishap
from impactflow.sandbox.messages import Reply, Request
from impactflow.sandbox.options import Options

_HTML = b"<!DOCTYPE html>\n<html><head><title>Something went wrong</title></head><body><h1>Oops</h1></body></html>\n"
_RESET = Reply(0, reset=True)


class Line:
    """One provider, and how requests fare on their way to it."""

    def __init__(self, api: Api, options: Options) -> None:
        self.api = api
        self._options = options
        self._draws = Draws(options.faults, api.name, options.seed)
        self._served = 0
        self._in_flight = 0
        self._fired: Counter[str] = Counter()
        self._late: list[tuple[datetime, int, Call]] = []
        self._turns = count()

    @contextmanager
    def exchange(self, request: Request, path: str, now: datetime) -> Iterator[Reply]:
        """The reply to a request, which is in flight until the context is left."""
        self.settle(now)
        self._served += 1
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

    def settle(self, now: datetime) -> None:
        """Let every late request take effect whose time has come."""
        while self._late and self._late[0][0] <= now:
            due, _, call = heappop(self._late)
            self.api.hold(call.request)  # again: whatever kept its key from it may be gone by now
            self.api.answer(replace(call, now=due, listed_at=due))
            self.api.release(call.request)

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self._draws = Draws(Faults(), self.api.name, self._options.seed)

    def status(self) -> dict[str, Any]:
        """How many requests came, are in flight now and are still to take effect, and how often each fault struck."""
        faults = {name: struck for name, struck in sorted(self._fired.items()) if struck}
        if self.api.pages_shifted:
            faults["shifting_pages"] = self.api.pages_shifted
        return {"requests": self._served, "in_flight": self._in_flight, "late": len(self._late), "faults": faults}

    def _fare(self, call: Call, mishap: Mishap | None) -> Reply:
        """The reply after whatever went wrong."""
        if mishap is None:
            return self.api.answer(call)
        name = mishap.fault.name
        if name == "shifting_pages":
            return self.api.answer(replace(call, shift=-1 if mishap.heads else 1))
        if name == "late_records":
            call = replace(call, listed_at=call.now + self._lateness(mishap))
        if name == "wrong_amount":
            call = replace(call, times=2)
        honest = self.api.answer(call) if mishap.takes_effect else None
        if honest is not None and honest.status >= 400:  # noqa: PLR2004
            return honest
        self._fired[name] += 1
        return self._broken(call, mishap) if honest is None else self._spoilt(honest, mishap)

    def _spoilt(self, honest: Reply, mishap: Mishap) -> Reply:
        """What the client sees of a reply to what took effect."""
        match mishap.fault.name:
            case "late_records" | "wrong_amount":
                return honest
            case "truncated":
                return replace(honest, body=honest.body[: max(1, len(honest.body) // 2)])
        return self._unreadable(mishap)

    def _broken(self, call: Call, mishap: Mishap) -> Reply:
        """What the client sees where the request has had no effect, or none yet."""
        if mishap.fault.effect is Effect.LATER:
            heappush(self._late, (call.now + self._lateness(mishap), next(self._turns), call))
        if mishap.fault.name == "refused":
            return self.api.decline(Declined(400 if mishap.heads else 403, "Not as things stand."))
        if mishap.fault.name != "rate_limited":
            return self._unreadable(mishap)
        reply = self.api.decline(Declined(429, "Too many requests."))
        return replace(reply, headers={**reply.headers, "retry-after": "1"}) if mishap.heads else reply

    def _unreadable(self, mishap: Mishap) -> Reply:
        """What says nothing about the effect."""
        match mishap.fault.name:
            case "html":
                return Reply(200 if mishap.second_chance < 0.5 else 502, {"content-type": "text/html"}, _HTML)  # noqa: PLR2004
            case "hang":
                return replace(_RESET, delay_s=self._options.hang_s)
            case "error_before" | "error_after":
                return self.api.decline(Declined((500, 502, 503)[int(mishap.chance * 3)], "Something went wrong."))
        return _RESET

    def _lateness(self, mishap: Mishap) -> timedelta:
        """From a tenth of the longest up to the longest."""
        return timedelta(seconds=self._options.late_s * (0.1 + 0.9 * mishap.chance))
