"""
A made-up merchant's month: what the shop sold and gave back, and the policy that it wrote.

September 2026, 30 days; everything follows from the numbers below, so that each month that is played is the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

from impactflow.policy import Policy
from impactflow.policy.reading import parse_policy

#: The first day, and the number of days.
BEGINS = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = 30
#: The day of the month on which the seller of trees raises its price, and the prices before and after, in USD.
PRICE_CHANGES, TREE_PRICES = 16, ("0.80", "0.95")
#: The time of the daily run.
_RUNS_AT = time(6)
#: Orders on a common day, and on the three days of a sale.
_A_DAY, _ON_SALE, _SALE_DAYS = (7, 13), (28, 36), range(6, 9)
#: The shares of orders that are given back whole, and in part.
_WHOLE, _IN_PART = 0.04, 0.01
_PRODUCTS = (("Juniper candle", 24), ("Linen apron", 42), ("Stoneware bowl", 18), ("Wool blanket", 119))

_POLICY = """\
store: juniper
live: false
hold_days: 3
eligible_payments: [APPROVED, Partially Refunded]
refunds: {full: undo, partial: pro_rata}
caps:
- {per: week, slot: offset, quantity: 400}
rules:
- slot: trees                  # a tree for every 30 USD; one purchase a day, and fractions are carried over
  provider: oneclickimpact
  impact: plant_trees
  quantity: {per_amount: {quantity: 1, per: 30}}
  rounding: carry
  buy: {every: day}
  price_usd: TREE_PRICE
- slot: offset                 # 2.5 kg of CO2 for every item, at most 400 kg a week
  provider: cnaught
  impact: offset
  quantity: {per_item: 2.5}
  price_usd: 0.03
- slot: giving                 # one percent of every order
  provider: impactapi
  impact: donate
  campaign: trees-for-the-future
  quantity: {percent_of_order: 1}
"""


@dataclass(frozen=True)
class Sale:
    """
    An order of the shop.

    Args:
        number: Its number, from 1.
        at: The time of the sale.
        lines: Each product's number in the catalogue, with how many.
        refund: Nothing, ``whole`` or ``part``, which is a half.
        refunded_at: The time of the refund; None for none.
    """

    number: int
    at: datetime
    lines: Sequence[tuple[int, int]]
    refund: str = ""
    refunded_at: datetime | None = None

    @property
    def price(self) -> int:
        """The price in USD."""
        return sum(_PRODUCTS[product][1] * count for product, count in self.lines)

    def row(self, now: datetime) -> dict[str, Any]:
        """The order as Wicked Reports lists it at a time."""
        is_refunded = self.refunded_at is not None and self.refunded_at <= now
        status = {"whole": "REFUNDED", "part": "Partially Refunded"}[self.refund] if is_refunded else "APPROVED"
        return {
            "id": f"WR-{self.number}",
            "sourceId": f"{1000 + self.number}",
            "sourceSystem": "shopify",
            "date": self.at.isoformat().replace("+00:00", "Z"),
            "contact": {"id": f"C{self.number}", "email": f"customer{self.number}@example.com"},
            "products": [
                {"id": f"P{product}", "name": _PRODUCTS[product][0], "qty": count, "PPU": _PRODUCTS[product][1]}
                for product, count in self.lines
            ],
            "payments": [{"date": self.at.isoformat(), "status": status, "amount": self.price}],
            "amount": self.price / 2 if is_refunded and self.refund == "part" else self.price,
            "currency": "USD",
        }


def sales() -> list[Sale]:
    """All orders of the month, in the order of their sale."""
    chance, made = Random(9), list[Sale]()
    for day in range(DAYS):
        count = chance.randint(*(_ON_SALE if day + 1 in _SALE_DAYS else _A_DAY))
        times = sorted(chance.uniform(0, 24) for _ in range(count))
        for hours in times:
            at = (BEGINS + timedelta(days=day, hours=hours)).replace(microsecond=0)
            lines = [(chance.randrange(len(_PRODUCTS)), chance.choice([1, 1, 2])) for _ in range(chance.choice([1, 2]))]
            what = chance.random()
            refund = "whole" if what < _WHOLE else "part" if what < _WHOLE + _IN_PART else ""
            refunded_at = at + timedelta(days=chance.uniform(0.5, 14)) if refund else None
            made.append(Sale(len(made) + 1, at, lines, refund, refunded_at))
    return made


def runs_at() -> list[datetime]:
    """The times of the daily runs: each looks back at the day before, and the last four see the end of every hold."""
    return [datetime.combine(BEGINS + timedelta(days=day), _RUNS_AT, UTC) for day in range(1, DAYS + 5)]


def policy_text(now: datetime) -> str:
    """The policy's file at a time."""
    return _POLICY.replace("TREE_PRICE", tree_price(now))


def policy_of(now: datetime) -> Policy:
    """The policy at a time."""
    return parse_policy(policy_text(now), Path("policy.yaml"))


def tree_price(now: datetime) -> str:
    """The price of a tree at a time, in USD."""
    return TREE_PRICES[now >= BEGINS + timedelta(days=PRICE_CHANGES - 1)]
