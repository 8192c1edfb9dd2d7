"""What awaits a person's approval in the ledger: who decided what, and nothing else is claimed."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from ledger_helpers import (
    KEYED,
    KEYLESS,
    NOON,
    after,
    answer,
    claim,
    claim_doubts,
    counted,
    earned,
    fresh,
    life,
    offset,
    path,
    plan,
    record,
    refunded,
    sale,
    trees,
)
from sqlalchemy import select, text

from impactflow.errors import TransitionRefused
from impactflow.ledger import Approval, Claim, Ledger, Status
from impactflow.ledger.tables import events

LIMIT = 50


def many(quantity=60, limit=LIMIT, **fields):
    """Trees above their limit."""
    return trees(quantity, approval_limit=limit, **fields)


async def plan_many(ledger, impact=None, *, number=1, at=NOON, policy="policy-1", **fields):
    """Plan one order that has earned trees above their limit."""
    await plan(ledger, (sale(number, **fields), earned(impact or many())), at=at, policy=policy)


async def decide(ledger, quantity=60, *, asked=None, by="ana", why="a wholesaler", at=NOON):
    """A person's decision about the first that awaits approval; None rejects."""
    [first, *_] = [asked] if asked else await ledger.awaiting()
    await ledger.decide(Approval(first, quantity, by, why, at, "run-approve"))


def edit(ledger, statement):
    """Somebody writes into the database."""
    with ledger._engine.begin() as connection:
        connection.execute(text(statement))


async def test_an_answer_to_a_question_that_has_changed_is_refused(ledger):
    """What would be bought is the same, but not why a person is asked."""
    await plan_many(ledger)
    [asked] = await ledger.awaiting()
    for quantity in (60, None):
        with pytest.raises(TransitionRefused):
            await decide(ledger, quantity, asked=replace(asked, reason="it may be another order, told twice"))
    assert [asked] == await ledger.awaiting()


async def test_more_than_the_limit_waits_and_tells_why(ledger):
    """Exactly the limit, and anything without one, is planned as ever."""
    await plan(ledger, (sale(1), earned(many())), (sale(2), earned(many(50))), (sale(3), earned(trees(60))))
    [asked] = await ledger.awaiting()
    assert ("WR-1", "trees", 60, NOON, False) == (asked.order, asked.slot, asked.quantity, asked.since, asked.was_tried)
    assert "60 trees (plant_trees), above the approval limit of 50 trees" == asked.reason
    assert {"awaiting_approval": 1, "planned": 2} == await counted(ledger)
    assert (["awaiting_approval"], None) == (await path(ledger), (await life(ledger))["due_at"])


async def test_what_awaits_approval_is_not_claimed(ledger):
    """Neither by a run nor by the next."""
    await plan_many(ledger)
    assert None is await claim(ledger, after(9), provider=KEYLESS)


async def test_what_is_approved_is_claimed_and_the_ledger_knows_who_approved_it(ledger):
    """With time, reason, quantity and a digest of what was approved."""
    await plan_many(ledger)
    await decide(ledger, at=after(5))
    claimed = await claim(ledger, after(9), provider=KEYLESS)
    found = await life(ledger)
    [row] = found["approvals"]
    assert (60, ["awaiting_approval", "planned", "placing"]) == (claimed.quantity, await path(ledger))
    assert {"by": "ana", "decision": "approved", "quantity": 60, "why": "a wholesaler", "run_id": "run-approve"} == {
        name: row[name] for name in ("by", "decision", "quantity", "why", "run_id")
    }
    assert (after(5), 64) == (row["at"], len(row["digest"]))
    assert "60 trees (plant_trees) approved by ana: a wholesaler" == found["events"][1]["detail"]


async def test_a_trim_is_what_is_bought(ledger):
    """And it is what its twins are told by."""
    await plan(ledger, (sale(1), earned(many())), (sale(2), earned(trees(20))))
    await decide(ledger, 20)
    claimed = await claim(ledger, after(9), provider=KEYLESS, exclusive=True)
    assert (20, None) == (claimed.quantity, await claim(ledger, after(9), provider=KEYLESS, exclusive=True))


