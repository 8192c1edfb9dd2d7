"""
Caps: how much of a policy's caps is used, and which of the planned placements have their turn.

Nothing about caps is kept in the ledger. Each claim counts what is used: a purchase counts from its claim, in each
period until its outcome is known, and not at all once it is certain that it did not happen. What is left goes to the
planned placements, the oldest sale first; from the first one on that does not fit, all that the cap covers waits. So a
changed policy, a clock that was wrong or a purchase that came to nothing counts at once.

The queue is walked anew only now and then (``Turns``). That is a matter of order alone: what is claimed is held against
what is left each time (``Room.fitting``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select, union_all

from impactflow.ledger.fresh import FIRST, IS_FRESH, IS_OFF_HOLD, RELEASED, WAS_LISTED, WITH_FIRST, Fresh
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.pauses import IS_PAUSED, LONG_AGO
from impactflow.ledger.states import UNRESOLVED, WAITING, Status
from impactflow.ledger.tables import Utc, further_purchases, orders, placements
from impactflow.models import Cap, ProviderName

#: Room is kept for a placement until its order has not been read for so long: some source is gone, or no run reads it.
_READ_WITHIN = timedelta(days=2)
#: For how long a walk through the queue counts.
_WALKED_WITHIN = timedelta(seconds=5)
#: The place of a placement in the queue: the time of its sale, and its row.
_Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class CapUse:
    """
    A cap in its present period.

    Args:
        cap: The cap.
        used: How much of it is used, counted as ``cap.most`` is.
        waiting: The number of planned placements that wait until there is room.
    """

    cap: Cap
    used: Fraction
    waiting: int


@dataclass(slots=True)
class Turns:
    """
    Where the queue ended for each cap when it was walked last, for one caller's claims.

    Args:
        caps: The caps, in their periods then.
        ends: The place of the first placement that did not fit; None where all did.
        walked_at: When.
    """

    caps: Sequence[Cap] = ()
    ends: Sequence[_Place | None] = ()
    walked_at: datetime | None = None

    def hold(self, caps: Sequence[Cap], now: datetime) -> bool:
        """Whether they still count."""
        return self.caps == caps and self.walked_at is not None and abs(now - self.walked_at) < _WALKED_WITHIN


@dataclass(frozen=True, slots=True)
class Claiming:
    """
    The caps that what is claimed must fit into.

    Args:
        caps: The caps, in the periods in which what is claimed may be sent.
        left_alone: The providers that the run cannot use now: no room is kept for what they might sell.
        turns: Where the queue ended; kept for the next claim.
    """

    caps: Sequence[Cap] = ()
    left_alone: Collection[ProviderName] = ()
    turns: Turns = field(default_factory=Turns, compare=False)


@dataclass(frozen=True, slots=True)
class Room:
    """
    What caps have left for planned placements.

    Args:
        caps: The caps.
        left: How much of each is not used; less than nothing where more is used than the cap allows by now.
        waits: Whether a placement waits until there is room, in a query over ``placements`` and its ``orders``; None
            where nothing waits.
    """

    caps: Sequence[Cap]
    left: Sequence[Fraction]
    waits: ColumnElement[bool] | None

    def fitting(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Those of some placements that fit together; other runs may have planned or bought meanwhile."""
        left, fitting = list(self.left), []
        for row in rows:
            needs = _needs(self.caps, row)
            if all(left[number] >= need for number, need in needs.items()):
                fitting.append(row)
                for number, need in needs.items():
                    left[number] -= need
        return fitting


def room(connection: Connection, store: str, wanted: Claiming, now: datetime, *, anew: bool) -> Room:
    """
    What caps have left, and what waits.

    Args:
        connection: In a transaction in which no other run claims for the store.
        store: The store.
        wanted: The caps, and the caller's last walk.
        now: The present time.
        anew: Whether the queue is walked in any case.
    """
    caps, turns = wanted.caps, wanted.turns
    left = _left(connection, store, caps)
    if anew or not turns.hold(caps, now):
        turns.caps, turns.walked_at = caps, now
        turns.ends = _ends(connection, store, caps, left, now, wanted.left_alone)
    return Room(caps, left, _waits(caps, left, turns.ends))


def failing(connection: Connection, store: str) -> frozenset[ProviderName]:
    """The providers that have sold a store nothing since they were last tried."""
    return frozenset(map(ProviderName, connection.execute(_FAILING, {"store": store}).scalars()))


def mark(connection: Connection, store: str, waits: ColumnElement[bool], fresh: Fresh) -> None:
    """Mark what waits, so that an order that only webhooks report is sent on their word later, as after a pause."""
    unmarked = connection.execute(_UNMARKED.where(waits), {"store": store} | fresh.values).scalars().all()
    if unmarked:
        connection.execute(_MARK, {"ids": as_list([id_] for id_ in unmarked)})


