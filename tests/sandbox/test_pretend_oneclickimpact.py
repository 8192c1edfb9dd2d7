"""1ClickImpact as the sandbox plays it."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretending import TAGS, Answer, ask, make, plant

from impactflow.models import Kind, Unit
from impactflow.sandbox import Request, Sandbox

BASE = "/oneclickimpact/v1"
ACTIONS = {
    "plant_tree": ("tree_planted", Kind.PLANT_TREES, Unit.TREE),
    "clean_ocean": ("waste_removed", Kind.CLEAN_OCEAN, Unit.LB),
    "capture_carbon": ("carbon_captured", Kind.CAPTURE_CARBON, Unit.LB),
    "donate_money": ("money_donated", Kind.DONATE, Unit.USD_CENT),
    "restore_coral": ("coral_restored", Kind.RESTORE_CORAL, Unit.CORAL_FRAGMENT),
}


def read_all(sandbox: Sandbox, listing: str = "records", **params: Any) -> list[dict[str, Any]]:
    title = "user_records" if listing == "records" else listing
    records = []
    while True:
        page = ask(sandbox, "GET", f"{BASE}/{listing}", params=params).json
        records += page[title]
        if "cursor" not in page:
            return records
        params["cursor"] = page["cursor"]


def cancel(sandbox: Sandbox, time_utc: str, **fields: Any) -> Answer:
    return ask(sandbox, "POST", f"{BASE}/cancel_impact", {"user_id": "U1000", "time_utc": time_utc, **fields})


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

    zoe = {"customer_id": "U1001", "customer_email": "a@example.com", "customer_name": "Zoë"}
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
        {"amount": 1, "customer_email": f"{'a' * 309}@example.com"},
        {"amount": 1, "customer_email": "a@example.com", "customer_name": 7},
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


@pytest.mark.parametrize("action", ACTIONS)
def test_amounts_go_up_to_the_documented_limits(action):
    """Donations have a higher limit than the rest."""
    most = 1_000_000_000 if action == "donate_money" else 10_000_000
    sandbox = make()

    statuses = [
        ask(sandbox, "POST", f"{BASE}/{action}", {"amount": amount}).status for amount in (0, 1, most, most + 1)
    ]

    assert statuses == [400, 200, 200, 400]
    assert [purchase.quantity for purchase in sandbox.books.purchases] == [1, most]


def test_a_category_is_kept_where_the_action_has_one():
    """A kind of tree, the cause of a donation; nothing at the ocean."""
    sandbox = make()
    fields = {"amount": 1, "category": "food"}

    answers = [ask(sandbox, "POST", f"{BASE}/{action}", fields).json for action in ACTIONS]

    assert ["food", None, None, "food", None] == [answer.get("category") for answer in answers]
    assert ["food", None, None, "food", None] == [record.get("category") for record in read_all(sandbox)]


OPERATIONS = [
    ("GET", "whoami"),
    *(("POST", action) for action in ACTIONS),
    ("POST", "cancel_impact"),
    ("GET", "impact"),
    ("GET", "impact/daily"),
    ("GET", "records"),
    ("GET", "customer_records"),
    ("GET", "customers"),
    ("GET", "track"),
    ("GET", "projects"),
    ("GET", "projects/P-TREES-1"),
    ("GET", "nonsense"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}], ids=["missing", "wrong"])
def test_a_wrong_or_missing_key_is_refused(method, path, headers):
    """401 ``key_error``, whatever was asked for, before anything else is looked at."""
    with make().exchange(Request(method, f"{BASE}/{path}", headers=headers, body=b"{")) as reply:
        answer = Answer(reply)

    assert (answer.status, answer.json["type"]) == (401, "key_error")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "restore_coral"), ("POST", "cancel_impact"), ("GET", "projects"), ("GET", "projects/P-TREES-1")],
)
def test_without_extras_there_is_nothing_that_the_reference_does_not_know(method, path):
    """404, in 1ClickImpact's own form."""
    answer = ask(make(extras=False), method, f"{BASE}/{path}", {"amount": 1})

    assert (answer.status, answer.json["type"]) == (404, "invalid_request_error")


