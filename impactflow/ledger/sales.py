"""Sales by their names: an ambiguous name is refused, because an action must not change another order."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from impactflow.errors import ConfigurationError
from impactflow.ledger.tables import order_names, orders
from impactflow.names import possible_names


def find(connection: Connection, name: str, store: str | None) -> Any:
    """
    The first row of the sale that has a name, with or without the name's prefix; None if no sale has it.

    The system's prefix may be left out too: A-1001 is ``src:file:A-1001`` if nothing else has that name.

    Args:
        connection: In a transaction.
        name: Any name of the order.
        store: The store of the order; None if only one store has an order of that name.

    Raises:
        ConfigurationError: Orders of several stores have the name, or several of one store.
    """
    plain = or_(order_names.c.name.in_(possible_names(name)), _NAMED.c.order_id == name)
    found = _find(connection, name, plain, store)
    if not found:  # this looks at every name: only as the last resort
        found = _find(connection, name, order_names.c.name.endswith(f":{name}", autoescape=True), store)
    check_one_store(name, sorted({row.store for row in found}))
    exact = [row for row in found if row.distance == found[0].distance]
    if len(exact) > 1:
        raise ConfigurationError(
            f"{len(exact)} orders of store {exact[0].store} go by {name!r}: give the name with its prefix, such as"
            f" {exact[0].name}; `impactflow show` lists an order's names"
        )
    return exact[0] if exact else None


def _find(connection: Connection, name: str, is_meant: ColumnElement[bool], store: str | None) -> Sequence[Any]:
    query = (
        select(
            orders.c.id,
            orders.c.store,
            orders.c.order_id,
            orders.c.ordered_at,
            orders.c.eligible,
            orders.c.facts,
            func.min(case((order_names.c.name == name, 0), else_=1)).label("distance"),
            func.min(order_names.c.name).label("name"),
        )
        .join(_NAMED, orders.c.id == func.coalesce(_NAMED.c.same_as, _NAMED.c.id))
        .join(order_names, order_names.c.order == _NAMED.c.id)
        .where(is_meant)
        .group_by(orders.c.id)
        .order_by("distance", orders.c.id)
    )
    if store is not None:
        query = query.where(orders.c.store == store)
    return connection.execute(query).all()


def check_one_store(name: str, stores: Sequence[str]) -> None:
    """
    Check that only one store has an order of a name.

    Raises:
        ConfigurationError: Several stores have one.
    """
    if len(stores) > 1:
        raise ConfigurationError(f"the stores {', '.join(stores)} each have an order {name!r}: say which with --store")


def same_sale(order: Any) -> ColumnElement[bool]:
    """The rows of one sale, by the id of the first."""
    return or_(orders.c.id == order, orders.c.same_as == order)


_NAMED = orders.alias("named")
