"""Tasks that live and fail together, with the error itself instead of a group of errors."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """
    An ``asyncio.TaskGroup`` whose first failure is raised itself, without a group.

    Callers of a sweep want to catch ``LedgerError``, not a group that holds one; the other tasks were cancelled because
    of the first failure.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures


async def side_by_side(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """
    Run all tasks at once and return their results, in order.

    Unlike ``asyncio.gather`` it ends only when all of them have ended, even if one fails or the caller is cancelled.
    """
    async with together() as group:
        tasks = [group.create_task(work) for work in works]
    return [task.result() for task in tasks]
