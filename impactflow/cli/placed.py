"""The output of a run that buys, for a person."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from impactflow.cli.console import out, print_list, print_table
from impactflow.intake.problems import grouped
from impactflow.models import Unit
from impactflow.reports.standing import NO_PRICE, in_standings
from impactflow.texts import counted
from impactflow.units import shown

#: The number of single orders that are printed; with ``--json`` there are more.
_SHOWN = 20


def show_preview(result: Mapping[str, Any]) -> None:
    """Print the purchases that a run would make, those that would wait and why, and orders that would earn nothing."""
    orders = result["orders"]
    out.print(result["window"])
    out.print(
        f"Dry run, nothing was bought: of {counted(orders['read'], 'order')} {orders['eligible']} count;"
        f" {counted(result['would_place'], 'placement')} would be made, {result['would_await_approval']} would await"
        " approval,"
        f" {result['would_hold']} would be held, {result['would_be_on_hold']} would be on hold for some days."
    )
    _show_incomplete(result)
    for note in (*result["notes"], *result["wrong_options"]):
        out.print(note, markup=False)
    _show_totals("Would be bought", result["totals"])
    print_list("Would be held", _held(result["lines"]))
    waiting = [line for line in result["lines"] if line["needs_approval"]]
    print_table("Would await approval", [_line(line) for line in waiting[:_SHOWN]])
    rest = [line for line in result["lines"] if not line["needs_approval"] and line["held"] is None]
    bought = [line for line in rest if line["on_hold_until"] is None]
    print_table("The first of what would be bought", [_line(line) for line in bought[:_SHOWN]])
    on_hold = [line for line in rest if line["on_hold_until"] is not None]
    print_table("Would be on hold", [_line(line, "held", "needs_approval") for line in on_hold[:_SHOWN]])
    print_table("Would earn nothing", result["not_earned"])


def _show_incomplete(preview: Mapping[str, Any]) -> None:
    """Print the orders that a preview leaves out, and why."""
    if preview["may_be_missing"]:
        out.print(f"No two readings of the orders agreed: {preview['may_be_missing']} or more may be missing.")
    if broken := preview["orders"]["broken"]:
        out.print(f"{counted(broken, 'order')} cannot be read, and would earn nothing:")
    for problem, _ in grouped(preview["problems"])[:_SHOWN]:
        out.print(f"  {problem}", markup=False)


def _held(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return each reason once, with its count and the first order."""
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for line in lines:
        if line["held"] is not None:
            why = line["slot"], line["held"]
            counts[why] += 1
            first.setdefault(why, line["order"])
    return [
        f"{count} in slot {slot}, first order {first[slot, reason]}: {reason}"
        for (slot, reason), count in counts.most_common()
    ]


def show_previews(result: Mapping[str, Any]) -> None:
    """Print the purchases that each window of a backfill would make, and the sum of all windows."""
    for window in result["windows"]:
        would, orders = window["would_place"], window["orders"]
        out.print(
            f"{window['from']} to {window['to']}: of {counted(orders['read'], 'order')} {orders['eligible']} count;"
            f" {counted(would, 'placement')} would be made, {window['would_await_approval']} would await approval,"
            f" {window['would_hold']} would be held, {window['would_be_on_hold']} would be on hold for some days."
        )
        _show_incomplete(window)
        print_table("", [_readable(row) for row in window["totals"]])
    for note in (*result["notes"], *result["wrong_options"]):
        out.print(note, markup=False)
    if not result["windows"]:
        out.print("The range is planned to its end already, under this policy.")
    _show_totals("Would be bought in all", _sums(result["windows"]))
    stop = f" It would stop before order {result['ends_before']}." if result["ends_before"] else ""
    out.print(f"Dry run, nothing was bought: {counted(result['would_place'], 'placement')} in all.{stop}")


