"""Claims: the intent is durable, oldest first, each placement once, however many ask from wherever."""

import asyncio
from itertools import count

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
    in_doubt,
    life,
    offset,
    path,
    plan,
    plan_one,
    record,
    sale,
    trees,
)

from impactflow.ledger import Claim, Ledger, Status, moves, placement_key
from impactflow.ledger.engine import open_engine


async def test_nothing_is_claimed_where_nothing_is_planned(ledger):
    """None, and no event."""
    assert await claim(ledger) is None


async def test_nothing_is_claimed_before_it_is_due(ledger):
    """A placement that was postponed waits."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await record(ledger, answer(sent, Status.PLANNED, due_at=after(10)))
    assert (None, sent.id) == (await claim(ledger, after(9)), (await claim(ledger, after(10))).id)


async def test_nothing_is_claimed_for_another_provider(ledger):
    """An offset is CNaught's."""
    await plan_one(ledger)
    assert await claim(ledger, provider=KEYLESS) is None


async def test_the_oldest_is_claimed_first(ledger):
    """By when it is due, and then in the order of planning."""
    await plan(ledger, (sale(1), earned(offset())), (sale(2), earned(offset())), at=after(5))
    await plan_one(ledger, 3, at=after(1))
    claimed = [await claim(ledger, after(6)) for _ in range(4)]
    assert ["WR-3", "WR-1", "WR-2"] == [each.order_id for each in claimed[:3]]
    assert claimed[3] is None


async def test_a_claim_says_all_that_a_provider_needs(ledger):
    """Key, order, slot, quantity, options, attempt; the customer's address only where it is meant."""
    mine = offset(options={"portfolio_id": "reef", "notify": False})
    theirs = trees(on_behalf_of_customer=True)
    await plan(ledger, (sale(1), earned(mine)), (sale(2), earned(theirs)))
    one = await claim(ledger, after(1))
    other = await claim(ledger, after(1), provider=KEYLESS)
    assert (placement_key("acme", "WR-1", "offset"), "WR-1", "offset", 2500) == (
        one.key,
        one.order_id,
        one.slot,
        one.quantity,
    )
    assert ({"portfolio_id": "reef", "notify": False}, None, 1, after(1), after(1)) == (
        one.options,
        one.customer_email,
        one.attempt,
        one.attempted_at,
        one.first_attempted_at,
    )
    assert "customer2@example.com" == other.customer_email
    assert "example.com" not in repr(other)


async def test_the_intent_is_on_disk_before_anything_is_sent(ledger, ledger_url):
    """Another ledger on the same database sees status, lease and event as soon as a claim returns."""
    await plan_one(ledger)
    await claim(ledger)
    with Ledger.open(ledger_url) as other:
        seen = await life(other)
    last = seen["events"][-1]
    assert ("placing", after(60), 1, NOON) == (seen["status"], seen["due_at"], seen["attempts"], seen["attempted_at"])
    assert ("planned", "placing", 1, "run-1") == (
        last["from_status"],
        last["to_status"],
        last["attempt"],
        last["run_id"],
    )


async def test_a_second_attempt_keeps_the_time_of_the_first(ledger):
    """The age of an idempotency key counts from its first use."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger), Status.PLANNED, at=after(1)))
    again = await claim(ledger, after(5))
    assert (2, NOON, after(5)) == (again.attempt, again.first_attempted_at, again.attempted_at)


async def test_of_twins_one_is_sent_at_a_time(ledger):
    """Until the outcome of the one is known, the others wait; those of another look do not."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    await plan_one(ledger, 3, trees(7))
    first = await claim(ledger, provider=KEYLESS, exclusive=True)
    unlike = await claim(ledger, provider=KEYLESS, exclusive=True)
    assert ("WR-1", True, "WR-3", None) == (
        first.order_id,
        first.alone,
        unlike.order_id,
        await claim(ledger, provider=KEYLESS, exclusive=True),
    )
    await record(ledger, answer(first))
    assert "WR-2" == (await claim(ledger, provider=KEYLESS, exclusive=True)).order_id


