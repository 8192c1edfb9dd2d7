"""What is earned follows what an order is now: edits, refunds that fail, mended policies, numbers that come twice."""

from decimal import Decimal
from itertools import permutations

import pytest
from virtual_time import in_virtual_time
from webhook_senders import (
    deliver,
    shopify_cancelled,
    shopify_paid,
    shopify_refund,
    stripe_event,
    stripe_paid,
    stripe_refund,
    taken_up,
    woocommerce_deleted,
    woocommerce_order,
)
from world import GIVING, OFFSET, TREES, policy_of, sold, statuses

from impactflow.intake.planning import preview
from impactflow.window import Window

COUNTS_PARTLY = {"eligible_payments": ["APPROVED", "MANUAL", "Partially Refunded"]}
EUROS = {"fx": {"as_of": "2026-03-01", "usd_per": {"EUR": Decimal("1.25")}}}
ASK_ABOVE = GIVING | {"approve_above": 300}


def mend(world, run, *rules, **fields):
    """The merchant edits the policy; the next run works with it."""
    world.policy = policy_of(*rules, **fields)
    world.works_under(run, world.policy)


async def next_run(world, run):
    """What ``place`` does: deliveries, Wicked Reports, purchases; what was bought by now."""
    await taken_up(world, run)
    await world.plan(run)
    await world.place_all(run)
    return sorted((each["provider"], each["quantity"]) for each in world.purchases)


@pytest.mark.parametrize("days", [0, 3])
@in_virtual_time
async def test_c4_what_was_held_for_want_of_a_rate_is_bought_once_there_is_one(new_world, days):
    """Although only a webhook has ever told of the order, and did so days ago; a dry run shows just that."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await stripe_paid(run, 1, currency="eur")
        assert [] == await next_run(world, run)
        assert {"held": 1} == await statuses(run)

        world.clock.turn(days=days)
        mend(world, run, GIVING, **EUROS)
        today = run.clock.now().date()
        would = await preview(run.ledger, run.order_source(), world.policy, Window(today, today), run.clock)
        assert (1, {("giving", "impactapi", "usd_cent"): (1, 100)}) == (would.placements, would.totals)
        assert [("impactapi", 100)] == await next_run(world, run)
        assert [("impactapi", 100)] == await next_run(world, run)


@in_virtual_time
async def test_c4_what_was_held_months_ago_is_not_sent_without_a_person(new_world):
    """The webhook's word is too old by then, and nobody has listed the order since."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await stripe_paid(run, 1, currency="eur")
        assert [] == await next_run(world, run)
        world.clock.turn(days=70)
        mend(world, run, GIVING, **EUROS)

        assert [] == await next_run(world, run)
        assert {"planned": 1} == await statuses(run)


@in_virtual_time
async def test_c4_an_order_of_wicked_reports_outside_the_window_is_judged_again(new_world):
    """It is planned, and sent once it is read again, as anything that was read long ago."""
    world = new_world(orders=[sold(1, currency="EUR")], policy=policy_of(GIVING))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        world.clock.turn(days=20)
        mend(world, run, GIVING, **EUROS)

        assert [] == await next_run(world, run)
        assert {"planned": 1} == await statuses(run)


@in_virtual_time
async def test_what_an_edited_policy_makes_of_what_waits_is_bought(new_world):
    """A webhook's order, planned under another policy and not sent yet."""
    world = new_world(policy=policy_of(OFFSET))
    async with world.run() as run:
        await shopify_paid(run, 1)
        await taken_up(world, run)
        mend(world, run, OFFSET | {"quantity": {"per_item": 1}})

        assert [("cnaught", 2000)] == await next_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("paid", "refunded", "failed"))])
@pytest.mark.parametrize("at_once", [True, False])
@in_virtual_time
async def test_c3_a_refund_that_fails_later_is_taken_back(new_world, turns, at_once):
    """In any order of arrival."""
    world = new_world(policy=policy_of(TREES))
    send = {
        "paid": lambda run: stripe_paid(run, 3, created=100),
        "refunded": lambda run: stripe_refund(run, 3, created=200),
        "failed": lambda run: stripe_event(run, "refund.failed", _refund(3), created=300),
    }
    async with world.run() as run:
        for turn in turns:
            await send[turn](run)
            if not at_once:
                await taken_up(world, run)

        assert [("oneclickimpact", 1)] == await next_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("refunded", "failed", "refunded again"))])
