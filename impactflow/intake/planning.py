"""
Plan: read a window of orders, ask the policy what each has earned, and make that durable.

    Wicked Reports ──pages──▶ orders ──▶ policy ──▶ ledger        (then, and only then, the watermark moves)

A file of orders goes the same way. A file does not list all orders of its days: it moves no watermark, and says nothing
about the orders that it leaves out.

``buying`` sends the planned placements.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fractions import Fraction

from impactflow.clock import Clock
from impactflow.intake.source import OrderSource
from impactflow.ledger import Foreseen, Fresh, Kept, Ledger, Listing, Origin, Outdated, Outlook, Page, Planned, Status
from impactflow.models import PARTS, UNIT_OF, BrokenOrder, Earnings, Impact, Order, Refund
from impactflow.names import is_lot
from impactflow.policy import Policy
from impactflow.window import Window

log = logging.getLogger(__name__)

#: The name of the orders' source in the ledger.
SOURCE = "wickedreports"
#: The marks of the last day on which the watch was read, and of the first day since which every day was read.
_WATCHED, _BEGINS = f"{SOURCE} watch", f"{SOURCE} begins"
#: How far back orders change: a bank transfer that is approved late, an order that is listed late, a refund.
WATCH_DAYS = 60
_DAY = timedelta(days=1)
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
        ledger: The ledger.
        source: The source of the orders.
        policy: The policy.
        window: The days to read.
        clock: The clock.
        run_id: The run's id.
        moves_watermark: Whether the window follows the days read before. A window that a person chose does not move the
            watermark, or the next run would take the days between as read. A file never moves it.
        report: Called after each page.

    Raises:
        ProviderError: A page could not be read; the pages before it are planned.
        LedgerError: A page could not be written; the pages before it are planned.
    """
    began = clock.now()
    planned, _ = await plan_pages(ledger, source, policy, window, clock, run_id, report=report)
    if planned.beyond_day:
        log.warning(
            "a ceiling for one day was reached: %d placements beyond it wait for approval", planned.beyond_day,
            extra={"action": "day_ceiling_reached"},
        )  # fmt: skip
    if planned.missing:
        return planned
    if source.file is not None:
        await ledger.mend_lines(policy.store, source.file, began)
        return planned
    await ledger.leave_unlisted(Listing(policy.store, window.span, began, run_id))
    await _remember(ledger, policy.store, window, clock, moves_watermark=moves_watermark)
    return planned


async def plan_pages(
    ledger: Ledger,
    source: OrderSource,
    policy: Policy,
    window: Window,
    clock: Clock,
    run_id: str,
    *,
    at_most: int | None = None,
    report: Callable[[Planned], None] = lambda _: None,
) -> tuple[Planned, str | None]:
    """
    Read a window, and plan its pages one after the other.

    Args:
        ledger: The ledger.
        source: The source of the orders.
        policy: The policy.
        window: The days to read.
        clock: The clock.
        run_id: The run's id.
        at_most: The most placements to plan; the first order that would exceed it is left, with all orders after it.
        report: Called after each page.

    Returns:
        The result, with the number of orders that may be missing; and why an order was left, None if none was.

    Raises:
        ProviderError: A page could not be read; the pages before it are planned.
        LedgerError: A page could not be written; the pages before it are planned.
    """
    planned, missing = Planned(), 0

    def miss(count: int) -> None:
        nonlocal missing
        missing = count

    async for orders in source.read(window, miss):
        earnings, broken = evaluate(policy, orders)
        while earnings or broken:
            fits, needed = len(earnings), 0
            if at_most is not None:
                fits, needed = await _how_many_fit(ledger, policy, earnings, at_most - planned.placements)
            if not fits and not broken:
                room = (at_most or 0) - planned.placements
                return planned, f"order {earnings[0][0].id} needs {needed} placements and at_most leaves {room}"
            page = page_of(policy, earnings[:fits], clock, broken=broken, run_id=run_id)
            planned += await ledger.plan(replace(page, new_from=window.new_since))
            report(planned)
            earnings, broken = earnings[fits:], []
    return planned + Planned(missing=missing), None


