"""CNaught as the sandbox plays it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretending import TAGS, Answer, ask, make, offset, request

from impactflow.sandbox import Sandbox

ORDERS = "/cnaught/v1/orders"
QUOTES = "/cnaught/v1/quotes"
IMPACT = "/cnaught/v1/impact/data"
SUBACCOUNTS = "/cnaught/v1/subaccounts"
#: What a test of every operation asks for.
EVERYTHING = [
    ("GET", ORDERS),
    ("POST", ORDERS),
    ("POST", f"{ORDERS}/ride"),
    ("GET", f"{ORDERS}/x"),
    ("POST", f"{ORDERS}/x/cancel"),
    ("POST", QUOTES),
    ("POST", f"{QUOTES}/ride"),
    ("GET", IMPACT),
    ("GET", "/cnaught/v1/impact/hosted-page-config"),
    ("GET", SUBACCOUNTS),
    ("POST", SUBACCOUNTS),
    ("GET", f"{SUBACCOUNTS}/x"),
]


def create(sandbox: Sandbox, name: str = "Marketing", **fields: Any) -> str:
    """Create a subaccount; its id."""
    return ask(sandbox, "POST", SUBACCOUNTS, {"name": name, **fields}).json["id"]


def speaking_for(subaccount_id: str) -> dict[str, str]:
    """The header of a request for a subaccount."""
    return {"x-subaccount-id": subaccount_id}


def problem(answer: Answer) -> str:
    """What the provider calls its refusal."""
    return answer.json["type"].removeprefix("https://api.cnaught.com/v1/errors/")


def list_all(sandbox: Sandbox, limit: int) -> list[str]:
    ids: list[str] = []
    while True:
        params: dict[str, Any] = {"limit": limit} | ({"starting_after": ids[-1]} if ids else {})
        page = [order["id"] for order in ask(sandbox, "GET", ORDERS, params=params).json["data"]]
        if not page:
            return ids
        ids += page


def test_an_order_is_placed_with_a_price_and_is_in_the_books():
    """The books have grams; decimals stay exact."""
    sandbox = make()

    answer = offset(sandbox, amount_kg=100.5, metadata=json.dumps(TAGS), description="Thanks", portfolio_id="p1")

    order = answer.json
    assert (
        answer.status,
        order["state"],
        order["amount_kg"],
        order["price_usd_cents"],
        order["type"],
    ) == (201, "placed", 100.5, 236, "generic")
    assert (order["created_on"], order["certificate_public_url"]) == ("2026-11-21T12:00:00.000000Z", None)
    (purchase,) = sandbox.books.purchases
    assert (100_500, "g", order["id"]) == (purchase.quantity, purchase.unit, purchase.ref)
    assert {"order_id": purchase.order_id, "impactflow_key": purchase.impactflow_key} == TAGS
    assert order == ask(sandbox, "GET", f"{ORDERS}/{order['id']}").json


def test_an_order_may_name_its_price_instead():
    """The amount follows from it."""
    order = offset(make(), total_price_usd_cents=235).json

    assert (order["amount_kg"], order["price_usd_cents"]) == (100, 235)


def test_an_account_without_extras_has_no_orders_by_price():
    """400: it does not know the field, and an amount is needed."""
    answers = [offset(make(extras=False), **fields) for fields in ({"total_price_usd_cents": 235}, {"amount_kg": 1})]

    assert [(400, ["amount_kg"]), (201, [])] == [(a.status, list(a.json.get("errors", ()))) for a in answers]


def test_a_ride_is_ordered_by_its_distance():
    """0.2 kg per kilometre, made up; the books have the grams."""
    sandbox = make()

    order = ask(sandbox, "POST", f"{ORDERS}/ride", {"distance_km": 10.5, "metadata": "m"}).json

    assert (order["type"], order["distance_km"], order["amount_kg"], order["price_usd_cents"], order["metadata"]) == (
        "ride",
        10.5,
        2.1,
        5,
        "m",
    )
    assert [2100] == [purchase.quantity for purchase in sandbox.books.purchases]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "distance_km"),
        ({"amount_kg": 1}, "distance_km"),
        ({"distance_km": 0}, "distance_km"),
        ({"distance_km": -1}, "distance_km"),
        ({"distance_km": "1"}, "distance_km"),
        ({"distance_km": 1, "metadata": "m" * 513}, "metadata"),
        ({"distance_km": 1, "description": "d" * 513}, "description"),
        ({"distance_km": 1, "notification_config": {"url": "ftp://x"}}, "notification_config"),
    ],
)
def test_a_bad_ride_is_refused_with_a_problem_that_names_the_field(fields, field):
    """400; nothing is bought."""
    sandbox = make()

    answer = ask(sandbox, "POST", f"{ORDERS}/ride", fields)

    assert (400, [field], []) == (answer.status, list(answer.json["errors"]), sandbox.books.purchases)


@pytest.mark.parametrize(
    ("path", "fields"), [("", {"amount_kg": 8.5}), ("/ride", {"distance_km": 42.5}), ("", {"amount_kg": 0.001})]
)
def test_a_quote_is_what_the_order_costs(path, fields):
    """The same amount and price; a quote buys nothing."""
    sandbox = make()

    quote = ask(sandbox, "POST", f"{QUOTES}{path}", fields)
    bought = len(sandbox.books.purchases)
    order = ask(sandbox, "POST", f"{ORDERS}{path}", fields).json

    assert (200, 0) == (quote.status, bought)
    assert quote.json == {name: order[name] for name in ("amount_kg", "price_usd_cents")}


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("", {}, "amount_kg"),
        ("", {"amount_kg": 0}, "amount_kg"),
        ("", {"amount_kg": True}, "amount_kg"),
        ("", {"amount_kg": 1, "portfolio_id": 7}, "portfolio_id"),
        ("", {"amount_kg": 1, "portfolio_id": "unavailable"}, "portfolio_id"),
        ("/ride", {"amount_kg": 1}, "distance_km"),
        ("/ride", {"distance_km": -0.5}, "distance_km"),
    ],
)
def test_a_bad_quote_is_refused(path, fields, field):
    """400: the reference names no other status but 401."""
    answer = ask(make(), "POST", f"{QUOTES}{path}", fields)

    assert (400, [field]) == (answer.status, list(answer.json["errors"]))


def test_an_order_is_fulfilled_after_two_days_and_then_has_certificates():
    """Not before."""
    sandbox = make(speed=2)
    order_id = offset(sandbox).json["id"]
    sandbox.clock.advance(86_399)
    before = ask(sandbox, "GET", f"{ORDERS}/{order_id}").json
    sandbox.clock.advance(1)
    after = ask(sandbox, "GET", f"{ORDERS}/{order_id}").json

    assert [before["state"], after["state"]] == ["placed", "fulfilled"]
    assert after["certificate_download_public_url"].startswith(after["certificate_public_url"])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"metadata": "only"}, "amount_kg"),
        ({"amount_kg": 1, "total_price_usd_cents": 1}, "amount_kg"),
        ({"amount_kg": 0}, "amount_kg"),
        ({"amount_kg": -2.5}, "amount_kg"),
        ({"amount_kg": "1"}, "amount_kg"),
        ({"amount_kg": True}, "amount_kg"),
        ({"amount_kg": 1e300}, "amount_kg"),
        ({"total_price_usd_cents": 1.5}, "total_price_usd_cents"),
        ({"amount_kg": 1, "metadata": "m" * 513}, "metadata"),
        ({"amount_kg": 1, "metadata": {"a": "b"}}, "metadata"),
        ({"amount_kg": 1, "description": "d" * 513}, "description"),
        ({"amount_kg": 1, "portfolio_id": 7}, "portfolio_id"),
        ({"amount_kg": 1, "notification_config": "http://x"}, "notification_config"),
        ({"amount_kg": 1, "notification_config": {}}, "notification_config"),
    ],
)
def test_a_bad_order_is_refused_with_a_problem_that_names_the_field(fields, field):
    """400 as application/problem+json; nothing is bought."""
    sandbox = make()

    answer = offset(sandbox, **fields)

    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert {"type", "title", "status", "detail", "errors"} == set(answer.json)
    assert [field] == list(answer.json["errors"])
    assert sandbox.books.purchases == []


def test_a_notification_url_is_kept():
    """It shows as the order's callback."""
    order = offset(make(), amount_kg=1, notification_config={"url": "https://example.com/hook"}).json

    assert order["callback_url"] == "https://example.com/hook"


