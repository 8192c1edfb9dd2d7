"""
The checks of credit: sales that are covered by what was bought for others, and purchases of which less is owed by now.

Whether the sums agree is checked with those of purchases for many; see ``pools``.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import Connection, func, null, select

from impactflow.ledger import Status
from impactflow.ledger.allocations import IS_SHARED
from impactflow.ledger.states import STANDING
from impactflow.ledger.tables import allocations, events, orders, placements, shares
from impactflow.models import PARTS
from impactflow.proof.scenario import Scenario
from impactflow.proof.sellers import RULES
from impactflow.proof.verdict import Place, place


def covered(connection: Connection) -> Mapping[Place, int]:
    """The sales for which nothing was bought in a slot, since credit covers them, with the quantity."""
    return {place(row.order_id, row.slot): row.quantity for row in connection.execute(_COVERED)}


def findings(connection: Connection, scenario: Scenario, began: datetime) -> Iterator[str]:
    """
    Report errors, one line each; nothing where there are none.

    Args:
        connection: To the ledger's database.
        scenario: The scenario.
        began: The time of the simulation's beginning.
    """
    for row in connection.execute(_COVERED).all():
        order_id, slot = place(row.order_id, row.slot)
        possible = scenario.possible(order_id, slot, (row.at - began).total_seconds())
        if row.owed != row.covered or row.earned != row.quantity * PARTS:
            yield f"covered, but not whole: {order_id}, {slot}"
        if scenario.cancelled_after_s is None and row.is_taken_back:
            yield f"covered by what was cancelled: {order_id}, {slot}"
        if row.quantity not in possible:
            yield f"not earned when it was covered: {order_id}, {slot}: {row.quantity} instead of {sorted(possible)}"
    is_undone = scenario.undoes_s is not None and scenario.undoes_s[1] == float("inf")
    for row in connection.execute(_SHARED).all():
        order_id, slot = place(row.order_id, row.slot)
        if is_undone and scenario.must_be_undone(order_id) and row.owed:
            yield f"owed in spite of its refund: {order_id}, {slot}"
    for sale in scenario.sales if scenario.in_part else ():
        for slot in scenario.slots if sale.reduced_s is not None else ():
            yield from _of_reduced(connection, scenario, f"WR-{sale.number}", slot, sale.items_at(float("1e12")))


def _of_reduced(connection: Connection, scenario: Scenario, order_id: str, slot: str, items: int) -> Iterator[str]:
    """What is wrong with what a sale is owed of which a part was given back, for good or not."""
    earned = items * RULES[slot][1] * PARTS // (2 if slot in scenario.pooled else 1)
    for row in connection.execute(_OWED).all():
        if place(row.order_id, row.slot) != (order_id, slot):
            continue
        owed = row.quantity * PARTS if row.owed is None else row.owed
        if owed > earned:
            yield f"owed more than it has earned: {order_id}, {slot}"
        if row.owed is not None and row.quantity is not None and owed < min(earned, row.quantity * PARTS):
            yield f"owed less than it has earned: {order_id}, {slot}"


_COVERED_AT = (
    select(func.max(events.c.at))
    .where(events.c.placement == placements.c.id, events.c.to_status == Status.COVERED.value)
    .scalar_subquery()
)
_PURCHASE = placements.alias("purchase")
#: Whether a purchase that covers a part of a share was cancelled.
_IS_TAKEN_BACK = (
    select(_PURCHASE.c.id)
    .join(allocations, allocations.c.lot == _PURCHASE.c.id)
    .where(
        allocations.c.order == shares.c.order,
        _PURCHASE.c.slot == shares.c.slot,
        _PURCHASE.c.status == Status.CANCELLED.value,
        _PURCHASE.c.placed_at.is_not(None),
    )
    .group_by(_PURCHASE.c.id)
    .having(func.sum(allocations.c.parts) > 0)
    .exists()
)
_OF_SHARE = (placements.c.order == shares.c.order) & (placements.c.slot == shares.c.slot)
_COVERED = (
    select(
        orders.c.order_id, placements.c.slot, placements.c.quantity, shares.c.earned, shares.c.owed, shares.c.covered,
        _COVERED_AT.label("at"), _IS_TAKEN_BACK.label("is_taken_back"),
    )
    .select_from(placements.join(orders, placements.c.order == orders.c.id).join(shares, _OF_SHARE))
    .where(placements.c.status == Status.COVERED.value)
)  # fmt: skip
#: What is owed of each purchase for one sale that stands, where it is not all of it, and of each share.
_OWED = (
    select(orders.c.order_id, placements.c.slot, placements.c.quantity, shares.c.owed)
    .select_from(placements.join(orders, placements.c.order == orders.c.id).outerjoin(shares, _OF_SHARE))
    .where(placements.c.status.in_(STANDING), orders.c.lot.is_(None))
    .union_all(
        select(orders.c.order_id, shares.c.slot, null(), shares.c.owed)
        .select_from(shares.join(orders, shares.c.order == orders.c.id).outerjoin(placements, _OF_SHARE))
        .where(orders.c.lot.is_(None), placements.c.id.is_(None))
    )
)
_SHARED = (
    select(orders.c.order_id, placements.c.slot, shares.c.owed)
    .select_from(placements.join(orders, placements.c.order == orders.c.id).join(shares, _OF_SHARE))
    .where(placements.c.status.in_(STANDING), orders.c.lot.is_(None), IS_SHARED)
)
