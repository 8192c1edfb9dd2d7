"""The preview of a run, as ``--json`` prints it and people see it; also for a run that reads no orders."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from impactflow.buying.options import as_lines, check_options
from impactflow.buying.run import Run
from impactflow.buying.slips import find_slips
from impactflow.intake.deliveries import with_deliveries
from impactflow.intake.planning import Preview, in_words, preview
from impactflow.intake.senders.mapping import Senders
from impactflow.models import BrokenOrder, Order
from impactflow.policy import Policy
from impactflow.window import Window


def as_json(
    would: Preview, window: Window, requests: int, *, notes: Sequence[str] = (), wrong: Sequence[str] = ()
) -> dict[str, Any]:
    """
    A preview for a program.

    Args:
        would: The purchases that a run would make.
        window: The days that it would read.
        requests: How many HTTP requests the preview made.
        notes: Notes for a person about the source of the orders.
        wrong: The mistakes in the policy, as far as its providers and the ledger can show them.
    """
    totals = [
        {"slot": slot, "provider": provider, "placements": count, "quantity": quantity, "unit": unit}
        for (slot, provider, unit), (count, quantity) in sorted(would.totals.items())
    ]
    return {
        "dry_run": True,
        "from": window.from_.isoformat(),
        "to": window.to.isoformat(),
        "orders": {"read": would.read, "eligible": would.eligible, "broken": would.broken},
        "window": in_words(window),
        "notes": list(notes),
        "would_place": would.placements,
        "new": would.new,
        "problems": would.problems,
        "may_be_missing": would.missing,
        "wrong_options": list(wrong),
        "would_hold": would.held,
        "would_await_approval": would.awaiting_approval,
        "would_be_on_hold": would.on_hold,
        "totals": totals,
        "lines": would.lines,
        "not_earned": [
            {"slot": slot, "reason": reason, "orders": count}
            for (slot, reason), count in would.not_earned.most_common(20)
        ],
        "ends_before": would.ends_before,
        "requests": requests,
    }


async def wrong_with(run: Run, policy: Policy) -> list[str]:
    """The mistakes in a policy, as far as the ledger and the providers whose keys are set can show them."""
    slips = await find_slips(run.ledger, policy, run.clock.now().date())
    asked = {rule.slot for rule in policy.rules if not run.without_key(rule.provider)}
    return slips + as_lines(each for each in await check_options(run.provider, policy) if each.slot in asked)


async def preview_deliveries(run: Run, policy: Policy, senders: Senders) -> dict[str, Any]:
    """
    Preview a run that processes webhook deliveries and reads no orders; nothing is written.

    Raises:
        LedgerError: The ledger cannot be read.
        PurchasesUnknown: A run would refuse this ledger.
    """
    notes = await run.compare_ledger({rule.provider for rule in policy.rules}, policy)
    notes += [each.in_words for each in await run.ledger.pauses()]
    today = run.clock.now().date()
    window = Window(today, today, open_ended=True)
    source = await with_deliveries(_NoOrders(), run.ledger, policy, senders)
    would = await preview(run.ledger, source, policy, window, run.clock)
    report = as_json(would, window, run.transport.requests, notes=notes, wrong=await wrong_with(run, policy))
    return {**report, "from": None, "to": None, "window": "No orders are read, only what webhook deliveries told of."}


class _NoOrders:
    """A source that lists no orders; as with a file, an order that it leaves out is not thereby gone."""

    file = "no orders"

    async def read(
        self, window: Window, missing: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[Sequence[Order | BrokenOrder]]:
        """Yield nothing."""
        del window, missing
        listed: Sequence[Order] = ()
        for order in listed:
            yield [order]
