"""
What orders have earned, made durable: one transaction for a page of orders.

A handler for the ``Writer``. Orders that the ledger knows, with nothing changed, cost one look-up. An order that
changed is planned anew wherever nothing took effect and nothing is in doubt; what may have taken effect is never
touched. What a page's orders are by all that is known of them ``pages`` says. When each order was read, and under which
policy it is planned, is kept: ``fresh`` says what follows from it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, or_, select

from impactflow.ledger import facts, transitions, unlisted
from impactflow.ledger.approvals import digest
from impactflow.ledger.customers import Unwritten, tellers_as_text, tellers_from_text
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.facts import Told
from impactflow.ledger.fresh import FIRST, IS_FRESH, REREAD, UNLISTED, WAS_LISTED, WITH_FIRST, Fresh
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.pages import (
    KEPT_AT_FIRST,
    Page,
    Sale,
    as_known,
    asks_if_twin,
    is_judged,
    is_unlisted_still,
    rows_named,
)
from impactflow.ledger.queries import watermark
from impactflow.ledger.rows import ever_bought, lock, twin
from impactflow.ledger.states import UNSURE, WAITING, Status
from impactflow.ledger.tables import (
    broken_orders,
    events,
    order_names,
    orders,
    placements,
    planned_on,
    unearned,
    watermarks,
)
from impactflow.models import UNIT_OF, Impact, Kind, Order, ProviderName, Unit
from impactflow.units import in_words, shown

#: Statuses in which nothing was bought or is being bought.
_NOTHING_SENT = WAITING | {Status.CANCELLED, Status.FAILED}
#: Where nothing is to be bought for the time being; None is before the beginning.
_IDLE = frozenset({None, Status.HELD.value, Status.AWAITING_APPROVAL.value, Status.CANCELLED.value})


@dataclass(frozen=True, slots=True)
class Planned:
    """
    How many orders a page held, and what came of them.

    Args:
        read: Orders in it.
        new: Of those, not in the ledger before.
        eligible: Of those read, the ones that count.
        broken: Of those read, the ones that could not be understood.
        placements: Placements that are to be bought now and were not: new, held, or withdrawn before.
        beyond_day: Placements that wait for a person because the day's ceiling of their slot was reached.
        missing: How many orders may be missing, because no two readings of their days agreed.
    """

    read: int = 0
    new: int = 0
    eligible: int = 0
    broken: int = 0
    placements: int = 0
    beyond_day: int = 0
    missing: int = 0

    def __add__(self, other: "Planned") -> "Planned":
        """Two pages as one."""
        return Planned(
            self.read + other.read,
            self.new + other.new,
            self.eligible + other.eligible,
            self.broken + other.broken,
            self.placements + other.placements,
            self.beyond_day + other.beyond_day,
            self.missing + other.missing,
        )


@dataclass(frozen=True, slots=True)
class Foreseen:
    """
    What planning an order would leave to be sent, or to wait for a person, in one slot.

    Args:
        order: The order's id.
        slot: The policy's name for it.
        provider: Who sells it.
        kind: What it is.
        quantity: How many of ``UNIT_OF[kind]``; None where it is held for want of it.
        status: Where it would be: planned, held or awaiting approval.
        reason: Why it would not be sent.
        placement: The ledger's row; None where it is new.
        ordered_at: When the order was sold.
        was_listed: Whether the source listed it when it was read last; a webhook, or a person, may have told of it.
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


@dataclass(slots=True)
class _Plan:
    """What one transaction is going to write."""

    page: Page
    placements: list[dict[str, Any]] = field(default_factory=list)
    #: How many placements are to be bought from now on that were not before.
    begun: int = 0
    unearned: list[dict[str, Any]] = field(default_factory=list)
    #: The rows of orders, by id, that are planned now as they were said to be at a time.
    heard: dict[int, datetime] = field(default_factory=dict)
    #: Those that are held no longer.
    released: set[int] = field(default_factory=set)
    day: "_Day" = field(default_factory=lambda: _Day({}))


