"""
The sales on a page of orders, each with everything that is known about it.

Orders that share a name are one sale, here and in the ledger. Of the new and the kept report of a sale the later one
holds, as ``facts`` says, and announced refunds are taken off. Reads only.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from impactflow.ledger import customers, facts, forgotten, refunds
from impactflow.ledger.customers import Comparison
from impactflow.ledger.facts import Origin
from impactflow.ledger.fresh import UNLISTED
from impactflow.ledger.names import Identity, are_of_two, identities
from impactflow.ledger.rows import NOBODY
from impactflow.ledger.sold import MOST_DUPLICATES, Duplicate, ReportedSale, Unwritten, reporters_from_text
from impactflow.ledger.tables import order_names, orders
from impactflow.ledger.unlisted import unlisted_reason
from impactflow.models import BrokenOrder, Earnings, Order, Refund
from impactflow.names import identities_as_sources, is_identity

#: The columns that only the first row of a sale keeps.
KEPT_AT_FIRST = ("facts", "facts_at", "listed", "read_at", "policy")


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page of orders with what each has earned.

    Args:
        store: The policy's store.
        earnings: The orders, each with its earnings.
        broken: The orders that could not be read.
        evaluate: Returns what an order has earned, for orders of which the ledger knows more than the page says.
        policy_digest: A digest that changes when the meaning of the policy changes.
        run_id: The run that read them.
        at: The time of the reading.
        origin: The way in which the orders came; a report that is no news changes only their names.
        reported_at: The time when each order was announced; if empty, all orders were read at ``at``.
        new_from: New orders that were sold before this time are ignored; None for no limit.
        wants: Whether the policy wants anything that these systems sell.
        asks_for_first: Whether it matters to ``evaluate`` if an order is its customer's first.
        distinct_sources: The systems of which no two orders are one sale reported twice.
        undoes: Whether a full refund undoes what was bought in a slot.
        reduces: Whether a refund of a part of an order reduces what it is owed in a slot.
    """

    store: str
    earnings: Sequence[tuple[Order, Earnings]]
    broken: Sequence[BrokenOrder]
    evaluate: Callable[[Order], Earnings]
    policy_digest: str
    run_id: str
    at: datetime
    origin: Origin = Origin.READ
    reported_at: Sequence[datetime] = ()
    new_from: datetime | None = None
    wants: Callable[[frozenset[str]], bool] = lambda _: True
    asks_for_first: bool = False
    distinct_sources: frozenset[str] = frozenset()
    undoes: Callable[[str], bool] = lambda _: False
    reduces: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Sale:
    """
    One sale of a page.

    Args:
        order: The order with everything that is known, refunds included.
        earnings: The earnings of that order.
        reported: The order as it was last reported.
        read: The order as it is on this page.
        is_news: Whether the report is news, so that it is kept.
        names: All names of the sale.
        row_ids: The sale's rows in the ledger, if it has any.
        brings_name: Whether one of the names is new to the ledger.
        claimants: The rows of other sales that have the shop's id for this sale as a name.
        reported_at: The time when it was reported.
        reporters: The sources that have reported it.
        customer: A digest that stands for the customer; None if no source reported the customer.
        duplicates: The sales that may be the same sale, reported twice.
        asks_anew: Whether no person was asked about one of them yet.
        uncleared: ``read`` with the addresses of forgotten customers, which are not kept; None if it has none.
    """

    order: Order
    earnings: Earnings
    reported: Order
    read: Order
    is_news: bool
    names: frozenset[str]
    row_ids: tuple[int, ...]
    brings_name: bool
    claimants: frozenset[int]
    reported_at: datetime
    reporters: frozenset[str]
    customer: str | None = None
    duplicates: tuple[Duplicate, ...] = ()
    asks_anew: bool = False
    uncleared: Order | None = field(default=None, repr=False)


