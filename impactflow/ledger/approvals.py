"""
Purchases that need a person's approval: the waiting ones, the decisions, and whether a decision still holds.

Handlers for the ``Writer`` and reads. A decision covers exactly what the person was shown. A digest identifies this,
and stops both a decision about something else and a purchase of something else.
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
from impactflow.ledger.rows import look_alike_of
from impactflow.ledger.states import Status
from impactflow.ledger.tables import approvals, events, orders, placements
from impactflow.ledger.transitions import Seen
from impactflow.models import Kind, ProviderName
from impactflow.units import in_words

#: The columns that a person approves. The e-mail address under which the purchase is made is not one of them.
DECIDED_ABOUT = ("key", "provider", "kind", "quantity", "unit", "options", "on_behalf")


@dataclass(frozen=True, slots=True)
class Awaiting:
    """
    A placement that a person is asked about.

    Args:
        id: The ledger's row.
        store: The store of the order.
        order: The order's id.
        slot: The policy's name for the impact.
        provider: The seller.
        kind: The kind of impact.
        quantity: The quantity that was earned, in ``UNIT_OF[kind]``.
        reason: The reason for the question.
        since: The time since when it waits.
        was_tried: Whether it was sent before: if so, the provider may know its key, and its quantity is fixed.
        digest: The digest of everything that would be bought.
        ordered_at: The time when the order was sold.
        read_at: The time when the order was last read; None if the ledger did not keep this time yet.
        policy: The digest of the policy under which it was planned then.
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
    A person's decision about one placement.

    Args:
        asked: The placement as the person was shown it.
        quantity: The quantity to buy, at most what was earned; None for a rejection.
        by: The person who decided.
        why: The person's reason.
        at: The time of the decision.
        run_id: The run that records it.
        policy: The digest of the policy that the asking program used: the approval counts as a reading of the order
            under this policy; None if it does not.
    """

    asked: Awaiting
    quantity: int | None
    by: str
    why: str
    at: datetime
    run_id: str
    policy: str | None = None


def digest(row: Any) -> str:
    """Return the digest of everything that would be bought for a row of ``placements``."""
    return hashlib.sha256(json.dumps([row[name] for name in DECIDED_ABOUT]).encode()).hexdigest()


def awaiting(
    connection: Connection,
    order: str | None,
    slot: str | None,
    store: str | None,
    placement: int | None,
    limit: int,
) -> Sequence[Awaiting]:
    """
    The placements that await a person's approval, the oldest first.

    They can be limited to one order by any of its names, one slot, one store, or one placement by its row.

    Raises:
        ConfigurationError: Several orders have this name.
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
    Apply the decisions of persons, and remember who made them.

    Raises:
        TransitionRefused: A placement does not wait any more, or waits for something else than was shown.
    """
    for each in decisions:
        _decide(connection, each)
    return [None] * len(decisions)


def set_back(connection: Connection, ids: Sequence[int], at: datetime, run_id: str) -> int:
    """Let placements above their limit wait for a person if no one approved exactly them; return how many."""
    rows = connection.execute(_ROWS, {"ids": as_list([row_id] for row_id in ids)}).mappings()
    unapproved = [row for row in rows if row["approved"] != digest(row)]
    for row in unapproved:
        reason = f"{in_words(Kind(row['kind']), row['quantity'])}: no person has approved this quantity"
        undecided = {"due_at": None, "reason": reason, "approved": None, "decided": None}
        _move(connection, row, Status.AWAITING_APPROVAL, reason, at, run_id, undecided)
    return len(unapproved)


def _decide(connection: Connection, each: Approval) -> None:
    asked = each.asked
    store = connection.execute(_STORE, {"id": asked.id}).scalar_one()
    one_at_a_time(connection, store)  # a new plan of the order comes before or after this
    row = connection.execute(_ROWS, {"ids": as_list([[asked.id]])}).mappings().one()
    is_as_shown = digest(row) == asked.digest and row["reason"] == asked.reason
    if row["status"] != Status.AWAITING_APPROVAL or not is_as_shown:
        raise TransitionRefused("it does not await approval any more, or is not what was shown")
    if each.quantity is not None and connection.execute(_IS_OUTDATED, {"id": asked.id}).scalar_one():
        raise TransitionRefused("its order has changed since: the next run judges it again")
    why = f": {each.why}" if each.why else ""
    if each.quantity is None:
        approved, detail = None, f"rejected by {each.by}{why}"
        values: dict[str, Any] = {"reason": detail, "decided": asked.digest}
        _move(connection, row, Status.CANCELLED, detail, each.at, each.run_id, values)
    else:
        bought = {**row, "quantity": each.quantity}
        approved, detail = digest(bought), f"{in_words(Kind(row['kind']), each.quantity)} approved by {each.by}{why}"
        values = {"due_at": each.at, "reason": None, "decided": asked.digest, "approved": approved}
        values |= {"quantity": each.quantity, "look_alike": look_alike_of(bought, row["customer_email"])}
        _move(connection, row, Status.PLANNED, detail, each.at, each.run_id, values)
        if each.policy is not None:
            read = {"read_at": each.at, "policy": each.policy}
            # The orders of a lot were not read for this: the next run sees to that.
            first = (orders.c.id == _first_of(asked.id)) & orders.c.lot.is_(None)
            connection.execute(orders.update().where(first).values(read))
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
    """The first row of its sale."""
    row = select(func.coalesce(orders.c.same_as, orders.c.id)).select_from(_JOINED)
    return row.where(placements.c.id == placement).scalar_subquery()


def _move(
    connection: Connection, row: Any, to: Status, detail: str, at: datetime, run_id: str, values: Mapping[str, Any]
) -> None:
    """
    Change the status of a row that this transaction has locked, and write an event about it.

    Raises:
        TransitionRefused: The row is not as it was read.
    """
    seen = Seen(row["id"], row["status"], row["attempts"])
    if not transitions.revise(connection, seen, {"status": to.value, **values}, detail, at, run_id):
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
    *(placements.c[name] for name in ("id", "slot", "status", "reason", "attempts", "approved", *DECIDED_ABOUT)),
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
#: Whether the order has changed since it was planned, and is not judged again yet.
_IS_OUTDATED = select(FIRST.c.digest == "").select_from(WITH_FIRST).where(placements.c.id == bindparam("id"))
_SINCE = select(func.max(events.c.at)).where(events.c.placement == placements.c.id).scalar_subquery()
_AWAITING = (
    select(*_SEEN, _SINCE.label("since"), *(FIRST.c[name] for name in ("ordered_at", "read_at", "policy", "listed")))
    .select_from(WITH_FIRST)
    .where(placements.c.status == Status.AWAITING_APPROVAL.value)
    .order_by(placements.c.id)
)