@dataclass(slots=True)
class _Day:
    """
    What was planned on one UTC day, by slot, with what this transaction adds.

    Args:
        before: What the ledger says.
    """

    before: Mapping[str, int]
    added: Counter[str] = field(default_factory=Counter)
    beyond: int = 0

    def ration(self, values: dict[str, Any], impact: Impact, planned: int = 0) -> dict[str, Any]:
        """
        A row about to be planned, or made to wait for a person where the day's ceiling leaves no room for it.

        Args:
            values: What is about to be written.
            impact: What was earned.
            planned: How much of it was planned, and counted, before.
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
    """It waits; and as with any other limit, it is not claimed unless just that was approved."""
    most, unit = shown(limit, UNIT_OF[impact.kind])
    reason = (
        f"{in_words(impact.kind, quantity)}, beyond the day's ceiling of {most:f} {unit}: approve it, or raise the"
        f" rule's approve_above_per_day{_in_cents(impact)}"
    )
    return {"status": Status.AWAITING_APPROVAL.value, "reason": reason, "due_at": None, "approval_limit": 0}


def _in_cents(impact: Impact) -> str:
    """What a person has to know who sets the limit of a donation, which is told here in USD."""
    return " (in cents)" if UNIT_OF[impact.kind] is Unit.USD_CENT else ""


def placement_key(store: str, order_id: str, slot: str) -> str:
    """The idempotency key of the one purchase for an order and slot: 50 characters that tell nothing about either."""
    digest = hashlib.sha256(f"{store}\n{order_id}\n{slot}".encode()).hexdigest()
    return f"impactflow{digest[:40]}"


def plan(connection: Connection, pages: Sequence[Page]) -> list[Planned]:
    """Write what pages of orders have earned."""
    return [_plan_page(connection, page) for page in pages]


@dataclass(slots=True)
class Outlook:
    """
    What a preview has seen on the pages so far, since it writes nothing.

    Args:
        planned: How much of each slot they would have planned today.
        unwritten: Their new sales.
        seen: Their sales, by row and by a hash of each name: a sale may be listed on two pages.
        unearned: How many of their sales earn nothing in a slot, by slot and reason.
    """

    planned: Counter[str] = field(default_factory=Counter)
    unwritten: Unwritten = field(default_factory=Unwritten)
    seen: set[int] = field(default_factory=set)
    unearned: Counter[tuple[str | None, str]] = field(default_factory=Counter)


def foresee(connection: Connection, page: Page, outlook: Outlook) -> list[Foreseen]:
    """
    What planning a page would leave planned, held or awaiting approval; writes nothing.

    Args:
        connection: An open transaction.
        page: What was read.
        outlook: What the pages before it would have left; this one is added.
    """
    today = Counter(_planned_on(connection, page)) + outlook.planned
    writing, foreseen = _Plan(page, day=_Day(today)), list[Foreseen]()
    sales, _ = as_known(connection, page, outlook.unwritten)
    for sale in sales:
        keys = {*sale.row_ids, *map(hash, sale.names)}
        if not outlook.seen.isdisjoint(keys):
            continue
        outlook.seen |= keys
        outlook.unearned.update((each.slot, each.reason) for each in sale.earnings.unearned)
        existing: dict[str, Any] = {}
        for row_id in sale.row_ids:
            for found in sorted(connection.execute(_PLACEMENTS, {"order": row_id}), key=_precedence):
                existing.setdefault(found.slot, found)
        foreseen += [
            _foreseen(sale, impact, values, found)
            for impact in sale.earnings.impacts
            for found in [existing.get(impact.slot)]
            if found is None or _may_change(found)
            for values in [_values(found, impact, sale, writing)]
            if values["status"] in WAITING
        ]
    outlook.planned.update(writing.day.added)
    return foreseen


def to_send(connection: Connection, store: str, fresh: Fresh) -> list[Foreseen]:
    """What is planned of a store and would be sent now."""
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
    )


def _values(found: Any, impact: Impact, sale: Sale, writing: _Plan) -> dict[str, Any]:
    if found is None:
        return writing.day.ration(_impact_values(impact, sale.order, writing.page.at), impact)
    return _revised(found, impact, sale, writing)


def advance(connection: Connection, marks: Sequence[tuple[str, str, date, date]]) -> list[None]:
    """
    Every order of a source dated up to a day is planned, but nobody knows those of tomorrow: each with today's day.

    Never moves back, unless from a day that has not come: it was written by a clock that was ahead.
    """
    for store, source, said, today in marks:
        read_to, stands = min(said, today), watermark(connection, store, source)
        if stands is None or stands < read_to or stands > today:
            _mark(connection, store, source, read_to, stands)
    return [None] * len(marks)


def reach_back(connection: Connection, reaches: Sequence[tuple[str, str, date, date]]) -> list[None]:
    """
    All days of a source from the first to the last one were read: where what was read before begins, from now on.

    Days that do not border on what was read before do not count: nobody has asked for those between.
    """
    for store, source, from_, to in reaches:
        stands = watermark(connection, store, source)
        if stands is None or from_ < stands <= to + timedelta(days=1):
            _mark(connection, store, source, from_, stands)
    return [None] * len(reaches)


def mend_lines(connection: Connection, readings: Sequence[tuple[str, str, datetime]]) -> list[None]:
    """Forget lines of a file that were broken before, and were not when all of it was read since a time."""
    for store, file, began in readings:
        is_line = broken_orders.c.name.startswith(f"{file} line ", autoescape=True)
        is_old = (broken_orders.c.store == store) & (broken_orders.c.last_seen_at < began)
        connection.execute(broken_orders.delete().where(is_old, is_line))
    return [None] * len(readings)


def _mark(connection: Connection, store: str, source: str, day: date, stands: date | None) -> None:
    if stands is None:
        connection.execute(_FIRST_MARK, {"store": store, "source": source, "read_to": day})
    else:
        connection.execute(_NEXT_MARK, {"of_store": store, "of_source": source, "read_to": day})


def _plan_page(connection: Connection, page: Page) -> Planned:
    one_at_a_time(connection, page.store)  # two planners that meet the same new order would both fail
    unwritten = Unwritten()
    sales, rows = as_known(connection, page, unwritten)
    new = [sale for sale in sales if not sale.row_ids]
    writing = _Plan(page, day=_Day(_planned_on(connection, page)))
    made = _plan_new(connection, new, writing)
    known = [_with_rows_of_twins(sale, made) for sale in sales if sale.row_ids]
    _plan_known(connection, known, rows, writing)
    _write(connection, writing)
    _keep_readings(connection, writing)
    _set_aside(connection, unwritten, made, page)
    _write_broken(connection, page)
    return Planned(
        read=len(page.earnings) + len(page.broken),
        new=len(new),
        eligible=sum(sale.earnings.eligible for sale in sales),
        broken=len(page.broken),
        placements=writing.begun,
        beyond_day=writing.day.beyond,
    )


def _digest(page: Page, sale: Sale) -> str:
    """Changes whenever the order or the policy says something else, or a person is asked something else about it."""
    asks = next((f" {impact.asks}" for impact in sale.earnings.impacts if impact.asks), "")
    return hashlib.sha256(f"{page.policy_digest} {facts.said(sale.order)}{asks}".encode()).hexdigest()[:24]


def _with_rows_of_twins(sale: Sale, made: Mapping[str, int]) -> Sale:
    """A sale that may be one of the same page, which has its row only now."""
    if all(twin.row is not None for twin in sale.twins):
        return sale
    twins = (twin if twin.row is not None else replace(twin, row=made[twin.order_id]) for twin in sale.twins)
    return replace(sale, twins=tuple(twins))


def _set_aside(connection: Connection, unwritten: Unwritten, made: Mapping[str, int], page: Page) -> None:
    """
    Let nothing be sent or approved for orders before they are judged again: what came makes another thing of them.

    Of those that are not listed any more, whose digest says just that, a person is asked at once.
    """
    outdated = {made[key] if isinstance(key, str) else key: twins for key, twins in unwritten.outdated.items()}
    are_outdated = orders.c.id.in_(sorted(outdated))
    if outdated:
        query = select(orders.c.id, orders.c.twins).where(are_outdated, orders.c.digest == UNLISTED)
        for row in connection.execute(query).all():
            if others := sorted(outdated[row.id], key=attrgetter("order_id")):
                twins = {made[other.order_id] if other.row is None else other.row for other in others}
                twins |= set(json.loads(row.twins or "[]"))
                connection.execute(orders.update().where(orders.c.id == row.id).values(twins=json.dumps(sorted(twins))))
                unlisted.ask_about(connection, row.id, asks_if_twin(others), page.at, page.run_id)
            else:
                del outdated[row.id]
        connection.execute(orders.update().where(are_outdated, orders.c.digest != UNLISTED).values(digest=""))
    if unsent := unwritten.unasked | outdated.keys():
        connection.execute(orders.update().where(orders.c.id.in_(sorted(unsent))).values(policy=None))


def _plan_new(connection: Connection, sales: Sequence[Sale], writing: _Plan) -> Mapping[str, int]:
    """Write new sales; the row of each, by its order's id."""
    if not sales:
        return {}
    store = writing.page.store
    ids = connection.execute(
        _NEW_ORDERS,
        [
            {"store": store, "order_id": sale.order.id, "listed": None}
            | {"read_at": sale.heard_at, "policy": writing.page.policy_digest}
            | _order_values(sale, writing.page)
            for sale in sales
        ],
    ).scalars()
    names, rows = [], dict[str, int]()
    for row_id, sale in zip(ids, sales, strict=True):
        rows[sale.order.id] = row_id
        names += [{"store": store, "name": name, "order": row_id} for name in sorted(sale.names)]
        _plan_impacts(sale.earnings.impacts, row_id, sale.order, writing)
        _plan_unearned(sale, row_id, writing)
    connection.execute(_NEW_NAMES, names)
    for sale in sales:
        if (complete := _with_rows_of_twins(sale, rows)) is not sale:
            known = orders.update().where(orders.c.id == rows[sale.order.id])
            connection.execute(known.values(twins=_twins_as_text(complete)))
    return rows


