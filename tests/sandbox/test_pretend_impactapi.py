"""ImpactAPI as the sandbox plays it."""

import re

import pytest
from pretending import TAGS, ask, confirm, make, open_session

BASE = "/impactapi"
ALLOCATION = {"campaign_identifier": "cleanhub", "amount": 5}


def test_campaigns_have_slugs_names_and_metrics():
    """What can be donated to."""
    campaigns = ask(make(), "GET", f"{BASE}/campaigns").json["data"]

    assert {"trees-for-the-future", "cleanhub"} <= {campaign["slug"] for campaign in campaigns}
    assert all(campaign["impact_metrics"] for campaign in campaigns)


def test_a_session_costs_nothing_until_it_is_confirmed():
    """Its intents appear with the confirmation, and so does the purchase."""
    sandbox = make()
    allocations = [ALLOCATION, {"campaign_identifier": "school-meals", "amount": 7}]
    opened = open_session(sandbox, allocations=allocations, metadata=TAGS)
    assert (201, "active", 12, allocations) == (
        opened.status,
        *(opened.json[k] for k in ("status", "amount", "allocations")),
    )
    assert sandbox.books.purchases == []

    confirmed = confirm(sandbox, opened.json["id"])

    assert (confirmed.status, confirmed.json["status"], confirmed.json["metadata"]) == (200, "confirmed", TAGS)
    intents = confirmed.json["donation_intents"]
    assert [(i["campaign_identifier"], i["amount"]) for i in intents] == [("cleanhub", 5), ("school-meals", 7)]
    (purchase,) = sandbox.books.purchases
    assert (12, "usd_cent", opened.json["id"]) == (purchase.quantity, purchase.unit, purchase.ref)
    assert tuple(intent["id"] for intent in intents) == purchase.intents
    assert {"order_id": purchase.order_id, "impactflow_key": purchase.impactflow_key} == TAGS
    assert confirmed.json == ask(sandbox, "GET", f"{BASE}/sessions/{opened.json['id']}").json
    assert intents[1] == ask(sandbox, "GET", f"{BASE}/donation_intents/{intents[1]['id']}").json


def test_ids_are_ulids():
    """26 characters of Crockford's alphabet."""
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", open_session(make()).json["id"])


def test_confirming_again_returns_the_same_intents():
    """Confirm is idempotent."""
    sandbox = make()
    session_id = open_session(sandbox).json["id"]

    assert confirm(sandbox, session_id).json == confirm(sandbox, session_id).json
    assert len(sandbox.books.purchases) == 1


def test_confirming_again_can_be_an_error_instead():
    """The documented code, in that mode; the session can still be read."""
    sandbox = make(already_confirmed_error=True)
    session_id = open_session(sandbox).json["id"]

    answers = [confirm(sandbox, session_id) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 400]
    assert answers[1].json["error"]["code"] == "session.already-confirmed"
    assert len(ask(sandbox, "GET", f"{BASE}/sessions/{session_id}").json["donation_intents"]) == 1


@pytest.mark.parametrize(("fields", "minutes"), [({}, 1440), ({"expires_in": 15}, 15)])
def test_an_expired_session_cannot_be_confirmed(fields, minutes):
    """After a day, or as long as it asked for; speed does not change that."""
    sandbox = make(speed=1_000_000)
    session_id = open_session(sandbox, **fields).json["id"]
    sandbox.clock.advance(minutes * 60)

    answer = confirm(sandbox, session_id)

    assert (answer.status, answer.json["error"]["code"]) == (400, "session.cannot-confirm-expired")
    assert ask(sandbox, "GET", f"{BASE}/sessions/{session_id}").json["status"] == "expired"
    assert sandbox.books.purchases == []


def test_a_confirmed_session_does_not_expire():
    """What was donated stays donated."""
    sandbox = make()
    session_id = open_session(sandbox).json["id"]
    confirm(sandbox, session_id)
    sandbox.clock.advance(2 * 86_400)

    assert ask(sandbox, "GET", f"{BASE}/sessions/{session_id}").json["status"] == "confirmed"


