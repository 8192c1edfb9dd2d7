"""
Wicked Reports' outbound API, pretended: contacts, clicks and orders by day, in pages, with a limit per minute.

Orders are listed as they stand in ``Shop.orders``, in that order, whatever JSON they are; contacts and clicks follow
from the orders. Both days of a window are included. A record whose date cannot be read is in every window, so that
broken orders reach the client. Called through ``faulty_network.py``.

Source: the vendor's Outbound API reference, read 2026-11-22.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any

from impactflow.sandbox.api import Api, Call, Declined, Route, day, whole_number
from impactflow.sandbox.contacts import NAMES, buyer, clicks_of, contacts_of
from impactflow.sandbox.faults import Nature
from impactflow.sandbox.messages import Reply, Request, json_reply
from impactflow.sandbox.shared import Shared

API_KEY = "sandbox-wickedreports-key"

_MINUTE = timedelta(minutes=1)
_WRITTEN_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: The greatest difference between the two days of a listing of clicks: of all contacts, and of one contact.
_LONGEST, _LONGEST_OF_CONTACT = timedelta(days=30), timedelta(days=180)
#: The number of clicks of one contact that are listed where no days are given.
_MOST_CLICKS = 10_000


class Throttle:
    """A limit of requests in each minute, counted from the first request."""

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
        """The headers about the limit, in every answer; the reset is in seconds since 1970, rounded up."""
        resets_at = 0 if self._resets_at is None else -int(-self._resets_at.timestamp() // 1)
        return {
            "x-ratelimit-limit": str(self._per_minute),
            "x-ratelimit-remaining": str(max(0, self._per_minute - self._used)),
            "x-ratelimit-reset": str(resets_at),
        }


@dataclass(frozen=True, slots=True)
class Days:
    """The first and the last day of a listing, written so that they compare as texts."""

    first: str
    last: str

    def __contains__(self, date: object) -> bool:
        """Whether a record of this date is listed; a record whose date cannot be read always is."""
        if not isinstance(date, str) or not _WRITTEN_DAY.match(date):
            return True
        return self.first <= date[:10] <= self.last


class WickedReports(Api):
    """Wicked Reports' rules over one shop's orders."""

    name = "wickedreports"
    account = "WICKED_REPORTS"
    key = API_KEY

    def __init__(self, shared: Shared) -> None:
        options = shared.options
        self._shop = shared.shop
        self._throttle = Throttle(options.wicked_reports_per_minute)
        self._page_items = options.page_items
        self._click_takes = timedelta(seconds=options.late_clicks_s)
        # Lists of their own, renewed in place: a page shift tells listings apart by their identity.
        self._contacts: list[Any] = []
        self._clicks: list[Any] = []
        self._reading: tuple[object, list[int]] = (None, [])
        super().__init__(shared)

    def routes(self) -> Iterable[Route]:
        """Routes for contacts, clicks and orders: all, and one contact's."""
        yield Route("GET", "/contacts", self._list_contacts, Nature.LISTING)
        yield Route("GET", "/contacts/*", self._get_contact, Nature.LOOK_UP)
        yield Route("GET", "/clicks", self._list_clicks, Nature.LISTING)
        yield Route("GET", "/contacts/*/clicks", self._list_contact_clicks, Nature.LISTING)
        yield Route("GET", "/orders", self._list_orders, Nature.LISTING)
        yield Route("GET", "/contacts/*/orders", self._list_contact_orders, Nature.LISTING)

    def authorise(self, request: Request) -> None:
        """Check that ``apikey`` is the sandbox's."""
        if request.headers.get("apikey") != API_KEY:
            raise Declined(401, "Outbound API not enabled for client.")

    def decline(self, declined: Declined) -> Reply:
        """Refuse with ``{"status": "error", "message"}``."""
        content = {"status": "error", "message": declined.message}
        return json_reply(declined.status, content, self._throttle.headers())

    def answer(self, call: Call) -> Reply:
        """Count the request, then answer it; the limit's headers are on every answer."""
        if not self._throttle.take(call.now):
            return self.decline(Declined(429, "Too many requests."))
        reply = super().answer(call)
        return replace(reply, headers={**reply.headers, **self._throttle.headers()})

    def _list_contacts(self, call: Call) -> Reply:
        days = _days(call)
        return self._listing(call, self._contacts, lambda contact: contact["createDate"] in days, contacts_of)

    def _get_contact(self, call: Call) -> Reply:
        named = self._named(call)
        (contact,) = contacts_of(order for order in self._shop.orders if _buyer_id(order) == named)
        return json_reply(200, {"status": "success", "result": contact})

    def _list_clicks(self, call: Call) -> Reply:
        days = _days(call, longest=_LONGEST)
        return self._listing(call, self._clicks, lambda click: click["date"] in days, self._clicks_until(call))

    def _list_contact_clicks(self, call: Call) -> Reply:
        named, days = self._named(call), _days(call, longest=_LONGEST_OF_CONTACT, required=False)
        return self._listing(
            call,
            self._clicks,
            lambda click: click["contactId"] == named and click["date"] in days,
            self._clicks_until(call),
            most=_MOST_CLICKS if days == _ALWAYS else None,
        )

    def _list_orders(self, call: Call) -> Reply:
        days = _days(call)
        return self._listing(call, self._shop.orders, lambda order: _date(order) in days)

    def _list_contact_orders(self, call: Call) -> Reply:
        named, days = self._named(call), _days(call)
        return self._listing(
            call,
            self._shop.orders,
            lambda order: _date(order) in days and _buyer_id(order) == named,
            show=_without_contact,
        )

    def _named(self, call: Call) -> str:
        """The id of the contact in the path."""
        (name,) = call.names
        for order in self._shop.orders:
            contact = buyer(order)
            if contact is not None and name in {contact[key] for key in NAMES}:
                return contact["id"]
        raise Declined(404, f"There is no contact {name}.")

    def _clicks_until(self, call: Call) -> Callable[[Iterable[Any]], list[Any]]:
        return partial(clicks_of, until=call.now - self._click_takes)

    def _listing(
        self,
        call: Call,
        items: list[Any],
        wanted: Callable[[Any], bool],
        derive: Callable[[Iterable[Any]], list[Any]] | None = None,
        *,
        show: Callable[[Any], Any] = lambda item: item,
        most: int | None = None,
    ) -> Reply:
        """
        One page.

        Args:
            call: The request for the page.
            items: The whole listing, whatever its days.
            wanted: Selects the items that belong to the listing.
            derive: Makes the items from the shop's orders; None where the items are the orders.
            show: Writes an item.
            most: The most items that the listing has; None for no such limit.
        """
        query = call.query()
        asked = whole_number(query, "limit", least=1, most=1000, default=100)
        limit = min(asked, self._page_items or asked)
        label = (call.request.path, query.get("from"), query.get("to"))
        start = _start(query, label)
        reading = (label, len(self._shop.orders))
        if start == 0 or self._reading[0] != reading:
            if derive is not None:
                items[:] = derive(self._shop.orders)
            positions = [position for position, item in enumerate(items) if wanted(item)][:most]
            self._reading = (reading, positions)
        positions = self._reading[1]
        unread = positions[start : start + limit + 2]
        read = positions[max(0, start - 1) : start]
        page, following = self.page(items, unread, call, limit=limit, before=read)
        number = -(-start // limit) + 1  # a page that was shifted is a page nevertheless
        answer = {
            "status": "success",
            "results": [show(item) for item in page],
            "page": number,
            "totalPages": number if positions else 0,
            "total": len(positions),
        }
        if following is not None:
            rest = bisect_left(positions, following)
            answer |= {"totalPages": number + -(-(len(positions) - rest) // limit), "next": _next(rest, label)}
        return json_reply(200, answer)


#: The days of a listing that is asked for without any days.
_ALWAYS = Days("", "9999-12-31")


def _days(call: Call, *, longest: timedelta | None = None, required: bool = True) -> Days:
    """
    The days that a listing is asked for.

    Raises:
        Declined: The days are missing, not valid, in the wrong order or too far apart.
    """
    query = call.query()
    first, last = day(query, "from"), day(query, "to")
    if required and (first is None or last is None):
        raise Declined(400, "Give the days from and to.")
    if first is not None and last is not None:
        if first > last:
            raise Declined(400, "from must not be after to.")
        if longest is not None and last - first > longest:
            raise Declined(400, f"from and to must not be more than {longest.days} days apart.")
    return Days(str(first or _ALWAYS.first), str(last or _ALWAYS.last))


def _date(order: Any) -> object:
    return order.get("date") if isinstance(order, dict) else None


def _buyer_id(order: Any) -> str | None:
    contact = buyer(order)
    return None if contact is None else contact["id"]


def _without_contact(order: Any) -> Any:
    return {name: value for name, value in order.items() if name != "contact"}


def _seal(place: str, window: object) -> str:
    return blake2b(f"{place} {window}".encode(), digest_size=12).hexdigest()


def _next(start: int, window: object) -> str:
    """The token of the next page, as 32 hexadecimal digits that fit this window only."""
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
