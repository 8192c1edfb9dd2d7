"""Questions to the ledger: reads only, each in one transaction of its own."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, false, func, or_, select

from impactflow.ledger import dismissals, sales, surplus_purchases
from impactflow.ledger.allocations import IS_SHARED
from impactflow.ledger.fresh import FIRST, IS_FRESH, IS_OFF_HOLD, WITH_FIRST, Fresh
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.pauses import IS_DOUBT_PAUSED, IS_PAUSED
from impactflow.ledger.rows import Entry, entry_from_row, names_for, placement_columns, placement_from_row
from impactflow.ledger.sales import same_sale
from impactflow.ledger.states import LONGEST_DELAY, NEEDS_ATTENTION, STANDING, UNRESOLVED, WAITING, WITHDRAWN, Status
from impactflow.ledger.tables import (
    Utc,
    allocations,
    approvals,
    broken_orders,
    events,
    order_names,
    orders,
    placements,
    refunds,
    shares,
    unearned,
)
from impactflow.models import PARTS, UNIT_OF, Kind, Placement, ProviderName, Unexplained
from impactflow.names import without_kind


@dataclass(frozen=True, slots=True)
class Total:
    """The purchases in one slot from one provider on one UTC day, in whole numbers of ``unit``."""

    day: date
    slot: str
    provider: str
    kind: str
    unit: str
    placements: int
    quantity: int
    #: None if the provider does not say prices.
    price_usd_cents: int | None
    completed: int


def next_due(
    connection: Connection,
    provider: ProviderName,
    store: str,
    statuses: Sequence[Status],
    fresh: Fresh | None,
    now: datetime,
) -> datetime | None:
    """The time when a store's first placement at a provider in these statuses, or one that may be sent, is due."""
    whose = {"provider": provider, "store": store}
    spans = [connection.execute(_NEXT_DUE, whose | {"statuses": statuses}).one()]
    if fresh is not None:
        spans.append(connection.execute(_NEXT_TO_SEND, whose | fresh.values).one())
    if any(span.last is not None and span.last > now + LONGEST_DELAY for span in spans):
        return now
    return min((span.first for span in spans if span.first is not None), default=None)


def unread(connection: Connection, store: str, fresh: Fresh) -> tuple[int, datetime | None]:
    """The number of planned placements that wait for a new reading of their orders, and the first sale time."""
    count, ordered_at = connection.execute(_UNREAD, {"store": store} | fresh.values).one()
    return count, ordered_at


def paused(connection: Connection, now: datetime) -> int:
    """The number of planned placements that only pauses hold back; those on hold are counted there."""
    count: int = connection.execute(_PAUSED, {"fresh_now": now}).scalar_one()
    return count


def on_hold(connection: Connection, now: datetime) -> tuple[int, datetime | None]:
    """The number of planned placements that are on hold, and the end of the first hold."""
    count, first = connection.execute(_ON_HOLD, {"now": now}).one()
    return count, first


def oldest_waiting(connection: Connection, store: str, now: datetime) -> datetime | None:
    """
    The sale time of the first order with something still to be sent, or that waits for a person before that.

    An order that is on hold is read again when its hold is over.
    """
    return connection.execute(_OLDEST_WAITING, {"store": store, "fresh_now": now}).scalar()


def counts(
    connection: Connection, ordered: tuple[datetime, datetime] | None = None
) -> Mapping[tuple[ProviderName, Status], int]:
    """The number of placements by provider and status, of orders sold in a half-open span of time or of all."""
    query = select(placements.c.provider, placements.c.status, func.count()).group_by(
        placements.c.provider, placements.c.status
    )
    if ordered is not None:
        began, ended = ordered
        query = query.join(orders, placements.c.order == orders.c.id).where(
            orders.c.ordered_at >= began, orders.c.ordered_at < ended
        )
    return {(ProviderName(provider), Status(status)): count for provider, status, count in connection.execute(query)}


