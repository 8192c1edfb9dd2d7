"""
Estimate: what one or more policies would have bought over past orders, and what that would have cost.

    source ──pages──▶ orders ──▶ each policy ──▶ sums           (nothing is written)

Orders are evaluated as their source shows them now: what was refunded since earns nothing. A customer's first order is
the earliest that the window shows, so a longer window knows better which orders are first.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

from impactflow.intake.source import OrderSource
from impactflow.models import PARTS, UNIT_OF, Earnings, Order, Pool, ProviderName, Unit, parts_of
from impactflow.policy import Policy
from impactflow.window import Window

_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """
    The purchases that a policy would have made in one slot.

    Args:
        slot: The slot.
        provider: The provider.
        unit: The unit of the quantities.
        placements: The number of purchases, those that would have awaited approval included; of purchases for many
            orders, one for each period in which any were sold, or as many as the smallest of them goes into the sum.
        quantity: The quantity that would have been bought.
        cost_usd: Its cost; None where the rule says no price.
        await_approval: The number of purchases, among these, for which a person would have been asked.
        held: The number of purchases beside these that would have been held until a person had mended something.
    """

    slot: str
    provider: ProviderName
    unit: Unit
    placements: int
    quantity: int
    cost_usd: Decimal | None
    await_approval: int
    held: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    What a policy would have bought.

    Args:
        eligible: The number of orders that count.
        lines: The purchases by slot, in the policy's order; a slot in which nothing was earned included.
    """

    eligible: int
    lines: Sequence[Line]

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost of everything; None where a slot's cost is not known."""
        costs = [line.cost_usd for line in self.lines]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))


@dataclass(slots=True)
class Reading:
    """
    The orders that were evaluated.

    Args:
        orders: The number of orders.
        broken: The number of orders, beside these, that could not be read.
        missing: The number of orders that may be missing, because no two readings of their days agreed.
    """

    orders: int = 0
    broken: int = 0
    missing: int = 0


async def estimate(
    source: OrderSource, window: Window, policies: Sequence[Policy]
) -> tuple[Reading, Sequence[Estimate]]:
    """
    Evaluate policies over a window's orders; only reading requests are made.

    Args:
        source: The source of the orders.
        window: The days to read.
        policies: The policies.

    Returns:
        What was read, and an estimate for each policy.

    Raises:
        ProviderError: A page could not be read.
        ConfigurationError: The file cannot be read.
    """
    reading, sums = Reading(), [_Sum(policy) for policy in policies]
    seen: set[int] = set()

    def miss(count: int) -> None:
        reading.missing = count

    async for page in source.read(window, miss):
        orders = [each for each in page if isinstance(each, Order)]
        reading.broken += len(page) - len(orders)
        for order in orders:
            names = set(map(hash, order.names))
            if not seen.isdisjoint(names):  # pages shift while they are read
                continue
            seen |= names
            reading.orders += 1
            for each in sums:
                each.add(order)
    return reading, [each.result() for each in sums]


@dataclass(slots=True)
class _Tally:
    """Counts by slot."""

    eligible: int = 0
    placements: Counter[str] = field(default_factory=Counter)
    quantity: Counter[str] = field(default_factory=Counter)
    await_approval: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    #: What orders have earned of purchases for many of them, in all and by the beginning of their period.
    shares: Counter[str] = field(default_factory=Counter)
    periods: Counter[tuple[str, datetime | None]] = field(default_factory=Counter)

    def add(self, earned: Earnings, pools: Iterable[Pool], sign: int = 1) -> None:
        """Add what an order has earned, or take it away again; ``pools`` are those of the time of its sale."""
        self.eligible += sign * earned.eligible
        for impact in earned.impacts:
            if impact.held is not None or impact.quantity is None:
                self.held[impact.slot] += sign
                continue
            if impact.is_pooled and impact.share is not None:
                self.shares[impact.slot] += sign * parts_of(impact.share)
                since = next((pool.since for pool in pools if pool.slot == impact.slot), None)
                self.periods[impact.slot, since] += sign
                continue
            self.placements[impact.slot] += sign
            self.quantity[impact.slot] += sign * impact.quantity
            self.await_approval[impact.slot] += sign * impact.needs_approval


class _Sum:
    """One policy's sums; a customer's first order is known only once all orders were read."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._tally = _Tally()
        #: Each customer's earliest order: when it was sold, what it earns as a later one, and as the first.
        self._firsts: dict[bytes, tuple[datetime, Earnings, Earnings]] = {}

    def add(self, order: Order) -> None:
        """Add an order."""
        if not self._policy.asks_for_first:
            self._add(order, self._policy.earnings(order))
            return
        customer = (order.customer_email or "").strip().casefold()
        if not customer:
            self._add(order, self._policy.earnings(replace(order, is_first=None)))
            return
        later, first = (self._policy.earnings(replace(order, is_first=is_first)) for is_first in (False, True))
        self._add(order, later)
        key = hashlib.sha256(customer.encode()).digest()[:12]
        counts = later.eligible or order.is_refunded  # a refunded order was a customer's first all the same
        if counts and (key not in self._firsts or order.ordered_at < self._firsts[key][0]):
            self._firsts[key] = order.ordered_at, later, first

    def _add(self, order: Order, earned: Earnings) -> None:
        self._tally.add(earned, self._pools_at(order.ordered_at))

    def _pools_at(self, at: datetime) -> Sequence[Pool]:
        return self._policy.pools_at(at) if self._policy.is_pooled else ()

    def result(self) -> Estimate:
        """The estimate, once all orders were added."""
        for at, later, first in self._firsts.values():
            self._tally.add(later, self._pools_at(at), -1)
            self._tally.add(first, self._pools_at(at))
        self._firsts.clear()
        tally = self._tally
        for pool in self._policy.pools_at(_ANY_TIME):
            quantity = tally.shares[pool.slot] // PARTS
            if quantity >= pool.least:
                periods = sum(1 for (slot, _), orders in tally.periods.items() if slot == pool.slot and orders > 0)
                tally.quantity[pool.slot] += quantity
                tally.placements[pool.slot] += min(periods, quantity) if pool.since else quantity // pool.least
        return Estimate(
            tally.eligible,
            [
                Line(
                    rule.slot,
                    rule.provider,
                    UNIT_OF[rule.impact],
                    tally.placements[rule.slot],
                    tally.quantity[rule.slot],
                    rule.cost_usd(tally.quantity[rule.slot]),
                    tally.await_approval[rule.slot],
                    tally.held[rule.slot],
                )
                for rule in self._policy.rules
            ],
        )


def difference(estimate: Estimate, against: Estimate) -> Mapping[str, tuple[int, Decimal | None]]:
    """How much more the first buys and costs than the second, by slot; a slot that one lacks buys nothing there."""
    ours, theirs = (_by_slot(each.lines) for each in (estimate, against))
    return {
        slot: (_quantity(ours.get(slot)) - _quantity(theirs.get(slot)), _less(ours.get(slot), theirs.get(slot)))
        for slot in dict.fromkeys((*ours, *theirs))
    }


def _by_slot(lines: Iterable[Line]) -> Mapping[str, Line]:
    return {line.slot: line for line in lines}


def _quantity(line: Line | None) -> int:
    return line.quantity if line else 0


def _less(line: Line | None, other: Line | None) -> Decimal | None:
    cost, other_cost = (each.cost_usd if each else Decimal(0) for each in (line, other))
    return None if cost is None or other_cost is None else cost - other_cost
