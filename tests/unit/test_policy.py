"""The policy: what the example file means, what each rule earns, what is refused and with which words."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError
from ruamel.yaml import YAML

from impactflow.errors import ConfigurationError
from impactflow.models import Earnings, Impact, Kind, Order, Payment, ProviderName, Unearned
from impactflow.policy import Policy, load_policy, policy_schema
from impactflow.policy.quantities import Rounding, rounded

EXAMPLE = Path(__file__).parents[2] / "policy.yaml"
HERE = timezone(timedelta(hours=9))
SALE = Order(
    id="WR-1",
    names=("wr:WR-1",),
    ordered_at=datetime(2025, 3, 1, 12, tzinfo=UTC),
    amount=Decimal("79.90"),
    currency="EUR",
    item_count=Decimal(3),
    payments=(Payment("APPROVED"),),
    customer_email="ada@example.com",
)
TREES: dict[str, Any] = {"provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_order": 1}}
OFFSET: dict[str, Any] = {"provider": "cnaught", "impact": "offset", "quantity": {"per_order": 1}}
GIVING: dict[str, Any] = {
    "provider": "impactapi",
    "impact": "donate",
    "campaign": "forest",
    "quantity": {"percent_of_order": 1},
}


def policy(*rules: dict[str, Any], **fields_: Any) -> Policy:
    """A policy of these rules; each without a slot gets one."""
    slotted = [{"slot": f"slot-{number}", **rule} for number, rule in enumerate(rules)]
    rates = {"as_of": "2025-01-01", "usd_per": {"EUR": Decimal("1.08"), "GBP": Decimal("1.27")}}
    return Policy.model_validate({"store": "acme", "fx": rates, "rules": slotted} | fields_)


def outcome(rule: dict[str, Any], order: Order = SALE) -> Impact | Unearned:
    """What one rule makes of an order that counts."""
    earnings = policy(rule).earnings(order)
    outcomes: list[Impact | Unearned] = [*earnings.impacts, *earnings.unearned]
    (only,) = outcomes
    return only


def bought(rule: dict[str, Any], order: Order = SALE) -> int | None:
    """How many of the ledger's unit are earned."""
    earned = outcome(rule, order)
    assert isinstance(earned, Impact), earned
    return earned.quantity


def why_not(rule: dict[str, Any], order: Order = SALE) -> str:
    """Why nothing is earned."""
    nothing = outcome(rule, order)
    assert isinstance(nothing, Unearned), nothing
    return nothing.reason


def held(rule: dict[str, Any], order: Order = SALE) -> str:
    """Why an impact is held; such an impact has no quantity that could be bought."""
    waiting = outcome(rule, order)
    assert isinstance(waiting, Impact), waiting
    assert waiting.quantity is None
    assert waiting.held is not None
    return waiting.held


def load_text(tmp_path: Path, text: str | bytes) -> Policy:
    """The policy in a file of this text."""
    path = tmp_path / "policy.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_policy(path)


class TestTheExample:
    def test_an_order_in_euros_earns_all_three(self) -> None:
        """79.90 EUR are 86.292 USD: one percent is 86 cents; three items are 7.5 kg."""
        earned = {impact.slot: impact.quantity for impact in load_policy(EXAMPLE).earnings(SALE).impacts}
        assert earned == {"trees": 1, "offset": 7_500, "giving": 86}

    def test_impacts_say_who_sells_what_to_whom(self) -> None:
        """Options are only those that are set; only 1ClickImpact is told the customer."""
        trees, offset, giving = load_policy(EXAMPLE).earnings(SALE).impacts
        example = partial(Impact, is_default_limit=True)
        plain, ceilings = ProviderName.ONECLICKIMPACT, {"approval_limit": 500, "day_limit": 50_000}
        assert example("trees", plain, Kind.PLANT_TREES, 1, on_behalf_of_customer=True, **ceilings) == trees
        ceilings = {"approval_limit": 5_000_000, "day_limit": 500_000_000}
        assert example("offset", ProviderName.CNAUGHT, Kind.OFFSET, 7_500, **ceilings) == offset
        ceilings = {"approval_limit": 50_000, "day_limit": 5_000_000}
        campaign = {"campaign": "trees-for-the-future"}
        assert example("giving", ProviderName.IMPACTAPI, Kind.DONATE, 86, options=campaign, **ceilings) == giving

    def test_an_order_below_20_usd_offsets_nothing(self) -> None:
        """18.51 EUR are 19.99 USD; 18.52 EUR are 20.00."""
        example = load_policy(EXAMPLE)
        below, above = (replace(SALE, amount=Decimal(amount)) for amount in ("18.51", "18.52"))
        assert (Unearned("offset", "the order is worth less than 20 USD"),) == example.earnings(below).unearned
        assert example.earnings(above).unearned == ()

    def test_canadian_dollars_give_nothing_but_offset_at_their_rate(self) -> None:
        """28.58 CAD are 20.006 USD."""
        earnings = load_policy(EXAMPLE).earnings(replace(SALE, amount=Decimal("28.58"), currency="CAD"))
        assert [impact.slot for impact in earnings.impacts] == ["trees", "offset"]
        assert (Unearned("giving", "CAD is not one of USD, EUR, GBP"),) == earnings.unearned

    def test_half_a_cent_is_a_cent_and_less_is_nothing(self) -> None:
        """One percent of 50 cents is half a cent."""
        half, less = (replace(SALE, amount=Decimal(amount), currency="USD") for amount in ("0.50", "0.49"))
        example = load_policy(EXAMPLE)
        assert [impact.quantity for impact in example.earnings(half).impacts if impact.slot == "giving"] == [1]
        reason = "it comes to less than the minimum of 1 usd_cent"
        assert Unearned("giving", reason) in example.earnings(less).unearned

    def test_a_currency_without_a_rate_holds_what_needs_one(self) -> None:
        """A tree per order needs no rate; the offset's 20 USD do."""
        earnings = load_policy(EXAMPLE).earnings(replace(SALE, currency="SEK"))
        reason = "no rate for SEK: add it to fx.usd_per in the policy"
        assert [("trees", None), ("offset", reason)] == [(impact.slot, impact.held) for impact in earnings.impacts]

    def test_rates_are_the_digits_in_the_file(self) -> None:
        """1.08 is 108/100, not the float next to it."""
        fx = load_policy(EXAMPLE).fx
        assert fx is not None
        assert date(2025, 1, 1) == fx.as_of
        assert {currency: str(rate) for currency, rate in fx.usd_per.items()} == {
            "EUR": "1.08",
            "GBP": "1.27",
            "CAD": "0.70",
            "AUD": "0.64",
        }


