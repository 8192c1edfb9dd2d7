"""
The truth: every purchase that took effect at a pretend provider, regardless of its answers.

Written by the provider modules, read by tests, demos and ``GET /_sandbox/books``. Rows are small, for hundreds of
thousands of them: the metadata is kept as sent and parsed only when it is read.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from impactflow.models import UNIT_OF, Kind, ProviderName, Unit
from impactflow.sandbox.messages import iso_millis


@dataclass(slots=True, eq=False)
class Purchase:
    """
    One purchase that took effect.

    Args:
        provider: The provider that sold it.
        kind: The kind of impact, in our words.
        quantity: The number of ``unit``; a fraction only where a buyer bought a fraction of a gram.
        ref: The provider's name for it.
        at: When it took effect.
        metadata: The metadata as sent, as JSON text; None where none was sent. Kept even where the provider drops it.
        customer_email: The customer on whose behalf it was bought.
        listed_at: The time from which the provider's own listing shows it.
        intents: The ids of an ImpactAPI session's donation intents.
        cancelled: Whether it was undone later.
    """

    provider: ProviderName
    kind: Kind
    quantity: float
    ref: str
    at: datetime
    metadata: str | None = field(repr=False)
    listed_at: datetime
    customer_email: str | None = field(default=None, repr=False)
    intents: tuple[str, ...] = ()
    cancelled: bool = False

    @property
    def unit(self) -> Unit:
        """The unit of ``quantity``."""
        return UNIT_OF[self.kind]

    @property
    def order_id(self) -> str | None:
        """The order that the metadata names."""
        return self._from_metadata("order_id")

    @property
    def impactflow_key(self) -> str | None:
        """The placement's key that the metadata names."""
        return self._from_metadata("impactflow_key")

    def _from_metadata(self, name: str) -> str | None:
        try:
            content = json.loads(self.metadata or "null")
        except ValueError:
            return None
        value = content.get(name) if isinstance(content, dict) else None
        return value if isinstance(value, str) else None

    def as_json(self) -> dict[str, Any]:
        """This purchase as ``GET /_sandbox/books`` shows it."""
        return {
            "provider": self.provider.value,
            "kind": self.kind.value,
            "quantity": self.quantity,
            "unit": self.unit.value,
            "order_id": self.order_id,
            "impactflow_key": self.impactflow_key,
            "customer_email": self.customer_email,
            "ref": self.ref,
            "intents": list(self.intents),
            "at": iso_millis(self.at),
            "cancelled": self.cancelled,
        }


class Books:
    """All purchases that took effect, in the order in which they did."""

    def __init__(self) -> None:
        self.purchases: list[Purchase] = []

    def record(self, purchase: Purchase) -> None:
        """Remember a purchase."""
        self.purchases.append(purchase)

    def as_json(self) -> dict[str, Any]:
        """Every purchase, and the totals."""
        rows = [purchase.as_json() for purchase in self.purchases]
        return {"purchases": rows, "summary": _summary(rows)}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """
    Sums of the purchases that stand (are not cancelled).

    ``bought_twice`` counts the impactflow keys with more than one purchase that stands.
    """
    standing = [row for row in rows if not row["cancelled"]]
    keys = Counter(row["impactflow_key"] for row in standing if row["impactflow_key"] is not None)
    return {
        "purchases": len(rows),
        "cancelled": len(rows) - len(standing),
        "bought_twice": sum(1 for count in keys.values() if count > 1),
        "providers": {
            provider.value: _totals(row for row in standing if row["provider"] == provider) for provider in ProviderName
        },
    }


def _totals(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    totals: dict[str, dict[str, Any]] = {}
    for row in rows:
        total = totals.setdefault(row["kind"], {"purchases": 0, "quantity": 0, "unit": row["unit"]})
        total["purchases"] += 1
        total["quantity"] += row["quantity"]
    return totals
