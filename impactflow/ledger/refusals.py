"""
Deliveries that the receiver refused: their number by source, status and UTC day; nothing of the deliveries is kept.

Anyone who knows the receiver's address can make it refuse something, so the table has one row for each store, source,
status and day, for any number of refusals. A handler for the ``Writer`` and a read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, bindparam, func, select

from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.tables import refused_deliveries


@dataclass(frozen=True, slots=True)
class RefusedDeliveries:
    """
    A number of further refused deliveries.

    Args:
        store: The store whose receiver refused them.
        source: The source, by their path.
        day: The UTC day.
        status: The HTTP status of the answer.
        count: The number of deliveries.
    """

    store: str
    source: str
    day: date
    status: int
    count: int


def count(connection: Connection, refused: Sequence[RefusedDeliveries]) -> list[None]:
    """Add to the earlier counts."""
    for store in sorted({each.store for each in refused}):
        one_at_a_time(connection, f"deliveries of {store}")  # the same as for storing them: two locks could cross
    for each in refused:
        values = {"store": each.store, "source": each.source, "day": each.day, "status": each.status}
        named = {f"of_{name}": value for name, value in values.items()}
        if not connection.execute(_ADD, named | {"more": each.count}).rowcount:
            connection.execute(_FIRST, values | {"count": each.count})
    return [None] * len(refused)


def counted(connection: Connection, since: date, store: str | None) -> Mapping[str, Mapping[int, int]]:
    """The number of refusals on that day and later, by source and status; of one store or of all."""
    table = refused_deliveries.c
    query = (
        select(table.source, table.status, func.sum(table.count))
        .where(table.day >= since, *(() if store is None else (table.store == store,)))
        .group_by(table.source, table.status)
        .order_by(table.source, func.sum(table.count).desc(), table.status)
    )
    found: dict[str, dict[int, int]] = {}
    for source, status, number in connection.execute(query):
        found.setdefault(source, {})[status] = int(number)
    return found


_FIRST = refused_deliveries.insert()
_ADD = (
    refused_deliveries.update()
    .where(*(refused_deliveries.c[name] == bindparam(f"of_{name}") for name in ("store", "source", "day", "status")))
    .values(count=refused_deliveries.c["count"] + bindparam("more"))
)
