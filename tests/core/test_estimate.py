"""Estimates: what a policy would have bought over past orders is what it does buy; nothing is written to find out."""

from decimal import Decimal

import httpx
import pytest
from virtual_time import in_virtual_time
from world import GIVING, OFFSET, TREES, policy_of, sold

from impactflow.intake.estimate import difference, estimate
from impactflow.window import Window

WINDOW = Window.parse("2026-02-01", "2026-03-03", today=None, watermark=None)
PRICED = TREES | {"price_usd": Decimal("0.8")}, OFFSET | {"price_usd": Decimal("0.05")}, GIVING
ANA = {"email": "ana@example.com"}


class ReadOnly(httpx.AsyncBaseTransport):
    """Refuses every request that may change something."""

    def __init__(self, inner):
        self._inner = inner

    async def handle_async_request(self, request):
        assert request.method == "GET", f"{request.method} {request.url}"
        return await self._inner.handle_async_request(request)


async def estimated(world, *policies):
    """The orders that were read, and an estimate for each policy; no request writes, and there is no ledger."""
    world.carrier = ReadOnly(world.carrier)
    async with world.run() as run:
        return await estimate(run.order_source(), WINDOW, policies)


def bought(world):
    """What the providers' books hold, by provider: purchases and quantity."""
    sums = {}
    for purchase in world.purchases:
        count, quantity = sums.get(purchase["provider"], (0, 0))
        sums[purchase["provider"]] = count + 1, quantity + purchase["quantity"]
    return sums


@pytest.mark.parametrize(
    "orders",
    [
        [],
        [sold(1)],
        [sold(1), sold(2, payments=[{"status": "REFUNDED"}]), sold(3, payments=[{"status": "PENDING"}])],
        [sold(number) for number in range(1, 9)],
        [sold(1), sold(1), sold(2)],
    ],
    ids=["none", "one", "refunded and unpaid", "many", "listed twice"],
)
@in_virtual_time
async def test_an_estimate_is_what_is_bought(new_world, orders):
    """By the providers' own books, after the policy has really bought."""
    world = new_world(orders=orders, policy=policy_of(*PRICED))
    carrier = world.carrier
    reading, [each] = await estimated(world, world.policy)
    world.carrier = carrier
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
    found = {line.provider.value: (line.placements, line.quantity) for line in each.lines if line.placements}
    assert bought(world) == found
    assert len({order["id"] for order in orders}) == reading.orders


@pytest.mark.parametrize("is_first", [True, False])
@in_virtual_time
async def test_a_customers_first_order_is_the_earliest_of_the_window(new_world, is_first):
    """In whatever order they are listed, refunded or not; an order without an address is neither first nor later."""
    rule = TREES | {"when": {"first_order": is_first}}
    orders = [
        sold(1, date="2026-03-01T10:00:00Z", contact=ANA),
        sold(2, date="2026-02-28T10:00:00Z", contact=ANA),
        sold(3, date="2026-02-27T10:00:00Z", contact=ANA, payments=[{"status": "REFUNDED"}]),
        sold(4, date="2026-03-01T11:00:00Z", contact=None),
        sold(5, date="2026-03-01T12:00:00Z", contact={"email": "ben@example.com"}),
    ]
    world = new_world(orders=orders, policy=policy_of(rule))
    carrier = world.carrier
    _, [each] = await estimated(world, world.policy)
    world.carrier = carrier
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
    assert [len(world.purchases)] == [line.placements for line in each.lines]


@in_virtual_time
async def test_costs_are_the_rules_prices_and_the_donations_themselves(new_world):
    """To the cent; without a price nothing is said, and then nothing of the whole."""
    world = new_world(orders=[sold(number) for number in range(1, 4)])
    _, [priced, unpriced] = await estimated(world, policy_of(*PRICED), policy_of(TREES, GIVING))
    trees, offset, giving = priced.lines
    assert (3, Decimal("2.40")) == (trees.quantity, trees.cost_usd)
    assert (15_000, Decimal("0.75")) == (offset.quantity, offset.cost_usd)
    assert Decimal(giving.quantity) / 100 == giving.cost_usd
    assert sum(line.cost_usd for line in priced.lines) == priced.cost_usd
    assert (None, None) == (unpriced.lines[0].cost_usd, unpriced.cost_usd)
    assert {
        "trees": (0, None),
        "giving": (0, Decimal(0)),
        "offset": (15_000, Decimal("0.75")),
    } == difference(priced, unpriced)
    assert (-15_000, Decimal("-0.75")) == difference(unpriced, priced)["offset"]


@in_virtual_time
async def test_what_would_wait_for_a_person_is_counted(new_world):
    """What is above a limit is part of the quantity, what is held has none; broken orders are none."""
    rules = TREES | {"approve_above": 0}, GIVING
    orders = [sold(1, currency="XXX"), sold(2), sold(3, products="none")]
    world = new_world(orders=orders)
    reading, [each] = await estimated(world, policy_of(*rules))
    trees, giving = each.lines
    assert (2, 1) == (reading.orders, reading.broken)
    assert (2, 2, 2, 0) == (trees.placements, trees.quantity, trees.await_approval, trees.held)
    assert (1, 1) == (giving.placements, giving.held)


def test_a_price_changes_no_digest():
    """It says what a purchase costs, not what is bought: no order is planned anew because of it."""
    assert policy_of(TREES).digest == policy_of(PRICED[0]).digest