def as_known(connection: Connection, page: Page, unwritten: Unwritten) -> tuple[Sequence[Sale], Mapping[int, Any]]:
    """
    The page's sales with everything that is known about them, and their rows in the ledger.

    Args:
        connection: In a transaction.
        page: The page of orders.
        unwritten: The sales in a state that the ledger does not have yet: in a preview, those of the pages before; this
            page's sales are added.
    """
    sales = _taken(page, _sales(connection, page))
    ids = sorted({row_id for sale in sales for row_id in (*sale.row_ids, *sale.claimants)})
    rows: dict[int, Any] = {row.id: row for row in connection.execute(_ORDERS, {"ids": ids})} if ids else {}
    for sale in sales:
        if len(sale.row_ids) > 1:
            rows[sale.row_ids[0]] = _joined([rows[row_id] for row_id in sale.row_ids])
    known = [_with_report(page, sale, rows) if sale.row_ids else sale for sale in sales]
    beside = _beside_others(connection, page, _after_refunds(connection, page, known), rows, unwritten)
    return [_asked_about(page, sale, rows) for sale in beside], rows


def rows_named(connection: Connection, store: str, names: Iterable[str]) -> Mapping[str, int]:
    """The first row of each sale that has one of these names, by the name."""
    wanted = sorted(set(names))
    rows = connection.execute(_NAMES, {"store": store, "names": wanted}) if wanted else ()
    return {row.name: row.order for row in rows}


def _sales(connection: Connection, page: Page) -> list[Sale]:
    """The page's orders as sales: orders that share a name, here or in the ledger, are one sale, as last read."""
    known = rows_named(connection, page.store, (name for order, _ in page.earnings for name in order.names))
    has_ids = any(is_identity(name) for order, _ in page.earnings for name in order.names)
    shops_ids = identities(connection, set(known.values())) if known and has_ids else {}
    gone = forgotten.named_by(connection, (order for order, _ in page.earnings))
    sales: list[Sale] = []
    by_name: dict[str, int] = {}
    for number, (order, earnings) in enumerate(page.earnings):
        names, row_ids, claimants = _own(order, known, shops_ids)
        here = sorted({by_name[name] for name in (*names, *map(str, row_ids)) if name in by_name})
        anothers = [sales[index] for index in here if are_of_two(names, sales[index].names)]
        here = [index for index in here if sales[index] not in anothers]
        names = names.difference(*(each.names for each in anothers))
        row_ids = row_ids.difference(*(each.row_ids for each in anothers))
        for index in here:
            names |= sales[index].names
            row_ids |= set(sales[index].row_ids)
        reported_at = page.reported_at[number] if page.reported_at else page.at
        reporters = frozenset({order.reporter} - {""}).union(*(sales[index].reporters for index in here))
        customer = customers.customer(page.store, order.customer_email)
        uncleared = None
        if gone and (kept := forgotten.as_kept(order, gone)) is not order:
            uncleared = order
            order, earnings = kept, page.evaluate(kept)  # noqa: PLW2901 - nor does a reason hold what is not kept
        last = sales[here[-1]] if here and page.origin is Origin.ANNOUNCED else None
        if last and not facts.overrides(order, last.order, counts=last.earnings.eligible):
            order, earnings = last.order, last.earnings  # noqa: PLW2901 - what was told last need not be the latest
            uncleared = last.uncleared
        is_new = not known.keys() >= names
        sale = Sale(
            *(
                order,
                earnings,
                order,
                order,
                True,
                names,
                tuple(sorted(row_ids)),
                is_new,
                claimants,
                reported_at,
                reporters,
            ),
            customer or next((sales[index].customer for index in here if sales[index].customer), None),
            uncleared=uncleared,
        )
        slot = here[0] if here else len(sales)
        sales[slot : slot + 1] = [sale]
        by_name.update(dict.fromkeys((*names, *map(str, row_ids)), slot))
    return [sale for index, sale in enumerate(sales) if by_name[next(iter(sale.names))] == index]


def _own(
    order: Order, known: Mapping[str, int], shops_ids: Mapping[int, Identity]
) -> tuple[frozenset[str], set[int], frozenset[int]]:
    """
    An order's names and the rows that have them, without the rows of another order with the same number.

    Also those rows that have this order's own id, for which the number may have been taken.
    """
    row_ids = {known[name] for name in order.names if name in known}
    anothers = {row_id for row_id in row_ids & shops_ids.keys() if _is_anothers(order, shops_ids[row_id])}
    own = identities_as_sources(order.names)
    claimants = {known[name] for name in own if known.get(name) in anothers}
    names = frozenset(name for name in order.names if known.get(name) not in anothers)
    return names, row_ids - anothers, frozenset(claimants)