def test_without_extras_no_answer_speaks_of_coral_causes_or_projects():
    """No amount, no filter, no category of a donation."""
    sandbox = make(extras=False, speed=1e9)
    time_utc = plant(sandbox).json["time_utc"]
    sandbox.clock.advance(1)

    assert "coral_restored" not in ask(sandbox, "GET", f"{BASE}/impact").json
    assert "coral_restored" not in ask(sandbox, "GET", f"{BASE}/impact/daily").json["daily_impact"][0]
    assert ask(sandbox, "GET", f"{BASE}/records", params={"filter_by": "coral_restored"}).status == 400
    assert ask(sandbox, "POST", f"{BASE}/donate_money", {"amount": 1, "category": "water"}).status == 400
    tracked = ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json
    assert "impact_completed" in tracked
    assert "project_id" not in tracked


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


def test_pages_can_be_shorter_than_asked_for():
    """The cursor leads through all of them all the same."""
    sandbox = make(page_items=2)
    times = [plant(sandbox).json["time_utc"] for _ in range(5)]

    page = ask(sandbox, "GET", f"{BASE}/records", params={"limit": 1000}).json

    assert times[:2] == [record["time_utc"] for record in page["user_records"]]
    assert times == [record["time_utc"] for record in read_all(sandbox, limit=1000)]


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
    ("path", "params"),
    [
        *(
            (listing, params)
            for listing in ("records", "customer_records")
            for params in (
                {"filter_by": "nonsense"},
                {"filter_by": ["tree_planted", "trees"]},
                {"start_date": "yesterday"},
                {"end_date": "2026-1-1"},
            )
        ),
        *(
            (listing, params)
            for listing in ("records", "customer_records", "customers")
            for params in (
                {"limit": 1001},
                {"limit": -1},
                {"limit": "ten"},
                {"sort_order": "up"},
                {"cursor": "nonsense"},
                {"cursor": "cG9zaXRpb246eA=="},
            )
        ),
        ("customer_records", {"customer_email": "nobody"}),
        ("customers", {"customer_email": ""}),
        ("impact/daily", {"start_date": "20260101"}),
        ("impact/daily", {"end_date": "2026-02-30"}),
        ("projects", {"type": "coral"}),
        ("projects", {"locale": "it"}),
        ("projects/P-TREES-1", {"locale": "EN"}),
    ],
)
def test_bad_parameters_are_refused(path, params):
    """400, in 1ClickImpact's own form."""
    answer = ask(make(), "GET", f"{BASE}/{path}", params=params)

    assert (answer.status, answer.json["type"]) == (400, "invalid_request_error")


def test_a_page_holds_ten_unless_told_otherwise_and_none_if_told_so():
    """From 0 to 1000; the cursor of an empty page says that there is something."""
    sandbox = make()
    for _ in range(12):
        plant(sandbox)

    pages = [ask(sandbox, "GET", f"{BASE}/records", params=params).json for params in ({}, {"limit": 0})]

    assert [(10, True), (0, True)] == [(len(page["user_records"]), "cursor" in page) for page in pages]
    assert ask(sandbox, "GET", f"{BASE}/records", params={"limit": 1000}).status == 200


def test_customers_are_onboarded_by_their_first_purchase():
    """In the order of that, whatever is bought for them later."""
    sandbox = make()
    for email in ("a@example.com", "b@example.com", "c@example.com", "a@example.com"):
        plant(sandbox, customer_email=email)
        sandbox.clock.advance(1)

    upwards = read_all(sandbox, "customers", limit=1)
    downwards = read_all(sandbox, "customers", limit=2, sort_order="desc")

    assert ["U1001", "U1002", "U1003"] == [customer["customer_id"] for customer in upwards]
    assert upwards == downwards[::-1]
    assert {
        "customer_id": "U1001",
        "customer_email": "a@example.com",
        "onboarded_on": "2026-11-21T12:00:00.000Z",
    } == upwards[0]


def test_one_customer_can_be_looked_for():
    """There is one, or there is none."""
    sandbox = make()
    plant(sandbox, customer_email="a@example.com")

    found = [read_all(sandbox, "customers", customer_email=f"{name}@example.com") for name in ("a", "b")]

    assert [1, 0] == [len(customers) for customers in found]


