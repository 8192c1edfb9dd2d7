"""
Freshness: an order is bought for only if it was read lately, and planned under the policy that the run works with.

Weeks may lie between plan and purchase: a refused bill, an edited policy, a refund outside the days that are read.
``planning`` keeps when each order was read and under which policy; ``moves`` claims, and ``queries`` counts, by that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, Text, bindparam, func, or_, select

from impactflow.ledger.tables import Utc, order_names, orders, placements

#: How long what an order said counts: longer than a run that buys for a hundred thousand orders takes, shorter than the
#: night after which somebody looks whether yesterday's failure is mended.
FRESH = timedelta(hours=6)
#: How old a reading is at least before a further one is written down, so that unchanged orders stay nearly free; an
#: order that a complete reading does not list was last read longer ago than this.
REREAD = timedelta(minutes=5)

#: The digest of an order that is not listed: none that is read has the like, so it is planned anew if it is.
UNLISTED = "not listed"


@dataclass(frozen=True, slots=True)
class Fresh:
    """
    What may be sent.

    Args:
        policy: Digest of the policy that orders must have been planned under.
        since: Since when they must have been read.
    """

    policy: str
    since: datetime

    @classmethod
    def at(cls, policy: str, now: datetime) -> Self:
        """What may be sent at this time."""
        return cls(policy, now - FRESH)

    @property
    def values(self) -> dict[str, object]:
        """The parameters of ``IS_FRESH``."""
        return {"policy": self.policy, "fresh_since": self.since}


#: The row of a sale that was here first, which alone keeps when the sale was read.
FIRST = orders.alias("first")
#: Placements, each with its order and with the first row of its sale.
WITH_FIRST: Any = placements.join(orders, placements.c.order == orders.c.id).join(
    FIRST, FIRST.c.id == func.coalesce(orders.c.same_as, orders.c.id)
)
IS_FRESH: ColumnElement[bool] = (FIRST.c.policy == bindparam("policy", type_=Text())) & (
    FIRST.c.read_at >= bindparam("fresh_since", type_=Utc())
)
_NAMED = orders.alias("named")
#: Whether Wicked Reports has listed a sale at some time.
WAS_LISTED = (
    select(order_names.c.name)
    .join(_NAMED, order_names.c.order == _NAMED.c.id)
    .where(or_(_NAMED.c.id == FIRST.c.id, _NAMED.c.same_as == FIRST.c.id), order_names.c.name.like("wr:%"))
    .exists()
)
