"""
CNaught, pretended: offset orders fulfilled after about two days, quotes, subaccounts, and the impact of it all.

Details that the references leave open are made up here: a kilogram costs 2.35 US cents from any source, the ride of a
vehicle makes 0.2 kg per kilometre, and the portfolio named ``unavailable`` is the one that this account may not use;
every other name is accepted. Without a subaccount in its header a request speaks for the account with all its
subaccounts. With a subaccount that does not exist, an order is not found, and everything else is refused with 400,
which is made up too. Called through ``faulty_network.py``.

Source: the vendor's API reference and its official Node SDK 2.8.0, read 2026-11-21.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from impactflow.models import Kind, ProviderName
from impactflow.sandbox.api import Api, Call, Declined, Route, is_text, is_whole, whole_number
from impactflow.sandbox.books import Purchase
from impactflow.sandbox.callbacks import Callback
from impactflow.sandbox.faults import Nature
from impactflow.sandbox.idempotency import Content, IdempotencyKeys
from impactflow.sandbox.ids import Ids
from impactflow.sandbox.messages import Reply, Request, iso_micros, json_reply
from impactflow.sandbox.shared import Shared

API_KEY = "sandbox-cnaught-key"
UNAVAILABLE_PORTFOLIO = "unavailable"

_CENTS_PER_KG, _KG_PER_KM = Decimal("2.35"), Decimal("0.2")
#: The limit beyond which a JSON number is no longer exact.
_MOST = 10**15
_MOST_TEXT = 512
_FULFILLED = timedelta(days=2)
_URL = re.compile(r"https?://[!-~]+")
_SUBACCOUNT = "x-subaccount-id"
_PAGES = "https://cnaught.example.com"
#: Kilograms of CO₂ in one of each unit.
_EQUIVALENTS = {
    "cars_off_the_road": Decimal(4600),
    "trees_planted": Decimal(60),
    "homes_annual_energy_usage": Decimal(7900),
    "flights_lax_to_nyc": Decimal(910),
}
#: The name of each status, and the problem's name where the refusal has no code.
_TITLES = {
    400: ("Bad Request", "invalid-parameters"),
    401: ("Unauthorized", "unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("Not Found", "not-found"),
    409: ("Conflict", "idempotency-concurrent-requests"),
    422: ("Unprocessable Content", "idempotency-changed-payload"),
    429: ("Too Many Requests", "too-many-requests"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Subaccount:
    """A part of the account with orders of its own."""

    id: str
    position: int
    name: str
    default_portfolio_id: str | None
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        """A subaccount as CNaught writes it."""
        return {
            "id": self.id,
            "name": self.name,
            "default_portfolio_id": self.default_portfolio_id,
            "created_on": iso_micros(self.created_at),
        }


@dataclass(slots=True, eq=False)
class Order:
    """A purchase as CNaught keeps it; ``purchase.ref`` is its id."""

    purchase: Purchase
    position: int
    order_number: str
    amount_kg: Decimal
    distance_km: Decimal | None
    price_usd_cents: int
    description: str | None
    portfolio_id: str | None
    callback_url: str | None
    subaccount: Subaccount | None
    fulfilment: Callback | None = None

    def as_json(self, state: str) -> dict[str, Any]:
        """Return the order in this state as CNaught writes it."""
        purchase = self.purchase
        page = f"{_PAGES}/certificates/{purchase.ref}" if state == "fulfilled" else None
        ride = {} if self.distance_km is None else {"distance_km": _number(self.distance_km)}
        return {
            "id": purchase.ref,
            "order_number": self.order_number,
            "type": "ride" if ride else "generic",
            "created_on": iso_micros(purchase.at),
            "metadata": purchase.metadata,
            "description": self.description,
            "amount_kg": _number(self.amount_kg),
            **ride,
            "state": state,
            "price_usd_cents": self.price_usd_cents,
            "portfolio_id": self.portfolio_id,
            "callback_url": self.callback_url,
            "subaccount_id": self.subaccount and self.subaccount.id,
            "certificate_public_url": page,
            "certificate_download_public_url": page and f"{page}/download",
            "project_allocations": [],
        }


Row = TypeVar("Row", bound=Order | Subaccount)


class CNaught(Api):
    """CNaught's rules, and what one account has ordered."""

    name = "cnaught"
    account = "CNAUGHT"
    root = "/v1"
    key = API_KEY
    weaknesses: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "metadata_reformatted": "metadata comes back with other spacing and another order of keys",
            "metadata_dropped": "metadata does not come back",
            "orders_without_dates": "orders do not say when they were placed",
            "orders_without_state": "the answer to an order does not say its state",
        }
    )

    def __init__(self, shared: Shared) -> None:
        options = shared.options
        self._books = shared.books
        self._callbacks = shared.callbacks
        self._extras = options.extras
        self._page_items = options.page_items
        self._poor = options.poor
        self._fulfilled_after = _FULFILLED / options.speed
        self._ids = Ids(options.seed, self.name)
        self._keys = IdempotencyKeys(options.key_lifetime_s)
        self._orders: list[Order] = []
        self._by_id: dict[str, Order] = {}
        self._subaccounts: list[Subaccount] = []
        self._subaccount_by_id: dict[str, Subaccount] = {}
        super().__init__(shared)

    def routes(self) -> Iterable[Route]:
        """Routes for orders, quotes, impact and subaccounts."""
        yield Route("GET", "/v1/orders", self._list_orders, Nature.LISTING)
        yield Route("POST", "/v1/orders", self._once(201, self._submit_generic), Nature.LISTED_WRITE)
        yield Route("POST", "/v1/orders/ride", self._once(201, self._submit_ride), Nature.LISTED_WRITE)
        yield Route("GET", "/v1/orders/*", self._get_order, Nature.LOOK_UP)
        yield Route("POST", "/v1/orders/*/cancel", self._once(200, self._cancel), Nature.WRITE)
        yield Route("POST", "/v1/quotes", self._quote_generic)
        yield Route("POST", "/v1/quotes/ride", self._quote_ride)
        yield Route("GET", "/v1/impact/data", self._impact)
        yield Route("GET", "/v1/impact/hosted-page-config", self._hosted_page)
        yield Route("GET", "/v1/subaccounts", self._list_subaccounts, Nature.LISTING)
        yield Route("POST", "/v1/subaccounts", self._once(201, self._create_subaccount), Nature.WRITE)
        yield Route("GET", "/v1/subaccounts/*", self._get_subaccount, Nature.LOOK_UP)

    def authorise(self, request: Request) -> None:
        """Check that the bearer is the sandbox's key."""
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            raise Declined(401, "The API key is missing or not valid.")

    def decline(self, declined: Declined) -> Reply:
        """Refuse with a problem as RFC 9457 writes it, with ``errors`` by field."""
        title, name = _TITLES.get(declined.status, ("Server Error", "server-error"))
        problem: dict[str, Any] = {
            "type": f"https://api.cnaught.com/v1/errors/{declined.code or name}",
            "title": title,
            "status": declined.status,
            "detail": declined.message,
        }
        if declined.field is not None:
            problem["errors"] = {declined.field: [declined.message]}
        return json_reply(declined.status, problem, media_type="application/problem+json")

    def hold(self, request: Request) -> None:
        """Mark the request's idempotency key as in use."""
        self._keys.hold(request)

    def release(self, request: Request) -> None:
        """Free the request's idempotency key."""
        self._keys.release(request)

    def _once(self, status: int, effect: Callable[[Call], Content]) -> Callable[[Call], Reply]:
        """Return a handler that has its effect once per idempotency key, and gives a repeat the first answer."""

        def handler(call: Call) -> Reply:
            content, replayed = self._keys.once(call, effect)
            return json_reply(status, content(), {"x-idempotent-replay": "true"} if replayed else None)

        return handler

    def _submit_generic(self, call: Call) -> Content:
        fields = call.fields()
        if not self._extras:
            fields.pop("total_price_usd_cents", None)
        amount_kg, price_usd_cents = _amount_and_price(fields)
        return self._submit(call, fields, amount_kg, price_usd_cents)

    def _submit_ride(self, call: Call) -> Content:
        fields = call.fields()
        distance_km = _positive(fields, "distance_km")
        amount_kg = distance_km * _KG_PER_KM
        return self._submit(call, fields, amount_kg, _price_usd_cents(amount_kg), distance_km)

    def _submit(
        self,
        call: Call,
        fields: Mapping[str, Any],
        amount_kg: Decimal,
        price_usd_cents: int,
        distance_km: Decimal | None = None,
    ) -> Content:
        amount_kg, price_usd_cents = amount_kg * call.times, price_usd_cents * call.times
        subaccount = self._subaccount(call)
        metadata, description = _text(fields, "metadata"), _text(fields, "description")
        portfolio_id = _portfolio(fields, "portfolio_id", 403)
        if portfolio_id is None and subaccount is not None:
            portfolio_id = subaccount.default_portfolio_id
        callback_url = _callback_url(fields.get("notification_config"))
        purchase = Purchase(
            provider=ProviderName.CNAUGHT,
            kind=Kind.OFFSET,
            quantity=_number(amount_kg * 1000),
            ref=self._ids.text(12),
            at=call.now,
            metadata=metadata,
            listed_at=call.listed_at,
        )
        order = Order(
            purchase,
            position=len(self._orders),
            order_number=self._ids.digits(5, 5, 5, 5, 4),
            amount_kg=amount_kg,
            distance_km=distance_km,
            price_usd_cents=price_usd_cents,
            description=description,
            portfolio_id=portfolio_id,
            callback_url=callback_url,
            subaccount=subaccount,
        )
        self._books.record(purchase)
        self._orders.append(order)
        self._by_id[purchase.ref] = order
        order.fulfilment = self._notify(order, "fulfilled", call.now + self._fulfilled_after)
        return partial(self._show, order, "placed", answers_order=True)

    def _cancel(self, call: Call) -> Content:
        order = self._find_order(call)
        if order.purchase.cancelled:
            raise Declined(403, "The order is already cancelled.")
        if order.fulfilment is not None and self._state(order, call.now) == "placed":
            self._callbacks.withdraw(order.fulfilment)
        order.purchase.cancelled = True
        self._notify(order, "cancelled", call.now)
        return partial(self._show, order, "cancelled")

    def _notify(self, order: Order, state: str, at: datetime) -> Callback | None:
        if order.callback_url is None:
            return None
        return self._callbacks.notify(order.callback_url, {"order": order.as_json(state)}, at)

    def _get_order(self, call: Call) -> Reply:
        order = self._find_order(call)
        return json_reply(200, self._show(order, self._state(order, call.now)))

    def _find_order(self, call: Call) -> Order:
        order, whose = self._by_id.get(call.names[0]), call.request.headers.get(_SUBACCOUNT)
        if order is None or whose not in {None, order.subaccount and order.subaccount.id}:
            raise Declined(404, "There is no order with this id.")
        return order

    def _list_orders(self, call: Call) -> Reply:
        subaccount = self._subaccount(call)

        def wanted(order: Order) -> bool:
            return _belongs(order, subaccount) and order.purchase.listed_at <= call.now

        page = self._newest_first(call, self._orders, self._by_id, wanted)
        return json_reply(200, {"data": [self._show(order, self._state(order, call.now)) for order in page]})

    def _show(self, order: Order, state: str, *, answers_order: bool = False) -> dict[str, Any]:
        """An order as this account shows it."""
        shown = order.as_json(state)
        if "metadata_dropped" in self._poor:
            shown["metadata"] = None
        if "metadata_reformatted" in self._poor:
            shown["metadata"] = _reformatted(order.purchase.metadata)
        if "orders_without_dates" in self._poor:
            del shown["created_on"]
        if "orders_without_state" in self._poor and answers_order:
            del shown["state"]
        return shown

    def _state(self, order: Order, now: datetime) -> str:
        if order.purchase.cancelled:
            return "cancelled"
        return "fulfilled" if now >= order.purchase.at + self._fulfilled_after else "placed"

    def _quote_generic(self, call: Call) -> Reply:
        fields = call.fields()
        return self._quote(call, fields, _positive(fields, "amount_kg"))

    def _quote_ride(self, call: Call) -> Reply:
        fields = call.fields()
        return self._quote(call, fields, _positive(fields, "distance_km") * _KG_PER_KM)

    def _quote(self, call: Call, fields: Mapping[str, Any], amount_kg: Decimal) -> Reply:
        self._subaccount(call)
        _portfolio(fields, "portfolio_id", 400)
        return json_reply(200, {"amount_kg": _number(amount_kg), "price_usd_cents": _price_usd_cents(amount_kg)})

    def _impact(self, call: Call) -> Reply:
        subaccount = self._subaccount(call)
        counted = [o for o in self._orders if _belongs(o, subaccount) and not o.purchase.cancelled]
        total = sum((order.amount_kg for order in counted), Decimal(0))
        category = {"id": "forests", "name": "Pretend forests"}
        content = {
            "name": subaccount.name if subaccount else "Pretend Shop",
            "total_offset_kgs": _number(total),
            "equivalents": {name: round(total / kg, 2) for name, kg in _EQUIVALENTS.items()},
            "since_date": iso_micros(counted[0].purchase.at) if counted else None,
            "categories": [{"category": category, "offset_kgs": _number(total), "projects": []}] if counted else [],
        }
        return json_reply(200, content)

    def _hosted_page(self, call: Call) -> Reply:
        subaccount = self._subaccount(call)
        url = f"{_PAGES}/impact/{subaccount.id}" if subaccount else f"{_PAGES}/impact"
        return json_reply(200, {"enabled": True, "url": url, "enabled_equivalents": list(_EQUIVALENTS)})

    def _list_subaccounts(self, call: Call) -> Reply:
        page = self._newest_first(call, self._subaccounts, self._subaccount_by_id, lambda _: True)
        return json_reply(200, {"data": [subaccount.as_json() for subaccount in page]})

    def _create_subaccount(self, call: Call) -> Content:
        fields = call.fields()
        name = _text(fields, "name")
        if name is None:
            raise Declined(400, "name is needed.", field="name")
        subaccount = Subaccount(
            self._ids.text(8),
            position=len(self._subaccounts),
            name=name,
            default_portfolio_id=_portfolio(fields, "default_portfolio_id", 400),
            created_at=call.now,
        )
        self._subaccounts.append(subaccount)
        self._subaccount_by_id[subaccount.id] = subaccount
        return subaccount.as_json

    def _get_subaccount(self, call: Call) -> Reply:
        subaccount = self._subaccount_by_id.get(call.names[0])
        if subaccount is None:
            raise Declined(404, "There is no subaccount with this id.")
        return json_reply(200, subaccount.as_json())

    def _subaccount(self, call: Call) -> Subaccount | None:
        """The subaccount that the request speaks for; None for the account itself."""
        subaccount_id = call.request.headers.get(_SUBACCOUNT)
        if subaccount_id is None:
            return None
        if subaccount_id not in self._subaccount_by_id:
            raise Declined(400, "X-Subaccount-Id is not the id of a subaccount.", code="invalid-subaccount")
        return self._subaccount_by_id[subaccount_id]

    def _newest_first(
        self, call: Call, rows: Sequence[Row], by_id: Mapping[str, Row], wanted: Callable[[Row], bool]
    ) -> list[Row]:
        """The page of a listing that the query asks for."""
        query = call.query()
        asked = whole_number(query, "limit", least=1, most=100, default=20)
        limit = min(asked, self._page_items or asked)
        after, before = _position(query, "starting_after", by_id), _position(query, "ending_before", by_id)
        if after is not None and before is not None:
            raise _bad_page("Only one of starting_after and ending_before can be given.")
        end = len(rows)
        if before is not None:
            page, _ = self.page(rows, range(before + 1, end), call, limit=limit, wanted=wanted)
            return page[::-1]
        unread = range((end if after is None else after) - 1, -1, -1)
        read = () if after is None else range(after, end)
        page, _ = self.page(rows, unread, replace(call, ends=False), limit=limit, wanted=wanted, before=read)
        # Only an empty page ends this listing; if its first page were empty, it would be no listing at all.
        left = [position for position in unread if wanted(rows[position])]
        return [] if call.ends and after is not None and self._leave_out(rows, left) else page


