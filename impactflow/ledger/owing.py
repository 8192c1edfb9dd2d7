"""
What an order is owed of what was bought for it, after refunds: one rule for its own purchase and for its shares.

An edit changes nothing once a purchase was sent, nor does an edit of the policy. A refund of a part counts by the
policy that first saw it: ``basis`` keeps the order's amount that it left.
"""

from dataclasses import dataclass
from typing import Any

from impactflow.ledger.pages import Page, Sale
from impactflow.models import Impact, parts_of


@dataclass(frozen=True, slots=True)
class Owed:
    """
    What is owed.

    Args:
        parts: In parts of a unit.
        basis: The order's amount after a refund of a part; None without one.
    """

    parts: int
    basis: str | None = None


def after_refunds(
    sale: Sale, page: Page, slot: str, bought: int, impact: Impact | None, known: Any | None
) -> Owed | None:
    """
    What a sale is owed by now; None where no refund, and no end of one, says anything about that.

    Args:
        sale: The sale as it was read last.
        page: Its page, for the policy.
        slot: The slot.
        bought: All that was bought for it, or is to be, in parts of a unit.
        impact: What the sale has earned in the slot by now; None for nothing, or for another kind of impact.
        known: The row of ``shares`` that says what it was owed before; None where it was owed all of it.
    """
    if sale.order.is_refunded:
        return Owed(0) if page.undoes(slot) else None
    if impact is None or impact.quantity is None:
        return None
    if not sale.order.is_refunded_in_part:
        return Owed(bought)
    basis = f"{sale.order.amount} {sale.order.currency}"
    if not page.reduces(slot) or (known is not None and known.basis == basis):
        return None
    return Owed(min(bought, parts_of(impact.exact)), basis)
