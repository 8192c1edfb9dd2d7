"""Purchases beside the one that a placement holds: kept, and each step of their cancellation is durable."""

import pytest
from ledger_helpers import (
    KEYED,
    KEYLESS,
    after,
    answer,
    claim,
    claim_doubts,
    life,
    path,
    plan_one,
    record,
    trees,
)

from impactflow.ledger import Ledger, Status, Step


async def placed(ledger, number=1):
    """One purchase."""
    await plan_one(ledger, number)
    sent = await claim(ledger)
    await record(ledger, answer(sent, ref=f"own-{number}"))
    return sent


def step(placement, ref="other", seconds=9, detail="about to cancel other"):
    """A step about a purchase beside it."""
    return Step(placement, ref, after(seconds), "run-9", detail)


async def refs(listed):
    """Which purchases, of which orders."""
    return [(ref, entry.placement.order_id, entry.status) for ref, entry in await listed]


async def test_a_late_answers_purchase_is_known_as_the_placements(ledger):
    """By its own name, with the placement that was sent again meanwhile."""
    await plan_one(ledger, impact=trees())
    sent = await claim(ledger, provider=KEYLESS)
    await ledger.expire_leases(after(60), "run-2")
    [doubt] = await claim_doubts(ledger, after(60), provider=KEYLESS)
    await ledger.move(answer(doubt, Status.PLANNED, after(61), from_=Status.IN_DOUBT, due_at=after(61)))
    again = await claim(ledger, after(61), provider=KEYLESS)
    await record(ledger, answer(sent, at=after(62), ref="first"))
    await record(ledger, answer(again, at=after(63), ref="second"))
    assert [("first", "WR-1", Status.PLACED)] == await refs(ledger.surplus(KEYLESS, ["first", "second", "third"]))
    assert [] == await refs(ledger.surplus(KEYED, ["first"]))
    assert [] == await refs(ledger.being_cancelled(KEYLESS, "acme"))


async def test_a_cancellation_is_an_event_before_and_one_after(ledger):
    """The placement stays what it is; begun and not over, it is found again."""
    one = await placed(ledger)
    await ledger.intend_to_cancel(step(one))
    assert [("other", "WR-1", Status.PLACED)] == await refs(ledger.being_cancelled(KEYED, "acme"))
    await ledger.record_cancelled(step(one, seconds=10, detail="other is cancelled"))
    assert [] == await refs(ledger.being_cancelled(KEYED, "acme"))
    events = (await life(ledger))["events"][-2:]
    assert [("about to cancel other", after(9)), ("other is cancelled", after(10))] == [
        (event["detail"], event["at"]) for event in events
    ]
    assert ["planned", "placing", "placed", "=placed", "=placed"] == await path(ledger)
    assert ("own-1", "run-9", 1) == ((await life(ledger))["ref"], events[0]["run_id"], events[0]["attempt"])


async def test_a_step_that_was_taken_is_not_told_twice(ledger):
    """Two runs may repair at once, or one after the other was killed."""
    one = await placed(ledger)
    for _ in range(2):
        await ledger.intend_to_cancel(step(one))
    for _ in range(2):
        await ledger.record_cancelled(step(one, detail="other is cancelled"))
    assert ["planned", "placing", "placed", "=placed", "=placed"] == await path(ledger)


async def test_what_nobody_began_to_cancel_is_not_recorded_as_cancelled(ledger):
    """A person has cancelled it at the provider: there is nothing to finish here."""
    one = await placed(ledger)
    await ledger.record_cancelled(step(one))
    assert ["planned", "placing", "placed"] == await path(ledger)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_step_lasts(ledger_url, number):
    """The intent is on disk when the call returns."""
    with Ledger.open(ledger_url) as ledger:
        await ledger.intend_to_cancel(step(await placed(ledger, number)))
    with Ledger.open(ledger_url) as ledger:
        assert [("other", f"WR-{number}", Status.PLACED)] == await refs(ledger.being_cancelled(KEYED, "acme"))
