"""What a verified delivery means, sender by sender."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impactflow.intake.senders.events import read
from impactflow.intake.senders.standard import event_schema
from impactflow.intake.senders.values import Hint, NothingForUs
from impactflow.ledger import Delivery
from impactflow.models import BrokenOrder, Order, Payment, Product, Refund

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs"
APPROVED = (Payment("APPROVED"),)
TEST = NothingForUs("a test order")

PAID = {
    "id": 5324830114101,
    "order_number": 1001,
    "name": "#1001",
    "processed_at": "2026-03-02T06:00:00-05:00",
    "created_at": "2026-03-02T05:59:00-05:00",
    "total_price": "80.10",
    "currency": "usd",
    "financial_status": "paid",
    "line_items": [{"quantity": 2}, {"quantity": 1}],
    "email": "ana@example.com",
    "test": False,
    "note": "anything",
}
GIVEN_BACK = {
    "id": 929361464,
    "order_id": 5324830114101,
    "transactions": [
        {"kind": "refund", "status": "success", "amount": "30.00", "currency": "USD"},
        {"kind": "refund", "status": "success", "amount": "12.10", "currency": "USD"},
        {"kind": "refund", "status": "failure", "amount": "99.00", "currency": "USD"},
    ],
}
SESSION = {
    "id": "cs_1",
    "payment_status": "paid",
    "payment_intent": "pi_1",
    "invoice": None,
    "amount_total": 8010,
    "currency": "usd",
    "customer_details": {"email": "ana@example.com"},
    "subscription": "sub_1",
}
CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 8010, "currency": "usd", "refunded": True}
#: An order as version 3 of WooCommerce's REST API tells it.
WOO = {
    "id": 1843,
    "parent_id": 0,
    "number": "1843",
    "order_key": "wc_order_kQ3nV0tYxLw2a",
    "created_via": "checkout",
    "version": "10.3.4",
    "status": "processing",
    "currency": "USD",
    "date_created": "2026-03-02T12:40:11",
    "date_created_gmt": "2026-03-02T11:40:11",
    "date_modified": "2026-03-02T12:41:05",
    "date_modified_gmt": "2026-03-02T11:41:05",
    "discount_total": "4.00",
    "discount_tax": "0.80",
    "shipping_total": "5.00",
    "shipping_tax": "1.00",
    "cart_tax": "12.35",
    "total": "80.10",
    "total_tax": "13.35",
    "prices_include_tax": True,
    "customer_id": 26,
    "customer_ip_address": "192.0.2.7",
    "customer_user_agent": "Mozilla/5.0",
    "customer_note": "",
    "billing": {
        "first_name": "Ana",
        "last_name": "Garcia",
        "company": "",
        "address_1": "Calle Mayor 1",
        "address_2": "",
        "city": "Madrid",
        "state": "M",
        "postcode": "28013",
        "country": "ES",
        "email": "ana@example.com",
        "phone": "555-0100",
    },
    "shipping": {"first_name": "Ana", "last_name": "Garcia", "city": "Madrid", "country": "ES", "phone": ""},
    "payment_method": "woocommerce_payments",
    "payment_method_title": "Card",
    "transaction_id": "pi_3Q",
    "date_paid": "2026-03-02T12:41:04",
    "date_paid_gmt": "2026-03-02T11:41:04",
    "date_completed": None,
    "date_completed_gmt": None,
    "cart_hash": "5c0e43",
    "meta_data": [{"id": 9001, "key": "_wc_order_attribution_source_type", "value": "organic"}],
    "line_items": [
        {
            "id": 311,
            "name": "Linen apron",
            "product_id": 93,
            "variation_id": 0,
            "quantity": 2,
            "tax_class": "",
            "subtotal": "66.75",
            "subtotal_tax": "11.58",
            "total": "62.75",
            "total_tax": "10.78",
            "taxes": [{"id": 75, "total": "10.78", "subtotal": "11.58"}],
            "meta_data": [],
            "sku": "APRON",
            "price": 31.375,
            "image": {"id": "", "src": ""},
            "parent_name": None,
        },
        {"id": 312, "name": "Seeds, mixed", "product_id": 22, "quantity": 1, "total": "3.20", "price": 3.2},
    ],
    "tax_lines": [{"id": 314, "rate_code": "ES-VAT-1", "rate_id": 75, "label": "VAT", "compound": False}],
    "shipping_lines": [{"id": 313, "method_title": "Flat rate", "method_id": "flat_rate", "total": "5.00"}],
    "fee_lines": [],
    "coupon_lines": [{"id": 315, "code": "spring", "discount": "4.00", "discount_tax": "0.80"}],
    "refunds": [],
    "payment_url": "https://shop.example.com/checkout/order-pay/1843/?pay_for_order=true&key=wc_order_kQ3nV0tYxLw2a",
    "is_editable": False,
    "needs_payment": False,
    "needs_processing": True,
    "currency_symbol": "$",
    "_links": {"self": [{"href": "https://shop.example.com/wp-json/wc/v3/orders/1843"}]},
}
WOO_PRODUCTS = (
    Product(("93", "APRON"), "Linen apron", Decimal(2), Decimal("73.53")),
    Product(("22",), "Seeds, mixed", Decimal(1), Decimal("3.20")),
)
SOLD = {"source_system": "WooCommerce", "source_id": "1001", "amount": "80.10", "currency": "USD", "item_count": 3}
RETURNED = {"source_system": "woocommerce", "source_id": "1001", "refund_id": "r1", "amount": "5", "currency": "USD"}


def read_event(source, topic, body, webhook_id="w-1"):
    """What a delivery of this content means."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Delivery("acme", source, webhook_id, topic, AT, content))


