"""What ImpactAPI answers, bare or wrapped in ``data``. Amounts are US cents."""

from typing import Annotated

from pydantic import BeforeValidator, Field, TypeAdapter

from impactflow.clients.values import Answer, Metadata, Time


def _bare(value: object) -> object:
    """Take ``{"data": ...}`` off, where the answer is so wrapped."""
    return value["data"] if isinstance(value, dict) and "data" in value and "id" not in value else value


def _as_list(value: object) -> object:
    return value or []


class Campaign(Answer):
    """A cause; ``slug`` is what an allocation calls it."""

    slug: str
    id: str | None = None
    name: str | None = None


class Allocation(Answer):
    """How many US cents go to a campaign, 1 to 1,000,000,000."""

    campaign_identifier: str
    amount: int


class DonationIntent(Answer):
    """A donation that will be billed at the end of the billing cycle."""

    id: str
    amount: int | None = None
    campaign_identifier: str | None = None
    campaign: Campaign | None = None
    session_id: str | None = None
    customer_id: str | None = None
    vendor_id: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    created_at: Time | None = None


class Session(Answer):
    """A donation being prepared: nothing is given before it is ``confirmed``."""

    id: str
    status: str
    type: str | None = None
    amount: int | None = None
    allocations: Annotated[list[Allocation], BeforeValidator(_as_list)] = Field(default_factory=list)
    customer_id: str | None = None
    vendor_id: str | None = None
    metadata: Metadata = Field(default_factory=dict)
    expires_at: Time | None = None
    created_at: Time | None = None
    confirmed_at: Time | None = None
    donation_intents: Annotated[list[DonationIntent], BeforeValidator(_as_list)] = Field(default_factory=list)


CAMPAIGNS: TypeAdapter[list[Campaign]] = TypeAdapter(Annotated[list[Campaign], BeforeValidator(_bare)])
SESSION: TypeAdapter[Session] = TypeAdapter(Annotated[Session, BeforeValidator(_bare)])
INTENT: TypeAdapter[DonationIntent] = TypeAdapter(Annotated[DonationIntent, BeforeValidator(_bare)])