def test_the_total_is_the_accounts_part_and_its_customers_part():
    """Each amount apart, and none where nothing was bought."""
    sandbox = make()
    for number, action in enumerate(ACTIONS, 1):
        ask(sandbox, "POST", f"{BASE}/{action}", {"amount": number})
        ask(sandbox, "POST", f"{BASE}/{action}", {"amount": 10 * number, "customer_email": "a@example.com"})

    total = ask(sandbox, "GET", f"{BASE}/impact").json

    fields = [field for field, _, _ in ACTIONS.values()]
    assert "U1000" == total["user_id"]
    assert [1, 2, 3, 4, 5] == [total["user_impact"][field] for field in fields]
    assert [10, 20, 30, 40, 50] == [total["customer_impact"][field] for field in fields]
    assert [11, 22, 33, 44, 55] == [total[field] for field in fields]
    assert dict.fromkeys(fields, 0) == ask(make(), "GET", f"{BASE}/impact").json["user_impact"]


@settings(max_examples=30, deadline=None)
@given(
    bought=st.lists(
        st.tuples(
            st.sampled_from(sorted(ACTIONS)), st.integers(1, 99), st.sampled_from([None, "a@b", "c@d"]), st.booleans()
        ),
        max_size=12,
    )
)
def test_totals_and_days_are_what_stands_in_the_books(bought):
    """Own and customers' together; what was cancelled counts nowhere."""
    sandbox = make()
    for action, amount, email, cancelled in bought:
        fields = {"amount": amount} if email is None else {"amount": amount, "customer_email": email}
        made = ask(sandbox, "POST", f"{BASE}/{action}", fields).json
        if cancelled:
            cancel(sandbox, made["time_utc"])
        sandbox.clock.advance(40_000)

    total = ask(sandbox, "GET", f"{BASE}/impact").json
    days = ask(sandbox, "GET", f"{BASE}/impact/daily").json["daily_impact"]

    for field, kind, _ in ACTIONS.values():
        standing = sum(one.quantity for one in sandbox.books.purchases if one.kind == kind and not one.cancelled)
        assert standing == total[field] == sum(day[field] for day in days)
        assert total[field] == total["user_impact"][field] + total["customer_impact"][field]
    assert [day["date"] for day in days] == sorted(
        {one.at.date().isoformat() for one in sandbox.books.purchases if not one.cancelled}
    )


def test_days_are_cut_at_both_dates():
    """Both included; a day without impact is left out."""
    sandbox = make()
    for amount in (1, 2, 4):
        plant(sandbox, amount)
        sandbox.clock.advance(2 * 86_400)

    def days(**params):
        found = ask(sandbox, "GET", f"{BASE}/impact/daily", params=params).json["daily_impact"]
        return [(day["date"], day["tree_planted"]) for day in found]

    every = [("2026-11-21", 1), ("2026-11-23", 2), ("2026-11-25", 4)]
    assert every == days()
    assert every[1:] == days(start_date="2026-11-22")
    assert every[:2] == days(end_date="2026-11-23")
    assert [] == days(start_date="2026-11-24", end_date="2026-11-24")


def test_cancelling_reverses_an_impact_once():
    """The second time answers with the first time's date and reason; the books know of one reversal."""
    sandbox = make()
    time_utc = plant(sandbox, 7, category="food").json["time_utc"]
    sandbox.clock.advance(60)
    first = cancel(sandbox, time_utc, reason="refunded").json
    sandbox.clock.advance(60)

    again = cancel(sandbox, time_utc, reason="another reason").json

    expected = {
        "user_id": "U1000",
        "time_utc": time_utc,
        "tree_planted": 7,
        "category": "food",
        "cancelled_on": "2026-11-21T12:01:00.000Z",
        "reason": "refunded",
    }
    assert expected == {name: value for name, value in first.items() if name != "message"}
    assert expected == {name: value for name, value in again.items() if name != "message"}
    assert first["message"] != again["message"]
    assert [True] == [purchase.cancelled for purchase in sandbox.books.purchases]
    assert ask(sandbox, "GET", f"{BASE}/impact").json["tree_planted"] == 0


