"""
The state after a run, as ``--json`` prints it, and the exit status that follows from it.

Called at the end of the flows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from impactflow.audit import Disagreement, Finding, Tally
from impactflow.buying.rounds import Round
from impactflow.buying.tracking import Tracked
from impactflow.escapes import for_page
from impactflow.intake.planning import in_words
from impactflow.ledger import Group, Pause, Planned, Status
from impactflow.models import ProviderName
from impactflow.reports.standing import WHAT_TO_DO, Counts, Standing, in_standings, on_hold_in_words
from impactflow.texts import counted
from impactflow.window import Window

#: How many placements are named to a person.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The result of a run that may place.

    Args:
        planned: The orders that it read; None where it read none.
        in_window: Placements of the orders in its window, as they stand after the run.
        overall: All placements.
        broken: Orders that could not be read, and still cannot.
        halted: The result of each provider's last round.
        requests: How many HTTP requests it made.
        duration_s: How long it took, in seconds.
        report: The path of the CSV of all purchases.
        purchases: The path of the CSV of each purchase that it made or saw completed; None where there is none.
        bought: Its purchases, by slot and provider, as ``reports.BoughtTotals`` adds them up.
        window: The days that it read, where it read any.
        unread: How many planned placements wait until their orders are read again.
        read_by: The command that reads these orders, in words.
        rates: A sentence where the policy's exchange rates are old, else None.
        source_notes: Notes for a person about the source of the orders.
        changed: The placements that it changed, by provider and status; orders of other days included.
        pauses: The pauses that stand.
        on_hold: The number of planned placements that are on hold, and the end of the first hold.
    """

    planned: Planned | None
    in_window: Counts
    overall: Counts
    broken: int
    halted: Mapping[ProviderName, Round]
    requests: int
    duration_s: float
    report: str
    purchases: str | None = None
    bought: Sequence[Mapping[str, Any]] = ()
    window: Window | None = None
    unread: int = 0
    read_by: str = "`impactflow place`"
    rates: str | None = None
    source_notes: Sequence[str] = ()
    changed: Sequence[Group] = ()
    pauses: Sequence[Pause] = ()
    on_hold: tuple[int, datetime | None] = (0, None)

    @property
    def this_run(self) -> dict[str, int]:
        """The number of placements that the run changed, in each standing that occurs among them."""
        left: Counter[tuple[ProviderName, Status]] = Counter()
        for group in self.changed:
            left[group.provider, group.status] += group.count
        return {name: count for name, count in asdict(Standing.of(left)).items() if count}

    @property
    def left_alone(self) -> dict[str, str]:
        """The reasons why providers were left alone in the end."""
        return {name.value: str(done.halted) for name, done in self.halted.items() if done.halted}

    @property
    def refused_keys(self) -> list[str]:
        """Providers that did not accept their key."""
        return [name.value for name, done in self.halted.items() if done.halted.unauthorized]

    @property
    def undone(self) -> bool:
        """Whether anything failed, or is left for a further run or for a person."""
        missing = self.planned is not None and self.planned.missing
        waiting = Standing.of(self.overall).waiting > self.on_hold[0]
        return bool(waiting or Standing.of(self.in_window).failed or self.broken or missing)

    @property
    def notes(self) -> list[str]:
        """More notes for a person: orders that were not read, placements that wait for them, and old exchange rates."""
        notes = [hold] if (hold := on_hold_in_words(*self.on_hold)) else []
        if self.planned and self.planned.missing:
            notes.append(
                f"No two readings of the orders agreed: {self.planned.missing} or more may be missing. The next run"
                " reads these days again."
            )
        if self.unread:
            notes.append(f"{counted(self.unread, 'placement')} to be read again: {self.read_by} does that.")
        if self.rates:
            notes.append(f"Of the policy: {self.rates}.")
        return notes

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        read = self.planned
        orders = (
            {
                "read": read.read,
                "new": read.new,
                "eligible": read.eligible,
                "broken": read.broken,
                "may_be_missing": read.missing,
            }
            if read
            else None
        )
        return {
            "this_run": self.this_run,
            "bought": [*self.bought],
            **({"orders": orders} if orders else {}),
            "placements": asdict(Standing.of(self.in_window)),
            "all_placements": asdict(Standing.of(self.overall)),
            "broken_orders": self.broken,
            "window": in_words(self.window) if self.window else None,
            "wait_to_be_read": self.unread,
            "on_hold": self.on_hold[0],
            "notes": [*self.source_notes, *(each.in_words for each in self.pauses), *self.notes],
            "left_alone": self.left_alone,
            "refused_keys": self.refused_keys,
            "requests": self.requests,
            "duration_s": round(self.duration_s, 3),
            "report": self.report,
            "purchases": self.purchases,
            "undone": self.undone,
        }

    def in_words(self) -> str:
        """Return the result in Markdown, for a person."""
        standing = Standing.of(self.in_window)
        lines = [f"Placements that this run has changed: {in_standings(self.this_run)}."]
        if self.bought:
            lines.append(_table(self.bought))
        if self.window:
            lines.append(in_words(self.window))
        if self.planned:
            lines.append(
                f"Read {counted(self.planned.read, 'order')}: {self.planned.new} new, {self.planned.eligible} count."
            )
        if self.planned and self.planned.beyond_day:
            lines.append(
                f"**A ceiling for one day was reached: {self.planned.beyond_day} placements beyond it wait for a"
                " person. Look why there are so many; then approve them, or raise the rule's approve_above_per_day (for"
                " donations in cents).**"
            )
        lines.append(
            f"{'Of the orders of these days' if self.window else 'In all'} {standing.placed} placements took effect"
            f" ({standing.completed} of them complete), {standing.planned} are to be sent,"
            f" {standing.in_doubt} in doubt, {standing.parked} parked, {standing.held} held,"
            f" {standing.awaiting_approval} awaiting approval, {standing.failed} failed."
        )
        lines += [f"{name} was left alone: {for_page(why)}" for name, why in self.left_alone.items()]
        if self.broken:
            lines.append(f"{counted(self.broken, 'order')} could not be read.")
        lines += [*map(for_page, [*self.source_notes, *(each.in_words for each in self.pauses)]), *self.notes]
        lines.append(f"{counted(self.requests, 'request')} in {self.duration_s:.1f} s. Report: {self.report}")
        return "\n\n".join(lines)