@pytest.mark.parametrize("quantity", [60, 20, None])
async def test_a_decision_holds_while_the_order_earns_just_that(ledger, quantity):
    """However often it is read, under whatever other policy, limit or amount; whether it is approved or rejected."""
    await plan_many(ledger)
    await decide(ledger, quantity)
    before = await life(ledger)
    for policy, limit, amount in (
        ("policy-1", 50, 80),
        ("policy-2", 50, 80),
        ("policy-2", 99, 80),
        ("policy-2", 9, 81),
    ):
        await plan_many(ledger, many(limit=limit), at=after(9), policy=policy, amount=Decimal(amount))
    assert before == await life(ledger)
    claimed = await claim(ledger, after(9), provider=KEYLESS, policy="policy-2")
    assert quantity == (claimed and claimed.quantity)


CHANGES = {
    "quantity": many(70),
    "options": many(options={"category": "food"}),
    "for whom": many(on_behalf_of_customer=True),
    "provider": offset(60, slot="trees", approval_limit=50),
}


@pytest.mark.parametrize("decided", [60, 20, None])
async def test_whatever_the_digest_covers_is_asked_anew_when_it_changes(ledger, decided):
    """Also when it was approved, trimmed or rejected, and when it changes back."""
    for number, change in enumerate(CHANGES.values()):
        await plan_many(ledger, number=number)
        await decide(ledger, decided)
        await plan_many(ledger, change, number=number, at=after(5), policy="policy-2")
        [asked] = await ledger.awaiting()
        assert (change.quantity, after(5)) == (asked.quantity, asked.since)
        assert None is await claim(ledger, after(9), provider=asked.provider)
        await plan_many(ledger, number=number, at=after(6), policy="policy-3")
        assert 1 == len(await ledger.awaiting())
        await decide(ledger, None)


async def test_an_order_that_comes_to_earn_less_than_the_limit_needs_nobody(ledger):
    """It is planned at once, also where more had been rejected."""
    await plan_many(ledger)
    await decide(ledger, None)
    await plan_many(ledger, many(50), at=after(5), policy="policy-2")
    assert 50 == (await claim(ledger, after(9), provider=KEYLESS, policy="policy-2")).quantity


async def test_a_policy_without_the_limit_plans_what_nobody_has_decided(ledger):
    """The rule was relaxed."""
    await plan_many(ledger)
    await plan_many(ledger, trees(60), at=after(5), policy="policy-2")
    assert 60 == (await claim(ledger, after(9), provider=KEYLESS, policy="policy-2")).quantity


async def test_a_policy_with_a_lower_limit_asks_about_what_is_planned(ledger):
    """Nothing was sent yet."""
    await plan_many(ledger, trees(60))
    await plan_many(ledger, at=after(5), policy="policy-2")
    assert (["planned", "awaiting_approval"], None) == (
        await path(ledger),
        await claim(ledger, after(9), provider=KEYLESS),
    )


@pytest.mark.parametrize("decides", [True, False])
async def test_a_refund_withdraws_it_and_takes_the_approval_along(ledger, decides):
    """Should the refund be undone, a person is asked anew."""
    await plan_many(ledger)
    if decides:
        await decide(ledger)
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(5))
    assert {"cancelled": 1} == await counted(ledger)
    await plan_many(ledger, at=after(6))
    assert {"awaiting_approval": 1} == await counted(ledger)


async def test_what_was_rejected_stays_so_through_a_refund_that_is_undone(ledger):
    """It earns what it earned before."""
    await plan_many(ledger)
    await decide(ledger, None)
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(5))
    await plan_many(ledger, at=after(6))
    assert {"cancelled": 1} == await counted(ledger)
    assert "rejected by ana: a wholesaler" == (await life(ledger))["reason"]