def paid(**fields):
    """A paid order of Shopify's; fields that are None are left out."""
    return read_event(
        "shopify", "orders/paid", {name: value for name, value in (PAID | fields).items() if value is not None}
    )


def session(topic="checkout.session.completed", *, livemode=True, **fields):
    """A checkout session of Stripe's."""
    return read_event(
        "stripe", topic, {"created": 1772452800, "livemode": livemode, "data": {"object": SESSION | fields}}
    )


def stripe(data_object):
    """An event about an object of Stripe's."""
    return {"created": 1772452800, "livemode": True, "data": {"object": data_object}}


def charge(*, livemode=True, **fields):
    """A refunded charge of Stripe's."""
    return read_event("stripe", "charge.refunded", {"livemode": livemode, "data": {"object": CHARGE | fields}})


def woo(topic="order.updated", **fields):
    """An order of WooCommerce's."""
    return read_event("woocommerce", topic, WOO | fields)


def standard(topic, data, **fields):
    """An event of our own."""
    return read_event("standard", topic, {"type": topic, "timestamp": "2026-03-02T11:00:00Z", "data": data | fields})


def test_a_paid_order_of_shopify_is_known_by_its_id_and_by_its_number():
    """By which of the two Wicked Reports knows it is not documented."""
    assert paid() == Order(
        id="shopify:5324830114101",
        names=("id:shopify:5324830114101", "src:shopify:5324830114101", "src:shopify:1001", "src:shopify:#1001"),
        ordered_at=datetime(2026, 3, 2, 6, tzinfo=timezone(timedelta(hours=-5))),
        amount=Decimal("80.10"),
        currency="USD",
        item_count=Decimal(3),
        payments=APPROVED,
        customer_email="ana@example.com",
        products=(Product((), None, Decimal(2), None), Product((), None, Decimal(1), None)),
    )


def test_c16_a_line_of_shopify_says_what_it_came_to_after_discounts_and_with_tax():
    """Per thing that is left of it; whether it is a gift card, and how the order was paid and made."""
    line = {
        "product_id": 632,
        "variant_id": 808,
        "sku": "CARD-50",
        "name": "Gift card - 50",
        "gift_card": True,
        "price": "50.00",
        "quantity": 4,
        "current_quantity": 2,
        "discount_allocations": [{"amount": "20.00"}],
        "tax_lines": [{"price": "9.00"}, {"price": "3.00"}],
    }
    order = paid(
        line_items=[line], payment_gateway_names=["gift_card", "shopify_payments"], source_name="subscription_contract"
    )
    with_tax = paid(line_items=[line], taxes_included=True, source_name="web")

    [card] = order.products
    assert Product(("632", "808", "CARD-50"), "Gift card - 50", Decimal(2), Decimal(96), is_gift_card=True) == card
    assert (("gift_card", "shopify_payments"), True) == (order.paid_with, order.is_subscription)
    assert ((), False, Decimal(90)) == (with_tax.paid_with, with_tax.is_subscription, with_tax.products[0].amount)


def test_c16_the_lines_of_a_session_are_read_where_it_has_them():
    """Stripe's own events tell none."""
    line = {"description": "Tea", "quantity": 2, "amount_total": 1990, "price": {"id": "price_1", "product": "prod_1"}}
    order = session(line_items={"data": [line]}, mode="subscription")

    assert (Product(("prod_1", "price_1"), "Tea", Decimal(2), Decimal("19.90")),) == order.products
    assert order.is_subscription
    assert () == session().products


def test_what_shopify_leaves_out_is_not_known():
    """Nothing but the id and a status is needed."""
    assert read_event("shopify", "orders/paid", {"id": 7, "financial_status": "paid"}) == Order(
        "shopify:7", ("id:shopify:7", "src:shopify:7"), AT, None, None, None, APPROVED, None
    )


