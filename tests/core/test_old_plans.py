"""Plans that have grown old, orders that come late or change for weeks, refusals that a mended policy cures."""

from datetime import timedelta

import httpx
import pytest
from test_changed_orders import mend, next_run
from virtual_time import START, in_virtual_time
from webhook_senders import shopify_paid
from world import GIVING, OFFSET, TREES, policy_for, policy_of, sold, statuses, sweep

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.buying.options import as_lines, check_options
from impactflow.buying.rulings import Resolution as Ruled
from impactflow.buying.rulings import Ruling, settle
from impactflow.errors import NotSent
from impactflow.intake.deliveries import process
from impactflow.intake.planning import choose_window, plan, preview, unread
from impactflow.models import ProviderName

ONE_TREE, MANY_TREES = TREES, TREES | {"quantity": {"per_order": 100}}


class Billing(httpx.AsyncBaseTransport):
    """A line on which one provider takes nothing, because the last bill is not paid."""

    def __init__(self, inner, part):
        self._inner, self._part = inner, part

    async def handle_async_request(self, request):
        if request.method == "POST" and self._part in str(request.url):
            return httpx.Response(402, json={"message": "The last bill is not paid."}, request=request)
        return await self._inner.handle_async_request(request)


class Down(httpx.AsyncBaseTransport):
    """A line on which Wicked Reports cannot be reached."""

    def __init__(self, inner):
        self._inner = inner

    async def handle_async_request(self, request):
        if "/wickedreports" in str(request.url):
            raise httpx.ConnectError("down")
        return await self._inner.handle_async_request(request)


async def place(world, run, policy=None, days=(None, None)):
    """What the flow does: choose the days, read and plan them, buy."""
    chosen = policy or world.policy
    world.works_under(run, chosen)
    window = await choose_window(run.ledger, chosen, *days, run.clock)
    by_default = days == (None, None)
    planned = await plan(run.ledger, run.order_source(), chosen, window, run.clock, run.id, moves_watermark=by_default)
    await world.place_all(run)
    return window, planned


def dated(number, days_ago, **fields):
    """An order of some days before the world's beginning."""
    at = (START - timedelta(days=days_ago)).isoformat().replace("+00:00", "Z")
    return sold(number, date=at, **fields)


def refund(order):
    """The shop gives the money back."""
    order["payments"] = [{"status": "REFUNDED", "amount": 80}]


def trees(world):
    """How many trees were bought."""
    return sum(purchase["quantity"] for purchase in world.purchases)


async def approve(world, run):
    """A person approves of all that they are asked about."""
    answer = Answer(Decision.APPROVE, "ana", "it still stands")
    asked = await run.ledger.awaiting()
    await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, asked, answer)


@in_virtual_time
async def test_p3_what_a_dry_run_shows_is_what_is_bought_after_weeks(new_world):
    """A hundred trees each, the bill not paid; the policy is mended, three are refunded, their days are long past."""
    world = new_world(orders=[sold(number) for number in range(1, 11)], policy=policy_of(MANY_TREES))
    line, world.carrier = world.carrier, Billing(world.carrier, "/oneclickimpact")
    async with world.run() as run:
        await place(world, run)
        assert "placed" not in await statuses(run)
    world.carrier, mended = line, policy_of(ONE_TREE)
    for order in world.sandbox.shop.orders[:3]:
        refund(order)
    world.clock.turn(days=20)
    async with world.run() as run:
        window = await choose_window(run.ledger, mended, None, None, run.clock)
        would = await preview(run.ledger, run.order_source(), mended, window, run.clock)
        assert {("trees", "oneclickimpact", "tree"): (7, 7)} == would.totals
        await place(world, run, mended)
        assert (7, {"placed": 7, "cancelled": 3}) == (trees(world), await statuses(run))


