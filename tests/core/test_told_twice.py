"""What becomes of a suspicion that two orders are one sale, whatever comes later and however orders are paged."""

import asyncio
import re
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import new_ledger
from test_changed_orders import mend, next_run
from test_customers import ANA, FIRST, PLANTED, foreseen, when
from virtual_time import VirtualClock, VirtualLoop, in_virtual_time
from webhook_senders import (
    deliver,
    shopify_cancelled,
    shopify_paid,
    shopify_refund,
    stripe_paid,
    taken_up,
    woocommerce_order,
)
from world import GIVING, OFFSET, TREES, make_world, policy_for, policy_of, sold, statuses, sweep, work

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.intake.planning import evaluate, page_of
from impactflow.models import Order, Payment, ProviderName
from impactflow.sandbox.faults import Draws, Faults

EMAIL = "ana@example.com"
OFFSET_5 = OFFSET | {"quantity": {"per_order": 5}}
STRIPES = {"contact": ANA, "sourceSystem": "stripe"}


async def answer(run, decision, asked):
    """A person's answer to what they were shown."""
    reply = Answer(decision, "ana", "so it is")
    return await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, asked, reply)


async def decide(run, decision, order):
    """A person's answer about one order, as it is shown."""
    return await answer(run, decision, await run.ledger.awaiting(order=order))


@contextmanager
def losing_requests(world):
    """Meanwhile no request of a purchase arrives."""
    for name, line in world.sandbox._lines.items():
        line._draws = Draws(Faults.parse("lost_request=1"), name, 0)
    yield
    world.sandbox.calm()


def till(world, system, number):
    """A sale of a shop's own till."""
    return Order(
        id=f"{system}:{number}",
        names=(f"src:{system}:{number}",),
        ordered_at=world.clock.now() - timedelta(minutes=number),
        amount=Decimal(5),
        currency="USD",
        item_count=Decimal(1),
        payments=(Payment("APPROVED"),),
        customer_email="till@example.com",
        reporter=f"the events of {system}",
    )


def bought(world):
    """Which orders something was bought for, and what."""
    return sorted((each["order_id"], each["kind"]) for each in world.purchases)


@pytest.mark.parametrize("page_items", [1, 10])
@pytest.mark.parametrize("over", [shopify_refund, shopify_cancelled])
@in_virtual_time
async def test_c15_what_becomes_of_the_one_does_not_release_the_others(new_world, over, page_items):
    """Told by three; the one that would be bought is given back, or called off, before it is sent."""
    listed = [sold(1, sourceId="EN1-B", contact=ANA), sold(2, **STRIPES)]
    world = new_world(policy=policy_of(TREES), page_items=page_items)
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        world.sandbox.shop.orders = listed
        await taken_up(world, run)
        await world.plan(run)
        assert {"planned": 1, "awaiting_approval": 2} == await statuses(run)
        await over(run, 1)
        for _ in range(2):
            world.clock.turn(minutes=10)
            assert [] == await next_run(world, run)
        assert {"cancelled": 1, "awaiting_approval": 2} == await statuses(run)
        await decide(run, Decision.APPROVE, "WR-2")
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c15_of_two_that_are_suspected_alike_one_is_bought(new_world):
    """A copy waits for a sale that is called off; then its own sale is listed beside it."""
    copy = sold(9, sourceId="pi_2", **STRIPES)
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        await taken_up(world, run)
        world.sandbox.shop.orders = [copy]
        await world.plan(run)
        await shopify_cancelled(run, 1)
        world.sandbox.shop.orders = [copy, sold(2, contact=ANA)]
        for _ in range(2):
            world.clock.turn(minutes=10)
            assert [PLANTED] == await next_run(world, run)
        [asked] = await run.ledger.awaiting()
        assert asked.order == "WR-9"
        assert asked.reason.startswith("it may be order WR-2")