def _sums(windows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the totals of all windows, by slot, provider and unit."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for window in windows:
        for row in window["totals"]:
            so_far = sums.setdefault((row["slot"], row["provider"], row["unit"]), [0, 0])
            so_far[0] += row["placements"]
            so_far[1] += row["quantity"]
    return [
        {"slot": slot, "provider": provider, "placements": count, "quantity": quantity, "unit": unit}
        for (slot, provider, unit), (count, quantity) in sorted(sums.items())
    ]


def _show_totals(title: str, totals: Sequence[Mapping[str, Any]]) -> None:
    print_table(title, [_readable(row) for row in totals])
    cents = [row["quantity"] for row in totals if row["unit"] == Unit.USD_CENT]
    if cents:
        out.print(
            f"{Decimal(sum(cents)) / 100} USD of that are donations. What the rest costs its sellers say only"
            " when it is bought; `impactflow status --totals` says what was paid so far."
        )
    elif totals:
        out.print(
            "What that costs its sellers say only when it is bought; `impactflow status --totals` says what was"
            " paid so far."
        )


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its quantity in the form for a person."""
    if row["quantity"] is None:
        return dict(row)
    amount, unit = shown(row["quantity"], Unit(row["unit"]))
    return {**row, "quantity": amount, "unit": unit}


def _line(line: Mapping[str, Any], *left_out: str) -> dict[str, Any]:
    left_out = left_out or ("held", "needs_approval", "on_hold_until")
    return {name: value for name, value in _readable(line).items() if name not in left_out}


def show(result: Mapping[str, Any]) -> None:
    """Print a run's actions and purchases, then the orders and deliveries read, then work left and the next step."""
    out.print(f"Placements that this run has changed: {in_standings(result['this_run'])}.")
    if "orders" in result:
        out.print(_read(result["orders"]))
    if (webhooks := result.get("webhooks")) and webhooks["deliveries"]:
        out.print(_deliveries_read(webhooks))
    if result.get("window"):
        out.print(result["window"])
    _show_bought(result["bought"], result["purchases"])
    for note in result.get("notes", ()):
        out.print(note, markup=False)
    if left := _left(result):
        out.print(f"Left in the ledger, by this run and earlier ones: {in_standings(left)}.")
    for name, why in result["left_alone"].items():
        out.print(f"{name} was left alone: {why}", markup=False)
    if broken := result["broken_orders"]:
        lists = "lists it" if broken == 1 else "lists them"
        out.print(f"{counted(broken, 'order')} could not be read; `impactflow status` {lists}.")
    requests = counted(result["requests"], "request")
    out.print(f"{requests} in {result['duration_s']} s. All purchases by day: {result['report']}", markup=False)
    if result["undone"]:
        out.print("Something is left undone: `impactflow status` says what; running this again goes on.")


def show_tracked(result: Mapping[str, Any], *, waited: bool) -> None:
    """
    Print the progress of purchases.

    Args:
        result: The result of the run.
        waited: Whether the command waits until all purchases are complete.
    """
    still = result["open"]
    asked = counted(result["checked"], "look")
    out.print(f"{asked}, {result['completed']} completed, {still} still open. Report: {result['report']}", markup=False)
    if result["unanswered"]:
        out.print(f"{result['unanswered']} of them were not answered, and are asked after again.")
    if result["left_alone"] and not result["refused_keys"]:
        out.print(f"It ended early: {result['left_alone']}", markup=False)
    if still:
        status = " Not all completed within --wait, so the exit status is 1." if waited else ""
        out.print(
            "Some still open is normal: trees and offsets take their providers days. `impactflow track` asks again,"
            f" whenever you like.{status}"
        )


def _read(orders: Mapping[str, Any]) -> str:
    broken = f", {orders['broken']} could not be read" if orders["broken"] else ""
    return f"{counted(orders['read'], 'order')} read, {orders['new']} new, {orders['eligible']} count{broken}."


def _deliveries_read(webhooks: Mapping[str, Any]) -> str:
    """Count the deliveries that were read, by kind; tests are named, because their sender looks for them."""
    parts = {
        "of orders that were sold": webhooks["sold"]["read"] - webhooks["sold"]["broken"],
        "of refunds": webhooks["refunds"],
        "of purchases that got further": webhooks["hints"],
        "unreadable": webhooks["sold"]["broken"],
        "tests, which buy nothing" if webhooks["tests"] > 1 else "a test, which buys nothing": webhooks["tests"],
        "that ask for nothing": webhooks["others"] - webhooks["tests"],
    }
    kinds = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{counted(webhooks['deliveries'], 'webhook delivery', 'webhook deliveries')} read: {kinds}."


def _show_bought(bought: Sequence[Mapping[str, Any]], purchases: str | None) -> None:
    """Print the purchases of this run, and the steps that follow."""
    print_table("Bought by this run", bought)
    if any(row["price_usd"] is None for row in bought):
        out.print(NO_PRICE)
    if purchases is not None:
        out.print(f"Each purchase: {purchases}", markup=False)
    if bought:
        out.print(
            "Placed means ordered. Trees and offsets take their providers days; `impactflow track` asks how far they"
            " are, until all are completed."
        )


def _left(result: Mapping[str, Any]) -> dict[str, int]:
    """Count the work left for further runs or persons; failed placements count only for the days that the run read."""
    everything, of_days = result["all_placements"], result["placements"]
    waiting = {name: everything[name] for name in ("planned", "held", "awaiting_approval", "in_doubt", "parked")}
    return {name: count for name, count in {**waiting, "failed": of_days["failed"]}.items() if count}