@in_virtual_time
async def test_c3_a_refund_that_is_made_again_after_it_failed_counts(new_world, turns):
    """Stripe tells how much of the charge went back so far: as of later than the failure, that is all of it."""
    world = new_world(policy=policy_of(TREES))
    send = {
        "refunded": lambda run: stripe_refund(run, 3, created=200),
        "failed": lambda run: stripe_event(run, "refund.failed", _refund(3), created=300),
        "refunded again": lambda run: stripe_refund(run, 3, created=400),
    }
    async with world.run() as run:
        await stripe_paid(run, 3, created=100)
        for turn in turns:
            await send[turn](run)
            await taken_up(world, run)

        assert [] == await next_run(world, run)


def _refund(number):
    return {
        "id": f"re_{number}",
        "payment_intent": f"pi_{number}",
        "amount": 8000,
        "currency": "usd",
        "status": "failed",
    }


@in_virtual_time
async def test_c9_what_is_left_of_an_order_that_waits_for_approval_still_waits(new_world):
    """Of 500 dollars 495 are left."""
    world = new_world(policy=policy_of(ASK_ABOVE, **COUNTS_PARTLY))
    async with world.run() as run:
        await shopify_paid(run, 1, total_price="500.00")
        assert [] == await next_run(world, run)
        await shopify_refund(run, 1, "5.00")
        assert [] == await next_run(world, run)

        assert [("awaiting_approval", 495)] == [
            (each["status"], each["quantity"])
            for each in (await run.ledger.story("shopify:5000000000001"))["placements"]
        ]


@pytest.mark.parametrize("in_turn", [True, False])
@in_virtual_time
async def test_c7_two_orders_of_one_number_are_two_sales(new_world, in_turn):
    """And what becomes of one of them is nothing to the other."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for number in (8, 9):
            await shopify_paid(run, number, order_number=1040)
            if in_turn:
                await taken_up(world, run)
        await taken_up(world, run)
        await shopify_cancelled(run, 9, order_number=1040)
        await taken_up(world, run)
        assert {"cancelled": 1, "planned": 1} == await statuses(run)

        await world.place_all(run)
        assert ["shopify:5000000000008"] == [each["order_id"] for each in world.purchases]


@in_virtual_time
async def test_c7_wicked_reports_joins_a_number_with_one_sale_of_it(new_world):
    """It lists the one that came first; the other is known by its own id only."""
    world = new_world(orders=[sold(1, sourceId="1040")], policy=policy_of(TREES))
    async with world.run() as run:
        for number in (8, 9):
            await shopify_paid(run, number, order_number=1040)
        await taken_up(world, run)
        await world.plan(run)
        await world.place_all(run)

        assert 2 == len(world.purchases)
        assert "wr:WR-1" in (await run.ledger.story("shopify:5000000000008"))["names"]


@in_virtual_time
async def test_c7_a_number_of_woocommerce_may_be_another_orders_id(new_world):
    """As plugins count that number orders by themselves."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await woocommerce_order(run, 5, "processing", number="7004")
        await woocommerce_order(run, 4, "processing", number="7003")
        await taken_up(world, run)
        await world.place_all(run)

        assert ["woocommerce:7004", "woocommerce:7005"] == sorted(each["order_id"] for each in world.purchases)


@pytest.mark.parametrize("first", ["webhook", "wicked reports"])
@pytest.mark.parametrize("shown", ["#5001", "EN5002-A"])
@in_virtual_time
async def test_c14_a_sale_that_wicked_reports_shows_by_its_name_is_bought_for_once(new_world, first, shown):
    """With the shop's prefix or suffix."""
    world = new_world(orders=[sold(1, sourceId=shown)], policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, order_number=int("".join(filter(str.isdigit, shown))), name=shown)
        await (taken_up(world, run) if first == "webhook" else world.plan(run))

        assert [("oneclickimpact", 1)] == await next_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("session", "payment", "refund"))])