@in_virtual_time
async def test_c15_a_copy_that_was_approved_is_compared_with_what_comes_next(new_world):
    """It is another sale than the one that was shown, which does not say that it is another than any."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        await taken_up(world, run)
        world.sandbox.shop.orders = [sold(9, **STRIPES)]
        await world.plan(run)
        await decide(run, Decision.APPROVE, "WR-9")
        world.clock.turn(minutes=10)
        world.sandbox.shop.orders.append(sold(2, contact=ANA))
        await world.plan(run)
        assert {"planned": 2, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c15_what_was_refused_for_good_is_asked_about_too(new_world):
    """A person may have it sent again; then its copy must not have been bought."""
    world = new_world(policy=policy_of(GIVING | {"campaign": "tres-for-the-future"}))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        await next_run(world, run)
        assert {"failed": 1} == await statuses(run)
        await stripe_paid(run, 1, customer_email=EMAIL)
        await next_run(world, run)
        assert {"failed": 1, "awaiting_approval": 1} == await statuses(run)


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00", "9999-12-31T12:00:00"])
@in_virtual_time
async def test_an_order_of_a_day_that_never_was_stops_no_other(new_world, date):
    """With an address and an amount, by which other orders are looked for around its day."""
    world = new_world(policy=policy_of(TREES | {"when": {"sources": ["shopify"]}}))
    async with world.run() as run:
        await woocommerce_order(run, 1, "processing", 5, date_created_gmt=date)
        await shopify_paid(run, 2)
        assert [PLANTED] == await next_run(world, run)


def own_event(system, name):
    """One of our own events, about an order of some system."""
    data = {"source_system": system, "source_id": name, "amount": "80", "currency": "USD", "customer_email": EMAIL}
    return {"type": "order.paid", "timestamp": "2026-03-02T11:00:00Z", "data": data}


@in_virtual_time
async def test_c15_one_sender_may_tell_of_a_sale_for_two_systems(new_world):
    """A relay of the shop's orders and of the payments."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await deliver(run, "standard", "order.paid", own_event("magento", "1"), "event-1")
        await deliver(run, "standard", "order.paid", own_event("stripe", "pi_1"), "event-2")
        assert [PLANTED] == await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c15_a_relay_that_tells_of_both_answers_nothing(new_world):
    """Each by its own name."""
    world = new_world(orders=[sold(2, sourceId="pi_1", **STRIPES)], policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        assert [PLANTED] == await next_run(world, run)
        await deliver(run, "standard", "order.paid", own_event("shopify", "1001"), "event-1")
        await deliver(run, "standard", "order.paid", own_event("stripe", "pi_1"), "event-2")
        for _ in range(2):
            world.clock.turn(minutes=10)
            assert [PLANTED] == await next_run(world, run)


@pytest.mark.parametrize("together", [True, False])
@in_virtual_time
async def test_c15_whose_it_is_may_be_said_by_what_is_overridden(new_world, together):
    """Stripe's later word of a session, without an address, comes before the earlier one, which has it."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await stripe_paid(run, 1, created=20)
        if not together:
            await taken_up(world, run)
        await stripe_paid(run, 1, created=10, customer_email=EMAIL)
        assert [PLANTED] == await next_run(world, run)
        await shopify_paid(run, 1, email=EMAIL, created_at=run.clock.now().isoformat())
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c15_an_answer_is_about_both(new_world):
    """The sale that a copy was told apart from is not asked about in its turn; a new slot is earned by both."""
    world = new_world(orders=[sold(1, contact=ANA), sold(2, **STRIPES)], policy=policy_of(TREES, OFFSET_5))
    async with world.run() as run:
        await world.plan(run)
        await work(run, ProviderName.ONECLICKIMPACT)
        world.clock.turn(minutes=10)
        await decide(run, Decision.APPROVE, "WR-2")
        await work(run, ProviderName.ONECLICKIMPACT)
        world.clock.turn(minutes=10)
        await next_run(world, run)
        assert bought(world) == [(order, kind) for order in ("WR-1", "WR-2") for kind in ("offset", "plant_trees")]
        mend(world, run, TREES, OFFSET_5, TREES | {"slot": "more"})
        world.clock.turn(minutes=10)
        await next_run(world, run)
        assert bought(world).count(("WR-1", "plant_trees")) == 2


@in_virtual_time
async def test_c15_what_the_policy_does_not_want_is_waited_for_by_nobody(new_world):
    """Stripe's copy would earn under the rule if it were not Stripe's; both are taken up together."""
    rule = TREES | {"when": {"first_order": True, "not_sources": ["stripe"]}}
    world = new_world(policy=policy_of(rule))
    async with world.run() as run:
        await stripe_paid(run, 1, customer_email=EMAIL)
        await shopify_paid(run, 1, email=EMAIL, created_at=run.clock.now().isoformat())
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_c15_what_is_paid_no_longer_is_waited_for_by_nobody(new_world):
    """An order that is set back to unpaid, and its copy that is paid, in one run."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL, updated_at="2026-03-02T11:00:00Z")
        await taken_up(world, run)
        unpaid = {"financial_status": "pending", "updated_at": "2026-03-02T11:30:00Z"}
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="update", email=EMAIL, **unpaid)
        await stripe_paid(run, 1, customer_email=EMAIL)
        assert [PLANTED] == await next_run(world, run)
        assert {"cancelled": 1, "placed": 1} == await statuses(run)


