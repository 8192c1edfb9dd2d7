"""
Lots: one purchase in a slot for many orders.

A lot is a placement like any other, whose row among the orders stands for itself: claims, doubts, tracking and audits
know no difference. Which orders it covers, and with how much of each, is fixed in the transaction that draws it. A lot
of which nothing was sent is given up if an order or the policy changes, and drawn anew under another number; from then
on only a refund moves a part of it, to the slot's credit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, bindparam, case, cast, func, not_, or_, select

from impactflow.ledger import allocations, netting, transitions
from impactflow.ledger.allocations import OWN_PART, Author, Entry
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import FIRST, UNLISTED, WAS_LISTED, Fresh
from impactflow.ledger.netting import Credit
from impactflow.ledger.plan_rows import Day, impact_values, placement_key, planned_on_day, write_day
from impactflow.ledger.states import STANDING, UNRESOLVED, WAITING, Status
from impactflow.ledger.tables import Utc, events, order_names, orders, placements, shares
from impactflow.ledger.tables import allocations as journal
from impactflow.models import PARTS, Order, Pool
from impactflow.names import lot_name


@dataclass(frozen=True, slots=True)
class Drawing:
    """
    A request to draw the lots of a store that are due.

    Args:
        store: The store.
        pools: The slots in which lots are bought, as they stand now.
        fresh: The conditions for sending: what does not meet them waits until its order is read again.
        at: The present time.
        run_id: The run.
    """

    store: str
    pools: Sequence[Pool]
    fresh: Fresh
    at: datetime
    run_id: str


@dataclass(frozen=True, slots=True)
class Outdated:
    """
    A request to give up a store's waiting lots that were drawn under another policy than this digest.

    Also of those of which an order has earned something else since, while the lot was in doubt.
    """

    store: str
    policy: str
    at: datetime
    run_id: str


def draw(connection: Connection, drawings: Sequence[Drawing]) -> list[int]:
    """
    Draw the lots that are due; return how many.

    In each slot credit is used first, then one lot is drawn, if enough whole units are owed and its period has none.

    Raises:
        LedgerError: The parts of a lot do not add up to its quantity: nothing of it is written.
    """
    return [_draw_all(connection, each) for each in drawings]


def give_up_outdated(connection: Connection, wanted: Sequence[Outdated]) -> list[int]:
    """Give up waiting lots whose policy or orders have changed: the orders are judged again; return how many."""
    return [_give_up_outdated(connection, each) for each in wanted]


def give_up(connection: Connection, lot: int, reason: str, day: Day, by: Author) -> None:
    """
    Give up a lot, unless it was claimed meanwhile: its shares are free again, and it is never sent.

    Args:
        connection: In a transaction in which no other program plans for the store.
        lot: The lot's placement.
        reason: The reason, for a person.
        day: The quantities planned today.
        by: Who gives it up.
    """
    row = connection.execute(_SEEN, {"lot": lot}).one()
    if row.status not in WAITING or not transitions.withdraw(connection, row, reason, by.at, by.run_id):
        return
    set_free(connection, lot, by)
    if row.status == Status.PLANNED and row.approved is None:  # else it was not counted
        day.give_back(connection, by.store, row.slot, row.planned_at, row.quantity)


def set_free(connection: Connection, lot: int, by: Author) -> None:
    """Let a lot cover nothing any more: its shares are free for the next one."""
    row = select(placements.c.order).where(placements.c.id == lot).scalar_subquery()
    connection.execute(_JUDGE_ANEW, {"of_lot": lot})
    allocations.take_back(connection, lot, by.at, by.run_id)
    connection.execute(orders.update().where(orders.c.id == row).values(eligible=False, policy=None))


def oldest_due(connection: Connection, store: str, pools: Sequence[Pool]) -> datetime | None:
    """The sale time of the first order with a share in a lot that its period still lacks."""
    due = [
        connection.execute(_OLDEST, _whose(store, pool) | {"before": pool.since}).scalar()
        for pool in pools
        if pool.since is not None and not _was_drawn_since(connection, store, pool.slot, pool.since)
    ]
    return min((at for at in due if at is not None), default=None)


def unbalanced(connection: Connection, store: str) -> frozenset[str]:
    """The slots of a store with credit, or with shares or a lot that wait: few, or none."""
    found = connection.execute(_UNBALANCED, {"store": store}).scalars()
    return frozenset(found) | {row.slot for row in connection.execute(_WAITING, {"store": store})}


def _draw_all(connection: Connection, drawing: Drawing) -> int:
    one_at_a_time(connection, drawing.store)  # no planner changes a share meanwhile
    day = planned_on_day(connection, drawing.store, drawing.at)
    _renew(connection, drawing, day)
    drawn = sum(_draw(connection, drawing, pool, day) for pool in drawing.pools)
    write_day(connection, drawing.store, day)
    return drawn


def _renew(connection: Connection, drawing: Drawing, day: Day) -> None:
    """Let waiting lots be sent whose orders were all read lately; give up those that have waited for that for days."""
    for row in connection.execute(_WAITING, {"store": drawing.store}).all():
        values = {"lot": row.lot, "lot_row": row.row, "store": drawing.store} | drawing.fresh.values
        if not row.eligible or row.outdated or row.policy != drawing.fresh.policy:
            continue  # given up before its orders are judged again
        if connection.execute(_UNREADY, values).first() is None:
            connection.execute(orders.update().where(orders.c.id == row.row).values(read_at=drawing.at))
        elif row.read_at < drawing.at - _UNREAD_FOR:
            give_up(connection, row.lot, "an order for which it was is not read any more", day, drawing)


def _give_up_outdated(connection: Connection, wanted: Outdated) -> int:
    waiting = connection.execute(_WAITING, {"store": wanted.store}).all()
    outdated = [row.lot for row in waiting if not row.eligible or row.outdated or row.policy != wanted.policy]
    if outdated:
        one_at_a_time(connection, wanted.store)
        day = planned_on_day(connection, wanted.store, wanted.at)
        for lot in outdated:
            give_up(connection, lot, "the policy, or an order for which it was, has changed", day, wanted)
        write_day(connection, wanted.store, day)
    return len(outdated)


def _draw(connection: Connection, drawing: Drawing, pool: Pool, day: Day) -> bool:
    """Use the credit of a slot, and draw a lot if one is due; return whether one was drawn."""
    left = _use_credit(connection, drawing, pool)
    if pool.is_for_one and pool.takes_credit and left and netting.share_credit(connection, drawing, pool, left, day):
        _use_credit(connection, drawing, pool, whole=True)
    if _is_under_way(connection, drawing.store, pool.slot):
        return False
    if pool.since is not None and _was_drawn_since(connection, drawing.store, pool.slot, pool.since):
        return False
    quantity = min(pool.most, _ready_units(connection, drawing, pool))
    if quantity < (1 if pool.is_for_one else pool.least):  # what is left of an order that was to be bought for
        return False
    lot = _begin(connection, drawing, pool, quantity, day)
    _cover(connection, drawing, pool, lot, quantity * PARTS)
    allocations.check(connection, lot)
    return True


def _is_under_way(connection: Connection, store: str, slot: str) -> bool:
    """Whether a lot of a slot is not sent yet, or its outcome is unknown: no other one is drawn meanwhile."""
    return connection.execute(_UNDER_WAY, {"store": store, "slot": slot}).first() is not None


def _was_drawn_since(connection: Connection, store: str, slot: str, since: datetime) -> bool:
    """Whether a lot of a slot was drawn since a time, and not given up."""
    return connection.execute(_DRAWN, {"store": store, "slot": slot, "since": since}).first() is not None


def _ready_units(connection: Connection, drawing: Drawing, pool: Pool) -> int:
    """The number of whole units in a slot's shares that may be bought now."""
    row = connection.execute(_TOTAL, _values(drawing, pool)).one()
    return (int(row.units) * PARTS + int(row.parts)) // PARTS


