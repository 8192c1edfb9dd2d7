"""
Planning: what orders have earned is made durable, in one transaction for a page of orders.

A handler for the ``Writer``. Orders that the ledger knows, with nothing changed, cost one look-up. An order that
changed is planned anew wherever nothing took effect and nothing is in doubt; a placement that may have taken effect is
never touched. ``pages`` combines a page's orders with everything that is known about them. Each order's reading time
and policy are kept: ``fresh`` uses them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, or_, select

from impactflow.ledger import allocations, credit, facts, forgotten, given_back, transitions, unlisted
from impactflow.ledger import shares as sharing
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.facts import Origin
from impactflow.ledger.fresh import RELEASED, REREAD, UNLISTED
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.pages import (
    KEPT_AT_FIRST,
    Page,
    Sale,
    as_known,
    asks_if_duplicate,
    is_evaluated,
    is_unlisted_still,
    rows_named,
)
from impactflow.ledger.plan_rows import Plan, begins, plan_impacts, planned_on_day, write_day
from impactflow.ledger.revision import one_per_slot, revise
from impactflow.ledger.rows import lock
from impactflow.ledger.sold import Unwritten, reporters_as_text, reporters_from_text
from impactflow.ledger.tables import (
    order_names,
    orders,
    placements,
    shares,
    unearned,
)
from impactflow.ledger.unreadable import write_broken
from impactflow.models import Impact


@dataclass(frozen=True, slots=True)
class Planned:
    """
    The number of orders on a page, and the results of planning them.

    Args:
        read: The orders on the page.
        new: The orders, among these, that were not in the ledger before.
        eligible: The orders that count, among those read.
        broken: The orders that could not be understood, among those read.
        placements: The placements that are to be bought now and were not before: new, held, or withdrawn.
        beyond_day: The placements that wait for a person because the day's ceiling of their slot was reached.
        missing: The number of orders that may be missing, because no two readings of their days agreed.
    """

    read: int = 0
    new: int = 0
    eligible: int = 0
    broken: int = 0
    placements: int = 0
    beyond_day: int = 0
    missing: int = 0

    def __add__(self, other: "Planned") -> "Planned":
        """Return the counts of two pages as one."""
        return Planned(
            self.read + other.read,
            self.new + other.new,
            self.eligible + other.eligible,
            self.broken + other.broken,
            self.placements + other.placements,
            self.beyond_day + other.beyond_day,
            self.missing + other.missing,
        )


def plan(connection: Connection, pages: Sequence[Page]) -> list[Planned]:
    """Write what pages of orders have earned."""
    return [_plan_page(connection, page) for page in pages]


def _plan_page(connection: Connection, page: Page) -> Planned:
    one_at_a_time(connection, page.store)  # two planners that meet the same new order would both fail
    unwritten = Unwritten()
    sales, rows = as_known(connection, page, unwritten)
    new = [sale for sale in sales if not sale.row_ids]
    writing = Plan(page, planned_on_day(connection, page.store, page.at))
    made = _plan_new(connection, new, writing)
    known = [_with_rows_of_duplicates(sale, made) for sale in sales if sale.row_ids]
    _plan_known(connection, known, rows, writing)
    _write(connection, writing)
    _keep_readings(connection, writing)
    given_back.note(connection, page, [sale for sale in sales if sale.row_ids], rows)
    _set_aside(connection, unwritten, made, page)
    write_broken(connection, page)
    return Planned(
        read=len(page.earnings) + len(page.broken),
        new=len(new),
        eligible=sum(sale.earnings.eligible for sale in sales),
        broken=len(page.broken),
        placements=writing.begun,
        beyond_day=writing.day.beyond,
    )


def _digest(page: Page, sale: Sale) -> str:
    """As ``facts.judged_digest``."""
    asks = next((impact.asks for impact in sale.earnings.impacts if impact.asks), "")
    return facts.judged_digest(page.policy_digest, sale.order, asks)


def _covered(impact: Impact) -> Impact:
    """An impact of which what was bought for other orders covers a part: its share is all of it."""
    return impact if impact.share is not None else replace(impact, share=impact.exact, on_behalf_of_customer=False)


def _with_rows_of_duplicates(sale: Sale, made: Mapping[str, int]) -> Sale:
    """A sale with its possible duplicates of the same page, which have their rows only now."""
    if all(each.row is not None for each in sale.duplicates):
        return sale
    with_rows = (each if each.row is not None else replace(each, row=made[each.order_id]) for each in sale.duplicates)
    return replace(sale, duplicates=tuple(with_rows))


def _set_aside(connection: Connection, unwritten: Unwritten, made: Mapping[str, int], page: Page) -> None:
    """
    Let nothing be sent or approved for orders before they are judged again: new reports have changed them.

    For orders that are not listed any more, as their digest says, a person is asked at once.
    """
    outdated = {
        made[key] if isinstance(key, str) else key: duplicates for key, duplicates in unwritten.outdated.items()
    }
    are_outdated = orders.c.id.in_(sorted(outdated))
    if outdated:
        query = select(orders.c.id, orders.c.duplicates).where(are_outdated, orders.c.digest == UNLISTED)
        for row in connection.execute(query).all():
            if others := sorted(outdated[row.id], key=attrgetter("order_id")):
                duplicates = {made[other.order_id] if other.row is None else other.row for other in others}
                duplicates |= set(json.loads(row.duplicates or "[]"))
                connection.execute(
                    orders.update().where(orders.c.id == row.id).values(duplicates=json.dumps(sorted(duplicates)))
                )
                unlisted.ask_about(connection, row.id, asks_if_duplicate(others), page.at, page.run_id)
            else:
                del outdated[row.id]
        connection.execute(orders.update().where(are_outdated, orders.c.digest != UNLISTED).values(digest=""))
    if unsent := unwritten.unasked | outdated.keys():
        connection.execute(orders.update().where(orders.c.id.in_(sorted(unsent))).values(policy=None))
        allocations.outdate(connection, sorted(unsent))


def _plan_new(connection: Connection, sales: Sequence[Sale], writing: Plan) -> Mapping[str, int]:
    """Write new sales; return the row of each, by its order's id."""
    if not sales:
        return {}
    page = writing.page
    store, is_announced = page.store, page.origin is Origin.ANNOUNCED
    values = [
        {"store": store, "order_id": sale.order.id, "listed": None}
        | {"not_given_back_at": page.at if is_announced and given_back.denies(sale.read) else None}
        | {"read_at": sale.reported_at, "policy": writing.page.policy_digest}
        | _order_values(sale, writing.page)
        for sale in sales
    ]
    names, rows = [], dict[str, int]()
    for row_id, sale in zip(_write_orders(connection, values), sales, strict=True):
        rows[sale.order.id] = row_id
        names += [{"store": store, "name": name, "order": row_id} for name in sorted(sale.names)]
        plan_impacts(sale.earnings.impacts, row_id, sale.order, writing)
        _plan_unearned(sale, row_id, writing)
    connection.execute(_NEW_NAMES, names)
    for sale in sales:
        if (complete := _with_rows_of_duplicates(sale, rows)) is not sale:
            known = orders.update().where(orders.c.id == rows[sale.order.id])
            connection.execute(known.values(duplicates=_duplicates_as_text(complete)))
    return rows