@pytest.mark.parametrize(
    ("status", "payment"),
    [
        ("partially_refunded", "Partially Refunded"),
        ("refunded", "REFUNDED"),
        ("voided", "voided"),
        ("approved", "another status"),
    ],
)
def test_an_order_that_shopify_says_is_not_simply_paid_is_judged_by_that(status, payment):
    """A delivery may come late."""
    assert paid(financial_status=status).payments == (Payment(payment),)


@pytest.mark.parametrize("order_id", [{}, {"order_id": 5324830114101}])
def test_what_shopify_signed_as_something_else_is_no_paid_order(order_id):
    """Its signature does not cover the topic: a refund, a customer or a draft that is sent again must buy nothing."""
    signed = {"id": 7, "created_at": "2026-03-02T05:59:00-05:00", "email": "ana@example.com", **order_id}

    assert isinstance(read_event("shopify", "orders/paid", signed), BrokenOrder)
    assert isinstance(read_event("shopify", "refunds/create", PAID), BrokenOrder)


@pytest.mark.parametrize(
    "event",
    [
        *(paid(id=blank) for blank in ("", " ", "\t")),
        *(standard("order.paid", SOLD, source_id=blank) for blank in ("", " ")),
        *(standard("order.paid", SOLD, source_system=unknown) for unknown in (" ", "unknown", " Unknown ")),
    ],
)
def test_an_id_that_names_no_sale_is_broken(event):
    """A blank one would make one sale of many; an order of an unknown system has no such name in Wicked Reports."""
    assert isinstance(event, BrokenOrder)


def test_an_order_number_that_names_no_sale_is_no_name():
    """The id is enough."""
    assert paid(order_number=" ", name=" ").names == ("id:shopify:5324830114101", "src:shopify:5324830114101")


def test_a_problem_can_be_kept_by_any_database():
    """A field may be called anything, and Postgres refuses a NUL: the delivery would keep all others waiting."""
    event = standard("order.paid", SOLD, **{"a\x00b" + "c" * 100_000: 1})

    assert event.problem.isprintable()
    assert len(event.problem) < 1000


@pytest.mark.parametrize("event", [paid(test=True), session(livemode=False), charge(livemode=False)])
def test_a_test_order_is_nothing_for_us(event):
    """It must not spend money."""
    assert event == TEST


def test_a_refund_of_shopify_is_what_its_transactions_gave_back():
    """Those that failed gave nothing."""
    assert read_event("shopify", "refunds/create", GIVEN_BACK) == Refund(
        ("id:shopify:5324830114101", "src:shopify:5324830114101"),
        "shopify:929361464",
        Decimal("42.10"),
        "USD",
        is_full=False,
    )


@pytest.mark.parametrize("transactions", [None, [], [{"kind": "void", "amount": "5", "currency": "USD"}]])
def test_a_refund_of_shopify_by_which_no_money_went_back_is_none(transactions):
    """Goods came back into stock, or the order was cancelled before it was paid."""
    assert read_event("shopify", "refunds/create", GIVEN_BACK | {"transactions": transactions}) == NothingForUs()


def in_both(shop, customers):
    """The same money, as Shopify tells it in the shop's currency and in the customer's."""
    shop_money, presentment_money = (
        dict(zip(("amount", "currency_code"), each, strict=True)) for each in (shop, customers)
    )
    return {"shop_money": shop_money, "presentment_money": presentment_money}


def given_back(amount, *lines, **more):
    """A refund in EUR of a shop that sells in USD."""
    transactions = [{"kind": "refund", "status": "success", "amount": amount, "currency": "EUR"}]
    body = GIVEN_BACK | {"transactions": transactions, "refund_line_items": lines}
    return read_event("shopify", "refunds/create", body | more)


def test_c8_a_refund_in_the_customers_currency_is_told_in_the_shops():
    """Exactly where the lines are all that was given back."""
    line = {
        "subtotal_set": in_both(("100.00", "USD"), ("92.59", "EUR")),
        "total_tax_set": in_both(("8.00", "USD"), ("7.41", "EUR")),
    }
    event = given_back("100.00", line)
    assert (event.amount, event.currency) == (Decimal("108.00"), "USD")


def test_c8_a_refund_in_the_shops_own_currency_is_told_as_it_is():
    """To the third digit, which some currencies have."""
    body = GIVEN_BACK | {
        "transactions": [{"kind": "refund", "amount": "1.234", "currency": "KWD"}],
        "refund_line_items": [{"subtotal_set": in_both(("1.000", "KWD"), ("1.000", "KWD"))}],
    }
    event = read_event("shopify", "refunds/create", body)
    assert (event.amount, event.currency) == (Decimal("1.234"), "KWD")


