"""What else a customer bought: a sale that is told twice, and a first order."""

from datetime import timedelta

import pytest
from test_changed_orders import next_run
from virtual_time import START, in_virtual_time
from webhook_senders import (
    deliver,
    shopify_cancelled,
    shopify_paid,
    stripe_event,
    stripe_paid,
    taken_up,
    woocommerce_order,
)
from world import GIVING, TREES, policy_for, policy_of, sold, statuses

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.intake.planning import preview
from impactflow.window import Window

ANA = {"id": "C1", "email": "Ana@Example.com "}
PLANTED = ("oneclickimpact", 1)
FIRST = TREES | {"when": {"first_order": True}}
LATER = TREES | {"when": {"first_order": False}}


def when(**ago):
    """A time before the test begins."""
    return (START - timedelta(**ago)).isoformat().replace("+00:00", "Z")


def reported_twice(second="stripe"):
    """One sale as the shop and the payments' system tell it to Wicked Reports."""
    return [sold(1, contact=ANA), sold(2, contact={"email": "ana@example.com"}, sourceSystem=second)]


async def foreseen(world, run):
    """What a dry run of the next run's days would buy, and how much would wait for a person."""
    today = run.clock.now().date()
    window = Window(today - timedelta(days=7), today, open_ended=True)
    would = await preview(run.ledger, run.order_source(), world.policy, window, run.clock)
    return would.placements, would.awaiting_approval


@pytest.mark.parametrize("first", ["webhook", "wicked reports"])
@in_virtual_time
async def test_c14_a_sale_under_a_name_that_nothing_joins_is_asked_about(new_world, first):
    """Bought once; who approves the other says that it is another sale, and is not asked again."""
    world = new_world(orders=[sold(1, sourceId="EN5002-B")], policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email="customer1@example.com")
        await (taken_up(world, run) if first == "webhook" else world.plan(run))
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)

        [asked] = await run.ledger.awaiting()
        other = "WR-1" if first == "wicked reports" else "shopify:5000000000001"
        assert asked.reason.startswith(f"it may be order {other}, told twice (same customer, amount and day)")
        answer = Answer(Decision.APPROVE, "ana", "two parcels")
        await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, [asked], answer)
        assert [PLANTED, PLANTED] == await next_run(world, run)
        assert [PLANTED, PLANTED] == await next_run(world, run)


@pytest.mark.parametrize("page_items", [1, 10])
@in_virtual_time
async def test_c15_a_sale_that_two_systems_tell_of_is_asked_about(new_world, page_items):
    """On one page or on two, and in a dry run just as in the run."""
    world = new_world(orders=reported_twice(), policy=policy_of(TREES), page_items=page_items)
    async with world.run() as run:
        assert (1, 1) == await foreseen(world, run)
        assert [PLANTED] == await next_run(world, run)
        assert (0, 1) == await foreseen(world, run)


@pytest.mark.parametrize(
    ("fields", "bought"),
    [
        ({"distinct_sources": [" Shopify", "stripe"]}, 2),
        ({"distinct_sources": ["shopify", "woocommerce"]}, 1),
        ({"rules": [TREES | {"when": {"not_sources": ["stripe"]}}]}, 1),
    ],
)
@in_virtual_time
async def test_c15_the_answer_for_all_such_sales_stands_in_the_policy(new_world, fields, bought):
    """Nobody is asked any more, also about what waits already."""
    world = new_world(orders=reported_twice(), policy=policy_of(TREES))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
        world.policy = policy_of(*fields.pop("rules", [TREES]), **fields)
        assert [PLANTED] * bought == await next_run(world, run)
        waits = 0 if bought == 2 or not fields else 1
        assert waits == (await statuses(run)).get("awaiting_approval", 0)


