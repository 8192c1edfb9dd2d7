"""Quantities as people read them: kilograms, dollars, trees; the ledger counts the smallest thing to be bought."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from impactflow.models import Unit

#: How a person reads each unit of the ledger: its name, and how many of the ledger's make one.
SHOWN: Mapping[Unit, tuple[str, int]] = MappingProxyType(
    {
        Unit.TREE: ("trees", 1),
        Unit.LB: ("lb", 1),
        Unit.CORAL_FRAGMENT: ("coral fragments", 1),
        Unit.GRAM: ("kg CO2", 1000),
        Unit.USD_CENT: ("USD", 100),
    }
)


def shown(quantity: int, unit: Unit) -> tuple[Decimal, str]:
    """A quantity as a person reads it, exactly, with the unit's name."""
    name, size = SHOWN[unit]
    return Decimal(quantity) / size, name
