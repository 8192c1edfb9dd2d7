"""Credit of purchases for one order: what a refund leaves over covers the next orders before anything is bought."""

from fractions import Fraction

import pytest
from crediting import BACK, IN_PART, MONEY, PARTLY, changed, give_back, grown, refuse
from planting import CNAUGHT, cancel
from pooling import balance
from pooling import bought as quantities
from pydantic import ValidationError
from refunding import UNDO, one_pass, read_again
from test_changed_orders import mend
from test_hold import next_run
from test_settling import Losing
from virtual_time import in_virtual_time
from world import NONE_DIFFER, OFFSET, TREES, differences, policy_of, sold, statuses, track

from impactflow.ledger import Pause, PauseScope, Resumption, Status


@in_virtual_time
async def test_what_a_seller_does_not_cancel_covers_the_next_order(credited):
    """The oldest one; its own placement is not sent, and all that follow are bought as ever."""
    world = credited(TREES, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        found = await balance(run)
        assert (0, 0, 1, 1) == (found.owed, found.allocated, found.bought, found.credit)
        grown(world, 2, 3)
        for _ in range(2):
            await next_run(world, run)
            assert [1, 1] == quantities(world)
        found = await balance(run)
        assert (2, 2, 2, 0) == (found.owed, found.allocated, found.bought, found.credit)
        assert (1, 2) == ((counts := await statuses(run))[Status.COVERED], counts[Status.PLACED])
        assert NONE_DIFFER == await differences(world, run)
        [share] = (await run.ledger.story("WR-2"))["shares"]
        assert ("WR-1", 1) == ((part := share["purchases"][0])["purchase"], part["parts"])


@in_virtual_time
async def test_what_the_credit_does_not_cover_is_bought(credited):
    """An order of eight trees has five of them, and three are bought."""
    world = credited(MONEY, orders=[sold(1, amount=50)])
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=BACK)
        await refuse(world, run)
        grown(world, 2, 3)
        for _ in range(2):
            await next_run(world, run)
            assert [5, 3, 8] == sorted(quantities(world), key=[5, 3, 8].index)
        found = await balance(run)
        assert (16, 16, 16, 0) == (found.owed, found.allocated, found.bought, found.credit)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_an_order_that_is_paid_again_has_its_purchase_again(credited):
    """If no other order has it by now; else it is bought once more."""
    world = credited(TREES, orders=[sold(1), sold(2)])
    async with world.run() as run:
        await give_back(world, run, 1, 2)
        assert (await balance(run)).credit == 2
        changed(world, 1)
        grown(world, 3)
        await next_run(world, run)
        assert [1, 1] == quantities(world)
        assert (2, 0) == ((found := await balance(run)).allocated, found.credit)
        changed(world, 2)
        for _ in range(2):
            await next_run(world, run)
            assert [1, 1, 1] == quantities(world)
        assert (3, 3, 0) == ((found := await balance(run)).owed, found.bought, found.credit)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_a_refund_of_a_part_reduces_what_is_owed(credited):
    """In proportion, where a rule counts money; a rule that counts orders keeps what was bought."""
    world = credited(MONEY, OFFSET, orders=[sold(1)], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=PARTLY)
        await next_run(world, run)
        assert (5, 3) == ((found := await balance(run)).owed, found.credit)
        assert (await balance(run, "offset")).credit == 0
        changed(world, 1)  # the refund has failed
        await next_run(world, run)
        assert (8, 0) == ((found := await balance(run)).owed, found.credit)
        changed(world, 1, amount=50, payments=PARTLY)
        grown(world, 2, amount=30)
        await next_run(world, run)
        assert [8] == [each["quantity"] for each in world.purchases if each["kind"] == "plant_trees"]
        assert (8, 8, 0) == ((found := await balance(run)).owed, found.bought, found.credit)
        changed(world, 1)
        await next_run(world, run)
        assert [3, 8] == sorted(each["quantity"] for each in world.purchases if each["kind"] == "plant_trees")
        assert (11, 11, 0) == ((found := await balance(run)).owed, found.bought, found.credit)


@in_virtual_time
async def test_a_share_of_a_purchase_for_many_shrinks_with_a_refund_of_a_part(credited):
    """As a purchase for one order does; what is left over is credit."""
    world = credited(MONEY | {"buy": {"at_least": 1}}, orders=[sold(1), sold(2)], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=PARTLY)
        await next_run(world, run)
        assert (13, 3) == ((found := await balance(run)).owed, found.credit)
        grown(world, 3, amount=30)
        await next_run(world, run)
        assert [16] == quantities(world)


@in_virtual_time
async def test_without_pro_rata_a_refund_of_a_part_changes_nothing_bought(credited):
    """The default is to keep it."""
    world = credited(MONEY, orders=[sold(1)], eligible_payments=["APPROVED", "Partially Refunded"])
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50, payments=PARTLY)
        await next_run(world, run)
        assert (8, 0) == ((found := await balance(run)).owed, found.credit)


@in_virtual_time
async def test_an_edit_is_no_refund(credited):
    """An order that is less by now without any refund keeps what was bought."""
    world = credited(MONEY, orders=[sold(1)], **IN_PART)
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, amount=50)
        await next_run(world, run)
        assert (8, 0) == ((found := await balance(run)).owed, found.credit)