@in_virtual_time
async def test_p3_what_was_read_long_ago_is_not_sent_by_a_run_that_does_not_read_it(new_world):
    """It waits, and does not keep the run busy."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        world.clock.turn(hours=7)
        await world.place_all(run)
        assert ({"planned": 1}, []) == (await statuses(run), world.purchases)
        assert (1, "impactflow place") == await unread(run.ledger, world.policy, run.clock)
        await place(world, run)
        assert ({"placed": 1}, 0) == (await statuses(run), (await unread(run.ledger, world.policy, run.clock))[0])


@in_virtual_time
async def test_p3_what_was_planned_under_another_policy_is_not_sent(new_world):
    """However lately it was read; reading it again plans it under the present one."""
    world = new_world(orders=[sold(1)], policy=policy_of(MANY_TREES))
    async with world.run() as run:
        await world.plan(run)
        world.works_under(run, policy_of(ONE_TREE))
        await world.place_all(run)
        assert [] == world.purchases
        await place(world, run, policy_of(ONE_TREE))
        assert 1 == trees(world)


@in_virtual_time
async def test_p3_days_that_a_person_chose_leave_what_is_older(new_world):
    """It is not bought; the next run by default reads back to it."""
    world = new_world(orders=[dated(1, 5), dated(2, 0)], policy=policy_of(ONE_TREE))
    async with world.run() as run:
        await world.plan(run)
        world.clock.turn(hours=9)
        today = run.clock.now().date()
        await place(world, run, days=(today, today))
        assert ({"planned": 1, "placed": 1}, 1) == (await statuses(run), trees(world))
        await place(world, run)
        assert 2 == trees(world)


@in_virtual_time
async def test_p3_an_order_that_was_deleted_at_the_shop_awaits_a_person(new_world):
    """Approved, it is bought; listed again, it is planned anew by itself."""
    world = new_world(orders=[sold(1), sold(2), sold(3)], policy=policy_of(ONE_TREE))
    line, world.carrier = world.carrier, Billing(world.carrier, "/oneclickimpact")
    async with world.run() as run:
        await world.plan(run)
        deleted = world.sandbox.shop.orders[:2]
        world.sandbox.shop.orders[:2] = []
        world.clock.turn(hours=1)
        world.carrier = line
    async with world.run() as run:
        await place(world, run)
        assert ({"awaiting_approval": 2, "placed": 1}, 1) == (await statuses(run), trees(world))
        asked = await run.ledger.awaiting()
        assert all("not listed (any more)" in each.reason for each in asked)
        answered = await record_answer(
            run.ledger, run.order_source, world.policy, run.clock, run.id, asked[:1], Answer(Decision.APPROVE, "ana")
        )
        assert 1 == len(answered.done)
        world.clock.turn(hours=1)
        await place(world, run)
        assert 2 == trees(world)
        world.sandbox.shop.orders += deleted
        await place(world, run)
        assert ({"placed": 3}, 3) == (await statuses(run), trees(world))


@in_virtual_time
async def test_p3_a_refunded_order_of_ten_days_ago_is_not_approvable(new_world):
    """Its order is read again first, and the person is told what is true now."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING | {"approve_above": 0}))
    async with world.run() as run:
        await place(world, run)
        asked = await run.ledger.awaiting()
        world.clock.turn(days=10)
        refund(world.sandbox.shop.orders[0])
        answered = await record_answer(
            run.ledger, run.order_source, world.policy, run.clock, run.id, asked, Answer(Decision.APPROVE, "ana")
        )
        assert ([], "cancelled") == (answered.done, answered.now[asked[0].id].partition(":")[0])
        assert "REFUNDED" in answered.in_words()
        await place(world, run)
        assert [] == world.purchases


@in_virtual_time
async def test_p3_nothing_is_approved_while_its_order_cannot_be_read_unless_it_was_within_the_hour(new_world):
    """Wicked Reports is down: what was read half an hour ago may be approved, what was read a day ago not."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING | {"approve_above": 0}))
    async with world.run() as run:
        await place(world, run)
    world.carrier = Down(world.carrier)
    async with world.run() as run:
        [asked] = await run.ledger.awaiting()
        answer = Answer(Decision.APPROVE, "ana")
        world.clock.turn(days=1)
        with pytest.raises(NotSent):
            await record_answer(run.ledger, run.order_source, world.policy, run.clock, run.id, [asked], answer)
        world.clock.turn(days=-1, minutes=30)
        answered = await record_answer(run.ledger, run.order_source, world.policy, run.clock, run.id, [asked], answer)
        assert [asked] == answered.done


@in_virtual_time
async def test_p3_an_open_session_of_another_amount_gives_the_new_one(new_world):
    """ImpactAPI: the confirmation was certainly not sent; the policy gives less by now."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING | {"quantity": {"percent_of_order": 50}}))
    line = world.carrier

    class NoConfirm(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if str(request.url).endswith("/confirm"):
                raise httpx.ConnectError("down")
            return await line.handle_async_request(request)

    world.carrier = NoConfirm()
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ProviderName.IMPACTAPI)
        assert ({"planned": 1}, []) == (await statuses(run), world.purchases)
    world.carrier = line
    async with world.run() as run:
        world.clock.turn(days=1)
        await place(world, run, policy_of(GIVING))
        assert [80] == [purchase["quantity"] for purchase in world.purchases]


@in_virtual_time
async def test_p3_what_webhooks_alone_told_of_awaits_approval_once_it_is_old(new_world):
    """Where nobody reads orders, a purchase that a provider would not take for hours is not left planned for ever."""
    world = new_world(policy=policy_of(TREES))
    async with world.run(wicked_reports_api_key=None) as run:
        for number in (1, 2):
            await shopify_paid(run, number)
            await process(run.ledger, world.policy, run.clock, run.id, alone=True)
            world.clock.turn(hours=4)
        await process(run.ledger, world.policy, run.clock, run.id, alone=True)
        assert {"awaiting_approval": 1, "planned": 1} == await statuses(run)
        [asked] = await run.ledger.awaiting()
        assert asked.reason == "its order is not listed (any more), last told 2026-03-02 12:00 UTC"
        await approve(world, run)
        await world.place_all(run)
        assert {"placed": 2} == await statuses(run)


