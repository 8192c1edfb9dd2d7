"""
WooCommerce's events: orders in their state at the time of sending, and orders that were put in the trash.

Source: WooCommerce's REST API reference v3 (orders, webhooks) and its code (``WC_Webhook``, ``WC_Order``, the orders
controller), read 2026-11-28.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from impactflow.clients.values import Answer, Aside, Time
from impactflow.clients.wickedreports.models import Money, Text
from impactflow.intake.senders.values import Id, Line, currency_code, item_count, other_status, product
from impactflow.models import Order, Payment, Product, Refund
from impactflow.names import identity, source_name

_SYSTEM = "woocommerce"
#: The statuses of a paid order that also says when it was paid: cash on delivery is processing before it is paid.
_PAID = frozenset({"processing", "completed"})
#: The statuses that undo a paid order. An order that was not paid before can still be paid after each of them.
_UNDONE = frozenset({"cancelled", "failed", "trash"})


class _Line(Line):
    """One thing that was sold; ``total`` is after discounts and without tax, whether prices include it or not."""

    product_id: Aside[Id] = None
    variation_id: Aside[Id] = None
    sku: Aside[Id] = None
    name: Aside[Text] = None
    total: Aside[Money] = None
    total_tax: Aside[Money] = None

    @property
    def product(self) -> Product:
        """The line as a product."""
        sold_for = None if self.total is None else self.total + (self.total_tax or Decimal(0))
        # Where a product has no variations, their id is 0.
        variation = None if self.variation_id == "0" else self.variation_id
        return product(self, (self.product_id, variation, self.sku), self.name, sold_for)


class _RefundMade(Answer):
    """A refund of an order: WooCommerce gives its amount with a minus, in the order's currency."""

    id: Id
    total: Money


class _Billing(Answer):
    """The customer who pays."""

    email: Annotated[Aside[Text], Field(repr=False)] = None


class _Order(Answer):
    """
    An order as it is now; ``total`` stays what was sold, whatever was refunded.

    The signature does not cover the topic. Status, currency and total together show that it is an order. The times are
    GMT and name no zone. Version 1 of the REST API does not tell them, so without them an order is broken.
    """

    id: Id
    #: As the merchant and the customer see it. The id, unless a plugin counts otherwise.
    number: Aside[Id] = None
    status: Text
    currency: Text
    total: Money
    date_created_gmt: Time | None
    date_modified_gmt: Time | None
    date_paid_gmt: Time | None
    line_items: list[_Line] | None = None
    payment_method: Aside[Text] = None
    created_via: Aside[Text] = None
    billing: Aside[_Billing] = None
    refunds: list[_RefundMade] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_no_error(cls, value: Any) -> Any:
        if isinstance(value, dict) and "code" in value and "id" not in value:
            raise PydanticCustomError(
                "woocommerce_error",
                "WooCommerce sent an error in place of the order: the order is gone, or the user who saved the webhook"
                " may not read orders",
            )
        return value

    @property
    def payment(self) -> Payment:
        """The order's status in Wicked Reports' words."""
        if self.status == "refunded":
            return Payment("REFUNDED")
        if self.status in _PAID:
            is_paid = self.date_paid_gmt is not None
            return Payment("APPROVED" if is_paid else f"{self.status} without a date of payment")
        return other_status(self.status)

    @property
    def is_subscription(self) -> bool | None:
        """Whether a subscription renewed it; the order by which one began was made at the checkout, as any other."""
        return None if self.created_via is None else self.created_via == "subscription"

    @property
    def is_undone(self) -> bool:
        """Whether it was paid once, and nothing of it counts any more."""
        return self.status in _UNDONE and self.date_paid_gmt is not None

    def refunds_made(self) -> Sequence[Refund]:
        """Its refunds, each as if it was announced."""
        currency = currency_code(self.currency)
        return [
            Refund((), f"{_SYSTEM}:{each.id}", abs(each.total), currency, is_full=False) for each in self.refunds or ()
        ]


class _Deleted(Answer):
    """
    An order in the trash: its id alone.

    Anything more is another topic's body that was sent again as this one.
    """

    model_config = ConfigDict(extra="forbid")

    id: Id


def read_order(body: bytes, received_at: datetime) -> Order | Refund:
    """
    ``order.created``, ``order.updated``, ``order.restored``: the rest of the order, or that nothing counts any more.

    Raises:
        ValidationError: It is not as documented.
    """
    order = _Order.model_validate_json(body)
    names = _names(order.id, order.number)
    if order.is_undone:
        return _undone(order.id, names, order.date_modified_gmt)
    sold = Order(
        id=f"{_SYSTEM}:{order.id}",
        names=names,
        ordered_at=order.date_created_gmt or received_at,
        amount=order.total,
        currency=currency_code(order.currency),
        item_count=item_count(order.line_items),
        payments=(order.payment,),
        customer_email=((order.billing.email if order.billing else None) or "").strip() or None,
        as_of=order.date_modified_gmt,
        products=tuple(line.product for line in order.line_items or ()),
        paid_with=(order.payment_method,) if order.payment_method else (),
        is_subscription=order.is_subscription,
    )
    return sold.after(order.refunds_made())


def read_deletion(body: bytes, received_at: datetime) -> Refund:
    """
    ``order.deleted``: nothing of the order counts any more, whether it was paid or not, unless it is restored.

    Raises:
        ValidationError: It is not as documented.
    """
    deleted = _Deleted.model_validate_json(body)
    return _undone(deleted.id, _names(deleted.id), received_at)


def _names(order_id: str, number: str | None = None) -> tuple[str, ...]:
    """Both names: it is not documented which of them Wicked Reports uses; a number may be another order's id."""
    ids = [order_id] if number is None else [order_id, number]
    return tuple(dict.fromkeys([identity(_SYSTEM, order_id), *(source_name(_SYSTEM, each) for each in ids)]))


def _undone(order_id: str, names: tuple[str, ...], as_of: datetime | None = None) -> Refund:
    return Refund(names, f"{_SYSTEM}:{order_id}:cancelled", None, None, is_full=True, as_of=as_of)