EDITS = (
    "quantity = 600",
    'options = \'{"category": "food"}\'',
    "on_behalf = NOT on_behalf",
    "provider = 'cnaught'",
    "key = 'another'",
    "approved = NULL",
    "approval_limit = 10, quantity = 40",
)


@pytest.mark.parametrize("exclusive", [True, False])
async def test_what_somebody_writes_into_the_database_is_not_bought(ledger, exclusive):
    """It waits again, with the reason, in the commit of the claim, which takes what may be sent in its place."""
    for number, values in enumerate(EDITS):
        await plan_many(ledger, number=number)
        await decide(ledger, asked=(await ledger.awaiting(f"WR-{number}"))[0])
        edit(ledger, f"UPDATE placements SET {values} WHERE status = 'planned'")
        await plan_many(ledger, trees(3), number=f"{number}-other")
        claimed = await claim(ledger, after(9), provider=KEYLESS, exclusive=exclusive)
        assert (f"WR-{number}-other", None) == (claimed.order_id, await claim(ledger, after(9), provider=KEYED))
        await record(ledger, answer(claimed))
        found = await life(ledger, f"WR-{number}")
        assert ("awaiting_approval", None) == (found["status"], found["due_at"]), values
        assert found["reason"].endswith("no person has approved this quantity")
        assert found["reason"] == found["events"][-1]["detail"]


async def test_a_retry_needs_no_second_approval(ledger):
    """Certainly not sent, judged not to have happened: it is claimed again as it was approved."""
    await plan_many(ledger)
    await decide(ledger, 20)
    await record(ledger, answer(await claim(ledger, provider=KEYLESS), Status.PLANNED, at=after(1)))
    await record(ledger, answer(await claim(ledger, after(2), provider=KEYLESS), Status.IN_DOUBT, at=after(3)))
    [doubt] = await claim_doubts(ledger, after(99), provider=KEYLESS)
    await ledger.move(answer(doubt, Status.PLANNED, after(99), from_=Status.IN_DOUBT))
    await plan_many(ledger, at=after(100), policy="policy-2")
    assert 20 == (await claim(ledger, after(100), provider=KEYLESS, policy="policy-2")).quantity


async def test_p3_what_was_tried_in_vain_and_is_another_by_now_is_asked_about_anew(ledger):
    """The order comes to earn more; what was approved was less."""
    await plan_many(ledger)
    await decide(ledger, 20)
    await record(ledger, answer(await claim(ledger, provider=KEYLESS), Status.PLANNED, at=after(1)))
    await plan_many(ledger, many(70), at=after(100), policy="policy-2")
    assert [70] == [asked.quantity for asked in await ledger.awaiting()]
    assert None is await claim(ledger, after(100), provider=KEYLESS, policy="policy-2")


async def test_a_decision_about_something_else_is_refused(ledger):
    """The order was edited while a person looked at it; nothing is changed and nothing is remembered."""
    await plan_many(ledger)
    [asked] = await ledger.awaiting()
    await plan_many(ledger, many(70), at=after(5), policy="policy-2")
    for quantity in (60, None):
        with pytest.raises(TransitionRefused):
            await decide(ledger, quantity, asked=asked)
    found = await life(ledger)
    assert ("awaiting_approval", 70, []) == (found["status"], found["quantity"], found["approvals"])


async def test_of_two_decisions_one_is_heard(ledger, ledger_url):
    """Whoever comes second is told, and the story knows of one."""
    await plan_many(ledger)
    [asked] = await ledger.awaiting()
    with Ledger.open(ledger_url) as other:
        both = await asyncio.gather(
            decide(ledger, 20, asked=asked), decide(other, None, asked=asked), return_exceptions=True
        )
    assert [TransitionRefused] == [type(each) for each in both if each is not None]
    assert 1 == len((await life(ledger))["approvals"])


