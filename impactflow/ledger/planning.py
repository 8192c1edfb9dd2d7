"""
What orders have earned, made durable: one transaction for a page of orders.

A handler for the ``Writer``. Orders that the ledger knows, with nothing changed, cost one look-up. An order that
changed is planned anew where nothing was sent for it; what was sent is never touched.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select

from impactflow.ledger import refunds
from impactflow.ledger.approvals import digest
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.rows import ever_bought, lock, twin
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import broken_orders, events, order_names, orders, placements, unearned, watermarks
from impactflow.models import UNIT_OF, BrokenOrder, Earnings, Impact, Order, Refund
from impactflow.units import in_words, shown

#: Statuses in which nothing was bought or is being bought.
_NOTHING_SENT = WAITING | {Status.CANCELLED, Status.FAILED}
#: Where nothing is to be bought for the time being; None is before the beginning.
_IDLE = frozenset({None, Status.HELD.value, Status.AWAITING_APPROVAL.value, Status.CANCELLED.value})


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page of orders with what each has earned.

    Args:
        store: The policy's store.
        earnings: Each order with its earnings.
        broken: Orders that could not be read.
        judge: What an order has earned, for those of which the ledger knows refunds that the orders do not tell.
        policy_digest: Changes whenever the policy means something else.
        run_id: Which run read them.
        at: When.
        announced: Whether the orders were announced one by one as they were paid, rather than read from the source:
            that is no news of a sale that is refunded, nor of one that counts already, which may be known better by
            now, unless it brings the name by which the sale was refunded.
    """

    store: str
    earnings: Sequence[tuple[Order, Earnings]]
    broken: Sequence[BrokenOrder]
    judge: Callable[[Order], Earnings]
    policy_digest: str
    run_id: str
    at: datetime
    announced: bool = False


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
    """

    read: int = 0
    new: int = 0
    eligible: int = 0
    broken: int = 0
    placements: int = 0

    def __add__(self, other: "Planned") -> "Planned":
        """Two pages as one."""
        return Planned(
            self.read + other.read,
            self.new + other.new,
            self.eligible + other.eligible,
            self.broken + other.broken,
            self.placements + other.placements,
        )


@dataclass(frozen=True, slots=True)
class _Sale:
    """One sale of a page: all its names, the order as last read, the ledger's row if it has one."""

    order: Order
    earnings: Earnings
    digest: str
    names: frozenset[str]
    row_ids: tuple[int, ...]


@dataclass(slots=True)
class _Plan:
    """What one transaction is going to write."""

    page: Page
    placements: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    unearned: list[dict[str, Any]] = field(default_factory=list)


def placement_key(store: str, order_id: str, slot: str) -> str:
    """The idempotency key of the one purchase for an order and slot: 50 characters that tell nothing about either."""
    digest = hashlib.sha256(f"{store}\n{order_id}\n{slot}".encode()).hexdigest()
    return f"impactflow{digest[:40]}"


def plan(connection: Connection, pages: Sequence[Page]) -> list[Planned]:
    """Write what pages of orders have earned."""
    return [_plan_page(connection, page) for page in pages]


def advance(connection: Connection, marks: Sequence[tuple[str, str, date, date]]) -> list[None]:
    """
    Every order of a source dated up to a day is planned, but nobody knows those of tomorrow: each with today's day.

    Never moves back, unless from a day that has not come: it was written by a clock that was ahead.
    """
    for store, source, said, today in marks:
        read_to = min(said, today)
        known = (watermarks.c.store == store) & (watermarks.c.source == source)
        stands = connection.execute(select(watermarks.c.read_to).where(known)).scalar()
        if stands is None:
            connection.execute(watermarks.insert().values(store=store, source=source, read_to=read_to))
        elif stands < read_to or stands > today:
            connection.execute(watermarks.update().where(known).values(read_to=read_to))
    return [None] * len(marks)


