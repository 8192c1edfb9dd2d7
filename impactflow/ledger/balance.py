"""
The two equations of every slot, as one query.

    owed   = allocated + waiting        what orders have earned = what purchases cover + what is still to be bought
    bought = allocated + credit         what sellers have sold  = what covers an order + what is owed to none any more

Each side is summed from rows of its own: ``shares`` and placements say what is owed, the journal of lots and placements
what is covered, and placements alone what is bought. ``allocations`` checks the same where rows are written.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, case, func, literal, select, union_all

from impactflow.ledger.allocations import IS_SHARED
from impactflow.ledger.states import STANDING, WITHDRAWN, Status
from impactflow.ledger.tables import allocations, orders, placements, shares
from impactflow.models import PARTS, UNIT_OF, Kind, Unit


@dataclass(frozen=True, slots=True)
class Balance:
    """
    A slot's balance; amounts in ``unit``, exact.

    Args:
        store: The store.
        slot: The slot.
        unit: The unit.
        owed: What orders have earned, less what was given back, or cancelled with its purchase.
        allocated: What purchases that stand cover of it.
        waiting: What is still to be bought, or to be decided, by the reason: ``pool`` for what no purchase covers yet,
            or the status of its purchase.
        bought: What purchases that stand come to.
        credit: What of them is owed to no order any more.
    """

    store: str
    slot: str
    unit: Unit
    owed: Fraction
    allocated: Fraction
    waiting: Mapping[str, Fraction]
    bought: Fraction
    credit: Fraction

    @property
    def holds(self) -> bool:
        """Whether both equations hold."""
        waiting = sum(self.waiting.values(), Fraction(0))
        is_whole = min(self.allocated, self.credit, waiting) >= 0
        return is_whole and self.owed == self.allocated + waiting and self.bought == self.allocated + self.credit


@dataclass(frozen=True, slots=True)
class Open:
    """
    What waits in a slot for a purchase for many orders.

    Args:
        slot: The slot.
        unit: The unit.
        orders: The number of orders.
        quantity: The part of their shares that nothing covers yet, exact.
    """

    slot: str
    unit: Unit
    orders: int
    quantity: Fraction


def open_shares(connection: Connection) -> Sequence[Open]:
    """What waits for purchases for many orders, by slot."""
    return [
        Open(row.slot, UNIT_OF[Kind(row.kind)], row.orders, int(row.units) + Fraction(int(row.parts), PARTS))
        for row in connection.execute(_OPEN)
    ]


def balances(connection: Connection) -> Sequence[Balance]:
    """The balance of each store and slot, and of each unit in which something was earned there."""
    sums: dict[tuple[str, str, Unit], dict[tuple[str, str], Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for row in connection.execute(_SUMS):
        amount = Fraction(int(row.quantity or 0) + int(row.units or 0)) + Fraction(int(row.parts or 0), PARTS)
        sums[row.store, row.slot, UNIT_OF[Kind(row.kind)]][row.side, row.why] += amount
    return [_balance(*where, found) for where, found in sorted(sums.items())]


def _balance(store: str, slot: str, unit: Unit, found: Mapping[tuple[str, str], Fraction]) -> Balance:
    def total(side: str) -> Fraction:
        return sum((amount for (name, _), amount in found.items() if name == side), Fraction(0))

    waiting = {why: amount for (side, why), amount in found.items() if side == "waiting" and amount}
    return Balance(store, slot, unit, total("owed"), total("allocated"), waiting, total("bought"), total("credit"))


_OPEN = (
    select(
        shares.c.slot,
        shares.c.kind,
        func.count().label("orders"),
        func.sum((shares.c.owed - shares.c.covered) // PARTS).label("units"),  # apart, as below
        func.sum((shares.c.owed - shares.c.covered) % PARTS).label("parts"),
    )
    .where(shares.c.covered != shares.c.owed, shares.c.covered < shares.c.owed)  # the first one for the index
    .group_by(shares.c.slot, shares.c.kind)
    .order_by(shares.c.slot)
)
_STANDS = placements.c.status.in_([*STANDING, Status.CANCELLING])
_NONE = literal(0)


def _rows(side: str, why: Any, quantity: Any, parts: Any, source: Any, *conditions: Any, slot: Any = placements) -> Any:
    """The sums of one side of the equations, by store, slot, kind and reason."""
    where = (orders.c.store, slot.c.slot, slot.c.kind)
    return (
        select(
            *where, literal(side).label("side"), why.label("why"), func.sum(quantity).label("quantity"),
            func.sum(parts // PARTS).label("units"),  # apart from the rest, so that the sums fit into integers
            func.sum(parts % PARTS).label("parts"),
        )
        .select_from(source)
        .where(*conditions)
        .group_by(*where, why)
    )  # fmt: skip


_PLACED = placements.join(orders, placements.c.order == orders.c.id)
_SHARED = shares.join(orders, shares.c.order == orders.c.id)
_JOURNAL = allocations.join(placements, allocations.c.lot == placements.c.id).join(
    orders, placements.c.order == orders.c.id
)
_OF_LOTS = _SHARED.join(placements, (placements.c.order == shares.c.order) & (placements.c.slot == shares.c.slot))
_STATUS = placements.c.status
_NO_REASON = literal("")
_SINGLE = orders.c.lot.is_(None)
_LIVING = placements.c.status.not_in(WITHDRAWN)
#: Whether a purchase for one order is all that is to be known of its order in its slot.
_IS_PLAIN = _SINGLE & _LIVING & ~IS_SHARED
_IS_REFUSED = placements.c.cancel_refused.is_not(None)
_FOR_ORDERS = allocations.c.order != placements.c.order
_IS_OPEN, _BEYOND = shares.c.covered < shares.c.owed, shares.c.covered > shares.c.owed
_SUMS = union_all(
    # Purchases for one order: what the order has earned is what its placement is for.
    _rows("owed", _NO_REASON, placements.c.quantity, _NONE, _PLACED, _IS_PLAIN, ~(_STANDS & _IS_REFUSED)),
    _rows("waiting", _STATUS, placements.c.quantity, _NONE, _PLACED, _IS_PLAIN, ~_STANDS),
    _rows("allocated", _NO_REASON, placements.c.quantity, _NONE, _PLACED, _IS_PLAIN, _STANDS, ~_IS_REFUSED),
    _rows("credit", _NO_REASON, placements.c.quantity, _NONE, _PLACED, _IS_PLAIN, _STANDS, _IS_REFUSED),
    # Purchases of which several orders may have parts: shares say what is owed, the journal what is covered. What is
    # covered beyond what is owed, at a lot's own row or at the order of a purchase for one, is credit.
    _rows("owed", _NO_REASON, _NONE, shares.c.owed, _SHARED, _SINGLE, slot=shares),
    _rows("owed", _NO_REASON, _NONE, -allocations.c.parts, _JOURNAL, _FOR_ORDERS, ~_LIVING),
    _rows("waiting", literal("pool"), _NONE, shares.c.owed - shares.c.covered, _SHARED, _SINGLE, _IS_OPEN, slot=shares),
    _rows("waiting", _STATUS, _NONE, allocations.c.parts, _JOURNAL, _FOR_ORDERS, _LIVING, ~_STANDS),
    _rows("allocated", _NO_REASON, _NONE, allocations.c.parts, _JOURNAL, _STANDS),
    _rows("allocated", _NO_REASON, _NONE, shares.c.owed - shares.c.covered, _OF_LOTS, _BEYOND, _STANDS),
    _rows("credit", _NO_REASON, _NONE, shares.c.covered - shares.c.owed, _OF_LOTS, _BEYOND, _STANDS),
    # All purchases.
    _rows("bought", _NO_REASON, case((_STANDS, placements.c.quantity), else_=0), _NONE, _PLACED),
)
