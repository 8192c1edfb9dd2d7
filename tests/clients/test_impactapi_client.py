"""
ImpactAPI: one test per operation and one per documented error.

Its reference shows requests, pages and errors, and names the fields of everything else in words; the samples hold its
example values in that shape. Where the status says it all, 204, the sample is empty.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest
from client_helpers import PatientClock, Script, sample
from pydantic import SecretStr

from impactflow.clients import ImpactAPIClient
from impactflow.clients.operations import operations
from impactflow.clients.paging import items
from impactflow.errors import (
    Contradiction,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    Refused,
    Unauthorized,
    WrongAddress,
)

CUSTOMER, VENDOR = "01K7HWG38CC1HZR23TVG950A9N", "01K7HWG14S22R5C925AFY6TX60"
INTENT = "01K7HWJ38PYD8PBW9KXFCNGS4C"
SESSION, PORTION = "01K7HWH8ANDSRNC6JK38SY6E45", "01K7HWJ8BNEF9SK7LM4GZT3C2P"
SECRET = "dn3iumLKuU1OxJlZFMAwJQSkrch0blaExPINfoN8nSpRI6GZuH1QyYtAH84ZRPvC"
TREES, CLEANHUB = "trees-for-the-future", "cleanhub"
AT = datetime(2025, 10, 14, 10, tzinfo=UTC)
DAYS = {"date_from": date(2024, 1, 1), "date_to": date(2024, 12, 31)}
KEY, BY_SECRET = ("Bearer k", None), (None, SECRET)


def open_client(*answers: str | httpx.Response | Exception):
    script = Script(*(sample("impactapi", answer) if isinstance(answer, str) else answer for answer in answers))
    return ImpactAPIClient("https://i.example/p", "k", transport=script, timeout_s=20, clock=PatientClock()), script


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
        requests: Method, path, query and JSON body of every request that it must send.
        see: What of the result is looked at.
        expected: What is seen.
        shown: The bearer and the session's secret that each request must carry.
    """

    answers: tuple[str, ...]
    call: Callable[[ImpactAPIClient], Awaitable[Any]]
    requests: list[tuple[str, str, dict[str, str], Any]]
    see: Callable[[Any], Any]
    expected: Any
    shown: tuple[str | None, str | None] = KEY


def sent(request: httpx.Request) -> tuple[str, str, dict[str, str], Any]:
    """A request as ``Sample.requests`` writes it."""
    body = json.loads(request.content) if request.content else None
    return request.method, request.url.path, dict(request.url.params), body


def shown(request: httpx.Request) -> tuple[str | None, str | None]:
    """What says who asks."""
    return request.headers.get("authorization"), request.headers.get("x-session-secret")


def listed(operation, path, call, expected, **query):
    """The sample of a list of two pages."""
    sorted_ = {"sort_by": "created_at", "sort_order": "desc", "per_page": "1"} | query
    requests = [("GET", path, sorted_ | {"page": page}, None) for page in ("1", "2")]
    return Sample((f"{operation}.200", f"{operation}.last.200"), call, requests, lambda found: found, expected)


def samples_of(one, id_, record, created, changes):
    """The samples of customers, or of vendors."""
    many, path = f"{one}s", f"/p/{one}s/{id_}"
    days = {"date_from": "2024-01-01", "date_to": "2024-12-31"}
    return {
        f"list_{many}": listed(
            f"list_{many}",
            f"/p/{many}",
            lambda client: ids(getattr(client, f"list_{many}")(external_id="e-1", sort_by="name", limit=1)),
            [id_, f"{id_[:-1]}{'P' if one == 'customer' else '1'}"],
            external_id="e-1",
            sort_by="name",
        ),
        f"create_{one}": Sample(
            (f"create_{one}.201",),
            lambda client: getattr(client, f"create_{one}")(**record),
            [("POST", f"/p/{many}", {}, record)],
            lambda made: (made.id, made.external_id, made.name, dict(made.metadata), made.created_at),
            (id_, *created, AT),
        ),
        f"get_{one}": Sample(
            (f"get_{one}.200",),
            lambda client: getattr(client, f"get_{one}")(id_),
            [("GET", path, {}, None)],
            lambda found: (found.id, found.external_id, found.name, dict(found.metadata), found.updated_at),
            (id_, *created, AT),
        ),
        f"update_{one}": Sample(
            (f"update_{one}.200",),
            lambda client: getattr(client, f"update_{one}")(id_, **changes),
            [("PATCH", path, {}, changes)],
            lambda found: (found.external_id, found.name, found.metadata.items() >= changes["metadata"].items()),
            (changes["external_id"], changes["name"], True),
        ),
        f"delete_{one}": Sample(
            (f"delete_{one}.204",),
            lambda client: getattr(client, f"delete_{one}")(id_),
            [("DELETE", path, {}, None)],
            lambda found: found,
            None,
        ),
        f"get_{one}_impact_metrics": Sample(
            (f"get_{one}_impact_metrics.200",),
            lambda client: getattr(client, f"get_{one}_impact_metrics")(id_, **DAYS),
            [("GET", f"{path}/impact_metrics", days, None)],
            lambda found: (found[0].name, found[0].amount),
            ("Trees planted", 20),
        ),
        f"list_{one}_donation_intents": listed(
            f"list_{one}_donation_intents",
            f"{path}/donation_intents",
            lambda client: ids(getattr(client, f"list_{one}_donation_intents")(id_, limit=1, **DAYS)),
            [INTENT, f"{INTENT[:-1]}D"],
            **days,
        ),
    }


