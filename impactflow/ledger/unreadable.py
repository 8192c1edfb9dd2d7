"""Orders that could not be read: they are kept with their problems until they can be read."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from impactflow.ledger import forgotten
from impactflow.ledger.pages import Page
from impactflow.ledger.tables import broken_orders
from impactflow.names import order_id_of


def mend_lines(connection: Connection, readings: Sequence[tuple[str, str, datetime]]) -> list[None]:
    """Forget lines of a file that were broken before a time and not since, when all of the file was read."""
    for store, file, began in readings:
        is_line = broken_orders.c.name.startswith(f"{file} line ", autoescape=True)
        is_old = (broken_orders.c.store == store) & (broken_orders.c.last_seen_at < began)
        connection.execute(broken_orders.delete().where(is_old, is_line))
    return [None] * len(readings)


def write_broken(connection: Connection, page: Page) -> None:
    """Keep a page's orders that could not be read, and forget those that can be read by now."""
    if connection.execute(_ANY, {"store": page.store}).first():
        readable = {order.id for order, _ in page.earnings}
        readable |= {order_id_of(name) for order, _ in page.earnings for name in order.names}
        connection.execute(_MENDED, {"store": page.store, "names": sorted(readable)})
    problems = forgotten.cleared(connection, [each.problem for each in page.broken])
    for broken, problem in zip(page.broken, problems, strict=True):
        name = broken.id or "?" + hashlib.sha256(broken.problem.encode()).hexdigest()[:12]
        seen = {"problem": problem, "last_seen_at": page.at}
        known = (broken_orders.c.store == page.store) & (broken_orders.c.name == name)
        if not connection.execute(broken_orders.update().where(known).values(**seen)).rowcount:
            row = {"store": page.store, "name": name, "first_seen_at": page.at} | seen
            connection.execute(broken_orders.insert().values(**row))


_ANY = select(broken_orders.c.name).where(broken_orders.c.store == bindparam("store")).limit(1)
_MENDED = broken_orders.delete().where(
    broken_orders.c.store == bindparam("store"), broken_orders.c.name.in_(bindparam("names", expanding=True))
)