@pytest.mark.parametrize("to", [Status.IN_DOUBT, Status.PLANNED, Status.FAILED])
async def test_a_twin_waits_only_for_what_is_unresolved(ledger, to):
    """In doubt it holds its twin back; refused or certainly not sent it does not."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    first = await claim(ledger, provider=KEYLESS, exclusive=True)
    await record(ledger, answer(first, to, due_at=after(100)))
    following = await claim(ledger, provider=KEYLESS, exclusive=True)
    assert (to is Status.IN_DOUBT) == (following is None)


async def test_what_was_sent_while_keys_were_returned_holds_its_twin_back_too(ledger):
    """The account stops returning metadata: a doubt from before could be taken for what its twin bought."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    before = await claim(ledger, provider=KEYLESS, exclusive=False)
    await record(ledger, answer(before, Status.IN_DOUBT, due_at=after(100)))
    assert await claim(ledger, provider=KEYLESS, exclusive=True) is None


async def test_a_doubt_is_not_alone_beside_a_parked_twin(ledger):
    """A purchase that looks like both may be the parked one's."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    for _ in (1, 2):
        sent = await claim(ledger, provider=KEYLESS, exclusive=True)
        await record(ledger, answer(sent, Status.IN_DOUBT, due_at=after(1)))
        [doubt] = await claim_doubts(ledger, after(2), provider=KEYLESS)
        if sent.order_id == "WR-1":
            assert doubt.alone
            await ledger.move(answer(doubt, Status.PARKED, after(3), from_=Status.IN_DOUBT))
    assert ("WR-2", False) == (doubt.order_id, doubt.alone)


async def test_twins_claimed_together_are_claimed_one_by_one(ledger):
    """Claims of one group commit obey the rule too."""
    for number in range(1, 5):
        await plan_one(ledger, number, trees())
    claims = await asyncio.gather(*(claim(ledger, provider=KEYLESS, exclusive=True) for _ in range(4)))
    assert 1 == sum(each is not None for each in claims)


async def test_without_the_rule_twins_are_sent_together(ledger):
    """Where the provider returns our key, looks do not matter."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    claims = [await claim(ledger, provider=KEYLESS) for _ in range(2)]
    assert [("WR-1", False), ("WR-2", False)] == [(each.order_id, each.alone) for each in claims]


async def test_a_lease_that_ran_out_puts_in_doubt(ledger):
    """Only what was being sent, and only once its time is over; the rest stays."""
    for number in (1, 2):
        await plan_one(ledger, number)
    await claim(ledger, NOON)
    await claim(ledger, after(30))
    early = await ledger.expire_leases(after(59), "run-2")
    due = await ledger.expire_leases(after(60), "run-2")
    again = await ledger.expire_leases(after(60), "run-3")
    assert ((0, 1, 0), {"in_doubt": 1, "placing": 1}) == ((early, due, again), await counted(ledger))
    assert ["planned", "placing", "in_doubt"] == await path(ledger)


async def test_a_doubt_is_settled_by_one_run_at_a_time(ledger):
    """Claimed for a lease, after which another run may take it. The time of the purchase stays the attempt's."""
    sent = await in_doubt(ledger)
    taken = await claim_doubts(ledger, after(5))
    assert [(sent.id, 2, NOON)] == [(each.id, each.attempt, each.attempted_at) for each in taken]
    assert [] == await claim_doubts(ledger, after(64))
    assert [3] == [each.attempt for each in await claim_doubts(ledger, after(65))]
    assert ["planned", "placing", "in_doubt", "=in_doubt", "=in_doubt"] == await path(ledger)


async def test_a_doubt_knows_whether_it_is_alone(ledger):
    """As it was claimed: only then may a look-alike record be taken for it."""
    await in_doubt(ledger, 1, trees(), exclusive=True)
    await in_doubt(ledger, 2, trees(9))
    doubts = await claim_doubts(ledger, after(5), provider=KEYLESS)
    assert {"WR-1": True, "WR-2": False} == {each.order_id: each.alone for each in doubts}


def _claim_all(url, run_id):
    """Claim from several tasks until nothing is left."""

    async def work(ledger, claimed):
        while (placement := await claim(ledger, run_id=run_id)) is not None:
            claimed.append(placement.id)

    async def main():
        claimed = []
        with Ledger.open(url) as ledger:
            await asyncio.gather(*(work(ledger, claimed) for _ in range(6)))
        return claimed

    return asyncio.run(main())


