"""What refunded orders have bought is cancelled at its seller: each once, found out where an answer was lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK, cancel, lose
from refunding import (
    PROVIDERS,
    REFUNDED,
    UNDO,
    bought,
    numbers,
    one_pass,
    purchases_of,
    read_again,
    refund,
    stands,
    struck,
    undo,
    undo_struck,
    wanted,
)
from virtual_time import in_virtual_time
from world import RULE_OF, policy_of, sold, statuses, track, work

from impactflow.audit import Audit
from impactflow.buying.cancelling import Cancelling
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.errors import ConfigurationError, Unavailable
from impactflow.ledger import Pause, PauseScope, Purchases
from impactflow.reports.refunded import RefundsOutcome
from impactflow.window import Window


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("weeks", [0, 7], ids=["open", "complete"])
@in_virtual_time
async def test_the_purchase_of_a_refunded_order_is_cancelled(world_of, provider, weeks):
    """That one and no other, whether it is complete or not; a second pass changes nothing."""
    world = world_of(provider, orders=3)
    async with world.run() as run:
        await bought(world, run, provider)
        if weeks:
            world.clock.turn(days=weeks * 7)
            await track(run, provider, everything=True)
        refund(world, 2)
        assert (1, 0, 0) == numbers(await undo(world, run, provider))
        assert ["WR-1", "WR-3"] == stands(world)
        assert (await statuses(run))["cancelled"] == 1
        assert (0, 0, 0) == numbers(await undo(world, run, provider))
        assert Purchases(orders=1, kept=0, doubtful=0, refused=0, open=0) == await purchases_of(run)
        window = Window(world.clock.now().date() - timedelta(days=60), world.clock.now().date())
        assert [] == [each async for each in Audit(run.account(provider, "acme"), window, repair=False).run()]


@in_virtual_time
async def test_a_policy_that_keeps_what_was_bought_cancels_nothing(world_of):
    """As without the field; it is counted."""
    world = world_of(CNAUGHT, policy={})
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert ["WR-1"] == stands(world)
        assert Purchases(orders=1, kept=1, doubtful=0, refused=0, open=0) == await purchases_of(run)


@pytest.mark.parametrize(
    "payments",
    [
        [{"date": "2026-03-02T12:00:00", "status": "Partially Refunded", "amount": 80}],
        [{"date": "2026-03-02T12:00:00", "status": "PENDING", "amount": 80}],
        [],
    ],
    ids=["in part", "pending", "none"],
)
@in_virtual_time
async def test_only_a_full_refund_cancels(world_of, payments):
    """An order may count no more for other reasons, and come to count again."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        world.sandbox.shop.orders[0] = sold(1, payments=payments)
        assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert ["WR-1"] == stands(world)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["lost_answer", "lost_request", "error_before", "error_after", "refused_after"])
@in_virtual_time
async def test_a_lost_answer_is_found_out_by_a_later_pass(world_of, provider, fault):
    """Whatever becomes of the request; nothing is recorded as cancelled that stands."""
    world = world_of(provider, orders=4)
    async with world.run() as run:
        await bought(world, run, provider)
        refund(world, 1, 2, 3)
        struck(world, provider, f"{fault}=0.6")
        for _ in range(3):
            await undo(world, run, provider)
            cancelled = (await statuses(run)).get("cancelled", 0)
            assert cancelled <= 4 - len(stands(world))
            world.clock.turn(seconds=100)
        world.sandbox._lines[provider].calm()
        world.clock.turn(hours=2)
        await undo(world, run, provider)
        assert ["WR-4"] == stands(world)
        assert (await statuses(run))["cancelled"] == 3
        assert (await purchases_of(run)).open == 0


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_a_run_that_was_cut_off_is_finished_by_the_next(world_of, provider, monkeypatch):
    """Whether its request had an effect or not."""
    world = world_of(provider, orders=2)
    async with world.run() as run:
        await bought(world, run, provider)
        refund(world, 1, 2)

        class KilledError(BaseException):
            pass

        async def killed(_):
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(type(run.ledger), "end_cancellation", lambda _, ended: killed(ended))
            with pytest.raises(BaseException):  # noqa: B017, PT011 - what it is depends on Python's version
                await undo(world, run, provider)
        assert {"cancelling": 2} == await statuses(run)
        assert len(stands(world)) < 2
        assert (0, 0, 0) == numbers(await undo(world, run, provider))  # they belong to the run that was killed
        world.clock.turn(seconds=91)
        assert (2, 0, 0) == numbers(await undo(world, run, provider))


