"""
The values that pass between the parts: frozen, with units in their names.

Quantities are whole numbers of a unit (a kilogram of CO₂ is 1,000 grams, a dollar is 100 cents), so that sums are exact
in any database. Times are aware and UTC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType


class ProviderName(StrEnum):
    """Who sells impacts."""

    ONECLICKIMPACT = "oneclickimpact"
    CNAUGHT = "cnaught"
    IMPACTAPI = "impactapi"


class Kind(StrEnum):
    """What an impact is, as the policy says it."""

    PLANT_TREES = "plant_trees"
    CLEAN_OCEAN = "clean_ocean"
    CAPTURE_CARBON = "capture_carbon"
    RESTORE_CORAL = "restore_coral"
    DONATE = "donate"
    OFFSET = "offset"


class Unit(StrEnum):
    """What a quantity counts. The ledger counts the smallest thing that can be bought of each kind."""

    TREE = "tree"
    LB = "lb"
    GRAM = "g"
    USD_CENT = "usd_cent"
    CORAL_FRAGMENT = "coral_fragment"


UNIT_OF: Mapping[Kind, Unit] = MappingProxyType(
    {
        Kind.PLANT_TREES: Unit.TREE,
        Kind.CLEAN_OCEAN: Unit.LB,
        Kind.CAPTURE_CARBON: Unit.LB,
        Kind.RESTORE_CORAL: Unit.CORAL_FRAGMENT,
        Kind.DONATE: Unit.USD_CENT,
        Kind.OFFSET: Unit.GRAM,
    }
)


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment of an order: its status as Wicked Reports writes it (``APPROVED``, ``Partially Refunded``, ...)."""

    status: str


@dataclass(frozen=True, slots=True)
class Refund:
    """
    Money that was given back for an order.

    Args:
        names: Names of the order, as in ``Order``; it may be unknown yet.
        ref: The sender's lasting name for it; told again, the larger amount holds.
        amount: How much, in ``currency``; None where the sender did not say.
        currency: ISO 4217 code in capitals; None where the sender did not say.
        is_full: Whether the sender says that everything was given back.
        as_of: When the sender says that it was so; None where it did not say.
        is_undone: Whether it says that so much was not given back after all, of what was said before.
        uncaptured: How much of ``amount`` the merchant never took: the payment was captured in part.
    """

    names: tuple[str, ...]
    ref: str
    amount: Decimal | None
    currency: str | None
    is_full: bool
    as_of: datetime | None = None
    is_undone: bool = False
    uncaptured: Decimal = Decimal(0)

    @property
    def is_cancellation(self) -> bool:
        """Whether the order was called off, rather than money given back."""
        return self.is_full and self.amount is None


@dataclass(frozen=True, slots=True)
class Product:
    """
    A line of an order: so many of one thing.

    Args:
        ids: What the shop knows the thing by: a product's id, a variant's, a SKU.
        name: What the customer knows it by; None where the source did not say.
        quantity: How many there are now.
        amount: What they come to, in the order's currency, with tax; None where the source did not say.
        is_gift_card: Whether the shop says that it is a gift card.
    """

    ids: tuple[str, ...]
    name: str | None
    quantity: Decimal
    amount: Decimal | None
    is_gift_card: bool = False


