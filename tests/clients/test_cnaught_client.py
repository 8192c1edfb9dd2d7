"""
CNaught: one test per operation and one per documented error.

The samples are the examples of its API reference; what that leaves empty has the shape that its official SDK reads.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from client_helpers import PatientClock, Script, sample
from hypothesis import given
from hypothesis import strategies as st

from impactflow.clients import CNaughtClient
from impactflow.clients.operations import operations
from impactflow.clients.paging import items
from impactflow.errors import (
    Forbidden,
    IdempotencyConflict,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    Refused,
    Unauthorized,
)

ORDER, SUBACCOUNT = "Gre28Fc35bt3", "5nubL0NS"
ORDERED_AT = datetime(2022, 8, 1, 18, tzinfo=UTC)


def open_client(*answers: str | httpx.Response):
    script = Script(*(sample("cnaught", answer) if isinstance(answer, str) else answer for answer in answers))
    return CNaughtClient("https://c.example/v1", "k", transport=script, timeout_s=20, clock=PatientClock()), script


async def ids(pages):
    """The ids of what is listed on all pages."""
    return [item.id async for item in items(pages)]


@dataclass(frozen=True)
class Sample:
    """
    An operation and its recorded answers.

    Args:
        answers: The samples that are answered, in turn.
        call: Asks for the operation.
        requests: Method, path, query, idempotency key, subaccount and JSON body of every request that it must send.
        see: What of the result is looked at.
        expected: What is seen.
        errors: The statuses outside 2xx that the reference names.
    """

    answers: tuple[str, ...]
    call: Callable[[CNaughtClient], Awaitable[Any]]
    requests: list[tuple[str, str, dict[str, str], str | None, str | None, Any]]
    see: Callable[[Any], Any]
    expected: Any
    errors: tuple[int, ...]


SAMPLES = {
    "list_orders": Sample(
        ("list_orders.200", "list_orders.last.200"),
        lambda client: ids(client.list_orders(limit=50, subaccount_id=SUBACCOUNT)),
        [
            ("GET", "/v1/orders", {"limit": "50"}, None, SUBACCOUNT, None),
            ("GET", "/v1/orders", {"limit": "50", "starting_after": "Umx5c6F7pH7r"}, None, SUBACCOUNT, None),
        ],
        lambda found: found,
        [ORDER, "Umx5c6F7pH7r"],
        (400, 401),
    ),
    "submit_generic_order": Sample(
        ("submit_generic_order.201",),
        lambda client: client.submit_generic_order(
            amount_kg=Decimal("100.0"),
            idempotency_key="if-1",
            metadata="Customer metadata",
            description="Für Ana",
            portfolio_id="mHvNvWbq",
            notification_url="https://me.example/hook",
            subaccount_id=SUBACCOUNT,
        ),
        [
            (
                "POST",
                "/v1/orders",
                {},
                "if-1",
                SUBACCOUNT,
                {
                    "amount_kg": 100,
                    "metadata": "Customer metadata",
                    "description": "Für Ana",
                    "portfolio_id": "mHvNvWbq",
                    "notification_config": {"url": "https://me.example/hook"},
                },
            )
        ],
        lambda order: (order.id, order.order_number, order.amount_kg, order.price_usd_cents, order.state),
        (ORDER, "47726-53238-46633-33562-7433", 100, 2350, "placed"),
        (400, 401, 403, 409, 422),
    ),
    "submit_ride_order": Sample(
        ("submit_ride_order.201",),
        lambda client: client.submit_ride_order(
            distance_km=Decimal("10.5"), idempotency_key="if-2", metadata="Customer metadata"
        ),
        [
            (
                "POST",
                "/v1/orders/ride",
                {},
                "if-2",
                None,
                {"distance_km": 10.5, "metadata": "Customer metadata"},
            )
        ],
        lambda order: (order.id, order.metadata, order.amount_kg, order.price_usd_cents, order.state),
        ("XYZ", "Customer metadata", 15, 2350, "placed"),
        (400, 401, 403, 409, 422),
    ),
    "get_order": Sample(
        ("get_order.200",),
        lambda client: client.get_order("Gre28/Fc35bt3", subaccount_id=SUBACCOUNT),
        [("GET", "/v1/orders/Gre28%2FFc35bt3", {}, None, SUBACCOUNT, None)],
        lambda order: (order.id, order.created_on, order.description, order.amount_kg, order.state),
        (ORDER, ORDERED_AT, "On behalf of Jane Smith", Decimal("10.5"), "placed"),
        (401, 404),
    ),
    "cancel_order": Sample(
        ("cancel_order.200",),
        lambda client: client.cancel_order(ORDER, idempotency_key="if-3", subaccount_id=SUBACCOUNT),
        [("POST", f"/v1/orders/{ORDER}/cancel", {}, "if-3", SUBACCOUNT, None)],
        lambda order: (order.id, order.created_on, order.state, order.certificate_public_url),
        (ORDER, ORDERED_AT, "cancelled", None),
        (401, 403, 404, 409, 422),
    ),
    "get_generic_quote": Sample(
        ("get_generic_quote.200",),
        lambda client: client.get_generic_quote(
            amount_kg=Decimal("8.5"), portfolio_id="mHvNvWbq", subaccount_id=SUBACCOUNT
        ),
        [("POST", "/v1/quotes", {}, None, SUBACCOUNT, {"amount_kg": 8.5, "portfolio_id": "mHvNvWbq"})],
        lambda quote: (quote.amount_kg, quote.price_usd_cents),
        (Decimal("8.5"), 10),
        (400, 401),
    ),
    "get_ride_quote": Sample(
        ("get_ride_quote.200",),
        lambda client: client.get_ride_quote(distance_km=Decimal("10.5")),
        [("POST", "/v1/quotes/ride", {}, None, None, {"distance_km": 10.5})],
        lambda quote: (quote.amount_kg, quote.price_usd_cents),
        (15, 2350),
        (400, 401),
    ),
    "get_impact_data": Sample(
        ("get_impact_data.200",),
        lambda client: client.get_impact_data(subaccount_id=SUBACCOUNT),
        [("GET", "/v1/impact/data", {}, None, SUBACCOUNT, None)],
        lambda impact: (
            impact.name,
            impact.total_offset_kgs,
            impact.since_date,
            impact.equivalents["trees_planted"],
            impact.categories[0]["offset_kgs"],
        ),
        ("Acme, Inc", 100_000, datetime(2023, 1, 1, 18, tzinfo=UTC), 1653, 100_000),
        (401,),
    ),
    "get_impact_hosted_page_config": Sample(
        ("get_impact_hosted_page_config.200",),
        lambda client: client.get_impact_hosted_page_config(),
        [("GET", "/v1/impact/hosted-page-config", {}, None, None, None)],
        lambda config: (config.enabled, config.url, config.enabled_equivalents),
        (True, "https://example.org/impact/acme", ["cars_off_the_road", "trees_planted"]),
        (401,),
    ),
    "list_subaccounts": Sample(
        ("list_subaccounts.200", "list_subaccounts.last.200"),
        lambda client: ids(client.list_subaccounts()),
        [
            ("GET", "/v1/subaccounts", {"limit": "100"}, None, None, None),
            ("GET", "/v1/subaccounts", {"limit": "100", "starting_after": SUBACCOUNT}, None, None, None),
        ],
        lambda found: found,
        [SUBACCOUNT],
        (400, 401),
    ),
    "create_subaccount": Sample(
        ("create_subaccount.201",),
        lambda client: client.create_subaccount(
            name="Marketing Department", idempotency_key="if-4", default_portfolio_id="mHvNvWbq"
        ),
        [
            (
                "POST",
                "/v1/subaccounts",
                {},
                "if-4",
                None,
                {"name": "Marketing Department", "default_portfolio_id": "mHvNvWbq"},
            )
        ],
        lambda subaccount: (subaccount.id, subaccount.name, subaccount.default_portfolio_id),
        (SUBACCOUNT, "Marketing Department", "mHvNvWbq"),
        (400, 401, 409, 422),
    ),
    "get_subaccount": Sample(
        ("get_subaccount.200",),
        lambda client: client.get_subaccount(SUBACCOUNT),
        [("GET", f"/v1/subaccounts/{SUBACCOUNT}", {}, None, None, None)],
        lambda subaccount: (subaccount.id, subaccount.name, subaccount.default_portfolio_id),
        (SUBACCOUNT, "Marketing Department", "mHvNvWbq"),
        (401, 404),
    ),
}


def sent(request: httpx.Request):
    """As ``Sample.requests`` writes it."""
    return (
        request.method,
        request.url.raw_path.decode().partition("?")[0],
        dict(request.url.params),
        request.headers.get("idempotency-key"),
        request.headers.get("x-subaccount-id"),
        json.loads(request.content) if request.content else None,
    )


@pytest.mark.parametrize("name", SAMPLES)
async def test_an_operation_asks_as_documented_and_reads_the_documented_answer(name):
    """One request, or one per page; what is not given is not sent."""
    expected = SAMPLES[name]
    client, script = open_client(*expected.answers)
    result = await expected.call(client)
    assert (expected.requests, expected.expected) == ([sent(r) for r in script.requests], expected.see(result))


def test_each_operation_has_a_sample_and_the_request_that_it_declares():
    """The method's decorator says what is really sent, and what changes something has a key."""
    declared = operations(CNaughtClient)
    assert declared.keys() == SAMPLES.keys()
    for name, described in declared.items():
        method, path, _, key, *_ = SAMPLES[name].requests[0]
        asked = f"{method} {path.removeprefix('/v1')}"
        assert re.fullmatch(described.request.replace("{id}", "[^/]+"), asked)
        assert described.writes == (key is not None)