SAMPLES = {
    "list_campaigns": Sample(
        ("list_campaigns.200",),
        lambda client: client.list_campaigns(),
        [("GET", "/p/campaigns", {}, None)],
        lambda found: [
            (one.slug, [(m.name, m.impact_per_dollar, m.emoji) for m in one.impact_metrics]) for one in found
        ],
        [(TREES, [("Trees planted", 4, "🌳")]), (CLEANHUB, [])],
    ),
    **samples_of(
        "customer",
        CUSTOMER,
        {"external_id": "customer-456", "name": "Jane Doe", "metadata": {"source": "web"}},
        (
            "customer-456",
            "Jane Doe",
            {"email": "jane@example.com", "source": "web", "customer_since": "2025-01-01"},
        ),
        {
            "external_id": "customer-456-updated",
            "name": "Jane Smith",
            "metadata": {"source": "mobile", "updated": True},
        },
    ),
    **samples_of(
        "vendor",
        VENDOR,
        {"external_id": "store-123", "name": "Downtown Coffee Shop", "metadata": {"type": "retail"}},
        (
            "store-123",
            "Downtown Coffee Shop",
            {"location": "123 Main St", "type": "retail", "manager": "John Doe"},
        ),
        {
            "external_id": "store-123-updated",
            "name": "Downtown Coffee Shop - Main Branch",
            "metadata": {"manager": "Jane Smith", "phone": "555-0123"},
        },
    ),
    "create_donation_intents": Sample(
        ("create_donation_intents.201",),
        lambda client: client.create_donation_intents([{"amount": 1000, "campaign_identifier": TREES}]),
        [("POST", "/p/donation_intents", {}, [{"amount": 1000, "campaign_identifier": TREES}])],
        lambda found: [(made.id, made.amount, made.campaign.slug, made.session_id) for made in found],
        [(INTENT, 1000, TREES, None)],
    ),
    "list_donation_intents": listed(
        "list_donation_intents",
        "/p/donation_intents",
        lambda client: ids(client.list_donation_intents(sort_order="asc", limit=1)),
        [INTENT, f"{INTENT[:-1]}E"],
        sort_order="asc",
    ),
    "get_donation_intent": Sample(
        ("get_donation_intent.200",),
        lambda client: client.get_donation_intent(INTENT),
        [("GET", f"/p/donation_intents/{INTENT}", {}, None)],
        lambda found: (found.amount, found.campaign_identifier, found.session_id, found.customer_id, found.vendor_id),
        (500, TREES, SESSION, CUSTOMER, VENDOR),
    ),
    "cancel_donation_intent": Sample(
        ("cancel_donation_intent.204",),
        lambda client: client.cancel_donation_intent(INTENT),
        [("PUT", f"/p/donation_intents/{INTENT}/cancel", {}, None)],
        lambda found: found,
        None,
    ),
    "create_session": Sample(
        ("create_session.201",),
        lambda client: client.create_session(
            type="add_on",
            available_campaigns=[TREES, CLEANHUB],
            amount=500,
            customer_id=CUSTOMER,
            metadata={"source": "checkout", "order_id": "ORD-12345"},
            expires_in=60,
        ),
        [
            (
                "POST",
                "/p/sessions",
                {},
                {
                    "type": "add_on",
                    "available_campaigns": [TREES, CLEANHUB],
                    "amount": 500,
                    "customer_id": CUSTOMER,
                    "metadata": {"source": "checkout", "order_id": "ORD-12345"},
                    "expires_in": 60,
                },
            )
        ],
        lambda made: (made.id, made.status, made.amount, made.session_secret.get_secret_value(), made.allocations),
        (SESSION, "active", 500, SECRET, []),
    ),
    "get_session": Sample(
        ("get_session.200",),
        lambda client: client.get_session(SESSION, session_secret=SECRET),
        [("GET", f"/p/sessions/{SESSION}", {}, None)],
        lambda found: (found.type, found.available_campaigns[0].impact_metrics[0].emoji, found.session_secret),
        ("add_on", "🌳", None),
        BY_SECRET,
    ),
    "update_session": Sample(
        ("update_session.200",),
        lambda client: client.update_session(
            SESSION, metadata={"order_id": "ORD-12345", "utm_source": "email"}, customer_id=CUSTOMER, vendor_id=None
        ),
        [
            (
                "PATCH",
                f"/p/sessions/{SESSION}",
                {},
                {
                    "metadata": {"order_id": "ORD-12345", "utm_source": "email"},
                    "customer_id": CUSTOMER,
                    "vendor_id": None,
                },
            )
        ],
        lambda found: (found.metadata["utm_source"], found.metadata["source"], found.customer_id, found.vendor_id),
        ("email", "checkout", CUSTOMER, None),
    ),
    "set_allocations": Sample(
        ("set_allocations.200",),
        lambda client: client.set_allocations(
            PORTION,
            [{"campaign_identifier": TREES, "amount": 300}, {"campaign_identifier": CLEANHUB, "amount": 200}],
        ),
        [
            (
                "PUT",
                f"/p/sessions/{PORTION}/allocations",
                {},
                {
                    "allocations": [
                        {"campaign_identifier": TREES, "amount": 300},
                        {"campaign_identifier": CLEANHUB, "amount": 200},
                    ]
                },
            )
        ],
        lambda found: [(share.campaign_identifier, share.amount) for share in found.allocations],
        [(TREES, 300), (CLEANHUB, 200)],
    ),
    "choose_campaign": Sample(
        ("choose_campaign.200",),
        lambda client: client.choose_campaign(SESSION, TREES, session_secret=SecretStr(SECRET)),
        [("POST", f"/p/sessions/{SESSION}/choose_campaign", {}, {"campaign_identifier": TREES})],
        lambda found: [(share.campaign_identifier, share.amount) for share in found.allocations],
        [(TREES, 500)],
        BY_SECRET,
    ),
    "process_session": Sample(
        ("process_session.200",),
        lambda client: client.process_session(SESSION, extends_by=10_080),
        [("POST", f"/p/sessions/{SESSION}/process", {}, {"extends_by": 10_080})],
        lambda found: (found.status, found.expires_at),
        ("processing", datetime(2025, 10, 21, 11, tzinfo=UTC)),
    ),
    "confirm_session": Sample(
        ("confirm_session.200",),
        lambda client: client.confirm_session(SESSION),
        [("POST", f"/p/sessions/{SESSION}/confirm", {}, None)],
        lambda found: (found.status, [(given.id, given.amount) for given in found.donation_intents]),
        ("confirmed", [(INTENT, 500)]),
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
async def test_an_operation_asks_as_documented_and_reads_the_documented_answer(name):
    """One request, or one per page; what is not given is not sent, and None is sent where it clears."""
    expected = SAMPLES[name]
    client, script = open_client(*expected.answers)
    result = await expected.call(client)
    assert (expected.requests, expected.expected) == ([sent(r) for r in script.requests], expected.see(result))
    assert {expected.shown} == {shown(request) for request in script.requests}


def test_each_operation_has_a_sample_and_the_request_that_it_declares():
    """The method's decorator says what is really sent; what does not read writes."""
    declared = operations(ImpactAPIClient)
    assert declared.keys() == SAMPLES.keys()
    for name, described in declared.items():
        method, path, *_ = SAMPLES[name].requests[0]
        assert re.fullmatch(described.request.replace("{id}", "[^/]+"), f"{method} {path.removeprefix('/p')}")
        assert described.writes == (method != "GET")


ERRORS = {
    400: ("create_session.400", Refused),
    401: ("create_session.401", Unauthorized),
    403: ("choose_campaign.403", Forbidden),
    404: ("get_customer.404", NotFound),
    422: ("create_customer.422", Refused),
}


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("name", SAMPLES)
async def test_a_documented_error_says_that_nothing_happened(name, status):
    """Its text names the operation and repeats the provider's code; its id is theirs, for their support."""
    answer, expected = ERRORS[status]
    if expected is NotFound and name == "list_campaigns":
        expected = WrongAddress  # every account has them
    # A refusal to confirm is looked behind: the session may have been confirmed before.
    then = ["get_session.200"] if name == "confirm_session" and status != httpx.codes.UNAUTHORIZED else []
    client, _ = open_client(answer, *then)
    with pytest.raises(ProviderError) as caught:
        await SAMPLES[name].call(client)
    error = sample("impactapi", answer).json()["error"]
    assert (expected, name, status, error["correlation_id"]) == (
        type(caught.value),
        caught.value.operation,
        caught.value.status,
        caught.value.request_id,
    )
    assert error["code"] in str(caught.value)


@pytest.mark.parametrize("name", [name for name, described in operations(ImpactAPIClient).items() if described.writes])
async def test_a_write_whose_answer_is_lost_is_in_doubt(name):
    """It is sent once; nothing here repeats it."""
    client, script = open_client(httpx.ReadError("reset"))
    with pytest.raises(OutcomeUnknown):
        await SAMPLES[name].call(client)
    assert 1 == len(script.requests)


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("no"), httpx.Response(503), httpx.Response(404)], ids=repr)
async def test_a_confirmation_that_is_declined_and_cannot_be_looked_into_is_in_doubt(failure):
    """It may have been confirmed before; the reading back must not say that nothing was given."""
    client, _ = open_client("create_session.400", failure)
    with pytest.raises(OutcomeUnknown, match=r"impactapi confirm_session.*perhaps because it was done before"):
        await client.confirm_session(SESSION)


