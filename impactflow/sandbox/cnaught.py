"""
CNaught, pretended: offset orders with idempotency keys, newest first, fulfilled after about two days.

An idempotency key is remembered with the request that took effect under it; a refused request leaves its key free. A
replay shows the order as the first answer showed it. The portfolio named ``unavailable`` is the one that this account
may not use (403); every other name is taken. Called through ``line.py``.

Source: the vendor's API reference and its official Node SDK 2.8.0, read 2026-11-21.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b
from typing import Any

from impactflow.models import Kind, ProviderName
from impactflow.sandbox.api import Api, Call, Declined, Nature, Route, is_text, is_whole, whole_number
from impactflow.sandbox.books import Books, Purchase
from impactflow.sandbox.ids import Ids
from impactflow.sandbox.messages import Reply, Request, iso_micros, json_reply
from impactflow.sandbox.options import Options

API_KEY = "sandbox-cnaught-key"
UNAVAILABLE_PORTFOLIO = "unavailable"

_CENTS_PER_KG = Decimal("2.35")
_MOST_KG = Decimal(1_000_000_000)
_MOST_KEY = 512
_MOST_TEXT = 512
_FULFILLED = timedelta(days=2)
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    422: "Unprocessable Content",
    429: "Too Many Requests",
}


@dataclass(slots=True, eq=False)
class Order:
    """A purchase as CNaught keeps it; ``purchase.ref`` is its id."""

    purchase: Purchase
    position: int
    order_number: str
    amount_kg: Decimal
    price_usd_cents: int
    description: str | None
    portfolio_id: str | None
    callback_url: str | None


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an idempotency key stands for."""

    fingerprint: bytes
    status: int
    order: Order
    state: str
    at: datetime


class CNaught(Api):
    """CNaught's rules, and what one account has ordered."""

    name = "cnaught"

    def __init__(self, books: Books, options: Options) -> None:
        self._books = books
        self._options = options
        self._ids = Ids(options.seed, self.name)
        self._orders: list[Order] = []
        self._by_id: dict[str, Order] = {}
        self._remembered: dict[str, Remembered] = {}
        self._running: dict[str, Request] = {}
        super().__init__()

    def routes(self) -> Iterable[Route]:
        """Orders: list, submit, get, cancel."""
        yield Route("GET", "/v1/orders", self._list, Nature.LISTING)
        yield Route("POST", "/v1/orders", self._once(201, self._submit), Nature.LISTED_WRITE)
        yield Route("GET", "/v1/orders/*", self._get)
        yield Route("POST", "/v1/orders/*/cancel", self._once(200, self._cancel), Nature.WRITE)

    def authorise(self, request: Request) -> None:
        """The bearer must be the sandbox's key."""
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            raise Declined(401, "The API key is missing or not valid.")

    def decline(self, declined: Declined) -> Reply:
        """A problem as RFC 9457 writes it, with ``errors`` by field."""
        status = declined.status
        problem: dict[str, Any] = {
            "type": f"https://cnaught.example.com/problems/{status}",
            "title": _TITLES.get(status, "Server Error"),
            "status": status,
            "detail": declined.message,
        }
        if declined.field is not None:
            problem["errors"] = {declined.field: [declined.message]}
        return json_reply(status, problem, media_type="application/problem+json")

    def hold(self, request: Request) -> None:
        """The first request to arrive with a key owns it while it runs."""
        if key := request.headers.get("idempotency-key"):
            self._running.setdefault(key, request)

    def release(self, request: Request) -> None:
        """The key no longer runs, if this request owned it."""
        key = request.headers.get("idempotency-key", "")
        if self._running.get(key) is request:
            del self._running[key]

    def _once(self, status: int, effect: Callable[[Call], Order]) -> Callable[[Call], Reply]:
        """A handler that has its effect once per idempotency key, and answers a repeat as it answered the first."""

        def handler(call: Call) -> Reply:
            key = call.request.headers.get("idempotency-key")
            if not key:
                return json_reply(status, self._show(effect(call), call.now))
            known = self._known(key, call)
            if known is not None:
                shown = self._show(known.order, known.at, known.state)
                return json_reply(known.status, shown, {"x-idempotent-replay": "true"})
            order = effect(call)
            state = self._state(order, call.now)
            self._remembered[key] = Remembered(_fingerprint(call.request), status, order, state, call.now)
            return json_reply(status, self._show(order, call.now))

        return handler

    def _known(self, key: str, call: Call) -> Remembered | None:
        """What was done under this key, None where it is free."""
        if len(key) > _MOST_KEY:
            raise Declined(400, f"Idempotency-Key has at most {_MOST_KEY} characters.", field="Idempotency-Key")
        if self._running.get(key) is not call.request:
            raise Declined(409, "A request with this Idempotency-Key is still running.")
        known = self._remembered.get(key)
        lifetime_s = self._options.key_lifetime_s
        if known is None or (lifetime_s is not None and call.now - known.at >= timedelta(seconds=lifetime_s)):
            return None
        if known.fingerprint != _fingerprint(call.request):
            raise Declined(422, "This Idempotency-Key was used with another request.")
        return known

    def _submit(self, call: Call) -> Order:
        fields = call.fields()
        _check_texts(fields)
        amount_kg, price_usd_cents = _amount_and_price(fields)
        purchase = Purchase(
            provider=ProviderName.CNAUGHT,
            kind=Kind.OFFSET,
            quantity=_number(amount_kg * 1000),
            ref=self._ids.text(12),
            at=call.now,
            metadata=fields.get("metadata"),
            listed_at=call.listed_at,
        )
        order = Order(
            purchase,
            position=len(self._orders),
            order_number=self._ids.digits(5, 5, 5, 5, 4),
            amount_kg=amount_kg,
            price_usd_cents=price_usd_cents,
            description=fields.get("description"),
            portfolio_id=fields.get("portfolio_id"),
            callback_url=_callback_url(fields.get("notification_config")),
        )
        self._books.record(purchase)
        self._orders.append(order)
        self._by_id[purchase.ref] = order
        return order

    def _cancel(self, call: Call) -> Order:
        order = self._find(call.names[0])
        if order.purchase.cancelled:
            raise Declined(403, "The order is already cancelled.")
        order.purchase.cancelled = True
        return order

    def _get(self, call: Call) -> Reply:
        return json_reply(200, self._show(self._find(call.names[0]), call.now))

    def _find(self, order_id: str) -> Order:
        order = self._by_id.get(order_id)
        if order is None:
            raise Declined(404, "There is no order with this id.")
        return order

    def _list(self, call: Call) -> Reply:
        query = call.query()
        limit = whole_number(query, "limit", least=1, most=100, default=20)
        after, before = self._position(query, "starting_after"), self._position(query, "ending_before")
        if after is not None and before is not None:
            raise Declined(400, "Only one of starting_after and ending_before can be given.", field="ending_before")
        newest, oldest = len(self._orders) - 1, -1

        def wanted(order: Order) -> bool:
            return order.purchase.listed_at <= call.now

        if before is not None:
            page, _ = self.page(self._orders, range(before + 1, newest + 1), call, limit=limit, wanted=wanted)
            page.reverse()
        else:
            first = newest if after is None else after - 1
            read = range(first + 1, newest + 1) if after is not None else ()
            unread = range(first, oldest, -1)
            page, _ = self.page(self._orders, unread, call, limit=limit, wanted=wanted, before=read)
        return json_reply(200, {"data": [self._show(order, call.now) for order in page]})

    def _position(self, query: dict[str, list[str]], name: str) -> int | None:
        order_id = query.get(name, [None])[-1]
        if order_id is None:
            return None
        if order_id not in self._by_id:
            raise Declined(400, f"{name} is not the id of an order.", field=name)
        return self._by_id[order_id].position

    def _state(self, order: Order, now: datetime) -> str:
        if order.purchase.cancelled:
            return "cancelled"
        return "fulfilled" if now >= order.purchase.at + _FULFILLED / self._options.speed else "placed"

    def _show(self, order: Order, now: datetime, state: str | None = None) -> dict[str, Any]:
        """An order as CNaught writes it; in the state of ``now`` unless told otherwise."""
        purchase = order.purchase
        state = state or self._state(order, now)
        page = f"https://cnaught.example.com/certificates/{purchase.ref}" if state == "fulfilled" else None
        return {
            "id": purchase.ref,
            "order_number": order.order_number,
            "type": "generic",
            "created_on": iso_micros(purchase.at),
            "metadata": purchase.metadata,
            "description": order.description,
            "amount_kg": _number(order.amount_kg),
            "state": state,
            "price_usd_cents": order.price_usd_cents,
            "portfolio_id": order.portfolio_id,
            "callback_url": order.callback_url,
            "subaccount_id": None,
            "certificate_public_url": page,
            "certificate_download_public_url": page and f"{page}/download",
            "project_allocations": [],
        }


