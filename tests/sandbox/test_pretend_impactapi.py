"""ImpactAPI as the sandbox plays it."""

import re

import pytest
from pretending import TAGS, ask, confirm, make, open_session

BASE = "/impactapi"
ALLOCATION = {"campaign_identifier": "cleanhub", "amount": 5}
INTERACTIVE = {"type": "add_on", "allocations": None, "amount": 500, "available_campaigns": ["cleanhub"]}
NOWHERE = "01K7HWH8ANDSRNC6JK38SY6E45"
PARTIES = ["customers", "vendors"]


def code(answer):
    """The status and the code of a refusal."""
    return answer.status, answer.json["error"]["code"]


def create(sandbox, parties="customers", **fields):
    """Create a customer or a vendor."""
    return ask(sandbox, "POST", f"{BASE}/{parties}", fields)


def by(secret):
    """The headers of a customer's browser."""
    return {"authorization": "", "x-session-secret": secret}


def key_and(browser):
    """The account's key beside what a customer's browser shows."""
    return {"x-session-secret": browser["x-session-secret"]}


def give(sandbox, *shares, **fields):
    """Confirm a session of these (campaign, cents) pairs; its id."""
    allocations = [{"campaign_identifier": slug, "amount": cents} for slug, cents in shares]
    session_id = open_session(sandbox, allocations=allocations, **fields).json["id"]
    assert confirm(sandbox, session_id).status == 200
    return session_id


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


def test_an_interactive_session_has_a_secret_and_waits_for_a_choice():
    """The secret opens that session for reading, is shown once, and nothing can be confirmed yet."""
    sandbox = make()
    opened = open_session(sandbox, **INTERACTIVE).json
    url = f"{BASE}/sessions/{opened['id']}"

    by_secret = ask(sandbox, "GET", url, headers=by(opened["session_secret"]))

    assert (by_secret.status, opened["available_campaigns"]) == (200, [{"slug": "cleanhub", "name": "CleanHub"}])
    assert [campaign["impact_metrics"] for campaign in by_secret.json["available_campaigns"]] == [
        [{"name": "Plastic removed", "impact_per_dollar": 1.2}]
    ]
    assert "session_secret" not in by_secret.json
    assert ask(sandbox, "GET", url, headers=by("wrong")).status == 401
    assert code(confirm(sandbox, opened["id"])) == (400, "allocations.required")


def test_a_customer_chooses_with_the_secret_and_the_shop_confirms():
    """The campaign gets the whole amount; what was chosen before is forgotten."""
    sandbox = make()
    fields = {**INTERACTIVE, "available_campaigns": ["cleanhub", "school-meals"]}
    opened = open_session(sandbox, **fields).json
    url = f"{BASE}/sessions/{opened['id']}/choose_campaign"

    for slug in ("cleanhub", "school-meals"):
        chosen = ask(sandbox, "POST", url, {"campaign_identifier": slug}, headers=by(opened["session_secret"]))
        assert chosen.json["allocations"] == [{"campaign_identifier": slug, "amount": 500}]
    (intent,) = confirm(sandbox, opened["id"]).json["donation_intents"]

    assert (intent["campaign_identifier"], intent["amount"]) == ("school-meals", 500)
    assert [purchase.quantity for purchase in sandbox.books.purchases] == [500]


@pytest.mark.parametrize("body", [{"campaign_identifier": None}, {}])
def test_a_customer_may_opt_out(body):
    """Then there is nothing to confirm."""
    sandbox = make()
    opened = open_session(sandbox, **INTERACTIVE).json
    url = f"{BASE}/sessions/{opened['id']}/choose_campaign"
    for choice in ({"campaign_identifier": "cleanhub"}, body):
        assert ask(sandbox, "POST", url, choice, headers=by(opened["session_secret"])).status == 200

    assert code(confirm(sandbox, opened["id"])) == (400, "allocations.required")
    assert sandbox.books.purchases == []


