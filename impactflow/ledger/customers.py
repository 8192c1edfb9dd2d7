"""
What else a customer bought: whether a sale is their first, and whether it may be one that was told twice.

Shop, payment provider and Wicked Reports may each tell of one sale by names that nothing joins. Two sales of one
customer for one amount within a day that no one teller told of both are suspected to be one: a person is asked about
the one for which nothing was bought. The suspicion stands, whatever becomes of the amounts, until it is answered. A
customer is known by a digest of store and e-mail address. Reads only. Called by ``pages``.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, func, or_, select

from impactflow.ledger.rows import ever_bought
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import Utc, orders, placements
from impactflow.models import Order

#: How far apart two tellers may date one sale: they round, and count days in different zones.
_APART = timedelta(days=1)
#: Where nothing is going to be bought any more.
_OVER = (Status.CANCELLED.value, Status.FAILED.value)


@dataclass(frozen=True, slots=True)
class Bought:
    """
    A sale, as it is compared with others.

    Args:
        customer: Who bought it; None where that was never told.
        order: As it was told last.
        tellers: Who told of it, one after the other.
        rows: The ledger's rows of it, the first one first; empty where it is new.
        counts: Whether it counts, or did before its money was given back.
        earns: Whether it earns anything, or would if it were a customer's first one.
        twin: The row of the sale that it was suspected to be before; None where it was not.
    """

    customer: str | None
    order: Order
    tellers: frozenset[str]
    rows: tuple[int, ...]
    counts: bool
    earns: bool
    twin: int | None


@dataclass(frozen=True, slots=True)
class Twin:
    """The sale that another one may be: its order's id, and its row where it has one."""

    order_id: str
    row: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """
    What was found of one sale.

    Args:
        is_first: Whether no earlier sale of its customer that counts is known; None where it is not known whose it is.
        twin: The sale that it may be; None for none.
    """

    is_first: bool | None
    twin: Twin | None


@dataclass(frozen=True, slots=True)
class _Sold:
    """
    A sale that another one may be.

    Args:
        order_id: Its order's id.
        ordered_at: When it was sold.
        sources: Which systems sold it.
        row: The ledger's first row; None where it is new.
        was_sent: Whether something was bought for it, or may have been.
        waits: Whether something is to be bought for it, without a person's being asked if it is another sale.
    """

    order_id: str
    ordered_at: datetime
    sources: frozenset[str]
    row: int | None
    was_sent: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Counted:
    """A sale that counts, and what it is compared by."""

    at: datetime
    alike: int
    tellers: frozenset[str]

    def is_same_perhaps(self, other: "_Counted") -> bool:
        """Whether the two may be one sale, told twice; one sale is the same as itself."""
        are_told_apart = self.tellers.isdisjoint(other.tellers)
        return self is other or (self.alike == other.alike and are_told_apart and abs(self.at - other.at) <= _APART)


#: Sales that are alike but for who told of them, by those.
_Group = dict[frozenset[str], list[_Sold]]


@dataclass(slots=True)
class Unwritten:
    """
    New sales that are not in the ledger yet: those of one page, or of all pages of a preview.

    Args:
        sold: By what makes two sales alike.
        counted: Each customer's that count.
    """

    sold: dict[int, _Group] = field(default_factory=lambda: defaultdict(dict))
    counted: dict[str, list["_Counted"]] = field(default_factory=lambda: defaultdict(list))


def customer(store: str, email: str | None) -> str | None:
    """A digest by which one customer's orders are found; None where it is not told whose they are."""
    told = (email or "").strip().casefold()
    return hashlib.sha256(f"{store}\n{told}".encode()).hexdigest()[:24] if told else None


def tellers_from_text(text: str | None) -> frozenset[str]:
    """Who told of a sale, as the ledger keeps it."""
    return frozenset(json.loads(text)) if text else frozenset()


def tellers_as_text(tellers: Iterable[str]) -> str:
    """The same for the ledger to keep."""
    return json.dumps(sorted(tellers))


