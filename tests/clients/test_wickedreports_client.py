"""Wicked Reports: each operation by its sample, long windows, resumed listings, broken orders that spoil nothing."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

import httpx
import pytest
from client_helpers import PatientClock, Script, sample
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from impactflow.clients import WickedReportsClient
from impactflow.clients.operations import operations
from impactflow.clients.paging import items
from impactflow.clients.wickedreports.models import WickedOrder, read_order_page
from impactflow.clients.wickedreports.spans import cut
from impactflow.errors import NotFound, RateLimited, Refused, Unauthorized, Unavailable, WrongAddress
from impactflow.models import BrokenOrder

DAYS = date(2026, 2, 3), date(2026, 2, 4)
DAY = timedelta(days=1)
SOUND = {"id": "WR-9", "sourceId": "s-9", "date": "2026-02-03T04:05:06.000Z"}


def open_client(*answers):
    script = Script(*(sample("wickedreports", answer) if isinstance(answer, str) else answer for answer in answers))
    return WickedReportsClient("https://w.example", "k", transport=script, timeout_s=20, clock=PatientClock()), script


def a_page(*records, **more):
    return json.dumps({"status": "success", "results": list(records)} | more).encode()


def reply(*records, **more):
    return httpx.Response(200, content=a_page(*records, **more))


async def first(pages):
    """The first record of a listing."""
    return (await anext(pages)).items[0]


@dataclass(frozen=True)
class Sampled:
    """
    An operation and its sample.

    Args:
        call: Asks for it.
        sent: The path and query that must have been sent.
        values: What must have been read from the sample.
    """

    call: Callable[[WickedReportsClient], Awaitable[Any]]
    sent: str
    values: Mapping[str, Any]


def moment(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


DATED = "from=2026-02-03&to=2026-02-04&limit=1000"
CONTACT = {
    "id": "AB-1234567",
    "source_id": "someIdInSourceSystem",
    "source_system": "test",
    "email": "test@example.com",
    "first_name": "Test",
    "last_name": "Contact",
    "ltv": Decimal(0),
    "create_date": moment("2020-07-15T00:10:17"),
    "first_click.date": moment("2020-07-28T20:48:21"),
    "first_optin.term": "some-term",
    "re_optin.campaign": "test-campaign",
    "url_wicked": "https://my.wickedreports.com/extras/customerltv?report=newlead&id=AB-1234567",
}
CLICK = {
    "contact_id": "test-contact-id",
    "contact_source_id": "test-contact-source-id",
    "date": moment("2020-07-01T00:01:43"),
    "email": "test@example.com",
    "is_first_click": False,
    "is_first_optin": False,
    "is_last_click": False,
    "is_re_optin": True,
    "source": "hubspot",
    "utms.medium": "email",
    "wickedid": "1234567",
    "wickedsource": "test",
    "tracking_url": "https://example.com/tracking/url",
}
ORDER = {
    "id": "WR-order-id",
    "source_id": "test-source-order-id",
    "source_system": "stripe",
    "date": moment("2020-06-18T06:00:27"),
    "attributions.first_click.date": moment("2020-06-18T02:00:27"),
    "attributions.last_click.term": "direct",
    "amount": Decimal(79),
    "currency": "USD",
    "subscription_id": "test-subscription-1234567",
}
SAMPLES = {
    "list_contacts": Sampled(lambda client: first(client.list_contacts(*DAYS)), f"/contacts?{DATED}", CONTACT),
    "get_contact": Sampled(
        lambda client: client.get_contact("test+1@example.com"), "/contacts/test%2B1%40example.com", CONTACT
    ),
    "list_clicks": Sampled(lambda client: first(client.list_clicks(*DAYS)), f"/clicks?{DATED}", CLICK),
    "list_contact_clicks": Sampled(
        lambda client: first(client.list_contact_clicks("AB/1", limit=5)), "/contacts/AB%2F1/clicks?limit=5", CLICK
    ),
    "list_orders": Sampled(
        lambda client: first(client.list_orders(*DAYS)),
        f"/orders?{DATED}",
        ORDER | {"contact.id": "AB-1234567", "contact.source_id": "test-source-contact-id"},
    ),
    "list_contact_orders": Sampled(
        lambda client: first(client.list_contact_orders("AB-1", *DAYS, cursor="0f0f")),
        f"/contacts/AB-1/orders?{DATED}&next=0f0f",
        ORDER | {"contact": None},
    ),
}


def test_every_operation_has_a_sample():
    """And every sample an operation."""
    assert list(operations(WickedReportsClient)) == list(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
async def test_each_operation_sends_and_reads_what_is_documented(name):
    """From the reference's own example."""
    client, script = open_client(f"{name}.200")
    expected = SAMPLES[name]
    record = await expected.call(client)
    (request,) = script.requests
    assert ("GET", expected.sent, b"") == (request.method, request.url.raw_path.decode(), request.content)
    assert expected.values == {field: attrgetter(field)(record) for field in expected.values}
    assert not any(hidden in repr(record) for hidden in ("@", "Test", "tracking/url"))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("list_orders.400", Refused),
        ("list_orders.401", Unauthorized),
        ("get_contact.404", NotFound),
        (httpx.Response(429), RateLimited),
    ],
    ids=["400", "401", "404", "429"],
)
async def test_each_documented_error_has_its_class(name, answer, expected):
    """Whatever was asked for; a list that is not there is not where the URL says."""
    if expected is NotFound and name in {"list_contacts", "list_clicks", "list_orders"}:
        expected = WrongAddress
    client, _ = open_client(answer)
    with pytest.raises(expected, match=f"^wickedreports {name} ") as caught:
        await SAMPLES[name].call(client)
    assert expected is type(caught.value)


