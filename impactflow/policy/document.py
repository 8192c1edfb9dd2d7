"""The whole policy: which orders count, exchange rates, and the rules; and what one order earns under it."""

import hashlib
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from impactflow.models import Cap, Earnings, Impact, Order, Pool, Unearned
from impactflow.policy.caps import CapRule
from impactflow.policy.fields import (
    Currency,
    Day,
    HoldDays,
    Limit,
    NotEmpty,
    Number,
    Slot,
    Store,
    Strict,
    Text,
    Written,
    wrong_at,
)
from impactflow.policy.periods import TimeZone, period
from impactflow.policy.pools import Buy
from impactflow.policy.priced_order import PricedOrder
from impactflow.policy.quantities import PerAmount
from impactflow.policy.rules import AnyRule, Offset, Refunds, Rule

#: The age in days beyond which exchange rates are worth renewing.
RENEW_AFTER_DAYS = 30
#: The most USD that one unit of a currency is worth; a higher rate is most likely of the other direction.
_DEAREST_USD = 5
#: The form of a payment's status that a reason repeats: a few words at most, since a status may hold any text.
_WORDS = re.compile(r"[A-Z][A-Z _-]{0,39}")


_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def _dollar_is_one(rates: Mapping[str, Any]) -> Mapping[str, Any]:
    if rates.get("USD", 1) != 1:
        raise wrong_at(("USD",), "must be 1, or left out: rates are in USD", rates["USD"])
    return rates


def _slots_once(rules: tuple[AnyRule, ...]) -> tuple[AnyRule, ...]:
    """Check that no two rules share a slot: one slot buys once per order, so a second rule would never buy."""
    for index, rule in enumerate(rules):
        if rule.slot in {earlier.slot for earlier in rules[:index]}:
            raise wrong_at((index, "slot"), f"{rule.slot} is taken: each rule needs a slot of its own", rule.slot)
    return rules


class Fx(Strict):
    """Exchange rates to USD."""

    written = "{as_of: 2026-01-31, usd_per: {EUR: 1.16}}"

    as_of: Day
    """The day since which the rates hold."""
    usd_per: Annotated[
        dict[Currency, Number],
        Written("{EUR: 1.16}"),
        AfterValidator(_dollar_is_one),
        Field(json_schema_extra={"properties": {"USD": {"const": 1}}, "additionalProperties": False}),
    ]
    """USD for one unit of each currency; USD itself is 1."""
    above_5_usd: Annotated[tuple[Currency, ...], Field(exclude=True)] = ()
    """Currencies of which one unit is really worth more than 5 USD; in others such a rate is taken for its inverse."""

    def wrong(self, today: date) -> list[str]:
        """Return sentences for a person about rates by which nothing should be bought."""
        ahead = [remark] if self.is_ahead(today) and (remark := self.remark(today)) else []
        return ahead + [
            f"fx.usd_per.{currency} says that one {currency} is worth {rate} USD, which looks like its inverse: write"
            f" {Decimal(1) / rate:.4g}, or fx.above_5_usd: [{currency}] if it is so"
            for currency, rate in self.usd_per.items()
            if rate > _DEAREST_USD and currency not in self.above_5_usd
        ]

    def is_ahead(self, today: date) -> bool:
        """Whether ``as_of`` is still to come; a day ahead of UTC is today somewhere."""
        return (self.as_of - today).days > 1

    def remark(self, today: date) -> str | None:
        """Return a sentence for a person where ``as_of`` is old or still to come; None where all is well."""
        if self.is_ahead(today):
            return f"fx.as_of is {self.as_of}, which is still to come: write the day on which the rates were looked up"
        days = (today - self.as_of).days
        if days <= RENEW_AFTER_DAYS:
            return None
        return (
            f"the exchange rates are {days} days old (fx.as_of is {self.as_of}): `impactflow rates --ecb FILE` renews"
            " them"
        )


