"""1ClickImpact as the sandbox plays it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretending import TAGS, ask, make, plant

from impactflow.models import Kind, Unit
from impactflow.sandbox import Sandbox

BASE = "/oneclickimpact/v1"
ACTIONS = {
    "plant_tree": ("tree_planted", Kind.PLANT_TREES, Unit.TREE),
    "clean_ocean": ("waste_removed", Kind.CLEAN_OCEAN, Unit.LB),
    "capture_carbon": ("carbon_captured", Kind.CAPTURE_CARBON, Unit.LB),
    "donate_money": ("money_donated", Kind.DONATE, Unit.USD_CENT),
    "restore_coral": ("coral_restored", Kind.RESTORE_CORAL, Unit.CORAL_FRAGMENT),
}


def read_all(sandbox: Sandbox, listing: str = "records", **params: Any) -> list[dict[str, Any]]:
    title = {"records": "user_records", "customer_records": "customer_records"}[listing]
    records = []
    while True:
        page = ask(sandbox, "GET", f"{BASE}/{listing}", params=params).json
        records += page[title]
        if "cursor" not in page:
            return records
        params["cursor"] = page["cursor"]


def test_whoami_names_the_account():
    """The key's owner."""
    answer = ask(make(), "GET", f"{BASE}/whoami")

    assert (answer.status, answer.json) == (200, {"user_id": "U1000", "email": "merchant@example.com"})


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_buys_and_is_in_the_books(action):
    """The answer has the amount under its own name; the books have it in our words."""
    field, kind, unit = ACTIONS[action]
    sandbox = make()

    answer = ask(sandbox, "POST", f"{BASE}/{action}", {"amount": 7, "metadata": TAGS})

    assert {"user_id": "U1000", field: 7, "time_utc": "2026-11-21T12:00:00.000Z"} == answer.json
    (purchase,) = sandbox.books.purchases
    assert (kind, 7, unit) == (purchase.kind, purchase.quantity, purchase.unit)
    assert purchase.ref == "U1000|2026-11-21T12:00:00.000Z"
    assert {"order_id": purchase.order_id, "impactflow_key": purchase.impactflow_key} == TAGS


def test_two_identical_requests_are_two_purchases_at_two_times():
    """There is no idempotency, and the time is unique within the account."""
    sandbox = make()

    times = [plant(sandbox).json["time_utc"] for _ in range(2)]

    assert times == ["2026-11-21T12:00:00.000Z", "2026-11-21T12:00:00.001Z"]
    assert times == [record["time_utc"] for record in read_all(sandbox)]


def test_a_customers_impact_is_in_the_customers_records_alone():
    """With the customer, known again by the address."""
    sandbox = make()
    plant(sandbox, 1)
    first = plant(sandbox, 2, customer_email="a@example.com", customer_name="Zoë").json
    plant(sandbox, 3, customer_email="a@example.com")
    plant(sandbox, 4, customer_email="b@example.com")

    zoe = {"customer_id": "C1001", "customer_email": "a@example.com", "customer_name": "Zoë"}
    assert zoe == first["customer"]
    assert [record["tree_planted"] for record in read_all(sandbox)] == [1]
    assert [record["tree_planted"] for record in read_all(sandbox, "customer_records")] == [2, 3, 4]
    theirs = read_all(sandbox, "customer_records", customer_email="a@example.com")
    assert [(2, zoe), (3, zoe)] == [(record["tree_planted"], record["customer"]) for record in theirs]
    assert read_all(sandbox, "customer_records", customer_email="nobody@example.com") == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"amount": 0},
        {"amount": -1},
        {"amount": 10_000_001},
        {"amount": 1.5},
        {"amount": "1"},
        {"amount": True},
        {"amount": 1, "customer_name": "No Address"},
        {"amount": 1, "customer_email": "no address"},
        {"amount": 1, "customer_email": ["a@example.com"]},
        {"amount": 1, "category": "drink"},
        {"amount": 1, "category": ["food"]},
        {"amount": 1, "notify": "no"},
        {"amount": 1, "metadata": "text"},
        {"amount": 1, "metadata": {"n": 1}},
        {"amount": 1, "metadata": {"gift": "yes"}},
        {"amount": 1, "metadata": {"widgetID": "w"}},
        {"amount": 1, "metadata": {"k" * 41: "v"}},
        {"amount": 1, "metadata": {"k": "v" * 501}},
        {"amount": 1, "metadata": {str(n): "v" for n in range(21)}},
        [],
        b"{",
        b"\xff",
        b'{"amount": NaN}',
    ],
)
def test_a_bad_action_is_refused_and_buys_nothing(fields):
    """400, in 1ClickImpact's own form."""
    sandbox = make()

    answer = ask(sandbox, "POST", f"{BASE}/plant_tree", fields)

    assert (answer.status, answer.json["type"]) == (400, "invalid_request_error")
    assert sandbox.books.purchases == []


def test_amounts_go_up_to_the_documented_limits():
    """Donations have a higher limit than the rest."""
    sandbox = make()

    statuses = [
        ask(sandbox, "POST", f"{BASE}/{action}", {"amount": amount}).status
        for action, amount in (
            ("clean_ocean", 10_000_000),
            ("donate_money", 1_000_000_000),
            ("donate_money", 1_000_000_001),
        )
    ]

    assert statuses == [200, 200, 400]


@pytest.mark.parametrize("path", ["whoami", "records", "nonsense"])
def test_a_wrong_key_is_refused(path):
    """401 ``key_error``, whatever was asked for."""
    answer = ask(make(), "GET", f"{BASE}/{path}", headers={"x-api-key": "wrong"})

    assert (answer.status, answer.json["type"]) == (401, "key_error")