ERRORS = {
    400: ("submit_generic_order.400", Refused),
    401: ("submit_generic_order.401", Unauthorized),
    403: ("submit_generic_order.403", Forbidden),
    404: ("get_order.404", NotFound),
    409: ("submit_generic_order.409", OutcomeUnknown),
    422: ("submit_generic_order.422", IdempotencyConflict),
}


@pytest.mark.parametrize(("name", "status"), [(name, status) for name, one in SAMPLES.items() for status in one.errors])
async def test_a_documented_error_says_whether_it_happened(name, status):
    """The error's class answers that; its text names the operation and repeats the provider's words."""
    answer, expected = ERRORS[status]
    client, _ = open_client(answer, *(["get_order.200"] if (name, status) == ("cancel_order", 403) else [answer]))
    with pytest.raises(ProviderError) as caught:
        await SAMPLES[name].call(client)
    assert (expected, status) == (type(caught.value), caught.value.status)
    assert sample("cnaught", answer).json()["title"] in str(caught.value)


async def test_an_order_tells_its_certificate_its_ride_and_what_met_it():
    """What the reference leaves out and the SDK reads; what may name a customer shows in no log."""
    client, _ = open_client("get_order.fulfilled.200", "get_order.200")
    order, described = await client.get_order("Umx5c6F7pH7r"), await client.get_order(ORDER)
    assert ("fulfilled", "https://example.org/c/1", "ride", Decimal("10.5"), SUBACCOUNT, "A forest") == (
        order.state,
        order.certificate_public_url,
        order.type,
        order.distance_km,
        order.subaccount_id,
        order.project_allocations[0]["project"]["name"],
    )
    assert "Jane" not in repr(described)
    assert "Customer" not in repr(described)


