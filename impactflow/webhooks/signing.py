"""
How each scheme signs a delivery: the counterpart of ``signatures``, for deliveries that are made up to try a receiver.

Signatures are made by the senders' own libraries where there are any, so that nothing here repeats what the receiver
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
        name: Its id.
        topic: What it tells of.
        body: As it goes over the wire.
        at: When it is signed; ignored by schemes that sign no time.
    """

    name: str
    topic: str
    body: bytes
    at: datetime

    @property
    def text(self) -> str:
        """The body, for schemes that sign a text."""
        return self.body.decode(errors="surrogateescape")


#: Signs a delivery with a secret; returns the headers that its scheme asks for.
Sign = Callable[[str, Unsigned], Mapping[str, str]]


def sign_standard(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Standard Webhooks."""
    return {
        "webhook-id": told.name,
        "webhook-timestamp": str(int(told.at.timestamp())),
        "webhook-signature": Webhook(secret).sign(told.name, told.at, told.text),
    }


def sign_shopify(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Shopify."""
    return {
        "x-shopify-hmac-sha256": _digest(secret, told.body),
        "x-shopify-topic": told.topic,
        "x-shopify-webhook-id": told.name,
        "x-shopify-event-id": f"event-{told.name}",
    }


def sign_woocommerce(secret: str, told: Unsigned) -> Mapping[str, str]:
    """WooCommerce."""
    return {
        "x-wc-webhook-signature": _digest(secret, told.body),
        "x-wc-webhook-topic": told.topic,
        "x-wc-webhook-id": "14",
        "x-wc-webhook-delivery-id": told.name,
        "x-wc-webhook-source": "https://shop.example.com/",
    }


def sign_stripe(secret: str, told: Unsigned) -> Mapping[str, str]:
    """Stripe: id and topic are in the body."""
    signature = WebhookSignature.generate_signature_header(told.text, secret, int(told.at.timestamp()))
    return {"stripe-signature": signature}


def _digest(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
