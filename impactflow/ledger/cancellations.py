"""
Purchases of orders that were given back, which are cancelled at their sellers.

Handlers for the ``Writer`` and reads. A purchase is taken for cancelling only while its sale is known to be given back
whole, which is looked at once more just before the request. From then on its cancellation may have taken effect, until
a run has found out what became of it. What a provider does not cancel keeps the reason, and is asked for again only if
a person says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, or_, select

from impactflow.ledger import credit, forgotten, transitions
from impactflow.ledger.allocations import IS_SHARED, IS_WHOLE
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import FIRST, WITH_FIRST
from impactflow.ledger.given_back import IS_GIVEN_BACK, IS_LISTED_SO, since
from impactflow.ledger.owing import Owed
from impactflow.ledger.pauses import IS_PAUSED
from impactflow.ledger.plan_rows import planned_on_day, write_day
from impactflow.ledger.rows import lock, placement_columns, placement_from_row
from impactflow.ledger.states import LONGEST_DELAY, STANDING, TRANSITIONS, UNRESOLVED, Status
from impactflow.ledger.tables import Utc, orders, placements
from impactflow.models import Placement, ProviderName


@dataclass(frozen=True, slots=True)
class Undoing:
    """
    The purchases of a store that a refund undoes.

    Args:
        store: The store.
        slots: The slots in which it does.
        at: The present time.
        listed_since: An order counts if it was last listed as given back since then.
        sent_before: A purchase that was sent later may not be shown yet, and is left for later.
        again: Whether also what a provider has refused to cancel.
    """

    store: str
    slots: frozenset[str]
    at: datetime
    listed_since: datetime
    sent_before: datetime
    again: bool = False

    @property
    def values(self) -> dict[str, object]:
        """The parameters of the conditions."""
        return since(self.listed_since, self.at) | {"store": self.store, "sent_before": self.sent_before}


@dataclass(frozen=True, slots=True)
class Taking:
    """
    A request for purchases to cancel at one provider.

    Args:
        provider: The provider.
        undoing: The purchases that come into question.
        new: The most to take that no run has taken before.
        count: The most to take in all.
        due_by: Those that an earlier run has taken, and not ended, were to be due by then.
        but: The rows of placements that this run has taken before.
        until: The time until which those that are taken belong to this run.
        run_id: The run.
    """

    provider: ProviderName
    undoing: Undoing
    new: int
    count: int
    due_by: datetime
    until: datetime
    run_id: str
    but: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Taken:
    """
    A purchase that belongs to this run.

    Args:
        placement: Its placement.
        is_new: Whether no run has taken it before.
        was_asked: Whether its provider was asked to cancel it before, and may have done so.
        until: The time until which it belongs to the run.
        refused: Why an earlier run let it stand for the time being; None where none did.
    """

    placement: Placement
    is_new: bool
    was_asked: bool
    until: datetime
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """
    The intent to ask a provider to cancel a purchase that stands.

    Args:
        taken: The purchase.
        undoing: What is undone, as of now.
    """

    taken: Taken
    undoing: Undoing


@dataclass(frozen=True, slots=True)
class Ended:
    """
    The outcome for a purchase.

    Args:
        taken: The purchase.
        to: Cancelled, placed where it stands, or cancelling where that is not known.
        at: The time.
        run_id: The run.
        detail: What happened, in words for a person.
        due_at: The time at which the placement is due next.
        refused: Why it stands, though its order may be given back; None where that is not said.
        is_credit: Whether it is known to stand whole, so that other orders may have it.
    """

    taken: Taken
    to: Status
    at: datetime
    run_id: str
    detail: str
    due_at: datetime | None = None
    refused: str | None = None
    is_credit: bool = False


@dataclass(frozen=True, slots=True)
class Purchases:
    """
    The purchases of orders that were given back.

    Args:
        orders: How many orders they are of.
        kept: How many stand because the policy keeps them.
        doubtful: How many stand because their order is listed as given back, and that leaves a doubt.
        refused: How many stand because the provider does not cancel them, and are no credit.
        open: How many are to be cancelled, may be being cancelled, or may not have been bought at all.
        credited: How many stand whose order is owed less by now, also after a refund of a part: the next orders are
            covered with the rest.
    """

    orders: int
    kept: int
    doubtful: int
    refused: int
    open: int
    credited: int = 0


def oldest(connection: Connection, undoing: Undoing) -> datetime | None:
    """The time of the first sale of which something is to be cancelled, or may be being cancelled."""
    query = select(func.min(FIRST.c.ordered_at)).select_from(WITH_FIRST).where(_IS_OF_STORE, _to_do(undoing))
    found: datetime | None = connection.execute(query, undoing.values).scalar()
    return found


def providers(connection: Connection, undoing: Undoing) -> frozenset[ProviderName]:
    """The providers at which something is to be cancelled, or may be being cancelled."""
    query = select(placements.c.provider).select_from(WITH_FIRST).where(_IS_OF_STORE, or_(_wanted(undoing), _IS_TAKEN))
    return frozenset(map(ProviderName, connection.execute(query.distinct(), undoing.values).scalars()))


def count(connection: Connection, undoing: Undoing, provider: ProviderName) -> int:
    """The number of purchases to cancel at a provider that no run has taken yet."""
    query = select(func.count()).select_from(WITH_FIRST).where(_IS_OF_STORE, _wanted(undoing), _at(provider))
    number: int = connection.execute(query, undoing.values).scalar_one()
    return number


def listed(connection: Connection, undoing: Undoing, limit: int) -> Sequence[Mapping[str, Any]]:
    """
    The purchases to cancel or to find out about, as their orders were read last.

    Returns:
        For each: order, slot, provider, ref, status, quantity, unit and price in USD cents.
    """
    names = ("slot", "provider", "ref", "status", "quantity", "unit", "price_usd_cents")
    query = select(orders.c.order_id.label("order"), *(placements.c[name] for name in names)).select_from(WITH_FIRST)
    chosen = query.where(_IS_OF_STORE, _to_do(undoing)).order_by(placements.c.id).limit(limit)
    return [dict(row) for row in connection.execute(chosen, undoing.values).mappings()]


def purchases(connection: Connection, undoing: Undoing) -> Purchases:
    """The purchases of a store's orders that were given back, at every provider."""
    is_undone, is_refused = _in(undoing.slots), placements.c.cancel_refused.is_not(None)
    was_bought = _IS_STANDING | _IS_TAKEN | _IS_UNSURE | placements.c.placed_at.is_not(None)

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count(case((condition, placements.c.id)))

    query = (
        select(
            func.count(func.distinct(case((was_bought, FIRST.c.id)))),
            number(_IS_STANDING & ~is_undone),
            number(_IS_STANDING & is_undone & ~IS_GIVEN_BACK),
            number(_IS_STANDING & is_undone & IS_GIVEN_BACK & is_refused & ~IS_SHARED),
            number(_IS_TAKEN | (is_undone & IS_GIVEN_BACK & ((_IS_STANDING & ~is_refused & IS_WHOLE) | _IS_UNSURE))),
        )
        .select_from(WITH_FIRST)
        .where(_IS_OF_STORE, or_(IS_LISTED_SO, _IS_TAKEN))
    )
    numbers = connection.execute(query, undoing.values).one()
    seen, kept, doubtful, refused, open_ = numbers
    return Purchases(seen, kept, doubtful, refused, open_, credit.count(connection, undoing.store))


