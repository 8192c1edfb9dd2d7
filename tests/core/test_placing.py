"""Placing: what is planned is bought once, and a provider that cannot be used is left alone with nothing lost."""

from datetime import timedelta

import httpx
import pytest
from virtual_time import in_virtual_time
from world import (
    NONE_DIFFER,
    OFFSET,
    RULE_OF,
    TREES,
    differences,
    fresh_of,
    policy_of,
    sold,
    statuses,
    sweep,
    work,
)

from impactflow.accounts import NOT_HALTED
from impactflow.buying.loop import resolve_at
from impactflow.buying.sweep import PlacementLease, Swept, retry_delay_s
from impactflow.ledger import Claim
from impactflow.models import ProviderName
from impactflow.sandbox.cnaught import UNAVAILABLE_PORTFOLIO

PROVIDERS = list(ProviderName)
KEY_OF = {
    ProviderName.ONECLICKIMPACT: "oneclickimpact_api_key",
    ProviderName.CNAUGHT: "cnaught_api_key",
    ProviderName.IMPACTAPI: "impactapi_api_key",
}


class Broken(httpx.AsyncBaseTransport):
    """A line to one provider on which nothing, or nothing that buys, comes through."""

    def __init__(self, inner, error, *, host_part, writes_only=False):
        self._inner = inner
        self._error = error
        self._part = host_part
        self._writes_only = writes_only
        self.refused = 0

    async def handle_async_request(self, request):
        if self._part in str(request.url) and (request.method == "POST" or not self._writes_only):
            self.refused += 1
            raise self._error
        return await self._inner.handle_async_request(request)


def shop(count):
    """So many orders alike."""
    return [sold(number, contact=None) for number in range(1, count + 1)]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_what_is_planned_is_bought(new_world, provider):
    """Once each, with what the provider is told, and recorded as it was bought."""
    world = new_world(orders=shop(12), policy=policy_of(RULE_OF[provider]), latency_s=0.1)
    async with world.run() as run:
        await world.plan(run)
        swept = await sweep(run, provider)
        assert (Swept(placed=12), {"placed": 12}) == (swept, await statuses(run))
        assert NONE_DIFFER == await differences(world, run)
        purchase = world.purchases[0]
        story = await run.ledger.story(purchase["order_id"])
        assert story["placements"][0]["key"] == purchase["impactflow_key"]


@pytest.mark.parametrize(
    ("kind", "more", "quantity"),
    [
        ("plant_trees", {"category": "food"}, 3),
        ("clean_ocean", {}, 3),
        ("capture_carbon", {"unit": "kg"}, 7),
        ("restore_coral", {}, 3),
        ("donate", {"category": "water"}, 3),
    ],
)
@in_virtual_time
async def test_every_kind_is_bought(new_world, kind, more, quantity):
    """In the provider's unit; three kilograms are seven pounds."""
    rule = {"slot": "it", "provider": "oneclickimpact", "impact": kind, "quantity": {"per_order": 3}, **more}
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ProviderName.ONECLICKIMPACT)
        [bought] = world.purchases
        assert (kind, quantity, "customer1@example.com") == (
            bought["kind"],
            bought["quantity"],
            bought["customer_email"],
        )


