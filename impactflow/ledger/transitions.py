"""
The only code that writes a placement's status, and with it the event that records the change.

``start`` writes new placements, ``revise`` changes one for which nothing is being sent, ``claim`` passes planned ones
on to a run, ``move`` records the outcome of an attempt. Each names the status it starts from, so that a late change
changes nothing, and each keeps to ``TRANSITIONS``. They run in the caller's transaction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, case, func, select

from impactflow.errors import TransitionRefused
from impactflow.ledger import allocations, forgotten
from impactflow.ledger.fresh import UNLISTED
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import NOBODY, lock, look_alike_of
from impactflow.ledger.states import STANDING, TRANSITIONS, UNSURE, WAITING, Status
from impactflow.ledger.tables import Utc, events, orders, placements
from impactflow.models import Placement, Receipt
from impactflow.names import is_lot


@dataclass(frozen=True, slots=True)
class Move:
    """
    One change of status.

    Args:
        placement: The placement; its attempt must still be the latest one, or the move is refused.
        from_: The status it starts from.
        to: The status it ends in.
        at: When.
        run_id: The run that makes it.
        detail: The reason, in words for a person; kept as the placement's reason.
        due_at: The time when it is due next.
        receipt: The provider's receipt, if the purchase took effect.
        sent_until: No request for it was sent after this time, if it is known better than at the claim.
        if_absent: As in ``Placement``, if it comes to be in doubt, or stays there.
        denied_at: When the provider said no to what may have been bought all the same, if this is what it says.
        asked_again: As in ``Placement``, if it stays in doubt; None for as often as before.
        by_key: Whether the purchase carries the placement's key, so that it may share the provider's name with another.
    """

    placement: Placement
    from_: Status
    to: Status
    at: datetime
    run_id: str
    detail: str | None = None
    due_at: datetime | None = None
    receipt: Receipt | None = None
    sent_until: datetime | None = None
    if_absent: Status | None = None
    denied_at: datetime | None = None
    asked_again: int | None = None
    by_key: bool = False


class Seen(NamedTuple):
    """A placement as it was read: the columns that ``revise`` needs."""

    id: int
    status: str
    attempts: int


def start(
    connection: Connection, rows: Sequence[Mapping[str, Any]], details: Sequence[str], at: datetime, run_id: str
) -> None:
    """
    Write new placements, with any first status.

    Args:
        connection: An open transaction.
        rows: Their columns.
        details: The text of each placement's event.
        at: When.
        run_id: The run that writes them.
    """
    connection.execute(_NEW, rows)
    keys = {"keys": as_list([row["key"]] for row in rows)}
    ids = {row.key: row.id for row in connection.execute(_BY_KEY, keys)}
    same = {"at": at, "from_status": None, "run_id": run_id}
    connection.execute(
        events.insert(),
        [
            same | {"placement": ids[row["key"]], "to_status": row["status"], "attempt": row["attempts"], "detail": why}
            for row, why in zip(rows, details, strict=True)
        ],
    )


def revise(
    connection: Connection, found: Any, values: Mapping[str, Any], detail: str | None, at: datetime, run_id: str
) -> bool:
    """
    Change a placement for which nothing is being sent, if it is unchanged since it was read; return whether it was.

    Args:
        connection: An open transaction.
        found: The placement as it was read: ``Seen``, or a row that has those columns.
        values: The columns that change, ``status`` among them.
        detail: The event's text; None for no event, if the purchase stays as it was.
        at: When.
        run_id: The run that changes it.

    Raises:
        TransitionRefused: The table does not allow this change of status.
    """
    from_, to = Status(found.status), Status(values["status"])
    _check(from_, to, may_stay=detail is None or from_ in WAITING)
    as_found = (placements.c.status == from_.value) & (placements.c.attempts == found.attempts)
    changing = placements.update().where(placements.c.id == found.id, as_found).values(**values)
    if not connection.execute(changing).rowcount:
        return False
    if to is Status.CANCELLED and from_ in _BOUGHT:
        allocations.end(connection, found.id, at, run_id)
    if detail is not None:
        event = {"from_status": from_, "to_status": to, "attempt": found.attempts, "detail": detail}
        connection.execute(events.insert(), {"placement": found.id, "at": at, "run_id": run_id, **event})
    return True


def withdraw(connection: Connection, found: Any, reason: str, at: datetime, run_id: str) -> bool:
    """Withdraw a waiting placement, if it is unchanged since it was read; return whether it was. See ``revise``."""
    gone = {"status": Status.CANCELLED.value, "due_at": None, "reason": reason}
    return revise(connection, found, gone, reason, at, run_id)


def claim(
    connection: Connection, ids: Sequence[int], now: datetime, until: datetime, run_id: str, *, alone: bool
) -> None:
    """
    Pass planned placements on to a run, which sends them: their intent is durable when this commits.

    Args:
        connection: An open transaction, which has locked them.
        ids: The placements' ids.
        now: The present time.
        until: The time when the lease ends.
        run_id: The run.
        alone: Whether each is the only one unresolved of those that the provider's records cannot tell apart.

    Raises:
        TransitionRefused: One of the placements is not planned any more.
    """
    chosen = as_list([each] for each in ids)
    values = {"ids": chosen, "now": now, "until": until, "alone": alone}
    expect(len(ids), connection.execute(_CLAIM, values).rowcount)
    record_attempts(connection, chosen, Status.PLANNED, Status.PLACING, now, run_id)


def outdate(connection: Connection, found: Any, *, outdated: bool) -> None:
    """Note whether an order has earned something else by now than a placement, which cannot be changed, is for."""
    as_found = (placements.c.id == found.id) & (placements.c.status == found.status)
    connection.execute(placements.update().where(as_found).values(outdated=outdated or None))


def record_attempts(connection: Connection, ids: str, from_: Status, to: Status, now: datetime, run_id: str) -> None:
    """Write events for the beginning of a further attempt at some placements (``as_list``), after it was counted."""
    values = {"ids": ids, "now": now, "from": from_, "to": to, "run_id": run_id}
    connection.execute(_ATTEMPTS, values)


def move(connection: Connection, moves: Sequence[Move]) -> list[None]:
    """
    Change statuses and write the events.

    Raises:
        TransitionRefused: A placement does not have its move's first status any more.
        AlreadyRecorded: Another placement holds the same purchase.
    """
    for each in moves:
        _check(each.from_, each.to, may_stay=each.from_ is Status.IN_DOUBT)
    moves = cleared(connection, moves)
    changes = {"changes": as_list(_change(each) for each in moves)}
    if len(moves) > 1:
        lock(connection, (each.placement.id for each in moves))
    expect(len(moves), connection.execute(_MOVE, changes).rowcount)
    connection.execute(_MOVE_EVENTS, changes)
    for each in moves:
        _count_parts(connection, each)
    if again := [each.placement.id for each in moves if each.to is Status.PLANNED]:
        connection.execute(_JUDGE_ANEW, {"ids": as_list([id_] for id_ in again)})
        if sent_before := [each.placement.id for each in moves if each.to is Status.PLANNED and each.from_ in UNSURE]:
            _look_alike_anew(connection, sent_before)
    return [None] * len(moves)


def _count_parts(connection: Connection, each: Move) -> None:
    """Bring the journal in line with a move that begins, or ends, a purchase of which several orders may have parts."""
    purchase = each.placement.id, each.at, each.run_id
    if each.to is Status.PLACED and is_lot(each.placement.order_id):
        allocations.to_credit(connection, *purchase)
    elif each.to is Status.PLACED and each.from_ is Status.CANCELLED:
        allocations.restore(connection, *purchase)
    elif each.to is Status.PLACED and each.from_ is Status.COVERED:
        allocations.judge_anew(connection, connection.execute(_ORDER_OF, {"id": each.placement.id}).scalar_one())
    elif each.to is Status.CANCELLED and each.from_ in _BOUGHT:
        allocations.end(connection, *purchase)


def cleared(connection: Connection, moves: Sequence[Move]) -> Sequence[Move]:
    """Moves with the sellers' texts as they are kept: without the addresses of forgotten customers."""
    urls = [each.receipt.certificate_url if each.receipt else None for each in moves]
    said = [*(each.detail for each in moves), *urls]
    if (kept := forgotten.cleared(connection, said)) is said:
        return moves
    return [
        replace(each, detail=detail, receipt=each.receipt and replace(each.receipt, certificate_url=url))
        for each, detail, url in zip(moves, kept[: len(moves)], kept[len(moves) :], strict=True)
    ]


