"""Moves: what the table of transitions allows and nothing else, late answers, shared names, found purchases."""

from dataclasses import replace
from datetime import date

import pytest
from ledger_helpers import (
    KEYED,
    KEYLESS,
    NOON,
    after,
    answer,
    claim,
    claim_doubts,
    earned,
    in_doubt,
    life,
    offset,
    path,
    plan,
    plan_one,
    record,
    refunded,
    sale,
    trees,
)
from sqlalchemy import update

from impactflow.errors import AlreadyRecorded, TransitionRefused
from impactflow.ledger import TRANSITIONS, Move, Postponement, Status, moves
from impactflow.ledger.tables import placements
from impactflow.models import Receipt

#: Where a placement may stay as it is: in doubt, with another look at it later.
STAYS = {(Status.IN_DOUBT, Status.IN_DOUBT)}


ALLOWED = sorted({(from_, to) for from_, many in TRANSITIONS.items() for to in many} | STAYS)
FORBIDDEN = sorted({(from_, to) for from_ in Status for to in Status} - set(ALLOWED))


async def bring_to(ledger, status):
    """Make all rows say this status, as if no earlier attempt had been in doubt."""
    with ledger._engine.begin() as connection:
        connection.execute(update(placements).values(status=status, sent_until=None))


async def test_what_the_table_allows_happens_and_is_written_down(ledger):
    """The status changes and an event says so, in one transaction."""
    await plan_one(ledger)
    sent = await claim(ledger)
    for from_, to in ALLOWED:
        await bring_to(ledger, from_)
        await ledger.move(answer(sent, to, after(9), from_=from_, detail="because"))
        found = await life(ledger)
        last = found["events"][-1]
        assert (to, from_, to, after(9), 1) == (
            found["status"],
            last["from_status"],
            last["to_status"],
            last["at"],
            last["attempt"],
        )
    assert 2 + len(ALLOWED) == len((await life(ledger))["events"])


async def test_what_the_table_does_not_allow_is_refused(ledger):
    """All the other pairs: the placement stays as it is, and no event is written."""
    await plan_one(ledger)
    sent = await claim(ledger)
    for from_, to in FORBIDDEN:
        await bring_to(ledger, from_)
        with pytest.raises(TransitionRefused):
            await ledger.move(answer(sent, to, from_=from_))
        found = await life(ledger)
        assert (from_, 2) == (found["status"], len(found["events"])), (from_, to)


async def test_a_move_that_comes_too_late_is_refused(ledger):
    """The placement is elsewhere by now: nothing changes."""
    await plan_one(ledger)
    sent = await claim(ledger)
    for from_, to in ALLOWED:
        elsewhere = Status.COMPLETED if from_ is not Status.COMPLETED else Status.FAILED
        await bring_to(ledger, elsewhere)
        with pytest.raises(TransitionRefused):
            await ledger.move(answer(sent, to, from_=from_))
        found = await life(ledger)
        assert (elsewhere, 2) == (found["status"], len(found["events"])), (from_, to)


async def test_a_move_for_an_attempt_that_is_not_the_latest_is_refused(ledger):
    """Two runs judged the same doubt: the one whose claim ran out has no say."""
    await in_doubt(ledger)
    [early] = await claim_doubts(ledger, after(1))
    [late] = await claim_doubts(ledger, after(61))
    with pytest.raises(TransitionRefused):
        await ledger.move(answer(early, Status.PLANNED, from_=Status.IN_DOUBT))
    await ledger.move(answer(late, Status.PARKED, from_=Status.IN_DOUBT))
    assert Status.PARKED == (await life(ledger))["status"]


async def test_a_purchase_is_kept_with_all_that_the_provider_said(ledger):
    """Name, price, certificate, when and on which UTC day."""
    await plan_one(ledger)
    sent = await claim(ledger)
    receipt = Receipt("order-9", 588, "https://example.com/c")
    await record(ledger, Move(sent, Status.PLACING, Status.PLACED, after(2), "run-1", due_at=after(2), receipt=receipt))
    found = await life(ledger)
    assert ("order-9", 588, "https://example.com/c", after(2), date(2026, 3, 2), None) == (
        found["ref"],
        found["price_usd_cents"],
        found["certificate_url"],
        found["placed_at"],
        found["placed_on"],
        found["reason"],
    )


