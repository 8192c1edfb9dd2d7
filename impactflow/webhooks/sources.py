"""
The senders of deliveries, with the scheme of each and the topics that we handle.

Only a source whose secret is set is served.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from impactflow.errors import ConfigurationError
from impactflow.ledger.deliveries import TEST_NAME
from impactflow.settings import Settings, load_secret, secrets_in
from impactflow.webhooks.signatures import (
    check_shopify_secret,
    check_standard_secret,
    check_stripe_secret,
    check_woocommerce_secret,
    required,
    standard_header,
    verify_shopify,
    verify_standard,
    verify_stripe,
    verify_woocommerce,
)
from impactflow.webhooks.signing import Sign, sign_shopify, sign_standard, sign_stripe, sign_woocommerce

#: CNaught's callbacks carry no signature. Their path proves them, see ``impactflow.callbacks``.
CNAUGHT = "cnaught"
CNAUGHT_VARIABLE = "IMPACTFLOW_CALLBACK_SECRET"
#: The one topic of a callback.
CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class Scheme:
    """
    A sender's way to sign, name and sort its deliveries.

    Args:
        source: The name of the sender, in the path and in the ledger.
        variable: The variable with the sender's secrets.
        headers: The headers that it sends, each with its meaning.
        topics: The topics that we handle; other topics are acknowledged and not kept.
        check: Returns nothing, or raises ``ValueError`` for a secret that no delivery can be signed with.
        verify: Returns nothing, or raises ``WebhookRejected``.
        sign: Returns the headers with which ``verify`` accepts a body.
        name: Returns the delivery's name, from headers, content and body; a repetition has the same name.
        topic: Returns the topic of the delivery.
        body: The JSON Schema of the part of the body that the receiver reads.
        lists_products: Whether its deliveries about an order state the number of things sold.
        ping: The pattern of a body that only tests the address, signed or not; None where there is no ping.
        optional: The topics that, by docs/webhooks.md, only some shops ask for.
    """

    source: str
    variable: str
    headers: Mapping[str, str]
    topics: frozenset[str]
    check: Callable[[str], None]
    verify: Callable[[Sequence[str], Mapping[str, str], bytes], None]
    sign: Sign
    name: Callable[[Mapping[str, str], Mapping[str, Any], bytes], object]
    topic: Callable[[Mapping[str, str], Mapping[str, Any]], object]
    body: Mapping[str, Any]
    lists_products: bool = True
    ping: re.Pattern[bytes] | None = None
    optional: frozenset[str] = frozenset()

    def is_ping(self, body: bytes) -> bool:
        """Whether a body only tests the address."""
        return self.ping is not None and self.ping.fullmatch(body) is not None


def _woocommerce_name(headers: Mapping[str, str], body: bytes) -> str:
    delivery_id = headers.get("x-wc-webhook-delivery-id", "")
    if delivery_id.startswith(TEST_NAME):
        return delivery_id
    return hashlib.sha256(required(headers, "x-wc-webhook-topic").encode() + b"\n" + body).hexdigest()


STANDARD = Scheme(
    source="standard",
    variable="IMPACTFLOW_WEBHOOK_SECRETS",
    headers={
        "webhook-id": "The delivery's id, the same whenever it is repeated.",
        "webhook-timestamp": "When it was signed, in seconds since 1970; at most 5 minutes from now.",
        "webhook-signature": "`v1,` and the base64 of the HMAC-SHA256 of id, timestamp and body; or several.",
    },
    topics=frozenset({"order.paid", "order.refunded"}),
    check=check_standard_secret,
    verify=verify_standard,
    sign=sign_standard,
    name=lambda headers, _, __: standard_header(headers, "id"),
    topic=lambda _, content: content.get("type"),
    body={
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": {"type": "string", "examples": ["order.paid", "order.refunded"]},
            "data": {"type": "object"},
        },
    },
)
#: ``X-Shopify-Webhook-Id`` names the delivery and is repeated with it. ``X-Shopify-Event-Id`` names the merchant's
#: action, and deliveries of several topics may share it.
#: Source: https://shopify.dev/docs/apps/build/webhooks/verify-deliveries, read 2026-11-22.
SHOPIFY = Scheme(
    source="shopify",
    variable="IMPACTFLOW_SHOPIFY_SECRETS",
    headers={
        "X-Shopify-Hmac-Sha256": "The base64 of the HMAC-SHA256 of the body.",
        "X-Shopify-Topic": "What the body tells of, such as `orders/paid` or `refunds/create`.",
        "X-Shopify-Webhook-Id": "The delivery's id, the same whenever it is repeated.",
    },
    topics=frozenset({"orders/paid", "orders/updated", "orders/cancelled", "refunds/create"}),
    check=check_shopify_secret,
    verify=verify_shopify,
    sign=sign_shopify,
    name=lambda headers, _, __: required(headers, "x-shopify-webhook-id"),
    topic=lambda headers, _: required(headers, "x-shopify-topic"),
    body={"type": "object"},
)
#: ``X-WC-Webhook-Delivery-ID`` is made of webhook and second: deliveries of one second share it, so topic and body name
#: each delivery. A webhook that is activated for the first time pings, without a signature, and expects 200.
#: Source: ``WC_Webhook``, ``get_new_delivery_id``, ``deliver_ping`` and ``log_delivery``, read 2026-11-28.
WOOCOMMERCE = Scheme(
    source="woocommerce",
    variable="IMPACTFLOW_WOOCOMMERCE_SECRETS",
    headers={
        "X-WC-Webhook-Signature": "The base64 of the HMAC-SHA256 of the body.",
        "X-WC-Webhook-Topic": "What the body tells of, such as `order.updated`.",
    },
    topics=frozenset({"order.created", "order.updated", "order.deleted", "order.restored"}),
    check=check_woocommerce_secret,
    verify=verify_woocommerce,
    sign=sign_woocommerce,
    name=lambda headers, _, body: _woocommerce_name(headers, body),
    topic=lambda headers, _: required(headers, "x-wc-webhook-topic"),
    body={"type": "object"},
    ping=re.compile(rb"webhook_id=[0-9]{1,20}"),
    optional=frozenset({"order.restored"}),
)
STRIPE = Scheme(
    source="stripe",
    variable="IMPACTFLOW_STRIPE_SECRETS",
    headers={"Stripe-Signature": "`t=` when it was signed, `v1=` the HMAC-SHA256 of that time and the body."},
    topics=frozenset(
        {
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
            "invoice_payment.paid",
            "charge.captured",
            "charge.refunded",
            "refund.failed",
            "charge.refund.updated",
        }
    ),
    check=check_stripe_secret,
    verify=verify_stripe,
    sign=sign_stripe,
    name=lambda _, content, __: content.get("id"),
    topic=lambda _, content: content.get("type"),
    body={
        "type": "object",
        "required": ["id", "type"],
        "properties": {
            "id": {"type": "string", "examples": ["evt_1"]},
            "type": {"type": "string", "examples": ["checkout.session.completed", "charge.refunded"]},
        },
    },
    lists_products=False,  # an event's session has no line items; they need a request
    optional=frozenset({"invoice_payment.paid", "charge.captured", "charge.refund.updated"}),
)
SCHEMES = (STANDARD, SHOPIFY, WOOCOMMERCE, STRIPE)


@dataclass(frozen=True, slots=True)
class Secrets:
    """
    The secrets that prove deliveries.

    Args:
        signing: The secrets of each source that signs and is served.
        callback: The secret in CNaught's paths; None where they are not served.
        schemes: The schemes of all senders that may be served.
    """

    signing: Mapping[str, Sequence[str]]
    callback: str | None
    schemes: Sequence[Scheme] = SCHEMES

    @classmethod
    def of(cls, settings: Settings, others: Sequence[Scheme] = ()) -> "Secrets":
        """
        Return the secrets that are set.

        Args:
            settings: The settings from the environment.
            others: The schemes of further senders, besides those known here.

        Raises:
            ConfigurationError: A secret cannot be used.
        """
        listed: dict[str, SecretStr | None] = {
            STANDARD.source: settings.impactflow_webhook_secrets,
            SHOPIFY.source: settings.impactflow_shopify_secrets,
            WOOCOMMERCE.source: settings.impactflow_woocommerce_secrets,
            STRIPE.source: settings.impactflow_stripe_secrets,
            **{scheme.source: load_secret(scheme.variable) for scheme in others},
        }
        schemes = (*SCHEMES, *others)
        signing = {source: secrets for source, text in listed.items() if (secrets := secrets_in(text))}
        for scheme in schemes:
            _check(scheme, signing.get(scheme.source, ()))
        callback = settings.impactflow_callback_secret
        return cls(signing, callback.get_secret_value() if callback else None, schemes)

    @property
    def served(self) -> tuple[str, ...]:
        """Return the sources that are served."""
        return (*self.signing, CNAUGHT) if self.callback else tuple(self.signing)

    @property
    def not_served(self) -> Mapping[str, str]:
        """Return the sources that are not served, each with the variable that it lacks."""
        variables = {scheme.source: scheme.variable for scheme in self.schemes} | {CNAUGHT: CNAUGHT_VARIABLE}
        return {source: variable for source, variable in variables.items() if source not in self.served}


def _check(scheme: Scheme, secrets: Sequence[str]) -> None:
    for secret in secrets:
        try:
            scheme.check(secret)
        except ValueError as wrong:
            raise ConfigurationError(f"{scheme.variable}: each secret {wrong}") from None