def _look_alike_anew(connection: Connection, ids: Sequence[int]) -> None:
    """Note how placements look that are sent again, for nobody this time, since their customers were forgotten."""
    for row in connection.execute(_FORGOTTEN, {"ids": as_list([each] for each in ids)}).mappings().all():
        look_alike = look_alike_of({**row}, NOBODY)
        connection.execute(placements.update().where(placements.c.id == row["id"]).values(look_alike=look_alike))


def event_values(each: Move) -> dict[str, object]:
    """A move as the columns of its event."""
    return {
        "placement": each.placement.id,
        "at": each.at,
        "from_status": each.from_,
        "to_status": each.to,
        "attempt": each.placement.attempt,
        "run_id": each.run_id,
        "detail": each.receipt.ref if each.receipt else each.detail,
    }


def expect(expected: int, changed: int) -> None:
    """Raise ``TransitionRefused`` if fewer placements changed than expected."""
    if changed != expected:
        msg = f"{expected - changed} of {expected} placements changed meanwhile: another run handled them"
        raise TransitionRefused(msg)


def _check(from_: Status, to: Status, *, may_stay: bool) -> None:
    """Raise ``TransitionRefused`` if ``TRANSITIONS`` does not list a change."""
    if to not in TRANSITIONS[from_] and not (may_stay and from_ is to):
        msg = f"a placement never goes from {from_} to {to}"
        raise TransitionRefused(msg)


