"""Progress artifacts: the progress of a job, refreshed every few seconds at any speed of the job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from tasks.pages import harmless

#: The time between two updates, in seconds; an update costs the server 10 ms.
_EVERY_S = 2.0


@dataclass(slots=True)
class Progress:
    """The part of a job that is done; the job keeps the numbers up to date."""

    done: float
    of: float

    @property
    def percent(self) -> float:
        """Return the progress, 0 to 100; an empty job is done."""
        return 100.0 * min(1.0, self.done / self.of) if self.of else 100.0


@asynccontextmanager
async def progress(key: str, description: str, of: float) -> AsyncIterator[Progress]:
    """
    Keep a progress artifact up to date while the context is open; the last update shows what was done.

    Args:
        key: The artifact's key: lower case letters, digits and dashes.
        description: The name of the job.
        of: The size of the whole job.
    """
    far = Progress(0.0, of)
    artifact_id: UUID | None = None
    with harmless(key):
        artifact_id = await acreate_progress_artifact(0.0, key=key, description=description)
    ended = asyncio.Event()

    async def update() -> None:
        if artifact_id is not None:
            with harmless(key):
                await aupdate_progress_artifact(artifact_id, far.percent)

    async def refresh() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await ended.wait()
            if not ended.is_set():
                await update()

    refreshing = asyncio.create_task(refresh())
    try:
        yield far
    except BaseException:
        refreshing.cancel()  # nothing follows that an update under way could overtake
        raise
    ended.set()
    await refreshing  # not cancelled: an update under way could reach the server after the last one
    await update()