def _is_anothers(order: Order, identity: Identity) -> bool:
    """Whether a row is of another order; a row that the ledger has under this order's id is always this order's."""
    return identity.order_id != order.id and are_of_two(order.names, identity.names)


def _taken(page: Page, sales: Sequence[Sale]) -> Sequence[Sale]:
    new_from = page.new_from
    if new_from is None:
        return sales
    return [sale for sale in sales if sale.row_ids or sale.order.ordered_at >= new_from]


def _joined(rows: Sequence[Any]) -> Any:
    """The first row of a sale; if it keeps nothing, with the values kept at another row of the sale."""
    first, *others = rows
    kept = next((row for row in others if row.facts is not None), None)
    if first.facts is not None or kept is None:
        return first
    return SimpleNamespace(**first._asdict() | {name: getattr(kept, name) for name in KEPT_AT_FIRST})


def is_unlisted_still(page: Page, row: Any) -> bool:
    """Whether no source lists a sale any more that is judged from the kept values."""
    return page.origin is Origin.KEPT and bool(row.digest == UNLISTED)


def _asked_about(page: Page, sale: Sale, rows: Mapping[int, Any]) -> Sale:
    """
    A sale about which a person is asked, because its shop id was reported for what may be another order.

    Wicked Reports, or a file, may have meant this order by the id, or the order that has it as its number. A person is
    also asked about a sale that no source lists any more.
    """
    if sale.row_ids and is_unlisted_still(page, row := rows[sale.row_ids[0]]):
        sale = _asking(sale, unlisted_reason(row.read_at))
    others = [rows[row_id] for row_id in sorted(sale.claimants)]
    listed = [row.order_id for row in others if row.listed is not None or ":" not in row.order_id]
    if not listed:
        return sale
    other = f"order {listed[0]}, which goes by this order's id as its number"
    return _asking(sale, f"it may be {other}: approve it if it is another sale")


def _asking(sale: Sale, asks: str) -> Sale:
    impacts = tuple(
        replace(impact, approval_limit=0, asks="; ".join(filter(None, (impact.asks, asks))))
        for impact in sale.earnings.impacts
    )
    return replace(sale, earnings=replace(sale.earnings, impacts=impacts))


def _beside_others(
    connection: Connection, page: Page, sales: Sequence[Sale], rows: Mapping[int, Any], unwritten: Unwritten
) -> Sequence[Sale]:
    """The sales compared with their customers' other sales: marked as first ones, or as perhaps reported twice."""
    bought = [_bought(page, sale, rows) for sale in sales]
    comparisons = customers.compare(
        connection, page.store, bought, page.distinct_sources, page.wants, unwritten, at_first=page.asks_for_first
    )
    return [_beside(page, sale, found) for sale, found in zip(sales, comparisons, strict=True)]


def _bought(page: Page, sale: Sale, rows: Mapping[int, Any]) -> ReportedSale:
    row = rows[sale.row_ids[0]] if sale.row_ids else None
    return ReportedSale(
        customer=sale.customer,
        order=sale.reported,
        order_id=row.order_id if row else sale.order.id,
        reporters=sale.reporters,
        rows=sale.row_ids,
        counts=sale.earnings.eligible or sale.order.is_refunded,
        counted=any(rows[row_id].eligible or rows[row_id].refunded for row_id in sale.row_ids),
        earns=partial(_earns, page, sale),
        duplicates=frozenset().union(*(json.loads(rows[row_id].duplicates or "[]") for row_id in sale.row_ids)),
        is_evaluated=row is None or is_evaluated(page, sale, row),
    )


def is_evaluated(page: Page, sale: Sale, row: Any) -> bool:
    """Whether a known sale is planned anew if it has changed; for an unlisted sale, a repetition does not count."""
    is_kept = row.facts is not None and (row.digest != UNLISTED or page.origin is not Origin.ANNOUNCED)
    return sale.is_news or is_kept or sale.order.is_refunded


