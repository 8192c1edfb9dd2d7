"""
Which names cannot be of one sale: shops number orders, and a number may come twice or be another order's id.

``id:SYSTEM:ID`` is the id by which a shop itself knows an order. Two that differ are two sales, whatever number they
share. Called by ``planning`` and ``refunds``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, func, select

from impactflow.ledger.tables import order_names, orders


def are_of_two(names: Iterable[str], others: Iterable[str]) -> bool:
    """Whether a shop knows what goes by these names and what goes by the others by two different ids."""
    ids, other_ids = _ids(names), _ids(others)
    return any(ids[system].isdisjoint(other_ids[system]) for system in ids.keys() & other_ids.keys())


def identities(connection: Connection, row_ids: Iterable[int]) -> Mapping[int, frozenset[str]]:
    """By which ids shops know the sales of these first rows."""
    found: dict[int, set[str]] = defaultdict(set)
    for row in connection.execute(_IDENTITIES, {"ids": sorted(row_ids)}):
        found[row.sale].add(row.name)
    return {sale: frozenset(names) for sale, names in found.items()}


def _ids(names: Iterable[str]) -> Mapping[str, set[str]]:
    by_system: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if name.startswith("id:"):
            by_system[name.split(":", 2)[1]].add(name)
    return by_system


_SALE = func.coalesce(orders.c.same_as, orders.c.id)
_IDENTITIES = (
    select(order_names.c.name, _SALE.label("sale"))
    .join(orders, order_names.c.order == orders.c.id)
    .where(_SALE.in_(bindparam("ids", expanding=True)), order_names.c.name.like("id:%"))
)
