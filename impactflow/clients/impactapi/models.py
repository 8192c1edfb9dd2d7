"""
What ImpactAPI answers, bare or wrapped in ``data``. Amounts are US cents.

The reference shows hardly any answer as JSON: required here is what nothing can be done without.
"""

from typing import Annotated, Generic, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter

from impactflow.clients.values import Answer, Metadata, Time


def _bare(value: object) -> object:
    """Take ``{"data": ...}`` off, where the answer is so wrapped."""
    return value["data"] if isinstance(value, dict) and "data" in value and "id" not in value else value


def _metrics(value: object) -> object:
    """The metrics alone, whatever they are wrapped in."""
    bare = _bare(value)
    return bare["impact_metrics"] if isinstance(bare, dict) and "impact_metrics" in bare else bare


def _as_list(value: object) -> object:
    return value or []


class ImpactMetric(Answer):
    """What donations achieve; fields beyond these, such as emoji and verbs to show it with, are in ``model_extra``."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    #: Of a campaign: how much one US dollar achieves.
    impact_per_dollar: float | None = None
    #: Of donations: how much they achieved.
    amount: float | None = None


ImpactMetrics = Annotated[list[ImpactMetric], BeforeValidator(_as_list)]


class Campaign(Answer):
    """A cause; ``slug`` is what a donation calls it."""

    slug: str
    id: str | None = None
    name: str | None = None
    impact_metrics: ImpactMetrics = Field(default_factory=list)


class _Party(Answer):
    """Whom donations are attributed to; who it is does not show in a log."""

    id: str
    external_id: str | None = Field(default=None, repr=False)
    name: str | None = Field(default=None, repr=False)
    metadata: Metadata = Field(default_factory=dict, repr=False)
    created_at: Time | None = None
    updated_at: Time | None = None


class Customer(_Party):
    """Somebody who gives; an e-mail address would stand in ``metadata``."""


class Vendor(_Party):
    """A merchant, a shop or another place where something is sold."""


class Allocation(Answer):
    """How many US cents go to a campaign."""

    campaign_identifier: str
    amount: int


class DonationIntent(Answer):
    """A donation that will be billed at the end of the billing cycle; customer and vendor are those of its session."""

    id: str
    amount: int | None = None
    campaign_identifier: str | None = None
    campaign: Campaign | None = None
    impact_metrics: ImpactMetrics = Field(default_factory=list)
    session_id: str | None = None
    customer_id: str | None = None
    vendor_id: str | None = None
    created_at: Time | None = None


class Session(Answer):
    """A donation being prepared: ``active``, maybe ``processing``, then ``confirmed``, which gives, or ``expired``."""

    id: str
    status: str
    type: str | None = None
    amount: int | None = None
    allocations: Annotated[list[Allocation], BeforeValidator(_as_list)] = Field(default_factory=list)
    available_campaigns: Annotated[list[Campaign], BeforeValidator(_as_list)] = Field(default_factory=list)
    #: Lets the customer's browser read this session and choose its campaign; told once, when it is created.
    session_secret: SecretStr | None = None
    customer_id: str | None = None
    vendor_id: str | None = None
    metadata: Metadata = Field(default_factory=dict, repr=False)
    approximated: bool | None = None
    expires_at: Time | None = None
    created_at: Time | None = None
    confirmed_at: Time | None = None
    donation_intents: Annotated[list[DonationIntent], BeforeValidator(_as_list)] = Field(default_factory=list)


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
