"""
Made-up orders that look like a real shop's, as Wicked Reports writes them.

The orders have several currencies, repeat customers, refunds, failed and manual payments, and now and then a missing
field. Parts that orders have in common are shared objects, so that a hundred thousand orders fit into memory.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from impactflow.sandbox.messages import iso_millis

#: Every currency with its weight and the value of one US dollar in it.
_CURRENCIES: Mapping[str, tuple[int, float]] = {
    "USD": (55, 1.0),
    "EUR": (20, 0.93),
    "GBP": (12, 0.79),
    "CAD": (6, 1.43),
    "AUD": (5, 1.56),
    "JPY": (1, 150.0),
    "SEK": (1, 10.5),
}
CURRENCIES = tuple(_CURRENCIES)
#: The currencies that the example policy can convert.
CONVERTIBLE_CURRENCIES = ("USD", "EUR", "GBP", "CAD", "AUD")

_CATALOGUE = (
    ("Café au lait bowl", 18.5),
    ("Baumwoll-T-Shirt, Größe M", 24.9),
    ("Linen apron", 42.0),
    ("Olive oil, 500 ml", 13.95),
    ("Smörkniv", 7.5),
    ("Sake-Schale 酒", 29.0),
    ("Sun hat “Niño”", 35.0),
    ("Notebook, dotted", 11.0),
    ("Reusable bottle", 21.25),
    ("Gift card", 50.0),
    ("Wool blanket", 119.0),
    ("Seeds, mixed", 3.2),
)
_FIRST_NAMES = (
    "anna",
    "bjorn",
    "chloe",
    "david",
    "emilia",
    "farid",
    "grace",
    "hiro",
    "ines",
    "jose",
    "karin",
    "lukasz",
)
_LAST_NAMES = ("garcia", "mueller", "smith", "nowak", "okafor", "rossi", "sorensen", "tanaka", "wong", "zahid")
_DOMAINS = ("example.com", "example.org")
_SYSTEMS = ("shopify", "stripe", "woocommerce")
_CLICKS = (
    {"source": "direct", "medium": "direct", "campaign": "direct", "content": "direct", "term": "direct"},
    {"source": "google", "medium": "cpc", "campaign": "brand", "content": "headline-2", "term": "linen apron"},
    {"source": "newsletter", "medium": "email", "campaign": "Frühjahr", "content": None, "term": None},
)
#: The payment statuses of an order, with their weight.
_PAYMENTS: Mapping[tuple[str, ...], int] = {
    ("APPROVED",): 860,
    ("MANUAL",): 40,
    ("FAILED",): 25,
    ("FAILED", "APPROVED"): 20,
    ("APPROVED", "REFUNDED"): 25,
    ("REFUNDED",): 10,
    ("APPROVED", "Partially Refunded"): 20,
}
#: Fields that may be missing, each in one order of a hundred.
_OPTIONAL = ("amount", "currency", "products", "payments", "contact", "attributions")
_RARE = 0.01


def generate_orders(
    count: int, seed: int, until: datetime, days: int = 7, currencies: Sequence[str] = CURRENCIES
) -> list[dict[str, Any]]:
    """
    Return orders of the days up to a moment, oldest first; the same arguments give the same orders.

    Args:
        count: Number of orders.
        seed: The source of all chance.
        until: The latest time of an order, aware.
        days: Number of days that the orders are spread over.
        currencies: The currencies that occur.

    Raises:
        ValueError: A currency is not among ``CURRENCIES``.
    """
    unknown = set(currencies) - set(CURRENCIES)
    if unknown:
        raise ValueError(f"there are no prices in {', '.join(sorted(unknown))}; there are in {', '.join(CURRENCIES)}")
    till = _Till(Random(f"{seed} orders"), count, currencies)
    ages = sorted((till.chance.random() * days * 86_400 for _ in range(count)), reverse=True)
    return [till.order(number, until - timedelta(seconds=age)) for number, age in enumerate(ages, start=1)]


class _Till:
    """A till that rings up one order after the other."""

    def __init__(self, chance: Random, count: int, currencies: Sequence[str]) -> None:
        self.chance = chance
        self._contacts = [_contact(chance, number) for number in range(1, max(2, count * 2 // 3))]
        self._currencies = list(currencies)
        self._weights = [_CURRENCIES[currency][0] for currency in currencies]
        self._products = {currency: _products(currency) for currency in currencies}
        self._first_clicks: dict[str, dict[str, Any]] = {}
        self._systems: dict[str, str] = {}

    def order(self, number: int, sold_at: datetime) -> dict[str, Any]:
        """One order, with a field missing now and then."""
        chance = self.chance
        contact, links = chance.choice(self._contacts)
        currency = chance.choices(self._currencies, self._weights)[0]
        products = [self._product(currency) for _ in range(chance.choices((1, 2, 3, 4), (60, 25, 10, 5))[0])]
        amount = round(sum(product["qty"] * product["PPU"] for product in products), 2)
        order: dict[str, Any] = {
            "id": f"WR-{number:06}",
            "sourceId": f"{100_000 + number}",
            "sourceSystem": None if chance.random() < _RARE else self._system(contact["id"]),
            "date": iso_millis(sold_at),
            "attributions": self._attributions(contact["id"], sold_at),
            "contact": contact,
            "products": products,
            "payments": self._payments(amount, sold_at),
            "amount": amount,
            "currency": currency,
            "links": links,
        }
        if chance.random() < 0.1:  # noqa: PLR2004
            order["subscriptionId"] = f"sub-{chance.randrange(10**6):06}"
        for name in _OPTIONAL:
            if chance.random() < _RARE:
                del order[name]
        return order

    def _system(self, contact_id: str) -> str:
        """The shop where a customer always buys."""
        return self._systems.setdefault(contact_id, self.chance.choice(_SYSTEMS))

    def _product(self, currency: str) -> dict[str, Any]:
        quantity = self.chance.choices((1, 2, 3, 6), (75, 15, 7, 3))[0]
        return self.chance.choice(self._products[currency][quantity])

    def _payments(self, amount: float, sold_at: datetime) -> list[dict[str, Any]]:
        statuses = self.chance.choices(tuple(_PAYMENTS), tuple(_PAYMENTS.values()))[0]
        date = iso_millis(sold_at).partition(".")[0]
        return [
            {"date": date, "status": status, "amount": round(amount / 2, 2) if status.startswith("Part") else amount}
            for status in statuses
        ]

    def _attributions(self, contact_id: str, sold_at: datetime) -> dict[str, Any]:
        """The click that led to the order, and the contact's first click, which is that of their first order."""
        clicked = iso_millis(sold_at - timedelta(hours=4)).partition(".")[0]
        click = {"date": clicked, **self.chance.choice(_CLICKS)}
        first = self._first_clicks.setdefault(contact_id, click)
        again = {} if first is click else {"reOptin": click}
        return {"firstClick": first, "firstOptin": first, **again, "lastClick": click}


def _contact(chance: Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """A contact as its orders show it, and the links of those orders."""
    contact_id = f"AC-{1_000_000 + number}"
    email = f"{chance.choice(_FIRST_NAMES)}.{chance.choice(_LAST_NAMES)}{number}@{chance.choice(_DOMAINS)}"
    contact = {"id": contact_id, "sourceId": f"customer-{number}", "sourceSystem": "unknown", "email": email}
    links = {name: {"href": f"/contacts/{contact_id}{path}"} for name, path in (("contact", ""), ("clicks", "/clicks"))}
    return contact, links


def _products(currency: str) -> dict[int, list[dict[str, Any]]]:
    """The catalogue in one currency, by quantity bought; yen have no fraction."""
    rate = _CURRENCIES[currency][1]
    digits = None if currency == "JPY" else 2
    return {
        quantity: [
            {"id": f"P-{number:03}", "name": name, "qty": quantity, "PPU": round(price * rate, digits)}
            for number, (name, price) in enumerate(_CATALOGUE, start=1)
        ]
        for quantity in (1, 2, 3, 6)
    }
