"""
The answers of Wicked Reports: contacts, their clicks, and orders.

Amounts of money are in the order's own currency. A page of orders is read in one step. Where that fails, each order is
read alone, so that a broken order does not spoil the rest.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from impactflow.clients.answers import broken_fields
from impactflow.clients.paging import Page
from impactflow.clients.values import Answer, Aside, Ref, Time
from impactflow.models import BrokenOrder

T_co = TypeVar("T_co", covariant=True)

#: The most of a shop's order, in any currency or unit; an order above it must be wrong.
MOST_MONEY, MOST_ITEMS = Decimal(10**12), Decimal(10**9)
Money = Annotated[Decimal, Field(ge=-MOST_MONEY, le=MOST_MONEY)]
Quantity = Annotated[Decimal, Field(ge=-MOST_ITEMS, le=MOST_ITEMS)]
#: A text that a database can keep: no NUL and, because it has a pattern, no half of a surrogate pair.
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]


def _unless_null(value: object) -> object:
    """Read the text ``null``, the schema's default for such a time, as None."""
    return None if value == "null" else value


MaybeTime = Annotated[Time | None, BeforeValidator(_unless_null)]


class WickedLink(Answer):
    """A path below the base URL, with more details."""

    href: Text | None = None


class WickedUtms(Answer):
    """The origin of a click, by the tags of its link."""

    source: Text | None = None
    medium: Text | None = None
    campaign: Text | None = None
    content: Text | None = None
    term: Text | None = None


class WickedTouch(WickedUtms):
    """A click or opt-in that a contact or an order is attributed to."""

    date: MaybeTime = None


class WickedContact(Answer):
    """
    A person who clicked, opted in or bought; addresses and names never show.

    ``ltv`` is the total of all the person's orders, in an unknown currency. ``links`` is empty without clicks.
    """

    id: Text
    source_id: Annotated[Text, Field(alias="sourceId")]
    source_system: Annotated[Text | None, Field(alias="sourceSystem")] = None
    email: Annotated[Text, Field(repr=False)]
    first_name: Annotated[Text | None, Field(alias="firstName", repr=False)] = None
    last_name: Annotated[Text | None, Field(alias="lastName", repr=False)] = None
    ltv: Annotated[Decimal | None, Field(alias="LTV")] = None
    create_date: Annotated[MaybeTime, Field(alias="createDate")] = None
    first_click: Annotated[WickedTouch | None, Field(alias="firstClick")] = None
    first_optin: Annotated[WickedTouch | None, Field(alias="firstOptin")] = None
    re_optin: Annotated[WickedTouch | None, Field(alias="reOptin")] = None
    url_wicked: Annotated[Text, Field(alias="urlWicked")]
    links: Aside[dict[str, WickedLink]] = None


class WickedClick(Answer):
    """A click of a contact. It has no id: two clicks of one contact at the same moment look alike."""

    contact_id: Annotated[Text, Field(alias="contactId")]
    contact_source_id: Annotated[Text | None, Field(alias="contactSourceId")] = None
    date: Time
    email: Annotated[Text | None, Field(repr=False)] = None
    is_first_click: Annotated[bool | None, Field(alias="isFirstClick")] = None
    is_first_optin: Annotated[bool | None, Field(alias="isFirstOptin")] = None
    is_last_click: Annotated[bool | None, Field(alias="isLastClick")] = None
    is_re_optin: Annotated[bool | None, Field(alias="isReOptin")] = None
    source: Text | None = None
    utms: WickedUtms | None = None
    wickedid: Text | None = None
    wickedsource: Text | None = None
    tracking_url: Annotated[Text | None, Field(alias="trackingUrl", repr=False)] = None
    links: Aside[dict[str, WickedLink]] = None


class WickedBuyer(Answer):
    """The buyer, as an order names them."""

    id: Aside[Text] = None
    source_id: Annotated[Aside[Text], Field(alias="sourceId")] = None
    source_system: Annotated[Aside[Text], Field(alias="sourceSystem")] = None
    email: Annotated[Aside[Ref], Field(repr=False)] = None


