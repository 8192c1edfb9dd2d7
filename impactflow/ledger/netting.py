"""
Covering orders with a slot's credit, where a rule buys for each order by itself.

Before anything is bought, what waits to be sent is compared with the credit, the oldest order first. An order that is
covered has a share of what was bought already, as if it were bought together with others, and its own placement is not
sent. If the credit is less than the last one needs, the rest is bought as a lot. Only whole units are used.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Text, bindparam, select

from impactflow.ledger import transitions
from impactflow.ledger.allocations import Author
from impactflow.ledger.fresh import FIRST, IS_FRESH, IS_OFF_HOLD, WITH_FIRST, Fresh
from impactflow.ledger.pauses import IS_PAUSED, LONG_AGO
from impactflow.ledger.plan_rows import Day, final_at
from impactflow.ledger.states import Status
from impactflow.ledger.tables import Utc, orders, placements, shares
from impactflow.models import PARTS, Pool

#: The most orders that are covered in one run.
_MOST = 1_000


class Credit(NamedTuple):
    """
    What is bought and owed to no order.

    Args:
        units: In whole units.
        sold_before: Only for orders that were sold before this time: an adopted purchase; None for all.
    """

    units: int
    sold_before: datetime | None


class Run(Author, Protocol):
    """The run that covers orders: see ``lots.Drawing``."""

    @property
    def fresh(self) -> Fresh:
        """The conditions for sending."""


def share_credit(connection: Connection, run: Run, pool: Pool, credit: Sequence[Credit], day: Day) -> bool:
    """
    Make shares of the oldest placements of a slot that would be sent now, as far as its credit goes.

    Args:
        connection: In a transaction in which no other program plans for the store.
        run: The run.
        pool: The slot; its least lot is the least rest that is bought.
        credit: The credit that no share needs.
        day: The quantities planned today.

    Returns:
        Whether there are new shares, which wait for the credit.
    """
    units: dict[datetime | None, int] = defaultdict(int)
    for each in credit:
        units[each.sold_before] += each.units
    made = [_share(connection, run, pool, Credit(count, before), day) for before, count in units.items()]
    return any(made)


def _share(connection: Connection, run: Run, pool: Pool, credit: Credit, day: Day) -> bool:
    left = credit.units
    for row in _sendable(connection, run, pool, credit.sold_before):
        if not left:
            break
        if 0 < row.quantity - left < pool.least:
            continue
        gone = {"status": Status.COVERED.value, "due_at": None, "reason": _COVERED}
        if not transitions.revise(connection, row, gone, _COVERED, run.at, run.run_id):
            continue
        day.give_back(connection, run.store, pool.slot, row.planned_at, row.quantity)
        connection.execute(shares.insert(), _share_of(row, pool))
        left = max(0, left - row.quantity)
    return left < credit.units


def _share_of(row: Any, pool: Pool) -> Mapping[str, Any]:
    parts = row.quantity * PARTS
    return {
        "order": row.order,
        "slot": pool.slot,
        "kind": pool.kind.value,
        "earned": parts,
        "owed": parts,
        "covered": 0,
        "buy_from": None if row.buy_from == LONG_AGO else row.buy_from,
        "final_at": final_at(row.ordered_at),
    }


def _sendable(connection: Connection, run: Run, pool: Pool, sold_before: datetime | None) -> Sequence[Any]:
    """The oldest placements of a slot that would be sent now, and that no person has decided about."""
    values = {
        "of_store": run.store,
        "of_slot": pool.slot,
        "of_kind": pool.kind.value,
        "of_provider": pool.lot(1).provider.value,
        "of_before": sold_before or datetime.max.replace(tzinfo=UTC),
    }
    return connection.execute(_SENDABLE, values | run.fresh.values).all()


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
        # With the provider, because the index on statuses begins with it.
        placements.c.provider == bindparam("of_provider", type_=Text()),
        placements.c.slot == bindparam("of_slot", type_=Text()),
        placements.c.kind == bindparam("of_kind", type_=Text()),
        placements.c.status == Status.PLANNED.value,
        placements.c.attempts == 0,
        placements.c.decided.is_(None),
        FIRST.c.ordered_at < bindparam("of_before", type_=Utc()),
        FIRST.c.eligible,
        FIRST.c.digest != "",
        IS_FRESH,
        IS_OFF_HOLD,
        ~IS_PAUSED,
    )
    .order_by(FIRST.c.ordered_at, placements.c.id)
    .limit(_MOST)
    .with_for_update(of=placements, skip_locked=True)
)