INTERACTIVE = {"type": "add_on", "allocations": None, "amount": 500, "available_campaigns": ["cleanhub"]}


def test_an_interactive_session_has_a_secret_and_waits_for_a_choice():
    """The secret opens that session for reading, is shown once, and nothing can be confirmed yet."""
    sandbox = make()
    opened = open_session(sandbox, **INTERACTIVE).json
    url = f"{BASE}/sessions/{opened['id']}"

    by_secret = ask(sandbox, "GET", url, headers={"authorization": "", "x-session-secret": opened["session_secret"]})

    assert (
        by_secret.status,
        by_secret.json["available_campaigns"],
    ) == (200, [{"slug": "cleanhub", "name": "CleanHub"}])
    assert "session_secret" not in by_secret.json
    assert ask(sandbox, "GET", url, headers={"authorization": "", "x-session-secret": "wrong"}).status == 401
    assert confirm(sandbox, opened["id"]).json["error"]["code"] == "allocations.required"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"type": "gift"}, 400, "session.invalid-type"),
        ({"type": ["add_on"]}, 400, "session.invalid-type"),
        ({"allocations": None}, 400, "session.non-interactive-requires-allocations"),
        ({"allocations": []}, 400, "allocations.required"),
        ({"allocations": [{**ALLOCATION, "campaign_identifier": "unknown"}]}, 400, "session.campaign-not-available"),
        ({"allocations": [{**ALLOCATION, "campaign_identifier": None}]}, 400, "session.campaign-not-available"),
        ({"allocations": [ALLOCATION] * 11}, 422, "validation.failed"),
        ({"allocations": [{**ALLOCATION, "amount": 0}]}, 422, "validation.failed"),
        ({"allocations": [{**ALLOCATION, "amount": 1_000_000_001}]}, 422, "validation.failed"),
        ({"allocations": [{**ALLOCATION, "amount": 1.5}]}, 422, "validation.failed"),
        ({"allocations": "all"}, 422, "validation.failed"),
        ({"allocations": ["all"]}, 422, "validation.failed"),
        ({"amount": 5}, 422, "validation.failed"),
        ({"available_campaigns": ["cleanhub"]}, 422, "validation.failed"),
        ({"metadata": "text"}, 422, "validation.failed"),
        ({"expires_in": 14}, 422, "validation.failed"),
        ({"expires_in": 1441}, 422, "validation.failed"),
        ({"customer_id": "me"}, 422, "validation.failed"),
        ({"vendor_id": 7}, 422, "validation.failed"),
        ({"approximated": "yes"}, 422, "validation.failed"),
        ({**INTERACTIVE, "allocations": [ALLOCATION]}, 400, "session.interactive-cannot-have-allocations"),
        ({**INTERACTIVE, "amount": None}, 400, "session.interactive-session-requires-amount"),
        ({**INTERACTIVE, "amount": 0}, 422, "validation.failed"),
        ({**INTERACTIVE, "available_campaigns": None}, 422, "validation.failed"),
        ({**INTERACTIVE, "available_campaigns": ["unknown"]}, 400, "session.campaign-not-available"),
    ],
)
def test_a_bad_session_is_refused_with_its_code(fields, status, code):
    """``{"error": {"code", "message", "correlation_id"}}``."""
    answer = open_session(make(), **fields)

    assert (status, code) == (answer.status, answer.json["error"]["code"])
    assert {"code", "message", "correlation_id"} <= set(answer.json["error"])


@pytest.mark.parametrize("authorization", ["", "Bearer wrong"])
def test_a_wrong_key_is_refused(authorization):
    """401 ``auth.unauthorized``."""
    answer = ask(make(), "GET", f"{BASE}/campaigns", headers={"authorization": authorization})

    assert (answer.status, answer.json["error"]["code"]) == (401, "auth.unauthorized")


@pytest.mark.parametrize(
    "path", ["sessions/01K7HWH8ANDSRNC6JK38SY6E45", "donation_intents/01K7HWH8ANDSRNC6JK38SY6E45", "x"]
)
def test_what_does_not_exist_is_not_found(path):
    """404."""
    assert ask(make(), "GET", f"{BASE}/{path}").status == 404