async def test_completing_keeps_what_was_known(ledger):
    """A certificate comes with completion; the name, price and time of the purchase stay."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await record(ledger, answer(sent, ref="order-9"))
    done = Move(
        sent, Status.PLACED, Status.COMPLETED, after(99), "run-2", receipt=Receipt("order-9", None, "https://c")
    )
    await ledger.move(done)
    found = await life(ledger)
    assert ("completed", "order-9", 250, "https://c", NOON, after(99), None) == (
        found["status"],
        found["ref"],
        found["price_usd_cents"],
        found["certificate_url"],
        found["placed_at"],
        found["completed_at"],
        found["due_at"],
    )


async def expired(ledger):
    """Sent, its lease over before an answer came."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await ledger.expire_leases(after(60), "run-2")
    return sent


async def test_a_late_receipt_ends_the_doubt(ledger):
    """The answer is proof, however late."""
    sent = await expired(ledger)
    await record(ledger, answer(sent, at=after(61)))
    assert ["planned", "placing", "in_doubt", "placed"] == await path(ledger)


async def test_a_late_receipt_ends_the_doubt_while_another_run_looks_into_it(ledger):
    """That run's verdict comes too late then."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await record(ledger, answer(sent, at=after(61)))
    with pytest.raises(TransitionRefused):
        await ledger.move(answer(doubt, Status.PLANNED, after(62), from_=Status.IN_DOUBT))
    assert ("placed", "ref-1") == ((await life(ledger))["status"], (await life(ledger))["ref"])


@pytest.mark.parametrize("evaluated", [Status.PLANNED, Status.PARKED])
async def test_a_late_receipt_counts_more_than_a_verdict(ledger, evaluated):
    """What was judged to have had no effect, or to be undecidable, took effect after all: it is not sent again."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await ledger.move(answer(doubt, evaluated, after(61), from_=Status.IN_DOUBT))
    await record(ledger, answer(sent, at=after(62)))
    assert ["planned", "placing", "in_doubt", "=in_doubt", evaluated.value, "placed"] == await path(ledger)
    assert None is await claim(ledger, after(99))


async def test_a_late_receipt_after_a_second_attempt_is_kept_as_evidence(ledger):
    """The second attempt is on its way: the status stays, the story tells of the other purchase."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await ledger.move(answer(doubt, Status.PLANNED, after(61), from_=Status.IN_DOUBT, due_at=after(61)))
    again = await claim(ledger, after(61))
    await record(ledger, answer(sent, at=after(62), ref="first"))
    await record(ledger, answer(again, at=after(63), ref="second"))
    found = await life(ledger)
    assert ("placed", "second") == (found["status"], found["ref"])
    assert "=placing" in await path(ledger)
    assert "first" in found["events"][-2]["detail"]


async def test_a_late_receipt_of_what_was_found_already_adds_nothing(ledger):
    """Settling found the very same purchase."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await ledger.record_found(answer(doubt, at=after(61), ref="order-9", from_=Status.IN_DOUBT))
    before = await path(ledger)
    await record(ledger, answer(sent, at=after(62), ref="order-9"))
    assert before == await path(ledger)


async def test_a_late_answer_without_a_receipt_adds_nothing(ledger):
    """Refused, or not sent: settling finds that out by itself."""
    sent = await expired(ledger)
    await record(ledger, answer(sent, Status.FAILED, after(61)))
    assert ["planned", "placing", "in_doubt"] == await path(ledger)


def lost(sent, seconds):
    """The answer to a request that was being sent until then was lost."""
    return answer(sent, Status.IN_DOUBT, after(seconds), detail="reset")


