"""What a test of credit does: change an order, sell more, and have a seller refuse to cancel."""

from planting import ONECLICK
from refunding import one_pass, read_again, struck
from test_hold import next_run
from world import TREES, sold

IN_PART = {"eligible_payments": ["APPROVED", "Partially Refunded"], "refunds": {"full": "undo", "partial": "pro_rata"}}
MONEY = TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 10}}}
#: A payment of which a part was given back.
PARTLY = [{"date": "2026-03-02T12:00:00", "status": "Partially Refunded", "amount": 80}]
BACK = [{"date": "2026-03-02T12:00:00", "status": "REFUNDED", "amount": 80}]


def changed(world, number, **fields):
    """The shop reports something else of an order."""
    world.sandbox.shop.orders[number - 1] = sold(number, **fields)


def grown(world, *numbers, **fields):
    """The shop sells more."""
    world.sandbox.shop.orders.extend(sold(number, **fields) for number in numbers)


async def refuse(world, run, provider=ONECLICK):
    """The provider says no to what is to be cancelled, twice, so that it counts."""
    struck(world, provider, "refused=1")
    for _ in range(2):
        world.clock.turn(seconds=200)
        await read_again(world, run)
        await one_pass(run, provider)
    world.sandbox._lines[provider].calm()


async def give_back(world, run, *numbers):
    """Buy, give orders' money back, and have the seller refuse: what was bought for them is credit."""
    await next_run(world, run)
    for number in numbers:
        changed(world, number, payments=BACK)
    await refuse(world, run)
