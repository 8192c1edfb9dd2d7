"""The ledger's sales that a page's sales are compared with: reads only."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, or_, select

from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import ever_bought
from impactflow.ledger.sold import Sold, Stands, likeness, reporters_from_text
from impactflow.ledger.states import UNSURE, WAITING, Status
from impactflow.ledger.tables import orders, placements, shares
from impactflow.names import systems_of


def stands_of(connection: Connection, rows: Collection[int]) -> Mapping[int, Stands]:
    """The status of the placements of sales, by the first row of each sale that has any."""
    if not rows:
        return {}
    ids = {"ids": as_list([row] for row in sorted(rows))}
    found = {first: Stands(*map(bool, stands)) for first, *stands in connection.execute(_STANDS, ids)}
    covered = connection.execute(_COVERED, ids).scalars()
    return found | {first: replace(found.get(first, Stands()), was_sent=True) for first in covered}


def sold_between(
    connection: Connection,
    store: str,
    customers: Sequence[str],
    span: tuple[datetime, datetime],
    is_wanted: Callable[[Any], bool],
) -> Sequence[Sold]:
    """The sales to customers of a store from one time to another, both included, of the wanted rows."""
    began, ended = span
    values = {"store": store, "customers": customers, "began": began, "ended": ended}
    return _as_kept_all(connection, [row for row in connection.execute(_SOLD, values) if is_wanted(row)])


def sold_in(connection: Connection, rows: Collection[int]) -> Mapping[int, Sold]:
    """The sales of some rows, by the row: each with the values of its first row."""
    if not rows:
        return {}
    first = {row.id: row.first for row in connection.execute(_FIRST, {"ids": as_list([row] for row in rows)})}
    ids = as_list([row] for row in set(first.values()))
    kept = {sold.number: sold for sold in _as_kept_all(connection, connection.execute(_ROWS, {"ids": ids}).all())}
    return {row: kept[first[row]] for row in first}


def earliest_turns(
    connection: Connection, store: str, customers: Sequence[str], apart: Collection[int]
) -> Mapping[str | None, tuple[datetime, bool, int]]:
    """The turn of each customer's earliest sale that counts, except the sales of some rows."""
    values = {"store": store, "customers": customers, "apart": as_list([row] for row in apart)}
    return {row.customer: (row.at, False, row.id) for row in connection.execute(_EARLIEST, values)}


def _as_kept_all(connection: Connection, rows: Sequence[Any]) -> Sequence[Sold]:
    stands = stands_of(connection, {row.id for row in rows})
    return [_as_kept(row, stands.get(row.id, Stands())) for row in rows]


def _as_kept(row: Any, stands: Stands) -> Sold:
    """Return a sale from its first row."""
    names = json.loads(row.facts)["names"] if row.facts else ()
    duplicates = frozenset[int](json.loads(row.duplicates or "[]"))
    is_free, waits = stands.is_free(duplicates), stands.is_planned or stands.waits
    return Sold(
        customer=row.customer,
        order_id=row.order_id,
        rows=(row.id,),
        number=row.id,
        at=row.ordered_at,
        alike=likeness_as_kept(row),
        reporters=reporters_from_text(row.reporters),
        sources=systems_of(names),
        duplicates=duplicates,
        stands=stands,
        is_due=waits and is_free,
        is_asked=waits and not is_free,
        counts=stands.was_sent or (is_free and bool(row.eligible or row.refunded)),
    )


def likeness_as_kept(row: Any) -> int:
    """The likeness of a sale as the ledger keeps it."""
    kept = json.loads(row.facts) if row.facts else {"amount": None, "currency": None}
    return likeness(row.customer, kept["amount"] and Decimal(kept["amount"]), kept["currency"])


