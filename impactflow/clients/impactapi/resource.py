"""The common base of ImpactAPI's resources: quoting a path, reading a list. The client inherits all resources."""

from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

from impactflow.clients.http import HttpClient, Query
from impactflow.clients.impactapi.models import Listed, Listing
from impactflow.clients.paging import Page, follow


class Resource:
    """A group of operations on the account of one client."""

    _http: HttpClient

    def _pages(
        self,
        operation: str,
        path: str,
        decode: Callable[[bytes], Listing[Listed]],
        query: Query,
        *,
        limit: int,
        cursor: str | None,
    ) -> AsyncIterator[Page[Listed]]:
        """
        Follow a list by its page numbers, each record once.

        The provider counts pages anew for each request: an added record moves others to the next page, where they would
        appear again. So the ids that were seen are remembered.
        """
        seen: set[str] = set()

        async def fetch(number: str | None) -> Page[Listed]:
            asked = {**query, "per_page": limit, "page": number or "1"}
            found = await self._http.read(operation, path, decode, query=asked)
            fresh = {record.id: record for record in found.data if record.id not in seen}
            seen.update(fresh)
            more = found.current_page < found.last_page
            return Page(list(fresh.values()), str(found.current_page + 1) if more else None)

        return follow(fetch, cursor, provider=self._http.account.provider, operation=operation)


def at(id: str) -> str:  # noqa: A002 - the provider's word
    """Quote an id as part of a path."""
    return quote(id, safe="")


def nothing(_body: bytes) -> None:
    """Decode the body of an answer whose status says it all: to None."""
