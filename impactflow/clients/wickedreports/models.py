"""
What Wicked Reports answers: orders, reduced to the fields that a policy asks about.

A page is read in one go; only where that fails is each order read alone, so that a broken one does not spoil the rest.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, ValidationError

from impactflow.clients.answers import broken_fields
from impactflow.clients.values import Answer, Time
from impactflow.models import BrokenOrder

#: No shop's order has more than this, in any currency or unit; beyond it something is wrong with the order.
MOST_MONEY, MOST_ITEMS = Decimal(10**12), Decimal(10**9)
Money = Annotated[Decimal, Field(ge=-MOST_MONEY, le=MOST_MONEY)]
Quantity = Annotated[Decimal, Field(ge=-MOST_ITEMS, le=MOST_ITEMS)]


class WickedContact(Answer):
    """Who bought; the address never shows."""

    email: str | None = Field(default=None, repr=False)


class WickedProduct(Answer):
    """What was bought, and how many."""

    qty: Quantity | None = None


class WickedPayment(Answer):
    """One payment: ``APPROVED``, ``FAILED``, ``REFUNDED``, ``Partially Refunded`` or ``MANUAL``."""

    status: str | None = None
    date: Time | None = None
    amount: Money | None = None


class WickedOrder(Answer):
    """An order. Everything may be missing but its two ids and its date."""

    id: Annotated[str, Field(min_length=1)]
    source_id: Annotated[str, Field(alias="sourceId")]
    date: Time
    source_system: Annotated[str | None, Field(alias="sourceSystem")] = None
    contact: WickedContact | None = None
    products: list[WickedProduct] | None = None
    payments: list[WickedPayment] | None = None
    amount: Money | None = None
    currency: str | None = None


class _Listing(Answer):
    page: int | None = None
    total_pages: Annotated[int | None, Field(alias="totalPages")] = None
    total: int | None = None
    next: str | None = None


class _SoundListing(_Listing):
    results: list[WickedOrder]


class _AnyListing(_Listing):
    results: list[Any]


@dataclass(frozen=True, slots=True)
class OrderPage:
    """
    One page of orders.

    Args:
        orders: Its orders; a broken one keeps its place.
        page: Its number, where told.
        total: How many orders there are on all pages, where told.
        next: The name of the page after it; None after the last.
    """

    orders: list[WickedOrder | BrokenOrder]
    page: int | None
    total: int | None
    next: str | None


def read_page(body: bytes) -> OrderPage:
    """
    Read a page of orders.

    Raises:
        ValidationError: It is no page of orders.
    """
    try:
        sound = _SoundListing.model_validate_json(body)
    except ValidationError:
        listing = _AnyListing.model_validate_json(body)
        return _page(listing, [_read_order(raw) for raw in listing.results])
    return _page(sound, [*sound.results])


def _page(listing: _Listing, orders: list[WickedOrder | BrokenOrder]) -> OrderPage:
    """Find out which page is the last; some of them name a next one all the same."""
    is_last = listing.page is not None and listing.total_pages is not None and listing.page >= listing.total_pages
    return OrderPage(orders, listing.page, listing.total, None if is_last or not orders else listing.next or None)


def _read_order(raw: object) -> WickedOrder | BrokenOrder:
    try:
        return WickedOrder.model_validate(raw)
    except ValidationError as broken:
        name = raw.get("id") if isinstance(raw, dict) else None
        return BrokenOrder(id=name if isinstance(name, str) else None, problem=broken_fields(broken))
