"""Wicked Reports: pages of orders, exact amounts, and broken orders that spoil nothing."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import pytest
from client_helpers import PatientClock, Script, sample
from hypothesis import given
from hypothesis import strategies as st

from impactflow.clients import WickedReportsClient
from impactflow.clients.wickedreports.models import WickedOrder, read_page
from impactflow.errors import Refused, Unavailable
from impactflow.models import BrokenOrder

DAYS = date(2026, 2, 3), date(2026, 2, 4)
SOUND = {"id": "WR-9", "sourceId": "s-9", "date": "2026-02-03T04:05:06.000Z"}


def open_client(*answers):
    script = Script(*(sample("wickedreports", answer) if isinstance(answer, str) else answer for answer in answers))
    return WickedReportsClient("https://w.example", "k", transport=script, timeout_s=20, clock=PatientClock()), script


def a_page(*orders, **more):
    return json.dumps({"status": "success", "results": list(orders)} | more).encode()


async def test_orders_come_page_by_page():
    """The hash of one page asks for the next."""
    last = httpx.Response(200, content=a_page(SOUND, page=2, totalPages=2, total=3))
    client, script = open_client("list_orders.200", last)
    pages = [page async for page in client.order_pages(*DAYS)]
    query = {"from": "2026-02-03", "to": "2026-02-04", "limit": "1000"}
    assert [query, query | {"next": "0f0f"}] == [dict(request.url.params) for request in script.requests]
    assert [(["WR-1", "WR-2"], 1, 3), (["WR-9"], 2, 3)] == [
        ([order.id for order in page.orders], page.page, page.total) for page in pages
    ]


async def test_an_order_keeps_what_a_policy_asks_about():
    """Exact amounts, aware times, no address in sight."""
    client, _ = open_client("list_orders.200")
    order, bare = (await anext(client.order_pages(*DAYS))).orders
    assert (Decimal("79.9"), Decimal(2), "EUR", "stripe", "ana@example.org", False) == (
        order.amount,
        order.products[0].qty,
        order.currency,
        order.source_system,
        order.contact.email,
        "@" in repr(order),
    )
    assert ("APPROVED", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)) == (order.payments[0].status, order.date)
    assert (datetime(2026, 2, 3, 5, tzinfo=UTC), None, None, None) == (
        bare.date,
        bare.amount,
        bare.products,
        bare.contact,
    )


async def test_a_contacts_orders_are_asked_for_by_id_or_address():
    """The last page may name a next one all the same."""
    client, script = open_client("contact_orders.200")
    pages = [page async for page in client.contact_orders_pages("ana+x@example.org", *DAYS, limit=5)]
    assert (1, b"/contacts/ana%2Bx%40example.org/orders?from=2026-02-03&to=2026-02-04&limit=5") == (
        len(pages),
        script.requests[0].url.raw_path,
    )


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_page_has_at_most_a_thousand_orders(limit):
    """And at least one."""
    client, _ = open_client("list_orders.200")
    with pytest.raises(Refused, match=r"limit must be from 1 to 1,000"):
        await anext(client.order_pages(*DAYS, limit=limit))


async def test_a_page_that_leads_back_is_an_error_and_no_endless_loop():
    """Twice the same hash, though more pages are promised."""
    client, script = open_client(httpx.Response(200, content=a_page(SOUND, page=1, totalPages=9, next="aa")))
    with pytest.raises(Unavailable, match="has no end"):
        [page async for page in client.order_pages(*DAYS)]
    assert 2 == len(script.requests)


async def test_an_empty_page_is_the_last():
    """Whatever it names as the next."""
    client, script = open_client(httpx.Response(200, content=a_page(next="aa")))
    assert [[]] == [page.orders async for page in client.order_pages(*DAYS)]
    assert 1 == len(script.requests)


async def test_an_answer_that_is_no_page_names_the_field():
    """Provider, operation, field."""
    client, _ = open_client(httpx.Response(200, content=b'{"status":"success"}'))
    with pytest.raises(Unavailable, match=r"wickedreports list_orders .*field results: Field required"):
        await anext(client.order_pages(*DAYS))


BROKEN = [
    ({"id": None}, "field id"),
    ({"id": ""}, "field id"),
    ({"sourceId": 7}, "field sourceId"),
    ({"date": "yesterday"}, "field date"),
    ({"amount": float("nan")}, "field amount"),
    ({"amount": float("inf")}, "field amount"),
    ({"amount": 1e40}, "field amount"),
    ({"amount": "a lot"}, "field amount"),
    ({"products": [{"qty": 1e12}]}, "field products.0.qty"),
    ({"products": "tea"}, "field products"),
    ({"payments": [{"status": "APPROVED"}, 5]}, "field payments.1"),
]


@pytest.mark.parametrize(("change", "expected"), BROKEN)
def test_a_broken_order_spoils_no_other(change, expected):
    """It keeps its place, names its fields and shows nothing of its content."""
    before, broken, after = read_page(a_page(SOUND, SOUND | change, SOUND)).orders
    assert ([WickedOrder, WickedOrder], BrokenOrder) == ([type(before), type(after)], type(broken))
    assert (True, change.get("id", "WR-9")) == (broken.problem.startswith(expected), broken.id)


def test_an_order_that_is_no_object_is_broken_too():
    """It has no id."""
    assert [None] == [order.id for order in read_page(a_page(5)).orders]


def test_amounts_stay_exact_beside_a_broken_order():
    """Both ways to read a page give the same orders."""
    sound = SOUND | {"amount": 79.9, "products": [{"qty": 0.1}]}
    alone, beside = read_page(a_page(sound)).orders[0], read_page(a_page(sound, 5)).orders[0]
    assert (Decimal("79.9"), alone) == (alone.amount, beside)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "sourceId", "date", "amount", "qty", "status", "email"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
fields = ["id", "sourceId", "sourceSystem", "date", "contact", "products", "payments", "amount", "currency"]


@given(st.lists(st.dictionaries(st.sampled_from(fields), json_values), max_size=4))
def test_no_order_whatever_it_holds_spoils_the_page(orders):
    """Every order comes out, sound or broken, in its place."""
    page = read_page(a_page(*orders, SOUND))
    assert (len(orders) + 1, "WR-9") == (len(page.orders), page.orders[-1].id)