async def test_orders_come_page_by_page():
    """The hash of one page asks for the next."""
    client, script = open_client(
        reply(SOUND, SOUND | {"id": "WR-10"}, page=1, totalPages=2, total=3, next="0f0f"),
        reply(SOUND | {"id": "WR-11"}, page=2, totalPages=2, total=3, next="aaaa"),
    )
    pages = [page async for page in client.list_orders(*DAYS)]
    query = {"from": "2026-02-03", "to": "2026-02-04", "limit": "1000"}
    assert [query, query | {"next": "0f0f"}] == [dict(request.url.params) for request in script.requests]
    assert [(["WR-9", "WR-10"], "0f0f", 3), (["WR-11"], None, 3)] == [
        ([order.id for order in page.items], page.next, page.total) for page in pages
    ]


async def test_an_order_keeps_what_a_policy_asks_about():
    """Exact amounts, aware times."""
    product, payment = {"qty": 2, "PPU": 39.95}, {"status": "APPROVED", "date": "2026-02-03T04:05:06", "amount": 79.9}
    client, _ = open_client(reply(SOUND | {"amount": 79.9, "products": [product], "payments": [payment]}, SOUND))
    order, bare = (await anext(client.list_orders(*DAYS))).items
    assert (Decimal("79.9"), Decimal(2), Decimal("39.95"), "APPROVED", moment("2026-02-03T04:05:06")) == (
        order.amount,
        order.products[0].qty,
        order.products[0].price_per_unit,
        order.payments[0].status,
        order.payments[0].date,
    )
    assert (None, None, None, None) == (bare.amount, bare.products, bare.contact, bare.attributions)


async def test_a_time_that_is_the_text_null_is_none():
    """It is the schema's default."""
    contact = {"id": "C", "sourceId": "s", "email": "e@example.com", "urlWicked": "u", "links": []}
    client, _ = open_client(reply(contact | {"firstClick": {"date": "null", "source": "direct"}}))
    found = await first(client.list_contacts(*DAYS))
    assert (None, "direct", None) == (found.first_click.date, found.first_click.source, found.links)


LISTS = {
    "list_contacts": lambda client, **more: client.list_contacts(**more),
    "list_clicks": lambda client, **more: client.list_clicks(**more),
    "list_contact_clicks": lambda client, **more: client.list_contact_clicks("C-1", **more),
    "list_orders": lambda client, **more: client.list_orders(**more),
    "list_contact_orders": lambda client, **more: client.list_contact_orders("C-1", **more),
}
BAD_ARGUMENTS = [
    ({"limit": 0}, "limit: Input should be greater than or equal to 1"),
    ({"limit": 1001}, "limit: Input should be less than or equal to 1000"),
    ({"limit": True}, "limit: Input should be a valid integer"),
    ({"from_": "2026-02-03"}, "from_: Input should be a valid date"),
    ({"to": datetime(2026, 2, 4, tzinfo=UTC)}, "to: Input should be a valid date"),
    ({"from_": date(2026, 2, 5)}, "from_: 2026-02-05 is after to, 2026-02-04"),
    ({"cursor": ""}, "cursor: String should "),
    ({"cursor": "\ud800"}, "cursor: Input should be a valid string"),
]