def ask(connection: Connection, asked: Sequence[Ask]) -> list[str | None]:
    """Note that providers are about to be asked to cancel; return for each why it must not be, if it must not."""
    lock(connection, (each.taken.placement.id for each in asked))  # what is read below is from after the wait
    return [_ask(connection, each) for each in asked]


def take(connection: Connection, wanted: Sequence[Taking]) -> list[Sequence[Taken]]:
    """Take purchases for cancelling: the intent is durable once this commits."""
    return [_take(connection, each) for each in wanted]


def end(connection: Connection, ended: Sequence[Ended]) -> list[bool]:
    """
    Record outcomes; return for each whether it was recorded, as it is unless another run has the purchase by now.

    What its provider refuses to cancel is credit from then on, unless its order counts again.
    """
    for store in sorted({each.taken.placement.store for each in ended if each.is_credit}):
        one_at_a_time(connection, store)  # no planner changes what is owed meanwhile
    texts = forgotten.cleared(connection, [text for each in ended for text in (each.detail, each.refused)])
    return [
        _end(connection, each, detail or "", refused)
        for each, detail, refused in zip(ended, texts[::2], texts[1::2], strict=True)
    ]


def was_asked(connection: Connection, placement: int) -> bool:
    """Whether a provider was asked to cancel a purchase, by its placement's row, since a run began to."""
    return bool(connection.execute(select(placements.c.cancel_asked).where(placements.c.id == placement)).scalar())


