"""The output of a run that buys, for a person."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from impactflow.buying.preview import DryBackfill, DryRun
from impactflow.cli.console import out, print_list, print_table
from impactflow.intake.deliveries import Processed
from impactflow.intake.planning import Preview, in_words
from impactflow.intake.problems import grouped
from impactflow.ledger import Planned
from impactflow.models import Unit
from impactflow.reports.files import Reported
from impactflow.reports.refunded import RefundsOutcome
from impactflow.reports.standing import NO_PRICE, Standing, in_standings
from impactflow.reports.summary import LedgerState, Outcome, TrackOutcome
from impactflow.texts import counted
from impactflow.units import shown

#: The number of single orders that are printed; with ``--json`` there are more.
_SHOWN = 20


def show(result: Outcome | DryRun | DryBackfill) -> None:
    """Print the result of a run or of a dry run."""
    match result:
        case Outcome():
            show_placed(result, undone=result.undone)
        case DryRun():
            _show_preview(result)
        case DryBackfill():
            _show_previews(result)


def _show_preview(result: DryRun) -> None:
    """Print the purchases that a run would make, those that would wait and why, and orders that would earn nothing."""
    would = result.would
    out.print(result.days_in_words)
    out.print(
        f"Dry run, nothing was bought: of {counted(would.read, 'order')} {would.eligible} count;"
        f" {counted(would.placements, 'placement')} would be made, {would.awaiting_approval} would await approval,"
        f" {would.held} would be held, {would.on_hold} would be on hold for some days."
    )
    _show_incomplete(would)
    for note in (*result.notes, *result.wrong):
        out.print(note, markup=False)
    _show_totals("Would be bought", result.totals)
    print_list("Would be held", _held(would.lines))
    waiting = [line for line in would.lines if line["needs_approval"]]
    print_table("Would await approval", [_line(line) for line in waiting[:_SHOWN]])
    rest = [line for line in would.lines if not line["needs_approval"] and line["held"] is None]
    bought = [line for line in rest if line["on_hold_until"] is None]
    print_table("The first of what would be bought", [_line(line) for line in bought[:_SHOWN]])
    on_hold = [line for line in rest if line["on_hold_until"] is not None]
    print_table("Would be on hold", [_line(line, "held", "needs_approval") for line in on_hold[:_SHOWN]])
    print_table("Would wait to be bought with other orders' shares", result.would_share)
    print_table("Would earn nothing", result.not_earned)


def _show_incomplete(would: Preview) -> None:
    """Print the orders that a preview leaves out, and why."""
    if would.missing:
        out.print(f"No two readings of the orders agreed: {would.missing} or more may be missing.")
    if would.broken:
        out.print(f"{counted(would.broken, 'order')} cannot be read, and would earn nothing:")
    for problem, _ in grouped(would.problems)[:_SHOWN]:
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


def _show_previews(result: DryBackfill) -> None:
    """Print the purchases that each window of a backfill would make, and the sum of all windows."""
    for each in result.windows:
        would, days = each.would, each.days
        out.print(
            f"{days['from']} to {days['to']}: of {counted(would.read, 'order')} {would.eligible} count;"
            f" {counted(would.placements, 'placement')} would be made, {would.awaiting_approval} would await approval,"
            f" {would.held} would be held, {would.on_hold} would be on hold for some days."
        )
        _show_incomplete(would)
        print_table("", [_readable(row) for row in each.totals])
    for note in (*result.notes, *result.wrong):
        out.print(note, markup=False)
    if not result.windows:
        out.print("The range is planned to its end already, under this policy.")
    _show_totals("Would be bought in all", result.totals)
    stop = f" It would stop before order {result.ends_before}." if result.ends_before else ""
    out.print(f"Dry run, nothing was bought: {counted(result.would_place, 'placement')} in all.{stop}")


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


def show_placed(outcome: Outcome, *, undone: bool) -> None:
    """Print a run's actions and purchases, then the orders and deliveries read, then work left and the next step."""
    if outcome.backfilled:
        out.print(outcome.backfilled.in_words(), markup=False)
    out.print(f"Placements that this run has changed: {in_standings(outcome.this_run)}.")
    if outcome.planned:
        out.print(_read(outcome.planned))
    if outcome.webhooks and outcome.webhooks.deliveries:
        out.print(_deliveries_read(outcome.webhooks))
    if outcome.window:
        out.print(in_words(outcome.window))
    _show_bought(outcome.report)
    for note in outcome.notes:
        out.print(note, markup=False)
    if left := _left(outcome.ledger):
        out.print(f"Left in the ledger, by this run and earlier ones: {in_standings(left)}.")
    for name, why in outcome.left_alone.items():
        out.print(f"{name} was left alone: {why}", markup=False)
    if broken := outcome.ledger.broken:
        lists = "lists it" if broken == 1 else "lists them"
        out.print(f"{counted(broken, 'order')} could not be read; `impactflow status` {lists}.")
    requests, seconds = counted(outcome.requests, "request"), round(outcome.duration_s, 3)
    out.print(f"{requests} in {seconds} s. All purchases by day: {outcome.report.totals}", markup=False)
    if undone:
        out.print("Something is left undone: `impactflow status` says what; running this again goes on.")