def test_processing_locks_the_customer_out_but_not_the_key():
    """While the payment is captured; the session can still be read with the secret."""
    sandbox = make()
    opened = open_session(sandbox, **INTERACTIVE).json
    url, secret = f"{BASE}/sessions/{opened['id']}", by(opened["session_secret"])
    choice = {"campaign_identifier": "cleanhub"}

    processing = ask(sandbox, "POST", f"{url}/process", {})

    assert (processing.status, processing.json["status"]) == (200, "processing")
    assert code(ask(sandbox, "POST", f"{url}/choose_campaign", choice, headers=secret)) == (403, "auth.forbidden")
    assert ask(sandbox, "GET", url, headers=secret).json["allocations"] == []
    assert ask(sandbox, "POST", f"{url}/choose_campaign", choice, headers=key_and(secret)).status == 200
    assert ask(sandbox, "PATCH", url, {"customer_id": None}).status == 200
    assert confirm(sandbox, opened["id"]).json["status"] == "confirmed"


def test_the_key_alone_chooses_no_campaign():
    """Nor with the secret of another session; with this one's it does."""
    sandbox = make()
    opened, other = (open_session(sandbox, **INTERACTIVE).json for _ in range(2))
    url, choice = f"{BASE}/sessions/{opened['id']}/choose_campaign", {"campaign_identifier": "cleanhub"}

    for headers in ({}, key_and(by(other["session_secret"])), by(other["session_secret"]), by("")):
        assert code(ask(sandbox, "POST", url, choice, headers=headers)) == (401, "auth.unauthorized")
    assert ask(sandbox, "POST", url, choice, headers=key_and(by(opened["session_secret"]))).status == 200


@pytest.mark.parametrize(
    ("body", "minutes"), [(b"", 10_080), ({"extends_by": 60}, 60), ({"extends_by": 43_200}, 43_200)]
)
def test_processing_extends_a_session(body, minutes):
    """By a week, or as long as it is asked for; then it expires all the same."""
    sandbox = make()
    session_id = open_session(sandbox).json["id"]
    ask(sandbox, "POST", f"{BASE}/sessions/{session_id}/process", body)

    sandbox.clock.advance((1440 + minutes) * 60 - 1)
    assert ask(sandbox, "GET", f"{BASE}/sessions/{session_id}").json["status"] == "processing"
    sandbox.clock.advance(1)
    assert ask(sandbox, "GET", f"{BASE}/sessions/{session_id}").json["status"] == "expired"
    assert code(confirm(sandbox, session_id)) == (400, "session.cannot-confirm-expired")


def test_allocations_are_replaced_until_the_session_is_confirmed():
    """The amount follows from them."""
    sandbox = make()
    session_id = open_session(sandbox).json["id"]
    shares = [{**ALLOCATION, "amount": 300}, {"campaign_identifier": "school-meals", "amount": 200}]

    changed = ask(sandbox, "PUT", f"{BASE}/sessions/{session_id}/allocations", {"allocations": shares})

    assert (changed.status, changed.json["amount"], changed.json["allocations"]) == (200, 500, shares)
    confirm(sandbox, session_id)
    assert [purchase.quantity for purchase in sandbox.books.purchases] == [500]


OPERATIONS_ON_OPEN_SESSIONS = {
    "update": ("PATCH", "", {"customer_id": None}),
    "allocations": ("PUT", "/allocations", {"allocations": [ALLOCATION]}),
    "choose_campaign": ("POST", "/choose_campaign", {"campaign_identifier": "cleanhub"}),
    "process": ("POST", "/process", {}),
}


