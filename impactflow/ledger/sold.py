"""
Sales as they are compared with one another: their customers, their sources, and their status.

Two sales of one customer for one amount within a day may be one sale, unless one source reported both.
"""

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from operator import attrgetter

from impactflow.models import Order

#: The greatest distance between two sources' dates of one sale: they round, and count days in different zones.
APART = timedelta(days=1)
#: The most possible matches that are kept for a sale: a till's customer has thousands of sales.
MOST_DUPLICATES = 20
#: The range of times that have a day before them and one after them; an order may have any date.
BEGIN, END = datetime.min.replace(tzinfo=UTC) + APART, datetime.max.replace(tzinfo=UTC) - APART


@dataclass(frozen=True, slots=True)
class ReportedSale:
    """
    A sale of a page, as it is compared with others.

    Args:
        customer: The customer; None if no source reported it.
        order: The order as it was last reported.
        order_id: The order's id in the ledger, or the new order's id.
        reporters: The sources that reported it, in order.
        rows: Its rows in the ledger, the first one first; empty for a new sale.
        counts: Whether it counts, or did before its money was given back.
        counted: Whether it counts in the ledger already.
        earns: Whether it earns anything, given whether it is its customer's first one.
        duplicates: The rows of the sales that it was suspected to be before.
        is_evaluated: Whether the findings about it are written; a sale that no source lists any more is left as it is.
    """

    customer: str | None
    order: Order
    order_id: str
    reporters: frozenset[str]
    rows: tuple[int, ...]
    counts: bool
    counted: bool
    earns: Callable[[bool | None], bool]
    duplicates: frozenset[int]
    is_evaluated: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The sale that another one may be: its order's id, and its row where it has one."""

    order_id: str
    row: int | None


@dataclass(frozen=True, slots=True)
class Stands:
    """
    How a sale's placements stand in the ledger.

    Args:
        was_sent: Whether something was sent for it, even without effect.
        is_planned: Whether something is about to be sent.
        waits: Whether something waits for a person, or was rejected by one.
        is_answered: Whether a person has decided about any of its placements.
        is_approved: Whether a person has approved any of its placements that is not bought yet.
        may_return: Whether a placement that was sent may turn out not to have been bought, and be planned again.
        is_open: Whether a person is asked about any of its placements.
    """

    was_sent: bool = False
    is_planned: bool = False
    waits: bool = False
    is_answered: bool = False
    is_approved: bool = False
    may_return: bool = False
    is_open: bool = False

    def is_free(self, duplicates: frozenset[int]) -> bool:
        """Whether no question is needed if the sale is one of these; a person who approved it has answered."""
        return not duplicates or (self.is_planned and self.is_approved)


class Part(Enum):
    """The status of a sale, as far as other sales are compared with it."""

    #: Something was sent for it, or is due.
    BOUGHT = auto()
    #: A person is asked about it.
    ASKED = auto()
    #: The same, and the question names the most sales that it may.
    FULL = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Sold:
    """
    A sale that others are compared with.

    Args:
        customer: The customer.
        order_id: The order's id.
        rows: Its rows in the ledger; empty for a new sale.
        number: The row, or the number of the new sale.
        at: The time when it was sold.
        alike: A value that is the same for all sales of one customer and amount.
        reporters: The sources that reported it.
        sources: The systems that sold it.
        duplicates: The rows of the sales that it may be.
        stands: How its placements stand in the ledger.
        is_due: Whether something is to be bought for it, and no one is asked whether it is another sale.
        is_asked: Whether something would be bought, and a person is asked this question, or has said no.
        counts: Whether it is an order of its customer, and no one is asked whether it is one.
    """

    customer: str | None
    order_id: str
    rows: tuple[int, ...]
    number: int
    at: datetime
    alike: int
    reporters: frozenset[str]
    sources: frozenset[str]
    duplicates: frozenset[int]
    stands: Stands
    is_due: bool
    is_asked: bool
    counts: bool

    @property
    def row(self) -> int | None:
        """The ledger's first row; None for a new sale."""
        return next(iter(self.rows), None)

    @property
    def key(self) -> int | str:
        """The sale's row, or its order's id if it has no row yet."""
        return self.order_id if self.row is None else self.row

    @property
    def as_duplicate(self) -> Duplicate:
        """The sale as the possible match of another sale."""
        return Duplicate(self.order_id, self.row)

    @property
    def turn(self) -> tuple[datetime, bool, int]:
        """The sort key by sale time; at one instant, sales that the ledger knows come before new ones."""
        return self.at, self.row is None, self.number

    @property
    def was_sent(self) -> bool:
        """Whether something was sent for it, even without effect."""
        return self.stands.was_sent

    @property
    def is_unasked(self) -> bool:
        """Whether something is planned and no one was asked: it was being sent when the suspicion was found."""
        return self.stands.is_planned and not self.stands.is_free(self.duplicates)

    @property
    def part(self) -> Part:
        """The part that it plays in comparisons."""
        if self.was_sent or self.is_due:
            return Part.BOUGHT
        return Part.ASKED if len(self.duplicates) < MOST_DUPLICATES else Part.FULL

    @property
    def earns(self) -> bool:
        """Whether something was sent for it, is due, or would be."""
        return self.was_sent or self.is_due or self.is_asked


