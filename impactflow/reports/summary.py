"""
The result of a run that places or tracks: for programs, for people, and for the exit status.

A flow returns the result. ``--json`` prints ``as_json()``, Prefect's page shows ``in_words()``, and the exit status
follows from ``refused`` and ``undone``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from impactflow.buying.backfill import Backfilled
from impactflow.buying.rounds import Round
from impactflow.buying.run import Run
from impactflow.buying.tracking import Tracked
from impactflow.escapes import for_page
from impactflow.intake.deliveries import Processed
from impactflow.intake.planning import in_words, unread
from impactflow.ledger import Group, Pause, Planned, Status
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.reports.files import Reported
from impactflow.reports.standing import (
    WHAT_TO_DO,
    Counts,
    Standing,
    caps_in_words,
    in_standings,
    on_hold_in_words,
    reads_again,
)
from impactflow.texts import counted
from impactflow.window import Window

#: How many placements are named to a person.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LedgerState:
    """
    The ledger at the end of a run.

    Args:
        in_window: Placements of the orders in the run's window.
        overall: All placements.
        broken: Orders that could not be read, and still cannot.
        changed: The placements that the run changed, by provider and status; orders of other days included.
        pauses: The pauses that stand.
        on_hold: The number of planned placements that are on hold, and the end of the first hold.
        unread: How many planned placements wait until their orders are read again.
        read_by: The command that reads these orders, in words.
        caps: Sentences about the policy's caps that are used to a good part.
        behind_caps: The number of planned placements that wait for room in a cap.
    """

    in_window: Counts
    overall: Counts
    broken: int = 0
    changed: Sequence[Group] = ()
    pauses: Sequence[Pause] = ()
    on_hold: tuple[int, datetime | None] = (0, None)
    unread: int = 0
    read_by: str = "`impactflow place`"
    caps: Sequence[str] = ()
    behind_caps: int = 0

    @classmethod
    async def read(
        cls, run: Run, policy: Policy | None = None, days: Window | None = None, *, from_file: bool = False
    ) -> "LedgerState":
        """
        Read the state that a run leaves behind.

        Args:
            run: The run.
            policy: The policy under which the run placed; None where it placed nothing.
            days: The run's window; by default all days.
            from_file: Whether the run read its orders from a file.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        overall, now = await run.ledger.counts(), run.clock.now()
        waiting, command = await unread(run.ledger, policy, run.clock) if policy else (0, "impactflow place")
        uses, behind_caps = await run.ledger.caps(policy.store, policy.caps_at(now), now) if policy else ((), 0)
        return cls(
            in_window=await run.ledger.counts(days.span) if days else overall,
            overall=overall,
            broken=await run.ledger.broken_count(),
            changed=await run.ledger.changed(run.id, after=run.mark),
            pauses=await run.ledger.pauses(),
            on_hold=await run.ledger.on_hold(now),
            unread=waiting,
            read_by="`impactflow place --orders FILE`" if from_file else reads_again(run.settings, command),
            caps=caps_in_words(uses, now),
            behind_caps=behind_caps,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The result of a run that may place.

    Args:
        planned: The orders that it read; None where it read none.
        ledger: The ledger at its end.
        rounds: The result of each provider's last round.
        requests: How many HTTP requests it made.
        duration_s: How long it took, in seconds.
        report: The files that it wrote, and its purchases.
        window: The days that it read, where it read any.
        rates: A sentence where the policy's exchange rates are old, else None.
        source_notes: Notes for a person about the source of the orders.
        webhooks: The webhook deliveries that it processed; None where it processes none.
        backfilled: The windows that it planned; None where it is no backfill.
    """

    planned: Planned | None
    ledger: LedgerState
    rounds: Mapping[ProviderName, Round]
    requests: int
    duration_s: float
    report: Reported
    window: Window | None = None
    rates: str | None = None
    source_notes: Sequence[str] = ()
    webhooks: Processed | None = None
    backfilled: Backfilled | None = None

    @property
    def this_run(self) -> dict[str, int]:
        """The number of placements that the run changed, in each standing that occurs among them."""
        left: Counter[tuple[ProviderName, Status]] = Counter()
        for group in self.ledger.changed:
            left[group.provider, group.status] += group.count
        return {name: count for name, count in asdict(Standing.of(left)).items() if count}

    @property
    def left_alone(self) -> dict[str, str]:
        """The reasons why providers were left alone in the end."""
        return {name.value: str(done.halted) for name, done in self.rounds.items() if done.halted}

    @property
    def refused_keys(self) -> list[str]:
        """Providers that did not accept their key."""
        return [name.value for name, done in self.rounds.items() if done.halted.unauthorized]

    @property
    def refused(self) -> str | None:
        """Why providers were left alone, where one did not accept its key; None where each was accepted."""
        return "; ".join(self.left_alone.values()) if self.refused_keys else None

    @property
    def undone(self) -> bool:
        """Whether anything failed, or is left for a further run or for a person."""
        ledger = self.ledger
        missing = self.planned is not None and self.planned.missing
        waiting = Standing.of(ledger.overall).waiting > ledger.on_hold[0] + ledger.behind_caps
        stopped = self.backfilled is not None and self.backfilled.left is not None
        return bool(waiting or Standing.of(ledger.in_window).failed or ledger.broken or missing or stopped)

    @property
    def notes(self) -> list[str]:
        """Notes for a person."""
        return [*self._quoted_notes, *self._own_notes]

    @property
    def _quoted_notes(self) -> list[str]:
        """Notes that hold other people's words."""
        return [*self.source_notes, *(each.in_words for each in self.ledger.pauses)]

    @property
    def _own_notes(self) -> list[str]:
        """Notes of holds, caps, orders that were not read, placements that wait for them, and old exchange rates."""
        notes = [hold] if (hold := on_hold_in_words(*self.ledger.on_hold)) else []
        notes += self.ledger.caps
        if self.planned and self.planned.missing:
            notes.append(
                f"No two readings of the orders agreed: {self.planned.missing} or more may be missing. The next run"
                " reads these days again."
            )
        if self.ledger.unread:
            notes.append(
                f"{counted(self.ledger.unread, 'placement')} to be read again: {self.ledger.read_by} does that."
            )
        if self.rates:
            notes.append(f"Of the policy: {self.rates}.")
        return notes

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "this_run": self.this_run,
            "bought": [*self.report.bought],
            **({"orders": _orders(self.planned)} if self.planned else {}),
            "placements": asdict(Standing.of(self.ledger.in_window)),
            "all_placements": asdict(Standing.of(self.ledger.overall)),
            "broken_orders": self.ledger.broken,
            "window": in_words(self.window) if self.window else None,
            "wait_to_be_read": self.ledger.unread,
            "on_hold": self.ledger.on_hold[0],
            "notes": self.notes,
            "left_alone": self.left_alone,
            "refused_keys": self.refused_keys,
            "requests": self.requests,
            "duration_s": round(self.duration_s, 3),
            "report": self.report.totals,
            "purchases": self.report.purchases,
            "undone": self.undone,
            **({"webhooks": self.webhooks.as_json()} if self.webhooks else {}),
            **({"backfill": self.backfilled.as_json()} if self.backfilled else {}),
        }

    def in_words(self) -> str:
        """Return the result in Markdown, for a person."""
        standing = Standing.of(self.ledger.in_window)
        lines = [self.webhooks.in_words()] if self.webhooks else []
        if self.backfilled:
            lines.append(for_page(self.backfilled.in_words()))
        lines += [f"Placements that this run has changed: {in_standings(self.this_run)}."]
        if self.report.bought:
            lines.append(_table(self.report.bought))
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
        if self.ledger.broken:
            lines.append(f"{counted(self.ledger.broken, 'order')} could not be read.")
        lines += [*map(for_page, self._quoted_notes), *self._own_notes]
        lines.append(f"{counted(self.requests, 'request')} in {self.duration_s:.1f} s. Report: {self.report.totals}")
        return "\n\n".join(lines)


def _orders(planned: Planned) -> dict[str, int]:
    return {
        "read": planned.read,
        "new": planned.new,
        "eligible": planned.eligible,
        "broken": planned.broken,
        "may_be_missing": planned.missing,
    }


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
        waited: Whether it was to go on until all are complete.
    """

    tracked: Tracked
    open: int
    duration_s: float
    report: str
    waited: bool = False

    @property
    def refused(self) -> str | None:
        """What a person must correct because a key was not accepted; None where each was."""
        return self.tracked.halted.why if self.tracked.halted.unauthorized else None

    @property
    def undone(self) -> bool:
        """Whether a provider did not answer, or purchases are not complete although the run waited for them."""
        return bool(self.tracked.halted or self.tracked.unanswered or (self.waited and self.open))

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