def _plan_known(connection: Connection, sales: Sequence[Sale], rows: Mapping[int, Any], writing: _Plan) -> None:
    page = writing.page
    # What is no news may still bring a name, or tell who else told of it.
    touched = [sale for sale in sales if _touches(sale, rows[sale.row_ids[0]], page)]
    for sale in touched:
        _adopt(connection, sale, rows[sale.row_ids[0]], page.store)
    if touched:  # from here on nobody claims, answers or settles what is decided on below
        lock(connection, connection.execute(_IDS, {"orders": [sale.row_ids[0] for sale in touched]}).scalars())
    for sale in touched:
        _plan_again(connection, sale, rows[sale.row_ids[0]], writing)
    for sale in sales:
        if not sale.is_news and page.told is Told.ANNOUNCED:
            continue  # it says nothing about what is now
        row = rows[sale.row_ids[0]]
        if row.facts is not None:
            _keep_what_was_told(connection, sale, row, page)
        heard_at = _heard_at(sale, row, writing)
        known_lately = row.read_at is not None and heard_at - row.read_at < REREAD
        if not (known_lately and row.policy == page.policy_digest):
            writing.heard[row.id] = max(heard_at, row.read_at or heard_at)


def _keep_what_was_told(connection: Connection, sale: Sale, row: Any, page: Page) -> None:
    """An order that says the same as before says so as of later; one that is listed first is listed from now on."""
    if page.told is Told.READ and not sale.is_news:
        kept = {"facts": facts.as_text(sale.told), "facts_at": row.facts_at, "listed": facts.listing(sale.read)}
    elif sale.is_news and (page.told is not Told.READ or row.facts_at is not None):
        kept = facts.values_of(page.told, sale.told)
    else:
        return  # what is read again and says something else is planned anew, and kept by that
    if any(value != getattr(row, name) for name, value in kept.items()):
        connection.execute(orders.update().where(orders.c.id == row.id).values(kept))


