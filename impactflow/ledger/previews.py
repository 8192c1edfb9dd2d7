"""Previews of planning: the placements that would be planned, held or waiting for a person; nothing is written."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from impactflow.ledger import shares
from impactflow.ledger.fresh import FIRST, IS_FRESH, IS_OFF_HOLD, UNLISTED, WAS_LISTED, WITH_FIRST, Fresh
from impactflow.ledger.pages import (
    Page,
    Sale,
    as_known,
)
from impactflow.ledger.plan_rows import Day, Plan, impact_values, planned_on_day
from impactflow.ledger.revision import PLACEMENTS, may_change, precedence, revised
from impactflow.ledger.shares import stands_alone
from impactflow.ledger.sold import Unwritten
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import placements
from impactflow.models import Impact, Kind, ProviderName, parts_of


@dataclass(frozen=True, slots=True)
class Foreseen:
    """
    A placement that planning an order would leave to be sent, or to wait for a person, in one slot.

    Args:
        order: The order's id.
        slot: The policy's name for the impact.
        provider: The seller.
        kind: The kind of impact.
        quantity: The quantity in ``UNIT_OF[kind]``; None if it is held because the quantity is unknown.
        status: Its status: planned, held or awaiting approval.
        reason: The reason why it would not be sent.
        placement: The ledger's row; None where it is new.
        ordered_at: The time when the order was sold.
        was_listed: Whether the source listed it in the last reading; a webhook, or a person, may have reported it.
        buy_from: The end of its hold; None without a hold, or where the hold is over.
    """

    order: str
    slot: str
    provider: ProviderName
    kind: Kind
    quantity: int | None
    status: Status
    reason: str | None
    placement: int | None
    ordered_at: datetime
    was_listed: bool = True
    buy_from: datetime | None = None


@dataclass(slots=True)
class Outlook:
    """
    The results of a preview's pages so far, since a preview writes nothing.

    Args:
        planned: The quantity of each slot that the pages would have planned today.
        unwritten: The new sales of the pages.
        seen: The pages' sales, by row and by a hash of each name: a sale may be listed on two pages.
        pooled: By slot, the number of sales whose impact is bought with those of others, and its sum in
            parts; without what was bought.
        unearned: The number of the pages' sales that earn nothing in a slot, by slot and reason.
    """

    planned: Counter[str] = field(default_factory=Counter)
    unwritten: Unwritten = field(default_factory=Unwritten)
    seen: set[int] = field(default_factory=set)
    pooled: dict[str, tuple[int, int]] = field(default_factory=dict)
    unearned: Counter[tuple[str | None, str]] = field(default_factory=Counter)


def foresee(connection: Connection, page: Page, outlook: Outlook) -> list[Foreseen]:
    """
    The placements that planning a page would leave planned, held or awaiting approval; writes nothing.

    Args:
        connection: An open transaction.
        page: The orders that were read.
        outlook: The results of the pages before this one; this page is added.
    """
    day = planned_on_day(connection, page.store, page.at)
    writing, foreseen = Plan(page, Day(Counter(day.before) + outlook.planned, day.on)), list[Foreseen]()
    sales, _ = as_known(connection, page, outlook.unwritten)
    for sale in sales:
        keys = {*sale.row_ids, *map(hash, sale.names)}
        if not outlook.seen.isdisjoint(keys):
            continue
        outlook.seen |= keys
        outlook.unearned.update((each.slot, each.reason) for each in sale.earnings.unearned)
        existing: dict[str, Any] = {}
        for row_id in sale.row_ids:
            for found in sorted(connection.execute(PLACEMENTS, {"order": row_id}), key=precedence):
                existing.setdefault(found.slot, found)
        sent = shares.sent(connection, sale.row_ids)
        impacts = [
            replace(impact, share=None) if impact.slot in existing and stands_alone(existing[impact.slot]) else impact
            for impact in sale.earnings.impacts
            if impact.slot not in sent
        ]
        for impact in impacts:
            if impact.is_pooled and impact.share is not None:
                count, parts = outlook.pooled.get(impact.slot, (0, 0))
                more = parts_of(impact.share) - shares.covered(connection, sale.row_ids, impact.slot)
                outlook.pooled[impact.slot] = count + (more > 0), parts + max(0, more)
        foreseen += [
            _foreseen(sale, impact, values, found)
            for impact in impacts
            for found in [existing.get(impact.slot)]
            if not impact.is_pooled and (found is None or may_change(found))
            for values in [_values(found, impact, sale, writing)]
            if values["status"] in WAITING
        ]
    outlook.planned.update(writing.day.added)
    return foreseen


def to_send(connection: Connection, store: str, fresh: Fresh) -> list[Foreseen]:
    """The planned placements of a store that would be sent now."""
    return [
        Foreseen(
            row.order_id, row.slot, ProviderName(row.provider), Kind(row.kind), row.quantity, Status.PLANNED, None,
            row.id, row.ordered_at, row.was_listed,
        )
        for row in connection.execute(_TO_SEND, {"store": store} | fresh.values)
    ]  # fmt: skip


def _foreseen(sale: Sale, impact: Impact, values: Mapping[str, Any], found: Any) -> Foreseen:
    return Foreseen(
        sale.order.id,
        impact.slot,
        impact.provider,
        impact.kind,
        values["quantity"],
        Status(values["status"]),
        values.get("reason"),
        None if found is None else found.id,
        sale.order.ordered_at,
        buy_from=values["buy_from"],
    )


def _values(found: Any, impact: Impact, sale: Sale, writing: Plan) -> dict[str, Any]:
    if found is None:
        return writing.day.ration(impact_values(impact, sale.order, writing.page.at), impact)
    return revised(found, impact, sale, writing)


_TO_SEND = (
    select(
        *(placements.c[name] for name in ("id", "slot", "provider", "kind", "quantity")),
        FIRST.c.order_id,
        FIRST.c.ordered_at,
        (WAS_LISTED & (FIRST.c.digest != UNLISTED)).label("was_listed"),
    )
    .select_from(WITH_FIRST)
    .where(
        FIRST.c.store == bindparam("store"),
        placements.c.status == Status.PLANNED.value,
        IS_FRESH,
        IS_OFF_HOLD,
    )
    .order_by(placements.c.id)
)