@pytest.mark.parametrize("name", ["get_impact_data", "get_subaccount"])
async def test_a_subaccounts_name_is_not_shown(name):
    """It may be a customer's."""
    client, _ = open_client(*SAMPLES[name].answers)
    shown = repr(await SAMPLES[name].call(client))
    assert not any(secret in shown for secret in ("Acme", "Marketing"))


async def test_an_order_may_say_its_price_instead():
    """The amount is then the provider's to say."""
    client, script = open_client("submit_generic_order.201")
    order = await client.submit_generic_order(total_price_usd_cents=2350, idempotency_key="k")
    assert ({"total_price_usd_cents": 2350}, 100) == (json.loads(script.requests[0].content), order.amount_kg)


async def test_an_account_without_orders_by_price_is_told_so():
    """The reference does not know them; what the provider says comes first, for it may mean something else."""
    client, _ = open_client("submit_generic_order.400")
    with pytest.raises(Refused, match=r"One is wrong.*; where nothing is wrong but the price, this account has no "):
        await client.submit_generic_order(total_price_usd_cents=2350, idempotency_key="k")


async def test_the_fields_of_an_order_are_always_in_the_same_order():
    """A repeated key asks for the same bytes."""
    client, script = open_client("submit_generic_order.201")
    await client.submit_generic_order(
        description="Für Ana", metadata='{"order_id":"WR-1"}', amount_kg=Decimal(100), idempotency_key="k"
    )
    expected = rb'{"amount_kg":100,"metadata":"{\"order_id\":\"WR-1\"}","description":"F\u00fcr Ana"}'
    assert expected == script.requests[0].content


