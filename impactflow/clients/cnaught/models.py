"""What CNaught answers. Amounts are kilograms of CO₂, prices US cents."""

from decimal import Decimal

from pydantic import Field

from impactflow.clients.values import Answer, Time


class Order(Answer):
    """An offset order. An answer that leaves out ``state`` is of an order just placed."""

    id: str
    amount_kg: Decimal
    state: str = "placed"
    order_number: str | None = None
    type: str | None = None
    price_usd_cents: int | None = None
    metadata: str | None = None
    description: str | None = Field(default=None, repr=False)
    created_on: Time | None = None
    portfolio_id: str | None = None
    subaccount_id: str | None = None
    callback_url: str | None = None
    certificate_public_url: str | None = None
    certificate_download_public_url: str | None = None


class OrderPage(Answer):
    """One page of the list of orders, the newest first."""

    data: list[Order]