@pytest.mark.parametrize("is_approved", [False, True])
@in_virtual_time
async def test_p3_what_is_not_listed_any_more_is_bought_as_the_present_policy_earns_it(new_world, is_approved):
    """Whether it was approved under the former one or not, a person is asked about what is earned now."""
    world = new_world(policy=policy_of(MANY_TREES))
    async with world.run() as run:
        world.sandbox.shop.orders = [sold(1)]
        await world.plan(run)
        world.clock.turn(minutes=10)
        world.sandbox.shop.orders = []
        await world.plan(run)
        if is_approved:
            await approve(world, run)
        mend(world, run, ONE_TREE)
        await next_run(world, run)
        [asked] = await run.ledger.awaiting()
        assert (1, True) == (asked.quantity, asked.reason.startswith("its order is not listed (any more)"))
        await approve(world, run)
        await next_run(world, run)
        assert [1] == [each["quantity"] for each in world.purchases]


@in_virtual_time
async def test_p11_a_bank_transfer_that_is_approved_after_nine_days_is_bought(new_world):
    """And so is an order of that day that is listed only then."""
    world = new_world(orders=[sold(1, payments=[{"status": "PENDING"}])], policy=policy_of(ONE_TREE))
    async with world.run() as run:
        await place(world, run)
        for _ in range(9):
            world.clock.turn(days=1)
            await place(world, run)
        assert 0 == trees(world)
        world.sandbox.shop.orders[0]["payments"] = [{"status": "APPROVED"}]
        world.sandbox.shop.orders.append(sold(2))
        world.clock.turn(days=1)
        window, _ = await place(world, run)
        assert (2, True, "once a day the last 60 days" in window.why) == (trees(world), window.watches, True)
        again = await choose_window(run.ledger, world.policy, None, None, run.clock)
        assert 7 == (again.to - again.from_).days


@in_virtual_time
async def test_p11_a_first_run_buys_nothing_older_than_a_week_and_no_later_one_does(new_world):
    """Nor where something of an earlier day waits: days that nobody had read hold nothing new."""
    world = new_world(orders=[dated(number, number) for number in range(1, 31)], policy=policy_of(ONE_TREE))
    async with world.run() as run:
        await place(world, run)
        bought = trees(world)
        assert 7 == bought
        day = (START - timedelta(days=25)).date()
        await plan(
            run.ledger,
            run.order_source(),
            world.policy,
            (await choose_window(run.ledger, world.policy, day, day, run.clock)),
            run.clock,
            run.id,
            moves_watermark=False,
        )
        world.clock.turn(days=1)
        window, _ = await place(world, run)
        assert (day, bought + 1) == (window.from_, trees(world))


@in_virtual_time
async def test_p11_a_reading_that_never_agrees_moves_no_watermark(new_world):
    """An order is sold between any two pages of a thousand."""
    world = new_world(orders=[sold(number) for number in range(1, 5)], policy=policy_of(ONE_TREE))
    line, number = world.carrier, 100

    class Selling(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            nonlocal number
            answer = await line.handle_async_request(request)
            if "/orders" in str(request.url) and "/wickedreports" in str(request.url):
                number += 1
                world.sandbox.shop.orders.append(sold(number))
                body = answer.json()
                body["total"] += 1
                return httpx.Response(200, json=body, headers=answer.headers, request=request)
            return answer

    world.carrier = Selling()
    async with world.run() as run:
        _, planned = await place(world, run)
        assert planned.missing >= 1
        assert None is await run.ledger.watermark("acme", "wickedreports")


@in_virtual_time
async def test_n2_a_wrong_campaign_can_be_mended(new_world):
    """Refused, corrected, settled as not bought: the right one is sent."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING | {"campaign": "tres-for-the-future"}))
    async with world.run() as run:
        await place(world, run)
        assert {"failed": 1} == await statuses(run)
        ruling = Ruling("WR-1", "giving", Ruled.NOT_BOUGHT, "ana")
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        mended = policy_of(GIVING)
        world.works_under(run, mended)
        await world.place_all(run)
        assert [] == world.purchases
        await place(world, run, mended)
        assert {"placed": 1} == await statuses(run)


@in_virtual_time
async def test_n2_a_wrong_campaign_or_portfolio_is_named_before_it_is_bought_with(new_world):
    """With the campaigns nearest to it; what cannot be asked is said, and is nothing wrong."""
    wrong = policy_of(GIVING | {"campaign": "tres-for-the-future"}, OFFSET | {"portfolio_id": "unavailable"}, TREES)
    world = new_world(policy=wrong)
    async with world.run() as run:
        campaign, portfolio = as_lines(await check_options(run.provider, wrong))
        assert "'tres-for-the-future'" in campaign
        assert "nearest: trees-for-the-future" in campaign
        assert "portfolio_id 'unavailable'" in portfolio
        assert [] == await check_options(run.provider, policy_of())
    async with world.run(impactapi_api_key=None) as run:
        [checked] = await check_options(run.provider, policy_of(GIVING))
        assert (None, True) == (checked.wrong, "IMPACTAPI_API_KEY" in str(checked))
