"""
The values that pass between the modules: frozen, with units in their names.

Quantities are whole numbers of a unit (a kilogram of CO₂ is 1,000 grams, a dollar is 100 cents), so that sums are exact
in any database. Times are aware and UTC.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor
from types import MappingProxyType

from impactflow.names import systems_of


class ProviderName(StrEnum):
    """The providers that sell impacts."""

    ONECLICKIMPACT = "oneclickimpact"
    CNAUGHT = "cnaught"
    IMPACTAPI = "impactapi"


#: The providers that take no idempotency key: their records distinguish purchases only by their content.
KEYLESS = frozenset({ProviderName.ONECLICKIMPACT})


class Kind(StrEnum):
    """The kinds of impact, as the policy names them."""

    PLANT_TREES = "plant_trees"
    CLEAN_OCEAN = "clean_ocean"
    CAPTURE_CARBON = "capture_carbon"
    RESTORE_CORAL = "restore_coral"
    DONATE = "donate"
    OFFSET = "offset"


class Unit(StrEnum):
    """The units of quantities. The ledger counts in the smallest unit that can be bought of each kind."""

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


#: Shares of a purchase are counted in parts of a unit, of which a unit has this many: a number with four decimals is a
#: whole number of parts, and so is a third, a seventh, a ninth, an eleventh or a thirteenth of a whole number.
PARTS = 90_090_000


def parts_of(exact: Fraction) -> int:
    """The number of parts in a quantity, to the nearest one."""
    return floor(exact * PARTS + Fraction(1, 2))


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment of an order: its status as Wicked Reports writes it (``APPROVED``, ``Partially Refunded``, ...)."""

    status: str


@dataclass(frozen=True, slots=True)
class Refund:
    """
    Money that was given back for an order.

    Args:
        names: Names of the order, as in ``Order``; the order may be unknown yet.
        ref: The sender's lasting name for the refund; if it is announced again, the larger amount counts.
        amount: How much, in ``currency``; None where the sender did not say.
        currency: ISO 4217 code in capitals; None where the sender did not say.
        is_full: Whether the sender says that everything was given back.
        as_of: The time for which the sender says this; None where it did not say.
        is_undone: Whether the sender says that this amount of an earlier refund was not given back after all.
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
    A line of an order: a number of one product.

    Args:
        ids: The shop's ids for the product: a product's id, a variant's, a SKU.
        name: The name that the customer sees; None where the source did not say.
        quantity: How many there are now.
        amount: The price of all of them, in the order's currency, with tax; None where the source did not say.
        is_gift_card: Whether the shop says that it is a gift card.
    """

    ids: tuple[str, ...]
    name: str | None
    quantity: Decimal
    amount: Decimal | None
    is_gift_card: bool = False