class WickedProduct(Answer):
    """A product that was bought, how many, and the price of one."""

    id: Aside[Text] = None
    name: Aside[Text] = None
    qty: Quantity | None = None
    price_per_unit: Annotated[Aside[Money], Field(alias="PPU")] = None


class WickedPayment(Answer):
    """One payment: ``APPROVED``, ``FAILED``, ``REFUNDED``, ``Partially Refunded`` or ``MANUAL``."""

    status: Text | None = None
    date: Time | None = None
    amount: Money | None = None


class WickedAttributions(Answer):
    """The contact's clicks to which an order is attributed."""

    first_click: Annotated[Aside[WickedTouch], Field(alias="firstClick")] = None
    first_optin: Annotated[Aside[WickedTouch], Field(alias="firstOptin")] = None
    re_optin: Annotated[Aside[WickedTouch], Field(alias="reOptin")] = None
    last_click: Annotated[Aside[WickedTouch], Field(alias="lastClick")] = None


class WickedOrder(Answer):
    """
    An order. Everything but its two ids and its date may be missing.

    The references promise more of ``contact``, but an order without those fields is accepted.
    """

    id: Annotated[Ref, Field(min_length=1)]
    source_id: Annotated[Ref, Field(alias="sourceId")]
    date: Time
    source_system: Annotated[Ref | None, Field(alias="sourceSystem")] = None
    attributions: Aside[WickedAttributions] = None
    contact: WickedBuyer | None = None
    products: list[WickedProduct] | None = None
    payments: list[WickedPayment] | None = None
    amount: Money | None = None
    currency: Ref | None = None
    subscription_id: Annotated[Aside[Text], Field(alias="subscriptionId")] = None
    links: Aside[dict[str, WickedLink]] = None


class ContactAnswer(Answer):
    """One contact."""

    result: WickedContact


class Listing(Answer, Generic[T_co]):
    """One page of a listing, as the provider sends it."""

    results: tuple[T_co, ...]
    page: int | None = None
    total_pages: Annotated[int | None, Field(alias="totalPages")] = None
    total: int | None = None
    following: Annotated[Text | None, Field(alias="next")] = None

    @property
    def next(self) -> str | None:
        """The name of the next page; None after the last page, even if that page names one."""
        has_more = bool(self.results) if self.page is None or self.total_pages is None else self.page < self.total_pages
        return (self.following or None) if has_more else None

    @property
    def is_cut_off(self) -> bool:
        """Whether it counts more pages but names none: only 10,000 clicks of one contact are listed at a time."""
        counts_more = self.page is not None and self.total_pages is not None and self.page < self.total_pages
        return counts_more and not self.following

    def has_no_end(self, count: int) -> bool:
        """Whether it names a next page although it is empty, or although more pages than it counts were read."""
        beyond = self.total_pages is not None and count > self.total_pages
        return self.next is not None and (beyond or not self.results)


@dataclass(frozen=True, slots=True)
class CountedPage(Page[T_co]):
    """
    One page of a listing with a total.

    Args:
        total: The number of items on all pages, where the provider says it.
    """

    total: int | None


def read_order_page(body: bytes) -> Listing[WickedOrder | BrokenOrder]:
    """
    Read a page of orders; a broken order keeps its place.

    Raises:
        ValidationError: The body is no page of orders.
    """
    try:
        return Listing[WickedOrder].model_validate_json(body)
    except ValidationError as broken:
        listing = Listing[Any].model_validate(_parse(body, broken))
        return listing.model_copy(update={"results": tuple(map(_read_order, listing.results))})


def _parse(body: bytes, broken: ValidationError) -> Any:
    """Read JSON that may hold half surrogate pairs or endless numbers, so that only the order with them is broken."""
    try:
        return json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError):
        raise broken from None


def _parse_int(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # thousands of digits, which take too long
        return Decimal(digits)


def _read_order(raw: object) -> WickedOrder | BrokenOrder:
    try:
        return WickedOrder.model_validate(raw)
    except ValidationError as broken:
        return BrokenOrder(id=_printable_id(raw), problem=broken_fields(broken))


def _printable_id(raw: object) -> str | None:
    name = raw.get("id") if isinstance(raw, dict) else None
    return name if isinstance(name, str) and name.isprintable() else None
