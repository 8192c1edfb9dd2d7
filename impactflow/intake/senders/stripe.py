"""
Stripe's events: checkout sessions that are paid, charges that are refunded or captured in part, refunds that fail.

Source: Stripe's API reference (event, checkout session, charge, refund, invoice payment) and its page on currencies,
read 2026-11-22 and 2026-11-28.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from impactflow.clients.values import Answer, Aside, Time
from impactflow.clients.wickedreports.models import Text
from impactflow.intake.senders.values import (
    A_TEST,
    Id,
    Line,
    Minor,
    NothingForUs,
    Reference,
    currency_code,
    from_minor,
    item_count,
    product,
)
from impactflow.models import Order, Payment, Product, Refund
from impactflow.names import source_name

T = TypeVar("T", bound=Answer)

_SYSTEM = "stripe"


class _Data(Answer, Generic[T]):
    object: T


class _Event(Answer, Generic[T]):
    """An event; ``livemode`` is false where no real money moved."""

    created: Aside[Time] = None
    livemode: bool = True
    data: _Data[T]


class _Customer(Answer):
    email: Annotated[Aside[Text], Field(repr=False)] = None


class _Price(Answer):
    """The price of one product, and the product."""

    id: Aside[Id] = None
    product: Reference = None


class _Line(Line):
    """One product that was sold; an event has no lines, a session that a program sends on may have some."""

    description: Aside[Text] = None
    price: Aside[_Price] = None
    amount_total: Aside[Minor] = None

    def product(self, currency: str | None) -> Product:
        """The line as a product."""
        price = self.price or _Price()
        return product(self, (price.product, price.id), self.description, _major(self.amount_total, currency))


class _Lines(Answer):
    data: list[_Line] | None = None


class _Intent(Answer):
    """A payment intent, where the session holds it whole."""

    latest_charge: Reference = None


class _Session(Answer):
    """A checkout session. Its subscription, customer and payment link belong to other sales too: they are no names."""

    id: Id
    payment_status: Text | None = None
    payment_intent: Reference = None
    intent: Annotated[Aside[_Intent], Field(alias="payment_intent")] = None
    invoice: Reference = None
    amount_total: Minor | None = None
    currency: Text | None = None
    line_items: Aside[_Lines] = None
    customer_details: Aside[_Customer] = None
    customer_email: Annotated[Aside[Text], Field(repr=False)] = None
    mode: Aside[Text] = None


class _Charge(Answer):
    """
    A charge that was refunded, in part or in full (``refunded``); ``amount_refunded`` is all of it so far.

    What was authorized (``amount``) and never captured counts as refunded, too.
    """

    id: Id
    payment_intent: Reference = None
    invoice: Reference = None
    amount: Minor | None = None
    amount_captured: Minor | None = None
    amount_refunded: Minor | None = None
    currency: Text | None = None
    refunded: bool = False

    @property
    def uncaptured(self) -> int:
        """The amount that was never captured, once a part was."""
        if not self.amount or not self.amount_captured:
            return 0
        return min(max(self.amount - self.amount_captured, 0), self.amount_refunded or 0)


class _FailedRefund(Answer):
    """A refund; where it failed or was called off its amount is the merchant's again."""

    id: Id
    charge: Reference = None
    payment_intent: Reference = None
    amount: Minor | None = None
    currency: Text | None = None
    status: Text | None = None


class _Paid(Answer):
    """The means by which an invoice was paid."""

    payment_intent: Reference = None
    charge: Reference = None


class _InvoicePayment(Answer):
    """A payment of an invoice: since version 2025-03-31 only this tells which payment intent belongs to an invoice."""

    id: Id
    invoice: Reference = None
    payment: Aside[_Paid] = None


