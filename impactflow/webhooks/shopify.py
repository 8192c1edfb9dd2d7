"""
What Shopify tells: orders that are paid, orders that are cancelled, and refunds.

Source: Shopify's webhook reference (``orders/paid``, ``orders/cancelled``, ``refunds/create``), read 2026-11-28.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated

from pydantic import Field

from impactflow.clients.values import Answer, Aside, Time
from impactflow.clients.wickedreports.models import Money, Text
from impactflow.models import Order, Payment, Refund
from impactflow.orders import source_name
from impactflow.webhooks.values import A_TEST, Id, Line, NothingForUs, item_count

_SYSTEM = "shopify"
#: What ``financial_status`` means in Wicked Reports' words; any other one is no payment that counts.
_STATUSES = {
    "paid": "APPROVED",
    "partially_refunded": "Partially Refunded",
    "refunded": "REFUNDED",
}
#: Of a refund's transactions, those by which no money goes back.
_IN_VAIN = frozenset({"failure", "error"})
_CENT = Decimal("0.01")


class _Order(Answer):
    """
    An order; amounts are in the shop's currency. ``current`` is what it is after edits, the others what was first sold.

    The signature does not cover the topic. That a status is told shows that it is no refund, customer or draft.
    """

    id: Id
    #: What the merchant calls it (1001); the same as in ``name`` (#1001), which may be edited.
    order_number: Aside[Id] = None
    processed_at: Aside[Time] = None
    created_at: Aside[Time] = None
    total_price: Money | None = None
    current_total_price: Money | None = None
    currency: Text | None = None
    financial_status: Text
    line_items: list[Line] | None = None
    email: Annotated[Aside[Text], Field(repr=False)] = None
    contact_email: Annotated[Aside[Text], Field(repr=False)] = None
    test: bool | None = None
    cancelled_at: Aside[Time] = None

    @property
    def was_made_smaller(self) -> bool:
        """Whether it costs less now than when it was sold."""
        told = (self.total_price, self.current_total_price)
        return None not in told and told[0] > told[1]  # type: ignore[operator]

    @property
    def names(self) -> tuple[str, ...]:
        """By which of the two Wicked Reports knows it is not documented; in one shop neither is another order's."""
        ids = [self.id] if self.order_number is None else [self.id, self.order_number]
        return tuple(source_name(_SYSTEM, each) for each in ids)


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


class _Line(Answer):
    """What was given back for one thing; what came back into stock does not matter here."""

    subtotal_set: Aside[_Both] = None
    total_tax_set: Aside[_Both] = None


class _Refund(Answer):
    """A refund."""

    id: Id
    order_id: Id
    transactions: list[_Transaction] | None = None
    refund_line_items: Aside[list[_Line]] = None


def read_order(body: bytes, received_at: datetime) -> Order | Refund | NothingForUs:
    """
    ``orders/paid``; of an order that is cancelled by now nothing is left to buy for.

    Raises:
        ValidationError: It is not as documented.
    """
    told = _Order.model_validate_json(body)
    if told.test:
        return A_TEST
    if told.cancelled_at is not None:
        return _undone(told)
    return Order(
        id=f"{_SYSTEM}:{told.id}",
        names=told.names,
        ordered_at=told.processed_at or told.created_at or received_at,
        amount=told.total_price if told.current_total_price is None else told.current_total_price,
        most=told.total_price if told.was_made_smaller else None,
        currency=_code(told.currency),
        item_count=item_count(told.line_items),
        payments=(Payment(_STATUSES.get(told.financial_status, "another status")),),
        customer_email=(told.email or told.contact_email or "").strip() or None,
    )


def read_cancellation(body: bytes) -> Refund | NothingForUs:
    """
    ``orders/cancelled``: nothing of the order counts any more, whether its money goes back or not.

    Raises:
        ValidationError: It is not as documented.
    """
    told = _Cancelled.model_validate_json(body)
    return A_TEST if told.test else _undone(told)


def read_refund(body: bytes) -> Refund | NothingForUs:
    """
    ``refunds/create``: how much went back, in the shop's currency, but not what the order had cost.

    Raises:
        ValidationError: It is not as documented.
    """
    told = _Refund.model_validate_json(body)
    paid = [each for each in told.transactions or () if each.kind == "refund" and each.status not in _IN_VAIN]
    if not paid:
        return NothingForUs()  # goods came back, or nothing did
    currencies = {_code(each.currency) for each in paid}
    amount, currency = None, None
    if len(currencies) == 1 and all(each.amount is not None for each in paid):
        given_back = sum((each.amount or Decimal(0) for each in paid), Decimal(0))
        amount, currency = _in_the_shops_currency(given_back, currencies.pop(), told.refund_line_items or ())
    return Refund((source_name(_SYSTEM, told.order_id),), f"{_SYSTEM}:{told.id}", amount, currency, is_full=False)


def _undone(order: _Order) -> Refund:
    return Refund(order.names, f"{_SYSTEM}:{order.id}:cancelled", None, None, is_full=True)


def _in_the_shops_currency(amount: Decimal, currency: str | None, lines: Iterable[_Line]) -> tuple[Decimal, str | None]:
    """
    What the customer was given back, as the order's own amount is told.

    Only the lines tell both currencies, and postage is no line: where more was given back than they say, what they come
    to in both is the rate, and a cent is rounded up, so that all of an order is all of it.
    """
    told = [each for line in lines for each in (line.subtotal_set, line.total_tax_set) if each is not None]
    of_shop = {_code(each.shop_money.currency_code) for each in told}
    if len(of_shop) != 1 or {_code(each.presentment_money.currency_code) for each in told} != {currency}:
        return amount, currency
    shop = sum((each.shop_money.amount for each in told), Decimal(0))
    customers = sum((each.presentment_money.amount for each in told), Decimal(0))
    if of_shop == {currency} or customers <= 0:
        return amount, currency
    if customers != amount:
        shop = (amount * shop / customers).quantize(_CENT, ROUND_CEILING)
    return shop, of_shop.pop()


def _code(currency: str | None) -> str | None:
    return (currency or "").strip().upper() or None
