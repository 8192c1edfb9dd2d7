"""What the clients' tests share: answers from samples, a transport that plays them, clocks that need no waiting."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

SAMPLES = Path(__file__).parent.parent / "samples"
NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)


def sample(provider: str, name: str, **headers: str) -> httpx.Response:
    """The sample ``<provider>/<operation>.<status>.json`` as an answer."""
    content = (SAMPLES / provider / f"{name}.json").read_bytes()
    return httpx.Response(int(name.rsplit(".", 1)[1]), content=content, headers=headers)


class Script(httpx.AsyncBaseTransport):
    """Answers each request with the next of its answers, the last one for ever, and remembers the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class PatientClock:
    """A clock on which every wait is over at once, and is remembered."""

    def __init__(self) -> None:
        self.time = NOON
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class _Skipping(selectors.SelectSelector):
    """Waits for nothing: the time that would pass is added to the loop's own."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits for something that never comes")
        self.skipped_s += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes only while everything waits."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped_s


class LoopClock:
    """The time of the running loop."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtual(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