class TestWhichOrdersCount:
    @pytest.mark.parametrize(
        ("statuses", "reason"),
        [
            (["APPROVED"], None),
            (["FAILED", "MANUAL"], None),
            (["APPROVED", "Partially Refunded"], None),
            (["APPROVED", "REFUNDED"], "a payment is REFUNDED"),
            (["APPROVED", "refunded "], "a payment is REFUNDED"),
            (["FAILED"], "no payment is APPROVED or MANUAL (seen: FAILED)"),
            (["Partially Refunded", "FAILED"], "no payment is APPROVED or MANUAL (seen: FAILED, PARTIALLY REFUNDED)"),
            (["on-hold"], "no payment is APPROVED or MANUAL (seen: ON-HOLD)"),
            (["ada@example.com"], "no payment is APPROVED or MANUAL (seen: another status)"),
            ([], "the order lists no payments"),
        ],
    )
    def test_one_payment_makes_an_order_count_and_one_refund_unmakes_it(
        self, statuses: list[str], reason: str | None
    ) -> None:
        """The reason is kept, without words that could be anyone's."""
        order = replace(SALE, payments=tuple(Payment(status) for status in statuses))
        earnings = policy(TREES).earnings(order)
        assert (reason is None) == earnings.eligible
        assert (() if reason is None else (Unearned(None, reason),)) == earnings.unearned

    @pytest.mark.parametrize(("day", "counts"), [("2019-12-31", False), ("2020-01-01", True)])
    def test_c17_orders_of_before_a_day_earn_nothing(self, day: str, counts: bool) -> None:
        """UTC, however the order is told."""
        order = replace(SALE, ordered_at=datetime.fromisoformat(f"{day}T23:30:00+00:00").astimezone(HERE))
        earnings = policy(TREES, not_before="2020-01-01").earnings(order)
        unearned = () if counts else (Unearned(None, "sold before 2020-01-01, the policy's not_before"),)
        assert (counts, unearned) == (earnings.eligible, earnings.unearned)

    @pytest.mark.parametrize(
        ("fields", "days", "counts"),
        [
            ({}, 60, True),
            ({}, 61, False),
            ({"at_most_days_old": 3000}, 2600, True),
            ({"at_most_days_old": "unlimited"}, 10_000, True),
            ({"at_most_days_old": 0}, 0, True),
            ({"at_most_days_old": 0}, 1, False),
        ],
    )
    def test_c17_what_a_webhook_tells_long_after_earns_nothing(
        self,
        fields: dict[str, object],
        days: int,
        counts: bool,
    ) -> None:
        """Old orders are imported into a shop; what is read from Wicked Reports has days of its own."""
        announced_at = SALE.ordered_at + timedelta(days=days, hours=1)
        assert counts == policy(TREES, **fields).earnings(replace(SALE, announced_at=announced_at)).eligible
        assert policy(TREES, **fields).earnings(SALE).eligible

    def test_other_statuses_can_be_made_to_count(self) -> None:
        """A merchant may count what was refunded in part."""
        order = replace(SALE, payments=(Payment("PARTIALLY REFUNDED"),))
        assert policy(TREES, eligible_payments=["Partially Refunded"]).earnings(order).eligible