def test_c8_postage_and_adjustments_are_told_in_both_currencies_too():
    """A small line would be a poor rate; adjustments are told with a minus."""
    event = given_back(
        "60.00",
        {"subtotal_set": in_both(("9.13", "USD"), ("10.00", "EUR"))},
        refund_shipping_lines=[{"subtotal_amount_set": in_both(("45.67", "USD"), ("50.00", "EUR"))}],
    )
    assert (event.amount, event.currency) == (Decimal("54.80"), "USD")
    without_lines = given_back(
        "100.00", order_adjustments=[{"amount_set": in_both(("-108.00", "USD"), ("-100.00", "EUR"))}]
    )
    assert (without_lines.amount, without_lines.currency) == (Decimal("108.00"), "USD")


@pytest.mark.parametrize(("amount", "dollars"), [("105.00", "113.40"), ("50.00", "54.00"), ("0.01", "0.02")])
def test_c8_what_is_no_line_is_converted_as_the_lines_are(amount, dollars):
    """Postage, or less than the lines; rounded up, so that the whole of an order is the whole of it."""
    event = given_back(amount, {"subtotal_set": in_both(("108.00", "USD"), ("100.00", "EUR"))})
    assert (event.amount, event.currency) == (Decimal(dollars), "USD")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{}],
        [{"subtotal_set": {"shop_money": {"amount": "1", "currency_code": "USD"}}}],
        [{"subtotal_set": in_both(("0", "USD"), ("0", "EUR"))}],
        [{"subtotal_set": in_both(("1", "USD"), ("1E-999999", "EUR"))}],
        [{"subtotal_set": in_both(("108", "USD"), ("100", "GBP"))}],
    ],
)
def test_c8_without_both_currencies_a_refund_is_told_as_it_is(lines):
    """It is partial then, unless the order's amount is in that currency."""
    event = given_back("100.00", *lines)
    assert (event.amount, event.currency) == (Decimal("100.00"), "EUR")


EDITED = {
    "total_price": "500.00",
    "current_total_price": "50.00",
    "line_items": [{"quantity": 9, "current_quantity": 0}, {"quantity": 1, "current_quantity": 1}],
}


SHOWN = {"refunds": [{"id": "r0"}]}


def test_c1_an_edited_order_is_what_it_is_now():
    """With the refunds that its price shows already."""
    smaller = paid(**EDITED, **SHOWN)
    larger = paid(
        total_price="50.00", current_total_price="500.00", line_items=[{"quantity": 1, "current_quantity": 10}]
    )

    assert (Decimal(50), Decimal(1), {"shopify:r0"}) == (smaller.amount, smaller.item_count, smaller.refunds)
    assert (Decimal(500), Decimal(10), set()) == (larger.amount, larger.item_count, larger.refunds)


@pytest.mark.parametrize(
    ("fields", "given_back", "left", "status"),
    [
        (EDITED | SHOWN, ["450.00"], "50.00", "Partially Refunded"),  # what made it smaller is announced as well
        (EDITED | SHOWN, ["450.00", "20.00"], "30.00", "Partially Refunded"),
        (EDITED | SHOWN, ["450.00", "50.00"], "0.00", "REFUNDED"),
        (EDITED, ["20.00"], "30.00", "Partially Refunded"),  # the edit was before the payment
        (EDITED, ["50.00"], "0.00", "REFUNDED"),
        ({}, ["30.10"], "50.00", "Partially Refunded"),
        ({}, ["80.10"], "0.00", "REFUNDED"),
        (SHOWN, ["30.10"], "50.00", "Partially Refunded"),  # without a current price nothing is shown
        ({"total_price": "100", "current_total_price": "120", **SHOWN}, ["30.00"], "120", "Partially Refunded"),
    ],
)
def test_c1_a_refund_that_an_edit_shows_already_counts_once(fields, given_back, left, status):
    """In any order, and told again."""
    refunds = [
        Refund((), f"shopify:r{number}", Decimal(each), "USD", is_full=False) for number, each in enumerate(given_back)
    ]
    order = paid(**fields).after(refunds)

    assert (Decimal(left), (Payment(status),)) == (order.amount, order.payments)
    assert order == order.after(reversed(refunds))


@pytest.mark.parametrize("odd", ["2026/03/02 22:00", "yes", []])
def test_c6_an_order_that_was_cancelled_who_knows_when_is_broken(odd):
    """Somebody has to look, for it is no order that was only paid."""
    assert isinstance(paid(cancelled_at=odd), BrokenOrder)


