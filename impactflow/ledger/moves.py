"""
The changes of a placement after its planning: claims, outcomes of requests, ended leases, later checks.

Handlers for the ``Writer``: each takes an open transaction and a group of changes of one kind. They decide which
placements change; ``transitions`` changes their statuses.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, bindparam, case, func, select
from sqlalchemy.exc import IntegrityError

from impactflow.errors import AlreadyRecorded, TransitionRefused
from impactflow.ledger import approvals, caps, forgotten, joined_sales, refunds, surplus_purchases, transitions
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import IS_FRESH, IS_OFF_HOLD, WITH_FIRST, Fresh
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.pauses import IS_DOUBT_PAUSED, IS_PAUSED
from impactflow.ledger.rows import ever_bought, names_for, placement_columns, placement_from_row
from impactflow.ledger.states import LONGEST_DELAY, TRANSITIONS, UNRESOLVED, Status
from impactflow.ledger.tables import Utc, events, orders, placements
from impactflow.ledger.transitions import Move
from impactflow.models import Placement, ProviderName


@dataclass(frozen=True, slots=True)
class Claim:
    """A request for one placement of a store at a provider, reserved until ``lease_until``."""

    provider: ProviderName
    store: str
    run_id: str
    now: datetime
    lease_until: datetime
    #: Whether look-alikes must be sent one after the other.
    exclusive: bool
    #: Whether a placement in doubt is sent again to resolve the doubt.
    repeats: bool = False
    #: The conditions for sending; None if nothing new may be sent, as in a run that knows no policy.
    fresh: Fresh | None = None
    #: The caps that what is sent must fit into.
    capped: caps.Claiming = field(default_factory=caps.Claiming)


@dataclass(frozen=True, slots=True)
class Postponement:
    """A placed placement that was tracked and is not complete: it is tracked again at ``due_at``."""

    placement: Placement
    due_at: datetime
    certificate_url: str | None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A hint that placements with these keys have progressed."""

    keys: Sequence[str]
    now: datetime


def claim(connection: Connection, wanted: Sequence[Claim]) -> list[Placement | None]:
    """Claim due placements, oldest first: their intent is durable when this commits. None if nothing may be sent."""
    by_account: dict[tuple[ProviderName, str], list[int]] = {}
    for index, request in enumerate(wanted):
        by_account.setdefault((request.provider, request.store), []).append(index)
    claimed: list[Placement | None] = [None] * len(wanted)
    for indexes in by_account.values():
        request = wanted[indexes[0]]
        if request.capped.caps:  # two runs that claim at once would both take what is left of a cap
            one_at_a_time(connection, f"caps of {request.store}")
        if request.exclusive:  # two runs that claim look-alikes at once would hit the index, or a deadlock
            one_at_a_time(connection, f"claim at {request.provider}")
        rows = _without_look_alikes(_due(connection, request, len(indexes)))
        if not rows:
            continue
        now, until, ids = request.now, request.lease_until, [row.id for row in rows]
        transitions.claim(connection, ids, now, until, request.run_id, alone=request.exclusive)
        for index, row in zip(indexes, rows, strict=False):
            claimed[index] = placement_from_row(row, attempted_at=request.now, alone=request.exclusive)
    return claimed


def claim_doubts(connection: Connection, wanted: Sequence[Claim]) -> list[list[Placement]]:
    """
    Claim all due placements in doubt of each store and provider, so that no two runs resolve the same one at once.

    A placement that would be sent again, though its sale is bought for by another name, is left to a person.
    """
    taken = []
    for request in wanted:
        _bring_forward(connection, request, Status.IN_DOUBT)
        whose = {"provider": request.provider, "store": request.store}
        rows = connection.execute(_DOUBTS, whose | {"now": request.now}).all()
        if request.repeats:
            ended = _end_rivals(connection, rows, Status.IN_DOUBT, Status.PARKED, request)
            rows = [row for row in rows if row.id not in ended]
        if rows:
            ids = as_list([row.id] for row in rows)
            values = {"ids": ids, "until": request.lease_until, "repeats": request.repeats}
            transitions.expect(len(rows), connection.execute(_CLAIM_DOUBTS, values).rowcount)
            in_doubt = Status.IN_DOUBT
            transitions.record_attempts(connection, ids, in_doubt, in_doubt, request.now, request.run_id)
        taken.append([placement_from_row(row, attempted_at=row.attempted_at, alone=row.alone) for row in rows])
    return taken


