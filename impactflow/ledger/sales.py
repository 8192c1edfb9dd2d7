"""Which sale goes by a name: refused where several do, since whoever acts on an order must not act on another one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select

from impactflow.errors import ConfigurationError
from impactflow.ledger.tables import order_names, orders


def find(connection: Connection, name: str, store: str | None) -> Any:
    """
    The first row of the sale that goes by a name, with or without the name's prefix; None where no sale does.

    Args:
        connection: In a transaction.
        name: Any name of the order.
        store: Whose order; None where one store alone has an order of that name.

    Raises:
        ConfigurationError: Orders of several stores go by the name, or several of one store.
    """
    named = orders.alias("named")
    query = (
        select(
            orders.c.id,
            orders.c.store,
            orders.c.order_id,
            orders.c.ordered_at,
            orders.c.eligible,
            func.min(case((order_names.c.name == name, 0), else_=1)).label("distance"),
        )
        .join(named, orders.c.id == func.coalesce(named.c.same_as, named.c.id))
        .join(order_names, order_names.c.order == named.c.id)
        .where(or_(order_names.c.name.in_([name, f"wr:{name}", f"src:{name}"]), named.c.order_id == name))
        .group_by(orders.c.id)
        .order_by("distance", orders.c.id)
    )
    if store is not None:
        query = query.where(orders.c.store == store)
    found = connection.execute(query).all()
    check_one_store(name, sorted({row.store for row in found}))
    exact = [row for row in found if row.distance == found[0].distance]
    if len(exact) > 1:
        raise ConfigurationError(
            f"{len(exact)} orders of store {exact[0].store} go by {name!r}: give the name with its prefix, such as"
            f" wr:{name}; `impactflow show` lists an order's names"
        )
    return exact[0] if exact else None


def check_one_store(name: str, stores: Sequence[str]) -> None:
    """
    See that one store alone has an order of a name.

    Raises:
        ConfigurationError: Several have.
    """
    if len(stores) > 1:
        raise ConfigurationError(f"the stores {', '.join(stores)} each have an order {name!r}: say which with --store")


def same_sale(order: Any) -> ColumnElement[bool]:
    """The rows of one sale, by the id of the first."""
    return or_(orders.c.id == order, orders.c.same_as == order)