def _touches(sale: Sale, row: Any, page: Page) -> bool:
    return sale.brings_name or _brings_teller(sale, row) or _has_changed(sale, row, page)


def _brings_teller(sale: Sale, row: Any) -> bool:
    return not sale.tellers <= tellers_from_text(row.tellers)


def _has_changed(sale: Sale, row: Any, page: Page) -> bool:
    return len(sale.row_ids) > 1 or row.digest != _digest(page, sale) or sale.asks_anew


def _heard_at(sale: Sale, row: Any, writing: _Plan) -> datetime:
    """
    When the order was told.

    Nobody has told it where it is judged again from what is kept. But an order that the source has never listed will
    not be read; whoever mended the policy for which it was held says by that what was told lately is still to count.
    """
    if writing.page.told is not Told.KEPT:
        return sale.heard_at
    told_lately: bool = row.read_at is not None and writing.page.at - row.read_at < facts.RELEASED
    return writing.page.at if row.id in writing.released and row.listed is None and told_lately else row.read_at


def _adopt(connection: Connection, sale: Sale, row: Any, store: str) -> None:
    """What was told goes by all its names; rows that a name has joined are one sale for good."""
    first, *others = sale.row_ids
    if _brings_teller(sale, row):
        told = {"tellers": tellers_as_text(sale.tellers)}
        connection.execute(orders.update().where(orders.c.id == first).values(told))
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