@pytest.mark.parametrize("name", OPERATIONS_ON_OPEN_SESSIONS)
@pytest.mark.parametrize(
    ("state", "expected"), [("confirmed", "session.already-confirmed"), ("expired", "session.cannot-confirm-expired")]
)
def test_what_is_over_does_not_change(name, state, expected):
    """Neither what was given nor what never will be."""
    sandbox = make()
    session_id = open_session(sandbox).json["id"]
    if state == "confirmed":
        confirm(sandbox, session_id)
    else:
        sandbox.clock.advance(86_400)
    method, path, body = OPERATIONS_ON_OPEN_SESSIONS[name]

    assert code(ask(sandbox, method, f"{BASE}/sessions/{session_id}{path}", body)) == (400, expected)
    assert ask(sandbox, "GET", f"{BASE}/sessions/{session_id}").json["status"] == state


@pytest.mark.parametrize("state", ["active", "processing", "confirmed", "expired"])
def test_metadata_and_approximated_change_in_every_state(state):
    """Objects are merged, null clears, what is left out stays."""
    sandbox = make()
    session_id = open_session(sandbox, metadata={"a": 1, "b": {"c": 2.5}}).json["id"]
    url = f"{BASE}/sessions/{session_id}"
    match state:
        case "processing":
            ask(sandbox, "POST", f"{url}/process", {})
        case "confirmed":
            confirm(sandbox, session_id)
        case "expired":
            sandbox.clock.advance(86_400)

    answers = [
        ask(sandbox, "PATCH", url, body)
        for body in ({"metadata": {"a": None, "d": ["e"]}}, {"approximated": True}, {"metadata": None})
    ]

    expected = [({"a": None, "b": {"c": 2.5}, "d": ["e"]}, False), ({"a": None, "b": {"c": 2.5}, "d": ["e"]}, True)]
    expected.append((None, True))
    assert [(answer.json["metadata"], answer.json["approximated"]) for answer in answers] == expected
    assert {answer.json["status"] for answer in answers} == {state}


def test_whom_a_session_is_attributed_to_changes_until_it_is_confirmed():
    """Null dissociates, what is left out stays; donations keep what they were given with."""
    sandbox = make()
    ana, shop = (create(sandbox, parties).json["id"] for parties in PARTIES)
    session_id = open_session(sandbox, customer_id=ana).json["id"]
    url = f"{BASE}/sessions/{session_id}"

    changed = ask(sandbox, "PATCH", url, {"vendor_id": shop}).json
    assert (changed["customer_id"], changed["vendor_id"]) == (ana, shop)
    assert ask(sandbox, "PATCH", url, {"customer_id": None}).json["customer_id"] is None
    (intent,) = confirm(sandbox, session_id).json["donation_intents"]
    assert (intent["customer_id"], intent["vendor_id"], intent["session_id"]) == (None, shop, session_id)


@pytest.mark.parametrize(
    ("fields", "operation", "body", "status", "code_"),
    [
        ({}, "PUT allocations", {"allocations": []}, 400, "allocations.required"),
        ({}, "PUT allocations", {}, 400, "allocations.required"),
        ({}, "PUT allocations", {"allocations": [ALLOCATION] * 11}, 422, "validation.failed"),
        ({}, "PUT allocations", {"allocations": [{**ALLOCATION, "amount": True}]}, 422, "validation.failed"),
        (
            {},
            "PUT allocations",
            {"allocations": [{"amount": 5, "campaign_identifier": "x"}]},
            400,
            "session.campaign-not-available",
        ),
        (
            INTERACTIVE,
            "PUT allocations",
            {"allocations": [ALLOCATION]},
            400,
            "session.interactive-must-use-choose-campaign",
        ),
        (
            {},
            "POST choose_campaign",
            {"campaign_identifier": "cleanhub"},
            400,
            "session.non-interactive-cannot-choose-campaign",
        ),
        (
            INTERACTIVE,
            "POST choose_campaign",
            {"campaign_identifier": "school-meals"},
            400,
            "session.campaign-not-available",
        ),
        (INTERACTIVE, "POST choose_campaign", {"campaign_identifier": 7}, 400, "session.campaign-not-available"),
        ({}, "POST process", {"extends_by": 59}, 422, "validation.failed"),
        ({}, "POST process", {"extends_by": 43_201}, 422, "validation.failed"),
        ({}, "PATCH ", {"metadata": []}, 422, "validation.failed"),
        ({}, "PATCH ", {"approximated": None}, 422, "validation.failed"),
        ({}, "PATCH ", {"customer_id": "me"}, 422, "validation.failed"),
        ({}, "PATCH ", {"vendor_id": NOWHERE}, 422, "validation.failed"),
        ({}, "PATCH ", b"{", 400, "request.invalid"),
    ],
)
def test_a_bad_change_of_a_session_is_refused_with_its_code(fields, operation, body, status, code_):
    """And changes nothing."""
    sandbox = make()
    opened = open_session(sandbox, **fields).json
    url, secret = f"{BASE}/sessions/{opened['id']}", {"x-session-secret": opened.get("session_secret", "")}
    before = ask(sandbox, "GET", url).json
    method, _, path = operation.partition(" ")

    assert code(ask(sandbox, method, f"{url}/{path}".rstrip("/"), body, headers=secret)) == (status, code_)
    assert ask(sandbox, "GET", url).json == before


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
        ({"vendor_id": NOWHERE}, 422, "validation.failed"),
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


