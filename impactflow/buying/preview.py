"""
The result of a dry run: for programs, for people, and for the exit status; and the mistakes that it shows.

The purchases themselves are from ``intake.planning.preview``.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from impactflow.buying.hosts import wrong_hosts
from impactflow.buying.options import as_lines, check_options
from impactflow.buying.run import Run
from impactflow.buying.slips import find_slips
from impactflow.intake.deliveries import with_deliveries
from impactflow.intake.planning import Preview, in_words, preview
from impactflow.intake.senders.mapping import Senders
from impactflow.models import BrokenOrder, Order
from impactflow.policy import Policy
from impactflow.units import exact_text
from impactflow.window import Window

#: The number of reasons that are listed for orders that earn nothing.
_REASONS = 20


@dataclass(frozen=True, slots=True)
class DryRun:
    """
    The result of a dry run.

    Args:
        would: The purchases that a run would make.
        window: The days that it would read; None where it would read no orders.
        requests: How many HTTP requests the dry run made.
        notes: Notes for a person about the source of the orders, the ledger and its pauses.
        wrong: The mistakes in the policy, as far as its providers and the ledger can show them.
    """

    would: Preview
    window: Window | None
    requests: int
    notes: Sequence[str] = ()
    wrong: Sequence[str] = ()

    #: A provider that does not accept its key is a note: nothing was to be bought.
    refused: ClassVar[str | None] = None

    @property
    def undone(self) -> bool:
        """Whether it leaves out orders, or the run after it would be refused."""
        return bool(self.would.missing or self.would.broken or self.wrong)

    @property
    def days(self) -> dict[str, str | None]:
        """The first and the last day that are read, ``from`` and ``to``."""
        first, last = (self.window.from_.isoformat(), self.window.to.isoformat()) if self.window else (None, None)
        return {"from": first, "to": last}

    @property
    def days_in_words(self) -> str:
        """The days that are read, and the reason, for a person."""
        return in_words(self.window) if self.window else "No orders are read, only what webhook deliveries told of."

    @property
    def totals(self) -> list[dict[str, Any]]:
        """The purchases by slot, provider and unit, in the ledger's units."""
        return _rows(self.would.totals)

    @property
    def not_earned(self) -> list[dict[str, Any]]:
        """The most frequent reasons why orders earn nothing, with their number of orders."""
        return [
            {"slot": slot, "reason": reason, "orders": count}
            for (slot, reason), count in self.would.not_earned.most_common(_REASONS)
        ]

    @property
    def would_share(self) -> list[dict[str, Any]]:
        """What orders would share in purchases for many orders, by slot: it is bought once enough is owed."""
        return [
            {"slot": slot, "unit": unit, "orders": count, "quantity": exact_text(quantity)}
            for (slot, unit), (count, quantity) in self.would.pooled.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        would = self.would
        return {
            "dry_run": True,
            **self.days,
            "orders": {"read": would.read, "eligible": would.eligible, "broken": would.broken},
            "window": self.days_in_words,
            "notes": list(self.notes),
            "would_place": would.placements,
            "new": would.new,
            "problems": would.problems,
            "may_be_missing": would.missing,
            "wrong_options": list(self.wrong),
            "would_hold": would.held,
            "would_await_approval": would.awaiting_approval,
            "would_be_on_hold": would.on_hold,
            "would_share": self.would_share,
            "totals": self.totals,
            "lines": would.lines,
            "not_earned": self.not_earned,
            "ends_before": would.ends_before,
            "requests": self.requests,
        }


@dataclass(frozen=True, slots=True)
class DryBackfill:
    """
    The result of a backfill's dry run.

    Args:
        windows: The result of each window.
        notes: Notes for a person about the ledger and its pauses.
        wrong: The mistakes in the policy, as far as its providers and the ledger can show them.
    """

    windows: Sequence[DryRun]
    notes: Sequence[str] = ()
    wrong: Sequence[str] = ()

    refused: ClassVar[str | None] = None

    @property
    def undone(self) -> bool:
        """Whether it leaves out orders, or the run after it would be refused."""
        return bool(self.wrong or any(each.undone for each in self.windows))

    @property
    def would_place(self) -> int:
        """The number of purchases in all windows."""
        return sum(each.would.placements for each in self.windows)

    @property
    def ends_before(self) -> str | None:
        """The first order that would exceed the limit; None where all orders of the range were looked at."""
        return self.windows[-1].would.ends_before if self.windows else None

    @property
    def totals(self) -> list[dict[str, Any]]:
        """The purchases of all windows by slot, provider and unit, in the ledger's units."""
        sums: dict[tuple[str, str, str], tuple[int, int]] = {}
        for each in self.windows:
            for what, (count, quantity) in each.would.totals.items():
                so_far = sums.get(what, (0, 0))
                sums[what] = (so_far[0] + count, so_far[1] + quantity)
        return _rows(sums)

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "dry_run": True,
            "windows": [each.as_json() for each in self.windows],
            "would_place": self.would_place,
            "would_hold": sum(each.would.held for each in self.windows),
            "ends_before": self.ends_before,
            "notes": list(self.notes),
            "wrong_options": list(self.wrong),
        }


def _rows(totals: Mapping[tuple[str, str, str], tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        {"slot": slot, "provider": provider, "placements": count, "quantity": quantity, "unit": unit}
        for (slot, provider, unit), (count, quantity) in sorted(totals.items())
    ]


async def what_stops(run: Run, policy: Policy) -> list[str]:
    """
    The reasons why a run would buy less than it could, or nothing: sentences for a person.

    Raises:
        LedgerError: The ledger cannot be read.
        PurchasesUnknown: A run would refuse this ledger.
    """
    unasked = await run.compare_ledger({rule.provider for rule in policy.rules}, policy)
    pauses = [each.in_words for each in await run.ledger.pauses()]
    hosts = wrong_hosts(policy, run.settings, await run.ledger.used(policy.store))
    return [*unasked, *hosts.values(), *pauses]


async def wrong_with(run: Run, policy: Policy) -> list[str]:
    """The mistakes in a policy, as far as the ledger and the providers whose keys are set can show them."""
    slips = await find_slips(run.ledger, policy, run.clock.now().date())
    asked = {rule.slot for rule in policy.rules if not run.without_key(rule.provider)}
    return slips + as_lines(each for each in await check_options(run.provider, policy) if each.slot in asked)


async def preview_deliveries(run: Run, policy: Policy, senders: Senders) -> DryRun:
    """
    Preview a run that processes webhook deliveries and reads no orders; nothing is written.

    Raises:
        LedgerError: The ledger cannot be read.
        PurchasesUnknown: A run would refuse this ledger.
    """
    notes = await what_stops(run, policy)
    today = run.clock.now().date()
    window = Window(today, today, open_ended=True)
    source = await with_deliveries(_NoOrders(), run.ledger, policy, senders)
    would = await preview(run.ledger, source, policy, window, run.clock)
    wrong = await wrong_with(run, policy)
    return DryRun(would, None, run.transport.requests, notes, wrong)


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