async def evaluated(ledger, to):
    """Its lease ran out, it was not in the records, and then this became of it; the attempt that nobody heard of."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await ledger.move(answer(doubt, Status.PLANNED, after(61), from_=Status.IN_DOUBT))
    if to is Status.CANCELLED:
        await plan(ledger, (sale(1, payments=()), refunded()), at=after(62))
    if to is Status.AWAITING_APPROVAL:
        with ledger._engine.begin() as connection:
            connection.execute(update(placements).values(approval_limit=1))
        assert None is await claim(ledger, after(62))
    if to is Status.FAILED:
        await record(ledger, answer(await claim(ledger, after(62)), Status.FAILED, after(63)))
    assert to == (await life(ledger))["status"]
    return sent


@pytest.mark.parametrize("to", [Status.PLANNED, Status.AWAITING_APPROVAL, Status.CANCELLED, Status.FAILED])
async def test_p4_a_late_unknown_outcome_puts_what_was_judged_in_doubt_again(ledger, to):
    """It was being sent until then, so the records were read too early."""
    sent = await evaluated(ledger, to)
    await record(ledger, lost(sent, 70))
    found = await life(ledger)
    assert ("in_doubt", after(70), after(70)) == (found["status"], found["sent_until"], found["due_at"])
    assert "attempt 1 may have been sent until then: reset" == found["events"][-1]["detail"]
    [doubt] = await claim_doubts(ledger, after(70))
    assert after(70) == doubt.sent_until
    await ledger.record_found(answer(doubt, at=after(71), from_=Status.IN_DOUBT))
    assert "placed" == (await life(ledger))["status"]


async def test_p4_what_was_given_up_is_not_sent_once_the_late_doubt_is_settled(ledger):
    """It was withdrawn before; that it turns out not to have been bought is no reason to buy it."""
    sent = await evaluated(ledger, Status.CANCELLED)
    await plan(ledger, (sale(1), earned(slot_less := offset(slot="other"))), at=after(63))
    assert slot_less.slot == (await claim(ledger, after(63))).slot
    await record(ledger, lost(sent, 70))
    [doubt] = await claim_doubts(ledger, after(70))
    await ledger.move(answer(doubt, Status.PLANNED, after(71), from_=Status.IN_DOUBT))
    assert None is await claim(ledger, after(72))
    assert "cancelled" == (await life(ledger))["status"]


async def test_p4_a_late_unknown_outcome_refuses_the_verdict_of_whoever_looked_before(ledger):
    """The records were read when the request was perhaps still on its way: they are read again."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await record(ledger, lost(sent, 70))
    with pytest.raises(TransitionRefused):
        await ledger.move(answer(doubt, Status.PLANNED, after(71), from_=Status.IN_DOUBT))
    [again] = await claim_doubts(ledger, after(71))
    assert after(70) == again.sent_until
    assert ["planned", "placing", "in_doubt", "=in_doubt", "=in_doubt", "=in_doubt"] == await path(ledger)


@pytest.mark.parametrize("outcome", [Status.IN_DOUBT, Status.PLANNED, Status.FAILED, Status.PLACED])
async def test_p4_a_late_unknown_outcome_while_it_is_sent_again_is_kept(ledger, outcome):
    """Whatever becomes of the second attempt, the first one may have been bought: no second look is spared."""
    sent = await evaluated(ledger, Status.PLANNED)
    again = await claim(ledger, after(62))
    await record(ledger, lost(sent, 70))
    assert ("placing", after(70)) == ((await life(ledger))["status"], (await life(ledger))["sent_until"])
    await record(ledger, answer(again, outcome, after(71)))
    found = await life(ledger)
    assert ("placed" if outcome is Status.PLACED else "in_doubt") == found["status"]
    assert found["sent_until"] >= after(70)
    assert "=placing" in await path(ledger)


async def test_p4_a_late_receipt_while_it_is_sent_again_keeps_it_from_being_sent_once_more(ledger):
    """The second attempt was not sent; the first one bought, so the provider is asked before anything else is sent."""
    sent = await evaluated(ledger, Status.PLANNED)
    again = await claim(ledger, after(62))
    await record(ledger, answer(sent, at=after(70), ref="first"))
    await record(ledger, answer(again, Status.PLANNED, after(71)))
    assert "in_doubt" == (await life(ledger))["status"]
    assert None is await claim(ledger, after(100))


async def test_p4_a_late_unknown_outcome_after_it_was_bought_is_kept_as_evidence(ledger):
    """A second purchase may stand: the story says so; the purchase stays."""
    sent = await evaluated(ledger, Status.PLANNED)
    await record(ledger, answer(await claim(ledger, after(62)), at=after(63), ref="second"))
    await record(ledger, lost(sent, 70))
    found = await life(ledger)
    assert ("placed", "second", after(70)) == (found["status"], found["ref"], found["sent_until"])
    assert "=placed" == (await path(ledger))[-1]


