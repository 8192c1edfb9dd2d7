"""Credit among all else that happens: cancelled lots, doubts, joined sales, other ledgers, edited policies."""

from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from crediting import BACK, IN_PART, MONEY, PARTLY, changed, give_back, grown, refuse
from planting import ONECLICK, buy, cancel
from pooling import balance
from pooling import bought as quantities
from refunding import UNDO, one_pass, purchases_of, read_again, struck
from test_adoption import adopt, another
from test_changed_orders import mend
from test_hold import next_run
from test_pools_disturbed import answered
from test_settling import Losing
from virtual_time import in_virtual_time
from webhook_senders import shopify_paid, shopify_refund
from world import GIVING, NONE_DIFFER, TREES, differences, sold, statuses, track

from impactflow.buying.approval import Decision
from impactflow.ledger import Status, placement_key


@asynccontextmanager
async def covering(credited, rule=MONEY):
    """A run in which three of the eight trees of the first order were given back, and cover the second one."""
    world = credited(rule, orders=[sold(1)], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=PARTLY)
        grown(world, 2, amount=30)
        await next_run(world, run)
        assert [8] == quantities(world)
        yield world, run


async def runs(world, run, count=2):
    """Some more runs, a day apart; the sums agree after each."""
    for _ in range(count):
        world.clock.turn(days=1)
        await next_run(world, run)
        assert all(each.holds for each in await run.ledger.balances())


async def cancelled_by_the_seller(world, run, quantity):
    """The seller takes the purchase of this quantity back, and tracking sees it."""
    [ref] = [each["ref"] for each in world.purchases if each["quantity"] == quantity]
    world.clock.turn(seconds=200)
    cancel(world, ONECLICK, ref)
    world.clock.turn(days=1)
    await track(run, ONECLICK, everything=True)


@in_virtual_time
async def test_what_a_seller_took_back_of_a_rest_is_no_credit(credited):
    """Only what the order's own purchase has left over is: what was never bought covers no one."""
    async with covering(credited) as (world, run):
        changed(world, 1)
        await next_run(world, run)
        await cancelled_by_the_seller(world, run, 3)
        changed(world, 1, payments=BACK)
        grown(world, 3)
        await runs(world, run)
        stands = sum(each["quantity"] for each in world.purchases if not each["cancelled"])
        assert (stands, 0) == ((found := await balance(run)).allocated, found.credit)
        assert stands == 3 + 8


@in_virtual_time
async def test_a_rest_that_a_person_rejects_is_no_credit(credited):
    """As above."""
    world = credited(MONEY | {"approve_above": 8}, orders=[sold(1), sold(2)], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        for number in (1, 2):
            changed(world, number, amount=30, payments=PARTLY)
        grown(world, 3, 4, amount=50)
        await next_run(world, run)
        for number in (1, 2):
            changed(world, number)
        await next_run(world, run)
        await answered(world, run, Decision.REJECT)
        changed(world, 1, payments=BACK)
        grown(world, 5)
        await runs(world, run)
        assert sum(quantities(world)) >= 3 + 5 + 5 + 8


@in_virtual_time
async def test_the_order_has_its_purchase_again_beside_what_was_taken_back(credited):
    """What the seller took back stays with the order; the sums agree."""
    async with covering(credited) as (world, run):
        changed(world, 1)
        await next_run(world, run)
        await cancelled_by_the_seller(world, run, 3)
        changed(world, 2, amount=30, payments=BACK)
        await next_run(world, run)
        changed(world, 1, amount=79)
        await runs(world, run)


@in_virtual_time
async def test_a_rest_in_doubt_that_no_order_is_owed_any_more_is_not_sent_again(credited):
    """It turns out not to have been bought after the order was refunded in part once more."""
    world = credited(MONEY, orders=[sold(1)], **IN_PART)
    losing = Losing(world, "", effect=False)
    losing.over()
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=PARTLY)
        grown(world, 2, amount=30)
        await next_run(world, run)
        changed(world, 1)
        losing.again()
        await next_run(world, run, patience_s=0.0)
        changed(world, 1, amount=50, payments=PARTLY)
        await world.plan(run)
        losing.over()
        await runs(world, run, 3)
        assert [8] == quantities(world)


@in_virtual_time
async def test_a_rest_that_waits_is_not_bought_for_an_order_that_is_refunded_by_now(credited):
    """Though its own purchase was taken back by its seller meanwhile."""
    async with covering(credited) as (world, run):
        changed(world, 1)
        struck(world, ONECLICK, "rate_limited=1")
        await next_run(world, run, patience_s=0.0)
        world.sandbox._lines[ONECLICK].calm()
        await cancelled_by_the_seller(world, run, 8)
        changed(world, 1, payments=BACK)
        await runs(world, run, 3)
        assert [8] == quantities(world)


