"""
A customer's other sales: whether a sale is their first, and whether a sale may have been reported twice.

Shop, payment provider and Wicked Reports may each report one sale under names that nothing joins. Two sales are
suspected to be one if they have one customer and one amount, lie within a day, and no single source reported both. A
person is then asked about the sale for which nothing was bought. The suspicion stands, whatever happens to either sale,
until a person has answered, a name has joined the two, or the policy says that they are distinct, or wants nothing that
the other's system sells. A customer is known by a digest of store and e-mail address.

A page's sales are examined one after the other, each beside the ledger and the earlier sales as they will be. So if one
sale is reported under many names, one report leads to a purchase without a question, on any pages. If several sales are
alike, the number of purchases may depend on the pages. An answer covers the sales that were named, and no other.
Reads only.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection

from impactflow.ledger.sold import (
    APART,
    BEGIN,
    END,
    MOST_DUPLICATES,
    Duplicate,
    Index,
    Part,
    ReportedSale,
    Sold,
    Stands,
    Unwritten,
    are_distinct,
    likeness,
    reporters_from_text,
)
from impactflow.ledger.sold_before import earliest_turns, likeness_as_kept, sold_between, sold_in, stands_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The findings about one sale.

    Args:
        is_first: Whether no earlier sale of its customer that counts is known; None if its customer is not known.
        duplicates: The sales that it may be the same as.
        is_new: Whether one of them is a new suspicion: an answer about the earlier ones does not cover it.
    """

    is_first: bool | None
    duplicates: tuple[Duplicate, ...]
    is_new: bool


def customer(store: str, email: str | None) -> str | None:
    """A digest that identifies one customer's orders; None if the customer is not known."""
    address = (email or "").strip().casefold()
    return hashlib.sha256(f"{store}\n{address}".encode()).hexdigest()[:24] if address else None


def compare(
    connection: Connection,
    store: str,
    page: Sequence[ReportedSale],
    distinct: frozenset[str],
    wants: Callable[[frozenset[str]], bool],
    unwritten: Unwritten,
    *,
    at_first: bool,
) -> Sequence[Comparison]:
    """
    Examine each of a page's sales, the earliest first.

    Args:
        connection: In a transaction.
        store: The store of the sales.
        page: The page's sales.
        distinct: The systems of which no two orders are one sale.
        wants: Whether the policy wants anything that these systems sell.
        unwritten: The sales in a state that the ledger does not have yet; the sales of the page are added.
        at_first: Whether it matters which sale is a customer's first.
    """
    beside = _Beside(connection, store, page, distinct, wants, unwritten, at_first=at_first)
    in_turn = sorted(range(len(page)), key=lambda index: (page[index].order.ordered_at, not page[index].rows, index))
    comparisons = {index: beside.compare(page[index]) for index in in_turn}
    return [comparisons[index] for index in range(len(page))]


