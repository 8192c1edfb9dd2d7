"""What CNaught answers. Amounts are kilograms of CO₂, prices US cents, distances kilometres."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from impactflow.clients.values import Answer, Aside, Link, Otherwise, Ref, Time


class Order(Answer):
    """An offset order. An answer that leaves out ``state`` is of an order just placed."""

    id: Ref
    amount_kg: Decimal
    #: ``placed``, ``fulfilled`` or ``cancelled``.
    state: Annotated[str, Otherwise(lambda: "placed")] = "placed"
    order_number: Aside[str] = None
    #: ``generic`` or ``ride``.
    type: Aside[str] = None
    #: How far the vehicle went; of a ride's order only.
    distance_km: Aside[Decimal] = None
    price_usd_cents: Aside[int] = None
    metadata: Aside[str] = Field(default=None, repr=False)
    description: Aside[str] = Field(default=None, repr=False)
    created_on: Aside[Time] = None
    portfolio_id: Aside[str] = None
    subaccount_id: Aside[str] = None
    callback_url: Aside[str] = Field(default=None, repr=False)
    certificate_public_url: Link = None
    certificate_download_public_url: Aside[str] = None
    #: How much was met from which project, as CNaught writes it.
    project_allocations: Aside[Sequence[Mapping[str, Any]]] = Field(default=None, repr=False)


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
