"""What CNaught answers. Amounts are kilograms of CO₂, prices US cents, distances kilometres."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pydantic import Field

from impactflow.clients.values import Answer, Link, Ref, Time


class Order(Answer):
    """An offset order. An answer that leaves out ``state`` is of an order just placed."""

    id: Ref
    amount_kg: Decimal
    #: ``placed``, ``fulfilled`` or ``cancelled``.
    state: str = "placed"
    order_number: str | None = None
    #: ``generic`` or ``ride``.
    type: str | None = None
    #: How far the vehicle went; of a ride's order only.
    distance_km: Decimal | None = None
    price_usd_cents: int | None = None
    metadata: str | None = Field(default=None, repr=False)
    description: str | None = Field(default=None, repr=False)
    created_on: Time | None = None
    portfolio_id: str | None = None
    subaccount_id: str | None = None
    callback_url: str | None = Field(default=None, repr=False)
    certificate_public_url: Link = None
    certificate_download_public_url: str | None = None
    #: How much was met from which project, as CNaught writes it.
    project_allocations: Sequence[Mapping[str, Any]] | None = Field(default=None, repr=False)


class Quote(Answer):
    """What an offset would cost now."""

    amount_kg: Decimal
    price_usd_cents: int


class ImpactData(Answer):
    """What the orders of an account or a subaccount come to; the cancelled ones do not count."""

    #: Whose impact it is.
    name: str | None = Field(default=None, repr=False)
    total_offset_kgs: Decimal
    #: Since when; None where nothing was ordered.
    since_date: Time | None = None
    #: The same impact in other terms, by CNaught's name of the term, such as ``cars_off_the_road``.
    equivalents: Mapping[str, Any] | None = None
    #: By category of project, as CNaught writes it.
    categories: Sequence[Mapping[str, Any]] | None = Field(default=None, repr=False)


class ImpactHostedPageConfig(Answer):
    """The public page that shows the impact of an account or a subaccount; the reference promises no field."""

    enabled: bool | None = None
    url: str | None = None
    #: Which of the impact's equivalents it shows.
    enabled_equivalents: Sequence[str] | None = None


class Subaccount(Answer):
    """A part of the account with orders of its own, such as a department or a customer."""

    id: str
    name: str = Field(repr=False)
    #: What its orders are met from unless they say otherwise; None for the account's own default.
    default_portfolio_id: str | None = None
    created_on: Time | None = None


Listed = TypeVar("Listed", bound=Order | Subaccount)


class Listing(Answer, Generic[Listed]):
    """One page of a list, the newest first."""

    data: list[Listed]