def show_tracked(result: TrackOutcome) -> None:
    """Print the progress of purchases."""
    tracked, still = result.tracked, result.open
    asked = counted(tracked.checked, "look")
    out.print(f"{asked}, {tracked.completed} completed, {still} still open. Report: {result.report}", markup=False)
    if tracked.unanswered:
        out.print(f"{tracked.unanswered} of them were not answered, and are asked after again.")
    if tracked.halted and not result.refused:
        out.print(f"It ended early: {tracked.halted}", markup=False)
    if still:
        status = " Not all completed within --wait, so the exit status is 1." if result.waited else ""
        out.print(
            "Some still open is normal: trees and offsets take their providers days. `impactflow track` asks again,"
            f" whenever you like.{status}"
        )


def show_refunded(result: RefundsOutcome) -> None:
    """Print what became of the purchases of refunded orders."""
    for line in (*result.summary, *result.notes):
        out.print(line, markup=False)
    print_table("Cancelled", result.cancelled_purchases[:_SHOWN])
    if not result.refused:
        for name, why in result.left_alone.items():
            out.print(f"{name} was left alone: {why}", markup=False)


def _read(planned: Planned) -> str:
    broken = f", {planned.broken} could not be read" if planned.broken else ""
    return f"{counted(planned.read, 'order')} read, {planned.new} new, {planned.eligible} count{broken}."


def _deliveries_read(webhooks: Processed) -> str:
    """Count the deliveries that were read, by kind; tests are named, because their sender looks for them."""
    sold = webhooks.planned
    parts = {
        "of orders that were sold": sold.read - sold.broken,
        "of refunds": webhooks.refunds,
        "of purchases that got further": webhooks.hints,
        "unreadable": sold.broken,
        "tests, which buy nothing" if webhooks.tests > 1 else "a test, which buys nothing": webhooks.tests,
        "that ask for nothing": webhooks.others - webhooks.tests,
    }
    kinds = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"{counted(webhooks.deliveries, 'webhook delivery', 'webhook deliveries')} read: {kinds}."


def _show_bought(report: Reported) -> None:
    """Print the purchases of a run, and the steps that follow."""
    print_table("Bought by this run", report.bought)
    if any(row["price_usd"] is None for row in report.bought):
        out.print(NO_PRICE)
    if report.purchases is not None:
        out.print(f"Each purchase: {report.purchases}", markup=False)
    if report.bought:
        out.print(
            "Placed means ordered. Trees and offsets take their providers days; `impactflow track` asks how far they"
            " are, until all are completed."
        )


def _left(ledger: LedgerState) -> dict[str, int]:
    """Count the work left for further runs or persons; failed placements count only for the days that the run read."""
    overall = asdict(Standing.of(ledger.overall))
    waiting = {name: overall[name] for name in ("planned", "held", "awaiting_approval", "in_doubt", "parked")}
    return {name: count for name, count in {**waiting, "failed": Standing.of(ledger.in_window).failed}.items() if count}
