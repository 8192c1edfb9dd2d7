"""What a sender tells in fields of its own is bought for once, also where its mapping was wrong at first."""

from typing import Any

from virtual_time import in_virtual_time
from webhook_senders import deliver
from world import GIVING, NONE_DIFFER, TREES, differences, policy_of, sold, statuses

from impactflow.intake.deliveries import process
from impactflow.intake.senders.mapping import NO_SENDERS, Senders
from impactflow.ledger import Dismissal

PAID = {"means": "paid", "source_id": "data.id", "amount": "data.net_amount", "currency": "data.currency"}
REFUNDED = {
    "means": "refunded",
    "source_id": "data.id",
    "amount": "data.refunded_amount",
    "currency": "data.currency",
    "full": {"path": "data.status", "equals": "refunded"},
}


def senders(**paid: Any) -> Senders:
    """Polar's mapping, with fields of what is paid changed."""
    topics = {"order.paid": PAID | paid, "order.refunded": REFUNDED}
    return Senders.model_validate({"senders": {"polar": {"minor": True, "topics": topics}}})


RIGHT, WRONG, WRONG_ID = senders(), senders(amount="data.total"), senders(source_id="data.customer")


async def polar(run, number, topic="order.paid", **fields):
    """Polar tells of a sale for 80 USD."""
    data = {"id": f"o{number}", "customer": {"id": "c1"}, "net_amount": 8000, "currency": "usd", "status": "paid"}
    return await deliver(run, "polar", topic, {"type": topic, "data": data | fields}, f"{topic}-{number}")


async def taken_up(world, run, by):
    return await process(run.ledger, world.policy, run.clock, run.id, by)


async def bought(world, run):
    """Place everything; what was bought, by order and provider."""
    await world.place_all(run)
    assert NONE_DIFFER == await differences(world, run)
    return sorted((each["order_id"], each["provider"]) for each in world.purchases)


@in_virtual_time
async def test_c18_a_sale_of_a_mapped_sender_is_bought_for_once(new_world):
    """Told twice and listed by Wicked Reports as well, under the name that the mapping gives; not if refunded."""
    world = new_world(orders=[sold(1, sourceSystem="Polar", sourceId="o1")], policy=policy_of(TREES, GIVING))
    async with world.run() as run:
        await polar(run, 1)
        await polar(run, 2)
        await polar(run, 2, "order.refunded", status="refunded", refunded_amount=8000)
        await taken_up(world, run, RIGHT)
        await world.plan(run)

        assert [("polar:o1", "impactapi"), ("polar:o1", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_c18_a_mended_mapping_reads_what_the_earlier_one_could_not(new_world):
    """By itself, at the next run; the list of what could not be read is empty then, whatever it called the order."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await polar(run, 1)
        for wrong, listed_as in ((WRONG, "polar:o1"), (WRONG_ID, "polar delivery order.paid-1"), (WRONG, "polar:o1")):
            assert (1, 1) == ((taken := await taken_up(world, run, wrong)).deliveries, taken.planned.broken)
            assert 0 == (await taken_up(world, run, wrong)).deliveries
            assert [listed_as] == [each["name"] for each in await run.ledger.broken()]
        assert [] == await bought(world, run)

        assert (1, 1) == ((taken := await taken_up(world, run, RIGHT)).deliveries, taken.planned.eligible)
        assert (0, 0) == (await run.ledger.broken_count(), (await taken_up(world, run, RIGHT)).deliveries)
        await taken_up(world, run, WRONG)  # what was read is not read again
        assert [("polar:o1", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_c18_what_a_mapping_that_is_mended_days_later_reads_awaits_approval(new_world):
    """As any sale that only a webhook told of, and long ago; a refund that came meanwhile holds."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await polar(run, 1)
        await polar(run, 2)
        await taken_up(world, run, WRONG)
        world.clock.turn(days=3)
        await polar(run, 2, "order.refunded", status="refunded", refunded_amount=8000)
        await taken_up(world, run, WRONG)
        await taken_up(world, run, RIGHT)
        assert [] == await bought(world, run)
        await world.plan(run)

        assert {"awaiting_approval": 1} == await statuses(run)
        assert ["polar:o1"] == [each["order_id"] for each in await run.ledger.attention()]


@in_virtual_time
async def test_c18_a_flow_that_does_not_know_the_sender_loses_nothing(new_world):
    """The receiver was given the file of senders, the flow was not: an order that could not be read, and later is."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await polar(run, 1)
        await taken_up(world, run, NO_SENDERS)
        [broken] = await run.ledger.broken()
        assert "IMPACTFLOW_SENDERS" in broken["problem"]

        await taken_up(world, run, RIGHT)
        assert [("polar:o1", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_c18_what_a_person_has_dismissed_is_not_read_again_until_the_sender_tells_of_it_anew(new_world):
    """Nobody expects a purchase for what was dismissed."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await polar(run, 1)
        await taken_up(world, run, WRONG)
        await run.ledger.dismiss(Dismissal("polar:o1", "ana", "a test", run.clock.now()))
        assert 0 == (await taken_up(world, run, RIGHT)).deliveries
        assert 0 == await run.ledger.broken_count()
        assert {} == await statuses(run)

        await deliver(run, "polar", "order.paid", {"data": {"id": "o1", "net_amount": 8000, "currency": "usd"}}, "anew")
        await taken_up(world, run, RIGHT)
        assert [("polar:o1", "oneclickimpact")] == await bought(world, run)
        assert ["ana"] == [each["by"] for each in (await run.ledger.story("polar:o1"))["dismissed"]]


@in_virtual_time
async def test_a_test_order_is_read_again_by_a_mapping_that_does_not_call_it_one(new_world):
    """Not bought for, and not listed either, so that its body has to be kept."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await polar(run, 1)
        await taken_up(world, run, senders(test={"path": "data.status", "equals": "paid"}))
        assert (0, []) == (await run.ledger.broken_count(), await bought(world, run))

        await taken_up(world, run, RIGHT)
        assert [("polar:o1", "oneclickimpact")] == await bought(world, run)
