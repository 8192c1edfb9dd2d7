"""
A simulated process: it dies, pauses or loses its database exactly where the fate says.

Between two boundaries nothing of the process is visible from outside. So a crash can harm the ledger and the providers
only at a boundary.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum
from typing import Any, TypeVar, cast
from weakref import WeakSet

import httpx

from impactflow.errors import LedgerError, NotSent
from impactflow.ledger.writer import Writer

T = TypeVar("T")


class Boundary(Enum):
    """A moment that a process's surroundings can tell from the one before."""

    COMMIT = "before a commit"
    COMMITTED = "after a commit"
    SEND = "before a request"
    ANSWER = "after a request's effect, before its answer is read"


class Act(Enum):
    """The event at a boundary of a process."""

    GO_ON = "it goes on"
    DIE = "it is killed"
    FAIL = "the database fails"
    PAUSE = "it stands still for a while, as a machine does that is short of memory"


#: A function that decides what happens at each boundary.
Fate = Callable[[Boundary], Act]


def unharmed(_: Boundary) -> Act:
    """The fate of a process to which nothing happens."""
    return Act.GO_ON


class Process:
    """
    One process, from its start to its end or death.

    A dead process does nothing that is visible any more: neither requests nor the database hear of it, not even from
    code that runs while it is being ended. Requests that it sent before still arrive.

    Args:
        fate: Decides what happens to the process at each boundary.
        pause_s: How long the process stands still, in seconds; no length is assumed to be bounded.

    Attributes:
        died: Set when the process is killed.
        tasks: The tasks that the process's tasks have begun.
    """

    def __init__(self, fate: Fate = unharmed, pause_s: float = 0.0) -> None:
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._fate = fate
        self._pause_s = pause_s
        self.died = asyncio.Event()

    async def reach(self, boundary: Boundary) -> Act:
        """Come to a boundary; return only if the process lives on."""
        self.live()
        act = self._fate(boundary)
        if act is Act.DIE:
            self.died.set()
        if act is Act.PAUSE:
            await asyncio.sleep(self._pause_s)
        self.live()
        return act

    def live(self) -> None:
        """Return if the process lives; the tasks of a dead process end here, whatever they were about to do."""
        if self.died.is_set():
            raise asyncio.CancelledError

    async def end(self, job: asyncio.Task[Any]) -> None:
        """End all that is left of a dead process, also tasks that would end by themselves if the process lived."""
        while running := [task for task in (job, *self.tasks) if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.sleep(0)


_running: ContextVar[Process] = ContextVar("simulated_process")


def enter(process: Process) -> None:
    """Make the calling task, and every task that it begins from now on, belong to the process."""
    _running.set(process)


def begin_task(
    loop: asyncio.AbstractEventLoop, work: Generator[Any, None, T] | Coroutine[Any, Any, T], **more: Any
) -> asyncio.Task[T]:
    """Begin a task of the process that the calling task belongs to; an event loop's task factory."""
    task = asyncio.Task(cast("Coroutine[Any, Any, T]", work), loop=loop, **more)
    if process := _running.get(None):
        process.tasks.add(task)
    return task


async def on_disk(work: Callable[[], Any]) -> Any:
    """Do the ledger's work that was meant for a thread, as a ``virtual_time.Disk``; only writes are boundaries."""
    process = _running.get()
    writer = getattr(getattr(work, "func", None), "__self__", None)
    if not isinstance(writer, Writer):
        process.live()
        return work()
    group = work.args[0]  # type: ignore[attr-defined]
    if await process.reach(Boundary.COMMIT) is Act.FAIL:
        return [LedgerError("the disk failed")] * len(group)
    answers = work()
    if await process.reach(Boundary.COMMITTED) is Act.FAIL:
        return [LedgerError("the disk failed after the commit")] * len(group)
    return answers


class Wire(httpx.AsyncBaseTransport):
    """A process's connection to the providers."""

    def __init__(self, process: Process, inner: httpx.AsyncBaseTransport) -> None:
        self._process = process
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, unless the process dies before or afterwards."""
        await self._come_to_send(request)
        try:
            return await self._inner.handle_async_request(request)
        finally:
            await self._process.reach(Boundary.ANSWER)

    async def _come_to_send(self, request: httpx.Request) -> None:
        """
        Let a paused process give up nothing: its request still goes out, and only then is its time found to be over.

        The process looks at its lease after the pause, in the step that sends the request, as the production transport
        does.
        """
        reached = asyncio.ensure_future(self._process.reach(Boundary.SEND))
        try:
            await asyncio.shield(reached)
        except asyncio.CancelledError:
            if not self._process.died.is_set():
                await reached
                with suppress(httpx.TransportError, NotSent):
                    await self._inner.handle_async_request(request)
            raise
