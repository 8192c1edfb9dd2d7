"""What the references leave open, and an account may therefore do: each poorness alone, and nothing else."""

import json

import pytest
from pretending import TAGS, ask, confirm, make, offset, open_session, plant

from impactflow.sandbox import APIS, WEAKNESSES
from impactflow.sandbox.faults import PROVIDERS

RECORDS = "/oneclickimpact/v1/records"


def poor(*names: str, **options):
    return make(poor=frozenset(names), **options)


def test_every_poorness_is_explained():
    """Whose answers are concerned, and in what; no two have one name."""
    assert sum(len(api.weaknesses) for api in APIS) == len(WEAKNESSES)
    assert all(text for _, text in WEAKNESSES.values())


def test_faults_may_strike_every_api():
    """The list of names is made from the sellers' names, and that of the APIs from their classes."""
    assert [*PROVIDERS] == [api.name for api in APIS]


@pytest.mark.parametrize("names", [(), ("records_with_customers",)])
def test_records_may_list_customers_purchases_unnamed(names):
    """The reference does not say that they do not."""
    sandbox = poor(*names)
    plant(sandbox, 2, customer_email="ana@example.com")
    plant(sandbox, 1)
    listed = ask(sandbox, "GET", RECORDS).json["user_records"]

    assert [record["tree_planted"] for record in listed] == ([2, 1] if names else [1])
    assert not any("customer" in record for record in listed)
    customers = ask(sandbox, "GET", "/oneclickimpact/v1/customer_records").json["customer_records"]
    assert [record["customer"]["customer_email"] for record in customers] == ["ana@example.com"]


def test_metadata_may_be_written_by_another_hand():
    """The same JSON with other spacing and another order; what is no JSON object stays."""
    sandbox = poor("metadata_reformatted")
    text = json.dumps(TAGS, separators=(",", ":"))
    order = offset(sandbox, amount_kg=1, metadata=text).json
    free = offset(sandbox, amount_kg=1, metadata="free text").json

    assert (order["metadata"] != text, json.loads(order["metadata"])) == (True, TAGS)
    assert free["metadata"] == "free text"


def test_metadata_may_not_come_back_though_the_books_know_it():
    """Neither with the answer, nor when it is read."""
    sandbox = poor("metadata_dropped")
    order = offset(sandbox, amount_kg=1, metadata=json.dumps(TAGS)).json
    [listed] = ask(sandbox, "GET", "/cnaught/v1/orders").json["data"]

    assert [order["metadata"], listed["metadata"]] == [None, None]
    assert sandbox.books.purchases[0].impactflow_key == TAGS["impactflow_key"]


@pytest.mark.parametrize(
    ("name", "in_answer", "in_reading"),
    [("orders_without_dates", {"state"}, {"state"}), ("orders_without_state", {"created_on"}, {"created_on", "state"})],
)
def test_orders_may_say_less(name, in_answer, in_reading):
    """The reference's example of an order's answer has neither date nor state."""
    sandbox = poor(name)
    answer = offset(sandbox).json
    reading = ask(sandbox, "GET", f"/cnaught/v1/orders/{answer['id']}").json

    asked = {"created_on", "state"}
    assert (asked & answer.keys(), asked & reading.keys()) == (in_answer, in_reading)


@pytest.mark.parametrize(
    ("name", "in_confirm", "in_reading"),
    [
        ("confirms_without_intents", False, True),
        ("sessions_without_intents", True, False),
        ("late_intents", False, False),
    ],
)
def test_a_confirmed_session_may_keep_its_donations_to_itself(name, in_confirm, in_reading):
    """No reference promises them, neither where it is confirmed nor where it is read."""
    sandbox = poor(name, late_s=5)
    session_id = open_session(sandbox).json["id"]
    confirmed = confirm(sandbox, session_id).json
    read = ask(sandbox, "GET", f"/impactapi/sessions/{session_id}").json

    assert [bool(each.get("donation_intents")) for each in (confirmed, read)] == [in_confirm, in_reading]
    assert len(sandbox.books.purchases) == 1


def test_late_donations_are_listed_in_the_end():
    """With their session and by themselves."""
    sandbox = poor("late_intents", late_s=5)
    session_id = open_session(sandbox).json["id"]
    confirm(sandbox, session_id)
    assert ask(sandbox, "GET", "/impactapi/donation_intents").json["data"] == []
    sandbox.clock.advance(5)

    assert len(ask(sandbox, "GET", "/impactapi/donation_intents").json["data"]) == 1
    assert len(ask(sandbox, "GET", f"/impactapi/sessions/{session_id}").json["donation_intents"]) == 1


@pytest.mark.parametrize(
    ("name", "field"), [("intents_without_amount", "amount"), ("intents_without_session", "session_id")]
)
def test_donations_may_say_less(name, field):
    """Wherever they are shown."""
    sandbox = poor(name)
    [shown] = confirm(sandbox, open_session(sandbox).json["id"]).json["donation_intents"]
    read = ask(sandbox, "GET", f"/impactapi/donation_intents/{shown['id']}").json
    [listed] = ask(sandbox, "GET", "/impactapi/donation_intents").json["data"]

    assert not any(field in each for each in (shown, read, listed))


def test_sessions_may_come_back_without_their_metadata():
    """The books know it."""
    sandbox = poor("sessions_without_metadata")
    session = open_session(sandbox, metadata=TAGS).json
    confirm(sandbox, session["id"])

    assert "metadata" not in session
    assert sandbox.books.purchases[0].impactflow_key == TAGS["impactflow_key"]


def test_an_account_that_cannot_pay_yet_refuses_to_sell():
    """402 to what buys; reads are answered; later it pays."""
    sandbox = make(unpaid_s=60)
    statuses = [plant(sandbox).status, ask(sandbox, "GET", RECORDS).status]
    sandbox.clock.advance(60)

    assert ([*statuses, plant(sandbox).status], len(sandbox.books.purchases)) == ([402, 200, 200], 1)