def record_found(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Record purchases that were found in a provider's records.

    Raises:
        AlreadyRecorded: Another placement holds this purchase: the record belongs to that placement.
    """
    if len(moves) > 1:
        return transitions.move(connection, moves)  # if one of many fails, the Writer calls again with each alone
    each = moves[0]
    held = _HELD_BY_KEYED if each.by_key else _HELD
    if _is_held(connection, each, held):
        raise _already_recorded()
    _move_sharing(connection, each, held)
    return [None]


def record_answer(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Record the outcomes of requests that this run has sent itself, at any time.

    An answer is proof. If the lease ran out meanwhile, the placement is in doubt, or was already judged; the answer
    still counts. If a purchase shares its name with another purchase of a different look (the providers' clocks have a
    millisecond's resolution), both stand. If a placement of the same look holds the purchase of that name, or any
    placement holds it where names are unique, the answer belonged to another request.
    """
    if len(moves) != 1:
        # If one of many fails, the Writer calls again with each alone.
        return transitions.move(connection, moves) if moves else []
    each = moves[0]
    if _is_held(connection, each, _HELD_BY_LOOK_ALIKE):
        each = _misdelivered(each)
    try:
        _record_once(connection, each)
    except AlreadyRecorded:  # in Postgres, by a transaction that was not visible above
        _record_once(connection, _misdelivered(each))
    return [None]


def _record_once(connection: Connection, each: Move) -> None:
    """Record an answer, also one that comes after its lease ran out."""
    try:
        _move_sharing(connection, each, _HELD_BY_LOOK_ALIKE)
    except TransitionRefused:
        _record_late(connection, each)


def expire_leases(connection: Connection, moments: Sequence[tuple[datetime, str]]) -> list[int]:
    """Put placements in doubt whose lease ran out while they were being sent: their run was cut off."""
    counts = []
    for now, run_id in moments:
        rows = connection.execute(_EXPIRED, {"now": now, "never": now + LONGEST_DELAY}).all()
        move_rows = [
            Move(
                placement_from_row(
                    row, attempted_at=row.attempted_at, alone=row.unresolved_look_alike is not None, again=False
                ),
                Status.PLACING,
                Status.IN_DOUBT,
                now,
                run_id,
                "the run that was sending it ended before an answer was recorded",
                due_at=now,
            )
            for row in rows
        ]
        if move_rows:
            transitions.move(connection, move_rows)
        counts.append(len(rows))
    return counts


def postpone(connection: Connection, postponements: Sequence[Postponement]) -> list[None]:
    """Track placed placements again later."""
    postponements = sorted(postponements, key=lambda each: each.placement.id)
    urls = forgotten.cleared(connection, [each.certificate_url for each in postponements])
    values = [
        {
            "b_id": each.placement.id,
            "b_due_at": each.due_at,
            "b_certificate_url": url,
            "b_parts": json.dumps(each.parts) if each.parts else None,
        }
        for each, url in zip(postponements, urls, strict=True)
    ]
    connection.execute(_POSTPONE, values)
    return [None] * len(postponements)


def make_due(connection: Connection, hints: Sequence[Due]) -> list[frozenset[ProviderName]]:
    """Make placed placements due; return the providers of those that were not due."""
    found = []
    for hint in hints:
        values = {"now": hint.now, "keys": as_list([key] for key in hint.keys)}
        found.append(frozenset(map(ProviderName, connection.execute(_MAKE_DUE, values).scalars())))
    return found


def remember_handles(connection: Connection, handles: Sequence[tuple[Placement, str | None]]) -> list[None]:
    """Keep the provider's name for a purchase that has not taken effect yet, before any step makes it take effect."""
    values = [
        {"b_id": placement.id, "b_attempt": placement.attempt, "b_handle": handle} for placement, handle in handles
    ]
    transitions.expect(len(values), connection.execute(_REMEMBER, values).rowcount)
    return [None] * len(handles)


def _bring_forward(connection: Connection, request: Claim, status: Status) -> bool:
    """Make placements due now that are due impossibly late, since a clock was ahead; return whether there were any."""
    values = {"b_provider": request.provider, "b_status": status, "now": request.now}
    return connection.execute(_BRING_FORWARD, values | {"never": request.now + LONGEST_DELAY}).rowcount > 0


def _due(connection: Connection, request: Claim, count: int) -> Sequence[Any]:
    """
    The rows that may be sent, the oldest first.

    A placement that needs an approval and has none does not stay planned; nor does one that is not to be bought any
    more. A placement that was not read lately, or was planned under another policy, stays planned until its order is
    read again.
    """
    if request.fresh is None:
        return []
    now, run_id = request.now, request.run_id
    whose = {"provider": request.provider, "store": request.store}
    values = whose | {"now": now, "count": count} | request.fresh.values
    walked = False
    while True:
        room = caps.room(connection, request.store, request.capped, now, anew=walked) if request.capped.caps else None
        claimable = _CLAIMABLE[request.exclusive]
        if room and room.waits is not None:
            claimable = claimable.where(~room.waits)
        rows = connection.execute(claimable, values).all()
        if room and len(room.fitting(rows)) < count and not walked:  # the queue may have moved on since
            walked = True
            continue
        if room and room.waits is not None and len(rows) < count:
            caps.mark(connection, request.store, room.waits, request.fresh)
        if len(rows) < count and _bring_forward(connection, request, Status.PLANNED):
            continue
        tried = [row.id for row in rows if row.attempts]
        if tried and refunds.withdraw_tried(connection, tried, now, run_id):
            continue
        joined = [row for row in rows if row.is_joined]
        if _end_rivals(connection, joined, Status.PLANNED, Status.CANCELLED, request):
            continue
        above = [row.id for row in rows if row.is_above_limit]
        if not above or not approvals.set_back(connection, above, now, run_id):
            return room.fitting(rows) if room else rows


def _end_rivals(
    connection: Connection, rows: Sequence[Any], from_: Status, to: Status, request: Claim
) -> Mapping[int, str]:
    """Move rows that another placement of their sale and slot keeps from being sent; return them with its order."""
    stronger = joined_sales.stronger(connection, [row.id for row in rows]) if rows else {}
    ended = [
        Move(
            placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False),
            from_,
            to,
            request.now,
            request.run_id,
            f"not sent again: its sale is bought for, or may be, as order {stronger[row.id]}",
        )
        for row in rows
        if row.id in stronger
    ]
    if ended:
        transitions.move(connection, ended)
    return stronger