@in_virtual_time
async def test_an_order_that_counts_again_keeps_its_purchase(world_of, monkeypatch):
    """If the refund is taken back before anything was sent."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_request=1")
        assert {"cancelling": 1} == await statuses(run)
        world.sandbox.shop.orders[0] = sold(1)
        for status in ("cancelling", "placed"):  # what was asked for may show late
            world.clock.turn(hours=1)
            assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
            assert {status: 1} == await statuses(run)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_what_was_cancelled_is_not_bought_again_when_the_refund_is_taken_back(world_of):
    """A person decides about that."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo(world, run, CNAUGHT)
        world.sandbox.shop.orders[0] = sold(1)
        world.clock.turn(hours=1)
        await bought(world, run, CNAUGHT)
        assert {"cancelled": 1} == await statuses(run)
        assert (len(world.purchases), stands(world)) == (1, [])


@in_virtual_time
async def test_a_provider_that_does_not_cancel_is_asked_twice(world_of):
    """1ClickImpact's references know no cancelling: an account may not have it. What stands is counted."""
    world = world_of(ONECLICK, extras=False)
    async with world.run() as run:
        await bought(world, run, ONECLICK)
        world.clock.turn(days=40)
        await track(run, ONECLICK, everything=True)
        refund(world, 1)
        assert (0, 0, 0) == numbers(await undo(world, run, ONECLICK))
        assert {"cancelling": 1} == await statuses(run)
        world.clock.turn(hours=6)
        mark = await run.ledger.last_event()
        assert (0, 1, 0) == numbers(await undo(world, run, ONECLICK))
        assert {"completed": 1} == await statuses(run)
        assert [] == await run.ledger.effects(run.id, after=mark, limit=9)
        assert [] == await run.ledger.changed(run.id, after=mark)
        assert Purchases(orders=1, kept=0, doubtful=0, refused=0, open=0, credited=1) == await purchases_of(run)
        asked = run.transport.requests
        assert (0, 0, 0) == numbers(await one_pass(run, ONECLICK))
        assert run.transport.requests - asked <= 1  # whether it is the same account


@in_virtual_time
async def test_a_person_has_a_provider_asked_again(world_of):
    """It cancels by now."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        struck(world, CNAUGHT, "refused=1")
        for _ in range(2):
            await undo(world, run, CNAUGHT)
            world.clock.turn(hours=1)
        assert (await purchases_of(run)).credited == 1
        world.sandbox._lines[CNAUGHT].calm()
        assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert (1, 0, 0) == numbers(await undo(world, run, CNAUGHT, again=True))


@in_virtual_time
async def test_more_refunds_than_may_be_are_left_to_a_person(world_of):
    """A shop that reports all its payments as refunded is broken."""
    world = world_of(CNAUGHT, orders=3)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1, 2, 3)
        assert (0, 0, 3) == numbers(await undo(world, run, CNAUGHT, up_to=2))
        assert ["WR-1", "WR-2", "WR-3"] == stands(world)
        assert (await purchases_of(run)).open == 3
        assert (3, 0, 0) == numbers(await undo(world, run, CNAUGHT, up_to=3))


@in_virtual_time
async def test_an_order_is_read_again_first(world_of):
    """It may count again by now."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await read_again(world, run)
        world.clock.turn(hours=3)
        assert (0, 0, 0) == numbers(await one_pass(run, CNAUGHT))
        assert (1, 0, 0) == numbers(await undo(world, run, CNAUGHT))


@pytest.mark.parametrize("how", ["gone", "broken"])
@in_virtual_time
async def test_what_the_reading_of_the_run_does_not_list_so_is_kept(world_of, how):
    """An earlier one did."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await read_again(world, run)
        world.clock.turn(minutes=10)
        if how == "gone":
            world.sandbox.shop.orders.clear()
        else:
            world.sandbox.shop.orders[0] |= {"date": "no date"}
        began_at = run.clock.now()
        await read_again(world, run)
        undone = replace(await wanted(run), listed_since=began_at)
        done = await Cancelling(run.account(CNAUGHT, "acme"), undone, 100).run()
        assert ((0, 0, 0), ["WR-1"]) == (numbers(done), stands(world))


@in_virtual_time
async def test_what_was_not_read_lately_is_not_said_to_count_again(world_of):
    """The cancellation was lost, and nothing reads the order any more but the next run."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_request=1")
        world.clock.turn(hours=7)
        for status in ("cancelling", "placed"):
            assert (0, 0, 0) == numbers(await one_pass(run, CNAUGHT))
            assert {status: 1} == await statuses(run)
            world.clock.turn(hours=1)
        assert (1, 0, 0) == numbers(await undo(world, run, CNAUGHT))


