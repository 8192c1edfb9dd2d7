"""The result of a run that undoes what was bought for orders that were given back, for a person and for a program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from impactflow.buying.cancelling import CancelPass
from impactflow.escapes import for_page
from impactflow.intake.planning import in_words
from impactflow.ledger import Planned, Purchases
from impactflow.models import ProviderName
from impactflow.texts import counted
from impactflow.window import Window


@dataclass(frozen=True, slots=True)
class RefundsOutcome:
    """
    The result of a run that undoes refunds.

    Args:
        planned: The orders that it read; None where the policy undoes nothing.
        window: The days that it read, where it read any.
        purchases: The purchases of orders that were given back, as they are in the end.
        withdrawn: The placements that it withdrew before anything was bought.
        passes: The result at each provider.
        requests: How many HTTP requests it made.
        duration_s: How long it took, in seconds.
    """

    planned: Planned | None
    window: Window | None
    purchases: Purchases
    withdrawn: int
    passes: Mapping[ProviderName, CancelPass]
    requests: int
    duration_s: float

    @property
    def cancelled(self) -> int:
        """The number of purchases that the run has cancelled, or found to be cancelled."""
        return sum(done.cancelled for done in self.passes.values())

    @property
    def left_alone(self) -> dict[str, str]:
        """The reasons why providers were left alone in the end."""
        return {name.value: str(done.halted) for name, done in self.passes.items() if done.halted}

    @property
    def refused(self) -> str | None:
        """Why providers were left alone, where one did not accept its key; None where each was accepted."""
        is_refused = any(done.halted.unauthorized for done in self.passes.values())
        return "; ".join(self.left_alone.values()) if is_refused else None

    @property
    def undone(self) -> bool:
        """Whether something is left for a further run or for a person, or a provider has just refused something."""
        missing = self.planned is not None and self.planned.missing
        is_left = any(done.refused or done.beyond for done in self.passes.values())
        return bool(self.purchases.open or self.left_alone or missing or is_left)

    @property
    def notes(self) -> list[str]:
        """What a person should know besides the numbers."""
        notes = [
            f"{name}: {counted(done.beyond, 'purchase')} to be undone, more than may be at once, so none was."
            " `impactflow refunds --dry-run` lists them; if the refunds are real, `--cancel-up-to` allows more."
            for name, done in self.passes.items()
            if done.beyond
        ]
        if self.purchases.open and not (notes or self.left_alone):
            notes.append(
                "What is open was sent a moment ago, may not have been bought, is paused, or is being cancelled."
            )
        if self.purchases.doubtful:
            notes.append(
                f"{counted(self.purchases.doubtful, 'purchase')} in doubt: the order is listed twice, or by the id of"
                " another one, or one of its refunds has failed. Cancel at the provider what should not stand."
            )
        if self.purchases.refused:
            number = counted(self.purchases.refused, "purchase")
            notes.append(
                f"{number} not cancelled by the providers: `impactflow show ORDER` says why, and"
                " `impactflow refunds --again` asks again."
            )
        return notes

    @property
    def cancelled_purchases(self) -> Sequence[Mapping[str, Any]]:
        """The first purchases that the run has cancelled, or found to be cancelled; the price in USD where known."""
        return [
            {
                "order": order,
                "slot": slot,
                "provider": provider.value,
                "ref": ref,
                "price_usd": None if cents is None else str(Decimal(cents) / 100),
            }
            for done in self.passes.values()
            for order, slot, provider, ref, cents in done.first
        ]

    @property
    def summary(self) -> list[str]:
        """The numbers in sentences."""
        seen = counted(self.purchases.orders, "order")
        numbers = (
            f"{seen} given back, with purchases. This run has cancelled {self.cancelled};"
            f" {self.purchases.kept} are kept as the policy says, {self.purchases.doubtful} in doubt,"
            f" {self.purchases.refused} are not cancelled by the providers, {self.purchases.open} are open."
            f" {counted(self.purchases.credited, 'purchase')} credited: the next orders are covered with what their own"
            " orders are owed no more."
        )
        days = [in_words(self.window)] if self.window else []
        return [*days, numbers, f"{counted(self.withdrawn, 'placement')} withdrawn before anything was bought."]

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "seen": self.purchases.orders,
            "withdrawn": self.withdrawn,
            "cancelled": self.cancelled,
            "credited": self.purchases.credited,
            "kept": self.purchases.kept,
            "doubtful": self.purchases.doubtful,
            "refused": self.purchases.refused,
            "open": self.purchases.open,
            "purchases": self.cancelled_purchases,
            "read": self.planned.read if self.planned else 0,
            "window": in_words(self.window) if self.window else None,
            "notes": self.notes,
            "left_alone": self.left_alone,
            "requests": self.requests,
            "duration_s": round(self.duration_s, 3),
            "undone": self.undone,
        }

    def in_words(self) -> str:
        """Return the result in Markdown, for a person."""
        lines = [*self.summary, *self.notes]
        lines += [f"{name} was left alone: {for_page(why)}" for name, why in self.left_alone.items()]
        lines.append(f"{counted(self.requests, 'request')} in {self.duration_s:.1f} s.")
        return "\n\n".join(lines)
