"""
A pure comparison: do the providers' books, the ledger and what was earned agree?

A sale that is listed a second time under another id is still one sale.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from impactflow.ledger import Status
from impactflow.models import provider_ref
from impactflow.proof.scenario import AGAIN
from impactflow.proof.sellers import RULES

Row = Mapping[str, Any]
#: Order and slot.
Place = tuple[str, str]

_SHOPIFY = "shopify:"
_SLOT_OF = {(rule["provider"], rule["impact"]): slot for slot, (rule, _) in RULES.items()}


def findings(
    earned: Mapping[Place, int], books: Iterable[Row], recorded: Sequence[Row], parked: Container[Place]
) -> list[str]:
    """
    Report errors, one line each; nothing where there are none.

    Args:
        earned: The quantities that must be bought, in the ledger's units.
        books: Our purchases in the providers' books.
        recorded: Purchases in the ledger.
        parked: Placements left to a person, which may or may not have been bought.
    """
    bought: dict[str, list[Row]] = {}
    for purchase in books:
        bought.setdefault(purchase["impactflow_key"], []).append(purchase)
    by_sale: dict[Place, set[str]] = {}
    for key, (purchase, *_) in bought.items():
        by_sale.setdefault(sold(purchase), set()).add(key)
    rows = {row["key"]: row for row in recorded}
    by_place = {_place(row): row for row in recorded}
    times = Counter(map(_place, recorded))
    return [
        *(f"bought {len(purchases)} times: {key}" for key, purchases in bought.items() if len(purchases) > 1),
        *(f"bought under {len(keys)} keys: {place}" for place, keys in by_sale.items() if len(keys) > 1),
        *(f"recorded {count} times: {place}" for place, count in times.items() if count > 1),
        *(f"recorded, not bought: {_place(row)}" for key, row in rows.items() if key not in bought),
        *(
            f"bought, not recorded: {sold(purchase)}"
            for key, (purchase, *_) in bought.items()
            if key not in rows and sold(purchase) not in parked
        ),
        *(
            f"recorded as another purchase: {sold(purchase)}"
            for key, (purchase, *_) in bought.items()
            if key in rows and not _same(purchase, rows[key])
        ),
        *(
            f"recorded as cancelled, though it stands: {sold(purchase)}"
            for key, (purchase, *_) in bought.items()
            if key in rows and rows[key]["status"] == Status.CANCELLED and not purchase["cancelled"]
        ),
        *(f"never bought: {place}" for place in earned if place not in by_place and place not in parked),
        *(
            f"wrong amount: {place}: {by_place[place]['quantity']} instead of {quantity}"
            for place, quantity in earned.items()
            if place in by_place and by_place[place]["quantity"] != quantity
        ),
    ]


def harm(before: tuple[Sequence[Row], Sequence[Row]], after: tuple[Sequence[Row], Sequence[Row]]) -> list[str]:
    """
    Report what a repair has made worse, one line each.

    Args:
        before: The purchases as the ledger had them, and as the books had them.
        after: The purchases afterwards, in the same form.
    """
    (was_recorded, was_bought), (recorded, bought) = before, after
    standing = {sold(purchase) for purchase in was_bought if not purchase["cancelled"]}
    stands = {sold(purchase) for purchase in bought if not purchase["cancelled"]}
    cancelled = {_place(row) for row in recorded if row["status"] == Status.CANCELLED}
    cancelled -= {_place(row) for row in was_recorded if row["status"] == Status.CANCELLED}
    return [
        *(f"a repair has left without its purchase: {where}" for where in sorted(standing - stands)),
        *(f"a repair has recorded as cancelled what stands: {where}" for where in sorted(cancelled & stands)),
    ]


def place(order_id: str, slot: str) -> Place:
    """Order and slot, by whichever of its ids the order came; sales are numbered from 1, and from 1001 at Shopify."""
    if order_id.startswith(_SHOPIFY):
        return f"WR-{int(order_id.removeprefix(_SHOPIFY)) - 1000}", slot
    return order_id.removesuffix(AGAIN), slot


def slot_of(purchase: Row) -> str:
    """The slot that a purchase was made for."""
    return _SLOT_OF[purchase["provider"], purchase["kind"]]


def _place(row: Row) -> Place:
    return place(row["order_id"], row["slot"])


def sold(purchase: Row) -> Place:
    """The order and slot that a purchase was made for."""
    return place(purchase["order_id"], slot_of(purchase))


def _same(purchase: Row, row: Row) -> bool:
    return (purchase["quantity"], purchase["ref"]) == (row["quantity"], provider_ref(row["ref"]))
