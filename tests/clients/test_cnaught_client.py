"""CNaught: one test per operation, from samples in the shape of its reference."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from client_helpers import PatientClock, Script, sample
from hypothesis import given
from hypothesis import strategies as st

from impactflow.clients import CNaughtClient
from impactflow.errors import NotFound, Refused, Unauthorized


def open_client(*answers):
    script = Script(*(sample("cnaught", answer) if isinstance(answer, str) else answer for answer in answers))
    return CNaughtClient("https://c.example/v1", "k", transport=script, timeout_s=20, clock=PatientClock()), script


async def test_an_order_is_submitted_with_its_key_and_nothing_else():
    """What is not given is not sent; an answer without a state is of an order just placed."""
    client, script = open_client("submit_order.201")
    order = await client.submit_order(amount_kg=Decimal("2.5"), idempotency_key="if-1")
    request = script.requests[0]
    assert ("POST", "/v1/orders", "if-1", b'{"amount_kg":2.5}') == (
        request.method,
        request.url.path,
        request.headers["idempotency-key"],
        request.content,
    )
    assert (Decimal("2.5"), 6, "placed") == (order.amount_kg, order.price_usd_cents, order.state)


async def test_all_that_an_order_may_say_is_sent():
    """In one fixed order of fields."""
    client, script = open_client("submit_order.201")
    await client.submit_order(
        amount_kg=Decimal(100),
        idempotency_key="k",
        metadata='{"order_id":"WR-1"}',
        description="Für Ana",
        portfolio_id="p",
        notification_url="https://me.example/hook",
    )
    expected = (
        rb'{"amount_kg":100,"metadata":"{\"order_id\":\"WR-1\"}","description":"F\u00fcr Ana",'
        rb'"portfolio_id":"p","notification_config":{"url":"https://me.example/hook"}}'
    )
    assert expected == script.requests[0].content


@given(st.decimals(min_value="0.001", max_value="10000000", places=3))
async def test_the_same_amount_makes_the_same_bytes_however_it_is_written(amount_kg):
    """A repeated key with another body would be refused; the figure on the wire is exact."""
    client, script = open_client("submit_order.201")
    await client.submit_order(amount_kg=amount_kg, idempotency_key="k")
    await client.submit_order(amount_kg=amount_kg.normalize(), idempotency_key="k")
    first, second = (request.content for request in script.requests)
    assert (first, amount_kg) == (second, Decimal(first.removeprefix(b'{"amount_kg":').removesuffix(b"}").decode()))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"amount_kg": Decimal(0)}, "amount_kg must be above zero"),
        ({"amount_kg": Decimal("NaN")}, "amount_kg must be above zero"),
        ({"amount_kg": Decimal("0.12345678901234567891")}, "amount_kg may have 15 digits"),
        ({"metadata": "x" * 513}, "metadata may have 512 characters"),
        ({"description": "x" * 513}, "description may have 512 characters"),
        ({"idempotency_key": ""}, "idempotency_key must be 1 to 512 printable characters"),
        ({"idempotency_key": "x" * 513}, "idempotency_key must be 1 to 512 printable characters"),
        ({"idempotency_key": "a\nb"}, "idempotency_key must be 1 to 512 printable characters"),
    ],
)
async def test_a_documented_limit_is_checked_before_anything_is_sent(options, expected):
    """The message names the field and the limit."""
    client, script = open_client("submit_order.201")
    with pytest.raises(Refused) as caught:
        await client.submit_order(**({"amount_kg": Decimal(1), "idempotency_key": "k"} | options))
    assert (f"cnaught submit_order: {expected}; nothing was sent", []) == (str(caught.value), script.requests)


async def test_an_order_is_read_with_its_certificate():
    """Times are aware, amounts exact."""
    client, script = open_client("get_order.200")
    order = await client.get_order("Ab12/Cd34")
    assert b"/v1/orders/Ab12%2FCd34" == script.requests[0].url.raw_path
    assert ("fulfilled", "https://example.org/c/1", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), False) == (
        order.state,
        order.certificate_public_url,
        order.created_on,
        "Ana" in repr(order),
    )


async def test_an_order_that_does_not_exist_is_not_found():
    """The answer to a lookup of a purchase that never was."""
    client, _ = open_client("get_order.404")
    with pytest.raises(NotFound):
        await client.get_order("x")


async def test_orders_are_listed_page_by_page_until_a_page_is_empty():
    """A short page does not end the list: an order missed here could be bought again."""
    client, script = open_client("list_orders.200", httpx.Response(200, json={"data": []}))
    orders = [order.id async for order in client.list_orders(limit=50)]
    queries = [dict(request.url.params) for request in script.requests]
    assert (["Zz2", "Zz1"], [{"limit": "50"}, {"limit": "50", "starting_after": "Zz1"}]) == (orders, queries)


async def test_a_listing_can_begin_after_an_order():
    """Only what is older."""
    client, script = open_client(httpx.Response(200, json={"data": []}))
    assert [] == [order async for order in client.list_orders(starting_after="Zz9")]
    assert {"limit": "100", "starting_after": "Zz9"} == dict(script.requests[0].url.params)


@pytest.mark.parametrize("limit", [0, 101])
async def test_a_page_has_at_most_a_hundred_orders(limit):
    """And at least one."""
    client, _ = open_client("list_orders.200")
    with pytest.raises(Refused, match="limit must be from 1 to 100"):
        await anext(aiter(client.list_orders(limit=limit)))


async def test_an_order_is_cancelled_with_a_key_of_its_own():
    """No body; the key names this cancellation."""
    client, script = open_client("cancel_order.200")
    order = await client.cancel_order("Ab12Cd34", idempotency_key="c-1")
    request = script.requests[0]
    assert ("cancelled", "/v1/orders/Ab12Cd34/cancel", b"", "c-1") == (
        order.state,
        request.url.path,
        request.content,
        request.headers["idempotency-key"],
    )


async def test_cancelling_what_is_cancelled_returns_it():
    """The refusal is looked into: what counts is what the order says."""
    client, _ = open_client("cancel_order.403", "cancel_order.200")
    assert (await client.cancel_order("Ab12Cd34", idempotency_key="c")).state == "cancelled"


async def test_a_cancellation_that_is_refused_for_another_reason_is_an_error():
    """The order stands."""
    client, _ = open_client("cancel_order.403", "get_order.200")
    with pytest.raises(Unauthorized):
        await client.cancel_order("Ab12Cd34", idempotency_key="c")