def read_session(body: bytes, received_at: datetime) -> Order | NothingForUs:
    """
    ``checkout.session.completed`` and ``checkout.session.async_payment_succeeded``: sold where it is paid.

    Raises:
        ValidationError: It is not as documented.
    """
    event = _Event[_Session].model_validate_json(body)
    session = event.data.object
    if not event.livemode:
        return A_TEST
    if session.payment_status != "paid":
        return NothingForUs()  # not yet, or nothing had to be paid
    charge = session.intent.latest_charge if session.intent else None
    details = session.customer_details.email if session.customer_details else None
    currency = currency_code(session.currency)
    lines = session.line_items.data if session.line_items else None
    return Order(
        id=f"{_SYSTEM}:{session.id}",
        names=_names(session.id, session.payment_intent, session.invoice, charge),
        ordered_at=event.created or received_at,
        amount=_major(session.amount_total, currency),
        currency=currency,
        item_count=item_count(lines),
        payments=(Payment("APPROVED"),),
        customer_email=(details or session.customer_email or "").strip() or None,
        as_of=event.created,
        products=tuple(line.product(currency) for line in lines or ()),
        is_subscription=None if session.mode is None else session.mode == "subscription",
    )


def read_invoice_payment(body: bytes, received_at: datetime) -> Order | NothingForUs:
    """
    ``invoice_payment.paid``: the other names of an invoice's sale, so that a refund of the payment finds the sale.

    Raises:
        ValidationError: It is not as documented.
    """
    event = _Event[_InvoicePayment].model_validate_json(body)
    invoice_payment = event.data.object
    paid = invoice_payment.payment or _Paid()
    names = _names(invoice_payment.invoice, paid.payment_intent, paid.charge)
    if not event.livemode:
        return A_TEST
    if len(names) < 2:  # noqa: PLR2004 - one name joins nothing
        return NothingForUs()
    return Order(
        id=f"{_SYSTEM}:{invoice_payment.invoice or invoice_payment.id}",
        names=names,
        ordered_at=event.created or received_at,
        amount=None,
        currency=None,
        item_count=None,
        payments=(),
        only_names=True,
    )


def read_refund(body: bytes) -> Refund | NothingForUs:
    """
    ``charge.refunded`` and ``charge.captured``: the amount of a charge that went back so far, and whether that is all.

    Raises:
        ValidationError: It is not as documented.
    """
    event = _Event[_Charge].model_validate_json(body)
    charge = event.data.object
    if not event.livemode:
        return A_TEST
    if not charge.amount_refunded and not charge.refunded:
        return NothingForUs()  # captured as it was authorized
    currency = currency_code(charge.currency)
    return Refund(
        names=_names(charge.id, charge.payment_intent, charge.invoice),
        ref=f"{_SYSTEM}:{charge.id}",
        amount=_major(charge.amount_refunded, currency),
        currency=currency,
        is_full=charge.refunded,
        as_of=event.created,
        uncaptured=_major(charge.uncaptured, currency) or Decimal(0),
    )


def read_failed_refund(body: bytes) -> Refund | NothingForUs:
    """
    ``refund.failed`` and ``charge.refund.updated``: the amount that was not given back after all.

    Raises:
        ValidationError: It is not as documented.
    """
    event = _Event[_FailedRefund].model_validate_json(body)
    refund = event.data.object
    if not event.livemode:
        return A_TEST
    if refund.status not in {"failed", "canceled"}:
        return NothingForUs()
    currency = currency_code(refund.currency)
    return Refund(
        names=_names(refund.payment_intent, refund.charge),
        ref=f"{_SYSTEM}:{refund.id}:failed",
        amount=_major(refund.amount, currency),
        currency=currency,
        is_full=False,
        as_of=event.created,
        is_undone=True,
    )


def _names(*ids: str | None) -> tuple[str, ...]:
    """Every id of a sale: it is not documented which of Stripe's ids Wicked Reports uses for it."""
    return tuple(dict.fromkeys(source_name(_SYSTEM, each) for each in ids if each is not None))


def _major(amount: int | None, currency: str | None) -> Decimal | None:
    return None if amount is None or currency is None else from_minor(amount, currency)
