"""
Freshness: an order is bought for only if it was read lately, and planned under the policy of the run.

Weeks may lie between plan and purchase: a refused bill, an edited policy, a refund outside the days that are read.
``planning`` keeps when each order was read and under which policy; ``moves`` claims, and ``queries`` counts, by these
values.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, Text, bindparam, func, literal_column, or_, select

from impactflow.ledger.tables import Utc, order_names, orders, placements
from impactflow.names import LISTED

#: The time for which a reading of an order counts: longer than a run that buys for a hundred thousand orders takes,
#: shorter than the night after which a person checks whether yesterday's failure is mended.
FRESH = timedelta(hours=6)
#: The least age of a reading before a further one is written down, so that unchanged orders stay nearly free; an order
#: that a complete reading does not list was last read longer ago than this.
REREAD = timedelta(minutes=5)

#: The greatest age of a webhook's report when an order that only webhooks report is bought, because a hold is over or
#: a person has mended the policy: what changes such an order is announced as well.
RELEASED = timedelta(days=60)

#: The digest of an order that is not listed: no order that is read has this digest, so a reading plans it anew.
UNLISTED = "not listed"


@dataclass(frozen=True, slots=True)
class Fresh:
    """
    The conditions for sending.

    Args:
        policy: The digest of the policy that orders must have been planned under.
        since: The time since when they must have been read.
    """

    policy: str
    since: datetime

    @classmethod
    def at(cls, policy: str, now: datetime) -> Self:
        """Return the conditions at this time."""
        return cls(policy, now - FRESH)

    @property
    def values(self) -> dict[str, object]:
        """The parameters of ``IS_FRESH`` and ``IS_OFF_HOLD``."""
        now = self.since + FRESH
        return {"policy": self.policy, "fresh_since": self.since, "fresh_now": now, "told_since": now - RELEASED}


#: The first row of a sale; only this row keeps the time when the sale was read.
FIRST = orders.alias("first")
#: Placements, each with its order and with the first row of its sale.
WITH_FIRST: Any = placements.join(orders, placements.c.order == orders.c.id).join(
    FIRST, FIRST.c.id == func.coalesce(orders.c.same_as, orders.c.id)
)
_NAMED = orders.alias("named")
#: Whether Wicked Reports has listed a sale at some time. The pattern stands in the statement: with a pattern as its
#: parameter, SQLite compiles a statement anew each time, which took as long as the claim itself.
WAS_LISTED = (
    select(order_names.c.name)
    .join(_NAMED, order_names.c.order == _NAMED.c.id)
    .where(
        or_(_NAMED.c.id == FIRST.c.id, _NAMED.c.same_as == FIRST.c.id),
        order_names.c.name.like(literal_column(f"'{LISTED}'")),
    )
    .exists()
)
#: Whether a placement is as its order is under the policy, and its order was read lately, and after its hold. An order
#: that no source lists is not read again after a hold: what changes it is reported.
IS_FRESH: ColumnElement[bool] = (
    (FIRST.c.policy == bindparam("policy", type_=Text()))
    & placements.c.outdated.is_not(True)
    & or_(
        (FIRST.c.read_at >= bindparam("fresh_since", type_=Utc()))
        & (placements.c.buy_from.is_(None) | (FIRST.c.read_at >= placements.c.buy_from)),
        placements.c.buy_from.is_not(None)
        & (FIRST.c.read_at >= bindparam("told_since", type_=Utc()))
        & FIRST.c.listed.is_(None)
        & FIRST.c.lot.is_(None)
        & ~WAS_LISTED,
    )
)
#: Whether a placement may be bought by now, as far as its hold is concerned.
IS_OFF_HOLD: ColumnElement[bool] = or_(
    placements.c.buy_from.is_(None), placements.c.buy_from <= bindparam("fresh_now", type_=Utc())
)
