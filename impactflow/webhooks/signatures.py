"""
The proof of a delivery's sender: one function for each scheme, which returns nothing or raises.

The senders' own libraries check the signatures where such libraries exist. The age of a delivery is checked here, the
same for all schemes that sign a time.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping, Sequence

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from stripe import SignatureVerificationError, WebhookSignature

from impactflow.errors import WebhookRejected

#: The greatest difference between the signed time and ours, in seconds.
TOLERANCE_S = 300
_MALFORMED, _NOT_PROVEN = 400, 401
#: The shortest secret, in characters: a shorter one was cut off, or is not a secret.
_SHORTEST_SECRET = 16
_STRIPE_TIME = re.compile(r"(?:^|,)t=([0-9]{1,12})(?:,|$)")


def check_standard_secret(secret: str) -> None:
    """
    Check that a sender's signatures can fit a secret of Standard Webhooks.

    The library drops characters that are not plain base64, so that a URL-safe secret would become another key.

    Raises:
        ValueError: No signature can fit; the message describes the right secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError("must be plain base64 (with + and /, not - and _), with or without whsec_ before it") from None
    if len(key) < _SHORTEST_SECRET:
        raise ValueError(
            f"must be the base64 of at least {_SHORTEST_SECRET} bytes: `openssl rand -base64 32` makes one"
        )


def check_shopify_secret(secret: str) -> None:
    """
    Check that Shopify's signatures can fit a secret.

    Raises:
        ValueError: No signature can fit; the message names the right secret.
    """
    if secret.startswith(("shpat_", "shpca_", "shppa_", "shpua_", "whsec_", "http")) or len(secret) < _SHORTEST_SECRET:
        raise ValueError(
            "must be the app's client secret, or the one below Settings > Notifications > Webhooks, and no access token"
        )


def check_woocommerce_secret(secret: str) -> None:
    """
    Check that WooCommerce's signatures can fit a secret.

    A secret that WooCommerce makes up has spaces and commas, which separate secrets here: it arrives in pieces.

    Raises:
        ValueError: No signature can fit; the message names the right secret.
    """
    if secret.startswith(("ck_", "cs_", "whsec_", "http")) or len(secret) < _SHORTEST_SECRET:
        raise ValueError(
            "must be the secret that you enter in the webhook's own form, such as `openssl rand -hex 32` makes, with no"
            " spaces or commas; no key of the REST API"
        )


def check_stripe_secret(secret: str) -> None:
    """
    Check that Stripe's signatures can fit a secret.

    Raises:
        ValueError: No signature can fit; the message names the right secret.
    """
    if not secret.startswith("whsec_") or len(secret) < len("whsec_") + _SHORTEST_SECRET:
        raise ValueError("must be the endpoint's signing secret, which begins with whsec_; no API key")


def verify_standard(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """
    Verify Standard Webhooks, symmetric. Svix, which sends for many, may name the headers ``svix-``, not ``webhook-``.

    Raises:
        WebhookRejected: A header is missing or malformed, the time is not near ours, or no secret fits.

    Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md; for Svix's names
    ``webhook.ts`` of its library, read 2026-11-28.
    """
    standard_headers = {f"webhook-{name}": standard_header(headers, name) for name in ("id", "timestamp", "signature")}
    _check_age(standard_headers["webhook-timestamp"], "webhook-timestamp")
    for secret in secrets:
        try:
            Webhook(secret).verify(body, standard_headers, json_parse=False)
        except (WebhookVerificationError, ValueError):  # ValueError for signatures that are not base64
            continue
        return
    raise _no_secret_fits("webhook-signature")


def verify_shopify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """
    Verify Shopify: an HMAC of the body alone, so that neither its age nor its other headers are proven.

    Raises:
        WebhookRejected: The signature is missing, or no secret fits.

    Source: https://shopify.dev/docs/apps/build/webhooks/verify-deliveries, read 2026-11-22.
    """
    _verify_digest("x-shopify-hmac-sha256", secrets, headers, body)


def verify_woocommerce(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """
    Verify WooCommerce: an HMAC of the body alone, as with Shopify.

    Raises:
        WebhookRejected: The signature is missing, or no secret fits.

    Source: https://developer.woocommerce.com/docs/apis/rest-api/v3/webhooks/, read 2026-11-28.
    """
    _verify_digest("x-wc-webhook-signature", secrets, headers, body)


def verify_stripe(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """
    Verify Stripe: a time and an HMAC of the time with the body.

    Raises:
        WebhookRejected: The signature is missing or malformed, no secret fits, or the time is not near ours.

    Source: https://docs.stripe.com/webhooks/signature, read 2026-11-22.
    """
    header = required(headers, "stripe-signature")
    for secret in secrets:
        try:
            WebhookSignature.verify_header(body, header, secret)
        except (SignatureVerificationError, UnicodeDecodeError):
            continue
        signed_at = _STRIPE_TIME.search(header)
        _check_age(signed_at[1] if signed_at else "", "stripe-signature")
        return
    raise _no_secret_fits("stripe-signature")


def standard_header(headers: Mapping[str, str], name: str) -> str:
    """
    Return a header of Standard Webhooks: ``id``, ``timestamp`` or ``signature``.

    Raises:
        WebhookRejected: The header is missing, or is not plain text.
    """
    return required(headers, f"svix-{name}" if f"svix-{name}" in headers else f"webhook-{name}")


def required(headers: Mapping[str, str], name: str) -> str:
    """
    Return a header's value.

    Raises:
        WebhookRejected: The header is missing, or is not plain text.
    """
    value = headers.get(name, "")
    if not value:
        raise WebhookRejected(f"the header {name} is missing", _MALFORMED)
    if not (value.isascii() and value.isprintable()):
        raise WebhookRejected(f"the header {name} is malformed", _MALFORMED)
    return value


def _verify_digest(header: str, secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> None:
    """Verify a header that has the base64 of the HMAC-SHA256 of the body."""
    signature = required(headers, header).encode()
    for secret in secrets:
        expected = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
        if hmac.compare_digest(expected, signature):
            return
    raise _no_secret_fits(header)


def _check_age(signed_at: str, header: str) -> None:
    try:
        age_s = time.time() - float(signed_at)
    except ValueError:
        raise WebhookRejected(f"the header {header} holds no time in seconds", _MALFORMED) from None
    if not age_s <= TOLERANCE_S:
        raise WebhookRejected(f"{header}: signed more than 5 minutes ago; sign it anew to repeat it", _NOT_PROVEN)
    if not age_s >= -TOLERANCE_S:
        raise WebhookRejected(f"{header}: signed more than 5 minutes ahead; do the clocks agree?", _NOT_PROVEN)


def _no_secret_fits(header: str) -> WebhookRejected:
    return WebhookRejected(
        f"{header} fits none of our secrets: it must be made of the body exactly as it is sent", _NOT_PROVEN
    )
