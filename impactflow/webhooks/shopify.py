"""
What Shopify tells: orders that are paid, and refunds.

Source: Shopify's webhook reference, topics ``orders/paid`` and ``refunds/create``, read 2026-11-22.
"""

from datetime import datetime
from decimal import Decimal
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


class _Order(Answer):
    """
    An order; amounts are in the shop's currency.

    The signature does not cover the topic. That a status is told shows that it is no refund, customer or draft.
    """

    id: Id
    #: What the merchant calls it (1001); the same as in ``name`` (#1001), which may be edited.
    order_number: Aside[Id] = None
    processed_at: Aside[Time] = None
    created_at: Aside[Time] = None
    total_price: Money | None = None
    currency: Text | None = None
    financial_status: Text
    line_items: list[Line] | None = None
    email: Annotated[Aside[Text], Field(repr=False)] = None
    contact_email: Annotated[Aside[Text], Field(repr=False)] = None
    test: bool | None = None


class _Transaction(Answer):
    """Money that moved."""

    kind: Text | None = None
    status: Text | None = None
    amount: Money | None = None
    currency: Text | None = None


class _Refund(Answer):
    """A refund; what came back into stock does not matter here."""

    id: Id
    order_id: Id
    transactions: list[_Transaction] | None = None


def read_order(body: bytes, received_at: datetime) -> Order | NothingForUs:
    """
    ``orders/paid``.

    Raises:
        ValidationError: It is not as documented.
    """
    told = _Order.model_validate_json(body)
    if told.test:
        return A_TEST
    # By which of the two Wicked Reports knows it is not documented; within one shop neither is ever another order's.
    ids = [told.id] if told.order_number is None else [told.id, told.order_number]
    return Order(
        id=f"{_SYSTEM}:{told.id}",
        names=tuple(source_name(_SYSTEM, each) for each in ids),
        ordered_at=told.processed_at or told.created_at or received_at,
        amount=told.total_price,
        currency=_code(told.currency),
        item_count=item_count(told.line_items),
        payments=(Payment(_STATUSES.get(told.financial_status, "another status")),),
        customer_email=(told.email or told.contact_email or "").strip() or None,
    )


def read_refund(body: bytes) -> Refund | NothingForUs:
    """
    ``refunds/create``: how much went back, but not what the order had cost.

    Raises:
        ValidationError: It is not as documented.
    """
    told = _Refund.model_validate_json(body)
    paid = [each for each in told.transactions or () if each.kind == "refund" and each.status not in _IN_VAIN]
    if not paid:
        return NothingForUs()  # goods came back, or nothing did
    currencies = {_code(each.currency) for each in paid}
    comparable = len(currencies) == 1 and all(each.amount is not None for each in paid)
    return Refund(
        names=(source_name(_SYSTEM, told.order_id),),
        ref=f"{_SYSTEM}:{told.id}",
        amount=sum((each.amount or Decimal(0) for each in paid), Decimal(0)) if comparable else None,
        currency=currencies.pop() if comparable else None,
        is_full=False,
    )


def _code(currency: str | None) -> str | None:
    return (currency or "").strip().upper() or None
