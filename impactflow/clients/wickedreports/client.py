"""
Wicked Reports: read contacts, clicks and orders, all of some days or one contact's. Nothing is ever written.

``intake`` decides which orders are new, and the policy which count.

Source: Wicked Reports Outbound API; read 2026-11-22.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, timedelta
from typing import Annotated, TypeVar
from urllib.parse import quote

import httpx
from pydantic import Field

from impactflow.clients.answers import Account
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient, given
from impactflow.clients.operations import operation
from impactflow.clients.paging import Page, follow
from impactflow.clients.values import Text, shaped
from impactflow.clients.wickedreports.models import (
    ContactAnswer,
    CountedPage,
    Listing,
    WickedClick,
    WickedContact,
    WickedOrder,
    read_order_page,
)
from impactflow.clients.wickedreports.spans import Span, cut
from impactflow.clock import Clock
from impactflow.errors import Unavailable
from impactflow.models import BrokenOrder

T = TypeVar("T")

LONGEST_PAGE = 1000
#: The lists that every account has; a contact's own lists are missing where the contact is missing.
_LISTS = frozenset({"/contacts", "/clicks", "/orders"})
#: Advice for a shop that has no account here, or whose account may not read orders.
ELSEWHERE = (
    "or read orders from a file: `impactflow place --orders FILE`, or only what webhooks reported:"
    " `impactflow place --webhooks`"
)
#: The most that the two days of a listing of clicks may differ: for all contacts, and for one contact.
LONGEST_SPAN, LONGEST_CONTACT_SPAN = timedelta(days=30), timedelta(days=180)

PageSize = Annotated[int, Field(ge=1, le=LONGEST_PAGE)]
#: A contact's id, its id in the source system, or its e-mail address; dots alone would lead to another path.
ContactId = Annotated[Text, shaped(r"(?s).*[^.].*", "not be empty or dots alone")]
Cursor = Annotated[str, Field(min_length=1)]
#: The number of a span and, after the first dot, the provider's name of a page in it; no name for its first page.
ClickCursor = Annotated[Text, shaped(r"(?s)[0-9]{1,6}\..*", "be the next of a page of clicks")]


class WickedReportsClient:
    """
    One account at Wicked Reports.

    Args:
        base_url: The host, with a path prefix if needed.
        api_key: The account's key.
        transport: The transport that carries the requests; its owner closes it.
        timeout_s: The most seconds that one request may take.
        clock: Gives the time and waits.
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
            or_else=f"have Wicked Reports enable the outbound API for your account, {ELSEWHERE}",
        )
        self._http = HttpClient(account, transport=transport, timeout_s=timeout_s, clock=clock)

    def __repr__(self) -> str:
        return f"WickedReportsClient({self._http.account.base_url!r})"

    @operation("GET /contacts")
    def list_contacts(
        self, from_: date, to: date, *, limit: PageSize = LONGEST_PAGE, cursor: Cursor | None = None
    ) -> AsyncIterator[CountedPage[WickedContact]]:
        """
        Yield the contacts of some days, page by page.

        Args:
            from_: The first day; the reference does not say which of a contact's dates counts.
            to: The last day, not before the first; the reference does not say whether it is included.
            limit: Contacts per page, 1 to 1,000.
            cursor: The ``next`` of the page to continue after, of the same days.

        Raises:
            Refused: The provider declined, or an argument is out of range and nothing was sent.
            NotSent: The contacts cannot be read now.

        Source: Wicked Reports Outbound API, "List all contacts", read 2026-11-22.
        """
        self._check_days("list_contacts", from_, to)
        return self._pages("list_contacts", "/contacts", Span(from_, to), limit, cursor, _read_contacts)

    @operation("GET /contacts/{contactId}")
    async def get_contact(self, contact_id: ContactId) -> WickedContact:
        """
        Look a contact up.

        Args:
            contact_id: The contact's id, its id in the source system, or its e-mail address.

        Raises:
            NotFound: There is no such contact.
            Refused: The provider declined, or the id is empty and nothing was sent.
            NotSent: The contact cannot be read now.

        Source: Wicked Reports Outbound API, "Retrieve a single contact", read 2026-11-22.
        """
        answer = await self._http.read("get_contact", _path(contact_id), ContactAnswer.model_validate_json)
        return answer.result

    @operation("GET /clicks")
    def list_clicks(
        self, from_: date, to: date, *, limit: PageSize = LONGEST_PAGE, cursor: ClickCursor | None = None
    ) -> AsyncIterator[Page[WickedClick]]:
        """
        Yield the clicks of some days, page by page; a click may take 24 hours to be listed.

        The provider lists 30 days at a time. More days are read in spans that overlap by two days, and each click is
        kept from one span, by its own time. The very first and last day are as the provider understands them.

        Args:
            from_: The first day.
            to: The last day, not before the first, at any distance from it; the reference does not say whether it is
                included.
            limit: Clicks per page, 1 to 1,000; where spans meet, pages hold fewer.
            cursor: The ``next`` of the page to continue after, of the same days.

        Raises:
            Refused: The provider declined, or an argument is out of range and nothing was sent.
            NotSent: The clicks cannot be read now.

        Source: Wicked Reports Outbound API, "List all clicks", read 2026-11-22.
        """
        self._check_days("list_clicks", from_, to)
        return self._clicks("list_clicks", "/clicks", cut(from_, to, LONGEST_SPAN), limit, cursor)

    @operation("GET /contacts/{contactId}/clicks")
    def list_contact_clicks(
        self,
        contact_id: ContactId,
        from_: date | None = None,
        to: date | None = None,
        *,
        limit: PageSize = LONGEST_PAGE,
        cursor: ClickCursor | None = None,
    ) -> AsyncIterator[Page[WickedClick]]:
        """
        Yield one contact's clicks, page by page; without days, the first 10,000 of them and no more.

        The provider lists 180 days at a time. More days are read as by ``list_clicks``. Where the provider counts more
        clicks than it lists, the error names the days, so that the caller can ask for fewer at a time.

        Args:
            contact_id: The contact's id, its id in the source system, or its e-mail address.
            from_: The first day; None for no bound.
            to: The last day, not before the first; None for no bound.
            limit: As for ``list_clicks``.
            cursor: As for ``list_clicks``.

        Raises:
            NotFound: There is no such contact.
            Refused: The provider declined, or an argument is out of range and nothing was sent.
            NotSent: The clicks cannot be read now.

        Source: Wicked Reports Outbound API, "Retrieve the clicks of a specific contact", read 2026-11-22.
        """
        self._check_days("list_contact_clicks", from_, to)
        path = f"{_path(contact_id)}/clicks"
        return self._clicks("list_contact_clicks", path, cut(from_, to, LONGEST_CONTACT_SPAN), limit, cursor)

    @operation("GET /orders")
    def list_orders(
        self, from_: date, to: date, *, limit: PageSize = LONGEST_PAGE, cursor: Cursor | None = None
    ) -> AsyncIterator[CountedPage[WickedOrder | BrokenOrder]]:
        """
        Yield the orders of some days, page by page; a broken order keeps its place and spoils no other.

        Args:
            from_: The first day.
            to: The last day, not before the first; the reference does not say whether it is included.
            limit: Orders per page, 1 to 1,000.
            cursor: The ``next`` of the page to continue after, of the same days.

        Raises:
            Refused: The provider declined, or an argument is out of range and nothing was sent.
            NotSent: The orders cannot be read now.

        Source: Wicked Reports Outbound API, "List all orders", read 2026-11-22.
        """
        self._check_days("list_orders", from_, to)
        return self._pages("list_orders", "/orders", Span(from_, to), limit, cursor, read_order_page)

    @operation("GET /contacts/{contactId}/orders")
    def list_contact_orders(
        self,
        contact_id: ContactId,
        from_: date,
        to: date,
        *,
        limit: PageSize = LONGEST_PAGE,
        cursor: Cursor | None = None,
    ) -> AsyncIterator[CountedPage[WickedOrder | BrokenOrder]]:
        """
        Yield one contact's orders of some days, page by page; they come without the contact.

        Args:
            contact_id: The contact's id, its id in the source system, or its e-mail address.
            from_: As for ``list_orders``.
            to: As for ``list_orders``.
            limit: As for ``list_orders``.
            cursor: As for ``list_orders``.

        Raises:
            NotFound: There is no such contact.
            Refused: The provider declined, or an argument is out of range and nothing was sent.
            NotSent: The orders cannot be read now.

        Source: Wicked Reports Outbound API, "Retrieve the orders of a single contact", read 2026-11-22.
        """
        self._check_days("list_contact_orders", from_, to)
        path = f"{_path(contact_id)}/orders"
        return self._pages("list_contact_orders", path, Span(from_, to), limit, cursor, read_order_page)

    def _check_days(self, operation: str, from_: date | None, to: date | None) -> None:
        if from_ is not None and to is not None and from_ > to:
            raise self._http.refused(operation, f"from_: {from_} is after to, {to}")

    async def _pages(
        self,
        operation: str,
        path: str,
        span: Span,
        limit: int,
        cursor: str | None,
        read: Callable[[bytes], Listing[T]],
    ) -> AsyncIterator[CountedPage[T]]:
        """Yield the pages of one listing as the provider divides them."""
        days = given(**{"from": span.from_, "to": span.to})

        async def fetch(name: str | None) -> Listing[T]:
            query, always_there = days | given(limit=limit, next=name), path in _LISTS and name is None
            return await self._http.read(operation, path, read, query=query, always_there=always_there)

        count = 0
        async for listing in follow(fetch, cursor, provider=self._http.account.provider, operation=operation):
            count += 1
            if wrong := _what_is_wrong(listing, count, span):
                raise Unavailable(wrong, provider=self._http.account.provider, operation=operation)
            yield CountedPage(listing.results, listing.next, listing.total)

    async def _clicks(
        self, operation: str, path: str, window: Sequence[Span], limit: int, cursor: str | None
    ) -> AsyncIterator[Page[WickedClick]]:
        """Yield the pages of each span in turn, without the clicks that belong to a neighbouring span."""
        part, _, name = (cursor or "0.").partition(".")
        first, last = int(part), len(window) - 1
        if first > last:
            raise self._http.refused(operation, "cursor: is one of other days")
        for number in range(first, last + 1):
            span = window[number]
            after = f"{number + 1}." if number < last else None
            async for page in self._pages(operation, path, span, limit, name or None, _read_clicks):
                clicks = [click for click in page.items if click.date in span]
                yield Page(clicks, f"{number}.{page.next}" if page.next else after)
            name = ""


def _what_is_wrong(listing: Listing[T], count: int, span: Span) -> str | None:
    """Say why the listing cannot be followed to its end from a page, number ``count`` of those read; None if it can."""
    if listing.has_no_end(count):
        page = f"page {count} of {listing.total_pages}, of {len(listing.results)} records,"
        return f"{page} names a next one, so the listing has no end"
    if listing.is_cut_off:
        days = f"{span.from_ or 'the first day'} to {span.to or 'the last'}"
        page = f"page {listing.page} of {listing.total_pages}"
        return f"{page} names no next one, so the rest of {days} cannot be read: ask for fewer days at a time"
    return None


def _path(contact_id: str) -> str:
    return f"/contacts/{quote(contact_id, safe='')}"


_read_contacts = Listing[WickedContact].model_validate_json
_read_clicks = Listing[WickedClick].model_validate_json
