"""
One order as the rules see it: its amount in any currency, its items, and the reason when one of them is missing.

Numbers come in as decimals and leave as exact fractions, since a third of a tree has no decimal; nothing is rounded
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from re import fullmatch

from impactflow.models import Order

#: The most digits of a number; a longer one is a mistake at its source, and its exact arithmetic would be slow.
_MOST_DIGITS_BEFORE_POINT = 15
_MOST_DIGITS_AFTER_POINT = 400


class NotEarned(Exception):
    """
    The order earns nothing under the rule; the text is the reason.

    The text names nothing that differs from order to order, since equal reasons are counted as one.
    """


class NeedsAttention(Exception):
    """A person must decide before the order earns an impact; the text says what to mend."""


@dataclass(frozen=True)
class PricedOrder:
    """
    An order, with exchange rates.

    Args:
        order: The order.
        usd_per: USD for one unit of each currency that has a rate, USD itself included.
        left_out: The price of the order's products that do not count; None where the order does not say it.
    """

    order: Order
    usd_per: Mapping[str, Fraction]
    left_out: Decimal | None = Decimal(0)

    @cached_property
    def items(self) -> Fraction:
        """The number of things sold."""
        if self.order.item_count is None:
            raise NotEarned("the order lists no products")
        return _exact(self.order.item_count, "the order's number of items")

    @cached_property
    def currency(self) -> str:
        """The ISO code of the currency that was paid."""
        if self.order.currency is None:
            raise NotEarned("the order has no currency")
        if not fullmatch("[A-Z]{3}", self.order.currency):
            raise NotEarned("the order's currency is not a code of three capital letters")
        return self.order.currency

    @cached_property
    def amount(self) -> Fraction:
        """The amount paid for the products that count, in the order's currency."""
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
        """The amount paid, in USD; an amount of zero needs no rate."""
        return self.amount * self._usd_per(self.currency) if self.amount else self.amount

    def positive_amount_in(self, currency: str) -> Fraction:
        """Return the amount paid, in this currency; raise where it is not above zero, such as a refund's."""
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
    """Return the number as a fraction; check its size first, because 1E+999999 is a number too."""
    exponent = number.as_tuple().exponent
    if (
        not isinstance(exponent, int)
        or exponent < -_MOST_DIGITS_AFTER_POINT
        or number.adjusted() >= _MOST_DIGITS_BEFORE_POINT
    ):
        raise NeedsAttention(f"{what} is not a believable number: mend it at its source")
    return Fraction(number)
