"""P17: what exceeds a ceiling, for one order or for one day, is bought only once a person has approved it."""

from decimal import Decimal

from virtual_time import in_virtual_time
from world import GIVING, OFFSET, TREES, policy_of, sold

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.intake.planning import plan, preview
from impactflow.ledger import Status
from impactflow.models import ProviderName
from impactflow.reports.files import Reported
from impactflow.reports.summary import LedgerState, Outcome
from impactflow.window import Window

#: A slip: a price in another unit, and as many items.
SLIP = {"amount": 90_000_000, "products": [{"id": "P1", "name": "Apron", "qty": 1_000_000, "PPU": 90}]}
PER_ITEM = TREES | {"quantity": {"per_item": 1}}


async def planned(world, run):
    """Plan the last days, and say what it came to."""
    today = world.clock.now().date()
    world.works_under(run, world.policy)
    window = Window(today, today, open_ended=True)
    source = run.order_source()
    return await plan(run.ledger, source, world.policy, window, run.clock, run.id, moves_watermark=True)


async def outcome(run, plans):
    """How things stand, as a run tells it."""
    counts = await run.ledger.counts()
    return Outcome(plans, LedgerState(counts, counts), {}, requests=0, duration_s=0, report=Reported("", None, ()))


@in_virtual_time
async def test_p17_an_order_of_90_million_usd_and_a_million_items_buys_nothing_without_a_yes(new_world):
    """Under a policy that says nothing of ceilings; the reason names the ceiling and how to raise it."""
    world = new_world(orders=[sold(1, **SLIP), sold(2)], policy=policy_of(PER_ITEM, OFFSET, GIVING))
    async with world.run() as run:
        await planned(world, run)
        await world.place_all(run)
        asked = await run.ledger.awaiting()
        assert {"WR-1"} == {each.order for each in asked}
        assert {
            "trees": "1000000 trees (plant_trees), above the default ceiling of 500 trees for one order",
            "offset": "2500000 kg CO2 (offset), above the default ceiling of 5000 kg CO2 for one order",
            "giving": "900000 USD (donate), above the default ceiling of 500 USD for one order",
        } == {each.slot: each.reason.partition(":")[0] for each in asked}
        assert all("set the rule's approve_above" in each.reason for each in asked)
        assert ["giving"] == [each.slot for each in asked if each.reason.endswith(" (in cents)")]
    assert ["WR-2"] * 3 == [purchase["order_id"] for purchase in world.purchases]


@in_virtual_time
async def test_p17_what_is_planned_beyond_the_ceiling_of_a_day_waits_for_a_person(new_world):
    """However many pages and runs plan it; it is loud in the summary, and the run is not done."""
    rule = TREES | {"approve_above_per_day": 100}
    world = new_world(orders=[sold(number) for number in range(300)], policy=policy_of(rule))
    async with world.run() as run:
        plans = await planned(world, run)
        world.sandbox.shop.orders += [sold(number) for number in range(300, 310)]
        await planned(world, run)
        await world.place_all(run)
        asked = await run.ledger.awaiting()
        summary = await outcome(run, plans)
    assert (100, 200) == (len(world.purchases), plans.beyond_day)
    assert summary.undone
    assert "A ceiling for one day was reached: 200 placements beyond it wait for a person" in summary.in_words()
    assert {"1 tree (plant_trees), beyond the day's ceiling of 100 trees: approve it, or raise the rule's"} == {
        each.reason.removesuffix(" approve_above_per_day") for each in asked
    }


@in_virtual_time
async def test_p17_what_waits_for_the_day_is_bought_once_approved_and_not_otherwise(new_world):
    """A new day has room of its own, and takes nothing up that waits for a person."""
    world = new_world(
        orders=[sold(number) for number in range(3)], policy=policy_of(TREES | {"approve_above_per_day": 1})
    )
    async with world.run() as run:
        await planned(world, run)
        (first, _) = await run.ledger.awaiting()
        await record_answer(
            run.ledger, run.order_source, world.policy, run.clock, run.id, [first], Answer(Decision.APPROVE, "Ann")
        )
        await world.place_all(run)
        assert 2 == len(world.purchases)
        await world.clock.sleep(86_400)
        await planned(world, run)
        world.sandbox.shop.orders.append(sold(9, date=world.clock.now().isoformat()))
        await planned(world, run)
        await world.place_all(run)
    assert 3 == len(world.purchases)


@in_virtual_time
async def test_p17_planning_the_same_again_counts_once(new_world):
    """Another policy plans every order anew: the day's ceiling is not used up by that."""
    world = new_world(
        orders=[sold(number) for number in range(3)], policy=policy_of(TREES | {"approve_above_per_day": 3})
    )
    async with world.run() as run:
        await planned(world, run)
        world.policy = policy_of(TREES | {"approve_above_per_day": 3, "minimum": 1})
        plans = await planned(world, run)
        await world.place_all(run)
    assert (0, 3) == (plans.beyond_day, len(world.purchases))


@in_virtual_time
async def test_p17_each_slot_has_a_ceiling_of_its_own_and_a_raised_one_takes_up_what_waits(new_world):
    """Trees are at theirs, offsets are not; the policy that raises it plans what it did not leave room for."""
    orders = [sold(number) for number in range(4)]
    world = new_world(orders=orders, policy=policy_of(TREES | {"approve_above_per_day": 2}, OFFSET))
    async with world.run() as run:
        await planned(world, run)
        await world.place_all(run)
        assert (2, 4) == tuple(
            sum(row["provider"] == name for row in world.purchases)
            for name in (ProviderName.ONECLICKIMPACT, ProviderName.CNAUGHT)
        )
        world.policy = policy_of(TREES | {"approve_above_per_day": Decimal(4)}, OFFSET)
        await planned(world, run)
        await world.place_all(run)
    assert 8 == len(world.purchases)


@in_virtual_time
async def test_p17_a_dry_run_over_many_pages_equals_the_run_with_a_ceiling_of_a_day(new_world):
    """What earlier pages would have planned counts for the later ones, and what was planned today for all."""
    rule = TREES | {"approve_above_per_day": 1_200}
    world = new_world(orders=[sold(number) for number in range(100)], policy=policy_of(rule))
    today = world.clock.now().date()
    window = Window(today, today, open_ended=True)
    async with world.run() as run:
        await planned(world, run)
        world.sandbox.shop.orders += [sold(number) for number in range(100, 2_300)]
        would = await preview(run.ledger, run.order_source(), world.policy, window, run.clock)
        await planned(world, run)
        counts = await run.ledger.counts()
    trees = ProviderName.ONECLICKIMPACT
    assert (1_200, 1_100) == (would.placements, would.awaiting_approval)
    assert (1_200, 1_100) == tuple(counts[trees, status] for status in (Status.PLANNED, Status.AWAITING_APPROVAL))