def test_c6_an_order_that_is_paid_and_cancelled_is_undone():
    """Whether its money goes back later or never."""
    names = ("id:shopify:5324830114101", "src:shopify:5324830114101", "src:shopify:1001", "src:shopify:#1001")
    undone = Refund(names, "shopify:5324830114101:cancelled", None, None, is_full=True)
    cancelled = PAID | {"cancelled_at": "2026-03-02T22:00:00Z"}

    assert read_event("shopify", "orders/paid", cancelled) == undone
    assert read_event("shopify", "orders/cancelled", cancelled | {"financial_status": "voided"}) == undone
    assert read_event("shopify", "orders/cancelled", cancelled | {"test": True}) == TEST


def test_c5_an_order_that_is_not_cancelled_cancels_nothing():
    """The signature does not cover the topic: somebody who saw the delivery could send it again as another one."""
    assert isinstance(read_event("shopify", "orders/cancelled", PAID), BrokenOrder)


def test_a_refund_in_two_currencies_cannot_be_added_up():
    """It is partial then, whatever it comes to."""
    mixed = [{"kind": "refund", "amount": "5", "currency": currency} for currency in ("USD", "EUR")]
    event = read_event("shopify", "refunds/create", GIVEN_BACK | {"transactions": mixed})

    assert (event.amount, event.currency) == (None, None)


@pytest.mark.parametrize("topic", ["order.created", "order.updated"])
def test_a_paid_order_of_woocommerce_is_told_as_it_is_now(topic):
    """Times are GMT though they name no zone; postage and tax count as in the other shops."""
    assert woo(topic) == Order(
        id="woocommerce:1843",
        names=("id:woocommerce:1843", "src:woocommerce:1843"),
        ordered_at=datetime(2026, 3, 2, 11, 40, 11, tzinfo=UTC),
        amount=Decimal("80.10"),
        currency="USD",
        item_count=Decimal(3),
        payments=APPROVED,
        customer_email="ana@example.com",
        as_of=datetime(2026, 3, 2, 11, 41, 5, tzinfo=UTC),
        products=WOO_PRODUCTS,
        paid_with=("woocommerce_payments",),
        is_subscription=False,
    )
    assert woo(created_via="subscription").is_subscription


def test_an_order_of_woocommerce_with_a_number_of_its_own_goes_by_both():
    """Plugins count orders by themselves, since pages and products have ids of the same series."""
    assert woo(number="WC-1001").names == ("id:woocommerce:1843", "src:woocommerce:1843", "src:woocommerce:WC-1001")
    assert woo(number=" ").names == woo(number=None).names == ("id:woocommerce:1843", "src:woocommerce:1843")


@pytest.mark.parametrize(
    ("status", "fields", "payment"),
    [
        ("completed", {}, Payment("APPROVED")),
        ("refunded", {}, Payment("REFUNDED")),
        ("on-hold", {}, Payment("on-hold")),  # a payment that is disputed
        ("shipped", {}, Payment("shipped")),  # a plugin's own
        ("manual", {}, Payment("another status")),  # a plugin's own, and a word of Wicked Reports'
        *(
            (status, {"date_paid": None, "date_paid_gmt": None}, Payment(status))
            for status in ("pending", "on-hold", "checkout-draft", "failed", "cancelled", "trash")
        ),
        (
            "processing",
            {"date_paid": None, "date_paid_gmt": None, "payment_method": "cod"},
            Payment("processing without a date of payment"),
        ),
    ],
)
def test_an_order_of_woocommerce_counts_where_it_is_paid(status, fields, payment):
    """Cash on delivery is processing before it is paid; what was never paid may be paid yet, cancelled or not."""
    assert woo(status=status, **fields).payments == (payment,)


@pytest.mark.parametrize("status", ["cancelled", "failed", "trash"])
def test_an_order_of_woocommerce_that_came_to_nothing_after_it_was_paid_is_undone(status):
    """Whether its money went back or not."""
    names = ("id:woocommerce:1843", "src:woocommerce:1843", "src:woocommerce:1001")
    at = datetime(2026, 3, 2, 11, 41, 5, tzinfo=UTC)
    undone = Refund(names, "woocommerce:1843:cancelled", None, None, is_full=True, as_of=at)

    assert woo(status=status, number="1001") == undone


def test_an_order_of_woocommerce_in_the_trash_is_undone():
    """All that is told of it is the id."""
    names = ("id:woocommerce:1843", "src:woocommerce:1843")
    undone = Refund(names, "woocommerce:1843:cancelled", None, None, is_full=True, as_of=AT)

    assert read_event("woocommerce", "order.deleted", {"id": 1843}) == undone


def refunds_of(*totals):
    """As an order lists them, the last first."""
    return [{"id": 2000 + number, "reason": "", "total": total} for number, total in enumerate(totals)][::-1]


