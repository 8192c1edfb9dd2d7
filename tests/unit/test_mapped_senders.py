"""What senders of other shapes tell, read by mappings (the documentation's among them), and what a mapping may be."""

import json
import re
import textwrap
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impactflow.errors import ConfigurationError
from impactflow.intake.senders.events import read
from impactflow.intake.senders.mapping import Senders, load_senders
from impactflow.intake.senders.paths import find, is_path, place
from impactflow.intake.senders.stripe import read_session
from impactflow.intake.senders.values import NothingForUs
from impactflow.ledger import Delivery
from impactflow.models import BrokenOrder, Order, Payment, Refund
from impactflow.webhooks.sources import SCHEMES

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOCUMENTED = Path(__file__).parents[2] / "docs" / "senders.yaml"
APPROVED = (Payment("APPROVED"),)
#: Made up, as Polar's reference describes its orders: amounts in cents, without tax in ``net_amount``.
POLAR = {
    "type": "order.paid",
    "timestamp": "2026-11-20T10:00:05.123456Z",
    "data": {
        "id": "0b1c7d6e-3a50-4c9c-9f6e-0d3f7a3e2b11",
        "created_at": "2026-11-20T10:00:00.000000Z",
        "modified_at": None,
        "status": "paid",
        "paid": True,
        "subtotal_amount": 9010,
        "discount_amount": 1000,
        "net_amount": 8010,
        "tax_amount": 1602,
        "total_amount": 9612,
        "refunded_amount": 0,
        "refunded_tax_amount": 0,
        "currency": "usd",
        "billing_reason": "purchase",
        "customer": {"id": "992fae2a-2a17-4b7a-8d9e-e287cf90131b", "email": "ana@example.com", "name": "Ana"},
        "items": [{"label": "A course", "amount": 9010, "tax_amount": 1602, "proration": False}],
        "metadata": {},
    },
}
POLAR_ID = "polar:" + str(POLAR["data"]["id"])
#: Made up, as Etsy's page describes it, and as it came to those who asked in etsy/open-api discussion 1564.
ETSY = {
    "event_type": "order.paid",
    "resource_url": "https://openapi.etsy.com/v3/application/shops/12345/receipts/54321",
    "shop_id": 12345,
}
#: A made-up shop that sends through Svix: decimal amounts, lines, a mark on tests.
SHOP = {
    "event": {"name": "checkout.done", "sandbox": False},
    "order": {
        "number": 1001,
        "done_at": 1795168800,
        "total": {"value": 80.10, "currency": "EUR"},
        "lines": [{"sku": "a", "qty": 2}, {"sku": "b", "qty": None}, {"sku": "c", "qty": "3"}],
        "buyer": {"mail": "ana@example.com"},
    },
}
SHOP_PAID = {
    "means": "paid",
    "source_id": "order.number",
    "ordered_at": "order.done_at",
    "amount": "order.total.value",
    "currency": "order.total.currency",
    "item_count": "order.lines[].qty",
    "customer_email": "order.buyer.mail",
    "test": "event.sandbox",
}


def senders(**topics):
    """A made-up shop's mapping."""
    mapping = {"topic": "event.name", "topics": {"checkout.done": SHOP_PAID} | topics}
    return Senders.model_validate({"senders": {"shop": mapping}})


def mapped(**fields):
    """The same with fields of what is paid changed, or left out by None."""
    changed = {name: value for name, value in (SHOP_PAID | fields).items() if value is not None}
    return senders(**{"checkout.done": changed})


def read_event(source, topic, body, by):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Delivery("acme", source, "w-1", topic, AT, content), by)


def polar(**data):
    """What an order of Polar's means, with fields of its data changed."""
    topic = data.pop("type", "order.paid")
    body = POLAR | {"type": topic, "data": POLAR["data"] | data}
    return read_event("polar", topic, body, load_senders(DOCUMENTED))


def shop(order=None, by=None, **event):
    """What the made-up shop's order means."""
    body = {"event": SHOP["event"] | event, "order": SHOP["order"] | (order or {})}
    return read_event("shop", "checkout.done", body, by or senders())


def test_c18_an_order_of_polar_is_read_by_the_documented_mapping():
    """In cents, without tax; its currency is written small."""
    assert polar() == Order(
        id=POLAR_ID,
        names=(f"src:{POLAR_ID}",),
        ordered_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
        amount=Decimal("80.10"),
        currency="USD",
        item_count=None,
        payments=APPROVED,
        customer_email="ana@example.com",
        as_of=datetime(2026, 11, 20, 10, 0, 5, 123456, tzinfo=UTC),
    )


