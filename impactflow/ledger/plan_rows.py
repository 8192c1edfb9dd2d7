"""
The rows of a plan: the values that a transaction will write for earned impacts, and their first statuses.

Impacts beyond the day's ceiling of their slot wait for a person, for any number of orders.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, bindparam, select

from impactflow.ledger.pages import Page
from impactflow.ledger.rows import look_alike_of
from impactflow.ledger.states import WITHDRAWN, Status
from impactflow.ledger.tables import planned_on
from impactflow.models import UNIT_OF, Impact, Order, Unit, parts_of
from impactflow.units import in_words, shown

#: The statuses in which nothing is to be bought for now; None is before the first status.
_IDLE = frozenset({None, *(status.value for status in (Status.HELD, Status.AWAITING_APPROVAL, *WITHDRAWN))})


@dataclass(slots=True)
class Plan:
    """The values that one transaction will write."""

    page: Page
    day: "Day"
    placements: list[dict[str, Any]] = field(default_factory=list)
    shares: list[dict[str, Any]] = field(default_factory=list)
    #: The number of placements that are to be bought from now on and were not before.
    begun: int = 0
    unearned: list[dict[str, Any]] = field(default_factory=list)
    #: The row ids of the orders that are planned now, with the time of the report that is used.
    reported: dict[int, datetime] = field(default_factory=dict)
    #: The rows of orders that are not held any more.
    released: set[int] = field(default_factory=set)
    #: The rows of orders that are to be planned again at their next reading.
    again: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Day:
    """
    The quantities that were planned on one UTC day, by slot, with those that this transaction adds.

    Args:
        before: The quantities in the ledger.
        on: The day.
    """

    before: Mapping[str, int]
    on: date
    added: Counter[str] = field(default_factory=Counter)
    beyond: int = 0

    def give_back(self, connection: Connection, store: str, slot: str, at: datetime, quantity: int) -> None:
        """Take off a quantity that was planned at some time, and is not to be bought any more."""
        if at.astimezone(UTC).date() == self.on:
            self.added[slot] -= quantity
        else:
            known = {"of_store": store, "of_day": at.astimezone(UTC).date(), "of_slot": slot}
            connection.execute(_PLANNED_LESS, known | {"less": quantity})

    def ration(self, values: dict[str, Any], impact: Impact, planned: int = 0) -> dict[str, Any]:
        """
        Return a row to be planned, or one that waits for a person if the day's ceiling leaves no room for it.

        Args:
            values: The values to be written.
            impact: The impact that was earned.
            planned: The part of it that was planned, and counted, before.
        """
        if values["status"] != Status.PLANNED:
            return values
        more = max(0, values["quantity"] - planned)
        today = self.before.get(impact.slot, 0) + self.added[impact.slot]
        if more and impact.day_limit is not None and today + more > impact.day_limit:
            self.beyond += 1
            return values | _beyond(impact, values["quantity"], impact.day_limit)
        self.added[impact.slot] += more
        return values


def _beyond(impact: Impact, quantity: int, limit: int) -> dict[str, Any]:
    """The values of a row that waits; as with any other limit, only an approval of exactly this lets it be claimed."""
    most, unit = shown(limit, UNIT_OF[impact.kind])
    reason = (
        f"{in_words(impact.kind, quantity)}, beyond the day's ceiling of {most:f} {unit}: approve it, or raise the"
        f" rule's approve_above_per_day{_in_cents(impact)}"
    )
    return {"status": Status.AWAITING_APPROVAL.value, "reason": reason, "due_at": None, "approval_limit": 0}


def _in_cents(impact: Impact) -> str:
    """A note for the person who sets the limit of a donation, which is shown here in USD."""
    return " (in cents)" if UNIT_OF[impact.kind] is Unit.USD_CENT else ""


def placement_key(store: str, order_id: str, slot: str) -> str:
    """The idempotency key of the one purchase for an order and slot: 50 characters that reveal nothing about either."""
    digest = hashlib.sha256(f"{store}\n{order_id}\n{slot}".encode()).hexdigest()
    return f"impactflow{digest[:40]}"


def plan_impacts(impacts: Iterable[Impact], row_id: int, order: Order, writing: Plan) -> None:
    """Add a row to the plan for each impact of an order: a placement, or a share of one for many orders."""
    page = writing.page
    for impact in impacts:
        if impact.is_pooled:
            writing.shares.append(share_values(impact, order, row_id))
            continue
        writing.placements.append(
            {
                "order": row_id,
                "slot": impact.slot,
                "key": placement_key(page.store, order.id, impact.slot),
                "attempts": 0,
                "checks": 0,
                "planned_at": page.at,
            }
            | writing.day.ration(impact_values(impact, order, page.at), impact)
        )


def impact_values(impact: Impact, order: Order, at: datetime) -> dict[str, Any]:
    """The values of a placement's row for an impact, before anything is sent."""
    status, reason = _begin(impact)
    values: dict[str, Any] = {
        "provider": impact.provider.value,
        "kind": impact.kind.value,
        "quantity": impact.quantity,
        "unit": UNIT_OF[impact.kind].value,
        "options": json.dumps(dict(impact.options), sort_keys=True),
        "on_behalf": impact.on_behalf_of_customer,
        "approval_limit": impact.approval_limit,
        "status": status.value,
        "reason": reason,
        "due_at": at if status is Status.PLANNED else None,
        "buy_from": _days_after(order.ordered_at, impact.hold_days) if impact.hold_days else None,
    }
    values["look_alike"] = look_alike_of(values, order.customer_email)
    return values