@in_virtual_time
async def test_c2_a_subscriptions_refund_finds_its_sale_by_its_invoice(new_world, turns):
    """Since version 2025-03-31 neither names the other; a third event joins them."""
    world = new_world(policy=policy_of(TREES))
    paid = {"id": "inpay_2", "invoice": "in_2", "payment": {"type": "payment_intent", "payment_intent": "pi_2"}}
    send = {
        "session": lambda run: stripe_paid(run, 2, payment_intent=None, invoice="in_2", mode="subscription"),
        "payment": lambda run: stripe_event(run, "invoice_payment.paid", paid),
        "refund": lambda run: stripe_refund(run, 2),
    }
    async with world.run() as run:
        for turn in turns:
            await send[turn](run)
            await taken_up(world, run)

        assert [] == await next_run(world, run)
        assert ["a payment is REFUNDED"] == [
            each["reason"] for each in (await run.ledger.story("stripe:in_2"))["unearned"]
        ]


@pytest.mark.parametrize("turns", [*permutations(("session", "payment"))])
@in_virtual_time
async def test_c2_a_subscription_is_bought_for_once(new_world, turns):
    """Whatever tells of its invoice besides."""
    world = new_world(policy=policy_of(TREES))
    paid = {"id": "inpay_2", "invoice": "in_2", "payment": {"type": "payment_intent", "payment_intent": "pi_2"}}
    send = {
        "session": lambda run: stripe_paid(run, 2, payment_intent=None, invoice="in_2", mode="subscription"),
        "payment": lambda run: stripe_event(run, "invoice_payment.paid", paid, created=900),
    }
    async with world.run() as run:
        for turn in turns:
            await send[turn](run)
            await taken_up(world, run)

        assert [("oneclickimpact", 1)] == await next_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("session", "captured"))])
@in_virtual_time
async def test_c19_what_was_captured_earns(new_world, turns):
    """80 of 100 dollars, under a policy that counts no order which is partly refunded."""
    world = new_world(policy=policy_of(GIVING))
    charge = {"id": "ch_1", "payment_intent": "pi_1", "amount": 10000, "amount_captured": 8000}
    charge |= {"amount_refunded": 2000, "currency": "usd", "refunded": False}
    send = {
        "session": lambda run: stripe_paid(run, 1, amount_total=10000),
        "captured": lambda run: stripe_event(run, "charge.refunded", charge),
    }
    async with world.run() as run:
        for turn in turns:
            await send[turn](run)
            await taken_up(world, run)

        assert [("impactapi", 80)] == await next_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("paid", "edited", "listed"))])
@in_virtual_time
async def test_c1_an_order_that_is_edited_after_it_was_told_earns_what_it_is_now(new_world, turns):
    """Wicked Reports lists it as it is by then; saying the same again, it undoes no edit."""
    world = new_world(policy=policy_of(GIVING))
    is_edited = False
    async with world.run() as run:
        for turn in turns:
            match turn:
                case "paid":
                    await shopify_paid(run, 1, updated_at="2026-03-02T11:00:00Z")
                case "edited":
                    edit = {"current_total_price": "40.00", "updated_at": run.clock.now().isoformat()}
                    await shopify_paid(run, 1, topic="orders/updated", webhook_id="edited", **edit)
                    is_edited = True
                case "listed":
                    world.sandbox.shop.orders[:] = [sold(1, amount=40 if is_edited else 80)]
            await taken_up(world, run)
            await world.plan(run)
            world.clock.turn(minutes=10)

        assert [("impactapi", 40)] == await next_run(world, run)