SHARE = {"campaign_identifier": TREES, "amount": 30}
PORTION_OF_SALES = {"type": "portion_of_sales", "allocations": [SHARE]}
ADD_ON = {"type": "add_on", "amount": 500, "available_campaigns": [TREES]}
TOO_LONG, NOT_A_ULID = "x" * 256, "String should be a ULID"
BROKEN_LIMITS = [
    ("create_session", PORTION_OF_SALES | {"type": "gift"}, "type: Input should be 'add_on', "),
    ("create_session", PORTION_OF_SALES | {"allocations": []}, "allocations: Value should have at least 1 item"),
    ("create_session", PORTION_OF_SALES | {"allocations": [SHARE] * 11}, "allocations: Value should have at most 10"),
    (
        "create_session",
        PORTION_OF_SALES | {"allocations": [SHARE | {"amount": 0}]},
        "allocations.0.amount: Input should be greater than or equal to 1; nothing was sent",
    ),
    (
        "create_session",
        PORTION_OF_SALES | {"allocations": [SHARE | {"amount": 1_000_000_001}]},
        "allocations.0.amount: Input should be less than or equal to 1000000000; nothing was sent",
    ),
    ("create_session", PORTION_OF_SALES | {"allocations": None}, "allocations: portion_of_sales needs it; nothing"),
    ("create_session", ADD_ON | {"allocations": [SHARE]}, "allocations: add_on takes none; nothing was sent"),
    ("create_session", PORTION_OF_SALES | {"amount": 5}, "amount: portion_of_sales takes none; nothing was sent"),
    ("create_session", ADD_ON | {"amount": None}, "amount: add_on needs it; nothing was sent"),
    ("create_session", ADD_ON | {"available_campaigns": None}, "available_campaigns: add_on needs it; nothing"),
    ("create_session", ADD_ON | {"available_campaigns": []}, "available_campaigns: Value should have at least 1 item"),
    ("create_session", ADD_ON | {"customer_id": "me"}, f"customer_id: {NOT_A_ULID}; nothing was sent"),
    ("create_session", ADD_ON | {"expires_in": 14}, "expires_in: Input should be greater than or equal to 15; "),
    ("create_session", ADD_ON | {"expires_in": 1441}, "expires_in: Input should be less than or equal to 1440; "),
    ("create_session", ADD_ON | {"metadata": {"a": float("nan")}}, "metadata.a.float: Input should be a finite number"),
    ("update_session", {"id": SESSION, "vendor_id": "me"}, f"vendor_id: {NOT_A_ULID}; nothing was sent"),
    ("update_session", {"id": SESSION, "approximated": "yes"}, "approximated: Input should be a valid boolean; "),
    ("update_session", {"id": SESSION, "amount": 5}, "amount: Extra inputs are not permitted; nothing was sent"),
    ("set_allocations", {"id": SESSION, "allocations": []}, "allocations: Value should have at least 1 item"),
    ("process_session", {"id": SESSION, "extends_by": 59}, "extends_by: Input should be greater than or equal to 60; "),
    (
        "process_session",
        {"id": SESSION, "extends_by": 43_201},
        "extends_by: Input should be less than or equal to 43200; ",
    ),
    (
        "choose_campaign",
        {"id": SESSION, "campaign_identifier": "", "session_secret": SECRET},
        "campaign_identifier: String should have at least",
    ),
    (
        "choose_campaign",
        {"id": SESSION, "campaign_identifier": TREES},
        "session_secret: Missing required keyword only argument; nothing was sent",
    ),
    (
        "get_session",
        {"id": SESSION, "session_secret": "a\r\nb"},
        "session_secret: Value error, must be printable ASCII; ",
    ),
    (
        "create_donation_intents",
        {"intents": [SHARE | {"customer_id": CUSTOMER}]},
        "intents.0.customer_id: Extra inputs are not permitted; nothing was sent",
    ),
    ("create_donation_intents", {"intents": []}, "intents: Value should have at least 1 item"),
    ("create_donation_intents", {"intents": [SHARE] * 51}, "intents: Value should have at most 50 items"),
    ("create_customer", {"external_id": TOO_LONG}, "external_id: String should have at most 255 characters; "),
    ("create_vendor", {"name": TOO_LONG}, "name: String should have at most 255 characters; nothing was sent"),
    ("update_customer", {"id": CUSTOMER, "name": TOO_LONG}, "name: String should have at most 255 characters; "),
    ("update_vendor", {"id": VENDOR, "nam": "x"}, "nam: Extra inputs are not permitted; nothing was sent"),
    ("get_vendor", {"id": ""}, "id: String should have at least 1 character; nothing was sent"),
    ("delete_vendor", {"id": ".."}, "id: String should not be dots alone; nothing was sent"),
    ("list_customers", {"limit": 101}, "limit: Input should be less than or equal to 100; nothing was sent"),
    ("list_vendors", {"limit": 0}, "limit: Input should be greater than or equal to 1; nothing was sent"),
    ("list_customers", {"sort_by": "amount"}, "sort_by: Input should be 'created_at', 'name' or 'updated_at'"),
    ("list_donation_intents", {"sort_by": "name"}, "sort_by: Input should be 'created_at'; nothing was sent"),
    ("list_donation_intents", {"sort_order": "up"}, "sort_order: Input should be 'asc' or 'desc'; nothing was sent"),
    ("list_donation_intents", {"cursor": "0"}, "cursor: String should be the number of a page"),
]