def share_values(impact: Impact, order: Order, row_id: int) -> dict[str, Any]:
    """The row of a share for an impact that is bought with those of other orders."""
    parts = parts_of(impact.share or Fraction(0))
    return {
        "order": row_id,
        "slot": impact.slot,
        "kind": impact.kind.value,
        "earned": parts,
        "owed": parts,
        "covered": 0,
        "buy_from": _days_after(order.ordered_at, impact.hold_days) if impact.hold_days else None,
        "final_at": final_at(order.ordered_at),
    }


def final_at(ordered_at: datetime) -> datetime:
    """The time from which a reading of an order counts for good."""
    return _days_after(ordered_at, _FINAL_DAYS)


def _days_after(ordered_at: datetime, days: int) -> datetime:
    """The time so many days after a sale; an order may be dated as late as a calendar goes."""
    span = timedelta(days=days)
    return min(ordered_at, datetime.max.replace(tzinfo=UTC) - span) + span


def _begin(impact: Impact) -> tuple[Status, str | None]:
    """The first status of an earned impact, and the reason why it cannot be sent yet."""
    if impact.held is not None:
        return Status.HELD, impact.held
    if impact.asks is not None:
        return Status.AWAITING_APPROVAL, impact.asks
    quantity, limit = impact.quantity, impact.approval_limit
    if quantity is None or limit is None or not impact.needs_approval:
        return Status.PLANNED, None
    most, unit = shown(limit, UNIT_OF[impact.kind])
    what = in_words(impact.kind, quantity)
    if impact.is_default_limit:
        raised = f"approve it, or set the rule's approve_above{_in_cents(impact)}"
        return Status.AWAITING_APPROVAL, f"{what}, above the default ceiling of {most:f} {unit} for one order: {raised}"
    return Status.AWAITING_APPROVAL, f"{what}, above the approval limit of {most:f} {unit}"


def begins(from_: str | None, to: str) -> bool:
    """Whether a change of status is the one from which something is to be bought."""
    return from_ in _IDLE and to not in _IDLE


def planned_on_day(connection: Connection, store: str, at: datetime) -> "Day":
    """The quantity planned in each slot on the day of a time; no other planner of this store can come in between."""
    on = at.astimezone(UTC).date()
    rows = connection.execute(_PLANNED_ON, {"of_store": store, "of_day": on})
    return Day({row.slot: row.quantity for row in rows}, on)


def write_day(connection: Connection, store: str, day: Day) -> None:
    """Write the quantities that were added to a day, by slot."""
    for slot, more in sorted(day.added.items()):
        quantity = max(0, day.before.get(slot, 0) + more)
        if more and slot in day.before:
            known = {"of_store": store, "of_day": day.on, "of_slot": slot}
            connection.execute(_PLANNED_MORE, known | {"quantity": quantity})
        elif more:
            row = {"store": store, "slot": slot, "day": day.on, "quantity": quantity}
            connection.execute(_PLANNED_FIRST, row)


#: The age of a sale at which a reading of it counts for good, in days: as long as the longest hold.
_FINAL_DAYS = 45
_OF_DAY = (planned_on.c.store == bindparam("of_store"), planned_on.c.day == bindparam("of_day"))
_PLANNED_ON = select(planned_on.c.slot, planned_on.c.quantity).where(*_OF_DAY)
_PLANNED_FIRST = planned_on.insert()
_PLANNED_MORE = (
    planned_on.update()
    .where(*_OF_DAY, planned_on.c.slot == bindparam("of_slot"))
    .values(quantity=bindparam("quantity"))
)
_PLANNED_LESS = (
    planned_on.update()
    .where(*_OF_DAY, planned_on.c.slot == bindparam("of_slot"), planned_on.c.quantity >= bindparam("less"))
    .values(quantity=planned_on.c.quantity - bindparam("less"))
)
