"""
Shopify's events: orders that are paid or changed, orders that are cancelled, and refunds.

Source: Shopify's webhook reference (``orders/paid``, ``orders/updated``, ``orders/cancelled``, ``refunds/create``),
read 2026-11-28.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated

from pydantic import Field

from impactflow.clients.values import Answer, Aside, Time
from impactflow.clients.wickedreports.models import Money, Text
from impactflow.intake.senders.values import (
    A_TEST,
    Id,
    Line,
    NothingForUs,
    currency_code,
    item_count,
    other_status,
    product,
    smallest_unit,
)
from impactflow.models import Order, Payment, Product, Refund
from impactflow.names import identity, source_name

_SYSTEM = "shopify"
#: The meaning of ``financial_status`` in Wicked Reports' words; any other status is no payment that counts.
_STATUSES = {
    "paid": "APPROVED",
    "partially_refunded": "Partially Refunded",
    "refunded": "REFUNDED",
}
#: The statuses of a refund's transactions by which no money goes back.
_IN_VAIN = frozenset({"failure", "error"})


class _Share(Answer):
    """A share of a discount, or a tax: in the shop's currency."""

    amount: Aside[Money] = None
    price: Aside[Money] = None


class _Line(Line):
    """One thing that was sold; ``price`` is that of one, before discounts."""

    product_id: Aside[Id] = None
    variant_id: Aside[Id] = None
    sku: Aside[Id] = None
    name: Aside[Text] = None
    price: Aside[Money] = None
    gift_card: Aside[bool] = None
    discount_allocations: Aside[list[_Share]] = None
    tax_lines: Aside[list[_Share]] = None

    def product(self, *, taxes_included: bool) -> Product:
        """The line as a product, with what it came to after discounts."""
        sold_for = None
        if self.price is not None and self.quantity is not None:
            discounts = sum((each.amount or Decimal(0) for each in self.discount_allocations or ()), Decimal(0))
            taxes = sum((each.price or Decimal(0) for each in self.tax_lines or ()), Decimal(0))
            sold_for = self.price * self.quantity - discounts + (Decimal(0) if taxes_included else taxes)
        sold = product(self, (self.product_id, self.variant_id, self.sku), self.name, sold_for)
        return replace(sold, is_gift_card=bool(self.gift_card))


class _RefundMade(Answer):
    """A refund that was made by now, as an order tells it."""

    id: Id


class _Order(Answer):
    """
    An order; amounts are in the shop's currency. ``current`` is what it is after edits, the others what was first sold.

    The signature does not cover the topic. That a status is told shows that it is no refund, customer or draft.
    """

    id: Id
    #: Its number in the shop (1001), and what the merchant calls it: #1001, or EN1001-A where the shop says so.
    order_number: Aside[Id] = None
    name: Aside[Id] = None
    updated_at: Aside[Time] = None
    processed_at: Aside[Time] = None
    created_at: Aside[Time] = None
    total_price: Money | None = None
    current_total_price: Money | None = None
    currency: Text | None = None
    financial_status: Text
    line_items: list[_Line] | None = None
    taxes_included: Aside[bool] = None
    payment_gateway_names: Aside[list[Text]] = None
    source_name: Aside[Text] = None
    email: Annotated[Aside[Text], Field(repr=False)] = None
    contact_email: Annotated[Aside[Text], Field(repr=False)] = None
    test: bool | None = None
    cancelled_at: Time | None = None
    refunds: Aside[list[_RefundMade]] = None

    @property
    def shown_refunds(self) -> frozenset[str]:
        """The refunds that the current price already includes."""
        if self.current_total_price is None:
            return frozenset()
        return frozenset(_ref(each.id) for each in self.refunds or ())

    @property
    def products(self) -> tuple[Product, ...]:
        """Its lines."""
        return tuple(line.product(taxes_included=bool(self.taxes_included)) for line in self.line_items or ())

    @property
    def is_subscription(self) -> bool | None:
        """Whether a subscription made it: orders that a contract makes name it for their source."""
        return None if self.source_name is None else self.source_name.startswith("subscription_contract")

    @property
    def names(self) -> tuple[str, ...]:
        """All three names: it is not documented which Wicked Reports uses; only the id is never another order's."""
        ids = [each for each in (self.id, self.order_number, self.name) if each is not None]
        return tuple(dict.fromkeys([identity(_SYSTEM, self.id), *(source_name(_SYSTEM, each) for each in ids)]))


class _Cancelled(_Order):
    """An order that says when it was cancelled: one that was only paid must not cancel anything when sent again."""

    cancelled_at: Time


class _Transaction(Answer):
    """Money that moved, in the customer's currency."""

    kind: Text | None = None
    status: Text | None = None
    amount: Money | None = None
    currency: Text | None = None


class _Money(Answer):
    """An amount and its currency."""

    amount: Money
    currency_code: Text


class _Both(Answer):
    """The same money in the shop's currency and in the customer's."""

    shop_money: _Money
    presentment_money: _Money