def test_c18_a_refund_of_polar_is_all_that_was_given_back_so_far():
    """So the same refund told again is no second one, and a larger amount takes its place."""
    first = polar(type="order.refunded", refunded_amount=1000, status="partially_refunded")
    more = polar(type="order.refunded", refunded_amount=8010, status="refunded")

    assert isinstance(first, Refund)
    assert isinstance(more, Refund)
    assert (first.ref, first.names) == (more.ref, more.names) == (f"src:{POLAR_ID}:refunded", (f"src:{POLAR_ID}",))
    assert [(Decimal("10.00"), False), (Decimal("80.10"), True)] == [
        (each.amount, each.is_full) for each in (first, more)
    ]


def test_c18_an_order_of_etsy_is_read_by_the_documented_mapping():
    """Etsy tells where the order can be read and nothing else: its id is at the end of an address."""
    order = read_event("etsy", "order.paid", ETSY, load_senders(DOCUMENTED))

    assert isinstance(order, Order)
    assert ("etsy:54321", AT, None) == (order.id, order.ordered_at, order.amount)


def test_c18_what_polar_sends_as_our_own_event_is_broken_and_says_what_to_do():
    """It has our own type's name and fields of its own."""
    event = read_event("standard", "order.paid", POLAR, load_senders(DOCUMENTED))

    assert isinstance(event, BrokenOrder)
    assert "docs/webhooks.md" in event.problem


def test_a_shop_of_another_shape_is_read_with_its_lines_added_up():
    """Decimal amounts keep their digits, times are seconds, a line without a number is one thing."""
    order = shop()

    assert isinstance(order, Order)
    assert ("shop:1001", Decimal("80.1"), "EUR", Decimal(6)) == (
        order.id, order.amount, order.currency, order.item_count
    )  # fmt: skip
    assert datetime(2026, 11, 20, 10, tzinfo=UTC) == order.ordered_at
    assert "ana@example.com" == order.customer_email


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"amount": "order.totl.value"}, "amount: nothing stands at order.totl.value"),
        ({"item_count": "order.lines[9].qty"}, "item_count: nothing stands at order.lines[9].qty"),
        ({"item_count": "order.lines"}, "item_count is at order.lines"),
        ({"item_count": "order.lines[].sku"}, "order.lines[].sku is not a number each time"),
        ({"source_id": "order.total"}, "source_id is at order.total"),
        ({"source_id": {"path": "order.buyer.mail", "after": "/"}}, "order.buyer.mail is no text with / in it"),
        ({"ordered_at": "order.buyer.mail"}, "ordered_at is at order.buyer.mail"),
        ({"as_of": "order.buyer.mail"}, "as_of is at order.buyer.mail"),
        ({"currency": "order.number"}, "currency is at order.number"),
        ({"test": "event.sandbx"}, "test: nothing stands at event.sandbx"),
        ({"test": "event.name"}, "test: event.name is neither true nor false"),
    ],
)
def test_c18_a_slip_in_a_path_breaks_the_order_and_is_named(fields, names):
    """It costs no order its amount; nothing of what was sent is repeated."""
    event = shop(by=mapped(**fields))

    assert isinstance(event, BrokenOrder)
    assert names in event.problem
    assert "ana@example.com" not in event.problem
    assert event.id == ("shop delivery w-1" if "source_id" in fields else "shop:1001")


def test_what_is_null_is_not_told_and_what_is_optional_may_be_missing():
    """An e-mail address decides nothing, so that it may be missing anyway."""
    left_out = {"path": "order.gone", "optional": True}
    by = mapped(item_count=left_out, test=left_out, customer_email="order.gone", ordered_at=left_out)
    order = shop({"total": None}, by)

    assert isinstance(order, Order)
    assert (None, None, None, None) == (order.amount, order.currency, order.item_count, order.customer_email)
    assert order.ordered_at == AT


@pytest.mark.parametrize(
    ("condition", "found", "is_test"),
    [
        ("event.sandbox", True, True),
        ("event.sandbox", None, False),
        ({"path": "event.sandbox", "equals": False}, False, True),
        ({"path": "event.sandbox", "equals": False}, 0, False),
        ({"path": "event.sandbox", "equals": 1}, True, False),
        ({"path": "event.sandbox", "equals": "demo"}, "demo", True),
        ({"path": "event.sandbox", "equals": "demo"}, "live", False),
        ({"path": "event.sandbox", "equals": "demo"}, ["demo"], False),
    ],
)
def test_a_test_order_is_told_by_what_stands_somewhere(condition, found, is_test):
    """True is not 1, and what stands there may be anything."""
    event = shop(by=mapped(test=condition), sandbox=found)

    assert isinstance(event, NothingForUs if is_test else Order)