async def _how_many_fit(
    ledger: Ledger, policy: Policy, earnings: Sequence[tuple[Order, Earnings]], room: int
) -> tuple[int, int]:
    """The number of first orders that surely plan at most that many placements; and the number the next one needs."""
    known = await ledger.known_slots(policy.store, [name for order, _ in earnings for name in order.names])
    for count, (order, earned) in enumerate(earnings):
        needed = most_purchases(policy, order, earned, known)
        if needed > room:
            return count, needed
        room -= needed
    return len(earnings), 0


async def evaluate_again(ledger: Ledger, policy: Policy, clock: Clock, run_id: str) -> Planned:
    """
    Plan again, from the kept orders, placements that wait under another policy or were withdrawn for a refund.

    So a corrected policy releases held placements, wherever their orders came from.

    Raises:
        LedgerError: A page could not be written; the next run judges it again.
    """
    planned = Planned()
    await ledger.give_up_outdated_lots(Outdated(policy.store, policy.digest, clock.now(), run_id))
    async for kept in _kept(ledger, policy):
        earnings, _ = evaluate(policy, [each.order for each in kept])
        planned += await ledger.plan(page_of(policy, earnings, clock, run_id=run_id, origin=Origin.KEPT))
    return planned


async def _kept(ledger: Ledger, policy: Policy) -> AsyncIterator[Sequence[Kept]]:
    after = 0
    while page := await ledger.to_evaluate_again(policy.store, policy.digest, after=after):
        yield page
        after = page[-1].row


async def _remember(ledger: Ledger, store: str, window: Window, clock: Clock, *, moves_watermark: bool) -> None:
    """Record that a window was read completely."""
    today, marks = clock.now().date(), []
    if moves_watermark:
        marks.append(ledger.advance_watermark(store, SOURCE, window.to, today=today))
        if window.watches:
            marks.append(ledger.advance_watermark(store, _WATCHED, window.to, today=today))
    begins = window.from_ if window.new_from is None else window.new_from
    if begins <= window.to:
        marks.append(remember_days(ledger, store, begins, window.to, begins=window.open_ended))
    await asyncio.gather(*marks)


async def remember_days(ledger: Ledger, store: str, from_: date, to: date, *, begins: bool = False) -> None:
    """Record that all days between these are planned: the watch of old orders reaches back to them without a gap."""
    if begins or await ledger.watermark(store, _BEGINS) is not None:
        await ledger.reach_back(store, _BEGINS, from_, to)


@dataclass(slots=True)
class Preview:
    """
    The purchases that a run would make.

    Args:
        read: Orders read.
        eligible: Orders that count.
        broken: Orders that could not be read.
        placements: How many purchases it would make.
        totals: How much by (slot, provider, unit): purchases and quantity.
        held: How many purchases would wait until a person has corrected something.
        awaiting_approval: How many would wait until a person has approved them.
        on_hold: How many would be planned, and bought only once their hold is over.
        lines: The first purchases, one line each: order, slot, provider, unit, quantity, held,
            needs_approval, on_hold_until.
        ends_before: The first order that would exceed the limit, and was not looked at; None where all were.
        new: How many of the purchases are not planned yet.
        missing: How many orders may be missing, because no two readings of their days agreed.
        problems: The problems of the first orders that could not be read.
        pooled: By slot and unit, how many of the orders share in purchases for many orders that are not made yet, and
            how much they have earned of them.
        not_earned: How many orders earn nothing in a slot, or at all where that is empty, by slot and reason.
    """

    read: int = 0
    eligible: int = 0
    broken: int = 0
    placements: int = 0
    held: int = 0
    awaiting_approval: int = 0
    on_hold: int = 0
    totals: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    lines: list[dict[str, str | int | bool | None]] = field(default_factory=list)
    ends_before: str | None = None
    new: int = 0
    missing: int = 0
    problems: list[str] = field(default_factory=list)
    pooled: dict[tuple[str, str], tuple[int, Fraction]] = field(default_factory=dict)
    not_earned: Counter[tuple[str, str]] = field(default_factory=Counter)