@pytest.mark.parametrize(("operation", "arguments", "expected"), BROKEN_LIMITS)
async def test_a_documented_limit_is_checked_before_anything_is_sent(operation, arguments, expected):
    """The message names the argument and the limit, not its content."""
    client, script = open_client("create_session.201")
    with pytest.raises(Refused) as caught:
        await getattr(client, operation)(**arguments)
    assert str(caught.value).startswith(f"impactapi {operation}: {expected}")
    assert ([], None) == (script.requests, caught.value.status)


async def test_campaigns_are_read_bare_too():
    """Answers are seen with and without ``data`` around them."""
    bare = sample("impactapi", "list_campaigns.200").json()["data"]
    client, _ = open_client(httpx.Response(200, json=bare))
    assert [TREES, CLEANHUB] == [found.slug for found in await client.list_campaigns()]


@pytest.mark.parametrize("asked", [2, 3])
async def test_donations_that_are_not_answered_one_by_one_are_a_contradiction(asked):
    """Some may be given; which they are is for a person to see."""
    client, _ = open_client("create_donation_intents.201")
    with pytest.raises(Contradiction, match=f"{asked} donations were asked for and 1 answered"):
        await client.create_donation_intents([SHARE] * asked)


@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(200, json={"message": "Gone"})])
@pytest.mark.parametrize("name", ["delete_customer", "delete_vendor", "cancel_donation_intent"])
async def test_what_is_gone_is_gone_whatever_the_answer_says(name, answer):
    """The reference shows no answer."""
    client, _ = open_client(answer)
    assert await SAMPLES[name].call(client) is None


