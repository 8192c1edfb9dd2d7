"""
What else a customer bought: whether a sale is their first, and whether it may be one that was told twice.

Shop, payment provider and Wicked Reports may each tell of one sale by names that nothing joins. Two sales of one
customer for one amount within a day that no one teller told of both are suspected to be one: a person is asked about
the one for which nothing was bought. The suspicion stands, whatever becomes of either, until a person has answered, a
name has joined the two, or the policy says that they are distinct, or wants nothing of what the other's system sells. A
customer is known by a digest of store and e-mail address.

A page's sales are looked at one after the other, each beside the ledger and the ones before it as they will be, so
that it makes no difference how orders are divided into pages. Reads only. Called by ``pages``.
"""

import hashlib
import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, or_, select

from impactflow.ledger.lists import as_list, listed
from impactflow.ledger.rows import ever_bought
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import orders, placements
from impactflow.models import Order

#: How far apart two tellers may date one sale: they round, and count days in different zones.
_APART = timedelta(days=1)
#: Times that have a day before them and one after them; an order may be dated as it likes.
_BEGIN, _END = datetime.min.replace(tzinfo=UTC) + _APART, datetime.max.replace(tzinfo=UTC) - _APART


@dataclass(frozen=True, slots=True)
class Bought:
    """
    A sale of a page, as it is compared with others.

    Args:
        customer: Who bought it; None where that was never told.
        order: As it was told last.
        tellers: Who told of it, one after the other.
        rows: The ledger's rows of it, the first one first; empty where it is new.
        counts: Whether it counts, or did before its money was given back.
        earns: Whether it earns anything, or would if it were, or were not, a customer's first one.
        earns_if_of: The same if these systems had sold it.
        twin: The row of the sale that it was suspected to be before; None where it was not.
    """

    customer: str | None
    order: Order
    tellers: frozenset[str]
    rows: tuple[int, ...]
    counts: bool
    earns: bool
    earns_if_of: Callable[[frozenset[str]], bool]
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
class _Stands:
    """
    How a sale's placements stand in the ledger.

    Args:
        was_sent: Whether something was sent for it, be it in vain.
        is_planned: Whether something is about to be sent.
        waits: Whether something waits for a person, or was rejected by one.
    """

    was_sent: bool = False
    is_planned: bool = False
    waits: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Sold:
    """
    A sale that others are compared with.

    Args:
        customer: Who bought it.
        order_id: Its order's id.
        row: The ledger's first row; None where it is new.
        number: The row, or which of the new sales it is.
        at: When it was sold.
        alike: The same for all sales of one customer and amount.
        tellers: Who told of it.
        sources: Which systems sold it.
        twin: The row of the sale that it may be; None for none.
        was_sent: Whether something was sent for it, be it in vain.
        is_due: Whether something is to be bought for it, and nobody is asked if it is another sale.
        counts: Whether it is an order of its customer, and nobody is asked if it is one.
    """

    customer: str | None
    order_id: str
    row: int | None
    number: int
    at: datetime
    alike: int
    tellers: frozenset[str]
    sources: frozenset[str]
    twin: int | None
    was_sent: bool
    is_due: bool
    counts: bool

    @property
    def turn(self) -> tuple[datetime, bool, int]:
        """Which of two was sold earlier; of one instant, those that the ledger knows come before new ones."""
        return self.at, self.row is None, self.number


class _Index:
    """Sales for which something was sent or is due, by all that two need to have in common but the time."""

    def __init__(self) -> None:
        self._groups: dict[int, dict[tuple[frozenset[str], frozenset[str]], list[_Sold]]] = defaultdict(dict)

    def add(self, sold: _Sold) -> None:
        if sold.was_sent or sold.is_due:
            insort(self._groups[sold.alike].setdefault((sold.tellers, sold.sources), []), sold, key=_when)

    def remove(self, sold: _Sold) -> None:
        if sold.was_sent or sold.is_due:
            self._groups[sold.alike][sold.tellers, sold.sources].remove(sold)

    def near(self, one: _Sold, distinct: frozenset[str]) -> Iterator[_Sold]:
        """Sales that may be this one, told by somebody else."""
        at = min(max(one.at, _BEGIN), _END)
        for (tellers, sources), group in self._groups.get(one.alike, {}).items():
            if tellers.isdisjoint(one.tellers) and not _are_distinct(sources, one.sources, distinct):
                for number in range(bisect_left(group, at - _APART, key=_when), len(group)):
                    if group[number].at > at + _APART:
                        break
                    yield group[number]


