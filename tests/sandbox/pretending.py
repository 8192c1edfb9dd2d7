"""How these tests speak to a sandbox: a clock that is turned by hand, and one function that asks."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from impactflow.sandbox import Faults, Options, Reply, Request, Sandbox

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEYS = {
    "wickedreports": {"apikey": "sandbox-wickedreports-key"},
    "oneclickimpact": {"x-api-key": "sandbox-oneclickimpact-key"},
    "cnaught": {"authorization": "Bearer sandbox-cnaught-key"},
    "impactapi": {"authorization": "Bearer sandbox-impactapi-key"},
    "_sandbox": {},
}
TAGS = {"order_id": "WR-000001", "impactflow_key": "acme-1-trees"}


class HandClock:
    """A clock that stands still until someone waits or advances it."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Answer:
    """A reply, its JSON read."""

    reply: Reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.reply.headers)

    @property
    def json(self) -> Any:
        return json.loads(self.reply.body)


def make(faults: str = "none", orders: tuple[Any, ...] | list[Any] = (), **options: Any) -> Sandbox:
    """A sandbox with a clock turned by hand."""
    return Sandbox(Options(faults=Faults.parse(faults), **options), clock=HandClock(), orders=orders)


def request(method: str, url: str, body: Any = None, params: Any = None, headers: Any = None) -> Request:
    """A request with the right key."""
    provider = url.split("/")[1]
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Request(method, url, urlencode(params or {}, doseq=True), {**KEYS[provider], **(headers or {})}, content)


def ask(sandbox: Sandbox, method: str, url: str, body: Any = None, params: Any = None, headers: Any = None) -> Answer:
    """Ask, and be gone again at once."""
    with sandbox.exchange(request(method, url, body, params, headers)) as reply:
        return Answer(reply)


def plant(sandbox: Sandbox, amount: int = 1, **fields: Any) -> Answer:
    """Plant trees."""
    return ask(sandbox, "POST", "/oneclickimpact/v1/plant_tree", {"amount": amount, **fields})


def offset(sandbox: Sandbox, key: str | None = None, **fields: Any) -> Answer:
    """Submit a CNaught order of one kilogram, or of what the fields say."""
    headers = {} if key is None else {"idempotency-key": key}
    return ask(sandbox, "POST", "/cnaught/v1/orders", fields or {"amount_kg": 1}, headers=headers)


def open_session(sandbox: Sandbox, **fields: Any) -> Answer:
    """Open a session that gives 5 cents to CleanHub, or what the fields say."""
    body = {"type": "portion_of_sales", "allocations": [{"campaign_identifier": "cleanhub", "amount": 5}], **fields}
    return ask(sandbox, "POST", "/impactapi/sessions", body)


def confirm(sandbox: Sandbox, session_id: str) -> Answer:
    """Confirm a session."""
    return ask(sandbox, "POST", f"/impactapi/sessions/{session_id}/confirm")
