"""
Wicked Reports: read the orders of a time, or of one contact. Nothing is ever written.

Which orders are new and which count is left to ``orders``, the caller.

Source: Wicked Reports Outbound API; read 2026-11-21.
"""

from collections.abc import AsyncIterator
from datetime import date
from urllib.parse import quote

import httpx

from impactflow.clients.answers import Account
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient
from impactflow.clients.paging import follow
from impactflow.clients.wickedreports.models import OrderPage, read_page
from impactflow.clock import Clock

LONGEST_PAGE = 1000


class WickedReportsClient:
    """
    One account at Wicked Reports.

    Args:
        base_url: The host, with a path prefix if need be.
        api_key: The account's key.
        transport: What carries the requests; its owner closes it.
        timeout_s: The most seconds that one request may take.
        clock: Tells the time and waits.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        transport: httpx.AsyncBaseTransport,
        timeout_s: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        account = Account(
            provider="wickedreports",
            base_url=base_url,
            key=api_key,
            headers=(("apikey", api_key),),
            key_variable="WICKED_REPORTS_API_KEY",
            url_variable="WICKED_REPORTS_URL",
        )
        self._http = HttpClient(account, transport=transport, timeout_s=timeout_s, clock=clock)

    def __repr__(self) -> str:
        return f"WickedReportsClient({self._http.account.base_url!r})"

    def order_pages(self, from_: date, to: date, *, limit: int = LONGEST_PAGE) -> AsyncIterator[OrderPage]:
        """
        Yield the orders of some days, page by page.

        Args:
            from_: The first day.
            to: The last day; whether its own orders are included is not documented.
            limit: Orders per page, 1 to 1,000.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The orders cannot be read now.

        Source: Wicked Reports Outbound API, "List all orders", read 2026-11-21.
        """
        return self._pages("list_orders", "/orders", from_, to, limit)

    def contact_orders_pages(
        self, contact: str, from_: date, to: date, *, limit: int = LONGEST_PAGE
    ) -> AsyncIterator[OrderPage]:
        """
        Yield one contact's orders of some days, page by page; they come without the contact.

        Args:
            contact: The contact's id, its id in the source system, or its e-mail address.
            from_: As for ``order_pages``.
            to: As for ``order_pages``.
            limit: As for ``order_pages``.

        Raises:
            NotFound: There is no such contact.
            Refused: The provider declined, or a limit is broken.
            NotSent: The orders cannot be read now.

        Source: Wicked Reports Outbound API, "Retrieve the orders of a single contact", read 2026-11-21.
        """
        return self._pages("contact_orders", f"/contacts/{quote(contact, safe='')}/orders", from_, to, limit)

    async def _pages(self, operation: str, path: str, from_: date, to: date, limit: int) -> AsyncIterator[OrderPage]:
        if not 1 <= limit <= LONGEST_PAGE:
            raise self._http.refused(operation, f"limit must be from 1 to {LONGEST_PAGE:,}")
        query: list[tuple[str, str | int]] = [("from", from_.isoformat()), ("to", to.isoformat()), ("limit", limit)]

        async def fetch(name: str | None) -> OrderPage:
            more = [("next", name)] if name else []
            return await self._http.read(operation, path, read_page, query=[*query, *more])

        async for page in follow(fetch, lambda page: page.next, provider="wickedreports", operation=operation):
            yield page
