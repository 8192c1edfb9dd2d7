"""The audit: what disagrees between ledger and provider is found, explained, and repaired where that is safe."""

import asyncio
from datetime import timedelta
from random import Random

import httpx
import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK, ask, buy, cancel, change, lose, metadata_of, standing
from virtual_time import START, in_virtual_time
from world import RULE_OF, TREES, fresh_of, policy_of, sold, statuses, sweep, track, work

from impactflow.accounts import NOT_HALTED
from impactflow.audit import Audit, Disagreement, choose_window
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.errors import ConfigurationError, Forbidden
from impactflow.ledger import Claim, Move, Status
from impactflow.models import ProviderName, Receipt
from impactflow.sandbox.faults import Draws, Faults

PROVIDERS = [CNAUGHT, IMPACTAPI, ONECLICK]
MISSING, EXTRA, DUPLICATE, WRONG_AMOUNT, CANCELLED_THERE = Disagreement


def a_world(new_world, provider, count=3, **more):
    """A shop that buys at one provider; nobody is told on whose behalf."""
    orders = [sold(number, contact=None) for number in range(1, count + 1)]
    return new_world(orders=orders, policy=policy_of(RULE_OF[provider]), **more)


async def bought(world, run, provider):
    """Everything of the shop's placed; the ledger's rows of it."""
    await world.plan(run)
    await work(run, provider)
    world.clock.turn(minutes=1)  # whatever else is bought comes after that
    return await run.ledger.purchases()


async def audited(run, provider, *, store="acme", repair=False, days=None):
    """An audit of the last days: its findings and its tally."""
    window = choose_window(*(days or (None, None)), today=run.clock.now().date())
    audit = Audit(run.account(provider, store), window, repair=repair)
    return [finding async for finding in audit.run()], audit.tally


async def details_of(run, order="WR-1"):
    """What an order's story says, event by event."""
    return [event["detail"] for event in (await run.ledger.story(order))["placements"][0]["events"]]


def plant(world, provider, what, row):
    """Make provider and ledger disagree about a purchase; the name of the purchase in question."""
    match what:
        case Disagreement.MISSING:
            lose(world, provider, row["ref"])
        case Disagreement.DUPLICATE:
            return buy(world, provider, metadata_of(row))
        case Disagreement.WRONG_AMOUNT:
            change(world, provider, row["ref"])
        case Disagreement.CANCELLED_THERE:
            cancel(world, provider, row["ref"])
    return row["ref"]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_books_that_agree_give_no_finding_and_change_nothing(new_world, provider):
    """Also while a stranger buys at the same account."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        await bought(world, run, provider)
        buy(world, provider)
        before = await run.ledger.changes()
        findings, tally = await audited(run, provider)
        assert ([], 4, 3, 1, 0, None) == (
            findings,
            tally.read,
            tally.agreed,
            tally.not_ours,
            tally.remaining,
            tally.halted.why,
        )
        assert before == await run.ledger.changes()


@pytest.mark.parametrize("what", [MISSING, DUPLICATE, WRONG_AMOUNT, CANCELLED_THERE])
@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_what_is_planted_at_the_provider_is_found(new_world, provider, what):
    """With the order, the slot and the purchase; and nothing else is. Looking alone changes nothing."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        ref = plant(world, provider, what, row)
        before = await run.ledger.changes(), world.purchases
        findings, tally = await audited(run, provider)
        assert [(what, "WR-2", row["slot"], ref, row["ref"])] == [
            (each.finding, each.order, each.slot, each.ref, each.recorded_ref) for each in findings
        ]
        assert 1 == tally.remaining
        assert before == (await run.ledger.changes(), world.purchases)
        assert findings[0].means
        assert findings[0].to_do


@pytest.mark.parametrize("what", [MISSING, WRONG_AMOUNT, CANCELLED_THERE])
@in_virtual_time
async def test_what_is_planted_is_found_by_name_where_the_account_returns_no_metadata(new_world, what):
    """A purchase that the ledger holds has a name; whose a further one is nobody can say."""
    world = a_world(new_world, ONECLICK, metadata="ignored")
    async with world.run() as run:
        _, row, _ = await bought(world, run, ONECLICK)
        plant(world, ONECLICK, what, row)
        buy(world, ONECLICK, metadata_of(row))
        findings, tally = await audited(run, ONECLICK)
        assert ([(what, "WR-2")], 1) == ([(each.finding, each.order) for each in findings], tally.not_ours)


