"""The clients and the sandbox were written apart from the same references: here they meet."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from client_helpers import NOON, LoopClock, run_virtual

from impactflow.clients import open_cnaught, open_impactapi, open_oneclickimpact, open_wickedreports
from impactflow.clients.paging import items
from impactflow.errors import IdempotencyConflict, NotFound, Unauthorized
from impactflow.sandbox import Options, Sandbox, environment, generate_orders
from impactflow.sandbox.transport import SandboxTransport
from impactflow.settings import load_settings

LAST_WEEK = NOON.date() - timedelta(days=8), NOON.date() + timedelta(days=1)
METADATA = {"order_id": "WR-1", "impactflow_key": "k-1"}


@pytest.fixture
def settings(monkeypatch):
    """As the sandbox prints them, with plain http allowed by a loopback address."""
    for name, value in environment("http://127.0.0.1").items():
        monkeypatch.setenv(name, value)
    return load_settings()


def meet(work, **options):
    """Run ``work(transport, clock, sandbox)`` against a sandbox of 2,500 orders, in no time."""

    async def run():
        clock = LoopClock()
        sandbox = Sandbox(Options(**options), clock=clock, orders=generate_orders(2_500, 7, NOON))
        return await work(SandboxTransport(sandbox), clock, sandbox)

    return run_virtual(run())


def test_all_orders_are_read_over_all_pages(settings):
    """Each exactly once, none broken."""

    async def work(transport, clock, _sandbox):
        client = open_wickedreports(settings, transport, clock)
        return [order.id async for page in client.list_orders(*LAST_WEEK) for order in page.items]

    found = meet(work)
    assert (2_500, 2_500) == (len(found), len(set(found)))


@pytest.mark.parametrize("callers", [1, 7])
def test_a_limit_of_five_a_minute_is_never_overstepped(settings, callers):
    """No request is refused, however many ask at once."""

    async def work(transport, clock, _sandbox):
        statuses = []

        class Listening(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                response = await transport.handle_async_request(request)
                statuses.append(response.status_code)
                return response

        client = open_wickedreports(settings, Listening(), clock)
        await anext(client.list_orders(*LAST_WEEK))
        await asyncio.gather(*(anext(client.list_orders(*LAST_WEEK)) for _ in range(callers)))
        async for _ in client.list_orders(*LAST_WEEK, limit=200):
            pass
        return statuses

    statuses = meet(work, wicked_reports_per_minute=5, latency_s=0.3)
    assert ({200}, 1 + callers + 13) == (set(statuses), len(statuses))


def test_what_oneclickimpact_sold_is_in_its_records(settings):
    """Bought, found again by its metadata, tracked."""

    async def work(transport, clock, sandbox):
        client = open_oneclickimpact(settings, transport, clock)
        await client.whoami()
        made = [
            await client.plant_tree(3, metadata=METADATA),
            await client.clean_ocean(4),
            await client.capture_carbon(5, customer_email="ana@example.org", customer_name="Ana"),
            await client.donate_money(600),
            await client.restore_coral(7),
        ]
        days = {"start_date": NOON.date() - timedelta(days=1), "end_date": NOON.date() + timedelta(days=1)}
        own = [record async for record in items(client.records(limit=2, **days))]
        theirs = [record async for record in items(client.customer_records("ana@example.org", **days))]
        track = await client.track(made[0].user_id, made[0].time_utc)
        return made, own, theirs, track

    made, own, theirs, track = meet(work)
    assert [made[n].time_utc for n in (0, 1, 3, 4)] == [record.time_utc for record in own]
    assert (METADATA, [5], 3) == (own[0].metadata, [record.carbon_captured for record in theirs], track.tree_planted)


def test_a_cnaught_order_is_bought_once_listed_and_cancelled(settings):
    """The same key twice is one order; another body under it is refused."""

    async def work(transport, clock, sandbox):
        client = open_cnaught(settings, transport, clock)
        first = await client.submit_generic_order(amount_kg=Decimal("2.5"), idempotency_key="k", metadata="m")
        again = await client.submit_generic_order(amount_kg=Decimal("2.50"), idempotency_key="k", metadata="m")
        with pytest.raises(IdempotencyConflict):
            await client.submit_generic_order(amount_kg=Decimal(3), idempotency_key="k", metadata="m")
        await client.submit_generic_order(amount_kg=Decimal(1), idempotency_key="k2")
        listed = [order.id async for order in items(client.list_orders(limit=1))]
        cancelled = await client.cancel_order(first.id, idempotency_key="c")
        over = await client.cancel_order(first.id, idempotency_key="c2")
        return first, again, listed, cancelled.state, over.state, (await client.get_order(first.id)).metadata

    first, again, listed, *rest = meet(work)
    assert (first.id, 2, first.id, ["cancelled", "cancelled", "m"]) == (again.id, len(listed), listed[-1], rest)


@pytest.mark.parametrize("as_error", [False, True])
def test_an_impactapi_session_is_confirmed_however_often(settings, as_error):
    """Whether a repeated confirm is answered or declined, the session comes back with the same donations."""

    async def work(transport, clock, sandbox):
        client = open_impactapi(settings, transport, clock)
        campaign = (await client.list_campaigns())[0]
        share = {"campaign_identifier": campaign.slug, "amount": 30}
        session = await client.create_session(type="portion_of_sales", allocations=[share], metadata=METADATA)
        first = await client.confirm_session(session.id)
        again = await client.confirm_session(session.id)
        intent = await client.get_donation_intent(first.donation_intents[0].id)
        with pytest.raises(NotFound):
            await client.get_session("01J00000000000000000000000")
        return first, again, intent, await client.get_session(session.id)

    first, again, intent, read = meet(work, already_confirmed_error=as_error)
    assert (first.donation_intents, 30, METADATA, "confirmed") == (
        again.donation_intents,
        intent.amount,
        dict(read.metadata),
        read.status,
    )


@pytest.mark.parametrize("name", ["WICKED_REPORTS", "ONECLICKIMPACT", "CNAUGHT", "IMPACTAPI"])
def test_a_wrong_key_is_said_to_be_wrong(settings, monkeypatch, name):
    """Each provider, in its own words."""
    monkeypatch.setenv(f"{name}_API_KEY", "wrong")
    mistaken = load_settings()

    async def ask(transport, clock, _sandbox):
        match name:
            case "WICKED_REPORTS":
                await anext(open_wickedreports(mistaken, transport, clock).list_orders(*LAST_WEEK))
            case "ONECLICKIMPACT":
                await open_oneclickimpact(mistaken, transport, clock).whoami()
            case "CNAUGHT":
                await anext(open_cnaught(mistaken, transport, clock).list_orders())
            case _:
                await open_impactapi(mistaken, transport, clock).list_campaigns()

    with pytest.raises(Unauthorized, match=f"check {name}_API_KEY"):
        meet(ask)
