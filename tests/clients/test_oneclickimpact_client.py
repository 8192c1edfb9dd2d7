"""
1ClickImpact: one test per operation and one per documented error.

The samples are the examples of its API reference (records and customers end with a page in the same shape, without a
cursor); those of coral, cancelling and projects have the shape that its SDK ``makeimpact`` 2.0.0 reads.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from client_helpers import PatientClock, Script, sample

from impactflow.clients import OneClickImpactClient
from impactflow.clients.operations import operations
from impactflow.clients.paging import items
from impactflow.errors import NotFound, OutcomeUnknown, RateLimited, Refused, Unauthorized, Unavailable

EMAIL = "sample-customer@email.com"
TIME = "2024-09-16T20:34:04.429Z"
TRACKED = "U1234", "2025-03-12T15:22:14.753Z"


def open_client(*answers: str | httpx.Response):
    script = Script(*(sample("oneclickimpact", answer) if isinstance(answer, str) else answer for answer in answers))
    return OneClickImpactClient("https://o.example", "k", transport=script, timeout_s=20, clock=PatientClock()), script


async def collected(pages):
    """What is listed on all pages."""
    return [item async for item in items(pages)]


@dataclass(frozen=True)
class Sample:
    """
    An operation and its recorded answers.

    Args:
        answers: The samples that are answered, in turn.
        call: Asks for the operation.
        requests: Method, path, query and JSON body of every request that it must send.
        see: What of the result is looked at.
        expected: What is seen.
    """

    answers: tuple[str, ...]
    call: Callable[[OneClickImpactClient], Awaitable[Any]]
    requests: list[tuple[str, str, dict[str, Any], Any]]
    see: Callable[[Any], Any]
    expected: Any


def bought(operation, amount, field):
    """The sample of an action that is given its amount alone."""
    return Sample(
        (f"{operation}.200",),
        lambda client: getattr(client, operation)(amount),
        [("POST", f"/v1/{operation}", {}, {"amount": amount})],
        lambda made: (made.user_id, getattr(made, field), made.time_utc, made.customer),
        ("U123", amount, TIME, None),
    )


def listed(operation, query, call, see, expected):
    """The sample of a listing of two pages."""
    asked = [query, query | {"cursor": sample("oneclickimpact", f"{operation}.200").json()["cursor"]}]
    requests = [("GET", f"/v1/{operation}", page, None) for page in asked]
    return Sample((f"{operation}.200", f"{operation}.last.200"), call, requests, see, expected)


DAYS = {"start_date": "2024-06-12", "end_date": "2024-09-17"}
SAMPLES = {
    "whoami": Sample(
        ("whoami.200",),
        lambda client: client.whoami(),
        [("GET", "/v1/whoami", {}, None)],
        lambda me: (me.user_id, me.email),
        ("U123", "my-email@email.com"),
    ),
    "plant_tree": bought("plant_tree", 5, "tree_planted"),
    "clean_ocean": bought("clean_ocean", 5, "waste_removed"),
    "capture_carbon": bought("capture_carbon", 5, "carbon_captured"),
    "donate_money": bought("donate_money", 500, "money_donated"),
    "restore_coral": bought("restore_coral", 5, "coral_restored"),
    "cancel_impact": Sample(
        ("cancel_impact.200",),
        lambda client: client.cancel_impact(*TRACKED, reason="order refunded"),
        [
            (
                "POST",
                "/v1/cancel_impact",
                {},
                {"user_id": TRACKED[0], "time_utc": TRACKED[1], "reason": "order refunded"},
            )
        ],
        lambda done: (done.user_id, done.time_utc, done.cancelled_on, done.message, done.reason, done.tree_planted),
        (*TRACKED, "2025-03-13T08:00:00.000Z", "Impact cancelled", "order refunded", 10),
    ),
    "impact": Sample(
        ("impact.200",),
        lambda client: client.impact(),
        [("GET", "/v1/impact", {}, None)],
        lambda totals: [
            (part.tree_planted, part.waste_removed, part.carbon_captured, part.money_donated, part.coral_restored)
            for part in (totals, totals.user_impact, totals.customer_impact)
        ],
        [(100, 50, 75, 25_000, 0), (60, 30, 45, 15_000, 0), (40, 20, 30, 10_000, 0)],
    ),
    "daily_impact": Sample(
        ("daily_impact.200",),
        lambda client: client.daily_impact(start_date=date(2025, 1, 1), end_date=date(2025, 3, 1)),
        [("GET", "/v1/impact/daily", {"start_date": "2025-01-01", "end_date": "2025-03-01"}, None)],
        lambda found: [
            (day.date, day.tree_planted, day.waste_removed, day.money_donated) for day in found.daily_impact
        ],
        [(date(2025, 1, 15), 5, 0, 0), (date(2025, 1, 21), 0, 10, 500)],
    ),
    "records": listed(
        "records",
        {"filter_by": ["tree_planted", "waste_removed"], **DAYS, "limit": "2", "sort_order": "asc"},
        lambda client: collected(
            client.records(
                filter_by=["tree_planted", "waste_removed"],
                start_date=date(2024, 6, 12),
                end_date=date(2024, 9, 17),
                limit=2,
            )
        ),
        lambda found: [(one.tree_planted, one.waste_removed, one.metadata, one.cancellation_reason) for one in found],
        [
            (10, None, None, None),
            (None, 15, None, None),
            (10, None, {"orderId": "A-1001", "source": "checkout"}, "order refunded"),
        ],
    ),
    "customer_records": listed(
        "customer_records",
        {"customer_email": "a+b@email.com", **DAYS, "limit": "1000", "sort_order": "desc"},
        lambda client: collected(
            client.customer_records(
                "a+b@email.com", start_date=date(2024, 6, 12), end_date=date(2024, 9, 17), sort_order="desc"
            )
        ),
        lambda found: [(one.customer.customer_id, one.tree_planted, one.money_donated) for one in found],
        [("U1234", 10, None), ("U3456", None, 1000)],
    ),
    "customers": listed(
        "customers",
        {"limit": "1000", "sort_order": "asc"},
        lambda client: collected(client.customers()),
        lambda found: [(one.customer_id, one.customer_email, one.customer_name, one.onboarded_on) for one in found],
        [
            ("U1234", EMAIL, "Sample Customer", datetime(2024, 6, 12, 15, 22, 14, 753_000, UTC)),
            ("U3456", "sample-customer-4@email.com", None, datetime(2024, 6, 21, 20, 34, 35, 913_000, UTC)),
        ],
    ),
    "track": Sample(
        ("track.200",),
        lambda client: client.track(*TRACKED),
        [("GET", "/v1/track", {"user_id": TRACKED[0], "time_utc": TRACKED[1]}, None)],
        lambda track: track.model_dump(exclude_unset=True),
        sample("oneclickimpact", "track.200").json(),
    ),
    "list_projects": Sample(
        ("list_projects.200",),
        lambda client: client.list_projects(type="trees", locale="de"),
        [("GET", "/v1/projects", {"type": "trees", "locale": "de"}, None)],
        lambda projects: [project.model_dump() for project in projects],
        sample("oneclickimpact", "list_projects.200").json()["projects"],
    ),
    "get_project": Sample(
        ("get_project.200",),
        lambda client: client.get_project("P1/x", locale="es"),
        [("GET", "/v1/projects/P1%2Fx", {"locale": "es"}, None)],
        lambda project: project.model_dump(),
        sample("oneclickimpact", "get_project.200").json(),
    ),
}


def sent(request: httpx.Request):
    """Method, path, query and JSON body; a parameter that comes again is a list."""
    params = {name: request.url.params.get_list(name) for name in request.url.params}
    query = {name: values if len(values) > 1 else values[0] for name, values in params.items()}
    path = request.url.raw_path.decode().partition("?")[0]
    return request.method, path, query, json.loads(request.content) if request.content else None


@pytest.mark.parametrize("name", SAMPLES)
async def test_an_operation_asks_as_documented_and_reads_the_documented_answer(name):
    """One request per page; whatever the answer says is in its model."""
    expected = SAMPLES[name]
    client, script = open_client(*expected.answers)
    result = await expected.call(client)
    assert (expected.requests, expected.expected) == ([sent(r) for r in script.requests], expected.see(result))


def test_each_operation_has_a_sample_and_the_request_that_it_declares():
    """The method's decorator says what is really sent."""
    declared = {name: one.request.partition(" ") for name, one in operations(OneClickImpactClient).items()}
    assert declared.keys() == SAMPLES.keys()
    for name, (method, _, path) in declared.items():
        asked, at, *_ = SAMPLES[name].requests[0]
        assert (method, path.partition("{")[0]) == (asked, at[: len(path.partition("{")[0])])


