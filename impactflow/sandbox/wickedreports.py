"""
Wicked Reports' outbound API, pretended: orders by day, in pages, so many requests a minute.

Orders are listed as they stand in ``Shop.orders``, in that order, whatever JSON they are. Both days of a window are
included. An order whose date cannot be read is in every window, so that broken orders reach the client. Called through
``line.py``.

Source: the vendor's Outbound API reference, read 2026-11-21.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from impactflow.sandbox.api import Api, Call, Declined, Nature, Route, day, whole_number
from impactflow.sandbox.messages import Reply, Request, json_reply
from impactflow.sandbox.options import Options

API_KEY = "sandbox-wickedreports-key"

_MINUTE = timedelta(minutes=1)


class Shop:
    """
    What the merchant has sold: raw JSON values as Wicked Reports returns them.

    ``orders`` may be added to and its items replaced at any time, between two pages too.
    """

    def __init__(self, orders: Iterable[Any] = ()) -> None:
        self.orders: list[Any] = list(orders)

    def positions(self, first: str, last: str, contact: str | None) -> list[int]:
        """Which orders fall into the days from first to last; of one contact, where one is named."""
        return [
            position
            for position, order in enumerate(self.orders)
            if first <= _day(order, first) <= last and (contact is None or _is_of(order, contact))
        ]


class Throttle:
    """So many requests in each minute, counted from the first one."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._used = 0
        self._resets_at: datetime | None = None

    def take(self, now: datetime) -> bool:
        """Whether one more request may pass."""
        if self._resets_at is None or now >= self._resets_at:
            self._used, self._resets_at = 0, now + _MINUTE
        self._used += 1
        return self._used <= self._per_minute

    def headers(self) -> dict[str, str]:
        """What every answer says about the limit; the reset is in seconds since 1970, rounded up."""
        resets_at = 0 if self._resets_at is None else -int(-self._resets_at.timestamp() // 1)
        return {
            "x-ratelimit-limit": str(self._per_minute),
            "x-ratelimit-remaining": str(max(0, self._per_minute - self._used)),
            "x-ratelimit-reset": str(resets_at),
        }


class WickedReports(Api):
    """Wicked Reports' rules over one shop's orders."""

    name = "wickedreports"

    def __init__(self, shop: Shop, options: Options) -> None:
        self._shop = shop
        self._throttle = Throttle(options.wicked_reports_per_minute)
        self._window: tuple[object, list[int]] = (None, [])
        super().__init__()

    def routes(self) -> Iterable[Route]:
        """Orders: all, and one contact's."""
        yield Route("GET", "/orders", self._orders, Nature.LISTING)
        yield Route("GET", "/contacts/*/orders", self._contact_orders, Nature.LISTING)

    def authorise(self, request: Request) -> None:
        """``apikey`` must be the sandbox's."""
        if request.headers.get("apikey") != API_KEY:
            raise Declined(401, "The outbound API is not enabled for this key.")

    def decline(self, declined: Declined) -> Reply:
        """``{"status": "error", "message"}``."""
        content = {"status": "error", "message": declined.message}
        return json_reply(declined.status, content, self._throttle.headers())

    def answer(self, call: Call) -> Reply:
        """Count the request, then answer it; the limit's headers are on every answer."""
        if not self._throttle.take(call.now):
            return self.decline(Declined(429, "Too many requests."))
        reply = super().answer(call)
        return replace(reply, headers={**reply.headers, **self._throttle.headers()})

    def _orders(self, call: Call) -> Reply:
        return self._listing(call, None, lambda order: order)

    def _contact_orders(self, call: Call) -> Reply:
        contact = call.names[0]
        if not any(_is_of(order, contact) for order in self._shop.orders):
            raise Declined(404, f"There is no contact {contact}.")
        return self._listing(call, contact, _without_contact)

    def _listing(self, call: Call, contact: str | None, show: Callable[[Any], Any]) -> Reply:
        query = call.query()
        first, last = day(query, "from"), day(query, "to")
        if first is None or last is None or first > last:
            raise Declined(400, "Give the days from and to, from not after to.")
        limit = whole_number(query, "limit", least=1, most=1000, default=100)
        window = (str(first), str(last), contact)
        start = _start(query, window)
        positions = self._positions(window, fresh=start == 0)
        unread = positions[start : start + limit + 2]
        read = positions[max(0, start - 1) : start]
        orders = self._shop.orders
        page, following = self.page(orders, unread, call, limit=limit, before=read)
        answer = {
            "status": "success",
            "results": [show(order) for order in page],
            "page": start // limit + 1,
            "totalPages": -(-len(positions) // limit),
            "total": len(positions),
        }
        if following is not None:
            answer["next"] = _next(bisect_left(positions, following), window)
        return json_reply(200, answer)

    def _positions(self, window: tuple[str, str, str | None], *, fresh: bool) -> Sequence[int]:
        """The window's orders; kept between the pages of one reading while no order is added."""
        label = (window, len(self._shop.orders))
        if fresh or self._window[0] != label:
            self._window = (label, self._shop.positions(*window))
        return self._window[1]


def _day(order: Any, otherwise: str) -> str:
    """The day of an order, or another where it has none that can be read."""
    text = order.get("date") if isinstance(order, dict) else None
    readable = isinstance(text, str) and text[:4].isdigit() and text[4:5] == "-" and len(text) >= len("2026-11-21")
    return text[:10] if readable and isinstance(text, str) else otherwise


def _is_of(order: Any, contact: str) -> bool:
    of = order.get("contact") if isinstance(order, dict) else None
    return isinstance(of, dict) and contact in (of.get("id"), of.get("sourceId"), of.get("email"))


def _without_contact(order: Any) -> Any:
    return {name: value for name, value in order.items() if name != "contact"}


def _seal(place: str, window: object) -> str:
    return blake2b(f"{place} {window}".encode(), digest_size=12).hexdigest()


def _next(start: int, window: object) -> str:
    """Where the next page starts, as 32 hexadecimal digits that fit this window only."""
    place = f"{start:08x}"
    return place + _seal(place, window)


def _start(query: dict[str, list[str]], window: object) -> int:
    token = query.get("next", [None])[-1]
    if token is None:
        return 0
    place = token[:8]
    if token != place + _seal(place, window):
        raise Declined(400, "next is not one that was given out for these days.")
    return int(place, 16)