@pytest.mark.parametrize(("change", "expected"), BAD_ARGUMENTS)
@pytest.mark.parametrize("name", LISTS)
async def test_what_breaks_a_limit_is_refused_before_anything_is_sent(name, change, expected):
    """The message names the operation and the argument."""
    client, script = open_client("list_orders.200")
    with pytest.raises(Refused, match=f"^wickedreports {name}: {expected}.*; nothing was sent$"):
        await anext(LISTS[name](client, **{"from_": DAYS[0], "to": DAYS[1]} | change))
    assert [] == script.requests


@pytest.mark.parametrize("contact_id", ["", ".", "..", "\ud800"])
async def test_what_names_no_contact_is_refused_before_anything_is_sent(contact_id):
    """Or it would ask for another path."""
    client, script = open_client("get_contact.200")
    asked = (
        lambda: client.get_contact(contact_id),
        lambda: anext(client.list_contact_clicks(contact_id)),
        lambda: anext(client.list_contact_orders(contact_id, *DAYS)),
    )
    for ask in asked:
        with pytest.raises(Refused, match="contact_id"):
            await ask()
    assert [] == script.requests


@pytest.mark.parametrize("next_", ["aa", "bb"])
async def test_a_listing_without_an_end_is_an_error(next_):
    """Whether it leads back, or its pages number the same for ever."""
    names = iter(["aa", next_, *"cdefghij"])

    class Endless(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return reply(SOUND, page=1, totalPages=3, next=next(names))

    client = WickedReportsClient("https://w.example", "k", transport=Endless(), timeout_s=20, clock=PatientClock())
    read = []
    with pytest.raises(Unavailable, match=r"wickedreports list_orders: .* has no end"):
        read += [page async for page in client.list_orders(*DAYS)]
    assert list("cdefghij")[(0 if next_ == "aa" else 2) :] == list(names)


async def test_an_empty_page_that_promises_more_is_an_error():
    """What it leaves out must not be taken for read."""
    client, script = open_client(reply(page=1, totalPages=9, next="aa"))
    with pytest.raises(Unavailable, match="page 1 of 9, of 0 records, names a next one"):
        [page async for page in client.list_orders(*DAYS)]
    assert 1 == len(script.requests)


@pytest.mark.parametrize("name", LISTS)
async def test_a_listing_that_is_cut_off_is_an_error(name):
    """It must not end as if it were complete; the days are named, for fewer of them can be listed."""
    client, _ = open_client(reply(page=10, totalPages=15, total=15_000))
    with pytest.raises(Unavailable, match="page 10 of 15 names no next one, so the rest of 2026-02-03 to 2026-02-04 "):
        [page async for page in LISTS[name](client, from_=DAYS[0], to=DAYS[1])]


async def test_a_listing_that_is_cut_off_names_the_span_of_many():
    """What was listed before it was read."""
    client, _ = open_client(reply(page=1, totalPages=1), reply(page=1, totalPages=2))
    pages = client.list_clicks(date(2026, 1, 2), date(2026, 2, 2))
    assert "1." == (await anext(pages)).next
    with pytest.raises(Unavailable, match="the rest of 2026-01-30 to 2026-02-02 cannot be read: ask for fewer days"):
        await anext(pages)


@pytest.mark.parametrize("numbers", [{}, {"page": 1, "totalPages": 0}, {"page": 1, "totalPages": 1}])
async def test_an_empty_page_is_the_last(numbers):
    """The last one may name a next all the same."""
    client, script = open_client(reply(next="aa", **numbers))
    assert [[]] == [list(page.items) async for page in client.list_orders(*DAYS)]
    assert 1 == len(script.requests)


async def test_an_answer_that_is_no_page_names_the_field():
    """Provider, operation, field."""
    client, _ = open_client(httpx.Response(200, content=b'{"status":"success"}'))
    with pytest.raises(Unavailable, match=r"wickedreports list_orders .*field results: it is missing"):
        await anext(client.list_orders(*DAYS))


def a_click(moment, contact="C-1"):
    return {"contactId": contact, "date": moment}


async def test_thirty_days_of_clicks_are_one_request_and_more_are_several():
    """Neighbours overlap by two days; a click of these is kept from one of the two answers."""
    client, script = open_client(reply(a_click("2026-01-30T23:59:59Z"), a_click("2026-01-31T00:00:00Z")))
    started = date(2026, 1, 2)
    assert 2 == len([click async for click in items(client.list_clicks(started, started + 30 * DAY))])
    assert 2 == len([click async for click in items(client.list_clicks(started, started + 31 * DAY))])
    assert [("2026-01-02", "2026-02-01"), ("2026-01-02", "2026-02-01"), ("2026-01-30", "2026-02-02")] == [
        (request.url.params["from"], request.url.params["to"]) for request in script.requests
    ]


async def test_one_contacts_clicks_are_asked_for_180_days_at_a_time():
    """Or without any days at all."""
    client, script = open_client(reply())
    started = date(2026, 1, 1)
    for days in ((), (started,), (None, started), (started, started + 180 * DAY), (started, started + 181 * DAY)):
        _ = [page async for page in client.list_contact_clicks("C-1", *days)]
    assert [
        "limit=1000",
        "from=2026-01-01&limit=1000",
        "to=2026-01-01&limit=1000",
        "from=2026-01-01&to=2026-06-30&limit=1000",
        "from=2026-01-01&to=2026-06-30&limit=1000",
        "from=2026-06-28&to=2026-07-01&limit=1000",
    ] == [request.url.query.decode() for request in script.requests]


async def test_a_listing_of_several_spans_goes_on_where_it_stopped():
    """Within a span, and at the start of the next."""
    click = a_click("2026-01-10T00:00:00Z")
    days = date(2026, 1, 1), date(2026, 2, 20)
    client, _ = open_client(
        reply(click, page=1, totalPages=2, next="aa"), reply(click, page=2, totalPages=2), reply(click)
    )
    assert ["0.aa", "1.", None] == [page.next async for page in client.list_clicks(*days)]
    for cursor, expected in (
        ("0.aa", "2026-01-01&to=2026-01-31&limit=9&next=aa"),
        ("1.", "2026-01-29&to=2026-02-20&limit=9"),
    ):
        client, script = open_client(reply(click))
        await anext(client.list_clicks(*days, limit=9, cursor=cursor))
        assert f"from={expected}" == script.requests[0].url.query.decode()


@pytest.mark.parametrize("cursor", ["2.", "9c78", "-1.aa", "x.aa"])
async def test_a_cursor_of_another_listing_is_refused(cursor):
    """These days are two spans."""
    client, script = open_client(reply())
    with pytest.raises(Refused, match=r"list_clicks: cursor: .*; nothing was sent"):
        await anext(client.list_clicks(date(2026, 1, 1), date(2026, 2, 20), cursor=cursor))
    assert [] == script.requests


@given(
    st.dates(date(2020, 1, 1), date(2021, 1, 1)),
    st.integers(0, 400),
    st.sampled_from([30, 180]),
    st.integers(-12, 14),
    st.booleans(),
    st.integers(0, 400 * 24),
)
def test_each_moment_of_a_window_is_in_one_span_however_days_are_counted(
    start, length, longest, zone_h, included, hour
):
    """In whichever time zone, and whether the last day is included or not."""
    spans = cut(start, start + length * DAY, longest * DAY)
    zone = timedelta(hours=zone_h)

    def answers(first_day, last_day, moment):
        """Whether the provider lists a click of this moment for these days."""
        return first_day <= (moment + zone).date() < last_day + included * DAY

    moment = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(hours=hour)
    wanted = answers(start, start + length * DAY, moment)
    kept = sum(answers(span.from_, span.to, moment) and moment in span for span in spans)
    assert (wanted, True) == (kept, all(timedelta() <= span.to - span.from_ <= longest * DAY for span in spans))


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
    ({"currency": "\ud800"}, "field currency"),
    ({"sourceId": "a\x00b"}, "field sourceId"),
]


