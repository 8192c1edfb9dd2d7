"""
The buyers and their ways to the shop: contacts and clicks as Wicked Reports writes them, worked out from its orders.

An order's buyer is a contact, and the clicks that the order is attributed to are that contact's clicks. So contacts and
clicks agree with the orders, even if a test changes these; an order that is not as documented adds nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from impactflow.sandbox.messages import iso_millis

#: The names by which a contact may be asked for.
NAMES = ("id", "sourceId", "email")
_UTMS = ("source", "medium", "campaign", "content", "term")
#: The fields that an order may be attributed by, and how the click reports each of them.
_FLAGS: Mapping[str, str] = MappingProxyType(
    {"firstClick": "isFirstClick", "firstOptin": "isFirstOptin", "reOptin": "isReOptin", "lastClick": "isLastClick"}
)


def buyer(order: Any) -> dict[str, str] | None:
    """The contact that an order names, with missing fields filled in; None where the order names none."""
    value = order.get("contact") if isinstance(order, dict) else None
    pairs = value.items() if isinstance(value, dict) else ()
    texts = {name: text for name, text in pairs if isinstance(text, str) and text}
    name = next((texts[name] for name in NAMES if name in texts), None)
    return None if name is None else {"id": name, "sourceId": name, "sourceSystem": "unknown", "email": "", **texts}


def contacts_of(orders: Iterable[Any]) -> list[dict[str, Any]]:
    """The buyers, in the order of their first orders, with the totals of their orders."""
    contacts: dict[str, dict[str, Any]] = {}
    for named, order in _bought(orders):
        if named["id"] not in contacts:
            contacts[named["id"]] = _contact(named, order)
        contact = contacts[named["id"]]
        contact["LTV"] = round(contact["LTV"] + _amount(order), 2)
        for touch, clicked_at, click in _touches(order):
            contact["links"] = {name: {"href": f"/contacts/{named['id']}/{name}"} for name in ("clicks", "orders")}
            if touch == "reOptin" or touch not in {*contact, "lastClick"}:
                contact[touch] = {"date": iso_millis(clicked_at), **_utms(click)}
    return list(contacts.values())


def clicks_of(orders: Iterable[Any], until: datetime) -> list[dict[str, Any]]:
    """
    The buyers' clicks, each once, in the order of the orders that they led to.

    Args:
        orders: The shop's orders.
        until: The time of the last order, aware.
    """
    clicks: dict[tuple[str, datetime], dict[str, Any]] = {}
    for named, order in _bought(orders):
        for touch, clicked_at, click in _touches(order):
            key = named["id"], clicked_at
            if clicked_at <= until and key not in clicks:
                clicks[key] = _click(named, order, clicked_at, click)
            if key in clicks:
                clicks[key][_FLAGS[touch]] = True
    return list(clicks.values())


def _bought(orders: Iterable[Any]) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
    """The orders that name a buyer, with the buyer."""
    for order in orders:
        named = buyer(order)
        if named is not None:
            yield named, order


def _contact(named: Mapping[str, str], order: Mapping[str, Any]) -> dict[str, Any]:
    """A contact at its first order; it appeared with the click that led there."""
    appeared_at = next((clicked_at for _, clicked_at, _ in _touches(order)), _moment(order.get("date")))
    first, _, last = named["email"].partition("@")[0].partition(".")
    return {
        **{name: named[name] for name in ("id", "sourceId", "sourceSystem", "email")},
        "firstName": first.title() if last else None,
        "lastName": last.rstrip("0123456789").title() or None,
        "LTV": 0,
        "createDate": iso_millis(appeared_at) if appeared_at else None,
        "urlWicked": f"https://my.wickedreports.example/customerltv?id={named['id']}",
        "links": {},
    }


def _click(
    named: Mapping[str, str], order: Mapping[str, Any], clicked_at: datetime, click: Mapping[str, Any]
) -> dict[str, Any]:
    """A click without any particular role yet."""
    utms = _utms(click)
    tags = urlencode({f"utm_{name}": text for name, text in utms.items()})
    return {
        "contactId": named["id"],
        "contactSourceId": named["sourceId"],
        "date": iso_millis(clicked_at),
        "email": named["email"] or None,
        **dict.fromkeys(_FLAGS.values(), False),
        "source": order.get("sourceSystem") or "unknown",
        "utms": utms,
        "wickedid": None,
        "wickedsource": None,
        "trackingUrl": f"https://shop.example/?{tags}",
        "links": {"contact": {"href": f"/contacts/{named['id']}"}},
    }


def _touches(order: Mapping[str, Any]) -> Iterator[tuple[str, datetime, Mapping[str, Any]]]:
    """The clicks that an order is attributed to: the role, the time, and the click itself."""
    value = order.get("attributions")
    attributions = value if isinstance(value, dict) else {}
    for touch in _FLAGS:
        click = attributions.get(touch)
        if not isinstance(click, dict):
            continue
        clicked_at = _moment(click.get("date"))
        if clicked_at is not None:
            yield touch, clicked_at, click


def _utms(click: Mapping[str, Any]) -> dict[str, str]:
    return {name: click[name] for name in _UTMS if isinstance(click.get(name), str)}


def _amount(order: Mapping[str, Any]) -> float:
    amount = order.get("amount")
    return amount if isinstance(amount, int | float) and isfinite(amount) else 0


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return None if found is None else found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