@dataclass(frozen=True, slots=True)
class Click:
    """The origin of a click, by the tags of its link; None where it had no such tag."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """
    A sale, reduced to the fields that a policy can ask about.

    Args:
        id: The id of its first report, ``SYSTEM:ID`` where a webhook came first; keys derive from it, and the providers
            get it as ``order_id``.
        names: Every name of the sale (``wr:ID``, ``src:SYSTEM:ID``); two orders sharing one are the same order.
        ordered_at: When it was sold.
        amount: The price as the order is now, in ``currency``; None where the source did not say.
        currency: ISO 4217 code in capitals; None where the source did not say.
        item_count: The sum of the products' quantities; None where the order lists no products.
        payments: Its payments; empty where the source did not say.
        customer_email: The customer's address; None where the source did not say. Never logged.
        announced_at: When a webhook reported it; None where it was read.
        as_of: The time for which its sender reports this state; None where the sender does not say.
        refunds: By their ``ref``, the refunds that ``amount`` already includes.
        only_names: Whether the source reported only its names.
        products: Its lines; empty where the source did not list them.
        paid_with: The ways in which it was paid, as the shop names them; empty where the source did not say.
        is_subscription: Whether it is a payment of a subscription; None where the source did not say.
        last_click: The click that it is attributed to; None where the source did not say.
        reporter: The source that reported it: a sender of webhooks, a file, or Wicked Reports with the system it names.
        is_first: Whether no earlier order of its customer is known; None where this was not checked, or the customer is
            unknown.
    """

    id: str
    names: tuple[str, ...]
    ordered_at: datetime
    amount: Decimal | None
    currency: str | None
    item_count: Decimal | None
    payments: tuple[Payment, ...]
    customer_email: str | None = field(default=None, repr=False)
    announced_at: datetime | None = None
    as_of: datetime | None = None
    refunds: frozenset[str] = frozenset()
    only_names: bool = False
    products: tuple[Product, ...] = ()
    paid_with: tuple[str, ...] = ()
    is_subscription: bool | None = None
    last_click: Click | None = None
    reporter: str = ""
    is_first: bool | None = None

    @property
    def sources(self) -> frozenset[str]:
        """The systems that sold it, as far as its names say, in lower case; empty where the source did not say."""
        return systems_of(self.names)

    @property
    def is_refunded(self) -> bool:
        """Whether a payment was given back whole."""
        return any(payment.status.strip().upper() == _REFUNDED for payment in self.payments)

    @property
    def is_given_back(self) -> bool:
        """Whether all its payments were given back whole, or failed: a payment of another status may have been made."""
        return self.is_refunded and all(
            payment.status.strip().upper() in {_REFUNDED, "FAILED"} for payment in self.payments
        )

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
        Return the order after refunds that were announced elsewhere; the same refunds again change nothing.

        A sender of refunds may not know the order's amount, so the sum of the refunds is compared with it here; refunds
        that the amount already includes count once.
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
        before = [payment.status.strip().upper() for payment in self.payments]
        statuses = {"APPROVED": status, "MANUAL": status, "PARTIALLY REFUNDED": status}
        payments = [
            Payment(statuses.get(old, payment.status)) for old, payment in zip(before, self.payments, strict=True)
        ]
        return replace(self, payments=tuple(payments), amount=left, refunds=self.refunds | by_ref.keys())

    def _is_taken_up_after(self, refund: Refund) -> bool:
        """Whether an order that was called off goes on, because its sender reports it as open at a later time."""
        return refund.is_cancellation and _is_later(self.as_of, refund.as_of)

    def _given_back(self, refunds: Iterable[Refund]) -> Decimal:
        """The sum of the refunds, as far as their amounts can be compared with the order's."""
        comparable = (refund.amount for refund in refunds if refund.currency == self.currency)
        return sum((amount for amount in comparable if amount is not None), Decimal(0))


_REFUNDED, _PARTIALLY_REFUNDED = "REFUNDED", "Partially Refunded"


def _standing(refunds: Iterable[Refund]) -> list[Refund]:
    """The refunds less amounts that were not given back after all: an undoing applies to refunds reported before it."""
    sorted_refunds = sorted(refunds, key=lambda refund: refund.ref)
    standing = [refund for refund in sorted_refunds if not refund.is_undone]
    for failed in (refund for refund in sorted_refunds if refund.is_undone):
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
    The impact that an order has earned in one slot.

    Args:
        slot: The policy's lasting name for it.
        provider: The provider that sells it.
        kind: The kind of impact.
        quantity: How many of ``UNIT_OF[kind]``; None while ``held`` because the quantity is unknown.
        options: More fields for the provider (``campaign``, ``category``, ``portfolio_id``, ``notify``).
        on_behalf_of_customer: Whether the provider gets the customer's e-mail address.
        held: Why it may not be bought yet, for a person to correct; None when it may.
        approval_limit: The most that is bought without a person's approval; None for no limit.
        is_default_limit: Whether that limit is the default.
        day_limit: The most that is planned in the slot on one UTC day without a person's approval; None for no limit.
        asks: Why a person is asked, whatever the quantity; None where no person is asked.
        hold_days: The days after the order's sale before which it is not bought.
        share: The exact quantity, where the impact is bought in one purchase with those of other orders; None where it
            is bought by itself.
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
    hold_days: int = 0
    share: Fraction | None = None

    @property
    def needs_approval(self) -> bool:
        """Whether the impact needs a person's approval before it is bought."""
        return self.quantity is not None and self.approval_limit is not None and self.quantity > self.approval_limit

    @property
    def exact(self) -> Fraction:
        """The exact quantity; 0 where it is unknown."""
        return Fraction(self.quantity or 0) if self.share is None else self.share

    @property
    def is_pooled(self) -> bool:
        """Whether it is bought in one purchase with other orders' impacts: never where a person decides about it."""
        return self.share is not None and self.held is None and self.asks is None and not self.needs_approval


