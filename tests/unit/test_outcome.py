"""Outcomes: every status is counted somewhere, and the exit status follows from what is left."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from impactflow.accounts import Halt
from impactflow.buying.rounds import Round
from impactflow.buying.tracking import Tracked
from impactflow.ledger import WAITS_FOR_A_PERSON, CapUse, Group, GroupLine, Pause, PauseScope, Planned, Status
from impactflow.models import Cap, ProviderName
from impactflow.reports.files import Reported
from impactflow.reports.standing import Standing, by_provider, caps_in_words
from impactflow.reports.summary import LedgerState, Outcome, TrackOutcome, needs_in_words

CNAUGHT = ProviderName.CNAUGHT


def counts(**by_status):
    """Counts at one provider."""
    return {(CNAUGHT, Status(status)): number for status, number in by_status.items()}


def outcome(**fields):
    """A run in which nothing was left."""
    good = {
        "planned": Planned(read=4, new=3, eligible=2, placements=2),
        "rounds": {CNAUGHT: Round(2)},
        "requests": 9,
        "duration_s": 1.23456,
        "report": Reported("reports/bought.csv", None, fields.pop("bought", ())),
    }
    state = {"in_window": counts(placed=2), "overall": counts(placed=2)}
    state |= {name: fields.pop(name) for name in LedgerState.__slots__ if name in fields}
    return Outcome(**good | fields, ledger=LedgerState(**state))


def test_each_status_is_counted_once():
    """But complete ones, which took effect too; what is being sent may be in doubt, what is being undone stands yet."""
    everything = counts(**{status.value: 10**place for place, status in enumerate(Status)})
    standing = Standing.of(everything)
    power = {status: 10**place for place, status in enumerate(Status)}
    assert standing == Standing(
        planned=power[Status.PLANNED],
        placed=power[Status.PLACED] + power[Status.COMPLETED] + power[Status.CANCELLING],
        completed=power[Status.COMPLETED],
        failed=power[Status.FAILED],
        held=power[Status.HELD],
        awaiting_approval=power[Status.AWAITING_APPROVAL],
        in_doubt=power[Status.PLACING] + power[Status.IN_DOUBT],
        parked=power[Status.PARKED],
        cancelled=power[Status.CANCELLED],
        covered=power[Status.COVERED],
    )


def test_providers_are_added_up():
    """One number for all."""
    both = {(CNAUGHT, Status.PLACED): 2, (ProviderName.IMPACTAPI, Status.PLACED): 3}
    assert 5 == Standing.of(both).placed


@pytest.mark.parametrize("status", Status)
def test_what_is_left_decides_the_exit_status(status):
    """Failed, parked, held, awaiting approval, in doubt or to be sent: undone. All else is done."""
    done = {Status.PLACED, Status.COMPLETED, Status.CANCELLED, Status.CANCELLING, Status.COVERED}
    some = counts(**{status.value: 1})
    assert (status not in done) == outcome(in_window=some, overall=some).undone


def test_an_old_failure_does_not_make_a_new_run_fail():
    """What is refused for good cannot be mended by running again; what waits outside the window still counts."""
    assert not outcome(overall=counts(failed=1)).undone
    assert outcome(overall=counts(parked=1)).undone


def test_what_is_on_hold_leaves_nothing_undone():
    """The policy says so, and a later run buys it; anything else that is planned is still left undone."""
    until = datetime(2026, 3, 16, 11, tzinfo=UTC)
    waits = outcome(overall=counts(placed=2, planned=3), on_hold=(3, until))
    assert not waits.undone
    assert waits.as_json()["on_hold"] == 3
    assert "3 planned placements are on hold, as the policy says, until 2026-03-16 11:00 UTC or later." in waits.notes
    assert outcome(overall=counts(placed=2, planned=4), on_hold=(3, until)).undone


CAP = Cap(
    slot="trees",
    provider=None,
    counts={("trees", "plant_trees"): Fraction(1)},
    others={},
    most=Fraction(200),
    unit="tree",
    since=datetime(2026, 3, 1, tzinfo=UTC),
    until=datetime(2026, 4, 1, tzinfo=UTC),
    in_words="200 trees a month in slot trees",
)


@pytest.mark.parametrize(
    ("used", "waiting", "text"),
    [
        (99, 0, ""),
        (
            100,
            0,
            "50 %; at this pace it is reached on 2026-03-21.",
        ),
        (
            199,
            0,
            "99 %; at this pace it is reached on 2026-03-11.",
        ),
        (
            199,
            3,
            "99 %; 3 placements wait for room, from 2026-04-01 00:00 UTC on.",
        ),
    ],
)
def test_a_cap_is_told_of_once_half_of_it_is_used(used, waiting, text):
    """With the day on which it will be reached, or, where something waits, the time at which there is room again."""
    told = [f"The cap of 200 trees a month in slot trees is used by {text}"] if text else []
    assert told == caps_in_words([CapUse(CAP, Fraction(used), waiting)], datetime(2026, 3, 11, tzinfo=UTC))


def test_a_cap_that_this_period_does_not_use_up_has_no_day():
    """A hundred trees in 29 of 31 days."""
    [text] = caps_in_words([CapUse(CAP, Fraction(100), 0)], datetime(2026, 3, 30, tzinfo=UTC))
    assert "The cap of 200 trees a month in slot trees is used by 50 %." == text
    assert text in outcome(caps=[text]).notes


def test_what_waits_for_room_in_a_cap_leaves_nothing_undone():
    """The policy says so, as for a hold; anything else that is planned is still left undone."""
    assert not outcome(overall=counts(planned=3), behind_caps=3).undone
    assert outcome(overall=counts(planned=4), behind_caps=3).undone


def test_a_pause_is_named_with_the_command_that_ends_it():
    """On the page its text is escaped: a person typed it."""
    pause = Pause(PauseScope(slot="trees"), "ana", "a | b", datetime(2026, 3, 2, tzinfo=UTC))
    text = (
        "Paused by ana since 2026-03-02 00:00 UTC: slot trees (a | b). `impactflow resume --slot trees` lets it go on."
    )
    paused = outcome(pauses=[pause])
    assert paused.as_json()["notes"] == [text]
    assert "(a | b)" not in paused.in_words()
    assert "impactflow resume" in paused.in_words()


def test_an_order_that_cannot_be_read_leaves_something_undone():
    """Though every placement is placed."""
    assert outcome(broken=1).undone


def test_the_json_has_what_scripts_rely_on():
    """Orders, placements, requests, seconds, and why providers were left alone."""
    halted = {CNAUGHT: Round(0, Halt("check CNAUGHT_API_KEY", unauthorized=True)), ProviderName.IMPACTAPI: Round(1)}
    found = outcome(rounds=halted, in_window=counts(placed=2, held=1), overall=counts(placed=5, held=1)).as_json()
    assert {"read": 4, "new": 3, "eligible": 2, "broken": 0, "may_be_missing": 0} == found["orders"]
    assert (2, 1, 5) == (
        found["placements"]["placed"],
        found["placements"]["held"],
        found["all_placements"]["placed"],
    )
    assert {"planned", "placed", "failed", "held", "awaiting_approval", "in_doubt", "parked"} <= found[
        "placements"
    ].keys()
    assert ({"cnaught": "check CNAUGHT_API_KEY"}, ["cnaught"]) == (found["left_alone"], found["refused_keys"])
    assert (9, 1.235, True) == (found["requests"], found["duration_s"], found["undone"])


def test_a_run_that_read_nothing_tells_of_no_orders():
    """As when it only settles."""
    assert "orders" not in outcome(planned=None).as_json()


def test_c13_what_the_run_itself_did_comes_first():
    """Whatever the days that it read: a webhook may tell of an order of two months ago."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    line = GroupLine("WR-1", "trees", None, at)
    left = [
        Group(store, CNAUGHT, status, count, at, [line])
        for store, status, count in (("a", Status.PLACED, 2), ("b", Status.PLACED, 1), ("a", Status.IN_DOUBT, 1))
    ]
    did = outcome(changed=left)

    assert {"placed": 3, "in_doubt": 1} == did.as_json()["this_run"]
    assert did.in_words().startswith("Placements that this run has changed: 3 placed, 1 in doubt.")
    assert outcome().in_words().startswith("Placements that this run has changed: none.")