def test_a_field_that_is_wrong_is_named_in_the_details():
    """422, also where it stands in the query."""
    sandbox = make()
    answers = [
        open_session(sandbox, expires_in=14),
        ask(sandbox, "GET", f"{BASE}/donation_intents", params={"per_page": 101}),
    ]
    assert [(answer.status, *answer.json["error"]["details"]) for answer in answers] == [
        (422, "expires_in"),
        (422, "per_page"),
    ]


@pytest.mark.parametrize("parties", PARTIES)
def test_a_party_is_created_changed_and_deleted_for_good(parties):
    """What is left out stays, null clears, metadata is merged."""
    sandbox = make()
    created = create(sandbox, parties, external_id="e-1", name="Jane Doe", metadata={"email": "j@example.com", "n": 1})
    url = f"{BASE}/{parties}/{created.json['id']}"
    sandbox.clock.advance(60)

    changed = ask(sandbox, "PATCH", url, {"name": "Jane", "metadata": {"n": 2, "vip": True}}).json

    assert created.status == 201
    assert changed == created.json | {
        "name": "Jane",
        "metadata": {"email": "j@example.com", "n": 2, "vip": True},
        "updated_at": changed["updated_at"],
    }
    assert changed["updated_at"] > created.json["updated_at"]
    assert ask(sandbox, "PATCH", url, {}).json["name"] == "Jane"
    cleared = ask(sandbox, "PATCH", url, {"external_id": None, "name": None, "metadata": None}).json
    assert (cleared["external_id"], cleared["name"], cleared["metadata"]) == (None, None, None)
    deleted = ask(sandbox, "DELETE", url)
    assert (deleted.status, deleted.reply.body) == (204, b"")
    assert [ask(sandbox, method, url, {}).status for method in ("GET", "PATCH", "DELETE")] == [404, 404, 404]
    assert ask(sandbox, "GET", f"{BASE}/{parties}").json["total"] == 0


@pytest.mark.parametrize("parties", PARTIES)
def test_an_external_id_is_unique_among_those_there_are(parties):
    """One's own is not another's, a deleted one's is free, and customers and vendors do not share them."""
    sandbox = make()
    first = create(sandbox, parties, external_id="e-1").json["id"]
    second = create(sandbox, parties, external_id="e-2").json["id"]
    url = f"{BASE}/{parties}"
    other = next(name for name in PARTIES if name != parties)

    assert code(create(sandbox, parties, external_id="e-1")) == (422, "validation.failed")
    assert code(ask(sandbox, "PATCH", f"{url}/{second}", {"external_id": "e-1"})) == (422, "validation.failed")
    assert ask(sandbox, "PATCH", f"{url}/{first}", {"external_id": "e-1"}).status == 200
    assert create(sandbox, other, external_id="e-1").status == 201
    ask(sandbox, "DELETE", f"{url}/{first}")
    assert ask(sandbox, "PATCH", f"{url}/{second}", {"external_id": "e-1"}).status == 200


