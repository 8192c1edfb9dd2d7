"""
The checks of purchases that are made for many sales: what each sale has of them, and whether the sums agree.

The purchases themselves are compared with the providers' books like all others; see ``verdict``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, or_, select

from impactflow.ledger import Balance, Status
from impactflow.ledger.allocations import IS_SHARED
from impactflow.ledger.tables import allocations, orders, placements, shares
from impactflow.models import PARTS
from impactflow.names import is_lot
from impactflow.proof.scenario import DAY_S, Sale, Scenario
from impactflow.proof.verdict import place


def singles(purchases: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The purchases that were made for one sale."""
    return [each for each in purchases if not is_lot(each["order_id"])]


def findings(
    connection: Connection,
    scenario: Scenario,
    balances: Sequence[Balance],
    bought: Sequence[Mapping[str, Any]],
    began: datetime,
) -> list[str]:
    """
    Report errors, one line each; nothing where there are none.

    Args:
        connection: To the ledger's database.
        scenario: The scenario.
        balances: The ledger's balances.
        bought: Our purchases in the providers' books.
        began: The time of the simulation's beginning.
    """
    found = [f"the equations do not hold: {each}" for each in balances if not each.holds]
    if not scenario.pooled:
        return found
    at_s = {each["impactflow_key"]: (datetime.fromisoformat(each["at"]) - began).total_seconds() for each in bought}
    listed_twice = {f"WR-{sale.number}" for sale in scenario.sales if sale.look_alike_after_s is not None}
    rows = [row for row in connection.execute(_SHARES).all() if place(row.order_id, "")[0] not in listed_twice]
    found += _of_shares(scenario, rows)
    seen = set[tuple[str, str]]()  # a share stays what it was when the first part of it was sent
    for row in connection.execute(_COVERED).all():
        where = place(row.order_id, row.slot)
        if row.key in at_s and row.slot in scenario.pooled and where[0] not in listed_twice and where not in seen:
            seen.add(where)
            # What is covered with credit was bought before.
            found += _of_part(scenario, row, max(at_s[row.key], (row.at - began).total_seconds()))
    found += [
        f"two purchases for many on one day: {slot}, {day}"
        for (slot, day), count in Counter(
            (row.slot, row.ordered_at.date()) for row in connection.execute(_LOTS)
        ).items()
        if scenario.daily and count > 1
    ]
    alone = {place(each["order_id"], "")[0] for each in singles(bought) if scenario.pooled}
    return found + [
        f"waits for a whole unit that is there: {each.slot}"
        for each in balances
        if each.slot in scenario.pooled and not scenario.daily and not scenario.most_a_day and not alone
        if _can_be_bought(scenario, rows, each.slot) and each.waiting.get("pool", 0) >= 1
        if each.waiting.keys() <= {"pool"}
    ]


def _of_shares(scenario: Scenario, rows: Sequence[Any]) -> Iterator[str]:
    """What is wrong with the sales' shares."""
    by_place = {place(row.order_id, row.slot): row for row in rows}
    is_undone = scenario.undoes_s is not None and scenario.undoes_s[1] == float("inf")
    for where, row in by_place.items():
        if row.covered > row.owed:
            yield f"more is covered than owed: {where}"
        if is_undone and row.owed and scenario.must_be_undone(where[0]):
            yield f"owed in spite of its refund: {where}"
    for sale in scenario.sales:
        for slot in scenario.pooled if sale.certain and sale.look_alike_after_s is None else ():
            if (f"WR-{sale.number}", slot) not in by_place:
                yield f"has no share: WR-{sale.number}, {slot}"


def _of_part(scenario: Scenario, row: Any, at_s: float) -> Iterator[str]:
    """What is wrong with a sale's part of a purchase that was made at some time."""
    order_id, slot = place(row.order_id, row.slot)
    possible = {Fraction(quantity, 2) for quantity in scenario.possible(order_id, slot, at_s)}
    if Fraction(row.earned, PARTS) not in possible:
        yield f"not earned when it was bought: {order_id}, {slot}: {row.earned / PARTS} instead of {possible}"
    (sale,) = (sale for sale in scenario.sales if f"WR-{sale.number}" == order_id)
    over_s = sale.sold_s + scenario.hold_days * DAY_S - scenario.later_s
    if scenario.hold_days and at_s < over_s:
        yield f"bought within its hold: {order_id}, {slot}"


def _can_be_bought(scenario: Scenario, rows: Sequence[Any], slot: str) -> bool:
    """Whether every sale with something open in a slot is certain, so that all of it is bought in the end."""
    open_ = {place(row.order_id, "")[0] for row in rows if row.slot == slot and row.covered < row.owed}
    certain = {f"WR-{sale.number}" for sale in scenario.sales if _is_plain(sale)}
    return open_ <= certain


def _is_plain(sale: Sale) -> bool:
    return sale.certain and not sale.unlisted


#: Whether a share is of the order's own purchase, or covered by what was bought for another one; see ``credit``.
_IS_OF_ONE = (
    select(placements.c.id)
    .where(placements.c.order == shares.c.order, placements.c.slot == shares.c.slot)
    .where(or_(placements.c.status == Status.COVERED.value, IS_SHARED))
    .exists()
)
_SHARES = (
    select(orders.c.order_id, shares.c.slot, shares.c.owed, shares.c.covered)
    .join(orders, shares.c.order == orders.c.id)
    .where(orders.c.lot.is_(None), ~_IS_OF_ONE)
)
_LOTS = (
    select(placements.c.slot, orders.c.ordered_at)
    .join(orders, placements.c.order == orders.c.id)
    .where(orders.c.lot.is_not(None), orders.c.eligible)
)
_OWNER = orders.alias("owner")
#: The parts of purchases that sales have, or had; a purchase for which nothing was sent has none.
_COVERED = (
    select(_OWNER.c.order_id, placements.c.slot, placements.c.key, allocations.c.at, shares.c.earned)
    .select_from(
        allocations.join(placements, allocations.c.lot == placements.c.id)
        .join(orders, placements.c.order == orders.c.id)
        .join(_OWNER, allocations.c.order == _OWNER.c.id)
        .join(shares, (shares.c.order == _OWNER.c.id) & (shares.c.slot == placements.c.slot))
    )
    .where(_OWNER.c.lot.is_(None), orders.c.eligible, placements.c.status != Status.CANCELLED.value)
    .where(allocations.c.parts > 0)
    .order_by(allocations.c.id)
)
