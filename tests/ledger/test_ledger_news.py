"""What a run has changed and what waits for a person, with the same answers from both databases."""

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
    offset,
    plan,
    plan_one,
    record,
    sale,
    trees,
)

from impactflow.ledger import TRANSITIONS, WAITS_FOR_A_PERSON, GroupLine, Move, Status


def as_tuples(groups):
    """Groups as short tuples."""
    return [(group.store, group.provider, group.status, group.count) for group in groups]


async def test_what_a_run_changed_is_told_as_the_run_left_it(ledger):
    """Not the steps on the way, not what others changed, not what it changed before the mark."""
    await plan(ledger, (sale(1), earned(offset())), store="early")
    mark = await ledger.last_event()
    await plan(ledger, (sale(2), earned(offset(), trees())), (sale(3), earned(offset(None, held="no rate"))))
    await record(ledger, answer(await claim(ledger, store="early")))
    await record(ledger, answer(await claim(ledger), Status.FAILED, detail="too much"))
    assert [
        ("acme", KEYED, Status.HELD, 1),
        ("acme", KEYED, Status.PLANNED, 1),
        ("acme", KEYLESS, Status.PLANNED, 1),
    ] == as_tuples(await ledger.changed("run-plan", after=mark))
    left = as_tuples(await ledger.changed("run-1", after=mark))
    assert [("acme", KEYED, Status.FAILED, 1), ("early", KEYED, Status.PLACED, 1)] == left
    assert [] == as_tuples(await ledger.changed("run-1", after=await ledger.last_event()))


async def test_a_group_tells_the_first_twenty(ledger):
    """And how many there are, and since when."""
    for number in range(1, 26):
        await plan_one(ledger, number, offset(None, held="no rate"), at=after(number))
    [group] = await ledger.changed("run-plan", after=0)
    assert (25, after(1), 20) == (group.count, group.since, len(group.first))
    assert GroupLine("WR-1", "offset", "no rate", after(1)) == group.first[0]
    [waits] = await ledger.waiting(doubted_before=NOON)
    assert group == waits


async def test_what_waits_for_a_person_is_told_with_since_when(ledger):
    """What is in doubt only where that has lasted too long, counted from its beginning, however often it was tried."""
    await in_doubt(ledger, 1)
    await claim_doubts(ledger, after(100))
    assert [] == as_tuples(await ledger.waiting(doubted_before=NOON))
    await plan_one(ledger, 2, at=after(5))
    await record(ledger, answer(await claim(ledger, after(6)), Status.FAILED, after(7), detail="too much"))
    doubt, failed = sorted(await ledger.waiting(doubted_before=after(1)), key=lambda group: group.since)
    assert (Status.IN_DOUBT, NOON) == (doubt.status, doubt.since)
    assert (Status.FAILED, [GroupLine("WR-2", "offset", "too much", after(7))]) == (failed.status, failed.first)


def test_who_sees_to_a_status_is_known_for_each():
    """What waits for a person has nothing that runs do by themselves; a new status is a person's until it is said."""
    assert {Status.HELD, Status.PARKED, Status.FAILED} <= WAITS_FOR_A_PERSON
    assert all(TRANSITIONS[status] for status in WAITS_FOR_A_PERSON)


async def test_effects_are_what_a_run_bought_or_saw_completed(ledger):
    """One after the other, with what a person wants to see of each."""
    await plan_one(ledger, 1)
    await plan_one(ledger, 2)
    sent = [await claim(ledger), await claim(ledger)]
    for each in sent:
        await record(ledger, answer(each))
    await ledger.move(Move(sent[0], Status.PLACED, Status.COMPLETED, after(1), "run-2"))
    first, second = await ledger.effects("run-1", after=0, limit=9)
    assert (first.event, "placed", "WR-1", "offset", "cnaught", 2500, "g", 250, None) == first
    assert [second] == await ledger.effects("run-1", after=first.event, limit=9)
    [completed] = await ledger.effects("run-2", after=0, limit=9)
    assert ("WR-1", "completed") == (completed.order, completed.status)
