"""
The answers of ImpactAPI, bare or wrapped in ``data``. Amounts are US cents.

The reference shows hardly any answer as JSON and promises no field. Only an id is required here. Any other field that
is not as expected reads as None or empty, which means unknown: money may have been given before the answer came.
"""

from typing import Annotated, Generic, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter

from impactflow.clients.values import Answer, Aside, Metadata, Otherwise, Ref, Time

T = TypeVar("T")


def _bare(value: object) -> object:
    """Remove the wrapping ``{"data": ...}``, where the answer has it."""
    return value["data"] if isinstance(value, dict) and "data" in value and "id" not in value else value


def _metrics(value: object) -> object:
    """Return the metrics without their wrapping."""
    bare = _bare(value)
    return bare["impact_metrics"] if isinstance(bare, dict) and "impact_metrics" in bare else bare


def _as_list(value: object) -> object:
    return value or []


def _as_campaign(value: object) -> object:
    """Turn a bare slug into a campaign."""
    return {"slug": value} if isinstance(value, str) else value


def _as_intent(value: object) -> object:
    """Turn a bare id into a donation."""
    return {"id": value} if isinstance(value, str) else value


#: A list, empty where it cannot be read.
Asides = Annotated[list[T], BeforeValidator(_as_list), Otherwise(list)]
AsideMetadata = Annotated[Metadata, Otherwise(dict)]


class ImpactMetric(Answer):
    """An effect of donations; further fields, such as emoji and verbs to show it with, are in ``model_extra``."""

    model_config = ConfigDict(extra="allow")

    name: Aside[str] = None
    #: Of a campaign: the amount that one US dollar achieves.
    impact_per_dollar: Aside[float] = None
    #: Of donations: the amount that they achieved.
    amount: Aside[float] = None


class Campaign(Answer):
    """A cause; ``slug`` is what a donation calls it."""

    slug: str
    id: Aside[str] = None
    name: Aside[str] = None
    impact_metrics: Asides[ImpactMetric] = Field(default_factory=list)


#: A campaign, given in full or by its slug.
SomeCampaign = Annotated[Campaign, BeforeValidator(_as_campaign)]


class _Party(Answer):
    """A customer or vendor to whom donations are attributed; a log does not show who it is."""

    id: Ref
    external_id: Aside[str] = Field(default=None, repr=False)
    name: Aside[str] = Field(default=None, repr=False)
    metadata: AsideMetadata = Field(default_factory=dict, repr=False)
    created_at: Aside[Time] = None
    updated_at: Aside[Time] = None


class Customer(_Party):
    """A person who gives; an e-mail address would stand in ``metadata``."""


class Vendor(_Party):
    """A merchant, a shop or another place where something is sold."""


class Allocation(Answer):
    """A campaign and the US cents that go to it; the campaign is given by its slug, in full, or both."""

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


#: A donation, given in full or by its id.
SomeIntent = Annotated[DonationIntent, BeforeValidator(_as_intent)]


class Session(Answer):
    """A donation in preparation: ``active``, maybe ``processing``, then ``confirmed``, which gives, or ``expired``."""

    id: Ref
    #: None where the answer does not say it.
    status: Aside[str] = None
    type: Aside[str] = None
    amount: Aside[int] = None
    allocations: Asides[Allocation] = Field(default_factory=list)
    available_campaigns: Asides[SomeCampaign] = Field(default_factory=list)
    #: Lets the customer's browser read this session and choose its campaign; returned once, at the creation.
    session_secret: Aside[SecretStr] = None
    customer_id: Aside[str] = None
    vendor_id: Aside[str] = None
    metadata: AsideMetadata = Field(default_factory=dict, repr=False)
    approximated: Aside[bool] = None
    expires_at: Aside[Time] = None
    created_at: Aside[Time] = None
    confirmed_at: Aside[Time] = None
    #: Empty where the answer lists none: a session that gave may not list them, or not yet.
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