@in_virtual_time
async def test_an_order_that_is_told_to_be_less_than_was_bought_stays_bought(new_world):
    """Nothing is bought again, nor cancelled."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await shopify_paid(run, 1, updated_at="2026-03-02T11:00:00Z")
        assert [("impactapi", 80)] == await next_run(world, run)
        for minute in (10, 20):
            at = f"2026-03-02T11:{minute}:00Z"
            price = f"{minute}.00"
            await shopify_paid(run, 1, topic="orders/updated", webhook_id=at, current_total_price=price, updated_at=at)
            assert [("impactapi", 80)] == await next_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("paid", "cancelled", "paid again"))])
@pytest.mark.parametrize("undone", ["cancelled", "deleted"])
@in_virtual_time
async def test_a_sale_of_woocommerce_that_is_paid_again_counts(new_world, turns, undone):
    """A merchant's slip is taken back: what was told as of the latest holds; of the trash no time is told."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for turn in turns:
            match turn:
                case "paid":
                    await woocommerce_order(run, 1, "processing", 1)
                case "cancelled" if undone == "cancelled":
                    await woocommerce_order(run, 1, "cancelled", 2)
                case "cancelled":
                    await woocommerce_deleted(run, 1)
                case "paid again":
                    await woocommerce_order(run, 1, "processing", 3)
            await taken_up(world, run)

        # The trash was heard of at noon, after all that: a person has to look at such an order in the shop.
        assert ([] if undone == "deleted" else [("oneclickimpact", 1)]) == await next_run(world, run)


@in_virtual_time
async def test_a_webhook_without_a_time_changes_nothing_of_an_order_that_counts(new_world):
    """It may be old."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await shopify_paid(run, 1)
        await shopify_paid(run, 1, webhook_id="once more", total_price="800.00")

        assert [("impactapi", 80)] == await next_run(world, run)


@in_virtual_time
async def test_no_sender_tells_of_what_will_be(new_world):
    """A clock that is ahead does not keep what is told afterwards from counting."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await shopify_paid(run, 1, updated_at="2031-01-01T00:00:00Z", total_price="70.00")
        await taken_up(world, run)
        world.clock.turn(hours=1)
        later = run.clock.now().isoformat()
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="later", total_price="60.00", updated_at=later)

        assert [("impactapi", 60)] == await next_run(world, run)


@in_virtual_time
async def test_exact_amounts_are_kept(new_world):
    """A fraction of a fils is neither lost nor made up when an order is judged again."""
    rates = {"fx": {"as_of": "2026-03-01", "usd_per": {"KWD": Decimal("3.25")}}}
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await stripe_paid(run, 1, currency="kwd", amount_total=12_345)
        assert [] == await next_run(world, run)
        mend(world, run, GIVING, **rates)

        assert [("impactapi", 40)] == await next_run(world, run)  # 12.345 KWD are 40.12 USD


async def webhooks_run(world, run):
    """What ``place_events`` does: deliveries and purchases, without reading Wicked Reports."""
    await taken_up(world, run)
    await world.place_all(run)
    return sorted((each["provider"], each["quantity"]) for each in world.purchases)


PAID_INVOICE = {"id": "inpay_2", "invoice": "in_2", "payment": {"type": "payment_intent", "payment_intent": "pi_2"}}


@pytest.mark.parametrize("turns", [*permutations(("session", "payment"))])
@in_virtual_time
async def test_what_only_tells_names_takes_nothing_from_the_orders_of_its_page(new_world, turns):
    """They are planned, and what is held of them is judged again."""
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        for turn in turns:
            if turn == "session":
                await stripe_paid(run, 7, currency="eur")
            else:
                await stripe_event(run, "invoice_payment.paid", PAID_INVOICE)
        assert [] == await next_run(world, run)
        mend(world, run, GIVING, **EUROS)

        assert [("impactapi", 100)] == await next_run(world, run)


