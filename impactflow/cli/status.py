"""The state of the store's placements, orders and deliveries."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from impactflow import stopping
from impactflow.cli import dismiss, ledgers, silence
from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import out, print_json, print_list, print_table
from impactflow.clock import SystemClock
from impactflow.errors import ConfigurationError
from impactflow.intake.problems import grouped, named
from impactflow.ledger import Ledger, Need, Needs, Open, Pause, Pending, Status, Total
from impactflow.ledger.location import describe
from impactflow.models import Unit
from impactflow.reports.standing import (
    NO_PRICE,
    WHAT_TO_DO,
    Counts,
    Standing,
    by_provider,
    caps_in_words,
    on_hold_in_words,
    reads_again,
    takes_up_deliveries,
)
from impactflow.settings import Settings, load_settings
from impactflow.texts import counted, one_line
from impactflow.units import SHOWN, exact_text, shown

#: The number of unreadable orders that are listed.
_BROKEN = 100
#: The number of orders with the same problem that are named.
_NAMED = 5


@dataclass(frozen=True)
class _ByPolicy:
    """
    What the policy says about planned placements.

    Args:
        unread: The number of those whose orders must be read again.
        read_by: The command that reads these orders, in words.
        caps: Sentences about the caps that are used to a good part.
        behind_caps: The number of those that wait for room in a cap.
        unknown: The reason why the policy says nothing, in words; empty where it does.
    """

    unread: int = 0
    read_by: str = ""
    caps: Sequence[str] = ()
    behind_caps: int = 0
    unknown: str = ""


@dataclass(frozen=True)
class _Now:
    """
    The state of the ledger.

    Args:
        counts: Placements by provider and status.
        needs: Placements that need a person or a further run, by reason.
        attention: The first of these placements, one by one.
        broken: Orders that could not be read.
        pending: Webhook deliveries that are not processed yet.
        by_policy: What the policy says about planned placements.
        places: The command that processes deliveries and buys planned placements.
        silence: The reasons for held placements, for orders that did not earn, and for refusals.
        totals: The purchases, where the caller asked for them.
        shares: What waits for purchases for many orders.
        on_hold: The number of planned placements that are on hold, and the end of the first hold.
        pauses: The pauses that stand.
        paused: The number of planned placements that they hold back.
    """

    counts: Counts
    needs: Needs
    attention: Sequence[Mapping[str, Any]]
    broken: Sequence[Mapping[str, Any]]
    pending: Sequence[Pending]
    by_policy: _ByPolicy
    places: str
    silence: silence.Silence
    totals: Sequence[Total] | None
    shares: Sequence[Open]
    on_hold: tuple[int, datetime | None]
    pauses: Sequence[Pause]
    paused: int

    @property
    def undone(self) -> bool:
        """Whether anything is left for a person or a further run."""
        standing = Standing.of(self.counts)
        waiting = standing.waiting > self.on_hold[0] + self.by_policy.behind_caps
        return bool(waiting or standing.failed or self.broken or self.pending)


def show_status(*, totals: bool, as_json: bool) -> int:
    """
    Print the state of things; return 1 where something is left undone.

    Args:
        totals: Whether to print the sums of all purchases, too.
        as_json: Whether a program reads the output.

    Raises:
        ConfigurationError: There is no ledger.
        LedgerError: The ledger cannot be read.
    """
    settings = load_settings()
    with ledgers.open_existing(settings) as ledger:
        now = stopping.run(_read(ledger, settings, totals=totals))
    where = describe(settings.impactflow_ledger_url)
    if as_json:
        print_json(_as_json(now, where))
    else:
        _show(now, where)
    return UNDONE if now.undone else DONE


async def _read(ledger: Ledger, settings: Settings, *, totals: bool) -> _Now:
    counts, at = await ledger.counts(), SystemClock().now()
    return _Now(
        counts,
        await ledger.needs(),
        await ledger.attention(),
        await ledger.broken(_BROKEN),
        await ledger.pending_by_source(),
        await _by_policy(ledger, settings, at) if Standing.of(counts).planned else _ByPolicy(),
        takes_up_deliveries(settings),
        await silence.measure(ledger, at),
        await ledger.totals() if totals else None,
        await ledger.open_shares(),
        await ledger.on_hold(at),
        await ledger.pauses(),
        await ledger.paused(at),
    )


async def _by_policy(ledger: Ledger, settings: Settings, at: datetime) -> _ByPolicy:
    from impactflow.intake.planning import unread  # noqa: PLC0415 - slow to load, and seldom anything is planned
    from impactflow.policy import load_policy  # noqa: PLC0415 - likewise

    try:
        policy = load_policy(settings.impactflow_policy)
    except ConfigurationError as error:
        return _ByPolicy(
            unknown=f"What planned placements wait for is not known without the policy: {one_line(str(error))}"
        )
    waiting, command = await unread(ledger, policy, SystemClock())
    uses, behind = await ledger.caps(policy.store, policy.caps_at(at), at)
    return _ByPolicy(waiting, reads_again(settings, command), caps_in_words(uses, at), behind)


def _as_json(now: _Now, where: str) -> dict[str, Any]:
    totals = {} if now.totals is None else {"totals": _added_up(now.totals)}
    return {
        "placements": by_provider(now.counts),
        "needs_attention": now.attention,
        "needs": [asdict(need) for need in now.needs.first],
        "broken_orders": now.broken,
        "waiting_deliveries": [asdict(each) for each in now.pending],
        "wait_to_be_read": now.by_policy.unread,
        "wait_to_be_bought_together": [
            {"slot": each.slot, "unit": each.unit, "orders": each.orders, "quantity": each.quantity}
            for each in now.shares
        ],
        "on_hold": now.on_hold[0],
        "wait_for_a_cap": now.by_policy.behind_caps,
        "pauses": [each.as_json() for each in now.pauses],
        "wait_for_a_pause": now.paused,
        "ledger": where,
        **totals,
        **now.silence.as_json(),
        "undone": now.undone,
    }


def _show(now: _Now, where: str) -> None:
    used = {status.value for _, status in now.counts}
    rows = [
        {"provider": provider, **{name: count for name, count in statuses.items() if name in used}}
        for provider, statuses in by_provider(now.counts).items()
    ]
    print_table("Placements", rows if now.counts else [])
    if now.totals is not None:
        totals = _added_up(now.totals)
        print_table("Bought in all", totals)
        if any(row["price_usd"] is None for row in totals):
            out.print(NO_PRICE)
    if not now.counts:
        out.print(
            "The ledger holds no placements: `impactflow place` (`--orders FILE`, `--webhooks`) reads orders and buys"
            " what they have earned."
        )
    out.print(f"Ledger: {where}", markup=False)
    _show_pending(now.pending, now.places)
    _show_held_back(now)
    by_policy = now.by_policy
    if by_policy.unknown:
        out.print(by_policy.unknown, markup=False)
    if by_policy.unread:
        wait = "waits" if by_policy.unread == 1 else "wait"
        placements = counted(by_policy.unread, "planned placement")
        out.print(f"{placements} {wait} to be read again: {by_policy.read_by} does that.", markup=False)
    waiting = max(by_policy.unread, by_policy.behind_caps) + now.paused + now.on_hold[0]
    if (ready := Standing.of(now.counts).planned - waiting) > 0:
        out.print(
            f"{counted(ready, 'planned placement')} still to be bought: {now.places} goes on with that.", markup=False
        )
    _show_needs(now.needs)
    print_list("Orders that could not be read", _broken(now.broken))
    if now.broken:
        out.print(dismiss.HOW, markup=False)
    now.silence.show()
    if now.undone:
        out.print("Something is left undone, as said above, so the exit status is 1.")


def _show_held_back(now: _Now) -> None:
    """Print what the policy's hold and persons' pauses keep from being bought."""
    if hold := on_hold_in_words(*now.on_hold):
        out.print(hold, markup=False)
    for each in now.shares:
        name, size = SHOWN[each.unit]
        what = f"{exact_text(each.quantity / size)} {name} of {counted(each.orders, 'order')}"
        out.print(f"Waiting to be bought together in slot {each.slot}: {what}.", markup=False)
    for text in now.by_policy.caps:
        out.print(text, markup=False)
    for pause in now.pauses:
        out.print(pause.in_words, markup=False)
    if now.pauses:
        wait = "waits" if now.paused == 1 else "wait"
        out.print(f"{counted(now.paused, 'planned placement')} {wait} for that.", markup=False)


def _broken(broken: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each problem once, with the first names to show or dismiss."""
    return [
        f"{named([str(broken[index]['name']) for index in places], _NAMED)}: {problem}"
        for problem, places in grouped(str(each["problem"]) for each in broken)
    ]