def _plan_again(connection: Connection, sale: Sale, row: Any, writing: _Plan) -> None:
    """Where the order, or the policy, says something else than when it was last planned."""
    existing = _one_per_slot(connection, row.id, writing)
    if not _has_changed(sale, row, writing.page) or not is_judged(writing.page, sale, row):
        return
    values = _order_values(sale, writing.page)
    if is_unlisted_still(writing.page, row):
        values["digest"] = UNLISTED
    if any(found.on_behalf for found in existing.values()):
        values["customer_email"] = values["customer_email"] or row.customer_email  # a refund may be taken back
    if any(found.attempts for found in existing.values()):
        # Whoever a provider was told is whom its records are searched for.
        values["customer_email"] = row.customer_email or values["customer_email"]
        sale = replace(sale, order=replace(sale.order, customer_email=values["customer_email"]))
    earned = {impact.slot: impact for impact in sale.earnings.impacts}
    connection.execute(orders.update().where(orders.c.id == row.id).values(**values))
    connection.execute(unearned.delete().where(unearned.c.order == row.id))
    _plan_unearned(sale, row.id, writing)
    for slot, found in existing.items():
        _revise(connection, found, earned.get(slot), sale, writing)
    fresh = [impact for slot, impact in earned.items() if slot not in existing]
    _plan_impacts(fresh, row.id, replace(sale.order, id=row.order_id), writing)


def _one_per_slot(connection: Connection, row_id: int, writing: _Plan) -> dict[str, Any]:
    """
    The sale's placements by slot.

    Two rows turn out to be one sale when a name joins them: then what one of them has bought, or is buying, stands, and
    the other's plan for the same slot is withdrawn, also where the purchase was cancelled since. Where neither has,
    what waits stands, rather than what is over.
    """
    existing: dict[str, Any] = {}
    found_rows = connection.execute(_PLACEMENTS, {"order": row_id}).all()
    for found in sorted(found_rows, key=_precedence):
        if existing.setdefault(found.slot, found) is not found and found.status in WAITING:
            _withdraw(connection, found, "the same sale is in the ledger by another name", writing)
    return existing


def _precedence(found: Any) -> tuple[bool, bool, bool, bool, int]:
    # Of two that were withdrawn the one that was sent before: should its answer still come, it is not sent again.
    is_untried = not (found.attempts and found.left == Status.PLANNED)
    return not found.was_bought, found.status in _NOTHING_SENT, found.status not in WAITING, is_untried, found.id


def _withdraw(connection: Connection, found: Any, reason: str, writing: _Plan) -> None:
    transitions.withdraw(connection, found, reason, writing.page.at, writing.page.run_id)


def _revise(connection: Connection, found: Any, impact: Impact | None, sale: Sale, writing: _Plan) -> None:
    """
    Bring a placement for which nothing took effect in line with what the order has earned by now.

    Also where it was tried: what is planned is known to have had no effect, so its request may change. What is in
    doubt is not touched, for it may have to be sent again as it was.
    """
    if sale.asks_anew and found.status in UNSURE and found.decided is not None:
        unanswered = {"status": found.status, "approved": None, "decided": None}
        transitions.revise(connection, found, unanswered, None, writing.page.at, writing.page.run_id)
    if not _may_change(found) or (impact is None and found.status not in WAITING):
        return
    if impact is None:
        reasons = [entry.reason for entry in sale.earnings.unearned if entry.slot in {None, found.slot}]
        _withdraw(connection, found, "; ".join(reasons) or "its slot is no longer in the policy", writing)
    else:
        values = _revised(found, impact, sale, writing)
        is_other = (values["status"], values["quantity"]) != (found.status, found.quantity)
        said = (values["reason"] or f"planned anew: {values['quantity']} {values['unit']}") if is_other else None
        if transitions.revise(connection, found, values, said, writing.page.at, writing.page.run_id) and is_other:
            writing.begun += _begins(found.status, values["status"])
            if found.status == Status.HELD:
                writing.released.add(sale.row_ids[0])