@pytest.mark.parametrize(
    "other",
    [
        {"sourceSystem": "shopify"},  # one system tells of each sale once
        {"amount": 81},
        {"currency": "EUR"},
        {"date": when(hours=26)},
        {"contact": {"email": "ben@example.com"}},
        {"contact": None},
    ],
)
@in_virtual_time
async def test_c15_two_sales_are_two(new_world, other):
    """Of another customer, amount or day, or told by the same system."""
    second = sold(2, **{"contact": ANA, "sourceSystem": "stripe"} | other)
    world = new_world(orders=[sold(1, contact=ANA), second], policy=policy_of(TREES))
    async with world.run() as run:
        assert [PLANTED, PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c15_webhooks_of_shop_and_payments_are_one_sale_perhaps(new_world):
    """Whichever comes second waits."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await stripe_paid(run, 1, customer_email="ana@example.com")
        await shopify_paid(run, 1, email="ana@example.com", created_at=run.clock.now().isoformat())
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c14_who_is_joined_later_is_asked_about_no_longer(new_world):
    """Two orders of one customer, both told by webhooks, and listed one after the other."""
    listed = [sold(1, contact=ANA)]
    world = new_world(orders=listed, policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 2, email="ana@example.com")
        await world.plan(run)
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)

        world.sandbox.shop.orders = [*listed, sold(2, contact=ANA)]
        world.clock.turn(minutes=10)
        assert [PLANTED, PLANTED] == await next_run(world, run)


@pytest.mark.parametrize("page_items", [1, 10])
@pytest.mark.parametrize(("rule", "bought"), [(FIRST, ["WR-1", "WR-4"]), (LATER, ["WR-2", "WR-3"])])
@in_virtual_time
async def test_a_customers_first_order_is_told_apart(new_world, rule, bought, page_items):
    """By e-mail address; a dry run shows just that."""
    orders = [
        sold(1, contact=ANA, date=when(days=3)),
        sold(2, contact=ANA, date=when(days=2), amount=20),
        sold(3, contact=ANA, date=when(days=1)),
        sold(4, date=when(hours=2)),
    ]
    world = new_world(orders=orders, policy=policy_of(rule), page_items=page_items)
    async with world.run() as run:
        assert (len(bought), 0) == await foreseen(world, run)
        await next_run(world, run)
        await next_run(world, run)
        assert bought == sorted(each["order_id"] for each in world.purchases)


@pytest.mark.parametrize("page_items", [1, 10])
@in_virtual_time
async def test_m5_a_dry_run_says_of_what_is_no_first_order_that_it_would_earn_nothing(new_world, page_items):
    """With the same reasons and numbers as the ledger tells them after a run, beside those of other rules."""
    orders = [
        sold(1, contact=ANA, date=when(days=3)),
        sold(2, contact=ANA, date=when(days=2), amount=20),
        sold(3, contact=None),
        sold(4, currency=None),
    ]
    world = new_world(orders=orders, policy=policy_of(FIRST, GIVING), page_items=page_items)
    async with world.run() as run:
        today = run.clock.now().date()
        window = Window(today - timedelta(days=7), today, open_ended=True)
        would = await preview(run.ledger, run.order_source(), world.policy, window, run.clock)
        assert would.not_earned == {
            ("trees", "it is not the customer's first order"): 1,
            ("trees", "the order does not say who bought it"): 1,
            ("giving", "the order has no currency"): 1,
        }
        await next_run(world, run)
        unearned = await run.ledger.why_unearned(START - timedelta(days=30))
        assert {(each.slot, each.reason): each.count for each in unearned.first} == would.not_earned


@in_virtual_time
async def test_an_order_that_never_counted_is_nobodys_first(new_world):
    """A payment that failed, and tried again; one that was refunded was an order."""
    failed, refunded = [{"status": "FAILED"}], [{"status": "REFUNDED"}]
    orders = [
        sold(1, contact=ANA, date=when(days=2), payments=failed),
        sold(2, contact=ANA, date=when(days=1)),
        sold(3, date=when(days=2), payments=refunded, contact={"email": "ben@example.com"}),
        sold(4, date=when(days=1), contact={"email": "ben@example.com"}),
        sold(5, contact=None),
    ]
    world = new_world(orders=orders, policy=policy_of(FIRST))
    async with world.run() as run:
        await next_run(world, run)
        assert ["WR-2"] == [each["order_id"] for each in world.purchases]
        story = await run.ledger.story("WR-5")
        assert "the order does not say who bought it" in str(story)


@in_virtual_time
async def test_a_sale_told_by_two_is_one_order_of_its_customer(new_world):
    """The webhook's and Wicked Reports' word of it; a later run judges it as the same."""
    world = new_world(orders=[sold(1, contact=ANA)], policy=policy_of(FIRST))
    async with world.run() as run:
        await shopify_paid(run, 1, email="ana@example.com")
        assert [PLANTED] == await next_run(world, run)
        await shopify_cancelled(run, 1)
        world.clock.turn(minutes=10)
        assert [PLANTED] == await next_run(world, run)
        await shopify_paid(run, 2, email="ana@example.com", created_at=run.clock.now().isoformat())
        assert [PLANTED] == await next_run(world, run)


def duplicates(**fields):
    """A sale as two systems tell of it, both changed in the same way."""
    return [sold(1, **{"contact": ANA} | fields), sold(2, **{"contact": ANA, "sourceSystem": "stripe"} | fields)]


@pytest.mark.parametrize(
    "later",
    [
        [sold(1, contact=ANA, amount=70), sold(2, contact=ANA, sourceSystem="stripe")],
        duplicates(amount=70),
        duplicates(contact={"email": "ben@example.com"}),
        duplicates(contact=None),
        [sold(1, contact=ANA, date=when(days=3)), sold(2, contact=ANA, sourceSystem="stripe")],
    ],
)
@pytest.mark.parametrize("rejected", [False, True])
@in_virtual_time
async def test_c15_a_suspicion_stands_until_it_is_answered(new_world, later, rejected):
    """Whatever becomes of what the two have in common; who was told that they are one is asked again."""
    world = new_world(orders=duplicates(), policy=policy_of(TREES))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
        asked = await run.ledger.awaiting()
        if rejected:
            answer = Answer(Decision.REJECT, "ana", "the same sale")
            await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, asked, answer)
        world.sandbox.shop.orders = later
        for _ in range(2):
            world.clock.turn(minutes=10)
            assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c15_the_one_that_is_bought_is_not_asked_about(new_world):
    """Though the ledger knew the other one before, by an event that tells nothing but names."""
    world = new_world(policy=policy_of(TREES))
    joins = {"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}}
    async with world.run() as run:
        await stripe_event(run, "invoice_payment.paid", joins)
        assert [] == await next_run(world, run)
        await shopify_paid(run, 1, email="ana@example.com")
        assert [PLANTED] == await next_run(world, run)
        await stripe_paid(run, 1, invoice="in_1", payment_intent=None, customer_email="ana@example.com")
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@pytest.mark.parametrize("over", ["not_sources", "failed", "cancelled"])
@in_virtual_time
async def test_c15_what_earns_nothing_is_nobodys_twin(new_world, over):
    """The other one of the two is bought at once."""
    rule = TREES | ({"when": {"not_sources": ["stripe"]}} if over == "not_sources" else {})
    shop = [sold(1, contact=ANA, payments=[{"status": "FAILED"}])] if over == "failed" else []
    world = new_world(orders=shop, policy=policy_of(rule))
    async with world.run() as run:
        if over == "cancelled":
            await shopify_paid(run, 1, email="ana@example.com")
            await shopify_cancelled(run, 1)
        if over == "not_sources":
            await stripe_paid(run, 1, customer_email="ana@example.com")
        await world.plan(run)
        await taken_up(world, run)
        if over == "not_sources":
            await shopify_paid(run, 1, email="ana@example.com")
        else:
            await stripe_paid(run, 1, customer_email="ana@example.com")
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c14_our_own_event_and_the_shops_are_two_tellers(new_world):
    """Though both name the same system."""
    sold_there = {"source_system": "shopify", "source_id": "EN-1", "amount": "80", "currency": "USD"}
    event = {
        "type": "order.paid",
        "timestamp": "2026-03-02T11:00:00Z",
        "data": sold_there | {"customer_email": "ana@example.com"},
    }
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email="ana@example.com")
        await deliver(run, "standard", "order.paid", event, "event-1")
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


BOTH = (FIRST | {"slot": "first"}, LATER | {"slot": "later"})


@in_virtual_time
async def test_an_order_is_not_earlier_than_itself(new_world):
    """Its day is corrected, and a second teller dates it before."""
    world = new_world(orders=[sold(1, contact=ANA, date=when(hours=2))], policy=policy_of(*BOTH))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
        world.sandbox.shop.orders = [sold(1, contact=ANA, date=when(hours=1))]
        await shopify_paid(run, 1, email="ana@example.com", created_at=when(hours=3))
        world.clock.turn(minutes=10)
        assert [PLANTED] == await next_run(world, run)


@pytest.mark.parametrize("more", [{}, {"not_sources": ["stripe"]}])
@in_virtual_time
async def test_a_sale_told_twice_is_not_earlier_than_itself(new_world, more):
    """Stripe's copy is of a minute before; whether it is asked about or left out, one of the two is bought."""
    rule = TREES | {"when": {"first_order": True} | more}
    shop, copy = duplicates()
    world = new_world(orders=[shop, copy | {"date": when(minutes=61)}], policy=policy_of(rule))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
        world.clock.turn(minutes=10)
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_no_table_holds_an_address_that_no_provider_is_told(new_world):
    """A digest is kept of it, another one in each store."""
    rule = TREES | {"on_behalf_of": "merchant"}
    world = new_world(orders=[sold(1, contact=ANA)], policy=policy_of(rule))
    async with world.run() as run:
        await next_run(world, run)
    content = world.settings.impactflow_ledger_url.removeprefix("sqlite:///")
    with open(content, "rb") as file:  # noqa: PTH123 - the bytes of the database
        assert b"example.com" not in file.read().lower()


FAILED = [{"status": "FAILED"}]


@in_virtual_time
async def test_c15_two_that_earn_something_late_are_compared(new_world):
    """Both were known before they were paid; of the two one is bought."""
    world = new_world(orders=duplicates(payments=FAILED), policy=policy_of(TREES))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        world.sandbox.shop.orders = duplicates()
        world.clock.turn(minutes=10)
        assert (1, 1) == await foreseen(world, run)
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c15_one_that_earns_late_is_compared_with_what_comes_with_it(new_world):
    """An order that WooCommerce told of unpaid; its payment and the payment's own event are taken up together."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await woocommerce_order(run, 1, "pending", billing={"email": "ana@example.com"})
        assert [] == await next_run(world, run)
        await stripe_paid(run, 1, customer_email="ana@example.com")
        await woocommerce_order(run, 1, "processing", 5, billing={"email": "ana@example.com"})
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c15_a_join_keeps_the_suspicion_and_whose_it_is(new_world):
    """A session that Stripe's events join to another row, told again for less and without an address."""
    world = new_world(policy=policy_of(TREES))
    joins = {"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_9"}}
    async with world.run() as run:
        await shopify_paid(run, 1, email="ana@example.com")
        assert [PLANTED] == await next_run(world, run)
        await stripe_event(run, "invoice_payment.paid", joins)
        await taken_up(world, run)
        await stripe_paid(run, 1, payment_intent=None, customer_email="ana@example.com", created=10)
        assert [PLANTED] == await next_run(world, run)
        await stripe_paid(run, 1, payment_intent="pi_9", amount_total=7000, created=20)
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c15_of_two_deliveries_of_one_sale_one_says_whose_it_is(new_world):
    """Taken up together, the later one without an address."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await stripe_paid(run, 1, customer_email="ana@example.com", created=10)
        await stripe_paid(run, 1, created=20)
        assert [PLANTED] == await next_run(world, run)
        await shopify_paid(run, 1, email="ana@example.com", created_at=run.clock.now().isoformat())
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c15_nobody_knows_of_an_unnamed_system_that_it_is_distinct(new_world):
    """Wicked Reports' copy names none."""
    orders = [sold(1, contact=ANA), sold(2, contact=ANA, sourceSystem=None)]
    world = new_world(orders=orders, policy=policy_of(TREES, distinct_sources=["shopify", "stripe"]))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
