"""Pauses: while one stands nothing new is bought within its scope, whatever a run does; then everything is."""

import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK
from test_hold import next_run
from test_settling import Losing
from test_stores_apart import bought, two_stores
from virtual_time import in_virtual_time
from webhook_senders import shopify_paid, taken_up
from world import GIVING, OFFSET, RULE_OF, TREES, policy_of, sold, statuses, work

from impactflow.errors import ConfigurationError
from impactflow.ledger import Pause, PauseScope, Resumption
from impactflow.models import ProviderName


async def pause(run, **scope):
    """A person pauses buying."""
    await run.ledger.pause(Pause(PauseScope(**scope), "ana", "a change", run.clock.now()))


async def resume(run, scope=None):
    """A person lets it go on: the pause of a scope, or all of them."""
    return await run.ledger.resume(Resumption(scope, "ben", run.clock.now()))


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ({}, set()),
        ({"store": "acme"}, set()),
        ({"store": "another"}, {ONECLICK, CNAUGHT, IMPACTAPI}),
        ({"provider": CNAUGHT}, {ONECLICK, IMPACTAPI}),
        ({"slot": "trees"}, {CNAUGHT, IMPACTAPI}),
        ({"store": "acme", "provider": ONECLICK, "slot": "offset"}, {ONECLICK, CNAUGHT, IMPACTAPI}),
    ],
)
@in_virtual_time
async def test_only_what_the_scope_names_is_held_back(new_world, scope, left):
    """Nothing waits for it inside a run, and once it is over everything is bought."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, OFFSET, GIVING))
    async with world.run() as run:
        await world.plan(run)
        await pause(run, **scope)
        await world.place_all(run)
        assert left == {purchase["provider"] for purchase in world.purchases}
        assert 3 - len(left) == await run.ledger.paused(run.clock.now())
        await resume(run)
        await world.place_all(run)
        assert ({"placed": 3}, 3, 0) == (
            await statuses(run),
            len(world.purchases),
            await run.ledger.paused(run.clock.now()),
        )


@pytest.mark.parametrize("provider", ProviderName)
@in_virtual_time
async def test_a_doubt_waits_where_its_resolution_may_buy(new_world, provider):
    """At 1ClickImpact the records are read all the same: that buys nothing."""
    world = new_world(orders=[sold(1)], policy=policy_of(RULE_OF[provider]))
    losing = Losing(world, "/confirm" if provider is IMPACTAPI else "", effect=False)
    async with world.run() as run:
        await world.plan(run)
        await work(run, provider, patience_s=0)
        assert {"in_doubt": 1} == await statuses(run)
    losing.over()
    world.clock.turn(hours=2)
    async with world.run() as run:
        await pause(run)
        await world.place_all(run)
        assert {"planned" if provider is ONECLICK else "in_doubt": 1} == await statuses(run)
        assert [] == [each for each in world.purchases if not each["cancelled"]]
        await resume(run)
        await world.place_all(run)
        assert ({"placed": 1}, 1) == (await statuses(run), len(world.purchases))


@in_virtual_time
async def test_a_pause_of_one_store_leaves_the_other_alone(new_world):
    """Two stores share the ledger."""
    acme, north = two_stores(new_world, ONECLICK)
    async with acme.run() as run:
        await pause(run, store="acme")
    for world in (acme, north):
        async with world.run() as run:
            await world.plan(run)
            await world.place_all(run)
    assert [0, 1] == bought(acme, north)


@in_virtual_time
async def test_each_pause_ends_by_itself(new_world):
    """Two of one scope end together; a person learns which ended, and which options to give."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, OFFSET))
    trees, offset = PauseScope(slot="trees"), PauseScope(provider=CNAUGHT)
    async with world.run() as run:
        await pause(run, slot="trees")
        await pause(run, slot="trees")
        await pause(run, provider=CNAUGHT)
        assert [trees, trees] == [each.scope for each in await resume(run, trees)]
        with pytest.raises(ConfigurationError, match="no pause of slot trees stands; those of provider cnaught do"):
            await resume(run, trees)
        await world.plan(run)
        await world.place_all(run)
        assert {"placed": 1, "planned": 1} == await statuses(run)
        [left] = await run.ledger.pauses()
        assert offset == left.scope
        assert left.in_words.startswith("Paused by ana since ")
        assert left.in_words.endswith(
            ": provider cnaught (a change). `impactflow resume --provider cnaught` lets it go on."
        )
        assert [offset] == [each.scope for each in await resume(run)]
        assert [] == await resume(run)
        with pytest.raises(ConfigurationError, match=r"no pause of everything stands$"):
            await resume(run, PauseScope())


@pytest.mark.parametrize("reads", [True, False])
@in_virtual_time
async def test_an_order_that_only_a_webhook_reports_is_bought_after_a_pause(new_world, reads):
    """However long it was: nobody is asked about what a person has held back."""
    world = new_world(orders=[sold(9)] if reads else [], policy=policy_of(TREES))
    async with world.run() as run:
        await pause(run)
        await shopify_paid(run, 1)
        await next_run(world, run, reads=reads)
        world.clock.turn(days=3)
        await next_run(world, run, reads=reads)
        assert {"planned": 2 if reads else 1} == await statuses(run)
        await resume(run)
        await next_run(world, run, reads=reads)
        assert {"placed": 2 if reads else 1} == await statuses(run)


@in_virtual_time
async def test_an_order_that_a_webhook_reported_just_before_is_bought_by_the_next_run_after_a_pause(new_world):
    """It was planned a moment after its report, and the pause makes no reading too old."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await pause(run)
        await shopify_paid(run, 1)
        world.clock.turn(seconds=5)
        await taken_up(world, run)
        world.sandbox.shop.orders = [sold(1)]
        await world.plan(run)
        await resume(run)
        world.clock.turn(minutes=1)
        await world.plan(run)
        await work(run, ONECLICK)
        assert {"placed": 1} == await statuses(run)