@dataclass(slots=True)
class Unwritten:
    """
    Sales as the ledger does not have them yet: those of one page, or of all pages of a preview.

    Args:
        known: Those of which the ledger has an older state, by each of their rows.
        of: All of them, by customer.
        index: Those for which something was sent or is due.
        new: How many of them are new.
    """

    known: dict[int, _Sold] = field(default_factory=dict)
    of: dict[str | None, list[_Sold]] = field(default_factory=lambda: defaultdict(list))
    index: _Index = field(default_factory=_Index)
    new: int = 0

    def put(self, each: Bought, sold: _Sold) -> None:
        """From now on a sale of the page is so."""
        for before in {self.known[row].number: self.known[row] for row in each.rows if row in self.known}.values():
            self.index.remove(before)
            self.of[before.customer].remove(before)
        self.known |= dict.fromkeys(each.rows, sold)
        self.index.add(sold)
        self.of[sold.customer].append(sold)


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
        unwritten: Sales as the ledger does not have them yet; those of the page are added.
        at_first: Whether it matters which sale is a customer's first.
    """
    beside = _Beside(connection, store, page, distinct, unwritten)
    found = [beside.look(each) for each in page]
    firsts = beside.firsts([own for own, _ in found]) if at_first else [None] * len(page)
    return map(Look, firsts, (twin for _, twin in found))


class _Beside:
    """What the ledger, and the pages before, have beside a page's sales."""

    def __init__(
        self,
        connection: Connection,
        store: str,
        page: Sequence[Bought],
        distinct: frozenset[str],
        unwritten: Unwritten,
    ) -> None:
        self._connection = connection
        self._store = store
        self._page = page
        self._distinct = distinct
        self._unwritten = unwritten
        self._stands = _stands(connection, {each.rows[0] for each in page if each.rows})
        for each in page:
            if each.rows:
                unwritten.put(each, self._as_known(each))
        #: Those that are not on the page and may be one of its sales.
        self._others = list(self._read_others())
        self._index = _Index()
        for other in self._others:
            self._index.add(other)
        self._suspected = self._read_suspected()

    def look(self, each: Bought) -> tuple[_Sold, Twin | None]:
        """
        A sale as it will be, and the sale that it may be.

        Whichever is looked at later is compared with it as it will be.
        """
        own = self._unwritten.known[each.rows[0]] if each.rows else self._as_new(each)
        other = self._other(each, own)
        is_approved = own.is_due and other is not None and other.row is not None and other.row == each.twin
        is_free = other is None or is_approved
        sold = replace(
            own,
            twin=None if other is None else other.row,
            is_due=each.earns and is_free,
            counts=own.was_sent or (each.counts and is_free),
        )
        self._unwritten.put(each, sold)
        return sold, None if other is None else Twin(other.order_id, other.row)

    def _other(self, each: Bought, own: _Sold) -> _Sold | None:
        suspected = self._still_suspected(each)
        if suspected is not None and (suspected.was_sent or suspected.is_due):
            return suspected
        return next(self._newly_suspected(each, own), suspected)

    def _still_suspected(self, each: Bought) -> _Sold | None:
        first = None if each.twin is None else self._suspected.get(each.twin)
        other = None if first is None else self._unwritten.known.get(first.number, first)
        if other is None or not self._are_two_rows(each, other) or not other.tellers.isdisjoint(each.tellers):
            return None
        is_distinct = _are_distinct(other.sources, each.order.sources, self._distinct)
        return other if not is_distinct and self._is_wanted(each, other) else None

    def _newly_suspected(self, each: Bought, own: _Sold) -> Iterator[_Sold]:
        """Those for which something was sent, and, unless something was for this one, those for which it will be."""
        if each.customer is None or not each.order.amount:
            return
        for index in (self._index, self._unwritten.index):
            for other in index.near(own, self._distinct):
                # Whether the two are one is asked of the other one perhaps: one answer is enough.
                is_asked = other.twin is not None and other.twin in each.rows
                is_bought = other.was_sent or (not own.was_sent and self._is_wanted(each, other))
                if is_bought and not is_asked and self._are_two_rows(each, other):
                    yield other

    def _are_two_rows(self, each: Bought, other: _Sold) -> bool:
        return other.row is None or other.row not in each.rows

    def _is_wanted(self, each: Bought, other: _Sold) -> bool:
        """Whether the policy wants anything of such a sale if the other's systems sell it; what was sent was wanted."""
        return other.was_sent or not each.earns or each.earns_if_of(other.sources)

    def _as_new(self, each: Bought) -> _Sold:
        self._unwritten.new += 1
        return self._as_told(each, _Stands(), self._unwritten.new)

    def _as_known(self, each: Bought) -> _Sold:
        return self._as_told(each, self._stands.get(each.rows[0], _Stands()), each.rows[0])

    def _as_told(self, each: Bought, stands: _Stands, number: int) -> _Sold:
        """A sale of the page that has not been looked at."""
        is_free = each.twin is None or stands.is_planned
        return _Sold(
            customer=each.customer,
            order_id=each.order.id,
            row=next(iter(each.rows), None),
            number=number,
            at=each.order.ordered_at,
            alike=_alike(each.customer, each.order.amount, each.order.currency),
            tellers=each.tellers,
            sources=each.order.sources,
            twin=each.twin,
            was_sent=stands.was_sent,
            is_due=each.earns and is_free and (stands.is_planned or stands.waits),
            counts=stands.was_sent or (each.counts and is_free),
        )

    def _read_others(self) -> Iterator[_Sold]:
        wanted: dict[int, set[frozenset[str]]] = defaultdict(set)
        for each in self._page:
            if each.customer is not None and each.order.amount:
                wanted[_alike(each.customer, each.order.amount, each.order.currency)].add(each.tellers)
        if not wanted:
            return
        times = [min(max(each.order.ordered_at, _BEGIN), _END) for each in self._page]
        span = {"began": min(times) - _APART, "ended": max(times) + _APART}
        rows = self._connection.execute(_SOLD, {"store": self._store, **span, "customers": _customers(self._page)})
        found = [
            row
            for row in rows
            if row.id not in self._unwritten.known and (alike := _alike_as_kept(row)) in wanted
            for tellers in [tellers_from_text(row.tellers)]
            if any(map(tellers.isdisjoint, wanted[alike]))
        ]
        stands = _stands(self._connection, {row.id for row in found})
        yield from (_as_kept(row, stands.get(row.id, _Stands())) for row in found)

    def _read_suspected(self) -> Mapping[int, _Sold]:
        """The sales that sales of the page were suspected to be, by the row by which they were."""
        ids = {each.twin for each in self._page if each.twin is not None}
        if not ids:
            return {}
        first = {row.id: row.first for row in self._connection.execute(_FIRST, {"ids": as_list([id_] for id_ in ids)})}
        rows = self._connection.execute(_ROWS, {"ids": as_list([id_] for id_ in set(first.values()))}).all()
        stands = _stands(self._connection, {row.id for row in rows})
        kept = {row.id: _as_kept(row, stands.get(row.id, _Stands())) for row in rows}
        return {row: kept[first[row]] for row in first}

    def firsts(self, page: Sequence[_Sold]) -> list[bool | None]:
        """Of each sale, whether its customer bought nothing before; what may be the same sale is not before."""
        customers = _customers(self._page)
        others = [*self._others, *(sold for each in customers for sold in self._unwritten.of[each])]
        apart = {row for each in self._page for row in each.rows} | {each.number for each in others if each.row}
        values = {"store": self._store, "customers": customers, "apart": as_list([row] for row in apart)}
        since = {row.customer: (row.at, False, row.id) for row in self._connection.execute(_EARLIEST, values)}
        counted: dict[str | None, list[_Sold]] = defaultdict(list)
        for other in sorted(others, key=_turn):
            if other.counts:
                counted[other.customer].append(other)

        def is_first(own: _Sold) -> bool:
            is_earliest = since.get(own.customer, own.turn) >= own.turn
            before = takewhile(lambda other: other.turn < own.turn, counted[own.customer])
            return is_earliest and all(self._are_one_perhaps(own, other) for other in before)

        return [None if own.customer is None else is_first(own) for own in page]

    def _are_one_perhaps(self, own: _Sold, other: _Sold) -> bool:
        is_distinct = _are_distinct(own.sources, other.sources, self._distinct)
        are_alike = own.alike == other.alike and own.tellers.isdisjoint(other.tellers) and not is_distinct
        return are_alike and abs(own.at - other.at) <= _APART