def look(
    connection: Connection,
    store: str,
    page: Sequence[Bought],
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
        page: The page's sales.
        distinct: Systems of which no two orders are one sale.
        unwritten: Sales that are not in the ledger yet; the new ones of the page are added.
        at_first: Whether it matters which sale is a customer's first.
    """
    alike = _Alike(connection, store, page, distinct, unwritten)
    twins = [alike.twin_of(each) for each in page]
    firsts = _firsts(connection, store, page, twins, alike, unwritten) if at_first else [None] * len(page)
    return map(Look, firsts, twins)


class _Alike:
    """The sales that one of the page's may be, those of the page itself among them."""

    def __init__(
        self,
        connection: Connection,
        store: str,
        page: Sequence[Bought],
        distinct: frozenset[str],
        unwritten: Unwritten,
    ) -> None:
        self._distinct = distinct
        self._unwritten = unwritten
        self._known: dict[int, _Group] = defaultdict(dict)
        #: Sales that are not on the page, may be one of its sales, and count; by customer.
        self.counted: dict[str, list[_Counted]] = defaultdict(list)
        #: Their rows, and those of all such sales that do not count.
        self.rows: list[int] = []
        self._stands: Mapping[int, tuple[bool, bool]] = {}
        self._asked: set[int] = set()
        self._read(connection, store, page)
        self._kept = _kept_twins(connection, page)

    def _read(self, connection: Connection, store: str, page: Sequence[Bought]) -> None:
        wanted: dict[int, set[frozenset[str]]] = defaultdict(set)
        for each in page:
            if each.customer and each.order.amount:
                wanted[_alike(each.customer, each.order)].add(each.tellers)
        if not wanted:
            return
        on_page = {row for each in page for row in each.rows}
        times = [each.order.ordered_at for each in page]
        span = {"began": min(times) - _APART, "ended": max(times) + _APART}
        rows = connection.execute(_SOLD, {"store": store, **span, "customers": _customers(page)})
        found = [
            (alike, tellers, row)
            for row in rows
            if row.id not in on_page and (alike := _alike_as_kept(row)) in wanted
            for tellers in [tellers_from_text(row.tellers)]
            if any(map(tellers.isdisjoint, wanted[alike]))
        ]
        self.rows = [row.id for _, _, row in found]
        known = [each for each in page if each.rows and _alike(each.customer, each.order) in wanted]
        self._stands = _stands(connection, [*self.rows, *(each.rows[0] for each in known)])
        for alike, tellers, row in found:
            other = _sold_as_kept(row, self._stands)
            self._known[alike].setdefault(tellers, []).append(replace(other, waits=other.waits and row.twin is None))
            if (row.eligible or row.refunded) and row.twin is None:
                self.counted[row.customer].append(_Counted(row.ordered_at, alike, tellers))
        for each in known:
            other = _as_sold(each, *self._stands.get(each.rows[0], (False, False)))
            self._known[_alike(each.customer, each.order)].setdefault(each.tellers, []).append(other)

    def twin_of(self, each: Bought) -> Twin | None:
        """The sale that this one may be; it may itself be that of those that come later."""
        twin = self._kept_twin(each) or self._new_twin(each)
        if twin is not None:
            self._asked |= set(each.rows)
        return twin

    def _kept_twin(self, each: Bought) -> Twin | None:
        kept = None if each.twin is None else self._kept.get(each.twin)
        return Twin(kept[0].order_id, kept[0].row) if kept and self._stays(each, *kept) else None

    def _new_twin(self, each: Bought) -> Twin | None:
        if each.customer is None or not each.order.amount:
            return None
        alike = _alike(each.customer, each.order)
        was_sent, waits = self._stands.get(each.rows[0], (False, False)) if each.rows else (False, False)
        twin = next(self._others(each, alike, was_sent=was_sent), None)
        if each.earns and not (was_sent or waits):
            self._unwritten.sold[alike].setdefault(each.tellers, []).append(_as_sold(each, False, twin is None))
        return Twin(twin.order_id, twin.row) if twin else None

    def _others(self, each: Bought, alike: int, *, was_sent: bool) -> Iterator[_Sold]:
        """Those for which something was bought, and, unless something was for this one, those for which it will be."""
        for group in (self._known.get(alike, {}), self._unwritten.sold.get(alike, {})):
            for tellers, sold in group.items():
                if tellers.isdisjoint(each.tellers):
                    near = (other for other in sold if self._is_near(each, other))
                    yield from (other for other in near if other.was_sent or (not was_sent and self._waits(other)))

    def _is_near(self, each: Bought, other: _Sold) -> bool:
        is_another = other.row is None or other.row not in each.rows
        is_near = abs(each.order.ordered_at - other.ordered_at) <= _APART
        return is_another and is_near and not self._are_distinct(each, other)

    def _waits(self, other: _Sold) -> bool:
        return other.waits and other.row not in self._asked

    def _stays(self, each: Bought, other: _Sold, tellers: frozenset[str]) -> bool:
        """Whether a suspicion still stands."""
        is_another = other.row not in each.rows and tellers.isdisjoint(each.tellers)
        return is_another and (other.was_sent or other.waits) and not self._are_distinct(each, other)

    def _are_distinct(self, each: Bought, other: _Sold) -> bool:
        are_known = bool(each.order.sources and other.sources)
        return are_known and each.order.sources | other.sources <= self._distinct


def _firsts(
    connection: Connection,
    store: str,
    page: Sequence[Bought],
    twins: Sequence[Twin | None],
    alike: _Alike,
    unwritten: Unwritten,
) -> list[bool | None]:
    """Of each sale, whether its customer bought nothing before; what may be the same sale told twice is not before."""
    apart = [*(row for each in page for row in each.rows), *alike.rows]
    values = {"store": store, "customers": _customers(page), "apart": apart}
    since: Mapping[str, datetime] = {row.customer: row.since for row in connection.execute(_FIRST_SOLD, values)}
    told = [_Counted(each.order.ordered_at, _alike(each.customer, each.order), each.tellers) for each in page]
    counted = [(each, own) for each, own, twin in zip(page, told, twins, strict=True) if each.counts and twin is None]
    here: dict[str | None, list[_Counted]] = defaultdict(list)
    for each, own in counted:
        here[each.customer].append(own)

    def is_first(each: Bought, own: _Counted) -> bool | None:
        if each.customer is None:
            return None
        known = (here[each.customer], unwritten.counted.get(each.customer, ()), alike.counted.get(each.customer, ()))
        before = [other.at for others in known for other in others if not own.is_same_perhaps(other)]
        return all(own.at <= at for at in (since.get(each.customer, own.at), *before))

    firsts = [is_first(each, own) for each, own in zip(page, told, strict=True)]
    for each, own in counted:
        if each.customer is not None and not each.rows:
            unwritten.counted[each.customer].append(own)
    return firsts


def _kept_twins(connection: Connection, page: Sequence[Bought]) -> Mapping[int, tuple[_Sold, frozenset[str]]]:
    """The sales that sales of the page were suspected to be, each with who told of it."""
    ids = sorted({each.twin for each in page if each.twin is not None})
    if not ids:
        return {}
    rows = connection.execute(_ROWS, {"ids": ids}).all()
    firsts = {row.id: row for row in connection.execute(_ROWS, {"ids": sorted({row.sale for row in rows})})}
    stands = _stands(connection, list(firsts))
    return {
        row.id: (_sold_as_kept(first, stands), tellers_from_text(first.tellers))
        for row in rows
        for first in [firsts[row.sale]]
    }


def _stands(connection: Connection, rows: Sequence[int]) -> Mapping[int, tuple[bool, bool]]:
    """Of each sale that has placements: whether something was bought, or may have been, and whether something waits."""
    found = connection.execute(_STANDS, {"ids": sorted(set(rows))}) if rows else ()
    return {row.sale: (bool(row.was_sent), bool(row.waits)) for row in found}


def _customers(page: Iterable[Bought]) -> list[str]:
    return sorted({each.customer for each in page if each.customer is not None})


def _as_sold(each: Bought, was_sent: bool, waits: bool) -> _Sold:
    row = next(iter(each.rows), None)
    return _Sold(each.order.id, each.order.ordered_at, each.order.sources, row, was_sent, waits and each.twin is None)


def _sold_as_kept(row: Any, stands: Mapping[int, tuple[bool, bool]]) -> _Sold:
    """A sale by its first row."""
    names = json.loads(row.facts)["names"] if row.facts else ()
    sources = frozenset(name.split(":", 2)[1] for name in names if name.startswith("src:"))
    return _Sold(row.order_id, row.ordered_at, sources, row.id, *stands.get(row.id, (False, False)))


def _alike(who: str | None, order: Order) -> int:
    return hash((who, order.amount, order.currency))


def _alike_as_kept(row: Any) -> int:
    kept = json.loads(row.facts)
    return hash((row.customer, kept["amount"] and Decimal(kept["amount"]), kept["currency"]))


# Not by the index on stores, by which SQLite would walk through all their orders of these days.
_WHOSE = (
    orders.c.store.concat("") == bindparam("store"),
    orders.c.customer.in_(bindparam("customers", expanding=True)),
    orders.c.same_as.is_(None),
)
_FIRST_SOLD = (
    select(orders.c.customer, func.min(orders.c.ordered_at, type_=Utc()).label("since"))
    .where(*_WHOSE, or_(orders.c.eligible, orders.c.refunded), orders.c.twin.is_(None))
    .where(orders.c.id.not_in(bindparam("apart", expanding=True)))
    .group_by(orders.c.customer)
)
_SOLD = select(
    *(orders.c[name] for name in ("id", "order_id", "ordered_at", "customer", "facts", "tellers", "twin")),
    *(orders.c.eligible, orders.c.refunded),
).where(
    *_WHOSE,
    orders.c.ordered_at.between(bindparam("began"), bindparam("ended")),
    orders.c.facts.is_not(None),
)
_SALE = func.coalesce(orders.c.same_as, orders.c.id)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_ROWS = select(
    *(orders.c[name] for name in ("id", "order_id", "ordered_at", "facts", "tellers")), _SALE.label("sale")
).where(orders.c.id.in_(_IDS))
_STANDS = (
    select(
        _SALE.label("sale"),
        func.max(case((ever_bought(), 1), (placements.c.status.in_((*WAITING, *_OVER)), 0), else_=1)).label("was_sent"),
        func.max(case((placements.c.status.in_(WAITING), 1), else_=0)).label("waits"),
    )
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_IDS), orders.c.same_as.in_(_IDS)))
    .group_by(_SALE)
)