async def preview(
    ledger: Ledger,
    source: OrderSource,
    policy: Policy,
    window: Window,
    clock: Clock,
    *,
    at_most: int | None = None,
    with_planned: bool = True,
) -> Preview:
    """
    Preview the purchases of ``plan`` and the placing after it; nothing is written and nothing is bought.

    Placements that are planned already are included where they would still be sent once their orders were read again.

    Args:
        ledger: The ledger.
        source: The source of the orders.
        policy: The policy.
        window: The days to read.
        clock: The clock.
        at_most: The most purchases to plan anew; the preview ends before the order that would exceed it.
        with_planned: Whether to include placements planned for orders of other days that would be sent too.

    Raises:
        ProviderError: A page could not be read.
    """
    would, read, seen, outlook = Preview(), set[int](), set[int](), Outlook()

    def miss(count: int) -> None:
        would.missing = count

    async for page in source.read(window, miss):
        names = [name for order in page if isinstance(order, Order) for name in order.names]
        seen.update(map(hash, names))
        refunds = await ledger.refunds(policy.store, names)
        as_read = {order.id: order for order in page if isinstance(order, Order)}
        earnings, broken = evaluate(policy, [after_refunds(order, refunds) for order in page])
        would.read += len(page)
        would.broken += len(broken)
        would.problems += [each.problem for each in broken[: _PREVIEW_LINES - len(would.problems)]]
        known = await ledger.known_slots(policy.store, names)
        taken = [each for each in earnings if _is_taken(each[0], window, known)]
        would.eligible += sum(earned.eligible for _, earned in taken)
        would.not_earned.update(
            (each.slot or "", each.reason)
            for _, earned in taken
            for each in earned.unearned
            if each.slot not in policy.slots_for_first  # the ledger alone knows which are
        )
        fits = _count_new(would, policy, taken, known, at_most)
        fits = [(as_read[order.id], earned) for order, earned in fits]  # the ledger knows the refunds, and more
        for each in await ledger.foresee(page_of(policy, fits, clock), outlook):
            read.add(each.placement or 0)
            _foresee(would, each, clock.now())
        if would.ends_before:
            break
    would.not_earned.update(
        {(slot, why): count for (slot, why), count in outlook.unearned.items() if slot in policy.slots_for_first}
    )
    unit_of = {pool.slot: UNIT_OF[pool.kind].value for pool in policy.pools_at(clock.now())}
    would.pooled = {
        (slot, unit_of[slot]): (count, Fraction(parts, PARTS))
        for slot, (count, parts) in sorted(outlook.pooled.items())
    }
    if with_planned and not would.ends_before:
        waiting = await ledger.to_send(policy.store, Fresh.at(policy.digest, clock.now()))
        is_complete = source.file is None and not would.missing
        for each in [*await _foresee_kept(ledger, policy, clock, outlook, seen), *waiting]:
            unlisted = is_complete and each.was_listed and window.contains(each.ordered_at)
            if each.placement not in read and not unlisted:
                read.add(each.placement or 0)
                _foresee(would, each, clock.now())
    return would


async def _foresee_kept(
    ledger: Ledger, policy: Policy, clock: Clock, outlook: Outlook, seen: Collection[int]
) -> Sequence[Foreseen]:
    """The placements of unseen orders after judging again, without those that would wait until they are read again."""
    found: list[Foreseen] = []
    async for kept in _kept(ledger, policy):
        earnings, _ = evaluate(
            policy, [each.order for each in kept if each.is_sent(clock.now()) and not _is_seen(each, seen)]
        )
        foreseen = await ledger.foresee(page_of(policy, earnings, clock, origin=Origin.KEPT), outlook)
        listed = {each.order.id for each in kept if each.was_listed}
        found += [replace(each, was_listed=each.order in listed) for each in foreseen]
    return found


def _is_seen(kept: Kept, seen: Collection[int]) -> bool:
    return any(hash(name) in seen for name in kept.order.names)


