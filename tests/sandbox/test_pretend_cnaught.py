"""CNaught as the sandbox plays it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretending import TAGS, ask, make, offset, request

from impactflow.sandbox import Sandbox

ORDERS = "/cnaught/v1/orders"


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


def test_a_portfolio_that_is_not_available_is_forbidden():
    """403."""
    assert offset(make(), amount_kg=1, portfolio_id="unavailable").status == 403


@pytest.mark.parametrize("authorization", ["", "sandbox-cnaught-key", "Bearer wrong"])
def test_a_wrong_key_is_refused(authorization):
    """401 as a problem."""
    answer = ask(make(), "GET", ORDERS, headers={"authorization": authorization})

    assert (answer.status, answer.json["status"]) == (401, 401)


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("POST", "/nothing/cancel"), ("DELETE", "")])
def test_what_does_not_exist_is_not_found(method, path):
    """404, for orders and for operations."""
    assert ask(make(), method, f"{ORDERS}{path}").status == 404


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


def test_a_key_has_at_most_512_characters():
    """400 for a longer one."""
    assert [offset(make(), "k" * length).status for length in (512, 513)] == [201, 400]


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
    sandbox.settle()

    bought = [purchase.impactflow_key for purchase in sandbox.books.purchases]
    assert len(set(bought)) == len(bought)


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 25), limit=st.integers(1, 10))
def test_pages_return_every_order_newest_first(count, limit):
    """The last id of a page leads to the next one."""
    sandbox = make()
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


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"starting_after": "x"}, {"ending_before": "x"}])
def test_bad_parameters_are_refused(params):
    """400 as a problem that names the parameter."""
    answer = ask(make(), "GET", ORDERS, params=params)

    assert (400, list(params)) == (answer.status, list(answer.json["errors"]))


def test_a_page_cannot_begin_and_end_at_an_order():
    """Only one of the two parameters."""
    sandbox = make()
    order_id = offset(sandbox).json["id"]

    assert ask(sandbox, "GET", ORDERS, params={"starting_after": order_id, "ending_before": order_id}).status == 400
