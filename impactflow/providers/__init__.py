"""
What every provider can do, in our words; the modules beside this one translate.

A provider belongs to one of two regimes, told apart by what it offers when an answer was lost: ``RepeatsSafely`` can be
asked again without buying again, ``KeepsRecords`` can only be looked through.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol, runtime_checkable

from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Unexplained

#: How far a provider's clock may be from ours: a purchase this much older than an attempt may still be its effect.
CLOCK_SKEW = timedelta(minutes=2)


class Lease(Protocol):
    """A run's lease on a placement while a provider works on it."""

    def check(self) -> None:
        """
        To be called in the very step that sends each request that may buy (``clients.operations.looking``).

        Raises:
            NotSent: The lease has too little time left for a request; nothing may be sent any more.
        """
        ...

    async def remember(self, handle: str | None) -> None:
        """Make durable what the provider calls the purchase before it takes effect."""
        ...

    async def unexplained(self, refs: Sequence[str]) -> Unexplained:
        """Which of these purchases, none of which says whose it is, the ledger cannot explain without the placement."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """
    The purchase took effect.

    Args:
        receipt: Its receipt.
        by_key: Whether it says the placement's key, rather than being the only one that fits.
        so_far: As for ``Absent``: the provider may still show another that fits as well.
    """

    receipt: Receipt
    by_key: bool = False
    so_far: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """
    The purchase had no effect.

    Args:
        so_far: Whether a request that was sent before may still arrive, or may not be listed yet.
    """

    so_far: bool = False


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """
    The evidence fits more than one story: it is for a person to read.

    Args:
        evidence: What it is.
        so_far: As for ``Absent``: asked again, the provider may tell another story.
    """

    evidence: str
    so_far: bool = False


Verdict = Found | Absent | Ambiguous


@dataclass(frozen=True, slots=True)
class Record:
    """
    One purchase as a provider's records tell it.

    Args:
        ref: What the provider calls it.
        kind: What it is; None where the record does not say.
        quantity: How many of ``UNIT_OF[kind]``; a fraction only where somebody bought one; None where the record does
            not say.
        customer_email: Whom it was bought on behalf of; None for the merchant, or where the record does not say.
        at: When it took effect.
        key: Our key, where the account returns metadata; None where it does not, or the purchase is not ours.
        order_id: The order that it was told to be for, likewise.
        cancelled: Whether it was undone since.
        price_usd_cents: What it cost, where the provider says.
        is_somebodys: Whether it carries metadata without any key of ours: it is somebody else's.
        parts: What the provider calls what it consists of, where it says.
    """

    ref: str
    kind: Kind | None
    quantity: int | Decimal | None
    customer_email: str | None = field(repr=False)
    at: datetime
    key: str | None
    order_id: str | None = None
    cancelled: bool = False
    price_usd_cents: int | None = None
    is_somebodys: bool = False
    parts: tuple[str, ...] = ()

    def shows(self, placement: Placement) -> bool:
        """Whether it says that it is of a placement's kind and quantity."""
        return (self.kind, self.quantity) == (placement.kind, placement.quantity)

    def differs(self, placement: Placement) -> bool:
        """Whether it says that it is of another kind or quantity than a placement."""
        return self.quantity is not None and not self.shows(placement)

    def is_anothers(self, placement: Placement) -> bool:
        """Whether it says that it was bought for something else than a placement."""
        return self.is_somebodys or self.key not in {None, placement.key}


class Provider(Protocol):
    """Somebody who sells impacts."""

    name: ProviderName

    async def prepare(self) -> None:
        """
        Learn about the account what placing needs to know, before a sweep.

        Raises:
            Unauthorized: The key is not accepted.
        """
        ...

    @property
    def serialize_look_alikes(self) -> bool:
        """Whether of placements that the records could not tell apart only one may be unresolved at a time."""
        ...

    async def place(self, placement: Placement, lease: Lease) -> Receipt:
        """
        Buy it.

        Raises:
            Refused: It was declined for good.
            NotSent: It certainly did not happen.
            OutcomeUnknown: It may have happened; also where the answer tells of another purchase, which it may be for.
            Contradiction: Something else seems to have happened.
        """
        ...

    async def track(self, placement: Placement) -> Progress:
        """
        Where a purchase that took effect stands.

        Raises:
            ProviderError: The provider did not say.
        """
        ...

    async def check(self) -> str:
        """A harmless call that needs the key; returns what to tell a person."""
        ...

    async def wrong_option(self, options: Mapping[str, str | bool]) -> str | None:
        """
        What the account does not know of the options that a rule passes on; None where it knows all that can be asked.

        Raises:
            ProviderError: The account did not say.
        """
        ...

    @property
    def keys_by_look_up(self) -> bool:
        """Whether a purchase says our key only when it is looked up, and not in the statement."""
        ...

    def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """
        Everything that the account bought between two UTC days, both included, ours or not, page by page.

        Pages may shift while they are read, and a purchase may be listed late: what is not here is looked up.

        Raises:
            ProviderError: A page could not be read; the ones before it are good.
        """
        ...

    def newest(self, size: int) -> Sequence[AsyncIterator[Sequence[Record]]]:
        """
        Everything that the account bought, ours or not, the newest first; one listing each where it keeps several.

        What is bought meanwhile makes pages overlap.

        Args:
            size: How many records a page may lease, 1 to 100.

        Raises:
            ProviderError: A page could not be read; the ones before it are good.
        """
        ...

    async def look_up(self, ref: str, parts: Sequence[str] = ()) -> Record | None:
        """
        One purchase by the provider's name for it; None where the provider knows none by that name.

        Args:
            ref: The name.
            parts: What it is known to consist of, for a provider that may not say it again.

        Raises:
            ProviderError: The provider did not say.
        """
        ...

    async def cancel(self, ref: str) -> None:
        """
        Undo a purchase that took effect; done again, it changes nothing.

        Raises:
            Refused: It stands, and will.
            NotSent: It stands; it may be cancelled later.
            OutcomeUnknown: It may be cancelled.
        """
        ...


@runtime_checkable
class RepeatsSafely(Provider, Protocol):
    """A provider that can be asked again without buying again."""

    async def settle(self, doubt: Placement, lease: Lease) -> Verdict:
        """
        Find out what became of a purchase, completing it where that is safe.

        Raises:
            ProviderError: Still unknown.
        """
        ...


@runtime_checkable
class KeepsRecords(Provider, Protocol):
    """A provider whose records must be looked through, because a second request would be a second purchase."""

    def records(
        self, kinds: Sequence[Kind], from_: date, to: date, *, customers: bool, newest_first: bool
    ) -> AsyncIterator[Sequence[Record]]:
        """
        Every purchase of some kinds between two days, both included, page by page.

        Args:
            kinds: What to look for; everything where it is empty.
            from_: The first UTC day.
            to: The last UTC day.
            customers: Look through what was bought on behalf of customers, or else for the merchant.
            newest_first: In which order; pages may shift while they are read, and differently in each order.
        """
        ...