async def test_what_is_left_out_is_left_alone_and_none_clears():
    """The two are told apart."""
    client, script = open_client("update_customer.200")
    await client.update_customer(CUSTOMER)
    await client.update_customer(CUSTOMER, name=None)
    await client.update_customer(CUSTOMER, external_id=None, metadata=None)
    expected = [{}, {"name": None}, {"external_id": None, "metadata": None}]
    assert expected == [json.loads(request.content) for request in script.requests]


async def test_choosing_no_campaign_says_so():
    """Null opts out; nothing at all might mean something else."""
    client, script = open_client("choose_campaign.200")
    await client.choose_campaign(SESSION, None, session_secret=SECRET)
    assert ({"campaign_identifier": None}, BY_SECRET) == (
        json.loads(script.requests[0].content),
        shown(script.requests[0]),
    )


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"available_campaigns": [TREES]}, ([TREES], [])),
        ({"allocations": [{"campaign": {"slug": TREES}, "amount": 500}]}, ([], [(None, TREES, 500)])),
        ({"allocations": [{"campaign": TREES}]}, ([], [(None, TREES, None)])),
        ({"allocations": [{"campaign_identifier": TREES, "amount": "much"}]}, ([], [(TREES, None, None)])),
        ({"allocations": "none", "available_campaigns": 7}, ([], [])),
        ({"type": 1, "amount": "x", "metadata": "m", "confirmed_at": "soon", "vendor_id": {}}, ([], [])),
        ({"allocations": None, "approximated": "perhaps", "expires_at": None, "session_secret": 5}, ([], [])),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