async def test_a_late_receipt_for_a_withdrawn_placement_is_recorded(ledger):
    """Judged absent, refunded, then answered after all: what took effect is recorded, wanted or not."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    await ledger.move(answer(doubt, Status.PLANNED, after(61), from_=Status.IN_DOUBT))
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(62))
    await record(ledger, answer(sent, at=after(63), ref="order-9"))
    found = await life(ledger)
    assert ("placed", "order-9") == (found["status"], found["ref"])


async def test_purchases_that_share_a_name_both_stand(ledger):
    """The provider's clock has a millisecond's resolution: the later ones get a number of ours behind the name."""
    for number in (1, 2, 3):
        await plan_one(ledger, number, trees(number))
    for _ in range(3):
        await record(ledger, answer(await claim(ledger, provider=KEYLESS), ref="U|12:00:00.000"))
    refs = [(await life(ledger, f"WR-{number}"))["ref"] for number in (1, 2, 3)]
    assert ["U|12:00:00.000", "U|12:00:00.000#2", "U|12:00:00.000#3"] == refs


async def test_a_late_receipt_may_share_a_name_too(ledger):
    """Late and shared at once: both purchases stand."""
    await plan_one(ledger, 1, trees(1))
    sent = await claim(ledger, provider=KEYLESS)
    await ledger.expire_leases(after(60), "run-2")
    await plan_one(ledger, 2, trees(2), at=after(60))
    await record(ledger, answer(await claim(ledger, after(60), provider=KEYLESS), at=after(60), ref="U|1"))
    await record(ledger, answer(sent, at=after(61), ref="U|1"))
    assert ["U|1#2", "U|1"] == [(await life(ledger, f"WR-{number}"))["ref"] for number in (1, 2)]


@pytest.mark.parametrize("impact", [offset(), trees(1)])
async def test_p13_an_answer_with_a_purchase_that_a_twin_holds_is_another_placements(ledger, impact):
    """Names are unique, or tell apart whatever looks alike: this one is in doubt, and nothing shares the name."""
    for number in (1, 2):
        await plan_one(ledger, number, impact)
        await record(ledger, answer(await claim(ledger, provider=impact.provider), ref="U|1"))
    found = await life(ledger, "WR-2")
    assert ("in_doubt", None) == (found["status"], found["ref"])
    assert "U|1, which another placement holds" in found["reason"]


@pytest.mark.parametrize("by_key", [False, True])
async def test_p5_only_a_purchase_that_says_the_key_may_share_a_name_once_it_is_found(ledger, by_key):
    """Without it the record is that of whoever holds the name."""
    for number in (1, 2):
        await in_doubt(ledger, number, trees(number))
    one, two = await claim_doubts(ledger, after(1), provider=KEYLESS)
    await ledger.record_found(answer(one, ref="U|1", from_=Status.IN_DOUBT))
    found = replace(answer(two, ref="U|1", from_=Status.IN_DOUBT), by_key=by_key)
    if by_key:
        await ledger.record_found(found)
    else:
        with pytest.raises(AlreadyRecorded):
            await ledger.record_found(found)
    assert ("U|1#2" if by_key else None) == (await life(ledger, "WR-2"))["ref"]


@pytest.mark.parametrize("is_answer", [False, True])
async def test_a_purchase_that_another_transaction_records_meanwhile_is_not_recorded_twice(
    ledger, monkeypatch, is_answer
):
    """Postgres shows it only once the row is refused: the look before the writing has not seen it."""
    await plan_one(ledger, 1, trees())
    await record(ledger, answer(await claim(ledger, provider=KEYLESS), ref="U|1"))
    await plan_one(ledger, 2, trees())
    sent = await claim(ledger, after(1), provider=KEYLESS)
    looks, look = iter([False]), moves._is_held
    monkeypatch.setattr(moves, "_is_held", lambda *given: next(looks, None) is None and look(*given))
    if is_answer:
        await record(ledger, answer(sent, at=after(2), ref="U|1"))
    else:
        await record(ledger, answer(sent, Status.IN_DOUBT, after(2)))
        [doubt] = await claim_doubts(ledger, after(3), provider=KEYLESS)
        with pytest.raises(AlreadyRecorded):
            await ledger.record_found(answer(doubt, ref="U|1", from_=Status.IN_DOUBT))
    found = await life(ledger, "WR-2")
    assert ("in_doubt", None) == (found["status"], found["ref"])


async def test_a_late_unknown_outcome_begins_the_count_of_questions_anew(ledger):
    """What the provider showed before says nothing of a request that was being sent until then."""
    sent = await expired(ledger)
    [doubt] = await claim_doubts(ledger, after(60))
    stays = answer(doubt, Status.IN_DOUBT, after(61), from_=Status.IN_DOUBT)
    await ledger.move(replace(stays, asked_again=3))
    await record(ledger, lost(sent, 70))
    [doubt] = await claim_doubts(ledger, after(70))
    assert doubt.asked_again == 0


async def test_what_a_purchase_consists_of_is_kept(ledger):
    """From whichever answer it is known first."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await record(ledger, answer(sent))
    await ledger.postpone(Postponement(sent, after(1), None, ("part-1",)))
    await ledger.postpone(Postponement(sent, after(2), None))
    [(placed, _)] = await ledger.placed(KEYED, "acme", due_by=None, after=0, limit=9)
    assert ("part-1",) == placed.parts