def _stands(connection: Connection, rows: Collection[int]) -> Mapping[int, _Stands]:
    """How the placements of sales stand, by the first row of each that has any."""
    found = connection.execute(_STANDS, {"ids": as_list([row] for row in sorted(rows))}) if rows else ()
    return {row.first: _Stands(bool(row.was_sent), bool(row.is_planned), bool(row.waits)) for row in found}


def _customers(page: Iterable[Bought]) -> list[str]:
    return sorted({each.customer for each in page if each.customer is not None})


def _as_kept(row: Any, stands: _Stands) -> _Sold:
    """A sale by its first row."""
    names = json.loads(row.facts)["names"] if row.facts else ()
    is_free = row.twin is None or stands.is_planned
    return _Sold(
        customer=row.customer,
        order_id=row.order_id,
        row=row.id,
        number=row.id,
        at=row.ordered_at,
        alike=_alike_as_kept(row),
        tellers=tellers_from_text(row.tellers),
        sources=frozenset(name.split(":", 2)[1] for name in names if name.startswith("src:")),
        twin=row.twin,
        was_sent=stands.was_sent,
        is_due=is_free and (stands.is_planned or stands.waits),
        counts=stands.was_sent or (is_free and bool(row.eligible or row.refunded)),
    )


def _alike(who: str | None, amount: Decimal | None, currency: str | None) -> int:
    return hash((who, amount, currency))


