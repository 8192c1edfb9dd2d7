"""
A person's decision about placements above the policy's approval limit: approve, trim or reject.

``Ledger.awaiting`` lists the placements, and the ledger applies the decision to exactly the placements that were shown.
This module turns a person's words into quantities. Before a placement is approved its order is read again.
"""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from decimal import Decimal
from enum import StrEnum

from impactflow.clock import Clock
from impactflow.errors import ConfigurationError, NotSent, ProviderError, TransitionRefused
from impactflow.escapes import for_page
from impactflow.intake.planning import evaluate_again, plan
from impactflow.intake.source import OrderSource
from impactflow.ledger import Approval, Awaiting, Ledger, Status
from impactflow.models import UNIT_OF, Kind, ProviderName
from impactflow.names import is_lot
from impactflow.policy import Policy
from impactflow.units import SHOWN, amount_in_words, in_words, shown
from impactflow.window import Window

log = logging.getLogger(__name__)

#: The most placements that a person is asked about at a time.
MOST_ASKED = 100
#: Where orders cannot be read now, an order that was read within this time may be approved all the same.
_LATELY = timedelta(hours=1)
#: The most placements that the question itself lists one by one.
_LISTED = 20


class Decision(StrEnum):
    """The answers that a person may give."""

    #: All of it is bought.
    APPROVE = "approve"
    #: At most a given quantity of each is bought.
    TRIM = "trim"
    #: Nothing is bought, unless the order changes.
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A person's decision on all placements in one question.

    Args:
        decision: The decision.
        by: Who decided.
        why: The reason.
        at_most: With trim: the most of each, in the unit that people read (``units.SHOWN``).
    """

    decision: Decision
    by: str
    why: str = ""
    at_most: Decimal | None = None

    def problem(self, asked: Sequence[Awaiting]) -> str | None:
        """The reason why the answer cannot be applied, and what to say instead; None where it can."""
        if not self.by.strip():
            return "by: say who decides"
        if (self.decision is Decision.TRIM) != (self.at_most is not None):
            return "at_most: say how much of each is to be bought; it belongs to trim, and trim needs it"
        return None if self.at_most is None else self._trim_problem(asked, self.at_most)

    def _trim_problem(self, asked: Sequence[Awaiting], at_most: Decimal) -> str | None:
        units = {shown(0, UNIT_OF[each.kind])[1] for each in asked}
        if len(units) > 1:
            return f"at_most: {' and '.join(sorted(units))} cannot be trimmed together; ask about one order and slot"
        if not at_most.is_finite() or any(_trimmed(each, at_most) < 1 for each in asked):
            least = amount_in_words(1, UNIT_OF[asked[0].kind])
            return f"at_most: the least that can be bought is {least}; to buy nothing, reject"
        if any(is_lot(each.order) and _trimmed(each, at_most) < each.quantity for each in asked):
            return (
                "at_most: it is one purchase for many orders, of which each has its share; approve all of it or reject"
            )
        if any(each.was_tried and _trimmed(each, at_most) < each.quantity for each in asked):
            return "at_most: it was sent before, and the provider may know it as it is; approve all of it or reject"
        return None

    def quantity(self, each: Awaiting) -> int | None:
        """The quantity to buy, in the ledger's unit; None for nothing."""
        if self.decision is Decision.REJECT:
            return None
        return each.quantity if self.at_most is None else _trimmed(each, self.at_most)


def _trimmed(each: Awaiting, at_most: Decimal) -> int:
    """The trimmed quantity in the ledger's unit, never more than was earned."""
    _, size = SHOWN[UNIT_OF[each.kind]]
    return min(each.quantity, int(at_most * size))


