"""
A stand-in for the Wicked Reports Outbound API: one list of orders, written from its reference alone.

A test adds, refunds and edits orders while the stand-in runs. Amounts are in the order's currency, times are UTC.
"""

import hashlib
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pretenders.loopback import Loopback

KEY = "shop-key"


@dataclass
class Order:
    """One order of the shop, as its list tells it at this moment."""

    id: str
    amount: float
    currency: str = "USD"
    status: str = "APPROVED"
    items: int = 1
    email: str | None = None
    """Whose order it is, where the list tells a contact."""
    date: datetime = field(default_factory=lambda: datetime.now(UTC))
    amounts: list[float] = field(default_factory=list)
    """Every amount that the order ever had, the oldest first."""

    def __post_init__(self):
        self.amounts.append(self.amount)

    @property
    def counts(self) -> bool:
        """Whether the order earns something: it is paid and not refunded."""
        return self.status in {"APPROVED", "MANUAL"}

    def as_json(self) -> dict[str, Any]:
        """The order in the list: what the schema requires, and what a policy needs."""
        moment = self.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        payments = [
            {"date": moment, "status": "FAILED" if self.status == "FAILED" else "APPROVED", "amount": self.amount}
        ]
        if self.status not in {"APPROVED", "FAILED"}:
            payments.append({"date": moment, "status": self.status, "amount": self.amount})
        contact = {"id": f"AB-{self.email}", "sourceId": self.email, "sourceSystem": "unknown", "email": self.email}
        return {
            "id": self.id,
            "sourceId": f"source-{self.id}",
            "sourceSystem": None,
            "date": moment,
            "products": [{"id": "thing", "name": "A thing", "qty": self.items, "PPU": self.amount / self.items}],
            "payments": payments,
            "amount": self.amount,
            "currency": self.currency,
            **({"contact": contact} if self.email else {}),
        }


class Shop(Loopback):
    """A shop whose orders can be listed, on loopback."""

    def __init__(self, orders: list[Order]):
        super().__init__()
        self.orders = {order.id: order for order in orders}

    def add(self, order: Order) -> None:
        """Sell one more."""
        self.orders[order.id] = order

    def refund(self, order_id: str) -> None:
        """Give the money of one order back."""
        self.orders[order_id].status = "REFUNDED"

    def edit(self, order_id: str, amount: float) -> None:
        """Change the amount of one order."""
        self.orders[order_id].amount = amount
        self.orders[order_id].amounts.append(amount)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List orders from one day to another, both included, a page at a time."""
        headers = {"x-ratelimit-limit": "120", "x-ratelimit-remaining": "119", "x-ratelimit-reset": "60"}
        if request.headers.get("apikey") != KEY:
            return web.json_response({"status": "error", "message": "Not authorized."}, status=401, headers=headers)
        query = request.query
        if request.path != "/orders" or not {"from", "to"} <= query.keys():
            error = {"status": "error", "message": "There was some problem with your request."}
            return web.json_response(error, status=400, headers=headers)
        limit = min(int(query.get("limit", 100)), 1000)
        found = [o for o in self.orders.values() if query["from"] <= f"{o.date:%Y-%m-%d}" <= query["to"]]
        pages = max(1, math.ceil(len(found) / limit))
        name = f"{query['from']} {query['to']} {limit}"
        names = {hashlib.md5(f"{name} {page}".encode()).hexdigest(): page for page in range(1, pages + 2)}
        page = names.get(query.get("next", ""), 1)
        body = {
            "status": "success",
            "results": [order.as_json() for order in found[(page - 1) * limit : page * limit]],
            "page": page,
            "totalPages": pages,
            "total": len(found),
        }
        if page < pages:
            body["next"] = next(hash_ for hash_, number in names.items() if number == page + 1)
        return web.json_response(body, headers=headers)
