"""A run that is cancelled, as a signal does it, records what it holds before it ends; in virtual time."""

import asyncio
import os
import signal
import time
from contextlib import suppress

import pytest
from virtual_time import in_virtual_time
from world import NONE_DIFFER, OFFSET, RULE_OF, TREES, differences, policy_of, sold, statuses, sweep

from impactflow import stopping
from impactflow.buying.loop import resolve_at
from impactflow.models import ProviderName
from impactflow.stopping import FINISH_S, Stopped, cancelling, putting_off, raising, to_its_end

PROVIDERS = list(ProviderName)


def shop(count):
    return [sold(number, contact=None) for number in range(1, count + 1)]


async def stop_while_placing(run, provider):
    """Cancel a sweep as soon as its requests are on their way; how many seconds it went on."""
    task = asyncio.create_task(sweep(run, provider))
    while "placing" not in await statuses(run):
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.1)
    return await stop_after(task, 0)


async def stop_after(work, seconds):
    """Cancel the work after so many seconds; how many it went on."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(seconds)
    began = asyncio.get_running_loop().time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_o9_a_stopped_sweep_finishes_what_is_in_flight_and_gives_back_the_rest(new_world, provider):
    """Answers within seconds are recorded as what they are; nothing is claimed any more, nothing stays placing."""
    world = new_world(orders=shop(40), policy=policy_of(RULE_OF[provider]), latency_s=1.0)
    async with world.run() as run:
        await world.plan(run)
        took_s = await stop_while_placing(run, provider)
        found = await statuses(run)
    assert took_s < FINISH_S
    assert set(found) == {"placed", "planned"}
    assert found["placed"] == len(world.purchases) <= 16


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_o9_what_is_not_answered_in_time_is_in_doubt_and_bought_once(new_world, provider):
    """Five seconds are waited; the next run settles it."""
    world = new_world(
        orders=shop(20),
        policy=policy_of(RULE_OF[provider]),
        latency_s=30.0,
        settings={"impactflow_request_timeout_s": 50, "impactflow_lease_s": 120, "impactflow_settle_s": 60},
    )
    async with world.run() as run:
        await world.plan(run)
        took_s = await stop_while_placing(run, provider)
        found = await statuses(run)
        assert took_s == pytest.approx(FINISH_S, abs=0.5)
        assert set(found) == {"in_doubt", "planned"}
        assert 0 < found["in_doubt"] <= 8
    async with world.run() as run:
        await world.place_all(run)
        assert await statuses(run) == {"placed": 20}
        assert await differences(world, run) == NONE_DIFFER


@in_virtual_time
async def test_o9_a_sweep_that_waits_as_it_was_asked_to_is_stopped_at_once(new_world):
    """A 429 may ask for minutes."""
    world = new_world(orders=shop(3), policy=policy_of(OFFSET), faults="cnaught.rate_limited=1", latency_s=0.1)
    async with world.run() as run:
        await world.plan(run)
        took_s = await stop_after(sweep(run, ProviderName.CNAUGHT), 0.9)
        assert took_s < 0.5
        assert await statuses(run) == {"planned": 3}


@pytest.mark.parametrize("rule", [TREES, OFFSET], ids=["records", "repeats"])
@in_virtual_time
async def test_o9_stopped_settling_lets_the_next_run_settle(new_world, rule):
    """The doubts are not reserved for the stopped run until its lease is over."""
    provider = ProviderName(rule["provider"])
    world = new_world(orders=shop(12), policy=policy_of(rule), faults=f"{provider}.lost_answer=1", latency_s=3.0)
    async with world.run(impactflow_request_timeout_s=10) as run:
        await world.plan(run)
        await sweep(run, provider)
        assert "in_doubt" in await statuses(run)
        took_s = await stop_after(resolve_at(run, provider, "acme"), 1.0)
        assert took_s < FINISH_S + 0.5
        due_at = await run.ledger.next_due(provider, "acme", ["in_doubt"], now=run.clock.now())
        if due_at is not None:
            assert (due_at - run.clock.now()).total_seconds() < 40
    world.sandbox.calm()
    async with world.run() as run:
        await world.place_all(run)
        assert await statuses(run) == {"placed": 12}
        assert await differences(world, run) == NONE_DIFFER


async def test_o9_work_that_must_end_ends_however_often_it_is_cancelled():
    """And its caller is cancelled all the same."""
    stops, ended = [], asyncio.Event()

    async def work():
        await ended.wait()
        stops.append("ended")

    task = asyncio.create_task(to_its_end(work(), lambda: stops.append("asked")))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    ended.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stops == ["asked", "ended"]


@pytest.fixture
def handlers():
    """Signals are handled as before, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_o9_the_first_signal_cancels_and_the_second_is_ignored(handlers, number, status):
    """While something is recorded, say."""
    recorded = []

    async def work():
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.01)
            recorded.append(True)

    with pytest.raises(Stopped) as stopped:
        stopping.run(work())
    assert (stopped.value.exit_status, recorded) == (status, [True])


def test_o9_a_signal_raises_where_there_is_no_loop(handlers):
    """Wherever the main thread is."""

    def work():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    with pytest.raises(Stopped), raising():
        work()


async def test_o9_a_signal_is_put_off_where_others_would_swallow_or_wrap_it(handlers):
    """As importing does, and pydantic: it ends what runs all the same, afterwards."""
    ended = []

    def load():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        except BaseException:  # noqa: BLE001 - as they do
            return
        ended.append("loaded")

    def work():
        with raising():
            with putting_off():
                load()
            ended.append("went on")

    with pytest.raises(Stopped) as stopped:
        work()
    assert (["loaded"], signal.SIGINT) == (ended, stopped.value.number)


async def test_o9_without_a_signal_the_handlers_are_as_before(handlers):
    """Prefect's own, in a flow."""
    before = signal.getsignal(signal.SIGTERM)
    with suppress(ValueError), cancelling():
        assert signal.getsignal(signal.SIGTERM) is not before
        raise ValueError
    assert signal.getsignal(signal.SIGTERM) is before
