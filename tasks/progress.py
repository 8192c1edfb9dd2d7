"""Progress artifacts: how far a task is, refreshed every few seconds however fast it works."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

#: An update costs the server 10 ms.
_EVERY_S = 2.0


@asynccontextmanager
async def progress(key: str, description: str, percent: Callable[[], float]) -> AsyncIterator[None]:
    """
    Keep a progress artifact up to date while the context is open.

    Args:
        key: The artifact's key: lower case letters, digits and dashes.
        description: What makes progress.
        percent: How far it is, 0 to 100.
    """
    artifact_id = await acreate_progress_artifact(0.0, key=key, description=description)

    async def refresh() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            await aupdate_progress_artifact(artifact_id, min(100.0, percent()))

    refreshing = asyncio.create_task(refresh())
    try:
        yield
    finally:
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
    await aupdate_progress_artifact(artifact_id, 100.0)
