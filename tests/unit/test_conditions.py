"""What a rule's conditions make of an order, and which of its products they count."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from impactflow.models import Click, Order, Payment, Product
from impactflow.policy import Policy

TEA = Product(("tea", "T-1"), "Green tea (loose)", Decimal(3), Decimal(30))
CARD = Product(("632", "card"), "Gift Card [50]", Decimal(1), Decimal(50), is_gift_card=True)
MUG = Product(("mug",), None, Decimal(2), Decimal(20))
ORDER = Order(
    id="WR-1",
    names=("wr:WR-1", "src:shopify:1001"),
    ordered_at=datetime(2026, 3, 2, tzinfo=UTC),
    amount=Decimal(105),  # postage is 5
    currency="EUR",
    item_count=Decimal(6),
    payments=(Payment("APPROVED"),),
    products=(TEA, CARD, MUG),
    paid_with=("gift_card", "shopify_payments"),
    is_subscription=False,
    last_click=Click("Newsletter", "email", "Earth Day", None, None),
)
PER_ITEM = {"per_item": 1}
CENTS = {"per_amount": {"quantity": 1, "per": 1, "currency": "EUR"}}


def earned(order: Order = ORDER, quantity: Any = None, **when: Any) -> int | str:
    """How much one rule buys for an order, or why nothing."""
    rule = {"slot": "only", "provider": "impactapi", "impact": "donate", "campaign": "x"}
    rule |= {"quantity": quantity or {"per_order": 1}, "when": when}
    earnings = Policy.model_validate({"store": "acme", "rules": [rule]}).earnings(order)
    if earnings.impacts:
        return earnings.impacts[0].quantity or earnings.impacts[0].held or ""
    return earnings.unearned[0].reason


@pytest.mark.parametrize(
    ("when", "items", "amount"),
    [
        ({"not_products": {"gift_cards": True}}, 5, 55),
        ({"not_products": {"names": ["*GIFT card*"]}}, 5, 55),
        ({"not_products": {"names": ["gift card [50]"]}}, 5, 55),
        ({"not_products": {"ids": ["card"]}}, 5, 55),
        ({"not_products": {"ids": ["nothing"], "names": ["gift"]}}, 6, 105),
        ({"products": {"ids": ["T-1", "mug"]}}, 5, 55),
        ({"products": {"names": ["*"]}}, 6, 105),
        ({"products": {"names": ["* tea *"]}}, 3, 35),
        ({"products": {"ids": ["tea", "card"]}, "not_products": {"gift_cards": True}}, 3, 35),
        ({"products": {"ids": ["nothing"]}}, "none of its products counts", "none of its products counts"),
    ],
)
def test_c16_a_rule_takes_the_products_that_count_alone(when: Any, items: object, amount: object) -> None:
    """Their number, and the order's amount less what the others cost."""
    assert (items, amount) == (earned(quantity=PER_ITEM, **when), earned(quantity=CENTS, **when))


def test_c16_what_is_left_decides_on_thresholds_too() -> None:
    """An order of three things and a gift card is one of three things; the thing that was edited out is none."""
    without = {"not_products": {"gift_cards": True}}
    assert earned(**without, min_items=6) == "the order has fewer than 6 items"
    assert earned(**without, min_amount={"EUR": 55}) == 1
    assert earned(**without, min_amount={"EUR": 56}) == "the order is worth less than 56 EUR"
    edited = replace(ORDER, products=(replace(TEA, quantity=Decimal(0)), CARD))
    assert earned(edited, **without) == "none of its products counts"


def test_c16_after_a_refund_no_more_counts_than_is_left() -> None:
    """Nobody knows of which product the money went back."""
    assert earned(replace(ORDER, amount=Decimal(60)), CENTS, not_products={"gift_cards": True}) == 10
    refunded = earned(replace(ORDER, amount=Decimal(40)), CENTS, not_products={"gift_cards": True})
    assert refunded == "the order's amount is not above zero"


def test_c16_a_discount_told_as_a_product_makes_no_order_worth_more() -> None:
    """It is left out with what it costs, which is nothing."""
    discount = Product(("off",), "Summer discount", Decimal(1), Decimal(-50))
    order = replace(ORDER, amount=Decimal(50), products=(replace(TEA, amount=Decimal(100)), discount))
    assert earned(order, CENTS, not_products={"ids": ["off"]}) == 50