def _change(each: Move) -> tuple[object, ...]:
    """A move as a row of ``_CHANGES``."""
    receipt = each.receipt or _NO_RECEIPT
    placed_at = each.at if each.to is Status.PLACED else None
    return (
        each.placement.id,
        each.placement.attempt,
        each.from_,
        each.to,
        each.due_at,
        each.detail,
        receipt.ref or None,
        receipt.price_usd_cents,
        receipt.quoted_usd_cents,
        receipt.certificate_url,
        json.dumps(receipt.parts) if receipt.parts else None,
        placed_at,
        placed_at and placed_at.astimezone(UTC).date(),
        each.at if each.to is Status.COMPLETED else None,
        each.sent_until,
        each.denied_at,
        each.if_absent,
        each.asked_again,
        each.at,
        each.run_id,
    )


_BOUGHT = frozenset({*STANDING, Status.CANCELLING})
# Nothing is returned: otherwise SQLite would insert each row by itself.
_NEW = placements.insert()
_KEYS = listed("keys", {"key": placements.c.key.type}).c
_BY_KEY = select(placements.c.id, placements.c.key).where(placements.c.key == _KEYS.key)
_NOW = bindparam("now", type_=Utc())
_UNTIL = bindparam("until", type_=Utc())
_IDS = select(listed("ids", {"id": placements.c.id.type}).c.id)
_OF = orders.alias("of")
_ORDER_OF = select(placements.c.order).where(placements.c.id == bindparam("id"))
_NO_RECEIPT = Receipt("")
_CLAIM = (
    placements.update()
    .where(placements.c.id.in_(_IDS), placements.c.status == Status.PLANNED.value)
    .values(
        status=Status.PLACING.value,
        due_at=_UNTIL,
        attempts=placements.c.attempts + 1,
        attempted_at=_NOW,
        first_attempted_at=func.coalesce(placements.c.first_attempted_at, _NOW),
        unresolved_look_alike=case((bindparam("alone", type_=sa.Boolean()), placements.c.look_alike), else_=None),
        is_renamed=case((placements.c.known_as.is_not(None), True), else_=None),
        reason=None,
    )
)
#: After the claim, which counts the attempt.
_ATTEMPTS = events.insert().from_select(
    ["placement", "at", "from_status", "to_status", "attempt", "run_id"],
    select(
        placements.c.id,
        _NOW,
        bindparam("from", type_=sa.Text()),
        bindparam("to", type_=sa.Text()),
        placements.c.attempts,
        bindparam("run_id", type_=sa.Text()),
    ).where(placements.c.id.in_(_IDS)),
)
_CHANGES = listed(
    "changes",
    {name: placements.c[name].type for name in ("id", "attempts")}
    | {name: sa.Text() for name in ("from", "to")}
    | {
        name: placements.c[name].type
        for name in (
            "due_at",
            "reason",
            "ref",
            "price_usd_cents",
            "quoted_usd_cents",
            "certificate_url",
            "parts",
            "placed_at",
            "placed_on",
            "completed_at",
            "sent_until",
            "denied_at",
            "if_absent",
            "asked_again",
        )
    }
    | {name: events.c[name].type for name in ("at", "run_id")},
).c
_KEPT = (
    *("ref", "price_usd_cents", "quoted_usd_cents", "certificate_url", "parts"),
    *("placed_at", "placed_on", "completed_at"),
)
_MOVE = (
    placements.update()
    .where(
        placements.c.id == _CHANGES.id,
        placements.c.status == _CHANGES["from"],
        placements.c.attempts == _CHANGES.attempts,
        # For any result of this attempt: an earlier one was sent later than was thought (_doubt_late).
        ~(
            (_CHANGES["from"] == Status.PLACING.value)
            & ((_CHANGES.to == Status.PLANNED.value) | (_CHANGES.to == Status.FAILED.value))
            & (func.coalesce(placements.c.sent_until, placements.c.planned_at) > placements.c.attempted_at)
        ),
    )
    .values(
        status=_CHANGES.to,
        due_at=_CHANGES.due_at,
        reason=_CHANGES.reason,
        doubted_at=case(
            ((_CHANGES["from"] == Status.PLACING.value) & (_CHANGES.to == Status.IN_DOUBT.value), _CHANGES.at),
            else_=placements.c.doubted_at,
        ),
        sent_until=case(
            ((_CHANGES["from"] == Status.PLACING.value) & (_CHANGES.to == Status.IN_DOUBT.value), _CHANGES.at),
            else_=func.coalesce(_CHANGES.sent_until, placements.c.sent_until),
        ),
        # Until the answer to the next attempt: one that was certainly not sent tells nothing of the one before.
        denied_at=case(
            (
                sa.or_(
                    _CHANGES.to == Status.IN_DOUBT.value,
                    (_CHANGES["from"] == Status.PLACING.value) & (_CHANGES.to == Status.PLANNED.value),
                ),
                func.coalesce(_CHANGES.denied_at, placements.c.denied_at),
            ),
            else_=None,
        ),
        if_absent=case((_CHANGES.to == Status.IN_DOUBT.value, _CHANGES.if_absent), else_=None),
        asked_again=case(
            (_CHANGES.to == Status.IN_DOUBT.value, func.coalesce(_CHANGES.asked_again, placements.c.asked_again)),
            else_=None,
        ),
        unresolved_look_alike=case(
            (_CHANGES.to == Status.IN_DOUBT.value, placements.c.unresolved_look_alike), else_=None
        ),
        **{name: func.coalesce(_CHANGES[name], placements.c[name]) for name in _KEPT},
    )
)
#: Orders that were planned again while one of these placements could not be changed: they are planned once more.
_JUDGE_ANEW = (
    orders.update()
    .where(
        orders.c.id.in_(
            select(func.coalesce(_OF.c.same_as, _OF.c.id))
            .join(placements, placements.c.order == _OF.c.id)
            .where(placements.c.id.in_(_IDS), placements.c.outdated.is_(True))
        ),
        orders.c.digest != UNLISTED,
    )
    .values(digest="")
)
#: Those, among some placements, that are not to be sent in their customers' names any more.
_FORGOTTEN = (
    select(*(placements.c[name] for name in ("id", "provider", "kind", "quantity", "on_behalf")))
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.on_behalf, orders.c.customer_email == NOBODY, placements.c.id.in_(_IDS))
)
_MOVE_EVENTS = events.insert().from_select(
    ["placement", "at", "from_status", "to_status", "attempt", "run_id", "detail"],
    select(
        _CHANGES.id,
        _CHANGES.at,
        _CHANGES["from"],
        _CHANGES.to,
        _CHANGES.attempts,
        _CHANGES.run_id,
        func.coalesce(_CHANGES.reason, _CHANGES.ref),
    ),
)
