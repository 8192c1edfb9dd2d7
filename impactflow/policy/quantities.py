"""
The four ways in which a rule states a quantity, and the one rounding.

Each way turns a sale into an exact fraction, in the rule's unit; nothing here knows providers or their limits. Called
by ``rules``.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, assert_never

from pydantic import Discriminator, Tag

from impactflow.policy.fields import Currency, Number, Percent, Strict, Written, nearest, wrong_at
from impactflow.policy.priced_order import NotEarned, PricedOrder


class Rounding(StrEnum):
    """The way in which a quantity becomes a whole number of the smallest thing that can be bought."""

    NEAREST = "nearest"
    UP = "up"
    DOWN = "down"
    CARRY = "carry"


def rounded(exact: Fraction, rounding: Rounding) -> int:
    """Round to a whole number; with ``NEAREST``, halves go up, and with ``CARRY`` what stays a single purchase."""
    over, under = exact.as_integer_ratio()
    match rounding:
        case Rounding.NEAREST | Rounding.CARRY:
            return (2 * over + under) // (2 * under)
        case Rounding.UP:
            return -(-over // under)
        case Rounding.DOWN:
            return over // under
        case _:
            assert_never(rounding)


class PerOrder(Strict):
    """The same for each order that counts."""

    per_order: Number
    """The quantity for each order: trees, coral fragments, kg or lb (the rule's ``unit``), cents for donations."""

    def of(self, sale: PricedOrder) -> Fraction:  # noqa: ARG002 - all four ways have one signature
        """Return the quantity that the sale earns."""
        return Fraction(self.per_order)


class PerItem(Strict):
    """The same for each item sold."""

    per_item: Number
    """
    The quantity for each item: trees, coral fragments, kg or lb (the rule's ``unit``), cents for donations. The items
    of an order are the sum of its products' quantities.
    """

    def of(self, sale: PricedOrder) -> Fraction:
        """Return the quantity that the sale earns."""
        if sale.items <= 0:
            raise NotEarned("the order has no items")
        return Fraction(self.per_item) * sale.items


class Share(Strict):
    """A quantity for every ``per`` of the order's amount, pro rata: half of ``per`` earns half of ``quantity``."""

    written = "{quantity: 1, per: 20, currency: USD}"

    quantity: Number
    """The quantity: trees, coral fragments, kg or lb (the rule's ``unit``), cents for donations."""
    per: Number
    """The stretch of the order's amount that earns ``quantity``: 20 of ``currency``."""
    currency: Currency = "USD"
    """The currency of ``per``; amounts in another currency are converted through USD."""


class PerAmount(Strict):
    """In proportion to the order's amount."""

    per_amount: Share
    """A quantity for each stretch of the order's amount, such as one tree for each 20 USD."""

    def of(self, sale: PricedOrder) -> Fraction:
        """Return the quantity that the sale earns."""
        share = self.per_amount
        return sale.positive_amount_in(share.currency) * Fraction(share.quantity) / Fraction(share.per)


class PercentOfOrder(Strict):
    """A percentage of the order's amount, given away."""

    percent_of_order: Percent
    """The percentage of the order's amount in USD; given in whole cents."""

    def of(self, sale: PricedOrder) -> Fraction:
        """Return the quantity that the sale earns, in cents: a percent of a dollar is a cent."""
        return sale.positive_amount_in("USD") * Fraction(self.percent_of_order)


@dataclass(frozen=True)
class _Way(Written):
    """A check that a quantity is one of the ways; the error shows the nearest name, or an example for a bare number."""

    example: str = "{per_order: 1}"

    def check(self, value: object) -> object:
        """Return the quantity unchanged."""
        mapping = super().check(value)
        names = list(mapping) if isinstance(mapping, dict) else []
        if len(names) == 1 and names[0] not in _WAYS and (near := nearest(names[0], _WAYS)):
            raise wrong_at((names[0],), f"unknown field: did you mean {near}?", value)
        return value


_WAYS = ("per_order", "per_item", "per_amount", "percent_of_order")


def _ways(value: Any) -> str:
    """Return the names in a ``quantity``: exactly one name that the rule knows is right."""
    names = type(value).model_fields if isinstance(value, Strict) else value
    return " and ".join(names) if isinstance(names, dict) else str(value)


def _one_of(names: str) -> Discriminator:
    message = f"must be exactly one of {names}"
    return Discriminator(_ways, custom_error_type="policy", custom_error_message=message)


_Amount = (
    Annotated[PerOrder, Tag("per_order")]
    | Annotated[PerItem, Tag("per_item")]
    | Annotated[PerAmount, Tag("per_amount")]
)
Quantity = Annotated[
    _Amount,
    _one_of("per_order, per_item, per_amount (percent_of_order is for donate)"),
    _Way(),
]
#: Only money can be a percentage of money.
DonationQuantity = Annotated[
    _Amount | Annotated[PercentOfOrder, Tag("percent_of_order")],
    _one_of("per_order, per_item, per_amount, percent_of_order"),
    _Way(),
]
