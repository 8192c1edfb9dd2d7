"""
Plan: read a window of orders, ask the policy what each has earned, and make that durable.

    Wicked Reports ──pages──▶ orders ──▶ policy ──▶ ledger        (then, and only then, the watermark moves)

Called by the task ``plan_orders``; ``preview`` does the same without writing, for ``place --dry-run``. What is planned
is bought by ``placement``.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from impactflow.clock import Clock
from impactflow.ledger import Ledger, Page, Planned
from impactflow.models import UNIT_OF, BrokenOrder, Earnings, Impact, Order, Refund
from impactflow.orders import OrderSource, Window, read_orders
from impactflow.policy import Policy

log = logging.getLogger(__name__)

#: The name of the orders' source in the ledger.
SOURCE = "wickedreports"
#: How many lines a preview keeps; its totals count everything.
_PREVIEW_LINES = 1000


async def plan(
    ledger: Ledger,
    source: OrderSource,
    policy: Policy,
    window: Window,
    clock: Clock,
    run_id: str,
    *,
    moves_watermark: bool,
    report: Callable[[Planned], None] = lambda _: None,
) -> Planned:
    """
    Read and plan a window, page by page: memory does not grow with the number of orders.

    Args:
        ledger: Where what was earned is kept.
        source: Where orders come from.
        policy: What an order earns.
        window: Which days.
        clock: Tells the time.
        run_id: Which run does it.
        moves_watermark: Whether the window follows on what was read before. A window that a person chose does not move
            the watermark, or the next run would take the days between for read.
        report: Called after each page.

    Raises:
        ProviderError: A page could not be read; the pages before it are planned.
        LedgerError: A page could not be written; the pages before it are planned.
    """
    planned = Planned()
    digest = policy_digest(policy)
    missing = 0

    def miss(count: int) -> None:
        nonlocal missing
        missing = count

    async for page in read_orders(source, window, miss):
        earnings, broken = judge(policy, page)
        planned += await ledger.plan(Page(policy.store, earnings, broken, policy.earnings, digest, run_id, clock.now()))
        report(planned)
    if planned.beyond_day:
        log.warning(
            "a ceiling for one day was reached: %d placements beyond it wait for approval", planned.beyond_day,
            extra={"action": "day_ceiling_reached"},
        )  # fmt: skip
    if moves_watermark and not missing:
        await ledger.advance_watermark(policy.store, SOURCE, window.to, today=clock.now().date())
    return planned


def policy_digest(policy: Policy) -> str:
    """Changes whenever the policy means something else."""
    return hashlib.sha256(policy.model_dump_json().encode()).hexdigest()[:16]


@dataclass(slots=True)
class Preview:
    """
    What a run would buy.

    Args:
        read: Orders read.
        eligible: Orders that count.
        broken: Orders that could not be read.
        placements: How many purchases it would make.
        totals: How much by (slot, provider, unit): purchases and quantity.
        held: How many purchases would wait until a person has mended something.
        awaiting_approval: How many would wait until a person has approved them.
        lines: The first of them all, one line each: order, slot, provider, unit, quantity, held, needs_approval.
        ends_before: The order that would be one purchase too many, and was not looked at; None where all were.
    """

    read: int = 0
    eligible: int = 0
    broken: int = 0
    placements: int = 0
    held: int = 0
    awaiting_approval: int = 0
    totals: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    lines: list[dict[str, str | int | bool | None]] = field(default_factory=list)
    ends_before: str | None = None


async def preview(
    ledger: Ledger, source: OrderSource, policy: Policy, window: Window, *, at_most: int | None = None
) -> Preview:
    """
    What ``plan`` and the placing after it would buy, with nothing written and nothing bought.

    Args:
        ledger: What is known already.
        source: Where orders come from.
        policy: What an order earns.
        window: Which days.
        at_most: How many purchases may be made; it ends before the order that would be too much.

    Raises:
        ProviderError: A page could not be read.
    """
    would = Preview()
    async for page in read_orders(source, window):
        names = [name for order in page if isinstance(order, Order) for name in order.names]
        refunds = await ledger.refunds(policy.store, names)
        earnings, broken = judge(policy, [_after_refunds(order, refunds) for order in page])
        would.read += len(page)
        would.broken += len(broken)
        would.eligible += sum(earned.eligible for _, earned in earnings)
        known = await ledger.known_slots(policy.store, names)
        for order, earned in earnings:
            fresh = fresh_impacts(order, earned, known)
            if at_most is not None and would.placements + purchases_of(fresh) > at_most:
                would.ends_before = order.id
                return would
            _foresee(would, order, fresh)
    return would


def _after_refunds(order: Order | BrokenOrder, refunds: Mapping[str, Sequence[Refund]]) -> Order | BrokenOrder:
    if isinstance(order, BrokenOrder):
        return order
    return order.after(refund for name in order.names for refund in refunds.get(name, ()))


def fresh_impacts(order: Order, earned: Earnings, known: Mapping[tuple[str, str], bool]) -> list[Impact]:
    """
    What planning an order would add to what is bought, or to what waits for a person.

    Args:
        order: The order.
        earned: What it has earned.
        known: From ``Ledger.known_slots``, for at least its names.
    """

    def is_fresh(impact: Impact) -> bool:
        idle = [known[name, impact.slot] for name in order.names if (name, impact.slot) in known]
        return all(idle) if _is_bought(impact) else not idle

    return [impact for impact in earned.impacts if is_fresh(impact)]


def purchases_of(impacts: Iterable[Impact]) -> int:
    """How many of them would be bought; the others wait for a person."""
    return sum(map(_is_bought, impacts))


def _is_bought(impact: Impact) -> bool:
    return impact.held is None and not impact.needs_approval


def _foresee(would: Preview, order: Order, fresh: Sequence[Impact]) -> None:
    for impact in fresh:
        unit = UNIT_OF[impact.kind]
        if impact.held is not None:
            would.held += 1
        elif impact.needs_approval:
            would.awaiting_approval += 1
        else:
            would.placements += 1
            count, quantity = would.totals.get((impact.slot, impact.provider, unit), (0, 0))
            would.totals[impact.slot, impact.provider, unit] = (count + 1, quantity + (impact.quantity or 0))
        if len(would.lines) < _PREVIEW_LINES:
            line = {"order": order.id, "slot": impact.slot, "provider": impact.provider.value, "unit": unit.value}
            waits = {"held": impact.held, "needs_approval": impact.needs_approval}
            would.lines.append({**line, "quantity": impact.quantity, **waits})


def judge(
    policy: Policy, page: Iterable[Order | BrokenOrder]
) -> tuple[list[tuple[Order, Earnings]], list[BrokenOrder]]:
    """The orders of a page, each with what it has earned, and those that could not be read."""
    earnings: list[tuple[Order, Earnings]] = []
    broken: list[BrokenOrder] = []
    for order in page:
        if isinstance(order, BrokenOrder):
            broken.append(order)
        else:
            earnings.append((order, policy.earnings(order)))
    return earnings, broken


async def choose_window(
    ledger: Ledger, policy: Policy, from_day: date | None, to_day: date | None, clock: Clock
) -> Window:
    """
    The days to read: those asked for, or what may have changed since the last run.

    Raises:
        ConfigurationError: The first day is after the last.
    """
    today = clock.now().date()
    watermark = await ledger.watermark(policy.store, SOURCE)
    if watermark is not None:
        watermark = min(watermark, today)  # a clock that was ahead may have written a day that has not come
    from_text, to_text = (None if day is None else day.isoformat() for day in (from_day, to_day))
    return Window.parse(from_text, to_text, today=today, watermark=watermark)