def _may_change(found: Any) -> bool:
    """Whether a placement waits to be sent, or was withdrawn while it did."""
    unsent = found.attempts == 0 or found.left == Status.PLANNED
    withdrawn = found.status == Status.CANCELLED and unsent and not found.was_bought
    return withdrawn or found.status in WAITING


def _revised(found: Any, impact: Impact, sale: Sale, writing: _Plan) -> dict[str, Any]:
    """A placement as what the order has earned by now would have it; a person's decision about just that stands."""
    order, values = sale.order, _impact_values(impact, sale.order, writing.page.at)
    if found.status == values["status"] == Status.PLANNED:
        values["due_at"] = max(found.due_at, writing.page.at)  # a provider may have asked to wait until then
    withdrawn = found.status == Status.CANCELLED and found.approved is not None
    is_unanswered = sale.asks_anew and found.status == Status.PLANNED
    if found.decided != digest({**values, "key": found.key}) or withdrawn or is_unanswered:
        planned = found.quantity if found.status == Status.PLANNED else 0
        return writing.day.ration(values, impact, planned) | {"approved": None, "decided": None}
    look = twin({**values, "quantity": found.quantity}, order.customer_email)  # the provider may be told somebody else
    return {"status": found.status, "quantity": found.quantity, "twin": look}


def _plan_impacts(impacts: Iterable[Impact], row_id: int, order: Order, writing: _Plan) -> None:
    page = writing.page
    for impact in impacts:
        writing.placements.append(
            {
                "order": row_id,
                "slot": impact.slot,
                "key": placement_key(page.store, order.id, impact.slot),
                "attempts": 0,
                "checks": 0,
                "planned_at": page.at,
            }
            | writing.day.ration(_impact_values(impact, order, page.at), impact)
        )


def _impact_values(impact: Impact, order: Order, at: datetime) -> dict[str, Any]:
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
    }
    values["twin"] = twin(values, order.customer_email)
    return values


def _begin(impact: Impact) -> tuple[Status, str | None]:
    """Where what was earned begins, and why it cannot be sent yet."""
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


def _plan_unearned(sale: Sale, row_id: int, writing: _Plan) -> None:
    reasons: dict[str, str] = {}
    for entry in sale.earnings.unearned:
        reasons.setdefault(entry.slot or "", entry.reason)
    writing.unearned += [{"order": row_id, "slot": slot, "reason": reason} for slot, reason in reasons.items()]


def _order_values(sale: Sale, page: Page) -> dict[str, Any]:
    told = any(impact.on_behalf_of_customer for impact in sale.earnings.impacts)
    values = {
        "ordered_at": sale.order.ordered_at,
        "eligible": sale.earnings.eligible,
        "refunded": sale.order.is_refunded,
        "digest": _digest(page, sale),
        "customer_email": sale.order.customer_email if told else None,
        "customer": sale.customer,
        "tellers": tellers_as_text(sale.tellers),
        "twins": _twins_as_text(sale),
    }
    return values | facts.values_of(page.told, sale.told) if sale.is_news else values


def _twins_as_text(sale: Sale) -> str | None:
    rows = sorted(twin.row for twin in sale.twins if twin.row is not None)
    return json.dumps(rows) if rows else None


def _begins(from_: str | None, to: str) -> bool:
    """Whether it is from here on that something is to be bought."""
    return from_ in _IDLE and to not in _IDLE


def _write(connection: Connection, writing: _Plan) -> None:
    if writing.placements:
        said = [values["reason"] or f"{values['quantity']} {values['unit']}" for values in writing.placements]
        transitions.start(connection, writing.placements, said, writing.page.at, writing.page.run_id)
        writing.begun += sum(_begins(None, values["status"]) for values in writing.placements)
    if writing.unearned:
        connection.execute(unearned.insert(), writing.unearned)
    _write_day(connection, writing)


