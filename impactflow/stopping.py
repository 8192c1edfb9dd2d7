"""
Stop on SIGTERM and Ctrl-C: running work is cancelled, and a request that may take effect is recorded first.

To stop is to cancel. A signal cancels the one task that runs (``cancelling``), and every wait, read and sleep ends
there. Work that sends purchases goes ``to_its_end`` instead: it sends nothing new, gives the requests in flight a few
seconds, and records all of them before the cancellation goes on. The content of the records is left to ``sweep`` and
``reconcile``, and the exit status to the command line.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

from impactflow.clock import Clock

T = TypeVar("T")
#: How long a request in flight may still take once the run is stopped, in seconds. ``docker stop`` kills after 10, and
#: the answers must still be recorded and reported.
FINISH_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: The signal that ends the process at once, even while something is being recorded.
_INSISTS = 3


class Stopped(BaseException):
    """
    A signal asked the process to end.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_status(self) -> int:
        """The status that a shell reports for a process ended by this signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


def run(work: Coroutine[Any, Any, T]) -> T:
    """
    Run an event loop until the work is done, or until a signal has cancelled it.

    A signal before the work begins, or while the loop is closed after it, counts once that is over: raised in the midst
    of a callback it would be logged there, and lost.

    Raises:
        Stopped: A signal came, and the work has ended.
    """

    async def stoppable() -> T:
        with cancelling():
            return await work

    with putting_off():
        return asyncio.run(stoppable())


@contextmanager
def raising(signals: Iterable[int] = _SIGNALS) -> Iterator[None]:
    """Raise ``Stopped`` where a signal finds the main thread: for code without an event loop."""

    def stop(number: int) -> None:
        raise Stopped(number)

    with _handling(stop, signals):
        yield


@contextmanager
def putting_off() -> Iterator[None]:
    """
    Put a signal off to the end of the context: for others' code, which may swallow or wrap a handler's exception.

    Raises:
        Stopped: A signal came meanwhile.
    """
    received: list[int] = []
    with _handling(received.append):
        try:
            yield
        finally:
            if received:
                raise Stopped(received[0])


def cancelling() -> AbstractContextManager[None]:
    """
    Cancel the current task at the first signal.

    Raises:
        Stopped: A signal came, and the task has ended, in whatever way.
    """
    task = asyncio.current_task()
    assert task is not None
    return calling(task.cancel)


@contextmanager
def calling(stop: Callable[[], object]) -> Iterator[None]:
    """
    Call a function on the running loop at the first signal: for a server that ends by itself then.

    Raises:
        Stopped: A signal came, and what is within the context has ended.
    """
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        loop.call_soon_threadsafe(stop)

    with _handling(on_signal):
        try:
            yield
        finally:
            if received:
                raise Stopped(received[0])


@contextmanager
def _handling(stop: Callable[[int], None], signals: Iterable[int] = _SIGNALS) -> Iterator[None]:
    """
    Handle the first signal; ignore the second, which may find a recording under way; die of the third.

    Once a signal came the handlers stay, so that the second one is ignored until the process has ended.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            stop(number)
        elif len(received) >= _INSISTS:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to no other thread
        yield
        return
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        if not received:
            for number, handler in before.items():
                signal.signal(number, handler)


class InFlight:
    """Requests that may take effect: once stopped, each is answered within a few seconds or given up."""

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._until_s: float | None = None
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether nothing new may be sent."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Give what is in flight ``FINISH_S`` seconds, and send nothing new."""
        self._until_s = asyncio.get_running_loop().time() + FINISH_S
        self._stopped.set()
        for limit in self._limits:
            limit.reschedule(self._until_s)

    async def answer(self, request: Awaitable[T]) -> T:
        """
        Return the answer to one request.

        Raises:
            TimeoutError: The request was given up; it may have taken effect.
        """
        async with asyncio.timeout_at(self._until_s) as limit:
            self._limits.add(limit)
            try:
                return await request
            finally:
                self._limits.discard(limit)

    async def sleep(self, clock: Clock, seconds: float) -> None:
        """Return after this many seconds, or once stopped."""
        waits = {asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(self._stopped.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def to_its_end(work: Coroutine[Any, Any, T], stop: Callable[[], None]) -> T:
    """
    Do work that must not be cut off: a cancellation calls ``stop`` and goes on once the work has ended.

    Raises:
        Exception: The error that ended the work, even if the work was stopped.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            stop()
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.result()
        raise
