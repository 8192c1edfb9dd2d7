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


def sign_standard(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Sign by Standard Webhooks."""
    return {
        "webhook-id": told.name,
        "webhook-timestamp": str(int(told.at.timestamp())),
        "webhook-signature": Webhook(secret).sign(told.name, told.at, told.text),
    }


def sign_shopify(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Sign as Shopify."""
    return {
        "x-shopify-hmac-sha256": _digest(secret, told.body),
        "x-shopify-topic": told.topic,
        "x-shopify-webhook-id": told.name,
        "x-shopify-event-id": f"event-{told.name}",
    }


def sign_woocommerce(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Sign as WooCommerce."""
    return {
        "x-wc-webhook-signature": _digest(secret, told.body),
        "x-wc-webhook-topic": told.topic,
        "x-wc-webhook-id": "14",
        "x-wc-webhook-delivery-id": told.name,
        "x-wc-webhook-source": "https://shop.example.com/",
    }


def sign_stripe(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Sign as Stripe: id and topic are in the body."""
    signature = WebhookSignature.generate_signature_header(told.text, secret, int(told.at.timestamp()))
    return {"stripe-signature": signature}


def _digest(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
