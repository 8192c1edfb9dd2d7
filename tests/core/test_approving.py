"""A person approves, trims or rejects: exactly that is bought, once."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from virtual_time import in_virtual_time
from world import NONE_DIFFER, OFFSET, PATIENCE_S, TREES, differences, policy_for, policy_of, sold, statuses

from impactflow.buying.approval import Answer, Decision, as_rows, ask_about, digest, question, record_answer
from impactflow.errors import ConfigurationError

APPROVE, TRIM, REJECT = Decision
#: Both orders earn more than is bought without asking: 60 and 90 trees; 150 and 225 kg of CO2.
RULES = (
    TREES | {"quantity": {"per_item": 30}, "approve_above": 59},
    OFFSET | {"quantity": {"per_item": 75}, "approve_above": 149},
)


def shop(new_world, *rules, **more):
    """Two orders, of two and of three items."""
    orders = [sold(1), sold(2, products=[{"id": "P1", "name": "Apron", "qty": 3, "PPU": 40}])]
    return new_world(orders=orders, policy=policy_of(*(rules or RULES)), **more)


async def answer(run, decision, at_most=None, *, asked=None, by="ana", why=""):
    """A person's word on all that awaits approval."""
    asked = await run.ledger.awaiting() if asked is None else asked
    at_most = None if at_most is None else Decimal(str(at_most))
    return await record_answer(
        run.ledger, run.order_source, policy_for(run), run.clock, run.id, asked, Answer(decision, by, why, at_most)
    )


def bought(world):
    """Order, provider and quantity of every purchase."""
    return sorted((each["order_id"], each["provider"], each["quantity"]) for each in world.purchases)


@in_virtual_time
async def test_nothing_is_bought_before_and_just_that_after_it_is_approved(new_world):
    """In the units that the providers' books are kept in."""
    world = shop(new_world)
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
        assert [] == world.purchases
        answered = await answer(run, APPROVE)
        assert (4, 0) == (len(answered.done), len(answered.moved_on))
        await world.place_all(run)
        await world.plan(run)
        await world.place_all(run)
        assert [
            ("WR-1", "cnaught", 150_000),
            ("WR-1", "oneclickimpact", 60),
            ("WR-2", "cnaught", 225_000),
            ("WR-2", "oneclickimpact", 90),
        ] == bought(world)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_a_trim_is_in_the_unit_that_is_shown_and_never_buys_more_than_was_earned(new_world):
    """160.5 kg: of 150 kg all, of 225 kg so much."""
    world = shop(new_world, RULES[1])
    async with world.run() as run:
        await world.plan(run)
        await answer(run, TRIM, 160.5)
        await world.place_all(run)
        assert [("WR-1", "cnaught", 150_000), ("WR-2", "cnaught", 160_500)] == bought(world)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_what_is_rejected_is_not_bought_and_needs_nobody_any_more(new_world):
    """Its story says who rejected it and why."""
    world = shop(new_world)
    async with world.run() as run:
        await world.plan(run)
        await answer(run, REJECT, by=" ben ", why="a test order")
        await world.plan(run)
        await world.place_all(run)
        assert ([], {"cancelled": 4}, []) == (world.purchases, await statuses(run), await run.ledger.attention())
        assert "rejected by ben: a test order" == (await run.ledger.story("WR-1"))["placements"][0]["reason"]


@pytest.mark.parametrize("faults", ["lost_answer=0.7", "lost_request=0.7", "rate_limited=0.7"])
@in_virtual_time
async def test_a_trim_survives_whatever_becomes_of_its_attempts(new_world, faults):
    """Lost answers are found, lost requests are sent again: once, and as they were approved."""
    world = shop(new_world, faults=f"oneclickimpact.{faults},cnaught.{faults}", seed=3)
    async with world.run() as run:
        await world.plan(run)
        for each in await run.ledger.awaiting():
            await answer(run, TRIM, 7, asked=[each])
        await world.place_all(run, 20.0)
        world.sandbox.calm()
        await world.plan(run)
        await world.place_all(run, PATIENCE_S)
        assert [7, 7, 7_000, 7_000] == sorted(quantity for _, _, quantity in bought(world))
        assert NONE_DIFFER == await differences(world, run)


PROBLEMS = {
    "by: say who decides": (Answer(APPROVE, "  "), RULES),
    "at_most: say how much": (Answer(TRIM, "ana"), RULES),
    "it belongs to trim": (Answer(APPROVE, "ana", at_most=Decimal(5)), RULES),
    "belongs to trim": (Answer(REJECT, "ana", at_most=Decimal(5)), RULES),
    "kg CO2 and trees cannot be trimmed together": (Answer(TRIM, "ana", at_most=Decimal(5)), RULES),
    "the least that can be bought is 1 tree": (Answer(TRIM, "ana", at_most=Decimal("0.9")), RULES[:1]),
    "the least that can be bought is 0.001 kg CO2": (Answer(TRIM, "ana", at_most=Decimal(-1)), RULES[1:]),
    "the least that can be bought": (Answer(TRIM, "ana", at_most=Decimal("NaN")), RULES[1:]),
}


@pytest.mark.parametrize("message", PROBLEMS)
@in_virtual_time
async def test_what_cannot_be_done_is_said_and_changes_nothing(new_world, message):
    """All of it awaits approval as before."""
    wrong, rules = PROBLEMS[message]
    world = shop(new_world, *rules)
    async with world.run() as run:
        await world.plan(run)
        asked = await run.ledger.awaiting()
        with pytest.raises(ConfigurationError, match=message):
            await record_answer(run.ledger, run.order_source, world.policy, run.clock, run.id, asked, wrong)
        assert asked == await run.ledger.awaiting()