def _place_all_look_alikes(url, run_id):
    """Claim and answer several at a time, as a sweep does, until nothing may be sent."""
    wanted = Claim(KEYLESS, "acme", run_id, NOON, after(60), exclusive=True, fresh=fresh())

    async def main():
        placed = []
        with Ledger.open(url) as ledger:
            claimed = await ledger.record_and_claim([], wanted, 8)
            while claimed:
                placed += [placement.id for placement in claimed]
                claimed = await ledger.record_and_claim([answer(placement) for placement in claimed], wanted, 8)
        return placed

    return asyncio.run(main())


async def test_whoever_claims_gets_what_nobody_else_gets(ledger, ledger_url):
    """Three ledgers on one database, each in a thread with six tasks: every placement is claimed exactly once."""
    await plan(ledger, *((sale(number), earned(offset())) for number in range(120)))
    runs = [asyncio.to_thread(_claim_all, ledger_url, f"run-{number}") for number in range(3)]
    claimed = [placement for each in await asyncio.gather(*runs) for placement in each]
    assert (120, 120) == (len(claimed), len(set(claimed)))


async def test_twins_are_claimed_one_by_one_by_several_runs_too(ledger, ledger_url):
    """Runs that meet at the same twins: none of them fails, and whatever is left is the next one's."""
    await plan(ledger, *((sale(number), earned(trees(number % 10 + 1))) for number in range(120)))
    runs = [asyncio.to_thread(_place_all_look_alikes, ledger_url, f"run-{number}") for number in range(4)]
    placed = [placement for each in await asyncio.gather(*runs) for placement in each]
    placed += await asyncio.to_thread(_place_all_look_alikes, ledger_url, "run-9")
    assert (120, {"placed": 120}) == (len(placed), await counted(ledger))


async def test_handles_are_kept_for_the_attempt_that_made_them(ledger):
    """What a provider calls a purchase before it takes effect comes back with the next claim."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await ledger.remember_handle(sent, "session-1")
    await record(ledger, answer(sent, Status.PLANNED))
    numbers = count(1)
    again = await claim(ledger, after(next(numbers)))
    assert "session-1" == again.handle


async def test_two_runs_that_meet_at_twins_do_not_harm_each_other(ledger, ledger_url):
    """While one run's claim of a twin is being committed, another run asks for the other twin: it gets nothing."""
    for number in (1, 2):
        await plan_one(ledger, number, trees())
    engine = open_engine(ledger_url)
    with engine.begin() as connection:
        taken = moves.claim(
            connection, [Claim(KEYLESS, "acme", "run-1", NOON, after(60), exclusive=True, fresh=fresh())]
        )
        asking = asyncio.create_task(claim(ledger, provider=KEYLESS, exclusive=True))
        await asyncio.sleep(0.3)
    engine.dispose()
    assert ("WR-1", None) == (taken[0].order_id, await asking)
    assert {"placing": 1, "planned": 1} == await counted(ledger)


TWO_DAYS_S = 2 * 86_400


async def test_o12_what_a_clock_ahead_put_off_is_due(ledger):
    """A run two days ahead planned one and left one in doubt, and died sending one: none of them waits two days."""
    ahead = after(TWO_DAYS_S)
    for number in (1, 2, 3):
        await plan_one(ledger, number, at=ahead)
    doubted, cut_off = await claim(ledger, ahead), await claim(ledger, ahead)
    await record(ledger, answer(doubted, Status.IN_DOUBT, ahead))

    for status in (Status.PLANNED, Status.IN_DOUBT, Status.PLACING):
        assert NOON == await ledger.next_due(KEYED, "acme", [status], now=NOON)
    assert "WR-3" == (await claim(ledger, NOON)).order_id
    assert [doubted.id] == [each.id for each in await claim_doubts(ledger, NOON)]
    assert 1 == await ledger.expire_leases(NOON, "run-2")
    assert [cut_off.id] == [each.id for each in await claim_doubts(ledger, NOON)]


async def test_o12_what_was_bought_by_a_clock_ahead_is_tracked(ledger):
    """Likewise."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger), due_at=after(TWO_DAYS_S)))
    assert 1 == len(await ledger.placed(KEYED, "acme", due_by=NOON, after=0, limit=9))


async def test_o12_what_is_due_within_a_day_waits(ledger):
    """The longest that anything is put off."""
    await plan_one(ledger, at=after(86_400))
    assert None is await claim(ledger, NOON)
    assert after(86_400) == await ledger.next_due(KEYED, "acme", [Status.PLANNED], now=NOON)
