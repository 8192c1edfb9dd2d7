"""Quantities as people read them: kilograms, dollars, trees; the ledger counts the smallest unit that can be bought."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from impactflow.models import UNIT_OF, Kind, Unit
from impactflow.texts import counted

#: The unit that a person reads for each unit of the ledger: its name, and how many of the ledger's units make one.
SHOWN: Mapping[Unit, tuple[str, int]] = MappingProxyType(
    {
        Unit.TREE: ("trees", 1),
        Unit.LB: ("lb", 1),
        Unit.CORAL_FRAGMENT: ("coral fragments", 1),
        Unit.GRAM: ("kg CO2", 1000),
        Unit.USD_CENT: ("USD", 100),
    }
)

#: The name of the smallest amount of each unit that can be bought: a quantity is a whole number of them.
WHOLE: Mapping[Unit, str] = MappingProxyType(
    {
        Unit.TREE: "trees",
        Unit.LB: "pounds",
        Unit.CORAL_FRAGMENT: "coral fragments",
        Unit.GRAM: "grams",
        Unit.USD_CENT: "cents",
    }
)


#: The name of a single one, where it differs.
_ONE: Mapping[str, str] = MappingProxyType({"trees": "tree", "coral fragments": "coral fragment"})


def shown(quantity: int | Decimal, unit: Unit) -> tuple[Decimal, str]:
    """A quantity as a person reads it, exactly, with the unit's name."""
    name, size = SHOWN[unit]
    return Decimal(quantity) / size, name


def exact_text(amount: Fraction) -> str:
    """An amount as an exact decimal number; as a mixed number, such as ``2 1/3``, where it has no end as a decimal."""
    whole, rest = divmod(amount.numerator, amount.denominator)
    others = amount.denominator
    for prime in (2, 5):
        while others % prime == 0:
            others //= prime
    if others == 1:
        return f"{Decimal(amount.numerator) / amount.denominator:f}"
    return f"{whole} {rest}/{amount.denominator}" if whole else f"{rest}/{amount.denominator}"


def amount_in_words(quantity: int | Decimal, unit: Unit) -> str:
    """A quantity with its unit, in a sentence: "1 tree", "2.5 kg CO2"."""
    amount, name = shown(quantity, unit)
    return counted(amount, _ONE.get(name, name), name)


def in_words(kind: Kind | None, quantity: int | Decimal | None) -> str:
    """A purchase in a few words; ``kind`` or ``quantity`` is None where a record does not say it."""
    if kind is None or quantity is None:
        return "a kind and quantity that the record does not say"
    return f"{amount_in_words(quantity, UNIT_OF[kind])} ({kind})"
