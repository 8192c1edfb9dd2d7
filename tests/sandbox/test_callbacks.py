"""What the sandbox tells others of their orders: when, to whom, how often."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from pretending import KEYS, START, ask, make, offset

from impactflow.sandbox import Options, Sandbox
from impactflow.sandbox.callbacks import Callbacks
from impactflow.sandbox.server import serve

ORDERS = "/cnaught/v1/orders"
HOOK = {"notification_config": {"url": "http://127.0.0.1:9/hook"}}
TWO_DAYS_S, DAY = 2 * 86_400, timedelta(days=1)


def due(sandbox: Sandbox, status: int | None = 200) -> list[tuple[str, str]]:
    """What is to be told now, and by whom it was answered with this status."""
    callbacks = sandbox.callbacks.take_due(sandbox.clock.now())
    for callback in callbacks:
        sandbox.callbacks.answered(callback, status, sandbox.clock.now())
    return [(callback.content["order"]["id"], callback.content["order"]["state"]) for callback in callbacks]


def test_an_order_that_is_fulfilled_is_told_of_once():
    """Not before its time, as the order then is."""
    sandbox = make()
    order_id = offset(sandbox, amount_kg=1, **HOOK).json["id"]
    at_once = due(sandbox)
    sandbox.clock.advance(TWO_DAYS_S)
    callback = next(iter(sandbox.callbacks.happened(sandbox.clock.now())))

    assert ([], [(order_id, "fulfilled")], []) == (at_once, due(sandbox), due(sandbox))
    assert callback.content == {"order": ask(sandbox, "GET", f"{ORDERS}/{order_id}").json}


def test_an_order_that_is_cancelled_is_told_of_and_never_as_fulfilled():
    """At once."""
    sandbox = make()
    order_id = offset(sandbox, amount_kg=1, **HOOK).json["id"]
    ask(sandbox, "POST", f"{ORDERS}/{order_id}/cancel")
    first = due(sandbox)
    sandbox.clock.advance(TWO_DAYS_S)

    assert ([(order_id, "cancelled")], [], None) == (first, due(sandbox), sandbox.callbacks.next_at())


def test_an_order_that_is_cancelled_after_its_fulfilment_is_told_of_twice():
    """Both happened."""
    sandbox = make()
    order_id = offset(sandbox, amount_kg=1, **HOOK).json["id"]
    sandbox.clock.advance(TWO_DAYS_S)
    ask(sandbox, "POST", f"{ORDERS}/{order_id}/cancel")

    assert [(order_id, "fulfilled"), (order_id, "cancelled")] == due(sandbox)


def test_a_repeated_cancellation_is_told_of_once():
    """A replay changes nothing."""
    sandbox = make()
    url = f"{ORDERS}/{offset(sandbox, amount_kg=1, **HOOK).json['id']}/cancel"
    for _ in range(2):
        ask(sandbox, "POST", url, headers={"idempotency-key": "c"})

    assert len(due(sandbox)) == 1


def test_nothing_is_told_of_an_order_without_a_url():
    """There is no work then."""
    sandbox = make()
    offset(sandbox)

    assert sandbox.callbacks.next_at() is None


def test_what_leads_off_this_machine_is_written_down_and_never_due():
    """Whatever it looks like."""
    callbacks = Callbacks(1.0)
    for host in ("example.com", "127.0.0.1.example.com", "127.0.0.1@example.com", "10.0.0.1", "localhost.example"):
        callbacks.notify(f"http://{host}/hook", {}, START)

    assert (None, 5) == (callbacks.next_at(), len(list(callbacks.happened(START))))


def test_loopback_is_called_by_all_its_names():
    """With and without port and path."""
    callbacks = Callbacks(1.0)
    for url in ("http://127.0.0.1", "https://localhost:8443/a?b=c", "http://[::1]:80/"):
        callbacks.notify(url, {}, START)

    assert 3 == len(callbacks.take_due(START))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([None, 201, 204, 302, 500]), max_size=30),
    st.sampled_from([1.0, 1000.0]),
)
def test_a_callback_is_repeated_for_a_day_or_until_it_is_taken(statuses, speed):
    """Ever more slowly; only 200 takes it."""
    callbacks = Callbacks(speed)
    callback = callbacks.notify("http://localhost/", {}, START)
    times = []
    for status in [*statuses, 200]:
        if (at := callbacks.next_at()) is None:
            break
        times.append(at)
        assert [callback] == callbacks.take_due(at)
        callbacks.answered(callback, status, at)
    waits = [(after - before).total_seconds() * speed for before, after in pairwise(times)]

    assert waits == [60.0 * 2**n for n in range(len(waits))]
    assert all(at - START <= DAY / speed for at in times)
    assert callbacks.next_at() is None or callback.answers[-1] == 200 or len(times) == len(statuses) + 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=20))
def test_callbacks_fall_due_in_the_order_of_their_times(plan):
    """None is forgotten, and those withdrawn never are due."""
    callbacks = Callbacks(1.0)
    planned = [(callbacks.notify("http://localhost/", {}, START + timedelta(seconds=s)), keep) for s, keep in plan]
    for callback, keep in planned:
        if not keep:
            callbacks.withdraw(callback)
    taken = [callback for second in range(51) for callback in callbacks.take_due(START + timedelta(seconds=second))]

    kept = [callback for callback, keep in planned if keep]
    assert sorted(kept, key=lambda callback: callback.happened_at) == taken


def test_what_was_told_can_be_looked_at():
    """Without a key, and only once it has happened."""
    sandbox = make()
    order = offset(sandbox, amount_kg=1, **HOOK).json
    before = ask(sandbox, "GET", "/_sandbox/callbacks").json
    sandbox.clock.advance(TWO_DAYS_S)
    due(sandbox, 500)
    (shown,) = ask(sandbox, "GET", "/_sandbox/callbacks").json["callbacks"]

    assert ({"callbacks": []}, [500], order["id"]) == (before, shown["answers"], shown["content"]["order"]["id"])
    assert (order["callback_url"], "2026-11-23T12:00:00.000Z") == (shown["url"], shown["at"])


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[tuple[str, list[Any]]]:
    """Somebody who answers with these statuses in turn, the last for ever: a URL, and what has arrived there."""
    received: list[Any] = []

    async def receive(request: web.BaseRequest) -> web.Response:
        received.append((request.method, request.headers["content-type"], await request.json()))
        return web.Response(status=statuses[min(len(received), len(statuses)) - 1])

    runner = web.ServerRunner(web.Server(receive, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", received
    await runner.cleanup()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.005)


async def test_a_cancellation_is_told_over_http_until_it_is_taken():
    """First 500, then 200, then no more."""
    sandbox = Sandbox(Options(speed=2000))
    async with receiver(500, 200) as (hook, received), serve(sandbox) as url:
        async with httpx.AsyncClient(base_url=url, headers=KEYS["cnaught"]) as client:
            submitted = await client.post(ORDERS, json={"amount_kg": 1, "notification_config": {"url": hook}})
            cancelled = await client.post(f"{ORDERS}/{submitted.json()['id']}/cancel")
        await until(lambda: len(received) == 2)
        await until(lambda: sandbox.callbacks.next_at() is None)
        (callback,) = sandbox.callbacks.happened(sandbox.clock.now())

    assert received == [("POST", "application/json", {"order": cancelled.json()})] * 2
    assert callback.answers == [500, 200]


async def test_a_fulfilment_is_told_over_http_when_its_time_comes():
    """Though nobody asks the sandbox for anything meanwhile."""
    async with receiver(200) as (hook, received), serve(Sandbox(Options(speed=TWO_DAYS_S * 20))) as url:
        async with httpx.AsyncClient(base_url=url, headers=KEYS["cnaught"]) as client:
            await client.post(ORDERS, json={"amount_kg": 1, "notification_config": {"url": hook}})
        await until(lambda: bool(received))

    assert [order["order"]["state"] for _, _, order in received] == ["fulfilled"]


async def test_nobody_at_the_url_is_no_trouble():
    """The sandbox goes on answering, and notes that no answer came."""
    async with receiver(200) as (hook, _):
        pass
    sandbox = Sandbox()
    async with serve(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEYS["cnaught"]) as client:
        for target in (hook, "http://127.0.0.1:99999/"):
            submitted = await client.post(ORDERS, json={"amount_kg": 1, "notification_config": {"url": target}})
            await client.post(f"{ORDERS}/{submitted.json()['id']}/cancel")
        await until(lambda: all(callback.answers for callback in sandbox.callbacks.happened(sandbox.clock.now())))
        callbacks = (await client.get("/_sandbox/callbacks")).json()["callbacks"]

    assert [[None], [None]] == [callback["answers"] for callback in callbacks]


async def test_the_server_closes_quickly_while_a_callback_is_unanswered():
    """Nobody waits for whoever does not answer."""
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(_reader: Any, _writer: Any) -> None:
        arrived.set()
        await never.wait()

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    hook = f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}/"
    async with serve(Sandbox()) as url:
        async with httpx.AsyncClient(base_url=url, headers=KEYS["cnaught"]) as client:
            submitted = await client.post(ORDERS, json={"amount_kg": 1, "notification_config": {"url": hook}})
            await client.post(f"{ORDERS}/{submitted.json()['id']}/cancel")
        await asyncio.wait_for(arrived.wait(), 5)
        started = asyncio.get_running_loop().time()
    closed_s = asyncio.get_running_loop().time() - started
    never.set()
    hanging.close()

    assert closed_s < 2
