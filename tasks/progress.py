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
    ended = asyncio.Event()

    async def refresh() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await ended.wait()
            if not ended.is_set():
                await aupdate_progress_artifact(artifact_id, min(100.0, percent()))

    refreshing = asyncio.create_task(refresh())
    try:
        yield
    finally:
        ended.set()
        await refreshing  # not cancelled: an update under way could reach the server after the last one
    await aupdate_progress_artifact(artifact_id, 100.0)