def uses(connection: Connection, store: str, caps: Sequence[Cap], now: datetime) -> tuple[Sequence[CapUse], int]:
    """The use of each cap, and the number of planned placements that wait for any of them."""
    left = _left(connection, store, caps)
    ends = _ends(connection, store, caps, left, now)

    values = {"store": store, "fresh_now": now}

    def waiting(ends: Sequence[_Place | None]) -> int:
        waits = _waits(caps, left, ends)
        return 0 if waits is None else int(connection.execute(_PLANNED.where(waits), values).scalar_one())

    found = []
    for number, cap in enumerate(caps):
        own = [end if other == number else None for other, end in enumerate(ends)]
        found.append(CapUse(cap, cap.most - left[number], waiting(own)))
    return found, waiting(ends)


def used(connection: Connection, store: str, caps: Sequence[Cap]) -> Sequence[Fraction]:
    """How much of each cap is used in its period."""
    return [cap.most - left for cap, left in zip(caps, _left(connection, store, caps), strict=True)]


def _left(connection: Connection, store: str, caps: Sequence[Cap]) -> Sequence[Fraction]:
    """How much of each cap is left in its period by what was sent for a store and may have taken effect."""
    sent = {period: _sent(connection, store, *period) for period in {(cap.since, cap.until) for cap in caps}}
    return [cap.most - sum(_counted(cap, row) for row in sent[cap.since, cap.until]) for cap in caps]


def _sent(connection: Connection, store: str, since: datetime, until: datetime) -> Sequence[Any]:
    """What was sent in a period, or may have taken effect in it: the sums by slot, provider and kind."""
    values = {"store": store, "since": since, "until": until, "day": since.astimezone(UTC).date()}
    return connection.execute(_SENT, values).all()


def _counted(cap: Cap, row: Any) -> Fraction:
    """What a cap counts of a row of sums."""
    if not cap.covers(row.slot, row.provider):
        return Fraction(0)
    count = cap.counted(row.slot, row.provider, row.kind)
    return Fraction(int(row.cents or 0), 100) if count is None else count * int(row.quantity)


def _ends(
    connection: Connection,
    store: str,
    caps: Sequence[Cap],
    left: Sequence[Fraction],
    now: datetime,
    without: Collection[ProviderName] = (),
) -> Sequence[_Place | None]:
    """
    The place of the first placement that does not fit into each cap after all older ones; None where all fit.

    What waits for one cap takes nothing of another.
    """
    if not caps:
        return []
    rest, ends = list(left), [None] * len(caps)  # type: list[Fraction], list[_Place | None]
    values = {"store": store, "fresh_now": now, "read": now - _READ_WITHIN, "told": now - RELEASED}
    query = _QUEUE.where(placements.c.provider.not_in([name.value for name in sorted(without)]))
    with connection.execute(query, values, execution_options={"yield_per": _ROWS}) as rows:
        for row in rows:
            needs = _needs(caps, row)
            if any(ends[number] is not None for number in needs):
                continue
            full = [number for number, need in needs.items() if rest[number] < need]
            for number in full:
                ends[number] = (row.ordered_at, row.id)
            if None not in ends:
                break
            for number, need in needs.items() if not full else ():
                rest[number] -= need
    return ends


def _needs(caps: Sequence[Cap], row: Any) -> dict[int, Fraction]:
    """
    How much a planned placement needs of each cap that covers it, by the cap's number.

    Nothing of one where it counts as used already, since its provider said no to what may have been bought.
    """
    return {
        number: Fraction(0)
        if row.denied_at is not None and cap.since <= row.denied_at < cap.until
        else cap.counts.get((row.slot, row.kind), _NOTHING) * int(row.quantity or 0)
        for number, cap in enumerate(caps)
        if cap.covers(row.slot, row.provider)
    }


def _waits(caps: Sequence[Cap], left: Sequence[Fraction], ends: Sequence[_Place | None]) -> ColumnElement[bool] | None:
    """Whether a planned placement waits for a cap; None where none does."""
    waits = [
        _waits_for(cap, end, is_overdrawn=rest < 0)
        for cap, rest, end in zip(caps, left, ends, strict=True)
        if end is not None
    ]
    return or_(*waits) if waits else None


def _waits_for(cap: Cap, end: _Place, *, is_overdrawn: bool) -> ColumnElement[bool]:
    at, id_ = sa.literal(end[0], Utc()), end[1]
    is_later = or_(orders.c.ordered_at > at, (orders.c.ordered_at == at) & (placements.c.id >= id_))
    covered = {placements.c.slot: cap.slot, placements.c.provider: cap.provider}
    of_cap = (column == value for column, value in covered.items() if value is not None)
    since, until = sa.literal(cap.since, Utc()), sa.literal(cap.until, Utc())
    is_new = or_(placements.c.denied_at.is_(None), placements.c.denied_at < since, placements.c.denied_at >= until)
    return and_(is_later, *of_cap) if is_overdrawn else and_(is_later, is_new, *of_cap)


