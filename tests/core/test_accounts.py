"""A key of another account, or another system's URL, is noticed before anything is bought or settled with it."""

from datetime import timedelta

import httpx
import pytest
from virtual_time import in_virtual_time
from world import NONE_DIFFER, RULE_OF, differences, policy_of, sold, statuses, sweep, work

from impactflow.buying.loop import resolve_at
from impactflow.models import ProviderName
from impactflow.sandbox import Faults, Sandbox
from impactflow.sandbox.faults import Draws
from impactflow.sandbox.transport import SandboxTransport


def change_account(world):
    """The same URLs and keys lead to accounts that have never bought anything."""
    first, second = world.sandbox, Sandbox(clock=world.clock, orders=world.sandbox.shop.orders)
    world.sandbox, world.carrier = second, SandboxTransport(second)
    return first


@pytest.mark.parametrize("provider", ProviderName)
@in_virtual_time
async def test_nothing_is_bought_with_another_accounts_key(new_world, provider):
    """The sweep ends before it claims anything; the exit status will be that of a refused key."""
    world = new_world(orders=[sold(1)], policy=policy_of(RULE_OF[provider]))
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, provider)
    first = change_account(world)
    world.sandbox.shop.orders = [*first.shop.orders, sold(2)]
    async with world.run() as run:
        await world.plan(run)
        swept = await sweep(run, provider)
        assert (True, 0, {"placed": 1, "planned": 1}) == (swept.halted.unauthorized, swept.sent, await statuses(run))
        assert "none of the last 1 purchases" in str(swept.halted)
        assert [] == world.purchases


@pytest.mark.parametrize("provider", [ProviderName.CNAUGHT, ProviderName.ONECLICKIMPACT])
@in_virtual_time
async def test_no_doubt_is_settled_with_another_accounts_key(new_world, provider):
    """There the purchase would seem never to have happened, and be made again."""
    world = new_world(orders=[sold(1)], policy=policy_of(RULE_OF[provider]))
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, provider)
        world.sandbox.shop.orders = [sold(1), sold(2)]
        await world.plan(run)
        world.sandbox._lines[provider]._draws = Draws(Faults.parse("lost_answer=1"), provider, 0)
        await sweep(run, provider)
        world.sandbox._lines[provider]._draws = Draws(Faults(), provider, 0)
        assert {"placed": 1, "in_doubt": 1} == await statuses(run)
    first = change_account(world)
    world.clock.turn(days=2)
    async with world.run() as run:
        resolved = await resolve_at(run, provider, "acme")
        assert (True, {"placed": 1, "in_doubt": 1}) == (resolved.halted.unauthorized, await statuses(run))
        assert [] == world.purchases
    world.sandbox, world.carrier = first, SandboxTransport(first)
    async with world.run() as run:
        await work(run, provider)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_an_account_that_may_not_look_is_not_taken_for_another_one(new_world):
    """What is forbidden says nothing of whose the purchases are; the reason told is the provider's."""

    class NoLooking(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.method == "GET":
                return httpx.Response(403, json={"detail": "not from this address"})
            return await bought.handle_async_request(request)

    world = new_world(orders=[sold(1)], policy=policy_of(RULE_OF[ProviderName.CNAUGHT]))
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ProviderName.CNAUGHT)
    bought, world.carrier = world.carrier, NoLooking()
    async with world.run() as run:
        resolved = await resolve_at(run, ProviderName.CNAUGHT, "acme")
        assert (False, {"placed": 1}) == (resolved.halted.unauthorized, await statuses(run))
        assert "not from this address" in str(resolved.halted)


class Forgetful(httpx.AsyncBaseTransport):
    """Finds no order by its id until some moment, then each."""

    def __init__(self, world, seconds):
        self._clock, self._inner = world.clock, world.carrier
        self._until = world.clock.now() + timedelta(seconds=seconds)

    async def handle_async_request(self, request):
        names_one = not request.url.path.endswith("/orders")
        if request.method == "GET" and names_one and self._clock.now() < self._until:
            return httpx.Response(404, json={"message": "not found"})
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize(("seconds", "is_another"), [(4, False), (60, True)])
@in_virtual_time
async def test_p2_the_only_purchase_not_found_for_a_moment_is_no_other_account(new_world, seconds, is_another):
    """The account is asked once more after a while; only what is not found then, too, stops the run."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(RULE_OF[ProviderName.CNAUGHT]))
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ProviderName.CNAUGHT, limit=1)
    world.carrier = Forgetful(world, seconds)
    async with world.run() as run:
        swept = await sweep(run, ProviderName.CNAUGHT)
        assert (is_another, 1 if is_another else 2) == (swept.halted.unauthorized, len(world.purchases))
