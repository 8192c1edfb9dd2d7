"""
What is bought only once a person has approved it: what awaits that, what was decided, and whether it still holds.

Handlers for the ``Writer`` and reads. A decision is about exactly what was shown: a digest says what that was, and
neither a decision about something else nor a purchase of something else gets past it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from impactflow.errors import TransitionRefused
from impactflow.ledger import sales, transitions
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.fresh import FIRST, WITH_FIRST
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import twin
from impactflow.ledger.states import Status
from impactflow.ledger.tables import approvals, events, orders, placements
from impactflow.ledger.transitions import Seen
from impactflow.models import Kind, ProviderName
from impactflow.units import in_words

#: What a purchase is, as far as a person approves of it. Whose e-mail address it is made under is not part of it.
_COVERED = ("key", "provider", "kind", "quantity", "unit", "options", "on_behalf")


@dataclass(frozen=True, slots=True)
class Awaiting:
    """
    A placement that a person is asked about.

    Args:
        id: The ledger's row.
        store: Whose order it is.
        order: The order's id.
        slot: The policy's name for the impact.
        provider: Who sells it.
        kind: What it is.
        quantity: How many of ``UNIT_OF[kind]`` it has earned.
        reason: Why they are asked.
        since: Since when it waits.
        was_tried: Whether it was sent before: then the provider may know its key, and its quantity is fixed.
        digest: Says all that would be bought.
        ordered_at: When the order was sold.
        read_at: When the order was read last; None where that was before anybody kept it.
        policy: Digest of the policy that it was planned under then.
        was_listed: Whether a source that can be read again has listed the order.
    """

    id: int
    store: str
    order: str
    slot: str
    provider: ProviderName
    kind: Kind
    quantity: int
    reason: str
    since: datetime
    was_tried: bool
    digest: str
    ordered_at: datetime
    read_at: datetime | None
    policy: str | None
    was_listed: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """
    What a person has decided about one placement.

    Args:
        asked: What they were shown.
        quantity: How much is to be bought, at most what was earned; None for nothing, where it is rejected.
        by: Who decided.
        why: For what reason.
        at: When.
        run_id: Which run tells.
        policy: Digest of the policy that whoever asked worked with: the approval counts as a reading of the order under
            it; None where it does not.
    """

    asked: Awaiting
    quantity: int | None
    by: str
    why: str
    at: datetime
    run_id: str
    policy: str | None = None


def digest(row: Any) -> str:
    """All that would be bought for a row of ``placements``, in one word."""
    return hashlib.sha256(json.dumps([row[name] for name in _COVERED]).encode()).hexdigest()


def awaiting(
    connection: Connection,
    order: str | None,
    slot: str | None,
    store: str | None,
    placement: int | None,
    limit: int,
) -> Sequence[Awaiting]:
    """
    What waits for a person's approval, the oldest first.

    Of one order by any of its names, of one slot, of one store, or one placement by its row.

    Raises:
        ConfigurationError: Several orders go by the name.
    """
    query = _AWAITING.limit(limit)
    if store is not None:
        query = query.where(FIRST.c.store == store)
    if order is not None:
        sale = sales.find(connection, order, store)
        if sale is None:
            return []
        query = query.where(sales.same_sale(sale.id))
    if slot is not None:
        query = query.where(placements.c.slot == slot)
    if placement is not None:
        query = query.where(placements.c.id == placement)
    return [_asked(row) for row in connection.execute(query).mappings()]


def decide(connection: Connection, decisions: Sequence[Approval]) -> list[None]:
    """
    Do what persons have decided, and remember who did.

    Raises:
        TransitionRefused: A placement does not wait any more, or for something else than was shown.
    """
    for each in decisions:
        _decide(connection, each)
    return [None] * len(decisions)


def set_back(connection: Connection, ids: Sequence[int], at: datetime, run_id: str) -> int:
    """Of placements above their limit, let those wait for a person that nobody has approved so; how many they are."""
    rows = connection.execute(_ROWS, {"ids": as_list([row_id] for row_id in ids)}).mappings()
    unapproved = [row for row in rows if row["approved"] != digest(row)]
    for row in unapproved:
        said = f"{in_words(Kind(row['kind']), row['quantity'])}: nobody has approved just that"
        undecided = {"due_at": None, "reason": said, "approved": None, "decided": None}
        _move(connection, row, Status.AWAITING_APPROVAL, said, at, run_id, undecided)
    return len(unapproved)


def _decide(connection: Connection, each: Approval) -> None:
    asked = each.asked
    store = connection.execute(_STORE, {"id": asked.id}).scalar_one()
    one_at_a_time(connection, store)  # whoever plans the order anew comes before this or after it, never between
    row = connection.execute(_ROWS, {"ids": as_list([[asked.id]])}).mappings().one()
    is_as_shown = digest(row) == asked.digest and row["reason"] == asked.reason
    if row["status"] != Status.AWAITING_APPROVAL or not is_as_shown:
        raise TransitionRefused("it does not await approval any more, or is not what was shown")
    if each.quantity is not None and connection.execute(_IS_OUTDATED, {"id": asked.id}).scalar_one():
        raise TransitionRefused("its order has changed since: the next run judges it again")
    why = f": {each.why}" if each.why else ""
    if each.quantity is None:
        approved, said = None, f"rejected by {each.by}{why}"
        values: dict[str, Any] = {"reason": said, "decided": asked.digest}
        _move(connection, row, Status.CANCELLED, said, each.at, each.run_id, values)
    else:
        bought = {**row, "quantity": each.quantity}
        approved, said = digest(bought), f"{in_words(Kind(row['kind']), each.quantity)} approved by {each.by}{why}"
        values = {"due_at": each.at, "reason": None, "decided": asked.digest, "approved": approved}
        values |= {"quantity": each.quantity, "twin": twin(bought, row["customer_email"])}
        _move(connection, row, Status.PLANNED, said, each.at, each.run_id, values)
        if each.policy is not None:
            read = {"read_at": each.at, "policy": each.policy}
            connection.execute(orders.update().where(orders.c.id == _first_of(asked.id)).values(read))
    connection.execute(
        approvals.insert(),
        {
            "placement": asked.id,
            "at": each.at,
            "by": each.by,
            "decision": "rejected" if approved is None else "approved",
            "quantity": each.quantity,
            "digest": approved,
            "why": each.why or None,
            "run_id": each.run_id,
        },
    )


def _first_of(placement: int) -> Any:
    """The row of its sale that was here first."""
    row = select(func.coalesce(orders.c.same_as, orders.c.id)).select_from(_JOINED)
    return row.where(placements.c.id == placement).scalar_subquery()


def _move(
    connection: Connection, row: Any, to: Status, said: str, at: datetime, run_id: str, values: Mapping[str, Any]
) -> None:
    """
    Change the status of a row that this transaction has locked, and say so in its story.

    Raises:
        TransitionRefused: It is not as it was read.
    """
    seen = Seen(row["id"], row["status"], row["attempts"])
    if not transitions.revise(connection, seen, {"status": to.value, **values}, said, at, run_id):
        raise TransitionRefused("another run has changed it meanwhile")


def _asked(row: Any) -> Awaiting:
    return Awaiting(
        id=row["id"],
        store=row["store"],
        order=row["order_id"],
        slot=row["slot"],
        provider=ProviderName(row["provider"]),
        kind=Kind(row["kind"]),
        quantity=row["quantity"],
        reason=row["reason"],
        since=row["since"],
        was_tried=row["attempts"] > 0,
        digest=digest(row),
        ordered_at=row["ordered_at"],
        read_at=row["read_at"],
        policy=row["policy"],
        was_listed=row["listed"] is not None,
    )


_SEEN = (
    *(placements.c[name] for name in ("id", "slot", "status", "reason", "attempts", "approved", *_COVERED)),
    orders.c.store,
    orders.c.order_id,
    orders.c.customer_email,
)
_JOINED = placements.join(orders, placements.c.order == orders.c.id)
_ROWS = (
    select(*_SEEN)
    .select_from(_JOINED)
    .where(placements.c.id.in_(select(listed("ids", {"id": placements.c.id.type}).c.id)))
    .order_by(placements.c.id)
    .with_for_update(of=placements)
)
_STORE = select(orders.c.store).select_from(_JOINED).where(placements.c.id == bindparam("id"))
#: Whether what came since makes another thing of it, which nobody has judged yet.
_IS_OUTDATED = select(FIRST.c.digest == "").select_from(WITH_FIRST).where(placements.c.id == bindparam("id"))
_SINCE = select(func.max(events.c.at)).where(events.c.placement == placements.c.id).scalar_subquery()
_AWAITING = (
    select(*_SEEN, _SINCE.label("since"), *(FIRST.c[name] for name in ("ordered_at", "read_at", "policy", "listed")))
    .select_from(WITH_FIRST)
    .where(placements.c.status == Status.AWAITING_APPROVAL.value)
    .order_by(placements.c.id)
)