def _plan_page(connection: Connection, page: Page) -> Planned:
    one_at_a_time(connection, page.store)  # two planners that meet the same new order would both fail
    sales = _after_refunds(connection, page, _sales(connection, page))
    new = [sale for sale in sales if not sale.row_ids]
    writing = _Plan(page)
    _plan_new(connection, new, writing)
    _plan_known(connection, [sale for sale in sales if sale.row_ids], writing)
    _write(connection, writing)
    _write_broken(connection, page)
    return Planned(
        read=len(page.earnings) + len(page.broken),
        new=len(new),
        eligible=sum(sale.earnings.eligible for sale in sales),
        broken=len(page.broken),
        placements=sum(_begins(event) for event in writing.events),
    )


def _sales(connection: Connection, page: Page) -> list[_Sale]:
    """The page's orders as sales: those that share a name, here or in the ledger, are one, as it was read last."""
    known = _known_names(connection, page)
    sales: list[_Sale] = []
    by_name: dict[str, int] = {}
    for order, earnings in page.earnings:
        names = frozenset(order.names)
        row_ids = {known[name] for name in names if name in known}
        here = sorted({by_name[name] for name in (*names, *map(str, row_ids)) if name in by_name})
        for index in here:
            names |= sales[index].names
            row_ids |= set(sales[index].row_ids)
        sale = _Sale(order, earnings, _digest(page, order), names, tuple(sorted(row_ids)))
        slot = here[0] if here else len(sales)
        sales[slot : slot + 1] = [sale]
        by_name.update(dict.fromkeys((*names, *map(str, row_ids)), slot))
    return [sale for index, sale in enumerate(sales) if by_name[next(iter(sale.names))] == index]


def _after_refunds(connection: Connection, page: Page, sales: Sequence[_Sale]) -> Sequence[_Sale]:
    """The sales with the refunds that were announced for them, by whichever of their names and before or after them."""
    announced = refunds.known(connection, page.store, sorted({name for sale in sales for name in sale.names}))
    return [_after(page, sale, announced) for sale in sales] if announced else sales


def _after(page: Page, sale: _Sale, announced: Mapping[str, Sequence[Refund]]) -> _Sale:
    order = sale.order.after(refund for name in sorted(sale.names) for refund in announced.get(name, ()))
    if order == sale.order:
        return sale
    return replace(sale, order=order, earnings=page.judge(order), digest=_digest(page, order))


def _known_names(connection: Connection, page: Page) -> Mapping[str, int]:
    names = sorted({name for order, _ in page.earnings for name in order.names})
    rows = connection.execute(_NAMES, {"store": page.store, "names": names}) if names else ()
    return {row.name: row.order for row in rows}


def _digest(page: Page, order: Order) -> str:
    said = (
        page.policy_digest,
        sorted(order.names),
        order.ordered_at.isoformat(),
        str(order.amount),
        order.currency,
        str(order.item_count),
        [payment.status for payment in order.payments],
        order.customer_email,
    )
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:24]


def _plan_new(connection: Connection, sales: Sequence[_Sale], writing: _Plan) -> None:
    if not sales:
        return
    store = writing.page.store
    ids = connection.execute(
        orders.insert().returning(orders.c.id, sort_by_parameter_order=True),
        [{"store": store, "order_id": sale.order.id} | _order_values(sale) for sale in sales],
    ).scalars()
    names = []
    for row_id, sale in zip(ids, sales, strict=True):
        names += [{"store": store, "name": name, "order": row_id} for name in sorted(sale.names)]
        _plan_impacts(sale.earnings.impacts, row_id, sale.order, writing)
        _plan_unearned(sale, row_id, writing)
    connection.execute(order_names.insert(), names)