def _table(bought: Sequence[Mapping[str, Any]]) -> str:
    """The purchases of a run, in Markdown: a line for each slot and provider."""
    lines = ["| bought by this run | provider | placements | amount | USD |", "|---|---|--:|--:|--:|"]
    for row in bought:
        amount, price = f"{row['amount']} {row['unit']}", "" if row["price_usd"] is None else row["price_usd"]
        lines.append(f"| {row['slot']} | {row['provider']} | {row['placements']} | {amount} | {price} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class TrackOutcome:
    """
    The result of a run that tracks.

    Args:
        tracked: All its passes.
        open: Placements that took effect and are not complete.
        duration_s: How long it took, in seconds.
        report: The path of the CSV.
    """

    tracked: Tracked
    open: int
    duration_s: float
    report: str

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "checked": self.tracked.checked,
            "completed": self.tracked.completed,
            "cancelled": self.tracked.cancelled,
            "unanswered": self.tracked.unanswered,
            "open": self.open,
            "left_alone": self.tracked.halted.why,
            "refused_keys": self.tracked.halted.unauthorized,
            "duration_s": round(self.duration_s, 3),
            "report": self.report,
        }

    def in_words(self) -> str:
        """Return the result in Markdown, for a person."""
        tracked = self.tracked
        lines = [
            f"Asked after {counted(tracked.checked, 'placement')}, of which {tracked.completed} are complete now.",
            f"{tracked.cancelled} were cancelled at the provider, {tracked.unanswered} were not answered.",
            f"{self.open} are open; each is asked after again when it is due.",
        ]
        if tracked.halted:
            lines.append(f"It ended early: {for_page(str(tracked.halted))}")
        lines.append(f"It took {self.duration_s:.1f} s. Report: {self.report}")
        return "\n\n".join(lines)


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """
    The result of an audit.

    Args:
        window: The days of purchase that were audited.
        tallies: How much was compared at each provider, and how much disagrees.
        findings: The first findings.
        csv: The path of the file that holds all findings.
    """

    window: Window
    tallies: Mapping[ProviderName, Tally]
    findings: Sequence[Finding]
    csv: str

    @property
    def remaining(self) -> int:
        """The number of findings that are left for a person."""
        return sum(tally.remaining for tally in self.tallies.values())

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "from": self.window.from_.isoformat(),
            "to": self.window.to.isoformat(),
            "providers": {
                name.value: {
                    "read": tally.read,
                    "agreed": tally.agreed,
                    "not_ours": tally.not_ours,
                    "unsettled": tally.unresolved,
                    **{what.value: tally.found[what] for what in Disagreement},
                    "repaired": tally.repaired,
                    "left_standing": tally.left_standing,
                    "halted": tally.halted.why,
                }
                for name, tally in self.tallies.items()
            },
            "findings": [finding.as_row() for finding in self.findings],
            "remaining": self.remaining,
            "refused_keys": [name.value for name, tally in self.tallies.items() if tally.halted.unauthorized],
            "csv": self.csv,
        }


def needs_in_words(waiting: Sequence[Group]) -> str:
    """The next actions for a person, Markdown; ``waiting`` is from ``Ledger.waiting``."""
    if not waiting:
        return "Nothing needs you."
    lines = []
    for group in waiting:
        named = ", ".join(f"{for_page(line.order)} {line.slot}" for line in group.first[:_NAMED])
        more = f" and {group.count - _NAMED} more" if group.count > _NAMED else ""
        lines.append(
            f"- {group.count} {group.status.replace('_', ' ')} at {group.provider} since {group.since:%Y-%m-%d %H:%M}"
            f" UTC: {WHAT_TO_DO.get(group.status, 'see the reason')} ({named}{more})"
        )
    # Prefect's pages resolve it at any address.
    table = "[All of it, with reasons](/artifacts/key/needs-attention)"
    return "\n".join(("### What needs you", "", *lines, "", table))
