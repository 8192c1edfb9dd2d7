"""
What else a customer bought: whether a sale is their first, and whether it may be one that was told twice.

Shop, payment provider and Wicked Reports may each tell of one sale by names that nothing joins. Two sales of one
customer for one amount within a day that no one teller told of both are suspected to be one: a person is asked about
the one for which nothing was bought. The suspicion stands, whatever becomes of either, until a person has answered, a
name has joined the two, or the policy says that they are distinct, or wants nothing of what the other's system sells. A
customer is known by a digest of store and e-mail address.

A page's sales are looked at one after the other, each beside the ledger and the ones before it as they will be. So of
one sale that is told by many names one telling is bought for without a question, on whatever pages they come; how many
are of several sales that are alike may depend on the pages. An answer is about the sales that were named, and no other.
Reads only.
"""

import hashlib
import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, or_, select

from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import ever_bought
from impactflow.ledger.states import UNSURE, WAITING, Status
from impactflow.ledger.tables import orders, placements
from impactflow.models import Order

#: How far apart two tellers may date one sale: they round, and count days in different zones.
_APART = timedelta(days=1)
#: So many of the sales that one may be are kept: a till's customer has thousands of them.
MOST_TWINS = 20
#: Times that have a day before them and one after them; an order may be dated as it likes.
_BEGIN, _END = datetime.min.replace(tzinfo=UTC) + _APART, datetime.max.replace(tzinfo=UTC) - _APART


@dataclass(frozen=True, slots=True)
class Bought:
    """
    A sale of a page, as it is compared with others.

    Args:
        customer: Who bought it; None where that was never told.
        order: As it was told last.
        order_id: Its order's id in the ledger, or where it is new.
        tellers: Who told of it, one after the other.
        rows: The ledger's rows of it, the first one first; empty where it is new.
        counts: Whether it counts, or did before its money was given back.
        counted: Whether the ledger has it so already.
        earns: Whether it earns anything, given whether it is its customer's first one.
        twins: The rows of the sales that it was suspected to be before.
        is_judged: Whether what is found of it is written; what nobody lists any more is left as it is.
    """

    customer: str | None
    order: Order
    order_id: str
    tellers: frozenset[str]
    rows: tuple[int, ...]
    counts: bool
    counted: bool
    earns: Callable[[bool | None], bool]
    twins: frozenset[int]
    is_judged: bool


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
        twins: The sales that it may be.
        is_new: Whether one of them is none that it was suspected to be before: what was said of those is no answer.
    """

    is_first: bool | None
    twins: tuple[Twin, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Stands:
    """
    How a sale's placements stand in the ledger.

    Args:
        was_sent: Whether something was sent for it, be it in vain.
        is_planned: Whether something is about to be sent.
        waits: Whether something waits for a person, or was rejected by one.
        is_answered: Whether a person has decided about any of it.
        is_approved: Whether they have approved of any of it that is not bought yet.
        may_return: Whether what was sent for it may turn out not to have been bought, and be planned again.
        is_open: Whether a person is asked about any of it.
    """

    was_sent: bool = False
    is_planned: bool = False
    waits: bool = False
    is_answered: bool = False
    is_approved: bool = False
    may_return: bool = False
    is_open: bool = False

    def is_free(self, twins: frozenset[int]) -> bool:
        """Whether nobody is to be asked if the sale is one of these; who approved of it has answered."""
        return not twins or (self.is_planned and self.is_approved)


class _Part(Enum):
    """How a sale stands, as far as others are compared with it."""

    #: Something was sent for it, or is due.
    BOUGHT = auto()
    #: A person is asked about it.
    ASKED = auto()
    #: The same, and as many sales are named to them as there may be.
    FULL = auto()


@dataclass(frozen=True, slots=True, eq=False)
class _Sold:
    """
    A sale that others are compared with.

    Args:
        customer: Who bought it.
        order_id: Its order's id.
        rows: The ledger's rows; empty where it is new.
        number: The row, or which of the new sales it is.
        at: When it was sold.
        alike: The same for all sales of one customer and amount.
        tellers: Who told of it.
        sources: Which systems sold it.
        twins: The rows of the sales that it may be.
        stands: How its placements stand in the ledger.
        is_due: Whether something is to be bought for it, and nobody is asked if it is another sale.
        is_asked: Whether something would be, and a person is asked that, or has said no.
        counts: Whether it is an order of its customer, and nobody is asked if it is one.
    """

    customer: str | None
    order_id: str
    rows: tuple[int, ...]
    number: int
    at: datetime
    alike: int
    tellers: frozenset[str]
    sources: frozenset[str]
    twins: frozenset[int]
    stands: _Stands
    is_due: bool
    is_asked: bool
    counts: bool

    @property
    def row(self) -> int | None:
        """The ledger's first row; None where it is new."""
        return next(iter(self.rows), None)

    @property
    def key(self) -> int | str:
        """Its row, or its order's id where it has none yet."""
        return self.order_id if self.row is None else self.row

    @property
    def as_twin(self) -> Twin:
        """As the one that another sale may be."""
        return Twin(self.order_id, self.row)

    @property
    def turn(self) -> tuple[datetime, bool, int]:
        """Which of two was sold earlier; of one instant, those that the ledger knows come before new ones."""
        return self.at, self.row is None, self.number

    @property
    def was_sent(self) -> bool:
        """Whether something was sent for it, be it in vain."""
        return self.stands.was_sent

    @property
    def is_unasked(self) -> bool:
        """Whether something is planned and nobody was asked: it was being sent when it was found what it may be."""
        return self.stands.is_planned and not self.stands.is_free(self.twins)

    @property
    def part(self) -> _Part:
        """As what it is compared."""
        if self.was_sent or self.is_due:
            return _Part.BOUGHT
        return _Part.ASKED if len(self.twins) < MOST_TWINS else _Part.FULL

    @property
    def earns(self) -> bool:
        """Whether something was sent for it, is due, or would be."""
        return self.was_sent or self.is_due or self.is_asked