def _plan_known(connection: Connection, sales: Sequence[_Sale], writing: _Plan) -> None:
    if not sales:
        return
    row_ids = sorted({row_id for sale in sales for row_id in sale.row_ids})
    rows = {row.id: row for row in connection.execute(_ORDERS, {"ids": row_ids})}
    changed = [sale for sale in sales if rows[sale.row_ids[0]].digest != sale.digest or len(sale.row_ids) > 1]
    for sale in changed:
        if len(sale.row_ids) > 1:
            _join(connection, sale.row_ids)
    if changed:  # from here on nobody claims, answers or settles what is decided on below
        lock(connection, connection.execute(_IDS, {"orders": [sale.row_ids[0] for sale in changed]}).scalars())
    for sale in changed:
        _plan_again(connection, sale, rows[sale.row_ids[0]], writing)


def _join(connection: Connection, row_ids: Sequence[int]) -> None:
    """Rows that a name has joined are one sale for good, by whichever of their names it comes next."""
    first, *others = row_ids
    joined = orders.c.id.in_(others) | orders.c.same_as.in_(others)
    connection.execute(orders.update().where(joined).values(same_as=first))
    connection.execute(unearned.delete().where(unearned.c.order.in_(others)))


def _plan_again(connection: Connection, sale: _Sale, row: Any, writing: _Plan) -> None:
    """The order, or the policy, says something else than when it was last planned."""
    _adopt_names(connection, sale, row.id, writing.page.store)
    existing = _one_per_slot(connection, row.id, writing)
    if writing.page.announced and (row.refunded or (row.eligible and sale.earnings.eligible)):
        return
    values = _order_values(sale)
    if any(found.attempts for found in existing.values()):
        # Whoever a provider was told is whom its records are searched for.
        values["customer_email"] = row.customer_email or values["customer_email"]
        sale = replace(sale, order=replace(sale.order, customer_email=values["customer_email"]))
    connection.execute(orders.update().where(orders.c.id == row.id).values(**values))
    connection.execute(unearned.delete().where(unearned.c.order == row.id))
    _plan_unearned(sale, row.id, writing)
    earned = {impact.slot: impact for impact in sale.earnings.impacts}
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
    if _change(connection, found, {"status": Status.CANCELLED.value, "due_at": None, "reason": reason}):
        writing.events.append(_event(writing.page, found.id, found.status, Status.CANCELLED, reason))


def _change(connection: Connection, found: Any, values: Mapping[str, Any]) -> bool:
    """Change a placement that still is as it was found; whether it was."""
    as_found = (placements.c.status == found.status) & (placements.c.attempts == found.attempts)
    changing = placements.update().where(placements.c.id == found.id, as_found).values(**values)
    return connection.execute(changing).rowcount > 0


def _adopt_names(connection: Connection, sale: _Sale, row_id: int, store: str) -> None:
    taken = set(connection.execute(_NAMES, {"store": store, "names": sorted(sale.names)}).scalars())
    fresh = [{"store": store, "name": name, "order": row_id} for name in sorted(sale.names - taken)]
    if fresh:
        connection.execute(order_names.insert(), fresh)


def _revise(connection: Connection, found: Any, impact: Impact | None, sale: _Sale, writing: _Plan) -> None:
    """Bring a placement for which nothing took effect in line with what the order has earned by now."""
    unsent = found.attempts == 0 or found.left == Status.PLANNED
    withdrawn = found.status == Status.CANCELLED and unsent and not found.was_bought
    if found.status not in WAITING and (impact is None or not withdrawn):
        return
    if impact is None:
        reasons = [entry.reason for entry in sale.earnings.unearned if entry.slot in {None, found.slot}]
        _withdraw(connection, found, "; ".join(reasons) or "its slot is no longer in the policy", writing)
    elif found.attempts == 0:  # once it was tried its request is fixed: the provider may have seen its key
        values = _revised(found, impact, sale.order, writing.page.at)
        if _change(connection, found, values) and (values["status"], values["quantity"]) != (
            found.status,
            found.quantity,
        ):
            said = values["reason"] or f"planned anew: {values['quantity']} {values['unit']}"
            writing.events.append(_event(writing.page, found.id, found.status, values["status"], said))
    elif withdrawn:
        values = {"status": Status.PLANNED.value, "due_at": writing.page.at, "reason": None}
        values |= {"approved": None, "decided": None}
        if _change(connection, found, values):
            writing.events.append(_event(writing.page, found.id, found.status, Status.PLANNED, "earned again"))


