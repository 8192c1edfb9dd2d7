"""
What senders send: deliveries of each source, signed as its documentation says, and what can be wrong with them.

Bodies and signatures are those that ``impactflow webhooks send`` makes.
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
    "cnaught": "callback",
}
REFUNDS = {
    "standard": "order.refunded",
    "shopify": "refunds/create",
    "woocommerce": "order.deleted",
    "stripe": "charge.refunded",
}
#: Which system sold what a source tells of, as Wicked Reports names it.
SYSTEMS = {"standard": "magento", "shopify": "shopify", "woocommerce": "woocommerce", "stripe": "stripe"}
_SIGN = {scheme.source: scheme.sign for scheme in SCHEMES}


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
    """What a delivery of this name tells of a sale; of a topic that nobody knows, the same as of the usual one."""
    topic, sale = topic or TOPICS[source], sale or sold(name)
    known = topic if topic in KNOWN[source] else TOPICS[source]
    content = sample(source, known, name, sale)
    return content | {"type": topic} if "type" in content else content


def sold(name: str, **fields: Any) -> Sale:
    """A sale of now, whose id is its delivery's name."""
    return Sale(**({"id": name, "at": datetime.now(UTC)} | fields))


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
    usual = {"content-type": "application/json"}
    if source == CNAUGHT:
        return Post(callback_path(secret, name), usual, body)
    told = Unsigned(name, topic or TOPICS[source], body, datetime.now(UTC) - timedelta(seconds=age_s))
    return Post(f"/webhooks/{source}", {**_SIGN[source](secret, told), **usual}, body)
