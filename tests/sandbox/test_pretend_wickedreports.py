"""Wicked Reports as the sandbox plays it."""

from typing import Any

import pytest
from pretending import START, ask, make

from impactflow.sandbox import Sandbox, generate_orders

WINDOW = {"from": "2026-11-14", "to": "2026-11-21"}


def shop_of(count: int) -> list[dict[str, Any]]:
    return generate_orders(count, seed=1, until=START, days=6)


def read_all(sandbox: Sandbox, url: str = "/wickedreports/orders", **params: Any) -> list[dict[str, Any]]:
    pages = []
    while True:
        page = ask(sandbox, "GET", url, params={**WINDOW, **params}).json
        pages.append(page)
        if "next" not in page:
            return pages
        params["next"] = page["next"]


def test_pages_return_every_order_once():
    """Following ``next`` to its end reads the whole window, and every page says how much there is."""
    orders = shop_of(250)

    pages = read_all(make(orders=orders))

    assert orders == [order for page in pages for order in page["results"]]
    assert [(p["page"], p["totalPages"], p["total"]) for p in pages] == [(1, 3, 250), (2, 3, 250), (3, 3, 250)]
    assert [len(page["results"]) for page in pages] == [100, 100, 50]


def test_the_last_page_has_no_next():
    """A full last page is still the last."""
    pages = read_all(make(orders=shop_of(20)), limit=10)

    assert ["next" in page for page in pages] == [True, False]


def test_both_days_of_a_window_are_included():
    """Only the orders of those days come."""
    orders = [{"id": day, "sourceId": day, "date": f"2026-11-{day}T23:59:59.000Z"} for day in ("13", "14", "21", "22")]

    (page,) = read_all(make(orders=orders))

    assert [order["id"] for order in page["results"]] == ["14", "21"]


def test_broken_orders_reach_the_client_as_they_are():
    """What is no order at all, or has no date, is in every window."""
    broken = [{"id": 7}, "nonsense", None, {"id": "x", "sourceId": "y", "date": 5}]

    (page,) = read_all(make(orders=broken))

    assert broken == page["results"]


def test_an_order_that_is_replaced_shows_its_new_state():
    """A refund changes an order while the sandbox runs."""
    sandbox = make(orders=shop_of(1))
    sandbox.shop.orders[0] = {**sandbox.shop.orders[0], "payments": [{"status": "REFUNDED"}]}

    (page,) = read_all(sandbox)

    assert page["results"][0]["payments"] == [{"status": "REFUNDED"}]


@pytest.mark.parametrize("name", ["id", "sourceId", "email"])
def test_a_contacts_orders_are_found_by_each_of_its_names(name):
    """They come without the contact."""
    orders = shop_of(60)
    contact = orders[0]["contact"]
    theirs = [order for order in orders if order.get("contact") == contact]

    (page,) = read_all(make(orders=orders), f"/wickedreports/contacts/{contact[name].replace('@', '%40')}/orders")

    assert [{key: order[key] for key in order if key != "contact"} for order in theirs] == page["results"]


def test_an_unknown_contact_is_not_found():
    """404, in Wicked Reports' own form."""
    answer = ask(make(), "GET", "/wickedreports/contacts/AC-1/orders", params=WINDOW)

    assert (answer.status, answer.json["status"]) == (404, "error")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"from": "2026-11-14"},
        {"from": "14.11.2026", "to": "2026-11-21"},
        {"from": "2026-11-22", "to": "2026-11-21"},
        {**WINDOW, "limit": 0},
        {**WINDOW, "limit": 1001},
        {**WINDOW, "limit": "many"},
        {**WINDOW, "next": "0123456789abcdef0123456789abcdef"},
        {**WINDOW, "next": ""},
    ],
)
def test_bad_parameters_are_refused(params):
    """400, in Wicked Reports' own form."""
    answer = ask(make(orders=shop_of(5)), "GET", "/wickedreports/orders", params=params)

    assert (400, {"status", "message"}) == (answer.status, set(answer.json))


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_key_is_refused(key):
    """401, in Wicked Reports' own form."""
    answer = ask(make(), "GET", "/wickedreports/orders", params=WINDOW, headers={"apikey": key})

    assert (answer.status, answer.json["status"]) == (401, "error")


def test_what_does_not_exist_is_not_found():
    """404 for a path that no operation has."""
    assert ask(make(), "GET", "/wickedreports/nonsense").status == 404


def test_the_limit_is_told_on_every_answer_and_kept():
    """The third request of a minute is refused where two are allowed; the next minute begins anew."""
    sandbox = make(wicked_reports_per_minute=2)

    answers = [ask(sandbox, "GET", "/wickedreports/orders", params=WINDOW) for _ in range(3)]
    sandbox.clock.advance(60)
    answers.append(ask(sandbox, "GET", "/wickedreports/nonsense"))

    assert [answer.status for answer in answers] == [200, 200, 429, 404]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0", "1"]
    assert {"2"} == {answer.headers["x-ratelimit-limit"] for answer in answers}
    assert str(int(START.timestamp()) + 60) == answers[0].headers["x-ratelimit-reset"]


def test_shifted_pages_lose_nothing_to_a_reader_who_reads_again():
    """Each page repeats or misses one item; what one reading missed, the next one has."""
    orders = shop_of(95)
    sandbox = make("wickedreports.shifting_pages=1", orders)

    readings = [[order["id"] for page in read_all(sandbox, limit=10) for order in page["results"]] for _ in range(2)]

    assert {order["id"] for order in orders} == set(readings[0]) | set(readings[1])
    assert any(len(set(ids)) < len(ids) for ids in readings)
    assert any(len(set(ids)) < len(orders) for ids in readings)
    assert sandbox.status()["wickedreports"]["faults"]["shifting_pages"] > 0
