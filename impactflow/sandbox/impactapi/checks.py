"""
Checks of the sender, and of the documented limits. Used by the other modules of this package.

A refusal that names a field is answered with 422; see ``ImpactApi.decline``.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from impactflow.sandbox.api import Call, Declined, day, is_text, is_whole
from impactflow.sandbox.impactapi.campaigns import CAMPAIGNS
from impactflow.sandbox.messages import Request, to_json

API_KEY = "sandbox-impactapi-key"

MOST_CENTS = 1_000_000_000
_MOST_CHARACTERS = 255


def has_key(request: Request) -> bool:
    """Whether a request has the account's key."""
    return request.headers.get("authorization") == f"Bearer {API_KEY}"


def check_text(fields: Mapping[str, Any], name: str) -> None:
    """Check that a field has at most 255 characters, or is null."""
    if not is_text(fields.get(name), _MOST_CHARACTERS):
        raise Declined(422, f"{name} must be a text of at most {_MOST_CHARACTERS} characters.", field=name)


def check_metadata(fields: Mapping[str, Any]) -> None:
    """Check that the metadata is an object, or null."""
    if not isinstance(fields.get("metadata"), dict | None):
        raise Declined(422, "metadata must be an object.", field="metadata")


def merged(metadata: str | None, fields: Mapping[str, Any]) -> str | None:
    """Return metadata as JSON text, after a PATCH that leaves it out, or gives null or an object."""
    if "metadata" not in fields:
        return metadata
    if fields["metadata"] is None:
        return None
    return to_json({**json.loads(metadata or "{}"), **fields["metadata"]})


def shown(metadata: str | None) -> Any:
    """Parse metadata that is kept as JSON text."""
    return None if metadata is None else json.loads(metadata)


def donations(items: object, field: str, most: int) -> tuple[tuple[str, int], ...]:
    """
    Return the (campaign, cents) pairs of a list of donations, which may be empty.

    Raises:
        Declined: The list is not valid or too long, or names a campaign that cannot be donated to.
    """
    if not isinstance(items, list) or len(items) > most:
        raise Declined(422, f"There must be a list of at most {most}.", field=field)
    for item in items:
        if not isinstance(item, dict) or not is_whole(item.get("amount"), 1, MOST_CENTS):
            raise Declined(422, f"Each donation has an amount, 1 to {MOST_CENTS} cents.", field=field)
        check_campaign(item.get("campaign_identifier"))
    return tuple((item["campaign_identifier"], item["amount"]) for item in items)


def check_campaign(slug: object) -> None:
    """Check that the campaign can be donated to."""
    if not isinstance(slug, str) or slug not in CAMPAIGNS:
        raise Declined(400, "There is no such campaign to donate to.", code="session.campaign-not-available")


def period(call: Call) -> tuple[date, date]:
    """The first and the last day that a query asks for."""
    params = call.query()
    return day(params, "date_from") or date.min, day(params, "date_to") or date.max
