"""Each fault does what it says, to the answer and to the books."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretending import Answer, ask, confirm, make, offset, open_session, plant

from impactflow.sandbox import Faults, Sandbox
from impactflow.sandbox.faults import FAULTS

WHOAMI = "/oneclickimpact/v1/whoami"
RECORDS = "/oneclickimpact/v1/records"


def bought(sandbox: Sandbox) -> int:
    sandbox.catch_up()
    return len(sandbox.books.purchases)


def is_json(answer: Answer) -> bool:
    try:
        json.loads(answer.reply.body)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("fault", "effects"), [("lost_answer", 5), ("lost_request", 0)])
def test_a_lost_message_resets_the_connection(fault, effects):
    """With the answer lost the purchase stands, with the request lost it never was."""
    sandbox = make(f"{fault}=1")

    assert [plant(sandbox).reply.reset for _ in range(5)] == [True] * 5
    assert effects == bought(sandbox)


@pytest.mark.parametrize(("fault", "effects"), [("error_before", 0), ("error_after", 20)])
def test_a_server_error_comes_before_or_after_the_effect(fault, effects):
    """500, 502 or 503 in the provider's own form."""
    sandbox = make(f"{fault}=1")

    answers = [plant(sandbox) for _ in range(20)]

    assert {500, 502, 503} == {answer.status for answer in answers}
    assert {"api_error"} == {answer.json["type"] for answer in answers}
    assert effects == bought(sandbox)


def test_truncated_answers_are_cut_within_the_json():
    """The purchase stands, the status is right, and the rest cannot be read."""
    sandbox = make("truncated=1")

    answers = [plant(sandbox), ask(sandbox, "GET", WHOAMI), ask(sandbox, "GET", "/impactapi/campaigns")]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert not any(is_json(answer) for answer in answers)
    assert bought(sandbox) == 1


@pytest.mark.parametrize("fault", ["reset", "hang"])
def test_what_became_of_the_effect_is_left_to_the_seed(fault):
    """Some purchases stand, some do not, and the broken connection does not tell which."""
    sandbox = make(f"{fault}=1")

    assert all(plant(sandbox).reply.reset for _ in range(40))
    assert 0 < bought(sandbox) < 40


def test_an_html_page_comes_with_either_status():
    """200 or 502, whether or not the purchase stands."""
    sandbox = make("html=1")
    seen = set()
    for _ in range(60):
        before = bought(sandbox)
        answer = plant(sandbox)
        assert answer.headers["content-type"] == "text/html"
        seen.add((answer.status, bought(sandbox) - before))

    assert {(200, 0), (200, 1), (502, 0), (502, 1)} == seen


def test_a_hang_lasts_as_long_as_it_is_told():
    """Then the connection breaks."""
    answer = plant(make("hang=1", hang_s=7, latency_s=0.5))

    assert (answer.reply.delay_s, answer.reply.reset) == (7.5, True)


def test_too_many_requests_come_with_and_without_a_time_to_wait():
    """429, and nothing is bought."""
    sandbox = make("rate_limited=1")

    answers = [plant(sandbox) for _ in range(30)]

    assert {429} == {answer.status for answer in answers}
    assert {None, "1"} == {answer.headers.get("retry-after") for answer in answers}
    assert bought(sandbox) == 0


def test_a_purchase_that_is_refused_may_be_accepted_when_it_comes_again():
    """400 or 403 in the provider's own form, and nothing is bought by those."""
    sandbox = make("refused=0.5")

    answers = [plant(sandbox) for _ in range(40)]

    assert {200, 400, 403} == {answer.status for answer in answers}
    assert bought(sandbox) == [answer.status for answer in answers].count(200)


def test_late_records_show_a_purchase_only_later():
    """The answer is right and the purchase stands at once."""
    sandbox = make("oneclickimpact.late_records=1", late_s=5)
    answer = plant(sandbox)
    at_once = ask(sandbox, "GET", RECORDS).json["user_records"]
    sandbox.clock.advance(5)
    later = ask(sandbox, "GET", RECORDS).json["user_records"]

    assert (answer.status, bought(sandbox)) == (200, 1)
    assert ([], [answer.json["time_utc"]]) == (at_once, [record["time_utc"] for record in later])


def test_late_records_hold_for_cnaughts_list_too():
    """The order itself can be read by its id at once."""
    sandbox = make("cnaught.late_records=1", late_s=5)
    order_id = offset(sandbox).json["id"]
    statuses = [ask(sandbox, "GET", f"/cnaught/v1/orders/{order_id}").status]
    counts = [len(ask(sandbox, "GET", "/cnaught/v1/orders").json["data"])]
    sandbox.clock.advance(5)
    counts.append(len(ask(sandbox, "GET", "/cnaught/v1/orders").json["data"]))

    assert (statuses, counts) == ([200], [0, 1])


