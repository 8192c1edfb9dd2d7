"""
What else a customer bought: whether a sale is their first, and whether it may be one that was told twice.

Shop, payment provider and Wicked Reports may each tell of one sale by names that nothing joins. Two sales of one
customer for one amount within a day that no one teller told of both are suspected to be one: about the one that came
later a person is asked. A customer is known by a digest of store and e-mail address. Reads only. Called by ``pages``.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select

from impactflow.ledger.tables import Utc, order_names, orders
from impactflow.models import Order

#: How far apart two tellers may date one sale: they round, and count days in different zones.
_APART = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bought:
    """
    A sale, as it is compared with others.

    Args:
        customer: Who bought it.
        order: As it was told last.
        names: All its names.
        row: The ledger's first row; None where it is new.
        counts: Whether it counts, or did before its money was given back.
    """

    customer: str
    order: Order
    names: frozenset[str]
    row: int | None
    counts: bool


@dataclass(frozen=True, slots=True)
class _Sold:
    """What is kept in memory of a sale."""

    order_id: str
    ordered_at: datetime
    sources: frozenset[str]
    tellers: frozenset[str]
    row: int | None


@dataclass(slots=True)
class Unwritten:
    """
    New sales that are not in the ledger yet: those of one page, or of all pages of a preview.

    Args:
        sold: By what makes two sales alike.
        since: When each customer first bought something that counts.
    """

    sold: dict[int, list[_Sold]] = field(default_factory=lambda: defaultdict(list))
    since: dict[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """
    What was found of one sale.

    Args:
        is_first: Whether no earlier sale of its customer that counts is known.
        twin: The order that it may be, told twice; None for none.
    """

    is_first: bool
    twin: str | None


def customer(store: str, email: str | None) -> str | None:
    """A digest by which one customer's orders are found; None where it is not told whose they are."""
    told = (email or "").strip().casefold()
    return hashlib.sha256(f"{store}\n{told}".encode()).hexdigest()[:24] if told else None


def look(
    connection: Connection,
    store: str,
    bought: Sequence[Bought],
    distinct: frozenset[str],
    unwritten: Unwritten,
    *,
    at_first: bool,
) -> Iterator[Look]:
    """
    Look at each of a page's sales, in their order.

    Args:
        connection: In a transaction.
        store: Whose sales.
        bought: The page's sales.
        distinct: Systems of which no two orders are one sale.
        unwritten: Sales that are not in the ledger yet; the new ones of the page are added.
        at_first: Whether it matters which sale is a customer's first.
    """
    since = _since(connection, store, bought, unwritten) if at_first else {}
    sold = _sold(connection, store, bought)
    for each in bought:
        alike = _alike(each.customer, each.order)
        own = _of(each.order.id, each.order.ordered_at, each.names, each.row)
        known = [*sold.get(alike, ()), *(unwritten.sold.get(alike, ()) if each.row is None else ())]
        twins = (other for other in known if _is_twin(own, other, distinct))
        if each.row is None and each.order.amount:
            unwritten.sold[alike].append(own)
        first = since.get(each.customer, each.order.ordered_at)
        yield Look(each.order.ordered_at <= first, next((other.order_id for other in twins), None))


def _since(
    connection: Connection, store: str, bought: Sequence[Bought], unwritten: Unwritten
) -> Mapping[str, datetime]:
    """When each customer of the page first bought something that counts."""
    known = connection.execute(_FIRST_SOLD, {"store": store, **_customers(bought)})
    since = {row.customer: row.since for row in known}
    for each in bought:
        if each.counts and each.row is None:
            at = each.order.ordered_at
            unwritten.since[each.customer] = min(at, unwritten.since.get(each.customer, at))
    for each in bought:
        first = unwritten.since.get(each.customer)
        if first is not None:
            since[each.customer] = min(first, since.get(each.customer, first))
    return since