@pytest.mark.parametrize("parties", PARTIES)
@pytest.mark.parametrize(
    "fields", [{"external_id": "x" * 256}, {"name": "x" * 256}, {"name": 7}, {"metadata": "text"}, {"metadata": ["a"]}]
)
def test_a_bad_party_is_refused(parties, fields):
    """When it is created and when it is changed."""
    sandbox = make()
    url = f"{BASE}/{parties}/{create(sandbox, parties, name='x' * 255).json['id']}"

    assert code(create(sandbox, parties, **fields)) == (422, "validation.failed")
    assert code(ask(sandbox, "PATCH", url, fields)) == (422, "validation.failed")
    assert ask(sandbox, "GET", f"{BASE}/{parties}").json["total"] == 1


@pytest.mark.parametrize("parties", PARTIES)
def test_parties_are_listed_page_by_page_and_sorted(parties):
    """The newest first, unless something else is asked for."""
    sandbox = make()
    for name in ("B", "C", "A"):
        create(sandbox, parties, name=name, external_id=name.lower())
        sandbox.clock.advance(1)
    ask(sandbox, "PATCH", f"{BASE}/{parties}/{_list(sandbox, parties)[-1]['id']}", {"metadata": {}})

    first = ask(sandbox, "GET", f"{BASE}/{parties}", params={"per_page": 2}).json

    assert {name: first[name] for name in ("current_page", "from", "to", "per_page", "last_page", "total")} == {
        "current_page": 1,
        "from": 1,
        "to": 2,
        "per_page": 2,
        "last_page": 2,
        "total": 3,
    }
    assert [one["name"] for one in first["data"]] == ["A", "C"]
    assert [one["name"] for one in _list(sandbox, parties, per_page=2, page=2)] == ["B"]
    assert [one["name"] for one in _list(sandbox, parties, sort_by="name", sort_order="asc")] == ["A", "B", "C"]
    assert [one["name"] for one in _list(sandbox, parties, sort_by="updated_at")] == ["B", "A", "C"]
    assert [one["name"] for one in _list(sandbox, parties, external_id="c")] == ["C"]
    empty = ask(sandbox, "GET", f"{BASE}/{parties}", params={"page": 3}).json
    assert (empty["data"], empty["from"], empty["to"]) == ([], None, None)


def _list(sandbox, what, **params):
    return ask(sandbox, "GET", f"{BASE}/{what}", params=params).json["data"]


@pytest.mark.parametrize("parties", PARTIES)
def test_impact_metrics_come_to_what_the_books_say(parties):
    """Confirmed and not cancelled, within the days, the party's own."""
    sandbox = make()
    whose = {f"{parties[:-1]}_id": create(sandbox, parties).json["id"]}
    url = f"{BASE}/{parties}/{next(iter(whose.values()))}"
    give(sandbox, ("trees-for-the-future", 300), ("cleanhub", 200), **whose)
    give(sandbox, ("trees-for-the-future", 1000))
    open_session(sandbox, **whose)
    sandbox.clock.advance(86_400)
    give(sandbox, ("trees-for-the-future", 50), **whose)
    lost = give(sandbox, ("cleanhub", 9), **whose)
    (cancelled,) = confirm(sandbox, lost).json["donation_intents"]
    ask(sandbox, "PUT", f"{BASE}/donation_intents/{cancelled['id']}/cancel")

    def impact(**params):
        return {
            one["name"]: one["amount"]
            for one in ask(sandbox, "GET", f"{url}/impact_metrics", params=params).json["data"]
        }

    assert impact() == {"Trees planted": 14, "Plastic removed": 2.4}
    assert impact(date_to="2026-11-21") == {"Trees planted": 12, "Plastic removed": 2.4}
    assert impact(date_from="2026-11-22", date_to="2026-11-22") == {"Trees planted": 2}
    assert impact(date_from="2026-11-23") == {}
    standing = [p.quantity for p in sandbox.books.purchases if not p.cancelled]
    listed = _list(sandbox, f"{parties}/{next(iter(whose.values()))}/donation_intents")
    assert sum(intent["amount"] for intent in listed) == sum(standing) - 1000
    assert [
        i["amount"] for i in _list(sandbox, f"{url[len(BASE) + 1 :]}/donation_intents", date_from="2026-11-22")
    ] == [50]


