"""Print what policies would have bought over past orders; nothing is written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from impactflow import stopping
from impactflow.cli.console import out, print_json, print_table, waiting_for
from impactflow.clients import open_wickedreports
from impactflow.clients.http import open_transport
from impactflow.clock import Clock
from impactflow.intake.estimate import Estimate, Line, Reading, difference, estimate
from impactflow.intake.file import OrdersFile
from impactflow.intake.source import OrderSource
from impactflow.intake.wickedreports import WickedReportsOrders
from impactflow.models import Unit
from impactflow.policy import Policy, load_policy
from impactflow.settings import Settings, load_settings
from impactflow.texts import counted
from impactflow.units import shown
from impactflow.window import Window, day_of

#: The days that are read where no range is given.
_DAYS = 30


def show_estimates(
    policies: Sequence[Path], from_: str | None, to: str | None, orders: Path | None, clock: Clock, *, as_json: bool
) -> None:
    """
    Evaluate one or two policies over past orders, and print what each would have bought, and the difference.

    Args:
        policies: The policy's file, and the one to compare it with, if any.
        from_: The first day of orders, UTC; by default thirty days before the last, of a file its first.
        to: The last day, included; by default today, of a file its last.
        orders: A file of orders in the place of Wicked Reports.
        clock: The clock.
        as_json: Whether a program reads the output.

    Raises:
        ConfigurationError: A policy, the file of orders or a day cannot be read, or a key is missing.
        ProviderError: Wicked Reports cannot be read now.
    """
    settings = load_settings()
    loaded = [load_policy(path) for path in policies]
    today = clock.now().date()
    if orders is not None:
        file = OrdersFile.open(orders)
        first, last = (day_of(name, text) if text else None for name, text in (("--from", from_), ("--to", to)))
        window = file.window(first, last, today)
        with waiting_for("the orders"):
            reading, estimates = stopping.run(estimate(file, window, loaded))
    else:
        window = Window.parse(from_, to, today=today, watermark=None, overlap_days=_DAYS)
        with waiting_for("the orders"):
            reading, estimates = stopping.run(_estimate_online(settings, clock, window, loaded))
    if as_json:
        print_json(_as_json(policies, window, reading, estimates))
    else:
        _show(policies, window, reading, estimates)


async def _estimate_online(
    settings: Settings, clock: Clock, window: Window, policies: Sequence[Policy]
) -> tuple[Reading, Sequence[Estimate]]:
    transport = open_transport(settings.impactflow_concurrency)
    try:
        source: OrderSource = WickedReportsOrders(open_wickedreports(settings, transport, clock))
        return await estimate(source, window, policies)
    finally:
        await transport.aclose()


def _as_json(
    policies: Sequence[Path], window: Window, reading: Reading, estimates: Sequence[Estimate]
) -> dict[str, Any]:
    printed = {
        "from": window.from_,
        "to": window.to,
        "orders": {"read": reading.orders, "broken": reading.broken, "may_be_missing": reading.missing},
        "policies": [
            {
                "policy": str(path),
                "eligible": each.eligible,
                "lines": [_row(line) for line in each.lines],
                "cost_usd": each.cost_usd,
            }
            for path, each in zip(policies, estimates, strict=True)
        ],
    }
    if len(estimates) > 1:
        more = difference(*estimates).items()
        printed["difference"] = [{"slot": slot, "quantity": amount, "cost_usd": cost} for slot, (amount, cost) in more]
    return printed


def _show(policies: Sequence[Path], window: Window, reading: Reading, estimates: Sequence[Estimate]) -> None:
    out.print(
        f"{counted(reading.orders, 'order')} of {window.from_} to {window.to}, as their source shows them now. Nothing"
        " was written or bought."
    )
    if reading.broken:
        out.print(f"{counted(reading.broken, 'order')} could not be read: `impactflow place --dry-run` says why.")
    if reading.missing:
        out.print(f"No two readings of the orders agreed: {reading.missing} or more may be missing.")
    for path, each in zip(policies, estimates, strict=True):
        print_table(f"{path}: {counted(each.eligible, 'order')} count", [_readable(line) for line in each.lines])
        if each.cost_usd is not None:
            out.print(f"In all {each.cost_usd:.2f} USD.")
        else:
            out.print("A cost is blank where the rule says no price: `price_usd` of the rule is what one unit costs.")
    if len(estimates) > 1:
        first, second = policies
        units = {line.slot: line.unit for each in estimates for line in each.lines}
        more = difference(*estimates).items()
        rows = [{"slot": slot, **_amount(amount, units[slot]), "cost_usd": cost} for slot, (amount, cost) in more]
        print_table(f"{first} buys more than {second} (less, where a figure is negative)", rows)


def _row(line: Line) -> dict[str, Any]:
    return {
        "slot": line.slot,
        "provider": line.provider.value,
        "placements": line.placements,
        "quantity": line.quantity,
        "unit": line.unit.value,
        "cost_usd": line.cost_usd,
        "await_approval": line.await_approval,
        "held": line.held,
    }


def _readable(line: Line) -> Mapping[str, Any]:
    row = _row(line)
    return {**row, **_amount(line.quantity, line.unit)}


def _amount(quantity: int, unit: Unit) -> dict[str, Any]:
    amount, name = shown(quantity, unit)
    return {"quantity": amount, "unit": name}