def test_the_page_says_what_the_run_bought_by_slot_in_the_units_that_people_read():
    """As the command does; a price that the provider does not tell is left blank, and of nothing there is no table."""
    trees = {"slot": "trees", "provider": "oneclickimpact", "placements": 2, "amount": "3", "unit": "trees"}
    offset = {"slot": "offset", "provider": "cnaught", "placements": 1, "amount": "5.25", "unit": "kg CO2"}
    text = outcome(bought=[offset | {"price_usd": "0.13"}, trees | {"price_usd": None}]).in_words()
    assert "| offset | cnaught | 1 | 5.25 kg CO2 | 0.13 |\n| trees | oneclickimpact | 2 | 3 trees |  |" in text
    assert "|" not in outcome().in_words()


def test_a_person_reads_what_happened():
    """In sentences; the reason why a provider was left alone, and orders that could not be read."""
    text = outcome(rounds={CNAUGHT: Round(0, Halt("it is down"))}, broken=2).in_words()
    assert "Read 4 orders: 3 new, 2 count." in text
    assert "2 placements took effect" in text
    assert "cnaught was left alone: it is down" in text
    assert "2 orders could not be read." in text


def test_tracking_tells_what_was_checked_completed_and_open():
    """And no more than scripts can rely on."""
    found = TrackOutcome(Tracked(5, 2, 1, 1), 2, 0.5, "reports/tracked.csv").as_json()
    assert (5, 2, 1, 1, 2) == tuple(found[name] for name in ("checked", "completed", "cancelled", "unanswered", "open"))


