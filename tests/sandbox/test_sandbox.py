"""The sandbox as a whole: books, status, environment, and its two ways in."""

import asyncio
import time

import httpx
import pytest
from pretending import KEYS, TAGS, HandClock, ask, confirm, make, offset, open_session, plant, request

from impactflow.sandbox import Faults, Options, Sandbox, environment
from impactflow.sandbox.server import serve
from impactflow.sandbox.transport import SandboxTransport
from impactflow.settings import Settings


def test_the_books_show_every_purchase_in_our_terms():
    """As JSON and without a key."""
    sandbox = make(metadata="ignored")
    plant(sandbox, 3, metadata=TAGS, customer_email="a@example.com")
    answer = ask(sandbox, "GET", "/_sandbox/books")

    assert answer.json["purchases"] == [
        {
            "provider": "oneclickimpact",
            "kind": "plant_trees",
            "quantity": 3,
            "unit": "tree",
            "order_id": "WR-000001",
            "impactflow_key": "acme-1-trees",
            "customer_email": "a@example.com",
            "ref": "U1000|2026-11-21T12:00:00.000Z",
            "intents": [],
            "at": "2026-11-21T12:00:00.000Z",
            "cancelled": False,
        }
    ]


def test_the_books_sum_up_what_stands():
    """A cancelled order no longer counts; a key that bought twice does."""
    sandbox = make()
    plant(sandbox, 2, metadata=TAGS)
    plant(sandbox, 3, metadata=TAGS)
    confirm(sandbox, open_session(sandbox).json["id"])
    ask(sandbox, "POST", f"/cnaught/v1/orders/{offset(sandbox).json['id']}/cancel")

    assert sandbox.books.as_json()["summary"] == {
        "purchases": 4,
        "cancelled": 1,
        "bought_twice": 1,
        "providers": {
            "oneclickimpact": {"plant_trees": {"purchases": 2, "quantity": 5, "unit": "tree"}},
            "cnaught": {},
            "impactapi": {"donate": {"purchases": 1, "quantity": 5, "unit": "usd_cent"}},
        },
    }


@pytest.mark.parametrize("metadata", [None, "free text", "[1]", '{"order_id": 7}'])
def test_metadata_that_names_no_order_is_no_trouble(metadata):
    """The books then know none."""
    sandbox = make()
    offset(sandbox, amount_kg=0.0005, metadata=metadata)

    (purchase,) = sandbox.books.as_json()["purchases"]

    assert (purchase["order_id"], purchase["impactflow_key"], purchase["quantity"]) == (None, None, 0.5)


def test_the_status_counts_requests_and_those_in_flight():
    """A request is in flight until its exchange is left."""
    sandbox = make()
    plant(sandbox)
    with sandbox.exchange(request("GET", "/oneclickimpact/v1/whoami")):
        during = ask(sandbox, "GET", "/_sandbox/status").json["oneclickimpact"]
    after = sandbox.status()["oneclickimpact"]

    assert during == {"requests": 2, "in_flight": 1, "late": 0, "faults": {}}
    assert after["in_flight"] == 0


@pytest.mark.parametrize("path", ["/_sandbox/nothing", "/_sandbox/"])
def test_unknown_controls_are_not_found(path):
    """404."""
    assert ask(make(), "GET", path).status == 404


def test_the_environment_is_what_the_settings_read(monkeypatch):
    """Every URL and key that a run needs."""
    for name, value in environment("http://127.0.0.1:8080/").items():
        monkeypatch.setenv(name, value)

    settings = Settings()

    assert settings.cnaught_url == "http://127.0.0.1:8080/cnaught/v1"
    assert settings.oneclickimpact_url == "http://127.0.0.1:8080/oneclickimpact"
    assert settings.impactapi_api_key.get_secret_value() == "sandbox-impactapi-key"


def client_of(sandbox: Sandbox, timeout_s: float = 5) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=SandboxTransport(sandbox), base_url="http://sandbox.test", timeout=timeout_s, headers=KEYS["cnaught"]
    )


async def test_the_transport_answers_httpx():
    """The same JSON, without a socket."""
    async with client_of(make()) as client:
        answer = await client.post("/cnaught/v1/orders", json={"amount_kg": 1}, headers={"Idempotency-Key": "k"})
        listed = await client.get("/cnaught/v1/orders", params={"limit": 1})

    assert (201, [answer.json()]) == (answer.status_code, listed.json()["data"])


