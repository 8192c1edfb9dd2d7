"""What a run that buys came to, as a person reads it: called by ``place``, ``backfill`` and ``reconcile``."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from impactflow.cli.console import out, print_list, print_table
from impactflow.models import Unit
from impactflow.standing import in_standings
from impactflow.units import shown

#: How many single orders are told; with ``--json`` there are more.
_TOLD = 20


def tell_preview(result: Mapping[str, Any]) -> None:
    """Print what a run would buy, what would wait and why, and what would earn nothing."""
    orders = result["orders"]
    out.print(result["window"])
    out.print(
        f"Dry run, nothing was bought: of {orders['read']} orders {orders['eligible']} count;"
        f" {result['would_place']} placements would be made, {result['would_await_approval']} would await approval,"
        f" {result['would_hold']} would be held."
    )
    if result["may_be_missing"]:
        out.print(f"No two readings of the orders agreed: {result['may_be_missing']} or more may be missing.")
    if orders["broken"]:
        out.print(f"{orders['broken']} orders cannot be read, and would earn nothing:")
    for problem in result["problems"][:_TOLD]:
        out.print(f"  {problem}", markup=False)
    for note in (*result["notes"], *result["wrong_options"]):
        out.print(note, markup=False)
    _tell_totals("Would be bought", result["totals"])
    print_list("Would be held", _held(result["lines"]))
    waiting = [line for line in result["lines"] if line["needs_approval"]]
    print_table("Would await approval", [_line(line) for line in waiting[:_TOLD]])
    bought = [line for line in result["lines"] if not line["needs_approval"] and line["held"] is None]
    print_table("The first of what would be bought", [_line(line) for line in bought[:_TOLD]])
    print_table("Would earn nothing", result["not_earned"])


def _held(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each reason once, with how often it stands and the first order."""
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


def tell_previews(result: Mapping[str, Any]) -> None:
    """Print what each window of a backfill would buy, and all of them together."""
    for window in result["windows"]:
        would, orders = window["would_place"], window["orders"]
        out.print(
            f"{window['from']} to {window['to']}: of {orders['read']} orders {orders['eligible']} count;"
            f" {would} placements would be made, {window['would_hold']} would be held."
        )
        print_table("", [_readable(row) for row in window["totals"]])
    if not result["windows"]:
        out.print("The range is planned to its end already, under this policy.")
    _tell_totals("Would be bought in all", _sums(result["windows"]))
    stop = f" It would stop before order {result['ends_before']}." if result["ends_before"] else ""
    out.print(f"Dry run, nothing was bought: {result['would_place']} placements in all.{stop}")


def _sums(windows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The totals of all windows, by slot, provider and unit."""
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


def _tell_totals(title: str, totals: Sequence[Mapping[str, Any]]) -> None:
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
    """A row with its quantity as a person reads it."""
    if row["quantity"] is None:
        return dict(row)
    amount, unit = shown(row["quantity"], Unit(row["unit"]))
    return {**row, "quantity": amount, "unit": unit}


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _readable(line).items() if name not in {"held", "needs_approval"}}


def tell(result: Mapping[str, Any]) -> None:
    """Print what a run did, then what it read, then what stands behind it."""
    out.print(f"Placements that this run has changed: {in_standings(result['this_run'])}.")
    if "orders" in result:
        read = result["orders"]
        out.print(f"{read['read']} orders read, {read['new']} new, {read['eligible']} count.")
    if (told := result.get("webhooks")) and told["deliveries"]:
        out.print(
            f"{told['deliveries']} webhook deliveries read: {told['sold']['read']} of orders that were sold,"
            f" {told['refunds']} of refunds."
        )
    if result.get("window"):
        out.print(result["window"])
    for note in result.get("notes", ()):
        out.print(note, markup=False)
    whose = "All placements of orders sold on these days" if result.get("window") else "All placements"
    out.print(f"{whose}, those of earlier runs and of webhooks among them: {in_standings(result['placements'])}.")
    for name, why in result["left_alone"].items():
        out.print(f"{name} was left alone: {why}", markup=False)
    if result["broken_orders"]:
        out.print(f"{result['broken_orders']} orders could not be read; `impactflow status` lists them.")
    out.print(f"{result['requests']} requests in {result['duration_s']} s. Report: {result['report']}")
    if result["undone"]:
        out.print("Something is left undone: `impactflow status` says what; running this again goes on.")