@in_virtual_time
async def test_a_dry_run_knows_what_becomes_of_orders_on_the_pages_before(new_world):
    """A known one is set back to unpaid on the first page; its copy is on the second one."""
    world = new_world(orders=[sold(1, contact=ANA)], policy=policy_of(TREES), page_items=1)
    async with world.run() as run:
        await world.plan(run)
        world.sandbox.shop.orders = [sold(1, contact=ANA, payments=[{"status": "FAILED"}]), sold(2, **STRIPES)]
        world.clock.turn(minutes=10)
        assert (1, 0) == await foreseen(world, run)
        assert [PLANTED] == await next_run(world, run)


@pytest.mark.parametrize(
    ("orders", "fields"),
    [
        # A file that tells days alone dates all its orders to midnight.
        ([sold(1, contact=ANA, date=when(hours=2)), sold(2, contact=ANA, date=when(hours=2), amount=20)], {}),
        (
            [
                sold(1, contact=ANA, date=when(hours=5)),
                sold(2, contact=ANA, date=when(hours=2), sourceSystem="woocommerce"),
            ],
            {"distinct_sources": ["shopify", "woocommerce"]},
        ),
    ],
)
@in_virtual_time
async def test_of_two_orders_one_is_the_first(new_world, orders, fields):
    """Of one instant; or alike, of systems whose orders are never one sale."""
    world = new_world(orders=orders, policy=policy_of(FIRST, **fields))
    async with world.run() as run:
        assert (1, 0) == await foreseen(world, run)
        assert [PLANTED] == await next_run(world, run)
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_whoever_has_had_something_bought_is_no_first_customer(new_world):
    """The order it was bought for was refunded in part since; and one that was approved as another sale counts."""
    first = sold(1, contact=ANA, date=when(days=2))
    world = new_world(orders=[first], policy=policy_of(FIRST))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
        in_part = first | {"payments": [{"status": "Partially Refunded"}]}
        world.sandbox.shop.orders = [in_part, sold(2, contact=ANA, amount=20, date=when(hours=1))]
        world.clock.turn(minutes=10)
        assert [PLANTED] == await next_run(world, run)


@in_virtual_time
async def test_after_two_sales_that_were_told_apart_the_next_one_is_not_the_first(new_world):
    """Whatever was asked about them."""
    alike = [sold(1, contact=ANA, date=when(days=2)), sold(2, date=when(days=2), **STRIPES)]
    world = new_world(orders=alike, policy=policy_of(FIRST))
    async with world.run() as run:
        assert [PLANTED] == await next_run(world, run)
        world.clock.turn(minutes=10)
        await decide(run, Decision.APPROVE, "WR-2")
        assert [PLANTED] * 2 == await next_run(world, run)
        world.sandbox.shop.orders = [*alike, sold(3, contact=ANA, amount=20, date=when(hours=1))]
        for _ in range(2):
            world.clock.turn(minutes=10)
            assert [PLANTED] * 2 == await next_run(world, run)


async def reasons(run):
    """What a person is asked about each order, up to the first comma."""
    return {each.order: each.reason.partition(",")[0] for each in await run.ledger.awaiting()}


@in_virtual_time
async def test_c15_a_question_names_all_that_an_order_may_be(new_world):
    """Two sales, each told by the shop and by Stripe: a copy is another sale than one of them, and yet the other."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for number in (1, 2):
            await shopify_paid(run, number, email=EMAIL)
        assert [PLANTED] * 2 == await next_run(world, run)
        for number in (1, 2):
            await stripe_paid(run, number, customer_email=EMAIL)
        assert [PLANTED] * 2 == await next_run(world, run)
        both = "it may be order shopify:5000000000001 or shopify:5000000000002"
        assert {"stripe:cs_1": both, "stripe:cs_2": both} == {
            order: reason.removesuffix(" or stripe:cs_1") for order, reason in (await reasons(run)).items()
        }


@in_virtual_time
async def test_c15_two_copies_of_which_one_is_approved_are_compared_too(new_world):
    """What is asked about the later one names the earlier one."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        assert [PLANTED] == await next_run(world, run)
        await woocommerce_order(run, 2, "processing", 5, billing={"email": EMAIL})
        await stripe_paid(run, 2, customer_email=EMAIL, created=20)
        await next_run(world, run)
        asked = await reasons(run)
        assert 2 == len(asked)
        assert 1 == sum(" or " in reason for reason in asked.values())