@pytest.mark.parametrize(("change", "expected"), BROKEN)
def test_a_broken_order_spoils_no_other(change, expected):
    """It keeps its place, names its fields and shows nothing of its content."""
    before, broken, after = read_order_page(a_page(SOUND, SOUND | change, SOUND)).results
    assert ([WickedOrder, WickedOrder], BrokenOrder) == ([type(before), type(after)], type(broken))
    assert (True, change.get("id", "WR-9")) == (broken.problem.startswith(expected), broken.id)


@pytest.mark.parametrize("name", ["\ud800", "a\x00b"])
def test_an_id_that_cannot_be_shown_is_no_id(name):
    """Nor could a database keep it."""
    (broken,) = read_order_page(a_page(SOUND | {"id": name})).results
    assert (None, "field id") == (broken.id, broken.problem[:8])


@pytest.mark.parametrize(
    ("field", "text", "is_broken"),
    [
        ("amount", "9" * 5000, True),
        ("anything", "9" * 5000, False),
        ("anything", '"\\ud800"', False),
        ("anything", "[" * 400 + "]" * 400, False),
    ],
)
def test_what_json_readers_choke_on_spoils_no_other_order(field, text, is_broken):
    """Endless numbers, half surrogate pairs, deep nests: only where they are asked about is their order broken."""
    odd = json.dumps(SOUND | {field: "HERE"}).replace('"HERE"', text)
    first_, second = read_order_page(b'{"results": [%s, %s]}' % (odd.encode(), json.dumps(SOUND).encode())).results
    assert (is_broken, "WR-9") == (isinstance(first_, BrokenOrder), second.id)