@pytest.mark.parametrize(("path", "fields"), [("", {"amount_kg": 1}), ("/ride", {"distance_km": 1})])
def test_a_portfolio_that_is_not_available_is_forbidden(path, fields):
    """403."""
    answer = ask(make(), "POST", f"{ORDERS}{path}", {**fields, "portfolio_id": "unavailable"})

    assert (403, "forbidden") == (answer.status, problem(answer))


@pytest.mark.parametrize("authorization", ["", "sandbox-cnaught-key", "Bearer wrong"])
@pytest.mark.parametrize(("method", "url"), EVERYTHING)
def test_a_wrong_key_is_refused_by_every_operation(method, url, authorization):
    """401 as a problem."""
    answer = ask(make(), method, url, headers={"authorization": authorization})

    assert (answer.status, answer.json["status"]) == (401, 401)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", f"{ORDERS}/nothing"),
        ("POST", f"{ORDERS}/nothing/cancel"),
        ("DELETE", ORDERS),
        ("GET", f"{SUBACCOUNTS}/nothing"),
    ],
)
def test_what_does_not_exist_is_not_found(method, url):
    """404, for orders, for subaccounts and for operations."""
    answer = ask(make(), method, url)

    assert (404, "not-found") == (answer.status, problem(answer))


def test_a_cancelled_order_cannot_be_cancelled_again():
    """403 the second time; the books know that it is undone."""
    sandbox = make()
    order_id = offset(sandbox).json["id"]

    answers = [ask(sandbox, "POST", f"{ORDERS}/{order_id}/cancel") for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 403]
    assert answers[0].json["state"] == "cancelled"
    assert [purchase.cancelled for purchase in sandbox.books.purchases] == [True]


