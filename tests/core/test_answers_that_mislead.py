"""Answers that invite a second purchase: none is made, and what took effect is found or parked."""

import json
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from virtual_time import in_virtual_time
from world import OFFSET, TREES, differences, fresh_of, policy_of, sold, statuses, sweep, work

from impactflow.ledger import Claim
from impactflow.models import ProviderName

ONECLICK, CNAUGHT = ProviderName.ONECLICKIMPACT, ProviderName.CNAUGHT


class Tampering(httpx.AsyncBaseTransport):
    """Carries requests to the sandbox, but may answer in its place before, or change the answer after."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        before: Callable[[httpx.Request], httpx.Response | None] = lambda _: None,
        after: Callable[[httpx.Request, httpx.Response], httpx.Response | None] = lambda *_: None,
    ) -> None:
        self._inner, self._before, self._after = inner, before, after

    async def handle_async_request(self, request):
        instead = self._before(request)
        if instead is not None:
            return instead
        response = await self._inner.handle_async_request(request)
        await response.aread()
        return self._after(request, response) or response


@pytest.mark.parametrize("status", [404, 429, 503])
@in_virtual_time
async def test_records_that_cannot_be_read_after_a_purchase_do_not_undo_it(new_world, status):
    """Looking whether the account returns metadata is a look, not a part of buying."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES))

    def records_fail(request):
        return httpx.Response(status, json={}) if "records" in request.url.path and world.purchases else None

    world.carrier = Tampering(world.carrier, before=records_fail)
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)

        assert {"placed": 1} == await statuses(run)
        assert 1 == len(world.purchases)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_an_answer_for_another_amount_is_parked_not_repeated(new_world, metadata):
    """One tree was asked for, two were planted: a person must look, and no third is bought."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), metadata=metadata, faults="wrong_amount=1")
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK)

        assert {"in_doubt": 1} == await statuses(run)
        await work(run, ONECLICK)
        row = (await run.ledger.story("WR-1"))["placements"][0]
        assert ("parked", True) == (row["status"], world.purchases[0]["ref"] in row["reason"])
        assert 1 == len(world.purchases)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_p13_the_records_correct_an_answer_for_another_amount(new_world, metadata):
    """The answer told of two trees, the provider's own records of the one that was asked for."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), metadata=metadata)

    def doubled(request, response):
        if not request.url.path.endswith("plant_tree"):
            return None
        return httpx.Response(response.status_code, json=json.loads(response.content) | {"tree_planted": 2})

    world.carrier = Tampering(world.carrier, after=doubled)
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)

        assert {"placed": 1} == await statuses(run)
        assert not any((await differences(world, run)).values())


@in_virtual_time
async def test_a_repeat_that_is_refused_does_not_hide_the_order_that_was_accepted(new_world):
    """The answer was lost, the repeat is declined before its key is looked at: the order is found by its metadata."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))

    def lose(request, _):
        if request.method == "POST":
            raise httpx.ReadError("reset", request=request)

    def decline_repeats(request):
        return httpx.Response(400, json={}) if request.method == "POST" and world.purchases else None

    world.carrier = Tampering(world.carrier, before=decline_repeats, after=lose)
    async with world.run() as run:
        await world.plan(run)
        await work(run, CNAUGHT)

        assert {"placed": 1} == await statuses(run)
        assert not any((await differences(world, run)).values())


@in_virtual_time
async def test_an_account_that_cannot_pay_leaves_everything_planned(new_world):
    """The orders are not at fault: once the bill is settled, they are bought."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(OFFSET))
    plain = world.carrier
    world.carrier = Tampering(plain, before=lambda r: httpx.Response(402, json={}) if r.method == "POST" else None)
    async with world.run() as run:
        await world.plan(run)
        done = await work(run, CNAUGHT)

        assert done.halted.unauthorized
        assert {"planned": 2} == await statuses(run)
    world.carrier = plain
    async with world.run() as run:
        await work(run, CNAUGHT)

        assert {"placed": 2} == await statuses(run)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_a_purchase_that_was_made_is_not_made_again_because_it_was_answered_with_402(new_world, metadata):
    """A gateway says that the account cannot pay, of what it has passed on: the records are looked through first."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), metadata=metadata)
    plain = world.carrier
    unpaid = httpx.Response(402, json={"error": "Pay the last bill."})
    world.carrier = Tampering(plain, after=lambda request, _: unpaid if request.method == "POST" else None)
    async with world.run() as run:
        await world.plan(run)
        done = await work(run, ONECLICK)

        assert done.halted.unauthorized
        assert {"in_doubt": 1} == await statuses(run)
    world.carrier = plain
    world.clock.turn(hours=1)
    async with world.run() as run:
        await work(run, ONECLICK)

        assert {"placed": 1} == await statuses(run)
        assert not any((await differences(world, run)).values())


@pytest.mark.parametrize("metadata", ["echo", "dropped"])
@in_virtual_time
async def test_an_order_that_was_answered_with_402_is_looked_for_once_its_key_may_be_forgotten(new_world, metadata):
    """CNaught forgets keys after a day: until the bill is paid, the order that was accepted may be as old."""
    poor = {"poor": frozenset({"metadata_dropped"})} if metadata == "dropped" else {}
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), key_lifetime_s=3600, **poor)
    plain, unpaid = world.carrier, httpx.Response(402, json={"message": "Pay the last bill."})
    world.carrier = Tampering(plain, after=lambda request, _: unpaid if request.method == "POST" else None)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await world.plan(run)
        await work(run, CNAUGHT)
        assert {"planned": 1} == await statuses(run)
    world.carrier = plain
    world.clock.turn(hours=2)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await work(run, CNAUGHT)
        assert {"placed": 1} == await statuses(run)
        assert not any((await differences(world, run)).values())


@in_virtual_time
async def test_the_settling_time_counts_from_the_end_of_the_attempt(new_world):
    """A claim may wait for its turn; a request that is a moment late after that is no reason to send another."""
    world = new_world(
        orders=[sold(1)],
        policy=policy_of(TREES),
        metadata="ignored",
        settings={"impactflow_lease_s": 120.0, "impactflow_request_timeout_s": 20.0, "impactflow_settle_s": 30.0},
    )
    async with world.run() as run:
        await world.plan(run)
        until = world.clock.now() + timedelta(seconds=run.config.lease_s)
        claim = Claim(
            ONECLICK,
            "acme",
            "a run that is never heard of again",
            world.clock.now(),
            until,
            exclusive=True,
            fresh=fresh_of(run),
        )
        assert 1 == len(await run.ledger.record_and_claim([], claim, 1))
        world.clock.turn(seconds=121)
        await work(run, ONECLICK, 1.0)

        assert {"in_doubt": 1} == await statuses(run)
        world.clock.turn(seconds=31)
        await work(run, ONECLICK)

        assert {"placed": 1} == await statuses(run)
        assert 1 == len(world.purchases)