@pytest.mark.parametrize("listed_too", [True, False])
@in_virtual_time
async def test_c15_an_approval_of_another_question_is_no_answer(new_world, listed_too):
    """Of what is above its limit; before it is sent, another order that was bought comes to the same amount."""
    rule = {**TREES, "quantity": {"per_order": 3}, "approve_above": 1}
    world = new_world(policy=policy_of({**TREES, "quantity": {"per_order": 1}}))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL, total_price="100.00", updated_at="2026-03-02T11:00:00Z")
        assert [PLANTED] == await next_run(world, run)
        mend(world, run, rule)
        copy = sold(2, **STRIPES)
        if listed_too:
            world.sandbox.shop.orders = [copy]
        else:
            await stripe_paid(run, 1, customer_email=EMAIL)
        world.clock.turn(minutes=10)
        await next_run(world, run)
        order = "WR-2" if listed_too else "stripe:cs_1"
        assert {order: "3 trees (plant_trees)"} == await reasons(run)
        await decide(run, Decision.APPROVE, order)
        edited = {"total_price": "80.00", "current_total_price": "80.00", "updated_at": "2026-03-02T11:30:00Z"}
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="update", email=EMAIL, **edited)
        for _ in range(2):
            await next_run(world, run)
            world.clock.turn(minutes=10)
        assert [PLANTED] == [(each["provider"], each["quantity"]) for each in world.purchases]
        assert {order: "it may be order shopify:5000000000001"} == await reasons(run)


@in_virtual_time
async def test_c15_products_that_one_teller_alone_knows_hide_no_copy(new_world):
    """The shop's telling earns by its products, Stripe's under a rule of its own; both come in one run."""
    apron = {**TREES, "when": {"not_sources": ["stripe"], "products": {"names": ["*apron*"]}}}
    world = new_world(policy=policy_of(apron, OFFSET_5 | {"when": {"sources": ["stripe"]}}))
    async with world.run() as run:
        lines = [{"id": 1, "name": "Linen apron", "quantity": 1, "price": "80.00"}]
        await shopify_paid(run, 1, email=EMAIL, line_items=lines)
        await stripe_paid(run, 1, customer_email=EMAIL, created=20)
        await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)


@pytest.mark.parametrize("page_items", [1, 10])
@in_virtual_time
async def test_the_earliest_order_is_the_first_though_a_later_one_was_read_before_it(new_world, page_items):
    """Wicked Reports lists the newest first; nothing was sent when the earlier one came."""
    newest_first = [
        sold(1, contact=ANA, amount=20, date=when(hours=1)),
        sold(2, contact=ANA, date=when(hours=30)),
    ]
    world = new_world(orders=newest_first, policy=policy_of(FIRST), page_items=page_items)
    async with world.run() as run:
        for _ in range(2):
            await next_run(world, run)
            world.clock.turn(minutes=10)
        assert [("WR-2", "plant_trees")] == bought(world)


@in_virtual_time
async def test_the_first_order_waits_for_none_that_is_not_the_first(new_world):
    """Stripe's copy of it, dated later than another order of the customer; all on one page."""
    orders = [
        sold(1, date=when(hours=1), **STRIPES),
        sold(2, contact=ANA, amount=20, date=when(hours=5)),
        sold(3, contact=ANA, date=when(hours=9)),
    ]
    world = new_world(orders=orders, policy=policy_of(FIRST))
    async with world.run() as run:
        await next_run(world, run)
        await next_run(world, run)
        assert [("WR-3", "plant_trees")] == bought(world)


@in_virtual_time
async def test_an_order_whose_id_is_the_number_of_another_can_be_approved(new_world):
    """Wicked Reports names an order by a number; another one of the shop has it as its id."""
    listed_row = sold(5, sourceSystem="woocommerce", sourceId="7002", amount=33)
    world = new_world(orders=[listed_row], policy=policy_of(TREES))
    async with world.run() as run:
        await woocommerce_order(run, 50, "processing", 5, id=50, number="7002", total="33.00")
        await next_run(world, run)
        await woocommerce_order(run, 2, "processing", 6, number="51")
        assert [PLANTED] == await next_run(world, run)
        [asked] = await run.ledger.awaiting()
        answer = Answer(Decision.APPROVE, "ana", "another order")
        done = await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, [asked], answer)
        assert [] == done.moved_on
        assert [PLANTED] * 2 == await next_run(world, run)


@in_virtual_time
async def test_c15_a_question_stands_where_something_can_still_wait_for_its_answer(new_world):
    """One order was bought for whole, the other one in a slot only, before they came to the same amount."""
    copy = sold(2, **STRIPES)
    world = new_world(orders=[copy | {"amount": 81}], policy=policy_of(TREES, OFFSET_5))
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders.append(sold(1, contact=ANA))
        await world.plan(run)
        await work(run, ProviderName.CNAUGHT)
        world.sandbox.shop.orders[0] = copy
        for _ in range(2):
            world.clock.turn(minutes=10)
            await next_run(world, run)
        assert [("WR-1", "offset"), ("WR-2", "offset"), ("WR-2", "plant_trees")] == bought(world)
        assert {"WR-1": "it may be order WR-2"} == await reasons(run)


