"""
Covering orders with a slot's credit, where a rule buys for each order by itself.

Before anything is bought, what waits to be sent is compared with the credit, the oldest order first. An order that is
covered has a share of what was bought already, as if it were bought together with others, and its own placement is not
sent. If the credit is less than the last one needs, the rest is bought as a lot.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Text, bindparam, select

from impactflow.ledger import transitions
from impactflow.ledger.allocations import Author
from impactflow.ledger.fresh import FIRST, IS_FRESH, IS_OFF_HOLD, WITH_FIRST, Fresh
from impactflow.ledger.pauses import IS_PAUSED, LONG_AGO
from impactflow.ledger.plan_rows import Day, final_at
from impactflow.ledger.states import Status
from impactflow.ledger.tables import orders, placements, shares
from impactflow.models import PARTS, Pool

#: The most orders that are covered in one run.
_MOST = 1_000


class Run(Author, Protocol):
    """The run that covers orders: see ``lots.Drawing``."""

    @property
    def fresh(self) -> Fresh:
        """The conditions for sending."""


def share_credit(connection: Connection, run: Run, pool: Pool, credit: int, day: Day) -> bool:
    """
    Make shares of the oldest placements of a slot that would be sent now, as far as its credit goes.

    Args:
        connection: In a transaction in which no other program plans for the store.
        run: The run.
        pool: The slot; its least lot is the least rest that can be bought.
        credit: The credit that no share needs, in parts of a unit.
        day: The quantities planned today.

    Returns:
        Whether there are new shares, which wait for the credit.
    """
    made = False
    for row in _sendable(connection, run, pool, min(credit // PARTS, _MOST)):
        wanted = row.quantity * PARTS
        rest = wanted - credit
        if credit < PARTS or (rest > 0 and (credit % PARTS or rest < pool.least * PARTS)):
            continue
        gone = {"status": Status.COVERED.value, "due_at": None, "reason": _COVERED}
        if not transitions.revise(connection, row, gone, _COVERED, run.at, run.run_id):
            continue
        day.give_back(connection, run.store, pool.slot, row.planned_at, row.quantity)
        values = {"order": row.order, "slot": pool.slot, "kind": pool.kind.value}
        values |= {"earned": wanted, "owed": wanted, "covered": 0, "final_at": final_at(row.ordered_at)}
        values["buy_from"] = None if row.buy_from == LONG_AGO else row.buy_from
        connection.execute(shares.insert(), values)
        credit, made = max(0, credit - wanted), True
    return made


def _sendable(connection: Connection, run: Run, pool: Pool, limit: int) -> Sequence[Any]:
    """The oldest placements of a slot that would be sent now, and that no person has decided about."""
    if not limit:
        return ()
    values = {"of_store": run.store, "of_slot": pool.slot, "of_kind": pool.kind.value} | run.fresh.values
    return connection.execute(_SENDABLE.limit(limit), values).all()


_COVERED = "it is covered by what was bought for other orders, which are owed less by now"
_SENDABLE = (
    select(
        *(placements.c[name] for name in ("id", "status", "attempts", "order", "quantity", "planned_at", "buy_from")),
        FIRST.c.ordered_at,
    )
    .select_from(WITH_FIRST)
    .where(
        (orders.c.store + "") == bindparam("of_store", type_=Text()),
        orders.c.lot.is_(None),
        placements.c.slot == bindparam("of_slot", type_=Text()),
        placements.c.kind == bindparam("of_kind", type_=Text()),
        placements.c.status == Status.PLANNED.value,
        placements.c.attempts == 0,
        placements.c.decided.is_(None),
        FIRST.c.eligible,
        FIRST.c.digest != "",
        IS_FRESH,
        IS_OFF_HOLD,
        ~IS_PAUSED,
    )
    .order_by(FIRST.c.ordered_at, placements.c.id)
    .with_for_update(of=placements, skip_locked=True)
)