@pytest.mark.parametrize("reason", [None, "refunded"])
def test_a_cancelled_impact_is_so_in_the_records_and_in_tracking(reason):
    """With the reason, if there was one; it progresses no further."""
    sandbox = make()
    time_utc = plant(sandbox).json["time_utc"]
    sandbox.clock.advance(11 * 86_400)
    cancel(sandbox, time_utc, **({"reason": reason} if reason else {}))
    sandbox.clock.advance(99 * 86_400)

    (record,) = read_all(sandbox)
    tracked = ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json

    for shown in (record, tracked):
        assert ("2026-12-02T12:00:00.000Z", reason) == (shown["cancelled_on"], shown.get("cancellation_reason"))
    assert (True, False) == ("donation_available" in tracked, "donation_sent" in tracked)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user_id": "U1000"},
        {"time_utc": "2026-11-21T12:00:00.000Z"},
        {"user_id": "U1000", "time_utc": ""},
        {"user_id": "U1000", "time_utc": 7},
        {"user_id": "U1000", "time_utc": "2026-11-21T12:00:00.001Z"},
        {"user_id": "U2", "time_utc": "2026-11-21T12:00:00.000Z"},
        {"user_id": "U1000", "time_utc": "2026-11-21T12:00:00.000Z", "reason": "r" * 201},
        {"user_id": "U1000", "time_utc": "2026-11-21T12:00:00.000Z", "reason": 7},
        [],
        b"{",
    ],
)
def test_a_bad_cancellation_is_refused_and_reverses_nothing(fields):
    """400, in 1ClickImpact's own form."""
    sandbox = make()
    plant(sandbox)

    answer = ask(sandbox, "POST", f"{BASE}/cancel_impact", fields)

    assert (answer.status, answer.json["type"]) == (400, "invalid_request_error")
    assert [False] == [purchase.cancelled for purchase in sandbox.books.purchases]


def test_projects_are_filtered_by_type_and_told_in_a_language():
    """All of them and English unless told otherwise."""
    sandbox = make()

    def projects(**params):
        return ask(sandbox, "GET", f"{BASE}/projects", params=params).json["projects"]

    assert {"trees", "ocean", "carbon"} == {project["type"] for project in projects()}
    assert {"ocean"} == {project["type"] for project in projects(type="ocean")}
    names = {locale: projects(type="ocean", locale=locale)[0]["name"] for locale in ("en", "de", "es", "fr", "nl")}
    assert projects(type="ocean")[0]["name"] == names["en"]
    assert 5 == len(set(names.values()))


def test_a_project_is_found_by_the_id_that_the_list_and_tracking_name():
    """The very same; there is none of another id."""
    sandbox = make(speed=1e9)
    time_utc = plant(sandbox).json["time_utc"]
    sandbox.clock.advance(1)
    listed = ask(sandbox, "GET", f"{BASE}/projects", params={"locale": "nl"}).json["projects"]

    found = [
        ask(sandbox, "GET", f"{BASE}/projects/{one['project_id']}", params={"locale": "nl"}).json for one in listed
    ]
    tracked = ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json

    assert listed == found
    assert tracked["project_id"] in {one["project_id"] for one in listed if one["type"] == "trees"}
    unknown = ask(sandbox, "GET", f"{BASE}/projects/P-NONE")
    assert (unknown.status, unknown.json["type"]) == (404, "invalid_request_error")


def test_a_donation_says_what_it_went_to():
    """Its own cause, or trees."""
    sandbox = make(speed=1e9)
    times = [
        ask(sandbox, "POST", f"{BASE}/donate_money", {"amount": 1, **more}).json["time_utc"]
        for more in ({}, {"category": "water"})
    ]
    sandbox.clock.advance(1)

    causes = [
        ask(sandbox, "GET", f"{BASE}/track", params={"user_id": "U1000", "time_utc": time_utc}).json[
            "donation_category"
        ]
        for time_utc in times
    ]

    assert ["planting trees", "water"] == causes


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
        {"donation_sent", "assigned_agent", "project_location", "project_id"},
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