def test_a_cancellation_with_a_key_can_be_repeated():
    """The key answers again what it answered."""
    sandbox = make()
    url = f"{ORDERS}/{offset(sandbox).json['id']}/cancel"

    answers = [ask(sandbox, "POST", url, headers={"idempotency-key": "c"}) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json


def test_a_repeat_is_answered_as_the_first_time():
    """Even after the order has moved on; the header tells that it is a replay."""
    sandbox = make()
    first = offset(sandbox, "k")
    sandbox.clock.advance(10 * 86_400)
    second = offset(sandbox, "k")

    assert (201, first.json) == (second.status, second.json)
    assert tuple(answer.headers.get("x-idempotent-replay") for answer in (first, second)) == (None, "true")
    assert len(sandbox.books.purchases) == 1


def test_a_key_with_another_body_is_refused():
    """422, and the first purchase stands alone."""
    sandbox = make()
    offset(sandbox, "k", amount_kg=1)

    assert offset(sandbox, "k", amount_kg=2).status == 422
    assert [purchase.quantity for purchase in sandbox.books.purchases] == [1000]


def test_a_key_whose_first_request_still_runs_is_in_conflict():
    """409 until the first one has been answered or given up."""
    sandbox = make()
    with sandbox.exchange(request("POST", ORDERS, {"amount_kg": 1}, headers={"idempotency-key": "k"})):
        during = offset(sandbox, "k").status
    after = offset(sandbox, "k").status

    assert (during, after, len(sandbox.books.purchases)) == (409, 201, 1)


def test_a_refused_request_leaves_its_key_free():
    """Only what took effect is remembered."""
    sandbox = make()

    assert [offset(sandbox, "k", amount_kg=amount).status for amount in (0, 1)] == [400, 201]


def test_a_key_is_forgotten_after_its_lifetime():
    """Then the same request buys again."""
    sandbox = make(key_lifetime_s=3600)
    for seconds in (0, 3599, 1):
        sandbox.clock.advance(seconds)
        offset(sandbox, "k")

    assert len(sandbox.books.purchases) == 2


def test_a_key_may_have_512_characters():
    """One more is refused, see below."""
    assert offset(make(), "k" * 512).status == 201


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["begin", "end", "whole", "later"])), max_size=40))
def test_any_interleaving_of_repeats_with_one_key_is_one_purchase(steps):
    """However requests overlap, each key that was used buys once."""
    sandbox = make("late_effect=0.3,lost_answer=0.2,lost_request=0.2,hang=0.2", seed=len(steps))
    running: dict[str, list[Any]] = {"a": [], "b": [], "c": []}
    for key, step in steps:
        tags = json.dumps({"order_id": key, "impactflow_key": key})
        sent = request("POST", ORDERS, {"amount_kg": 1, "metadata": tags}, headers={"idempotency-key": key})
        exchange = sandbox.exchange(sent)
        if step == "later":
            sandbox.clock.advance(1)
        elif step == "begin":
            exchange.__enter__()
            running[key].append(exchange)
        elif step == "whole":
            with exchange:
                pass
        elif running[key]:
            running[key].pop().__exit__(None, None, None)
    sandbox.clock.advance(60)
    sandbox.catch_up()

    bought = [purchase.impactflow_key for purchase in sandbox.books.purchases]
    assert len(set(bought)) == len(bought)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 25), limit=st.integers(1, 10), page_items=st.sampled_from([None, 1, 3]))