def _without_look_alikes(rows: Sequence[Any]) -> list[Any]:
    look_alikes: set[str] = set()
    chosen = []
    for row in rows:
        if row.blocking_look_alike is None or row.blocking_look_alike not in look_alikes:
            chosen.append(row)
            look_alikes.add(row.blocking_look_alike)
    return chosen


def _is_held(connection: Connection, each: Move, held: sa.Select[Any]) -> bool:
    """Whether another placement holds the purchase that a move records."""
    if each.receipt is None:
        return False
    values = {"id": each.placement.id, "refs": names_for(each.receipt.ref)}
    return connection.execute(held, values).first() is not None


def _misdelivered(each: Move) -> Move:
    """The outcome of a request whose answer describes another placement's purchase: unknown."""
    ref = each.receipt.ref if each.receipt else ""
    why = f"the answer tells of {ref}, which another placement holds: it was not meant for this one"
    return replace(each, to=Status.IN_DOUBT, receipt=None, detail=why, due_at=each.at)


def _already_recorded() -> AlreadyRecorded:
    return AlreadyRecorded("another placement already holds this purchase")


def _move_sharing(connection: Connection, each: Move, held: sa.Select[Any]) -> None:
    """
    Move; if the purchase shares its name with another placement's purchase, under another name.

    Raises:
        AlreadyRecorded: The other placement, as ``held`` finds it, holds this very purchase.
    """
    try:
        with connection.begin_nested():
            transitions.move(connection, [each])
    except IntegrityError:
        if _is_held(connection, each, held):
            raise _already_recorded() from None
        _record_shared_ref(connection, each)