@in_virtual_time
async def test_amounts_are_told_with_their_units(new_world):
    """As people read them."""
    world = a_world(new_world, CNAUGHT)
    async with world.run() as run:
        rows = await bought(world, run, CNAUGHT)
        change(world, CNAUGHT, rows[0]["ref"])
        [finding], _ = await audited(run, CNAUGHT)
        assert ("6 kg CO2 (offset)", "5 kg CO2 (offset)") == (finding.there, finding.here)
        assert "6 kg CO2 (offset)" == finding.as_row()["there"]


@pytest.mark.parametrize("seed", range(12))
@in_virtual_time
async def test_whatever_is_planted_is_found_and_nothing_else(new_world, seed):
    """Among many purchases at all providers, whose answers get lost."""
    random = Random(seed)
    orders = [sold(number, **({} if number % 3 else {"contact": None})) for number in range(1, 41)]
    world = new_world(orders=orders, faults="rough,hang=0", seed=seed)
    planted = set()
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
        assert {"placed": 120} == await statuses(run)
        for row in random.sample(await run.ledger.purchases(), 12):
            what = random.choice([MISSING, DUPLICATE, WRONG_AMOUNT, CANCELLED_THERE])
            plant(world, ProviderName(row["provider"]), what, row)
            planted.add((what, row["order_id"], row["slot"]))
        faults = Faults.parse("error_before=0.05,truncated=0.05")
        for provider in PROVIDERS:
            world.sandbox._lines[provider]._draws = Draws(faults, provider, seed)
        found = [await audited(run, provider) for provider in PROVIDERS]
        findings = [finding for each, _ in found for finding in each]
        assert [False] * 3 == [bool(tally.halted) for _, tally in found]
        assert planted == {(each.finding, each.order, each.slot) for each in findings}
        assert 12 == len(findings)


