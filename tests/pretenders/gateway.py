"""
What stands between a buyer and a seller, and goes wrong: answers that are lost, cut, late, mixed up or a gateway's own.

A stand-in for a seller is a `Gateway` with routes. Each decision depends only on the seed, on what is asked for, and on
how often that was asked for before, so that a run can be told by its seed. Times are in seconds.
"""

import asyncio
import json
import re
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from aiohttp import web

from pretenders.loopback import Loopback

Json = dict[str, Any]
Answer = tuple[int, Any]


KINDS = (
    "lost_request",  # the connection ends before anything happened
    "lost_answer",  # ... and after it happened
    "cut_answer",  # ... in the middle of the answer
    "late_effect",  # nobody waits any more when it happens
    "error_before",  # a gateway's 500, 502, 503 or 504
    "error_after",
    "html_before",  # a 200 that is a gateway's page
    "html_after",
    "limited_before",  # 429
    "limited_after",
    "refused_before",  # 401, 403, 404, 408, 409 from a gateway, in no known form
    "refused_after",
    "repeated",  # a gateway sends the request twice and tells the second answer
    "missing",  # what is there answers the seller's own 404
    "slow",
)


@dataclass(frozen=True)
class Faults:
    """How often an answer goes wrong, and how."""

    rate: float = 0
    """Of all requests; a fault is drawn from `kinds`."""
    kinds: tuple[str, ...] = KINDS
    mixed: float = 0
    """How often an answer is one that belonged to another recent request of the same kind."""
    late_s: float = 3
    """How long a late effect takes; more than whoever asks waits."""
    most: int = 4
    """Faults for the same kind of request and the same subject; then it works."""


FAULTLESS = Faults()


class Refused(Exception):
    """An error in the seller's own form."""

    def __init__(self, status: int, code: str):
        self.status, self.code = status, code


GATEWAY: dict[str, tuple[list[int], str, str]] = {
    "error": ([500, 502, 503, 504], "text/html", "<html><h1>Bad gateway</h1></html>"),
    "html": ([200], "text/html", "<html><h1>Please wait</h1></html>"),
    "limited": ([429], "application/json", '{"message": "Too Many Attempts."}'),
    "refused": ([401, 403, 404, 408, 409], "text/html", "<html><h1>Request refused</h1></html>"),
}
"""What gateways answer in the seller's place."""


