"""Group commit: what is written together stands or falls each by itself, and is on disk when its caller goes on."""

import asyncio

import pytest
from ledger_helpers import (
    KEYLESS,
    NOON,
    after,
    answer,
    claim,
    claim_doubts,
    counted,
    earned,
    fresh,
    in_doubt,
    life,
    offset,
    plan,
    plan_one,
    record,
    sale,
    trees,
)

from impactflow.errors import AlreadyRecorded, LedgerError, TransitionRefused
from impactflow.ledger import Claim, Ledger, Status, moves, transitions
from impactflow.ledger.engine import open_engine


async def sent(ledger, count):
    """So many placements, claimed."""
    await plan(ledger, *((sale(number), earned(offset())) for number in range(1, count + 1)))
    return [await claim(ledger) for _ in range(count)]


async def test_many_changes_at_once_are_all_written(ledger):
    """However many callers come in the same moment."""
    claimed = await sent(ledger, 20)
    await asyncio.gather(*(record(ledger, answer(each)) for each in claimed))
    assert {"placed": 20} == await counted(ledger)


async def test_a_refused_move_does_not_take_others_with_it(ledger):
    """One placement of ten has moved on: nine are moved."""
    claimed = await sent(ledger, 10)
    await record(ledger, answer(claimed[3], Status.FAILED))
    outcomes = await asyncio.gather(*(ledger.move(answer(each)) for each in claimed), return_exceptions=True)
    assert [False, False, False, True] == [isinstance(outcome, TransitionRefused) for outcome in outcomes[:4]]
    assert {"placed": 9, "failed": 1} == await counted(ledger)


async def test_a_found_purchase_of_anothers_does_not_take_others_with_it(ledger):
    """The one that is refused is in a group with answers, with a plan and with another find."""
    for number in (1, 2):
        await in_doubt(ledger, number)
    claimed = await plan_and_claim(ledger, 3, 4, 5)
    await record(ledger, answer(claimed[0], ref="taken"))
    mine, other = await claim_doubts(ledger, after(1))
    outcomes = await asyncio.gather(
        record(ledger, answer(claimed[1])),
        ledger.record_found(answer(mine, ref="taken", from_=Status.IN_DOUBT)),
        record(ledger, answer(claimed[2])),
        ledger.record_found(answer(other, ref="free", from_=Status.IN_DOUBT)),
        plan_one(ledger, 6),
        return_exceptions=True,
    )
    assert [None, AlreadyRecorded, None, None, None] == [outcome and type(outcome) for outcome in outcomes]
    assert {"placed": 4, "in_doubt": 1, "planned": 1} == await counted(ledger)


async def test_a_single_find_of_anothers_purchase_does_not_take_answers_with_it(ledger):
    """Likewise where it is the only find of its group."""
    await in_doubt(ledger, 1)
    claimed = await plan_and_claim(ledger, 2, 3)
    await record(ledger, answer(claimed[0], ref="taken"))
    [doubt] = await claim_doubts(ledger, after(1))
    outcomes = await asyncio.gather(
        ledger.record_found(answer(doubt, ref="taken", from_=Status.IN_DOUBT)),
        record(ledger, answer(claimed[1])),
        return_exceptions=True,
    )
    assert [AlreadyRecorded, None] == [outcome and type(outcome) for outcome in outcomes]


async def plan_and_claim(ledger, *numbers):
    """These orders, claimed."""
    for number in numbers:
        await plan_one(ledger, number)
    return [await claim(ledger) for _ in numbers]


async def test_a_caller_that_gave_up_changes_nothing_for_the_others(ledger):
    """Its change stands, as theirs do."""
    claimed = await sent(ledger, 3)
    writes = [asyncio.create_task(record(ledger, answer(each))) for each in claimed]
    await asyncio.sleep(0)
    writes[1].cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [None, asyncio.CancelledError, None] == [outcome and type(outcome) for outcome in outcomes]
    assert {"placed": 3} == await counted(ledger)


async def test_a_database_that_fails_says_so_to_every_caller(ledger, monkeypatch):
    """Nothing of the group is written, and the ledger is usable again once the database is."""
    claimed = await sent(ledger, 3)
    with monkeypatch.context() as broken:
        broken.setattr(transitions._MOVE.table, "name", "no_such_table")
        compiled = transitions._MOVE.where()
        broken.setattr(transitions, "_MOVE", compiled)
        outcomes = await asyncio.gather(*(ledger.move(answer(each)) for each in claimed), return_exceptions=True)
    assert [True] * 3 == [isinstance(outcome, LedgerError) for outcome in outcomes]
    assert {"placing": 3} == await counted(ledger)