def changes(connection: Connection) -> Mapping[tuple[Status | None, Status], int]:
    """How often placements went from one status to another; from None where they began."""
    query = select(events.c.from_status, events.c.to_status, func.count())
    return {
        (Status(from_) if from_ else None, Status(to)): count
        for from_, to, count in connection.execute(query.group_by(events.c.from_status, events.c.to_status))
    }


def known_slots(connection: Connection, store: str, names: Sequence[str]) -> Mapping[tuple[str, str], bool]:
    """
    The (name of an order, slot) pairs that have a placement already, in any status.

    The value says whether nothing is or was bought there: the placement waits for a person, or was withdrawn unsent.
    """
    named = orders.alias("named")
    query = (
        select(
            order_names.c.name,
            placements.c.slot,
            (placements.c.status.in_(_NOT_BEING_BOUGHT) & (placements.c.attempts == 0)).label("idle"),
        )
        .join(named, order_names.c.order == named.c.id)
        .join(orders, same_sale(func.coalesce(named.c.same_as, named.c.id)))
        .join(placements, placements.c.order == orders.c.id)
        .where(order_names.c.store == store, order_names.c.name.in_(names))
    )
    known: dict[tuple[str, str], bool] = {}
    for name, slot, idle in connection.execute(query):  # more than one where a name has joined two orders
        known[name, slot] = bool(idle) and known.get((name, slot), True)
    return known


def broken_count(connection: Connection) -> int:
    """The number of orders that could not be read, still cannot, and were not dismissed."""
    query = select(func.count()).select_from(broken_orders).where(~dismissals.is_dismissed())
    return connection.execute(query).scalar_one()


def broken(connection: Connection, limit: int) -> Sequence[Mapping[str, Any]]:
    """The orders that could not be read, still cannot and were not dismissed, with their problems."""
    query = select(broken_orders.c.name, broken_orders.c.problem, broken_orders.c.last_seen_at)
    shown = query.where(~dismissals.is_dismissed()).order_by(broken_orders.c.name).limit(limit)
    return [dict(row) for row in connection.execute(shown).mappings()]


def attention(connection: Connection, limit: int) -> Sequence[Mapping[str, Any]]:
    """The placements that need a person, or that an earlier run left undecided, with the reason: no personal data."""
    return [dict(row) for row in connection.execute(_ATTENTION, {"limit": limit}).mappings()]


def like_these(
    connection: Connection, statuses: Sequence[Status], slot: str | None, reason: str, store: str | None
) -> Sequence[Mapping[str, Any]]:
    """The placements in one of these statuses, of one slot and store or of all, whose reason contains a text."""
    name = select(func.min(order_names.c.name)).where(order_names.c.order == orders.c.id).scalar_subquery()
    query = (
        select(
            name.label("name"),
            orders.c.order_id.label("order"),
            orders.c.store,
            placements.c.slot,
            placements.c.provider,
            placements.c.status,
            placements.c.reason,
        )
        .join(orders, placements.c.order == orders.c.id)
        .where(placements.c.provider.in_(list(ProviderName)), placements.c.status.in_(statuses))
        .order_by(placements.c.id)
    )
    if slot is not None:
        query = query.where(placements.c.slot == slot)
    if reason:
        query = query.where(func.lower(placements.c.reason).contains(reason.lower(), autoescape=True))
    if store is not None:
        query = query.where(orders.c.store == store)
    return [dict(row) for row in connection.execute(query).mappings()]


def placed(
    connection: Connection, provider: ProviderName, store: str, due_by: datetime | None, after: int, limit: int
) -> Sequence[tuple[Placement, int]]:
    """A store's placements to track by ``due_by``, or ever, by id after ``after``; each with its number of checks."""
    values: dict[str, Any] = {"provider": provider, "store": store, "after": after, "limit": limit}
    if due_by is not None:
        values |= {"due_by": due_by, "too_late": due_by + LONGEST_DELAY}
    return [
        (placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False), row.checks)
        for row in connection.execute(_PLACED if due_by is None else _PLACED_DUE, values)
    ]


