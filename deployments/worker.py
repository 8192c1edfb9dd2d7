"""
A process worker that ends its runs instead of killing them: ``python -m deployments.worker POOL [LIMIT]``.

Prefect's own worker kills the processes of its runs when it is stopped: their purchases are in doubt, and the runs stay
Running. This worker accepts no more runs, sends SIGTERM to those it has, waits until they have recorded the requests in
flight, and reports those that could not report themselves.
"""

import asyncio
import os
import signal
import sys
from abc import ABC
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

from impactflow.stopping import Stopped, run

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from prefect.client.schemas.objects import FlowRun

#: The longest time for a run to end before it is killed, in seconds: more than ``stopping.FINISH_S`` and the time to
#: report the run, less than the 30 s that compose gives a worker.
_GRACE_S = 20.0


class _Begun:
    """Receives the signal of ``ProcessWorker.run`` that the process of a run has started."""

    def __init__(self) -> None:
        self.pid: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def started(self, value: int) -> None:
        self.pid.set_result(value)


class PatientWorker(ProcessWorker, ABC):  # ABC: Prefect does not register it in the place of its own
    """A process worker whose runs end by themselves when it is stopped."""

    type = "process"

    async def run(
        self,
        flow_run: "FlowRun",
        configuration: ProcessJobConfiguration,
        task_status: "TaskStatus[int] | None" = None,
    ) -> ProcessWorkerResult:
        """Run a flow run in a process; the worker's end is a SIGTERM to that process."""
        begun = _Begun()
        status: Any = begun  # ``begun`` has the one method that is called
        running: asyncio.Future[Any] = asyncio.ensure_future(super().run(flow_run, configuration, status))
        try:
            await asyncio.wait((running, begun.pid), return_when=asyncio.FIRST_COMPLETED)
            if begun.pid.done() and task_status is not None:
                task_status.started(begun.pid.result())
            result: ProcessWorkerResult = await asyncio.shield(running)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await _end(running, begun.pid)
            raise
        return result


async def _end(running: "asyncio.Future[Any]", pid: "asyncio.Future[Any]") -> None:
    """Ask a run's process to end by itself; kill it where it does not."""
    await asyncio.wait({running, pid}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        with suppress(ProcessLookupError):
            os.kill(pid.result(), signal.SIGTERM)
        await asyncio.wait({running}, timeout=_GRACE_S)
    running.cancel()
    await asyncio.wait({running})


def main() -> None:
    """Work for a pool until a signal comes."""
    pool, *limit = sys.argv[1:]
    try:
        run(PatientWorker(work_pool_name=pool, limit=int(limit[0]) if limit else None).start())
    except Stopped as stopped:
        sys.exit(stopped.exit_status)


if __name__ == "__main__":
    main()
