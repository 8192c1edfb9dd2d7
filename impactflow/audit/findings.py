"""The findings of an audit, in words: how ledger and provider disagree, the meaning, and the action to take."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType

from impactflow.ledger import Entry, Status
from impactflow.models import Placement, ProviderName
from impactflow.providers import Record
from impactflow.units import in_words


class Disagreement(StrEnum):
    """The ways in which the ledger and a provider's records may disagree about a purchase."""

    #: The ledger counts it; the provider knows no such purchase of ours.
    MISSING = "missing"
    #: The provider has a purchase of ours that the ledger does not count.
    EXTRA = "extra"
    #: The provider has two purchases for one order and slot.
    DUPLICATE = "duplicate"
    #: The provider has another kind or quantity than the ledger.
    WRONG_AMOUNT = "wrong_amount"
    #: The provider has cancelled what the ledger counts.
    CANCELLED_THERE = "cancelled_there"


@dataclass(frozen=True, slots=True)
class Suspect:
    """
    A possible disagreement.

    Args:
        what: The kind of disagreement.
        entry: The placement concerned, where the ledger knows one.
        record: The provider's record; None where there is none.
        ref: The provider's name for the purchase in question, or for several.
    """

    what: Disagreement
    entry: Entry | None
    record: Record | None
    ref: str


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One disagreement, for a person; no personal data.

    Args:
        finding: The kind of disagreement.
        provider: The provider's name.
        order: The order's id, where it is known.
        slot: The slot, where the ledger knows the placement.
        status: The placement's status in the ledger.
        ref: The provider's name for the purchase in question.
        recorded_ref: The same for the purchase that the ledger holds.
        there: The quantity at the provider, with its unit.
        here: The quantity in the ledger, with its unit.
        means: The meaning of the finding.
        to_do: The action for a person, and why it was not done already; empty where it is repaired.
        repaired: The repair; None where there was none.
    """

    finding: Disagreement
    provider: ProviderName
    order: str | None
    slot: str | None
    status: Status | None
    ref: str
    recorded_ref: str | None
    there: str | None
    here: str | None
    means: str
    to_do: str
    repaired: str | None

    @classmethod
    def of(cls, suspect: Suspect, provider: ProviderName, repaired: str | None, hindered: str | None) -> "Finding":
        """
        Describe a disagreement.

        Args:
            suspect: The disagreement.
            provider: The provider's name.
            repaired: The repair.
            hindered: Why there was no repair, although one was asked for.
        """
        record, entry = suspect.record, suspect.entry
        placement = entry.placement if entry else None
        means, to_do = MEANING[suspect.what]
        return cls(
            finding=suspect.what,
            provider=provider,
            order=placement.order_id if placement else record.order_id if record else None,
            slot=placement.slot if placement else None,
            status=entry.status if entry else None,
            ref=suspect.ref,
            recorded_ref=placement.ref if placement else None,
            there=in_words(record.kind, record.quantity) if record else None,
            here=in_words(placement.kind, placement.quantity) if placement else None,
            means=means,
            to_do="" if repaired else " ".join(filter(None, (_special(suspect) or to_do, hindered))),
            repaired=repaired,
        )

    def as_row(self) -> dict[str, str]:
        """Return the finding as tables, CSV and JSON show it."""
        return {name: str(getattr(self, name) or "") for name in COLUMNS}


#: The names of a finding's columns, in order.
COLUMNS = tuple(each.name for each in fields(Finding))

#: The meaning of each kind of finding, and the action to take unless the case is special.
MEANING: Mapping[Disagreement, tuple[str, str]] = MappingProxyType(
    {
        Disagreement.MISSING: (
            "The ledger says that it was bought; the provider knows no such purchase of ours.",
            "Ask the provider what became of it; nothing buys it again by itself.",
        ),
        Disagreement.EXTRA: (
            "The provider has a purchase of ours that the ledger does not count.",
            "Cancel it at the provider if it is not wanted, or record it with --repair.",
        ),
        Disagreement.DUPLICATE: (
            "The provider has two purchases for one order and slot.",
            "Cancel one of them at the provider; --repair cancels what the ledger does not hold.",
        ),
        Disagreement.WRONG_AMOUNT: (
            "The provider has another kind or quantity than the ledger.",
            "Have the provider correct it; the ledger keeps what was asked for.",
        ),
        Disagreement.CANCELLED_THERE: (
            "The provider has cancelled what the ledger says was bought.",
            "Find out who cancelled it; --repair marks it as cancelled here too.",
        ),
    }
)


def _special(suspect: Suspect) -> str | None:
    """The action to take where it depends on more than the kind of finding."""
    record, entry = suspect.record, suspect.entry
    if record is not None and record.key is None and entry is not None and record.ref != entry.placement.provider_ref:
        return "It carries no key, and an earlier attempt may have bought it late: if so, have the provider cancel it."
    if suspect.what is not Disagreement.EXTRA:
        return None
    if suspect.entry is None:
        return (
            "Another ledger bought it at this account, or this ledger was restored from before that: place nothing"
            " until you know, or it may be bought again."
        )
    if suspect.entry.status is Status.PARKED:
        return _ruling_on(suspect.entry.placement, record, suspect.ref)
    if suspect.entry.placement.ref is not None:
        return "The ledger says that it was cancelled: cancel it at the provider."
    return None


def _ruling_on(parked: Placement, record: Record | None, ref: str) -> str:
    """The command that rules on a parked placement, as far as it would be accepted."""
    command = f"impactflow settle {parked.order_id} {parked.slot} --as"
    if record is not None and record.differs(parked):
        return f"It is not what was asked for: cancel it at the provider, then {command} not-bought, or given-up."
    if ", " in ref:
        return f"If one of them is what was parked: {command} bought --ref REF, with its name."
    return f"If it is what was parked: {command} bought --ref '{ref}'."
