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
from impactflow.ledger.pages import Sale
from impactflow.ledger.plan_rows import Day, Plan
from impactflow.ledger.states import STANDING, UNSURE, Status
from impactflow.ledger.tables import orders, placements, shares
from impactflow.models import PARTS, Impact, Kind, parts_of


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
    Bring what is owed of a sent purchase in line with what its order has earned by now, if a refund has changed it.

    A refund of a part counts where the policy says so. After a full refund it is for ``cancellations`` to undo the
    purchase; only what was credited before, or cannot be cancelled any more, is credited here. An edit changes nothing.
    """
    owed = _owed(connection, found, impact, sale, writing)
    if owed is None:
        return
    if found.status in UNSURE:
        if owed < found.quantity * PARTS:  # once it is known whether it was bought, the order is planned again
            writing.again.add(sale.row_ids[0])
        return
    owe(connection, Bought.of(found), owed, writing.day, writing.page)
    if found.cancel_refused is not None and not sale.order.is_refunded:  # its order counts again
        connection.execute(placements.update().where(placements.c.id == found.id).values(cancel_refused=None))


def owe(connection: Connection, bought: Bought, owed: int, day: Day, by: Author) -> None:
    """
    Change what an order is owed of its own purchase, in parts of a unit; the rest is credit.

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
        if owed == bought.parts:
            return
        values = {"order": bought.order, "slot": bought.slot, "kind": bought.kind.value}
        connection.execute(shares.delete().where(mine))  # of a share that was freed, if there is one
        connection.execute(shares.insert(), values | {"earned": bought.parts, "owed": bought.parts, "covered": 0})
        allocations.add(connection, bought.placement, [Entry(bought.order, bought.parts)], by.at, by.run_id)
    for each in allocations.covering(connection, bought.order, bought.slot):
        if each.is_waiting:
            lots.give_up(connection, each.lot, "an order for which it was has changed", day, by)
    covering = allocations.covering(connection, bought.order, bought.slot)
    own = sum(each.parts for each in covering if each.lot == bought.placement)
    others = [each for each in covering if each.lot != bought.placement]
    allocations.free(connection, Entry(bought.order, max(0, owed - own)), others, by.at, by.run_id)
    if owed == own == bought.parts:  # the order has its purchase to itself again
        allocations.take_back(connection, bought.placement, by.at, by.run_id)
        connection.execute(shares.delete().where(mine))
    else:
        connection.execute(shares.update().where(mine).values(owed=owed))
        allocations.check(connection, bought.placement)


def is_shared(connection: Connection, placement: int) -> bool:
    """Whether the journal says who has which part of a purchase for one order."""
    query = select(placements.c.id).where(placements.c.id == placement, allocations.IS_SHARED)
    return connection.execute(query).first() is not None


def count(connection: Connection, store: str) -> int:
    """The number of a store's purchases for one order of which the order is owed less by now."""
    number: int = connection.execute(_CREDITED, {"store": store}).scalar_one()
    return number


def _owed(connection: Connection, found: Any, impact: Impact | None, sale: Sale, writing: Plan) -> int | None:
    """What a sale is owed of its own purchase by now, in parts; None where no refund says anything about that."""
    if found.status not in {*STANDING, Status.CANCELLING, *UNSURE} or found.quantity is None:
        return None
    bought = int(found.quantity) * PARTS
    if sale.order.is_refunded:
        is_credited = writing.page.undoes(found.slot) and is_shared(connection, found.id)
        return 0 if is_credited else None
    if impact is None or impact.kind != found.kind or impact.quantity is None:
        return None
    is_less = sale.order.is_refunded_in_part and writing.page.reduces(found.slot)
    return min(bought, parts_of(impact.exact)) if is_less else bought


_CREDITED = (
    select(func.count())
    .select_from(
        shares.join(placements, (placements.c.order == shares.c.order) & (placements.c.slot == shares.c.slot)).join(
            orders, shares.c.order == orders.c.id
        )
    )
    .where(
        orders.c.store == bindparam("store"),
        orders.c.lot.is_(None),
        shares.c.owed < shares.c.earned,
        placements.c.status.in_(STANDING),
        allocations.IS_SHARED,
    )
)
