"""
One order as the rules ask about it: its amount in any currency, its items, and what to say when one of them is missing.

Numbers come in as decimals and go on as exact fractions, since a third of a tree has no decimal; nothing is rounded
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from re import fullmatch

from impactflow.models import Order

#: Past these a number is a mistake at its source, and its exact arithmetic would be slow as well.
_MOST_DIGITS_BEFORE_POINT = 15
_MOST_DIGITS_AFTER_POINT = 400


class NotEarned(Exception):
    """The order earns nothing under the rule; the text is the reason."""


class NeedsAttention(Exception):
    """Whether or how much it earns waits for a person; the text says what to mend."""


@dataclass(frozen=True)
class Sale:
    """
    An order and what its currencies are worth.

    Args:
        order: What was sold.
        usd_per: USD for one unit of each currency that has a rate, USD itself included.
        left_out: What those of its products came to that do not count; None where the order does not say.
    """

    order: Order
    usd_per: Mapping[str, Fraction]
    left_out: Decimal | None = Decimal(0)

    @cached_property
    def items(self) -> Fraction:
        """How many things were sold."""
        if self.order.item_count is None:
            raise NotEarned("the order lists no products")
        return _exact(self.order.item_count, "the order's number of items")

    @cached_property
    def currency(self) -> str:
        """The ISO code of what was paid in."""
        if self.order.currency is None:
            raise NotEarned("the order has no currency")
        if not fullmatch("[A-Z]{3}", self.order.currency):
            raise NotEarned("the order's currency is not a code of three capital letters")
        return self.order.currency

    @cached_property
    def amount(self) -> Fraction:
        """What was paid for what counts, in the order's currency."""
        if self.order.amount is None:
            raise NotEarned("the order has no amount")
        if self.left_out is None:
            raise NotEarned("the order does not say what its products cost")
        paid = _exact(self.order.amount, "the order's amount")
        if not self.left_out:
            return paid
        return max(paid - _exact(self.left_out, "the price of the order's products"), Fraction(0))

    @cached_property
    def amount_usd(self) -> Fraction:
        """What was paid, in USD; nothing is nothing in every currency, so it needs no rate."""
        return self.amount * self._usd_per(self.currency) if self.amount else self.amount

    def positive_amount_in(self, currency: str) -> Fraction:
        """What was paid, in this currency, to earn a share of; a refund's negative amount earns none."""
        if self.amount <= 0:
            raise NotEarned("the order's amount is not above zero")
        if currency == self.currency:
            return self.amount
        return self.amount_usd / self._usd_per(currency)

    def _usd_per(self, currency: str) -> Fraction:
        rate = self.usd_per.get(currency)
        if rate is None:
            raise NeedsAttention(f"no rate for {currency}: add it to fx.usd_per in the policy")
        return rate


def _exact(number: Decimal, what: str) -> Fraction:
    """The number itself; it is looked at first, because 1E+999999 is a number too."""
    exponent = number.as_tuple().exponent
    if (
        not isinstance(exponent, int)
        or exponent < -_MOST_DIGITS_AFTER_POINT
        or number.adjusted() >= _MOST_DIGITS_BEFORE_POINT
    ):
        raise NeedsAttention(f"{what} is not a believable number: mend it at its source")
    return Fraction(number)