@dataclass(frozen=True, slots=True)
class Click:
    """Where a click came from, by the tags of its link; None where it had no such tag."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """
    Something sold, reduced to what a policy can ask about it.

    Args:
        id: The Wicked Reports id, told to the providers as ``order_id``.
        names: Every name the sale goes by (``wr:ID``, ``src:SYSTEM:ID``); two orders sharing one are the same order.
        ordered_at: When it was sold.
        amount: What it costs as it is now, in ``currency``; None where the source did not say.
        currency: ISO 4217 code in capitals; None where the source did not say.
        item_count: The sum of the products' quantities; None where the order lists no products.
        payments: Its payments; empty where the source did not say.
        customer_email: Who bought it; None where the source did not say. Never logged.
        told_at: When a webhook told of it; None where it was read.
        as_of: When its sender says that it was as told; None where the sender does not say.
        refunds: By their ``ref``, the refunds that ``amount`` shows already.
        only_names: Whether nothing was told of it but by what names it goes.
        products: Its lines; empty where the source did not list them.
        paid_with: The ways in which it was paid, as the shop names them; empty where the source did not say.
        is_subscription: Whether it is a payment of a subscription; None where the source did not say.
        last_click: The click that it is attributed to; None where the source did not say.
        teller: Who told of it: a sender of webhooks, a file, or Wicked Reports, each with the system that it names.
        is_first: Whether no earlier order of its customer is known; None where nobody has looked, or it is not known
            who bought it.
    """

    id: str
    names: tuple[str, ...]
    ordered_at: datetime
    amount: Decimal | None
    currency: str | None
    item_count: Decimal | None
    payments: tuple[Payment, ...]
    customer_email: str | None = field(default=None, repr=False)
    told_at: datetime | None = None
    as_of: datetime | None = None
    refunds: frozenset[str] = frozenset()
    only_names: bool = False
    products: tuple[Product, ...] = ()
    paid_with: tuple[str, ...] = ()
    is_subscription: bool | None = None
    last_click: Click | None = None
    teller: str = ""
    is_first: bool | None = None

    @property
    def sources(self) -> frozenset[str]:
        """The systems that sold it, as far as its names say, in small letters; empty where the source did not say."""
        return frozenset(name.split(":", 2)[1] for name in self.names if name.startswith("src:"))

    @property
    def is_refunded(self) -> bool:
        """Whether a payment was given back whole."""
        return any(payment.status.strip().upper() == _REFUNDED for payment in self.payments)

    @property
    def is_refunded_in_part(self) -> bool:
        """Whether a part of a payment was given back."""
        return any(payment.status.strip().upper() == _PARTIALLY_REFUNDED.upper() for payment in self.payments)

    @property
    def is_paid(self) -> bool:
        """Whether a payment was made, and not given back whole."""
        paid = {"APPROVED", "MANUAL", _PARTIALLY_REFUNDED.upper()}
        return any(payment.status.strip().upper() in paid for payment in self.payments)

    def after(self, refunds: Iterable[Refund]) -> "Order":
        """
        The order as it stands after refunds that were announced elsewhere; after the same again, the same.

        A sender of refunds may not know what the order came to, so what they add up to is compared with it here; what
        the amount shows already counts once.
        """
        by_ref = {refund.ref: refund for refund in _standing(refunds) if not self._is_taken_up_after(refund)}
        if not by_ref:
            return self
        given_back = self._given_back(by_ref[ref] for ref in by_ref.keys() - self.refunds)
        left = None if self.amount is None else max(self.amount - given_back, Decimal(0))
        is_undone = self.amount is not None and 0 < self.amount <= given_back
        is_undone = is_undone or any(refund.is_full for refund in by_ref.values())
        was_less_taken = all(
            refund.amount is not None and refund.amount == refund.uncaptured for refund in by_ref.values()
        )
        if was_less_taken and not is_undone:
            return replace(self, amount=left, refunds=self.refunds | by_ref.keys())
        status = _REFUNDED if is_undone else _PARTIALLY_REFUNDED
        told = [payment.status.strip().upper() for payment in self.payments]
        statuses = {"APPROVED": status, "MANUAL": status, "PARTIALLY REFUNDED": status}
        payments = [
            Payment(statuses.get(said, payment.status)) for said, payment in zip(told, self.payments, strict=True)
        ]
        return replace(self, payments=tuple(payments), amount=left, refunds=self.refunds | by_ref.keys())

    def _is_taken_up_after(self, refund: Refund) -> bool:
        """Whether an order that was called off goes on, as its sender says of later."""
        return refund.is_cancellation and _is_later(self.as_of, refund.as_of)

    def _given_back(self, refunds: Iterable[Refund]) -> Decimal:
        """What refunds add up to, as far as their amounts can be compared with the order's."""
        comparable = (refund.amount for refund in refunds if refund.currency == self.currency)
        return sum((amount for amount in comparable if amount is not None), Decimal(0))


_REFUNDED, _PARTIALLY_REFUNDED = "REFUNDED", "Partially Refunded"


def _standing(refunds: Iterable[Refund]) -> list[Refund]:
    """Refunds without what was not given back after all: that was said of those that were told before it."""
    told = sorted(refunds, key=lambda refund: refund.ref)
    standing = [refund for refund in told if not refund.is_undone]
    for failed in (refund for refund in told if refund.is_undone):
        left = failed.amount
        for number, refund in enumerate(standing):
            if not left or refund.amount is None or refund.currency != failed.currency:
                continue
            if _is_later(refund.as_of, failed.as_of):
                continue
            taken = min(left, refund.amount - refund.uncaptured)
            left -= taken
            standing[number] = replace(refund, amount=refund.amount - taken, is_full=False)
    return [refund for refund in standing if refund.amount is None or refund.amount or refund.is_full]


def _is_later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one > other