# By the index on customers: by that on stores, or that on joined rows, SQLite would walk through all orders there are.
_WHOSE = (
    orders.c.store.concat("") == bindparam("store"),
    orders.c.customer.in_(bindparam("customers", expanding=True)),
    (orders.c.same_as + 0).is_(None),
)
_COLUMNS = tuple(
    orders.c[name]
    for name in ("id", "order_id", "ordered_at", "customer", "facts", "reporters", "duplicates", "eligible", "refunded")
)
_SOLD = select(*_COLUMNS).where(
    *_WHOSE,
    orders.c.ordered_at.between(bindparam("began"), bindparam("ended")),
    orders.c.facts.is_not(None),
)
_IDS = select(listed("ids", {"id": orders.c.id.type}).c.id)
_ROWS = select(*_COLUMNS).where(orders.c.id.in_(_IDS))
#: The first row of a sale.
_FIRST_ROW = func.coalesce(orders.c.same_as, orders.c.id)
_FIRST = select(orders.c.id, _FIRST_ROW.label("first")).where(orders.c.id.in_(_IDS))
_WAS_SENT = ever_bought() | placements.c.status.not_in((*WAITING, Status.CANCELLED))
_IS_ASKED = placements.c.status == Status.AWAITING_APPROVAL.value
_IS_PLANNED = placements.c.status == Status.PLANNED.value
_IS_APPROVED = placements.c.approved.is_not(None) & placements.c.status.in_((*UNSURE, Status.PLANNED.value))
_IS_REJECTED = (
    (placements.c.status == Status.CANCELLED.value)
    & placements.c.decided.is_not(None)
    & placements.c.approved.is_(None)
)
_STANDS = (
    select(
        _FIRST_ROW.label("first"),
        func.max(case((_WAS_SENT, 1), else_=0)).label("was_sent"),
        func.max(case((_IS_PLANNED, 1), else_=0)).label("is_planned"),
        func.max(case((placements.c.status.in_(WAITING) | _IS_REJECTED, 1), else_=0)).label("waits"),
        func.max(case((placements.c.decided.is_not(None), 1), else_=0)).label("is_answered"),
        func.max(case((_IS_APPROVED, 1), else_=0)).label("is_approved"),
        func.max(case((placements.c.status.in_(UNSURE), 1), else_=0)).label("may_return"),
        func.max(case((_IS_ASKED, 1), else_=0)).label("is_open"),
    )
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_IDS), orders.c.same_as.in_(_IDS)))
    .group_by(_FIRST_ROW)
)
#: Sales of which a purchase covers a share.
_COVERED = (
    select(_FIRST_ROW)
    .join(shares, shares.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_IDS), orders.c.same_as.in_(_IDS)), shares.c.covered > 0)
    .distinct()
)
_ROW = orders.alias("row")
_OF_SALE = placements.join(_ROW, placements.c.order == _ROW.c.id)
_OF_THIS = or_(_ROW.c.id == orders.c.id, _ROW.c.same_as == orders.c.id)
_SENT_FOR = select(placements.c.id).select_from(_OF_SALE).where(_OF_THIS, _WAS_SENT).exists()
_DUE_FOR = select(placements.c.id).select_from(_OF_SALE).where(_OF_THIS, _IS_PLANNED).exists()
_SHARES_IN = (
    select(shares.c.order).join(_ROW, shares.c.order == _ROW.c.id).where(_OF_THIS, shares.c.covered > 0).exists()
)
_COUNTS = (
    (or_(orders.c.eligible, orders.c.refunded) & or_(orders.c.duplicates.is_(None), _DUE_FOR)) | _SENT_FOR | _SHARES_IN
)
_COUNTED = select(orders.c.customer, orders.c.ordered_at, orders.c.id).where(
    *_WHOSE, _COUNTS, orders.c.id.not_in(select(listed("apart", {"id": orders.c.id.type}).c.id))
)
#: Each customer's earliest sale that counts, except sales that are set apart; of one instant, the first row's.
_RANKED = _COUNTED.add_columns(
    func.row_number().over(partition_by=orders.c.customer, order_by=(orders.c.ordered_at, orders.c.id)).label("rank")
).subquery("ranked")
_EARLIEST = select(_RANKED.c.customer, _RANKED.c.ordered_at.label("at"), _RANKED.c.id).where(_RANKED.c.rank == 1)
