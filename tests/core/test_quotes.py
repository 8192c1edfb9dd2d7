"""CNaught is asked for its price before an offset is bought; a dearer one waits."""

from decimal import Decimal

import httpx
import pytest
from test_hold import next_run
from virtual_time import in_virtual_time
from world import OFFSET, policy_of, sold, statuses

#: The sandbox asks 23.50 USD for a tonne.
ASKED = Decimal("23.5")


def rule(most):
    """Five kilograms for an order of two items."""
    return OFFSET | {"quote": {"at_most_usd_per_t": Decimal(most)}}


def a_world(new_world, most, **more):
    """A shop with one order."""
    return new_world(orders=[sold(1)], policy=policy_of(rule(most)), **more)


async def placement(run):
    """The order's placement."""
    return (await run.ledger.story("WR-1"))["placements"][0]


class Dear(httpx.AsyncBaseTransport):
    """CNaught's quotes are answered with this status, or so many times as dear."""

    def __init__(self, world, *, times=1, status=200):
        self._inner = world.carrier
        self.times, self.status = times, status
        self.asked = 0
        world.carrier = self

    async def handle_async_request(self, request):
        response = await self._inner.handle_async_request(request)
        if not request.url.path.endswith("/quotes"):
            return response
        self.asked += 1
        if self.status != 200:
            return httpx.Response(self.status, json={"detail": "no"})
        quote = httpx.Response(200, content=await response.aread()).json()
        return httpx.Response(200, json=quote | {"price_usd_cents": quote["price_usd_cents"] * self.times})


@in_virtual_time
async def test_what_is_cheap_enough_is_bought_and_its_quote_is_kept(new_world):
    """Beside the price that it had in the end."""
    world = a_world(new_world, ASKED)
    async with world.run() as run:
        await next_run(world, run)
        found = await placement(run)
        assert (found["status"], found["quoted_usd_cents"]) == ("placed", found["price_usd_cents"])


@in_virtual_time
async def test_what_is_dearer_waits_until_it_is_cheap_again(new_world):
    """With the reason; nothing is lost and nothing is bought twice."""
    world = a_world(new_world, ASKED + 5)
    dear = Dear(world, times=2)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        found = await placement(run)
        assert ("planned", []) == (found["status"], world.purchases)
        assert "policy pays 28.5 USD for a tonne at most" in found["reason"]
        dear.times = 1
        world.clock.turn(hours=2)
        await next_run(world, run)
        assert ({"placed": 1}, 1) == (await statuses(run), len(world.purchases))


@in_virtual_time
async def test_a_price_that_is_rounded_up_to_a_cent_is_no_dearer(new_world):
    """A few grams would never be bought otherwise."""
    world = new_world(orders=[sold(1)], policy=policy_of(rule(ASKED) | {"quantity": {"per_order": Decimal("0.1")}}))
    async with world.run() as run:
        await next_run(world, run)
        assert {"placed": 1} == await statuses(run)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 503])
@in_virtual_time
async def test_where_there_is_no_quote_nothing_is_bought_and_nothing_has_failed(new_world, status):
    """It is tried again."""
    world = a_world(new_world, ASKED)
    dear = Dear(world, status=status)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        assert ({"planned": 1}, []) == (await statuses(run), world.purchases)
        dear.status = 200
        world.clock.turn(hours=2)
        await next_run(world, run)
        assert {"placed": 1} == await statuses(run)


@in_virtual_time
async def test_a_policy_without_a_limit_asks_for_no_quote(new_world):
    """One request for each order, as ever."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))
    dear = Dear(world)
    async with world.run() as run:
        await next_run(world, run)
        assert (0, None) == (dear.asked, (await placement(run))["quoted_usd_cents"])


@in_virtual_time
async def test_what_may_have_been_bought_is_found_out_at_any_price(new_world):
    """CNaught said no to a purchase that it had made; the price is higher by now."""
    world = a_world(new_world, ASKED)
    dear = Dear(world)
    denying = Denying(world)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        assert ({"planned": 1}, 1) == (await statuses(run), len(world.purchases))
        denying.is_over, dear.times = True, 9
        world.clock.turn(hours=2)
        await next_run(world, run)
        assert ({"placed": 1}, 1) == (await statuses(run), len(world.purchases))


class Denying(httpx.AsyncBaseTransport):
    """Orders take effect and are answered with 429."""

    def __init__(self, world):
        self._inner = world.carrier
        self.is_over = False
        world.carrier = self

    async def handle_async_request(self, request):
        response = await self._inner.handle_async_request(request)
        if self.is_over or request.method != "POST" or not request.url.path.endswith("/orders"):
            return response
        return httpx.Response(429, headers={"Retry-After": "3600"}, json={})


def test_a_limit_changes_the_policys_meaning_and_its_absence_does_not():
    """What is planned under another limit is planned again before it is sent."""
    assert len({policy_of(rule(20)).digest, policy_of(rule(21)).digest, policy_of(OFFSET).digest}) == 3