def _alike_as_kept(row: Any) -> int:
    kept = json.loads(row.facts) if row.facts else {"amount": None, "currency": None}
    return _alike(row.customer, kept["amount"] and Decimal(kept["amount"]), kept["currency"])


def _are_distinct(some: frozenset[str], others: frozenset[str], distinct: frozenset[str]) -> bool:
    return bool(some and others) and some | others <= distinct


_when = attrgetter("at")
_turn = attrgetter("turn")

# Not by the index on stores, by which SQLite would walk through all their orders of these days.
_WHOSE = (
    orders.c.store.concat("") == bindparam("store"),
    orders.c.customer.in_(bindparam("customers", expanding=True)),
    orders.c.same_as.is_(None),
)
_COLUMNS = tuple(
    orders.c[name]
    for name in (*("id", "order_id", "ordered_at", "customer", "facts", "tellers", "twin", "eligible", "refunded"),)
)
_SOLD = select(*_COLUMNS).where(
    *_WHOSE,
    orders.c.ordered_at.between(bindparam("began"), bindparam("ended")),
    orders.c.facts.is_not(None),
)
_IDS = select(listed("ids", {"id": orders.c.id.type}).c.id)
_ROWS = select(*_COLUMNS).where(orders.c.id.in_(_IDS))
#: The first row of a sale.
_FIRST_ROW = func.coalesce(orders.c.same_as, orders.c.id)
_FIRST = select(orders.c.id, _FIRST_ROW.label("first")).where(orders.c.id.in_(_IDS))
_WAS_SENT = ever_bought() | placements.c.status.not_in((*WAITING, Status.CANCELLED.value))
_IS_PLANNED = placements.c.status == Status.PLANNED.value
_IS_REJECTED = (
    (placements.c.status == Status.CANCELLED.value)
    & placements.c.decided.is_not(None)
    & placements.c.approved.is_(None)
)
_STANDS = (
    select(
        _FIRST_ROW.label("first"),
        func.max(case((_WAS_SENT, 1), else_=0)).label("was_sent"),
        func.max(case((_IS_PLANNED, 1), else_=0)).label("is_planned"),
        func.max(case((placements.c.status.in_(WAITING) | _IS_REJECTED, 1), else_=0)).label("waits"),
    )
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id.in_(_IDS), orders.c.same_as.in_(_IDS)))
    .group_by(_FIRST_ROW)
)
_ROW = orders.alias("row")
_OF_SALE = placements.join(_ROW, placements.c.order == _ROW.c.id)
_OF_THIS = or_(_ROW.c.id == orders.c.id, _ROW.c.same_as == orders.c.id)
_SENT_FOR = select(placements.c.id).select_from(_OF_SALE).where(_OF_THIS, _WAS_SENT).exists()
_DUE_FOR = select(placements.c.id).select_from(_OF_SALE).where(_OF_THIS, _IS_PLANNED).exists()
_COUNTS = (or_(orders.c.eligible, orders.c.refunded) & or_(orders.c.twin.is_(None), _DUE_FOR)) | _SENT_FOR
_COUNTED = select(orders.c.customer, orders.c.ordered_at, orders.c.id).where(
    *_WHOSE, _COUNTS, orders.c.id.not_in(select(listed("apart", {"id": orders.c.id.type}).c.id))
)
#: Each customer's earliest sale that counts, but for those that are set apart; of one instant, the first row's.
_RANKED = _COUNTED.add_columns(
    func.row_number().over(partition_by=orders.c.customer, order_by=(orders.c.ordered_at, orders.c.id)).label("rank")
).subquery("ranked")
_EARLIEST = select(_RANKED.c.customer, _RANKED.c.ordered_at.label("at"), _RANKED.c.id).where(_RANKED.c.rank == 1)
