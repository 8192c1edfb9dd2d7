"""
Simulated time: it passes only while everything waits, so that weeks take milliseconds, in the right order.

The loop has no threads. Work for a thread (the ledger's reads and writes) goes to ``disk``, which decides how long the
work takes and whether it happens.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

#: The time at which every simulation begins.
START = datetime(2026, 3, 2, 12, tzinfo=UTC)

#: Runs what was meant for a thread.
Disk = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


class StuckError(AssertionError):
    """Everything waits for an event that never comes."""


class _Skipping(selectors.SelectSelector):
    """A selector that waits for nothing: it adds the time that would pass to the loop's own."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("everything waits for something that never comes")
        self.skipped_s += timeout
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """
    A loop whose time passes only while everything waits.

    Attributes:
        disk: Stands in for every thread; set before anything is run in a thread.
    """

    disk: Disk

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._skipping.skipped_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Hand the work to ``disk``, whichever executor was meant."""
        del executor
        return self.create_task(self.disk(partial(func, *args)))


class SimulatedClock:
    """
    The running loop's time, as one machine's clock shows it.

    Args:
        ahead: How far this machine's clock is ahead of the true time.
    """

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        """The time now, aware, UTC."""
        return START + self._ahead + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds of the simulation."""
        await asyncio.sleep(max(0.0, seconds))

    def put(self, ahead: timedelta) -> None:
        """Set the clock anew, so that it steps forwards or backwards."""
        self._ahead = ahead