async def test_a_customer_is_read_from_an_answer_but_never_shown():
    """Neither the address nor the name is in a log or a traceback."""
    client, _ = open_client("plant_tree.customer.200", "whoami.200", "customers.last.200")
    made, me, customers = await client.plant_tree(5), await client.whoami(), await collected(client.customers())
    assert ("food", EMAIL, "Sample Customer") == (
        made.category,
        made.customer.customer_email,
        made.customer.customer_name,
    )
    assert not any(secret in f"{made!r} {me!r} {customers!r}" for secret in ("@", "Sample Customer"))


async def test_a_purchase_for_a_customer_says_not_to_notify():
    """Left out, it would mean yes."""
    client, script = open_client("capture_carbon.200")
    metadata = MappingProxyType({"order_id": "WR-1"})
    await client.capture_carbon(5, customer_email=EMAIL, customer_name="Ana", metadata=metadata)
    expected = {
        "amount": 5,
        "customer_email": EMAIL,
        "customer_name": "Ana",
        "notify": False,
        "metadata": {"order_id": "WR-1"},
    }
    assert expected == sent(script.requests[0])[3]


async def test_category_and_notify_are_sent_as_given():
    """Food trees; the customer is written to."""
    client, script = open_client("plant_tree.200")
    await client.plant_tree(3, customer_email=EMAIL, notify=True, category="food")
    assert {"amount": 3, "customer_email": EMAIL, "notify": True, "category": "food"} == sent(script.requests[0])[3]


