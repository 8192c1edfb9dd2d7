"""What 1ClickImpact answers. Amounts count trees, pounds, US cents and coral fragments."""

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field

from impactflow.clients.values import Answer

#: What a purchase was told of itself; some servers write an empty object as ``[]``.
Told = Annotated[dict[str, str] | None, BeforeValidator(lambda value: value or None)]


class WhoAmI(Answer):
    """The account that a key belongs to."""

    user_id: str
    email: str | None = Field(default=None, repr=False)


class Customer(Answer):
    """On whose behalf an impact was made; who that is never shows."""

    customer_id: str | None = None
    customer_email: str | None = Field(default=None, repr=False)
    customer_name: str | None = Field(default=None, repr=False)


class _Amounts(Answer):
    tree_planted: int | None = None
    waste_removed: int | None = None
    carbon_captured: int | None = None
    money_donated: int | None = None
    coral_restored: int | None = None


class ImpactMade(_Amounts):
    """
    A purchase that took effect.

    ``user_id`` and ``time_utc`` together are its only name, so the time stays the text that they wrote.
    """

    user_id: str
    time_utc: str
    customer: Customer | None = None


class Record(ImpactMade):
    """A purchase as their records have it; ``metadata`` only where the account returns it."""

    metadata: Told = None
    cancelled_on: str | None = None


class RecordPage(Answer):
    """One page of an account's own records, or of its customers'."""

    records: list[Record] = Field(validation_alias=AliasChoices("user_records", "customer_records"))
    cursor: str | None = None


class Track(_Amounts):
    """How far an impact has come: a step that was not reached yet is None; times are the text that they wrote."""

    tracking_id: str
    impact_initiated: str | None = None
    category: str | None = None
    donation_available: str | None = None
    donation_sent: str | None = None
    assigned_agent: str | None = None
    project_location: str | None = None
    location_map: str | None = None
    impact_completed: str | None = None
    donation_category: str | None = None
    certificate: str | None = None
    impact_video: str | None = None
    live_session_date: str | None = None
    is_test_transaction: bool | None = None
    is_bonus_impact: bool | None = None
    metadata: Told = None
    cancelled_on: str | None = None