@dataclass(frozen=True, slots=True)
class Cap:
    """
    A policy's cap in its present period: more than this is not sent before the next period begins.

    Args:
        slot: The slot that the cap covers; None for all.
        provider: The provider that the cap covers; None for all.
        counts: What one of the ledger's units counts, by slot and kind of impact, in the policy's slots.
        others: The same in USD for what was bought in a slot that is gone from the policy or has another kind, by
            provider and kind; empty for a cap on a quantity.
        most: The most that may be sent in the period, counted like that.
        unit: The unit of ``most``: one of the ledger's, or ``usd``.
        since: The beginning of the period.
        until: Its end, when the next one begins.
        in_words: The cap for a person: ``200 trees a day in slot trees``.
    """

    slot: str | None
    provider: str | None
    counts: Mapping[tuple[str, str], Fraction]
    others: Mapping[tuple[str, str], Fraction]
    most: Fraction
    unit: str
    since: datetime
    until: datetime
    in_words: str

    def covers(self, slot: str, provider: str) -> bool:
        """Whether the cap covers what is bought in a slot at a provider."""
        return self.slot in {None, slot} and self.provider in {None, provider}

    def counted(self, slot: str, provider: str, kind: str) -> Fraction | None:
        """What one of the ledger's units counts of a purchase that the cap covers; None where no price is known."""
        if (slot, kind) in self.counts:
            return self.counts[slot, kind]
        if self.unit != USD:
            return Fraction(0)  # counted in another unit
        return _CENT if kind == Kind.DONATE else self.others.get((provider, kind))

    def full_at(self, used: Fraction, now: datetime) -> datetime | None:
        """The time at which the cap will be used up at the present pace; None if it is, or not in this period."""
        passed, whole = now - self.since, self.until - self.since
        share = used / self.most
        if (
            not passed
            or not 0 < share < 1
            or share * Fraction(whole.total_seconds()) <= Fraction(passed.total_seconds())
        ):
            return None
        return self.since + passed / float(share)


@dataclass(frozen=True, slots=True)
class Pool:
    """
    A slot in which one purchase, a lot, is made for many orders, as it stands at a time.

    Also a slot that buys for each order by itself, while it has credit: the next orders are covered with that.

    Args:
        slot: The slot.
        kind: The kind of impact.
        least: The smallest lot, in ``UNIT_OF[kind]``.
        most: The largest one.
        since: The beginning of the present period: one lot is drawn in a period, for orders of the periods before; None
            where lots do not go by periods.
        lot: Returns the impact to be bought for a lot of a quantity.
        is_for_one: Whether the slot buys for each order by itself.
        takes_credit: Whether what would be sent for one order may be covered by what was bought for others.
    """

    slot: str
    kind: Kind
    least: int
    most: int
    since: datetime | None
    lot: Callable[[int], Impact]
    is_for_one: bool = False
    takes_credit: bool = True


