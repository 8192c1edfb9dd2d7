"""Hold: what an order has earned is bought some days after its sale, and only if the order still counts then."""

import pytest
from test_changed_orders import mend
from virtual_time import in_virtual_time
from webhook_senders import shopify_paid, shopify_refund, taken_up
from world import OFFSET, TREES, policy_of, sold, statuses

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.errors import ConfigurationError
from impactflow.intake.planning import choose_window, plan, preview
from impactflow.policy import Policy

HELD_BACK = {"hold_days": 14}


async def next_run(world, run, *, reads=True, patience_s=30.0):
    """What ``place`` does, over the days that it chooses; or ``place_events``, which reads no orders."""
    await taken_up(world, run)
    if reads:
        window = await choose_window(run.ledger, world.policy, None, None, run.clock)
        source = run.order_source()
        await plan(run.ledger, source, world.policy, window, run.clock, run.id, moves_watermark=True)
    await world.place_all(run, patience_s)
    return [purchase["provider"] for purchase in world.purchases]


@in_virtual_time
async def test_nothing_is_bought_before_the_hold_is_over(new_world):
    """Then the order is read again, and bought, in the same run; meanwhile nothing is left undone."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        for _ in range(13):
            world.clock.turn(days=1)
            assert [] == await next_run(world, run)
        count, until = await run.ledger.on_hold(run.clock.now())
        assert (1, 14) == (count, (until - await sale_time(run)).days)
        world.clock.turn(days=1, hours=1)
        assert ["oneclickimpact"] == await next_run(world, run)
        assert (0, None) == await run.ledger.on_hold(run.clock.now())


async def sale_time(run):
    """When the order was sold."""
    return (await run.ledger.story("WR-1"))["ordered_at"]


@pytest.mark.parametrize("day", [1, 13, 15])
@in_virtual_time
async def test_what_is_refunded_meanwhile_is_never_bought(new_world, day):
    """Also where the refund came after the last reading, but before the hold was over."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        world.clock.turn(days=day)
        world.sandbox.shop.orders = [sold(1, payments=[{"status": "REFUNDED"}])]
        world.clock.turn(days=16 - day)
        assert [] == await next_run(world, run)
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_a_rule_may_say_its_own(new_world):
    """Trees at once, the offset after the store's hold."""
    rules = TREES | {"hold_days": 0}, OFFSET
    world = new_world(orders=[sold(1)], policy=policy_of(*rules, **HELD_BACK))
    async with world.run() as run:
        assert ["oneclickimpact"] == await next_run(world, run)
        world.clock.turn(days=15)
        assert ["cnaught", "oneclickimpact"] == sorted(await next_run(world, run))


