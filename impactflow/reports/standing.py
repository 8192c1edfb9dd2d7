"""
The standing of placements: counts by status, and the action for a person where something is left to do.

This module needs only the ledger's statuses, so that ``impactflow status`` answers at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from impactflow.ledger import CapUse, Status
from impactflow.models import ProviderName
from impactflow.settings import Settings

Counts = Mapping[tuple[ProviderName, Status], int]

#: The action for a person on placements in a status; for other statuses the placement's own reason says it.
WHAT_TO_DO: Mapping[Status, str] = MappingProxyType(
    {
        Status.HELD: "mend what the reason names; the next run that reads the order goes on with it (for an order of a"
        " file: `impactflow place --orders` with that file again)",
        Status.AWAITING_APPROVAL: "`impactflow approve` lists what awaits approval; answer with the deployment"
        " `approve`, or with `impactflow approve ORDER SLOT`",
        Status.PARKED: "look at the provider whether it was bought, then run the deployment `settle`, or"
        " `impactflow settle ORDER SLOT --as ...`",
        Status.FAILED: "mend what was refused, such as the policy, then run the deployment `settle`, or"
        " `impactflow settle ORDER SLOT --as not-bought`: the next run that reads the order sends what the policy says"
        " by then (`impactflow settle --failed --as not-bought` does that for all)",
        Status.IN_DOUBT: "see that the provider can be reached with its key; runs go on trying",
        Status.CANCELLING: "`impactflow refunds` finds out what became of it; where the provider does not show it any"
        " more, `impactflow settle ORDER SLOT --as given-up` says that it is cancelled",
    }
)


#: The share of a cap from which people are told of it.
_TOLD = Fraction(1, 2)
#: The explanation shown wherever a price is left blank.
NO_PRICE = "A price is blank where the provider does not tell it: 1ClickImpact tells none."


def on_hold_in_words(count: int, first: datetime | None) -> str:
    """The number of placements that are on hold, and the end of the first hold; empty without any."""
    if first is None:
        return ""
    is_one = "1 planned placement is" if count == 1 else f"{count} planned placements are"
    return f"{is_one} on hold, as the policy says, until {first:%Y-%m-%d %H:%M} UTC{'' if count == 1 else ' or later'}."


def caps_in_words(uses: Iterable[CapUse], now: datetime) -> list[str]:
    """A sentence on each cap of which half is used, or for which something waits."""
    return [_cap_in_words(use, now) for use in uses if use.waiting or use.used >= _TOLD * use.cap.most]


def _cap_in_words(use: CapUse, now: datetime) -> str:
    cap = use.cap
    text = f"The cap of {cap.in_words} is used by {share_in_words(use.used, cap.most)}"
    if use.waiting:
        waits = "1 placement waits" if use.waiting == 1 else f"{use.waiting} placements wait"
        return f"{text}; {waits} for room, from {cap.until:%Y-%m-%d %H:%M} UTC on."
    if use.used >= cap.most:
        return f"{text}: it is reached, until {cap.until:%Y-%m-%d %H:%M} UTC."
    at = cap.full_at(use.used, now)
    return f"{text}; at this pace it is reached on {at:%Y-%m-%d}." if at else f"{text}."


def rounded_decimal(number: Fraction) -> Decimal:
    """A number to a ten-thousandth: prices may have as many digits."""
    return Decimal(round(number * 10_000)) / 10_000


def share_in_words(used: Fraction, most: Fraction) -> str:
    """A share in whole per cents, rounded down, so that 100 % is all of it."""
    return f"{100 * used // most} %"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    The number of placements in each standing.

    Args:
        planned: To be sent by a further run.
        placed: Took effect, the completed ones included.
        completed: The placed ones that are complete.
        failed: Refused for good.
        held: Waiting for a person to correct something.
        awaiting_approval: Waiting for a person to approve them.
        in_doubt: Perhaps bought, including those that a run may still be sending.
        parked: Undecidable; for a person.
        cancelled: Undone, or withdrawn before they were sent.
        covered: Covered by what was bought for other orders, which are owed less by now.
    """

    planned: int
    placed: int
    completed: int
    failed: int
    held: int
    awaiting_approval: int
    in_doubt: int
    parked: int
    cancelled: int
    covered: int

    @classmethod
    def of(cls, counts: Counts) -> "Standing":
        """Add up over the providers."""

        def count(*statuses: Status) -> int:
            return sum(number for (_, status), number in counts.items() if status in statuses)

        return cls(
            planned=count(Status.PLANNED),
            placed=count(Status.PLACED, Status.COMPLETED, Status.CANCELLING),
            completed=count(Status.COMPLETED),
            failed=count(Status.FAILED),
            held=count(Status.HELD),
            awaiting_approval=count(Status.AWAITING_APPROVAL),
            in_doubt=count(Status.PLACING, Status.IN_DOUBT),
            parked=count(Status.PARKED),
            cancelled=count(Status.CANCELLED),
            covered=count(Status.COVERED),
        )

    @property
    def waiting(self) -> int:
        """The number of placements that are left for a further run or for a person."""
        return self.planned + self.held + self.awaiting_approval + self.in_doubt + self.parked


def in_standings(counts: Mapping[str, int]) -> str:
    """The number of placements in each standing, as in an outcome's JSON: "3 placed, 1 in doubt", or "none"."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count) or "none"


def takes_up_deliveries(settings: Settings) -> str:
    """The command that reads the waiting deliveries: plain ``place`` also reads Wicked Reports, and needs its key."""
    return "`impactflow place`" if settings.wicked_reports_api_key else "`impactflow place --webhooks`"


def reads_again(settings: Settings, command: str) -> str:
    """
    The command that reads the orders of planned placements again, in words.

    Args:
        settings: Whether there is a key of Wicked Reports.
        command: The command where there is one.
    """
    if settings.wicked_reports_api_key:
        return f"`{command}`"
    return (
        "`impactflow place --orders FILE` with these orders, or, where a webhook reported them, `impactflow place"
        " --webhooks`, by which they come to await approval,"
    )


def by_provider(counts: Counts) -> dict[str, dict[str, Any]]:
    """Counts by provider and status, as ``status --json`` prints them; every provider and every status is there."""
    return {
        provider.value: {status.value: counts.get((provider, status), 0) for status in Status}
        for provider in ProviderName
    }