@pytest.mark.parametrize(
    ("currency", "total", "refunds", "left"),
    [
        ("USD", "80.10", ["-5.00", "-0.01"], "75.09"),
        ("JPY", "12000", ["-1500"], "10500"),
        ("KWD", "25.125", ["-5.120"], "20.005"),
        ("HUF", "12990.00", ["-990.00"], "12000.00"),
        ("HUF", "12990", ["-0.50"], "12989.50"),
        ("ISK", "5990", ["-990"], "5000"),
        ("usd", 80.1, [-5], "75.1"),  # a plugin's numbers
    ],
)
def test_what_woocommerce_gave_back_is_taken_from_the_total(currency, total, refunds, left):
    """Exactly, in any currency: the total stays what was sold."""
    order = woo(currency=currency, total=total, refunds=refunds_of(*refunds))

    assert (Decimal(left), currency.upper(), (Payment("Partially Refunded"),)) == (
        order.amount,
        order.currency,
        order.payments,
    )
    assert {f"woocommerce:{2000 + number}" for number in range(len(refunds))} == order.refunds


def test_an_order_of_woocommerce_of_which_all_was_given_back_is_refunded():
    """Whatever its status: a plugin may leave it at completed."""
    order = woo(status="completed", refunds=refunds_of("-80.00", "-0.10"))

    assert (Decimal(0), (Payment("REFUNDED"),)) == (order.amount, order.payments)


def test_an_order_of_woocommerce_that_is_not_paid_stays_so_when_money_goes_back():
    """No payment comes of a refund."""
    assert woo(status="on-hold", refunds=refunds_of("-5.00")).payments == (Payment("on-hold"),)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"total": "80,10"}, "total"),
        ({"total": ""}, "total"),
        ({"status": None}, "status"),
        ({"date_modified_gmt": "yesterday"}, "date_modified_gmt"),
        ({"date_paid_gmt": "soon"}, "date_paid_gmt"),
        ({"line_items": [{"quantity": "two"}]}, "line_items.0.quantity"),
        ({"refunds": [{"id": 2000, "reason": "", "total": "--5.00"}]}, "refunds.0.total"),
        ({"refunds": [{"id": 2000}]}, "refunds.0.total"),
    ],
)
def test_an_order_of_woocommerce_that_is_not_as_documented_is_broken(fields, named):
    """Listed by its id, so that a good telling mends it."""
    event = woo(**fields)

    assert isinstance(event, BrokenOrder)
    assert event.id == "woocommerce:1843"
    assert f"field {named}" in event.problem


def test_the_first_version_of_woocommerces_interface_is_refused():
    """It does not say in which zone its times are: nothing would ever count as paid."""
    event = read_event("woocommerce", "order.updated", {k: v for k, v in WOO.items() if not k.endswith("_gmt")})

    assert isinstance(event, BrokenOrder)
    assert "date_paid_gmt" in event.problem


def test_an_error_that_woocommerce_tells_in_place_of_an_order_says_what_to_do():
    """The body is what the interface answers to the user who saved the webhook."""
    error = {"code": "woocommerce_rest_cannot_view", "message": "Sorry, ...", "data": {"status": 403}}
    event = read_event("woocommerce", "order.updated", error, "w-9")

    assert event.id == "woocommerce delivery w-9"
    assert "may not read orders" in event.problem


@pytest.mark.parametrize(
    "signed",
    [
        {"id": 93, "name": "Linen apron", "status": "publish", "price": "24.90", "date_modified_gmt": None},
        {"id": 26, "email": "ana@example.com", "date_created_gmt": "2026-03-02T11:40:11"},
        {"action": "woocommerce_add_to_cart", "arg": "c4ca4238"},
    ],
)
def test_what_woocommerce_signed_as_something_else_is_no_order(signed):
    """Its signature does not cover the topic."""
    assert isinstance(read_event("woocommerce", "order.updated", signed), BrokenOrder)
    assert isinstance(read_event("woocommerce", "order.deleted", signed), BrokenOrder)


def test_an_order_of_woocommerce_that_was_not_deleted_deletes_nothing():
    """Somebody who saw the delivery could send it again as another one."""
    assert isinstance(read_event("woocommerce", "order.deleted", WOO), BrokenOrder)


def test_a_paid_session_of_stripe_goes_by_every_id_of_its_own():
    """Not by its subscription's, which other sales share."""
    assert session(invoice="in_1") == Order(
        id="stripe:cs_1",
        names=("src:stripe:cs_1", "src:stripe:pi_1", "src:stripe:in_1"),
        ordered_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
        amount=Decimal("80.10"),
        currency="USD",
        item_count=None,
        payments=APPROVED,
        customer_email="ana@example.com",
        as_of=datetime(2026, 3, 2, 12, tzinfo=UTC),
    )