@pytest.mark.parametrize("is_refunded", [True, False])
@in_virtual_time
async def test_an_order_that_only_webhooks_report_is_not_read_again(new_world, is_refunded):
    """No source lists it; its refund would have been announced as well."""
    world = new_world(policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        await shopify_paid(run, 1)
        assert [] == await next_run(world, run, reads=False)
        world.clock.turn(days=10)
        if is_refunded:
            await shopify_refund(run, 1)
        assert [] == await next_run(world, run, reads=False)
        world.clock.turn(days=5)
        assert ([] if is_refunded else ["oneclickimpact"]) == await next_run(world, run, reads=False)
        assert {"cancelled" if is_refunded else "placed": 1} == await statuses(run)


@in_virtual_time
async def test_an_order_that_a_source_lists_is_read_again_first(new_world):
    """A run that reads no orders does not send it: it may have been refunded since."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        world.clock.turn(days=15)
        assert [] == await next_run(world, run, reads=False)
        assert ["oneclickimpact"] == await next_run(world, run)


@pytest.mark.parametrize("by_webhook", [True, False])
@in_virtual_time
async def test_a_policy_without_the_hold_releases_what_waits(new_world, by_webhook):
    """In the next run, whoever reported the order."""
    world = new_world(orders=[] if by_webhook else [sold(1)], policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        if by_webhook:
            await shopify_paid(run, 1)
        assert [] == await next_run(world, run)
        world.clock.turn(days=3)
        mend(world, run, TREES, hold_days=2)
        assert ["oneclickimpact"] == await next_run(world, run)


@in_virtual_time
async def test_a_longer_hold_counts_for_what_waits_too(new_world):
    """And none at all lets it go at once."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, hold_days=1))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        mend(world, run, TREES, hold_days=5)
        assert [] == await next_run(world, run)
        world.clock.turn(days=2)
        assert [] == await next_run(world, run)
        mend(world, run, TREES)
        assert ["oneclickimpact"] == await next_run(world, run)


@in_virtual_time
async def test_an_approval_does_not_end_the_hold(new_world):
    """A person said how much, not when."""
    rule = TREES | {"approve_above": 0}
    world = new_world(orders=[sold(1)], policy=policy_of(rule, **HELD_BACK))
    async with world.run() as run:
        assert [] == await next_run(world, run)
        [asked] = await run.ledger.awaiting()
        answer = Answer(Decision.APPROVE, "ana", "")
        await record_answer(run.ledger, run.order_source, world.policy, run.clock, run.id, [asked], answer)
        assert [] == await next_run(world, run)
        assert {"planned": 1} == await statuses(run)
        world.clock.turn(days=15)
        assert ["oneclickimpact"] == await next_run(world, run)


@in_virtual_time
async def test_a_dry_run_counts_what_would_be_on_hold(new_world):
    """Apart from what it would buy, before the orders are planned and after."""
    rules = TREES | {"hold_days": 0}, OFFSET
    world = new_world(orders=[sold(1)], policy=policy_of(*rules, **HELD_BACK))
    async with world.run() as run:
        window = await choose_window(run.ledger, world.policy, None, None, run.clock)
        would = await preview(run.ledger, run.order_source(), world.policy, window, run.clock)
        assert (1, 1) == (would.placements, would.on_hold)
        assert [None, "2026-03-16"] == [(line["on_hold_until"] or "")[:10] or None for line in would.lines]
        await next_run(world, run)
        would = await preview(run.ledger, run.order_source(), world.policy, window, run.clock)
        assert (0, 1) == (would.placements, would.on_hold)


@pytest.mark.parametrize("days", [-1, 46, 1.5, "14", True])
def test_a_hold_is_a_whole_number_of_days_for_which_orders_are_watched(days):
    """Sixty days are watched; after a longer hold a late refund would go unseen."""
    with pytest.raises((ValueError, ConfigurationError), match="hold_days"):
        Policy.model_validate({"store": "acme", "rules": [TREES], "hold_days": days})


@in_virtual_time
async def test_an_order_that_was_listed_under_another_name_is_read_again_too(new_world):
    """A name has joined what a webhook and Wicked Reports told of apart: still it is an order that is read."""
    world = new_world(policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        await shopify_paid(run, 1, order_number=77)
        await next_run(world, run, reads=False)
        world.sandbox.shop.orders = [sold(1, sourceId="1001")]
        await next_run(world, run)
        await shopify_paid(run, 1, webhook_id="again", topic="orders/updated", order_number=1001)
        await next_run(world, run, reads=False)
        world.clock.turn(days=15)
        world.sandbox.shop.orders = [sold(1, sourceId="1001", payments=[{"status": "REFUNDED"}])]
        assert [] == await next_run(world, run, reads=False)
        assert [] == await next_run(world, run)


@in_virtual_time
async def test_a_reading_before_the_hold_was_over_is_not_enough(new_world):
    """What was refunded in the last hours of the hold would be bought by a run that reads nothing."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        await next_run(world, run)
        world.clock.turn(days=13, hours=22)
        await next_run(world, run)
        world.sandbox.shop.orders = [sold(1, payments=[{"status": "REFUNDED"}])]
        world.clock.turn(hours=3)
        assert [] == await next_run(world, run, reads=False)
        assert [] == await next_run(world, run)
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_an_order_that_is_not_listed_any_more_is_asked_about_when_its_hold_is_over(new_world):
    """Not before: an answer would be old by then."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders = [sold(2)]
        world.clock.turn(days=5)
        await next_run(world, run)
        assert {"planned": 2} == await statuses(run)
        world.clock.turn(days=10)
        await next_run(world, run)
        assert {"awaiting_approval": 1, "placed": 1} == await statuses(run)


@in_virtual_time
async def test_an_order_of_the_last_year_there_is_stops_nothing(new_world):
    """Its hold ends when the calendar does; the orders beside it are planned."""
    world = new_world(policy=policy_of(TREES, **HELD_BACK))
    async with world.run() as run:
        await shopify_paid(run, 1, created_at="9999-12-31T11:00:00Z")
        await shopify_paid(run, 2)
        await next_run(world, run, reads=False)
        assert {"planned": 2} == await statuses(run)