class _Beside:
    """The sales of the ledger, and of the pages before, that a page's sales are compared with."""

    def __init__(
        self,
        connection: Connection,
        store: str,
        page: Sequence[ReportedSale],
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
        self._stands = stands_of(connection, {row for each in page for row in each.rows})
        for each in page:
            if each.rows:
                unwritten.put(each, self._as_known(each))
        #: By customer: sales that are not on the page and may be one of the page's sales.
        self._others: dict[str | None, list[Sold]] = defaultdict(list)
        self._index = Index()
        for other in self._read_others():
            self._others[other.customer].append(other)
            self._index.add(other)
        self._suspected = self._read_suspected()
        self._at_first = at_first
        self._earliest = self._read_earliest() if at_first else {}

    def compare(self, each: ReportedSale) -> Comparison:
        """Examine a sale; sales that are examined later are compared with its new state."""
        own = self._unwritten.known[each.rows[0]] if each.rows else self._as_new(each)
        if not each.is_evaluated:
            return Comparison(is_first=None, duplicates=(), is_new=False)
        self._unwritten.outdated.pop(own.key, None)
        others = self._may_be(each, own)
        is_new = any(other.row is None or other.row not in each.duplicates for other in others)
        is_new = is_new or (bool(others) and own.is_unasked)
        is_free = not others or (own.is_due and not is_new)
        is_first = self._is_first(each, own)
        earns = each.earns(is_first)
        sold = replace(
            own,
            duplicates=frozenset(other.row for other in others if other.row is not None),
            is_due=earns and is_free,
            is_asked=earns and not is_free,
            counts=own.was_sent or (each.counts and is_free),
            stands=replace(own.stands, is_open=earns and not is_free),
        )
        self._unwritten.put(each, sold)
        self._leave_outdated(each, sold)
        if others and own.row is not None and own.stands.may_return and (is_new or not own.stands.is_approved):
            self._unwritten.unasked.add(own.row)
        return Comparison(is_first, tuple(other.as_duplicate for other in others), is_new)

    def _may_be(self, each: ReportedSale, own: Sold) -> Sequence[Sold]:
        """
        All sales that this one may be: the sales that are like it, and its earlier suspects.

        A sale that is like it counts if something was sent for it, or, unless something was sent for this one, if
        something will be. If a person is asked anyhow, sales about which the person is asked likewise count too. There
        are ``MOST_DUPLICATES`` at most.
        """
        like_it = self._like(each, own, Part.BOUGHT)
        bought = (other for other in like_it if other.was_sent or not own.was_sent)
        before = list(self._suspected_before(each))
        suspected = [*islice(bought, MOST_DUPLICATES + len(before)), *before]
        if suspected and not own.was_sent:
            suspected += islice(self._like(each, own, Part.ASKED, Part.FULL), MOST_DUPLICATES)
        found = list({other.key: other for other in suspected}.values())
        if len(found) > MOST_DUPLICATES:  # an answer covers the sales that were named before
            found = sorted(found, key=lambda other: other.row not in each.duplicates)[:MOST_DUPLICATES]
        return sorted(found, key=lambda other: (other.at, other.order_id))

    def _like(self, each: ReportedSale, own: Sold, *parts: Part) -> Iterator[Sold]:
        if each.customer is None or not each.order.amount:
            return
        for index in (self._index, self._unwritten.index):
            for other in index.near(own, self._distinct, *parts):
                # The person may be asked this at the other sale: one answer is enough.
                can_be_asked = other.stands.is_answered or not other.was_sent
                is_asked_there = can_be_asked and not other.duplicates.isdisjoint(each.rows)
                is_another = other.row is None or other.row not in each.rows
                if is_another and not is_asked_there and (other.was_sent or self._wants(other.sources)):
                    yield other

    def _suspected_before(self, each: ReportedSale) -> Iterator[Sold]:
        firsts = (self._suspected[row] for row in sorted(each.duplicates & self._suspected.keys()))
        for other in (self._unwritten.known.get(first.number, first) for first in firsts):
            is_another = other.row not in each.rows and other.reporters.isdisjoint(each.reporters)
            is_distinct = are_distinct(other.sources, each.order.sources, self._distinct)
            if is_another and not is_distinct and (other.was_sent or self._wants(other.sources)):
                yield other

    def _is_first(self, each: ReportedSale, own: Sold) -> bool | None:
        """Whether a customer bought nothing before; a sale that may be the same one is not before."""
        if each.customer is None or not self._at_first:
            return None
        if self._earliest.get(own.customer, own.turn) < own.turn:
            return False
        others = chain(self._others[own.customer], self._unwritten.of[own.customer])
        before = (other for other in others if other.counts and other.turn < own.turn)
        return all(self._are_one_perhaps(own, other) for other in before)

    def _are_one_perhaps(self, own: Sold, other: Sold) -> bool:
        is_distinct = are_distinct(own.sources, other.sources, self._distinct)
        are_alike = own.alike == other.alike and own.reporters.isdisjoint(other.reporters) and not is_distinct
        return are_alike and abs(own.at - other.at) <= APART

    def _leave_outdated(self, each: ReportedSale, sold: Sold) -> None:
        """Mark other sales as outdated that were planned, or asked about, without this sale or its new state."""
        if (sold.was_sent or sold.is_due) and each.customer is not None and each.order.amount:
            parts = Part.BOUGHT, Part.ASKED
            indexes = self._index, self._unwritten.index
            near = chain.from_iterable(index.near(sold, self._distinct, *parts) for index in indexes)
            for other in near:
                is_concerned = other.stands.is_open or (sold.was_sent and (other.is_due or other.stands.may_return))
                if is_concerned and other is not sold and not _know_of_each_other(other, sold):
                    self._unwritten.outdated[other.key].add(sold.as_duplicate)
        if self._at_first and sold.counts and not (each.counted or sold.was_sent):
            known = [other.turn for other in self._others[sold.customer] if other.counts]
            first = min([*known, *filter(None, [self._earliest.get(sold.customer)])], default=sold.turn)
            if first > sold.turn:
                self._unwritten.outdated.setdefault(first[2], set())

    def _as_new(self, each: ReportedSale) -> Sold:
        self._unwritten.new += 1
        return self._as_sold(each, Stands(), self._unwritten.new)

    def _as_known(self, each: ReportedSale) -> Sold:
        stands = [astuple(self._stands[row]) for row in each.rows if row in self._stands]
        return self._as_sold(each, Stands(*map(any, zip(*stands, strict=True))), each.rows[0])

    def _as_sold(self, each: ReportedSale, stands: Stands, number: int) -> Sold:
        """A sale of the page that was not examined yet."""
        is_free = stands.is_free(each.duplicates)
        waits = (stands.is_planned or stands.waits) and (each.earns(True) or each.earns(False))
        return Sold(
            customer=each.customer,
            order_id=each.order_id,
            rows=each.rows,
            number=number,
            at=each.order.ordered_at,
            alike=likeness(each.customer, each.order.amount, each.order.currency),
            reporters=each.reporters,
            sources=each.order.sources,
            duplicates=each.duplicates,
            stands=stands,
            is_due=waits and is_free,
            is_asked=waits and not is_free,
            counts=stands.was_sent or (each.counts and is_free),
        )

    def _read_others(self) -> Iterator[Sold]:
        wanted: dict[int, set[frozenset[str]]] = defaultdict(set)
        for each in self._page:
            if each.customer is not None and each.order.amount:
                wanted[likeness(each.customer, each.order.amount, each.order.currency)].add(each.reporters)
        if not wanted:
            return
        times = [min(max(each.order.ordered_at, BEGIN), END) for each in self._page]
        span = min(times) - APART, max(times) + APART

        def is_wanted(row: Any) -> bool:
            if row.id in self._unwritten.known or not (alike := wanted.get(likeness_as_kept(row))):
                return False
            return any(map(reporters_from_text(row.reporters).isdisjoint, alike))

        yield from sold_between(self._connection, self._store, _customers(self._page), span, is_wanted)

    def _read_suspected(self) -> Mapping[int, Sold]:
        """The sales that the page's sales were suspected to be, by their row in the suspicion."""
        return sold_in(self._connection, {row for each in self._page for row in each.duplicates})

    def _read_earliest(self) -> Mapping[str | None, tuple[datetime, bool, int]]:
        """The turn of each customer's earliest sale that counts, except sales that are compared one by one."""
        customers = _customers(self._page)
        apart = {row for each in self._page for row in each.rows} | {
            other.number for others in self._others.values() for other in others
        }
        apart |= {sold.number for each in customers for sold in self._unwritten.of[each] if sold.row is not None}
        return earliest_turns(self._connection, self._store, customers, apart)


def _customers(page: Iterable[ReportedSale]) -> list[str]:
    return sorted({each.customer for each in page if each.customer is not None})


def _know_of_each_other(other: Sold, sold: Sold) -> bool:
    """Whether a question about either sale names the other, or did; a question names a limited number of sales."""
    is_named = not other.duplicates.isdisjoint(sold.rows) or len(other.duplicates) >= MOST_DUPLICATES
    return is_named or (sold.stands.is_answered and other.row in sold.duplicates)