@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_nothing_is_found_after_faults_that_placing_has_dealt_with(new_world, seed):
    """Many were sent again, and nothing tells them apart: still each record is somebody's."""
    orders = [sold(number, contact=None) for number in range(1, 41)]
    world = new_world(orders=orders, faults="rough,hang=0", seed=seed, metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
        assert {"placed": 120} == await statuses(run)
        world.sandbox.calm()
        for provider in PROVIDERS:
            findings, tally = await audited(run, provider, repair=True)
            assert ([], 40, 0, NOT_HALTED) == (findings, tally.agreed, tally.not_ours, tally.halted)


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_pages_that_shift_give_no_finding(new_world, provider):
    """What a page hides is looked up; what comes twice is one purchase; a list without an end ends the audit."""
    world = a_world(new_world, provider, 1150 if provider is ONECLICK else 230)
    async with world.run() as run:
        await bought(world, run, provider)
        for seed in range(5):
            world.sandbox._lines[provider]._draws = Draws(Faults.parse("shifting_pages=1"), provider, seed)
            findings, tally = await audited(run, provider)
            assert [] == findings
            assert not tally.halted or "no end" in str(tally.halted)
            assert provider is CNAUGHT or not tally.halted
        assert world.sandbox.status()[provider]["faults"]["shifting_pages"]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_of_two_purchases_the_later_one_is_cancelled_on_demand_and_the_ledger_keeps_the_earlier(
    new_world, provider
):
    """Here the ledger held the earlier one all along: the intent is in it before, the outcome after; then all agree."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        ref = buy(world, provider, metadata_of(row))
        [finding], tally = await audited(run, provider, repair=True)
        assert (DUPLICATE, f"{ref} is cancelled", "", 0) == (
            finding.finding,
            finding.repaired,
            finding.to_do,
            tally.remaining,
        )
        assert [row["ref"]] == standing(world, row)
        assert [f"bought twice: about to cancel {ref}", f"bought twice: {ref} is cancelled"] == (
            await details_of(run, "WR-2")
        )[-2:]
        assert ([], {"placed": 3}) == ((await audited(run, provider, repair=True))[0], await statuses(run))


class Killed(BaseException):
    """The process is killed."""


class KilledAt(httpx.AsyncBaseTransport):
    """Ends the process at a request whose path says so, before or after the provider has it."""

    def __init__(self, world, word, *, arrives):
        self._world, self._inner, self._word, self._arrives = world, world.carrier, word, arrives
        world.carrier = self

    async def handle_async_request(self, request):
        if self._word not in request.url.path:
            return await self._inner.handle_async_request(request)
        self._world.carrier = self._inner
        if self._arrives:
            await self._inner.handle_async_request(request)
        raise Killed


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_cancellation_that_was_cut_off_is_finished_by_the_next_repair(new_world, provider, arrives):
    """Whether the provider had the request or not: one cancellation, and one line of the story for each step."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        ref = buy(world, provider, metadata_of(row))
    KilledAt(world, "cancel", arrives=arrives)
    with pytest.raises(Killed):
        async with world.run() as run:
            await audited(run, provider, repair=True)
    async with world.run() as run:
        assert f"bought twice: about to cancel {ref}" == (await details_of(run, "WR-2"))[-1]
        looked, _ = await audited(run, provider)
        assert ([] if arrives else [DUPLICATE]) == [each.finding for each in looked]
        [finding], tally = await audited(run, provider, repair=True)
        assert (f"{ref} is cancelled", 0, [row["ref"]]) == (finding.repaired, tally.remaining, standing(world, row))
        assert 1 == (await details_of(run, "WR-2")).count(f"bought twice: about to cancel {ref}")
        assert f"bought twice: {ref} is cancelled" == (await details_of(run, "WR-2"))[-1]
        assert [] == (await audited(run, provider, repair=True))[0]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_two_repairs_at_once_cancel_once(new_world, provider):
    """Cancelling what is cancelled changes nothing, and the story has each line once."""
    world = a_world(new_world, provider, latency_s=0.2)
    async with world.run() as one, world.run() as other:
        _, row, _ = await bought(world, one, provider)
        ref = buy(world, provider, metadata_of(row))
        await asyncio.gather(*(audited(run, provider, repair=True) for run in (one, other)))
        story = await details_of(one, "WR-2")
        assert [row["ref"]] == standing(world, row)
        assert [1, 1] == [
            story.count(f"bought twice: {step}") for step in (f"about to cancel {ref}", f"{ref} is cancelled")
        ]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_duplicate_is_not_cancelled_where_the_recorded_purchase_does_not_stand(new_world, provider):
    """Or nothing would be left: a person must choose."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        cancel(world, provider, row["ref"])
        ref = buy(world, provider, metadata_of(row))
        await audited(run, provider, repair=True)
        assert [ref] == standing(world, row)


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_duplicate_is_not_cancelled_where_the_recorded_purchase_has_a_wrong_amount(new_world, provider):
    """Which of the two should stand is for a person."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        change(world, provider, row["ref"])
        ref = buy(world, provider, metadata_of(row))
        findings, tally = await audited(run, provider, repair=True)
        assert ({DUPLICATE, WRONG_AMOUNT}, 2) == ({each.finding for each in findings}, tally.remaining)
        assert {row["ref"], ref} == set(standing(world, row))
        [duplicate] = [each for each in findings if each.finding is DUPLICATE]
        assert "Not repaired" in duplicate.to_do


@in_virtual_time
async def test_an_account_that_cannot_cancel_is_told_so(new_world):
    """The duplicate stands, and a person is told why."""
    world = a_world(new_world, ONECLICK, extras=False)
    async with world.run() as run:
        _, row, _ = await bought(world, run, ONECLICK)
        buy(world, ONECLICK, metadata_of(row))
        [finding], tally = await audited(run, ONECLICK, repair=True)
        assert (1, None, 2) == (tally.remaining, finding.repaired, len(standing(world, row)))
        assert "does not have cancel_impact" in finding.to_do


@pytest.mark.parametrize("completed", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_cancellation_there_is_recorded_on_demand(new_world, provider, completed):
    """Also of what was complete."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        if completed:
            world.clock.turn(days=40)
            await track(run, provider, everything=True)
        cancel(world, provider, row["ref"])
        [finding], tally = await audited(run, provider, repair=True)
        assert (CANCELLED_THERE, "marked as cancelled", 0) == (finding.finding, finding.repaired, tally.remaining)
        assert {"completed" if completed else "placed": 2, "cancelled": 1} == await statuses(run)
        assert [] == (await audited(run, provider))[0]


@pytest.mark.parametrize("what", [MISSING, WRONG_AMOUNT])
@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_loss_and_a_wrong_amount_are_never_repaired(new_world, provider, what):
    """Neither the ledger nor the provider is changed."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        plant(world, provider, what, row)
        before = await run.ledger.changes(), world.purchases
        [finding], tally = await audited(run, provider, repair=True)
        assert (None, 1) == (finding.repaired, tally.remaining)
        assert before == (await run.ledger.changes(), world.purchases)


async def sent_in_vain(world, run, provider):
    """Sent, with no answer that could be read; the first order's row."""
    await world.plan(run)
    await sweep(run, provider)
    world.sandbox.calm()
    row = (await run.ledger.story("WR-1"))["placements"][0]
    return {"order_id": "WR-1", "key": row["key"], "slot": row["slot"]}


@pytest.mark.parametrize("provider", [CNAUGHT, ONECLICK])
@in_virtual_time
async def test_a_purchase_that_came_too_late_is_found_and_recorded_on_demand(new_world, provider):
    """It is waiting to be bought again: once recorded it is not."""
    world = a_world(new_world, provider, 1, faults="lost_request=1")
    async with world.run() as run:
        row = await sent_in_vain(world, run, provider)
        await run.ledger.move(await doubt_ended(run, provider))
        ref = buy(world, provider, metadata_of(row))
        [finding], tally = await audited(run, provider)
        assert (EXTRA, ref, None, 1) == (finding.finding, finding.ref, finding.recorded_ref, tally.remaining)
        [finding], tally = await audited(run, provider, repair=True)
        assert ("recorded as bought", 0) == (finding.repaired, tally.remaining)
        await work(run, provider)
        assert ({"placed": 1}, [ref]) == (await statuses(run), standing(world, row))
        assert [] == (await audited(run, provider))[0]


async def doubt_ended(run, provider):
    """The verdict that a doubt had no effect."""
    until = run.clock.now() + timedelta(seconds=60)
    [doubt] = await run.ledger.claim_doubts(Claim(provider, "acme", run.id, run.clock.now(), until, exclusive=False))
    return Move(doubt, Status.IN_DOUBT, Status.PLANNED, run.clock.now(), run.id, due_at=until)


@in_virtual_time
async def test_of_two_purchases_that_nobody_recorded_one_is_kept_and_one_is_cancelled(new_world):
    """On demand; without it, the one is extra and the other a duplicate."""
    world = a_world(new_world, ONECLICK, 1, faults="lost_answer=1")
    async with world.run() as run:
        row = await sent_in_vain(world, run, ONECLICK)
        buy(world, ONECLICK, metadata_of(row))
        await work(run, ONECLICK)
        assert {"parked": 1} == await statuses(run)
        findings, _ = await audited(run, ONECLICK)
        assert [EXTRA, DUPLICATE] == [each.finding for each in findings]
        assert "impactflow settle WR-1 trees --as bought" in findings[0].to_do
        _, tally = await audited(run, ONECLICK, repair=True)
        assert (0, {"placed": 1}, 1) == (tally.remaining, await statuses(run), len(standing(world, row)))


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_purchase_of_a_key_that_the_ledger_does_not_know_is_extra(new_world, provider):
    """Another ledger made it, or this one was restored from an older backup: nothing is done about it."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        await bought(world, run, provider)
        ref = buy(world, provider, {"order_id": "WR-77", "impactflow_key": "impactflow77"})
        [finding], tally = await audited(run, provider, repair=True)
        assert (EXTRA, "WR-77", None, ref, 1) == (
            finding.finding,
            finding.order,
            finding.slot,
            finding.ref,
            tally.remaining,
        )
        assert "restored" in finding.to_do


@in_virtual_time
async def test_a_purchase_of_a_key_at_the_wrong_provider_is_a_duplicate_for_a_person(new_world):
    """The policy was changed, and somebody bought it there by hand: nothing is cancelled."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        row, *_ = await bought(world, run, ONECLICK)
        ref = buy(world, CNAUGHT, metadata_of(row))
        [finding], tally = await audited(run, CNAUGHT, repair=True)
        assert (DUPLICATE, "WR-1", ref, 1) == (finding.finding, finding.order, finding.ref, tally.remaining)
        assert "one at oneclickimpact" in finding.to_do
        assert 2 == len(standing(world, row))


@in_virtual_time
async def test_what_somebody_cancelled_of_ours_beside_the_recorded_purchase_is_no_finding(new_world):
    """Nothing of it stands."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        _, row, _ = await bought(world, run, ONECLICK)
        cancel(world, ONECLICK, buy(world, ONECLICK, metadata_of(row)))
        assert [] == (await audited(run, ONECLICK))[0]


@in_virtual_time
async def test_what_the_ledger_cancelled_and_the_provider_did_not_is_extra(new_world):
    """It is still paid for; a person cancels it there."""
    world = a_world(new_world, CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        [(placement, _), *_] = await run.ledger.placed(CNAUGHT, "acme", due_by=None, after=0, limit=9)
        await run.ledger.move(Move(placement, Status.PLACED, Status.CANCELLED, run.clock.now(), run.id))
        [finding], tally = await audited(run, CNAUGHT, repair=True)
        assert (EXTRA, "WR-1", 1) == (finding.finding, finding.order, tally.remaining)
        assert "cancel it at the provider" in finding.to_do


@in_virtual_time
async def test_what_may_explain_a_parked_placement_is_found_although_it_names_nobody(new_world):
    """Both purchases that look like it, in one finding with the command that settles it."""
    world = a_world(new_world, ONECLICK, 1, faults="lost_answer=1", metadata="ignored")
    async with world.run() as run:
        await sent_in_vain(world, run, ONECLICK)
        buy(world, ONECLICK)
        buy(world, ONECLICK, quantity=7)
        await work(run, ONECLICK)
        assert {"parked": 1} == await statuses(run)
        [finding], tally = await audited(run, ONECLICK, repair=True)
        assert (EXTRA, "WR-1", 1) == (finding.finding, finding.order, tally.remaining)
        assert ", ".join(each["ref"] for each in world.purchases[:2]) == finding.ref
        assert "one of them" in finding.to_do
        assert "impactflow settle WR-1 trees --as bought --ref REF" in finding.to_do


async def test_what_was_parked_for_another_amount_is_not_to_be_settled_as_bought(new_world):
    """That would be refused; what to do instead is said."""
    world = a_world(new_world, ONECLICK, 1, faults="wrong_amount=1")
    async with world.run() as run:
        await bought(world, run, ONECLICK)
        assert {"parked": 1} == await statuses(run)
        [finding], _ = await audited(run, ONECLICK)
        assert EXTRA == finding.finding
        assert "cancel it at the provider, then impactflow settle WR-1 trees --as not-bought" in finding.to_do


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_a_purchase_that_arrives_after_the_settling_time_is_found(new_world, metadata):
    """It was sent again meanwhile. Where it names nobody a person decides; a stranger's of another day is nobody's."""
    world = a_world(new_world, ONECLICK, 1, faults="late_effect=1", late_s=1000, metadata=metadata)
    async with world.run() as run:
        row = await sent_in_vain(world, run, ONECLICK)
        world.clock.turn(seconds=31)
        await work(run, ONECLICK)
        world.clock.turn(hours=1)
        assert ({"placed": 1}, 2) == (await statuses(run), len(world.purchases))
        world.clock.turn(days=2)
        buy(world, ONECLICK)
        [finding], tally = await audited(run, ONECLICK, repair=True)
        held = (await run.ledger.purchases())[0]["ref"]
        [late] = [each["ref"] for each in world.purchases[:2] if each["ref"] != held]
        assert (DUPLICATE, "WR-1", late) == (finding.finding, finding.order, finding.ref)
        if metadata == "echo":
            assert ([held], 0) == (standing(world, row), tally.remaining)
        else:
            assert (2, 1) == (len(standing(world, row)), tally.remaining)
            assert "carries no key" in finding.to_do


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_a_purchase_that_a_late_answer_told_of_is_a_duplicate(new_world, metadata):
    """The second one is recorded; the answer to the first came when nobody waited for it any more."""
    world = a_world(new_world, ONECLICK, 1, metadata=metadata)
    async with world.run() as run:
        await world.plan(run)
        now = run.clock.now()
        claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run))
        [first] = await run.ledger.record_and_claim([], claim, 1)
        late = buy(world, ONECLICK, {"order_id": "WR-1", "impactflow_key": first.key})
        world.clock.turn(minutes=2)
        await run.ledger.expire_leases(run.clock.now(), run.id)
        await run.ledger.move(await doubt_ended(run, ONECLICK))
        world.clock.turn(minutes=2)
        now = run.clock.now()
        claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run))
        [second] = await run.ledger.record_and_claim([], claim, 1)
        await run.ledger.record_and_claim([answered(first, late, now)], claim, 0)
        ref = buy(world, ONECLICK, {"order_id": "WR-1", "impactflow_key": first.key})
        await run.ledger.record_and_claim([answered(second, ref, now)], claim, 0)
        [finding], _ = await audited(run, ONECLICK)
        assert (DUPLICATE, late, ref) == (finding.finding, finding.ref, finding.recorded_ref)
        [finding], tally = await audited(run, ONECLICK, repair=True)
        assert ((metadata == "echo"), 0 if metadata == "echo" else 1) == (finding.repaired is not None, tally.remaining)
        row = {"key": first.key}
        # Whichever of them the ledger holds, the later one goes: another ledger would cancel the same one.
        assert ([late] if metadata == "echo" else [late, ref]) == standing(world, row)


def answered(placement, ref, at):
    """The answer to an attempt."""
    return Move(placement, Status.PLACING, Status.PLACED, at, "run-1", due_at=at, receipt=Receipt(ref))


@in_virtual_time
async def test_a_purchase_that_another_placement_took_for_its_own_is_missing_there_and_extra_here(new_world):
    """Each record names its key."""
    world = a_world(new_world, ONECLICK, 2)
    async with world.run() as run:
        one, two = await bought(world, run, ONECLICK)
        with run.ledger._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE placements SET ref = 'gone' WHERE key = ?", (one["key"],))
            connection.exec_driver_sql("UPDATE placements SET ref = ? WHERE key = ?", (one["ref"], two["key"]))
        findings, _ = await audited(run, ONECLICK, repair=True)
        assert {("missing", "WR-1"), ("missing", "WR-2"), ("duplicate", "WR-1"), ("duplicate", "WR-2")} == {
            (each.finding, each.order) for each in findings
        }
        assert [one["ref"]] == standing(world, one)
        assert [two["ref"]] == standing(world, two)


@in_virtual_time
async def test_purchases_that_share_a_name_agree(new_world):
    """The number behind it is ours; in the records both have the same."""
    world = a_world(new_world, ONECLICK, 2, metadata="ignored")
    async with world.run() as run:
        rows = await bought(world, run, ONECLICK)
        api = world.sandbox._lines[ONECLICK].api
        api._own[1].time_utc = api._own[0].time_utc
        with run.ledger._engine.begin() as connection:
            values = (f"{rows[0]['ref']}#2", rows[1]["key"])
            connection.exec_driver_sql("UPDATE placements SET ref = ? WHERE key = ?", values)
        findings, tally = await audited(run, ONECLICK)
        assert ([], 2) == (findings, tally.agreed)


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_sale_that_was_bought_for_under_two_names_is_a_duplicate_for_a_person(new_world, provider):
    """The ledger holds both, so neither is cancelled by itself; once a person has cancelled one, all is well."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        _, row, _ = await bought(world, run, provider)
        assert [] == (await audited(run, provider))[0]
        world.sandbox.shop.orders = [
            sold(number, contact=None, sourceId="1001" if number == 2 else str(1000 + number)) for number in (1, 2, 3)
        ]
        await world.plan(run)
        [finding], tally = await audited(run, provider, repair=True)
        assert (DUPLICATE, "WR-2", row["ref"], 1) == (finding.finding, finding.order, finding.ref, tally.remaining)
        assert "the ledger holds" in finding.to_do
        assert [row["ref"]] == standing(world, row)
        cancel(world, provider, row["ref"])
        assert [CANCELLED_THERE] == [each.finding for each in (await audited(run, provider, repair=True))[0]]
        assert [] == (await audited(run, provider))[0]


@in_virtual_time
async def test_losses_that_share_a_name_are_two(new_world):
    """One for each placement."""
    world = a_world(new_world, ONECLICK, 2, metadata="ignored")
    async with world.run() as run:
        rows = await bought(world, run, ONECLICK)
        with run.ledger._engine.begin() as connection:
            values = (f"{rows[0]['ref']}#2", rows[1]["key"])
            connection.exec_driver_sql("UPDATE placements SET ref = ? WHERE key = ?", values)
        for row in rows:
            lose(world, ONECLICK, row["ref"])
        findings, _ = await audited(run, ONECLICK)
        assert [(MISSING, "WR-1"), (MISSING, "WR-2")] == [(each.finding, each.order) for each in findings]


@pytest.mark.parametrize("answered_in_time", [False, True])
@in_virtual_time
async def test_what_is_placed_while_an_audit_reads_is_no_stranger(new_world, answered_in_time):
    """Its record names nobody, and the ledger knows it only at the end, or not yet."""
    world = a_world(new_world, ONECLICK, 1, faults="lost_request=1", metadata="ignored")
    async with world.run() as run:
        await sent_in_vain(world, run, ONECLICK)
        await run.ledger.move(await doubt_ended(run, ONECLICK))
        world.clock.turn(minutes=2)
        window = choose_window(None, None, today=run.clock.now().date())
        audit = Audit(run.account(ONECLICK, "acme"), window, repair=True)
        suspects = audit._suspects()
        await anext(suspects)  # repairs that were cut off; from here on the audit knows what was sent again
        now = run.clock.now()
        statement = audit._provider.statement

        async def placing_meanwhile(*days):
            claim = Claim(
                ONECLICK, "acme", "run-2", now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run)
            )
            [placement] = await run.ledger.record_and_claim([], claim, 1)
            ref = buy(world, ONECLICK)
            async for record in statement(*days):
                yield record
            if answered_in_time:
                unseen = audit._unseen
                audit._unseen = lambda: recorded(unseen, answered(placement, ref, now), claim)

        async def recorded(unseen, answer, claim):
            await run.ledger.record_and_claim([answer], claim, 0)
            async for page in unseen():
                yield page

        audit._provider.statement = placing_meanwhile
        assert [] == [suspect for more in [each async for each in suspects] for suspect in more]
        assert {"placed" if answered_in_time else "placing": 1} == await statuses(run)
        assert 1 == audit.tally.read


@in_virtual_time
async def test_a_stranger_who_buys_the_like_is_no_finding_where_the_account_returns_metadata(new_world):
    """Also soon after ours was sent again: ours says its key there, so theirs would say it if it were ours."""
    world = a_world(new_world, ONECLICK, 1, faults="lost_request=1")
    async with world.run() as run:
        await sent_in_vain(world, run, ONECLICK)
        world.clock.turn(seconds=31)
        await work(run, ONECLICK)
        buy(world, ONECLICK)
        findings, tally = await audited(run, ONECLICK)
        assert ([], 1, 1) == (findings, tally.agreed, tally.not_ours)


@in_virtual_time
async def test_a_purchase_that_a_person_took_for_not_made_is_found(new_world):
    """It was sent again on their word, and nothing in its record names us: it is theirs to look at once more."""
    world = a_world(new_world, ONECLICK, 1, faults="lost_answer=1", metadata="ignored")
    async with world.run() as run:
        await sent_in_vain(world, run, ONECLICK)
        [doubt] = await run.ledger.claim_doubts(
            Claim(
                ONECLICK,
                "acme",
                run.id,
                run.clock.now(),
                run.clock.now() + timedelta(seconds=60),
                exclusive=False,
                fresh=fresh_of(run),
            )
        )
        await run.ledger.move(Move(doubt, Status.IN_DOUBT, Status.PARKED, run.clock.now(), run.id, "nobody can say"))
        world.clock.turn(hours=1)
        ruling = Ruling("WR-1", "trees", Resolution.NOT_BOUGHT, "ana")
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        await work(run, ONECLICK)
        [finding], tally = await audited(run, ONECLICK, repair=True)
        first, second = (each["ref"] for each in world.purchases)
        assert (DUPLICATE, first, second, 1) == (
            finding.finding,
            finding.ref,
            finding.recorded_ref,
            tally.remaining,
        )


@in_virtual_time
async def test_what_is_in_doubt_is_left_to_settling(new_world):
    """It is counted, and no finding yet."""
    world = a_world(new_world, ONECLICK, faults="lost_answer=1")
    async with world.run() as run:
        await sent_in_vain(world, run, ONECLICK)
        findings, tally = await audited(run, ONECLICK, repair=True)
        assert ([], tally.read) == (findings, tally.unresolved)
        assert tally.read


@in_virtual_time
async def test_only_the_days_asked_for_are_audited(new_world):
    """On both sides; a purchase that was recorded a day after it was made is not missing."""
    world = a_world(new_world, CNAUGHT)
    async with world.run() as run:
        one, two, three = await bought(world, run, CNAUGHT)
        today, tomorrow = START.date().isoformat(), (START + timedelta(days=1)).date().isoformat()
        with run.ledger._engine.begin() as connection:
            values = ((START + timedelta(days=1)).isoformat(timespec="microseconds"), three["key"])
            connection.exec_driver_sql("UPDATE placements SET placed_at = ? WHERE key = ?", values)
        world.clock.turn(days=2)
        lose(world, CNAUGHT, two["ref"])
        findings, tally = await audited(run, CNAUGHT, days=(tomorrow, tomorrow))
        assert ([], 0, 1) == (findings, tally.read, tally.agreed)
        findings, tally = await audited(run, CNAUGHT, days=(today, today))
        assert ([MISSING], 2, 2) == ([each.finding for each in findings], tally.read, tally.agreed)
        assert one["ref"] != findings[0].ref


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_provider_that_is_down_gives_a_reason_and_no_false_loss(new_world, provider):
    """Half a reading proves nothing."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        await bought(world, run, provider)
        world.sandbox._lines[provider]._draws = Draws(Faults.parse("error_before=1"), provider, 0)
        findings, tally = await audited(run, provider)
        assert ([], False) == (findings, tally.halted.unauthorized)
        assert provider in str(tally.halted)


class Forbidding(httpx.AsyncBaseTransport):
    """Lets nobody look a purchase up."""

    def __init__(self, inner):
        self._inner = inner

    async def handle_async_request(self, request):
        if request.url.path.split("/")[-2:-1] == ["orders"] or request.url.path.endswith("/track"):
            return httpx.Response(403, json={"message": "not as things stand"})
        return await self._inner.handle_async_request(request)


@pytest.mark.parametrize("provider", [CNAUGHT, ONECLICK])
@in_virtual_time
async def test_what_may_not_be_looked_up_is_no_loss(new_world, provider):
    """Not even where the statement does not show it."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        [row, *_] = await bought(world, run, provider)
        account = run.provider(provider)
        lose(world, provider, row["ref"])
        run.transport._inner = Forbidding(run.transport._inner)
        with pytest.raises(Forbidden):
            await account.fetch(row["ref"])
        findings, tally = await audited(run, provider)
        assert ([], True) == (findings, "not as things stand" in str(tally.halted))


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_the_loss_of_the_only_purchase_is_found(new_world, provider):
    """One purchase says nothing about the account."""
    world = a_world(new_world, provider, 1)
    async with world.run() as run:
        [row] = await bought(world, run, provider)
        lose(world, provider, row["ref"])
        assert [MISSING] == [each.finding for each in (await audited(run, provider))[0]]


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_the_key_of_another_account_is_no_loss_of_everything(new_world, provider):
    """It knows none of the latest purchases."""
    world = a_world(new_world, provider, 6)
    async with world.run() as run:
        for row in await bought(world, run, provider):
            lose(world, provider, row["ref"])
        findings, tally = await audited(run, provider)
        assert ([], True) == (findings, tally.halted.unauthorized)
        assert "another account" in str(tally.halted)


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_wrong_key_is_no_loss_of_everything(new_world, provider):
    """Nothing can be said then."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        await bought(world, run, provider)
    wrong = type(world.settings.cnaught_api_key)("wrong")
    async with world.run(**{f"{provider}_api_key": wrong}) as run:
        findings, tally = await audited(run, provider)
        assert ([], True) == (findings, tally.halted.unauthorized)


@in_virtual_time
async def test_two_donations_for_one_session_are_a_wrong_amount(new_world):
    """Confirming twice ought to be confirming once."""
    world = a_world(new_world, IMPACTAPI)
    async with world.run() as run:
        _, row, _ = await bought(world, run, IMPACTAPI)
        api = world.sandbox._lines[IMPACTAPI].api
        session = api._sessions._by_id[row["ref"]]
        session.intents += api._intents.give(session.allocations, world.clock.now(), session_id=session.id)
        [finding], _ = await audited(run, IMPACTAPI, repair=True)
        assert (WRONG_AMOUNT, "1.6 USD (donate)", "0.8 USD (donate)") == (finding.finding, finding.there, finding.here)


@in_virtual_time
async def test_a_finding_holds_nothing_personal(new_world):
    """Not even where the purchase was made on behalf of a customer."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)
        [row] = await run.ledger.purchases()
        buy(world, ONECLICK, metadata_of(row), email="customer1@example.com")
        [finding], _ = await audited(run, ONECLICK)
        assert "@" not in str(finding) + str(finding.as_row())


@pytest.mark.parametrize("days", [("2026-03-02", "2026-03-01"), ("yesterday", None)])
def test_days_that_make_no_sense_are_refused(days):
    """As for placing."""
    with pytest.raises(ConfigurationError, match="--from"):
        choose_window(*days, today=START.date())


@in_virtual_time
async def test_cancelled_donations_of_a_refused_kind_do_not_break_the_statement(new_world):
    """What somebody gave directly, without a session, is not ours."""
    world = a_world(new_world, IMPACTAPI)
    async with world.run() as run:
        await bought(world, run, IMPACTAPI)
        ask(
            world,
            IMPACTAPI,
            "POST",
            "/donation_intents",
            [{"campaign_identifier": "trees-for-the-future", "amount": 9}],
        )
        findings, tally = await audited(run, IMPACTAPI)
        assert ([], 3) == (findings, tally.read)