def test_pages_return_every_order_newest_first(count, limit, page_items):
    """The last id of a page leads to the next one, also where pages are shorter than asked for."""
    sandbox = make(page_items=page_items)
    ids = [offset(sandbox).json["id"] for _ in range(count)]

    assert ids[::-1] == list_all(sandbox, limit)


def test_ending_before_gives_the_page_of_newer_orders():
    """Those right before it in the list, newest first."""
    sandbox = make()
    ids = [offset(sandbox).json["id"] for _ in range(6)]

    page = ask(sandbox, "GET", ORDERS, params={"ending_before": ids[1], "limit": 3}).json["data"]

    assert [ids[4], ids[3], ids[2]] == [order["id"] for order in page]


def test_a_page_has_twenty_orders_unless_told_otherwise():
    """And a hundred at most."""
    sandbox = make()
    for _ in range(21):
        offset(sandbox)

    assert len(ask(sandbox, "GET", ORDERS).json["data"]) == 20


@pytest.mark.parametrize("url", [ORDERS, SUBACCOUNTS])
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"limit": 0}, "invalid-parameters"),
        ({"limit": 101}, "invalid-parameters"),
        ({"limit": "many"}, "invalid-parameters"),
        ({"starting_after": "x"}, "invalid-pagination"),
        ({"ending_before": "x"}, "invalid-pagination"),
    ],
)
def test_bad_parameters_of_a_list_are_refused(url, params, expected):
    """400 as a problem of its own name."""
    answer = ask(make(), "GET", url, params=params)

    assert (400, expected) == (answer.status, problem(answer))


def test_a_page_cannot_begin_and_end_at_an_order():
    """Only one of the two parameters."""
    sandbox = make()
    order_id = offset(sandbox).json["id"]

    answer = ask(sandbox, "GET", ORDERS, params={"starting_after": order_id, "ending_before": order_id})

    assert (400, "invalid-pagination") == (answer.status, problem(answer))


def test_a_subaccount_is_created_and_can_be_read():
    """Its id is the provider's."""
    sandbox = make()

    created = ask(sandbox, "POST", SUBACCOUNTS, {"name": "Marketing", "default_portfolio_id": "p1"})

    expected = {"name": "Marketing", "default_portfolio_id": "p1", "created_on": "2026-11-21T12:00:00.000000Z"}
    assert (201, expected) == (created.status, {name: created.json[name] for name in expected})
    assert created.json == ask(sandbox, "GET", f"{SUBACCOUNTS}/{created.json['id']}").json


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": "n" * 513}, "name"),
        ({"name": "n", "default_portfolio_id": 7}, "default_portfolio_id"),
        ({"name": "n", "default_portfolio_id": "unavailable"}, "default_portfolio_id"),
    ],
)
def test_a_bad_subaccount_is_refused(fields, field):
    """400, and there is none."""
    sandbox = make()

    answer = ask(sandbox, "POST", SUBACCOUNTS, fields)

    assert (400, [field]) == (answer.status, list(answer.json["errors"]))
    assert ask(sandbox, "GET", SUBACCOUNTS).json == {"data": []}


def test_subaccounts_are_listed_newest_first_in_both_directions():
    """As orders are."""
    sandbox = make()
    created = [create(sandbox, f"n{number}") for number in range(5)]

    def page(**params: Any) -> list[str]:
        return [one["id"] for one in ask(sandbox, "GET", SUBACCOUNTS, params=params).json["data"]]

    assert page(limit=2) == [created[4], created[3]]
    assert page(limit=2, starting_after=created[3]) == [created[2], created[1]]
    assert page(limit=2, ending_before=created[0]) == [created[2], created[1]]


def test_a_subaccount_sees_its_own_orders_only():
    """Listed, read, cancelled and summed up for it alone; the account sees all of them."""
    sandbox = make()
    mine, other = speaking_for(create(sandbox)), speaking_for(create(sandbox, "Sales"))
    order = ask(sandbox, "POST", ORDERS, {"amount_kg": 3}, headers=mine).json
    offset(sandbox, amount_kg=5)
    url = f"{ORDERS}/{order['id']}"

    assert order["subaccount_id"] == mine["x-subaccount-id"]
    assert [1, 0, 2] == [len(ask(sandbox, "GET", ORDERS, headers=h).json["data"]) for h in (mine, other, None)]
    assert [200, 404, 200] == [ask(sandbox, "GET", url, headers=h).status for h in (mine, other, None)]
    assert [3, 0, 8] == [ask(sandbox, "GET", IMPACT, headers=h).json["total_offset_kgs"] for h in (mine, other, None)]
    assert [404, 200] == [ask(sandbox, "POST", f"{url}/cancel", headers=h).status for h in (other, mine)]