def test_a_sender_never_knows_what_will_be():
    """A time that is still to come is when the delivery came."""
    ahead = (AT + timedelta(days=1)).isoformat()
    for event in (shop({"at": ahead}, mapped(as_of="order.at")), shop({"at": ahead}, senders(**CANCELLED))):
        assert event.as_of == AT


CANCELLED = {"checkout.done": {"means": "cancelled", "source_id": "order.number", "as_of": "order.at"}}


def test_a_cancellation_undoes_all_of_an_order():
    """As Shopify's does."""
    cancelled = {"checkout.done": {"means": "cancelled", "source_id": "order.number"}}
    assert shop(by=senders(**cancelled)) == Refund(
        ("src:shop:1001",), "src:shop:1001:cancelled", None, None, is_full=True
    )


@pytest.mark.parametrize(
    ("full", "amount", "understood"),
    [(True, None, True), ("order.full", None, False), (None, "80.10", True), ("order.full", "80.10", True)],
)
def test_a_refund_says_how_much_in_the_delivery_too(full, amount, understood):
    """A mapping that could tell the amount is not enough."""
    mapping = {"means": "refunded", "source_id": "order.number", "refund_id": "order.refund", "full": full}
    money = {"amount": "order.back", "currency": {"text": "EUR"}}
    by = senders(**{"checkout.done": {name: value for name, value in (mapping | money).items() if value is not None}})
    event = shop({"refund": 7, "full": False, "back": amount}, by)

    assert isinstance(event, Refund if understood else BrokenOrder)
    if understood:
        assert (event.ref, event.is_full) == ("src:shop:1001:7", full is True)


def test_a_source_system_may_be_another_one_and_stand_in_the_delivery():
    """So that Wicked Reports, which knows the shop by another name, tells of the same sale."""
    for system in ({"text": "Magento"}, {"path": "order.system"}):
        content = {"topic": "event.name", "source_system": system, "topics": {"checkout.done": SHOP_PAID}}
        event = shop({"system": "magento"}, Senders.model_validate({"senders": {"shop": content}}))
        assert event.names == ("src:magento:1001",)
    assert isinstance(shop({"system": "unknown"}, Senders.model_validate({"senders": {"shop": content}})), BrokenOrder)


