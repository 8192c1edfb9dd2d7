"""
The signatures of each scheme: the counterpart of ``signatures``, for deliveries that are made up to try a receiver.

The senders' own libraries make the signatures where such libraries exist, so that nothing here repeats the receiver's
checks. Called through ``sources``.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from standardwebhooks import Webhook
from stripe import WebhookSignature


@dataclass(frozen=True, slots=True)
class Unsigned:
    """
    A delivery before it is signed.

    Args:
        name: The id of the delivery.
        topic: The topic of the delivery.
        body: The bytes that are sent.
        at: The time of signing; ignored by schemes that sign no time.
    """

    name: str
    topic: str
    body: bytes
    at: datetime

    @property
    def text(self) -> str:
        """Return the body as text, for schemes that sign a text."""
        return self.body.decode(errors="surrogateescape")


#: Signs a delivery with a secret; returns the headers that its scheme asks for.
Sign = Callable[[str, Unsigned], Mapping[str, str]]


def sign_standard(secret: str, delivery: Unsigned) -> Mapping[str, str]:
    """Sign by Standard Webhooks."""
    return {
        "webhook-id": delivery.name,
        "webhook-timestamp": str(int(delivery.at.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery.name, delivery.at, delivery.text),
    }


def sign_shopify(secret: str, delivery: Unsigned) -> Mapping[str, str]:
    """Sign as Shopify."""
    return {
        "x-shopify-hmac-sha256": _digest(secret, delivery.body),
        "x-shopify-topic": delivery.topic,
        "x-shopify-webhook-id": delivery.name,
        "x-shopify-event-id": f"event-{delivery.name}",
    }


def sign_woocommerce(secret: str, delivery: Unsigned) -> Mapping[str, str]:
    """Sign as WooCommerce."""
    return {
        "x-wc-webhook-signature": _digest(secret, delivery.body),
        "x-wc-webhook-topic": delivery.topic,
        "x-wc-webhook-id": "14",
        "x-wc-webhook-delivery-id": delivery.name,
        "x-wc-webhook-source": "https://shop.example.com/",
    }


def sign_stripe(secret: str, delivery: Unsigned) -> Mapping[str, str]:
    """Sign as Stripe: id and topic are in the body."""
    signature = WebhookSignature.generate_signature_header(delivery.text, secret, int(delivery.at.timestamp()))
    return {"stripe-signature": signature}


def _digest(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