@in_virtual_time
async def test_an_edited_policy_still_undoes(world_of):
    """That an order was given back does not depend on the policy."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await read_again(world, run)
        world.clock.turn(seconds=60)
        world.works_under(run, policy_of(RULE_OF[CNAUGHT] | {"minimum": 1}, **UNDO))
        assert (1, 0, 0) == numbers(await one_pass(run, CNAUGHT))


def test_a_rule_may_say_its_own():
    """Either way; a slot that is gone goes by the policy's own word. Orders are judged again if a slot is undone."""
    kept = policy_of(RULE_OF[CNAUGHT] | {"refunds": {"full": "keep"}}, RULE_OF[ONECLICK], **UNDO)
    assert [False, True, True] == [kept.undoes(slot) for slot in ("offset", "trees", "gone")]
    undone = policy_of(RULE_OF[CNAUGHT], RULE_OF[ONECLICK] | {"refunds": {"full": "undo"}})
    assert [False, True, False] == [undone.undoes(slot) for slot in ("offset", "trees", "gone")]
    assert undone.digest != policy_of(RULE_OF[CNAUGHT], RULE_OF[ONECLICK]).digest


@pytest.mark.parametrize("other", [RULE_OF[ONECLICK], RULE_OF[ONECLICK] | {"refunds": {"full": "undo"}}])
@pytest.mark.parametrize("fault", ["lost_request", "lost_answer"])
@in_virtual_time
async def test_a_policy_that_keeps_by_now_only_finds_out(world_of, fault, other):
    """What became of a cancellation that was asked for under the policy before."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, f"{fault}=1")
        world.clock.turn(hours=1)
        world.works_under(run, policy_of(RULE_OF[CNAUGHT] | {"refunds": {"full": "keep"}}, other))
        assert {CNAUGHT} == await run.ledger.to_cancel_at(await wanted(run))
        for _ in range(2):
            await undo(world, run, CNAUGHT)
            world.clock.turn(hours=1)
        stood = fault == "lost_request"
        assert ({"placed": 1} if stood else {"cancelled": 1}) == await statuses(run)
        assert (["WR-1"] if stood else []) == stands(world)


@in_virtual_time
async def test_what_the_seller_does_not_know_is_left_to_the_audit(world_of):
    """It is found there as missing."""
    world = world_of(CNAUGHT, orders=2)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        lose(world, CNAUGHT, next(each["ref"] for each in world.purchases if each["order_id"] == "WR-1"))
        refund(world, 1)
        for _ in range(2):
            await undo(world, run, CNAUGHT)
            world.clock.turn(hours=1)
        assert {"placed": 2} == await statuses(run)
        assert Purchases(orders=1, kept=0, doubtful=0, refused=1, open=0) == await purchases_of(run)


@in_virtual_time
async def test_a_pass_ends_however_many_do_not_answer(world_of):
    """None is asked for twice in one pass, and those behind them have their turn."""
    world = world_of(CNAUGHT, orders=20, settings={"impactflow_concurrency": 1})
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, *range(1, 21))
        struck(world, CNAUGHT, "lost_answer=0.7")
        before = run.transport.requests
        await undo(world, run, CNAUGHT)
        assert run.transport.requests - before < 400
        assert len(stands(world)) < 20


@in_virtual_time
async def test_an_order_that_was_paid_beside_what_was_given_back_keeps_its_purchase(world_of):
    """Paid twice by mistake, and one payment given back."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        paid = {"date": "2026-03-02T12:00:00", "status": "APPROVED", "amount": 80}
        world.sandbox.shop.orders[0] = sold(1, payments=[*REFUNDED, paid])
        assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_no_more_are_cancelled_than_may_be(world_of, monkeypatch):
    """Another run has read more refunds since they were counted."""
    world = world_of(CNAUGHT, orders=9)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await read_again(world, run)
        count = run.ledger.count_to_cancel

        async def then_more(undone, provider):
            number = await count(undone, provider)
            refund(world, *range(2, 10))
            await read_again(world, run)
            return number

        monkeypatch.setattr(run.ledger, "count_to_cancel", then_more)
        assert (2, 0, 0) == numbers(await one_pass(run, CNAUGHT, up_to=2))
        assert len(stands(world)) == 7


