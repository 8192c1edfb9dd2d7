"""
Time that passes only while everything waits: weeks of placing and tracking in no time, and in the right order.

Tests marked ``@in_virtual_time`` run on a loop that jumps to the next timer as soon as nothing else can happen. While
the ledger's threads work it stands still.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any

#: When every test begins.
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


class _Skipping(selectors.SelectSelector):
    """Waits for threads, and for nothing else: the time that would pass is added to the loop's own."""

    skipped_s = 0.0
    working = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout == 0:
            return super().select(0)
        if self.working:
            return super().select(None)
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

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._skipping.working += 1
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _: object) -> None:
        self._skipping.working -= 1


class VirtualClock:
    """The running loop's time, which a test can turn on."""

    def __init__(self) -> None:
        self._turned = timedelta()

    def now(self) -> datetime:
        return START + self._turned + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def turn(self, **by: float) -> None:
        """Turn it on, by what ``timedelta`` takes."""
        self._turned += timedelta(**by)


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a ``VirtualLoop``."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
