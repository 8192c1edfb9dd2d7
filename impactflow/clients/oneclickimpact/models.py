"""
The answers of 1ClickImpact. Amounts count trees, pounds of waste, pounds of CO₂, US cents and coral fragments.

Times of a purchase stay the text that 1ClickImpact wrote: ``user_id`` and ``time_utc`` together are a purchase's only
name. A purchase has reached a step once the step has a time, in any form.
"""

import datetime as dt
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field

from impactflow.clients.values import Answer, Aside, Link, Ref, Time

T = TypeVar("T")

#: The name of an amount; ``coral_restored`` only where the account has coral.
ImpactType = Literal["tree_planted", "waste_removed", "carbon_captured", "money_donated", "coral_restored"]


def _as_metadata(value: object) -> object:
    """Read metadata of any form; some servers write an empty object as ``[]``."""
    return value if isinstance(value, dict) else {"": value} if value else None


#: A purchase's metadata, from us or from another buyer; None where there is none.
Metadata = Annotated[dict[str, Any] | None, BeforeValidator(_as_metadata)]


class WhoAmI(Answer):
    """The account that a key belongs to."""

    user_id: Ref
    email: str = Field(repr=False)


class Customer(Answer):
    """The customer on whose behalf an impact was made; a log never shows who it is."""

    customer_id: str
    customer_email: str | None = Field(default=None, repr=False)
    customer_name: str | None = Field(default=None, repr=False)


class OnboardedCustomer(Customer):
    """A customer, and the time at which they became one."""

    customer_email: str = Field(repr=False)
    onboarded_on: Time


class _Purchase(Answer):
    """The amount that was bought, in its own field; ``category`` is a kind of tree or the cause of a donation."""

    tree_planted: int | None = None
    waste_removed: int | None = None
    carbon_captured: int | None = None
    money_donated: int | None = None
    coral_restored: int | None = None
    category: str | None = None


class ImpactMade(_Purchase):
    """A purchase that took effect; ``user_id`` and ``time_utc`` together are its only name."""

    user_id: Ref
    time_utc: Ref
    customer: Aside[Customer] = None
    metadata: Metadata = Field(default=None, repr=False)


class Record(_Purchase):
    """A purchase as the provider's records show it; ``metadata`` only where the account returns it."""

    user_id: Ref
    time_utc: Ref
    metadata: Metadata = None
    cancelled_on: str | None = None
    cancellation_reason: str | None = None


class CustomerRecord(Record):
    """A purchase on behalf of a customer, as the provider's records show it."""

    customer: Customer


class Listing(Answer, Generic[T]):
    """One page of a listing; each operation has its own name for the list."""

    items: list[T] = Field(validation_alias=AliasChoices("user_records", "customer_records", "customers"))
    cursor: str | None = None


class ImpactCancelled(_Purchase):
    """A purchase that was reversed; cancelled again, it keeps its time and reason."""

    user_id: Ref
    time_utc: Ref
    cancelled_on: str
    message: str
    reason: str | None = None


class Track(_Purchase):
    """The progress of an impact; a step that was not reached yet is None."""

    tracking_id: str
    impact_initiated: str
    donation_available: str | None = None
    donation_sent: str | None = None
    assigned_agent: str | None = None
    project_id: str | None = None
    project_location: str | None = None
    location_map: str | None = None
    impact_completed: str | None = None
    donation_category: str | None = None
    certificate: Link = None
    impact_video: str | None = None
    live_session_date: str | None = None
    is_test_transaction: bool | None = None
    is_bonus_impact: bool | None = None
    metadata: Metadata = None
    cancelled_on: str | None = None
    cancellation_reason: str | None = None


class Totals(Answer):
    """The totals of impacts; an account without coral has restored none."""

    tree_planted: int
    waste_removed: int
    carbon_captured: int
    money_donated: int
    coral_restored: int = 0


class AggregatedImpact(Totals):
    """All purchases of the account: in all, for itself, and on behalf of its customers."""

    user_id: Ref
    user_impact: Totals
    customer_impact: Totals


class ImpactOfDay(Totals):
    """The purchases of one day."""

    date: dt.date


class DailyImpact(Answer):
    """The purchases of each day; a day without impact may be missing."""

    user_id: Ref
    daily_impact: list[ImpactOfDay]


class SustainableDevelopmentGoal(Answer):
    """One of the United Nations' goals that a project serves."""

    id: str
    number: int
    title: str
    description: str
    color: str
    link: str
    icon_url: str


class Project(Answer):
    """A place where impacts are made; ``type`` is ``trees``, ``ocean`` or ``carbon``, coordinates are in degrees."""

    project_id: str
    name: str
    type: str
    location: str
    description: str
    about: list[str]
    country_code: str
    organization: str
    sdgs: list[SustainableDevelopmentGoal]
    image_urls: list[str]
    latitude: float
    longitude: float
    available: bool


class ProjectList(Answer):
    """Every project of a type."""

    projects: list[Project]
