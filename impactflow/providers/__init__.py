"""
The operations of every provider, in our words; the modules beside this one translate.

A provider belongs to one of two regimes. They differ in what is possible after an answer was lost: ``RepeatsSafely``
can be asked again without buying again; of ``KeepsRecords``, only the records can be searched.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol, runtime_checkable

from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Unexplained, customer_digest

#: The most that a provider's clock may differ from ours: a purchase this much older than an attempt may be its effect.
CLOCK_SKEW = timedelta(minutes=2)


class Lease(Protocol):
    """A run's lease on a placement while a provider works on it."""

    def check(self) -> None:
        """
        Check that there is time left; called in the step that sends each request that may buy.

        ``clients.operations.with_final_check`` arranges that call.

        Raises:
            NotSent: The lease has too little time left for a request; nothing may be sent any more.
        """
        ...

    async def remember(self, handle: str | None) -> None:
        """Store durably the provider's name of the purchase, before the purchase takes effect."""
        ...

    async def unexplained(self, refs: Sequence[str]) -> Unexplained:
        """Return those of these purchases, which carry no key, that the ledger cannot explain without the placement."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """
    The purchase took effect.

    Args:
        receipt: Its receipt.
        by_key: Whether the purchase carries the placement's key; if not, it is the only purchase that fits.
        so_far: As for ``Absent``: the provider may still show another purchase that fits as well.
    """

    receipt: Receipt
    by_key: bool = False
    so_far: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """
    The purchase had no effect.

    Args:
        so_far: Whether an earlier request may still arrive, or its purchase may not be listed yet.
    """

    so_far: bool = False


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """
    The evidence fits more than one explanation: a person must read it.

    Args:
        evidence: The evidence, in words.
        so_far: As for ``Absent``: asked again, the provider may answer differently.
    """

    evidence: str
    so_far: bool = False


Verdict = Found | Absent | Ambiguous


@dataclass(frozen=True, slots=True)
class Record:
    """
    One purchase as a provider's records show it.

    Args:
        ref: The provider's name of the purchase.
        kind: The kind of impact; None where the record does not say.
        quantity: The quantity in ``UNIT_OF[kind]``; a fraction only where a fraction was bought; None where the record
            does not say.
        customer_email: The customer on whose behalf it was bought; None for the merchant, or where the record does not
            say.
        at: The time at which it took effect.
        key: Our key, where the account returns metadata; None where it does not, or the purchase is not ours.
        order_id: The order that the purchase's metadata names; None as for ``key``.
        cancelled: Whether it was undone since.
        price_usd_cents: Its price, where the provider says.
        is_somebodys: Whether it carries metadata without any key of ours: it belongs to another buyer.
        parts: The provider's names of the purchase's parts, where the provider says.
        shares_name: Whether the provider shows two purchases by that name.
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
    shares_name: bool = False

    @property
    def customer(self) -> str:
        """A digest of the customer, as of ``Placement.customer``; empty for the merchant."""
        return customer_digest(self.customer_email)

    def shows(self, placement: Placement) -> bool:
        """Whether the record shows a placement's kind and quantity."""
        return (self.kind, self.quantity) == (placement.kind, placement.quantity)

    def differs(self, placement: Placement) -> bool:
        """Whether the record shows another kind or quantity than a placement's."""
        return self.quantity is not None and not self.shows(placement)

    def is_anothers(self, placement: Placement) -> bool:
        """Whether the record shows that the purchase is not the one of a placement."""
        return self.is_somebodys or self.key not in {None, placement.key}


class Provider(Protocol):
    """A seller of impacts."""

    name: ProviderName

    async def prepare(self) -> None:
        """
        Read from the account what placing needs to know, before a sweep.

        Raises:
            Unauthorized: The key is not accepted.
        """
        ...

    @property
    def serialize_look_alikes(self) -> bool:
        """Whether only one of several look-alike placements may be unresolved at a time."""
        ...

    async def place(self, placement: Placement, lease: Lease) -> Receipt:
        """
        Buy what the placement asks for.

        Raises:
            Refused: The purchase was declined for good.
            NotSent: The purchase certainly did not happen.
            OutcomeUnknown: The purchase may have happened; also where the answer may be for another purchase.
            Contradiction: Something else seems to have happened.
        """
        ...

    async def track(self, placement: Placement) -> Progress:
        """
        Return how far a purchase that took effect has come.

        Raises:
            ProviderError: The provider did not say.
        """
        ...

    async def check(self) -> str:
        """Make a harmless call that needs the key; return a sentence for a person."""
        ...

    async def wrong_option(self, options: Mapping[str, str | bool]) -> str | None:
        """
        Return which of a rule's options the account does not know; None where it knows all that can be asked about.

        Raises:
            ProviderError: The account did not say.
        """
        ...

    @property
    def keys_need_fetch(self) -> bool:
        """Whether a purchase shows our key only when it is looked up, and not in the statement."""
        ...

    def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """
        Yield everything that the account bought between two UTC days, both included, ours or not, page by page.

        Pages may shift while they are read, and a purchase may be listed late: a purchase that is missing here is
        looked up.

        Raises:
            ProviderError: A page could not be read; the ones before it are good.
        """
        ...

    def newest(self, size: int) -> Sequence[AsyncIterator[Sequence[Record]]]:
        """
        Return everything that the account bought, ours or not, the newest first; one iterator for each of its lists.

        Purchases made meanwhile make pages overlap.

        Args:
            size: The most records on a page, 1 to 100.

        Raises:
            ProviderError: A page could not be read; the ones before it are good.
        """
        ...

    async def fetch(self, ref: str, parts: Sequence[str] = ()) -> Record | None:
        """
        Return one purchase by the provider's name for it; None where the provider knows none by that name.

        Args:
            ref: The name.
            parts: The purchase's known parts, for a provider that may not name them again.

        Raises:
            ProviderError: The provider did not say.
        """
        ...

    async def cancel(self, ref: str, parts: Sequence[str] = (), lease: "Lease | None" = None) -> None:
        """
        Undo a purchase that took effect; a repeat changes nothing.

        Args:
            ref: The provider's name for it.
            parts: The purchase's known parts, for a provider that may not name them again.
            lease: Checked before each request that cancels, where the caller holds one.

        Raises:
            Refused: The purchase stands, for good.
            NotSent: The purchase stands; it may be cancelled later.
            OutcomeUnknown: The purchase may be cancelled.
        """
        ...


@runtime_checkable
class RepeatsSafely(Provider, Protocol):
    """A provider that can be asked again without buying again."""

    async def resolve(self, doubt: Placement, lease: Lease) -> Verdict:
        """
        Find out what happened to a purchase, and complete it where that is safe.

        Raises:
            ProviderError: The outcome is still unknown.
        """
        ...


@runtime_checkable
class KeepsRecords(Provider, Protocol):
    """A provider whose records must be searched, because a second request would be a second purchase."""

    def records(
        self, kinds: Sequence[Kind], from_: date, to: date, *, customers: bool, newest_first: bool
    ) -> AsyncIterator[Sequence[Record]]:
        """
        Yield every purchase of some kinds between two days, both included, page by page.

        Args:
            kinds: The kinds to look for; all kinds where it is empty.
            from_: The first UTC day.
            to: The last UTC day.
            customers: Whether to search the purchases on behalf of customers, or else those for the merchant.
            newest_first: Whether the newest come first. Pages may shift while they are read, differently in each order.
        """
        ...