class _Index:
    """Sales that earn something, by how they stand and all that two need to have in common but the time."""

    def __init__(self) -> None:
        self._groups: dict[int, dict[tuple[_Part, frozenset[str], frozenset[str]], list[_Sold]]] = defaultdict(dict)

    def add(self, sold: _Sold) -> None:
        if sold.earns:
            group = self._groups[sold.alike].setdefault((sold.part, sold.tellers, sold.sources), [])
            insort(group, sold, key=_when)

    def remove(self, sold: _Sold) -> None:
        if sold.earns:
            self._groups[sold.alike][sold.part, sold.tellers, sold.sources].remove(sold)

    def near(self, one: _Sold, distinct: frozenset[str], *parts: _Part) -> Iterator[_Sold]:
        """Sales that may be this one, told by somebody else."""
        at = min(max(one.at, _BEGIN), _END)
        for (part, tellers, sources), group in self._groups.get(one.alike, {}).items():
            is_anothers = part in parts and tellers.isdisjoint(one.tellers)
            if is_anothers and not _are_distinct(sources, one.sources, distinct):
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
        index: Those that earn something.
        new: How many of them are new.
        outdated: Sales that were planned, or asked about, as what they are no longer beside these, by their row, or by
            their order's id where they have none yet; each with the sales that it may be, where that is why.
        unasked: Rows of sales that may be others and of which something may be sent again, before anybody was asked.
    """

    known: dict[int, _Sold] = field(default_factory=dict)
    of: dict[str | None, list[_Sold]] = field(default_factory=lambda: defaultdict(list))
    index: _Index = field(default_factory=_Index)
    new: int = 0
    outdated: dict[int | str, set[Twin]] = field(default_factory=lambda: defaultdict(set))
    unasked: set[int] = field(default_factory=set)

    def put(self, each: Bought, sold: _Sold) -> None:
        """From now on a sale of the page is so."""
        for before in {self.known[row].number: self.known[row] for row in each.rows if row in self.known}.values():
            self.index.remove(before)
            self.of[before.customer].remove(before)
            for row in before.rows:
                self.known.pop(row, None)
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
    wants: Callable[[frozenset[str]], bool],
    unwritten: Unwritten,
    *,
    at_first: bool,
) -> Sequence[Look]:
    """
    Look at each of a page's sales, the earliest first.

    Args:
        connection: In a transaction.
        store: Whose sales.
        page: The page's sales.
        distinct: Systems of which no two orders are one sale.
        wants: Whether the policy wants anything of what these systems sell.
        unwritten: Sales as the ledger does not have them yet; those of the page are added.
        at_first: Whether it matters which sale is a customer's first.
    """
    beside = _Beside(connection, store, page, distinct, wants, unwritten, at_first=at_first)
    in_turn = sorted(range(len(page)), key=lambda index: (page[index].order.ordered_at, not page[index].rows, index))
    looks = {index: beside.look(page[index]) for index in in_turn}
    return [looks[index] for index in range(len(page))]


class _Beside:
    """What the ledger, and the pages before, have beside a page's sales."""

    def __init__(
        self,
        connection: Connection,
        store: str,
        page: Sequence[Bought],
        distinct: frozenset[str],
        wants: Callable[[frozenset[str]], bool],
        unwritten: Unwritten,
        *,
        at_first: bool,
    ) -> None:
        self._connection = connection
        self._store = store
        self._page = page
        self._distinct = distinct
        self._wants = wants
        self._unwritten = unwritten
        self._stands = _stands(connection, {row for each in page for row in each.rows})
        for each in page:
            if each.rows:
                unwritten.put(each, self._as_known(each))
        #: By customer, those that are not on the page and may be one of its sales.
        self._others: dict[str | None, list[_Sold]] = defaultdict(list)
        self._index = _Index()
        for other in self._read_others():
            self._others[other.customer].append(other)
            self._index.add(other)
        self._suspected = self._read_suspected()
        self._at_first = at_first
        self._earliest = self._read_earliest() if at_first else {}

    def look(self, each: Bought) -> Look:
        """What is found of a sale; whichever is looked at later is compared with it as it will be."""
        own = self._unwritten.known[each.rows[0]] if each.rows else self._as_new(each)
        if not each.is_judged:
            return Look(is_first=None, twins=(), is_new=False)
        self._unwritten.outdated.pop(own.key, None)
        others = self._may_be(each, own)
        is_new = any(other.row is None or other.row not in each.twins for other in others)
        is_new = is_new or (bool(others) and own.is_unasked)
        is_free = not others or (own.is_due and not is_new)
        is_first = self._is_first(each, own)
        earns = each.earns(is_first)
        sold = replace(
            own,
            twins=frozenset(other.row for other in others if other.row is not None),
            is_due=earns and is_free,
            is_asked=earns and not is_free,
            counts=own.was_sent or (each.counts and is_free),
            stands=replace(own.stands, is_open=earns and not is_free),
        )
        self._unwritten.put(each, sold)
        self._leave_outdated(each, sold)
        if others and own.row is not None and own.stands.may_return and (is_new or not own.stands.is_approved):
            self._unwritten.unasked.add(own.row)
        return Look(is_first, tuple(other.as_twin for other in others), is_new)

    def _may_be(self, each: Bought, own: _Sold) -> Sequence[_Sold]:
        """
        All sales that this one may be: those that are like it, and those that it was suspected to be before.

        Of the first, those for which something was sent, and, unless something was for this one, those for which it
        will be. Where a person is asked anyhow, those too about which they are asked likewise. ``MOST_TWINS`` of them
        at most.
        """
        like_it = self._like(each, own, _Part.BOUGHT)
        bought = (other for other in like_it if other.was_sent or not own.was_sent)
        before = list(self._suspected_before(each))
        suspected = [*islice(bought, MOST_TWINS + len(before)), *before]
        if suspected and not own.was_sent:
            suspected += islice(self._like(each, own, _Part.ASKED, _Part.FULL), MOST_TWINS)
        found = list({other.key: other for other in suspected}.values())
        if len(found) > MOST_TWINS:  # an answer is about those that were named before
            found = sorted(found, key=lambda other: other.row not in each.twins)[:MOST_TWINS]
        return sorted(found, key=lambda other: (other.at, other.order_id))

    def _like(self, each: Bought, own: _Sold, *parts: _Part) -> Iterator[_Sold]:
        if each.customer is None or not each.order.amount:
            return
        for index in (self._index, self._unwritten.index):
            for other in index.near(own, self._distinct, *parts):
                # Whether the two are one is asked of the other one perhaps: one answer is enough.
                can_be_asked = other.stands.is_answered or not other.was_sent
                is_asked_there = can_be_asked and not other.twins.isdisjoint(each.rows)
                is_another = other.row is None or other.row not in each.rows
                if is_another and not is_asked_there and (other.was_sent or self._wants(other.sources)):
                    yield other

    def _suspected_before(self, each: Bought) -> Iterator[_Sold]:
        firsts = (self._suspected[row] for row in sorted(each.twins & self._suspected.keys()))
        for other in (self._unwritten.known.get(first.number, first) for first in firsts):
            is_another = other.row not in each.rows and other.tellers.isdisjoint(each.tellers)
            is_distinct = _are_distinct(other.sources, each.order.sources, self._distinct)
            if is_another and not is_distinct and (other.was_sent or self._wants(other.sources)):
                yield other

    def _is_first(self, each: Bought, own: _Sold) -> bool | None:
        """Whether a customer bought nothing before; what may be the same sale is not before."""
        if each.customer is None or not self._at_first:
            return None
        if self._earliest.get(own.customer, own.turn) < own.turn:
            return False
        others = chain(self._others[own.customer], self._unwritten.of[own.customer])
        before = (other for other in others if other.counts and other.turn < own.turn)
        return all(self._are_one_perhaps(own, other) for other in before)

    def _are_one_perhaps(self, own: _Sold, other: _Sold) -> bool:
        is_distinct = _are_distinct(own.sources, other.sources, self._distinct)
        are_alike = own.alike == other.alike and own.tellers.isdisjoint(other.tellers) and not is_distinct
        return are_alike and abs(own.at - other.at) <= _APART

    def _leave_outdated(self, each: Bought, sold: _Sold) -> None:
        """What was planned, or is asked, of other sales without knowing of this one, or of what it has become."""
        if (sold.was_sent or sold.is_due) and each.customer is not None and each.order.amount:
            parts = _Part.BOUGHT, _Part.ASKED
            indexes = self._index, self._unwritten.index
            near = chain.from_iterable(index.near(sold, self._distinct, *parts) for index in indexes)
            for other in near:
                is_concerned = other.stands.is_open or (sold.was_sent and (other.is_due or other.stands.may_return))
                if is_concerned and other is not sold and not _know_of_each_other(other, sold):
                    self._unwritten.outdated[other.key].add(sold.as_twin)
        if self._at_first and sold.counts and not (each.counted or sold.was_sent):
            known = [other.turn for other in self._others[sold.customer] if other.counts]
            first = min([*known, *filter(None, [self._earliest.get(sold.customer)])], default=sold.turn)
            if first > sold.turn:
                self._unwritten.outdated.setdefault(first[2], set())

    def _as_new(self, each: Bought) -> _Sold:
        self._unwritten.new += 1
        return self._as_told(each, _Stands(), self._unwritten.new)

    def _as_known(self, each: Bought) -> _Sold:
        stands = [astuple(self._stands[row]) for row in each.rows if row in self._stands]
        return self._as_told(each, _Stands(*map(any, zip(*stands, strict=True))), each.rows[0])

    def _as_told(self, each: Bought, stands: _Stands, number: int) -> _Sold:
        """A sale of the page that has not been looked at."""
        is_free = stands.is_free(each.twins)
        waits = (stands.is_planned or stands.waits) and (each.earns(True) or each.earns(False))
        return _Sold(
            customer=each.customer,
            order_id=each.order_id,
            rows=each.rows,
            number=number,
            at=each.order.ordered_at,
            alike=_alike(each.customer, each.order.amount, each.order.currency),
            tellers=each.tellers,
            sources=each.order.sources,
            twins=each.twins,
            stands=stands,
            is_due=waits and is_free,
            is_asked=waits and not is_free,
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
        ids = {row for each in self._page for row in each.twins}
        if not ids:
            return {}
        first = {row.id: row.first for row in self._connection.execute(_FIRST, {"ids": as_list([id_] for id_ in ids)})}
        rows = self._connection.execute(_ROWS, {"ids": as_list([id_] for id_ in set(first.values()))}).all()
        stands = _stands(self._connection, {row.id for row in rows})
        kept = {row.id: _as_kept(row, stands.get(row.id, _Stands())) for row in rows}
        return {row: kept[first[row]] for row in first}

    def _read_earliest(self) -> Mapping[str | None, tuple[datetime, bool, int]]:
        """The turn of each customer's earliest sale that counts, but for those that are compared one by one."""
        customers = _customers(self._page)
        apart = {row for each in self._page for row in each.rows} | {
            other.number for others in self._others.values() for other in others
        }
        apart |= {sold.number for each in customers for sold in self._unwritten.of[each] if sold.row is not None}
        values = {"store": self._store, "customers": customers, "apart": as_list([row] for row in apart)}
        return {row.customer: (row.at, False, row.id) for row in self._connection.execute(_EARLIEST, values)}


def _stands(connection: Connection, rows: Collection[int]) -> Mapping[int, _Stands]:
    """How the placements of sales stand, by the first row of each that has any."""
    found = connection.execute(_STANDS, {"ids": as_list([row] for row in sorted(rows))}) if rows else ()
    return {first: _Stands(*map(bool, stands)) for first, *stands in found}


def _customers(page: Iterable[Bought]) -> list[str]:
    return sorted({each.customer for each in page if each.customer is not None})


def _as_kept(row: Any, stands: _Stands) -> _Sold:
    """A sale by its first row."""
    names = json.loads(row.facts)["names"] if row.facts else ()
    twins = frozenset[int](json.loads(row.twins or "[]"))
    is_free, waits = stands.is_free(twins), stands.is_planned or stands.waits
    return _Sold(
        customer=row.customer,
        order_id=row.order_id,
        rows=(row.id,),
        number=row.id,
        at=row.ordered_at,
        alike=_alike_as_kept(row),
        tellers=tellers_from_text(row.tellers),
        sources=frozenset(name.split(":", 2)[1] for name in names if name.startswith("src:")),
        twins=twins,
        stands=stands,
        is_due=waits and is_free,
        is_asked=waits and not is_free,
        counts=stands.was_sent or (is_free and bool(row.eligible or row.refunded)),
    )


def _alike(who: str | None, amount: Decimal | None, currency: str | None) -> int:
    return hash((who, amount, currency))


def _alike_as_kept(row: Any) -> int:
    kept = json.loads(row.facts) if row.facts else {"amount": None, "currency": None}
    return _alike(row.customer, kept["amount"] and Decimal(kept["amount"]), kept["currency"])


def _know_of_each_other(other: _Sold, sold: _Sold) -> bool:
    """Whether a person who is asked about either is told of the other one, or was; a question names only so many."""
    is_named = not other.twins.isdisjoint(sold.rows) or len(other.twins) >= MOST_TWINS
    return is_named or (sold.stands.is_answered and other.row in sold.twins)


def _are_distinct(some: frozenset[str], others: frozenset[str], distinct: frozenset[str]) -> bool:
    return bool(some and others) and some | others <= distinct


_when = attrgetter("at")

# Not by the index on stores, by which SQLite would walk through all their orders of these days.
_WHOSE = (
    orders.c.store.concat("") == bindparam("store"),
    orders.c.customer.in_(bindparam("customers", expanding=True)),
    orders.c.same_as.is_(None),
)
_COLUMNS = tuple(
    orders.c[name]
    for name in (*("id", "order_id", "ordered_at", "customer", "facts", "tellers", "twins", "eligible", "refunded"),)
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
_IS_ASKED = placements.c.status == Status.AWAITING_APPROVAL.value
_IS_PLANNED = placements.c.status == Status.PLANNED.value
_IS_APPROVED = placements.c.approved.is_not(None) & placements.c.status.in_((*UNSURE, Status.PLANNED.value))
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
        func.max(case((placements.c.decided.is_not(None), 1), else_=0)).label("is_answered"),
        func.max(case((_IS_APPROVED, 1), else_=0)).label("is_approved"),
        func.max(case((placements.c.status.in_(UNSURE), 1), else_=0)).label("may_return"),
        func.max(case((_IS_ASKED, 1), else_=0)).label("is_open"),
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
_COUNTS = (or_(orders.c.eligible, orders.c.refunded) & or_(orders.c.twins.is_(None), _DUE_FOR)) | _SENT_FOR
_COUNTED = select(orders.c.customer, orders.c.ordered_at, orders.c.id).where(
    *_WHOSE, _COUNTS, orders.c.id.not_in(select(listed("apart", {"id": orders.c.id.type}).c.id))
)
#: Each customer's earliest sale that counts, but for those that are set apart; of one instant, the first row's.
_RANKED = _COUNTED.add_columns(
    func.row_number().over(partition_by=orders.c.customer, order_by=(orders.c.ordered_at, orders.c.id)).label("rank")
).subquery("ranked")
_EARLIEST = select(_RANKED.c.customer, _RANKED.c.ordered_at.label("at"), _RANKED.c.id).where(_RANKED.c.rank == 1)