@in_virtual_time
async def test_a_rest_is_credit_after_the_refund_of_an_order_whose_own_purchase_was_taken_back(credited):
    """It stands, and no order is owed it."""
    async with covering(credited) as (world, run):
        changed(world, 1)
        await next_run(world, run)
        await cancelled_by_the_seller(world, run, 8)
        changed(world, 1, payments=BACK)
        await next_run(world, run)
        assert (await balance(run)).credit == 3


@in_virtual_time
async def test_a_sale_that_has_another_purchase_is_owed_no_other_one(credited):
    """Two orders turn out to be one sale: the purchase that credit was taken of is not made up for."""
    world = credited(TREES, orders=[sold(1), sold(2, sourceId="5000000000001")])
    async with world.run() as run:
        await give_back(world, run, 1)
        grown(world, 3)
        await next_run(world, run)
        changed(world, 1)
        await shopify_paid(run, 1)
        await runs(world, run, 3)
        assert [1, 1] == quantities(world)


@in_virtual_time
async def test_a_covered_order_that_turns_out_to_be_a_sale_with_a_purchase_is_covered_no_more(credited):
    """Its part is credit again."""
    world = credited(TREES, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        grown(world, 2)
        await next_run(world, run)
        grown(world, 3, sourceId="5000000000002", contact=None)
        await next_run(world, run)
        await shopify_paid(run, 2)
        await runs(world, run)
        assert Status.COVERED not in await statuses(run)


@pytest.mark.parametrize("buys", [{}, {"buy": {"at_least": 1}}], ids=["for one", "for many"])
@in_virtual_time
async def test_a_sale_that_has_a_part_of_a_purchase_may_be_told_of_twice(credited, buys):
    """A person is asked, as about a sale with a purchase of its own."""
    world = credited(TREES | buys, orders=[sold(1)])
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, payments=BACK)
        if not buys:
            await refuse(world, run)
        grown(world, 2, sourceId="EN5002-B")
        await next_run(world, run)
        before = quantities(world)
        await shopify_paid(run, 2, email="customer2@example.com")
        await runs(world, run)
        assert before == quantities(world)
        assert (await statuses(run))[Status.AWAITING_APPROVAL] == 1


@pytest.mark.parametrize("change", ["rule", "keep", "rate"])
@in_virtual_time
async def test_an_edit_of_the_policy_changes_nothing_of_what_was_bought(credited, change):
    """What an order is owed after a refund of a part goes by the policy that saw the refund."""
    fx = {"as_of": "2026-03-01", "usd_per": {"EUR": Decimal("1.16")}}
    rule = GIVING if change == "rate" else MONEY
    world = credited(rule, orders=[sold(1, currency="EUR")], fx=fx, **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, currency="EUR", amount=50, payments=PARTLY)
        grown(world, 2, currency="EUR", amount=30)
        await next_run(world, run)
        before = quantities(world)
        rules = {**IN_PART, "fx": fx}
        match change:
            case "rule":
                rule = rule | {"quantity": {"per_amount": {"quantity": 1, "per": 5}}}
            case "keep":
                rules["refunds"] = {"full": "undo"}
            case "rate":
                rules["fx"] = {"as_of": "2026-03-02", "usd_per": {"EUR": Decimal("1.20")}}
        mend(world, run, rule, **rules)
        await runs(world, run)
        assert before == quantities(world)