def test_c16_what_an_order_does_not_tell_earns_nothing_and_says_so() -> None:
    """Products without prices can be counted still."""
    unpriced = replace(ORDER, products=(TEA, replace(CARD, amount=None)))
    assert earned(unpriced, CENTS, products={"ids": ["tea"]}) == "the order does not say what its products cost"
    assert earned(unpriced, PER_ITEM, products={"ids": ["tea"]}) == 3
    assert earned(replace(ORDER, products=()), products={"ids": ["tea"]}) == "the order lists no products"


@pytest.mark.parametrize(
    ("ways", "outcome"),
    [
        (("Gift_Card",), "it was paid with gift_card"),
        (("gift_card", "cod"), "it was paid with cod and gift_card"),
        (("gift_card", "shopify_payments"), 1),
        ((), 1),
    ],
)
def test_c16_an_order_paid_with_nothing_else_can_be_left_out(ways: tuple[str, ...], outcome: object) -> None:
    """Who counts gift cards when they are sold leaves out what is paid with them."""
    assert outcome == earned(replace(ORDER, paid_with=ways), not_paid_with=["gift_card", "COD"])


@pytest.mark.parametrize(
    ("when", "currency", "outcome"),
    [
        ({"min_amount": {"EUR": 105}}, "EUR", 1),
        ({"min_amount": {"EUR": "105.01"}}, "EUR", "the order is worth less than 105.01 EUR"),
        ({"max_amount": {"EUR": "104.99"}}, "EUR", "the order is worth more than 104.99 EUR"),
        ({"min_amount": {"EUR": 1, "JPY": 100}}, "JPY", 1),
        ({"min_amount": {"EUR": 1}}, "JPY", "min_amount has no JPY"),
        ({"max_amount": {"JPY": 200}}, "EUR", "max_amount has no EUR"),
    ],
)
def test_a_threshold_in_the_orders_own_currency_needs_no_rate(when: Any, currency: str, outcome: object) -> None:
    """Orders in a currency that has none earn nothing under the rule."""
    [limits] = when.values()
    when = {name: {code: Decimal(limit) for code, limit in limits.items()} for name in when}
    assert outcome == earned(replace(ORDER, currency=currency), **when)


@pytest.mark.parametrize(
    ("is_subscription", "wanted", "outcome"),
    [
        (True, True, 1),
        (False, False, 1),
        (False, True, "it is no payment of a subscription"),
        (True, False, "it is a payment of a subscription"),
        (None, False, "the order does not say whether it is of a subscription"),
    ],
)
def test_a_subscriptions_payment_is_told_apart(is_subscription: bool | None, wanted: bool, outcome: object) -> None:
    """As far as the source says."""
    assert outcome == earned(replace(ORDER, is_subscription=is_subscription), subscription=wanted)


@pytest.mark.parametrize(
    ("last_click", "outcome"),
    [
        ({"campaign": "earth day"}, 1),
        ({"campaign": "Earth Day", "source": "newsletter"}, 1),
        ({"campaign": "Earth Day", "source": "google"}, "its last click is another one"),
        ({"term": "tea"}, "its last click is another one"),
    ],
)
def test_a_campaign_earns_what_its_last_clicks_led_to(last_click: Any, outcome: object) -> None:
    """Capitals do not matter; a tag that the click does not have is not the one that is wanted."""
    assert outcome == earned(last_click=last_click)
    unknown = "no last click is known: only Wicked Reports has it"
    assert unknown == earned(replace(ORDER, last_click=None), last_click=last_click)


def test_an_order_of_which_nothing_is_left_earns_nothing() -> None:
    """Though each order would earn something; one that was free of charge does."""
    assert earned(replace(ORDER, item_count=Decimal(0), amount=Decimal(0))) == "nothing of the order is left"
    assert earned(replace(ORDER, amount=Decimal(0))) == 1
    assert earned(replace(ORDER, item_count=Decimal(0))) == 1


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"products": {}}, "must have at least one of ids, names, gift_cards"),
        ({"not_products": {"gift_cards": None}}, "must have at least one of"),
        ({"not_products": {"gift_cards": False}}, "must be True"),
        ({"last_click": {"campagne": "x"}}, "did you mean campaign?"),
        ({"min_amount": {"EUR": 5}, "max_amount": {"EUR": 4}}, "must not be below min_amount of EUR"),
        ({"min_amount": {}}, "must list at least one"),
        ({"min_amount": {"euro": 5}}, "must be a currency"),
        ({"first_order": "yes"}, "must be true or false"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(when: Any, message: str) -> None:
    """In words that say what to write."""
    with pytest.raises(ValidationError, match=message):
        earned(**when)
