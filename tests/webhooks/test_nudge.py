"""When runs of ``place_events`` are made, on a real Prefect server, and what is told when none can be."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from impactflow.errors import ConfigurationError
from impactflow.ledger import Delivery, Handled
from impactflow.settings import PrefectApi
from impactflow.webhooks.trigger import Trigger, open_prefect_api


class Patient(httpx.AsyncHTTPTransport):
    """Asks again where the server is busy, as one on SQLite now and then is."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        while (answer := await super().handle_async_request(request)).status_code == 503:
            await answer.aread()
            await asyncio.sleep(0.2)
        return answer


@pytest.fixture
async def prefect(server):
    """The server's API, with the deployment and none of its runs from another test."""
    async with httpx.AsyncClient(base_url=server.api_url, transport=Patient(), timeout=60) as api:
        flow = (await api.post("flows/", json={"name": "place_events"})).json()["id"]
        await api.post("deployments/", json={"name": "events", "flow_id": flow})
        for run in await runs(api):
            await api.delete(f"flow_runs/{run['id']}")
        yield api


async def runs(api) -> list[dict]:
    return (await api.post("flow_runs/filter", json={"flows": {"name": {"any_": ["place_events"]}}})).json()


async def end(api, state="COMPLETED") -> None:
    for run in await runs(api):
        await api.post(f"flow_runs/{run['id']}/set_state", json={"state": {"type": state}, "force": True})


async def deliver(ledger, name="d1") -> None:
    await ledger.store_delivery(Delivery("acme", "shopify", name, "orders/paid", datetime.now(UTC), b"{}"))


async def handle_all(ledger) -> None:
    for each in await ledger.pending_deliveries("acme"):
        await ledger.finish_delivery(Handled(each.id, datetime.now(UTC)))


async def test_a_burst_makes_one_run_while_nobody_works(prefect, ledger):
    """No worker takes it, so no more are made, however long that lasts and however many receivers there are."""
    triggers = [Trigger(ledger, "acme", prefect) for _ in range(3)]
    now = datetime.now(UTC)
    await triggers[0].check(now)
    assert await runs(prefect) == []

    for number in range(20):
        await deliver(ledger, f"d{number}")
    await asyncio.gather(*(trigger.check(now) for trigger in triggers))
    for later_s in (5, 10, 60, 400):
        await triggers[0].check(now + timedelta(seconds=later_s))

    assert len(await runs(prefect)) == 1


async def test_what_comes_after_a_run_gets_another(prefect, ledger):
    """A run that works takes up what comes meanwhile; one that has ended does not."""
    trigger, now = Trigger(ledger, "acme", prefect), datetime.now(UTC)
    counts = []
    for name, state in (("d1", "RUNNING"), ("d2", "COMPLETED"), ("d3", "COMPLETED")):
        await deliver(ledger, name)
        now += timedelta(seconds=5)
        await trigger.check(now)
        counts.append(len(await runs(prefect)))
        await end(prefect, state)
        if state == "COMPLETED":
            await handle_all(ledger)

    assert counts == [1, 1, 2]


async def test_a_run_that_died_long_ago_holds_up_nothing(prefect, ledger):
    """Prefect may show it as Running for ever."""
    trigger, now = Trigger(ledger, "acme", prefect), datetime.now(UTC)
    await deliver(ledger)
    await trigger.check(now)
    await end(prefect, "RUNNING")
    await trigger.check(now + timedelta(seconds=200))
    soon = len(await runs(prefect))
    await trigger.check(now + timedelta(seconds=400))

    assert (soon, len(await runs(prefect))) == (1, 2)


async def test_runs_that_handle_nothing_come_ever_more_rarely(prefect, ledger):
    """A flow that always fails is not run every five seconds all night."""
    trigger, now = Trigger(ledger, "acme", prefect), datetime.now(UTC)
    await deliver(ledger)
    for check in range(8):
        await trigger.check(now + timedelta(seconds=5 * check))
        await end(prefect, "FAILED")

    assert len(await runs(prefect)) == 4  # after 0, 5, 15 and 35 s


async def test_f20_a_paused_deployment_gets_no_run_until_it_is_resumed(prefect, ledger, caplog):
    """Prefect itself would make one that it is asked for, though a person has paused the deployment to stop it."""
    caplog.set_level(logging.INFO, "impactflow")
    trigger, now = Trigger(ledger, "acme", prefect), datetime.now(UTC)
    deployment = (await prefect.get("deployments/name/place_events/events")).json()["id"]
    await deliver(ledger)
    counts = []
    for paused in (True, False):
        await prefect.patch(f"deployments/{deployment}", json={"paused": paused})
        for later_s in (0, 5, 400):
            await trigger.check(now + timedelta(seconds=later_s))
        counts.append(len(await runs(prefect)))

    assert counts == [0, 1]
    assert 1 == sum("a person has paused" in each.message for each in caplog.records)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (503, "status 503"),
        (500, "status 500"),
        (401, "PREFECT_API_AUTH_STRING"),
        (404, "no deployment"),
        (None, "ConnectError"),
    ],
)
async def test_trouble_is_told_once_and_so_is_its_end(ledger, caplog, status, message):
    """Nothing is lost by it, and the log does not fill up."""
    down = True

    def answer(request: httpx.Request) -> httpx.Response:
        if down and status is None:
            raise httpx.ConnectError("refused")
        if down:
            return httpx.Response(status)
        return httpx.Response(200, json=[] if request.url.path.endswith("filter") else {"id": "1", "paused": False})

    caplog.set_level(logging.INFO, "impactflow")
    await deliver(ledger)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://prefect/api") as api:
        trigger, now = Trigger(ledger, "acme", api), datetime.now(UTC)
        for check in range(3):
            await trigger.check(now + timedelta(seconds=5 * check))
        down = False
        await trigger.check(now + timedelta(seconds=15))

    first, last = [record.getMessage() for record in caplog.records if record.name.startswith("impactflow")]
    assert message in first
    assert "can be made again" in last


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b'"x"'])
async def test_an_answer_that_is_none_of_prefects_is_trouble_too(ledger, caplog, body):
    """A proxy's error page, say."""
    caplog.set_level(logging.INFO, "impactflow")
    await deliver(ledger)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with httpx.AsyncClient(transport=transport, base_url="http://prefect/api") as api:
        await Trigger(ledger, "acme", api).check(datetime.now(UTC))

    assert "does not answer as it should" in caplog.text


async def test_the_api_is_asked_as_prefect_would():
    """The auth string goes before the key; without a URL nobody is asked; nonsense is named."""
    both = PrefectApi(
        prefect_api_url="http://p/api", prefect_api_key=SecretStr("k"), prefect_api_auth_string=SecretStr("a:b")
    )
    key = both.model_copy(update={"prefect_api_auth_string": None})

    assert open_prefect_api(both).headers["authorization"] == "Basic YTpi"
    assert open_prefect_api(key).headers["authorization"] == "Bearer k"
    assert open_prefect_api(PrefectApi(prefect_api_url=None)) is None
    with pytest.raises(ConfigurationError, match="PREFECT_API_URL"):
        open_prefect_api(both.model_copy(update={"prefect_api_url": "p:4200"}))