@in_virtual_time
async def test_a_policy_that_begins_to_undo_frees_what_a_refunded_order_was_covered_with(credited):
    """As it undoes refunds of the weeks before."""
    world = credited(TREES, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        grown(world, 2)
        await next_run(world, run)
        mend(world, run, TREES)
        changed(world, 2, payments=BACK)
        await next_run(world, run)
        mend(world, run, TREES, **UNDO)
        await runs(world, run)
        assert (await balance(run)).credit == 1


@pytest.mark.parametrize(("more", "rest"), [({"notify": True}, [3, 8]), ({"minimum": 5}, [3, 8])])
@in_virtual_time
async def test_an_order_that_is_paid_again_is_bought_for_whatever_the_rule_says_by_now(credited, more, rest):
    """Also where the rule takes no credit any more, or buys nothing as small as the rest."""
    async with covering(credited) as (world, run):
        changed(world, 1)
        mend(world, run, MONEY | more, **IN_PART)
        await runs(world, run, 3)
        assert rest == sorted(quantities(world))


@in_virtual_time
async def test_two_credits_cover_one_order(credited):
    """If one of them alone would leave less than the least purchase."""
    world = credited(MONEY | {"minimum": 5}, orders=[sold(1), sold(2)], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        for number in (1, 2):
            changed(world, number, amount=50, payments=PARTLY)
        grown(world, 3, amount=60)
        await runs(world, run)
        assert [8, 8] == quantities(world)


@in_virtual_time
async def test_credit_with_a_fraction_is_used_as_far_as_whole_units_go(credited):
    """What a purchase for many leaves over covers orders that are bought for one by one since."""
    rule = MONEY | {"quantity": {"per_amount": {"quantity": 1, "per": 30}}}
    orders = [sold(1, amount=50), sold(2, amount=40)]
    world = credited(rule | {"buy": {"at_least": 1}, "rounding": "carry"}, orders=orders, **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=BACK)
        await next_run(world, run)
        mend(world, run, rule, **IN_PART)
        grown(world, 3, amount=120)
        grown(world, 4, amount=30)
        await runs(world, run)
        assert sum(quantities(world)) == 3 + 4
        assert 0 < (await balance(run)).credit < 1


@in_virtual_time
async def test_what_was_bought_of_another_kind_covers_no_order(credited):
    """Trees that feed people are not the others."""
    async with covering(credited) as (world, run):
        changed(world, 1, payments=BACK)
        mend(world, run, MONEY | {"category": "food"}, **IN_PART)
        grown(world, 3, amount=50)
        await runs(world, run)
        assert [8, 5] == quantities(world)
        assert (await balance(run)).credit == 5


@in_virtual_time
async def test_what_others_have_is_not_left_open(credited):
    """It is credited for good."""
    async with covering(credited) as (world, run):
        changed(world, 1, payments=BACK)
        for _ in range(3):
            world.clock.turn(seconds=200)
            await read_again(world, run)
            await one_pass(run, ONECLICK)
        assert (0, 1) == ((found := await purchases_of(run)).open, found.credited)


@in_virtual_time
async def test_a_new_ledger_uses_the_rest_that_it_adopts(credited, tmp_path):
    """For the orders of the time before, and buys nothing."""
    async with covering(credited) as (world, run):
        changed(world, 1)
        await next_run(world, run)
    assert [3, 8] == sorted(quantities(world))
    world.clock.turn(days=1)
    async with world.run(**another(tmp_path)) as run:
        await adopt(world, run)
        await runs(world, run, 3)
        assert [3, 8] == sorted(quantities(world))
        assert NONE_DIFFER == await differences(world, run)


@pytest.mark.parametrize("taken_back", [False, True])
@in_virtual_time
async def test_a_covered_order_that_another_ledger_has_bought_for_is_covered_no_more(credited, taken_back):
    """What covered it is credit again; also if that was taken back by its seller."""
    async with covering(credited) as (world, run):
        key = placement_key("acme", "WR-2", "trees")
        buy(world, ONECLICK, {"order_id": "WR-2", "impactflow_key": key}, quantity=3)
        world.clock.turn(hours=1)
        await adopt(world, run)
        if taken_back:
            await cancelled_by_the_seller(world, run, 8)
            changed(world, 2, amount=20, payments=PARTLY)
            await runs(world, run)
        else:
            grown(world, 3, amount=30)
            await runs(world, run)
            assert [8, 3] == quantities(world)


@in_virtual_time
async def test_refunds_of_parts_that_webhooks_report_are_credit_at_once(credited):
    """Each counts once."""
    world = credited(MONEY, orders=[sold(1, sourceId="5000000000001")], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        await shopify_refund(run, 1, "30.00")
        await next_run(world, run)
        assert (await balance(run)).credit == 3
        grown(world, 2, amount=30)
        await runs(world, run, 3)
        assert [8] == quantities(world)
        await shopify_refund(run, 1, "50.00")
        await runs(world, run)
        assert (await balance(run)).credit == 5


@in_virtual_time
async def test_a_new_ledger_uses_an_adopted_donation_for_many(credited, tmp_path):
    """A seller's record does not name the campaign: what was bought in the slot counts for it."""
    world = credited(GIVING | {"buy": {"at_least": 1}}, orders=[sold(1), sold(2)])
    async with world.run() as run:
        await next_run(world, run)
    world.clock.turn(days=1)
    async with world.run(**another(tmp_path)) as run:
        await adopt(world, run)
        await runs(world, run)
        assert [160] == quantities(world)
