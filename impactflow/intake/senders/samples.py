"""
Sample deliveries of each sender about a sale, in the shape that its documentation shows.

Pure. ``impactflow webhooks send`` reports invented sales, the tests and the storm report sales of their own; the caller
adds further fields. Only fields that matter, or by which a person recognizes the delivery, are there.

Sources: Shopify's webhook reference, version 2026-04; WooCommerce's REST API reference v3; Stripe's API reference,
version 2025-03-31 (basil) and later: event, checkout session, charge, refund, invoice payment; read 2026-11-28.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from impactflow.intake.senders.values import to_minor

Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sale:
    """
    A sale, as it is when a sender reports it.

    Args:
        id: Its id where it was sold.
        at: The time of this state.
        amount: The price, in ``currency``.
        currency: ISO 4217 code in capitals.
        items: How many things were sold.
        given_back: How much a refund gave back; None for all of it.
        customer_email: The customer's address.
        is_test: Whether it is a test: it carries the sender's mark of a test, where the sender has one.
        system: The system that sold it, for our own events.
    """

    id: int | str
    at: datetime
    amount: Decimal = Decimal("80.00")
    currency: str = "USD"
    items: int = 2
    given_back: Decimal | None = None
    customer_email: str | None = None
    is_test: bool = False
    system: str = "magento"

    @property
    def back(self) -> Decimal:
        """The amount that a refund gave back."""
        return self.amount if self.given_back is None else self.given_back

    @property
    def time(self) -> str:
        """The time of this state, as most senders write it."""
        return self.at.isoformat()


def sample(source: str, topic: str, name: str, sale: Sale) -> Content:
    """
    A sample delivery of a sender.

    Args:
        source: The sender.
        topic: The event.
        name: The delivery's id, for senders that write it into the body; and the refund's name.
        sale: The sale.
    """
    match source, topic:
        case "standard", _:
            return _standard(topic, name, sale)
        case "shopify", "refunds/create":
            return _shopify_refund(name, sale)
        case "shopify", _:
            return _shopify_order(topic, sale)
        case "woocommerce", _:
            return {"id": sale.id} if topic == "order.deleted" else _woocommerce_order(sale)
        case "stripe", _:
            return _stripe(topic, name, sale)
        case _:
            return {"order": {"id": name, "state": "fulfilled"}}  # CNaught's callback


#: The topics with samples: by sender, all that the receiver handles.
TOPICS: Mapping[str, Sequence[str]] = {
    "standard": ("order.paid", "order.refunded"),
    "shopify": ("orders/paid", "orders/updated", "orders/cancelled", "refunds/create"),
    "woocommerce": ("order.created", "order.updated", "order.restored", "order.deleted"),
    "stripe": (
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "invoice_payment.paid",
        "charge.captured",
        "charge.refunded",
        "refund.failed",
        "charge.refund.updated",
    ),
    "cnaught": ("callback",),
}


def _standard(topic: str, name: str, sale: Sale) -> Content:
    data: Content = {"source_system": sale.system, "source_id": str(sale.id)}
    if topic == "order.refunded":
        full = {"full": True} if sale.given_back is None else {}
        data |= {"refund_id": name, "amount": str(sale.back), "currency": sale.currency, **full}
    else:
        data |= {"amount": str(sale.amount), "currency": sale.currency, "item_count": sale.items}
        data |= {"customer_email": sale.customer_email, "test": sale.is_test}
    return {"type": topic, "timestamp": sale.time, "data": data}


def _shopify_order(topic: str, sale: Sale) -> Content:
    return {
        "id": sale.id,
        "admin_graphql_api_id": f"gid://shopify/Order/{sale.id}",
        "name": f"#{sale.id}",
        "order_number": sale.id,
        "test": sale.is_test,
        "created_at": sale.time,
        "processed_at": sale.time,
        "updated_at": sale.time,
        "cancelled_at": sale.time if topic == "orders/cancelled" else None,
        "financial_status": "paid",
        "currency": sale.currency,
        "total_price": str(sale.amount),
        "current_total_price": str(sale.amount),
        "email": sale.customer_email,
        "line_items": [{"title": "Apron", "quantity": sale.items, "current_quantity": sale.items}],
        "refunds": [],
    }


def _shopify_refund(name: str, sale: Sale) -> Content:
    back = {"kind": "refund", "status": "success", "amount": str(sale.back), "currency": sale.currency}
    return {"id": name, "order_id": sale.id, "created_at": sale.time, "transactions": [back]}


def _woocommerce_order(sale: Sale) -> Content:
    """An order that is paid; WooCommerce marks no test, so that one is an order that is not paid."""
    now = sale.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")  # WooCommerce names no zone
    return {
        "id": sale.id,
        "number": str(sale.id),
        "status": "pending" if sale.is_test else "processing",
        "currency": sale.currency,
        "total": str(sale.amount),
        "date_created_gmt": now,
        "date_modified_gmt": now,
        "date_paid_gmt": None if sale.is_test else now,
        "billing": {"email": sale.customer_email or ""},
        "line_items": [{"name": "Apron", "quantity": sale.items}],
        "refunds": [],
    }


def _stripe(topic: str, name: str, sale: Sale) -> Content:
    charge = {"charge": f"ch_{sale.id}", "payment_intent": f"pi_{sale.id}"}
    amount, back = to_minor(sale.amount, sale.currency), to_minor(sale.back, sale.currency)
    content: Content
    match topic.split("."):
        case "checkout", *_:
            content = {"id": sale.id, "object": "checkout.session", "mode": "payment", "payment_status": "paid"}
            content |= {"payment_intent": charge["payment_intent"], "invoice": None, "amount_total": amount}
            content |= {"customer_details": {"email": sale.customer_email}}
        case "invoice_payment", _:
            paid = {"type": "payment_intent", "payment_intent": charge["payment_intent"]}
            content = {"id": f"inpay_{sale.id}", "object": "invoice_payment", "invoice": f"in_{sale.id}"}
            content |= {"status": "paid", "amount_paid": amount, "payment": paid}
        case "charge", "captured" | "refunded":
            content = {"id": charge["charge"], "object": "charge", "payment_intent": charge["payment_intent"]}
            content |= {
                "amount": amount,
                "amount_captured": amount,
                "amount_refunded": back,
                "refunded": back == amount,
            }
            if topic == "charge.captured":  # only part of what was authorized, and the rest was let go
                content |= {"amount_captured": amount - back, "refunded": False}
        case _:
            content = {"id": f"re_{name}", "object": "refund", **charge, "amount": back, "status": "failed"}
    return {
        "id": name,
        "object": "event",
        "type": topic,
        "livemode": not sale.is_test,
        "created": int(sale.at.timestamp()),
        "data": {"object": content | {"currency": sale.currency.lower()}},
    }