def _sold(connection: Connection, store: str, bought: Sequence[Bought]) -> Mapping[int, Sequence[_Sold]]:
    """The ledger's sales that are like a later one of the page, but for whoever told of them."""
    page: dict[int, list[Bought]] = defaultdict(list)
    for each in bought:
        if each.order.amount:
            page[_alike(each.customer, each.order)].append(each)
    if not page:
        return {}
    known = {each.row: each for each in bought}
    times = [each.order.ordered_at for each in bought]
    span = {"began": min(times) - _APART, "ended": max(times) + _APART}
    found = []
    for row in connection.execute(_SOLD, {"store": store, **span, **_customers(bought)}):
        own = known.get(row.id)
        alike = _alike_as_kept(row) if own is None else _alike(own.customer, own.order)
        if any(each.row is None or each.row > row.id for each in page.get(alike, ())):
            found.append((alike, row))
    names = _names(connection, [row.id for _, row in found])
    sold: dict[int, list[_Sold]] = defaultdict(list)
    for alike, row in found:
        own = known.get(row.id)  # may go by more names by now than the ledger knows
        all_names = names[row.id] if own is None else names[row.id] | own.names
        sold[alike].append(_of(row.order_id, row.ordered_at, all_names, row.id))
    return sold


def _names(connection: Connection, row_ids: Sequence[int]) -> Mapping[int, set[str]]:
    names = defaultdict[int, set[str]](set)
    for row in connection.execute(_NAMES, {"ids": row_ids}) if row_ids else ():
        names[row.sale].add(row.name)
    return names


def _customers(bought: Iterable[Bought]) -> dict[str, object]:
    return {"customers": sorted({each.customer for each in bought})}


def _is_twin(own: _Sold, other: _Sold, distinct: frozenset[str]) -> bool:
    """Whether two sales that are alike may be one; the later one is asked about."""
    is_earlier = other.row is None or own.row is None or other.row < own.row
    is_near = abs(own.ordered_at - other.ordered_at) <= _APART
    are_known = bool(own.tellers and other.tellers)
    are_distinct = own.sources | other.sources <= distinct
    return is_earlier and is_near and are_known and not are_distinct and own.tellers.isdisjoint(other.tellers)


def _alike(who: str, order: Order) -> int:
    return hash((who, order.amount, order.currency))


def _alike_as_kept(row: Any) -> int:
    kept = json.loads(row.facts)
    return hash((row.customer, kept["amount"] and Decimal(kept["amount"]), kept["currency"]))


def _of(order_id: str, at: datetime, names: Iterable[str], row: int | None) -> _Sold:
    """
    A sale with whoever told of it, as far as its names say.

    Wicked Reports tells of several systems, as a teller of its own for each; a shop tells by its own id, and whoever
    told first gave the order's id its prefix. Nobody is known where Wicked Reports names no system.
    """
    sources, tellers, is_listed = set[str](), set[str](), False
    for name in names:
        kind, _, rest = name.partition(":")
        if kind == "src":
            sources.add(rest.partition(":")[0])
        elif kind == "id":
            tellers.add(rest.partition(":")[0])
        is_listed = is_listed or kind == "wr"
    if is_listed:
        tellers.update(f"wickedreports {source}" for source in sources)
    if ":" in order_id:
        tellers.add(order_id.partition(":")[0])
    return _Sold(order_id, at, frozenset(sources), frozenset(tellers), row)


# Not by the index on stores, by which SQLite would walk through all their orders of these days.
_WHOSE = (
    orders.c.store.concat("") == bindparam("store"),
    orders.c.customer.in_(bindparam("customers", expanding=True)),
)
_FIRST_SOLD = (
    select(orders.c.customer, func.min(orders.c.ordered_at, type_=Utc()).label("since"))
    .where(*_WHOSE, or_(orders.c.eligible, orders.c.refunded), orders.c.same_as.is_(None))
    .group_by(orders.c.customer)
)
_SOLD = select(orders.c.id, orders.c.order_id, orders.c.ordered_at, orders.c.customer, orders.c.facts).where(
    *_WHOSE,
    orders.c.ordered_at.between(bindparam("began"), bindparam("ended")),
    orders.c.same_as.is_(None),
    orders.c.facts.is_not(None),
)
_SALE = func.coalesce(orders.c.same_as, orders.c.id)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NAMES = (
    select(order_names.c.name, _SALE.label("sale"))
    .join(orders, order_names.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_IDS), orders.c.same_as.in_(_IDS)))
)