def latest(connection: Connection, provider: ProviderName, store: str, limit: int) -> Sequence[Placement]:
    """A store's latest placements that took effect at a provider, the last one first."""
    rows = connection.execute(_LATEST, {"provider": provider, "store": store, "limit": limit})
    return [placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False) for row in rows]


def open_at(connection: Connection, store: str) -> Mapping[ProviderName, int]:
    """The number of a store's placements that took effect and are not complete, at each provider that has any."""
    rows = connection.execute(_OPEN_AT, {"store": store})
    return {ProviderName(provider): count for provider, count in rows}


def stores(connection: Connection) -> Sequence[str]:
    """The stores whose orders the ledger has, in the order of their names."""
    found: list[str] = []
    while (store := connection.execute(_NEXT_STORE, {"after": found[-1] if found else ""}).scalar()) is not None:
        found.append(store)  # from one to the next along the index: DISTINCT would read every order
    return found


def used(connection: Connection, store: str) -> frozenset[ProviderName]:
    """The providers at which a store has placements, in any status."""
    return frozenset(
        name
        for name in ProviderName
        if connection.execute(_USED, {"provider": name, "store": store}).first() is not None
    )


def taken(connection: Connection, provider: ProviderName, refs: Sequence[str]) -> Sequence[Placement]:
    """The placements that hold these purchases of a provider's: no other placement can hold them."""
    names = select(listed("names", {"ref": placements.c.ref.type}).c.ref)
    query = (
        select(*placement_columns())
        .join(orders, placements.c.order == orders.c.id)
        .where(placements.c.provider == provider, placements.c.ref.in_(names))
    )
    values = {"names": as_list([name] for ref in refs for name in names_for(ref))}
    return [
        placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        for row in connection.execute(query, values)
    ]


def unexplained(connection: Connection, placement: Placement, refs: Sequence[str]) -> Unexplained:
    """The purchases, among these, that no other placement explains, and how many others may have bought them."""
    explained = {holder.provider_ref for holder in taken(connection, placement.provider, refs)}
    others_further = surplus_purchases.known(connection, placement.provider, refs)
    explained |= {ref for ref, entry in others_further if entry.placement.id != placement.id}
    others = connection.execute(_UNKNOWN_LIKE, {"like": placement.id}).scalar_one()
    return Unexplained(frozenset(refs) - explained, others)


def holders(
    connection: Connection, provider: ProviderName, refs: Sequence[str], keys: Sequence[str]
) -> Sequence[Entry]:
    """The placements that hold these purchases of a provider's, and the placements with these keys, in any status."""
    names = {"texts": as_list([name] for ref in refs for name in names_for(ref))}
    found = [*connection.execute(_BY_REF, names | {"provider": provider})]
    found += connection.execute(_BY_KEY, {"texts": as_list([key] for key in keys)})
    return [entry_from_row(row) for row in found]


def standing(
    connection: Connection, provider: ProviderName, store: str, span: tuple[datetime, datetime], after: int, limit: int
) -> Sequence[Entry]:
    """A store's placements that took effect in a half-open span of time and stand, by id after ``after``."""
    began, ended = span
    values = {"provider": provider, "store": store, "began": began, "ended": ended, "after": after, "limit": limit}
    return [entry_from_row(row) for row in connection.execute(_STANDING, values)]


def uncertain(connection: Connection, provider: ProviderName, store: str, since: datetime) -> Sequence[Entry]:
    """A store's placements tried since then that may have bought more than they hold: parked, or sent again since."""
    values = {"provider": provider, "store": store, "since": since}
    return [entry_from_row(row) for row in connection.execute(_UNCERTAIN, values)]


