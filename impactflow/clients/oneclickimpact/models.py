"""
What 1ClickImpact answers. Amounts count trees, pounds of waste, pounds of CO₂, US cents and coral fragments.

Times of a purchase stay the text that they wrote: with ``user_id``, ``time_utc`` is a purchase's only name, and a step
of its life has been reached once its time is there, whatever it looks like.
"""

import datetime as dt
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field

from impactflow.clients.values import Answer, Aside, Link, Ref, Time

T = TypeVar("T")

#: The name of an amount; ``coral_restored`` only where the account has coral.
ImpactType = Literal["tree_planted", "waste_removed", "carbon_captured", "money_donated", "coral_restored"]


def _as_told(value: object) -> object:
    """Metadata of whatever shape; some servers write an empty object as ``[]``."""
    return value if isinstance(value, dict) else {"": value} if value else None


#: What a purchase was told of itself, by us or by anybody; None where nothing was.
Told = Annotated[dict[str, Any] | None, BeforeValidator(_as_told)]


class WhoAmI(Answer):
    """The account that a key belongs to."""

    user_id: Ref
    email: str = Field(repr=False)


class Customer(Answer):
    """On whose behalf an impact was made; who that is never shows."""

    customer_id: str
    customer_email: str | None = Field(default=None, repr=False)
    customer_name: str | None = Field(default=None, repr=False)


class OnboardedCustomer(Customer):
    """A customer, and when they came to be one."""

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
    metadata: Told = Field(default=None, repr=False)


class Record(_Purchase):
    """A purchase as their records have it; ``metadata`` only where the account returns it."""

    user_id: Ref
    time_utc: Ref
    metadata: Told = None
    cancelled_on: str | None = None
    cancellation_reason: str | None = None


class CustomerRecord(Record):
    """A purchase on behalf of a customer as their records have it."""

    customer: Customer


class Listing(Answer, Generic[T]):
    """One page of a listing, under whichever name its operation has for it."""

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
    """How far an impact has come: a step that was not reached yet is None."""

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
    metadata: Told = None
    cancelled_on: str | None = None
    cancellation_reason: str | None = None


class Totals(Answer):
    """What impacts come to; an account without coral has restored none."""

    tree_planted: int
    waste_removed: int
    carbon_captured: int
    money_donated: int
    coral_restored: int = 0


class AggregatedImpact(Totals):
    """What the account has ever bought: in all, for itself, and on behalf of its customers."""

    user_id: Ref
    user_impact: Totals
    customer_impact: Totals


class ImpactOfDay(Totals):
    """What was bought on one day."""

    date: dt.date


class DailyImpact(Answer):
    """What was bought day by day; a day without impact may be missing."""

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
    """Where impacts are made; ``type`` is ``trees``, ``ocean`` or ``carbon``, the place is in degrees."""

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