def test_c2_an_invoice_and_its_payment_are_of_one_sale():
    """Since version 2025-03-31 neither the session of a subscription nor its charge names the other."""
    paid = {"type": "payment_intent", "payment_intent": "pi_2"}
    event = read_event("stripe", "invoice_payment.paid", stripe({"id": "inpay_2", "invoice": "in_2", "payment": paid}))

    assert (event.names, event.only_names) == (("src:stripe:in_2", "src:stripe:pi_2"), True)
    alone = read_event("stripe", "invoice_payment.paid", stripe({"id": "inpay_2", "invoice": "in_2"}))
    assert alone == NothingForUs()


@pytest.mark.parametrize("topic", ["refund.failed", "charge.refund.updated"])
def test_c3_a_refund_that_failed_is_taken_back(topic):
    """One that only got further is nothing for us."""
    refund = {"id": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 8010, "currency": "usd"}
    failed = read_event("stripe", topic, stripe(refund | {"status": "failed"}))

    assert (failed.ref, failed.amount, failed.is_undone) == ("stripe:re_1:failed", Decimal("80.10"), True)
    assert failed.names == ("src:stripe:pi_1", "src:stripe:ch_1")
    assert read_event("stripe", topic, stripe(refund | {"status": "succeeded"})) == NothingForUs()


@pytest.mark.parametrize("topic", ["charge.captured", "charge.refunded"])
def test_c19_what_was_never_captured_is_no_refund(topic):
    """Stripe counts it as refunded, without a word of money that went back."""
    charge = CHARGE | {"amount": 10000, "amount_captured": 8000, "amount_refunded": 2000, "refunded": False}
    event = read_event("stripe", topic, stripe(charge))
    assert (event.amount, event.uncaptured, event.is_full) == (Decimal(20), Decimal(20), False)

    event = read_event("stripe", topic, stripe(charge | {"amount_refunded": 2500}))
    assert (event.amount, event.uncaptured) == (Decimal(25), Decimal(20))
    assert (
        read_event("stripe", topic, stripe(charge | {"amount_captured": 10000, "amount_refunded": 0})) == NothingForUs()
    )


def test_a_session_that_holds_its_payment_intent_whole_tells_the_charge_too():
    """Stripe can be asked to put objects in place of ids."""
    event = session(
        payment_intent={"id": "pi_1", "latest_charge": {"id": "ch_1"}}, line_items={"data": [{"quantity": 2}]}
    )

    assert event.names == ("src:stripe:cs_1", "src:stripe:pi_1", "src:stripe:ch_1")
    assert event.item_count == 2


@pytest.mark.parametrize("status", ["unpaid", "no_payment_required", None])
def test_a_session_that_is_not_paid_is_nothing_for_us(status):
    """It may be paid later: Stripe then tells so by another event."""
    assert session(payment_status=status) == NothingForUs()
    assert isinstance(session("checkout.session.async_payment_succeeded"), Order)


@pytest.mark.parametrize(
    ("currency", "minor", "amount"),
    [("jpy", 500, "500"), ("kwd", 5120, "5.120"), ("isk", 500, "5"), ("ugx", 500, "5"), ("usd", 1, "0.01")],
)
def test_amounts_of_stripe_are_told_in_the_currencys_smallest_unit(currency, minor, amount):
    """With the exceptions that Stripe documents."""
    assert session(currency=currency, amount_total=minor).amount == Decimal(amount)


def test_a_refunded_charge_of_stripe_names_charge_and_payment_intent():
    """A session is known by the latter."""
    assert charge() == Refund(
        ("src:stripe:ch_1", "src:stripe:pi_1"), "stripe:ch_1", Decimal("80.10"), "USD", is_full=True
    )
    assert charge(refunded=False).is_full is False


def test_our_own_events_name_an_order_as_wicked_reports_does():
    """System in small letters, then the id there."""
    order = standard("order.paid", SOLD)

    assert (order.id, order.names, order.amount) == ("woocommerce:1001", ("src:woocommerce:1001",), Decimal("80.10"))
    assert (order.ordered_at, order.payments) == (AT - timedelta(hours=1), APPROVED)
    assert standard("order.refunded", RETURNED) == Refund(
        ("src:woocommerce:1001",), "src:woocommerce:1001:r1", Decimal(5), "USD", is_full=False
    )
    assert standard("order.paid", SOLD, test=True) == TEST


@pytest.mark.parametrize(
    ("topic", "data", "names"),
    [
        ("order.paid", SOLD | {"amuont": "80"}, "amuont"),
        ("order.paid", SOLD | {"amount": "-1"}, "amount"),
        ("order.paid", SOLD | {"currency": "usd"}, "currency"),
        ("order.refunded", RETURNED | {"amount": None}, "full: true"),
    ],
)
def test_an_event_of_our_own_with_a_slip_is_broken_and_says_where(topic, data, names):
    """A slip must not cost an order its amount in silence."""
    event = standard(topic, data)

    assert isinstance(event, BrokenOrder)
    assert event.id == "woocommerce:1001"
    assert names in event.problem


