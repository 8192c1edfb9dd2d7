"""
Names that cannot belong to one sale: shops number orders, and a number may come twice or be another order's id.

``id:SYSTEM:ID`` is the shop's own id for an order. Two different ids mean two sales, even if they share a number.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select

from impactflow.ledger.tables import order_names, orders
from impactflow.names import IDENTITY, identities_by_system


def are_of_two(names: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a shop has two different ids for the order with these names and the order with the other names."""
    ids, other_ids = identities_by_system(names), identities_by_system(others)
    return any(ids[system].isdisjoint(other_ids[system]) for system in ids.keys() & other_ids.keys())


class Identity(NamedTuple):
    """The shops' ids for a sale, and its id in the ledger."""

    names: frozenset[str]
    order_id: str


def identities(connection: Connection, row_ids: Iterable[int]) -> Mapping[int, Identity]:
    """The identity of each sale, by its first row."""
    names: dict[int, set[str]] = defaultdict(set)
    order_ids: dict[int, str] = {}
    for row in connection.execute(_IDENTITIES, {"ids": sorted(row_ids)}):
        names[row.sale] |= {row.name} - {None}
        if row.id == row.sale:
            order_ids[row.sale] = row.order_id
    return {sale: Identity(frozenset(names[sale]), order_id) for sale, order_id in order_ids.items()}


_SALE = func.coalesce(orders.c.same_as, orders.c.id)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_IDENTITIES = (
    select(orders.c.id, orders.c.order_id, order_names.c.name, _SALE.label("sale"))
    .outerjoin(order_names, (order_names.c.order == orders.c.id) & order_names.c.name.like(IDENTITY))
    .where(or_(orders.c.id.in_(_IDS), orders.c.same_as.in_(_IDS)))
)