async def test_a_found_purchase_that_another_placement_holds_is_not_this_ones(ledger):
    """One record explains one placement."""
    await in_doubt(ledger)
    await plan_one(ledger, 2)
    await record(ledger, answer(await claim(ledger, after(1)), ref="order-9"))
    [doubt] = await claim_doubts(ledger, after(2))
    with pytest.raises(AlreadyRecorded):
        await ledger.record_found(answer(doubt, ref="order-9", from_=Status.IN_DOUBT))
    assert Status.IN_DOUBT == (await life(ledger))["status"]
    assert ["WR-2"] == [holder.order_id for holder in await ledger.taken(KEYED, ["order-9", "order-10"])]


async def test_a_purchase_kept_under_a_shared_name_is_still_its_holders(ledger):
    """The number behind the name is ours: by the provider's own name it is found to be taken."""
    for number in (1, 2):
        await plan_one(ledger, number, trees(number))
        await record(ledger, answer(await claim(ledger, provider=KEYLESS), ref="U|1"))
    assert ["WR-1", "WR-2"] == [holder.order_id for holder in await ledger.taken(KEYLESS, ["U|1"])]
    await plan_one(ledger, 3, trees(3))
    await record(ledger, answer(await claim(ledger, after(1), provider=KEYLESS), Status.IN_DOUBT, after(1)))
    [doubt] = await claim_doubts(ledger, after(2), provider=KEYLESS)
    with pytest.raises(AlreadyRecorded):
        await ledger.record_found(answer(doubt, ref="U|1", from_=Status.IN_DOUBT))


async def test_a_found_purchase_of_what_is_in_doubt_no_longer_is_refused(ledger):
    """Another run settled it first."""
    await in_doubt(ledger)
    [early] = await claim_doubts(ledger, after(1))
    [late] = await claim_doubts(ledger, after(61))
    await ledger.record_found(answer(late, ref="order-9", from_=Status.IN_DOUBT))
    with pytest.raises(TransitionRefused):
        await ledger.record_found(answer(early, ref="order-9", from_=Status.IN_DOUBT))


async def test_a_handle_of_an_attempt_that_is_over_is_refused(ledger):
    """Another run looks into the doubt by now: it must not find a session that is only being opened."""
    sent = await expired(ledger)
    await claim_doubts(ledger, after(60))
    with pytest.raises(TransitionRefused):
        await ledger.remember_handle(sent, "session-1")
    assert None is (await life(ledger))["handle"]


async def test_a_postponed_placement_is_tracked_later(ledger):
    """Each look counts; a certificate that was seen once is kept."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger)))
    [(placed, checks)] = await ledger.placed(KEYED, "acme", due_by=NOON, after=0, limit=9)
    await ledger.postpone(Postponement(placed, after(300), "https://c"))
    await ledger.postpone(Postponement(placed, after(900), None))
    assert (0, []) == (checks, await ledger.placed(KEYED, "acme", due_by=after(899), after=0, limit=9))
    [(_, again)] = await ledger.placed(KEYED, "acme", due_by=after(900), after=0, limit=9)
    found = await life(ledger)
    assert (2, "https://c", "placed") == (again, found["certificate_url"], found["status"])


async def test_what_is_complete_is_not_postponed(ledger):
    """A pass that was slower than another changes nothing."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await record(ledger, answer(sent))
    await ledger.move(Move(sent, Status.PLACED, Status.COMPLETED, after(1), "run-1"))
    await ledger.postpone(Postponement(sent, after(300), None))
    found = await life(ledger)
    assert ("completed", None, 0) == (found["status"], found["due_at"], found["checks"])


async def test_several_slots_of_an_order_live_their_own_lives(ledger):
    """One placed, one failed."""
    await plan(ledger, (sale(1), earned(offset(), offset(slot="more"))))
    one, other = await claim(ledger), await claim(ledger)
    await record(ledger, answer(one))
    await record(ledger, answer(other, Status.FAILED, detail="too much"))
    assert ["placed", "failed"] == [(await life(ledger, slot=slot))["status"] for slot in (0, 1)]
    assert "too much" == (await life(ledger, slot=1))["reason"]