class TestHowMuch:
    @pytest.mark.parametrize(
        ("rule", "quantity"),
        [
            (TREES | {"quantity": {"per_order": 2}}, 2),
            (TREES | {"quantity": {"per_item": Decimal("0.5")}}, 2),  # 1.5 trees
            (TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 10}}}, 9),  # 86.292 USD
            (TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 10, "currency": "EUR"}}}, 8),  # 7.99
            (TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 3, "currency": "GBP"}}}, 23),  # 67.946.. GBP
            (GIVING | {"quantity": {"per_order": 25}}, 25),
            (GIVING | {"quantity": {"percent_of_order": Decimal("2.5")}}, 216),  # 215.73 cents
            (OFFSET | {"quantity": {"per_order": Decimal("2.5")}}, 2_500),
            (OFFSET | {"quantity": {"per_order": Decimal("0.0005")}}, 1),  # half a gram
            (OFFSET | {"quantity": {"per_order": 1}, "unit": "lb"}, 454),  # 453.59237 g
        ],
    )
    def test_quantities_are_in_the_smallest_thing_that_can_be_bought(self, rule: dict[str, Any], quantity: int) -> None:
        """79.90 EUR are 86.292 USD; three items; figures worked out by hand."""
        assert quantity == bought(rule)

    @pytest.mark.parametrize("impact", ["clean_ocean", "capture_carbon"])
    def test_pounds_are_bought_for_kilograms_only_where_the_rule_says_so(self, impact: str) -> None:
        """10 kg are 22.046 lb."""
        rule = TREES | {"impact": impact, "quantity": {"per_order": 10}}
        assert bought(rule) == 10
        assert bought(rule | {"unit": "kg"}) == 22
        assert bought(rule | {"unit": "kg", "rounding": "up"}) == 23

    @pytest.mark.parametrize(("rounding", "trees"), [("nearest", 2), ("up", 2), ("down", 1)])
    def test_a_half_goes_where_the_rule_says(self, rounding: str, trees: int) -> None:
        """Three items at half a tree each."""
        assert trees == bought(TREES | {"quantity": {"per_item": Decimal("0.5")}, "rounding": rounding})

    def test_rounding_happens_once(self) -> None:
        """A third of a cent three times is a cent: 1 for each 3 GBP of 3 GBP, through USD and back."""
        rule = GIVING | {"quantity": {"per_amount": {"quantity": 1, "per": 3, "currency": "GBP"}}, "rounding": "down"}
        assert bought(rule, replace(SALE, amount=Decimal("3.81"), currency="USD")) == 1

    def test_a_share_in_the_orders_own_currency_needs_no_rate(self) -> None:
        """A shop that sells in one currency can do without fx."""
        rule = TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 100, "currency": "SEK"}}}
        assert bought(rule, replace(SALE, amount=Decimal(300), currency="SEK")) == 3

    def test_a_minimum_is_in_the_rules_own_unit(self) -> None:
        """Below 3 kg nothing is bought; at 3 kg it is."""
        rule = OFFSET | {"quantity": {"per_item": 1}, "minimum": 3}
        assert bought(rule) == 3_000
        below = replace(SALE, item_count=Decimal(2))
        assert why_not(rule, below) == "it comes to less than the minimum of 3000 g"

    @pytest.mark.parametrize(
        ("most", "items", "quantity"), [(2, 1, 1_000), (2, 2, 2_000), (2, 900, 2_000), (Decimal("2.5"), 3, 2_500)]
    )
    def test_an_order_that_comes_to_more_than_the_most_earns_just_that(
        self, most: Decimal, items: int, quantity: int
    ) -> None:
        """In the rule's own unit; what awaits approval is what is left."""
        rule = OFFSET | {"quantity": {"per_item": 1}, "most_per_order": most, "approve_above": 3}
        earned = outcome(rule, replace(SALE, item_count=Decimal(items)))
        assert isinstance(earned, Impact)
        assert (earned.quantity, earned.needs_approval) == (quantity, False)

    @pytest.mark.parametrize(
        ("rule", "limit", "needs_approval"),
        [
            (OFFSET | {"quantity": {"per_item": 1}, "approve_above": Decimal("2.9994")}, 2_999, True),
            (OFFSET | {"quantity": {"per_item": 1}, "approve_above": 3}, 3_000, False),
            (OFFSET | {"quantity": {"per_item": 2}, "approve_above": 3, "unit": "lb"}, 1_360, True),
            (TREES | {"quantity": {"per_item": 1}, "approve_above": Decimal("2.5")}, 2, True),
            (GIVING | {"approve_above": 86}, 86, False),
            (GIVING | {"approve_above": 85}, 85, True),
            (TREES | {"approve_above": 0}, 0, True),
            (TREES | {"approve_above": "unlimited"}, None, False),
        ],
    )
    def test_more_than_the_limit_needs_approval(
        self, rule: dict[str, Any], limit: int | None, needs_approval: bool
    ) -> None:
        """It is in the rule's own unit, as the minimum is; what is earned stays what it is."""
        earned = outcome(rule)
        assert isinstance(earned, Impact)
        assert (earned.approval_limit, earned.needs_approval) == (limit, needs_approval)

    @pytest.mark.parametrize(
        ("rule", "per_order", "per_day"),
        [
            (TREES, 500, 50_000),
            (TREES | {"impact": "clean_ocean"}, 1_000, 100_000),
            (TREES | {"impact": "capture_carbon", "unit": "kg"}, 10_000, 1_000_000),
            (TREES | {"impact": "restore_coral"}, 500, 50_000),
            (TREES | {"impact": "donate"}, 50_000, 5_000_000),
            (GIVING, 50_000, 5_000_000),
            (OFFSET, 5_000_000, 500_000_000),
            (OFFSET | {"approve_above": 2, "approve_above_per_day": 7}, 2_000, 7_000),
            (OFFSET | {"approve_above": "unlimited", "approve_above_per_day": "unlimited"}, None, None),
        ],
    )
    def test_p17_a_rule_that_says_nothing_has_ceilings(
        self, rule: dict[str, Any], per_order: int | None, per_day: int | None
    ) -> None:
        """For one order and for one day, in the ledger's unit; the word unlimited switches them off."""
        earned = outcome(rule)
        assert isinstance(earned, Impact)
        assert (earned.approval_limit, earned.day_limit) == (per_order, per_day)

    def test_what_is_held_needs_no_approval_yet(self) -> None:
        """It is not known how much it is."""
        earned = outcome(GIVING | {"approve_above": 0}, replace(SALE, currency="SEK"))
        assert isinstance(earned, Impact)
        assert not earned.needs_approval