def _revised(found: Any, impact: Impact, order: Order, at: datetime) -> dict[str, Any]:
    """A placement as what the order has earned by now would have it; a person's decision about just that stands."""
    values = _impact_values(impact, order, at)
    withdrawn = found.status == Status.CANCELLED and found.approved is not None
    if found.decided != digest({**values, "key": found.key}) or withdrawn:
        return values | {"approved": None, "decided": None}
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
            | _impact_values(impact, order, page.at)
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
    quantity, limit = impact.quantity, impact.approval_limit
    if quantity is None or limit is None or not impact.needs_approval:
        return Status.PLANNED, None
    most, unit = shown(limit, UNIT_OF[impact.kind])
    return Status.AWAITING_APPROVAL, f"{in_words(impact.kind, quantity)}, above the approval limit of {most:f} {unit}"


def _plan_unearned(sale: _Sale, row_id: int, writing: _Plan) -> None:
    reasons: dict[str, str] = {}
    for entry in sale.earnings.unearned:
        reasons.setdefault(entry.slot or "", entry.reason)
    writing.unearned += [{"order": row_id, "slot": slot, "reason": reason} for slot, reason in reasons.items()]


def _order_values(sale: _Sale) -> dict[str, Any]:
    told = any(impact.on_behalf_of_customer for impact in sale.earnings.impacts)
    return {
        "ordered_at": sale.order.ordered_at,
        "eligible": sale.earnings.eligible,
        "refunded": sale.order.is_refunded,
        "digest": sale.digest,
        "customer_email": sale.order.customer_email if told else None,
    }


def _event(page: Page, placement_id: int, from_: str | None, to: str, detail: str | None) -> dict[str, Any]:
    return {
        "placement": placement_id,
        "at": page.at,
        "from_status": from_,
        "to_status": to,
        "attempt": 0,
        "run_id": page.run_id,
        "detail": detail,
    }


def _begins(event: Mapping[str, Any]) -> bool:
    """Whether it is from here on that something is to be bought."""
    return event["from_status"] in _IDLE and event["to_status"] not in _IDLE


def _write(connection: Connection, writing: _Plan) -> None:
    if writing.placements:
        ids = connection.execute(
            placements.insert().returning(placements.c.id, sort_by_parameter_order=True), writing.placements
        ).scalars()
        for row_id, values in zip(ids, writing.placements, strict=True):
            said = values["reason"] or f"{values['quantity']} {values['unit']}"
            writing.events.append(_event(writing.page, row_id, None, values["status"], said))
    if writing.events:
        connection.execute(events.insert(), writing.events)
    if writing.unearned:
        connection.execute(unearned.insert(), writing.unearned)


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


_NAMES = (
    select(order_names.c.name, func.coalesce(orders.c.same_as, orders.c.id).label("order"))
    .join(orders, order_names.c.order == orders.c.id)
    .where(order_names.c.store == bindparam("store"), order_names.c.name.in_(bindparam("names", expanding=True)))
)
_ORDERS = select(
    *(orders.c[name] for name in ("id", "order_id", "digest", "eligible", "refunded", "customer_email"))
).where(orders.c.id.in_(bindparam("ids", expanding=True)))
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
            for name in ("id", "key", "slot", "status", "attempts", "quantity", "approved", "decided")
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
_MENDED = broken_orders.delete().where(
    broken_orders.c.store == bindparam("store"), broken_orders.c.name.in_(bindparam("names", expanding=True))
)