async def test_what_was_given_is_read_however_the_rest_is_told(fields, read, wrapped):
    """The reference leaves it open, and the money is gone by then."""
    session = {"id": SESSION, "status": "confirmed", "donation_intents": [{"id": INTENT, "amount": 500, "campaign": 7}]}
    client, _ = open_client(httpx.Response(200, json={"data": session | fields} if wrapped else session | fields))
    found = await client.confirm_session(SESSION)
    shares = [(one.campaign_identifier, one.campaign and one.campaign.slug, one.amount) for one in found.allocations]
    assert read == ([campaign.slug for campaign in found.available_campaigns], shares)
    assert ("confirmed", [(INTENT, 500)]) == (found.status, [(one.id, one.amount) for one in found.donation_intents])


async def test_metadata_that_is_missing_reads_as_empty():
    """Some servers write an empty object as a list or null."""
    client, _ = open_client("list_customers.last.200", "list_vendors.last.200")
    found = [[one async for one in items(pages)] for pages in (client.list_customers(), client.list_vendors())]
    assert [[{}], [{}]] == [[dict(one.metadata) for one in listed] for listed in found]


async def test_a_list_goes_on_after_the_page_that_it_is_given():
    """The page's ``next`` is all that another process needs."""
    client, script = open_client("list_customers.200", "list_customers.last.200")
    first = await anext(client.list_customers(limit=1))
    rest = [page async for page in client.list_customers(limit=1, cursor=first.next)]
    assert ("2", "2", [None]) == (first.next, script.requests[1].url.params["page"], [page.next for page in rest])


async def test_a_record_that_moved_to_the_next_page_is_returned_once():
    """One was added before the second page was asked for."""
    first, last = (sample("impactapi", name).json() for name in ("list_customers.200", "list_customers.last.200"))
    shifted = last | {"data": first["data"] + last["data"]}
    client, _ = open_client("list_customers.200", httpx.Response(200, json=shifted))
    found = [[one.id for one in page.items] async for page in client.list_customers()]
    assert [[CUSTOMER], [last["data"][0]["id"]]] == found


async def test_a_log_shows_neither_customers_nor_secrets():
    """Not who they are, not what is known of them, not what opens their session."""
    client, _ = open_client("get_customer.200", "create_session.201")
    customer, session = await client.get_customer(CUSTOMER), await SAMPLES["create_session"].call(client)
    shown_ = repr(customer) + repr(session) + str(session)
    assert not any(private in shown_ for private in ("Jane", "jane", "customer-456", "ORD-12345", SECRET[:8]))
    assert SECRET == session.session_secret.get_secret_value()


async def test_confirming_what_is_confirmed_returns_it():
    """The refusal is looked into: what counts is what the session says."""
    client, script = open_client("confirm_session.400", "confirm_session.200")
    session = await client.confirm_session(SESSION)
    assert ("confirmed", ["POST", "GET"]) == (session.status, [request.method for request in script.requests])


async def test_a_confirmation_that_is_refused_for_another_reason_is_an_error():
    """An expired session was never given."""
    client, _ = open_client("confirm_session.400", "get_session.200")
    with pytest.raises(Refused):
        await client.confirm_session(SESSION)