def bought_before(
    connection: Connection, provider: ProviderName, store: str, span: tuple[datetime, datetime]
) -> Sequence[Entry]:
    """A store's placements that took effect in a span of time, if another one of the same sale and slot did too."""
    began, ended = span
    values = {"provider": provider, "store": store, "began": began, "ended": ended}
    return [entry_from_row(row) for row in connection.execute(_BOUGHT_BEFORE, values)]


def slot(connection: Connection, name: str, slot: str, store: str | None) -> Sequence[Entry]:
    """
    An order's placements in one slot, by any of its names; ``store`` where several stores have an order of that name.

    There is one, or none; there are more only if a name has joined two orders that were read apart.

    Raises:
        ConfigurationError: Several orders have this name.
    """
    found = sales.find(connection, name, store)
    if found is None:
        return []
    query = (
        select(*placement_columns())
        .join(orders, placements.c.order == orders.c.id)
        .where(same_sale(found.id), placements.c.slot == slot)
        .order_by(placements.c.id)
    )
    return [entry_from_row(row) for row in connection.execute(query)]


def totals(connection: Connection, days: tuple[date, date] | None = None) -> Sequence[Total]:
    """The purchases that took effect, per day, slot and provider; between two days, both included, or ever."""
    query = (
        select(
            placements.c.placed_on,
            placements.c.slot,
            placements.c.provider,
            placements.c.kind,
            placements.c.unit,
            func.count(),
            func.sum(placements.c.quantity),
            func.sum(placements.c.price_usd_cents),
            func.sum(case((placements.c.status == Status.COMPLETED, 1), else_=0)),
        )
        .where(placements.c.placed_on.is_not(None), placements.c.status != Status.CANCELLED)
        .group_by(
            placements.c.placed_on, placements.c.slot, placements.c.provider, placements.c.kind, placements.c.unit
        )
        .order_by(placements.c.placed_on, placements.c.slot, placements.c.provider)
    )
    if days is not None:
        query = query.where(placements.c.placed_on.between(*days))
    return [
        Total(day, slot, provider, kind, unit, count, int(quantity), None if price is None else int(price), int(done))
        for day, slot, provider, kind, unit, count, quantity, price, done in connection.execute(query)
    ]


def _not_read(connection: Connection, store: str, names: Iterable[str]) -> Mapping[str, Any]:
    """The report of an order that was read before and later could not be read, and its dismissals."""
    query = select(broken_orders).where(broken_orders.c.store == store, broken_orders.c.name.in_(sorted(names)))
    return {
        "not_read": [dict(row) for row in connection.execute(query.where(~dismissals.is_dismissed())).mappings()],
        "dismissed": dismissals.of(connection, store, names),
    }


def purchases(connection: Connection) -> Sequence[Mapping[str, Any]]:
    """Every purchase that took effect, to be compared with a provider's books: no personal data."""
    rows = connection.execute(
        select(
            orders.c.order_id,
            placements.c.slot,
            placements.c.key,
            placements.c.provider,
            placements.c.kind,
            placements.c.unit,
            placements.c.quantity,
            placements.c.ref,
            placements.c.status,
        )
        .join(orders, placements.c.order == orders.c.id)
        .where(placements.c.placed_at.is_not(None))
        .order_by(placements.c.id)
    )
    return [dict(row) for row in rows.mappings()]


