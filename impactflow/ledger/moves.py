"""
What becomes of a placement after it was planned: claims, outcomes of requests, leases that ran out, later checks.

Handlers for the ``Writer``: each takes an open transaction and a group of like changes. They decide which placements
change; ``transitions`` changes their statuses.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, case, func, select
from sqlalchemy.exc import IntegrityError

from impactflow.errors import AlreadyRecorded, TransitionRefused
from impactflow.ledger import approvals, joined_sales, refunds, surplus_purchases, transitions
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import IS_FRESH, WITH_FIRST, Fresh
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import ever_bought, names_for, placement_columns, placement_from_row
from impactflow.ledger.states import LONGEST_DELAY, TRANSITIONS, Status
from impactflow.ledger.tables import Utc, events, orders, placements
from impactflow.ledger.transitions import Move
from impactflow.models import Placement, ProviderName


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for one placement of a store at a provider, to hold until ``lease_until``."""

    provider: ProviderName
    store: str
    run_id: str
    now: datetime
    lease_until: datetime
    #: Whether twins must be sent one after the other.
    exclusive: bool
    #: Whether what is in doubt is sent again to settle that.
    repeats: bool = False
    #: What may be sent; None where nothing new may be, as in a run that knows no policy.
    fresh: Fresh | None = None


@dataclass(frozen=True, slots=True)
class Postponement:
    """A placed placement was tracked and is not complete: look again at ``due_at``."""

    placement: Placement
    due_at: datetime
    certificate_url: str | None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody has hinted that placements of these keys have got further."""

    keys: Sequence[str]
    now: datetime


def claim(connection: Connection, wanted: Sequence[Claim]) -> list[Placement | None]:
    """Take due placements, oldest first: their intent is durable when this commits. None where nothing may be sent."""
    by_account: dict[tuple[ProviderName, str], list[int]] = {}
    for index, request in enumerate(wanted):
        by_account.setdefault((request.provider, request.store), []).append(index)
    claimed: list[Placement | None] = [None] * len(wanted)
    for indexes in by_account.values():
        request = wanted[indexes[0]]
        if request.exclusive:  # two runs that claim twins in the same moment would run into the index, or a deadlock
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
    Take all due placements in doubt of each store and provider, so that no two runs settle the same one at once.

    What would be sent again to settle it, though its sale is bought for by another name, is for a person.
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
            transitions.tell_attempts(connection, ids, in_doubt, in_doubt, request.now, request.run_id)
        taken.append([placement_from_row(row, attempted_at=row.attempted_at, alone=row.alone) for row in rows])
    return taken


def record_found(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Record purchases that were found in a provider's records.

    Raises:
        AlreadyRecorded: Another placement holds this purchase: the record is not this one's.
    """
    if len(moves) > 1:
        return transitions.move(connection, moves)  # where one of many fails the Writer comes back with each alone
    each = moves[0]
    if _is_held(connection, each, _HELD_BY_KEYED if each.by_key else _HELD):
        msg = "another placement already holds this purchase"
        raise AlreadyRecorded(msg)
    _move_sharing(connection, each)
    return [None]


