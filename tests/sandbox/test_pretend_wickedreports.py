"""Wicked Reports as the sandbox plays it."""

from collections import Counter
from datetime import timedelta
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


def contacts_url(name: str, listing: str = "") -> str:
    return f"/wickedreports/contacts/{name.replace('@', '%40')}{listing}"


@pytest.mark.parametrize("name", ["id", "sourceId", "email"])
def test_a_contacts_orders_are_found_by_each_of_its_names(name):
    """They come without the contact."""
    orders = shop_of(60)
    contact = orders[0]["contact"]
    theirs = [order for order in orders if order.get("contact") == contact]

    (page,) = read_all(make(orders=orders), contacts_url(contact[name], "/orders"))

    assert [{key: order[key] for key in order if key != "contact"} for order in theirs] == page["results"]


def test_each_buyer_is_a_contact_and_the_sum_of_their_orders():
    """Listed by the day of their first click, with what the reference requires."""
    orders = shop_of(60)

    (page,) = read_all(make(orders=orders), "/wickedreports/contacts")

    spent = Counter()
    for order in orders:
        if "contact" in order:
            spent[order["contact"]["id"]] += order.get("amount", 0)
    assert {name: pytest.approx(amount) for name, amount in spent.items()} == {
        contact["id"]: contact["LTV"] for contact in page["results"]
    }
    assert all({"id", "sourceId", "email", "urlWicked"} <= set(contact) for contact in page["results"])
    assert all(contact["createDate"] == contact["firstClick"]["date"] for contact in page["results"])


@pytest.mark.parametrize("name", ["id", "sourceId", "email"])
def test_a_contact_is_found_by_each_of_its_names(name):
    """The same as in the listing."""
    sandbox = make(orders=shop_of(60))
    (page,) = read_all(sandbox, "/wickedreports/contacts")
    contact = page["results"][7]

    answer = ask(sandbox, "GET", contacts_url(contact[name]))

    assert (200, {"status": "success", "result": contact}) == (answer.status, answer.json)


def test_clicks_lead_to_the_orders_that_are_attributed_to_them():
    """Each contact exists, and clicks before it buys."""
    orders = shop_of(60)
    sandbox = make(orders=orders)
    (contacts,), (clicks,) = (read_all(sandbox, f"/wickedreports/{name}") for name in ("contacts", "clicks"))

    made = {(click["contactId"], click["date"]): click for click in clicks["results"]}

    assert {contact["id"] for contact in contacts["results"]} >= {contact for contact, _ in made}
    assert len(made) == len(clicks["results"])
    for order in orders:
        if "contact" in order and "attributions" in order:
            touches = {name: f"{touch['date']}.000Z" for name, touch in order["attributions"].items()}
            found = {name: made[order["contact"]["id"], date] for name, date in touches.items()}
            assert all(date < order["date"] for date in touches.values())
            assert found["firstClick"]["isFirstClick"]
            assert found["lastClick"]["isLastClick"]


def test_a_contacts_clicks_are_theirs_alone():
    """With days or without."""
    sandbox = make(orders=shop_of(60))
    (page,) = read_all(sandbox, "/wickedreports/clicks")
    theirs = [click for click in page["results"] if click["contactId"] == page["results"][0]["contactId"]]
    url = contacts_url(theirs[0]["contactSourceId"], "/clicks")

    assert theirs == ask(sandbox, "GET", url).json["results"]
    assert theirs == ask(sandbox, "GET", url, params=WINDOW).json["results"]
    assert [] == ask(sandbox, "GET", url, params={"from": "2026-11-22"}).json["results"]
    assert [] == ask(sandbox, "GET", url, params={"to": "2026-11-13"}).json["results"]


def test_a_contact_without_clicks_has_no_links():
    """As is documented."""
    contact = {"id": "AC-1", "sourceId": "7", "email": "a@example.com"}
    order = {"id": "WR-1", "sourceId": "1", "date": "2026-11-20T00:00:00Z", "contact": contact}
    attributions = {"lastClick": {"date": "2026-11-19T00:00:00"}}

    answers = [
        ask(make(orders=[sold]), "GET", contacts_url("AC-1"))
        for sold in (order, {**order, "attributions": attributions})
    ]

    assert [{}, {"clicks", "orders"}] == [
        answers[0].json["result"]["links"],
        set(answers[1].json["result"]["links"]),
    ]


def clicked(number: int) -> dict[str, Any]:
    """An order of one busy contact, with a click of its own."""
    at = START - timedelta(days=1, seconds=number)
    return {
        "id": f"WR-{number}",
        "contact": {"id": "AC-1", "sourceId": "7", "email": "a@example.com"},
        "attributions": {"lastClick": {"date": at.isoformat()}},
    }


