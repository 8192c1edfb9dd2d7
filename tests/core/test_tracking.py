"""Tracking: every purchase is followed to its end, ever more rarely, and its certificate is kept."""

import asyncio
import json
from datetime import timedelta

import pytest
from planting import ask
from virtual_time import START, in_virtual_time
from world import RULE_OF, policy_of, sold, statuses, sweep, track, work

from impactflow.accounts import Halt
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.buying.tracking import Tracked, track_delay_s
from impactflow.models import ProviderName
from impactflow.sandbox import Request

CNAUGHT, ONECLICK, IMPACTAPI = ProviderName.CNAUGHT, ProviderName.ONECLICKIMPACT, ProviderName.IMPACTAPI


async def bought(world, run, provider):
    """Everything of the shop's placed at one provider."""
    await world.plan(run)
    await work(run, provider)


async def placement(run):
    """The first order's placement."""
    return (await run.ledger.story("WR-1"))["placements"][0]


def a_world(new_world, provider, count=1, **more):
    """A shop that buys at one provider."""
    return new_world(
        orders=[sold(number) for number in range(1, count + 1)], policy=policy_of(RULE_OF[provider]), **more
    )


@pytest.mark.parametrize(("provider", "days"), [(CNAUGHT, 2), (ONECLICK, 35), (IMPACTAPI, 0)])
@in_virtual_time
async def test_a_purchase_is_followed_until_it_is_complete(new_world, provider, days):
    """By passes over what is due, over weeks; completion is seen within a day, and there is nothing to do after it."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        await bought(world, run, provider)
        passes = 0
        while (due_at := await run.ledger.next_due(provider, "acme", ["placed"], now=run.clock.now())) is not None:
            world.clock.turn(seconds=max(0.0, (due_at - world.clock.now()).total_seconds()))
            await track(run, provider)
            passes += 1
        found = await placement(run)
        assert {"completed": 1} == await statuses(run)
        assert timedelta(days=days) <= found["completed_at"] - START <= timedelta(days=days + 1.1)
        assert (days > 0) == (passes > 1)
        assert Tracked() == await track(run, provider, everything=True)
        assert (provider is IMPACTAPI) == (found["certificate_url"] is None)


@pytest.mark.parametrize(("cancelled", "ends"), [(1, "completed"), (2, "cancelled")])
@in_virtual_time
async def test_a_session_is_cancelled_once_nothing_of_it_stands(new_world, cancelled, ends):
    """
    Of two donations that were given by mistake one is cancelled there: the other is the purchase.

    What is not shown just after it was given may not be listed yet.
    """
    world = a_world(new_world, IMPACTAPI)
    async with world.run() as run:
        await bought(world, run, IMPACTAPI)
        api = world.sandbox._lines[IMPACTAPI].api
        session = api._sessions._by_id[(await placement(run))["ref"]]
        session.intents += api._intents.give(session.allocations, world.clock.now(), session_id=session.id)
        for intent in session.intents[:cancelled]:
            ask(world, IMPACTAPI, "PUT", f"/donation_intents/{intent.id}/cancel")
        await track(run, IMPACTAPI)
        assert {"placed" if ends == "cancelled" else ends: 1} == await statuses(run)
        world.clock.turn(seconds=run.config.settle_s)
        await track(run, IMPACTAPI, everything=True)
        assert {ends: 1} == await statuses(run)


@in_virtual_time
async def test_p3_the_settling_time_begins_with_the_attempt_that_bought(new_world):
    """Not with one that was refused an hour before: what is not listed just after it was given is not cancelled."""
    world = new_world(orders=[sold(1)], policy=policy_of(RULE_OF[IMPACTAPI]), faults="impactapi.refused_after=1")
    async with world.run() as run:
        await world.plan(run)
        for _ in range(5):  # a 402 says something of the account, and is tried again
            await work(run, IMPACTAPI)
        assert {"failed": 1} == await statuses(run)
        world.sandbox.calm()
        world.clock.turn(hours=1)
        ruling = Ruling("WR-1", RULE_OF[IMPACTAPI]["slot"], Resolution.NOT_BOUGHT, "a person")
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        await world.plan(run)
        await work(run, IMPACTAPI)
        api = world.sandbox._lines[IMPACTAPI].api
        for intent in api._sessions._by_id[(await placement(run))["ref"]].intents:
            ask(world, IMPACTAPI, "PUT", f"/donation_intents/{intent.id}/cancel")
        await track(run, IMPACTAPI)
        assert {"placed": 1} == await statuses(run)


@in_virtual_time
async def test_a_pass_looks_at_what_is_due_and_then_ever_more_rarely(new_world):
    """At once, after five minutes, then twice as long each time, up to a day."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        await bought(world, run, ONECLICK)
        waits = []
        for _ in range(11):
            assert Tracked(checked=1) == await track(run, ONECLICK)
            assert Tracked() == await track(run, ONECLICK)
            due_at = await run.ledger.next_due(ONECLICK, "acme", ["placed"], now=run.clock.now())
            waits.append((due_at - world.clock.now()).total_seconds())
            world.clock.turn(seconds=waits[-1])
    assert [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, 86400, 86400] == waits