ACTIONS = ("plant_tree", "clean_ocean", "capture_carbon", "donate_money", "restore_coral")
LISTINGS = ("records", "customer_records", "customers")
IMPACT_TYPES = ("tree_planted", "waste_removed", "carbon_captured", "money_donated", "coral_restored")
RANGE = "Input should be {} than or equal to {}"
BROKEN_LIMITS = [
    *((action, (0,), {}, f"amount: {RANGE.format('greater', 1)}") for action in ACTIONS),
    *(
        (action, (10_000_001,), {}, f"amount: {RANGE.format('less', 10_000_000)}")
        for action in ACTIONS
        if action != "donate_money"
    ),
    ("donate_money", (1_000_000_001,), {}, f"amount: {RANGE.format('less', 1_000_000_000)}"),
    ("plant_tree", (1.0,), {}, "amount: Input should be a valid integer"),
    *((action, (1,), {"customer_name": "Ana"}, "customer_name needs customer_email") for action in ACTIONS),
    ("plant_tree", (1,), {"customer_email": "Ana"}, "customer_email: String should hold an @"),
    ("plant_tree", (1,), {"category": "fun"}, "category: Input should be 'food'"),
    (
        "plant_tree",
        (1,),
        {"metadata": {str(n): "" for n in range(21)}},
        "metadata: Dictionary should have at most 20 items after validation, not more",
    ),
    ("plant_tree", (1,), {"metadata": {"gift": "x"}}, "metadata: The keys gift and widgetID are reserved"),
    ("plant_tree", (1,), {"metadata": {"widgetID": ""}}, "metadata: The keys gift and widgetID are reserved"),
    (
        "plant_tree",
        (1,),
        {"metadata": {"k" * 41: "x"}},
        f"metadata.{'k' * 41}.[key]: String should have at most 40 characters",
    ),
    (
        "plant_tree",
        (1,),
        {"metadata": {"k": "x" * 501}},
        "metadata.k: String should have at most 500 characters",
    ),
    ("cancel_impact", ("", "t"), {}, "user_id: String should have at least 1 character"),
    ("cancel_impact", ("U1", ""), {}, "time_utc: String should have at least 1 character"),
    ("cancel_impact", ("U1", "t"), {"reason": "x" * 201}, "reason: String should have at most 200 characters"),
    ("track", ("U1", ""), {}, "time_utc: String should have at least 1 character"),
    ("daily_impact", (), {"start_date": "2025-01-01"}, "start_date: Input should be a valid date"),
    *((listing, (), {"limit": 1001}, f"limit: {RANGE.format('less', 1000)}") for listing in LISTINGS),
    *((listing, (), {"limit": -1}, f"limit: {RANGE.format('greater', 0)}") for listing in LISTINGS),
    *((listing, (), {"sort_order": "up"}, "sort_order: Input should be 'asc' or 'desc'") for listing in LISTINGS),
    (
        "records",
        (),
        {"filter_by": ["trees"]},
        f"filter_by.0: Input should be {', '.join(map(repr, IMPACT_TYPES[:-1]))} or {IMPACT_TYPES[-1]!r}",
    ),
    ("list_projects", (), {"type": "coral"}, "type: Input should be 'trees', 'ocean' or 'carbon'"),
    ("get_project", ("P1",), {"locale": "it"}, "locale: Input should be 'en', 'de', 'es', 'fr' or 'nl'"),
]


