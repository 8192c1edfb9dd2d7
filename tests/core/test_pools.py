"""Pools: one purchase for many orders, of which each has its share; nothing is bought for a share twice."""

from fractions import Fraction

import pytest
from pooling import AT_ONCE, DAILY, DOWN, THIRD, balance, bought, refunded, shop
from test_changed_orders import mend
from test_hold import next_run
from test_settling import Losing
from virtual_time import in_virtual_time
from world import NONE_DIFFER, OFFSET, TREES, differences, sold, statuses


@in_virtual_time
async def test_fractions_are_added_up_and_whole_units_are_bought(pooled):
    """Seven thirds are two trees and a third, which is bought once two more have come."""
    world = pooled(THIRD | AT_ONCE, orders=shop(7))
    async with world.run() as run:
        await next_run(world, run)
        assert [2] == bought(world)
        found = await balance(run)
        assert (Fraction(7, 3), 2, {"pool": Fraction(1, 3)}) == (found.owed, found.allocated, found.waiting)
        await next_run(world, run)
        assert [2] == bought(world)
        world.sandbox.shop.orders = shop(9)
        await next_run(world, run)
        assert [2, 1] == bought(world)
        assert (3, {}, 0) == ((found := await balance(run)).allocated, found.waiting, found.credit)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_one_purchase_is_made_for_the_orders_of_a_day(pooled):
    """Once the day is over; what comes late joins the next one, and no day has two."""
    world = pooled(TREES | DAILY, orders=shop(5))
    async with world.run() as run:
        await next_run(world, run)
        assert [] == bought(world)
        world.clock.turn(days=1)
        await next_run(world, run)
        assert [5] == bought(world)
        world.sandbox.shop.orders = shop(7)  # listed a day late
        await next_run(world, run)
        assert [5] == bought(world)
        world.clock.turn(days=1)
        await next_run(world, run)
        assert [5, 2] == bought(world)


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 12), ("Asia/Tokyo", 3), ("America/Los_Angeles", 20)])
@in_virtual_time
async def test_a_day_ends_at_the_stores_own_midnight(pooled, zone, hours):
    """The test begins at 12:00 UTC on 2 March."""
    world = pooled(TREES | DAILY, orders=shop(1), time_zone=zone)
    async with world.run() as run:
        world.clock.turn(hours=hours, minutes=-1)
        await next_run(world, run)
        assert [] == bought(world)
        world.clock.turn(minutes=2)
        await next_run(world, run)
        assert [1] == bought(world)


@in_virtual_time
async def test_a_smaller_purchase_than_the_minimum_waits_for_more(pooled):
    """The seller's smallest order is met."""
    world = pooled(OFFSET | DAILY | {"minimum": 20}, orders=shop(3))
    async with world.run() as run:
        world.clock.turn(days=1)
        await next_run(world, run)
        assert [] == bought(world)
        world.sandbox.shop.orders = shop(4)
        await next_run(world, run)
        assert [20_000] == bought(world)


@in_virtual_time
async def test_what_is_refunded_before_the_purchase_is_never_bought(pooled):
    """Also if the purchase was planned already, and could not be sent."""
    world = pooled(TREES | AT_ONCE, faults=DOWN, orders=shop(3))
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        assert {"planned": 1} == await statuses(run)
        world.sandbox.calm()
        world.sandbox.shop.orders = [refunded(1), *shop(3)[1:]]
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert [2] == bought(world)
        assert {"cancelled": 1, "placed": 1} == await statuses(run)
        assert (2, 2, 0) == ((found := await balance(run)).owed, found.bought, found.credit)


@in_virtual_time
async def test_a_refund_after_the_purchase_is_credit_that_is_used_first(pooled):
    """The next two orders need one tree only; an order that is paid again is owed its tree again."""
    world = pooled(TREES | AT_ONCE, orders=shop(3), refunds={"full": "undo"})
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders = [refunded(1), *shop(3)[1:]]
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert (2, 3, 1) == ((found := await balance(run)).owed, found.bought, found.credit)
        world.sandbox.shop.orders = [refunded(1), *shop(5)[1:]]
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert [3, 1] == bought(world)
        assert (4, 4, 0) == ((found := await balance(run)).owed, found.bought, found.credit)
        world.sandbox.shop.orders = shop(5)
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert [3, 1, 1] == bought(world)
        assert (5, 5, 0) == ((found := await balance(run)).owed, found.bought, found.credit)


@in_virtual_time
async def test_a_policy_that_keeps_what_was_bought_has_no_credit(pooled):
    """As for purchases of single orders."""
    world = pooled(THIRD | AT_ONCE, orders=shop(4))
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders = [refunded(number) for number in range(1, 5)]
        world.clock.turn(hours=1)
        await next_run(world, run)
        found = await balance(run)
        assert (1, 1, {}, 0) == (found.owed, found.allocated, found.waiting, found.credit)


@pytest.mark.parametrize("first", [True, False])
@in_virtual_time
async def test_a_rule_that_changes_between_the_two_ways_buys_nothing_twice(pooled, first):
    """From single purchases to one for many, and back."""
    ways = TREES, TREES | AT_ONCE
    world = pooled(ways[first], orders=shop(3))
    async with world.run() as run:
        await next_run(world, run)
        for number in range(4, 8):
            first = not first
            mend(world, run, ways[first])
            world.sandbox.shop.orders = shop(number)
            await next_run(world, run)
        assert 7 == sum(bought(world))
        assert (7, 7) == ((found := await balance(run)).owed, found.bought)