ASIDES = [
    {"attributions": 5},
    {"attributions": {"firstClick": {"date": "some day"}}},
    {"contact": {"id": 5, "sourceId": None}},
    {"products": [{"id": 5, "name": [], "PPU": "dear"}]},
    {"links": {"contact": 5}},
    {"subscriptionId": 5},
]


@pytest.mark.parametrize("odd", ASIDES)
def test_what_nothing_is_bought_by_breaks_no_order(odd):
    """It is as if it were missing."""
    (order,) = read_order_page(a_page(SOUND | odd)).results
    assert WickedOrder is type(order)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'{"results": [' + b"[" * 100_000])
def test_what_is_no_json_is_no_page(body):
    """It may have been cut short."""
    with pytest.raises(ValidationError, match="Invalid JSON"):
        read_order_page(body)


def test_an_order_that_is_no_object_is_broken_too():
    """It has no id."""
    assert [None] == [order.id for order in read_order_page(a_page(5)).results]


def test_amounts_stay_exact_beside_a_broken_order():
    """Both ways to read a page give the same orders."""
    sound = SOUND | {"amount": 79.9, "products": [{"qty": 0.1}]}
    alone, beside = read_order_page(a_page(sound)).results[0], read_order_page(a_page(sound, 5)).results[0]
    assert (Decimal("79.9"), alone) == (alone.amount, beside)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "sourceId", "date", "amount", "qty", "status", "email"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
fields = ["id", "sourceId", "date", "attributions", "contact", "products", "payments", "amount", "currency", "links"]


@given(st.lists(st.dictionaries(st.sampled_from(fields), json_values), max_size=4))
def test_no_order_whatever_it_holds_spoils_the_page(orders):
    """Every order comes out, sound or broken, in its place."""
    page = read_order_page(a_page(*orders, SOUND))
    assert (len(orders) + 1, "WR-9") == (len(page.results), page.results[-1].id)


async def test_an_account_without_the_outbound_api_is_told_what_else_to_do():
    """In the words of the reference's own 401, read 2026-11-22."""
    body = {"status": "error", "message": "Outbound API not enabled for client."}
    client, _ = open_client(httpx.Response(401, json=body))
    with pytest.raises(Unauthorized) as refused:
        await anext(client.list_orders(*DAYS))
    for words in (
        "check WICKED_REPORTS_API_KEY",
        "have Wicked Reports enable the outbound API",
        "read orders from a file: `impactflow place --orders FILE`",
        "they say: Outbound API not enabled for client.",
    ):
        assert words in str(refused.value)