class TestProviderLimits:
    @pytest.mark.parametrize(
        ("rule", "most"),
        [
            (TREES, 10_000_000),
            (TREES | {"impact": "clean_ocean"}, 10_000_000),
            (TREES | {"impact": "capture_carbon"}, 10_000_000),
            (TREES | {"impact": "restore_coral"}, 10_000_000),
            (TREES | {"impact": "donate"}, 1_000_000_000),
            (GIVING, 1_000_000_000),
            (OFFSET, 10_000_000_000),
        ],
    )
    def test_the_maximum_is_bought_and_one_more_is_held(self, rule: dict[str, Any], most: int) -> None:
        """One for each item: the limit and one more."""
        per_item = Decimal("0.001") if rule is OFFSET else 1  # a gram
        rule = {**rule, "quantity": {"per_item": per_item}}
        assert most == bought(rule, replace(SALE, item_count=Decimal(most)))
        reason = held(rule, replace(SALE, item_count=Decimal(most + 1)))
        assert f"it comes to {most + 1} " in reason
        assert reason.endswith(f"above the most that {rule['provider']} sells at once: {most}")


class TestConditions:
    @pytest.mark.parametrize(
        ("when", "reason"),
        [
            ({"currencies": ["EUR"]}, None),
            ({"currencies": ["USD", "GBP"]}, "EUR is not one of USD, GBP"),
            ({"min_items": 3}, None),
            ({"min_items": 4}, "the order has fewer than 4 items"),
            ({"min_amount_usd": Decimal("86.29")}, None),
            ({"min_amount_usd": Decimal("86.30")}, "the order is worth less than 86.30 USD"),
            ({"max_amount_usd": Decimal("86.30")}, None),
            ({"max_amount_usd": Decimal("86.29")}, "the order is worth more than 86.29 USD"),
            ({"currencies": ["EUR"], "min_items": 4}, "the order has fewer than 4 items"),
            ({"currencies": ["USD"], "min_items": 4}, "EUR is not one of USD"),
        ],
    )
    def test_all_conditions_must_hold(self, when: dict[str, Any], reason: str | None) -> None:
        """The first that does not is the reason."""
        if reason is None:
            assert bought(TREES | {"when": when}) == 1
        else:
            assert reason == why_not(TREES | {"when": when})

    @pytest.mark.parametrize(
        ("when", "reason"),
        [
            ({"sources": ["Shopify", "stripe"]}, None),
            ({"sources": ["Stripe", "amazon"]}, "its source is not Stripe or amazon"),
            ({"not_sources": ["stripe"]}, None),
            ({"not_sources": [" Shopify ", "stripe"]}, "its source is shopify"),
        ],
    )
    def test_c15_a_rule_takes_or_leaves_sources(self, when: dict[str, Any], reason: str | None) -> None:
        """Where shop and payments are both connected, a sale comes as two orders; a source is known by its name."""
        of_a_shop = replace(SALE, names=("wr:WR-1", "src:shopify:1001"))
        rule = TREES | {"when": when}
        if reason is None:
            assert policy(rule).earnings(of_a_shop).impacts
        else:
            assert reason == why_not(rule, of_a_shop)

    def test_c15_an_order_that_names_no_source_is_of_none(self) -> None:
        """It is left by a rule that wants some, and taken by one that only leaves some."""
        assert why_not(TREES | {"when": {"sources": ["shopify"]}}) == "its source is not shopify"
        assert bought(TREES | {"when": {"not_sources": ["shopify"]}}) == 1

    def test_a_currency_that_is_not_wanted_needs_no_rate(self) -> None:
        """Currencies are looked at before amounts, so nothing is held in vain."""
        rule = TREES | {"when": {"currencies": ["EUR"], "min_amount_usd": 20}}
        assert why_not(rule, replace(SALE, currency="SEK")) == "SEK is not one of EUR"

    def test_a_free_order_needs_no_rate(self) -> None:
        """Nothing is less than 20 USD in any currency."""
        free = replace(SALE, amount=Decimal(0), currency="SEK")
        assert why_not(TREES | {"when": {"min_amount_usd": 20}}, free) == "the order is worth less than 20 USD"


class TestWhatAnOrderDoesNotSay:
    @pytest.mark.parametrize(
        ("rule", "missing", "reason"),
        [
            (GIVING, {"amount": None}, "the order has no amount"),
            (GIVING, {"currency": None}, "the order has no currency"),
            (GIVING, {"currency": "ada@example.com"}, "the order's currency is not a code of three capital letters"),
            (GIVING, {"amount": Decimal(0)}, "the order's amount is not above zero"),
            (GIVING, {"amount": Decimal(-5)}, "the order's amount is not above zero"),
            (TREES | {"quantity": {"per_item": 1}}, {"item_count": None}, "the order lists no products"),
            (TREES | {"quantity": {"per_item": 1}}, {"item_count": Decimal(0)}, "the order has no items"),
            (TREES | {"when": {"min_items": 1}}, {"item_count": None}, "the order lists no products"),
            (TREES | {"when": {"currencies": ["USD"]}}, {"currency": None}, "the order has no currency"),
            (TREES | {"when": {"max_amount_usd": 5}}, {"amount": None}, "the order has no amount"),
        ],
    )
    def test_what_is_missing_earns_nothing_and_says_so(
        self, rule: dict[str, Any], missing: dict[str, Any], reason: str
    ) -> None:
        """That is normal, so it is not held."""
        assert reason == why_not(rule, replace(SALE, **missing))

    @pytest.mark.parametrize("absurd", ["NaN", "sNaN", "Infinity", "1E+15", "1E+999999", "1E-999999"])
    def test_an_absurd_number_is_held(self, absurd: str) -> None:
        """A person should look at it, and nothing is bought meanwhile."""
        order = replace(SALE, amount=Decimal(absurd), item_count=Decimal(absurd))
        assert held(GIVING, order) == "the order's amount is not a believable number: mend it at its source"
        per_item = TREES | {"quantity": {"per_item": 1}}
        assert held(per_item, order) == "the order's number of items is not a believable number: mend it at its source"

    def test_what_no_rule_asks_for_may_be_missing(self) -> None:
        """One tree per order needs nothing but the order."""
        bare = replace(SALE, amount=None, currency=None, item_count=None, customer_email=None)
        assert bought(TREES, bare) == 1

    def test_a_rate_for_the_rules_own_currency_may_be_missing_too(self) -> None:
        """The reason names the currency to add."""
        rule = TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 1, "currency": "SEK"}}}
        assert held(rule) == "no rate for SEK: add it to fx.usd_per in the policy"