_NOTHING = Fraction(0)
#: How many rows of the queue are read at once.
_ROWS = 500
_SINCE, _UNTIL = bindparam("since", type_=Utc()), bindparam("until", type_=Utc())
#: Not by the index on stores: few of a store's orders are planned, or were bought for in a period.
_OF_STORE = (orders.c.store + "") == bindparam("store")
_JOINED = placements.join(orders, placements.c.order == orders.c.id)
_PROVIDERS = placements.c.provider.in_([name.value for name in ProviderName])  # for the index on statuses
_WHAT = tuple(placements.c[name] for name in ("slot", "provider", "kind", "quantity", "price_usd_cents"))
_CLAIMED = func.coalesce(placements.c.attempted_at, placements.c.placed_at)
_NOT_PLACED = or_(placements.c.placed_at.is_(None), placements.c.placed_at < _SINCE)
_OF_PLACEMENTS = select(*_WHAT).select_from(_JOINED).where(_OF_STORE)
_BOUGHT = _OF_PLACEMENTS.where(
    placements.c.placed_on >= bindparam("day"),  # for the index
    placements.c.placed_at >= _SINCE,
    _CLAIMED < _UNTIL,
)
#: What is in doubt may be sent again at any time; what is parked is not sent again before a person has decided.
_PERHAPS = _OF_PLACEMENTS.where(
    _NOT_PLACED,
    _PROVIDERS,
    placements.c.status.in_([Status.PARKED.value, *(status.value for status in UNRESOLVED)]),
    _CLAIMED < _UNTIL,
    or_(placements.c.status != Status.PARKED.value, func.coalesce(placements.c.sent_until, _CLAIMED) >= _SINCE),
)
#: What a provider that knows keys said no to, such as 429, and what may have been bought all the same, until it is sent
#: again; also where it waits for something else by now, or was withdrawn.
_DENIED = _OF_PLACEMENTS.where(
    _NOT_PLACED,
    _PROVIDERS,
    placements.c.status.in_([Status.CANCELLED.value, *(status.value for status in WAITING)]),
    placements.c.denied_at >= _SINCE,
    placements.c.denied_at < _UNTIL,
)
#: Purchases beside the one that a placement holds.
_SURPLUS = (
    select(*_WHAT)
    .select_from(_JOINED.join(further_purchases, further_purchases.c.placement == placements.c.id))
    .where(
        _OF_STORE,
        further_purchases.c.cancelled_at.is_(None),
        further_purchases.c.found_at >= _SINCE,
        further_purchases.c.found_at < _UNTIL,
    )
)
_ALL_SENT = union_all(_BOUGHT, _PERHAPS, _DENIED, _SURPLUS).subquery("sent")
_SENT = select(
    *(_ALL_SENT.c[name] for name in ("slot", "provider", "kind")),
    func.sum(_ALL_SENT.c.quantity).label("quantity"),
    func.sum(_ALL_SENT.c.price_usd_cents).label("cents"),
).group_by(*(_ALL_SENT.c[name] for name in ("slot", "provider", "kind")))
_IS_PLANNED = (placements.c.status == Status.PLANNED.value) & _PROVIDERS
#: All that a claim may take, and what it may take once its order was read again; the oldest sale first.
_QUEUE = (
    select(
        *(placements.c[name] for name in ("id", "slot", "provider", "kind", "quantity", "denied_at")),
        orders.c.ordered_at,
    )
    .select_from(WITH_FIRST)
    .where(
        _OF_STORE,
        _IS_PLANNED,
        IS_OFF_HOLD,
        ~IS_PAUSED,
        or_(
            FIRST.c.read_at >= bindparam("read", type_=Utc()),
            (FIRST.c.read_at >= bindparam("told", type_=Utc()))
            & placements.c.buy_from.is_not(None)
            & FIRST.c.listed.is_(None)
            & ~WAS_LISTED,
        ),
    )
    .order_by(orders.c.ordered_at, placements.c.id)
)
_PLANNED = select(func.count()).select_from(_JOINED).where(_OF_STORE, _IS_PLANNED, IS_OFF_HOLD, ~IS_PAUSED)
_UNMARKED = (
    select(placements.c.id)
    .select_from(WITH_FIRST)
    .where(_OF_STORE, _IS_PLANNED, placements.c.buy_from.is_(None), orders.c.lot.is_(None), IS_FRESH)
)
#: An order that only webhooks report is sent on their word after its wait, as after a pause.
_MARK = (
    placements.update()
    .where(placements.c.id.in_(select(listed("ids", {"id": placements.c.id.type}).c.id)))
    .values(buy_from=LONG_AGO)
)
_TRIED = (
    select(placements.c.provider, func.max(placements.c.attempted_at).label("at"))
    .select_from(_JOINED)
    .where(_OF_STORE, _IS_PLANNED, placements.c.attempts > 0)
    .group_by(placements.c.provider)
    .subquery("tried")
)
_SOLD = placements.alias("sold")
_FAILING = select(_TRIED.c.provider).where(
    ~select(_SOLD.c.id)
    .join(orders, _SOLD.c.order == orders.c.id)
    .where(_OF_STORE, _SOLD.c.provider == _TRIED.c.provider, _SOLD.c.placed_at >= _TRIED.c.at)
    .exists()
)
