"""
The contestants compared with the flow: each places a number of orders, one request each, and reports the time.

``python -m benchmarks.contestants NAME URL ORDERS IN_FLIGHT`` prints the seconds from the first request to the last
answer; importing and connecting to Prefect are left out of it.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import httpx

from impactflow.clients import OneClickImpactClient
from impactflow.clients.http import open_transport

_TIMEOUT_S = 60.0


async def _all(orders: int, in_flight: int, place: Callable[[int], Awaitable[object]]) -> float:
    """Place every order, ``in_flight`` at a time; return the seconds it took."""
    numbers = iter(range(orders))

    async def work() -> None:
        for number in numbers:
            await place(number)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    return time.perf_counter() - began


async def _bare(url: str, orders: int, in_flight: int, limits: httpx.Limits) -> float:
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=_TIMEOUT_S) as client:

        async def place(number: int) -> None:
            metadata = {"order_id": f"order-{number}", "impactflow_key": _key(number)}
            response = await client.post(
                "/v1/plant_tree", json={"amount": 1, "metadata": metadata}, headers={"x-api-key": "key"}
            )
            response.raise_for_status()
            response.json()

        return await _all(orders, in_flight, place)


async def bare_default(url: str, orders: int, in_flight: int) -> float:
    """One ``httpx.AsyncClient`` with default settings."""
    return await _bare(url, orders, in_flight, httpx.Limits(max_connections=100, max_keepalive_connections=20))


async def bare_limited(url: str, orders: int, in_flight: int) -> float:
    """One ``httpx.AsyncClient`` with as many connections as there are requests in flight."""
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    return await _bare(url, orders, in_flight, limits)


async def client(url: str, orders: int, in_flight: int) -> float:
    """Our own client, without a ledger."""
    transport = open_transport(in_flight)
    ours = OneClickImpactClient(url, "key", transport=transport, timeout_s=_TIMEOUT_S)
    try:
        return await _all(orders, in_flight, lambda number: _plant(ours, number))
    finally:
        await transport.aclose()


async def tasks(url: str, orders: int, in_flight: int) -> float:
    """One Prefect task for each order, with retries, in a flow; awaited, which is much faster than submitted."""
    from prefect import flow, task  # noqa: PLC0415 - it takes a second, and no other contestant needs it
    from prefect.cache_policies import NO_CACHE  # noqa: PLC0415

    transport = open_transport(in_flight)
    ours = OneClickImpactClient(url, "key", transport=transport, timeout_s=_TIMEOUT_S)

    @task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE)
    async def place(number: int) -> None:
        await _plant(ours, number)

    @flow
    async def place_orders() -> float:
        return await _all(orders, in_flight, place)

    try:
        return await place_orders()
    finally:
        await transport.aclose()


async def sdk(url: str, orders: int, in_flight: int) -> float:
    """The provider's official SDK in 32 threads; it knows two hosts by name, so ours takes the place of one."""
    from makeimpact import Environment, OneClickImpact  # noqa: PLC0415 - only this contestant needs it

    theirs = OneClickImpact("key", Environment.SANDBOX)
    theirs.base_url = url
    with ThreadPoolExecutor(max_workers=min(in_flight, 32)) as threads:
        began = time.perf_counter()
        for _ in threads.map(lambda _: theirs.plant_tree(amount=1), range(orders)):
            pass
        return time.perf_counter() - began


async def _plant(ours: OneClickImpactClient, number: int) -> None:
    await ours.plant_tree(1, metadata={"order_id": f"order-{number}", "impactflow_key": _key(number)})


def _key(number: int) -> str:
    """Return a key of the same length as ours."""
    return f"impactflow{number:040d}"


CONTESTANTS: Iterable[Callable[[str, int, int], Awaitable[float]]] = (bare_default, bare_limited, client, tasks, sdk)

if __name__ == "__main__":
    name, at, how_many, at_once = sys.argv[1:]
    chosen = {contestant.__name__: contestant for contestant in CONTESTANTS}[name]
    sys.stdout.write(f"{asyncio.run(chosen(at, int(how_many), int(at_once)))}\n")
