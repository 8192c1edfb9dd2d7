"""
Process webhook deliveries: a sale is planned, a refund withdraws placements, a hint makes a placement due for tracking.

    stored deliveries ──pages──▶ events ──▶ policy ──▶ ledger        (then, and only then, the delivery is finished)

After a kill between the two, a delivery is processed again, with no further effect. Waiting placements of known orders
are judged again afterwards, because the policy or a refund may have changed them. ``buying`` sends the planned ones.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from impactflow.clock import Clock
from impactflow.intake.planning import after_refunds, evaluate_again, page_of
from impactflow.intake.senders import events
from impactflow.intake.senders.mapping import NO_SENDERS, Senders
from impactflow.intake.senders.values import A_TEST, Hint, NothingForUs
from impactflow.intake.source import OrderSource
from impactflow.ledger import Announcement, Delivery, Due, Handled, Ledger, Listing, Mended, Origin, Planned
from impactflow.models import BrokenOrder, Order, ProviderName, Refund
from impactflow.policy import Policy
from impactflow.window import Window

#: The deliveries on one page: few, because each may have megabytes.
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Processed:
    """
    The result of processing deliveries.

    Args:
        deliveries: How many there were.
        planned: Orders that were sold, the unreadable ones included.
        refunds: How many reported a refund.
        withdrawn: How many waiting placements were withdrawn because of refunds.
        hints: How many reported that a placement may have made progress.
        others: How many had no consequence.
        tests: How many of the others were tests.
        due_at: Providers at which placements are due to be tracked now because of a hint.
        again: Orders known before that were judged again, because the policy was changed or a refund announced.
    """

    deliveries: int = 0
    planned: Planned = field(default_factory=Planned)
    refunds: int = 0
    withdrawn: int = 0
    hints: int = 0
    others: int = 0
    tests: int = 0
    due_at: frozenset[ProviderName] = frozenset()
    again: int = 0

    def __add__(self, other: "Processed") -> "Processed":
        """Two pages as one."""
        return Processed(
            self.deliveries + other.deliveries,
            self.planned + other.planned,
            self.refunds + other.refunds,
            self.withdrawn + other.withdrawn,
            self.hints + other.hints,
            self.others + other.others,
            self.tests + other.tests,
            self.due_at | other.due_at,
            self.again + other.again,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        counts = asdict(self)
        return {
            **{name: counts[name] for name in ("deliveries", "refunds", "withdrawn", "hints", "others", "tests")},
            "sold": counts["planned"],
            "judged_again": self.again,
        }

    def in_words(self) -> str:
        """Return the result in one line, for a person."""
        sold = self.planned
        return (
            f"Took up {self.deliveries} deliveries: {sold.read - sold.broken} of orders that were sold ({sold.new} new,"
            f" {sold.eligible} count), {self.refunds} of refunds ({self.withdrawn} placements withdrawn), {self.hints}"
            f" of placements that got further, {sold.broken} unreadable, {self.others} of nothing that concerns us"
            f" ({self.tests} of them tests)." + (f" Judged {self.again} orders again." if self.again else "")
        )


async def process(
    ledger: Ledger, policy: Policy, clock: Clock, run_id: str, senders: Senders = NO_SENDERS, *, alone: bool = False
) -> Processed:
    """
    Process every pending delivery, page by page, oldest first; then judge waiting placements again.

    A delivery that a sender's mapping could not read is pending again once the mapping has changed.

    Args:
        ledger: The ledger, which stores the deliveries and their meaning.
        policy: The policy, which also names the store.
        clock: The clock.
        run_id: The run's id.
        senders: The mappings of other senders.
        alone: Whether no run reads orders besides, so that sales reported too long ago to be sent must await approval.

    Raises:
        LedgerError: A page could not be written; the next run processes it again.
    """
    for name, sender in senders.senders.items():
        await ledger.reopen_deliveries(Mended(policy.store, name, sender.digest))
    taken, after = Processed(), 0
    while page := await ledger.pending_deliveries(policy.store, after=after, limit=_PAGE):
        taken += await _Page(ledger, policy, clock, run_id, page, senders).process()
        after = page[-1].id
    again = await evaluate_again(ledger, policy, clock, run_id)
    if alone:
        await ledger.leave_unlisted(Listing(policy.store, None, clock.now(), run_id))
    return replace(taken, again=again.read)


@dataclass(frozen=True, slots=True)
class WithDeliveries:
    """
    A source of orders, followed by the orders of stored deliveries: for a dry run, which processes no delivery.

    Args:
        source: The source of the orders.
        orders: The orders in the deliveries, each as last reported.
        refunds: The refunds in the deliveries, by each name of their order.
    """

    source: OrderSource
    orders: Sequence[Order | BrokenOrder]
    refunds: Mapping[str, Sequence[Refund]]

    @property
    def file(self) -> str | None:
        """The source's file."""
        return self.source.file

    async def read(
        self, window: Window, missing: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[Sequence[Order | BrokenOrder]]:
        """Yield the source's orders, then the orders found only in deliveries, each after its refunds."""
        listed = set[str]()
        async for page in self.source.read(window, missing):
            yield [after_refunds(each, self.refunds) for each in page]
            listed.update(name for order in page if isinstance(order, Order) for name in order.names)
        unlisted = [each for each in self.orders if isinstance(each, BrokenOrder) or listed.isdisjoint(each.names)]
        yield [after_refunds(each, self.refunds) for each in unlisted]


async def with_deliveries(
    source: OrderSource, ledger: Ledger, policy: Policy, senders: Senders = NO_SENDERS
) -> WithDeliveries:
    """
    Join a source with the pending deliveries, which stay pending.

    The refund of a known order that is neither listed nor reported again is not foreseen.

    Args:
        source: The source of the orders.
        ledger: The ledger that stores the deliveries.
        policy: The policy, which names the store.
        senders: The mappings of other senders.
    """
    orders: dict[str, Order | BrokenOrder] = {}
    refunds: dict[str, list[Refund]] = defaultdict(list)
    after = 0
    while page := await ledger.pending_deliveries(policy.store, after=after, limit=_PAGE):
        for delivery in page:
            match event := _read(delivery, senders):
                case Order() if not event.only_names and _is_news(event, orders.get(event.id)):
                    orders[event.id] = event
                case Refund():
                    for name in event.names:
                        refunds[name].append(event)
                case BrokenOrder():
                    orders[f"delivery {delivery.id}"] = event
        after = page[-1].id
    return WithDeliveries(source, list(orders.values()), refunds)


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    A delivery about an order that is not processed yet.

    Args:
        source: The sender by whose scheme it came.
        topic: The event it reports, in the sender's words.
        received_at: When it came.
    """

    source: str
    topic: str
    received_at: datetime


async def waiting_for(ledger: Ledger, store: str, names: Collection[str], senders: Senders) -> Sequence[Waiting]:
    """
    The deliveries about an order that are not processed yet.

    Args:
        ledger: The ledger that stores the deliveries.
        store: The order's store.
        names: The order's names, with or without the names' prefixes.
        senders: The mappings of other senders.
    """
    found: list[Waiting] = []
    after = 0
    while page := await ledger.pending_deliveries(store, after=after, limit=_PAGE):
        found += [
            Waiting(each.source, each.topic, each.received_at)
            for each in page
            if any(_is_meant(full_name, name) for full_name in _names_in(events.read(each, senders)) for name in names)
        ]
        after = page[-1].id
    return found


def _names_in(event: events.Event) -> Sequence[str]:
    match event:
        case Order():
            return (event.id, *event.names)
        case Refund():
            return event.names
        case BrokenOrder(id=str() as name):
            return (name,)
        case _:
            return ()


def _is_meant(full_name: str, name: str) -> bool:
    return full_name == name or full_name.endswith(f":{name}")


def _is_news(order: Order, known: Order | BrokenOrder | None) -> bool:
    if not isinstance(known, Order):
        return True
    return order.as_of is not None and (known.as_of is None or order.as_of > known.as_of)


def _read(delivery: Delivery, senders: Senders) -> events.Event:
    """The meaning of a delivery; a time after its arrival is replaced by the arrival, as no sender knows the future."""
    event, at = events.read(delivery, senders), delivery.received_at
    if isinstance(event, Order | Refund) and event.as_of is not None:
        event = replace(event, as_of=min(event.as_of, at))
    return (
        replace(event, announced_at=at, reporter=_reporter(delivery.source, event))
        if isinstance(event, Order)
        else event
    )


def _reporter(sender: str, order: Order) -> str:
    """The source that reports an order: one sender may report the same sale once for each system that sold it."""
    return " ".join([sender, *sorted(order.sources - {sender})])


class _Page:
    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        clock: Clock,
        run_id: str,
        deliveries: Sequence[Delivery],
        senders: Senders,
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._run_id = run_id
        self._senders = senders
        self._orders: list[tuple[Order, datetime]] = []
        self._broken: list[BrokenOrder] = []
        self._refunds: list[Refund] = []
        self._hints: list[Hint] = []
        self._tests = 0
        self._handled = [self._sort(delivery) for delivery in deliveries]

    def _sort(self, delivery: Delivery) -> Handled:
        """Sort a delivery by its meaning, and return its problem, if any."""
        problem, listed_as = None, None
        event, at = _read(delivery, self._senders), delivery.received_at
        match event:
            case Order():
                self._orders.append((event, at))
            case Refund():
                self._refunds.append(event)
            case Hint():
                self._hints.append(event)
            case BrokenOrder():
                self._broken.append(event)
                problem, listed_as = event.problem, event.id
            case NothingForUs():
                problem = event.why
                self._tests += event == A_TEST
            case _:
                assert_never(event)
        mapping = self._senders.digest_for(delivery.source)
        return Handled(delivery.id, self._clock.now(), problem, listed_as, mapping)

    async def process(self) -> Processed:
        """Process refunds before orders, so that no refunded order is planned."""
        ledger, store, now = self._ledger, self._policy.store, self._clock.now()
        announcements = [Announcement(store, refund, self._run_id, now) for refund in self._refunds]
        withdrawn = await asyncio.gather(*map(ledger.record_refund, announcements))
        earnings = [(order, self._policy.earnings(order)) for order, _ in self._orders]
        planned = await ledger.plan(
            replace(
                page_of(
                    self._policy,
                    earnings,
                    self._clock,
                    broken=self._broken,
                    run_id=self._run_id,
                    origin=Origin.ANNOUNCED,
                ),
                reported_at=[at for _, at in self._orders],
            )
        )
        due_at = await ledger.make_due(Due([hint.key for hint in self._hints], now))
        await asyncio.gather(*map(ledger.finish_delivery, self._handled))
        concern_us = planned.read + len(self._refunds) + len(self._hints)
        return Processed(
            len(self._handled),
            planned,
            len(self._refunds),
            sum(withdrawn),
            len(self._hints),
            len(self._handled) - concern_us,
            self._tests,
            due_at,
        )
