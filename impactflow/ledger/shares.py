"""
Shares: what orders have earned in slots where one purchase, a lot, is made for many orders.

A share changes with its order as long as nothing of it was sent. From then on it stays what it was, except that a
refund frees it: its part of a lot becomes the slot's credit. ``lots`` covers shares; called by ``planning``.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from impactflow.ledger import allocations, lots
from impactflow.ledger.allocations import Covering, Entry
from impactflow.ledger.owing import Owed, after_refunds
from impactflow.ledger.pages import Sale
from impactflow.ledger.plan_rows import Plan, share_values
from impactflow.ledger.revision import may_change
from impactflow.ledger.tables import orders, placements, shares
from impactflow.models import Impact


def stands_alone(found: Any) -> bool:
    """Whether a placement keeps its order's impact to itself: a person decided about it, or it was sent."""
    return found.decided is not None or bool(found.attempts) or not may_change(found)


def one_per_slot(connection: Connection, row_id: int, alone: Container[str], writing: Plan) -> Mapping[str, Any]:
    """
    A sale's shares by slot; none in a slot whose impact its own placement has.

    If a name has joined two orders, a share of which a part was sent stands. The other one is owed nothing any more.
    """
    standing = {}
    for slot, found in _of_sale(connection, row_id).items():
        ranked = sorted(found, key=lambda share: (not final_parts(connection, share), share.order))
        if slot not in alone:
            standing[slot] = ranked.pop(0)
        for share in ranked:
            _revise(connection, share, None, Owed(0), writing)
    return standing


def revise(
    connection: Connection,
    row_id: int,
    known: Mapping[str, Any],
    pooled: Mapping[str, Impact],
    sale: Sale,
    writing: Plan,
) -> frozenset[str]:
    """
    Bring a sale's shares in line with what it has earned by now.

    Args:
        connection: An open transaction.
        row_id: The sale's first row.
        known: Its shares, by slot.
        pooled: Its impacts that are bought with those of other orders, by slot.
        sale: The sale.
        writing: The values that the transaction will write; new shares are added.

    Returns:
        The slots in which it has a share: nothing else may be bought there for this sale.
    """
    taken = set(pooled)
    for slot, share in known.items():
        wanted = share_values(pooled[slot], sale.order, row_id) if slot in pooled else None
        if _revise(connection, share, wanted, _owed(connection, share, sale, writing), writing):
            taken.add(slot)
    writing.shares += [share_values(impact, sale.order, row_id) for slot, impact in pooled.items() if slot not in known]
    return frozenset(taken)


def sent(connection: Connection, row_ids: Iterable[int]) -> frozenset[str]:
    """The slots of which a part of a sale's share was sent."""
    found = (each for row_id in row_ids for shares_of in _of_sale(connection, row_id).values() for each in shares_of)
    return frozenset(share.slot for share in found if final_parts(connection, share))


def covered_by_credit(connection: Connection, owing: Mapping[str, Any]) -> frozenset[str]:
    """The slots, among those of a sale's shares, in which it has a part of what was bought for one other order."""
    return frozenset(
        slot
        for slot, share in owing.items()
        if any(each.is_for_one and each.parts for each in final_parts(connection, share))
    )


def covered(connection: Connection, row_ids: Iterable[int], slot: str) -> int:
    """The part of a sale's share in a slot that lots cover, those that wait to be sent included."""
    return sum(share.covered for row_id in row_ids for share in _of_sale(connection, row_id).get(slot, ()))


def _owed(connection: Connection, share: Any, sale: Sale, writing: Plan) -> Owed:
    """What a sale is owed of a share of which a part was sent."""
    impact = next((each for each in sale.earnings.impacts if each.slot == share.slot and each.kind == share.kind), None)
    owed = after_refunds(sale, writing.page, share.slot, int(share.earned), impact, share)
    if owed is not None:
        return owed
    if any(each.slot == share.slot for each in sale.earnings.impacts):
        return Owed(int(share.owed), share.basis)
    return Owed(min(int(share.earned), sum(each.parts for each in final_parts(connection, share))), share.basis)


def _revise(connection: Connection, share: Any, wanted: Mapping[str, Any] | None, by_now: Owed, writing: Plan) -> bool:
    """
    Change one share; return whether a part of it was sent.

    Args:
        connection: An open transaction.
        share: The share.
        wanted: What it is to be if nothing of it was sent; None for no share.
        by_now: What is owed of it if a part of it was sent.
        writing: The values that the transaction will write.
    """
    final = final_parts(connection, share)
    is_as_wanted = wanted is not None and all(getattr(share, name) == wanted[name] for name in _COMPARED)
    chosen = (shares.c.order == share.order) & (shares.c.slot == share.slot)
    # What a person, or the seller, has taken back stays with its order.
    owed = max(by_now.parts, sum(each.parts for each in final if each.is_over))
    if final and not is_as_wanted:
        # If one of them turns out not to be bought, it is not sent again.
        allocations.outdate(connection, [share.order])
    if final and owed == share.owed:
        if bool(share.outdated) == is_as_wanted:
            connection.execute(shares.update().where(chosen).values(outdated=not is_as_wanted))
        return True
    if not final and is_as_wanted:
        return False
    for each in allocations.covering(connection, share.order, share.slot):
        if each.is_waiting:
            lots.give_up(connection, each.lot, "an order for which it was has changed", writing.day, writing.page)
    if final := final_parts(connection, share):  # another run may have claimed a lot meanwhile
        allocations.free(connection, Entry(share.order, owed), final, writing.page.at, writing.page.run_id)
        values = {"owed": owed, "basis": by_now.basis, "outdated": not is_as_wanted}
        connection.execute(shares.update().where(chosen).values(values))
    elif wanted is None:
        connection.execute(shares.delete().where(chosen))
    else:
        changed = {name: wanted[name] for name in (*_COMPARED, "owed", "final_at")}
        connection.execute(shares.update().where(chosen).values(changed | {"outdated": None}))
    return bool(final)


def final_parts(connection: Connection, share: Any) -> Sequence[Covering]:
    """The lots with a part of a share that cannot be given up any more, the latest first."""
    return [each for each in allocations.covering(connection, share.order, share.slot) if not each.is_waiting]


def _of_sale(connection: Connection, row_id: int) -> Mapping[str, Sequence[Any]]:
    """The shares of a sale, by slot; not of its own purchases, which ``credit`` looks after."""
    found: dict[str, list[Any]] = defaultdict(list)
    for share in connection.execute(_OF_SALE, {"order": row_id}).all():
        found[share.slot].append(share)
    return found


#: The columns in which a share of which nothing was sent is compared with what is earned.
_COMPARED = ("kind", "earned", "buy_from")
_OF_SALE = (
    select(shares)
    .join(orders, shares.c.order == orders.c.id)
    .where(
        or_(orders.c.id == bindparam("order"), orders.c.same_as == bindparam("order")),
        ~select(placements.c.id)
        .where(placements.c.order == shares.c.order, placements.c.slot == shares.c.slot, allocations.IS_SHARED)
        .exists(),
    )
)
