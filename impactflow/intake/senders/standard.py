"""
Our own events, for shops that send Standard Webhooks: an order that is paid, a refund.

The models are the specification; ``docs/webhooks-events.schema.json`` is made of them. A field that is not known is an
error: a typing mistake must not cost an order its amount. ``mapped`` turns other senders' events into the same models.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from impactflow.clients.wickedreports.models import MOST_ITEMS, MOST_MONEY, Text
from impactflow.escapes import public_id
from impactflow.intake.senders.values import A_TEST, Id, Moment, NothingForUs
from impactflow.models import Order, Payment, Product, Refund
from impactflow.names import is_system, name_of_source, order_id_of, source_name

_Amount = Annotated[Decimal, Field(ge=0, le=MOST_MONEY)]
_Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _is_known(system: str) -> str:
    if not is_system(system):
        raise ValueError("name the system as Wicked Reports does, or the same sale from there would be another one")
    return system


class _Named(_Strict):
    source_system: Annotated[
        Id,
        AfterValidator(_is_known),
        Field(description="The system that sold it, as Wicked Reports names it: woocommerce."),
    ]
    source_id: Annotated[Id, Field(description="Its id there.")]

    @property
    def name(self) -> str:
        """As orders of Wicked Reports are named."""
        return source_name(self.source_system, self.source_id)


class SoldProduct(_Strict):
    """So many of one thing; rules that leave out products go by it."""

    id: Annotated[Id | None, Field(description="What the shop knows it by: its id or SKU.")] = None
    name: Annotated[Text | None, Field(description="What the customer knows it by.")] = None
    quantity: Annotated[Decimal, Field(ge=0, le=MOST_ITEMS, description="How many.")] = Decimal(1)
    amount: Annotated[_Amount | None, Field(description="What they cost together, tax included.")] = None
    gift_card: Annotated[bool, Field(description="Whether it is a gift card.")] = False

    @property
    def product(self) -> Product:
        """As a policy asks about it."""
        return Product((self.id,) if self.id else (), self.name, self.quantity, self.amount, self.gift_card)


class PaidOrder(_Named):
    """What was sold; what is left out cannot earn anything."""

    ordered_at: Annotated[Moment | None, Field(description="When it was sold; by default when the event happened.")] = (
        None
    )
    amount: Annotated[_Amount | None, Field(description="What it cost.")] = None
    currency: Annotated[_Currency | None, Field(description="ISO 4217.")] = None
    item_count: Annotated[
        Annotated[Decimal, Field(ge=0, le=MOST_ITEMS)] | None,
        Field(description="How many things were sold; by default as many as ``products`` are."),
    ] = None
    products: Annotated[tuple[SoldProduct, ...], Field(description="What was sold.")] = ()
    paid_with: Annotated[tuple[Text, ...], Field(description="The ways in which it was paid: gift_card.")] = ()
    subscription: Annotated[bool | None, Field(description="Whether it is a payment of a subscription.")] = None
    customer_email: Annotated[Text | None, Field(repr=False, description="Who bought it.")] = None
    test: Annotated[bool, Field(description="Whether nothing was really sold: then nothing is bought.")] = False


class RefundedOrder(_Named):
    """What was given back: either ``full``, or ``amount`` and ``currency``."""

    refund_id: Annotated[Id, Field(description="Names the refund; several of one order add up.")]
    full: Annotated[bool, Field(description="Whether nothing of the payment is left.")] = False
    amount: Annotated[_Amount | None, Field(description="How much was given back.")] = None
    currency: Annotated[_Currency | None, Field(description="ISO 4217.")] = None

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if not self.full and (self.amount is None or self.currency is None):
            raise ValueError("give amount and currency, or full: true")
        return self


class _Envelope(BaseModel):
    """The envelope that Standard Webhooks recommends; what else it holds is the sender's own."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    timestamp: Annotated[Moment | None, Field(description="When it happened.")] = None


class OrderPaid(_Envelope):
    """An order is paid."""

    type: Literal["order.paid"]
    data: PaidOrder


class OrderRefunded(_Envelope):
    """Money was given back for an order."""

    type: Literal["order.refunded"]
    data: RefundedOrder


def read_order(body: bytes, received_at: datetime) -> Order | NothingForUs:
    """
    ``order.paid``.

    Raises:
        ValidationError: It is not as documented.
    """
    event = OrderPaid.model_validate_json(body)
    order = order_of(event.data, event.timestamp or received_at)
    return replace(order, as_of=event.timestamp) if isinstance(order, Order) else order


def order_of(paid: PaidOrder, at: datetime) -> Order | NothingForUs:
    """The order that was sold, at the given time where the event has none; a test order is not an order."""
    if paid.test:
        return A_TEST
    order_id = public_id(order_id_of(paid.name))
    products = tuple(each.product for each in paid.products)
    counted = sum((each.quantity for each in products), Decimal(0)) if products else None
    return Order(
        id=order_id,
        names=tuple(dict.fromkeys((paid.name, name_of_source(order_id)))),
        ordered_at=paid.ordered_at or at,
        amount=paid.amount,
        currency=paid.currency,
        item_count=counted if paid.item_count is None else paid.item_count,
        payments=(Payment("APPROVED"),),
        customer_email=(paid.customer_email or "").strip() or None,
        products=products,
        paid_with=paid.paid_with,
        is_subscription=paid.subscription,
    )


def read_refund(body: bytes) -> Refund:
    """
    ``order.refunded``.

    Raises:
        ValidationError: It is not as documented.
    """
    return refund_of(OrderRefunded.model_validate_json(body).data)


def refund_of(refunded: RefundedOrder) -> Refund:
    """The refund in an event."""
    return Refund(
        (refunded.name,), f"{refunded.name}:{refunded.refund_id}", refunded.amount, refunded.currency, refunded.full
    )


def event_schema() -> dict[str, Any]:
    """The JSON Schema of both events."""
    either: TypeAdapter[Any] = TypeAdapter(Annotated[OrderPaid | OrderRefunded, Field(discriminator="type")])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "impactflow webhook event",
        **either.json_schema(),
    }