def test_a_subaccounts_orders_are_met_from_its_own_default():
    """Unless they say otherwise."""
    sandbox = make()
    mine = speaking_for(create(sandbox, default_portfolio_id="theirs"))

    orders = [
        ask(sandbox, "POST", ORDERS, {"amount_kg": 1, **fields}, headers=mine).json
        for fields in ({}, {"portfolio_id": "another"})
    ]

    assert ["theirs", "another"] == [order["portfolio_id"] for order in orders]


@pytest.mark.parametrize(("method", "url"), [each for each in EVERYTHING if "/subaccounts" not in each[1]])
def test_an_unknown_subaccount_is_refused_wherever_one_can_be_named(method, url):
    """It has no order that could be got or cancelled; the 400 of the rest is made up."""
    sandbox = make()
    order_id = ask(sandbox, "POST", ORDERS, {"amount_kg": 1}).json["id"]
    url, of_one_order = url.replace("/x", f"/{order_id}"), "/x" in url
    body = {"amount_kg": 1, "distance_km": 1} if method == "POST" else None

    answer = ask(sandbox, method, url, body, headers=speaking_for("nobody"))

    assert ((404, "not-found") if of_one_order else (400, "invalid-subaccount")) == (answer.status, problem(answer))
    assert [False] == [purchase.cancelled for purchase in sandbox.books.purchases]


def test_a_key_is_one_subaccounts():
    """422 for the same request on behalf of another: it would be another order."""
    sandbox = make()
    statuses = [
        ask(sandbox, "POST", ORDERS, {"amount_kg": 1}, headers={"idempotency-key": "k", **speaking_for(who)}).status
        for who in (create(sandbox), create(sandbox))
    ]

    assert [201, 422] == statuses


@pytest.mark.parametrize(
    ("url", "fields"),
    [(ORDERS, {"amount_kg": 1}), (f"{ORDERS}/ride", {"distance_km": 1}), (SUBACCOUNTS, {"name": "Marketing"})],
)
def test_every_creation_with_a_key_happens_once(url, fields):
    """The same answer again, or 422 for another body."""
    sandbox = make()
    key = {"idempotency-key": "k"}

    first, again = (ask(sandbox, "POST", url, fields, headers=key) for _ in range(2))
    other = ask(sandbox, "POST", url, {**fields, "more": 1}, headers=key)

    assert (201, 201, first.json) == (first.status, again.status, again.json)
    assert (None, "true") == (first.headers.get("x-idempotent-replay"), again.headers.get("x-idempotent-replay"))
    assert (422, "idempotency-changed-payload") == (other.status, problem(other))


@pytest.mark.parametrize(
    ("key", "expected"),
    [("", "invalid-parameters"), ("é", "invalid-parameters"), ("k" * 513, "idempotency-key-too-long")],
)
def test_a_bad_key_is_refused(key, expected):
    """400, and nothing is bought."""
    sandbox = make()

    answer = offset(sandbox, key)

    assert (400, expected, []) == (answer.status, problem(answer), sandbox.books.purchases)


def test_the_impact_is_what_the_books_say():
    """Cancelled orders do not count; other terms follow from the kilograms."""
    sandbox = make()
    nothing = ask(sandbox, "GET", IMPACT).json
    orders = [offset(sandbox, amount_kg=kg).json for kg in (1.5, 60, 1000)]
    ask(sandbox, "POST", f"{ORDERS}/{orders[2]['id']}/cancel")
    impact = ask(sandbox, "GET", IMPACT).json

    standing = sandbox.books.as_json()["summary"]["providers"]["cnaught"]["offset"]["quantity"]
    assert (standing / 1000, 61.5) == (impact["total_offset_kgs"], impact["total_offset_kgs"])
    assert (1.02, 61.5) == (impact["equivalents"]["trees_planted"], impact["categories"][0]["offset_kgs"])
    assert (orders[0]["created_on"], "Pretend Shop") == (impact["since_date"], impact["name"])
    assert (0, None, []) == tuple(nothing[name] for name in ("total_offset_kgs", "since_date", "categories"))


def test_each_subaccount_has_a_page_of_its_own():
    """The account has one too."""
    sandbox = make()
    url, mine = "/cnaught/v1/impact/hosted-page-config", create(sandbox)

    own, theirs = ask(sandbox, "GET", url).json, ask(sandbox, "GET", url, headers=speaking_for(mine)).json

    assert {"enabled", "url", "enabled_equivalents"} == set(own)
    assert f"{own['url']}/{mine}" == theirs["url"]