async def test_p19_what_no_database_keeps_in_a_text_costs_no_purchase(ledger):
    """A seller's text with NUL and half a character: its receipt and its neighbours are recorded, nothing is cut."""
    claimed = await sent(ledger, 4)
    hostile = answer(claimed[1], ref="ref\0\ud800-2")
    refused = answer(claimed[2], Status.FAILED, detail="no\0 \ud83d\ude00 \udfff: too large")
    others = (answer(claimed[0]), hostile, refused, answer(claimed[3]))
    await asyncio.gather(*(record(ledger, each) for each in others))
    assert {"placed": 3, "failed": 1} == await counted(ledger)
    assert "ref\ufffd\ufffd-2" == (await life(ledger, "WR-2"))["ref"]
    assert "no\ufffd \U0001f600 \ufffd: too large" == (await life(ledger, "WR-3"))["reason"]


async def test_p19_a_row_that_cannot_be_written_does_not_take_others_with_it(ledger):
    """Each of the group is tried alone; only the caller whose row cannot be kept hears of it."""
    claimed = await sent(ledger, 2)
    handle = "session-\ud800"  # a parameter of its own: neither database's driver can send it
    outcomes = await asyncio.gather(
        record(ledger, answer(claimed[0])),
        ledger.remember_handle(claimed[1], handle),
        plan_one(ledger, 9),
        return_exceptions=True,
    )
    assert [None, LedgerError, None] == [outcome and type(outcome) for outcome in outcomes]
    assert {"placed": 1, "placing": 1, "planned": 1} == await counted(ledger)


async def test_p8_what_the_database_gives_up_for_another_transaction_is_tried_again(postgres, monkeypatch):
    """A deadlock ends one of two transactions; its group is written all the same."""
    url = postgres.new_database()
    with Ledger.open(url) as ledger:
        claimed = await sent(ledger, 1)
        given_up = iter([True, True])
        record_answer = moves.record_answer

        def contended(connection, answers):
            if next(given_up, False):
                statement = "DO $$ BEGIN RAISE 'deadlock detected' USING ERRCODE = 'deadlock_detected'; END $$"
                connection.exec_driver_sql(statement)
            return record_answer(connection, answers)

        monkeypatch.setattr(moves, "record_answer", contended)
        await record(ledger, answer(claimed[0]))
        assert {"placed": 1} == await counted(ledger)
    postgres.give_back(url)


async def test_whatever_a_change_raises_reaches_its_caller(ledger, monkeypatch):
    """Even a StopIteration, which no future takes: nobody waits for ever."""
    [claimed] = await sent(ledger, 1)
    with monkeypatch.context() as broken:
        broken.setattr(transitions, "move", lambda *_: next(iter(())))
        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(ledger.move(answer(claimed)), 10)
    await record(ledger, answer(claimed))
    assert {"placed": 1} == await counted(ledger)


async def test_answers_and_further_claims_share_a_commit(ledger):
    """What was answered is recorded and the next are claimed, in that order: a twin becomes free at once."""
    for number in (1, 2, 3):
        await plan_one(ledger, number, trees())
    first = await claim(ledger, provider=KEYLESS, exclusive=True)
    wanted = Claim(KEYLESS, "acme", "run-1", NOON, after(60), exclusive=True, fresh=fresh())
    following = await ledger.record_and_claim([answer(first)], wanted, 5)
    assert ["WR-2"] == [each.order_id for each in following]
    assert {"placed": 1, "placing": 1, "planned": 1} == await counted(ledger)


async def test_two_runs_that_turn_over_at_once_do_not_harm_each_other(ledger, ledger_url):
    """While one run's claim of a twin is being committed, another records an answer and asks for the other twin."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    for number in (3, 4):
        await plan_one(ledger, number, trees(7 + number))
    mine = await claim(ledger, provider=KEYLESS, exclusive=True)
    await record(ledger, answer(mine, Status.PLANNED))
    mine = await claim(ledger, provider=KEYLESS, exclusive=True)
    wanted = Claim(KEYLESS, "acme", "run-2", NOON, after(60), exclusive=True, fresh=fresh())
    answered = await claim(ledger, provider=KEYLESS, exclusive=True)
    engine = open_engine(ledger_url)
    await record(ledger, answer(mine, Status.PLANNED))
    with engine.begin() as connection:
        taken = moves.claim(connection, [wanted])
        turning = asyncio.create_task(ledger.record_and_claim([answer(answered)], wanted, 3))
        await asyncio.sleep(0.3)
    engine.dispose()
    following = await turning
    duplicates = {"WR-1", "WR-2"}
    assert 1 == len(duplicates & {each.order_id for each in [*taken, *following]})
    assert ("placed", 2) == ((await life(ledger, answered.order_id))["status"], len(following) + len(taken))
    with Ledger.open(ledger_url) as other:
        assert {"placed": 1, "placing": 2, "planned": 1} == await counted(other)