@dataclass(frozen=True, slots=True)
class Answered:
    """
    The effect of an answer.

    Args:
        answer: The person's answer.
        done: The placements that the answer has changed.
        moved_on: The placements that no longer awaited approval, or had changed by then: untouched.
        now: The state of these placements now, by the ledger's row.
    """

    answer: Answer
    done: Sequence[Awaiting]
    moved_on: Sequence[Awaiting]
    now: Mapping[int, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the effect as ``--json`` prints it."""
        to = Status.CANCELLED if self.answer.decision is Decision.REJECT else Status.PLANNED
        return {
            "decision": self.answer.decision.value,
            "by": self.answer.by,
            "done": [self._line(each) | {"status": to.value} for each in self.done],
            "moved_on": [
                {"order": each.order, "slot": each.slot, "now": self.now.get(each.id)} for each in self.moved_on
            ],
        }

    def in_words(self) -> str:
        """Return the effect in Markdown, for a person."""
        lines = [f"Order {for_page(each.order)}, slot {each.slot}: {self._outcome(each)}." for each in self.done]
        lines += [
            f"Order {for_page(each.order)}, slot {each.slot}: untouched, because it is not what was shown any more;"
            f" it is {for_page(self.now.get(each.id, 'another'))} now."
            for each in self.moved_on
        ]
        return "\n\n".join(lines)

    def _line(self, each: Awaiting) -> dict[str, object]:
        quantity = self.answer.quantity(each)
        bought = {"quantity": quantity, "unit": UNIT_OF[each.kind].value} if quantity is not None else {}
        return {"order": each.order, "slot": each.slot, **bought}

    def _outcome(self, each: Awaiting) -> str:
        quantity = self.answer.quantity(each)
        return "rejected" if quantity is None else f"{in_words(each.kind, quantity)} approved, bought by the next run"


async def record_answer(
    ledger: Ledger,
    source_of: Callable[[], OrderSource],
    policy: Policy,
    clock: Clock,
    run_id: str,
    asked: Sequence[Awaiting],
    answer: Answer,
) -> Answered:
    """
    Apply a person's decision to the placements they were shown, after reading and judging the orders again.

    Args:
        ledger: The ledger that holds the placements.
        source_of: Opens the source of the orders; not called where all placements are rejected.
        policy: The policy.
        clock: The clock.
        run_id: The run's id.
        asked: The placements that the person was shown.
        answer: The person's answer.

    Raises:
        ConfigurationError: The answer cannot be applied, for example because there is no key to read orders with;
            nothing was changed.
        ProviderError: Orders cannot be read now, and were not within the hour; nothing was decided.
        LedgerError: The ledger failed; the placements that were not written await approval as before.
    """
    if problem := answer.problem(asked):
        raise ConfigurationError(problem)
    if answer.decision is not Decision.REJECT:
        await _read_again(ledger, source_of, policy, clock, run_id, asked)
        await evaluate_again(ledger, policy, clock, run_id)
    by, why, now = answer.by.strip(), answer.why.strip(), clock.now()

    async def decide(each: Awaiting) -> bool:
        try:
            await ledger.decide(Approval(each, answer.quantity(each), by, why, now, run_id, policy.digest))
        except TransitionRefused:
            return False
        return True

    decided = await asyncio.gather(*(decide(each) for each in asked))
    done = [each for each, was_decided in zip(asked, decided, strict=True) if was_decided]
    moved_on = [each for each, was_decided in zip(asked, decided, strict=True) if not was_decided]
    log.info(
        "%s: %d placements; %d changed meanwhile", answer.decision, len(done), len(moved_on),
        extra={"action": "approval_recorded"},
    )  # fmt: skip
    return Answered(answer, done, moved_on, {each.id: await _as_it_is(ledger, each) for each in moved_on})


async def _read_again(
    ledger: Ledger,
    source_of: Callable[[], OrderSource],
    policy: Policy,
    clock: Clock,
    run_id: str,
    asked: Sequence[Awaiting],
) -> None:
    """
    Read the days of these orders again, and plan the orders that the ledger knows; leave unknown orders alone.

    Raises:
        ConfigurationError: The orders cannot be read because a key is missing, or belong to another policy's store.
        ProviderError: The orders cannot be read now, and were not read within the hour.
    """
    for each in asked:
        if each.store != policy.store:
            raise ConfigurationError(f"{_named(each)} is of store {each.store}: set IMPACTFLOW_POLICY to its policy")
    days = sorted({each.ordered_at.astimezone(UTC).date() for each in asked})
    try:
        source = source_of()
        for day in days:
            window = Window(day, day, new_from=day + timedelta(days=1))
            planned = await plan(ledger, source, policy, window, clock, run_id, moves_watermark=False)
            if planned.missing:
                message = f"the orders of {day} are changing while they are read"
                raise NotSent(message, provider="wickedreports", operation="list_orders")
    except (ConfigurationError, ProviderError) as error:
        since, digest_now = clock.now() - _LATELY, policy.digest
        for each in asked:
            if isinstance(error, ConfigurationError) and not each.was_listed:
                continue  # no source lists it: only the kept order can be judged
            if each.read_at is None or each.read_at < since or each.policy != digest_now:
                log.warning("%s cannot be read again: nothing is approved", _named(each), extra={"action": "unread"})
                raise
        log.info(
            "orders cannot be read again now, but were within the hour: %s", error, extra={"action": "read_lately"}
        )


async def _as_it_is(ledger: Ledger, each: Awaiting) -> str:
    """Return the status of a placement, and the reason for it."""
    try:
        story = await ledger.story(each.order, store=each.store) or {"placements": []}
    except ConfigurationError:  # another order goes by its id, as its number
        return "not what it was"
    for row in story["placements"]:
        if row["slot"] == each.slot:
            return f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"])
    return "unknown"


def _named(each: Awaiting) -> str:
    return f"order {each.order}, slot {each.slot}"


async def ask_about(ledger: Ledger, order: str, slot: str, store: str | None = None) -> Awaiting:
    """
    The one placement of an order and slot that awaits approval; ``store`` where several stores have such an order.

    Raises:
        ConfigurationError: There is none (the message says what there is instead), or several orders have the name.
    """
    asked = await ledger.awaiting(order, slot, store=store)
    if asked:
        return asked[0]
    entries = await ledger.slot(order, slot, store=store)
    if not entries:
        raise ConfigurationError(
            f"order {order!r} has no placement in slot {slot!r}: `impactflow approve` lists what awaits approval"
        )
    raise ConfigurationError(
        f"order {order!r}, slot {slot!r} is {entries[0].status}: only what awaits approval is approved or rejected"
    )


def digest(asked: Sequence[Awaiting]) -> str:
    """Return a digest that is the same only for exactly the same question."""
    text = "\n".join(f"{each.id} {each.since.isoformat()} {each.digest} {each.reason}" for each in asked)
    return hashlib.sha256(text.encode()).hexdigest()


def as_rows(asked: Sequence[Awaiting]) -> Iterator[dict[str, object]]:
    """Return a table row for each placement: no personal data."""
    for each in asked:
        quantity, unit = shown(each.quantity, UNIT_OF[each.kind])
        yield {
            "store": each.store,
            "order": each.order,
            "slot": each.slot,
            "provider": each.provider.value,
            "impact": each.kind.value,
            "quantity": quantity,
            "unit": unit,
            "since": each.since,
            "reason": each.reason,
        }


def question(asked: Sequence[Awaiting]) -> str:
    """The purchases that would be made, in plain words, Markdown: no personal data."""
    totals: Counter[tuple[ProviderName, Kind]] = Counter()
    for each in asked:
        totals[each.provider, each.kind] += each.quantity
    amounts = ", ".join(f"{in_words(kind, quantity)} from {name}" for (name, kind), quantity in sorted(totals.items()))
    lines = [f"- order {for_page(each.order)}, slot {each.slot}: {for_page(each.reason)}" for each in asked[:_LISTED]]
    if len(asked) > _LISTED:
        lines.append(f"- and {len(asked) - _LISTED} more: the artifact awaiting-approval lists them all")
    return "\n".join([f"**May this be bought: {amounts}?**\n", *lines])