def story(connection: Connection, name: str, store: str | None) -> Mapping[str, Any] | None:
    """
    One order's whole life, by any of its names with or without the prefix; None if no order has the name.

    Raises:
        ConfigurationError: Several orders have this name.
    """
    found = sales.find(connection, name, store)
    if found is None:
        of_store = (broken_orders.c.store == store,) if store is not None else ()
        query = select(broken_orders, dismissals.is_dismissed().label("dismissed")).order_by(broken_orders.c.store)
        query = query.where(broken_orders.c.name == name, *of_store)
        broken = [dict(row) for row in connection.execute(query).mappings()]
        sales.check_one_store(name, [row["store"] for row in broken])
        if not broken:
            return None
        return {"order": name, "broken": broken[0], "dismissed": dismissals.of(connection, broken[0]["store"], [name])}
    rows = select(orders.c.id).where(same_sale(found.id))
    names = select(order_names.c.name).where(order_names.c.order.in_(rows)).order_by(order_names.c.name)
    reasons = select(unearned.c.slot, unearned.c.reason).where(unearned.c.order == found.id)
    bought = select(placements).where(placements.c.order.in_(rows)).order_by(placements.c.id)
    known_as = list(connection.execute(names).scalars())
    return {
        "order": found.order_id,
        "store": found.store,
        "ordered_at": found.ordered_at,
        "counts": found.eligible,
        **_last_report(found.facts),
        "names": known_as,
        "refunds": _given_back(connection, found.store, known_as),
        **_not_read(connection, found.store, {found.order_id, *map(without_kind, known_as)}),
        "unearned": [dict(row) for row in connection.execute(reasons).mappings()],
        "placements": [_life(connection, dict(row)) for row in connection.execute(bought).mappings()],
        "shares": [_share(connection, row) for row in connection.execute(_SHARES_OF, {"order": found.id})],
    }


def _last_report(facts: str | None) -> Mapping[str, Any]:
    """The values of an order's last report; each is None if the ledger did not keep it yet."""
    kept = json.loads(facts) if facts is not None else {}
    return {name: kept.get(name) for name in ("amount", "currency", "items", "payments")}