def record_answer(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Record the outcomes of requests that this run has sent itself, however late they come.

    An answer is proof. Where the lease ran out meanwhile the placement is in doubt, or was already judged; the answer
    still counts. Where a purchase shares its name with another of a different look (the providers' clocks have a
    millisecond's resolution), both stand; the name of a purchase that a placement of the same look holds, or any where
    names are unique, came with an answer to somebody else.
    """
    if len(moves) != 1:
        # Where one of many fails, the Writer comes back with each alone.
        return transitions.move(connection, moves) if moves else []
    each = moves[0]
    if _is_held(connection, each, _HELD_BY_TWIN):
        each = _misdelivered(each)
    try:
        _move_sharing(connection, each)
    except TransitionRefused:
        _record_late(connection, each)
    return [None]


def expire_leases(connection: Connection, moments: Sequence[tuple[datetime, str]]) -> list[int]:
    """What was being sent when its lease ran out was cut off somewhere: it is in doubt, from now on."""
    counts = []
    for now, run_id in moments:
        rows = connection.execute(_EXPIRED, {"now": now, "never": now + LONGEST_DELAY}).all()
        move_rows = [
            Move(
                placement_from_row(
                    row, attempted_at=row.attempted_at, alone=row.unresolved_twin is not None, again=False
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
    """Look at placed placements again later."""
    values = [
        {
            "b_id": each.placement.id,
            "b_due_at": each.due_at,
            "b_certificate_url": each.certificate_url,
            "b_parts": json.dumps(each.parts) if each.parts else None,
        }
        for each in sorted(postponements, key=lambda each: each.placement.id)
    ]
    connection.execute(_POSTPONE, values)
    return [None] * len(postponements)


def look_now(connection: Connection, looks: Sequence[Look]) -> list[frozenset[ProviderName]]:
    """Make placed placements due; at which providers there were any that were not."""
    found = []
    for look in looks:
        values = {"now": look.now, "keys": as_list([key] for key in look.keys)}
        found.append(frozenset(map(ProviderName, connection.execute(_LOOK_NOW, values).scalars())))
    return found


def remember_handles(connection: Connection, handles: Sequence[tuple[Placement, str | None]]) -> list[None]:
    """Keep what the provider calls a purchase that has not taken effect yet, before anything makes it do so."""
    values = [
        {"b_id": placement.id, "b_attempt": placement.attempt, "b_handle": handle} for placement, handle in handles
    ]
    transitions.expect(len(values), connection.execute(_REMEMBER, values).rowcount)
    return [None] * len(handles)


def _bring_forward(connection: Connection, request: Claim, status: Status) -> bool:
    """What is due later than anything can be was written by a clock that was ahead: it is due now; was there any?"""
    values = {"b_provider": request.provider, "b_status": status, "now": request.now}
    return connection.execute(_BRING_FORWARD, values | {"never": request.now + LONGEST_DELAY}).rowcount > 0


def _due(connection: Connection, request: Claim, count: int) -> Sequence[Any]:
    """
    What may be sent, the oldest first.

    What a person should have approved, and has not, does not remain planned; nor what is no longer to be bought. What
    was not read lately, or was planned under another policy, remains planned until its order is read again.
    """
    if request.fresh is None:
        return []
    now, run_id = request.now, request.run_id
    whose = {"provider": request.provider, "store": request.store}
    values = whose | {"now": now, "count": count} | request.fresh.values
    while True:
        rows = connection.execute(_CLAIMABLE[request.exclusive], values).all()
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
            return rows


def _end_rivals(
    connection: Connection, rows: Sequence[Any], from_: Status, to: Status, request: Claim
) -> Mapping[int, str]:
    """Move those that are not sent again because of another of their sale and slot; which, and that one's order."""
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
    twins: set[str] = set()
    chosen = []
    for row in rows:
        if row.blocking_twin is None or row.blocking_twin not in twins:
            chosen.append(row)
            twins.add(row.blocking_twin)
    return chosen


def _is_held(connection: Connection, each: Move, held: sa.Select[Any]) -> bool:
    """Whether another placement holds the purchase that a move records."""
    if each.receipt is None:
        return False
    values = {"id": each.placement.id, "refs": names_for(each.receipt.ref)}
    return connection.execute(held, values).first() is not None


def _misdelivered(each: Move) -> Move:
    """The outcome of a request whose answer tells of a purchase that is another placement's: unknown."""
    ref = each.receipt.ref if each.receipt else ""
    why = f"the answer tells of {ref}, which another placement holds: it was not meant for this one"
    return replace(each, to=Status.IN_DOUBT, receipt=None, detail=why, due_at=each.at)


def _move_sharing(connection: Connection, each: Move) -> None:
    """Move, under another name where the purchase shares its own with another placement's."""
    try:
        with connection.begin_nested():
            transitions.move(connection, [each])
    except IntegrityError:
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
    An answer came after its lease had run out: by now the placement is in doubt, judged, or sent again.

    A receipt says what was bought: a placement that waits to be sent again must not be; one that was sent again is kept
    as it is, with the evidence of a second purchase beside it. An answer that was lost says until when the request was
    being sent (``_doubt_late``). A refusal says nothing that settling does not find out.
    """
    row = connection.execute(_ROW, {"id": each.placement.id}).one()
    status = Status(row.status)
    if each.to is Status.IN_DOUBT:
        _doubt_late(connection, each, row)
    elif status is Status.PLACING and row.attempts == each.placement.attempt:  # see _MOVE: an earlier one was sent late
        transitions.move(connection, [replace(each, to=Status.IN_DOUBT, receipt=None, due_at=each.at)])
    if each.receipt is None or row.ref == each.receipt.ref:
        return
    if Status.PLACED in TRANSITIONS[status] and status not in {Status.PLACING, Status.CANCELLING}:
        latest = placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        _move_sharing(
            connection, Move(latest, status, each.to, each.at, each.run_id, each.detail, each.due_at, each.receipt)
        )
        return
    evidence = transitions.event_values(each) | {
        "from_status": status,
        "to_status": status,
        "detail": f"attempt {each.placement.attempt} was answered late, with a purchase of its own: {each.receipt.ref}",
    }
    connection.execute(events.insert(), evidence)
    surplus_purchases.note(connection, each.placement, each.receipt.ref, each.at)
    if status is Status.PLACING:  # if that attempt turns out not to have been sent, it is not sent once more
        connection.execute(_SENT_UNTIL, {"b_id": row.id, "now": each.at, "in_doubt": False})


def _doubt_late(connection: Connection, each: Move, row: Any) -> None:
    """
    A request was perhaps still being sent when its answer was lost: "not in the records" counts from then.

    What was judged not to have been bought is in doubt again. Whoever judges what is in doubt in this moment has read
    the records too early: that verdict is refused, because a further attempt is counted.
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
    """A value for a column of ``placements``, with the column's type, named apart from the column."""
    return bindparam(f"b_{column}", type_=placements.c[column].type)


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
            (placements.c.twin if exclusive else sa.null()).label("blocking_twin"),
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
        )
        .order_by(placements.c.due_at, placements.c.id)
        .limit(bindparam("count"))
        .with_for_update(of=placements, skip_locked=True)
    )
    if exclusive:
        # Whatever is unresolved blocks its twins, also what was sent while the account still returned metadata.
        unresolved = (_BLOCKER.c.status == Status.PLACING.value) | (_BLOCKER.c.status == Status.IN_DOUBT.value)
        blocked = select(_BLOCKER.c.id).where(_BLOCKER.c.twin == placements.c.twin, unresolved).exists()
        chosen = chosen.where(sa.or_(placements.c.twin.is_(None), ~blocked))
    return chosen


