"""The made-up orders look like a real shop's."""

from collections import Counter
from datetime import datetime

import pytest
from pretending import START

from impactflow.sandbox import generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES

ORDERS = generate_orders(3000, seed=4, until=START)
REQUIRED = {"id", "sourceId", "sourceSystem", "date", "links"}
KNOWN = REQUIRED | {
    "attributions",
    "contact",
    "products",
    "payments",
    "amount",
    "currency",
    "subscriptionId",
}


def test_the_same_seed_gives_the_same_orders():
    """And another seed others."""
    assert generate_orders(3000, seed=4, until=START) == ORDERS
    assert generate_orders(3000, seed=5, until=START) != ORDERS


def test_ids_count_up_and_dates_lie_within_the_days():
    """Oldest first."""
    dates = [order["date"] for order in ORDERS]

    assert [f"WR-{number:06}" for number in range(1, 3001)] == [order["id"] for order in ORDERS]
    assert sorted(dates) == dates
    assert "2026-11-14T12" <= dates[0] <= dates[-1] <= "2026-11-21T12:00:00.000Z"
    assert all(datetime.fromisoformat(date).tzinfo for date in dates)


def test_fields_are_those_of_the_schema():
    """Nothing else occurs, and what is required is always there."""
    assert all(REQUIRED <= set(order) <= KNOWN for order in ORDERS)
    assert {frozenset({"id", "sourceId", "sourceSystem", "email"})} == {
        frozenset(order["contact"]) for order in ORDERS if "contact" in order
    }


@pytest.mark.parametrize("field", ["amount", "currency", "products", "payments", "contact"])
def test_fields_are_missing_now_and_then(field):
    """In about one order of a hundred."""
    missing = sum(field not in order for order in ORDERS)

    assert 5 <= missing <= 70


def test_the_source_system_is_null_now_and_then():
    """As the schema allows."""
    assert 5 <= sum(order["sourceSystem"] is None for order in ORDERS) <= 70


def test_every_way_to_pay_occurs():
    """Refunds and failures are the exception."""
    statuses = Counter(payment["status"] for order in ORDERS for payment in order.get("payments", ()))

    assert {"APPROVED", "MANUAL", "FAILED", "REFUNDED", "Partially Refunded"} == set(statuses)
    assert statuses["APPROVED"] > 0.8 * len(ORDERS)


def test_several_currencies_occur_and_can_be_chosen():
    """With some that the example policy cannot convert, unless told otherwise."""
    chosen = generate_orders(500, seed=4, until=START, currencies=CONVERTIBLE_CURRENCIES)

    assert {"USD", "EUR", "GBP", "CAD", "AUD", "JPY", "SEK"} == {o["currency"] for o in ORDERS if "currency" in o}
    assert set(CONVERTIBLE_CURRENCIES) == {order["currency"] for order in chosen if "currency" in order}


def test_a_currency_without_prices_is_an_error():
    """It is named."""
    with pytest.raises(ValueError, match="XYZ"):
        generate_orders(1, seed=1, until=START, currencies=["XYZ"])


def test_amounts_are_the_sum_of_the_products():
    """To the cent; yen are whole."""
    for order in ORDERS:
        if "amount" in order and "products" in order:
            assert order["amount"] == pytest.approx(sum(p["qty"] * p["PPU"] for p in order["products"]), abs=0.005)
        if order.get("currency") == "JPY" and "amount" in order:
            assert order["amount"] == int(order["amount"])


def test_customers_return_and_names_are_not_all_ascii():
    """More than one of a product is sold at times."""
    contacts = Counter(order["contact"]["id"] for order in ORDERS if "contact" in order)
    products = [product for order in ORDERS for product in order.get("products", ())]

    assert contacts.most_common(1)[0][1] > 2
    assert any(not product["name"].isascii() for product in products)
    assert any(product["qty"] > 1 for product in products)
    assert all(
        order["contact"]["email"].endswith(("@example.com", "@example.org")) for order in ORDERS if "contact" in order
    )


def test_an_order_is_attributed_to_its_last_click_and_its_contacts_first():
    """Who comes again has opted in again."""
    first: dict[str, str] = {}
    for order in ORDERS:
        if "contact" in order and "attributions" in order:
            dates = {name: touch["date"] for name, touch in order["attributions"].items()}
            known = first.setdefault(order["contact"]["id"], dates["firstClick"])
            assert known == dates["firstClick"] == dates["firstOptin"] <= dates["lastClick"] < order["date"]
            assert ("reOptin" in dates) == (dates["firstClick"] != dates["lastClick"])
    assert any("reOptin" in order.get("attributions", ()) for order in ORDERS)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_orders_are_fine(count):
    """Down to none."""
    assert count == len(generate_orders(count, seed=1, until=START))