@in_virtual_time
async def test_a_sweep_places_no_more_than_it_may(new_world):
    """The rest is left for the next one."""
    world = new_world(orders=shop(9), policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        first = await sweep(run, ProviderName.CNAUGHT, limit=4)
        second = await sweep(run, ProviderName.CNAUGHT, limit=99)
        assert (4, 5, {"placed": 9}) == (first.placed, second.placed, await statuses(run))


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_wrong_key_leaves_everything_planned_and_stops(new_world, provider):
    """Nothing is sent that buys; the next run, with the right key, places all."""
    world = new_world(orders=shop(5), policy=policy_of(RULE_OF[provider]))
    wrong = type(world.settings.cnaught_api_key)("wrong")
    async with world.run(**{KEY_OF[provider]: wrong}) as run:
        await world.plan(run)
        done = await work(run, provider)
        assert (0, True) == (done.changed, done.halted.unauthorized)
        assert f"check {KEY_OF[provider].upper()}" in str(done.halted)
        assert ({"planned": 5}, []) == (await statuses(run), world.purchases)
        assert 1 == sum(status["requests"] for name, status in world.sandbox.status().items() if name == provider)
    async with world.run() as run:
        await work(run, provider)
        assert {"placed": 5} == await statuses(run)


@in_virtual_time
async def test_a_provider_that_forbids_everything_is_left_alone(new_world):
    """Its billing may not be set up: what was not sent yet waits for that."""
    forbidden = {**OFFSET, "portfolio_id": UNAVAILABLE_PORTFOLIO}
    world = new_world(orders=shop(40), policy=policy_of(forbidden), latency_s=0.1)
    async with world.run() as run:
        await world.plan(run)
        swept = await sweep(run, ProviderName.CNAUGHT)
        refused = swept.in_doubt
        assert {"in_doubt": refused, "planned": 40 - refused} == await statuses(run)
        assert 5 <= refused <= 5 + world.settings.impactflow_concurrency
        await resolve_at(run, ProviderName.CNAUGHT, "acme")
        assert {"failed": refused, "planned": 40 - refused} == await statuses(run)
        assert (False, []) == (swept.halted.unauthorized, world.purchases)
        assert "portfolio is not available" in str(swept.halted)


@in_virtual_time
async def test_what_is_forbidden_fails_with_its_reason_and_the_rest_is_bought(new_world):
    """The key is good and nothing was bought: the refusal is this portfolio's alone."""
    forbidden = {**OFFSET, "slot": "special", "portfolio_id": UNAVAILABLE_PORTFOLIO}
    world = new_world(orders=shop(20), policy=policy_of(forbidden, OFFSET), latency_s=0.1)
    async with world.run() as run:
        await world.plan(run)
        done = await work(run, ProviderName.CNAUGHT)
        assert NOT_HALTED == done.halted
        assert ({"failed": 20, "placed": 20}, 20) == (await statuses(run), len(world.purchases))
        story = await run.ledger.story("WR-1")
        [failed] = [each for each in story["placements"] if each["status"] == "failed"]
        assert "not allowed to this account" in failed["reason"]
        assert "check CNAUGHT_API_KEY" not in failed["reason"]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_provider_that_cannot_be_reached_leaves_everything_planned(new_world, provider):
    """Each sweep gives up by itself, and the others are not disturbed."""
    world = new_world(orders=shop(5))
    inner = world.carrier
    world.carrier = Broken(inner, httpx.ConnectError("no route"), host_part=f"/{provider}")
    async with world.run() as run:
        await world.plan(run)
        rounds = await world.place_all(run, patience_s=20)
        assert {"planned": 5, "placed": 10} == await statuses(run)
        assert "could not connect" in str(rounds[provider].halted)
    world.carrier = inner
    async with world.run() as run:
        await world.place_all(run)
        assert ({"placed": 15}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_provider_that_goes_down_while_buying_is_left_alone_after_a_few_tries(new_world, provider):
    """Certainly not sent, so planned again with a time; nothing is in doubt."""
    world = new_world(orders=shop(60), policy=policy_of(RULE_OF[provider]), settings={"impactflow_concurrency": 2})
    broken = Broken(world.carrier, httpx.ConnectError("no route"), host_part=f"/{provider}", writes_only=True)
    world.carrier = broken
    async with world.run() as run:
        await world.plan(run)
        swept = await sweep(run, provider)
        assert ({"planned": 60}, []) == (await statuses(run), world.purchases)
    assert "could not connect" in str(swept.halted)
    assert 10 > broken.refused


class RefusingLate(httpx.AsyncBaseTransport):
    """A line to CNaught that breaks; a late answer to an earlier request refuses the key."""

    def __init__(self, world):
        self._inner, self._left, self._clock = world.carrier, 2, world.clock
        world.carrier = self

    async def handle_async_request(self, request):
        if request.method != "POST":
            return await self._inner.handle_async_request(request)
        self._left -= 1
        if self._left < 0:
            raise httpx.ConnectError("no route", request=request)
        await self._clock.sleep(1)
        return httpx.Response(401, json={}, request=request)


@in_virtual_time
async def test_a_refused_key_is_told_though_the_provider_was_down_first(new_world):
    """A person has to act, and a run that comes back later does not help."""
    world = new_world(orders=shop(20), policy=policy_of(OFFSET))
    RefusingLate(world)
    async with world.run() as run:
        await world.plan(run)
        swept = await sweep(run, ProviderName.CNAUGHT)
        assert swept.halted.unauthorized
        assert "check CNAUGHT_API_KEY" in str(swept.halted)
        assert ({"planned": 20}, []) == (await statuses(run), world.purchases)


@in_virtual_time
async def test_what_is_refused_fails_for_good(new_world):
    """With the provider's reason; nothing is bought and nothing is repeated. The others are not disturbed."""
    coral = {"slot": "coral", "provider": "oneclickimpact", "impact": "restore_coral", "quantity": {"per_order": 1}}
    world = new_world(orders=shop(3), policy=policy_of(TREES, coral), extras=False)
    async with world.run() as run:
        await world.plan(run)
        await work(run, ProviderName.ONECLICKIMPACT)
        await work(run, ProviderName.ONECLICKIMPACT)
        assert ({"placed": 3, "failed": 3}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
        assert all("nothing" in row["reason"] for row in await run.ledger.attention())


@in_virtual_time
async def test_a_sweep_waits_where_the_provider_asks_to_wait(new_world):
    """429: nothing happened; tried again after the time it named, not sooner, and all is placed in the end."""
    world = new_world(orders=shop(10), policy=policy_of(OFFSET), faults="cnaught.rate_limited=0.5", seed=3)
    async with world.run() as run:
        began = world.clock.now()
        await world.plan(run)
        await work(run, ProviderName.CNAUGHT)
        assert ({"placed": 10}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
    assert 1 <= (world.clock.now() - began).total_seconds()


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_purchases_that_nobody_could_tell_apart_are_sent_one_by_one(new_world, metadata):
    """Where the account returns no metadata; where it does, they are sent side by side once that was seen."""
    world = new_world(orders=shop(20), policy=policy_of(TREES), metadata=metadata, latency_s=1)
    most = 0

    class Watching(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            nonlocal most
            most = max(most, world.sandbox.status()["oneclickimpact"]["in_flight"])
            return await carrier.handle_async_request(request)

    carrier, world.carrier = world.carrier, Watching()
    async with world.run() as run:
        await world.plan(run)
        await work(run, ProviderName.ONECLICKIMPACT)
        assert ({"placed": 20}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
    assert (metadata == "echo") == (most > 1)


@in_virtual_time
async def test_nothing_is_sent_with_too_little_of_the_lease_left(new_world):
    """A request that could outlive its lease could be repeated by another run while it is on its way."""
    world = new_world(orders=shop(1), policy=policy_of(OFFSET))
    async with world.run(impactflow_lease_s=4.0) as run:
        await world.plan(run)
        swept = await sweep(run, ProviderName.CNAUGHT)
        assert (1, {"planned": 1}, []) == (swept.again, await statuses(run), world.purchases)


@in_virtual_time
async def test_a_run_that_died_is_finished_by_the_next(new_world):
    """What it had claimed is in doubt once the lease is over: sent or not, each purchase is made once."""
    world = new_world(orders=shop(6))
    async with world.run() as run:
        await world.plan(run)
        until = run.clock.now() + timedelta(seconds=run.config.lease_s)
        for provider in ProviderName:
            claim = Claim(provider, "acme", run.id, run.clock.now(), until, exclusive=False, fresh=fresh_of(run))
            for number, placement in enumerate(await run.ledger.record_and_claim([], claim, 4)):
                if number % 2:
                    lease = PlacementLease(run.account(provider, "acme"), placement, until)
                    await run.provider(provider).place(placement, lease)
        assert {"placing": 12, "planned": 6} == await statuses(run)
        assert 6 == len(world.purchases)
    async with world.run() as run:
        await world.place_all(run)
        assert ({"placed": 18}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


def test_retries_come_ever_more_rarely():
    """Seconds: doubled each time, an hour at most."""
    assert [1, 2, 4, 2048, 3600, 3600] == [retry_delay_s(tries) for tries in (1, 2, 3, 12, 13, 500)]


@pytest.mark.parametrize("provider", [ProviderName.CNAUGHT, ProviderName.IMPACTAPI])
@in_virtual_time
async def test_p16_a_no_that_was_answered_after_the_effect_is_asked_again_where_that_is_safe(new_world, provider):
    """A gateway's 403 or 404: what took effect is recorded, and what did not has failed; a 402 ends a run."""
    world = new_world(orders=shop(30), policy=policy_of(RULE_OF[provider]), faults=f"{provider}.refused_after=0.4")
    async with world.run() as run:
        await world.plan(run)
        for _ in range(30):
            await work(run, provider)
        found = await statuses(run)
        assert 0 < len(world.purchases) == found["placed"]
        assert set(found) <= {"placed", "failed"}
