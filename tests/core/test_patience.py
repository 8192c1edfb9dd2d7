"""Patience: a run goes on while something is due soon, and ends where only time can help."""

import pytest
from virtual_time import in_virtual_time
from world import OFFSET, TREES, policy_of, sold, statuses, sweep, works_under

from impactflow.accounts import Halt
from impactflow.buying.loop import resolve_at
from impactflow.buying.rounds import Round, work_off
from impactflow.models import ProviderName

CNAUGHT, ONECLICK = ProviderName.CNAUGHT, ProviderName.ONECLICKIMPACT


async def works(run, provider, patience_s, rounds, *, places=True):
    """Work off with rounds that were decided beforehand; how often, and how it ended."""
    done = []

    async def once():
        done.append(run.clock.now())
        return rounds[min(len(done), len(rounds)) - 1]

    result = await work_off(
        run.ledger, run.clock, provider, "acme", patience_s, once, policy=works_under(run) if places else None
    )
    return len(done), result


@in_virtual_time
async def test_where_nothing_is_due_nothing_is_done(new_world):
    """No round at all."""
    world = new_world()
    async with world.run() as run:
        assert (0, Round(0)) == await works(run, CNAUGHT, 30, [Round(1)])


@in_virtual_time
async def test_a_refused_key_ends_it_at_once(new_world):
    """Repeating will not mend it."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        refused = Round(0, Halt("check CNAUGHT_API_KEY", unauthorized=True))
        assert (1, refused) == await works(run, CNAUGHT, 30, [refused])


@in_virtual_time
async def test_a_provider_that_is_down_is_tried_ever_more_rarely_until_patience_ends(new_world):
    """Two seconds, four, eight, sixteen, and the reason is told."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        began = world.clock.now()
        rounds, result = await works(run, CNAUGHT, 30, [Round(0, Halt("down"))])
        assert (5, Round(0, Halt("down"))) == (rounds, result)
        assert 30.0 == pytest.approx((world.clock.now() - began).total_seconds(), abs=0.01)


@in_virtual_time
async def test_what_is_due_beyond_its_patience_is_left_to_the_next_run(new_world):
    """In doubt for half an hour yet: this run ends, a more patient one settles it."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="lost_request=1")
    async with world.run(impactflow_settle_s=1800.0) as run:
        await world.plan(run)
        await sweep(run, ONECLICK)

        async def once():
            resolved = await resolve_at(run, ONECLICK, "acme")
            return Round(resolved.changed)

        began = world.clock.now()
        await work_off(run.ledger, run.clock, ONECLICK, "acme", 30, once, policy=None)
        short_s = (world.clock.now() - began).total_seconds()
        assert (True, {"in_doubt": 1}) == (short_s < 120, await statuses(run))
        await work_off(run.ledger, run.clock, ONECLICK, "acme", 4000, once, policy=None)
        assert {"planned": 1} == await statuses(run)


@in_virtual_time
async def test_reconciling_does_not_wait_for_what_is_planned(new_world):
    """It sends nothing new."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        assert (0, Round(0)) == await works(run, CNAUGHT, 30, [Round(1)], places=False)


def test_rounds_add_up():
    """The first reason is told, unless a key was not accepted."""
    down, refused = Round(1, Halt("down")), Round(3, Halt("wrong key", unauthorized=True))
    assert Round(3, Halt("down")) == down + Round(2, Halt("later"))
    assert Round(4, refused.halted) == down + refused == refused + down
    assert Round(2, down.halted) == Round(1) + down
