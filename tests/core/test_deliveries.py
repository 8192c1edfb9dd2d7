"""What webhooks brought becomes purchases, once, whatever Wicked Reports says before or after."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import permutations

import pytest
from virtual_time import in_virtual_time
from webhook_senders import (
    deliver,
    shopify_cancelled,
    shopify_paid,
    shopify_refund,
    stripe_paid,
    stripe_refund,
    taken_up,
    woocommerce_deleted,
    woocommerce_order,
)
from world import GIVING, NONE_DIFFER, OFFSET, TREES, differences, fresh_of, policy_of, sold, statuses, sweep, track

from impactflow.callbacks import callback_path
from impactflow.errors import LedgerError
from impactflow.intake.deliveries import with_deliveries
from impactflow.intake.planning import preview
from impactflow.ledger import Claim, Ledger, Move, Status
from impactflow.models import ProviderName
from impactflow.window import Window

CNAUGHT = ProviderName.CNAUGHT
SECRET, URL = "0123456789abcdef", "http://127.0.0.1:9/impact"
CALLED_BACK = {"impactflow_webhooks_url": URL, "impactflow_callback_secret": SECRET}


async def bought_for(world, run):
    """Place everything; what was bought, by order and provider."""
    await world.place_all(run)
    return sorted((each["order_id"], each["provider"]) for each in world.purchases)


async def bought(world, run):
    """The same, where all that Wicked Reports lists is to be bought."""
    found = await bought_for(world, run)
    assert NONE_DIFFER == await differences(world, run)
    return found


@in_virtual_time
async def test_a_sale_that_a_webhook_tells_of_is_bought_for_at_once(new_world):
    """Under the id by which it came first, before Wicked Reports knows of it."""
    world = new_world()
    async with world.run() as run:
        await shopify_paid(run, 1)
        taken = await taken_up(world, run)

        names = ("cnaught", "impactapi", "oneclickimpact")
        assert [("shopify:5000000000001", name) for name in names] == await bought(world, run)
        assert (1, 1, 3) == (taken.deliveries, taken.planned.eligible, taken.planned.placements)
        assert None is await run.ledger.pending_since("acme")


@pytest.mark.parametrize("first", ["webhook", "wicked reports", "both at once"])
@pytest.mark.parametrize("placed_between", [True, False])
@in_virtual_time
async def test_a_sale_that_comes_both_ways_is_bought_for_once(new_world, first, placed_between):
    """By Shopify's order number or by a payment intent of Stripe's, as Wicked Reports has it."""
    world = new_world(
        orders=[sold(1), sold(2, sourceSystem="Stripe", sourceId="pi_2")], policy=policy_of(TREES, GIVING)
    )
    async with world.run() as run, world.run() as other:
        await shopify_paid(run, 1)
        await stripe_paid(run, 2)
        if first != "both at once":
            await (taken_up(world, run) if first == "webhook" else world.plan(run))
        if placed_between:
            await world.place_all(run)
        await asyncio.gather(taken_up(world, run), world.plan(other))

        purchases = await bought(world, run)
        if first != "both at once":
            ids = ("shopify:5000000000001", "stripe:cs_2") if first == "webhook" else ("WR-1", "WR-2")
            assert {order for order, _ in purchases} == set(ids)
        assert ["impactapi"] * 2 + ["oneclickimpact"] * 2 == sorted(provider for _, provider in purchases)
        assert 2 == len({order for order, _ in purchases})


@in_virtual_time
async def test_two_rows_of_wicked_reports_that_a_webhook_joins_are_one_sale(new_world):
    """One knows Stripe's session, the other the payment intent: the webhook knows both."""
    session, intent = (sold(number, sourceSystem="stripe") | {"amount": 80} for number in (1, 2))
    session["sourceId"], intent["sourceId"] = "cs_7", "pi_7"
    world = new_world(orders=[session, intent], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await stripe_paid(run, 7)
        await taken_up(world, run)

        assert [("WR-1", "oneclickimpact")] == await bought(world, run)
        assert {"placed": 1, "cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_a_webhook_that_comes_after_wicked_reports_takes_nothing_away(new_world):
    """Stripe does not tell how many things were sold, so its webhook knows less."""
    world = new_world(orders=[sold(1, sourceSystem="stripe", sourceId="cs_1")], policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        await stripe_paid(run, 1)
        await taken_up(world, run)

        assert [("WR-1", "cnaught")] == await bought(world, run)


@pytest.mark.parametrize("when", ["before", "with", "between", "after"])
@in_virtual_time
async def test_a_refunded_sale_is_not_bought_for(new_world, when):
    """Whenever the refund comes, as long as nothing was sent; although Wicked Reports says nothing of it yet."""
    world = new_world(orders=[sold(1), sold(2, sourceSystem="stripe", sourceId="cs_2")], policy=policy_of(TREES))
    async with world.run() as run:

        async def refund():
            await shopify_refund(run, 1)
            await stripe_refund(run, 2)

        if when == "before":
            await refund()
            await taken_up(world, run)
        await stripe_paid(run, 2)
        if when == "with":
            await refund()
        await shopify_paid(run, 1)
        await taken_up(world, run)
        if when == "between":
            await refund()
            await taken_up(world, run)
        await world.plan(run)
        if when == "after":
            await refund()
            assert 2 == (await taken_up(world, run)).withdrawn
        await world.plan(run)

        assert [] == await bought(world, run)


@in_virtual_time
async def test_a_preview_knows_announced_refunds(new_world):
    """It shows what a run would buy."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1)
        await shopify_refund(run, 1)
        await taken_up(world, run)
        today = world.clock.now().date()
        would = await preview(run.ledger, run.order_source(), world.policy, Window(today, today), run.clock)

        assert (1, 1) == (would.placements, would.eligible)


@pytest.mark.parametrize("partly", [(), ("Partially Refunded",)])
@in_virtual_time
async def test_a_preview_foresees_what_waits_of_webhooks(new_world, partly):
    """It writes nothing, and the run that follows buys just that."""
    policy = policy_of(TREES, OFFSET, GIVING, eligible_payments=["APPROVED", *partly])
    world, updated = new_world(orders=[sold(1), sold(2)], policy=policy), "orders/updated"
    async with world.run() as run:
        edited = {"current_total_price": "50.00", "updated_at": "2026-03-02T11:40:00Z", "line_items": [{"quantity": 1}]}
        await shopify_paid(run, 1)  # listed too
        await shopify_refund(run, 2)  # listed, and refunded
        await shopify_paid(run, 3, updated_at="2026-03-02T11:00:00Z")
        await shopify_paid(run, 3, topic=updated, webhook_id="edited", **edited)
        await shopify_paid(run, 4, topic=updated, webhook_id="edited-4", **edited)
        await shopify_paid(run, 4, updated_at="2026-03-02T11:00:00Z")
        await shopify_cancelled(run, 5)
        await shopify_paid(run, 5)
        await shopify_paid(run, 6)
        await shopify_refund(run, 6, "5.00")
        await woocommerce_order(run, 7, "processing", 1)
        await woocommerce_deleted(run, 7)
        await stripe_paid(run, 8)
        await shopify_paid(run, 9, total_price="much")
        today = world.clock.now().date()
        source = await with_deliveries(run.order_source(), run.ledger, policy)
        would = await preview(run.ledger, source, policy, Window(today, today), run.clock)
        assert {} == await statuses(run)
        await taken_up(world, run)
        await world.plan(run)
        await world.place_all(run)
        bought = Counter((each["provider"], each["quantity"]) for each in world.purchases)

        assert bought == Counter((line["provider"], line["quantity"]) for line in would.lines)
        assert (len(world.purchases), 1) == (would.placements, would.broken)


@in_virtual_time
async def test_a_part_of_an_order_given_back_counts_where_the_policy_says_so(new_world):
    """It is withdrawn, and planned again by the next reading."""
    policy = policy_of(TREES, eligible_payments=["APPROVED", "MANUAL", "Partially Refunded"])
    world = new_world(orders=[sold(1)], policy=policy)
    async with world.run() as run:
        await shopify_paid(run, 1)
        await taken_up(world, run)
        await shopify_refund(run, 1, "5.00")
        assert 1 == (await taken_up(world, run)).withdrawn
        await world.plan(run)
        assert 1 == len(await bought(world, run))

        await shopify_refund(run, 1, "75.00")  # what is placed is left alone
        assert 0 == (await taken_up(world, run)).withdrawn


@in_virtual_time
async def test_deliveries_that_mean_nothing_are_finished_and_hold_up_nothing(new_world):
    """A test order buys nothing and says so; what cannot be read is listed, until the order is read well."""
    world = new_world(orders=[sold(3)], policy=policy_of(TREES))
    async with world.run() as run:
        await shopify_paid(run, 1, test=True)
        await shopify_paid(run, 3, total_price="a lot")
        await deliver(run, "shopify", "orders/create", {}, "another topic")
        await shopify_paid(run, 2)
        taken = await taken_up(world, run)

        assert (4, 2, 1, 2) == (taken.deliveries, taken.planned.read, taken.planned.broken, taken.others)
        assert ["shopify:5000000000003"] == [row["name"] for row in await run.ledger.broken()]
        assert [("shopify:5000000000002", "oneclickimpact")] == await bought(world, run)
        assert "1 unreadable" in taken.in_words()

        await shopify_paid(run, 3, webhook_id="mended")
        await taken_up(world, run)
        assert [] == await run.ledger.broken()


@in_virtual_time
async def test_deliveries_whose_run_was_killed_are_taken_up_again_with_no_further_effect(new_world, monkeypatch):
    """After everything they mean is on disk and before they are finished."""
    world = new_world(policy=policy_of(TREES))
    with monkeypatch.context() as patch:

        async def killed(*_: object) -> None:
            raise LedgerError

        patch.setattr(Ledger, "finish_delivery", killed)
        async with world.run() as run:
            await shopify_paid(run, 1)
            await shopify_paid(run, 2)
            await shopify_refund(run, 2)
            with pytest.raises(LedgerError):
                await taken_up(world, run)
    async with world.run() as run:
        taken = await taken_up(world, run)

        assert (3, 0, 0) == (taken.deliveries, taken.planned.new, taken.planned.placements)
        assert [("shopify:5000000000001", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_more_deliveries_than_a_page_holds_are_taken_up_in_order(new_world):
    """Each once."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await asyncio.gather(*(shopify_paid(run, number) for number in range(1, 521)))
        taken = await taken_up(world, run)

        assert (520, 520) == (taken.deliveries, taken.planned.placements)
        assert 0 == (await taken_up(world, run)).deliveries


@in_virtual_time
async def test_a_callback_of_cnaught_has_its_order_looked_at_at_once(new_world):
    """What the callback says is not believed: CNaught is asked."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), settings=CALLED_BACK, speed=1_000)
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
        assert 0 == (await track(run, CNAUGHT)).completed
        world.clock.turn(seconds=200)  # fulfilled by now, and not due to be looked at yet
        assert 0 == (await track(run, CNAUGHT)).checked

        [purchase] = await run.ledger.purchases()
        [callback] = world.sandbox.callbacks.take_due(run.clock.now())
        assert callback.url == URL + callback_path(SECRET, purchase["key"])
        await deliver(run, "cnaught", "order", {"order": {"state": "cancelled"}}, f"{purchase['key']}:1f")
        taken = await taken_up(world, run)
        tracked = [await track(run, provider) for provider in taken.due_at]

        assert (1, [1]) == (taken.hints, [each.completed for each in tracked])


@pytest.mark.parametrize(
    ("faults", "listed_after_s"), [("lost_answer=1", 0), ("lost_answer=1", 20), ("lost_request=1", 0)]
)
@in_virtual_time
async def test_settings_that_change_while_an_answer_is_lost_do_not_park_anything(new_world, faults, listed_after_s):
    """The key then comes with another body, and is refused: the order is found by its metadata, once it is listed."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), settings=CALLED_BACK, faults=faults)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, CNAUGHT)
        assert {"in_doubt": 1} == await statuses(run)
    world.sandbox.calm()
    for purchase in world.sandbox.books.purchases:
        purchase.listed_at += timedelta(seconds=listed_after_s)
    async with world.run(impactflow_webhooks_url="https://elsewhere.example.com") as run:
        assert 1 == len(await bought(world, run))
        assert {"placed": 1} == await statuses(run)


@pytest.mark.parametrize("at_once", [True, False])
@in_virtual_time
async def test_a_refund_by_a_name_that_only_the_announcement_joins_is_heard(new_world, at_once):
    """Wicked Reports knows the order's number, the refund its id."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await shopify_refund(run, 1)
        if not at_once:
            await taken_up(world, run)
        await shopify_paid(run, 1)
        await taken_up(world, run)

        assert [] == await bought(world, run)


@pytest.mark.parametrize("by", ["webhook", "wicked reports"])
@in_virtual_time
async def test_what_was_being_sent_when_its_order_was_refunded_is_not_sent_again(new_world, ledger_url, by):
    """It could not be withdrawn then, and turned out not to have been bought."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), ledger_url=ledger_url)
    async with world.run() as run:
        await world.plan(run)
        now = run.clock.now()
        claim = Claim(
            ProviderName.ONECLICKIMPACT,
            "acme",
            run.id,
            now,
            now + timedelta(seconds=60),
            exclusive=True,
            fresh=fresh_of(run),
        )
        [placement] = await run.ledger.record_and_claim([], claim, 1)
        if by == "webhook":
            await shopify_paid(run, 1)
            await shopify_refund(run, 1)
            await taken_up(world, run)
        else:
            world.sandbox.shop.orders[:] = [sold(1, payments=[{"status": "REFUNDED"}])]
            await world.plan(run)
        await run.ledger.move(Move(placement, Status.PLACING, Status.PLANNED, now, run.id, "not sent", due_at=now))

        assert [] == await bought(world, run)
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_a_sale_that_wicked_reports_calls_refunded_is_not_bought_for_by_a_late_webhook(new_world):
    """The webhook is older news; Wicked Reports may take its own word back."""
    row = sold(1, payments=[{"status": "REFUNDED"}])
    world = new_world(orders=[row], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await shopify_paid(run, 1)
        await taken_up(world, run)

        assert [] == await bought(world, run)

        world.sandbox.shop.orders[:] = [sold(1)]
        await world.plan(run)

        assert [("WR-1", "oneclickimpact")] == await bought(world, run)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("turns", [*permutations(("paid", "cancelled", "paid anew"))])
@in_virtual_time
async def test_c5_an_order_that_was_cancelled_and_made_anew_is_bought_for_once(new_world, turns, at_once):
    """As apps do it that edit orders: in any order of arrival, taken up together or one by one, and read besides."""
    world = new_world(orders=[sold(5), sold(6)])
    senders = {"paid": (shopify_paid, 5), "cancelled": (shopify_cancelled, 5), "paid anew": (shopify_paid, 6)}
    async with world.run() as run:
        for turn in turns:
            send, number = senders[turn]
            await send(run, number)
            if not at_once:
                await taken_up(world, run)
        await taken_up(world, run)
        await world.plan(run)

        assert {"shopify:5000000000006"} == {order_id for order_id, _ in await bought_for(world, run)}


@pytest.mark.parametrize("cancelled_first", [True, False])
@in_virtual_time
async def test_c6_what_says_that_it_was_cancelled_is_not_bought_for(new_world, cancelled_first):
    """Nor when Wicked Reports lists it as paid, before or after."""
    world = new_world(orders=[sold(1)])
    async with world.run() as run:
        if not cancelled_first:
            await world.plan(run)
        await shopify_paid(run, 1, cancelled_at="2026-03-02T22:00:00Z")
        await taken_up(world, run)
        await world.plan(run)

        assert [] == await bought_for(world, run)


@pytest.mark.parametrize("bought_before", [True, False])
@in_virtual_time
async def test_c12_a_refund_is_part_of_the_orders_story(new_world, bought_before):
    """Whatever became of it: told under two names it is one."""
    world = new_world()
    async with world.run() as run:
        await shopify_paid(run, 1)
        await taken_up(world, run)
        if bought_before:
            await world.place_all(run)
        announced_at = run.clock.now()
        await shopify_refund(run, 1, "80.00")
        await shopify_cancelled(run, 1)
        await taken_up(world, run)
        story = await run.ledger.story("shopify:5000000000001")

    refunds = [(refund["ref"], refund["amount"], refund["currency"], refund["is_full"]) for refund in story["refunds"]]
    assert [
        ("shopify:1-80.00", "80.00", "USD", False),
        ("shopify:5000000000001:cancelled", None, None, True),
    ] == refunds
    assert all(refund["seen_at"] >= announced_at for refund in story["refunds"])
    expected = {Status.PLACED} if bought_before else {Status.CANCELLED}
    assert expected == {Status(placement["status"]) for placement in story["placements"]}


@in_virtual_time
async def test_c17_an_old_order_that_was_imported_into_the_shop_is_not_bought_for(new_world):
    """Unless the policy says how old orders may be when a webhook tells of them."""
    world = new_world()
    async with world.run() as run:
        await shopify_paid(run, 1, processed_at="2019-05-01T12:00:00Z")
        await taken_up(world, run)
        assert [] == await bought_for(world, run)
        story = await run.ledger.story("shopify:5000000000001")

    assert ["sold more than 60 days (at_most_days_old) before a webhook reported it"] == [
        each["reason"] for each in story["unearned"]
    ]


@in_virtual_time
async def test_c1_an_edited_order_earns_what_it_is_now(new_world):
    """50 cents of 50 dollars and an offset for one thing; what it was first sold as earns nothing."""
    world = new_world(policy=policy_of(GIVING, OFFSET))
    lines = [{"quantity": 9, "current_quantity": 0}, {"quantity": 1, "current_quantity": 1}]
    async with world.run() as run:
        await shopify_paid(run, 1, total_price="500.00", current_total_price="50.00", line_items=lines)
        await taken_up(world, run)
        await bought_for(world, run)

    assert {("impactapi", 50), ("cnaught", 2500)} == {(each["provider"], each["quantity"]) for each in world.purchases}


@in_virtual_time
async def test_c17_how_late_a_webhook_tells_of_a_sale_that_counts_is_no_news(new_world):
    """What was planned as Wicked Reports tells it stays so."""
    world = new_world(orders=[sold(1)])
    async with world.run() as run:
        await world.plan(run)
        await shopify_paid(run, 1, processed_at="2019-05-01T12:00:00Z")
        await taken_up(world, run)

        assert [("WR-1", name) for name in ("cnaught", "impactapi", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_a_sale_of_woocommerce_is_bought_for_once_it_is_paid(new_world):
    """However often it is told of, unpaid and paid, as new and as changed, and by Wicked Reports under its number."""
    world = new_world(orders=[sold(1, sourceSystem="WooCommerce")], policy=policy_of(TREES))
    async with world.run() as run:
        await woocommerce_order(run, 1, "pending", topic="order.created")
        await woocommerce_order(run, 1, "on-hold", 1)
        await taken_up(world, run)
        assert [] == await bought_for(world, run)

        await woocommerce_order(run, 1, "processing", 2)
        await taken_up(world, run)
        await world.place_all(run)
        await woocommerce_order(run, 1, "completed", 3)
        await taken_up(world, run)
        await world.plan(run)

        assert [("woocommerce:7001", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_a_sale_of_woocommerce_that_was_cancelled_unpaid_can_be_paid_yet(new_world):
    """The shop cancels what is unpaid for an hour; a payment that comes later makes it an order again."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        for minute, status in enumerate(("pending", "cancelled", "failed")):
            await woocommerce_order(run, 1, status, minute, date_paid_gmt=None)
            await taken_up(world, run)
        assert [] == await bought_for(world, run)

        await woocommerce_order(run, 1, "processing", 9)
        await taken_up(world, run)
        assert [("woocommerce:7001", "oneclickimpact")] == await bought_for(world, run)


@pytest.mark.parametrize("undone_first", [True, False])
@pytest.mark.parametrize("how", ["cancelled", "failed", "trash", "deleted"])
@in_virtual_time
async def test_a_paid_sale_of_woocommerce_that_came_to_nothing_is_not_bought_for(new_world, how, undone_first):
    """In whichever order the deliveries come: WooCommerce sends them in the background."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:

        async def undo():
            await (woocommerce_deleted(run, 1) if how == "deleted" else woocommerce_order(run, 1, how, 5))

        if undone_first:
            await undo()
            await taken_up(world, run)
        await woocommerce_order(run, 1, "processing", 2)
        await taken_up(world, run)
        if not undone_first:
            await undo()
            await taken_up(world, run)

        assert [] == await bought_for(world, run)


@in_virtual_time
async def test_what_is_left_of_a_sale_of_woocommerce_is_bought_for(new_world):
    """Its total stays what was sold: 80 dollars, of which 30 went back."""
    policy = policy_of(GIVING, eligible_payments=["APPROVED", "Partially Refunded"])
    world = new_world(policy=policy)
    async with world.run() as run:
        given_back = [{"id": 9001, "reason": "", "total": "-30.00"}]
        await woocommerce_order(run, 1, "completed", 2, refunds=given_back)
        await taken_up(world, run)
        await world.place_all(run)

        assert [50] == [each["quantity"] for each in world.purchases]