def _reformatted(metadata: str | None) -> str | None:
    """Return the same JSON in another format; a text that is no JSON object stays unchanged."""
    try:
        content = json.loads(metadata or "null")
    except ValueError:
        return metadata
    return json.dumps(content, indent=1, sort_keys=True) if isinstance(content, dict) else metadata


def _belongs(order: Order, subaccount: Subaccount | None) -> bool:
    """Whether an order belongs to this subaccount; every order belongs to the account."""
    return subaccount is None or order.subaccount is subaccount


def _position(query: Mapping[str, list[str]], name: str, by_id: Mapping[str, Row]) -> int | None:
    if name not in query:
        return None
    row = by_id.get(query[name][-1])
    if row is None:
        raise _bad_page(f"{name} is not the id of anything in this list.")
    return row.position


def _bad_page(message: str) -> Declined:
    return Declined(400, message, code="invalid-pagination")


def _number(value: Decimal) -> float:
    """A JSON number, whole where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def _positive(fields: Mapping[str, Any], name: str) -> Decimal:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value < _MOST:
        raise Declined(400, f"{name} must be a positive number.", field=name)
    return Decimal(value)


def _price_usd_cents(amount_kg: Decimal) -> int:
    return max(1, int((amount_kg * _CENTS_PER_KG).quantize(Decimal(1), ROUND_HALF_UP)))


def _amount_and_price(fields: Mapping[str, Any]) -> tuple[Decimal, int]:
    """Kilograms and US cents; one of the two is given, the other follows from it."""
    price = fields.get("total_price_usd_cents")
    if (fields.get("amount_kg") is None) == (price is None):
        raise Declined(
            400,
            "One amount is needed: amount_kg, or total_price_usd_cents where there are orders by price.",
            field="amount_kg",
        )
    if price is None:
        amount_kg = _positive(fields, "amount_kg")
        return amount_kg, _price_usd_cents(amount_kg)
    if not is_whole(price, 1, _MOST):
        raise Declined(400, "total_price_usd_cents must be a positive whole number.", field="total_price_usd_cents")
    return (Decimal(price) / _CENTS_PER_KG).quantize(Decimal("0.001")), price


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if not is_text(value, _MOST_TEXT):
        raise Declined(400, f"{name} must be null or a text of at most {_MOST_TEXT} characters.", field=name)
    return value


def _portfolio(fields: Mapping[str, Any], name: str, status: int) -> str | None:
    """The id of a portfolio; the one that is not available is refused with this status."""
    portfolio_id = fields.get(name)
    if portfolio_id is not None and not isinstance(portfolio_id, str):
        raise Declined(400, f"{name} must be null or the id of a portfolio.", field=name)
    if portfolio_id == UNAVAILABLE_PORTFOLIO:
        raise Declined(status, "This portfolio is not available to this account.", field=name)
    return portfolio_id


def _callback_url(config: object) -> str | None:
    """The URL for the order's changes."""
    if config is None:
        return None
    url = config.get("url") if isinstance(config, dict) else None
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise Declined(400, "notification_config must hold a url.", field="notification_config")
    return url