class TestWhatProvidersAreTold:
    @pytest.mark.parametrize(
        ("rule", "options"),
        [
            (TREES, {}),
            (TREES | {"category": "food", "notify": True}, {"category": "food", "notify": True}),
            (TREES | {"notify": False}, {}),
            (TREES | {"impact": "donate", "category": "reefs"}, {"category": "reefs"}),
            (
                OFFSET | {"portfolio_id": "p1", "description": "for you"},
                {"portfolio_id": "p1", "description": "for you"},
            ),
            (GIVING, {"campaign": "forest"}),
        ],
    )
    def test_only_options_that_are_set_are_told(self, rule: dict[str, Any], options: dict[str, Any]) -> None:
        """The rest is the provider's default."""
        earned = outcome(rule)
        assert isinstance(earned, Impact)
        assert options == earned.options

    @pytest.mark.parametrize(
        ("rule", "email", "expected"),
        [
            (TREES, "ada@example.com", True),
            (TREES, None, False),
            (TREES | {"on_behalf_of": "customer"}, "ada@example.com", True),
            (TREES | {"on_behalf_of": "merchant"}, "ada@example.com", False),
            (OFFSET, "ada@example.com", False),
            (GIVING, "ada@example.com", False),
        ],
    )
    def test_the_customer_is_told_to_1clickimpact_only(
        self, rule: dict[str, Any], email: str | None, expected: bool
    ) -> None:
        """And only where the order has an address and the rule does not say merchant."""
        earned = outcome(rule, replace(SALE, customer_email=email))
        assert isinstance(earned, Impact)
        assert expected == earned.on_behalf_of_customer


