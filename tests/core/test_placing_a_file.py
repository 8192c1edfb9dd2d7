"""Orders of a file are bought for once, beside whatever webhooks and Wicked Reports tell of the same sales."""

from datetime import timedelta
from itertools import permutations

import pytest
from virtual_time import START, in_virtual_time
from webhook_senders import shopify_paid, taken_up
from world import GIVING, NONE_DIFFER, TREES, differences, fresh_of, policy_of, sold, statuses

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.errors import ConfigurationError
from impactflow.intake.planning import SOURCE, plan, preview
from impactflow.ledger import Fresh

HEADER = "order_id,ordered_at,amount,currency,item_count,payment_status,source_system"
SOLD_AT = (START - timedelta(hours=1)).isoformat()


def line(number, *, amount="80.00", status="paid", at=SOLD_AT, system="shopify"):
    """The sale that ``world.sold`` makes of this number, as a line of a file."""
    return f"{1000 + number},{at},{amount},USD,2,{status},{system}"


@pytest.fixture
def shop_file(tmp_path):
    """Writes lines below the header, and gives the path."""

    def write(*lines):
        path = tmp_path / "orders.csv"
        path.write_text("\n".join((HEADER, *lines)) + "\n")
        return str(path)

    return write


def source_of(run, path):
    """The file, with the window of all its days; looked through anew, as each run does."""
    run._files.clear()
    return run.orders_file(path), run.orders_file(path).window(None, None, run.clock.now().date())


async def plan_file(world, run, path, policy=None):
    """Plan a file, as the flow does."""
    source, window = source_of(run, path)
    world.works_under(run, policy or world.policy)
    return await plan(run.ledger, source, policy or world.policy, window, run.clock, run.id, moves_watermark=True)


async def preview_file(world, run, path):
    """What placing a file would buy."""
    source, window = source_of(run, path)
    return await preview(run.ledger, source, world.policy, window, run.clock)


async def bought(world, run):
    """Place everything; what was bought, by order and provider."""
    await world.place_all(run)
    assert NONE_DIFFER == await differences(world, run)
    return sorted((each["order_id"], each["provider"]) for each in world.purchases)


@in_virtual_time
async def test_a_file_is_bought_for_once_without_a_key_of_wicked_reports(new_world, shop_file):
    """However often it is placed; what counts is what each order says."""
    world = new_world(settings={"wicked_reports_api_key": None})
    path = shop_file(line(1), line(2, status="refunded"), line(3, status="pending"), line(4))
    expected = [
        (f"shopify:{order}", name) for order in (1001, 1004) for name in ("cnaught", "impactapi", "oneclickimpact")
    ]
    for new in (4, 0):
        async with world.run() as run:
            run.require_keys({rule.provider for rule in world.policy.rules}, path)
            planned = await plan_file(world, run, path)
            assert (4, new, 2) == (planned.read, planned.new, planned.eligible)
            assert expected == await bought(world, run)


@pytest.mark.parametrize("order", list(permutations(("file", "webhook", "wicked reports"))))
@pytest.mark.parametrize("placed_between", [True, False])
@in_virtual_time
async def test_a_sale_that_is_told_in_three_ways_is_bought_for_once(new_world, shop_file, order, placed_between):
    """In whichever order they tell of it."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES))
    async with world.run() as run:
        for reporter in order:
            match reporter:
                case "file":
                    await plan_file(world, run, shop_file(line(1)))
                case "webhook":
                    await shopify_paid(run, 1)
                    await taken_up(world, run)
                case "wicked reports":
                    await world.plan(run)
            if placed_between:
                await world.place_all(run)
        assert 1 == len(await bought(world, run))


@in_virtual_time
async def test_a_file_moves_no_watermark_and_takes_nothing_from_what_it_leaves_out(new_world, shop_file):
    """It is no listing of all orders of its days."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        marks = [await run.ledger.watermark("acme", f"{SOURCE}{mark}") for mark in ("", " watch", " begins")]
        await world.clock.sleep(3 * 3600)
        path = shop_file(line(2), line(3, at="2020-01-01"))
        foreseen = await preview_file(world, run, path)
        await plan_file(world, run, path)
        assert {"planned": 3} == await statuses(run)
        assert marks == [await run.ledger.watermark("acme", f"{SOURCE}{mark}") for mark in ("", " watch", " begins")]
        assert 3 == foreseen.placements == len(await bought(world, run))