@given(st.decimals(min_value="0.001", max_value="10000000", places=3))
async def test_the_same_amount_makes_the_same_bytes_however_it_is_written(amount_kg):
    """A repeated key with another body would be refused; the figure on the wire is exact."""
    client, script = open_client("submit_generic_order.201")
    await client.submit_generic_order(amount_kg=amount_kg, idempotency_key="k")
    await client.submit_generic_order(amount_kg=amount_kg.normalize(), idempotency_key="k")
    first, second = (request.content for request in script.requests)
    assert (first, amount_kg) == (second, Decimal(first.removeprefix(b'{"amount_kg":').removesuffix(b"}").decode()))


ONE = {"amount_kg": Decimal(1), "idempotency_key": "k"}


@pytest.mark.parametrize(
    ("operation", "arguments", "expected"),
    [
        ("submit_generic_order", ONE | {"amount_kg": Decimal(0)}, "amount_kg: Input should be greater than 0"),
        ("submit_generic_order", ONE | {"amount_kg": Decimal("NaN")}, "amount_kg: Input should be a finite number"),
        ("submit_generic_order", ONE | {"amount_kg": 1.5}, "amount_kg: Input should be an instance of Decimal"),
        (
            "submit_generic_order",
            ONE | {"amount_kg": Decimal("0.1234567890123456")},
            "amount_kg: Decimal input should have no more than 15 digits in total",
        ),
        (
            "submit_generic_order",
            {"total_price_usd_cents": 0, "idempotency_key": "k"},
            "total_price_usd_cents: Input should be greater than or equal to 1",
        ),
        ("submit_generic_order", ONE | {"metadata": "x" * 513}, "metadata: String should have at most 512 characters"),
        (
            "submit_generic_order",
            ONE | {"idempotency_key": "x" * 513},
            "idempotency_key: String should have at most 512",
        ),
        (
            "submit_generic_order",
            ONE | {"idempotency_key": ""},
            "idempotency_key: String should be printable ASCII without ",
        ),
        (
            "submit_generic_order",
            ONE | {"idempotency_key": "a\nb"},
            "idempotency_key: String should be printable ASCII",
        ),
        (
            "submit_generic_order",
            ONE | {"idempotency_key": "Ä"},
            "idempotency_key: String should be printable ASCII without ",
        ),
        (
            "submit_generic_order",
            ONE | {"notification_url": "ftp://x"},
            "notification_url: String should be a URL that begins with http:// or https://",
        ),
        (
            "submit_generic_order",
            ONE | {"subaccount_id": "a\nb"},
            "subaccount_id: String should be printable ASCII without",
        ),
        ("submit_generic_order", {"idempotency_key": "k"}, "give one of amount_kg and total_price_usd_cents"),
        (
            "submit_generic_order",
            ONE | {"total_price_usd_cents": 1},
            "give one of amount_kg and total_price_usd_cents",
        ),
        (
            "submit_ride_order",
            {"distance_km": Decimal(-1), "idempotency_key": "k", "description": "x" * 513},
            "distance_km: Input should be greater than 0; description: String should have at most 512 characters",
        ),
        ("get_ride_quote", {"distance_km": Decimal(0)}, "distance_km: Input should be greater than 0"),
        ("list_orders", {"limit": 0}, "limit: Input should be greater than or equal to 1"),
        ("list_subaccounts", {"limit": 101}, "limit: Input should be less than or equal to 100"),
        (
            "create_subaccount",
            {"name": "n" * 513, "idempotency_key": "k"},
            "name: String should have at most 512 characters",
        ),
        ("get_order", {"id": ".."}, "id: String should be printable ASCII without spaces, and not dots alone"),
        ("get_subaccount", {"id": ""}, "id: String should be printable ASCII without spaces, and not dots alone"),
    ],
)
async def test_a_documented_limit_is_checked_before_anything_is_sent(operation, arguments, expected):
    """The message names the field and the limit."""
    client, script = open_client("get_order.200")
    with pytest.raises(Refused) as caught:
        await getattr(client, operation)(**arguments)
    assert str(caught.value).startswith(f"cnaught {operation}: {expected}")
    assert (True, []) == (str(caught.value).endswith("; nothing was sent"), script.requests)