class Gateway(Loopback, ABC):
    """The server. What it does is in `routes`: the verb, the path's pattern, the kind of request, and who answers."""

    can_be_missing: frozenset[str] = frozenset()
    """Kinds of requests that may answer the seller's own 404 although all is there."""
    not_found = Refused(404, "not-found")
    pages = GATEWAY
    """What is answered in the seller's place, by the first word of the fault."""

    def __init__(self, seed: int, faults: Faults):
        super().__init__()
        self.seed, self.faults = seed, faults
        self.asked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.played: Counter[str] = Counter()
        """How often each fault was played."""
        self.log: list[str] = []
        """One line for each request: when, what, which fault, which status."""
        self.watch: Callable[[str], None] = lambda _: None
        """Is told the kind of each request twice: when it comes, and when it has taken effect or not."""
        self.recent: dict[str, deque[tuple[str, Answer]]] = {}
        self.routes: list[tuple[str, str, str, Callable[..., Answer]]] = []

    def calm(self) -> None:
        """Play no more faults."""
        self.faults = replace(self.faults, rate=0, mixed=0)

    # What each seller says for itself.

    @abstractmethod
    def refuses(self, request: web.Request) -> Answer | None:
        """Answer a request without the right key."""

    @abstractmethod
    def subject(self, kind: str, name: str | None, request: web.Request, text: str) -> str:
        """Say what a request is about; requests about the same draw their faults one after the other."""

    @abstractmethod
    def act(
        self, kind: str, name: str | None, handler: Callable[..., Answer], request: web.Request, text: str, fault: str
    ) -> Answer:
        """Let a request take effect; raises `Refused`."""

    @abstractmethod
    def error(self, refused: Refused) -> Answer:
        """Tell an error in the seller's form."""

    def oddly(self, value: Any, draw: Random) -> Any:
        """Make an answer unusual in ways that JSON allows."""
        return odd(value, draw)

    # What every request goes through.

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or let it go wrong."""
        kind, name, handler = self.route(request.method, request.path)
        text = await request.text()
        subject = self.subject(kind, name, request, text)
        draw = self.draw(kind, subject)
        if refused := self.refuses(request):
            return json_response(refused)
        fault = self.fault(kind, subject, draw)

        def effect() -> Answer:
            try:
                answer = self.act(kind, name, handler, request, text, fault)
            except Refused as refused:
                return self.error(refused)
            return answer[0], self.oddly(answer[1], draw)

        self.watch(kind)
        response = await self.play(fault, kind, subject, effect, draw, request)
        self.watch(kind)
        self.log.append(
            f"{time.time():.3f} {kind} {name or ''} {fault} {getattr(response, 'status', 'closed')} {subject}"
        )
        return response

    def route(self, method: str, path: str) -> tuple[str, str | None, Callable[..., Answer]]:
        """Find what a request asks for: the kind, what it names, and who answers."""
        for verb, pattern, kind, handler in self.routes:
            if verb == method and (match := re.fullmatch(pattern, path)):
                return kind, match[1] if match.groups() else None, handler
        return "unknown", path, self.unknown

    def unknown(self, path: str) -> Answer:
        """Answer what is not in the reference."""
        raise Refused(404, f"not-found {path}")

    def draw(self, kind: str, subject: str) -> Random:
        """Give the randomness that belongs to this request alone."""
        self.asked[f"{kind} {subject}"] += 1
        return Random(f"{self.seed} {kind} {subject} {self.asked[f'{kind} {subject}']}")

    def fault(self, kind: str, subject: str, draw: Random) -> str:
        """Say what goes wrong with this request, if anything does."""
        drawn = draw.random()
        if self.failed[f"{kind} {subject}"] >= self.faults.most or drawn >= self.faults.rate + self.faults.mixed:
            return "fine"
        fault = "mixed" if drawn < self.faults.mixed else draw.choice(self.faults.kinds)
        if fault == "missing" and kind not in self.can_be_missing:
            return "fine"
        self.failed[f"{kind} {subject}"] += 1
        self.played[fault] += 1
        return fault

    async def play(
        self, fault: str, kind: str, subject: str, effect: Callable[[], Answer], draw: Random, request: web.Request
    ) -> web.StreamResponse:
        """Let the request take effect, or not, and answer it, or not."""
        what, _, when = fault.partition("_")
        if fault == "lost_request":
            return self.close(request)
        if fault == "missing":
            return json_response(self.error(self.not_found))
        await asyncio.sleep({"slow": draw.uniform(0.1, 0.5), "late_effect": self.faults.late_s}.get(fault, 0))
        if what in self.pages:
            if when == "after":
                effect()
            statuses, kind_of, page = self.pages[what]
            return web.Response(status=draw.choice(statuses), text=page, content_type=kind_of)
        if fault == "repeated":
            effect()
        answer = self.mixed(kind, subject, effect(), draw, swap=fault == "mixed")
        if fault in {"lost_answer", "late_effect"}:
            return self.close(request)
        if fault == "cut_answer":
            return await self.cut(request, *answer)
        return json_response(answer)

    def mixed(self, kind: str, subject: str, answer: Answer, draw: Random, *, swap: bool) -> Answer:
        """Remember an answer, and give instead one that belonged to another recent request, if it is to be so."""
        recent = self.recent.setdefault(kind, deque(maxlen=8))
        others = [other for whose, other in recent if whose != subject]
        recent.append((subject, answer))
        return draw.choice(others) if swap and others else answer

    async def cut(self, request: web.Request, status: int, body: Any) -> web.StreamResponse:
        """Send half an answer, then end the connection."""
        text = json.dumps(body).encode()
        half = web.StreamResponse(status=status, headers={"Content-Length": str(len(text))})
        half.content_type = "application/json"
        await half.prepare(request)
        await half.write(text[: len(text) // 2])
        return self.close(request)

    def close(self, request: web.Request) -> web.Response:
        """End the connection without an answer."""
        if request.transport:
            request.transport.abort()
        return web.Response()


def json_response(answer: Answer) -> web.Response:
    """Make a response of a status and a body."""
    return web.json_response(answer[1], status=answer[0])


def without(full: Json, **poor: bool) -> Json:
    """Leave out the fields whose switch is on; `odd` may turn such a gap into a null."""
    return {name: ABSENT if poor.get(name) else value for name, value in full.items()}


ABSENT = object()


def odd(value: Any, draw: Random, *, floats: bool = False) -> Any:
    """
    Make an answer unusual in ways that JSON allows: another order, more fields, null for what is absent.

    With `floats` whole numbers get a fraction of 0.
    """
    if isinstance(value, list):
        return [odd(part, draw, floats=floats) for part in value]
    if floats and type(value) is int:
        return float(value)
    if not isinstance(value, dict):
        return value
    nulls = draw.random() < 0.5
    fields = [
        (name, part if name == "metadata" else odd(part, draw, floats=floats))
        for name, part in value.items()
        if part is not ABSENT or nulls
    ]
    fields.append(("x_trace", {"hops": [1, 2.5, None, "√"]}))
    draw.shuffle(fields)
    return {name: None if value is ABSENT else value for name, value in fields}


def moment(at: float) -> str:
    """Write a time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
