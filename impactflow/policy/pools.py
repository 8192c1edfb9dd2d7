"""Pools: one purchase, a lot, for the impacts of many orders."""

from typing import Literal, Self

from pydantic import model_validator

from impactflow.policy.fields import Number, Strict, wrong_at


class Buy(Strict):
    """When one purchase is made for many orders: exactly one of the two."""

    written = "{every: day}"

    every: Literal["day", "week", "month"] | None = None
    """
    One purchase for all orders of a day, a week or a month by the policy's ``time_zone``, once that is over; a week
    begins on Monday.
    """
    at_least: Number | None = None
    """One purchase as soon as the orders have earned this much, counted as the rule's quantity is."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.every is None) == (self.at_least is None):
            raise wrong_at(("every",), "write exactly one of every and at_least", self.every)
        return self
