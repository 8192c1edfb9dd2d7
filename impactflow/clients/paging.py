"""
Follow a listing from page to page, and go on where an earlier reader stopped.

One page is held at a time. How a page is asked for and where its successor's name stands (a cursor, a hash, a number,
the last id) is left to each client.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from impactflow.errors import Unavailable

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """
    One page of a listing.

    Args:
        items: What is listed on it, in the provider's order.
        next: Given as ``cursor`` to the same method, goes on after this page, in another process too; None after the
            last page.
    """

    items: Sequence[T_co]
    next: str | None


class _Paged(Protocol):
    @property
    def next(self) -> str | None: ...


AnyPage = TypeVar("AnyPage", bound=_Paged)


async def follow(
    fetch: Callable[[str | None], Awaitable[AnyPage]], cursor: str | None = None, *, provider: str, operation: str
) -> AsyncIterator[AnyPage]:
    """
    Yield every page of a listing, each fetched once the one before was used.

    Args:
        fetch: Gets the page of that name; None is the first.
        cursor: The name of the page to begin with.
        provider: Whose listing it is, for the error.
        operation: The provider's name of the listing, for the error.

    Raises:
        Unavailable: A page names one that was already read, so the listing would never end.
    """
    read = {cursor}
    while True:
        page = await fetch(cursor)
        yield page
        cursor = page.next
        if cursor is None:
            return
        if cursor in read:
            raise Unavailable(
                f"page {len(read)} leads back to a page that was read before, so the listing has no end",
                provider=provider,
                operation=operation,
            )
        read.add(cursor)


async def items(pages: AsyncIterator[Page[T_co]]) -> AsyncIterator[T_co]:
    """Yield what is listed on the pages, one by one."""
    async for page in pages:
        for item in page.items:
            yield item