@in_virtual_time
async def test_c15_what_was_in_doubt_when_its_twin_came_is_asked_about_before_it_is_sent_again(new_world):
    """It turns out not to have been bought, and nobody was asked meanwhile."""
    world = new_world(policy=policy_of({**TREES, "quantity": {"per_item": 1}}), faults="lost_request=1")
    seven = {"email": EMAIL, "line_items": [{"id": 1, "name": "Linen apron", "quantity": 7, "price": "10.00"}]}
    async with world.run() as run:
        await shopify_paid(run, 1, updated_at="2026-03-02T11:00:00Z", total_price="81.00", **seven)
        await taken_up(world, run)
        await sweep(run, ProviderName.ONECLICKIMPACT)
        assert {"in_doubt": 1} == await statuses(run)
        world.sandbox.calm()
        world.sandbox.shop.orders = [sold(2, **STRIPES)]
        await world.plan(run)
        await sweep(run, ProviderName.ONECLICKIMPACT)
        assert [("WR-2", "plant_trees")] == bought(world)
        edited = {"total_price": "80.00", "current_total_price": "80.00", "updated_at": "2026-03-02T11:30:00Z"}
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="update", **seven, **edited)
        for _ in range(3):
            await next_run(world, run)
            world.clock.turn(minutes=10)
        assert [("WR-2", "plant_trees")] == bought(world)
        assert {"shopify:5000000000001": "it may be order WR-2"} == await reasons(run)