@in_virtual_time
async def test_the_limit_counts_what_was_read_since_the_run_began(world_of):
    """Another run has read the orders once more."""
    world = world_of(CNAUGHT, orders=3)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1, 2, 3)
        await read_again(world, run)
        before = await wanted(run)
        world.clock.turn(minutes=6)
        await read_again(world, run)
        done = await Cancelling(run.account(CNAUGHT, "acme"), before, 2).run()
        assert ((0, 0, 3), 3) == (numbers(done), len(stands(world)))


@in_virtual_time
async def test_beyond_the_limit_nothing_is_asked_for_that_a_killed_run_had_taken(world_of):
    """A person stops a wrong list with 0; the result says that something is left to do."""
    world = world_of(CNAUGHT, orders=3)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1, 2, 3)
        await read_again(world, run)
        killed = Cancelling(run.account(CNAUGHT, "acme"), await wanted(run), 3)
        assert 2 == len(await run.ledger.take_to_cancel(replace(killed._taking(), count=2)))
        world.clock.turn(minutes=10)
        await read_again(world, run)
        done = await one_pass(run, CNAUGHT, 0)
        assert ((0, 0, 1), {"placed": 3}) == (numbers(done), await statuses(run))
        assert RefundsOutcome(None, None, await purchases_of(run), 0, {CNAUGHT: done}, 0, 0.0).undone


@in_virtual_time
async def test_two_kinds_by_one_name_are_not_cancelled_together(world_of, monkeypatch):
    """1ClickImpact names a purchase by user and time, and another one of that name is in no ledger."""
    world = world_of(ONECLICK)
    async with world.run() as run:
        await bought(world, run, ONECLICK)
        refund(world, 1)
        account = type(run.provider(ONECLICK))
        fetch = account.fetch

        async def shared(self, ref, parts=()):
            return replace(await fetch(self, ref, parts), shares_name=True)

        monkeypatch.setattr(account, "fetch", shared)
        assert (0, 1, 0) == numbers(await undo(world, run, ONECLICK))
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_a_purchase_that_was_just_sent_is_left_for_later(world_of):
    """Its seller may not show all of it yet."""
    world = world_of(IMPACTAPI)
    async with world.run() as run:
        await world.plan(run)
        await work(run, IMPACTAPI)
        refund(world, 1)
        assert (0, 0, 0) == numbers(await undo(world, run, IMPACTAPI))
        assert {"placed": 1} == await statuses(run)
        world.clock.turn(seconds=60)
        assert (1, 0, 0) == numbers(await undo(world, run, IMPACTAPI))


@in_virtual_time
async def test_two_purchases_of_one_name_are_told_apart_by_their_keys(world_of):
    """1ClickImpact's clock has milliseconds; one of the two was cancelled by hand."""
    world = world_of(ONECLICK, orders=2)
    api = world.sandbox._lines[ONECLICK].api
    api._unique_time = lambda now: f"{now:%Y-%m-%dT%H:%M:%S}.000Z"
    async with world.run() as run:
        await bought(world, run, ONECLICK)
        one, _ = world.purchases
        assert len({each["ref"] for each in world.purchases}) == 1
        cancel(world, ONECLICK, one["ref"])
        refund(world, 1, 2)
        for _ in range(2):
            await undo(world, run, ONECLICK)
            world.clock.turn(hours=1)
        recorded = (await statuses(run)).get("cancelled", 0)
        assert recorded <= sum(each["cancelled"] for each in world.purchases)


