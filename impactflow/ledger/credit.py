"""
Credit of purchases for one order: what was bought for an order that is owed less of it by now.

Such a purchase is written to the journal as if it were a lot, of which its order has a share. What exceeds the share is
the slot's credit, and the next orders are covered with it: see ``netting``. If the order comes to be owed more again,
the share grows again, and what others have of the purchase meanwhile is bought once more. A purchase that its order is
owed whole, as nearly all are, has no share and costs nothing.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from impactflow.ledger import allocations, lots
from impactflow.ledger.allocations import Author, Entry
from impactflow.ledger.owing import Owed, after_refunds
from impactflow.ledger.pages import Sale
from impactflow.ledger.plan_rows import Day, Plan
from impactflow.ledger.states import STANDING, UNSURE, Status
from impactflow.ledger.tables import orders, placements, shares
from impactflow.models import PARTS, Impact, Kind


@dataclass(frozen=True, slots=True)
class Bought:
    """
    A purchase for one order that took effect.

    Args:
        placement: Its placement.
        order: The order's row.
        slot: The slot.
        kind: The kind of impact.
        quantity: The quantity in ``UNIT_OF[kind]``.
    """

    placement: int
    order: int
    slot: str
    kind: Kind
    quantity: int

    @classmethod
    def of(cls, row: Any) -> "Bought":
        """The purchase of a placement's row."""
        return cls(row.id, row.order, row.slot, Kind(row.kind), row.quantity)

    @property
    def parts(self) -> int:
        """The quantity in parts of a unit."""
        return self.quantity * PARTS


def follow(connection: Connection, found: Any, impact: Impact | None, sale: Sale, writing: Plan) -> None:
    """
    Bring what is owed of a sent purchase in line with its order's refunds, as ``owing`` says.

    After a full refund it is for ``cancellations`` to undo the purchase; only what was credited before, and may be
    other orders' by now, is credited here.
    """
    if found.status not in {*STANDING, Status.CANCELLING, *UNSURE} or found.quantity is None:
        return
    bought = Bought.of(found)
    share = (
        connection.execute(_SHARE, {"order": bought.order, "slot": bought.slot}).first() if found.is_shared else None
    )
    earned = impact if impact is not None and impact.kind == found.kind else None
    owed = after_refunds(sale, writing.page, found.slot, bought.parts, earned, share)
    if owed is None or (sale.order.is_refunded and share is None):
        return
    if found.status in UNSURE:
        if owed.parts < bought.parts:  # once it is known whether it was bought, the order is planned again
            writing.again.add(sale.row_ids[0])
        return
    if share is not None or owed.parts < bought.parts:
        owe(connection, bought, owed, writing.day, writing.page)
    if found.cancel_refused is not None and not sale.order.is_refunded:  # its order counts again
        connection.execute(placements.update().where(placements.c.id == found.id).values(cancel_refused=None))


def owe(connection: Connection, bought: Bought, owed: Owed, day: Day, by: Author) -> None:
    """
    Change what an order is owed of its own purchase; the rest is credit.

    Args:
        connection: In a transaction in which no other program plans for the store.
        bought: The purchase, which took effect.
        owed: What is owed of it, at most all of it.
        day: The quantities planned today.
        by: Who changes it.

    Raises:
        LedgerError: The parts of a purchase do not add up to its quantity: nothing of this transaction may be kept.
    """
    mine = (shares.c.order == bought.order) & (shares.c.slot == bought.slot)
    if not is_shared(connection, bought.placement):
        _begin_share(connection, bought, mine, by)
    known = connection.execute(select(shares.c.owed).where(mine)).scalar_one()
    if owed.parts != known:  # if a lot for the rest turns out not to be bought, it is not sent again as it was
        allocations.outdate(connection, [bought.order])
    for each in allocations.covering(connection, bought.order, bought.slot):
        if each.is_waiting and owed.parts != known:
            lots.give_up(connection, each.lot, "an order for which it was has changed", day, by)
    covering = allocations.covering(connection, bought.order, bought.slot)
    own = sum(each.parts for each in covering if each.lot == bought.placement)
    others = [each for each in covering if each.lot != bought.placement and each.parts]
    # What a person, or the seller, has taken back stays with its order.
    parts = max(owed.parts, sum(each.parts for each in others if each.is_over))
    allocations.free(connection, Entry(bought.order, max(0, parts - own)), others, by.at, by.run_id)
    if parts == own == bought.parts and not any(each.is_over for each in others):
        allocations.take_back(connection, bought.placement, by.at, by.run_id)  # the order has it to itself again
        connection.execute(shares.delete().where(mine))
    else:
        connection.execute(shares.update().where(mine).values(owed=parts, basis=owed.basis))
        allocations.check(connection, bought.placement)


def _begin_share(connection: Connection, bought: Bought, mine: Any, by: Author) -> None:
    """Write a purchase to the journal, all of it for its order, which may have had a share before."""
    values = {"kind": bought.kind.value, "earned": bought.parts, "owed": bought.parts}
    if not connection.execute(shares.update().where(mine).values(values)).rowcount:
        whose = {"order": bought.order, "slot": bought.slot}
        connection.execute(shares.insert(), whose | values | {"covered": 0})
    allocations.add(connection, bought.placement, [Entry(bought.order, bought.parts)], by.at, by.run_id)


def is_shared(connection: Connection, placement: int) -> bool:
    """Whether the journal says who has which part of a purchase for one order."""
    query = select(placements.c.id).where(placements.c.id == placement, allocations.IS_SHARED)
    return connection.execute(query).first() is not None


def count(connection: Connection, store: str) -> int:
    """The number of a store's purchases for one order of which the order is owed less by now."""
    number: int = connection.execute(_CREDITED, {"store": store}).scalar_one()
    return number


_SHARE = select(shares).where(shares.c.order == bindparam("order"), shares.c.slot == bindparam("slot"))
_CREDITED = (
    select(func.count())
    .select_from(
        shares.join(placements, (placements.c.order == shares.c.order) & (placements.c.slot == shares.c.slot)).join(
            orders, shares.c.order == orders.c.id
        )
    )
    .where(
        (orders.c.store + "") == bindparam("store"),  # by the shares, of which there are few
        orders.c.lot.is_(None),
        shares.c.owed < shares.c.earned,
        placements.c.status.in_(STANDING),
        allocations.IS_SHARED,
    )
)
