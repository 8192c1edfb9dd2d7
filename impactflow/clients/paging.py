"""
Follow a listing from page to page, and continue where an earlier reader stopped.

One page is in memory at a time. Each client decides how to ask for a page and where the next page's name stands (a
cursor, a hash, a number, the last id).
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
        items: The records on the page, in the provider's order.
        next: The ``cursor`` with which the same method continues after this page, in another process too; None after
            the last page.
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
    Yield every page of a listing; each is fetched after the page before it was used.

    Args:
        fetch: Gets the page of a name; None is the first page.
        cursor: The name of the page to begin with.
        provider: The provider's name, for the error.
        operation: The provider's name of the listing, for the error.

    Raises:
        Unavailable: A page leads back to a page that was already read, so the listing would never end.
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
    """Yield the records on the pages, one by one."""
    async for page in pages:
        for item in page.items:
            yield item