class _Part(Answer):
    """
    A refund for one product, for postage, or for something else; goods that came back into stock do not matter here.

    Each kind of part has its own two of these fields.
    """

    subtotal_set: Aside[_Both] = None
    total_tax_set: Aside[_Both] = None
    subtotal_amount_set: Aside[_Both] = None
    amount_set: Aside[_Both] = None
    tax_amount_set: Aside[_Both] = None

    @property
    def amounts(self) -> list[_Both]:
        """The amounts that are given in both currencies."""
        sets = (self.subtotal_set, self.total_tax_set, self.subtotal_amount_set, self.amount_set, self.tax_amount_set)
        return [each for each in sets if each is not None]


class _Refund(Answer):
    """A refund."""

    id: Id
    order_id: Id
    transactions: list[_Transaction] | None = None
    refund_line_items: Aside[list[_Part]] = None
    refund_shipping_lines: Aside[list[_Part]] = None
    order_adjustments: Aside[list[_Part]] = None

    @property
    def parts(self) -> list[_Both]:
        """All amounts of the refund that are given in both currencies."""
        lists = (self.refund_line_items, self.refund_shipping_lines, self.order_adjustments)
        return [each for parts in lists for part in parts or () for each in part.amounts]


def read_order(body: bytes, received_at: datetime) -> Order | Refund | NothingForUs:
    """
    ``orders/paid`` and ``orders/updated``; of an order that is cancelled by now nothing is left to buy for.

    Raises:
        ValidationError: It is not as documented.
    """
    order = _Order.model_validate_json(body)
    if order.test:
        return A_TEST
    if order.cancelled_at is not None:
        return _undone(order)
    return Order(
        id=f"{_SYSTEM}:{order.id}",
        names=order.names,
        ordered_at=order.processed_at or order.created_at or received_at,
        amount=order.total_price if order.current_total_price is None else order.current_total_price,
        as_of=order.updated_at,
        refunds=order.shown_refunds,
        currency=currency_code(order.currency),
        item_count=item_count(order.line_items),
        payments=(_payment(order.financial_status),),
        customer_email=(order.email or order.contact_email or "").strip() or None,
        products=order.products,
        paid_with=tuple(order.payment_gateway_names or ()),
        is_subscription=order.is_subscription,
    )


def _payment(status: str) -> Payment:
    return Payment(_STATUSES[status]) if status in _STATUSES else other_status(status)


def read_cancellation(body: bytes) -> Refund | NothingForUs:
    """
    ``orders/cancelled``: nothing of the order counts any more, whether its money goes back or not.

    Raises:
        ValidationError: It is not as documented.
    """
    order = _Cancelled.model_validate_json(body)
    return A_TEST if order.test else _undone(order)


def read_refund(body: bytes) -> Refund | NothingForUs:
    """
    ``refunds/create``: how much went back, in the shop's currency, but not what the order had cost.

    Raises:
        ValidationError: It is not as documented.
    """
    refund = _Refund.model_validate_json(body)
    paid = [each for each in refund.transactions or () if each.kind == "refund" and each.status not in _IN_VAIN]
    if not paid:
        return NothingForUs()  # goods came back, or nothing did
    currencies = {currency_code(each.currency) for each in paid}
    amount, currency = None, None
    if len(currencies) == 1 and all(each.amount is not None for each in paid):
        given_back = sum((each.amount or Decimal(0) for each in paid), Decimal(0))
        amount, currency = _in_the_shops_currency(given_back, currencies.pop(), refund.parts)
    names = (identity(_SYSTEM, refund.order_id), source_name(_SYSTEM, refund.order_id))
    return Refund(names, _ref(refund.id), amount, currency, is_full=False)


def _ref(refund_id: str) -> str:
    return f"{_SYSTEM}:{refund_id}"


def _undone(order: _Order) -> Refund:
    return Refund(order.names, f"{_SYSTEM}:{order.id}:cancelled", None, None, is_full=True, as_of=order.updated_at)


def _in_the_shops_currency(amount: Decimal, currency: str | None, parts: Sequence[_Both]) -> tuple[Decimal, str | None]:
    """
    The amount that the customer was given back, in the currency of the order's own amount.

    Where the parts are less than the whole refund, their sums in both currencies give the rate, and the shop's smallest
    unit is rounded up. Adjustments may have either sign.
    """
    of_shop = {currency_code(each.shop_money.currency_code) for each in parts}
    if (
        len(of_shop) != 1
        or currency in of_shop
        or {currency_code(each.presentment_money.currency_code) for each in parts} != {currency}
    ):
        return amount, currency
    shops = of_shop.pop()
    shop = sum((abs(each.shop_money.amount) for each in parts), Decimal(0))
    customers = sum((abs(each.presentment_money.amount) for each in parts), Decimal(0))
    try:
        if customers != amount:
            shop = (amount * shop / customers).quantize(smallest_unit(shops), ROUND_CEILING)
    except ArithmeticError:  # nothing in one of the currencies, or no believable number
        return amount, currency
    return shop, shops