def test_a_wrong_amount_is_twice_what_was_asked_for():
    """The answer, the provider's own record, the price and the books all tell what was really bought."""
    sandbox = make("wrong_amount=1")

    assert (plant(sandbox, 3).json["tree_planted"], plant(sandbox, 0).status) == (6, 400)
    order = offset(sandbox, "k", amount_kg=100).json
    assert ask(sandbox, "GET", f"/cnaught/v1/orders/{order['id']}").json["amount_kg"] == order["amount_kg"] == 200
    assert order["price_usd_cents"] == 470
    assert offset(sandbox, "k", amount_kg=100).json == order
    assert [purchase.quantity for purchase in sandbox.books.purchases] == [6, 200_000]
    assert [record["tree_planted"] for record in ask(sandbox, "GET", RECORDS).json["user_records"]] == [6]
    assert sandbox.status()["oneclickimpact"]["faults"] == {"wrong_amount": 1}


def test_no_preset_has_a_wrong_amount():
    """It is the one fault after which the books are not as they should be."""
    assert Faults.parse("rough").share("oneclickimpact", "wrong_amount") == 0


def test_a_late_effect_comes_after_its_answer():
    """A broken connection, a gateway that gave up, or a page for people; the effect comes within the longest delay."""
    sandbox = make("late_effect=1", late_s=10)

    answers = [plant(sandbox).reply for _ in range(20)]

    assert {(answer.status, answer.reset) for answer in answers} == {(0, True), (504, False), (200, False)}
    assert (bought(sandbox), sandbox.status()["oneclickimpact"]["late"]) == (0, 20)
    sandbox.clock.advance(100)
    assert (bought(sandbox), sandbox.status()["oneclickimpact"]["late"]) == (20, 0)
    assert (sandbox.clock.now() - sandbox.books.purchases[0].at).total_seconds() >= 90


def test_a_late_requests_key_runs_until_it_has_taken_effect():
    """CNaught answers 409 as long (status 0 is a reset), and each key buys once in the end."""
    sandbox = make("cnaught.late_effect=0.5", late_s=10)

    pairs = {(offset(sandbox, f"k{number}").status, offset(sandbox, f"k{number}").status) for number in range(20)}
    sandbox.clock.advance(10)

    late = {0, 200, 504}
    assert {first for first, _ in pairs} == late | {201}
    assert 409 in {again for first, again in pairs if first in late} <= {409} | late
    assert bought(sandbox) == 20
    assert late | {201} >= {offset(sandbox, f"k{number}").status for number in range(20)}


def test_a_refusal_is_told_where_there_is_no_effect_to_hide():
    """A bad request gets its 400 though its answer was to be lost, and no fault is counted."""
    sandbox = make("lost_answer=1")

    assert plant(sandbox, 0).status == 400
    assert sandbox.status()["oneclickimpact"]["faults"] == {}


@pytest.mark.parametrize(
    "fault", ["lost_answer", "lost_request", "error_after", "late_effect", "late_records", "wrong_amount", "refused"]
)
def test_faults_of_writes_leave_reads_alone(fault):
    """A read is answered as ever."""
    assert ask(make(f"{fault}=1"), "GET", WHOAMI).status == 200


@pytest.mark.parametrize("fault", ["error_before", "reset", "truncated", "html", "hang", "rate_limited"])
def test_faults_of_reads_strike_reads(fault):
    """A read is not answered well."""
    answer = ask(make(f"{fault}=1"), "GET", WHOAMI)

    assert answer.reply.reset or answer.status != 200 or not is_json(answer)


def test_a_lost_confirmation_stands_and_can_be_read_back():
    """The session shows that it is confirmed."""
    sandbox = make("impactapi.lost_answer=0.5")
    opened = [answer.json["id"] for answer in (open_session(sandbox) for _ in range(20)) if not answer.reply.reset]

    lost = [session_id for session_id in opened if confirm(sandbox, session_id).reply.reset]

    sessions = [ask(sandbox, "GET", f"/impactapi/sessions/{session_id}").json for session_id in lost]
    assert {"confirmed"} == {session["status"] for session in sessions}


def test_a_fault_can_be_limited_to_one_provider():
    """The others are left alone, and the status says what struck whom."""
    sandbox = make("cnaught.lost_answer=1")

    assert (offset(sandbox).reply.reset, plant(sandbox).status) == (True, 200)
    assert [line["faults"] for line in sandbox.status().values()] == [{}, {}, {"lost_answer": 1}, {}]


