"""
Sales as they are compared with one another: who bought what, who told of it, and how it stands.

Two sales of one customer for one amount within a day that no one teller told of both may be one sale.
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

#: How far apart two tellers may date one sale: they round, and count days in different zones.
APART = timedelta(days=1)


#: So many of the sales that one may be are kept: a till's customer has thousands of them.
MOST_TWINS = 20


#: Times that have a day before them and one after them; an order may be dated as it likes.
BEGIN, END = datetime.min.replace(tzinfo=UTC) + APART, datetime.max.replace(tzinfo=UTC) - APART


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
class Stands:
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


class Part(Enum):
    """How a sale stands, as far as others are compared with it."""

    #: Something was sent for it, or is due.
    BOUGHT = auto()
    #: A person is asked about it.
    ASKED = auto()
    #: The same, and as many sales are named to them as there may be.
    FULL = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Sold:
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
    stands: Stands
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
    def part(self) -> Part:
        """As what it is compared."""
        if self.was_sent or self.is_due:
            return Part.BOUGHT
        return Part.ASKED if len(self.twins) < MOST_TWINS else Part.FULL

    @property
    def earns(self) -> bool:
        """Whether something was sent for it, is due, or would be."""
        return self.was_sent or self.is_due or self.is_asked


class Index:
    """Sales that earn something, by how they stand and all that two need to have in common but the time."""

    def __init__(self) -> None:
        self._groups: dict[int, dict[tuple[Part, frozenset[str], frozenset[str]], list[Sold]]] = defaultdict(dict)

    def add(self, sold: Sold) -> None:
        """Add a sale, if it earns something."""
        if sold.earns:
            group = self._groups[sold.alike].setdefault((sold.part, sold.tellers, sold.sources), [])
            insort(group, sold, key=_when)

    def remove(self, sold: Sold) -> None:
        """Take it out again."""
        if sold.earns:
            self._groups[sold.alike][sold.part, sold.tellers, sold.sources].remove(sold)

    def near(self, one: Sold, distinct: frozenset[str], *parts: Part) -> Iterator[Sold]:
        """Sales that may be this one, told by somebody else."""
        at = min(max(one.at, BEGIN), END)
        for (part, tellers, sources), group in self._groups.get(one.alike, {}).items():
            is_anothers = part in parts and tellers.isdisjoint(one.tellers)
            if is_anothers and not are_distinct(sources, one.sources, distinct):
                for number in range(bisect_left(group, at - APART, key=_when), len(group)):
                    if group[number].at > at + APART:
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

    known: dict[int, Sold] = field(default_factory=dict)
    of: dict[str | None, list[Sold]] = field(default_factory=lambda: defaultdict(list))
    index: Index = field(default_factory=Index)
    new: int = 0
    outdated: dict[int | str, set[Twin]] = field(default_factory=lambda: defaultdict(set))
    unasked: set[int] = field(default_factory=set)

    def put(self, each: Bought, sold: Sold) -> None:
        """From now on a sale of the page is so."""
        for before in {self.known[row].number: self.known[row] for row in each.rows if row in self.known}.values():
            self.index.remove(before)
            self.of[before.customer].remove(before)
            for row in before.rows:
                self.known.pop(row, None)
        self.known |= dict.fromkeys(each.rows, sold)
        self.index.add(sold)
        self.of[sold.customer].append(sold)


def tellers_from_text(text: str | None) -> frozenset[str]:
    """Who told of a sale, as the ledger keeps it."""
    return frozenset(json.loads(text)) if text else frozenset()


def tellers_as_text(tellers: Iterable[str]) -> str:
    """The same for the ledger to keep."""
    return json.dumps(sorted(tellers))


def likeness(who: str | None, amount: Decimal | None, currency: str | None) -> int:
    """The same for all sales of one customer and amount."""
    return hash((who, amount, currency))


def are_distinct(some: frozenset[str], others: frozenset[str], distinct: frozenset[str]) -> bool:
    """Whether the policy says that sales of these systems and of those are never one."""
    return bool(some and others) and some | others <= distinct


_when = attrgetter("at")