def test_status_names_every_provider_and_every_status():
    """Zeros included, so that a script need not ask whether a name is there."""
    found = by_provider(counts(placed=3))
    assert ({name.value for name in ProviderName}, {status.value for status in Status}) == (
        set(found),
        set(found["impactapi"]),
    )
    assert (3, 0) == (found["cnaught"]["placed"], found["impactapi"]["placed"])


@pytest.mark.parametrize("status", sorted({*WAITS_FOR_A_PERSON, Status.IN_DOUBT}))
def test_a_person_is_told_what_to_do_next(status):
    """How many, since when, which, and where all of it is; a status without words of its own refers to the reason."""
    since = datetime(2026, 3, 2, 12, tzinfo=UTC)
    lines = [GroupLine(f"WR-{number}", "trees", "why", since) for number in range(1, 6)]
    text = needs_in_words([Group("acme", CNAUGHT, status, 5, since, lines)])
    assert f"5 {status.replace('_', ' ')} at cnaught since 2026-03-02 12:00 UTC: " in text
    assert "(WR-1 trees, WR-2 trees, WR-3 trees and 2 more)" in text
    assert "(/artifacts/key/needs-attention)" in text


def test_where_nothing_waits_a_person_is_told_so():
    """Rather than nothing."""
    assert needs_in_words([]) == "Nothing needs you."


def test_tracking_is_told_in_words():
    """With why it ended early, where it did."""
    tracked = Tracked(checked=5, completed=2, cancelled=1, unanswered=1, halted=Halt("check CNAUGHT_API_KEY"))
    text = TrackOutcome(tracked, 3, 1.0, "reports/tracked.csv").in_words()
    for words in ("5 placements, of which 2 are complete", "1 were cancelled", "3 are open", "check CNAUGHT_API_KEY"):
        assert words in text


def test_old_exchange_rates_are_told_to_people_and_programs():
    """As a note: they leave nothing undone."""
    old = outcome(rates="the exchange rates are 31 days old")
    assert "Of the policy: the exchange rates are 31 days old." in old.in_words()
    assert (old.as_json()["notes"], old.undone) == (["Of the policy: the exchange rates are 31 days old."], False)
    assert outcome().as_json()["notes"] == []