def _show_pending(pending: Sequence[Pending], places: str) -> None:
    if not pending:
        return
    count, since = sum(each.count for each in pending), min(each.since for each in pending)
    sources = ", ".join(f"{each.count} of {each.source} for {each.store}" for each in pending)
    wait = "waits" if count == 1 else "wait"
    deliveries = counted(count, "webhook delivery", "webhook deliveries")
    out.print(
        f"{deliveries} {wait} to be read ({sources}), since {since:%Y-%m-%d %H:%M} UTC: {places}"
        " reads what waits, and so does the deployment `events`.",
        markup=False,
    )


def _show_needs(needs: Needs) -> None:
    """Print each reason once, with its count; then the remedy, once for each status."""
    print_list("Needs attention", [_in_words(need) for need in needs.first])
    if needs.others:
        out.print(f"  and {needs.others} more for other reasons")
    for status in dict.fromkeys(need.status for need in needs.first):
        out.print(f"{_name(status).capitalize()}: {WHAT_TO_DO[status]}.", markup=False)


def _in_words(need: Need) -> str:
    first = f"order {need.order}" if need.count == 1 else f"first order {need.order}"
    why = f": {need.reason}" if need.reason else ""
    return f"{need.count} {_name(need.status)} at {need.provider}, slot {need.slot}, {first}{why}"


def _name(status: Status) -> str:
    return status.replace("_", " ")


def _added_up(totals: Sequence[Total]) -> list[dict[str, Any]]:
    """Sum the purchases by slot and provider, over all days; no price where a part of it is unknown."""
    groups: dict[tuple[str, str, str, str], list[Total]] = defaultdict(list)
    for total in totals:
        groups[total.slot, total.provider, total.kind, total.unit].append(total)
    return [_sum(*key, days) for key, days in sorted(groups.items())]


def _sum(slot: str, provider: str, kind: str, unit: str, days: Sequence[Total]) -> dict[str, Any]:
    amount, shown_unit = shown(sum(day.quantity for day in days), Unit(unit))
    prices = [day.price_usd_cents for day in days]
    cents = None if None in prices else sum(price for price in prices if price is not None)
    return {
        "slot": slot,
        "provider": provider,
        "impact": kind,
        "placements": sum(day.placements for day in days),
        "completed": sum(day.completed for day in days),
        "amount": amount,
        "unit": shown_unit,
        "price_usd": None if cents is None else Decimal(cents) / 100,
    }
