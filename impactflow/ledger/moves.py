"""
Every change to a placement after it was planned: claim, move from one status to the next, look again later.

Handlers for the ``Writer``: each takes an open transaction and a group of like changes. What may follow what is in
``states.py``; each statement here names the status it starts from, so a change that comes too late changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, case, func, select
from sqlalchemy.exc import IntegrityError

from impactflow.errors import AlreadyRecorded, TransitionRefused
from impactflow.ledger.rows import placement_columns, placement_from_row
from impactflow.ledger.states import TRANSITIONS, Status
from impactflow.ledger.tables import Utc, events, orders, placements
from impactflow.models import Placement, ProviderName, Receipt

#: How many purchases of one provider may share an identity; it has a millisecond's resolution at 1ClickImpact.
_SHARED_REFS = 20


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask for one placement of a provider, to hold until ``lease_until``."""

    provider: ProviderName
    run_id: str
    now: datetime
    lease_until: datetime
    #: Whether twins must be sent one after the other.
    exclusive: bool


@dataclass(frozen=True, slots=True)
class Move:
    """
    One change of status.

    Args:
        placement: Whose; its attempt must still be the latest one, or the move is refused.
        from_: The status it starts from.
        to: The status it ends in.
        at: When.
        run_id: Which run makes it.
        detail: Why, for a person; kept as the placement's reason.
        due_at: When it next wants attention.
        receipt: The provider's word, where the purchase took effect.
    """

    placement: Placement
    from_: Status
    to: Status
    at: datetime
    run_id: str
    detail: str | None = None
    due_at: datetime | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Postponement:
    """A placed placement was tracked and is not complete: look again at ``due_at``."""

    placement: Placement
    due_at: datetime
    certificate_url: str | None


def claim(connection: Connection, wanted: Sequence[Claim]) -> list[Placement | None]:
    """Take due placements, oldest first: their intent is durable when this commits. None where nothing may be sent."""
    by_provider: dict[ProviderName, list[int]] = {}
    for index, request in enumerate(wanted):
        by_provider.setdefault(request.provider, []).append(index)
    claimed: list[Placement | None] = [None] * len(wanted)
    for indexes in by_provider.values():
        request = wanted[indexes[0]]
        rows = _without_twins(connection.execute(_CLAIMABLE[request.exclusive], _claim_values(request, len(indexes))))
        if not rows:
            continue
        values = {"ids": [row.id for row in rows], "now": request.now, "until": request.lease_until}
        _expect(len(rows), connection.execute(_CLAIM, values | {"alone": request.exclusive}).rowcount)
        _begin_attempts(connection, rows, Status.PLANNED, Status.PLACING, request.now, request.run_id)
        for index, row in zip(indexes, rows, strict=False):
            claimed[index] = placement_from_row(row, attempted_at=request.now, alone=request.exclusive)
    return claimed


def claim_doubts(connection: Connection, wanted: Sequence[Claim]) -> list[list[Placement]]:
    """Take all due placements in doubt of each provider, so that no two runs settle the same one at once."""
    taken = []
    for request in wanted:
        rows = connection.execute(_DOUBTS, {"provider": request.provider, "now": request.now}).all()
        if rows:
            ids = {"ids": [row.id for row in rows], "until": request.lease_until}
            _expect(len(rows), connection.execute(_CLAIM_DOUBTS, ids).rowcount)
            _begin_attempts(connection, rows, Status.IN_DOUBT, Status.IN_DOUBT, request.now, request.run_id)
        taken.append(
            [
                placement_from_row(row, attempted_at=row.attempted_at, alone=row.unresolved_twin is not None)
                for row in rows
            ]
        )
    return taken