@in_virtual_time
async def test_a_corrected_rule_counts_for_what_is_planned(pooled):
    """A purchase that could not be sent yet is given up, and planned as the policy says now."""
    world = pooled(TREES | AT_ONCE | {"quantity": {"per_order": 100}}, faults=DOWN, orders=shop(2))
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        world.sandbox.calm()
        mend(world, run, TREES | AT_ONCE)
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert [2] == bought(world)


@in_virtual_time
async def test_an_order_about_which_a_person_decides_is_bought_by_itself(pooled):
    """A slip in an order's amount does not disappear among a thousand others."""
    world = pooled(
        TREES | AT_ONCE | {"quantity": {"per_amount": {"quantity": 1, "per": 80}}},
        orders=[*shop(2), sold(3, amount=80_000)],
    )
    async with world.run() as run:
        await next_run(world, run)
        assert [2] == bought(world)
        [asked] = await run.ledger.awaiting()
        assert ("WR-3", 1000) == (asked.order, asked.quantity)


@in_virtual_time
async def test_a_purchase_for_many_above_the_rules_limit_awaits_a_person(pooled):
    """What comes meanwhile waits, too, and joins the next one."""
    world = pooled(TREES | AT_ONCE | {"approve_above": 2}, orders=shop(3))
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders = shop(5)
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert [] == bought(world)
        [asked] = await run.ledger.awaiting()
        assert ("lot:trees:1", 3) == (asked.order, asked.quantity)
        assert {"pool": 2, "awaiting_approval": 3} == (await balance(run)).waiting


@in_virtual_time
async def test_a_purchase_for_many_is_no_larger_than_a_cap_allows(pooled):
    """The rest waits for the next period."""
    world = pooled(TREES | AT_ONCE, orders=shop(5), caps=[{"per": "day", "slot": "trees", "quantity": 2}])
    async with world.run() as run:
        for day in (2, 2, 1):
            await next_run(world, run)
            await next_run(world, run)
            assert day == bought(world)[-1]
            world.clock.turn(days=1)
        assert [2, 2, 1] == bought(world)


@in_virtual_time
async def test_a_lost_answer_is_found_out_like_any_other(pooled):
    """One purchase took effect; it is found, and each order has its share of it."""
    world = pooled(TREES | AT_ONCE, faults="oneclickimpact.lost_answer=1", orders=shop(3), refunds={"full": "undo"})
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        world.sandbox.calm()
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert [3] == bought(world)
        assert NONE_DIFFER == await differences(world, run)
        assert 3 == (await balance(run)).allocated


@in_virtual_time
async def test_two_names_of_one_sale_have_one_share(pooled):
    """The one that a name has joined is owed nothing: what was bought for it is credit."""
    world = pooled(TREES | AT_ONCE, orders=[sold(1, sourceId="1", sourceSystem="unknown", amount=70), sold(2)])
    async with world.run() as run:
        await next_run(world, run)
        assert [2] == bought(world)
        world.sandbox.shop.orders = [sold(1, sourceId="1002", amount=70), sold(2)]
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert (1, 1) == ((found := await balance(run)).owed, found.credit)
        world.sandbox.shop.orders = [sold(1, sourceId="1002", amount=70), sold(2), sold(3)]
        await next_run(world, run)
        assert [2] == bought(world)
        assert (2, 0) == ((found := await balance(run)).owed, found.credit)


@in_virtual_time
async def test_a_hold_goes_for_each_order(pooled):
    """What is refunded within it is not bought."""
    world = pooled(TREES | DAILY, orders=shop(2), hold_days=3)
    async with world.run() as run:
        for _ in range(3):
            await next_run(world, run)
            world.clock.turn(days=1)
        world.sandbox.shop.orders = [refunded(1), sold(2)]
        assert [] == bought(world)
        await next_run(world, run)
        assert [1] == bought(world)


@in_virtual_time
async def test_a_rule_that_is_corrected_while_a_purchase_is_in_doubt_counts_if_nothing_was_bought(pooled):
    """Its orders are judged again before anything else is bought for them."""
    world = pooled(TREES | AT_ONCE | {"quantity": {"per_order": 100}}, orders=shop(2))
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        assert {"in_doubt": 1} == await statuses(run)
        mend(world, run, TREES | AT_ONCE)
        await next_run(world, run, patience_s=0)
        losing.over()
        for _ in range(3):
            world.clock.turn(hours=7)
            await next_run(world, run)
            await balance(run)
        assert [2] == bought(world)


@in_virtual_time
async def test_a_purchase_for_many_is_not_missed_by_a_listing(pooled):
    """No source lists it: a person is not asked, however long it waits for its seller."""
    world = pooled(TREES | AT_ONCE, faults=DOWN, orders=shop(2))
    async with world.run() as run:
        for _ in range(3):
            await next_run(world, run, patience_s=0)
            assert {"planned": 1} == await statuses(run)
            world.clock.turn(days=1)
        world.sandbox.calm()
        await next_run(world, run)
        assert [2] == bought(world)
