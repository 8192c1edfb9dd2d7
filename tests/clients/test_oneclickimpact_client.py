"""1ClickImpact: one test per operation, from samples in the shape of its reference."""

import json
from datetime import date

import pytest
from client_helpers import PatientClock, Script, sample

from impactflow.clients import OneClickImpactClient
from impactflow.errors import NotFound, Refused

EMAIL = "ana@example.org"


def open_client(*names):
    script = Script(*(sample("oneclickimpact", name) for name in names))
    return OneClickImpactClient("https://o.example", "k", transport=script, timeout_s=20, clock=PatientClock()), script


def asked(request):
    return request.method, request.url.path, json.loads(request.content)


async def test_whoami_tells_the_account_and_shows_no_address():
    """The harmless call that checks a key."""
    client, script = open_client("whoami.200")
    me = await client.whoami()
    assert ("U77", "GET", "/v1/whoami", False) == (
        me.user_id,
        script.requests[0].method,
        script.requests[0].url.path,
        "@" in repr(me),
    )


@pytest.mark.parametrize(
    ("operation", "amount", "field"),
    [
        ("plant_tree", 3, "tree_planted"),
        ("clean_ocean", 4, "waste_removed"),
        ("capture_carbon", 6, "carbon_captured"),
        ("donate_money", 250, "money_donated"),
        ("restore_coral", 2, "coral_restored"),
    ],
)
async def test_each_action_buys_its_amount(operation, amount, field):
    """One POST that holds the amount alone; the answer's amount is in the action's own field."""
    client, script = open_client(f"{operation}.200")
    made = await getattr(client, operation)(amount)
    assert ("POST", f"/v1/{operation}", {"amount": amount}) == asked(script.requests[0])
    assert (amount, "U77") == (getattr(made, field), made.user_id)


async def test_the_time_stays_the_text_that_they_wrote():
    """It is half of the purchase's only name."""
    client, _ = open_client("plant_tree.200")
    assert (await client.plant_tree(3)).time_utc == "2026-02-03T04:05:06.070Z"


async def test_a_purchase_for_a_customer_says_not_to_notify():
    """Left out, it would mean yes."""
    client, script = open_client("capture_carbon.200")
    made = await client.capture_carbon(6, customer_email=EMAIL, customer_name="Ana", metadata={"order_id": "WR-1"})
    expected = {
        "amount": 6,
        "customer_email": EMAIL,
        "customer_name": "Ana",
        "notify": False,
        "metadata": {"order_id": "WR-1"},
    }
    assert expected == asked(script.requests[0])[2]
    assert (EMAIL, False) == (made.customer.customer_email, "Ana" in repr(made) or "@" in repr(made))


async def test_category_and_notify_are_sent_as_given():
    """Food trees; the customer is written to."""
    client, script = open_client("plant_tree.200")
    await client.plant_tree(3, customer_email=EMAIL, notify=True, category="food")
    assert {"amount": 3, "customer_email": EMAIL, "notify": True, "category": "food"} == asked(script.requests[0])[2]


async def test_an_account_without_coral_says_not_found():
    """The operation is optional."""
    client, _ = open_client("restore_coral.404")
    with pytest.raises(NotFound):
        await client.restore_coral(1)


BROKEN_LIMITS = [
    ("plant_tree", (0,), {}, "amount must be from 1 to 10,000,000"),
    ("plant_tree", (10_000_001,), {}, "amount must be from 1 to 10,000,000"),
    ("donate_money", (1_000_000_001,), {}, "amount must be from 1 to 1,000,000,000"),
    ("clean_ocean", (1,), {"customer_name": "Ana"}, "customer_name needs customer_email"),
    ("plant_tree", (1,), {"category": "fun"}, "category must be food or left out"),
    ("plant_tree", (1,), {"metadata": {str(n): "" for n in range(21)}}, "metadata may hold at most 20 pairs"),
    ("plant_tree", (1,), {"metadata": {"gift": "x"}}, "the metadata key gift is reserved"),
    ("plant_tree", (1,), {"metadata": {"k" * 41: "x"}}, "a metadata key may have 40 characters"),
    ("plant_tree", (1,), {"metadata": {"k": "x" * 501}}, "metadata k may have 500 characters"),
]


@pytest.mark.parametrize(("operation", "given", "options", "expected"), BROKEN_LIMITS)
async def test_a_documented_limit_is_checked_before_anything_is_sent(operation, given, options, expected):
    """The message names the field and the limit."""
    client, script = open_client("plant_tree.200")
    with pytest.raises(Refused) as caught:
        await getattr(client, operation)(*given, **options)
    assert (f"oneclickimpact {operation}: {expected}; nothing was sent", None, []) == (
        str(caught.value),
        caught.value.status,
        script.requests,
    )


async def test_records_stream_over_all_pages():
    """The cursor of one page asks for the next; the last has none."""
    client, script = open_client("records.200", "customer_records.200")
    found = client.records(
        filter_by=["tree_planted", "waste_removed"], start_date=date(2026, 2, 2), end_date=date(2026, 2, 4)
    )
    records = [record async for record in found]
    first, second = (request.url.params.multi_items() for request in script.requests)
    query = [
        ("filter_by", "tree_planted"),
        ("filter_by", "waste_removed"),
        ("start_date", "2026-02-02"),
        ("end_date", "2026-02-04"),
        ("limit", "1000"),
        ("sort_order", "asc"),
    ]
    assert (query, [*query, ("cursor", "bmV4dA==")]) == (first, second)
    expected = [(3, {"order_id": "WR-1", "impactflow_key": "k1"}, None), (None, None, "2026-02-04T00:00:00.000Z")]
    assert expected == [(record.tree_planted, record.metadata, record.cancelled_on) for record in records[:2]]


async def test_customer_records_can_be_of_one_customer():
    """The address goes into the query, whole."""
    client, script = open_client("customer_records.200")
    records = [record async for record in client.customer_records("a+b@example.org", limit=10, sort_order="desc")]
    query = [("customer_email", "a+b@example.org"), ("limit", "10"), ("sort_order", "desc")]
    assert (query, "/v1/customer_records") == (
        script.requests[0].url.params.multi_items(),
        script.requests[0].url.path,
    )
    assert ("U78", 6) == (records[0].customer.customer_id, records[0].carbon_captured)


@pytest.mark.parametrize("listing", ["records", "customer_records"])
@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_page_has_at_most_a_thousand_records(listing, limit):
    """And at least one."""
    client, script = open_client("records.200")
    with pytest.raises(Refused, match=r"limit must be from 1 to 1,000"):
        await anext(aiter(getattr(client, listing)(limit=limit)))
    assert [] == script.requests


async def test_track_tells_each_step_that_was_reached():
    """Asked by both halves of the purchase's name."""
    client, script = open_client("track.200")
    track = await client.track("U77", "2026-02-03T04:05:06.070Z")
    query = [("user_id", "U77"), ("time_utc", "2026-02-03T04:05:06.070Z")]
    assert query == script.requests[0].url.params.multi_items()
    assert ("2026-03-10T12:00:00.000Z", "https://example.org/certificate/1", None) == (
        track.impact_completed,
        track.certificate,
        track.cancelled_on,
    )