async def test_the_transport_waits_through_the_sandboxs_clock():
    """Half an hour of latency takes no time."""
    clock = HandClock()
    sandbox = Sandbox(Options(latency_s=1800), clock=clock)
    started = clock.now()
    async with client_of(sandbox, timeout_s=3600) as client:
        await client.get("/cnaught/v1/orders")

    assert (clock.now() - started).total_seconds() == 1800


async def test_the_transport_gives_up_at_the_read_timeout():
    """A hang is a read timeout to whoever is less patient, after as long as they are patient."""
    sandbox = make("hang=1", hang_s=60)
    started = sandbox.clock.now()
    async with client_of(sandbox, timeout_s=5) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/cnaught/v1/orders", json={"amount_kg": 1})

    assert (sandbox.clock.now() - started).total_seconds() == 5
    assert sandbox.status()["cnaught"]["in_flight"] == 0


async def test_the_transport_turns_a_reset_into_a_read_error():
    """The effect has happened all the same."""
    sandbox = make("lost_answer=1")
    async with client_of(sandbox) as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/cnaught/v1/orders", json={"amount_kg": 1})

    assert len(sandbox.books.purchases) == 1


async def test_handle_answers_after_the_delay():
    """For whoever needs no transport."""
    sandbox = make(latency_s=3)
    started = sandbox.clock.now()

    reply = await sandbox.handle(request("GET", "/cnaught/v1/orders"))

    assert (reply.status, (sandbox.clock.now() - started).total_seconds()) == (200, 3)


async def test_the_server_answers_real_http():
    """On loopback, with the paths as they were sent."""
    order = {"id": "WR-1", "sourceId": "1", "date": "2026-11-21T00:00:00Z", "contact": {"email": "a+b@example.com"}}
    async with serve(Sandbox(orders=[order])) as url, httpx.AsyncClient(base_url=url) as client:
        books = await client.get("/_sandbox/books")
        orders = await client.get(
            "/wickedreports/contacts/a%2Bb%40example.com/orders",
            params={"from": "2026-11-21", "to": "2026-11-21"},
            headers=KEYS["wickedreports"],
        )

    assert url.startswith("http://127.0.0.1:")
    assert books.json()["purchases"] == []
    assert [order["id"] for order in orders.json()["results"]] == ["WR-1"]
    assert orders.headers["x-ratelimit-limit"] == "120"


async def test_the_server_resets_the_connection_of_a_lost_answer():
    """The client sees a broken connection, not an answer, and the purchase stands."""
    sandbox = Sandbox(Options(faults=Faults.parse("lost_answer=1")))
    async with serve(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEYS["cnaught"]) as client:
        with pytest.raises(httpx.ReadError):
            await client.post("/cnaught/v1/orders", json={"amount_kg": 1})

    assert len(sandbox.books.purchases) == 1


async def test_a_client_that_gives_up_is_no_longer_in_flight():
    """A hanging request ends with its connection."""
    sandbox = Sandbox(Options(faults=Faults.parse("hang=1")))
    async with serve(sandbox) as url:
        async with httpx.AsyncClient(base_url=url, headers=KEYS["cnaught"], timeout=0.1) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/cnaught/v1/orders")
        async with asyncio.timeout(5):
            while sandbox.status()["cnaught"]["in_flight"]:
                await asyncio.sleep(0.01)


async def test_the_server_closes_quickly_while_requests_hang():
    """Nobody waits for a hang of a minute."""
    sandbox = Sandbox(Options(faults=Faults.parse("hang=1")))
    async with httpx.AsyncClient(headers=KEYS["cnaught"], timeout=None) as client:
        async with serve(sandbox) as url:
            hanging = asyncio.create_task(client.get(f"{url}/cnaught/v1/orders"))
            while not sandbox.status()["cnaught"]["in_flight"]:
                await asyncio.sleep(0.01)
            started = time.monotonic()
        closed_s = time.monotonic() - started
        with pytest.raises(httpx.TransportError):
            await hanging

    assert closed_s < 2


async def test_a_port_that_is_taken_is_an_error():
    """The command line can say so."""
    async with serve(Sandbox()) as url:
        with pytest.raises(OSError, match="in use"):
            async with serve(Sandbox(), int(url.rpartition(":")[2])):
                pass
