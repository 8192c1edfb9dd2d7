"""
What Stripe tells: checkout sessions that are paid, and charges that are refunded.

Source: Stripe's API reference (event, checkout session, charge) and its page on currencies, read 2026-11-22.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from impactflow.clients.values import Answer, Aside, Time
from impactflow.clients.wickedreports.models import Text
from impactflow.models import Order, Payment, Refund
from impactflow.orders import source_name
from impactflow.webhooks.values import (
    A_TEST,
    Id,
    Line,
    Minor,
    NothingForUs,
    Reference,
    currency_code,
    from_minor,
    item_count,
)

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


class _Lines(Answer):
    data: list[Line] | None = None


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


class _Charge(Answer):
    """A charge that was refunded, in part or in full (``refunded``); ``amount_refunded`` is all of it so far."""

    id: Id
    payment_intent: Reference = None
    invoice: Reference = None
    amount_refunded: Minor | None = None
    currency: Text | None = None
    refunded: bool = False


def read_session(body: bytes, received_at: datetime) -> Order | NothingForUs:
    """
    ``checkout.session.completed`` and ``checkout.session.async_payment_succeeded``: sold where it is paid.

    Raises:
        ValidationError: It is not as documented.
    """
    event = _Event[_Session].model_validate_json(body)
    told = event.data.object
    if not event.livemode:
        return A_TEST
    if told.payment_status != "paid":
        return NothingForUs()  # not yet, or nothing had to be paid
    charge = told.intent.latest_charge if told.intent else None
    details = told.customer_details.email if told.customer_details else None
    currency = currency_code(told.currency)
    return Order(
        id=f"{_SYSTEM}:{told.id}",
        names=_names(told.id, told.payment_intent, told.invoice, charge),
        ordered_at=event.created or received_at,
        amount=_major(told.amount_total, currency),
        currency=currency,
        item_count=item_count(told.line_items.data) if told.line_items else None,
        payments=(Payment("APPROVED"),),
        customer_email=(details or told.customer_email or "").strip() or None,
    )


def read_refund(body: bytes) -> Refund | NothingForUs:
    """
    ``charge.refunded``: how much of a charge went back so far, and whether that is all.

    Raises:
        ValidationError: It is not as documented.
    """
    event = _Event[_Charge].model_validate_json(body)
    told = event.data.object
    if not event.livemode:
        return A_TEST
    currency = currency_code(told.currency)
    return Refund(
        names=_names(told.id, told.payment_intent, told.invoice),
        ref=f"{_SYSTEM}:{told.id}",
        amount=_major(told.amount_refunded, currency),
        currency=currency,
        is_full=told.refunded,
    )


def _names(*ids: str | None) -> tuple[str, ...]:
    """By which of Stripe's ids Wicked Reports knows a sale is not documented, so it goes by every one that is told."""
    return tuple(dict.fromkeys(source_name(_SYSTEM, each) for each in ids if each is not None))


def _major(amount: int | None, currency: str | None) -> Decimal | None:
    return None if amount is None or currency is None else from_minor(amount, currency)
