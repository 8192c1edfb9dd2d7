"""
The purchases that a shop's orders earn under ``POLICY``, worked out independently, and the comparison with both books.

This module shares no line with ``impactflow.policy``: it reads the orders as Wicked Reports writes them.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from impactflow.cli.pretend_shop import NO_DAY_LIMIT, policy_text
from impactflow.ledger import Ledger
from impactflow.models import provider_ref
from impactflow.proof.sellers import SELLERS
from impactflow.reports.standing import Standing

#: The policy of the shops whose purchases are compared.
POLICY = policy_text("acceptance", date(2025, 1, 1), NO_DAY_LIMIT)

#: An order's id and a provider; each provider sells for one slot.
What = tuple[str, str]
#: The quantity to buy for each order and provider, in the ledger's units.
Quantities = Mapping[What, int]
#: The fields of a purchase that the providers' books and the ledger share: key, provider, quantity, provider's name for
#: it.
Line = tuple[str, str, int, str]


def earned(orders: Iterable[Mapping[str, Any]]) -> dict[What, int]:
    """Return the quantities to buy for these orders, in the ledger's units."""
    quantities: dict[What, int] = {}
    for order in orders:
        if not _counts(order):
            continue
        for provider, seller in SELLERS.items():
            if quantity := seller.earned(order):
                quantities[order["id"], provider.value] = quantity
    return quantities


def _counts(order: Mapping[str, Any]) -> bool:
    statuses = {payment["status"] for payment in order.get("payments") or ()}
    return bool(statuses & {"APPROVED", "MANUAL"}) and "REFUNDED" not in statuses


def differences(expected: Quantities, purchases: Iterable[Mapping[str, Any]]) -> dict[str, list[What]]:
    """The differences between the books and what was earned; all lists are empty when there is none."""
    bought: dict[What, list[int]] = defaultdict(list)
    for purchase in purchases:
        bought[purchase["order_id"], purchase["provider"]].append(purchase["quantity"])
    return {
        "twice": sorted(what for what, quantities in bought.items() if len(quantities) > 1),
        "lost": sorted(expected.keys() - bought.keys()),
        "unasked": sorted(bought.keys() - expected.keys()),
        "wrong": sorted(what for what in expected.keys() & bought.keys() if bought[what][0] != expected[what]),
    }


#: The result of ``differences`` when there are none.
NONE: Mapping[str, list[What]] = {"twice": [], "lost": [], "unasked": [], "wrong": []}


def in_books(purchases: Iterable[Mapping[str, Any]]) -> set[Line]:
    """The books' purchases, comparable with ``in_ledger``."""
    return {(row["impactflow_key"], row["provider"], row["quantity"], row["ref"]) for row in purchases}


def in_ledger(url: str) -> set[Line]:
    """The purchases recorded in a ledger; where two share a provider's name, our name has a number behind it."""

    async def read() -> set[Line]:
        with Ledger.open(url) as ledger:
            return {
                (row["key"], row["provider"], row["quantity"], provider_ref(row["ref"]))
                for row in await ledger.purchases()
            }

    return asyncio.run(read())


def undone_in_ledger(url: str) -> int:
    """The number of placements in a ledger that wait for another run or a person, or failed."""

    async def read() -> int:
        with Ledger.open(url) as ledger:
            standing = Standing.of(await ledger.counts())
            return standing.waiting + standing.failed

    return asyncio.run(read())