def _count_new(
    would: Preview,
    policy: Policy,
    earnings: Sequence[tuple[Order, Earnings]],
    known: Mapping[tuple[str, str], bool],
    at_most: int | None,
) -> Sequence[tuple[Order, Earnings]]:
    """The first orders that together plan no more new purchases than allowed."""
    for count, (order, earned) in enumerate(earnings):
        needed = most_purchases(policy, order, earned, known)
        if at_most is not None and would.new + needed > at_most:
            would.ends_before = order.id
            return earnings[:count]
        would.new += needed
    return earnings


def page_of(
    policy: Policy,
    earnings: Sequence[tuple[Order, Earnings]],
    clock: Clock,
    *,
    broken: Sequence[BrokenOrder] = (),
    run_id: str = "",
    origin: Origin = Origin.READ,
) -> Page:
    """A page of orders, each with what it has earned under a policy, as the ledger plans it."""
    return Page(
        policy.store,
        earnings,
        broken,
        policy.earnings,
        policy.digest,
        run_id,
        clock.now(),
        origin,
        wants=policy.wants,
        asks_for_first=policy.asks_for_first,
        distinct_sources=frozenset(each.strip().lower() for each in policy.distinct_sources or ()),
        undoes=policy.undoes,
        reduces=policy.reduces,
    )


def after_refunds(order: Order | BrokenOrder, refunds: Mapping[str, Sequence[Refund]]) -> Order | BrokenOrder:
    """An order after the refunds that are known by one of its names; a broken one as it is."""
    if isinstance(order, BrokenOrder):
        return order
    return order.after(refund for name in order.names for refund in refunds.get(name, ()))


def fresh_impacts(order: Order, earned: Earnings, known: Mapping[tuple[str, str], bool]) -> list[Impact]:
    """
    The impacts that planning an order would add, to be bought or to wait for a person.

    Args:
        order: The order.
        earned: What it has earned.
        known: From ``Ledger.known_slots``, for at least its names.
    """

    def is_fresh(impact: Impact) -> bool:
        idle = [known[name, impact.slot] for name in order.names if (name, impact.slot) in known]
        return all(idle) if _is_bought(impact) else not idle

    return [impact for impact in earned.impacts if is_fresh(impact)]


def most_purchases(policy: Policy, order: Order, earned: Earnings, known: Mapping[tuple[str, str], bool]) -> int:
    """
    The most purchases that planning an order adds; placements that wait for a person do not count.

    Only the ledger knows whether the order is its customer's first, so the larger number is counted.
    """
    outcomes = [earned]
    if policy.asks_for_first:
        outcomes = [policy.earnings(replace(order, is_first=is_first)) for is_first in (True, False)]
    return max(sum(map(_is_bought, fresh_impacts(order, each, known))) for each in outcomes)


def _is_bought(impact: Impact) -> bool:
    return impact.held is None and not impact.needs_approval and not impact.is_pooled


def _foresee(would: Preview, each: Foreseen, now: datetime) -> None:
    is_on_hold = each.status is Status.PLANNED and each.buy_from is not None and each.buy_from > now
    unit = UNIT_OF[each.kind]
    held = each.reason if each.status is Status.HELD else None
    if each.status is Status.HELD:
        would.held += 1
    elif each.status is Status.AWAITING_APPROVAL:
        would.awaiting_approval += 1
    elif is_on_hold:
        would.on_hold += 1
    else:
        would.placements += 1
        count, quantity = would.totals.get((each.slot, each.provider, unit), (0, 0))
        would.totals[each.slot, each.provider, unit] = (count + 1, quantity + (each.quantity or 0))
    if len(would.lines) < _PREVIEW_LINES:
        line = {"order": each.order, "slot": each.slot, "provider": each.provider.value, "unit": unit.value}
        waits = {"held": held, "needs_approval": each.status is Status.AWAITING_APPROVAL}
        buy_from = each.buy_from.isoformat() if is_on_hold and each.buy_from else None
        would.lines.append({**line, "quantity": each.quantity, **waits, "on_hold_until": buy_from})


