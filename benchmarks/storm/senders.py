"""
The senders' deliveries: those of each source, signed as its documentation says, and the possible errors in them.

Bodies and signatures are those of ``impactflow webhooks send``.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from impactflow.callbacks import callback_path
from impactflow.intake.senders.samples import TOPICS as KNOWN
from impactflow.intake.senders.samples import Sale, sample
from impactflow.webhooks.signing import Unsigned
from impactflow.webhooks.sources import CNAUGHT, SCHEMES

#: One secret for each source, and the variable for the secret.
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
#: The topics of each source: a paid order, and a refund; for WooCommerce, an order that came to nothing.
TOPICS = {
    "standard": "order.paid",
    "shopify": "orders/paid",
    "woocommerce": "order.updated",
    "stripe": "checkout.session.completed",
    "cnaught": "callback",
}
REFUNDS = {
    "standard": "order.refunded",
    "shopify": "refunds/create",
    "woocommerce": "order.deleted",
    "stripe": "charge.refunded",
}
#: The system that sold the order of each source, as Wicked Reports names it.
SYSTEMS = {"standard": "magento", "shopify": "shopify", "woocommerce": "woocommerce", "stripe": "stripe"}
_SIGN = {scheme.source: scheme.sign for scheme in SCHEMES}


@dataclass(frozen=True)
class Post:
    """
    One request.

    Args:
        path: The path below the receiver's URL.
        headers: All headers but those of HTTP itself.
        body: The body as sent over the wire.
    """

    path: str
    headers: dict[str, str]
    body: bytes

    def with_headers(self, **changes: str | None) -> "Post":
        """Return the request with headers changed, or left out by None; underscores stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in changes.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in named}
        return replace(self, headers=kept | {name: value for name, value in named.items() if value is not None})


def content_of(source: str, name: str, topic: str | None = None, sale: Sale | None = None) -> dict[str, Any]:
    """Return a delivery's content about a sale; an unknown topic has the same content as the usual one."""
    topic, sale = topic or TOPICS[source], sale or sold(name)
    known = topic if topic in KNOWN[source] else TOPICS[source]
    content = sample(source, known, name, sale)
    return content | {"type": topic} if "type" in content else content


def sold(name: str, **fields: Any) -> Sale:
    """A sale made now, whose id is its delivery's name."""
    return Sale(**({"id": name, "at": datetime.now(UTC)} | fields))


def kept_as(source: str, name: str, post: Post) -> str:
    """The id under which the receiver keeps a delivery: the sender's, but two of WooCommerce may share theirs."""
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
    Return a delivery as its sender would send it.

    Args:
        source: The source whose signing scheme is used.
        name: The delivery's id; for a callback, the placement's key.
        secret: The secret that it is signed with; by default the right one.
        age_s: The age of the signature, in seconds.
        topic: The subject; by default, a paid order.
        sale: The order; by default, one of the delivery's name.
        body: The bytes to send in place of the usual ones.
    """
    secret = secret or SECRETS[source]
    body = json.dumps(content_of(source, name, topic, sale)).encode() if body is None else body
    usual = {"content-type": "application/json"}
    if source == CNAUGHT:
        return Post(callback_path(secret, name), usual, body)
    unsigned = Unsigned(name, topic or TOPICS[source], body, datetime.now(UTC) - timedelta(seconds=age_s))
    return Post(f"/webhooks/{source}", {**_SIGN[source](secret, unsigned), **usual}, body)
