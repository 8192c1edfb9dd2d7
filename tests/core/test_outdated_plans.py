"""A doubt or a refusal that came to nothing is not sent as it was planned, but as order and policy are by then."""

import pytest
from test_changed_orders import mend
from test_hold import next_run
from test_settle_parked import NOT_BOUGHT, rule
from test_settling import Losing
from virtual_time import in_virtual_time
from world import GIVING, OFFSET, TREES, policy_of, sold, statuses

PER_ITEM = TREES | {"quantity": {"per_item": 1}}
HELD_BACK = {"hold_days": 20}


async def doubtful(world, run):
    """A purchase whose request is lost, and never arrives."""
    await next_run(world, run, patience_s=0)
    assert {"in_doubt": 1} == await statuses(run)


def amounts(world):
    """What the providers' books hold."""
    return [purchase["quantity"] for purchase in world.purchases]


@pytest.mark.parametrize("is_read_between", [True, False])
@pytest.mark.parametrize(
    ("after", "fields", "expected"),
    [
        (PER_ITEM | {"quantity": {"per_item": 5}}, {}, [10]),
        (OFFSET, {}, [5000]),
        (PER_ITEM, HELD_BACK, []),
    ],
    ids=["more", "another slot", "a hold"],
)
@in_virtual_time
async def test_a_policy_that_changed_meanwhile_counts(new_world, after, fields, expected, is_read_between):
    """Whether a run has read the order between the change and the end of the doubt, or not."""
    world = new_world(orders=[sold(1)], policy=policy_of(PER_ITEM))
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await doubtful(world, run)
        mend(world, run, after, **fields)
        if is_read_between:
            await next_run(world, run, patience_s=0)
        losing.over()
        world.clock.turn(hours=1)
        for _ in range(3):
            await next_run(world, run)
        assert expected == amounts(world)
        world.clock.turn(days=21)
        assert expected or [2] == [await next_run(world, run), amounts(world)][1]


@in_virtual_time
async def test_an_order_that_was_edited_meanwhile_counts_as_it_is(new_world):
    """Two things when it was sent, one by now."""
    world = new_world(orders=[sold(1)], policy=policy_of(PER_ITEM))
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await doubtful(world, run)
        world.sandbox.shop.orders = [sold(1, products=[{"id": "P1", "name": "Apron", "qty": 1, "PPU": 40}], amount=40)]
        await next_run(world, run, patience_s=0)
        losing.over()
        world.clock.turn(hours=1)
        for _ in range(3):
            await next_run(world, run)
        assert [1] == amounts(world)


@in_virtual_time
async def test_what_did_not_change_is_sent_again_in_the_run_that_decides_the_doubt(new_world):
    """No run in between is needed."""
    world = new_world(orders=[sold(1)], policy=policy_of(PER_ITEM))
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await doubtful(world, run)
        losing.over()
        world.clock.turn(hours=1)
        await next_run(world, run)
        assert ([2], {"placed": 1}) == (amounts(world), await statuses(run))


@pytest.mark.parametrize("is_read_between", [True, False])
@in_virtual_time
async def test_a_refused_purchase_is_sent_as_the_mended_policy_says(new_world, is_read_between):
    """After a person said that it was not bought; whether a run has seen the new policy before that, or not."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING | {"campaign": "gone"}))
    async with world.run() as run:
        await next_run(world, run)
        assert {"failed": 1} == await statuses(run)
        mend(world, run, GIVING)
        if is_read_between:
            await next_run(world, run)
        await rule(run, NOT_BOUGHT, slot="giving")
        await next_run(world, run)
        await next_run(world, run)
        assert ({"placed": 1}, 1) == (await statuses(run), len(world.purchases))


@in_virtual_time
async def test_other_slots_of_the_order_go_on(new_world):
    """A doubt in one slot keeps nothing else from being bought under a new policy."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES))
    losing = Losing(world, "plant_tree", effect=False)
    async with world.run() as run:
        await doubtful(world, run)
        mend(world, run, TREES | {"quantity": {"per_order": 2}}, OFFSET)
        await next_run(world, run, patience_s=0)
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)
        losing.over()
        world.clock.turn(hours=1)
        for _ in range(2):
            await next_run(world, run)
        assert ({"placed": 2}, [2, 5000]) == (await statuses(run), sorted(amounts(world)))
