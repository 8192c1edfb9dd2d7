"""
Announced refunds: remembered under every name of their order, whether it is known yet or not.

A handler for the ``Writer`` and a read. The waiting placements of a refunded order are withdrawn in the transaction
that remembers the refund. A placement that was being sent then, and was not bought after all, is withdrawn before it
would be sent again (``moves``). Later plans include the refund (``planning``). A purchase that took effect is left
alone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select

from impactflow.ledger import allocations, transitions
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import UNLISTED
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.names import Identity, are_of_two, identities
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import events, order_names, orders, placements, refunds
from impactflow.models import Refund

_REASON = "a refund or the cancellation of the order was announced"
_NOT_AGAIN = "the order was refunded, or does not count any more, or it was given up, before it was sent again"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A refund of one of a store's orders, reported to a run."""

    store: str
    refund: Refund
    run_id: str
    at: datetime


def record(connection: Connection, announced: Sequence[Announcement]) -> list[int]:
    """Remember refunds, and withdraw the waiting placements of their orders; return how many for each refund."""
    for store in sorted({each.store for each in announced}):
        one_at_a_time(connection, store)  # an order that is being planned without the refund would not be seen here
    return [_withdraw(connection, each) if _is_news(connection, each) else 0 for each in announced]


def withdraw_tried(connection: Connection, ids: Sequence[int], at: datetime, run_id: str) -> int:
    """
    Withdraw planned placements that were tried before, if their order does not count or they were given up; count them.

    While they were being sent, or in doubt, neither a refund nor another reading of the order could withdraw them.
    """
    rows = connection.execute(_TRIED, {"ids": as_list([row_id] for row_id in ids)}).all()
    return sum(transitions.withdraw(connection, row, _NOT_AGAIN, at, run_id) for row in rows)


def known(connection: Connection, store: str, names: Sequence[str]) -> Mapping[str, Sequence[Refund]]:
    """The refunds of orders that have these names, by the name in the request, under any of the orders' names."""
    found: dict[str, dict[str, Refund]] = defaultdict(dict)
    values = {"store": store, "names": list(names)}
    if names and connection.execute(_ANY, {"store": store}).first():
        rows = [*connection.execute(_BY_NAME, values), *connection.execute(_BY_SALE, values)]
        of_whom = _of_whom(connection, store, {row.ref for row in rows})
        of_sale = {row.asked: row.sale for row in connection.execute(_SALES, values)} if rows else {}
        shops_ids = identities(connection, set(of_sale.values())) if rows else {}
        for row in rows:
            refund = _from_row(row)
            refund = replace(refund, names=(*refund.names, *of_whom.get(row.ref, ())))
            if _is_of(refund, shops_ids.get(of_sale.get(row.asked, 0))):
                found[row.asked][row.ref] = refund
    return {name: list(refunds_of.values()) for name, refunds_of in found.items()}


def _is_of(refund: Refund, identity: Identity | None) -> bool:
    return identity is None or not are_of_two(refund.names, identity.names)


