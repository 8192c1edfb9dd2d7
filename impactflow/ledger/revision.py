"""
A known placement, compared with what its order has earned by now: it stays, changes, is withdrawn, or is resumed.

Only if nothing took effect and nothing is in doubt; a placement that may have taken effect is never touched.
"""

from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from impactflow.ledger import transitions
from impactflow.ledger.allocations import IS_SHARED
from impactflow.ledger.approvals import DECIDED_ABOUT, digest
from impactflow.ledger.pages import Sale
from impactflow.ledger.pauses import LONG_AGO
from impactflow.ledger.plan_rows import Plan, begins, impact_values
from impactflow.ledger.rows import ever_bought, look_alike_of
from impactflow.ledger.states import UNSURE, WAITING, WITHDRAWN, Status
from impactflow.ledger.tables import (
    events,
    orders,
    placements,
)
from impactflow.models import Impact

#: Statuses in which nothing was bought or is being bought.
_NOTHING_SENT = WAITING | {*WITHDRAWN, Status.FAILED}


def one_per_slot(connection: Connection, row_id: int, writing: Plan) -> dict[str, Any]:
    """
    The sale's placements by slot.

    Two rows turn out to be one sale when a name joins them. A purchase that one of them has made, or is making, stands,
    and the other's plan for the same slot is withdrawn, also if the purchase was cancelled since. If neither has a
    purchase, a waiting placement stands, rather than one that is over.
    """
    existing: dict[str, Any] = {}
    found_rows = connection.execute(PLACEMENTS, {"order": row_id}).all()
    for found in sorted(found_rows, key=precedence):
        if existing.setdefault(found.slot, found) is not found and found.status in {*WAITING, Status.COVERED}:
            _withdraw(connection, found, "the same sale is in the ledger by another name", writing)
    return existing


def precedence(found: Any) -> tuple[bool, bool, bool, bool, bool, int]:
    """The sort key of a sale's placements in one slot: the placement with the least key stands."""
    # Of two withdrawn ones, the one that was sent before stands: if its answer still comes, it is not sent again.
    is_untried = not (found.attempts and found.left == Status.PLANNED)
    stands_apart = found.status not in WAITING, is_untried, found.is_shared, found.id
    return not found.was_bought, found.status in _NOTHING_SENT, *stands_apart


def _withdraw(connection: Connection, found: Any, reason: str, writing: Plan) -> None:
    transitions.withdraw(connection, found, reason, writing.page.at, writing.page.run_id)


def revise(
    connection: Connection, found: Any, impact: Impact | None, sale: Sale, writing: Plan, *, is_pooled: bool = False
) -> None:
    """
    Bring a placement for which nothing took effect in line with what the order has earned by now.

    Also if it was tried: a planned placement is known to have had no effect, so its request may change. A placement in
    doubt is not touched, for it may have to be sent again as it was. An impact that is bought with those of other
    orders by now (``is_pooled``) has no placement of its own.
    """
    if is_pooled and found.status == Status.COVERED and impact is not None:
        return
    impact = None if is_pooled else impact
    if sale.asks_anew and found.status in UNSURE and found.decided is not None:
        unanswered = {"status": found.status, "approved": None, "decided": None}
        transitions.revise(connection, found, unanswered, None, writing.page.at, writing.page.run_id)
    if found.status in UNSURE and not found.was_bought:
        transitions.outdate(connection, found, outdated=is_outdated(found, impact, sale, writing))
    if not may_change(found) or (impact is None and found.status == Status.CANCELLED):
        return
    if impact is None:
        reasons = [entry.reason for entry in sale.earnings.unearned if entry.slot in {None, found.slot}]
        gone = "it is bought with other orders' impacts now" if is_pooled else "its slot is no longer in the policy"
        _withdraw(connection, found, "; ".join(reasons) or gone, writing)
    else:
        values = revised(found, impact, sale, writing) | {"outdated": None}
        is_other = (values["status"], values["quantity"]) != (found.status, found.quantity)
        detail = (values["reason"] or f"planned anew: {values['quantity']} {values['unit']}") if is_other else None
        if transitions.revise(connection, found, values, detail, writing.page.at, writing.page.run_id) and is_other:
            writing.begun += begins(found.status, values["status"])
            if found.status == Status.HELD:
                writing.released.add(sale.row_ids[0])
        if found.buy_from is not None and values["buy_from"] is None:
            writing.released.add(sale.row_ids[0])


def is_outdated(found: Any, impact: Impact | None, sale: Sale, writing: Plan) -> bool:
    """Whether an order has earned something else by now than what a placement was planned for."""
    if impact is None:
        return sale.earnings.eligible  # a claim itself withdraws what is of an order that does not count any more
    values = _values(found, impact, sale, writing)
    is_other = digest({**values, "key": found.key}) != digest({name: getattr(found, name) for name in DECIDED_ABOUT})
    return is_other or values["status"] != Status.PLANNED or values["buy_from"] != found.buy_from


def _values(found: Any, impact: Impact, sale: Sale, writing: Plan) -> dict[str, Any]:
    """What an order has earned, as columns; the mark of a pause or of a cap stays, which is no hold."""
    values = impact_values(impact, sale.order, writing.page.at)
    return values | {"buy_from": LONG_AGO} if values["buy_from"] is None and found.buy_from == LONG_AGO else values


def may_change(found: Any) -> bool:
    """Whether a placement waits to be sent, or was withdrawn while it waited."""
    unsent = found.attempts == 0 or found.left == Status.PLANNED
    withdrawn = found.status in WITHDRAWN and unsent and not found.was_bought
    return withdrawn or found.status in WAITING


def revised(found: Any, impact: Impact, sale: Sale, writing: Plan) -> dict[str, Any]:
    """The values of a placement for what the order has earned by now; a person's decision about exactly this stands."""
    order, values = sale.order, _values(found, impact, sale, writing)
    if found.status == values["status"] == Status.PLANNED:
        values["due_at"] = max(found.due_at, writing.page.at)  # a provider may have asked to wait until then
    withdrawn = found.status == Status.CANCELLED and found.approved is not None
    is_unanswered = sale.asks_anew and found.status == Status.PLANNED
    if found.decided != digest({**values, "key": found.key}) or withdrawn or is_unanswered:
        planned = found.quantity if found.status == Status.PLANNED else 0
        return writing.day.ration(values, impact, planned) | {"approved": None, "decided": None}
    # The provider may get another customer.
    look_alike = look_alike_of({**values, "quantity": found.quantity}, order.customer_email)
    kept = {"status": found.status, "quantity": found.quantity}
    return {**kept, "look_alike": look_alike, "buy_from": values["buy_from"]}


#: The status of a placement before its last event.
_LEFT = (
    select(events.c.from_status)
    .where(events.c.placement == placements.c.id)
    .order_by(events.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
PLACEMENTS = (
    select(
        *(
            placements.c[name]
            for name in (
                "quantity",
                "provider",
                "kind",
                "unit",
                "options",
                "id",
                "order",
                "key",
                "slot",
                "status",
                "attempts",
                "due_at",
                "buy_from",
                "approved",
                "decided",
                "on_behalf",
                "cancel_refused",
            )
        ),
        _LEFT.label("left"),
        ever_bought().label("was_bought"),
        IS_SHARED.label("is_shared"),
    )
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id == bindparam("order"), orders.c.same_as == bindparam("order")))
)