@in_virtual_time
async def test_a_file_that_is_placed_first_does_not_begin_what_wicked_reports_has_read(new_world, shop_file):
    """Or a later run would take its old orders for new."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        await plan_file(world, run, shop_file(line(1, at="2025-01-01")))
        for mark in ("", " watch", " begins"):
            assert await run.ledger.watermark("acme", f"{SOURCE}{mark}") is None


@in_virtual_time
async def test_a_preview_shows_what_placing_the_file_buys_where_an_order_is_told_twice(new_world, shop_file):
    """On two pages of the plan, too: the last line counts."""
    rows = [line(number) for number in range(1100)]
    path = shop_file(line(0), *rows[1:], line(0, amount="200.00"), line(5, status="cancelled"))
    world = new_world(policy=policy_of({**GIVING, "approve_above_per_day": "unlimited"}))
    async with world.run() as run:
        foreseen = await preview_file(world, run, path)
        planned = await plan_file(world, run, path)
        assert (1100, 1099, 1099, 0) == (planned.read, planned.eligible, planned.placements, planned.beyond_day)
        assert {"planned": 1099} == await statuses(run)
        assert {("giving", "impactapi", "usd_cent"): (1099, 1098 * 80 + 200)} == foreseen.totals


@in_virtual_time
async def test_broken_lines_are_kept_until_the_file_is_mended(new_world, shop_file):
    """A line that names its order until that is read; one that names none until it is mended, or gone."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        planned = await plan_file(world, run, shop_file(line(1), line(2, amount="80,00"), line(3, status="?"), line(4)))
        assert (4, 2, 2) == (planned.read, planned.broken, planned.placements)
        known = {row["name"]: row["problem"] for row in await run.ledger.broken()}
        assert {"orders.csv line 3", "shopify:1003"} == set(known)
        assert known["shopify:1003"].startswith("orders.csv line 4: field payment_status: write one of ")

        await world.clock.sleep(60)
        await plan_file(world, run, shop_file(line(1), line(3), line(5, system="unknown")))
        assert ["orders.csv line 4"] == [row["name"] for row in await run.ledger.broken()]
        await world.clock.sleep(60)
        await plan_file(world, run, shop_file(line(1)))
        assert 0 == await run.ledger.broken_count()
        assert 3 == len(await bought(world, run))


@in_virtual_time
async def test_c17_a_person_may_place_old_orders_but_none_before_the_policys_first_day(new_world, shop_file):
    """``at_most_days_old`` is about what webhooks tell."""
    path = shop_file(line(1, at="2020-05-05"), line(2, at="2020-05-04T23:59:59Z"))
    world = new_world(policy=policy_of(TREES, not_before="2020-05-05", at_most_days_old=60))
    async with world.run() as run:
        planned = await plan_file(world, run, path)
        assert (2, 1) == (planned.read, planned.eligible)
        assert [("shopify:1001", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_reading_the_file_again_counts_as_reading(new_world, shop_file):
    """What was planned a day before is sent only then, and as the file tells it by now."""
    world = new_world(policy=policy_of(TREES))
    async with world.run() as run:
        path = shop_file(line(1), line(2))
        await plan_file(world, run, path)
        await world.clock.sleep(24 * 3600)
        assert [] == await bought(world, run)
        waiting = Fresh.at(world.policy.digest, run.clock.now())
        assert 2 == (await run.ledger.unread("acme", waiting))[0]

        await plan_file(world, run, shop_file(line(1), line(2, status="refunded")))
        assert 0 == (await run.ledger.unread("acme", fresh_of(run)))[0]
        assert [("shopify:1001", "oneclickimpact")] == await bought(world, run)


@in_virtual_time
async def test_what_awaits_approval_is_approved_within_the_hour_without_wicked_reports(new_world, shop_file):
    """Later the message names the file."""
    world = new_world(policy=policy_of({**TREES, "approve_above": 0}), settings={"wicked_reports_api_key": None})
    async with world.run() as run:
        path = shop_file(line(1))
        await plan_file(world, run, path)
        answer = Answer(Decision.APPROVE, "ann")

        async def approve():
            asked = await run.ledger.awaiting("shopify:1001", "trees")
            return await record_answer(run.ledger, run.order_source, world.policy, run.clock, run.id, asked, answer)

        await world.clock.sleep(2 * 3600)
        with pytest.raises(ConfigurationError, match="impactflow place --orders FILE"):
            await approve()
        await plan_file(world, run, path)
        assert 1 == len((await approve()).done)
        assert [("shopify:1001", "oneclickimpact")] == await bought(world, run)