@pytest.mark.parametrize("provider", PROVIDERS)
@in_virtual_time
async def test_what_a_person_has_cancelled_at_the_seller_is_recorded(world_of, provider):
    """It is not cancelled once more."""
    world = world_of(provider)
    async with world.run() as run:
        await bought(world, run, provider)
        [purchase] = world.purchases
        cancel(world, provider, purchase["ref"])
        refund(world, 1)
        assert (1, 0, 0) == numbers(await undo(world, run, provider))
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_a_purchase_in_doubt_is_decided_first(world_of):
    """And undone then."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await world.plan(run)
        struck(world, CNAUGHT, "lost_answer=1")
        await work(run, CNAUGHT, patience_s=0)
        refund(world, 1)
        await read_again(world, run)
        world.sandbox._lines[CNAUGHT].calm()
        assert (0, 0, 0) == numbers(await one_pass(run, CNAUGHT))
        assert Purchases(orders=1, kept=0, doubtful=0, refused=0, open=1) == await purchases_of(run)
        world.clock.turn(hours=1)
        await world.plan(run)
        await work(run, CNAUGHT)
        assert (1, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert stands(world) == []


@in_virtual_time
async def test_a_store_cancels_only_what_it_has_bought(world_of):
    """Another store's refunds are another run's."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await read_again(world, run)
        theirs = replace(await wanted(run), store="other")
        account = replace(run.account(CNAUGHT, "acme"), store="other")
        assert (0, 0, 0) == numbers(await Cancelling(account, theirs, 9).run())
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_nothing_is_cancelled_while_a_person_has_paused_it(world_of):
    """They may have seen refunds that are none; it goes on afterwards."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        scope = PauseScope(provider=CNAUGHT)
        await run.ledger.pause(Pause(scope, "ana", "look first", run.clock.now()))
        assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert (["WR-1"], 1) == (stands(world), (await purchases_of(run)).open)


@in_virtual_time
async def test_what_was_paused_after_it_was_asked_for_is_not_asked_for_again(world_of):
    """The request was lost."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_request=1")
        world.clock.turn(hours=1)
        await run.ledger.pause(Pause(PauseScope(), "ana", "look first", run.clock.now()))
        for status in ("cancelling", "placed"):
            assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
            assert (["WR-1"], {status: 1}) == (stands(world), await statuses(run))
            world.clock.turn(hours=1)


@in_virtual_time
async def test_an_order_that_is_paid_again_while_its_purchase_is_looked_up_keeps_it(world_of, monkeypatch):
    """Another run has read so since this one took the purchase."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await read_again(world, run)
        holders = run.ledger.holders

        async def then_paid(*args, **more):
            world.sandbox.shop.orders[0] = sold(1)
            await read_again(world, run)
            return await holders(*args, **more)

        monkeypatch.setattr(run.ledger, "holders", then_paid)
        assert (0, 0, 0) == numbers(await one_pass(run, CNAUGHT))
        assert (["WR-1"], {"placed": 1}) == (stands(world), await statuses(run))


@in_virtual_time
async def test_an_order_that_is_gone_from_the_shop_keeps_its_purchase(world_of):
    """A request was lost, and nothing says any more that the order is given back."""
    world = world_of(CNAUGHT, orders=2)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_request=1")
        del world.sandbox.shop.orders[0]
        for _ in range(2):
            world.clock.turn(days=1)
            assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
        assert {"placed": 2} == await statuses(run)


@in_virtual_time
async def test_what_may_be_cancelled_and_is_not_shown_is_never_said_to_stand(world_of):
    """The answer was lost, and the seller shows the purchase no more: a person may say that it is cancelled."""
    world = world_of(CNAUGHT, orders=2)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_answer=1")
        lose(world, CNAUGHT, next(each["ref"] for each in world.purchases if each["order_id"] == "WR-1"))
        for _ in range(3):
            world.clock.turn(hours=6)
            assert (0, 0, 0) == numbers(await undo(world, run, CNAUGHT))
            assert {"placed": 1, "cancelling": 1} == await statuses(run)
        ruling = Ruling("WR-1", "offset", Resolution.GIVEN_UP, "ana")
        wrong = replace(ruling, decision=Resolution.NOT_BOUGHT)
        with pytest.raises(ConfigurationError, match="as given-up what is cancelling"):
            await settle(run.ledger, run.account, run.clock, run.id, wrong)
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        assert {"placed": 1, "cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_what_stands_is_not_said_to_be_cancelled(world_of):
    """A person finds it at the provider first."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_request=1")
        ruling = Ruling("WR-1", "offset", Resolution.GIVEN_UP, "ana")
        with pytest.raises(ConfigurationError, match="stands at cnaught"):
            await settle(run.ledger, run.account, run.clock, run.id, ruling)
        assert {"cancelling": 1} == await statuses(run)


