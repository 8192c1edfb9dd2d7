"""Tasks that live and fail together, with the error itself instead of a group of errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """
    An ``asyncio.TaskGroup`` whose first failure is raised as what it is.

    Callers of a sweep want to catch ``LedgerError``, not a group that holds one; the others of the group were cancelled
    because of the first.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures
