"""Planning: what was read is planned before the watermark moves; a preview writes nothing."""

from datetime import date

import httpx
import pytest
from virtual_time import START, in_virtual_time
from world import OFFSET, TREES, policy_of, sold, statuses

from impactflow.errors import ConfigurationError, NotSent
from impactflow.intake.planning import SOURCE, choose_window, plan, preview
from impactflow.sandbox import generate_orders
from impactflow.window import Window

WEEK = Window(date(2026, 2, 23), date(2026, 3, 2), open_ended=True)


async def planned(run, policy, window=WEEK, *, moves_watermark=True):
    """Plan a window, and what was reported on the way."""
    reports = []
    result = await plan(
        run.ledger,
        run.order_source(),
        policy,
        window,
        run.clock,
        run.id,
        moves_watermark=moves_watermark,
        report=reports.append,
    )
    return result, reports


@in_virtual_time
async def test_orders_of_all_pages_are_planned_and_the_watermark_moves(new_world):
    """Two thousand orders, each once; progress is told page by page."""
    world = new_world(orders=generate_orders(2_000, 3, START), policy=policy_of(TREES))
    async with world.run() as run:
        result, reports = await planned(run, world.policy)
        assert (2_000, 2_000, result) == (result.read, result.new, reports[-1])
        assert result.eligible == result.placements == sum((await statuses(run)).values())
        assert len(reports) > 1
        assert WEEK.to == await run.ledger.watermark("acme", SOURCE)


@in_virtual_time
async def test_a_window_that_a_person_chose_does_not_move_the_watermark(new_world):
    """Or the next run would take the days between for read."""
    world = new_world(orders=[sold(1)])
    async with world.run() as run:
        await planned(run, world.policy, moves_watermark=False)
        assert None is await run.ledger.watermark("acme", SOURCE)