@pytest.mark.parametrize(("operation", "given", "options", "expected"), BROKEN_LIMITS)
async def test_a_documented_limit_is_checked_before_anything_is_sent(operation, given, options, expected):
    """The message names the argument and the limit."""
    client, script = open_client("plant_tree.200")
    with pytest.raises(Refused) as caught:
        await getattr(client, operation)(*given, **options)
    assert (f"oneclickimpact {operation}: {expected}; nothing was sent", None, []) == (
        str(caught.value),
        caught.value.status,
        script.requests,
    )


async def test_a_refusal_shows_no_address():
    """Not even one that somebody used as a metadata key."""
    client, _ = open_client("plant_tree.200")
    with pytest.raises(Refused) as caught:
        await client.plant_tree(1, customer_email=f"{EMAIL}{'x' * 320}", metadata={f"{EMAIL}{'x' * 40}": ""})
    assert "metadata.***.[key]" in str(caught.value)
    assert "email.com" not in str(caught.value)


async def test_a_listing_goes_on_after_the_page_that_it_is_given():
    """The page's ``next`` is all that another process needs."""
    client, script = open_client("records.200", "records.last.200")
    first = await anext(client.records())
    rest = await collected(client.records(cursor=first.next))
    assert ("fNJjcmV32dGVkTiOi...", 1) == (script.requests[1].url.params["cursor"], len(rest))


async def test_a_page_of_none_is_the_only_one():
    """The page after it would be the same for ever."""
    client, script = open_client(httpx.Response(200, json={"user_records": [], "cursor": "c"}))
    pages = [page async for page in client.records(limit=0)]
    assert ([([], "c")], 1) == ([(page.items, page.next) for page in pages], len(script.requests))


@pytest.mark.parametrize(
    ("status", "expected"), [(400, Refused), (401, Unauthorized), (429, RateLimited), (500, OutcomeUnknown)]
)
async def test_a_documented_error_says_whether_the_trees_are_planted(status, expected):
    """No, except after a breakdown: then they may be."""
    client, _ = open_client(f"plant_tree.{status}")
    with pytest.raises(expected) as caught:
        await client.plant_tree(1)
    assert (expected, status) == (type(caught.value), caught.value.status)


@pytest.mark.parametrize(
    ("status", "expected"), [(400, Refused), (401, Unauthorized), (429, RateLimited), (500, Unavailable)]
)
async def test_a_documented_error_of_a_read_says_whether_to_ask_again(status, expected):
    """Later, where it was too often or the provider broke down."""
    client, _ = open_client(f"plant_tree.{status}")
    with pytest.raises(expected) as caught:
        await client.track(*TRACKED)
    assert (expected, status) == (type(caught.value), caught.value.status)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("restore_coral", "this account does not have restore_coral"),
        ("cancel_impact", "there is no such purchase, or this account does not have cancel_impact"),
        ("list_projects", "this account does not have projects"),
        ("get_project", "there is no such project, or this account does not have projects"),
    ],
)
async def test_an_account_without_an_addition_is_told_so(name, expected):
    """Not every account has what the reference leaves out."""
    client, _ = open_client("restore_coral.404")
    with pytest.raises(NotFound) as caught:
        await SAMPLES[name].call(client)
    reason = "the provider knows nothing by that name (they say: No such route)"
    assert f"oneclickimpact {name} (HTTP 404): {expected}: {reason}" == str(caught.value)
