"""
Orders that no source lists, or not any more: nothing is bought for them unless a person says so.

A complete reading of some days does not list orders that were deleted at the shop, nor orders that only a webhook has
reported. A deleted order is known at once. An order from a webhook may still come to be listed, and waits until the
webhook's report is old; after a hold the report still counts, since what changes an order is reported as well. Both
then await approval, which counts as a reading. An order from a webhook also awaits approval if no run reads orders at
all. Once listed, or reported again, they are planned anew. A handler for the ``Writer``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, or_, select

from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import FIRST, FRESH, IS_OFF_HOLD, RELEASED, REREAD, UNLISTED, WAS_LISTED, WITH_FIRST
from impactflow.ledger.pauses import IS_PAUSED
from impactflow.ledger.states import Status
from impactflow.ledger.tables import Utc, events, orders, placements


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A complete reading of some days; or of none, if only webhooks report orders.

    Args:
        store: The store of the orders.
        span: The days, as a half-open span of time; None if nothing was read.
        at: The time when it began.
        run_id: The run that did it.
    """

    store: str
    span: tuple[datetime, datetime] | None
    at: datetime
    run_id: str


def leave_to_person(connection: Connection, listings: Sequence[Listing]) -> list[int]:
    """Let waiting placements await approval if a reading did not list their order; return how many placements."""
    return [_leave(connection, each) for each in listings]


def _leave(connection: Connection, listing: Listing) -> int:
    one_at_a_time(connection, listing.store)
    times: dict[str, Any] = {"reread": listing.at - REREAD, "fresh_since": listing.at - FRESH}
    times |= {"told_since": listing.at - RELEASED, "fresh_now": listing.at}
    if listing.span is None:
        rows = connection.execute(_NEVER_LISTED, {"store": listing.store} | times).all()
    else:
        began, ended = listing.span
        rows = connection.execute(_ROWS, {"store": listing.store, "began": began, "ended": ended} | times).all()
    fresh = [row for row in rows if not (row.status == Status.AWAITING_APPROVAL and row.digest == UNLISTED)]
    for row in fresh:
        if _ask(connection, row, unlisted_reason(row.read_at), listing.at, listing.run_id):
            connection.execute(orders.update().where(orders.c.id == row.first).values(digest=UNLISTED))
    return len(fresh)


def unlisted_reason(read_at: datetime | None) -> str:
    """The reason for the question about an order that no source lists."""
    last_report = f"last told {read_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if read_at else "not told since"
    return f"its order is not listed (any more), {last_report}"


def ask_about(connection: Connection, sale: int, reason: str, at: datetime, run_id: str) -> None:
    """Let every waiting placement of a sale, by its first row, await approval for this reason, too."""
    for row in connection.execute(_OF_SALE, {"sale": sale}).all():
        _ask(connection, row, reason, at, run_id)


def _ask(connection: Connection, row: Any, reason: str, at: datetime, run_id: str) -> bool:
    if row.status == Status.AWAITING_APPROVAL:
        reason = f"{row.reason}; {reason}"
    undecided = {"due_at": None, "reason": reason, "approved": None, "decided": None}
    same = placements.c.id == row.id, placements.c.status == row.status
    asked = {"status": Status.AWAITING_APPROVAL.value} | undecided
    if not connection.execute(placements.update().where(*same).values(asked)).rowcount:
        return False
    if row.status != Status.AWAITING_APPROVAL:
        moved = {"from_status": row.status, "to_status": Status.AWAITING_APPROVAL, "attempt": row.attempts}
        event = {"placement": row.id, "at": at, "run_id": run_id, "detail": reason}
        connection.execute(events.insert(), moved | event)
    return True


_SEEN = tuple(placements.c[name] for name in ("id", "status", "reason", "attempts"))
_WAITS = placements.c.status.in_([Status.PLANNED, Status.AWAITING_APPROVAL])
_OF_SALE = (
    select(*_SEEN)
    .select_from(WITH_FIRST)
    .where(FIRST.c.id == bindparam("sale"), _WAITS)
    .order_by(placements.c.id)
    .with_for_update(of=placements)
)
_OLD = (
    select(
        *_SEEN,
        FIRST.c.id.label("first"),
        FIRST.c.digest,
        FIRST.c.read_at,
    )
    .select_from(WITH_FIRST)
    .where(
        FIRST.c.store == bindparam("store"),
        FIRST.c.lot.is_(None),  # no source lists a purchase for many orders
        _WAITS,
        FIRST.c.digest != "",  # a new report changed it: it is judged first
        # Nothing is sent for it now: it is asked about once it would be.
        IS_OFF_HOLD,
        ~IS_PAUSED,
        or_(
            FIRST.c.read_at.is_(None),
            # A person's approval of an order that is not listed counts as long as any reading.
            FIRST.c.read_at
            < case(
                (WAS_LISTED & (FIRST.c.digest != UNLISTED), bindparam("reread", type_=Utc())),
                (placements.c.buy_from.is_not(None) & ~WAS_LISTED, bindparam("told_since", type_=Utc())),
                else_=bindparam("fresh_since", type_=Utc()),
            ),
        ),
    )
    .order_by(placements.c.id)
    .with_for_update(of=placements)
)
_ROWS = _OLD.where(
    FIRST.c.ordered_at >= bindparam("began", type_=Utc()), FIRST.c.ordered_at < bindparam("ended", type_=Utc())
)
#: Placements that would be sent, of orders that no source has ever listed.
_NEVER_LISTED = _OLD.where(placements.c.status == Status.PLANNED, FIRST.c.listed.is_(None), ~WAS_LISTED)
