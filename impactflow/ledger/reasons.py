"""
What needs attention, why things are held, and why orders did not earn: each reason with how often it stands.

What is held is found by the index of what is due. Orders are taken by when they were sold, which an index finds too; an
old one of which only a webhook has told lately is found among the last that came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, union_all

from impactflow.ledger.states import NEEDS_ATTENTION, Status
from impactflow.ledger.tables import orders, placements, unearned
from impactflow.models import ProviderName

#: How many reasons are told.
_FIRST = 10
#: Among how many of the orders that came last older ones are looked for.
_LAST_ORDERS = 10_000


@dataclass(frozen=True, slots=True)
class Reason:
    """
    A reason, and how often it stands.

    Args:
        reason: As ``show`` tells it of one order.
        slot: Which slot did not earn; None for the whole order, and for what is held.
        count: How often.
    """

    reason: str
    slot: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Reasons:
    """
    Reasons.

    Args:
        first: The most frequent ones.
        others: How often all others stand, together.
    """

    first: Sequence[Reason]
    others: int


@dataclass(frozen=True, slots=True)
class Need:
    """
    Placements that need a person or a further run, for one reason.

    Args:
        status: Where they are.
        provider: Who sells.
        slot: In which slot.
        reason: Why, as the first of them has it; empty where nothing is said.
        count: How many.
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
    What needs a person or a further run.

    Args:
        first: By reason, what awaits approval last, else the most frequent ones first.
        others: How many placements more.
    """

    first: Sequence[Need]
    others: int


def of_attention(connection: Connection) -> Needs:
    """What needs a person or a further run, by reason."""
    rows = connection.execute(_ATTENTION).all()
    first = [
        Need(Status(row.status), ProviderName(row.provider), row.slot, row.reason or "", row.number, row.order_id)
        for row in rows
    ]
    return Needs(first, int(rows[0].total) - sum(each.count for each in first) if rows else 0)


def of_held(connection: Connection) -> Reasons:
    """Why placements are held."""
    return _reasons(connection, _HELD, {})


def of_unearned(connection: Connection, since: datetime) -> Reasons:
    """Why orders that were sold since then, or sold before and told of since then, earned nothing, or not all."""
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
#: A source lists the same old orders again and again; what no source lists, a webhook has told of.
_TOLD_SINCE = _OF_ORDERS.where(
    orders.c.id > select(func.max(orders.c.id)).scalar_subquery() - bindparam("last"),
    orders.c.ordered_at < bindparam("since"),
    orders.c.read_at >= bindparam("since"),
    orders.c.listed.is_(None),
)
_UNEARNED = _most_frequent(union_all(_SOLD_SINCE, _TOLD_SINCE).subquery("lately"), "slot", "reason")
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
