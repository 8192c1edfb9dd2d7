"""Caps: the most that a store buys in a day, a week or a month, by its own calendar; what is more waits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Literal, Self

from pydantic import model_validator

from impactflow.models import UNIT_OF, USD, Cap, Impact, Kind, ProviderName
from impactflow.policy.fields import Number, Slot, Strict, wrong_at
from impactflow.policy.periods import period
from impactflow.policy.rules import Rule
from impactflow.units import amount_in_words


class CapRule(Strict):
    """The most that is bought in a period: a quantity in one slot, or USD in a slot, at a provider or of the store."""

    per: Literal["day", "week", "month"]
    """The period, by the policy's ``time_zone``; a week begins on Monday."""
    quantity: Number | None = None
    """The most of one slot, counted as its rule's quantity is, and for donations in cents."""
    usd: Number | None = None
    """The most in USD, by the rules' ``price_usd``; a donation counts what it is."""
    slot: Slot | None = None
    """The slot that the cap covers."""
    provider: ProviderName | None = None
    """The provider that the cap covers; without this and without a slot, it covers everything."""

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.quantity is None) == (self.usd is None):
            raise wrong_at(("per",), "write exactly one of quantity and usd beside it", self.per)
        if self.quantity is not None and self.slot is None:
            raise wrong_at(("quantity",), "needs the slot whose quantity it limits", self.quantity)
        return self

    def covered(self, rules: Sequence[Rule]) -> Sequence[Rule]:
        """The rules that the cap covers."""
        return [rule for rule in rules if self.slot in {None, rule.slot} and self.provider in {None, rule.provider}]

    def is_less_than_one(self, rules: Sequence[Rule]) -> bool:
        """Whether it is less than one of the ledger's units of any rule, so that nothing could be bought."""
        return self._most(rules) < min(self._counts(rules).values())

    def at(self, now: datetime, time_zone: str, rules: Sequence[Rule]) -> Cap:
        """The cap in the period of a time."""
        since, until = period(self.per, now, time_zone)
        unit = USD if self.usd is not None else UNIT_OF[Kind(self.covered(rules)[0].impact)].value
        return Cap(
            slot=self.slot,
            provider=self.provider,
            counts=self._counts(rules),
            others=self._others(rules),
            most=self._most(rules),
            unit=unit,
            since=since,
            until=until,
            in_words=self.in_words(rules),
        )

    def fits(self, impact: Impact, rules: Sequence[Rule]) -> bool:
        """Whether the cap ever allows one purchase."""
        is_covered = self.slot in {None, impact.slot} and self.provider in {None, impact.provider}
        if impact.quantity is None or not is_covered:
            return True
        return self._counts(rules)[impact.slot, impact.kind.value] * impact.quantity <= self._most(rules)

    def most_of(self, rule: Rule) -> int | None:
        """The most of one rule's units that the cap ever allows in a period; None where it does not cover the rule."""
        if rule not in self.covered([rule]):
            return None
        return floor(self._most([rule]) / self._counts([rule])[rule.slot, rule.impact.value])

    def _counts(self, rules: Sequence[Rule]) -> Mapping[tuple[str, str], Fraction]:
        return {
            (rule.slot, rule.impact.value): count
            for rule in self.covered(rules)
            if (count := Fraction(1) if self.usd is None else rule.usd_of_one) is not None
        }

    def _others(self, rules: Sequence[Rule]) -> Mapping[tuple[str, str], Fraction]:
        """What one unit counts of what was bought in a slot that is gone: as in a slot of its kind, at its provider."""
        if self.usd is None:
            return {}
        return {
            (rule.provider.value, rule.impact.value): price
            for rule in self.covered(rules)
            if (price := rule.usd_of_one)
        }

    def _most(self, rules: Sequence[Rule]) -> Fraction:
        if self.usd is not None:
            return Fraction(self.usd)
        return Fraction(floor(Fraction(self.quantity or 0) * next(rule.scale for rule in self.covered(rules))))

    def in_words(self, rules: Sequence[Rule]) -> str:
        """The cap for a person: ``200 trees a day in slot trees``."""
        if self.usd is not None:
            amount = f"{self.usd:f} USD"
        else:
            rule = self.covered(rules)[0]
            amount = amount_in_words(Decimal(int(self._most(rules))), UNIT_OF[Kind(rule.impact)])
        where = f" in slot {self.slot}" if self.slot else f" at {self.provider}" if self.provider else ""
        return f"{amount} a {self.per}{where}"