def test_only_the_first_10_000_clicks_of_a_contact_are_listed_without_days():
    """All of them, with days."""
    sandbox = make(orders=[clicked(number) for number in range(10_001)])
    url = contacts_url("AC-1", "/clicks")

    assert [10_000, 10_001] == [ask(sandbox, "GET", url, params=params).json["total"] for params in ({}, WINDOW)]


def test_clicks_may_be_listed_late():
    """Up to a day, as is documented."""
    sandbox = make(orders=[clicked(0)], late_clicks_s=86_400 + 60)
    before = ask(sandbox, "GET", "/wickedreports/clicks", params=WINDOW)
    sandbox.clock.advance(60)
    after = ask(sandbox, "GET", "/wickedreports/clicks", params=WINDOW)

    assert [0, 1] == [before.json["total"], after.json["total"]]


@pytest.mark.parametrize("listing", ["", "/clicks", "/orders"])
def test_an_unknown_contact_is_not_found(listing):
    """404, in Wicked Reports' own form."""
    answer = ask(make(orders=shop_of(5)), "GET", contacts_url("AC-1", listing), params=WINDOW)

    assert (404, {"status", "message"}, "error") == (answer.status, set(answer.json), answer.json["status"])


CONTACT_ID = shop_of(1)[0]["contact"]["id"]
LISTINGS = ["/contacts", "/clicks", f"/contacts/{CONTACT_ID}/clicks", "/orders", f"/contacts/{CONTACT_ID}/orders"]


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize(
    "params",
    [
        {"from": "14.11.2026", "to": "2026-11-21"},
        {"from": "2026-11-14T00:00:00", "to": "2026-11-21"},
        {"from": "2026-11-22", "to": "2026-11-21"},
        {**WINDOW, "to": ""},
        {**WINDOW, "limit": 0},
        {**WINDOW, "limit": 1001},
        {**WINDOW, "limit": "many"},
        {**WINDOW, "next": "0123456789abcdef0123456789abcdef"},
        {**WINDOW, "next": ""},
    ],
)
def test_bad_parameters_are_refused(listing, params):
    """400, in Wicked Reports' own form."""
    answer = ask(make(orders=shop_of(5)), "GET", f"/wickedreports{listing}", params=params)

    assert (400, {"status", "message"}) == (answer.status, set(answer.json))


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("params", [{}, {"from": "2026-11-14"}, {"to": "2026-11-21"}])
def test_only_a_contacts_clicks_are_listed_without_days(listing, params):
    """Everything else asks for both."""
    answer = ask(make(orders=shop_of(5)), "GET", f"/wickedreports{listing}", params=params)

    assert answer.status == (200 if listing.endswith(f"{CONTACT_ID}/clicks") else 400)


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("days", [30, 31, 180, 181])
def test_the_days_of_clicks_are_limited(listing, days):
    """To 30, and to 180 for one contact's."""
    params = {"from": str(START.date() - timedelta(days=days)), "to": str(START.date())}

    answer = ask(make(orders=shop_of(5)), "GET", f"/wickedreports{listing}", params=params)

    longest = {"/clicks": 30, f"/contacts/{CONTACT_ID}/clicks": 180}.get(listing, days)
    assert answer.status == (200 if days <= longest else 400)


def test_the_name_of_a_page_fits_its_own_listing_only():
    """Not another one's, nor other days."""
    sandbox = make(orders=shop_of(30))
    first = ask(sandbox, "GET", "/wickedreports/orders", params={**WINDOW, "limit": 10}).json
    params = {**WINDOW, "limit": 10, "next": first["next"]}

    statuses = [
        ask(sandbox, "GET", f"/wickedreports/{listing}", params={**params, **days}).status
        for listing, days in (("orders", {}), ("clicks", {}), ("orders", {"from": "2026-11-15"}))
    ]

    assert [200, 400, 400] == statuses


@pytest.mark.parametrize("listing", [*LISTINGS, f"/contacts/{CONTACT_ID}"])
@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_key_is_refused(listing, key):
    """401, in Wicked Reports' own form."""
    answer = ask(make(orders=shop_of(5)), "GET", f"/wickedreports{listing}", params=WINDOW, headers={"apikey": key})

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


@pytest.mark.parametrize("listing", ["contacts", "clicks", "orders"])
def test_shifted_pages_lose_nothing_to_a_reader_who_reads_again(listing):
    """Each page repeats or misses one item; what one reading missed, the next one has."""
    orders, url = shop_of(95), f"/wickedreports/{listing}"
    records = [str(record) for page in read_all(make(orders=orders), url) for record in page["results"]]
    sandbox = make("wickedreports.shifting_pages=1", orders)

    readings = [
        [str(record) for page in read_all(sandbox, url, limit=10) for record in page["results"]] for _ in range(2)
    ]

    assert set(records) == set(readings[0]) | set(readings[1])
    assert any(len(set(ids)) < len(ids) for ids in readings)
    assert any(len(set(ids)) < len(records) for ids in readings)
    assert sandbox.status()["wickedreports"]["faults"]["shifting_pages"] > 0