def _is_taken(order: Order, window: Window, known: Mapping[tuple[str, str], bool]) -> bool:
    """Whether an order would be planned: it is new, or something was planned for it."""
    if window.new_since is None or order.ordered_at >= window.new_since:
        return True
    return not {name for name, _ in known}.isdisjoint(order.names)


def evaluate(
    policy: Policy, page: Iterable[Order | BrokenOrder]
) -> tuple[list[tuple[Order, Earnings]], list[BrokenOrder]]:
    """The orders of a page, each with what it has earned, and those that could not be read."""
    earnings: list[tuple[Order, Earnings]] = []
    broken: list[BrokenOrder] = []
    for order in page:
        if isinstance(order, BrokenOrder):
            broken.append(order)
        elif is_lot(order.id):
            broken.append(BrokenOrder(order.id, "its id is of the form that names purchases for many orders, lot:..."))
        else:
            earnings.append((order, policy.earnings(order)))
    return earnings, broken


async def choose_window(
    ledger: Ledger, policy: Policy, from_day: date | None, to_day: date | None, clock: Clock
) -> Window:
    """
    The days to read: those asked for, or what may have changed since the last run.

    By default the days begin a week before the last day read, or at the oldest order with a placement still to be sent;
    once a day they are the last ``WATCH_DAYS``. The latter two reach back ``WATCH_DAYS`` at most. Orders of days that
    no run had read before do not count as new: a first run reads a week, and no later run buys anything older.

    Raises:
        ConfigurationError: The first day is after the last.
    """
    today, store = clock.now().date(), policy.store
    watermark = await ledger.watermark(store, SOURCE)
    if watermark is not None:
        watermark = min(watermark, today)  # a clock that was ahead may have written a day that has not come
    from_text, to_text = (None if day is None else day.isoformat() for day in (from_day, to_day))
    window = Window.parse(from_text, to_text, today=today, watermark=watermark)
    if from_day is not None or to_day is not None:
        return window
    begins = min(window.from_, await ledger.watermark(store, _BEGINS) or window.from_)
    furthest = today - WATCH_DAYS * _DAY
    from_, why, watches = window.from_, "a week before the last reading", False
    if await ledger.watermark(store, _WATCHED) != today:
        from_, watches = min(from_, max(begins, furthest)), True
        if from_ < window.from_:
            why = f"once a day the last {WATCH_DAYS} days, as far as they were read before"
    pools = policy.pools_at(clock.now())
    oldest = await ledger.oldest_waiting(store, clock.now()), await ledger.oldest_due_share(store, pools)
    waiting = min((at for at in oldest if at is not None), default=None)
    if waiting is not None and (since := max(waiting.date(), furthest)) < from_:
        from_, why = since, "back to the oldest order of which something is still to be sent"
    return replace(window, from_=from_, new_from=begins, watches=watches, why=why)


def watched(today: date, since: date | None = None) -> Window:
    """The last ``WATCH_DAYS``, and back to an earlier day, for a run that only reads again what the ledger knows."""
    from_ = min(filter(None, (today - WATCH_DAYS * _DAY, since)))
    why = f"the last {WATCH_DAYS} days, back to the oldest order of which something is to be undone"
    return Window(from_, today, open_ended=True, new_from=today + 2 * _DAY, why=why)


async def unread(ledger: Ledger, policy: Policy, clock: Clock) -> tuple[int, str]:
    """The number of planned placements that wait until their orders are read again, and the command that reads them."""
    now = clock.now()
    count, since = await ledger.unread(policy.store, Fresh.at(policy.digest, now))
    is_far = since is not None and since.date() < now.date() - WATCH_DAYS * _DAY
    return count, f"impactflow place --from {since:%Y-%m-%d}" if since and is_far else "impactflow place"


def in_words(window: Window) -> str:
    """The days that are read, and the reason, for a person."""
    return f"Orders of {window.from_} to {window.to} are read: {window.why}."