@in_virtual_time
async def test_a_key_of_another_account_decides_nothing(world_of):
    """Also where every purchase is being cancelled."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_answer=1")
        lose(world, CNAUGHT, world.purchases[0]["ref"])
        world.clock.turn(hours=6)
        done = await undo(world, run, CNAUGHT)
        assert (done.halted.unauthorized, {"cancelling": 1}) == (True, await statuses(run))


@pytest.mark.parametrize("broken_ones", [1, 8])
@pytest.mark.parametrize("concurrency", [1, 8])
@in_virtual_time
async def test_purchases_that_cannot_be_looked_up_hold_up_no_other(world_of, monkeypatch, concurrency, broken_ones):
    """Their seller answers with an error whenever it is asked about them."""
    world = world_of(CNAUGHT, orders=30, settings={"impactflow_concurrency": concurrency})
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, *range(1, 31))
        bad, account = {each["ref"] for each in world.purchases[:broken_ones]}, type(run.provider(CNAUGHT))
        fetch = account.fetch

        async def broken(self, ref, parts=()):
            if ref in bad:
                raise Unavailable("500", provider=CNAUGHT, operation="get_order")
            return await fetch(self, ref, parts)

        monkeypatch.setattr(account, "fetch", broken)
        for _ in range(5):
            await undo(world, run, CNAUGHT)
            world.clock.turn(hours=6)
        assert broken_ones == len(stands(world))


@in_virtual_time
async def test_a_purchase_that_was_not_found_once_is_asked_for_twice_all_the_same(world_of, monkeypatch):
    """A no may come after the effect, and the seller show that late: one no is not its last word."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        account = type(run.provider(CNAUGHT))

        async def nothing(*_):
            return None

        with monkeypatch.context() as patch:
            patch.setattr(account, "fetch", nothing)
            await undo(world, run, CNAUGHT)
        struck(world, CNAUGHT, "refused=1")
        for status in ("cancelling", "placed"):
            world.clock.turn(hours=6)
            await undo(world, run, CNAUGHT)
            assert {status: 1} == await statuses(run)


@in_virtual_time
async def test_a_dry_run_lists_what_is_being_cancelled(world_of):
    """The run after it cancels that, too."""
    world = world_of(CNAUGHT, orders=3)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        await undo_struck(world, run, CNAUGHT, "lost_request=1")
        refund(world, 2)
        world.clock.turn(hours=1)
        await read_again(world, run)
        listed = await run.ledger.list_to_cancel(await wanted(run), 10)
        assert [("WR-1", "cancelling"), ("WR-2", "placed")] == [(each["order"], each["status"]) for each in listed]
        assert (2, 0, 0) == numbers(await one_pass(run, CNAUGHT))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["lost_request", "lost_answer"])
@in_virtual_time
async def test_an_audit_and_tracking_leave_what_is_being_cancelled(world_of, provider, fault):
    """Nothing is reported, changed, or bought again."""
    world = world_of(provider, orders=2)
    async with world.run() as run:
        await bought(world, run, provider)
        refund(world, 1)
        await undo_struck(world, run, provider, f"{fault}=1")
        window = Window(world.clock.now().date() - timedelta(days=60), world.clock.now().date())
        audit = Audit(run.account(provider, "acme"), window, repair=True)
        assert [] == [each async for each in audit.run()]
        await track(run, provider, everything=True)
        assert (await statuses(run))["cancelling"] == 1
        world.clock.turn(hours=6)
        await undo(world, run, provider)
        await bought(world, run, provider)
        assert (["WR-2"], 2) == (stands(world), len(world.purchases))


@in_virtual_time
async def test_two_passes_at_once_cancel_each_purchase_once(world_of):
    """Each takes what the other has not."""
    world = world_of(CNAUGHT, orders=30)
    async with world.run() as one, world.run() as other:
        world.works_under(other, world.policy)
        await bought(world, one, CNAUGHT)
        refund(world, *range(1, 21))
        await read_again(world, one)
        done = await asyncio.gather(one_pass(one, CNAUGHT), one_pass(other, CNAUGHT))
        assert sum(each.cancelled for each in done) == 20
        assert (len(stands(world)), (await statuses(one))["cancelled"]) == (10, 20)