@pytest.mark.parametrize("together", [False, True])
@in_virtual_time
async def test_c15_a_question_names_what_was_bought_since(new_world, together):
    """A customer buys the same twice in a day, and of the first sale the payment provider tells before the shop."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 2, email=EMAIL)
        await next_run(world, run)
        await stripe_paid(run, 1, customer_email=EMAIL)
        if not together:
            await next_run(world, run)
        [*_] = asked = await run.ledger.awaiting()
        await shopify_paid(run, 1, email=EMAIL)
        for _ in range(2):
            world.clock.turn(minutes=10)
            await next_run(world, run)
        assert [("shopify:5000000000001", "plant_trees"), ("shopify:5000000000002", "plant_trees")] == bought(world)
        [now] = await run.ledger.awaiting()
        assert now.reason.startswith("it may be order shopify:5000000000001 or shopify:5000000000002,")
        for was_shown in asked:
            answered = await answer(run, Decision.APPROVE, [was_shown])
            assert [was_shown] == answered.moved_on


@in_virtual_time
async def test_c15_an_answer_does_not_outrun_what_was_told_before_it(new_world):
    """What a delivery told is judged before the answer is heard, though no run has planned since."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 2, email=EMAIL)
        await stripe_paid(run, 1, customer_email=EMAIL)
        await next_run(world, run)
        shown = await run.ledger.awaiting()
        await shopify_paid(run, 1, email=EMAIL)
        await taken_up(world, run)
        answered = await answer(run, Decision.APPROVE, shown)
        assert shown == answered.moved_on
        await next_run(world, run)
        assert {"placed": 2, "awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_c15_an_approval_of_its_size_is_no_answer_to_what_came_since(new_world):
    """An order that was bought for becomes like one that waits; that is approved before it is judged again."""
    world = new_world(policy=policy_of(TREES | {"quantity": {"per_order": 3}, "approve_above": 3}))
    async with world.run() as run:
        world.sandbox.shop.orders = [sold(1, contact=ANA, amount=100)]
        await next_run(world, run)
        mend(world, run, TREES | {"quantity": {"per_order": 3}, "approve_above": 1})
        await stripe_paid(run, 1, customer_email=EMAIL)
        await next_run(world, run)
        world.clock.turn(minutes=10)
        world.sandbox.shop.orders = [sold(1, contact=ANA)]
        await world.plan(run)
        await decide(run, Decision.APPROVE, "stripe:cs_1")
        await world.place_all(run)
        assert [("WR-1", "plant_trees")] == bought(world)
        [asked] = await run.ledger.awaiting()
        assert asked.reason.startswith("it may be order WR-1,")


@in_virtual_time
async def test_c15_what_was_approved_though_it_is_not_listed_is_asked_about_again(new_world):
    """Before it is sent, an order that was bought for becomes like it; an answer to that is heard."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        earlier = {"email": EMAIL, "updated_at": "2026-03-02T11:00:00Z", "total_price": "100.00"}
        await shopify_paid(run, 1, **earlier)
        await next_run(world, run)
        world.sandbox.shop.orders = [sold(2, **STRIPES)]
        await world.plan(run)
        world.sandbox.shop.orders = []
        world.clock.turn(minutes=10)
        await world.plan(run)
        await decide(run, Decision.APPROVE, "WR-2")
        now = {"updated_at": "2026-03-02T11:30:00Z", "total_price": "80.00", "current_total_price": "80.00"}
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="edit", email=EMAIL, **now)
        await next_run(world, run)
        assert {"placed": 1, "awaiting_approval": 1} == await statuses(run)
        [asked] = await run.ledger.awaiting()
        assert asked.reason.startswith("it may be order shopify:5000000000001,")
        await decide(run, Decision.APPROVE, "WR-2")
        await next_run(world, run)
        assert {"placed": 2} == await statuses(run)


@in_virtual_time
async def test_c15_what_is_in_doubt_is_asked_about_where_another_becomes_like_it(new_world):
    """Before it is sent again."""
    by_item = TREES | {"quantity": {"per_item": 1}}
    world = new_world(policy=policy_of(by_item), faults="lost_request=1")
    async with world.run() as run:
        seven = [{"id": 1, "name": "Apron", "quantity": 7, "price": "11.43"}]
        await shopify_paid(run, 1, email=EMAIL, line_items=seven)
        await taken_up(world, run)
        await sweep(run, ProviderName.ONECLICKIMPACT)
        assert {"in_doubt": 1} == await statuses(run)
        world.sandbox.calm()
        world.sandbox.shop.orders = [sold(2, **STRIPES, amount=81)]
        await world.plan(run)
        await sweep(run, ProviderName.ONECLICKIMPACT)
        world.sandbox.shop.orders = [sold(2, **STRIPES)]
        for _ in range(3):
            await next_run(world, run)
            world.clock.turn(minutes=10)
        assert [("WR-2", "plant_trees")] == bought(world)
        [asked] = await run.ledger.awaiting()
        assert asked.reason.startswith("it may be order WR-2,")


@in_virtual_time
async def test_c15_a_shop_without_wicked_reports_can_answer_at_any_time(new_world):
    """There is nothing that could be read again."""
    world = new_world(policy=policy_of(TREES))
    async with world.run(wicked_reports_api_key=None) as run:
        world.works_under(run, world.policy)
        await shopify_paid(run, 1, email=EMAIL)
        await stripe_paid(run, 1, customer_email=EMAIL)
        await taken_up(world, run)
        await world.place_all(run)
        world.clock.turn(hours=30)
        await decide(run, Decision.APPROVE, "stripe:cs_1")
        await world.place_all(run)
        assert {"placed": 2} == await statuses(run)


@pytest.mark.parametrize("others", [(1,), (1, 3)])
@pytest.mark.parametrize("together", [False, True])
@in_virtual_time
async def test_c15_a_question_about_what_is_not_listed_any_more_names_what_came_since(new_world, together, others):
    """All of it, though the payment provider tells of its order once more in the same moment."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 2, email=EMAIL)
        await next_run(world, run)
        await stripe_paid(run, 1, customer_email=EMAIL)
        await next_run(world, run)
        world.clock.turn(hours=7)
        await next_run(world, run)
        [asked] = await run.ledger.awaiting()
        assert "not listed" in asked.reason
        for number in others:
            await shopify_paid(run, number, email=EMAIL)
        if together:
            await stripe_paid(run, 1, customer_email=EMAIL, created=-5)
        await next_run(world, run)
        [asked] = await run.ledger.awaiting()
        named = " or ".join(f"shopify:500000000000{number}" for number in sorted((*others, 2)))
        assert asked.reason.startswith(f"it may be order {named}, told twice")
        assert "; its order is not listed" in asked.reason
        await decide(run, Decision.APPROVE, "stripe:cs_1")
        await next_run(world, run)
        assert {"placed": 2 + len(others)} == await statuses(run)


@in_virtual_time
async def test_c15_what_is_not_listed_any_more_is_judged_before_that_is_asked(new_world):
    """One reading leaves it out and has another order become like it; who approves is asked about that first."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        yesterday = {"date": "2026-03-01T16:00:00Z"}
        world.sandbox.shop.orders = [sold(1, contact=ANA, amount=100, **yesterday)]
        await next_run(world, run)
        world.sandbox.shop.orders.append(sold(2, **STRIPES))
        await world.plan(run)
        world.clock.turn(minutes=10)
        world.sandbox.shop.orders = [sold(1, contact=ANA, **yesterday)]
        await world.plan(run)
        await decide(run, Decision.APPROVE, "WR-2")
        await world.place_all(run)
        assert [("WR-1", "plant_trees")] == bought(world)
        [asked] = await run.ledger.awaiting()
        assert asked.reason.startswith("it may be order WR-1,")


@in_virtual_time
async def test_c15_an_approval_of_its_size_is_no_answer_where_it_is_sent_again(new_world):
    """What was approved was sent and is in doubt; another order becomes like it, and it turns out not to be bought."""
    world = new_world(policy=policy_of(TREES | {"quantity": {"per_item": 1}}))
    async with world.run() as run:
        world.sandbox.shop.orders = [sold(1, amount=81, **STRIPES)]
        await next_run(world, run)
        mend(world, run, TREES | {"quantity": {"per_item": 1}, "approve_above": 6})
        seven = [{"id": 1, "name": "Apron", "quantity": 7, "price": "11.43"}]
        await shopify_paid(run, 1, email=EMAIL, line_items=seven)
        await next_run(world, run)
        await decide(run, Decision.APPROVE, "shopify:5000000000001")
        with losing_requests(world):
            await sweep(run, ProviderName.ONECLICKIMPACT)
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)
        world.sandbox.shop.orders = [sold(1, **STRIPES)]
        for _ in range(3):
            await next_run(world, run)
            world.clock.turn(minutes=10)
        assert [("WR-1", "plant_trees")] == bought(world)
        [asked] = await run.ledger.awaiting()
        assert asked.reason.startswith("it may be order WR-1,")


@in_virtual_time
async def test_c15_a_slot_that_failed_keeps_no_answer_about_the_other_from_being_heard(new_world):
    """It may be sent again once a person says so; until then the other slot is asked about, and bought."""
    refused = GIVING | {"campaign": "tres-for-the-future"}
    world = new_world(policy=policy_of(refused, OFFSET_5))
    async with world.run() as run:
        world.sandbox.shop.orders = [sold(1, contact=ANA, amount=81)]
        await next_run(world, run)
        world.sandbox.shop.orders.append(sold(2, **STRIPES))
        await world.plan(run)
        await sweep(run, ProviderName.IMPACTAPI)
        world.sandbox.shop.orders[0] = sold(1, contact=ANA)
        await next_run(world, run)
        assert {"placed": 1, "failed": 2, "awaiting_approval": 1} == await statuses(run)
        await decide(run, Decision.APPROVE, "WR-2")
        await next_run(world, run)
        assert {"placed": 2, "failed": 2} == await statuses(run)


@pytest.mark.parametrize("page_items", [1, 2, 10])
@in_virtual_time
async def test_c15_an_answer_is_heard_however_orders_are_paged(new_world, page_items):
    """A run reads two days together, whoever answers one of them: the question is the same."""
    distinct = {"distinct_sources": ["shopify", "woocommerce"]}
    world = new_world(policy=policy_of(TREES, **distinct), page_items=page_items)
    async with world.run() as run:
        world.works_under(run, world.policy)
        others = {"contact": ANA, "sourceSystem": "woocommerce"}
        two = [sold(1, contact=ANA, date="2026-03-02T10:00:00Z"), sold(3, date="2026-03-01T16:00:00Z", **others)]
        world.sandbox.shop.orders = two
        await next_run(world, run)
        world.sandbox.shop.orders = [*two, sold(2, date="2026-03-02T09:00:00Z", **STRIPES)]
        await next_run(world, run)
        await decide(run, Decision.APPROVE, "WR-2")
        await next_run(world, run)
        assert {"placed": 3} == await statuses(run)


@in_virtual_time
async def test_what_is_listed_again_word_for_word_waits_no_longer(new_world):
    """Though its shop told of it, too."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, email=EMAIL)
        await taken_up(world, run)
        listed = [sold(1, sourceId="5000000000001", contact=ANA)]
        for orders, status in ((listed, "planned"), ([], "awaiting_approval"), (listed, "planned")):
            world.clock.turn(minutes=10)
            world.sandbox.shop.orders = orders
            await world.plan(run)
            assert {status: 1} == await statuses(run)


@in_virtual_time
async def test_a_till_told_by_two_names_only_so_many_of_its_sales(new_world):
    """Many of one address and amount in a day, by names that nothing joins: asked about, and named up to a limit."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for system in ("shopify", "stripe"):
            page = [till(world, system, number) for number in range(60)]
            await run.ledger.plan(page_of(world.policy, evaluate(world.policy, page)[0], run.clock, run_id=run.id))
        assert {"planned": 60, "awaiting_approval": 60} == await statuses(run)
        [*asked] = await run.ledger.awaiting(limit=60)
        assert all(" or another, told twice" in each.reason for each in asked)


@pytest.mark.parametrize("page_items", [1, 10])
@in_virtual_time
async def test_an_order_after_one_that_was_refunded_in_part_is_bought_for(new_world, page_items):
    """Though the earlier one is read after it, in every run."""
    first = sold(1, contact=ANA, date=when(days=2))
    second = sold(2, contact=ANA, amount=20, date=when(hours=1))
    rules = (FIRST | {"slot": "first"}, TREES | {"slot": "later", "when": {"first_order": False}})
    world = new_world(orders=[first], policy=policy_of(*rules), page_items=page_items)
    async with world.run() as run:
        await next_run(world, run)
        in_part = first | {"payments": [{"status": "Partially Refunded"}]}
        for orders in ([in_part], [second, in_part], [second, in_part]):
            world.sandbox.shop.orders = orders
            world.clock.turn(minutes=10)
            await next_run(world, run)
        assert ["WR-1", "WR-2"] == [order for order, _ in bought(world)]


#: How a sale may be told of, by names that nothing joins; the last digit of each name says which it is.
REPORTS = {
    "shop": lambda _, run, sale: shopify_paid(run, sale, email=EMAIL),
    "stripe": lambda _, run, sale: stripe_paid(run, sale, customer_email=EMAIL),
    "shop, listed": lambda world, _, sale: listed(world, sold(sale, sourceId=f"EN-B-{sale}", contact=ANA)),
    "stripe, listed": lambda world, _, sale: listed(world, sold(10 + sale, sourceId=f"pi_9{sale}", **STRIPES)),
}
CALLED_OFF = "shop, called off"


async def listed(world, row):
    """Wicked Reports lists a sale."""
    rows = world.sandbox.shop.orders
    rows[:] = [row, *(each for each in rows if each["id"] != row["id"])]


@given(
    steps=st.lists(st.sampled_from([*REPORTS, CALLED_OFF, "run"]), max_size=9),
    page_items=st.sampled_from([1, 2, 10]),
)
@settings(max_examples=40, deadline=None)
def test_c15_a_sale_that_is_told_by_many_names_is_bought_for_once(steps, page_items):
    """In any order and on any pages; each other name of it waits for an answer, whatever becomes of the first one."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_report_by_many_names(Path(folder), steps, page_items))


async def _report_by_many_names(folder, steps, page_items):
    world = make_world(VirtualClock(), new_ledger(folder / "ledger.db"), policy=policy_of(TREES), page_items=page_items)
    async with world.run() as run:
        for step in [*steps, "run", "run"]:
            if step == "run":
                await next_run(world, run)
                world.clock.turn(minutes=10)
            elif step == CALLED_OFF:
                await shopify_cancelled(run, 1)
            else:
                await REPORTS[step](world, run, 1)
        names = len({*steps} & REPORTS.keys())
        counts = await statuses(run)
        if CALLED_OFF in steps:
            assert len(world.purchases) <= 1
        else:
            assert (len(world.purchases), counts.get("awaiting_approval", 0)) == (min(names, 1), max(names - 1, 0))


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from([*REPORTS]), st.sampled_from([1, 2])),
            st.sampled_from(["run", "run", "answer", "deliveries", "hours", "unlisted", "lost"]).map(
                lambda step: (step, 0)
            ),
        ),
        min_size=4,
        max_size=14,
    ),
    page_items=st.sampled_from([1, 2, 10]),
)
@settings(max_examples=25, deadline=None)
def test_c15_whoever_answers_as_the_question_permits_buys_no_sale_twice(steps, page_items):
    """A customer buys the same twice; who is asked approves of what none of the named orders is, and is heard."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_report_two_sales(Path(folder), steps, page_items))


async def _report_two_sales(folder, steps, page_items):
    world = make_world(VirtualClock(), new_ledger(folder / "ledger.db"), policy=policy_of(TREES), page_items=page_items)
    async with world.run() as run:
        hours = iter([7, 7, 7])  # later than a day after its sale an order is told by no second name
        for step, sale in steps:
            match step:
                case "run":
                    await next_run(world, run)
                    world.clock.turn(minutes=10)
                case "answer":
                    await _answer_truthfully(run)
                case "deliveries":
                    await taken_up(world, run)
                case "hours":
                    world.clock.turn(hours=next(hours, 0))
                case "unlisted":
                    world.sandbox.shop.orders = world.sandbox.shop.orders[1:]
                case "lost":
                    with losing_requests(world):
                        await sweep(run, ProviderName.ONECLICKIMPACT)
                case _:
                    await REPORTS[step](world, run, sale)
        for _ in range(8):
            await next_run(world, run)
            await _answer_truthfully(run)
            world.clock.turn(minutes=10)
        bought_for = [order[-1] for order, _ in bought(world)]
        assert sorted(set(bought_for)) == sorted(bought_for)
        assert (await statuses(run)).keys() <= {"placed", "cancelled"}


async def _answer_truthfully(run):
    """About each order that waits: rejected if one of those that the question names is the same sale."""
    for asked in await run.ledger.awaiting():
        named = re.findall(r"(?:shopify|stripe):\w+|WR-\d+", asked.reason)
        is_copy = any(name[-1] == asked.order[-1] for name in named)
        await answer(run, Decision.REJECT if is_copy else Decision.APPROVE, [asked])