@pytest.mark.parametrize("body", [[ALLOCATION, ALLOCATION], {"intents": [ALLOCATION, ALLOCATION]}])
def test_donations_are_given_at_once_in_either_form(body):
    """A bare list or one within ``intents``: each donation is a purchase, attributed to nobody."""
    sandbox = make()
    answer = ask(sandbox, "POST", f"{BASE}/donation_intents", body)

    made = answer.json["data"]
    assert (answer.status, [purchase.ref for purchase in sandbox.books.purchases]) == (201, [i["id"] for i in made])
    assert [(i["amount"], i["session_id"], i["customer_id"], i["vendor_id"]) for i in made] == [
        (5, None, None, None)
    ] * 2
    assert [i["id"] for i in _list(sandbox, "donation_intents")] == [i["id"] for i in reversed(made)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 422),
        ([ALLOCATION] * 51, 422),
        ([ALLOCATION, {**ALLOCATION, "amount": 0}], 422),
        ([ALLOCATION, {**ALLOCATION, "amount": 1_000_000_001}], 422),
        ([ALLOCATION, {"amount": 5}], 400),
        ([ALLOCATION, {**ALLOCATION, "campaign_identifier": "unknown"}], 400),
        ({}, 422),
        ("all", 422),
        (b"", 400),
    ],
)
def test_all_donations_of_a_batch_are_given_or_none(body, status):
    """One that is wrong spoils the rest."""
    sandbox = make()
    assert ask(sandbox, "POST", f"{BASE}/donation_intents", body).status == status
    assert sandbox.books.purchases == []


def test_fifty_donations_are_not_too_many():
    """One more is."""
    sandbox = make()
    assert ask(sandbox, "POST", f"{BASE}/donation_intents", [ALLOCATION] * 50).status == 201
    assert len(sandbox.books.purchases) == 50


def test_cancelling_deletes_a_donation_for_good():
    """In the books, what is left of the purchase stands; the session's record of it does not change."""
    sandbox = make()
    session_id = give(sandbox, ("cleanhub", 5), ("school-meals", 7))
    confirmed = confirm(sandbox, session_id).json
    first, second = (intent["id"] for intent in confirmed["donation_intents"])
    (purchase,) = sandbox.books.purchases

    assert ask(sandbox, "PUT", f"{BASE}/donation_intents/{first}/cancel").status == 204
    assert (purchase.quantity, purchase.intents, purchase.cancelled) == (7, (second,), False)
    assert [i["id"] for i in _list(sandbox, "donation_intents")] == [second]
    again = ask(sandbox, "PUT", f"{BASE}/donation_intents/{first}/cancel")
    assert [again.status, ask(sandbox, "GET", f"{BASE}/donation_intents/{first}").status] == [404, 404]
    ask(sandbox, "PUT", f"{BASE}/donation_intents/{second}/cancel")
    assert (purchase.quantity, purchase.cancelled) == (7, True)
    assert confirm(sandbox, session_id).json == confirmed