def test_what_comes_later_replaces_what_came_before():
    """A preset can be refined."""
    faults = Faults.parse(" rough, hang=0 ,cnaught.hang=0.25,")

    assert (
        faults.share("impactapi", "hang"),
        faults.share("cnaught", "hang"),
        faults.share("impactapi", "lost_answer"),
    ) == (0.0, 0.25, 0.04)


@pytest.mark.parametrize("text", ["", "none", " , "])
def test_no_faults_are_no_faults(text):
    """Nothing strikes."""
    assert Faults.parse(text).rates == {}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("lost_anwser=0.1", "lost_anwser"),
        ("smooth", "smooth"),
        ("paypal.hang=0.1", "paypal"),
        ("hang=often", "often"),
        ("hang=", "hang"),
        ("hang=1.5", "1.5"),
        ("hang=nan", "nan"),
        ("hang=0.6,reset=0.6", "1.2"),
    ],
)
def test_a_mistake_in_the_faults_is_named(text, named):
    """A ValueError that says what is wrong."""
    with pytest.raises(ValueError, match=named):
        Faults.parse(text)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), writes=st.lists(st.booleans(), max_size=30))
def test_the_same_seed_and_requests_give_the_same_answers(seed, writes):
    """Byte for byte, books included."""
    runs = []
    for _ in range(2):
        sandbox = make("rough,lost_answer=0.2,late_effect=0.1", seed=seed)
        replies = [(plant(sandbox) if write else ask(sandbox, "GET", RECORDS)).reply for write in writes]
        runs.append((replies, sandbox.books.as_json(), sandbox.status()))

    assert runs[0] == runs[1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), fault=st.sampled_from(sorted(FAULTS)))
def test_whoever_is_told_of_a_success_finds_it_in_the_books(seed, fault):
    """No fault invents a purchase: a readable 201 is always true."""
    sandbox = make(f"{fault}=0.5", seed=seed)
    answers = [offset(sandbox, f"k{number}") for number in range(20)]
    ids = {answer.json["id"] for answer in answers if answer.status == 201 and is_json(answer)}

    assert ids <= {purchase.ref for purchase in sandbox.books.purchases}


def test_a_passing_404_hides_a_name_for_a_moment():
    """Read again at once it is not found either; later it is there, as it always was."""
    sandbox = make("cnaught.passing_404=1", late_s=10)
    order_id = offset(sandbox).json["id"]
    path = f"/cnaught/v1/orders/{order_id}"
    hidden = [ask(sandbox, "GET", path).status for _ in range(2)]
    sandbox.calm()

    assert [*hidden, ask(sandbox, "GET", path).status] == [404, 404, 200]
    assert sandbox.status()["cnaught"]["faults"] == {"passing_404": 1}


@pytest.mark.parametrize(("fault", "statuses"), [("refused_after", {400, 402, 403, 404}), ("limited_after", {429})])
def test_a_no_may_come_after_the_effect(fault, statuses):
    """As gateways have answered; the purchase stands, and is listed at once."""
    sandbox = make(f"{fault}=1")
    answers = [plant(sandbox) for _ in range(30)]
    sandbox.calm()

    assert {answer.status for answer in answers} == statuses
    assert len(ask(sandbox, "GET", RECORDS, params={"limit": 100}).json["user_records"]) == bought(sandbox) == 30


def test_a_foreign_answer_is_one_that_was_delivered_to_another_request():
    """Of the same operation; where there was none yet, the right one."""
    sandbox = make("foreign_answer=1")
    first, second = plant(sandbox, 1).json, plant(sandbox, 2).json

    assert (first["tree_planted"], second) == (1, first)
    assert bought(sandbox) == 2


@pytest.mark.parametrize(
    ("path", "make_one", "items"),
    [
        (RECORDS, plant, lambda json: json["user_records"]),
        ("/cnaught/v1/orders", offset, lambda json: json["data"]),
    ],
)
def test_a_short_listing_misses_each_item_once_at_most(path, make_one, items):
    """It ends as if nothing came after its page; read again it is complete."""
    sandbox = make("short_listing=1", page_items=2)
    for _ in range(5):
        make_one(sandbox)

    def read() -> int:
        count, cursor = 0, {}
        while True:
            answer = ask(sandbox, "GET", path, params=cursor).json
            found = items(answer)
            count += len(found)
            if not found or ("cursor" not in answer and "user_records" in answer):
                return count
            cursor = {"cursor": answer["cursor"]} if "cursor" in answer else {"starting_after": found[-1]["id"]}

    assert (read() < 5, read()) == (True, 5)