@in_virtual_time
async def test_a_page_that_cannot_be_read_leaves_the_watermark(new_world):
    """What was planned before stands, and the next run reads it all again without buying anew."""
    world = new_world(orders=generate_orders(2_500, 3, START), policy=policy_of(TREES))
    carrier, pages = world.carrier, 0

    class Breaking(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            nonlocal pages
            pages += 1
            if pages > 1:
                raise httpx.ConnectError("down")
            return await carrier.handle_async_request(request)

    world.carrier = Breaking()
    async with world.run() as run:
        with pytest.raises(NotSent):
            await planned(run, world.policy)
        some = sum((await statuses(run)).values())
        assert None is await run.ledger.watermark("acme", SOURCE)
        world.carrier = carrier
    async with world.run() as run:
        result, _ = await planned(run, world.policy)
        assert some > 0
        assert result.eligible == sum((await statuses(run)).values())


@in_virtual_time
async def test_broken_orders_do_not_stop_the_others(new_world):
    """Remembered with what is wrong, and gone once they are mended."""
    world = new_world(orders=[sold(1), {"id": "WR-2", "date": "soon"}, 7, sold(3)], policy=policy_of(TREES))
    async with world.run() as run:
        result, _ = await planned(run, world.policy)
        assert ((4, 2, 2), {"planned": 2}, 2) == (
            (result.read, result.broken, result.placements),
            await statuses(run),
            await run.ledger.broken_count(),
        )
        world.sandbox.shop.orders[1:3] = [sold(2)]
        await planned(run, world.policy)
        assert {"planned": 3} == await statuses(run)
        names = [row["name"] for row in await run.ledger.broken()]
        assert "WR-2" not in names


@in_virtual_time
async def test_a_preview_tells_what_a_run_would_buy_and_writes_nothing(new_world):
    """Totals, lines, what would be held; what is planned already is still to be bought."""
    rules = (TREES, {**OFFSET, "when": {"min_amount_usd": 20}})
    orders = [sold(1), sold(2, currency="XXX"), sold(3, payments=None), {"id": "WR-4", "date": "soon"}]
    world = new_world(orders=orders, policy=policy_of(*rules))
    async with world.run() as run:
        would = await preview(run.ledger, run.order_source(), world.policy, WEEK, run.clock)
        assert (4, 2, 1, 3, 1) == (would.read, would.eligible, would.broken, would.placements, would.held)
        assert {
            ("trees", "oneclickimpact", "tree"): (2, 2),
            ("offset", "cnaught", "g"): (1, 5000),
        } == would.totals
        assert ({}, 0, None) == (
            await statuses(run),
            await run.ledger.broken_count(),
            await run.ledger.watermark("acme", SOURCE),
        )
        await planned(run, world.policy)
        again = await preview(run.ledger, run.order_source(), world.policy, WEEK, run.clock)
        assert (3, 1, 0, would.lines) == (again.placements, again.held, again.new, again.lines)


@in_virtual_time
async def test_the_window_follows_the_watermark(new_world):
    """A week before it; before the first run, a week before today."""
    world = new_world()
    async with world.run() as run:
        assert (date(2026, 2, 23), date(2026, 3, 2)) == _days(
            await choose_window(run.ledger, world.policy, None, None, run.clock)
        )
        await run.ledger.advance_watermark("acme", SOURCE, date(2026, 2, 20), today=date(2026, 2, 20))
        assert (date(2026, 2, 13), date(2026, 3, 2)) == _days(
            await choose_window(run.ledger, world.policy, None, None, run.clock)
        )
        chosen = await choose_window(run.ledger, world.policy, date(2026, 1, 1), date(2026, 1, 9), run.clock)
        assert (date(2026, 1, 1), date(2026, 1, 9)) == _days(chosen)
        with pytest.raises(ConfigurationError, match="days in order"):
            await choose_window(run.ledger, world.policy, date(2026, 1, 9), date(2026, 1, 1), run.clock)


def _days(window):
    return window.from_, window.to


@in_virtual_time
async def test_a_preview_tells_what_would_await_approval(new_world):
    """It is neither bought nor held; its line says so."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES | {"approve_above": 0}, OFFSET | {"approve_above": 5}))
    async with world.run() as run:
        would = await preview(run.ledger, run.order_source(), world.policy, WEEK, run.clock)
        assert (1, 0, 1) == (would.placements, would.held, would.awaiting_approval)
        assert [("trees", True), ("offset", False)] == [(line["slot"], line["needs_approval"]) for line in would.lines]


@in_virtual_time
async def test_an_order_whose_id_is_an_address_is_told_to_nobody_by_it(new_world):
    """Sellers, keys and the ledger's public columns hold a digest; the shop's own id still finds the order."""
    world = new_world(orders=[sold(1, id="ana@example.com", sourceId="", sourceSystem=None)])
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
        story = await run.ledger.story("ana@example.com")
    assert story is not None
    assert 3 == len(world.purchases)
    assert {story["order"]} == {purchase["order_id"] for purchase in world.purchases}
    assert "@" not in story["order"]


@pytest.mark.parametrize("known", [False, True])
@in_virtual_time
async def test_a_dry_run_shows_a_sale_that_is_listed_on_two_pages_once(new_world, known):
    """Whether it is in the ledger already or not."""
    world = new_world(orders=[sold(1), sold(1, id="WR-1-again")], policy=policy_of(TREES), page_items=1)
    async with world.run() as run:
        if known:
            await world.plan(run)
        would = await preview(run.ledger, run.order_source(), world.policy, WEEK, run.clock)
        assert 1 == would.placements


@in_virtual_time
async def test_a_dry_run_says_why_orders_would_earn_nothing(new_world):
    """By slot and reason; an order that does not count has no slot."""
    rule = TREES | {"when": {"not_products": {"gift_cards": True}}}
    orders = [sold(1, products=None), sold(2, products=None), sold(3, payments=[{"status": "FAILED"}]), sold(4)]
    world = new_world(orders=orders, policy=policy_of(rule))
    async with world.run() as run:
        would = await preview(run.ledger, run.order_source(), world.policy, WEEK, run.clock)
        assert 1 == would.placements
        assert [(("trees", "the order lists no products"), 2)] == would.not_earned.most_common(1)
        assert 3 == would.not_earned.total()