@pytest.mark.parametrize("source", ["shop", "gone"])
def test_c18_a_delivery_without_a_mapping_is_kept_for_one(source):
    """A flow that does not know the sender, or the topic, must not take it for nothing."""
    event = read_event(source, "checkout.begun", SHOP, senders())

    assert event.id == f"{source} delivery w-1"
    assert ("mapping" if source == "shop" else "IMPACTFLOW_SENDERS") in event.problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("senders:\n  shopify: {topics: {a: {means: cancelled, source_id: a}}}", "line 2: senders.shopify: shopify is"),
        ("senders:\n  webhook: {topics: {a: {means: cancelled, source_id: a}}}", "call the sender something else"),
        ("senders:\n  Big: {topics: {a: {means: cancelled, source_id: a}}}", "small letters"),
        ("senders:\n  a:\n    topics: {}", "line 3: senders.a.topics: must list at least one"),
        (
            "senders:\n  a:\n    topics:\n      x: {means: sold, source_id: b}",
            "line 4: senders.a.topics.x: needs means",
        ),
        ("senders:\n  a:\n    topics:\n      x: {means: paid}", "line 4: senders.a.topics.x.source_id: is missing"),
        ("senders:\n  a:\n    topics:\n      x: {means: paid, source_id: b..c}", "names apart by dots"),
        ("senders:\n  a:\n    topics:\n      x: {means: paid, source_id: 7}", "must be a path such as"),
        ("senders:\n  a:\n    topics:\n      x: {means: paid, source_id: 'b[].c'}", "only item_count"),
        ("senders:\n  a:\n    topics:\n      x: {means: paid, source_id: b, amount: c}", "amount needs a currency"),
        ("senders:\n  a:\n    topics:\n      x: {means: refunded, source_id: b}", "says nowhere how much"),
        ("senders:\n  a:\n    topics:\n      x: {means: paid, source_id: b, amout: c}", "did you mean amount?"),
        ("senders:\n  a:\n    secret: x\n    topics: {}", "line 3: senders.a.secret: unknown field"),
        ("senders:\n  a: {source_system: {text: unknown}, topics: {x: {means: cancelled, source_id: b}}}", "a system"),
        ("senders: [", "is not YAML"),
    ],
)
def test_c18_what_is_wrong_with_a_file_of_senders_is_said_with_its_line(tmp_path, text, message):
    """As with a policy."""
    (tmp_path / "senders.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"senders\.yaml") as refused:
        load_senders(tmp_path / "senders.yaml")
    assert message in str(refused.value)


def test_the_example_of_the_documentation_is_a_mapping(tmp_path):
    """As a newcomer copies it."""
    [example] = re.findall(r"```yaml\n(.*?)```", (DOCUMENTED.parent / "webhooks.md").read_text(), re.DOTALL)
    (tmp_path / "senders.yaml").write_text(textwrap.dedent(example))
    assert ["myshop"] == list(load_senders(tmp_path / "senders.yaml").senders)


def test_a_file_of_senders_that_is_not_there_is_named_with_its_variable(tmp_path):
    with pytest.raises(ConfigurationError, match="IMPACTFLOW_SENDERS"):
        load_senders(tmp_path / "gone.yaml")


def test_no_sender_can_take_the_name_or_the_variable_of_another_one():
    """Each has a path and a variable of its own."""
    known = senders().schemes
    assert [("shop", "IMPACTFLOW_SHOP_SECRETS")] == [(each.source, each.variable) for each in known]
    for scheme in SCHEMES:
        taken = {scheme.source, scheme.variable.removeprefix("IMPACTFLOW_").removesuffix("_SECRETS").lower()}
        for name in taken:
            with pytest.raises(ValueError, match="known already"):
                Senders.model_validate({"senders": {name: {"topics": {"a": {"means": "cancelled", "source_id": "b"}}}}})


CODES = st.sampled_from(["usd", "EUR", "jpy", "KWD", "isk", "CLP", "BHD", "UGX"])


@given(amount=st.integers(0, 10**15), currency=CODES)
def test_c18_minor_units_are_worth_the_same_as_with_stripe(amount, currency):
    """Whatever the currency's digits."""
    session = {"id": "cs_1", "payment_status": "paid", "amount_total": amount, "currency": currency}
    stripe = read_session(json.dumps({"data": {"object": session}}).encode(), AT)
    order = polar(net_amount=amount, currency=currency)

    if amount < 10**12:
        assert isinstance(order, Order)
    assert not isinstance(order, Order) or (order.amount, order.currency) == (stripe.amount, stripe.currency)


@pytest.mark.parametrize("amount", [80.5, -1, "80.10", "much", True and [8010]])
def test_minor_units_are_whole_numbers(amount):
    """80.10 in a field of cents would be worth a hundredth."""
    event = polar(net_amount=amount)

    assert isinstance(event, BrokenOrder)
    assert "amount is at data.net_amount" in event.problem


NAMES = st.text(st.characters(exclude_characters=".[]", exclude_categories=["Cs"]), min_size=1, max_size=5)
STEPS = st.lists(NAMES | st.integers(0, 9999), max_size=6).map(lambda rest: ["data", *rest])


def written(steps):
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


@given(steps=STEPS, value=st.none() | st.integers() | st.text())
def test_c18_a_path_finds_what_was_put_there_and_nothing_where_nothing_was(steps, value):
    """Names with any letters but dots and brackets, and places in lists."""
    content = value
    for step in reversed(steps):
        content = {step: content} if isinstance(step, str) else [*[0] * min(step, 50), content]
    shortened = [min(step, 50) if isinstance(step, int) else step for step in steps]
    path = written(shortened)

    assert is_path(path)
    assert find(path, content) == value
    assert find(path, place(path, value)) == value
    for beside in ([*shortened[:-1], "elsewhere!"], [*shortened, "beyond"]):
        if value is not None and beside != shortened:
            with pytest.raises(LookupError):
                find(written(beside), content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SHOP, *SHOP["event"], *SHOP["order"], "value", "currency"]), inner)
    ),
    max_leaves=15,
)


@given(order=st.dictionaries(st.sampled_from([*SHOP["order"]]), JSON), body=JSON | st.none())
def test_c18_whatever_a_mapped_sender_signs_is_understood_or_broken(order, body):
    """Never an exception, which would keep all that came after it waiting."""
    for event in (shop(order), read_event("shop", "checkout.done", json.dumps(body).encode(), senders())):
        assert isinstance(event, Order | Refund | BrokenOrder | NothingForUs)


@given(body=st.binary(max_size=60) | st.sampled_from([b"[" * 9000, b"9" * 5000, b'{"order":1e999999999999999999}']))
def test_what_is_no_json_is_broken(body):
    """By the name of its delivery."""
    event = read_event("shop", "checkout.done", body, senders())

    assert isinstance(event, BrokenOrder)
    assert event.id == "shop delivery w-1"