@pytest.mark.parametrize("what", ["customers", "vendors", "donation_intents"])
@pytest.mark.parametrize(
    "params",
    [
        {"per_page": 0},
        {"per_page": 101},
        {"per_page": "ten"},
        {"page": 0},
        {"sort_by": "amount"},
        {"sort_order": "up"},
    ],
)
def test_a_bad_page_is_refused(what, params):
    """422, naming the parameter."""
    answer = ask(make(), "GET", f"{BASE}/{what}", params=params)
    assert (code(answer), list(answer.json["error"]["details"])) == ((422, "validation.failed"), list(params))


@pytest.mark.parametrize("parties", PARTIES)
@pytest.mark.parametrize("what", ["impact_metrics", "donation_intents"])
@pytest.mark.parametrize("name", ["date_from", "date_to"])
def test_a_bad_day_is_refused(parties, what, name):
    """Days are written YYYY-MM-DD."""
    sandbox = make()
    url = f"{BASE}/{parties}/{create(sandbox, parties).json['id']}/{what}"
    assert code(ask(sandbox, "GET", url, params={name: "21/11/2026"})) == (422, "validation.failed")


def test_a_page_may_shift_while_it_is_read():
    """Half of the struck pages repeat the item before them, the others miss their first."""
    sandbox = make("impactapi.shifting_pages=1")
    ids = [create(sandbox, name=str(n)).json["id"] for n in range(8)][::-1]

    pages = [[one["id"] for one in _list(sandbox, "customers", per_page=2, page=page)] for page in (1, 2, 3)]

    assert pages[0] == ids[:2]
    assert all(page in ([ids[n - 1], ids[n]], [ids[n + 1], ids[n + 2]]) for n, page in ((2, pages[1]), (4, pages[2])))


ROUTES = [
    ("GET", "campaigns"),
    *(
        (method, f"{parties}{path}")
        for parties in PARTIES
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", f"/{NOWHERE}"),
            ("PATCH", f"/{NOWHERE}"),
            ("DELETE", f"/{NOWHERE}"),
            ("GET", f"/{NOWHERE}/impact_metrics"),
            ("GET", f"/{NOWHERE}/donation_intents"),
        )
    ),
    ("POST", "donation_intents"),
    ("GET", "donation_intents"),
    ("GET", f"donation_intents/{NOWHERE}"),
    ("PUT", f"donation_intents/{NOWHERE}/cancel"),
    ("POST", "sessions"),
    ("GET", f"sessions/{NOWHERE}"),
    ("PATCH", f"sessions/{NOWHERE}"),
    ("PUT", f"sessions/{NOWHERE}/allocations"),
    ("POST", f"sessions/{NOWHERE}/choose_campaign"),
    ("POST", f"sessions/{NOWHERE}/process"),
    ("POST", f"sessions/{NOWHERE}/confirm"),
]


@pytest.mark.parametrize(
    "headers",
    [{"authorization": ""}, {"authorization": "Bearer wrong"}, {"authorization": "", "x-session-secret": "a"}],
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_missing_or_wrong_key_is_refused_everywhere(method, path, headers):
    """401 ``auth.unauthorized``."""
    assert code(ask(make(), method, f"{BASE}/{path}", {}, headers=headers)) == (401, "auth.unauthorized")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", ""), ("PUT", "/allocations"), ("POST", "/process"), ("POST", "/confirm")],
)
def test_a_secret_opens_nothing_but_reading_and_choosing(method, path):
    """Everything else takes the key."""
    sandbox = make()
    opened = open_session(sandbox, **INTERACTIVE).json
    url = f"{BASE}/sessions/{opened['id']}{path}"
    assert code(ask(sandbox, method, url, {}, headers=by(opened["session_secret"]))) == (401, "auth.unauthorized")


@pytest.mark.parametrize(("method", "path"), [*((m, p) for m, p in ROUTES if NOWHERE in p), ("GET", "x")])
def test_what_does_not_exist_is_not_found(method, path):
    """404."""
    assert code(ask(make(), method, f"{BASE}/{path}", {})) == (404, "resource.not-found")