def _write_orders(connection: Connection, values: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """Write new orders; return their rows in the same order. SQLite would keep the order only one by one."""
    ids = [each["order_id"] for each in values]
    if len(set(ids)) < len(ids):  # hardly ever: an id is among the names, and orders that share a name are one sale
        return connection.execute(_NEW_ORDERS_IN_TURN, values).scalars().all()
    rows = {row.order_id: row.id for row in connection.execute(_NEW_ORDERS, values)}
    return [rows[order_id] for order_id in ids]


def _plan_known(connection: Connection, sales: Sequence[Sale], rows: Mapping[int, Any], writing: Plan) -> None:
    page = writing.page
    # A report that is no news may still bring a name or another source.
    touched = [sale for sale in sales if _touches(sale, rows[sale.row_ids[0]], page)]
    for sale in touched:
        _adopt(connection, sale, rows[sale.row_ids[0]], page.store)
    if touched:  # from here on no other transaction changes what is decided below
        lock(connection, connection.execute(_IDS, {"orders": [sale.row_ids[0] for sale in touched]}).scalars())
    for sale in touched:
        _plan_again(connection, sale, rows[sale.row_ids[0]], writing)
    for sale in sales:
        if not sale.is_news and page.origin is Origin.ANNOUNCED:
            continue  # it says nothing about the present
        row = rows[sale.row_ids[0]]
        if row.facts is not None:
            _keep_report(connection, sale, row, page)
        reported_at = _reported_at(sale, row, writing)
        known_lately = row.read_at is not None and reported_at - row.read_at < REREAD
        if not (known_lately and row.policy == page.policy_digest):
            writing.reported[row.id] = max(reported_at, row.read_at or reported_at)


def _keep_report(connection: Connection, sale: Sale, row: Any, page: Page) -> None:
    """Keep the later time of an order that says the same as before; an order listed first now becomes listed."""
    if page.origin is Origin.READ and not sale.is_news:
        kept = {"facts": facts.as_text(sale.reported), "facts_at": row.facts_at, "listed": facts.listing(sale.read)}
    elif sale.is_news and (page.origin is not Origin.READ or row.facts_at is not None):
        kept = facts.values_of(page.origin, sale.reported)
    else:
        return  # a reading with new content is planned anew, which keeps it
    if any(value != getattr(row, name) for name, value in kept.items()):
        connection.execute(orders.update().where(orders.c.id == row.id).values(kept))


def _touches(sale: Sale, row: Any, page: Page) -> bool:
    return sale.brings_name or _brings_reporter(sale, row) or _has_changed(sale, row, page)


def _brings_reporter(sale: Sale, row: Any) -> bool:
    return not sale.reporters <= reporters_from_text(row.reporters)


def _has_changed(sale: Sale, row: Any, page: Page) -> bool:
    return len(sale.row_ids) > 1 or not _is_as_planned(sale, row, page) or sale.asks_anew


def _is_as_planned(sale: Sale, row: Any, page: Page) -> bool:
    """Whether order and policy are as they were; that a customer was forgotten meanwhile is no change."""
    digests = {_digest(page, sale)}
    if sale.uncleared is not None:
        order = forgotten.as_reported(sale.order, sale.read, sale.uncleared)
        digests.add(_digest(page, replace(sale, order=order)))
    return row.digest in digests


def _reported_at(sale: Sale, row: Any, writing: Plan) -> datetime:
    """
    The time when the order was reported.

    An order that is judged again from the kept values has no new report. But an order that the source has never listed
    will not be read; when someone mends the policy for which it was held, a recent report still counts.
    """
    if writing.page.origin is not Origin.KEPT:
        return sale.reported_at
    announced_lately: bool = row.read_at is not None and writing.page.at - row.read_at < RELEASED
    return writing.page.at if row.id in writing.released and row.listed is None and announced_lately else row.read_at


def _adopt(connection: Connection, sale: Sale, row: Any, store: str) -> None:
    """Give the sale all its names; rows that a name has joined are one sale for good."""
    first, *others = sale.row_ids
    if _brings_reporter(sale, row):
        values = {"reporters": reporters_as_text(sale.reporters)}
        connection.execute(orders.update().where(orders.c.id == first).values(values))
    if others:
        kept = {name: getattr(row, name) for name in KEPT_AT_FIRST}
        connection.execute(orders.update().where(orders.c.id == first).values(kept))
        joined = orders.c.id.in_(others) | orders.c.same_as.in_(others)
        connection.execute(orders.update().where(joined).values(same_as=first))
        connection.execute(unearned.delete().where(unearned.c.order.in_(others)))
    taken = rows_named(connection, store, sale.names).keys()
    fresh = [{"store": store, "name": name, "order": first} for name in sorted(sale.names - taken)]
    if fresh:
        connection.execute(order_names.insert(), fresh)


def _plan_again(connection: Connection, sale: Sale, row: Any, writing: Plan) -> None:
    """Plan an order again, if the order or the policy says something else than when it was last planned."""
    existing = one_per_slot(connection, row.id, writing)
    alone = {slot for slot, found in existing.items() if sharing.stands_alone(found)}
    owing = sharing.one_per_slot(connection, row.id, alone, writing)
    if not _has_changed(sale, row, writing.page) or not is_evaluated(writing.page, sale, row):
        return
    values = _order_values(sale, writing.page)
    if is_unlisted_still(writing.page, row):
        values["digest"] = UNLISTED
    if values["customer_email"] is None and any(found.on_behalf for found in existing.values()):
        values["customer_email"] = row.customer_email  # a refund may be taken back
    if any(found.attempts for found in existing.values()):
        # The provider's records are searched for the customer that the provider was given.
        if row.customer_email is not None:
            values["customer_email"] = row.customer_email
        sale = replace(sale, order=replace(sale.order, customer_email=values["customer_email"]))
    earned = {impact.slot: impact for impact in sale.earnings.impacts}
    earned |= {slot: replace(earned[slot], share=None) for slot in alone & earned.keys()}
    earned |= {slot: _covered(earned[slot]) for slot in sharing.covered_by_credit(connection, owing) & earned.keys()}
    connection.execute(orders.update().where(orders.c.id == row.id).values(**values))
    connection.execute(unearned.delete().where(unearned.c.order == row.id))
    _plan_unearned(sale, row.id, writing)
    pooled = {slot: impact for slot, impact in earned.items() if impact.is_pooled}
    taken = sharing.revise(connection, row.id, owing, pooled, sale, writing)
    for slot, found in existing.items():
        revise(connection, found, earned.get(slot), sale, writing, is_pooled=slot in taken)
        credit.follow(connection, found, earned.get(slot), sale, writing)
    fresh = [impact for slot, impact in earned.items() if slot not in existing and slot not in taken]
    plan_impacts(fresh, row.id, replace(sale.order, id=row.order_id), writing)


def _plan_unearned(sale: Sale, row_id: int, writing: Plan) -> None:
    reasons: dict[str, str] = {}
    for entry in sale.earnings.unearned:
        reasons.setdefault(entry.slot or "", entry.reason)
    writing.unearned += [{"order": row_id, "slot": slot, "reason": reason} for slot, reason in reasons.items()]


def _order_values(sale: Sale, page: Page) -> dict[str, Any]:
    on_behalf = any(impact.on_behalf_of_customer for impact in sale.earnings.impacts)
    values = {
        "ordered_at": sale.order.ordered_at,
        "eligible": sale.earnings.eligible,
        "refunded": sale.order.is_refunded,
        "digest": _digest(page, sale),
        "customer_email": sale.order.customer_email if on_behalf else None,
        "customer": sale.customer,
        "reporters": reporters_as_text(sale.reporters),
        "duplicates": _duplicates_as_text(sale),
    }
    return values | facts.values_of(page.origin, sale.reported) if sale.is_news else values


def _duplicates_as_text(sale: Sale) -> str | None:
    rows = sorted(duplicate.row for duplicate in sale.duplicates if duplicate.row is not None)
    return json.dumps(rows) if rows else None


def _write(connection: Connection, writing: Plan) -> None:
    if writing.placements:
        details = [values["reason"] or f"{values['quantity']} {values['unit']}" for values in writing.placements]
        transitions.start(connection, writing.placements, details, writing.page.at, writing.page.run_id)
        writing.begun += sum(begins(None, values["status"]) for values in writing.placements)
    if writing.unearned:
        connection.execute(unearned.insert(), writing.unearned)
    if writing.shares:
        connection.execute(shares.insert(), writing.shares)
    write_day(connection, writing.page.store, writing.day)
    if writing.again:
        connection.execute(orders.update().where(orders.c.id.in_(sorted(writing.again))).values(digest=""))


def _keep_readings(connection: Connection, writing: Plan) -> None:
    if writing.reported:
        values = {"readings": as_list(writing.reported.items()), "policy": writing.page.policy_digest}
        connection.execute(_KEEP_READINGS, values)


_NEW_ORDERS = orders.insert().returning(orders.c.id, orders.c.order_id)
_NEW_ORDERS_IN_TURN = orders.insert().returning(orders.c.id, sort_by_parameter_order=True)
_NEW_NAMES = order_names.insert()
_SALES: BindParameter[Any] = bindparam("orders", expanding=True)
#: The placements of some sales.
_IDS = (
    select(placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_SALES), orders.c.same_as.in_(_SALES)))
)
_READINGS = listed("readings", {name: orders.c[name].type for name in ("id", "read_at")}).c
_KEEP_READINGS = (
    orders.update()
    .where(orders.c.id == _READINGS.id)
    .values(read_at=_READINGS.read_at, policy=bindparam("policy", type_=orders.c.policy.type))
)