def _take(connection: Connection, wanted: Taking) -> list[Taken]:
    # A later due time was written by a clock that was ahead.
    is_due = or_(placements.c.due_at <= wanted.due_by, placements.c.due_at > wanted.until + LONGEST_DELAY)
    begun = and_(_IS_TAKEN, is_due, _at(wanted.provider))
    new = and_(_wanted(wanted.undoing), _at(wanted.provider))
    # At least half of them are new ones: what was begun may be what its provider never answers about.
    first = _take_some(connection, wanted, new, min(wanted.new, (wanted.count + 1) // 2))
    begun_before = _take_some(connection, wanted, begun, wanted.count - len(first))
    left = min(wanted.new - len(first), wanted.count - len(first) - len(begun_before))
    return [*first, *begun_before, *_take_some(connection, wanted, new, left)]


def _ask(connection: Connection, each: Ask) -> str | None:
    taken, undoing = each.taken, each.undoing
    row = connection.execute(_NOW, undoing.values | {"id": taken.placement.id}).one()
    reasons = {
        "another run has it by now": row.status != Status.CANCELLING or row.due_at != taken.until,
        "its order is not listed as given back whole now": not row.is_given_back,
        "the policy keeps it": taken.placement.slot not in undoing.slots,
        "a person has paused it": row.is_paused,
    }
    if (why := next((reason for reason, holds in reasons.items() if holds), None)) is not None:
        return why
    connection.execute(_ASKED, {"b_id": taken.placement.id})
    return None


def _take_some(connection: Connection, wanted: Taking, chosen: ColumnElement[bool], most: int) -> list[Taken]:
    others = _CHOSEN.where(chosen, placements.c.id.not_in(sorted(wanted.but)))
    query = others.limit(most).with_for_update(of=placements, skip_locked=True)
    taken = []
    for row in connection.execute(query, wanted.undoing.values).all():
        was_taken = row.status == Status.CANCELLING
        values: dict[str, Any] = {"status": Status.CANCELLING.value, "due_at": wanted.until}
        if not was_taken:
            values |= {"reason": _BEGUN, "cancel_asked": False, "cancel_refused": None}
        detail = None if was_taken else _BEGUN
        transitions.revise(connection, row, values, detail, wanted.undoing.at, wanted.run_id)
        placement = placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        asked, refused = (bool(row.cancel_asked), row.cancel_refused) if was_taken else (False, None)
        taken.append(Taken(placement, not was_taken, asked, wanted.until, refused))
    return taken


def _end(connection: Connection, each: Ended, detail: str, refused: str | None) -> bool:
    """
    Record one outcome.

    That a purchase is cancelled is final, whichever run has seen it. Otherwise the run's lease must still be the row's.
    """
    placement = each.taken.placement
    row = connection.execute(_ROW, {"id": placement.id}).one()
    is_over = each.to is Status.CANCELLED and each.to in TRANSITIONS[Status(row.status)]
    is_ours = row.status == Status.CANCELLING and row.due_at == each.taken.until
    if row.ref != placement.ref or not (is_over or is_ours):
        return False
    if each.to is Status.PLACED and refused is not None and row.counts:
        refused = None  # its order was paid again meanwhile
    to = Status.COMPLETED if each.to is Status.PLACED and row.completed_at is not None else each.to
    due_at = None if to is Status.COMPLETED else each.due_at
    reason = None if to in STANDING else detail
    values = {"status": to.value, "due_at": due_at, "reason": reason}
    if to is not Status.CANCELLING or refused is not None:
        values["cancel_refused"] = refused
    told = None if to is Status.CANCELLING else detail
    if not transitions.revise(connection, row, values, told, each.at, each.run_id):
        return False
    if to in STANDING and refused is not None and each.is_credit:
        day = planned_on_day(connection, row.store, each.at)
        credit.owe(connection, credit.Bought.of(row), Owed(0), day, _By(row.store, each.at, each.run_id))
        write_day(connection, row.store, day)
    return True


class _By(NamedTuple):
    store: str
    at: datetime
    run_id: str


def _wanted(undoing: Undoing) -> ColumnElement[bool]:
    """Whether a run may begin to cancel a purchase."""
    return and_(_undone(undoing), ~IS_PAUSED)


def _to_do(undoing: Undoing) -> ColumnElement[bool]:
    return or_(_undone(undoing), _IS_TAKEN)


def _undone(undoing: Undoing) -> ColumnElement[bool]:
    """Whether a standing purchase is undone, as far as is known of its order."""
    asked = sa.true() if undoing.again else placements.c.cancel_refused.is_(None)
    return and_(_IS_STANDING, _in(undoing.slots), asked, _WAS_SENT_BEFORE, IS_GIVEN_BACK, IS_WHOLE)


def _at(provider: ProviderName) -> ColumnElement[bool]:
    return placements.c.provider == provider.value


def _in(slots: frozenset[str]) -> ColumnElement[bool]:
    return placements.c.slot.in_(sorted(slots))


_IS_OF_STORE = orders.c.store == bindparam("store", type_=sa.Text())
_IS_STANDING = placements.c.status.in_([status.value for status in STANDING])
_IS_TAKEN = placements.c.status == Status.CANCELLING.value
_IS_UNSURE = placements.c.status.in_([Status.PARKED.value, *(status.value for status in UNRESOLVED)])
_WAS_SENT_BEFORE = func.coalesce(
    placements.c.sent_until, placements.c.attempted_at, placements.c.planned_at
) <= bindparam("sent_before", type_=Utc())
_BEGUN = "its order was given back: about to be cancelled"
_CHOSEN = (
    select(*placement_columns(), placements.c.cancel_asked, placements.c.cancel_refused)
    .select_from(WITH_FIRST)
    .where(_IS_OF_STORE)
    .order_by(placements.c.due_at, placements.c.id)
)
_NOW = (
    select(
        *(placements.c.status, placements.c.due_at),
        *(IS_GIVEN_BACK.label("is_given_back"), IS_PAUSED.label("is_paused")),
    )
    .select_from(WITH_FIRST)
    .where(placements.c.id == bindparam("id"))
)
_ASKED = placements.update().where(placements.c.id == bindparam("b_id")).values(cancel_asked=True, cancel_refused=None)
_ROW = (
    select(
        *(placements.c[name] for name in ("id", "status", "attempts", "ref", "due_at", "completed_at")),
        *(placements.c[name] for name in ("order", "slot", "kind", "quantity")),
        *(FIRST.c.store, FIRST.c.eligible.label("counts")),
    )
    .select_from(WITH_FIRST)
    .where(placements.c.id == bindparam("id"))
    .with_for_update(of=placements)
)
