"""
Reasons why placements need attention or are held, and why orders did not earn, each with its count.

Held placements are found by the index of due times. Orders are selected by their sale time, which has an index too; an
old order that only a webhook has reported lately is found among the last that came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, union_all

from impactflow.ledger.states import NEEDS_ATTENTION, Status
from impactflow.ledger.tables import orders, placements, unearned
from impactflow.models import ProviderName

#: The number of reasons that are listed.
_FIRST = 10
#: The number of the newest orders among which older sales are looked for.
_LAST_ORDERS = 10_000


@dataclass(frozen=True, slots=True)
class Reason:
    """
    A reason, and its count.

    Args:
        reason: The reason, as ``show`` prints it for one order.
        slot: The slot that did not earn; None for the whole order, and for held placements.
        count: How often the reason occurs.
    """

    reason: str
    slot: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Reasons:
    """
    Reasons.

    Args:
        first: The most frequent reasons.
        others: The count of all other reasons together.
    """

    first: Sequence[Reason]
    others: int


@dataclass(frozen=True, slots=True)
class Need:
    """
    Placements that need a person or a further run, for one reason.

    Args:
        status: The status that they have.
        provider: The seller.
        slot: The slot of the placements.
        reason: The reason, as the first of them has it; empty if none is recorded.
        count: The number of placements.
        order: The order of the first of them.
    """

    status: Status
    provider: ProviderName
    slot: str
    reason: str
    count: int
    order: str


@dataclass(frozen=True, slots=True)
class Needs:
    """
    The placements that need a person or a further run, by reason.

    Args:
        first: The needs by reason: those that await approval last, the others by frequency, highest first.
        others: The number of further placements.
    """

    first: Sequence[Need]
    others: int


def of_attention(connection: Connection) -> Needs:
    """The placements that need a person or a further run, by reason."""
    rows = connection.execute(_ATTENTION).all()
    first = [
        Need(Status(row.status), ProviderName(row.provider), row.slot, row.reason or "", row.number, row.order_id)
        for row in rows
    ]
    return Needs(first, int(rows[0].total) - sum(each.count for each in first) if rows else 0)


def of_held(connection: Connection) -> Reasons:
    """The reasons why placements are held."""
    return _reasons(connection, _HELD, {})


def of_unearned(connection: Connection, since: datetime) -> Reasons:
    """The reasons why orders earned nothing, or only a part, if they were sold or reported since then."""
    stores = _stores(connection)
    return _reasons(connection, _UNEARNED, {"stores": stores, "since": since, "last": _LAST_ORDERS})


def _stores(connection: Connection) -> list[str]:
    """Every store with orders, by one look into the index for each, since a ledger may have a million orders."""
    found: list[str] = []
    while (store := connection.execute(_NEXT_STORE, {"after": found[-1] if found else ""}).scalar()) is not None:
        found.append(store)
    return found


def _reasons(connection: Connection, query: Select[Any], values: dict[str, object]) -> Reasons:
    rows = connection.execute(query, values).all()
    first = [Reason(row.reason or "", getattr(row, "slot", None) or None, row.number) for row in rows]
    return Reasons(first, int(rows[0].total) - sum(each.count for each in first) if rows else 0)


def _most_frequent(source: Any, *by: str) -> Select[Any]:
    number = func.count()
    columns = [source.c[name] for name in by]
    return (
        select(*columns, number.label("number"), func.sum(number).over().label("total"))
        .group_by(*columns)
        .order_by(number.desc(), *columns)
        .limit(_FIRST)
    )


_NEXT_STORE = select(func.min(orders.c.store)).where(orders.c.store > bindparam("after"))
#: Each provider is named, because the index begins with it.
_IS_HELD = placements.c.provider.in_(list(ProviderName)) & (placements.c.status == Status.HELD)
_HELD = _most_frequent(select(placements.c.reason).where(_IS_HELD).subquery("held"), "reason")
_OF_ORDERS = select(unearned.c.slot, unearned.c.reason).join(orders, unearned.c.order == orders.c.id)
_SOLD_SINCE = _OF_ORDERS.where(
    orders.c.store.in_(bindparam("stores", expanding=True)), orders.c.ordered_at >= bindparam("since")
)
#: A source lists the same old orders again and again; orders that no source lists were reported by a webhook.
_REPORTED_SINCE = _OF_ORDERS.where(
    orders.c.id > select(func.max(orders.c.id)).scalar_subquery() - bindparam("last"),
    orders.c.ordered_at < bindparam("since"),
    orders.c.read_at >= bindparam("since"),
    orders.c.listed.is_(None),
)
_UNEARNED = _most_frequent(union_all(_SOLD_SINCE, _REPORTED_SINCE).subquery("lately"), "slot", "reason")
_BY_REASON = (
    select(
        placements.c.status,
        placements.c.provider,
        placements.c.slot,
        placements.c.reason,
        func.count().label("number"),
        func.min(placements.c.id).label("first"),
        func.sum(func.count()).over().label("total"),
    )
    .where(placements.c.provider.in_(list(ProviderName)), placements.c.status.in_(NEEDS_ATTENTION))
    .group_by(placements.c.status, placements.c.provider, placements.c.slot, placements.c.reason)
    .order_by(placements.c.status == Status.AWAITING_APPROVAL, func.count().desc(), func.min(placements.c.id))
    .limit(_FIRST)
    .subquery("needs")
)
_OF_FIRST = placements.alias("of_first")
_ATTENTION = (
    select(_BY_REASON, orders.c.order_id)
    .join(_OF_FIRST, _OF_FIRST.c.id == _BY_REASON.c.first)
    .join(orders, orders.c.id == _OF_FIRST.c.order)
    .order_by(_BY_REASON.c.status == Status.AWAITING_APPROVAL, _BY_REASON.c.number.desc(), _BY_REASON.c.first)
)
