"""
Orders in: which days are read, and how what Wicked Reports says becomes an ``Order``.

Pages stream; nothing is kept of an order but a hash of its id, to tell one that was seen from one that a shifting page
hid. What an order earns is left to ``policy``, what is known already to ``ledger``. Called by the planning step.
"""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Protocol, Self

from impactflow.clients.wickedreports.models import CountedPage, WickedOrder
from impactflow.errors import ConfigurationError
from impactflow.escapes import public_id
from impactflow.models import BrokenOrder, Order, Payment

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)
#: A day outside these is a slip, and the very first and last have no day before or after them to read.
_EARLIEST, _LATEST = date(1970, 1, 1), date(2999, 12, 31)
#: How often a window is read at most where its pages disagree, or readings do.
_READINGS = 4


@dataclass(frozen=True, slots=True)
class Window:
    """
    The days that a run reads orders of.

    Args:
        from_: The first day, UTC.
        to: The last day, UTC, included.
        open_ended: Whether ``to`` means "until now": an order that a fast clock dated tomorrow belongs to it too.
        new_from: Orders of earlier days are read again where the ledger knows them, and left alone where it does not;
            None for no such day.
        watches: Whether it reaches back as far as changes of old orders are watched for.
        why: Which days these are, for a person.
    """

    from_: date
    to: date
    open_ended: bool = False
    new_from: date | None = field(default=None, compare=False)
    watches: bool = field(default=False, compare=False)
    why: str = field(default="the days that were asked for", compare=False)

    @classmethod
    def parse(
        cls,
        from_text: str | None,
        to_text: str | None,
        *,
        today: date,
        watermark: date | None,
        overlap_days: int = 7,
    ) -> Self:
        """
        The window that a person asked for; by default what may have changed since the last run.

        Args:
            from_text: The first day, ``YYYY-MM-DD``; by default ``overlap_days`` before the watermark, or before today.
            to_text: The last day; by default today.
            today: The day it is, UTC.
            watermark: Up to which day orders are planned; None before the first run.
            overlap_days: How far back a run looks again: orders reach Wicked Reports late.

        Raises:
            ConfigurationError: A text is no day, or the first day is after the last.
        """
        from_ = _day("--from", from_text) if from_text is not None else (watermark or today) - overlap_days * _DAY
        to = _day("--to", to_text) if to_text is not None else today
        if from_ > to:
            default = " (the default)"
            raise ConfigurationError(
                f"--from {from_}{'' if from_text is not None else default} is after"
                f" --to {to}{'' if to_text is not None else default}: give days in order"
            )
        return cls(from_, to, open_ended=to_text is None)

    @property
    def reads(self) -> tuple[date, date]:
        """The days to ask for: one more on each side, since the source does not say in which time zone its days are."""
        return self.from_ - _DAY, self.to + _DAY

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The window as a half-open span of time."""
        ends = self.to + (2 * _DAY if self.open_ended else _DAY)
        return datetime.combine(self.from_, time.min, UTC), datetime.combine(ends, time.min, UTC)

    @property
    def new_since(self) -> datetime | None:
        """When the first day begins of which orders are new; None for no such day."""
        return None if self.new_from is None else datetime.combine(self.new_from, time.min, UTC)

    def contains(self, ordered_at: datetime) -> bool:
        """Whether an order of this time belongs to the window."""
        began, ended = self.span
        return began <= ordered_at < ended


def _day(option: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # Python also reads 20250131 and 2025-W05-5.
    if day is None or day.isoformat() != text or not _EARLIEST <= day <= _LATEST:
        raise ConfigurationError(f"{option} {text!r} is not a day: write it as 2025-01-31")
    return day


class OrderSource(Protocol):
    """What orders are read from: ``WickedReportsClient``."""

    def list_orders(self, from_: date, to: date) -> AsyncIterator[CountedPage[WickedOrder | BrokenOrder]]:
        """The orders of these days, page by page."""
        ...


async def read_orders(
    source: OrderSource, window: Window, missing: Callable[[int], None] = lambda _: None
) -> AsyncIterator[list[Order | BrokenOrder]]:
    """
    The window's orders, page by page, each order once.

    Pages are cut from a list that changes while it is read, so that an order can slip from a page still to come to one
    that was read. Where a reading contradicts itself (an order on two pages, another number of orders announced on one
    page than on the next, another number than came), the window is read again until two readings in a row agree.

    Args:
        source: What is read.
        window: Which days.
        missing: Called at the end with how many orders may be missing, where no two readings agreed.

    Raises:
        ProviderError: A page could not be read; the pages before it are good.
    """
    seen: set[int] = set()
    before: _Reading | None = None
    for _ in range(_READINGS):
        reading = _Reading()
        async for page in source.list_orders(*window.reads):
            reading.announce(page.total)
            fresh = [order for order in page.items if reading.note(order) not in seen]
            seen |= reading.ids
            yield [_ordered(order) for order in fresh if _wanted(order, window)]
        if reading.agrees_with(before):
            return
        before, last = reading, before
    count = before.lacks(last) if before else 0
    missing(count)
    log.warning(
        "no two readings of the orders from %s to %s agreed, %d may be missing: the next run looks again",
        window.from_,
        window.to,
        count,
        extra={"action": "orders_missing", "missing": count, "read": len(seen)},
    )


@dataclass(slots=True)
class _Reading:
    """
    What came of what was announced, in one reading of a window.

    Args:
        ids: A hash of each order's id: a hundred thousand take a few megabytes.
        announced: How many orders the source says there are, page by page, each number once.
        repeated: Whether an order came twice.
        nameless: Broken orders without an id; the third of them is taken for the third of another reading.
    """

    ids: set[int] = field(default_factory=set)
    announced: set[int] = field(default_factory=set)
    repeated: bool = False
    nameless: int = 0

    def announce(self, total: int | None) -> None:
        """A page says how many orders there are; None or 0 where it does not."""
        if total:
            self.announced.add(total)

    def note(self, order: WickedOrder | BrokenOrder) -> int:
        """An order has come; what it is known by."""
        self.nameless += order.id is None
        key = hash((order.id, self.nameless if order.id is None else 0))
        self.repeated = self.repeated or key in self.ids
        self.ids.add(key)
        return key

    def agrees_with(self, before: "_Reading | None") -> bool:
        """Whether nothing is missing: by itself if it is the first, else as the one before says."""
        if before is None:
            return not self.repeated and self.announced <= {len(self.ids)}
        return self.ids == before.ids and max(self.announced, default=0) <= len(self.ids)

    def lacks(self, before: "_Reading | None") -> int:
        """How many orders may be missing, one at least."""
        changed = len(self.ids ^ before.ids) if before else 0
        return max(1, max(self.announced, default=0) - len(self.ids), changed)


def _wanted(order: WickedOrder | BrokenOrder, window: Window) -> bool:
    """A broken order has no day to go by, and must not be passed over in silence."""
    return isinstance(order, BrokenOrder) or window.contains(order.date)


def _ordered(order: WickedOrder | BrokenOrder) -> Order | BrokenOrder:
    return order if isinstance(order, BrokenOrder) else order_from_wicked(order)


def order_from_wicked(order: WickedOrder) -> Order:
    """What a policy can ask about an order of Wicked Reports."""
    email = order.contact.email if order.contact else None
    return Order(
        id=public_id(order.id),
        names=_names(order),
        ordered_at=order.date,
        amount=order.amount,
        currency=(order.currency or "").strip().upper() or None,
        item_count=_item_count(order),
        payments=tuple(Payment(payment.status or "") for payment in order.payments or ()),
        customer_email=(email or "").strip() or None,
    )


def is_system(told: str) -> bool:
    """Whether a text names the system that sold something; only then is an id in it a name."""
    return told.strip().lower() not in {"", "unknown"}


def source_name(system: str, source_id: str) -> str:
    """The name of an order by the id that its source gave it: two shops may both have an order 1001."""
    return f"src:{system.strip().lower()}:{source_id.strip()}"


def identity(system: str, order_id: str) -> str:
    """The name of an order by the id that its own shop tells: two that differ are two sales, whatever they share."""
    return f"id:{system.strip().lower()}:{order_id.strip()}"


def _names(order: WickedOrder) -> tuple[str, ...]:
    """A source's id is a name only together with the source."""
    names = dict.fromkeys((f"wr:{order.id}", f"wr:{public_id(order.id)}"))
    system = order.source_system or ""
    if not is_system(system) or not order.source_id.strip():
        return tuple(names)
    return *names, source_name(system, order.source_id)


def _item_count(order: WickedOrder) -> Decimal | None:
    """A product without a quantity was sold once."""
    if not order.products:
        return None
    return sum((product.qty if product.qty is not None else Decimal(1) for product in order.products), Decimal(0))