def test_the_delay_never_overflows():
    """Tracked for years."""
    assert 86_400 == track_delay_s(300, 10_000)


@in_virtual_time
async def test_whoever_waits_has_everything_looked_at(new_world):
    """Due or not."""
    world = a_world(new_world, CNAUGHT, count=7)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        await track(run, CNAUGHT)
        assert (0, 7) == ((await track(run, CNAUGHT)).checked, (await track(run, CNAUGHT, everything=True)).checked)


@in_virtual_time
async def test_a_purchase_cancelled_at_the_provider_is_cancelled(new_world):
    """By its owner, on the provider's pages; it is not bought again."""
    world = a_world(new_world, CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        ref = (await placement(run))["ref"]
        request = Request(
            "POST", f"/cnaught/v1/orders/{ref}/cancel", "", {"authorization": "Bearer sandbox-cnaught-key"}
        )
        with world.sandbox.exchange(request) as reply:
            assert "cancelled" == json.loads(reply.body)["state"]
        tracked = await track(run, CNAUGHT)
        await world.plan(run)
        await work(run, CNAUGHT)
        assert ((1, 0), {"cancelled": 1}, 1) == (
            (tracked.cancelled, tracked.completed),
            await statuses(run),
            len(world.purchases),
        )
        assert "cancelled at the provider" == (await placement(run))["reason"]


@in_virtual_time
async def test_an_unanswered_question_is_asked_again_later(new_world):
    """The purchase stands; only the look failed."""
    world = a_world(new_world, CNAUGHT, count=3)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
    world.sandbox.books.purchases.clear()
    world.sandbox._lines["cnaught"].api._by_id.clear()
    async with world.run() as run:
        assert Tracked(checked=3, unanswered=3) == await track(run, CNAUGHT)
        assert ({"placed": 3}, START + timedelta(seconds=300)) == (
            await statuses(run),
            (await run.ledger.next_due(CNAUGHT, "acme", ["placed"], now=run.clock.now())).replace(
                microsecond=0, second=0
            ),
        )


@in_virtual_time
async def test_a_wrong_key_ends_a_pass(new_world):
    """It is said once, not for each placement."""
    world = a_world(new_world, CNAUGHT, count=40)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
    before = world.sandbox.status()["cnaught"]["requests"]
    wrong = type(world.settings.cnaught_api_key)("wrong")
    async with world.run(cnaught_api_key=wrong, impactflow_concurrency=4) as run:
        tracked = await track(run, CNAUGHT)
        assert (True, {"placed": 40}) == (tracked.halted.unauthorized, await statuses(run))
        assert "CNAUGHT_API_KEY" in str(tracked.halted)
    assert 8 >= world.sandbox.status()["cnaught"]["requests"] - before


@in_virtual_time
async def test_two_passes_at_once_complete_each_purchase_once(new_world):
    """The slower one finds it done."""
    world = a_world(new_world, CNAUGHT, count=5, latency_s=0.5)
    async with world.run() as one, world.run() as other:
        await bought(world, one, CNAUGHT)
        world.clock.turn(days=3)
        both = await asyncio.gather(track(one, CNAUGHT), track(other, CNAUGHT))
        assert (5, {"completed": 5}) == (sum(each.completed for each in both), await statuses(one))
        to_statuses = [event["to_status"] for event in (await placement(one))["events"]]
        assert 1 == to_statuses.count("completed")


@in_virtual_time
async def test_a_shared_name_is_tracked_by_the_providers_half(new_world):
    """The number behind # is ours; the provider never hears of it."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK)
        with run.ledger._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE placements SET ref = ref || '#2'")
        assert Tracked(checked=1) == await track(run, ONECLICK)


def test_passes_add_up():
    """The first reason to stop is told."""
    assert Tracked(3, 1, 1, 1, Halt("down")) == Tracked(1, 1, 0, 0) + Tracked(2, 0, 1, 1, Halt("down"))