async def test_a_listing_that_leads_to_the_newest_is_read_from_the_oldest():
    """Each page begins with its newest, as the provider writes it; the list does not."""
    client, script = open_client("list_orders.200", "list_orders.last.200")
    found = await ids(client.list_orders(newer_than="Zz1", limit=2))
    queries = [dict(request.url.params) for request in script.requests]
    assert ["Umx5c6F7pH7r", ORDER] == found
    assert [{"limit": "2", "ending_before": "Zz1"}, {"limit": "2", "ending_before": ORDER}] == queries


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"cursor": "Zz9"}, {"starting_after": "Zz9"}),
        ({"newer_than": "Zz1", "cursor": "Zz9"}, {"ending_before": "Zz9"}),
    ],
)
async def test_a_listing_goes_on_where_it_stopped(arguments, expected):
    """In the direction in which it went."""
    client, script = open_client("list_orders.last.200")
    assert [] == await ids(client.list_orders(**arguments))
    assert expected | {"limit": "100"} == dict(script.requests[0].url.params)


async def test_a_record_that_a_page_repeats_is_listed_once():
    """An order seen twice would look like two purchases."""
    first, second = (order["id"] for order in sample("cnaught", "list_orders.200").json()["data"])
    again = httpx.Response(200, json={"data": [{"id": second, "amount_kg": 1}, {"id": "Zz1", "amount_kg": 1}]})
    client, _ = open_client("list_orders.200", again, "list_orders.last.200")
    assert [first, second, "Zz1"] == await ids(client.list_orders())


async def test_cancelling_what_is_cancelled_returns_it():
    """The refusal is looked into, for the same subaccount: what counts is what the order says."""
    client, script = open_client("cancel_order.403", "cancel_order.200")
    order = await client.cancel_order(ORDER, idempotency_key="c", subaccount_id=SUBACCOUNT)
    assert ("cancelled", SUBACCOUNT) == (order.state, script.requests[-1].headers["x-subaccount-id"])


async def test_a_cancellation_that_is_refused_for_another_reason_is_an_error():
    """The order stands."""
    client, _ = open_client("cancel_order.403", "get_order.200")
    with pytest.raises(Forbidden):
        await client.cancel_order(ORDER, idempotency_key="c")


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("no"), httpx.Response(503), httpx.Response(429)], ids=repr)
async def test_a_cancellation_that_cannot_be_looked_into_is_in_doubt(failure):
    """It may have been cancelled before; "nothing was sent" would be untrue."""
    client, _ = open_client("cancel_order.403", failure)
    with pytest.raises(OutcomeUnknown, match=r"cnaught cancel_order.*perhaps because it was done before"):
        await client.cancel_order(ORDER, idempotency_key="c")


async def test_only_a_cancellation_that_is_forbidden_is_looked_into():
    """A wrong key says nothing of the order."""
    client, script = open_client("submit_generic_order.401")
    with pytest.raises(Unauthorized):
        await client.cancel_order(ORDER, idempotency_key="c")
    assert 1 == len(script.requests)


async def test_a_quote_is_asked_for_again():
    """It orders nothing, though it is a POST."""
    client, script = open_client(httpx.Response(503), "get_generic_quote.200")
    quote = await client.get_generic_quote(amount_kg=Decimal("8.5"))
    assert (10, [b'{"amount_kg":8.5}'] * 2) == (quote.price_usd_cents, [r.content for r in script.requests])


async def test_a_page_configuration_may_be_empty():
    """As the reference's own example is."""
    client, _ = open_client(httpx.Response(200, json={}))
    assert (await client.get_impact_hosted_page_config()).url is None
