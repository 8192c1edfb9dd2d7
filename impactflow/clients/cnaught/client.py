"""
CNaught: order carbon offsets, quote, look up and cancel them, for the account or a subaccount of it.

Each write carries an idempotency key, so that sending it again with the same arguments is safe while CNaught remembers
the key. ``providers.cnaught``, the caller of the operations that place orders, decides how old a key may be.

Source: CNaught API reference, and its official SDK for what the reference leaves out; read 2026-11-21.
"""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

import httpx
from pydantic import Field

from impactflow.clients.answers import Account
from impactflow.clients.cnaught.models import (
    ImpactData,
    ImpactHostedPageConfig,
    Listed,
    Listing,
    Order,
    Quote,
    Subaccount,
)
from impactflow.clients.http import SYSTEM_CLOCK, Headers, HttpClient, given
from impactflow.clients.operations import operation
from impactflow.clients.paging import Page, follow
from impactflow.clients.values import Text, shaped
from impactflow.clock import Clock
from impactflow.errors import Forbidden, Refused

LONGEST_PAGE = 100
PageSize = Annotated[int, Field(ge=1, le=LONGEST_PAGE)]
#: Above zero; a JSON number carries 15 digits for certain.
Quantity = Annotated[Decimal, Field(gt=0, max_digits=15)]
Cents = Annotated[int, Field(ge=1)]
Text512 = Annotated[str, Field(max_length=512)]
#: No space at either end, since it would get lost on the way.
IdempotencyKey = Annotated[
    str, Field(max_length=512), shaped("[!-~]([ -~]*[!-~])?", "be printable ASCII without a space at either end")
]
#: Goes into a path or a header as it is; dots alone would lead to a parent path.
Id = Annotated[Text, shaped(r"[!-~]*[!-\-/-~][!-~]*", "be printable ASCII without spaces, and not dots alone")]
WebUrl = Annotated[Text, shaped("https?://[!-~]+", "be a URL that begins with http:// or https://")]