def move(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Change statuses and write the events.

    Raises:
        TransitionRefused: A placement is no longer where its move starts.
        AlreadyRecorded: Another placement holds the same purchase.
    """
    for each in moves:
        if each.to not in TRANSITIONS[each.from_] and each.to is not each.from_:
            msg = f"a placement never goes from {each.from_} to {each.to}"
            raise TransitionRefused(msg)
    _expect(len(moves), connection.execute(_MOVE, [_move_values(each) for each in moves]).rowcount)
    connection.execute(events.insert(), [_event_values(each) for each in moves])
    return [None] * len(moves)


def record_found(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Record purchases that were found in a provider's records.

    Raises:
        AlreadyRecorded: Another placement holds this purchase: the record is not this one's.
    """
    try:
        return move(connection, moves)
    except IntegrityError:
        if len(moves) > 1:
            raise
        msg = "another placement already holds this purchase"
        raise AlreadyRecorded(msg) from None


def record_answer(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Record the outcomes of requests that this run has sent itself, however late they come.

    An answer is proof. Where the lease ran out meanwhile the placement is in doubt, or was already judged; the answer
    still counts. Where a purchase shares its name with another (the providers' clocks have a millisecond's resolution),
    both stand.
    """
    try:
        with connection.begin_nested() if len(moves) == 1 else _nothing():
            return move(connection, moves)
    except (IntegrityError, TransitionRefused) as error:
        if len(moves) > 1:
            raise  # the Writer comes back with each alone
        if isinstance(error, IntegrityError):
            _record_shared_ref(connection, moves[0])
        else:
            _record_late(connection, moves[0])
        return [None]


def expire_leases(connection: Connection, moments: Sequence[tuple[datetime, str]]) -> list[int]:
    """What was being sent when its lease ran out was cut off somewhere: it is in doubt, from now on."""
    counts = []
    for now, run_id in moments:
        rows = connection.execute(_EXPIRED, {"now": now}).all()
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
            move(connection, move_rows)
        counts.append(len(rows))
    return counts


def postpone(connection: Connection, postponements: Sequence[Postponement]) -> list[None]:
    """Look at placed placements again later."""
    connection.execute(
        _POSTPONE,
        [
            {"b_id": each.placement.id, "b_due_at": each.due_at, "b_certificate_url": each.certificate_url}
            for each in postponements
        ],
    )
    return [None] * len(postponements)


def remember_handles(connection: Connection, handles: Sequence[tuple[Placement, str | None]]) -> list[None]:
    """Keep what the provider calls a purchase that has not taken effect yet, before anything makes it do so."""
    values = [
        {"b_id": placement.id, "b_attempt": placement.attempt, "b_handle": handle} for placement, handle in handles
    ]
    _expect(len(values), connection.execute(_REMEMBER, values).rowcount)
    return [None] * len(handles)


def _without_twins(rows: sa.CursorResult[Any]) -> list[Any]:
    twins: set[str] = set()
    chosen = []
    for row in rows:
        if row.blocking_twin is None or row.blocking_twin not in twins:
            chosen.append(row)
            twins.add(row.blocking_twin)
    return chosen


def _claim_values(request: Claim, count: int) -> dict[str, object]:
    return {"provider": request.provider, "now": request.now, "count": count}


def _begin_attempts(
    connection: Connection, rows: Sequence[Any], from_: Status, to: Status, now: datetime, run_id: str
) -> None:
    began = {"at": now, "from_status": from_, "to_status": to, "run_id": run_id, "detail": None}
    connection.execute(events.insert(), [began | {"placement": row.id, "attempt": row.attempts + 1} for row in rows])


def _move_values(each: Move) -> dict[str, object]:
    receipt = each.receipt
    return {
        "b_id": each.placement.id,
        "b_attempt": each.placement.attempt,
        "b_from": each.from_,
        "b_to": each.to,
        "b_due_at": each.due_at,
        "b_reason": each.detail,
        "b_ref": receipt.ref if receipt else None,
        "b_price_usd_cents": receipt.price_usd_cents if receipt else None,
        "b_certificate_url": receipt.certificate_url if receipt else None,
        "b_placed_at": each.at if each.to is Status.PLACED else None,
        "b_placed_on": each.at.astimezone(UTC).date() if each.to is Status.PLACED else None,
        "b_completed_at": each.at if each.to is Status.COMPLETED else None,
    }


def _event_values(each: Move) -> dict[str, object]:
    return {
        "placement": each.placement.id,
        "at": each.at,
        "from_status": each.from_,
        "to_status": each.to,
        "attempt": each.placement.attempt,
        "run_id": each.run_id,
        "detail": each.receipt.ref if each.receipt else each.detail,
    }


def _expect(expected: int, changed: int) -> None:
    if changed != expected:
        msg = f"{expected - changed} of {expected} placements had moved on: another run has seen to them"
        raise TransitionRefused(msg)


def _record_shared_ref(connection: Connection, each: Move) -> None:
    receipt = each.receipt
    if receipt is None:
        msg = "only a receipt can collide"
        raise AssertionError(msg)
    taken = connection.execute(
        select(func.count()).where(
            placements.c.provider == each.placement.provider,
            placements.c.ref.in_([receipt.ref, *(f"{receipt.ref}#{number}" for number in range(2, _SHARED_REFS))]),
        )
    ).scalar_one()
    shared = Receipt(f"{receipt.ref}#{taken + 1}", receipt.price_usd_cents, receipt.certificate_url)
    move(
        connection, [Move(each.placement, each.from_, each.to, each.at, each.run_id, each.detail, each.due_at, shared)]
    )


def _record_late(connection: Connection, each: Move) -> None:
    """
    An answer came after its lease had run out: by now the placement is in doubt, judged, or sent again.

    Only a receipt still says something. A placement that waits to be sent again must not be; one that was sent again
    is kept as it is, with the evidence of a second purchase beside it.
    """
    row = connection.execute(_ROW, {"id": each.placement.id}).one()
    status = Status(row.status)
    if each.receipt is None or row.ref == each.receipt.ref:
        return
    if status in {Status.IN_DOUBT, Status.PLANNED, Status.PARKED}:
        latest = placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        move(connection, [Move(latest, status, each.to, each.at, each.run_id, each.detail, each.due_at, each.receipt)])
        return
    evidence = _event_values(each) | {
        "from_status": status,
        "to_status": status,
        "detail": f"attempt {each.placement.attempt} was answered late, with a purchase of its own: {each.receipt.ref}",
    }
    connection.execute(events.insert(), evidence)


class _nothing:  # noqa: N801 - stands where a transaction would
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _new(column: str) -> sa.BindParameter[Any]:
    """A value for a column of ``placements``, with the column's type, named apart from the column."""
    return bindparam(f"b_{column}", type_=placements.c[column].type)


_NOW = bindparam("now", type_=Utc())
_UNTIL = bindparam("until", type_=Utc())
_JOINED = placements.join(orders, placements.c.order == orders.c.id)
_BLOCKER = placements.alias("blocker")


def _claimable(*, exclusive: bool) -> sa.Select[Any]:
    chosen = (
        select(*placement_columns(), (placements.c.twin if exclusive else sa.null()).label("blocking_twin"))
        .select_from(_JOINED)
        .where(
            placements.c.provider == bindparam("provider", type_=sa.Text()),
            placements.c.status == Status.PLANNED.value,
            placements.c.due_at <= _NOW,
        )
        .order_by(placements.c.due_at, placements.c.id)
        .limit(bindparam("count"))
        .with_for_update(of=placements, skip_locked=True)
    )
    if exclusive:
        blocked = select(_BLOCKER.c.id).where(_BLOCKER.c.unresolved_twin == placements.c.twin).exists()
        chosen = chosen.where(sa.or_(placements.c.twin.is_(None), ~blocked))
    return chosen


_CLAIMABLE = {exclusive: _claimable(exclusive=exclusive) for exclusive in (False, True)}
_CLAIM = (
    placements.update()
    .where(placements.c.id.in_(bindparam("ids", expanding=True)), placements.c.status == Status.PLANNED.value)
    .values(
        status=Status.PLACING.value,
        due_at=_UNTIL,
        attempts=placements.c.attempts + 1,
        attempted_at=_NOW,
        first_attempted_at=func.coalesce(placements.c.first_attempted_at, _NOW),
        unresolved_twin=case((bindparam("alone", type_=sa.Boolean()), placements.c.twin), else_=None),
        reason=None,
    )
)
_DOUBTS = (
    select(*placement_columns())
    .select_from(_JOINED)
    .where(
        placements.c.provider == bindparam("provider", type_=sa.Text()),
        placements.c.status == Status.IN_DOUBT.value,
        placements.c.due_at <= _NOW,
    )
    .order_by(placements.c.due_at, placements.c.id)
    .limit(1000)
    .with_for_update(of=placements, skip_locked=True)
)
_CLAIM_DOUBTS = (
    placements.update()
    .where(placements.c.id.in_(bindparam("ids", expanding=True)), placements.c.status == Status.IN_DOUBT.value)
    .values(due_at=_UNTIL, attempts=placements.c.attempts + 1)
)
_EXPIRED = (
    select(*placement_columns())
    .select_from(_JOINED)
    .where(placements.c.status == Status.PLACING.value, placements.c.due_at <= _NOW)
    .with_for_update(of=placements, skip_locked=True)
)
_ROW = select(*placement_columns()).select_from(_JOINED).where(placements.c.id == bindparam("id"))
_MOVE = (
    placements.update()
    .where(
        placements.c.id == bindparam("b_id"),
        placements.c.status == bindparam("b_from"),
        placements.c.attempts == bindparam("b_attempt"),
    )
    .values(
        status=bindparam("b_to", type_=sa.Text()),
        due_at=_new("due_at"),
        reason=_new("reason"),
        ref=func.coalesce(_new("ref"), placements.c.ref),
        price_usd_cents=func.coalesce(_new("price_usd_cents"), placements.c.price_usd_cents),
        certificate_url=func.coalesce(_new("certificate_url"), placements.c.certificate_url),
        placed_at=func.coalesce(_new("placed_at"), placements.c.placed_at),
        placed_on=func.coalesce(_new("placed_on"), placements.c.placed_on),
        completed_at=func.coalesce(_new("completed_at"), placements.c.completed_at),
        unresolved_twin=case(
            (bindparam("b_to", type_=sa.Text()) == Status.IN_DOUBT.value, placements.c.unresolved_twin), else_=None
        ),
    )
)
_POSTPONE = (
    placements.update()
    .where(placements.c.id == bindparam("b_id"), placements.c.status == Status.PLACED.value)
    .values(
        due_at=_new("due_at"),
        checks=placements.c.checks + 1,
        certificate_url=func.coalesce(_new("certificate_url"), placements.c.certificate_url),
    )
)
_REMEMBER = (
    placements.update()
    .where(placements.c.id == bindparam("b_id"), placements.c.attempts == bindparam("b_attempt"))
    .values(handle=_new("handle"))
)
