"""What ``policy check`` asks a person to look at: rounded quantities, lacking rates, currencies that do not exist."""

from decimal import Decimal
from typing import Any

import pytest

from impactflow.policy import Policy
from impactflow.policy.currencies import KNOWN
from impactflow.policy.remarks import remarks
from impactflow.sandbox.orders import CURRENCIES

TREES: dict[str, Any] = {"provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_order": 1}}
OCEAN: dict[str, Any] = {"provider": "oneclickimpact", "impact": "clean_ocean", "unit": "kg"}
GIVING: dict[str, Any] = {
    "provider": "impactapi",
    "impact": "donate",
    "campaign": "forest",
    "quantity": {"percent_of_order": 1},
}
RATES = {"as_of": "2026-11-01", "usd_per": {"EUR": Decimal("1.16")}}


def remarks_on(rule: dict[str, Any], fx: dict[str, Any] | None = RATES) -> list[str]:
    """The remarks on a policy of one rule."""
    return remarks(Policy.model_validate({"store": "acme", "fx": fx, "rules": [{"slot": "one", **rule}]}))


def test_n18_a_plain_policy_needs_no_look():
    """Whole trees, a share of amounts that have rates, whole grams."""
    assert remarks_on(TREES, None) == []
    assert remarks_on(GIVING) == []
    assert remarks_on({"provider": "cnaught", "impact": "offset", "quantity": {"per_item": Decimal("2.5")}}) == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {**TREES, "quantity": {"per_order": Decimal("0.5")}},
            "with per_order 0.5 trees an order earns 1 (rounding: nearest)",
        ),
        ({**TREES, "quantity": {"per_order": Decimal("0.4")}}, "an order earns nothing"),
        ({**TREES, "quantity": {"per_item": Decimal("1.2")}, "rounding": "up"}, "an order of one item earns 2"),
        ({**OCEAN, "quantity": {"per_order": 1}}, "pounds are bought whole: with per_order 1 kg an order earns 2"),
        ({**GIVING, "quantity": {"per_order": Decimal("0.5")}}, "cents are bought whole: with per_order 0.5 cents"),
    ],
)
def test_n18_a_quantity_that_is_rounded_is_named(rule: dict[str, Any], message: str):
    """With what an order earns by it."""
    (only,) = remarks_on(rule)
    assert only.startswith("slot one: ")
    assert message in only


@pytest.mark.parametrize(
    ("rule", "fx", "message"),
    [
        (GIVING, None, "needs an order's worth in USD, so orders in other currencies are held"),
        ({**TREES, "when": {"min_amount_usd": 5}}, None, "needs an order's worth in USD"),
        ({**GIVING, "when": {"currencies": ["USD", "EUR", "SEK"]}}, RATES, "orders in SEK are held"),
        ({**GIVING, "when": {"min_amount": {"EUR": 5}}}, None, "orders in EUR are held"),
        ({**TREES, "quantity": {"per_amount": {"quantity": 1, "per": 9, "currency": "SEK"}}}, RATES, "worth in SEK"),
    ],
)
def test_n18_orders_that_are_held_for_want_of_a_rate_are_named(rule: dict[str, Any], fx: Any, message: str):
    """With the command that writes the rates."""
    (only,) = remarks_on(rule, fx)
    assert message in only
    assert "impactflow rates" in only


def test_n18_a_rule_for_orders_in_its_own_currency_needs_no_rate():
    """Where conditions leave no other."""
    assert remarks_on({**GIVING, "when": {"currencies": ["USD"]}}, None) == []
    share = {"per_amount": {"quantity": 1, "per": 9, "currency": "EUR"}}
    assert remarks_on({**TREES, "quantity": share, "when": {"min_amount": {"EUR": 5}}}, None) == []


@pytest.mark.parametrize(
    ("rule", "usd_per", "place"),
    [
        ({"when": {"min_amount": {"XXY": 5}}}, {}, "slot one: when.min_amount: XXY"),
        ({"when": {"max_amount": {"EUX": 5}}}, {}, "slot one: when.max_amount: EUX"),
        ({"when": {"currencies": ["EUX"]}}, {}, "slot one: when.currencies: EUX"),
        ({}, {"EUX": Decimal("1.1")}, "fx.usd_per: EUX"),
        (
            {"quantity": {"per_amount": {"quantity": 1, "per": 9, "currency": "EUX"}}},
            {"EUX": Decimal(1)},
            "slot one: per_amount.currency: EUX",
        ),
    ],
)
def test_n18_a_currency_that_does_not_exist_is_named(rule: dict[str, Any], usd_per: dict[str, Decimal], place: str):
    """Wherever it stands; the policy loads all the same."""
    found = remarks_on({**TREES, **rule}, {"as_of": "2026-11-01", "usd_per": {"EUR": 1, **usd_per}})
    assert any(each.startswith(f"{place} is not a currency of ISO 4217") for each in found)


def test_n18_the_currencies_of_the_sandbox_are_known():
    """None of these is called misspelt."""
    assert set(CURRENCIES) <= KNOWN
    assert all(len(each) == 3 for each in KNOWN)
