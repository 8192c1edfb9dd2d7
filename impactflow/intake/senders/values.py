"""Code that the senders' modules share: types of fields, and the meanings besides an order or a refund."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from impactflow.clients.values import Answer, Aside, Time, check_plain, shaped
from impactflow.clients.wickedreports.models import Quantity
from impactflow.models import Payment, Product

#: Payments' statuses that mean something to a policy.
_OURS = frozenset({"APPROVED", "MANUAL", "REFUNDED", "PARTIALLY REFUNDED"})


def other_status(status: str) -> Payment:
    """A payment that does not count, with its shop's own status; a status of ours would make it count."""
    return Payment("another status" if status.strip().upper() in _OURS else status)


#: Some senders write ids as numbers. A blank one would be the name of many orders. A database indexes no long text,
#: and neither it nor a terminal takes control characters.
Id = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) is int else value),
    Field(min_length=1, max_length=200),
    AfterValidator(check_plain),
    shaped(r"(?s).*\S.*", "not be blank"),
]


def _id_within(value: Any) -> Any:
    """Return the id of another object; Stripe sends the id, or the whole object in its place."""
    return value.get("id") if isinstance(value, dict) else value


#: Another object, by its id.
Reference = Annotated[Aside[Id], BeforeValidator(_id_within)]


def _believable(time: datetime) -> datetime:
    if time.year < _EARLIEST_YEAR:
        raise ValueError("is before the year 2000: write it as 2026-01-31T12:00:00Z")
    return time


#: Before any webhook. A day without its dashes is read as seconds since 1970, of which 20260131 are not many.
_EARLIEST_YEAR = 2000
#: The time of an event, from a sender whose format is not fixed.
Moment = Annotated[Time, AfterValidator(_believable)]


#: An amount in the smallest unit of its currency, as Stripe counts.
Minor = Annotated[int, Field(ge=0, le=10**15)]
#: Those are hundredths, but for these currencies. ISK and UGX are told in hundredths, though they have none; of HUF and
#: TWD only payouts are whole. What is charged in a currency of three digits always ends in 0.
#: Source: https://docs.stripe.com/currencies ("Zero-decimal", "Three-decimal", "Special cases"), read 2026-11-28.
_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"), 0
    ),
    **dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3),
}
#: As far as money can be divided at all, by ISO 4217, where Stripe counts otherwise or not at all.
_ISO_DIGITS: Mapping[str, int] = {**_DIGITS, "ISK": 0, "UGX": 0, "IQD": 3, "LYD": 3, "MGA": 2}


def from_minor(amount: int, currency: str) -> Decimal:
    """An amount in the currency itself, of one in its smallest unit."""
    return Decimal(amount).scaleb(-_DIGITS.get(currency, 2))


def to_minor(amount: Decimal, currency: str) -> int:
    """An amount in the currency's smallest unit, of one in the currency itself."""
    return int(amount.scaleb(_DIGITS.get(currency, 2)))


def smallest_unit(currency: str | None) -> Decimal:
    """A cent, or what there is in place of it, in the currency itself."""
    return Decimal(1).scaleb(-_ISO_DIGITS.get(currency or "", 2))


def currency_code(currency: str | None) -> str | None:
    """A currency as ISO 4217 writes it; some senders write it small."""
    return (currency or "").strip().upper() or None


class Line(Answer):
    """A line of an order: how many of one thing were sold, and how many are left of it, where that is told."""

    quantity: Quantity | None = None
    current_quantity: Quantity | None = None

    @property
    def count(self) -> Decimal:
        """The number that is left now; a line without a quantity counts as one."""
        quantity = self.quantity if self.current_quantity is None else self.current_quantity
        return Decimal(1) if quantity is None else quantity


def product(line: Line, ids: Iterable[str | None], name: str | None, sold_for: Decimal | None) -> Product:
    """
    A line as a product.

    Args:
        line: How many there are.
        ids: The shop's ids for the product, as far as it gives them.
        name: The name that the customer sees.
        sold_for: The price, with tax, of as many as were sold first; None where it is unknown.
    """
    amount = sold_for
    if sold_for is not None and line.quantity and line.count != line.quantity:
        try:
            amount = sold_for * line.count / line.quantity
        except ArithmeticError:  # no believable quantity
            amount = None
    return Product(tuple(dict.fromkeys(each for each in ids if each)), name, line.count, amount)


def item_count(lines: Sequence[Line] | None) -> Decimal | None:
    """The number of items that are left now; None where there are no lines."""
    return sum((line.count for line in lines), Decimal(0)) if lines else None


@dataclass(frozen=True, slots=True)
class Hint:
    """A hint that the placement of this key may have made progress: ask the provider."""

    key: str


@dataclass(frozen=True, slots=True)
class NothingForUs:
    """A delivery without consequence; ``why`` is the reason for a person, where there is one."""

    why: str | None = None


A_TEST = NothingForUs("a test order")
