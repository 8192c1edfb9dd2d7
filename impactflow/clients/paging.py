"""
Follow a listing from page to page: by cursor, by hash of the next page, or by the last id.

One page is held at a time. How a page is asked for and where its successor's name stands is left to each client.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from impactflow.errors import Unavailable

Page = TypeVar("Page")


async def follow(
    fetch: Callable[[str | None], Awaitable[Page]],
    successor: Callable[[Page], str | None],
    *,
    provider: str,
    operation: str,
) -> AsyncIterator[Page]:
    """
    Yield every page of a listing, each fetched once the one before was used.

    Args:
        fetch: Gets the page of that name; None is the first.
        successor: The name of the page after this one; None after the last.
        provider: Whose listing it is, for the error.
        operation: The provider's name of the listing, for the error.

    Raises:
        Unavailable: A page names one that was already read, so the listing would never end.
    """
    name: str | None = None
    read: set[str] = set()
    while True:
        page = await fetch(name)
        yield page
        name = successor(page)
        if name is None:
            return
        if name in read:
            raise Unavailable(
                f"page {len(read) + 1} leads back to a page that was read before, so the listing has no end",
                provider=provider,
                operation=operation,
            )
        read.add(name)