def _of_whom(connection: Connection, store: str, refs: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The shop's ids for the orders of some refunds."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(_IDENTITIES, {"store": store, "refs": sorted(refs)}) if refs else ():
        found[row.ref].append(row.name)
    return found


def _is_news(connection: Connection, each: Announcement) -> bool:
    """Remember a refund; return whether that changed anything."""
    keys = {"store": each.store, "ref": each.refund.ref}
    before = {row.name: _from_row(row) for row in connection.execute(_BY_REF, keys)}
    merged = _merged(each.refund, before.values())
    amount = None if merged.amount is None else str(merged.amount)
    values: dict[str, Any] = {"amount": amount, "currency": merged.currency, "is_full": merged.is_full}
    values |= {"as_of": merged.as_of, "is_undone": merged.is_undone, "uncaptured": str(merged.uncaptured)}
    grown = any(replace(merged, names=(name,)) != known_before for name, known_before in before.items())
    if grown:
        mine = (refunds.c[key] == value for key, value in keys.items())
        connection.execute(refunds.update().where(*mine).values(values))
    fresh = [keys | values | {"name": name, "seen_at": each.at} for name in merged.names if name not in before]
    if fresh:
        connection.execute(refunds.insert(), fresh)
    return grown or bool(fresh)


def _merged(refund: Refund, before: Iterable[Refund]) -> Refund:
    """
    Merge a refund with earlier reports, because senders of running totals may send them in any order.

    The report with the later time holds; if reports have no time, the larger amount holds.
    """
    merged = refund
    for each in before:
        if each.as_of and merged.as_of and each.as_of != merged.as_of:
            merged = replace(max(each, merged, key=_as_of), names=merged.names)
            continue
        if merged.amount is None or (each.currency == merged.currency and (each.amount or 0) > merged.amount):
            merged = replace(merged, amount=each.amount, currency=each.currency, uncaptured=each.uncaptured)
        merged = replace(merged, is_full=merged.is_full or each.is_full)
    return merged


def _as_of(refund: Refund) -> datetime:
    return refund.as_of or datetime.min.replace(tzinfo=UTC)


def _withdraw(connection: Connection, each: Announcement) -> int:
    """Withdraw the waiting placements of a refunded order; the next reading judges it anew, refund included."""
    named = connection.execute(_ROWS, {"store": each.store, "names": list(each.refund.names)}).all()
    shops_ids = identities(connection, {row.sale for row in named}) if named else {}
    ours = [row for row in named if _is_of(each.refund, shops_ids.get(row.sale))]
    rows = [row.id for row in ours]
    first = orders.c.id.in_({row.sale for row in ours}) & (orders.c.digest != UNLISTED)  # unlisted: a person is asked
    connection.execute(orders.update().where(first).values(digest=""))
    if rows:
        allocations.outdate(connection, rows)
    if each.refund.is_undone:
        return 0
    waiting = connection.execute(_WAITING, {"orders": rows}).all()
    return sum(transitions.withdraw(connection, row, _REASON, each.at, each.run_id) for row in waiting)


def _from_row(row: Any) -> Refund:
    amount = None if row.amount is None else Decimal(row.amount)
    uncaptured = Decimal(row.uncaptured or 0)
    return Refund((row.name,), row.ref, amount, row.currency, row.is_full, row.as_of, bool(row.is_undone), uncaptured)


_NAMES: BindParameter[Any] = bindparam("names", expanding=True)
_MINE = refunds.c.store == bindparam("store")
_ANY = select(refunds.c.ref).where(_MINE).limit(1)
_BY_REF = select(refunds).where(_MINE, refunds.c.ref == bindparam("ref"))
_BY_NAME = select(refunds, refunds.c.name.label("asked")).where(_MINE, refunds.c.name.in_(_NAMES))
_ASKED, _NAMED = order_names.alias("asked"), orders.alias("named")
_FIRST = func.coalesce(_NAMED.c.same_as, _NAMED.c.id)
_BY_SALE = (
    select(refunds, _ASKED.c.name.label("asked"))
    .select_from(_ASKED)
    .join(_NAMED, _ASKED.c.order == _NAMED.c.id)
    .join(orders, or_(orders.c.id == _FIRST, orders.c.same_as == _FIRST))
    .join(order_names, order_names.c.order == orders.c.id)
    .join(refunds, (refunds.c.store == order_names.c.store) & (refunds.c.name == order_names.c.name))
    .where(_ASKED.c.store == bindparam("store"), _ASKED.c.name.in_(_NAMES))
)
_SALES = (
    select(_ASKED.c.name.label("asked"), _FIRST.label("sale"))
    .join(_NAMED, _ASKED.c.order == _NAMED.c.id)
    .where(_ASKED.c.store == bindparam("store"), _ASKED.c.name.in_(_NAMES))
)
_IDENTITIES = select(refunds.c.ref, refunds.c.name).where(
    _MINE, refunds.c.ref.in_(bindparam("refs", expanding=True)), refunds.c.name.like("id:%")
)
#: The rows of the sales that have some names.
_ROWS = (
    select(orders.c.id, func.coalesce(orders.c.same_as, orders.c.id).label("sale"))
    .join(_NAMED, or_(orders.c.id == _FIRST, orders.c.same_as == _FIRST))
    .join(order_names, order_names.c.order == _NAMED.c.id)
    .where(order_names.c.store == bindparam("store"), order_names.c.name.in_(_NAMES))
    .distinct()
)
_WAITING = (
    select(placements.c.id, placements.c.status, placements.c.attempts)
    .where(placements.c.order.in_(bindparam("orders", expanding=True)), placements.c.status.in_(WAITING))
    .order_by(placements.c.id)
    .with_for_update()
)
_OVER_AT = select(func.max(events.c.id)).where(events.c.placement == placements.c.id)
#: Whether it was cancelled until a late report of a lost answer put it in doubt once more.
_WAS_OVER = (
    _OVER_AT.where(events.c.from_status == Status.CANCELLED, events.c.to_status == Status.IN_DOUBT).scalar_subquery()
    > _OVER_AT.where(events.c.to_status == Status.CANCELLED).scalar_subquery()
)
#: Placements of sales that do not count in their last reading, or were refunded since; or given up.
_TRIED = (
    select(placements.c.id, placements.c.status, placements.c.attempts)
    .join(_NAMED, placements.c.order == _NAMED.c.id)
    .join(orders, orders.c.id == _FIRST)
    .where(
        placements.c.id.in_(select(listed("ids", {"id": placements.c.id.type}).c.id)),
        ~orders.c.eligible | (orders.c.digest == "") | _WAS_OVER,
    )
)