class CNaughtClient:
    """
    One account at CNaught.

    Args:
        base_url: The URL, which ends in ``/v1``.
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
            provider="cnaught",
            base_url=base_url,
            key=api_key,
            headers=(("Authorization", f"Bearer {api_key}"),),
            key_variable="CNAUGHT_API_KEY",
            url_variable="CNAUGHT_URL",
        )
        self._http = HttpClient(account, transport=transport, timeout_s=timeout_s, clock=clock)

    def __repr__(self) -> str:
        return f"CNaughtClient({self._http.account.base_url!r})"

    @operation("GET /orders")
    def list_orders(
        self,
        *,
        newer_than: Id | None = None,
        limit: PageSize = LONGEST_PAGE,
        cursor: Id | None = None,
        subaccount_id: Id | None = None,
    ) -> AsyncIterator[Page[Order]]:
        """
        List the orders page by page: the newest first, or those newer than one of them, the oldest first.

        Only an empty page ends the list, not one that is shorter than asked for: missing an order here could buy it a
        second time. Orders placed meanwhile appear only where the list leads to the newest.

        Args:
            newer_than: The id of an order; only newer ones are listed, the oldest of them first.
            limit: Orders per request, 1 to 100.
            cursor: ``next`` of the page to continue after, with the other arguments as before; any order's id works.
            subaccount_id: The subaccount whose orders are listed; None for all of the account.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The orders cannot be read now.

        Source: CNaught API reference, "Get List of Orders", read 2026-11-21.
        """
        decode, whose = Listing[Order].model_validate_json, _speaking_for(subaccount_id)
        return self._list("list_orders", "/orders", decode, newer_than, limit, cursor, whose)

    @operation("POST /orders", writes=True)
    async def submit_generic_order(
        self,
        *,
        idempotency_key: IdempotencyKey,
        amount_kg: Quantity | None = None,
        total_price_usd_cents: Cents | None = None,
        metadata: Text512 | None = None,
        description: Text512 | None = None,
        portfolio_id: Text | None = None,
        notification_url: WebUrl | None = None,
        subaccount_id: Id | None = None,
    ) -> Order:
        """
        Order offsets, by their amount or by their price. The same arguments make the same bytes, as a key requires.

        Args:
            idempotency_key: Names the purchase for good; at most 512 printable ASCII characters.
            amount_kg: CO₂ in kilograms, above zero, at most 15 digits; give either the amount or the price.
            total_price_usd_cents: The price in US cents, at least 1; the amount follows from it. Not every account
                has orders by price.
            metadata: At most 512 characters that come back with the order and show nowhere.
            description: At most 512 characters that anyone sees on the certificate.
            portfolio_id: The portfolio that meets the order; None for the default of the account or subaccount.
            notification_url: The http or https URL to which CNaught posts changes of the order's state; None for none.
            subaccount_id: The subaccount that the order belongs to; None for the account itself.

        Raises:
            IdempotencyConflict: The key was used with another body before; that order stands.
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came, or the first request is still running; it may be ordered.

        Source: CNaught API reference, "Submit Generic Offset Order", read 2026-11-21; by price: its official SDK 2.8.0.
        """
        if (amount_kg is None) == (total_price_usd_cents is None):
            raise self._http.refused("submit_generic_order", "give one of amount_kg and total_price_usd_cents")
        try:
            return await self._submit(
                "submit_generic_order",
                "/orders",
                idempotency_key,
                subaccount_id,
                amount_kg=_number(amount_kg),
                total_price_usd_cents=total_price_usd_cents,
                metadata=metadata,
                description=description,
                portfolio_id=portfolio_id,
                notification_config=_notifying(notification_url),
            )
        except Refused as declined:
            if total_price_usd_cents is None or declined.status != httpx.codes.BAD_REQUEST:
                raise
            why = "where nothing is wrong but the price, this account has no orders by price: give amount_kg"
            raise declined.with_message(f"{declined.message}; {why}") from None

    @operation("POST /orders/ride", writes=True)
    async def submit_ride_order(
        self,
        *,
        idempotency_key: IdempotencyKey,
        distance_km: Quantity,
        metadata: Text512 | None = None,
        description: Text512 | None = None,
        portfolio_id: Text | None = None,
        notification_url: WebUrl | None = None,
        subaccount_id: Id | None = None,
    ) -> Order:
        """
        Offset the ride of a vehicle; CNaught works the amount out.

        Args:
            idempotency_key: As for ``submit_generic_order``.
            distance_km: The distance in kilometres, above zero, at most 15 digits.
            metadata: As for ``submit_generic_order``.
            description: As for ``submit_generic_order``.
            portfolio_id: As for ``submit_generic_order``.
            notification_url: As for ``submit_generic_order``.
            subaccount_id: As for ``submit_generic_order``.

        Raises:
            IdempotencyConflict: The key was used with another body before; that order stands.
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came, or the first request is still running; it may be ordered.

        Source: CNaught API reference, "Submit Vehicle Ride Offset Order", read 2026-11-21.
        """
        return await self._submit(
            "submit_ride_order",
            "/orders/ride",
            idempotency_key,
            subaccount_id,
            distance_km=_number(distance_km),
            metadata=metadata,
            description=description,
            portfolio_id=portfolio_id,
            notification_config=_notifying(notification_url),
        )

    @operation("GET /orders/{id}")
    async def get_order(self, id: Id, *, subaccount_id: Id | None = None) -> Order:  # noqa: A002 - the provider's word
        """
        Look an order up.

        Args:
            id: CNaught's id of it.
            subaccount_id: The subaccount that must own the order; None for any in the account.

        Raises:
            NotFound: There is no such order, or it is not the subaccount's.
            Refused: The provider declined, or a limit is broken.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Order By Id", read 2026-11-21.
        """
        path, whose = f"/orders/{quote(id, safe='')}", _speaking_for(subaccount_id)
        return await self._http.read("get_order", path, Order.model_validate_json, headers=whose)

    @operation("POST /orders/{id}/cancel", writes=True)
    async def cancel_order(
        self,
        id: Id,  # noqa: A002 - the provider's word
        *,
        idempotency_key: IdempotencyKey,
        subaccount_id: Id | None = None,
    ) -> Order:
        """
        Cancel an order; an order that is cancelled already is returned as it is.

        CNaught credits the part that was fulfilled before on an invoice, perhaps the next period's.

        Args:
            id: CNaught's id of it.
            idempotency_key: Names this cancellation for good; at most 512 printable ASCII characters.
            subaccount_id: The subaccount that must own the order; None for any in the account.

        Raises:
            NotFound: There is no such order, or it is not the subaccount's.
            IdempotencyConflict: The key was used with another request before; the order stands.
            Refused: The provider declined, or a limit is broken; the order stands.
            NotSent: The order stands; it may be cancelled later.
            OutcomeUnknown: No readable answer came, or none that says whether it was cancelled before; it may be
                cancelled.

        Source: CNaught API reference, "Cancel Order", read 2026-11-21.
        """
        try:
            return await self._http.write(
                "cancel_order",
                f"/orders/{quote(id, safe='')}/cancel",
                Order.model_validate_json,
                headers=_speaking_for(subaccount_id),
                idempotency_key=idempotency_key,
            )
        except Forbidden:  # as CNaught says of an order that was cancelled before
            order = await self._http.read_back("cancel_order", self.get_order(id, subaccount_id=subaccount_id))
            if order.state != "cancelled":
                raise
            return order

    @operation("POST /quotes")
    async def get_generic_quote(
        self, *, amount_kg: Quantity, portfolio_id: Text | None = None, subaccount_id: Id | None = None
    ) -> Quote:
        """
        Ask what an offset would cost; nothing is ordered.

        Args:
            amount_kg: CO₂ in kilograms, above zero, at most 15 digits.
            portfolio_id: The portfolio that would meet the order; None for the default of the account or subaccount.
            subaccount_id: The subaccount whose prices apply; None for the account's own.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Generic Offset Price Quote", read 2026-11-21.
        """
        body = given(amount_kg=_number(amount_kg), portfolio_id=portfolio_id)
        return await self._quote("get_generic_quote", "/quotes", body, subaccount_id)

    @operation("POST /quotes/ride")
    async def get_ride_quote(
        self, *, distance_km: Quantity, portfolio_id: Text | None = None, subaccount_id: Id | None = None
    ) -> Quote:
        """
        Ask how much CO₂ the ride of a vehicle makes and what offsetting it would cost; nothing is ordered.

        Args:
            distance_km: The distance in kilometres, above zero, at most 15 digits.
            portfolio_id: As for ``get_generic_quote``.
            subaccount_id: As for ``get_generic_quote``.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Vehicle Ride Offset Price Quote", read 2026-11-21.
        """
        body = given(distance_km=_number(distance_km), portfolio_id=portfolio_id)
        return await self._quote("get_ride_quote", "/quotes/ride", body, subaccount_id)

    @operation("GET /impact/data")
    async def get_impact_data(self, *, subaccount_id: Id | None = None) -> ImpactData:
        """
        Sum up the orders' effect on the climate, in kilograms of CO₂ and in other terms.

        Args:
            subaccount_id: The subaccount whose orders count; None for all of the account.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Climate Impact Data", read 2026-11-21.
        """
        whose = _speaking_for(subaccount_id)
        return await self._http.read("get_impact_data", "/impact/data", ImpactData.model_validate_json, headers=whose)

    @operation("GET /impact/hosted-page-config")
    async def get_impact_hosted_page_config(self, *, subaccount_id: Id | None = None) -> ImpactHostedPageConfig:
        """
        Ask where the public page that shows the impact is, and what it shows.

        Args:
            subaccount_id: The subaccount whose page it is; None for the account's own.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Hosted Climate Impact Page Configuration", read 2026-11-21.
        """
        return await self._http.read(
            "get_impact_hosted_page_config",
            "/impact/hosted-page-config",
            ImpactHostedPageConfig.model_validate_json,
            headers=_speaking_for(subaccount_id),
        )

    @operation("GET /subaccounts")
    def list_subaccounts(
        self, *, newer_than: Id | None = None, limit: PageSize = LONGEST_PAGE, cursor: Id | None = None
    ) -> AsyncIterator[Page[Subaccount]]:
        """
        List the subaccounts page by page: the newest first, or those newer than one of them, the oldest first.

        Args:
            newer_than: The id of a subaccount; only newer ones are listed, the oldest of them first.
            limit: Subaccounts per request, 1 to 100.
            cursor: As for ``list_orders``.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The subaccounts cannot be read now.

        Source: CNaught API reference, "Get List of Subaccounts", read 2026-11-21.
        """
        decode = Listing[Subaccount].model_validate_json
        return self._list("list_subaccounts", "/subaccounts", decode, newer_than, limit, cursor)

    @operation("POST /subaccounts", writes=True)
    async def create_subaccount(
        self, *, idempotency_key: IdempotencyKey, name: Text512, default_portfolio_id: Text | None = None
    ) -> Subaccount:
        """
        Create a subaccount, to keep some orders apart.

        Args:
            idempotency_key: Names this creation for good; at most 512 printable ASCII characters.
            name: At most 512 characters.
            default_portfolio_id: The portfolio that meets its orders; None for the account's own default.

        Raises:
            IdempotencyConflict: The key was used with another body before; the subaccount created then stands.
            Refused: The provider declined, or a limit is broken; nothing was created.
            NotSent: Nothing was created; it may be later.
            OutcomeUnknown: No readable answer came, or the first request is still running; it may be created.

        Source: CNaught API reference, "Create Subaccount", read 2026-11-21.
        """
        return await self._http.write(
            "create_subaccount",
            "/subaccounts",
            Subaccount.model_validate_json,
            body=given(name=name, default_portfolio_id=default_portfolio_id),
            idempotency_key=idempotency_key,
        )

    @operation("GET /subaccounts/{id}")
    async def get_subaccount(self, id: Id) -> Subaccount:  # noqa: A002 - the provider's word
        """
        Look a subaccount up.

        Args:
            id: CNaught's id of it.

        Raises:
            NotFound: There is no such subaccount.
            Refused: The provider declined, or a limit is broken.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Subaccount By Id", read 2026-11-21.
        """
        path = f"/subaccounts/{quote(id, safe='')}"
        return await self._http.read("get_subaccount", path, Subaccount.model_validate_json)

    async def _submit(
        self, operation: str, path: str, idempotency_key: str, subaccount_id: str | None, **fields: object
    ) -> Order:
        return await self._http.write(
            operation,
            path,
            Order.model_validate_json,
            body=given(**fields),
            headers=_speaking_for(subaccount_id),
            idempotency_key=idempotency_key,
        )

    async def _quote(self, operation: str, path: str, body: object, subaccount_id: str | None) -> Quote:
        whose = _speaking_for(subaccount_id)
        return await self._http.read(operation, path, Quote.model_validate_json, body=body, headers=whose)

    async def _list(
        self,
        operation: str,
        path: str,
        decode: Callable[[bytes], Listing[Listed]],
        newer_than: str | None,
        limit: int,
        cursor: str | None,
        headers: Headers = (),
    ) -> AsyncIterator[Page[Listed]]:
        """Read a list from the newest to the oldest, or upwards from a known record."""
        beyond = "starting_after" if newer_than is None else "ending_before"

        async def fetch(last: str | None) -> Page[Listed]:
            query = given(limit=limit, **{beyond: last})
            listing = await self._http.read(
                operation, path, decode, query=query, headers=headers, always_there=last is None
            )
            found = listing.data if newer_than is None else listing.data[::-1]  # theirs begins with the newest
            unread = [record for record in found if record.id != last]  # in case a page repeats the record before it
            return Page(unread, found[-1].id if found else None)

        async for page in follow(fetch, cursor or newer_than, provider="cnaught", operation=operation):
            yield page


def _speaking_for(subaccount_id: str | None) -> Headers:
    return () if subaccount_id is None else (("X-Subaccount-Id", subaccount_id),)


def _notifying(url: str | None) -> dict[str, str] | None:
    return None if url is None else {"url": url}


def _number(value: Decimal | None) -> int | float | None:
    """Write a whole number without a fraction; some pages of the reference ask for an integer."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