def _planned_on(connection: Connection, page: Page) -> Mapping[str, int]:
    """How much was planned in each slot on the page's day; no planner of this store comes in between."""
    rows = connection.execute(_PLANNED_ON, {"of_store": page.store, "of_day": _day_of(page)})
    return {row.slot: row.quantity for row in rows}


def _write_day(connection: Connection, writing: _Plan) -> None:
    page, day = writing.page, writing.day
    for slot, more in sorted((+day.added).items()):
        quantity = day.before.get(slot, 0) + more
        if slot in day.before:
            known = {"of_store": page.store, "of_day": _day_of(page), "of_slot": slot}
            connection.execute(_PLANNED_MORE, known | {"quantity": quantity})
        else:
            row = {"store": page.store, "slot": slot, "day": _day_of(page), "quantity": quantity}
            connection.execute(_PLANNED_FIRST, row)


def _day_of(page: Page) -> date:
    return page.at.astimezone(UTC).date()


def _keep_readings(connection: Connection, writing: _Plan) -> None:
    if writing.heard:
        values = {"readings": as_list(writing.heard.items()), "policy": writing.page.policy_digest}
        connection.execute(_KEEP_READINGS, values)


def _write_broken(connection: Connection, page: Page) -> None:
    readable = {order.id for order, _ in page.earnings}
    readable |= {name.removeprefix("src:") for order, _ in page.earnings for name in order.names}
    if readable:
        connection.execute(_MENDED, {"store": page.store, "names": sorted(readable)})
    for broken in page.broken:
        name = broken.id or "?" + hashlib.sha256(broken.problem.encode()).hexdigest()[:12]
        seen = {"problem": broken.problem, "last_seen_at": page.at}
        known = (broken_orders.c.store == page.store) & (broken_orders.c.name == name)
        if not connection.execute(broken_orders.update().where(known).values(**seen)).rowcount:
            row = {"store": page.store, "name": name, "first_seen_at": page.at} | seen
            connection.execute(broken_orders.insert().values(**row))


# What every page asks and writes is put together once.
_OF_SOURCE = (watermarks.c.store == bindparam("of_store"), watermarks.c.source == bindparam("of_source"))
_FIRST_MARK = watermarks.insert()
_NEXT_MARK = watermarks.update().where(*_OF_SOURCE).values(read_to=bindparam("read_to"))
_OF_DAY = (planned_on.c.store == bindparam("of_store"), planned_on.c.day == bindparam("of_day"))
_PLANNED_ON = select(planned_on.c.slot, planned_on.c.quantity).where(*_OF_DAY)
_PLANNED_FIRST = planned_on.insert()
_PLANNED_MORE = (
    planned_on.update()
    .where(*_OF_DAY, planned_on.c.slot == bindparam("of_slot"))
    .values(quantity=bindparam("quantity"))
)
_NEW_ORDERS = orders.insert().returning(orders.c.id, sort_by_parameter_order=True)
_NEW_NAMES = order_names.insert()
#: Where a placement was before its last event.
_LEFT = (
    select(events.c.from_status)
    .where(events.c.placement == placements.c.id)
    .order_by(events.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_PLACEMENTS = (
    select(
        *(
            placements.c[name]
            for name in (
                "quantity",
                "id",
                "key",
                "slot",
                "status",
                "attempts",
                "due_at",
                "approved",
                "decided",
                "on_behalf",
            )
        ),
        _LEFT.label("left"),
        ever_bought().label("was_bought"),
    )
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id == bindparam("order"), orders.c.same_as == bindparam("order")))
)
_SALES: BindParameter[Any] = bindparam("orders", expanding=True)
#: The placements of some sales.
_IDS = (
    select(placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_SALES), orders.c.same_as.in_(_SALES)))
)
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
    )
    .order_by(placements.c.id)
)
_READINGS = listed("readings", {name: orders.c[name].type for name in ("id", "read_at")}).c
_KEEP_READINGS = (
    orders.update()
    .where(orders.c.id == _READINGS.id)
    .values(read_at=_READINGS.read_at, policy=bindparam("policy", type_=orders.c.policy.type))
)
_MENDED = broken_orders.delete().where(
    broken_orders.c.store == bindparam("store"), broken_orders.c.name.in_(bindparam("names", expanding=True))
)
