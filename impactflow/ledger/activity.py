"""
Reads for events and tables that a person sees: the changes of a run, and the placements that wait for a person.

A run's changes are found behind a mark, the last event before the run began: a search of all events for one run would
take longer with every year.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select

from impactflow.ledger.states import STANDING, WAITS_FOR_A_PERSON, Status
from impactflow.ledger.tables import events, orders, placements
from impactflow.models import ProviderName

#: The number of placements of a group that are listed.
_FIRST = 20


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One placement of a group: its order, its slot, the reason for its status, and the time since when it has it."""

    order: str
    slot: str
    reason: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """
    Placements of one store and provider in one status.

    Args:
        store: The store of the orders.
        provider: The seller.
        status: The status that they have, or in which the run left them.
        count: The number of placements.
        since: The time when the first of them got this status.
        first: The first placements of the group.
    """

    store: str
    provider: ProviderName
    status: Status
    count: int
    since: datetime
    first: Sequence[GroupLine]


class Effect(NamedTuple):
    """A purchase that a run saw take effect or be completed; a tuple, since there may be very many."""

    #: The ledger's event.
    event: int
    #: The new status: placed or completed.
    status: str
    order: str
    slot: str
    provider: str
    #: The quantity, in ``unit``.
    quantity: int
    unit: str
    #: The price, if the provider says it.
    price_usd_cents: int | None
    #: The public address of the certificate, if the provider says it.
    certificate_url: str | None


def last_event(connection: Connection) -> int:
    """The mark behind which everything is that happens from now on."""
    return connection.execute(select(func.max(events.c.id))).scalar() or 0


def changed(connection: Connection, run_id: str, after: int) -> Sequence[Group]:
    """The placements that a run changed, in the status where it left them."""
    return _grouped(connection, _CHANGED, {"run_id": run_id, "after": after})


def waiting(connection: Connection, doubted_before: datetime) -> Sequence[Group]:
    """The placements that wait for a person, and those in doubt since before a time, which no run seems to resolve."""
    return _grouped(connection, _WAITING, {"doubted_before": doubted_before})


def effects(connection: Connection, run_id: str, after: int, limit: int) -> Sequence[Effect]:
    """The purchases that a run saw take effect or be completed, by event after ``after``."""
    values = {"run_id": run_id, "after": after, "limit": limit}
    return [Effect._make(row) for row in connection.execute(_EFFECTS, values)]


def _grouped(connection: Connection, query: Select[Any], values: dict[str, object]) -> Sequence[Group]:
    def group(row: Row[Any]) -> tuple[str, str, str]:
        return row.store, row.provider, row.status

    groups = []
    for (store, provider, status), rows in groupby(connection.execute(query, values), group):
        lines = list(rows)
        first = [GroupLine(row.order_id, row.slot, row.reason, row.since) for row in lines]
        groups.append(
            Group(store, ProviderName(provider), Status(status), lines[0].number, lines[0].first_since, first)
        )
    return groups


def _first_of_each(source: Any, status: ColumnElement[str]) -> Select[Any]:
    """The first placements of each group, each with its group's number and time; ``source`` has placement and at."""
    group = (orders.c.store, placements.c.provider, status)
    numbered = (
        select(
            orders.c.store,
            placements.c.provider,
            status.label("status"),
            orders.c.order_id,
            placements.c.slot,
            placements.c.reason,
            source.c.at.label("since"),
            func.count().over(partition_by=group).label("number"),
            func.min(source.c.at).over(partition_by=group).label("first_since"),
            func.row_number().over(partition_by=group, order_by=placements.c.id).label("place"),
        )
        .join(source, source.c.placement == placements.c.id)
        .join(orders, placements.c.order == orders.c.id)
        .subquery()
    )
    return (
        select(numbered)
        .where(numbered.c.place <= _FIRST)
        .order_by(numbered.c.store, numbered.c.provider, numbered.c.status, numbered.c.place)
    )


_OF_RUN = (events.c.run_id == bindparam("run_id")) & (events.c.id > bindparam("after"))
#: A run's last event of each placement. + 0: with the index on placements SQLite would walk through all events.
_LAST = select(func.max(events.c.id)).where(_OF_RUN).group_by(events.c.placement + 0)
#: Not that a purchase stands after all which was to be cancelled: that is no news of a purchase.
_IS_NEWS = ~(func.coalesce(events.c.from_status, "") == Status.CANCELLING.value) | events.c.to_status.not_in(STANDING)
_LAST_CHANGE = (
    select(events.c.placement, events.c.at, events.c.to_status).where(events.c.id.in_(_LAST), _IS_NEWS).subquery()
)
_CHANGED = _first_of_each(_LAST_CHANGE, _LAST_CHANGE.c.to_status)
_CAME = events.c.from_status.is_(None) | (events.c.from_status != events.c.to_status)
_CAME_AT = (
    select(func.max(events.c.at))
    .where(events.c.placement == placements.c.id, events.c.to_status == placements.c.status, _CAME)
    .scalar_subquery()
)
#: The time when each waiting placement got its status; if a person moved it by hand, the time when it was planned.
_ARRIVAL = (
    select(placements.c.id.label("placement"), func.coalesce(_CAME_AT, placements.c.planned_at).label("at"))
    .where(
        placements.c.status.in_(WAITS_FOR_A_PERSON)
        | (placements.c.status == Status.IN_DOUBT) & (placements.c.doubted_at < bindparam("doubted_before"))
        | (placements.c.status == Status.CANCELLING) & (placements.c.due_at < bindparam("doubted_before"))
    )
    .subquery()
)
_WAITING = _first_of_each(_ARRIVAL, placements.c.status)
_EFFECTS = (
    select(
        events.c.id,
        events.c.to_status,
        orders.c.order_id,
        placements.c.slot,
        placements.c.provider,
        placements.c.quantity,
        placements.c.unit,
        placements.c.price_usd_cents,
        placements.c.certificate_url,
    )
    .join(placements, events.c.placement == placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(_OF_RUN, events.c.to_status.in_(STANDING), _IS_NEWS)
    .order_by(events.c.id)
    .limit(bindparam("limit"))
)