@in_virtual_time
async def test_an_order_that_is_listed_without_anything_earns_nothing(new_world):
    """Nor does it keep others of its page from being planned; nor does it stay what it was."""
    bare = {"amount": None, "products": None, "payments": None}
    world = new_world(orders=[sold(1), sold(2, **bare), sold(3)], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        world.clock.turn(minutes=10)
        world.sandbox.shop.orders[:] = [sold(1), sold(3, **bare)]

        assert [("oneclickimpact", 1)] == await next_run(world, run)
        assert ["WR-1"] == [each["order_id"] for each in world.purchases]


@in_virtual_time
async def test_c7_an_order_whose_id_was_told_of_what_has_it_for_its_number_is_left_to_a_person(new_world):
    """Nothing is bought twice for it."""
    world = new_world(orders=[sold(4, sourceSystem="woocommerce", sourceId="7004")], policy=policy_of(GIVING))
    async with world.run() as run:
        assert [("impactapi", 80)] == await next_run(world, run)
        await woocommerce_order(run, 100, "processing", 1, number="7004", total="10.00")
        await taken_up(world, run)
        await woocommerce_order(run, 4, "completed", 2, number="6001")

        assert [("impactapi", 80)] == await next_run(world, run)
        [placement] = (await run.ledger.story("woocommerce:6001"))["placements"]
        assert ("awaiting_approval", True) == (placement["status"], "it may be order WR-4" in placement["reason"])


@in_virtual_time
async def test_an_order_that_the_ledger_has_under_its_id_stays_one(new_world):
    """Also where another one of its number came before its sender told by which id it knows it."""
    world = new_world(policy=policy_of(GIVING))
    data = {"source_system": "woocommerce", "source_id": "7004", "amount": 80, "currency": "USD"}
    async with world.run() as run:
        await deliver(run, "standard", "order.paid", {"type": "order.paid", "data": data}, "s1")
        assert [("impactapi", 80)] == await next_run(world, run)
        await woocommerce_order(run, 100, "processing", 1, number="7004", total="10.00")
        await taken_up(world, run)
        await woocommerce_order(run, 4, "completed", 2, number="6001")

        assert [("impactapi", 80)] == await next_run(world, run)


@pytest.mark.parametrize("in_turn", [True, False])
@in_virtual_time
async def test_c7_two_orders_of_a_number_that_is_listed_are_two_sales(new_world, in_turn):
    """Told together or one by one."""
    world = new_world(orders=[sold(1, sourceId="1040")], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        for number in (8, 9):
            await shopify_paid(run, number, order_number=1040)
            if in_turn:
                await taken_up(world, run)

        assert 2 == len(await next_run(world, run))


@pytest.mark.parametrize("news", ["an old delivery", "a name", "a refund that failed", "a refund in part"])
@in_virtual_time
async def test_what_is_not_listed_any_more_still_awaits_a_person(new_world, news):
    """Whatever else is told of it that does not say that it is paid now."""
    world = new_world(
        orders=[sold(1, sourceSystem="stripe", sourceId="pi_1")], policy=policy_of(TREES, **COUNTS_PARTLY)
    )
    async with world.run() as run:
        await world.plan(run)
        world.sandbox.shop.orders[:] = []
        world.clock.turn(minutes=10)
        await world.plan(run)
        assert {"awaiting_approval": 1} == await statuses(run)
        match news:
            case "an old delivery":
                await stripe_paid(run, 1, created=100)
            case "a name":
                paid = {"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}}
                await stripe_event(run, "invoice_payment.paid", paid)
            case "a refund that failed":
                await stripe_event(run, "refund.failed", _refund(1))
            case _:
                charge = {"id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 500, "currency": "usd"}
                await stripe_event(run, "charge.refunded", charge)

        assert [] == await webhooks_run(world, run)


@pytest.mark.parametrize("how", ["refunded", "refunded in part"])
@in_virtual_time
async def test_what_is_listed_first_may_be_of_before_what_a_webhook_told(new_world, how):
    """Of two words that nobody can put in order the one holds by which less is bought."""
    world = new_world(orders=[sold(1, sourceSystem="woocommerce", sourceId="7001")])
    world.policy = policy_of(GIVING, **COUNTS_PARTLY)
    async with world.run() as run:
        world.works_under(run, world.policy)
        await woocommerce_order(run, 1, "processing", 1)
        if how == "refunded":
            await woocommerce_order(run, 1, "refunded", 30)
        else:
            await woocommerce_order(run, 1, "processing", 30, refunds=[{"id": 5, "total": "-30.00"}])

        assert ([] if how == "refunded" else [("impactapi", 50)]) == await next_run(world, run)


@in_virtual_time
async def test_a_slip_that_was_taken_back_counts_though_it_is_listed_after_that(new_world):
    """Wicked Reports brings a name, and no news."""
    world = new_world(orders=[sold(1, sourceSystem="woocommerce", sourceId="7001")], policy=policy_of(TREES))
    async with world.run() as run:
        for status, minute in (("processing", 1), ("cancelled", 2), ("processing", 3)):
            await woocommerce_order(run, 1, status, minute)

        assert [("oneclickimpact", 1)] == await next_run(world, run)


@pytest.mark.parametrize("at_once", [True, False])
@in_virtual_time
async def test_a_later_word_holds_beside_one_without_a_time(new_world, at_once):
    """Taken up together or one by one."""
    world = new_world(policy=policy_of(GIVING))
    undone = {"current_total_price": "0.00", "financial_status": "refunded", "updated_at": "2026-03-02T11:30:00Z"}
    async with world.run() as run:
        await shopify_paid(run, 1, updated_at="2026-03-02T11:00:00Z")
        await taken_up(world, run)
        await shopify_paid(run, 1, webhook_id="once more")
        if not at_once:
            await taken_up(world, run)
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="undone", **undone)

        assert [] == await webhooks_run(world, run)


@pytest.mark.parametrize("turns", [*permutations(("processing", "refunded"))])
@pytest.mark.parametrize("at_once", [True, False])
@in_virtual_time
async def test_of_two_words_of_one_second_the_one_holds_by_which_less_is_bought(new_world, turns, at_once):
    """Senders tell whole seconds."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for status in turns:
            await woocommerce_order(run, 1, status, 5)
            if not at_once:
                await taken_up(world, run)

        assert [] == await webhooks_run(world, run)


@in_virtual_time
async def test_an_old_webhook_does_not_undo_a_refund_in_part_that_wicked_reports_tells_of(new_world):
    """It says that the order was paid, as of before."""
    part = [{"date": "2026-03-02T11:30:00", "status": "Partially Refunded", "amount": 80}]
    world = new_world(orders=[sold(1, payments=part)], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await shopify_paid(run, 1, updated_at="2026-03-02T11:00:00Z")

        assert [] == await webhooks_run(world, run)


@in_virtual_time
async def test_a_refund_that_is_told_late_counts_though_wicked_reports_was_read_since(new_world):
    """It may list the order as it was for a while."""
    world = new_world(orders=[sold(1, sourceSystem="woocommerce", sourceId="7001")], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await woocommerce_order(run, 1, "refunded", 55)

        assert [] == await next_run(world, run)


@in_virtual_time
async def test_a_cancellation_of_tomorrow_is_of_when_it_was_told(new_world):
    """So a clock that is ahead does not keep the order from being paid again."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await woocommerce_order(run, 1, "processing", 1)
        await woocommerce_order(run, 1, "cancelled", 2, date_modified_gmt="2031-01-01T00:00:00")
        assert [] == await next_run(world, run)
        world.clock.turn(hours=1)
        await woocommerce_order(run, 1, "processing", 3, date_modified_gmt="2026-03-02T12:30:00")

        assert [("oneclickimpact", 1)] == await next_run(world, run)


@in_virtual_time
async def test_what_is_kept_at_one_row_of_a_sale_counts_for_all(new_world):
    """A name joins two rows, of which the first has only names."""
    charge = sold(1, sourceSystem="stripe", sourceId="ch_2", currency="EUR")
    world = new_world(policy=policy_of(GIVING))
    async with world.run() as run:
        await stripe_event(run, "invoice_payment.paid", PAID_INVOICE)
        await taken_up(world, run)
        world.sandbox.shop.orders[:] = [charge]
        await world.plan(run)
        joins = {"id": "inpay_3", "invoice": "in_2", "payment": {"type": "charge", "charge": "ch_2"}}
        await stripe_event(run, "invoice_payment.paid", joins)
        await taken_up(world, run)
        mend(world, run, GIVING, **EUROS)

        assert [("impactapi", 100)] == await webhooks_run(world, run)


@in_virtual_time
async def test_nothing_is_judged_again_for_ever(new_world):
    """Once is enough, also for a refund of a sale in two rows."""
    world = new_world(orders=[sold(1, sourceId="A-1")], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await shopify_paid(run, 1)
        await taken_up(world, run)
        await shopify_paid(run, 1, topic="orders/updated", webhook_id="named", name="A-1")
        await taken_up(world, run)
        await shopify_refund(run, 1)

        assert [1, 0, 0] == [(await taken_up(world, run)).again for _ in range(3)]


@in_virtual_time
async def test_a_dry_run_counts_no_purchase_twice(new_world):
    """Of an order that is kept and is in the window, too, under a policy with one more rule."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1)
        await taken_up(world, run)
        world.sandbox.shop.orders[:] = [sold(1)]
        mend(world, run, TREES, GIVING)
        today = run.clock.now().date()
        would = await preview(run.ledger, run.order_source(), world.policy, Window(today, today), run.clock)

        assert would.placements == len(await next_run(world, run)) == 2


@pytest.mark.parametrize("in_turn", [True, False])
@in_virtual_time
async def test_the_customer_is_told_where_a_refund_is_taken_back(new_world, in_turn):
    """The address is kept while something was planned in the customer's name."""
    world = new_world(policy=policy_of(TREES | {"notify": True}))
    async with world.run() as run:
        await stripe_paid(run, 3, created=100, customer_details={"email": "ana@example.com"})
        await taken_up(world, run)
        await stripe_refund(run, 3, created=200)
        if in_turn:
            await taken_up(world, run)
        await stripe_event(run, "refund.failed", _refund(3), created=300)
        await next_run(world, run)

        assert ["ana@example.com"] == [each["customer_email"] for each in world.purchases]


@in_virtual_time
async def test_c16_what_only_a_webhook_says_holds_after_wicked_reports_has_told_more(new_world):
    """Paid with a gift card, for a gift card; Wicked Reports lists another amount, and then another one."""
    card = [{"product_id": "P1", "name": "Apron", "quantity": 2, "price": "40.00", "gift_card": True}]
    when = {"not_products": {"gift_cards": True}, "not_paid_with": ["gift_card"], "subscription": False}
    rules = [TREES | {"slot": slot, "when": {slot: value}} for slot, value in when.items()]
    world = new_world(orders=[sold(1, amount=75)], policy=policy_of(*rules))
    async with world.run() as run:
        await shopify_paid(
            run, 1, line_items=card, payment_gateway_names=["gift_card"], source_name="subscription_contract"
        )
        for amount in (75, 74, 73):
            world.sandbox.shop.orders = [sold(1, amount=amount)]
            assert [] == await next_run(world, run)
            world.clock.turn(minutes=10)


@in_virtual_time
async def test_a_click_that_is_told_later_is_kept(new_world):
    """Of an order that a webhook told of and Wicked Reports lists: a policy edited then finds it."""
    rule = TREES | {"approve_above": 0, "when": {"last_click": {"campaign": "earth-day"}}}
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    async with world.run() as run:
        await shopify_paid(run, 1)
        await next_run(world, run)
        world.sandbox.shop.orders = [sold(1, attributions={"lastClick": {"campaign": "Earth-Day"}})]
        world.clock.turn(minutes=10)
        await next_run(world, run)
        assert {"awaiting_approval": 1} == await statuses(run)

        mend(world, run, rule | {"approve_above": Decimal("0.5")})
        await taken_up(world, run)
        assert {"awaiting_approval": 1} == await statuses(run)


@in_virtual_time
async def test_a_quantity_beyond_belief_breaks_no_other_delivery(new_world):
    """What the line came to is not known then."""
    line = {"quantity": "1e-999999", "current_quantity": 1, "total": "10"}
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await woocommerce_order(run, 1, "processing", line_items=[line])
        await shopify_paid(run, 2)
        assert 2 == len(await next_run(world, run))


@in_virtual_time
async def test_a_teller_that_does_not_say_if_it_is_a_subscription_changes_nothing(new_world):
    """Wicked Reports says that it is none; Shopify tells of it later."""
    rule = TREES | {"approve_above": 0, "when": {"subscription": False}}
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    async with world.run() as run:
        await next_run(world, run)
        await shopify_paid(run, 1, topic="orders/updated", updated_at=run.clock.now().isoformat())
        await taken_up(world, run)
        assert {"awaiting_approval": 1} == await statuses(run)