def test_without_extras_there_is_no_coral():
    """404, and no filter by it."""
    sandbox = make(extras=False)

    assert ask(sandbox, "POST", f"{BASE}/restore_coral", {"amount": 1}).status == 404
    assert ask(sandbox, "GET", f"{BASE}/records", params={"filter_by": "coral_restored"}).status == 400


@pytest.mark.parametrize(("mode", "shown"), [("echo", TAGS), ("ignored", None)])
def test_metadata_is_returned_or_dropped_by_mode(mode, shown):
    """Records and tracking agree; the books remember it either way."""
    sandbox = make(metadata=mode)
    time_utc = plant(sandbox, metadata=TAGS).json["time_utc"]

    tracked = ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json

    assert shown == read_all(sandbox)[0].get("metadata") == tracked.get("metadata")
    assert sandbox.books.purchases[0].impactflow_key == "acme-1-trees"


def test_ignored_metadata_is_not_even_checked():
    """An account that drops the field does not look at it."""
    assert plant(make(metadata="ignored"), metadata={"weight": 1.5}).status == 200


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 30), limit=st.integers(1, 12), order=st.sampled_from(["asc", "desc"]))
def test_pages_return_every_record_in_order(count, limit, order):
    """Whatever the page size and direction, the cursor leads through all of them."""
    sandbox = make()
    times = [plant(sandbox).json["time_utc"] for _ in range(count)]

    records = read_all(sandbox, limit=limit, sort_order=order)

    assert sorted(times, reverse=order == "desc") == [record["time_utc"] for record in records]


def test_a_full_last_page_has_no_cursor():
    """The cursor says that there is more, and only then."""
    sandbox = make()
    for _ in range(10):
        plant(sandbox)

    page = ask(sandbox, "GET", f"{BASE}/records").json

    assert (len(page["user_records"]), "cursor" in page) == (10, False)


def test_records_are_filtered_by_kind_and_by_day():
    """``filter_by`` can be repeated; both days are included."""
    sandbox = make()
    for action in ("plant_tree", "clean_ocean", "donate_money"):
        ask(sandbox, "POST", f"{BASE}/{action}", {"amount": 1})
    sandbox.clock.advance(86_400)
    plant(sandbox, 9)

    both = read_all(sandbox, filter_by=["tree_planted", "waste_removed"], limit=1)
    first_day = read_all(sandbox, start_date="2026-11-21", end_date="2026-11-21")
    second_day = read_all(sandbox, start_date="2026-11-22")
    never = read_all(sandbox, start_date="2026-11-23", end_date="9999-12-31")

    assert [len(both), len(first_day), len(second_day), len(never)] == [3, 3, 1, 0]


@pytest.mark.parametrize(
    "params",
    [
        {"filter_by": "nonsense"},
        {"start_date": "yesterday"},
        {"end_date": "2026-1-1"},
        {"limit": 1001},
        {"sort_order": "up"},
        {"cursor": "nonsense"},
        {"cursor": "cG9zaXRpb246eA=="},
    ],
)
def test_bad_parameters_are_refused(params):
    """400, in 1ClickImpact's own form."""
    answer = ask(make(), "GET", f"{BASE}/records", params=params)

    assert (answer.status, answer.json["type"]) == (400, "invalid_request_error")


def test_tracking_follows_an_impact_through_the_weeks():
    """Initiated, available after 10 days, sent after 14, complete after 5 weeks, with a certificate."""
    sandbox = make()
    time_utc = plant(sandbox, category="food").json["time_utc"]
    seen = []
    for days in (0, 10, 4, 21):
        sandbox.clock.advance(days * 86_400)
        seen.append(ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json)

    start = {"tracking_id", "impact_initiated", "tree_planted", "category"}
    steps = [
        {"donation_available"},
        {"donation_sent", "assigned_agent", "project_location"},
        {"impact_completed", "certificate"},
    ]
    assert start == set(seen[0])
    assert steps == [set(later) - set(earlier) for earlier, later in pairwise(seen)]
    assert f"U1000-{time_utc}" == seen[0]["tracking_id"]
    assert seen[3]["impact_completed"] == "2026-12-26T12:00:00.000Z"


def test_speed_makes_weeks_seconds():
    """A million times faster, five weeks are about three seconds."""
    sandbox = make(speed=1_000_000)
    time_utc = plant(sandbox).json["time_utc"]
    sandbox.clock.advance(3.1)

    progress = ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json

    assert "impact_completed" in progress


@pytest.mark.parametrize(
    "params",
    [{}, {"user_id": "U1000"}, {"user_id": "U1000", "time_utc": "2026-11-21T12:00:00.000Z"}, {"user_id": "U2"}],
)
def test_an_unknown_impact_is_a_bad_request(params):
    """400, not 404."""
    answer = ask(make(), "GET", f"{BASE}/track", params=params)

    assert (answer.status, answer.json["type"]) == (400, "invalid_request_error")


def test_shifted_pages_of_filtered_records_lose_nothing_to_a_reader_who_reads_again():
    """Shifts count only what the filter lets through."""
    sandbox = make("oneclickimpact.shifting_pages=1")
    for number in range(40):
        ask(sandbox, "POST", f"{BASE}/{'plant_tree' if number % 3 else 'clean_ocean'}", {"amount": number + 1})

    readings = [
        [record["tree_planted"] for record in read_all(sandbox, filter_by="tree_planted", limit=4)] for _ in range(2)
    ]

    trees = {number + 1 for number in range(40) if number % 3}
    assert trees == set(readings[0]) | set(readings[1])
    assert trees != set(readings[0])
