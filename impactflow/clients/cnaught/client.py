"""
CNaught: order carbon offsets, look them up, cancel them.

Each write carries an idempotency key, so that sending it again with the same body is safe while CNaught remembers the
key. How old a key may be is left to ``providers.cnaught``, the caller.

Source: CNaught API reference, and its official SDK for what the reference leaves out; read 2026-11-21.
"""

from collections.abc import AsyncIterator
from decimal import Decimal
from urllib.parse import quote

import httpx

from impactflow.clients.answers import Account
from impactflow.clients.cnaught.models import Order, OrderPage
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient
from impactflow.clients.paging import follow
from impactflow.clock import Clock
from impactflow.errors import Unauthorized

LONGEST_TEXT = 512
LONGEST_PAGE = 100


class CNaughtClient:
    """
    One account at CNaught.

    Args:
        base_url: Ends in ``/v1``.
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

    async def list_orders(
        self, *, limit: int = LONGEST_PAGE, starting_after: str | None = None
    ) -> AsyncIterator[Order]:
        """
        Yield the orders, the newest first, page by page.

        A page that is shorter than asked for does not end the list, an empty one does: missing an order here could
        buy it a second time.

        Args:
            limit: Orders per request, 1 to 100.
            starting_after: Only the orders that are older than the one of this id.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The orders cannot be read now.

        Source: CNaught API reference, "Get List of Orders", read 2026-11-21.
        """
        if not 1 <= limit <= LONGEST_PAGE:
            raise self._http.refused("list_orders", f"limit must be from 1 to {LONGEST_PAGE}")

        async def fetch(after: str | None) -> OrderPage:
            oldest = after or starting_after
            query: list[tuple[str, str | int]] = [("limit", limit)]
            if oldest is not None:
                query.append(("starting_after", oldest))
            return await self._http.read("list_orders", "/orders", OrderPage.model_validate_json, query=query)

        def last_id(page: OrderPage) -> str | None:
            return page.data[-1].id if page.data else None

        async for page in follow(fetch, last_id, provider="cnaught", operation="list_orders"):
            for order in page.data:
                yield order

    async def submit_order(
        self,
        *,
        amount_kg: Decimal,
        idempotency_key: str,
        metadata: str | None = None,
        description: str | None = None,
        portfolio_id: str | None = None,
        notification_url: str | None = None,
    ) -> Order:
        """
        Order offsets. The same arguments make the same bytes, as a repeated key asks.

        Args:
            amount_kg: CO₂ in kilograms, above zero, at most 15 digits.
            idempotency_key: Names the purchase for good; at most 512 printable ASCII characters.
            metadata: At most 512 characters that come back with the order and show nowhere.
            description: At most 512 characters that anyone sees on the certificate.
            portfolio_id: What the order is met from; None for the account's default.
            notification_url: Where CNaught reports changes of the order's state; None for nowhere.

        Raises:
            IdempotencyConflict: The key was used with another body before; that order stands.
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came, or the first request is still running; it may be ordered.

        Source: CNaught API reference, "Submit Generic Offset Order", read 2026-11-21.
        """
        self._check_key("submit_order", idempotency_key)
        body: dict[str, object] = {"amount_kg": self._number(amount_kg)}
        for name, text in (("metadata", metadata), ("description", description)):
            if text is not None:
                if len(text) > LONGEST_TEXT:
                    raise self._http.refused("submit_order", f"{name} may have {LONGEST_TEXT} characters")
                body[name] = text
        if portfolio_id is not None:
            body["portfolio_id"] = portfolio_id
        if notification_url is not None:
            body["notification_config"] = {"url": notification_url}
        return await self._http.write(
            "submit_order", "/orders", Order.model_validate_json, body=body, idempotency_key=idempotency_key
        )

    async def get_order(self, id: str) -> Order:  # noqa: A002 - the provider's word
        """
        Look an order up.

        Args:
            id: CNaught's id of it.

        Raises:
            NotFound: There is no such order.
            NotSent: CNaught cannot be asked now.

        Source: CNaught API reference, "Get Order By Id", read 2026-11-21.
        """
        return await self._http.read("get_order", f"/orders/{quote(id, safe='')}", Order.model_validate_json)

    async def cancel_order(self, id: str, *, idempotency_key: str) -> Order:  # noqa: A002 - the provider's word
        """
        Cancel an order; one that is cancelled already is returned as it is.

        Args:
            id: CNaught's id of it.
            idempotency_key: Names this cancellation for good; at most 512 printable ASCII characters.

        Raises:
            NotFound: There is no such order.
            Refused: The provider declined; the order stands.
            NotSent: The order stands; it may be cancelled later.
            OutcomeUnknown: No readable answer came; it may be cancelled.

        Source: CNaught API reference, "Cancel Order", read 2026-11-21.
        """
        self._check_key("cancel_order", idempotency_key)
        path = f"/orders/{quote(id, safe='')}/cancel"
        try:
            return await self._http.write(
                "cancel_order", path, Order.model_validate_json, idempotency_key=idempotency_key
            )
        except Unauthorized:  # 403 is also how CNaught says that it was cancelled before
            order = await self.get_order(id)
            if order.state != "cancelled":
                raise
            return order

    def _check_key(self, operation: str, key: str) -> None:
        if not (1 <= len(key) <= LONGEST_TEXT and key.isascii() and key.isprintable()):
            raise self._http.refused(operation, f"idempotency_key must be 1 to {LONGEST_TEXT} printable characters")

    def _number(self, amount_kg: Decimal) -> int | float:
        """Write a whole number without a fraction; some pages of the reference ask for an integer."""
        if not (amount_kg.is_finite() and amount_kg > 0):
            raise self._http.refused("submit_order", "amount_kg must be above zero")
        if amount_kg == amount_kg.to_integral_value():
            return int(amount_kg)
        if Decimal(repr(float(amount_kg))) != amount_kg:
            raise self._http.refused("submit_order", "amount_kg may have 15 digits")
        return float(amount_kg)