class Index:
    """Sales that earn something, by their status and by everything that two matching sales share, except the time."""

    def __init__(self) -> None:
        self._groups: dict[int, dict[tuple[Part, frozenset[str], frozenset[str]], list[Sold]]] = defaultdict(dict)

    def add(self, sold: Sold) -> None:
        """Add a sale, if it earns something."""
        if sold.earns:
            group = self._groups[sold.alike].setdefault((sold.part, sold.reporters, sold.sources), [])
            insort(group, sold, key=_when)

    def remove(self, sold: Sold) -> None:
        """Remove a sale."""
        if sold.earns:
            self._groups[sold.alike][sold.part, sold.reporters, sold.sources].remove(sold)

    def near(self, one: Sold, distinct: frozenset[str], *parts: Part) -> Iterator[Sold]:
        """The sales that may be this one, reported by another source."""
        at = min(max(one.at, BEGIN), END)
        for (part, reporters, sources), group in self._groups.get(one.alike, {}).items():
            is_anothers = part in parts and reporters.isdisjoint(one.reporters)
            if is_anothers and not are_distinct(sources, one.sources, distinct):
                for number in range(bisect_left(group, at - APART, key=_when), len(group)):
                    if group[number].at > at + APART:
                        break
                    yield group[number]


@dataclass(slots=True)
class Unwritten:
    """
    Sales in a state that the ledger does not have yet: those of one page, or of all pages of a preview.

    Args:
        known: The sales of which the ledger has an older state, by each of their rows.
        of: All the sales, by customer.
        index: The sales that earn something.
        new: The number of new sales.
        outdated: The sales whose plan, or question, is outdated by these sales, by their row, or by their order's id if
            they have no row yet; each with the sales that it may be, if they are the cause.
        unasked: The rows of sales that may be others and of which something may be sent again, before a person was
            asked.
    """

    known: dict[int, Sold] = field(default_factory=dict)
    of: dict[str | None, list[Sold]] = field(default_factory=lambda: defaultdict(list))
    index: Index = field(default_factory=Index)
    new: int = 0
    outdated: dict[int | str, set[Duplicate]] = field(default_factory=lambda: defaultdict(set))
    unasked: set[int] = field(default_factory=set)

    def put(self, each: ReportedSale, sold: Sold) -> None:
        """Set the new state of a sale of the page."""
        for before in {self.known[row].number: self.known[row] for row in each.rows if row in self.known}.values():
            self.index.remove(before)
            self.of[before.customer].remove(before)
            for row in before.rows:
                self.known.pop(row, None)
        self.known |= dict.fromkeys(each.rows, sold)
        self.index.add(sold)
        self.of[sold.customer].append(sold)


def reporters_from_text(text: str | None) -> frozenset[str]:
    """Read the sources of a sale from the ledger's text."""
    return frozenset(json.loads(text)) if text else frozenset()


def reporters_as_text(reporters: Iterable[str]) -> str:
    """Return the sources of a sale as text for the ledger."""
    return json.dumps(sorted(reporters))


def likeness(who: str | None, amount: Decimal | None, currency: str | None) -> int:
    """Return a value that is the same for all sales of one customer and amount."""
    return hash((who, amount, currency))


def are_distinct(some: frozenset[str], others: frozenset[str], distinct: frozenset[str]) -> bool:
    """Whether the policy says that sales of these systems and of those are never one."""
    return bool(some and others) and some | others <= distinct


_when = attrgetter("at")