TEXT = """\
store: acme
fx:
  as_of: 2025-01-01
  usd_per: {EUR: 1.08}
rules:
  - slot: trees
    provider: oneclickimpact
    impact: plant_trees
    quantity: {per_order: 1}
  - slot: giving
    provider: impactapi
    impact: donate
    campaign: forest
    quantity:
      per_amount:
        quantity: 1
        per: 10
"""


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("old", "new", "line", "message"),
        [
            ("store: acme", "shop: acme", 1, "store: is missing"),
            ("store: acme", "store: Acme Ltd", 1, "store: must be lower-case letters"),
            ("store: acme", "store: acme\nstroe: acme", 2, "stroe: unknown field: did you mean store?"),
            (
                "store: acme",
                "store: acme\nzz: 1",
                2,
                "zz: unknown field: store, live, eligible_payments, not_before, at_most_days_old, hold_days, distinct",
            ),
            ("store: acme", "store: acme\nstore: b", 2, "store: stands twice, first in line 1"),
            ("store: acme", "store: acme\neligible_payments: [APPROVED, REFUNDED]", 2, "eligible_payments[1]: must be"),
            ("store: acme", "store: acme\neligible_payments: []", 2, "eligible_payments: must list at least one"),
            ("2025-01-01", "2025-02-30", 3, "fx.as_of: must be a day such as 2025-01-31, not '2025-02-30'"),
            ("2025-01-01", "2025-01-01T10:00:00Z", 3, "fx.as_of: must be a day"),
            ("EUR: 1.08", "EUR: 0", 4, "fx.usd_per.EUR: must be a number above 0"),
            ("EUR: 1.08", "EUR: -1.08", 4, "fx.usd_per.EUR: must be a number above 0"),
            ("EUR: 1.08", "EUR: .nan", 4, "fx.usd_per.EUR: must be a number above 0"),
            ("EUR: 1.08", "eur: 1.08", 4, "fx.usd_per.eur: must be a currency"),
            ("EUR: 1.08", "USD: 1.08", 4, "fx.usd_per.USD: must be 1"),
            ("slot: trees", "slot: Trees!", 6, "rules[0].slot: must be lower-case letters"),
            ("slot: trees", "slot: 7", 6, "rules[0].slot: must be lower-case letters"),
            ("slot: giving", "slot: trees", 10, "rules[1].slot: trees is taken"),
            ("impact: plant_trees", "impact: offset", 6, "rules[0]: provider and impact must be"),
            ("provider: impactapi", "provider: nobody", 10, "rules[1]: provider and impact must be"),
            ("{per_order: 1}", "{per_order: many}", 9, "rules[0].quantity.per_order: must be a number above 0"),
            ("{per_order: 1}", "{per_order: '1'}", 9, "rules[0].quantity.per_order: must be a number above 0"),
            ("{per_order: 1}", "{per_order: true}", 9, "rules[0].quantity.per_order: must be a number above 0"),
            ("{per_order: 1}", "{per_order: .inf}", 9, "rules[0].quantity.per_order: must be a number above 0"),
            ("{per_order: 1}", "{per_order: 1e999999999}", 9, "rules[0].quantity.per_order: must be a number above 0"),
            ("{per_order: 1}", "{per_order: " + "9" * 5000 + "}", 9, "rules[0].quantity.per_order: must be a number"),
            ("{per_order: 1}", "{per_order: 1, per_item: 1}", 9, "rules[0].quantity: must be exactly one of per_order"),
            (
                "{per_order: 1}",
                "{per_orders: 1}",
                9,
                "rules[0].quantity.per_orders: unknown field: did you mean per_order?",
            ),
            ("{per_order: 1}", "{each: 1}", 9, "rules[0].quantity: must be exactly one of per_order"),
            ("{per_order: 1}", "{}", 9, "rules[0].quantity: must be exactly one of per_order"),
            ("{per_order: 1}", "a lot", 9, "rules[0].quantity: must be written like {per_order: 1}, not 'a lot'"),
            ("{per_order: 1}", "1", 9, "rules[0].quantity: must be written like {per_order: 1}, not '1'"),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    when: {min_amount: 50 EUR}",
                10,
                "rules[0].when.min_amount: must be written like {EUR: 50}, not '50 EUR'",
            ),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    when: always",
                10,
                "rules[0].when: must be written like {min_amount",
            ),
            ("{per_order: 1}", "{percent_of_order: 1}", 9, "(percent_of_order is for donate)"),
            ("{per_order: 1}", "{per_order: 1}\n    campaign: x", 10, "rules[0].campaign: unknown field"),
            ("{per_order: 1}", "{per_order: 1}\n    unit: kg", 10, "rules[0].unit: unknown field"),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    category: toys",
                10,
                "rules[0].category: must be 'food', not 'toys'",
            ),
            ("{per_order: 1}", "{per_order: 1}\n    notify: sure", 10, "rules[0].notify: must be true or false"),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    rounding: off",
                10,
                "rules[0].rounding: must be 'nearest', 'up', 'down' or",
            ),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    minimum: 3\n    most_per_order: 2",
                11,
                "rules[0].most_per_order: must not be less than the rule's minimum",
            ),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    most_per_order: 0.5",
                10,
                "rules[0].most_per_order: must not be less than the smallest thing that can be bought",
            ),
            ("{per_order: 1}", "{per_order: 1}\n    minimum: 0", 10, "rules[0].minimum: must be a number above 0"),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    approve_above: -1",
                10,
                "rules[0].approve_above: must be unlimited, or a number from 0 to 1000000000, not '-1'",
            ),
            ("{per_order: 1}", "{per_order: 1}\n    aprove_above: 5", 10, "did you mean approve_above?"),
            ("{per_order: 1}", "{per_order: 1}\n    when: {min_item: 2}", 10, "did you mean min_items?"),
            ("{per_order: 1}", "{per_order: 1}\n    when: {currencies: []}", 10, "must list at least one"),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    when:\n      min_amount_usd: 9\n      max_amount_usd: 8",
                12,
                "rules[0].when.max_amount_usd: must not be below min_amount_usd",
            ),
            (
                "{per_order: 1}",
                "{per_order: 1}\n    on_behalf_of: merchant\n    notify: true",
                11,
                "rules[0].notify: must be false where on_behalf_of is merchant",
            ),
            ("campaign: forest", "campaign: 12", 13, "rules[1].campaign: must be text (put it in quotes), not '12'"),
            ("campaign: forest", "campaign: ' '", 13, "rules[1].campaign: must not be blank"),
            ("    campaign: forest\n", "", 10, "rules[1].campaign: is missing"),
            ("        per: 10\n", "", 15, "rules[1].quantity.per_amount.per: is missing"),
            ("per: 10", "per: -10", 17, "rules[1].quantity.per_amount.per: must be a number above 0"),
            ("store: acme", "store: [acme", 2, "is not YAML"),
            ("store: acme", "store: !shop acme", 1, "is not YAML"),
            ("{per_order: 1}", "{per_order: !!bool 1}", 9, "rules[0].quantity.per_order: must be a number"),
            ("slot: trees", "slot: \x00", 6, "is not YAML"),
            ("slot: trees", "slot: *trees", 6, "is not YAML"),
        ],
    )
    def test_a_mistake_is_pointed_at(self, tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
        """The message has the file, the line and the field."""
        with pytest.raises(ConfigurationError) as refused:
            load_text(tmp_path, TEXT.replace(old, new, 1))
        assert f"{tmp_path / 'policy.yaml'} line {line}: " in str(refused.value)
        assert message in str(refused.value)

    def test_n18_a_misspelt_field_is_one_mistake_and_not_missing_besides(self, tmp_path: Path) -> None:
        """Where the field is required."""
        with pytest.raises(ConfigurationError) as refused:
            load_text(tmp_path, TEXT.replace("quantity: {per_order", "quantitty: {per_order", 1))
        (only,) = str(refused.value).splitlines()
        assert only.endswith("line 9: rules[0].quantitty: unknown field: did you mean quantity?")

    def test_n18_without_a_file_the_command_that_writes_one_is_named(self, tmp_path: Path) -> None:
        """A new user's first command may be any."""
        with pytest.raises(ConfigurationError, match="`impactflow init` writes a first one"):
            load_policy(tmp_path / "policy.yaml")

    def test_all_mistakes_are_listed_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        """Five mistakes of three sorts take one look, not five."""
        text = (
            TEXT.replace("EUR: 1.08", "EUR: 0")
            .replace("trees", "Trees", 1)
            .replace("per: 10", "per: x\n        per: 1")
        )
        text = text.replace("campaign", "campain").replace("store: acme", "store: acme\nstore: b")
        with pytest.raises(ConfigurationError) as refused:
            load_text(tmp_path, text)
        lines = [int(problem.split(" line ")[1].split(":")[0]) for problem in str(refused.value).splitlines()]
        assert lines == [2, 5, 7, 14, 18, 19]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "line 1: store: is missing"),
            (b"- 1\n", "line 1: must be a mapping"),
            (b"store: acme\n\xff", "line 2: is not UTF-8 text"),
            (b"&a [*a]", "line 1: is not YAML that a policy could be"),
            (b"[" * 3000, "line 1: is not YAML that a policy could be"),
            (b"store: a\n---\nstore: b", "line 2: is not YAML"),
            (b"store: a\nrules:\n", "line 2: rules: must be a list"),
            (b"store: a\nrules: [1]\n", "line 2: rules[0]: provider and impact must be"),
        ],
    )
    def test_what_is_no_policy_at_all_is_refused_in_one_line_each(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        """Never a traceback."""
        with pytest.raises(ConfigurationError, match=r"policy\.yaml") as refused:
            load_text(tmp_path, content)
        assert message in str(refused.value)

    def test_a_file_that_is_not_there_says_how_to_give_another(self, tmp_path: Path) -> None:
        """The message names the option and the variable."""
        with pytest.raises(ConfigurationError, match=r"nowhere\.yaml cannot be read .*--policy or IMPACTFLOW_POLICY"):
            load_policy(tmp_path / "nowhere.yaml")

    def test_a_float_is_no_number_for_a_policy(self) -> None:
        """Whoever builds a policy in code writes decimals, as the file does."""
        with pytest.raises(ValidationError, match="must be a number above 0"):
            policy(TREES | {"quantity": {"per_order": 1.5}})

    def test_a_policy_does_not_change(self) -> None:
        """It is a value."""
        with pytest.raises(ValidationError, match="frozen"):
            policy(TREES).store = "other"  # type: ignore[misc]

    def test_a_policy_survives_being_written_and_read(self) -> None:
        """What stands in it can be shown and compared."""
        example = load_policy(EXAMPLE)
        assert example == Policy.model_validate(example.model_dump())
        assert example.model_dump_json()


def named_in(schema: Any) -> set[str]:
    """The names of all fields in a schema."""
    if isinstance(schema, list):
        return set().union(*map(named_in, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", {})).union(*map(named_in, schema.values()))


#: What may stand in a field, right or wrong.
VALUES = st.sampled_from(
    [
        *(
            None,
            True,
            False,
            0,
            1,
            3,
            -1,
            10**10,
            Decimal("0.5"),
            Decimal("1E-12"),
            "",
            " ",
            "x",
            "Trees!",
            "trees",
            [],
            {},
        ),
        *(
            "USD",
            "EUR",
            "usd",
            "unlimited",
            "nearest",
            "up",
            "food",
            "kg",
            "lb",
            "customer",
            "merchant",
            "2025-01-31",
            "2025-02-30",
        ),
        *("cnaught", "impactapi", "oneclickimpact", *Kind, ["USD"], ["usd"], ["APPROVED"], ["REFUNDED"], ["x", 1]),
        *({"per_order": 1}, {"per_item": Decimal("2.5")}, {"per_amount": {"quantity": 1, "per": 10}}, {"EUR": 1}),
        *({"percent_of_order": 1}, {"percent_of_order": 101}, {"per_order": 1, "per_item": 1}, {"USD": 1}, {"USD": 2}),
        *({"ids": ["1"]}, {"names": ["*card*"], "gift_cards": True}, {"campaign": None}, {"EUR": "x"}),
        *({"per_amount": {"per": 10}}, {"min_items": 2}, {"max_amount_usd": 5}, {"as_of": "2025-01-31", "usd_per": {}}),
    ]
)
#: Every name that a policy may use, and some that it may not.
NAMES = st.sampled_from(sorted({*named_in(policy_schema()), "per_order", "per", "currency", "USD", "GBP", "x"}))
DOCUMENTS = [
    {
        "store": "acme",
        "fx": {"as_of": "2025-01-01", "usd_per": {"EUR": Decimal("1.08")}},
        "rules": [{"slot": "only", "when": when, **rule}],
    }
    for when in (
        {"min_items": 1},
        {"products": {"ids": ["1"]}, "last_click": {"campaign": "x"}, "max_amount": {"EUR": 5}},
    )
    for rule in (TREES, OFFSET, GIVING, TREES | {"impact": "donate"}, TREES | {"impact": "clean_ocean"})
]


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """All mappings in a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(inner)


@st.composite
def changed_documents(draw: st.DrawFn) -> dict[str, Any]:
    """A policy with up to three fields removed, added or changed."""
    document = deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(list(mappings(document))))
        if place and draw(st.booleans()):
            place.pop(draw(st.sampled_from(sorted(place))))
        else:
            place[draw(NAMES)] = deepcopy(draw(VALUES))
    return document


class TestTheSchema:
    validator = Draft202012Validator(policy_schema(), format_checker=FormatChecker(["date"]))

    def test_it_is_a_schema_and_the_example_fits(self) -> None:
        """The example as JSON, as an editor sees it."""
        Draft202012Validator.check_schema(policy_schema())
        as_json = json.loads(json.dumps(YAML(typ="safe").load(EXAMPLE), default=date.isoformat))
        assert [error.message for error in self.validator.iter_errors(as_json)] == []

    @given(changed_documents())
    def test_it_accepts_what_loads_and_nothing_else(self, document: dict[str, Any]) -> None:
        """Whatever is changed in a policy."""
        try:
            Policy.model_validate(document)
        except ValidationError:
            assert not self.validator.is_valid(document)
        else:
            assert [error.message for error in self.validator.iter_errors(document)] == []

    def test_it_says_what_each_field_is_for(self) -> None:
        """Editors show the descriptions."""
        schema = policy_schema()
        described = [schema, *schema["$defs"].values()]
        silent = [
            name
            for model in described
            for name, field in model.get("properties", {}).items()
            if "description" not in field
        ]
        assert silent == []


AMOUNTS = st.decimals(min_value=-10, max_value=10**9, places=2)
ANY_NUMBER = (
    st.none() | st.decimals() | st.sampled_from([Decimal("1E+999999"), Decimal("-1E-999999"), Decimal("0E+500")])
)
ANY_ORDER = st.builds(
    Order,
    id=st.text(min_size=1),
    names=st.just(("wr:1",)),
    ordered_at=st.just(SALE.ordered_at),
    amount=ANY_NUMBER,
    currency=st.sampled_from(["USD", "EUR", "SEK", None, ""]) | st.text(),
    item_count=ANY_NUMBER,
    payments=st.lists(
        st.builds(Payment, st.sampled_from(["APPROVED", "REFUNDED", "FAILED", "MANUAL"]) | st.text()), max_size=3
    ).map(tuple),
    customer_email=st.sampled_from([None, "ada@example.com"]),
)
EVERY_WAY = policy(
    TREES,
    OFFSET | {"quantity": {"per_item": Decimal("2.5")}, "unit": "lb"},
    GIVING | {"when": {"min_amount_usd": Decimal("0.5")}},
    TREES
    | {"impact": "capture_carbon", "unit": "kg", "quantity": {"per_amount": {"quantity": Decimal("0.1"), "per": 3}}},
    TREES | {"impact": "clean_ocean", "quantity": {"per_amount": {"quantity": 7, "per": 3, "currency": "GBP"}}},
    GIVING | {"quantity": {"percent_of_order": Decimal("33.3")}, "rounding": "up", "when": {"min_items": 2}},
)


def leaves(value: Any) -> Iterator[Any]:
    """Every plain value in earnings."""
    if is_dataclass(value):
        for each in fields(value):
            yield from leaves(getattr(value, each.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def amount_of(earnings: Earnings) -> float:
    """How much is bought, to compare by: nothing is 0, and what is held for being too much is the most."""
    if not earnings.impacts:
        return 0
    return float("inf") if earnings.impacts[0].quantity is None else earnings.impacts[0].quantity


class TestForEveryOrder:
    @given(ANY_ORDER)
    def test_earnings_never_raise_and_each_slot_has_one_outcome(self, order: Order) -> None:
        """Whatever an order holds or lacks; and the same order earns the same again."""
        earnings = EVERY_WAY.earnings(order)
        outcomes = {impact.slot for impact in earnings.impacts} | {nothing.slot for nothing in earnings.unearned}
        assert len(outcomes) == len(earnings.impacts) + len(earnings.unearned)
        assert outcomes == ({rule.slot for rule in EVERY_WAY.rules} if earnings.eligible else {None})
        assert earnings == EVERY_WAY.earnings(order)

    @given(ANY_ORDER)
    def test_no_float_comes_out_and_no_address(self, order: Order) -> None:
        """Quantities are whole numbers above zero; reasons repeat nothing personal."""
        earnings = EVERY_WAY.earnings(order)
        assert not any(isinstance(value, float) for value in leaves(earnings))
        assert all(impact.held or (impact.quantity or 0) >= 1 for impact in earnings.impacts)
        assert "ada@" not in repr(earnings)

    @given(
        st.lists(AMOUNTS, min_size=2, max_size=2).map(sorted),
        st.sampled_from(["USD", "EUR"]),
        st.sampled_from(["nearest", "up", "down"]),
        st.sampled_from([GIVING, TREES | {"quantity": {"per_amount": {"quantity": 3, "per": 7, "currency": "GBP"}}}]),
    )
    def test_who_pays_more_never_earns_less(
        self, amounts: list[Decimal], currency: str, rounding: str, rule: dict[str, Any]
    ) -> None:
        """In any currency, with any rounding."""
        made = policy(rule | {"rounding": rounding})
        less, more = (made.earnings(replace(SALE, amount=amount, currency=currency)) for amount in amounts)
        assert amount_of(less) <= amount_of(more)

    @given(st.fractions(min_value=0, max_value=10**12))
    def test_rounding_stays_within_its_bounds(self, exact: Fraction) -> None:
        """Nearest by half at most, up and down by less than one."""
        nearest, up, down = (rounded(exact, rounding) for rounding in (Rounding.NEAREST, Rounding.UP, Rounding.DOWN))
        assert exact - Fraction(1, 2) < nearest <= exact + Fraction(1, 2)
        assert exact <= up < exact + 1
        assert exact - 1 < down <= exact

    @given(st.decimals(min_value=Decimal("0.01"), max_value=10**8, places=2))
    def test_a_percent_of_dollars_is_exact(self, amount: Decimal) -> None:
        """The same as counting in whole hundredths of a cent."""
        hundredths = int(amount * 100)
        expected = (hundredths + 50) // 100
        earned = amount_of(policy(GIVING).earnings(replace(SALE, amount=amount, currency="USD")))
        assert expected == earned