@in_virtual_time
async def test_a_covered_order_that_is_refunded_leaves_credit_again(credited):
    """It passes on to the next order."""
    world = credited(TREES, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        grown(world, 2)
        await next_run(world, run)
        changed(world, 2, payments=BACK)
        await next_run(world, run)
        assert (1, 1) == ((found := await balance(run)).bought, found.credit)
        assert Status.COVERED not in await statuses(run)
        grown(world, 3)
        await next_run(world, run)
        assert [1] == quantities(world)
        assert (1, 1, 0) == ((found := await balance(run)).owed, found.bought, found.credit)


@in_virtual_time
async def test_what_others_have_of_a_purchase_is_not_cancelled(credited):
    """Also if a person asks again for what a seller has refused; what no other order has may be."""
    world = credited(OFFSET, orders=[sold(1), sold(2)])
    async with world.run() as run:
        await next_run(world, run)
        changed(world, 1, payments=BACK)
        changed(world, 2, payments=BACK)
        await refuse(world, run, CNAUGHT)
        grown(world, 3)
        await next_run(world, run)
        world.clock.turn(seconds=200)
        await read_again(world, run)
        assert 1 == (await one_pass(run, CNAUGHT, again=True)).cancelled
        assert [False, True] == [each["cancelled"] for each in world.purchases]
        assert (5000, 5000, 0) == ((found := await balance(run, "offset")).owed, found.bought, found.credit)


@in_virtual_time
async def test_a_purchase_that_its_seller_takes_back_later_is_no_credit_any_more(credited):
    """What another order has of it goes with it, as with any purchase that was cancelled."""
    world = credited(OFFSET, orders=[sold(1), sold(2)])
    async with world.run() as run:
        await next_run(world, run)
        for number in (1, 2):
            changed(world, number, payments=BACK)
        await refuse(world, run, CNAUGHT)
        grown(world, 3)
        await next_run(world, run)
        for purchase in world.purchases:
            cancel(world, CNAUGHT, purchase["ref"])
        world.clock.turn(days=1)
        await track(run, CNAUGHT, everything=True)
        found = await balance(run, "offset")
        assert (0, 0, 0, 0) == (found.owed, found.allocated, found.bought, found.credit)


@in_virtual_time
async def test_credit_waits_while_a_person_has_paused_its_slot(credited):
    """Then it is used before anything is bought."""
    world = credited(TREES, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        scope = PauseScope(slot="trees")
        await run.ledger.pause(Pause(scope, "ada", "a change", world.clock.now()))
        grown(world, 2)
        await next_run(world, run)
        assert (await balance(run)).credit == 1
        await run.ledger.resume(Resumption(scope, "ada", world.clock.now()))
        await next_run(world, run)
        assert [1] == quantities(world)


@in_virtual_time
async def test_a_seller_that_writes_to_customers_is_still_asked(credited):
    """Where notify is true, each customer's own tree is bought; the credit stays."""
    world = credited(TREES | {"notify": True}, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        grown(world, 2)
        await next_run(world, run)
        assert [1, 1] == quantities(world)
        assert (await balance(run)).credit == 1


@in_virtual_time
async def test_credit_is_used_where_the_rule_buys_for_many_by_now(credited):
    """A change of the policy between one and many leaves no credit behind, and buys no share twice."""
    world = credited(MONEY, orders=[sold(1)])
    async with world.run() as run:
        await give_back(world, run, 1)
        grown(world, 2, amount=50)
        await next_run(world, run)
        mend(world, run, MONEY | {"buy": {"at_least": 1}}, **UNDO)
        grown(world, 3, amount=50)
        for _ in range(2):
            await next_run(world, run)
            assert [2, 8] == sorted(quantities(world))
        mend(world, run, MONEY, **UNDO)
        for _ in range(2):
            await next_run(world, run)
            assert [2, 8] == sorted(quantities(world))
        found = await balance(run)
        assert (Fraction(10), 10, 0) == (found.owed, found.bought, found.credit)


@in_virtual_time
async def test_a_doubt_is_decided_before_a_refund_of_a_part_counts(credited):
    """Whether it was bought is found out first; then what is left over is credit."""
    world = credited(MONEY, orders=[sold(1)], metadata="ignored", **IN_PART)
    losing = Losing(world, "", effect=True)
    async with world.run() as run:
        await next_run(world, run, patience_s=0.0)
        assert {Status.IN_DOUBT: 1} == await statuses(run)
        changed(world, 1, amount=40, payments=PARTLY)
        await world.plan(run)
        losing.over()
        for _ in range(2):
            world.clock.turn(seconds=400)
            await next_run(world, run)
        assert [8] == quantities(world)
        assert (4, 8, 4) == ((found := await balance(run)).owed, found.bought, found.credit)


@pytest.mark.parametrize("pays", [["APPROVED"], ["APPROVED", "Partially Refunded"]])
def test_a_refund_of_a_part_needs_orders_that_count_after_it(pays):
    """Else such an order would earn nothing at all: the policy says what to write."""
    fields = {"eligible_payments": pays, "refunds": {"partial": "pro_rata"}}
    if "Partially Refunded" in pays:
        assert policy_of(MONEY, **fields).reduces("trees")
        assert not policy_of(TREES, **fields).reduces("trees")
    else:
        with pytest.raises(ValidationError, match=r"must include Partially Refunded for refunds\.partial: pro_rata"):
            policy_of(MONEY, **fields)
