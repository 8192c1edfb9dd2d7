"""Purchases for many orders, disturbed: a person's answers, copies of the ledger, and what changes at a bad moment."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pooling import AT_ONCE, DOWN, balance, bought, refunded, shop
from test_adoption import adopt, another
from test_changed_orders import mend
from test_hold import next_run
from test_settling import Losing
from virtual_time import in_virtual_time
from webhook_senders import shopify_refund
from world import NONE_DIFFER, OFFSET, TREES, differences, policy_of, sold, statuses

from impactflow.adoption import PurchasesUnknown
from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.errors import ConfigurationError
from impactflow.ledger.location import back_up

UNDO = {"refunds": {"full": "undo"}}


async def answered(world, run, decision, **more):
    """A person decides about all that is asked."""
    asked = await run.ledger.awaiting()
    answer = Answer(decision, "a person", **more)
    return await record_answer(run.ledger, run.order_source, world.policy, run.clock, "answer", asked, answer)


@in_virtual_time
async def test_a_purchase_for_many_is_approved_or_rejected_whole(pooled):
    """Each order has its share of it; what is rejected is not asked about again, nor bought after a refund."""
    world = pooled(TREES | AT_ONCE | {"approve_above": 2}, orders=shop(5), **UNDO)
    async with world.run() as run:
        await next_run(world, run)
        with pytest.raises(ConfigurationError, match="approve all of it or reject"):
            await answered(world, run, Decision.TRIM, at_most=Decimal(3))
        await answered(world, run, Decision.REJECT)
        for orders in (shop(5), [refunded(1), *shop(5)[1:]], shop(5)):
            world.sandbox.shop.orders = orders
            world.clock.turn(hours=1)
            await next_run(world, run)
            await balance(run)
        assert ([], []) == (bought(world), await run.ledger.awaiting())


@in_virtual_time
async def test_an_approved_purchase_is_made(pooled):
    """Also if a person looked a day later."""
    world = pooled(TREES | AT_ONCE | {"approve_above": 2}, orders=shop(5))
    async with world.run() as run:
        await next_run(world, run)
        world.clock.turn(days=1)
        await next_run(world, run)
        await answered(world, run, Decision.APPROVE)
        await next_run(world, run)
        assert [5] == bought(world)


@pytest.mark.parametrize("refunds", [UNDO, {}])
@in_virtual_time
async def test_a_refund_while_a_purchase_is_in_doubt_counts_if_nothing_was_bought(pooled, refunds):
    """The purchase is not sent again as it was."""
    world = pooled(TREES | AT_ONCE, orders=shop(3), **refunds)
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        world.sandbox.shop.orders = [refunded(1), *shop(3)[1:]]
        losing.over()
        for _ in range(3):
            world.clock.turn(minutes=20)
            await next_run(world, run)
        assert [2] == bought(world)
        assert (2, 2, 0) == ((found := await balance(run)).owed, found.bought, found.credit)


@in_virtual_time
async def test_what_changed_while_a_purchase_had_failed_counts_once_a_person_lets_it_go_on(pooled):
    """A refund, and a corrected rule."""
    world = pooled(TREES | AT_ONCE | {"quantity": {"per_order": 10}}, orders=shop(3), faults="oneclickimpact.refused=1")
    async with world.run() as run:
        for _ in range(2):
            await next_run(world, run)
        assert {"failed": 1} == await statuses(run)
        world.sandbox.calm()
        world.sandbox.shop.orders = [refunded(1), *shop(3)[1:]]
        mend(world, run, TREES | AT_ONCE)
        await next_run(world, run)
        ruling = Ruling("lot:trees:1", "trees", Resolution.NOT_BOUGHT, "a person")
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        for _ in range(2):
            await next_run(world, run)
        assert [2] == bought(world)


@in_virtual_time
async def test_a_part_of_a_purchase_that_waits_is_not_kept_for_a_refunded_order(pooled):
    """The part that was bought stays with the order, as the policy says."""
    rule = TREES | AT_ONCE | {"quantity": {"per_order": 2}}
    world = pooled(rule, orders=shop(3), caps=[{"per": "day", "slot": "trees", "quantity": 3}])
    async with world.run() as run:
        for _ in range(2):
            await next_run(world, run)
        world.sandbox.shop.orders = [sold(1), refunded(2), sold(3)]
        for _ in range(2):
            world.clock.turn(days=1)
            await next_run(world, run)
        assert [3, 2] == bought(world)
        await balance(run)


@in_virtual_time
async def test_an_announced_refund_stops_a_purchase_that_is_to_be_sent(pooled):
    """Before any run has judged the order again."""
    world = pooled(TREES | AT_ONCE, faults=DOWN, orders=[sold(1), sold(2, sourceId="5000000000002"), sold(3)])
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        assert {"planned": 1} == await statuses(run)
        world.sandbox.calm()
        world.clock.turn(minutes=30)
        await shopify_refund(run, 2)
        await next_run(world, run, reads=False)
        await next_run(world, run, reads=False)
        assert 3 not in bought(world)


@in_virtual_time
async def test_a_ledger_that_adopts_purchases_covers_old_orders_with_them_only(pooled, tmp_path):
    """An order that was sold later has its own tree."""
    world = pooled(TREES | AT_ONCE, orders=shop(9), **UNDO)
    async with world.run() as run:
        await next_run(world, run)
    world.clock.turn(days=20)
    when = (world.clock.now() - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    async with world.run(**another(tmp_path)) as run:
        await adopt(world, run)
        world.sandbox.shop.orders = [*shop(9), *(sold(number, date=when) for number in (10, 11))]
        for _ in range(3):
            await next_run(world, run)
            world.clock.turn(days=1)
        assert [9, 2] == bought(world)
        await balance(run)


@in_virtual_time
async def test_what_another_ledger_has_bought_under_the_same_number_is_not_ours(new_world, tmp_path):
    """A copy has planned its own second purchase: it is refused, adopts, and buys nothing for the same orders."""
    world = new_world(orders=shop(1), policy=policy_of(TREES | AT_ONCE, **UNDO))
    async with world.run() as run:
        await next_run(world, run)
    back_up(world.settings.impactflow_ledger_url, tmp_path / "copy.db")
    world.sandbox.shop.orders = shop(3)
    losing = Losing(world, "", effect=False)
    async with world.run(**another(tmp_path, "copy")) as run:
        await world.plan(run)
        await next_run(world, run, patience_s=0)
    losing.over()
    world.sandbox.shop.orders = shop(6)
    async with world.run() as run:
        await next_run(world, run)
    assert [1, 5] == bought(world)
    for _ in range(3):
        world.clock.turn(hours=1)
        async with world.run(**another(tmp_path, "copy")) as run:
            try:
                await run.check_ledger(["oneclickimpact"], world.policy)
            except PurchasesUnknown:
                await adopt(world, run)
            else:
                await next_run(world, run)
    assert [1, 5] == bought(world)


@in_virtual_time
async def test_a_given_up_purchase_that_was_made_all_the_same_is_credit(pooled):
    """Its orders are covered with it; a refund and a payment after that change what is owed, and nothing is lost."""
    world = pooled(TREES | AT_ONCE, orders=shop(3), **UNDO)
    async with world.run() as run:
        losing = Losing(world, "", effect=True)
        await next_run(world, run, patience_s=0)
        losing.over()
        for orders in ([refunded(1), *shop(3)[1:]], shop(3), shop(4)):
            world.sandbox.shop.orders = orders
            world.clock.turn(hours=1)
            await next_run(world, run)
            await balance(run)
        assert 4 == sum(bought(world))
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_large_quantities_fit_into_the_databases_numbers(pooled):
    """Two hundred thousand tonnes, in grams, wait in one slot."""
    rule = OFFSET | AT_ONCE | {"quantity": {"per_order": 9_999_000}}
    rule |= {"approve_above": "unlimited", "approve_above_per_day": "unlimited"}
    world = pooled(rule, orders=shop(21))
    async with world.run() as run:
        for _ in range(30):
            await next_run(world, run)
        assert 21 * 9_999_000_000 == sum(bought(world))
        await balance(run, "offset")


@in_virtual_time
async def test_a_months_orders_are_read_before_its_purchase(pooled):
    """Where the store's month ends after the day's first run, which alone reads the last two months."""
    world = pooled(TREES | {"buy": {"every": "month"}}, orders=[], time_zone="America/Los_Angeles")
    days = [datetime(2026, 3, day, 20, tzinfo=UTC) for day in range(3, 31)]
    async with world.run() as run:
        for number, day in enumerate(days, 1):
            world.clock.turn(seconds=(day - world.clock.now()).total_seconds())
            world.sandbox.shop.orders.append(sold(number, date=(day - timedelta(hours=1)).isoformat()[:19] + "Z"))
            await next_run(world, run)
        for hour in (2, 9):
            at = datetime(2026, 4, 1, hour, tzinfo=UTC)
            world.clock.turn(seconds=(at - world.clock.now()).total_seconds())
            await next_run(world, run)
        assert [len(days)] == bought(world)


@in_virtual_time
async def test_two_runs_at_once_draw_one_purchase(pooled):
    """In SQLite and in Postgres."""
    world = pooled(TREES | AT_ONCE, orders=shop(4))
    async with world.run() as run, world.run() as other:
        await asyncio.gather(next_run(world, run), next_run(world, other))
        assert [4] == bought(world)


@in_virtual_time
async def test_two_stores_in_one_ledger_have_purchases_of_their_own(pooled):
    """In slots of the same name; a refund in one is no credit of the other."""
    world = pooled(TREES | AT_ONCE, orders=shop(3), **UNDO)
    async with world.run() as run:
        await next_run(world, run)
        mend(world, run, TREES | AT_ONCE, store="beta", **UNDO)
        await next_run(world, run)
        assert [3, 3] == bought(world)
        world.sandbox.shop.orders = [refunded(1), *shop(4)[1:]]
        world.clock.turn(hours=1)
        await next_run(world, run)
        found = {each.store: each for each in await run.ledger.balances()}
        assert all(each.holds for each in found.values())
        assert (3, 3) == (found["acme"].owed, found["beta"].owed)
        assert [3, 3] == bought(world)