class Policy(Strict):
    """The rules of one store: what each order earns. Two rules cannot share a slot."""

    model_config = ConfigDict(title="impactflow policy")

    store: Store
    """The store's name: a part of every idempotency key, so it must not change."""
    live: bool | None = None
    """
    Real purchases or none: with `true` a run refuses hosts for tests (`sandbox.`, `testing.`, this machine), with
    `false` all others. Unless set, it takes any.
    """
    eligible_payments: Annotated[tuple[Literal["APPROVED", "MANUAL", "Partially Refunded"], ...], NotEmpty()] = (
        "APPROVED",
        "MANUAL",
    )
    """An order counts when one of its payments has one of these statuses and none is REFUNDED."""
    not_before: Day | None = None
    """Orders of earlier days, UTC, earn nothing."""
    at_most_days_old: Limit = Decimal(60)
    """An order that a webhook reports longer than this after its sale earns nothing: shops import old orders."""
    hold_days: HoldDays = 0
    """
    Nothing is bought for an order until this many days after its sale, and only if the order still counts then. A rule
    may say its own.
    """
    distinct_sources: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """
    Systems whose orders are always sales of their own. Where two orders of other systems have one customer, amount and
    day and came in two ways, a person is asked about the second.
    """
    fx: Fx | None = None
    """Exchange rates; without them only USD is known."""
    time_zone: TimeZone = "UTC"
    """The time zone whose days, weeks and months caps and purchases for many orders go by."""
    caps: tuple[CapRule, ...] = ()
    """The most that is bought in a period; what is more waits, and is bought in the next period, the oldest first."""
    refunds: Annotated[Refunds, Field(exclude=True)] = Refunds()
    """
    The effect of a refund on what was bought for its order, or for it and others at once. A rule may say its own.
    """
    new_slots: Annotated[tuple[Slot, ...], Field(exclude=True)] = ()
    """Slots that are really new; any other may be a slot that is gone from the policy under a new name."""
    rules: Annotated[tuple[AnyRule, ...], NotEmpty(), AfterValidator(_slots_once)]
    """The rules: what is bought for each order that counts."""

    @model_validator(mode="after")
    def _counts_after_refunds(self) -> Self:
        """A refund of a part can only reduce what is owed if an order still counts after it."""
        if "Partially Refunded" in self.eligible_payments:
            return self
        named = [("refunds", self.refunds), *((f"rules.{rule.slot}.refunds", rule.refunds) for rule in self.rules)]
        for name, refunds in named:
            if refunds is not None and refunds.partial == "pro_rata":
                message = f"must include Partially Refunded for {name}.partial: pro_rata, or such orders earn nothing"
                raise wrong_at(("eligible_payments",), message, list(self.eligible_payments))
        return self

    @model_validator(mode="after")
    def _caps_cover_rules(self) -> Self:
        for number, cap in enumerate(self.caps):
            covered = cap.covered(self.rules)
            if not covered:
                raise wrong_at(("caps", number), "covers no rule: no rule has that slot at that provider", cap.per)
            unpriced = [rule.slot for rule in covered if rule.usd_of_one is None]
            if cap.usd is not None and unpriced:
                message = f"needs the price_usd of each rule that it covers: {', '.join(unpriced)}"
                raise wrong_at(("caps", number, "usd"), message, cap.usd)
            if cap.is_less_than_one(self.rules):
                measure = "usd" if cap.quantity is None else "quantity"
                raise wrong_at(("caps", number, measure), "is less than one can buy", cap.usd or cap.quantity)
        for number, rule in enumerate(self.rules):
            if not rule.is_pooled:
                continue
            pool = self._pool(rule, _ANY_TIME)
            if pool.least > pool.most:
                message = f"its purchases are at least {pool.least}, and a cap or the seller allows {pool.most} at most"
                raise wrong_at(("rules", number, "buy"), message, rule.slot)
        return self

    def caps_at(self, now: datetime) -> Sequence[Cap]:
        """The caps in their periods of a time."""
        return [cap.at(now, self.time_zone, self.rules) for cap in self.caps]

    @cached_property
    def is_pooled(self) -> bool:
        """Whether a rule makes one purchase for many orders."""
        return any(rule.is_pooled for rule in self.rules)

    def pools_at(self, now: datetime, unbalanced: Container[str] = ()) -> Sequence[Pool]:
        """
        The slots in which one purchase is made for many orders, as they stand at a time.

        Args:
            now: The time.
            unbalanced: More slots to include: what is left to buy there once their credit is used.
        """
        pools = [self._pool(rule, now) for rule in self.rules if rule.is_pooled]
        singles = (rule for rule in self.rules if not rule.is_pooled and rule.slot in unbalanced)
        return pools + [self._pool(rule, now) for rule in singles]

    def _pool(self, rule: Rule, now: datetime) -> Pool:
        caps = [most for cap in self.caps if (most := cap.most_of(rule)) is not None]
        every, at_least = (rule.buy.every, rule.buy.at_least) if isinstance(rule.buy, Buy) else (None, None)
        return Pool(
            slot=rule.slot,
            kind=rule.impact,
            least=rule.least if at_least is None else max(rule.least, ceil(Fraction(at_least) * rule.scale)),
            most=min([rule.most, *caps]),
            since=None if every is None else period(every, now, self.time_zone)[0],
            lot=rule.lot,
            is_for_one=not rule.is_pooled,
            takes_credit=rule.takes_credit,
        )

    @cached_property
    def digest(self) -> str:
        """Changes whenever the meaning of the policy changes."""
        meaning = self.model_dump_json(exclude={"live"} if self.caps else {"live", "caps", "time_zone"})
        if any(cap.usd is not None for cap in self.caps):
            meaning += f" at {[(rule.slot, rule.price_usd) for rule in self.rules]}"
        limits = {
            rule.slot: rule.quote.at_most_usd_per_t for rule in self.rules if isinstance(rule, Offset) and rule.quote
        }
        if limits:
            meaning += f" quoted at most {sorted(limits.items())}"
        if pooled := sorted((rule.slot, self.undoes(rule.slot)) for rule in self.rules if rule.is_pooled):
            meaning += f" for many orders, and undone: {pooled}"
        if undone := sorted(rule.slot for rule in self.rules if not rule.is_pooled and self.undoes(rule.slot)):
            meaning += f" undone: {undone}"
        if reduced := sorted(rule.slot for rule in self.rules if self.reduces(rule.slot)):
            meaning += f" less after a refund of a part: {reduced}"
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]

    def earnings(self, order: Order) -> Earnings:
        """
        Return the impacts that an order has earned and those that it has not, with reasons.

        The same order always earns the same. Never raises: a fault that a person must mend returns as a held impact.
        """
        if reason := self._why_not_counted(order):
            return Earnings(eligible=False, impacts=(), unearned=(Unearned(None, reason),))
        sale = PricedOrder(order, self.usd_per)
        outcomes = [rule.earn(sale, self.hold_days) for rule in self.rules]
        if self.caps:
            outcomes = [self._within_caps(each) if isinstance(each, Impact) else each for each in outcomes]
        return Earnings(
            eligible=True,
            impacts=tuple(outcome for outcome in outcomes if isinstance(outcome, Impact)),
            unearned=tuple(outcome for outcome in outcomes if isinstance(outcome, Unearned)),
        )

    def _within_caps(self, impact: Impact) -> Impact:
        """An impact that a cap can never allow is held: a person must mend the policy, or it would wait for ever."""
        for cap in self.caps:
            if not cap.fits(impact, self.rules):
                held = f"it is more than the cap of {cap.in_words(self.rules)} ever allows"
                return replace(impact, quantity=None, held=held)
        return impact

    @cached_property
    def usd_per(self) -> Mapping[str, Fraction]:
        """The USD for one unit of each currency that has a rate, USD included; exact."""
        rates = self.fx.usd_per if self.fx else {}
        return {"USD": Fraction(1)} | {currency: Fraction(rate) for currency, rate in rates.items()}

    @cached_property
    def currencies(self) -> frozenset[str]:
        """Every currency that the policy names: in its rates, in a rule's conditions or in a rule's quantity."""
        named = set(self.fx.usd_per) if self.fx else set()
        for rule in self.rules:
            for currencies in (rule.when.currencies, rule.when.min_amount, rule.when.max_amount):
                named.update(currencies or ())
            if isinstance(rule.quantity, PerAmount):
                named.add(rule.quantity.per_amount.currency)
        return frozenset(named)

    def wants(self, sources: frozenset[str]) -> bool:
        """Whether a rule may take orders that these systems sold."""
        return any(rule.when.may_hold_for(sources) for rule in self.rules)

    @property
    def asks_for_first(self) -> bool:
        """Whether a rule asks if an order is its customer's first."""
        return bool(self.slots_for_first)

    @cached_property
    def slots_for_first(self) -> frozenset[str]:
        """The slots of the rules that ask if an order is its customer's first."""
        return frozenset(rule.slot for rule in self.rules if rule.when.first_order is not None)

    def undoes(self, slot: str) -> bool:
        """Whether a full refund undoes what was bought in a slot, which may be gone from the policy."""
        own = next((rule.refunds for rule in self.rules if rule.slot == slot), None)
        return (own or self.refunds).full == "undo"

    def reduces(self, slot: str) -> bool:
        """Whether a refund of a part of an order reduces what it is owed in a slot."""
        rule = next((rule for rule in self.rules if rule.slot == slot), None)
        return rule is not None and rule.counts_money and (rule.refunds or self.refunds).partial == "pro_rata"

    @cached_property
    def slots(self) -> frozenset[str]:
        """The slots of all rules."""
        return frozenset(rule.slot for rule in self.rules)

    def wrong_rates(self, today: date) -> list[str]:
        """Return sentences for a person about exchange rates by which nothing should be bought."""
        return self.fx.wrong(today) if self.fx else []

    def remark_on_rates(self, today: date) -> str | None:
        """Return a sentence for a person where the exchange rates are old; None where they are not, or are missing."""
        return self.fx.remark(today) if self.fx else None

    def _why_not_counted(self, order: Order) -> str | None:
        if not order.payments:
            return "the order lists no payments"
        seen = [payment.status.strip().upper() for payment in order.payments]
        if order.is_refunded:
            return "a payment is REFUNDED"
        if order.item_count is not None and order.item_count.is_zero() and not order.amount:
            return "nothing of the order is left"
        if self._eligible.isdisjoint(seen):
            shown = sorted({status if _WORDS.fullmatch(status) else "another status" for status in seen})
            return f"no payment is {' or '.join(self.eligible_payments)} (seen: {', '.join(shown)})"
        return self._why_too_old(order)

    def _why_too_old(self, order: Order) -> str | None:
        day = order.ordered_at.astimezone(UTC).date()
        if self.not_before is not None and day < self.not_before:
            return f"sold before {self.not_before}, the policy's not_before"
        most = self.at_most_days_old
        if order.announced_at is None or isinstance(most, str) or (order.announced_at - order.ordered_at).days <= most:
            return None
        return f"sold more than {most:f} days (at_most_days_old) before a webhook reported it"

    @cached_property
    def _eligible(self) -> frozenset[str]:
        return frozenset(status.upper() for status in self.eligible_payments)


def policy_schema() -> dict[str, Any]:
    """
    Return the JSON Schema of the policy file, for editors and for ``impactflow policy schema``.

    The schema accepts exactly the files that load, except for two rules that JSON Schema cannot express: slots differ,
    and no largest amount is below the smallest.
    """
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}
