"""
Unreadable orders that a person has dismissed: they need no one any more, and the person's name is kept for good.

A handler for the ``Writer``, and the filters for reads of broken orders. A dismissal covers one problem of one order
since it was first seen: another problem is shown again, and a good reading mends the order as always.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select

from impactflow.errors import ConfigurationError
from impactflow.ledger import sales
from impactflow.ledger.tables import broken_orders, deliveries, dismissals


@dataclass(frozen=True, slots=True)
class Dismissal:
    """
    A person's word about an order that could not be read.

    Args:
        name: The name under which it is listed.
        by: The person.
        why: The reason why no action is needed.
        at: The time of the dismissal.
        store: The store of the order; None if only one store has an order of that name.
    """

    name: str
    by: str
    why: str
    at: datetime
    store: str | None = None


def dismiss(connection: Connection, given: Sequence[Dismissal]) -> list[str]:
    """
    Keep the dismissals; return for each the problem that is dismissed.

    Raises:
        ConfigurationError: Nothing with that name needs a person.
    """
    return [_dismiss(connection, each) for each in given]


def _dismiss(connection: Connection, given: Dismissal) -> str:
    of_store = (broken_orders.c.store == given.store,) if given.store is not None else ()
    query = select(broken_orders).where(broken_orders.c.name == given.name, *of_store).order_by(broken_orders.c.store)
    found = connection.execute(query.where(~is_dismissed())).all()
    sales.check_one_store(given.name, [row.store for row in found])
    if not found:
        raise ConfigurationError(
            f"nothing by the name {given.name!r} waits that could not be read: `impactflow status` lists what does"
        )
    values = {"store": found[0].store, "name": given.name, "problem": found[0].problem}
    connection.execute(dismissals.insert().values(**values, at=given.at, by=given.by, why=given.why))
    return str(found[0].problem)


def is_dismissed() -> ColumnElement[bool]:
    """Whether a person has dismissed the problem of a row of ``broken_orders``."""
    return exists().where(
        dismissals.c.store == broken_orders.c.store,
        dismissals.c.name == broken_orders.c.name,
        dismissals.c.problem == broken_orders.c.problem,
        dismissals.c.at >= broken_orders.c.first_seen_at,
    )


def is_dismissed_delivery() -> ColumnElement[bool]:
    """Whether a person has dismissed the problem of a row of ``deliveries`` since it could not be read."""
    return exists().where(
        dismissals.c.store == deliveries.c.store,
        dismissals.c.name == deliveries.c.listed_as,
        dismissals.c.problem == deliveries.c.problem,
        dismissals.c.at >= deliveries.c.handled_at,
    )


def of(connection: Connection, store: str, names: Iterable[str]) -> Sequence[Mapping[str, Any]]:
    """The dismissals of the orders listed under these names: time, person, reason and problem."""
    query = select(dismissals.c.name, dismissals.c.problem, dismissals.c.at, dismissals.c.by, dismissals.c.why)
    mine = query.where(dismissals.c.store == store, dismissals.c.name.in_(sorted(names))).order_by(dismissals.c.id)
    return [dict(row) for row in connection.execute(mine).mappings()]