def test_what_is_broken_is_listed_by_its_order_or_else_by_its_delivery():
    """So that a good reading of the order mends it; nothing of its content is repeated."""
    by_order = paid(total_price="80 ana@example.com")
    by_delivery = read_event("shopify", "orders/paid", b'{"id": null}', "w-9")

    assert (by_order.id, by_delivery.id) == ("shopify:5324830114101", "shopify delivery w-9")
    assert "total_price" in by_order.problem
    assert "ana" not in by_order.problem


def test_a_callback_of_cnaught_hints_at_its_placement_whatever_it_says():
    """The body is not believed, nor even read."""
    key = "impactflow" + "0" * 40
    assert read_event("cnaught", "order", b"nonsense", f"{key}:1f") == Hint(key)
    assert read_event("cnaught", "order", b"nonsense", "another") == NothingForUs()


@pytest.mark.parametrize(
    ("source", "topic"),
    [("shopify", "orders/create"), ("stripe", "ping"), ("woocommerce", "product.restored"), ("standard", "x")],
)
def test_another_topic_is_nothing_for_us(source, topic):
    """Whatever it holds."""
    assert read_event(source, topic, b"not even JSON") == NothingForUs()


TOPICS = {
    "shopify": ("orders/paid", "refunds/create"),
    "woocommerce": ("order.updated", "order.deleted"),
    "stripe": ("checkout.session.completed", "charge.refunded"),
    "standard": ("order.paid", "order.refunded"),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*PAID, *SESSION, *WOO]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(
    topic=st.sampled_from([(sender, topic) for sender, topics in TOPICS.items() for topic in topics]),
    body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50),
    wrapped=st.booleans(),
)
def test_whatever_a_sender_signs_is_understood_or_broken(topic, body, wrapped):
    """Never an exception, which would keep all that came after it waiting."""
    event = read_event(*topic, b'{"id": 1, "data": {"object": %b}}' % body if wrapped else body)

    assert isinstance(event, Order | Refund | BrokenOrder | NothingForUs)


def test_the_documented_events_are_understood():
    """Every example of the page."""
    examples = re.findall(r"```json\n(.*?)```", (DOCS / "webhooks-events.md").read_text(), re.DOTALL)
    kinds = [type(read_event("standard", json.loads(example)["type"], example.encode())) for example in examples]

    assert kinds == [Order, Refund, Refund]


def test_the_schema_is_that_of_the_models():
    """To renew it: write ``event_schema()`` into the file."""
    assert json.loads((DOCS / "webhooks-events.schema.json").read_text()) == event_schema()


@pytest.mark.parametrize("announced_at", ["20260131", 20260131, "1.5e3", "1999-12-31T23:59:59Z"])
def test_a_time_that_is_read_as_one_of_long_ago_breaks_the_order(announced_at):
    """A day without its dashes is seconds since 1970 to a library, and the order would be left out for its age."""
    event = standard("order.paid", SOLD, ordered_at=announced_at)
    assert isinstance(event, BrokenOrder)
    assert "is before the year 2000" in event.problem
    assert isinstance(standard("order.paid", SOLD, ordered_at="2026-01-31T12:00:00Z"), Order)


def test_the_order_in_the_documentation_is_one():
    """As it is sent, and with the refund that the page about webhooks describes."""
    body = json.loads((DOCS / "woocommerce-order.json").read_text())
    refunded = body | {"refunds": [{"id": 1, "total": "-10.00"}], "date_modified_gmt": "2026-11-28T10:41:05"}

    order = read_event("woocommerce", "order.updated", body)
    assert (Decimal("80.10"), APPROVED) == (order.amount, order.payments)
    assert Decimal("70.10") == read_event("woocommerce", "order.updated", refunded).amount


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "field id: "),
        ({"id": ""}, "field id: it is blank or too short"),
        ({"financial_status": None}, "field financial_status: it is no text"),
        ({"total_price": "a lot"}, "field total_price: it is no number"),
        ({"line_items": "none"}, "field line_items: it is no list"),
    ],
)
def test_n16_what_cannot_be_read_is_said_in_plain_words(change, message):
    """Of nobody's library."""
    body = {"id": 1, "created_at": "2026-03-02T11:00:00Z", "total_price": "80.00", "financial_status": "paid"}
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    event = read(Delivery("acme", "shopify", "w-1", "orders/paid", at, json.dumps(body | change).encode()))
    assert isinstance(event, BrokenOrder)
    assert message in event.problem
    for word in ("Input should", "valid", "Value error", "pydantic", "unable to"):
        assert word not in event.problem