def _fingerprint(request: Request) -> bytes:
    return blake2b(f"{request.method} {request.path}\n".encode() + request.body, digest_size=16).digest()


def _number(value: Decimal) -> float:
    """A JSON number, whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def _amount_and_price(fields: dict[str, Any]) -> tuple[Decimal, int]:
    """Kilograms and US cents; one of the two is given, the other follows from it."""
    amount, price = fields.get("amount_kg"), fields.get("total_price_usd_cents")
    if (amount is None) == (price is None):
        raise Declined(400, "One of amount_kg and total_price_usd_cents is needed.", field="amount_kg")
    if price is not None:
        if not is_whole(price, 1, int(_MOST_KG)):
            raise Declined(400, "total_price_usd_cents must be a positive whole number.", field="total_price_usd_cents")
        return (Decimal(price) / _CENTS_PER_KG).quantize(Decimal("0.001")), price
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal) or not 0 < amount <= _MOST_KG:
        raise Declined(400, "amount_kg must be a positive number.", field="amount_kg")
    amount_kg = Decimal(amount)
    return amount_kg, max(1, int((amount_kg * _CENTS_PER_KG).quantize(Decimal(1), ROUND_HALF_UP)))


def _check_texts(fields: dict[str, Any]) -> None:
    for name in ("metadata", "description", "portfolio_id"):
        if not is_text(fields.get(name), _MOST_TEXT):
            raise Declined(400, f"{name} must be null or a text of at most {_MOST_TEXT} characters.", field=name)
    if fields.get("portfolio_id") == UNAVAILABLE_PORTFOLIO:
        raise Declined(403, "This portfolio is not available to this account.")


def _callback_url(config: object) -> str | None:
    """Where the order's changes are to be told."""
    if config is None:
        return None
    url = config.get("url") if isinstance(config, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise Declined(400, "notification_config must hold a url.", field="notification_config")
    return url
