"""Wicked Reports, for whatever arguments: what the client lets through the sandbox takes, and listings lose nothing."""

from collections import Counter
from datetime import timedelta
from operator import attrgetter
from random import Random

import httpx
import pytest
from client_helpers import NOON, LoopClock, run_virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from impactflow.clients import WickedReportsClient
from impactflow.clients.paging import items
from impactflow.errors import Refused
from impactflow.sandbox import Options, Sandbox, environment, generate_orders
from impactflow.sandbox.transport import SandboxTransport

TODAY, DAY = NOON.date(), timedelta(days=1)
VARIABLES = environment("http://127.0.0.1")
URL, KEY = VARIABLES["WICKED_REPORTS_URL"], VARIABLES["WICKED_REPORTS_API_KEY"]
#: The contact whose own listings are read.
BUYER = {"id": "AC-1", "sourceId": "c/1", "sourceSystem": "unknown", "email": "a+b@example.com"}
#: By operation: its path, its call, and what tells its records apart.
LISTS = {
    "list_contacts": ("/contacts", lambda client, *days, **more: client.list_contacts(*days, **more), "id"),
    "list_clicks": ("/clicks", lambda client, *days, **more: client.list_clicks(*days, **more), "contact_id", "date"),
    "list_contact_clicks": (
        "/contacts/c%2F1/clicks",
        lambda client, *days, **more: client.list_contact_clicks("c/1", *days, **more),
        "date",
    ),
    "list_orders": ("/orders", lambda client, *days, **more: client.list_orders(*days, **more), "id"),
    "list_contact_orders": (
        "/contacts/a%2Bb%40example.com/orders",
        lambda client, *days, **more: client.list_contact_orders("a+b@example.com", *days, **more),
        "id",
    ),
}
#: How many days the provider lists at a time.
LONGEST = {"list_clicks": 30, "list_contact_clicks": 180}


class Meeting:
    """A sandbox, a client of it, and the status of every answer between them."""

    def __init__(self, orders):
        options = Options(wicked_reports_per_minute=1_000_000)
        self.sandbox = Sandbox(options, clock=LoopClock(), orders=orders)
        self.transport = SandboxTransport(self.sandbox)
        self.client = WickedReportsClient(URL, KEY, transport=self, timeout_s=20, clock=self.sandbox.clock)
        self.statuses = []

    async def handle_async_request(self, request):
        response = await self.transport.handle_async_request(request)
        self.statuses.append(response.status_code)
        return response

    async def ask(self, path, query):
        """Send a request as it is."""
        request = httpx.Request("GET", f"{URL}{path}", params=query, headers={"apikey": KEY})
        return (await self.transport.handle_async_request(request)).status_code


def sold(count, seed, days):
    """Orders in no order, every other one of one contact."""
    orders = generate_orders(count, seed, NOON, days)
    orders[::2] = [order | {"contact": BUYER} for order in orders[::2]]
    Random(seed).shuffle(orders)
    return orders


near = st.sampled_from([-1, 0, 1, 2, 999, 1000, 1001, 1002]) | st.integers(-5, 1005)
lengths = st.sampled_from([-1, 0, 1, 29, 30, 31, 179, 180, 181, 360]) | st.integers(-40, 400)


@pytest.mark.parametrize("name", LISTS)
@settings(max_examples=40)
@given(limit=near, length=lengths, seed=st.integers(0, 3))
def test_the_client_refuses_what_the_sandbox_would(name, limit, length, seed):
    """Before it is sent; only what is too long is cut to a length that is taken."""
    path, call, *_ = LISTS[name]
    days = TODAY - length * DAY, TODAY

    async def run():
        meeting = Meeting(sold(5, seed, 7))
        status = await meeting.ask(path, {"from": str(days[0]), "to": str(days[1]), "limit": str(limit)})
        try:
            _ = [page async for page in call(meeting.client, *days, limit=limit)]
        except Refused:
            return status, meeting.statuses
        return status, {*meeting.statuses}

    status, answered = run_virtual(run())
    too_long = length > LONGEST.get(name, length) and 1 <= limit <= 1000
    assert (status, answered) == ((400, {200}) if too_long else (200, {200}) if status == 200 else (400, []))


@pytest.mark.parametrize("name", LISTS)
@settings(max_examples=25)
@given(
    count=st.integers(0, 25),
    limit=st.integers(1, 7),
    added=st.lists(st.integers(0, 3), max_size=8),
    resumes=st.booleans(),
    seed=st.integers(0, 99),
)
def test_each_record_comes_once_while_others_are_added(name, count, limit, added, resumes, seed):
    """Whether one reader reads it all, or each page another one that goes on where the last one stopped."""
    _, call, *key = LISTS[name]
    key = attrgetter(*key)
    days = 2 * LONGEST.get(name, 30) + 40
    window = TODAY - (days + 1) * DAY, TODAY + DAY
    orders = sold(count + 25, seed, days)
    more = iter(orders[count:])

    async def run():
        meeting = Meeting([{"id": "WR-0", "sourceId": "0", "date": "2026-02-01", "contact": BUYER}, *orders[:count]])
        there = [key(record) async for record in items(call(meeting.client, *window))]
        pages, read = call(meeting.client, *window, limit=limit), []
        for batch in (*added, *[0] * 200):
            page = await anext(pages)
            read += [key(record) for record in page.items]
            meeting.sandbox.shop.orders += [next(more) for _ in range(batch)]
            if page.next is None:
                break
            if resumes:
                pages = call(meeting.client, *window, limit=limit, cursor=page.next)
        else:
            raise AssertionError("it never ended")
        return there, read

    there, read = run_virtual(run())
    assert dict.fromkeys(read, 1) == Counter(read)
    assert set(there) <= set(read)