def _given_back(connection: Connection, store: str, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The announced refunds of a sale, each refund once, under any of its names."""
    columns = (refunds.c.ref, refunds.c.amount, refunds.c.currency, refunds.c.is_full)
    first = func.min(refunds.c.seen_at).label("seen_at")
    query = select(*columns, first).where(refunds.c.store == store, refunds.c.name.in_(names)).group_by(*columns)
    mine = query.order_by(first, refunds.c.ref)
    return [dict(row) for row in connection.execute(mine).mappings()]


def _share(connection: Connection, row: Any) -> Mapping[str, Any]:
    """A share of purchases for many orders, in its unit, exact, with the purchases that cover it; also of a lot."""
    covering = connection.execute(_COVERING, {"order": row.order, "slot": row.slot}).mappings().all()
    return {
        "slot": row.slot,
        "unit": UNIT_OF[Kind(row.kind)].value,
        **{name: Fraction(getattr(row, name), PARTS) for name in ("earned", "owed", "covered")},
        "on_hold_until": row.buy_from,
        "is_of_own_purchase": row.is_own,
        "purchases": [{**each, "parts": Fraction(int(each["parts"]), PARTS)} for each in covering if each["parts"]],
    }


def _life(connection: Connection, row: Mapping[str, Any]) -> Mapping[str, Any]:
    happened = connection.execute(select(events).where(events.c.placement == row["id"]).order_by(events.c.id))
    decisions = select(approvals).where(approvals.c.placement == row["id"]).order_by(approvals.c.id)
    hidden = {"id", "order", "look_alike", "unresolved_look_alike", "placement", "approved", "decided", "outdated"}
    hidden |= {"known_as", "is_renamed", "forgotten"}
    decided = [
        {name: value for name, value in each.items() if name not in hidden}
        for each in connection.execute(decisions).mappings()
    ]
    life = [{name: value for name, value in event.items() if name not in hidden} for event in happened.mappings()]
    return {name: value for name, value in row.items() if name not in hidden} | {"approvals": decided, "events": life}


_SHARES_OF = (
    select(
        shares,
        select(placements.c.id)
        .where(placements.c.order == shares.c.order, placements.c.slot == shares.c.slot, IS_SHARED)
        .correlate(shares)
        .exists()
        .label("is_own"),
    )
    .join(orders, shares.c.order == orders.c.id)
    .where(same_sale(bindparam("order")))
    .order_by(shares.c.slot)
)
_LOT = orders.alias("lot")
_PART = func.sum(allocations.c.parts)
_COVERING = (
    select(
        _LOT.c.order_id.label("purchase"),
        placements.c.provider,
        placements.c.status,
        placements.c.quantity,
        placements.c.ref,
        placements.c.placed_at,
        placements.c.certificate_url,
        _PART.label("parts"),
    )
    .join(placements, allocations.c.lot == placements.c.id)
    .join(_LOT, placements.c.order == _LOT.c.id)
    .where(allocations.c.order == bindparam("order"), placements.c.slot == bindparam("slot"))
    .group_by(_LOT.c.order_id, placements.c.id)
    .order_by(placements.c.id)
)
_ATTENTION = (
    select(
        orders.c.order_id,
        placements.c.slot,
        placements.c.provider,
        placements.c.status,
        placements.c.reason,
        placements.c.due_at,
    )
    .join(orders, placements.c.order == orders.c.id)
    # Each provider is named, because the index on statuses begins with it.
    .where(placements.c.provider.in_(list(ProviderName)), placements.c.status.in_(NEEDS_ATTENTION))
    .order_by(placements.c.status == Status.AWAITING_APPROVAL, placements.c.status, placements.c.id)
    .limit(bindparam("limit"))
)
_NOT_BEING_BOUGHT = (Status.HELD, Status.AWAITING_APPROVAL, *WITHDRAWN)
# The queries of every round of work are built once.
_STATUSES: BindParameter[Any] = bindparam("statuses", expanding=True)
_NEXT_DUE = (
    select(func.min(placements.c.due_at).label("first"), func.max(placements.c.due_at).label("last"))
    .join(orders, placements.c.order == orders.c.id)
    .where(
        placements.c.provider == bindparam("provider"),
        placements.c.status.in_(_STATUSES),
        orders.c.store == bindparam("store"),
        (placements.c.status != Status.IN_DOUBT.value) | ~IS_DOUBT_PAUSED,
    )
)
_NEXT_TO_SEND = (
    select(func.min(placements.c.due_at).label("first"), func.max(placements.c.due_at).label("last"))
    .select_from(WITH_FIRST)
    .where(
        placements.c.provider == bindparam("provider"),
        placements.c.status == Status.PLANNED.value,
        orders.c.store == bindparam("store"),
        IS_FRESH,
        IS_OFF_HOLD,
        ~IS_PAUSED,
    )
)
_UNREAD = (
    select(func.count(), func.min(FIRST.c.ordered_at))
    .select_from(WITH_FIRST)
    .where(
        FIRST.c.store == bindparam("store"),
        placements.c.status == Status.PLANNED.value,
        ~func.coalesce(IS_FRESH, false()),
        IS_OFF_HOLD,
    )
)
_ON_HOLD = select(func.count(), func.min(placements.c.buy_from)).where(
    placements.c.status == Status.PLANNED.value, placements.c.buy_from > bindparam("now", type_=Utc())
)
_PAUSED = (
    select(func.count())
    .select_from(placements.join(orders, placements.c.order == orders.c.id))
    .where(placements.c.status == Status.PLANNED.value, IS_PAUSED, IS_OFF_HOLD)
)
_OLDEST_WAITING = (
    select(func.min(FIRST.c.ordered_at))
    .select_from(WITH_FIRST)
    .where(FIRST.c.store == bindparam("store"), placements.c.status.in_(WAITING), IS_OFF_HOLD)
)
_PLACED = (
    select(*placement_columns())
    .join(orders, placements.c.order == orders.c.id)
    .where(
        placements.c.provider == bindparam("provider"),
        orders.c.store == bindparam("store"),
        placements.c.status == Status.PLACED.value,
        placements.c.id > bindparam("after"),
    )
    .order_by(placements.c.id)
    .limit(bindparam("limit"))
)
_PLACED_DUE = _PLACED.where(
    (placements.c.due_at <= bindparam("due_by")) | (placements.c.due_at > bindparam("too_late"))
)
_LIKE = placements.alias("like")
#: Other placements of the same kind and quantity that may have bought.
_UNKNOWN_LIKE = (
    select(func.count())
    .select_from(placements)
    .join(
        _LIKE,
        (_LIKE.c.provider == placements.c.provider)
        & (_LIKE.c.kind == placements.c.kind)
        & (_LIKE.c.quantity == placements.c.quantity)
        & (_LIKE.c.id != placements.c.id),
    )
    .where(_LIKE.c.id == bindparam("like"), placements.c.status.in_((*UNRESOLVED, Status.PARKED)))
)
_OPEN_AT = (
    select(placements.c.provider, func.count())
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.status == Status.PLACED.value, orders.c.store == bindparam("store"))
    .group_by(placements.c.provider)
)
_NEXT_STORE = select(func.min(orders.c.store)).where(orders.c.store > bindparam("after"))
_USED = (
    select(placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.provider == bindparam("provider"), orders.c.store == bindparam("store"))
    .limit(1)
)
_LATEST = (
    select(*placement_columns())
    .join(orders, placements.c.order == orders.c.id)
    .where(
        placements.c.provider == bindparam("provider"),
        placements.c.status.in_([*STANDING, Status.CANCELLING]),
        orders.c.store == bindparam("store"),
    )
    .order_by(placements.c.id.desc())
    .limit(bindparam("limit"))
)
_ALL = select(*placement_columns()).join(orders, placements.c.order == orders.c.id)
_TEXTS = select(listed("texts", {"text": placements.c.ref.type}).c.text)
_BY_REF = _ALL.where(placements.c.provider == bindparam("provider"), placements.c.ref.in_(_TEXTS))
_BY_KEY = _ALL.where(placements.c.key.in_(_TEXTS))
_SENT_AGAIN = select(events.c.placement).where(
    events.c.from_status.in_([Status.IN_DOUBT, Status.PARKED]),
    events.c.to_status == Status.PLANNED,
    events.c.at >= bindparam("since"),
)
_UNCERTAIN = _ALL.where(
    placements.c.provider == bindparam("provider"),
    orders.c.store == bindparam("store"),
    placements.c.attempted_at >= bindparam("since"),
    or_(placements.c.status == Status.PARKED, placements.c.id.in_(_SENT_AGAIN)),
).order_by(placements.c.id)
_EARLIER, _EARLIER_ROW = placements.alias("earlier"), orders.alias("earlier_row")
_BOUGHT_BEFORE = _ALL.where(
    orders.c.same_as.is_not(None),  # a name has joined two rows that were read, and bought for, apart
    placements.c.provider == bindparam("provider"),
    orders.c.store == bindparam("store"),
    placements.c.placed_at >= bindparam("began"),
    placements.c.placed_at < bindparam("ended"),
    placements.c.status.in_(STANDING),
    select(_EARLIER.c.id)
    .join(_EARLIER_ROW, _EARLIER.c.order == _EARLIER_ROW.c.id)
    .where(
        or_(
            _EARLIER_ROW.c.id == orders.c.same_as,
            (_EARLIER_ROW.c.same_as == orders.c.same_as) & (_EARLIER_ROW.c.id < orders.c.id),
        ),
        _EARLIER.c.slot == placements.c.slot,
        _EARLIER.c.status.in_(STANDING),
    )
    .exists(),
).order_by(placements.c.id)
_STANDING = (
    _ALL.where(
        placements.c.id > bindparam("after"),
        orders.c.store == bindparam("store"),
        placements.c.placed_at >= bindparam("began"),
        placements.c.placed_at < bindparam("ended"),
        # || '': each page goes on along the ids; by the index on these two it would sort half of the table each time.
        placements.c.provider.concat("") == bindparam("provider"),
        placements.c.status.concat("").in_(STANDING),
    )
    .order_by(placements.c.id)
    .limit(bindparam("limit"))
)