async def test_an_order_edited_in_the_same_moment_keeps_no_approval(ledger, ledger_url):
    """Whichever of the two comes first: sixty trees are not bought where the order has earned seventy by now."""
    with Ledger.open(ledger_url) as other:
        for number in range(1, 9):
            await plan_many(ledger, number=number)
            [asked] = await ledger.awaiting()
            await asyncio.gather(
                decide(ledger, asked=asked),
                plan_many(other, many(70), number=number, at=after(5), policy="policy-2"),
                return_exceptions=True,
            )
            [asked] = await ledger.awaiting()
            assert 70 == asked.quantity
            await decide(ledger, None)


async def test_what_awaits_approval_is_found_by_order_and_slot(ledger):
    """By any of the order's names; the oldest first, and no more than asked for."""
    names = ("wr:WR-1", "src:shopify:9")
    await plan(ledger, (sale(1, names=names), earned(many(), offset(9, approval_limit=1))), (sale(2), earned(many())))
    found = [
        [(each.order, each.slot) for each in await ledger.awaiting(order, slot)]
        for order, slot in (("src:shopify:9", None), ("WR-1", "offset"), (None, "trees"), ("WR-3", None))
    ]
    one, other = ("WR-1", "trees"), ("WR-1", "offset")
    assert [[one, other], [other], [one, ("WR-2", "trees")], []] == found
    assert [1] == [each.id for each in await ledger.awaiting(limit=1)]


async def test_what_awaits_approval_needs_attention_after_what_went_wrong(ledger):
    """With its reason; many of them do not hide the others."""
    await plan(ledger, *((sale(number), earned(many())) for number in range(5)), (sale(9), earned(offset())))
    await record(ledger, answer(await claim(ledger), Status.FAILED))
    rows = await ledger.attention(limit=2)
    assert [("WR-9", "failed"), ("WR-0", "awaiting_approval")] == [(row["order_id"], row["status"]) for row in rows]
    assert "above the approval limit" in rows[1]["reason"]


async def test_a_late_answer_counts_more_than_waiting(ledger):
    """Sent, thought lost, then waiting for approval: the answer is proof, and nothing is sent again."""
    await plan_many(ledger)
    await decide(ledger)
    sent = await claim(ledger, provider=KEYLESS)
    await ledger.expire_leases(after(99), "run-2")
    [doubt] = await claim_doubts(ledger, after(99), provider=KEYLESS)
    await ledger.move(answer(doubt, Status.PLANNED, after(99), from_=Status.IN_DOUBT))
    edit(ledger, "UPDATE placements SET approved = 'something else'")
    assert None is await claim(ledger, after(100), provider=KEYLESS)
    [asked] = await ledger.awaiting()
    assert asked.was_tried
    await record(ledger, answer(sent, at=after(101)))
    assert {"placed": 1} == await counted(ledger)


async def test_every_event_of_a_decision_names_its_run(ledger):
    """Each is written with the change itself."""
    await plan_many(ledger)
    await decide(ledger, None)
    with ledger._engine.begin() as connection:
        rows = connection.execute(
            select(events.c.from_status, events.c.to_status, events.c.run_id).order_by("id")
        ).all()
    assert [(None, "awaiting_approval", "run-plan"), ("awaiting_approval", "cancelled", "run-approve")] == list(
        map(tuple, rows)
    )


async def test_many_that_nobody_approved_do_not_hide_what_may_be_sent(ledger):
    """A claim of a few goes on until it has found them."""
    await plan(
        ledger,
        *((sale(number), earned(offset(60, approval_limit=50))) for number in range(20)),
        *((sale(number), earned(offset(9))) for number in range(20, 23)),
    )
    edit(ledger, "UPDATE placements SET status = 'planned', due_at = planned_at")
    wanted = Claim(KEYED, "acme", "run-1", after(9), after(9) + timedelta(seconds=60), exclusive=False, fresh=fresh())
    claimed = await ledger.record_and_claim([], wanted, 3)
    assert [9, 9, 9] == [each.quantity for each in claimed]
    assert {"placing": 3, "awaiting_approval": 20} == await counted(ledger)
