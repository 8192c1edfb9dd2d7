"""The answers of CNaught. Amounts are kilograms of CO₂, prices US cents, distances kilometres."""

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
    #: The distance that the vehicle went; of a ride's order only.
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
    #: The projects that met the order, each with its share, as CNaught writes it.
    project_allocations: Aside[Sequence[Mapping[str, Any]]] = Field(default=None, repr=False)


class Quote(Answer):
    """The present price of an offset."""

    amount_kg: Decimal
    price_usd_cents: int


class ImpactData(Answer):
    """The total of the orders of an account or a subaccount; cancelled orders do not count."""

    #: The name of the account or subaccount.
    name: str | None = Field(default=None, repr=False)
    total_offset_kgs: Decimal
    #: The start of the total; None where nothing was ordered.
    since_date: Time | None = None
    #: The same impact in other terms, by CNaught's name of the term, such as ``cars_off_the_road``.
    equivalents: Mapping[str, Any] | None = None
    #: The total by category of project, as CNaught writes it.
    categories: Sequence[Mapping[str, Any]] | None = Field(default=None, repr=False)


class ImpactHostedPageConfig(Answer):
    """The public page that shows the impact of an account or a subaccount; the reference promises no field."""

    enabled: bool | None = None
    url: str | None = None
    #: The impact's equivalents that the page shows.
    enabled_equivalents: Sequence[str] | None = None


class Subaccount(Answer):
    """A part of the account with orders of its own, such as a department or a customer."""

    id: str
    name: str = Field(repr=False)
    #: The portfolio that meets its orders unless they name another; None for the account's own default.
    default_portfolio_id: str | None = None
    created_on: Time | None = None


Listed = TypeVar("Listed", bound=Order | Subaccount)


class Listing(Answer, Generic[Listed]):
    """One page of a list, the newest first."""

    data: list[Listed]
