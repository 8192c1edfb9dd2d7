"""
What senders send: deliveries of each source, signed as its documentation says, and what can be wrong with them.

Signatures are made by the senders' libraries where there are any, so that nothing here repeats what the receiver does.
Called by the storm and by the tests of the receiver.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from standardwebhooks import Webhook
from stripe import WebhookSignature

from impactflow.callbacks import callback_path

#: One secret for each source, and the variable that it goes into.
SECRETS = {
    "standard": "whsec_" + base64.b64encode(b"the storm's secret for Standard").decode(),
    "shopify": "the-storms-secret-for-Shopify",
    "woocommerce": "the-storms-secret-for-WooCommerce",
    "stripe": "whsec_the-storms-secret-for-Stripe",
    "cnaught": "the-storms-secret-for-callbacks",
}
VARIABLES = {
    "standard": "IMPACTFLOW_WEBHOOK_SECRETS",
    "shopify": "IMPACTFLOW_SHOPIFY_SECRETS",
    "woocommerce": "IMPACTFLOW_WOOCOMMERCE_SECRETS",
    "stripe": "IMPACTFLOW_STRIPE_SECRETS",
    "cnaught": "IMPACTFLOW_CALLBACK_SECRET",
}
#: What each source tells of a paid order, and of a refund; WooCommerce, of an order that came to nothing.
TOPICS = {
    "standard": "order.paid",
    "shopify": "orders/paid",
    "woocommerce": "order.updated",
    "stripe": "checkout.session.completed",
}
REFUNDS = {
    "standard": "order.refunded",
    "shopify": "refunds/create",
    "woocommerce": "order.deleted",
    "stripe": "charge.refunded",
}
#: Which system sold what a source tells of, as Wicked Reports names it.
SYSTEMS = {"standard": "magento", "shopify": "shopify", "woocommerce": "woocommerce", "stripe": "stripe"}


@dataclass(frozen=True)
class Sale:
    """
    What was sold.

    Args:
        id: Its id where it was sold.
        amount: What it cost, with two digits behind the point.
        currency: One that has two.
        items: How many things.
    """

    id: str
    amount: Decimal = Decimal("80.00")
    currency: str = "USD"
    items: int = 2


@dataclass(frozen=True)
class Post:
    """
    One request.

    Args:
        path: Below the receiver's URL.
        headers: All but those of HTTP itself.
        body: As it goes over the wire.
    """

    path: str
    headers: dict[str, str]
    body: bytes

    def with_headers(self, **changes: str | None) -> "Post":
        """The same with headers changed, or left out by None; underscores stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in changes.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in named}
        return replace(self, headers=kept | {name: value for name, value in named.items() if value is not None})


def content_of(source: str, name: str, topic: str | None = None, sale: Sale | None = None) -> dict[str, Any]:
    """What a delivery of this name tells of a sale: that it was paid or, under a topic of ``REFUNDS``, paid back."""
    topic, sale = topic or TOPICS.get(source, ""), sale or Sale(name)
    refunded = topic == REFUNDS.get(source)
    match source:
        case "standard":
            order = {"source_system": SYSTEMS[source], "source_id": sale.id}
            paid = {"amount": str(sale.amount), "currency": sale.currency, "item_count": sale.items}
            told = {"refund_id": name, "full": True} if refunded else paid
            return {"type": topic, "timestamp": datetime.now(UTC).isoformat(), "data": order | told}
        case "shopify" if refunded:
            back = {"kind": "refund", "status": "success", "amount": str(sale.amount), "currency": sale.currency}
            return {"id": name, "order_id": sale.id, "transactions": [back]}
        case "shopify":
            lines = [{"quantity": sale.items}]
            paid = {"currency": sale.currency, "total_price": str(sale.amount), "financial_status": "paid"}
            return {"id": sale.id, **paid, "line_items": lines}
        case "woocommerce":
            return {"id": sale.id} if refunded else _woocommerce(sale)
        case "stripe":
            return {
                "id": name,
                "object": "event",
                "type": topic,
                "livemode": True,
                "data": {"object": _stripe(sale, refunded)},
            }
        case _:
            return {"order": {"id": name, "state": "fulfilled"}}