@in_virtual_time
async def test_what_was_sent_before_is_approved_as_it_is_or_rejected(new_world):
    """Its provider may know the key, and would take less of it for a mistake."""
    world = shop(new_world, RULES[1])
    async with world.run() as run:
        await world.plan(run)
        with run.ledger._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE placements SET attempts = 1")
        with pytest.raises(ConfigurationError, match="approve all of it or reject"):
            await answer(run, TRIM, 100)
        await answer(run, TRIM, 225)
        await world.place_all(run)
        assert [150_000, 225_000] == sorted(quantity for _, _, quantity in bought(world))


@in_virtual_time
async def test_of_two_people_who_decide_at_once_one_is_heard_about_each(new_world):
    """The other is told what had moved on."""
    world = shop(new_world)
    async with world.run() as one, world.run() as other:
        await world.plan(one)
        asked = await one.ledger.awaiting()
        both = await asyncio.gather(answer(one, APPROVE, asked=asked), answer(other, REJECT, asked=asked, by="ben"))
        assert [4, 4] == [len(each.done) + len(each.moved_on) for each in both]
        assert 4 == sum(len(each.done) for each in both)
        await world.place_all(one)
        assert {(each.order, each.provider.value) for each in both[0].done} == {row[:2] for row in bought(world)}


@in_virtual_time
async def test_an_order_that_was_edited_after_it_was_approved_is_asked_about_anew(new_world):
    """Only the second answer counts."""
    world = shop(new_world, RULES[0])
    async with world.run() as run:
        await world.plan(run)
        await answer(run, APPROVE)
        world.sandbox.shop.orders[0]["products"][0]["qty"] = 4
        await world.plan(run)
        await world.place_all(run)
        assert [("WR-2", "oneclickimpact", 90)] == bought(world)
        await answer(run, TRIM, 100)
        await world.place_all(run)
        assert [("WR-1", "oneclickimpact", 100), ("WR-2", "oneclickimpact", 90)] == bought(world)


@in_virtual_time
async def test_the_question_tells_what_would_be_bought_and_nobody_s_address(new_world):
    """In all and one by one; the rest in a table."""
    world = shop(new_world)
    world.sandbox.shop.orders += [sold(number) for number in range(10, 40)]
    async with world.run() as run:
        await world.plan(run)
        asked = await run.ledger.awaiting()
        text = question(asked)
        assert "4875 kg CO2 (offset) from cnaught, 1950 trees (plant_trees) from oneclickimpact?" in text
        assert "- order WR-1, slot trees: 60 trees (plant_trees), above the approval limit of 59 trees" in text
        assert "and 44 more: the artifact awaiting-approval lists them all" in text
        rows = list(as_rows(asked))
        assert (64, Decimal(150), "kg CO2") == (len(rows), rows[1]["quantity"], rows[1]["unit"])
        assert "@" not in text + str(rows)


@in_virtual_time
async def test_a_question_is_the_same_only_while_everything_in_it_is(new_world):
    """A form that somebody filled in counts for just what it showed."""
    world = shop(new_world)
    async with world.run() as run:
        await world.plan(run)
        asked = await run.ledger.awaiting()
        assert digest(asked) == digest(await run.ledger.awaiting())
        world.clock.turn(seconds=1)
        world.sandbox.shop.orders[0]["products"][0]["qty"] = 4
        await world.plan(run)
        changed = await run.ledger.awaiting()
        asked_anew = [replace(asked[0], reason="it may be order WR-2, too"), *asked[1:]]
        assert len({digest(asked), digest(changed), digest(asked[1:]), digest([]), digest(asked_anew)}) == 5


@in_virtual_time
async def test_one_is_asked_about_by_order_and_slot(new_world):
    """What does not await approval is told as what it is."""
    world = shop(new_world)
    async with world.run() as run:
        await world.plan(run)
        asked = await ask_about(run.ledger, "src:shopify:1002", "trees")
        assert ("WR-2", 90) == (asked.order, asked.quantity)
        await answer(run, APPROVE, asked=[asked])
        with pytest.raises(ConfigurationError, match="'trees' is planned: only what awaits approval"):
            await ask_about(run.ledger, "WR-2", "trees")
        with pytest.raises(ConfigurationError, match="no placement in slot 'flowers'"):
            await ask_about(run.ledger, "WR-2", "flowers")


@pytest.mark.parametrize("name", ["WR-1", "wr:WR-1", "shopify:1001", "src:shopify:1001"])
@in_virtual_time
async def test_an_order_is_asked_about_by_any_of_its_names(new_world, name):
    """With or without the prefix, as it is shown by them."""
    world = shop(new_world)
    async with world.run() as run:
        await world.plan(run)
        assert "WR-1" == (await ask_about(run.ledger, name, "trees")).order


@in_virtual_time
async def test_p14_an_order_of_two_stores_is_not_guessed(new_world):
    """One of them would be bought without having been approved."""
    world = shop(new_world)
    async with world.run() as run:
        await world.plan(run)
        await world.plan(run, policy_of(*RULES, store="other"))
        with pytest.raises(ConfigurationError, match="the stores acme, other"):
            await ask_about(run.ledger, "WR-1", "trees")