def _record_shared_ref(connection: Connection, each: Move) -> None:
    receipt = each.receipt
    if receipt is None:
        msg = "only a receipt can collide"
        raise AssertionError(msg)
    taken = connection.execute(
        select(func.count()).where(
            placements.c.provider == each.placement.provider,
            placements.c.ref.in_(names_for(receipt.ref)),
        )
    ).scalar_one()
    transitions.move(connection, [replace(each, receipt=replace(receipt, ref=f"{receipt.ref}#{taken + 1}"))])


def _record_late(connection: Connection, each: Move) -> None:
    """
    Record an answer after its lease ran out: by now the placement is in doubt, judged, or sent again.

    A receipt says what was bought. A placement that waits to be sent again must not be sent; a placement that was sent
    again stays as it is, with the evidence of a second purchase beside it. A lost answer says until when the request
    was being sent (``_doubt_late``). A refusal says nothing that the provider's records do not show.
    """
    [each] = transitions.cleared(connection, [each])
    row = connection.execute(_ROW, {"id": each.placement.id}).one()
    status = Status(row.status)
    if each.to is Status.IN_DOUBT:
        _doubt_late(connection, each, row)
    elif status is Status.PLACING and row.attempts == each.placement.attempt:  # see _MOVE: an earlier one was sent late
        transitions.move(connection, [replace(each, to=Status.IN_DOUBT, receipt=None, due_at=each.at)])
    if each.receipt is None:
        return
    if row.ref == each.receipt.ref:
        _keep_name(connection, each, row)
        return
    if Status.PLACED in TRANSITIONS[status] and status not in {Status.PLACING, Status.CANCELLING}:
        latest = placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        late = Move(latest, status, each.to, each.at, each.run_id, each.detail, each.due_at, each.receipt)
        _move_sharing(connection, late, _HELD_BY_LOOK_ALIKE)
        _keep_name(connection, each, row)
        return
    evidence = transitions.event_values(each) | {
        "from_status": status,
        "to_status": status,
        "detail": f"attempt {each.placement.attempt} was answered late, with a purchase of its own: {each.receipt.ref}",
    }
    connection.execute(events.insert(), evidence)
    surplus_purchases.note(connection, each.placement, each.receipt.ref, each.at)
    if status is Status.PLACING:  # if that attempt was not sent after all, it is not sent once more
        connection.execute(_SENT_UNTIL, {"b_id": row.id, "now": each.at, "in_doubt": False})


def _keep_name(connection: Connection, each: Move, row: Any) -> None:
    """Note that what a placement holds was bought before its customer was forgotten, though it was sent once more."""
    if row.is_renamed and each.placement.customer_email is not None:
        connection.execute(_NAMED, {"b_id": row.id})


def _doubt_late(connection: Connection, each: Move, row: Any) -> None:
    """
    Count "not in the records" from the moment when an answer was lost: the request was perhaps still being sent.

    A placement that was judged as not bought is in doubt again. A run that judges the doubt at this moment has read the
    records too early: its verdict is refused, because a further attempt is counted.
    """
    status = Status(row.status)
    said = f"attempt {each.placement.attempt} may have been sent until then: {each.detail or 'its answer was lost'}"
    if status in _JUDGED and not row.was_bought:
        latest = placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        transitions.move(connection, [Move(latest, status, Status.IN_DOUBT, each.at, each.run_id, said, each.at)])
    else:
        attempt = row.attempts + (status is Status.IN_DOUBT)
        evidence = transitions.event_values(each) | {"from_status": status, "to_status": status, "attempt": attempt}
        connection.execute(events.insert(), evidence | {"detail": said})
    connection.execute(_SENT_UNTIL, {"b_id": row.id, "now": each.at, "in_doubt": status is Status.IN_DOUBT})


def _new(column: str) -> sa.BindParameter[Any]:
    """A value for a column of ``placements``, with the column's type and a name of its own."""
    return bindparam(f"b_{column}", type_=placements.c[column].type)


