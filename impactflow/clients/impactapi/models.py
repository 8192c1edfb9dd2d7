"""
What ImpactAPI answers, bare or wrapped in ``data``. Amounts are US cents.

The reference shows hardly any answer as JSON and promises no field: required here is an id, and whatever else is not as
expected reads as None or as empty, which means that it is not known, for money may have been given before the answer
came.
"""

from typing import Annotated, Generic, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter

from impactflow.clients.values import Answer, Aside, Metadata, Otherwise, Ref, Time

T = TypeVar("T")


def _bare(value: object) -> object:
    """Take ``{"data": ...}`` off, where the answer is so wrapped."""
    return value["data"] if isinstance(value, dict) and "data" in value and "id" not in value else value


def _metrics(value: object) -> object:
    """The metrics alone, whatever they are wrapped in."""
    bare = _bare(value)
    return bare["impact_metrics"] if isinstance(bare, dict) and "impact_metrics" in bare else bare


def _as_list(value: object) -> object:
    return value or []


def _as_campaign(value: object) -> object:
    """A campaign that is told by its slug alone."""
    return {"slug": value} if isinstance(value, str) else value


def _as_intent(value: object) -> object:
    """A donation that is told by its id alone."""
    return {"id": value} if isinstance(value, str) else value


#: A list, empty where it cannot be read.
Asides = Annotated[list[T], BeforeValidator(_as_list), Otherwise(list)]
AsideMetadata = Annotated[Metadata, Otherwise(dict)]


class ImpactMetric(Answer):
    """What donations achieve; fields beyond these, such as emoji and verbs to show it with, are in ``model_extra``."""

    model_config = ConfigDict(extra="allow")

    name: Aside[str] = None
    #: Of a campaign: how much one US dollar achieves.
    impact_per_dollar: Aside[float] = None
    #: Of donations: how much they achieved.
    amount: Aside[float] = None


class Campaign(Answer):
    """A cause; ``slug`` is what a donation calls it."""

    slug: str
    id: Aside[str] = None
    name: Aside[str] = None
    impact_metrics: Asides[ImpactMetric] = Field(default_factory=list)


#: A campaign, told in full or by its slug.
SomeCampaign = Annotated[Campaign, BeforeValidator(_as_campaign)]


class _Party(Answer):
    """Whom donations are attributed to; who it is does not show in a log."""

    id: Ref
    external_id: Aside[str] = Field(default=None, repr=False)
    name: Aside[str] = Field(default=None, repr=False)
    metadata: AsideMetadata = Field(default_factory=dict, repr=False)
    created_at: Aside[Time] = None
    updated_at: Aside[Time] = None


class Customer(_Party):
    """Somebody who gives; an e-mail address would stand in ``metadata``."""


class Vendor(_Party):
    """A merchant, a shop or another place where something is sold."""


class Allocation(Answer):
    """How many US cents go to a campaign, which is told by its slug, in full, or both."""

    campaign_identifier: Aside[str] = None
    campaign: Aside[SomeCampaign] = None
    amount: Aside[int] = None


class DonationIntent(Answer):
    """A donation that will be billed at the end of the billing cycle; customer and vendor are those of its session."""

    id: Ref
    amount: Aside[int] = None
    campaign_identifier: Aside[str] = None
    campaign: Aside[SomeCampaign] = None
    impact_metrics: Asides[ImpactMetric] = Field(default_factory=list)
    session_id: Aside[Ref] = None
    customer_id: Aside[str] = None
    vendor_id: Aside[str] = None
    created_at: Aside[Time] = None


#: A donation, told in full or by its id.
SomeIntent = Annotated[DonationIntent, BeforeValidator(_as_intent)]


class Session(Answer):
    """A donation being prepared: ``active``, maybe ``processing``, then ``confirmed``, which gives, or ``expired``."""

    id: Ref
    #: None where it is not told.
    status: Aside[str] = None
    type: Aside[str] = None
    amount: Aside[int] = None
    allocations: Asides[Allocation] = Field(default_factory=list)
    available_campaigns: Asides[SomeCampaign] = Field(default_factory=list)
    #: Lets the customer's browser read this session and choose its campaign; told once, when it is created.
    session_secret: Aside[SecretStr] = None
    customer_id: Aside[str] = None
    vendor_id: Aside[str] = None
    metadata: AsideMetadata = Field(default_factory=dict, repr=False)
    approximated: Aside[bool] = None
    expires_at: Aside[Time] = None
    created_at: Aside[Time] = None
    confirmed_at: Aside[Time] = None
    #: Empty where none are told: a session that gave may not list them, or not yet.
    donation_intents: Asides[SomeIntent] = Field(default_factory=list)


Listed = TypeVar("Listed", Customer, Vendor, DonationIntent)


class Listing(Answer, Generic[Listed]):
    """One page of a list; pages are counted from 1."""

    data: list[Listed]
    current_page: int
    last_page: int


CAMPAIGNS: TypeAdapter[list[Campaign]] = TypeAdapter(Annotated[list[Campaign], BeforeValidator(_bare)])
CUSTOMER: TypeAdapter[Customer] = TypeAdapter(Annotated[Customer, BeforeValidator(_bare)])
VENDOR: TypeAdapter[Vendor] = TypeAdapter(Annotated[Vendor, BeforeValidator(_bare)])
IMPACT_METRICS: TypeAdapter[list[ImpactMetric]] = TypeAdapter(Annotated[list[ImpactMetric], BeforeValidator(_metrics)])
INTENT: TypeAdapter[DonationIntent] = TypeAdapter(Annotated[DonationIntent, BeforeValidator(_bare)])
INTENTS: TypeAdapter[list[DonationIntent]] = TypeAdapter(Annotated[list[DonationIntent], BeforeValidator(_bare)])
SESSION: TypeAdapter[Session] = TypeAdapter(Annotated[Session, BeforeValidator(_bare)])