#: The unit of a cap on money.
USD = "usd"
_CENT = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Unearned:
    """The reason why an order earned nothing in a slot; ``slot`` is None where the whole order does not count."""

    slot: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Earnings:
    """The result of a policy for one order: whether it counts, its impacts, and the impacts not earned and why."""

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
        store: The order's store, as the policy names it.
        order_id: The order's id, as ``Order`` has it.
        slot: The policy's name for the impact.
        provider: The provider that sells it.
        kind: The kind of impact.
        quantity: How many of ``UNIT_OF[kind]``.
        options: As in ``Impact``.
        customer_email: The customer it is bought on behalf of; None for the merchant, or where the customer was
            forgotten. Never logged.
        attempt: The number of this attempt; the first is 1.
        attempted_at: When this attempt's intent was committed; before the first, when it was planned.
        first_attempted_at: When the first attempt's intent was committed: the age of its idempotency key.
        sent_until: The time after which no request for it was sent: when it came to be in doubt, or was last sent again
            to resolve the doubt; else ``attempted_at``.
        handle: The provider's name for the purchase before it takes effect (an ImpactAPI session's id).
        ref: The provider's name for the purchase once it took effect; None before.
        parts: The provider's names for the parts of the purchase (ImpactAPI's donation intents); empty where it did not
            say.
        if_absent: While in doubt because an answer said no, or described another purchase: the status to take where the
            provider does not show this one; None where no answer came.
        asked_again: While in doubt: how often the provider was asked again about an answer against the purchase.
        reason: The reason for its status, for a person.
        known_as: The digest of the customer for whom it was sent, if that customer was forgotten since; else empty.
        is_renamed: Whether it was sent once more after that, and for nobody; false where it was, but what it holds was
            bought for the customer; None where it was not.
        was_denied: Whether the provider said no to an earlier attempt that may have been bought all the same.
        alone: Whether no look-alike placement is unresolved beside it.
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
    asked_again: int = 0
    reason: str | None = None
    known_as: str = ""
    is_renamed: bool | None = None
    was_denied: bool = False

    @property
    def customer(self) -> str:
        """A digest of the customer as the provider knows them from the latest attempt; empty for the merchant."""
        if self.known_as and not self.is_renamed:
            return self.known_as
        return customer_digest(self.customer_email)

    @property
    def customers(self) -> frozenset[str]:
        """The same for all attempts: the customer may have been forgotten between two of them."""
        for_nobody = () if self.is_renamed is None else ("",)
        return frozenset({self.customer, self.known_as or self.customer, *for_nobody})

    @property
    def provider_ref(self) -> str:
        """The provider's name for the purchase; empty before it took effect."""
        return provider_ref(self.ref or "")


def customer_digest(email: str | None) -> str:
    """A text in place of a customer's address, by which records are compared; empty without an address."""
    return hashlib.sha256(email.casefold().encode(errors="surrogatepass")).hexdigest()[:32] if email else ""


def provider_ref(ref: str) -> str:
    """The provider's name for a purchase, without the number that the ledger adds where several share one name."""
    return ref.partition("#")[0]


@dataclass(frozen=True, slots=True)
class Unexplained:
    """
    Purchases that no placement of the ledger holds.

    Args:
        refs: The provider's names for them.
        others: How many other placements of the same kind and quantity have an unknown outcome.
    """

    refs: frozenset[str]
    others: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    A provider's confirmation that a purchase took effect.

    Args:
        ref: The provider's name for it, enough to find it again.
        price_usd_cents: The price, where the provider says it.
        certificate_url: The public page about it, where the provider gives one.
        parts: The provider's names for the parts of the purchase, where it gives them.
        quoted_usd_cents: The price that the provider had quoted before, where it was asked.
    """

    ref: str
    price_usd_cents: int | None = None
    certificate_url: str | None = None
    parts: tuple[str, ...] = ()
    quoted_usd_cents: int | None = None


class Stage(StrEnum):
    """The stages of a purchase that took effect."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """
    The progress of a purchase, in our words (``stage``) and the provider's (``detail``); the rest as in ``Receipt``.

    ``unseen``: the purchase counts as cancelled because the provider does not show it; the provider may show it later.
    """

    stage: Stage
    detail: str
    certificate_url: str | None = None
    parts: tuple[str, ...] = ()
    unseen: bool = False