def _were_alike(other: Any) -> ColumnElement[bool]:
    """Whether both were sent for one customer, who was forgotten since: one may not look any more as it did then."""
    return sa.and_(*(other.c[name] == placements.c[name] for name in ("provider", "known_as", "kind", "quantity")))


_NOW = bindparam("now", type_=Utc())
_UNTIL = bindparam("until", type_=Utc())
_NEVER = bindparam("never", type_=Utc())
_JOINED = placements.join(orders, placements.c.order == orders.c.id)
_BLOCKER = placements.alias("blocker")
#: Another row of the same sale.
_ALSO = orders.alias("also")


def _claimable(*, exclusive: bool) -> sa.Select[Any]:
    chosen = (
        select(
            *placement_columns(),
            (placements.c.look_alike if exclusive else sa.null()).label("blocking_look_alike"),
            (placements.c.quantity > placements.c.approval_limit).label("is_above_limit"),
            (orders.c.same_as.is_not(None) | select(_ALSO.c.id).where(_ALSO.c.same_as == orders.c.id).exists()).label(
                "is_joined"
            ),
        )
        .select_from(WITH_FIRST)
        .where(
            placements.c.provider == bindparam("provider", type_=sa.Text()),
            placements.c.status == Status.PLANNED.value,
            placements.c.due_at <= _NOW,
            orders.c.store == bindparam("store", type_=sa.Text()),
            IS_FRESH,
            IS_OFF_HOLD,
            ~IS_PAUSED,
        )
        .order_by(placements.c.due_at, placements.c.id)
        .limit(bindparam("count"))
        .with_for_update(of=placements, skip_locked=True)
    )
    if exclusive:
        # Every unresolved placement blocks its look-alikes, also one sent while the account still returned metadata.
        unresolved = (_BLOCKER.c.status == Status.PLACING.value) | (_BLOCKER.c.status == Status.IN_DOUBT.value)
        blocked = select(_BLOCKER.c.id).where(_BLOCKER.c.look_alike == placements.c.look_alike, unresolved).exists()
        chosen = chosen.where(sa.or_(placements.c.look_alike.is_(None), ~blocked))
    return chosen