_CLAIMABLE = {exclusive: _claimable(exclusive=exclusive) for exclusive in (False, True)}
_IDS = select(listed("ids", {"id": placements.c.id.type}).c.id)
# A purchase that looks like a parked one may be the parked one's.
_PARKED_TWIN = (
    select(_BLOCKER.c.id).where(_BLOCKER.c.twin == placements.c.twin, _BLOCKER.c.status == Status.PARKED.value).exists()
)
_DOUBTS = (
    select(*placement_columns(), (placements.c.unresolved_twin.is_not(None) & ~_PARKED_TWIN).label("alone"))
    .select_from(_JOINED)
    .where(
        placements.c.provider == bindparam("provider", type_=sa.Text()),
        placements.c.status == Status.IN_DOUBT.value,
        placements.c.due_at <= _NOW,
        orders.c.store == bindparam("store", type_=sa.Text()),
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
        # Whoever dies with this claim may have sent it up to the lease's end, whatever was denied before.
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
#: Where a placement is judged not to have been bought, or was withdrawn after that.
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
_HELD_BY_KEYED = _HELD.where(placements.c.twin.is_(None))
#: The same, or one that the provider's records could not tell from ours.
_HELD_BY_TWIN = _HELD.where(sa.or_(placements.c.twin.is_(None), _HOLDER.c.twin == placements.c.twin))
#: A request was being sent until now; what is in doubt is looked at anew.
_SENT_UNTIL = (
    placements.update()
    .where(placements.c.id == bindparam("b_id"))
    .values(
        sent_until=case((placements.c.sent_until > _NOW, placements.c.sent_until), else_=_NOW),
        attempts=placements.c.attempts + case((bindparam("in_doubt", type_=sa.Boolean()), 1), else_=0),
        due_at=case((bindparam("in_doubt", type_=sa.Boolean()), _NOW), else_=placements.c.due_at),
        # What a no to another attempt would make of it says nothing about this one.
        if_absent=None,
    )
)
#: Those that another run has locked it sees to itself.
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
_LOOK_NOW = (
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