def _woocommerce(sale: Sale) -> dict[str, Any]:
    """An order that is paid."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")  # WooCommerce names no zone
    times = dict.fromkeys(("date_created_gmt", "date_modified_gmt", "date_paid_gmt"), now)
    paid = {"status": "processing", "currency": sale.currency, "total": str(sale.amount), **times}
    return {"id": sale.id, "number": sale.id, **paid, "line_items": [{"quantity": sale.items}], "refunds": []}


def _stripe(sale: Sale, refunded: bool) -> dict[str, Any]:
    """A checkout session that is paid, or its charge once that is paid back."""
    cents, both = int(sale.amount * 100), {"payment_intent": f"pi_{sale.id}", "currency": sale.currency.lower()}
    if refunded:
        return {"id": f"ch_{sale.id}", "object": "charge", **both, "amount_refunded": cents, "refunded": True}
    lines = {"data": [{"quantity": sale.items}]}
    paid = {"payment_status": "paid", "amount_total": cents, "line_items": lines}
    return {"id": sale.id, "object": "checkout.session", **both, **paid}


def kept_as(source: str, name: str, post: Post) -> str:
    """Under which id the receiver keeps a delivery: its sender's, but two of WooCommerce may share theirs."""
    if source != "woocommerce":
        return name
    return hashlib.sha256(post.headers["x-wc-webhook-topic"].encode() + b"\n" + post.body).hexdigest()


def signed(
    source: str,
    name: str,
    *,
    secret: str | None = None,
    age_s: int = 0,
    topic: str | None = None,
    sale: Sale | None = None,
    body: bytes | None = None,
) -> Post:
    """
    A delivery as its sender would send it.

    Args:
        source: Whose scheme.
        name: The delivery's id; for a callback, the placement's key.
        secret: What it is signed with; by default the right one.
        age_s: How long ago it was signed.
        topic: What it tells of; by default, of a paid order.
        sale: Which order that is; by default, one of the delivery's name.
        body: Other bytes than the usual ones.
    """
    secret = secret or SECRETS[source]
    body = json.dumps(content_of(source, name, topic, sale)).encode() if body is None else body
    signed_at, text = int(time.time()) - age_s, body.decode(errors="surrogateescape")
    match source:
        case "standard":
            signature = Webhook(secret).sign(name, datetime.fromtimestamp(signed_at, UTC), text)
            headers = {"webhook-id": name, "webhook-timestamp": str(signed_at), "webhook-signature": signature}
        case "shopify":
            digest = hmac.digest(secret.encode(), body, hashlib.sha256)
            headers = {
                "x-shopify-hmac-sha256": base64.b64encode(digest).decode(),
                "x-shopify-topic": topic or TOPICS["shopify"],
                "x-shopify-webhook-id": name,
                "x-shopify-event-id": f"event-{name}",
            }
        case "woocommerce":
            digest = hmac.digest(secret.encode(), body, hashlib.sha256)
            headers = {
                "x-wc-webhook-signature": base64.b64encode(digest).decode(),
                "x-wc-webhook-topic": topic or TOPICS["woocommerce"],
                "x-wc-webhook-id": "14",
                "x-wc-webhook-delivery-id": name,
                "x-wc-webhook-source": "https://shop.example.com/",
            }
        case "stripe":
            headers = {"stripe-signature": WebhookSignature.generate_signature_header(text, secret, signed_at)}
        case _:
            return Post(callback_path(secret, name), {"content-type": "application/json"}, body)
    return Post(f"/webhooks/{source}", {**headers, "content-type": "application/json"}, body)