_CLAIMABLE = {exclusive: _claimable(exclusive=exclusive) for exclusive in (False, True)}
_IDS = select(listed("ids", {"id": placements.c.id.type}).c.id)
# A purchase that looks like a parked one may be the parked placement's.
_PARKED_LOOK_ALIKE = (
    select(_BLOCKER.c.id)
    .where(_BLOCKER.c.look_alike == placements.c.look_alike, _BLOCKER.c.status == Status.PARKED.value)
    .exists()
)
# So may one that looks like what was sent before for one customer, who was forgotten since.
_WAS_LOOK_ALIKE = (
    select(_BLOCKER.c.id)
    .where(
        placements.c.known_as.is_not(None),  # hardly ever: then nothing is looked for
        _BLOCKER.c.id != placements.c.id,
        _BLOCKER.c.status.in_([Status.PARKED.value, *(status.value for status in UNRESOLVED)]),
        _were_alike(_BLOCKER),
    )
    .exists()
)
_DOUBTS = (
    select(
        *placement_columns(),
        sa.and_(placements.c.unresolved_look_alike.is_not(None), ~_PARKED_LOOK_ALIKE, ~_WAS_LOOK_ALIKE).label("alone"),
    )
    .select_from(_JOINED)
    .where(
        placements.c.provider == bindparam("provider", type_=sa.Text()),
        placements.c.status == Status.IN_DOUBT.value,
        placements.c.due_at <= _NOW,
        orders.c.store == bindparam("store", type_=sa.Text()),
        ~IS_DOUBT_PAUSED,
    )
    .order_by(placements.c.due_at, placements.c.id)
    .limit(1000)
    .with_for_update(of=placements, skip_locked=True)
)
_REPEATS = bindparam("repeats", type_=sa.Boolean())
_CLAIM_DOUBTS = (
    placements.update()
    .where(placements.c.id.in_(_IDS), placements.c.status == Status.IN_DOUBT.value)
    .values(
        due_at=_UNTIL,
        attempts=placements.c.attempts + 1,
        # A run that dies with this claim may have sent the request up to the lease's end, after any earlier denial.
        sent_until=case((_REPEATS, _UNTIL), else_=placements.c.sent_until),
        if_absent=case(
            (_REPEATS & (placements.c.if_absent != Status.PARKED.value), None), else_=placements.c.if_absent
        ),
    )
)
_EXPIRED = (
    select(*placement_columns())
    .select_from(_JOINED)
    .where(placements.c.status == Status.PLACING.value, (placements.c.due_at <= _NOW) | (placements.c.due_at > _NEVER))
    .order_by(placements.c.id)
    .with_for_update(of=placements, skip_locked=True)
)
#: The statuses of a placement that was judged as not bought, or was withdrawn after that.
_JUDGED = frozenset({Status.PLANNED, Status.AWAITING_APPROVAL, Status.FAILED, Status.CANCELLED})
_ROW = (
    select(*placement_columns(), ever_bought().label("was_bought"))
    .select_from(_JOINED)
    .where(placements.c.id == bindparam("id"))
    .with_for_update(of=placements)
)
_HOLDER = placements.alias("holder")
#: Another placement that holds a purchase of this name.
_HELD = select(_HOLDER.c.id).where(
    placements.c.id == bindparam("id"),
    _HOLDER.c.id != placements.c.id,
    _HOLDER.c.provider == placements.c.provider,
    _HOLDER.c.ref.in_(bindparam("refs", expanding=True)),
)
#: The same where names are unique, and the provider remembers a key for each purchase.
_HELD_BY_KEYED = _HELD.where(placements.c.look_alike.is_(None))
#: The same, or a placement that the provider's records could not tell from ours.
_HELD_BY_LOOK_ALIKE = _HELD.where(
    sa.or_(placements.c.look_alike.is_(None), _HOLDER.c.look_alike == placements.c.look_alike, _were_alike(_HOLDER))
)
_NAMED = placements.update().where(placements.c.id == bindparam("b_id")).values(is_renamed=False)
#: A request was being sent until now; a placement in doubt is checked anew.
_SENT_UNTIL = (
    placements.update()
    .where(placements.c.id == bindparam("b_id"))
    .values(
        sent_until=case((placements.c.sent_until > _NOW, placements.c.sent_until), else_=_NOW),
        attempts=placements.c.attempts + case((bindparam("in_doubt", type_=sa.Boolean()), 1), else_=0),
        due_at=case((bindparam("in_doubt", type_=sa.Boolean()), _NOW), else_=placements.c.due_at),
        # What was answered about another attempt says nothing about this one.
        if_absent=None,
        asked_again=0,
    )
)
#: Rows that another run has locked are left to that run.
_BRING_FORWARD = (
    placements.update()
    .where(
        placements.c.id.in_(
            select(placements.c.id)
            .where(
                placements.c.provider == bindparam("b_provider", type_=sa.Text()),
                placements.c.status == bindparam("b_status", type_=sa.Text()),
                placements.c.due_at > _NEVER,
            )
            .with_for_update(skip_locked=True)
        )
    )
    .values(due_at=_NOW)
)
_POSTPONE = (
    placements.update()
    .where(placements.c.id == bindparam("b_id"), placements.c.status == Status.PLACED.value)
    .values(
        due_at=_new("due_at"),
        checks=placements.c.checks + 1,
        certificate_url=func.coalesce(_new("certificate_url"), placements.c.certificate_url),
        parts=func.coalesce(_new("parts"), placements.c.parts),
    )
)
_MAKE_DUE = (
    placements.update()
    .where(
        placements.c.key.in_(select(listed("keys", {"key": placements.c.key.type}).c.key)),
        placements.c.status == Status.PLACED.value,
        placements.c.due_at > _NOW,
    )
    .values(due_at=_NOW)
    .returning(placements.c.provider)
)
_REMEMBER = (
    placements.update()
    .where(placements.c.id == bindparam("b_id"), placements.c.attempts == bindparam("b_attempt"))
    .values(handle=_new("handle"))
)