@dataclass(frozen=True, slots=True)
class BrokenOrder:
    """An order that could not be read: its id if it had one, the fields that broke, and nothing of its content."""

    id: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class Impact:
    """
    What an order has earned in one slot.

    Args:
        slot: The policy's lasting name for it.
        provider: Who sells it.
        kind: What it is.
        quantity: How many of ``UNIT_OF[kind]``; None while ``held`` for want of it.
        options: What the provider is told besides (``campaign``, ``category``, ``portfolio_id``, ``notify``).
        on_behalf_of_customer: Whether the provider is told the customer's e-mail address.
        held: Why it may not be bought yet, for a person to mend; None when it may.
        approval_limit: The most that is bought without a person's approval; None where all is.
        is_default_limit: Whether nobody has chosen that limit.
        day_limit: The most that is planned in the slot on one UTC day without a person's approval; None where all is.
        asks: Why a person is asked, however much it is; None where none is.
    """

    slot: str
    provider: ProviderName
    kind: Kind
    quantity: int | None
    options: Mapping[str, str | bool] = field(default_factory=dict)
    on_behalf_of_customer: bool = False
    held: str | None = None
    approval_limit: int | None = None
    is_default_limit: bool = False
    day_limit: int | None = None
    asks: str | None = None

    @property
    def needs_approval(self) -> bool:
        """Whether it is more than may be bought without a person's approval."""
        return self.quantity is not None and self.approval_limit is not None and self.quantity > self.approval_limit


@dataclass(frozen=True, slots=True)
class Unearned:
    """What an order did not earn, and why; ``slot`` is None where the whole order does not count."""

    slot: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Earnings:
    """What a policy makes of one order: whether it counts, what it has earned, what it has not and why."""

    eligible: bool
    impacts: tuple[Impact, ...]
    unearned: tuple[Unearned, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """
    One purchase, as the ledger hands it to a provider.

    Args:
        id: The ledger's row.
        key: The idempotency key: derived from store, order and slot, never from amounts.
        store: Whose order, as the policy names the store.
        order_id: The Wicked Reports id of the order.
        slot: The policy's name for the impact.
        provider: Who sells it.
        kind: What it is.
        quantity: How many of ``UNIT_OF[kind]``.
        options: As in ``Impact``.
        customer_email: Whom it is bought on behalf of; None for the merchant. Never logged.
        attempt: Which attempt this is; the first is 1.
        attempted_at: When this attempt's intent was committed; before the first, when it was planned.
        first_attempted_at: When the first attempt's intent was committed: the age of its idempotency key.
        sent_until: No request for it was sent after that: when it came to be in doubt, or was last sent again to settle
            that; else ``attempted_at``.
        handle: What the provider calls the purchase before it takes effect (an ImpactAPI session's id).
        ref: What the provider calls the purchase once it took effect; None before.
        parts: What the provider calls what the purchase consists of (ImpactAPI's donation intents); empty where it did
            not say.
        if_absent: While in doubt since an answer said no, or told of another purchase: the status to take where the
            provider does not show this one; None where no answer came.
        reason: Why it is where it is, for a person.
        alone: Whether no other placement that the provider's records could not tell apart is unresolved beside it.
    """

    id: int
    key: str
    store: str
    order_id: str
    slot: str
    provider: ProviderName
    kind: Kind
    quantity: int
    options: Mapping[str, str | bool]
    customer_email: str | None = field(repr=False)
    attempt: int
    attempted_at: datetime
    first_attempted_at: datetime
    sent_until: datetime
    handle: str | None
    ref: str | None
    alone: bool
    parts: tuple[str, ...] = ()
    if_absent: str | None = None
    reason: str | None = None

    @property
    def provider_ref(self) -> str:
        """What the provider calls the purchase; empty before it took effect."""
        return provider_ref(self.ref or "")


def provider_ref(ref: str) -> str:
    """What the provider calls a purchase, without the number that the ledger adds where several share one name."""
    return ref.partition("#")[0]


@dataclass(frozen=True, slots=True)
class Unexplained:
    """
    Purchases that no placement of the ledger holds.

    Args:
        refs: The provider's names for them.
        others: How many other placements of the same kind and quantity there are whose outcome nobody knows.
    """

    refs: frozenset[str]
    others: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    A provider's word that a purchase took effect.

    Args:
        ref: What the provider calls it, enough to find it again.
        price_usd_cents: What it cost, where the provider says.
        certificate_url: Where anyone can see it, where the provider says.
        parts: What the provider calls what the purchase consists of, where it says.
    """

    ref: str
    price_usd_cents: int | None = None
    certificate_url: str | None = None
    parts: tuple[str, ...] = ()


class Stage(StrEnum):
    """Where a purchase that took effect stands."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Where a purchase stands, in our words (``stage``) and the provider's (``detail``); else as in ``Receipt``.

    ``unseen`` where it counts as cancelled because the provider does not show it: it may not show it yet.
    """

    stage: Stage
    detail: str
    certificate_url: str | None = None
    parts: tuple[str, ...] = ()
    unseen: bool = False