def _earns(page: Page, sale: Sale, is_first: bool | None) -> bool:
    """Whether a sale earns anything, given whether it is its customer's first one."""
    if not page.asks_for_first:
        return bool(sale.earnings.impacts)
    return bool(page.evaluate(replace(sale.order, is_first=is_first)).impacts)


def _reporters(row: Any) -> frozenset[str]:
    return reporters_from_text(row.reporters)


def _beside(page: Page, sale: Sale, comparison: Comparison) -> Sale:
    if page.asks_for_first:
        order = replace(sale.order, is_first=comparison.is_first)
        sale = replace(sale, order=order, earnings=page.evaluate(order))
    if not comparison.duplicates:
        return sale
    return _asking(
        replace(sale, duplicates=comparison.duplicates, asks_anew=comparison.is_new),
        asks_if_duplicate(comparison.duplicates),
    )


def asks_if_duplicate(duplicates: Sequence[Duplicate]) -> str:
    """The question to a person about a sale that may be one of these."""
    other = f"order {_one_of(duplicates)}, told twice (same customer, amount and day)"
    return f"it may be {other}: approve it if it is another sale; not_sources or distinct_sources say it for all"


def _one_of(duplicates: Sequence[Duplicate]) -> str:
    more = ["another"] if len(duplicates) == MOST_DUPLICATES else []
    return " or ".join([*(duplicate.order_id for duplicate in duplicates), *more])


def _with_report(page: Page, sale: Sale, rows: Mapping[int, Any]) -> Sale:
    """A known sale with the report that holds."""
    row, order = rows[sale.row_ids[0]], sale.order
    if order.customer_email is None and row.customer_email == NOBODY:  # the shop has forgotten the customer, too
        order = replace(order, customer_email=NOBODY)
        sale = replace(sale, order=order, reported=order, read=order, earnings=page.evaluate(order))
    reporters = sale.reporters.union(*(_reporters(rows[row_id]) for row_id in sale.row_ids))
    if reporters != sale.reporters or sale.customer is None:
        known = (rows[row_id].customer for row_id in sale.row_ids)
        sale = replace(sale, reporters=reporters, customer=sale.customer or next(filter(None, known), None))
    if facts.is_news(page.origin, order, row):
        order = facts.with_what_stays(page.origin, order, row)
    elif row.facts is None:
        return replace(sale, is_news=False)
    else:
        kept = facts.order_from_row(row, order.customer_email)
        order = facts.completed(kept, order) if page.origin is Origin.READ else kept
        sale = replace(sale, is_news=False)
    return sale if order == sale.order else replace(sale, order=order, reported=order, earnings=page.evaluate(order))


def _after_refunds(connection: Connection, page: Page, sales: Sequence[Sale]) -> Sequence[Sale]:
    """The sales with their announced refunds, under any of their names, before or after the sale was reported."""
    announced = refunds.known(connection, page.store, sorted({name for sale in sales for name in sale.names}))
    return [_after(page, sale, announced) for sale in sales] if announced else sales


def _after(page: Page, sale: Sale, announced: Mapping[str, Sequence[Refund]]) -> Sale:
    found = (refund for name in sorted(sale.names) for refund in announced.get(name, ()))
    order = sale.order.after(refund for refund in found if not are_of_two(sale.names, refund.names))
    if order == sale.order:
        return sale
    return replace(sale, order=order, earnings=page.evaluate(order))


_NAMES = (
    select(order_names.c.name, func.coalesce(orders.c.same_as, orders.c.id).label("order"))
    .join(orders, order_names.c.order == orders.c.id)
    .where(order_names.c.store == bindparam("store"), order_names.c.name.in_(bindparam("names", expanding=True)))
)
_ORDERS = select(
    *(
        orders.c[name]
        for name in (
            *("id", "order_id", "ordered_at", "digest", "eligible", "refunded", "customer_email", "read_at", "policy"),
            *("customer", "reporters", "duplicates", "facts", "facts_at", "listed"),
            *("given_back_at", "not_given_back_at"),
        )
    )
).where(orders.c.id.in_(bindparam("ids", expanding=True)))