def _use_credit(connection: Connection, drawing: Drawing, pool: Pool, *, whole: bool = False) -> Sequence[Credit]:
    """Cover shares with what is bought already, and owed to no order; return the whole units that are left."""
    left, wanted = list[Credit](), pool.lot(1)
    for row in connection.execute(_CREDIT, _whose(drawing.store, pool) | {"provider": wanted.provider.value}).all():
        if not (row.is_adopted or _is_alike(json.loads(row.options), wanted.options)):
            continue
        parts = row.parts // PARTS * PARTS if whole else row.parts
        used = _cover(connection, drawing, pool, row.lot, parts, sold_before=row.sold_before)
        left += [Credit(units, row.sold_before)] if (units := (row.parts - used) // PARTS) else []
        if not used:
            continue
        allocations.add(connection, row.lot, [Entry(row.row, -used)], drawing.at, drawing.run_id)
        allocations.check(connection, row.lot)
    return left


def _is_alike(bought: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether what was bought is what is wanted: the same campaign, category and portfolio."""
    return all(bought.get(name) == wanted.get(name) for name in _WHICH)


def _cover(
    connection: Connection, drawing: Drawing, pool: Pool, lot: int, parts: int, sold_before: datetime | None = None
) -> int:
    """
    Cover the oldest ready shares of a slot with parts of a lot; return how many parts.

    Args:
        connection: An open transaction.
        drawing: The request.
        pool: The slot.
        lot: The lot's placement.
        parts: The most parts.
        sold_before: Only shares of orders that were sold before this time; None for all.
    """
    mark = allocations.last(connection)
    values = _values(drawing, pool) | {"lot": lot, "wanted": parts, "at": drawing.at, "run_id": drawing.run_id}
    values |= {"wanted_units": parts // PARTS}
    if sold_before is not None:
        values["before"] = min(values["before"], sold_before)
    connection.execute(_COVER, values)
    allocations.count(connection, lot, mark)
    added = select(func.coalesce(func.sum(journal.c.parts), 0)).where(journal.c.lot == lot, journal.c.id > mark)
    return int(connection.execute(added).scalar_one())


def _begin(connection: Connection, drawing: Drawing, pool: Pool, quantity: int, day: Day) -> int:
    """Write a lot: its row among the orders, and its placement; return the latter."""
    store, at = drawing.store, drawing.at
    number = connection.execute(_LAST_NUMBER, {"store": store, "slot": pool.slot}).scalar_one() + 1
    name = lot_name(pool.slot, number)
    row = new_row(connection, store, name, number, at, policy=drawing.fresh.policy)
    impact = pool.lot(quantity)
    alike = Order(name, (name,), at, None, None, None, ())
    values: dict[str, Any] = {
        "order": row,
        "slot": pool.slot,
        "key": placement_key(store, name, pool.slot),
        "attempts": 0,
        "checks": 0,
        "planned_at": at,
    } | day.ration(impact_values(impact, alike, at), impact)
    detail = values["reason"] or f"{values['quantity']} {values['unit']}"
    transitions.start(connection, [values], [detail], at, drawing.run_id)
    made: int = connection.execute(select(placements.c.id).where(placements.c.key == values["key"])).scalar_one()
    return made


def new_row(connection: Connection, store: str, name: str, number: int, at: datetime, *, policy: str | None) -> int:
    """Write the row that stands for a lot among the orders; return it."""
    values = {
        "store": store,
        "order_id": name,
        "ordered_at": at,
        "eligible": True,
        "digest": name,
        "policy": policy,
        "read_at": at,
        "lot": number,
    }
    made: int = connection.execute(orders.insert().values(values).returning(orders.c.id)).scalar_one()
    connection.execute(order_names.insert(), {"store": store, "name": name, "order": made})
    return made


def _whose(store: str, pool: Pool) -> dict[str, Any]:
    return {"store": store, "slot": pool.slot, "kind": pool.kind.value}


def _values(drawing: Drawing, pool: Pool) -> dict[str, Any]:
    before = pool.since or datetime.max.replace(tzinfo=UTC)
    return _whose(drawing.store, pool) | {"before": before} | drawing.fresh.values


#: The options that say what is bought, rather than how.
_WHICH = ("campaign", "category", "portfolio_id")
#: For how long a lot waits until all of its orders are read again: once a day all orders of two months are.
_UNREAD_FOR = timedelta(days=2)
_STORE, _SLOT = bindparam("store", type_=Text()), bindparam("slot", type_=Text())
_REST: Any = shares.c.owed - shares.c.covered
_WITH_FIRST: Any = shares.join(orders, shares.c.order == orders.c.id).join(
    FIRST, FIRST.c.id == func.coalesce(orders.c.same_as, orders.c.id)
)
#: Whether a share may be bought now: its order still counts, was planned under the policy, and was read lately, or late
#: enough; or only webhooks report it, and they report what changes, too.
_IS_READY: ColumnElement[bool] = (
    FIRST.c.eligible
    & (FIRST.c.digest != "")
    & (FIRST.c.policy == bindparam("policy", type_=Text()))
    & or_(shares.c.buy_from.is_(None), shares.c.buy_from <= bindparam("fresh_now", type_=Utc()))
    & or_(
        (FIRST.c.read_at >= bindparam("fresh_since", type_=Utc()))
        & or_(shares.c.buy_from.is_(None), FIRST.c.read_at >= shares.c.buy_from),
        FIRST.c.read_at >= shares.c.final_at,
        FIRST.c.listed.is_(None) & ~WAS_LISTED,
    )
)
#: Whether a share of a store's slot waits for a lot.
_IS_OPEN = (
    shares.c.slot == _SLOT,
    shares.c.kind == bindparam("kind", type_=Text()),
    shares.c.covered != shares.c.owed,  # for the index
    shares.c.covered < shares.c.owed,
    (orders.c.store + "") == _STORE,
)
_READY = (
    select(shares.c.order, _REST.label("rest"), FIRST.c.ordered_at)
    .select_from(_WITH_FIRST)
    .where(
        *_IS_OPEN,
        orders.c.lot.is_(None),
        FIRST.c.ordered_at < bindparam("before", type_=Utc()),
        _IS_READY,
    )
    .subquery("ready")
)
_OLDEST = (
    select(func.min(FIRST.c.ordered_at))
    .select_from(_WITH_FIRST)
    .where(
        *_IS_OPEN,
        FIRST.c.ordered_at < bindparam("before", type_=Utc()),
        shares.c.final_at > FIRST.c.read_at,
    )
)
# Units and parts apart: their sums fit into the database's integers, as far as units do.
_TOTAL = select(
    func.coalesce(func.sum(_READY.c.rest // PARTS), 0).label("units"),
    func.coalesce(func.sum(_READY.c.rest % PARTS), 0).label("parts"),
).select_from(_READY)
_IN_TURN: Any = {"order_by": (_READY.c.ordered_at, _READY.c.order), "rows": (None, 0)}
_QUEUE = select(
    _READY.c.order,
    _READY.c.rest,
    cast(func.sum(_READY.c.rest // PARTS).over(**_IN_TURN), BigInteger()).label("units"),
    cast(func.sum(_READY.c.rest % PARTS).over(**_IN_TURN), BigInteger()).label("parts"),
).subquery("queue")
#: The beginning of the queue, up to the first share that may be beyond what is wanted.
_FIRST_ONES = (
    select(_QUEUE.c.order, _QUEUE.c.rest, (_QUEUE.c.units * PARTS + _QUEUE.c.parts).label("up_to"))
    .where(_QUEUE.c.units - _QUEUE.c.rest // PARTS <= bindparam("wanted_units", type_=BigInteger()))
    .subquery("first_ones")
)
_WANTED = bindparam("wanted", type_=BigInteger())
_BEFORE: Any = _FIRST_ONES.c.up_to - _FIRST_ONES.c.rest
_COVER = journal.insert().from_select(
    ["lot", "order", "parts", "at", "run_id"],
    select(
        bindparam("lot", type_=BigInteger()),
        _FIRST_ONES.c.order,
        case((_FIRST_ONES.c.up_to <= _WANTED, _FIRST_ONES.c.rest), else_=_WANTED - _BEFORE),
        bindparam("at", type_=Utc()),
        bindparam("run_id", type_=Text()),
    ).where(_BEFORE < _WANTED),
)
_LOTS = placements.join(orders, placements.c.order == orders.c.id)
_WAITING = (
    select(
        placements.c.id.label("lot"), placements.c.order.label("row"), placements.c.slot,
        orders.c.eligible, orders.c.policy, orders.c.read_at, placements.c.outdated,
    )
    .select_from(_LOTS)
    .where(orders.c.store == _STORE, orders.c.lot.is_not(None), placements.c.status.in_(WAITING))
    .order_by(placements.c.id)
)  # fmt: skip
_UNDER_WAY = (
    select(placements.c.id)
    .select_from(_LOTS)
    .where(
        orders.c.store == _STORE,
        orders.c.lot.is_not(None),
        placements.c.slot == _SLOT,
        placements.c.status.in_([*WAITING, *UNRESOLVED]),
    )
    .limit(1)
)
_DRAWN = (
    select(placements.c.id)
    .select_from(_LOTS)
    .where(
        orders.c.store == _STORE,
        orders.c.lot.is_not(None),
        orders.c.eligible,
        orders.c.ordered_at >= bindparam("since", type_=Utc()),
        placements.c.slot == _SLOT,
    )
    .limit(1)
)
_LAST_NUMBER = (
    select(func.coalesce(func.max(orders.c.lot), 0))
    .select_from(_LOTS)
    .where(orders.c.store == _STORE, orders.c.lot.is_not(None), placements.c.slot == _SLOT)
)
#: Whether a purchase was found in its seller's records, which name no options; this ledger did not plan it.
_IS_ADOPTED = (
    select(events.c.id)
    .where(
        events.c.placement == placements.c.id,
        events.c.from_status.is_(None),
        events.c.to_status == Status.PLACED.value,
    )
    .correlate(placements)
    .exists()
)
_CREDIT = (
    select(
        placements.c.id.label("lot"),
        placements.c.order.label("row"),
        # What a person, or a seller, has taken back of other lots may stand beside the own part.
        case((shares.c.covered - shares.c.owed < OWN_PART, shares.c.covered - shares.c.owed), else_=OWN_PART).label(
            "parts"
        ),
        placements.c.options,
        _IS_ADOPTED.label("is_adopted"),
        # An adopted lot was bought for orders that were sold before; this ledger may not know all of them.
        case(
            (orders.c.lot.is_not(None) & orders.c.policy.is_(None) & orders.c.eligible, orders.c.ordered_at), else_=None
        ).label("sold_before"),
    )
    .select_from(
        shares.join(orders, shares.c.order == orders.c.id).join(
            placements, (placements.c.order == shares.c.order) & (placements.c.slot == shares.c.slot)
        )
    )
    .where(
        shares.c.slot == _SLOT,
        shares.c.kind == bindparam("kind", type_=Text()),
        shares.c.covered != shares.c.owed,  # for the index
        shares.c.covered > shares.c.owed,
        (orders.c.store + "") == _STORE,
        placements.c.provider == bindparam("provider", type_=Text()),
        placements.c.status.in_(STANDING),
    )
    .order_by(placements.c.id)
    .with_for_update(of=placements)  # no one records meanwhile that its seller has cancelled it
)
_UNBALANCED = (
    select(shares.c.slot)
    .join(orders, shares.c.order == orders.c.id)
    .where(shares.c.covered != shares.c.owed, (orders.c.store + "") == _STORE)
    .distinct()
)
_SLOT_OF_LOT = select(placements.c.slot).where(placements.c.id == journal.c.lot).scalar_subquery()
_OUTDATED = (
    select(FIRST.c.id)
    .select_from(journal.join(_WITH_FIRST, journal.c.order == shares.c.order))
    .where(journal.c.lot == bindparam("of_lot", type_=BigInteger()), shares.c.slot == _SLOT_OF_LOT, shares.c.outdated)
)
#: The orders of a lot that have earned something else by now: they are planned again, and nothing is bought before.
_JUDGE_ANEW = (
    orders.update()
    .where(
        orders.c.id.in_(_OUTDATED),
        orders.c.digest != UNLISTED,
    )
    .values(digest="", policy=None)
)
#: An order of a lot whose share cannot be bought now.
_UNREADY = (
    select(journal.c.id)
    .select_from(journal.join(_WITH_FIRST, journal.c.order == shares.c.order))
    .where(
        journal.c.lot == bindparam("lot", type_=BigInteger()),
        journal.c.order != bindparam("lot_row", type_=BigInteger()),
        journal.c.parts > 0,
        shares.c.slot == _SLOT_OF_LOT,
        not_(func.coalesce(_IS_READY, False)),
    )
    .limit(1)
)
_SEEN = select(
    *(
        placements.c[name]
        for name in ("id", "status", "attempts", "order", "slot", "quantity", "planned_at", "approved")
    )
).where(placements.c.id == bindparam("lot"))
