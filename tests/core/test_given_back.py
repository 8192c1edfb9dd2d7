"""Which refunded orders count as given back whole: a cancellation cannot be taken back, so a doubt keeps it."""

import pytest
from planting import CNAUGHT, ONECLICK
from refunding import bought, one_pass, purchases_of, read_again, refund, shopify_gives_back, stands, take_up, undo
from virtual_time import in_virtual_time
from webhook_senders import (
    shopify_cancelled,
    shopify_paid,
    shopify_refund,
    stripe_event,
    stripe_paid,
    stripe_refund,
    woocommerce_order,
)
from world import RULE_OF, policy_for, policy_of, sold, work

from impactflow.intake.file import OrdersFile
from impactflow.intake.planning import plan


def paid(status, amount=80):
    """A payment as Wicked Reports lists it."""
    return {"date": "2026-03-02T12:00:00", "status": status, "amount": amount}


async def told(run, provider):
    """What webhooks have told is taken up, and bought for."""
    await take_up(run)
    await work(run, provider)


@pytest.mark.parametrize(
    ("payments", "is_given_back"),
    [
        (["refunded"], True),
        ([" Refunded "], True),
        (["REFUNDED", "FAILED"], True),
        (["REFUNDED", "REFUNDED"], True),
        (["REFUNDED", "APPROVED"], False),
        (["REFUNDED", "Manual"], False),
        (["refunded", " pending "], False),
        (["REFUNDED", "Partially Refunded"], False),
        (["REFUNDED", "AUTHORIZED"], False),
        (["REFUNDED", "Paid"], False),
        (["REFUNDED", None], False),
        (["Partially Refunded"], False),
        ([], False),
    ],
)
@in_virtual_time
async def test_every_payment_must_have_gone_back(world_of, payments, is_given_back):
    """Or have failed; one whose status nobody knows may be paid."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        world.sandbox.shop.orders[0] = sold(1, payments=[paid(status) for status in payments])
        await undo(world, run, CNAUGHT)
        assert ([] if is_given_back else ["WR-1"]) == stands(world)


@pytest.mark.parametrize("is_told_first", [True, False])
@in_virtual_time
async def test_a_refund_by_webhook_is_not_of_the_payment_that_was_made_anew(world_of, is_told_first):
    """Wicked Reports lists both payments, the one that went back and the new one."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        await shopify_paid(run, 1)
        await take_up(run)
        await shopify_refund(run, 1)
        if is_told_first:
            await take_up(run)
        world.sandbox.shop.orders[0] = sold(1, payments=[paid("REFUNDED"), paid("APPROVED")])
        await take_up(run)
        await undo(world, run, CNAUGHT)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_a_refund_by_webhook_of_one_of_two_payments_gives_nothing_back_whole(world_of):
    """Paid twice by mistake."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        world.sandbox.shop.orders[0] = sold(1, payments=[paid("APPROVED"), paid("APPROVED")])
        await bought(world, run, CNAUGHT)
        await shopify_paid(run, 1)
        await shopify_refund(run, 1)
        await take_up(run)
        await undo(world, run, CNAUGHT)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_a_partial_refund_that_the_listed_amount_includes_is_not_the_rest_of_it(world_of):
    """40 of 80 went back, and the amount is 40 by now: the webhook's 40 are the same ones."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        await shopify_paid(run, 1)
        await take_up(run)
        world.sandbox.shop.orders[0] = sold(1, payments=[paid("Partially Refunded")], amount=40)
        await shopify_refund(run, 1, "40.00")
        await take_up(run)
        await undo(world, run, CNAUGHT)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_a_partial_refund_that_shopifys_price_includes_is_not_the_rest_of_it(world_of):
    """Its update names the price by now, and not the refunds."""
    world = world_of(CNAUGHT, orders=0)
    async with world.run() as run:
        await shopify_paid(run, 1, updated_at="2026-03-02T11:00:00Z")
        await told(run, CNAUGHT)
        await shopify_refund(run, 1, "40.00")
        later = {"updated_at": "2026-03-02T11:30:00Z", "current_total_price": "40.00"}
        status = {"financial_status": "partially_refunded"}
        await shopify_paid(run, 1, webhook_id="later", topic="orders/updated", **later, **status)
        await take_up(run)
        world.clock.turn(seconds=120)
        await one_pass(run, CNAUGHT)
        assert 1 == len(stands(world))


@pytest.mark.parametrize("parts", [["80.00"], ["30.00", "50.00"]])
@in_virtual_time
async def test_refunds_alone_give_nothing_back(world_of, parts):
    """What they come to may be in the listed price already, or told twice; the order's own source must say so."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        await shopify_paid(run, 1)
        for amount in parts:
            await shopify_refund(run, 1, amount)
        await take_up(run)
        await undo(world, run, CNAUGHT)
        assert ["WR-1"] == stands(world)
        refund(world, 1)
        world.clock.turn(days=1)
        await undo(world, run, CNAUGHT)
        assert [] == stands(world)


@in_virtual_time
async def test_a_listing_that_says_less_again_counts_at_once(world_of):
    """A refund by webhook makes the order one that earns nothing, whatever the listing says."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        await shopify_paid(run, 1)
        await shopify_refund(run, 1)
        world.sandbox.shop.orders[0] = sold(1, payments=[paid("REFUNDED"), paid("REFUNDED")])
        await take_up(run)
        await read_again(world, run)
        world.sandbox.shop.orders[0] = sold(1, payments=[paid("REFUNDED"), paid("APPROVED")])
        await undo(world, run, CNAUGHT)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_a_sale_that_is_listed_twice_is_left_to_a_person(world_of):
    """What holds of the one need not hold of the other."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        world.sandbox.shop.orders = [
            sold(1, payments=[paid("REFUNDED")]) | {"id": name} for name in ("WR-1", "WR-1-again")
        ]
        await undo(world, run, CNAUGHT)
        assert (["WR-1"], 1) == (stands(world), (await purchases_of(run)).doubtful)


@pytest.mark.parametrize("told_at", ["before", "after"])
@in_virtual_time
async def test_a_webhook_that_says_paid_holds_against_the_list_for_a_day(world_of, told_at):
    """Wicked Reports may not know yet that the order was paid again."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        refund(world, 1)
        if told_at == "after":
            await read_again(world, run)
        await shopify_paid(run, 1, updated_at="2026-03-02T11:30:00Z")
        await take_up(run)
        for hours in (1, 7):
            await undo(world, run, CNAUGHT)
            assert ["WR-1"] == stands(world)
            world.clock.turn(hours=hours)
        world.clock.turn(days=1)
        await undo(world, run, CNAUGHT)
        assert [] == stands(world)


@in_virtual_time
async def test_a_list_that_says_paid_again_counts_whatever_a_webhook_said(world_of):
    """For the first time, or unchanged for weeks: buying goes by the report that earns less, undoing does not."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        await shopify_paid(run, 1)
        await take_up(run)
        await shopify_gives_back(run, 1)
        await take_up(run)
        for _ in range(3):
            await undo(world, run, CNAUGHT)
            world.clock.turn(days=7)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_the_first_word_of_a_webhook_holds_against_the_list_too(world_of):
    """The order was not known before."""
    world = world_of(CNAUGHT, orders=0)
    async with world.run() as run:
        await shopify_paid(run, 1)
        await told(run, CNAUGHT)
        world.sandbox.shop.orders = [sold(1, payments=[paid("REFUNDED")])]
        for hours in (1, 30):
            world.clock.turn(hours=1)
            await undo(world, run, CNAUGHT)
            assert 1 == len(stands(world))
            world.clock.turn(hours=hours)
        await undo(world, run, CNAUGHT)
        assert [] == stands(world)


@pytest.mark.parametrize("is_linked_first", [True, False])
@in_virtual_time
async def test_a_name_that_joins_two_orders_brings_the_webhooks_word_along(world_of, is_linked_first):
    """Stripe's session was paid, and only later said to be of the payment that is listed."""
    world = world_of(ONECLICK)
    async with world.run() as run:
        world.sandbox.shop.orders[0] = sold(1, sourceSystem="stripe", sourceId="pi_2")
        await bought(world, run, ONECLICK)
        world.sandbox.shop.orders[0] |= {"payments": [paid("REFUNDED")]}
        await stripe_paid(run, 1, created=1, invoice="in_1", payment_intent=None)
        await take_up(run)
        world.clock.turn(hours=1)
        paid_by = {"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_2"}}
        await stripe_event(run, "invoice_payment.paid", paid_by, created=2)
        if is_linked_first:
            await take_up(run)
        await read_again(world, run)
        await take_up(run)
        await one_pass(run, ONECLICK)
        assert 1 == len(stands(world))


@in_virtual_time
async def test_an_id_that_is_another_orders_own_says_nothing(new_world):
    """WooCommerce's order 99 has the number 1234, and another one the id 1234: the list may mean either."""
    world = new_world(policy=policy_of(RULE_OF[CNAUGHT], refunds={"full": "undo"}))
    async with world.run() as run:
        await woocommerce_order(run, 1, "processing", id=99, number="1234")
        await told(run, CNAUGHT)
        await woocommerce_order(run, 2, "refunded", 5, id=1234, number="5")
        await take_up(run)
        shared = {"sourceSystem": "woocommerce", "sourceId": "1234"}
        world.sandbox.shop.orders = [sold(1, payments=[paid("REFUNDED")], **shared)]
        world.clock.turn(days=2)
        await undo(world, run, CNAUGHT)
        assert 1 == len(stands(world))


@pytest.mark.parametrize("sender", ["shopify", "woocommerce"])
@in_virtual_time
async def test_what_only_webhooks_report_is_kept(world_of, sender):
    """They come in any order, and may say what is over."""
    world = world_of(CNAUGHT, orders=0)
    async with world.run() as run:
        if sender == "shopify":
            await shopify_paid(run, 1)
            await told(run, CNAUGHT)
            await shopify_gives_back(run, 1)
        else:
            await woocommerce_order(run, 1, "processing", 1)
            await told(run, CNAUGHT)
            await woocommerce_order(run, 1, "refunded", 5)
        await take_up(run)
        world.clock.turn(seconds=120)
        await one_pass(run, CNAUGHT)
        assert 1 == len(stands(world))


@pytest.mark.parametrize("status", ["refunded", "cancelled", "voided"])
@in_virtual_time
async def test_what_a_file_says_undoes_nothing(world_of, tmp_path, status):
    """It is as old as it is, and many shops write one word for refunded and for called off."""
    world = world_of(CNAUGHT, orders=0)
    file = tmp_path / "orders.csv"
    async with world.run() as run:
        for status_now in ("paid", status):
            file.write_text(
                f"order_id,ordered_at,amount,currency,payment_status,item_count\n1,2026-03-02,80,USD,{status_now},2\n"
            )
            orders = OrdersFile.open(file)
            window = orders.window(None, None, world.clock.now().date())
            await plan(run.ledger, orders, policy_for(run), window, run.clock, run.id, moves_watermark=False)
            await work(run, CNAUGHT)
        world.clock.turn(seconds=120)
        await one_pass(run, CNAUGHT)
        assert 1 == len(stands(world))


@in_virtual_time
async def test_half_refunded_and_then_called_off_is_not_given_back(world_of):
    """The other half may have stayed with the shop."""
    world = world_of(CNAUGHT)
    async with world.run() as run:
        await bought(world, run, CNAUGHT)
        world.sandbox.shop.orders[0] = sold(1, payments=[paid("REFUNDED", 40), paid("APPROVED", 40)])
        await shopify_cancelled(run, 1)
        await take_up(run)
        await undo(world, run, CNAUGHT)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_one_of_two_stripe_charges_is_not_the_order(world_of):
    """Its invoice was paid in two parts, of which one went back whole."""
    world = world_of(ONECLICK, orders=0)
    async with world.run() as run:
        await stripe_paid(run, 1, created=1, invoice="in_1")
        for part in ("pi_1", "pi_2"):
            paid_by = {"id": f"inpay_{part}", "invoice": "in_1", "payment": {"payment_intent": part}}
            await stripe_event(run, "invoice_payment.paid", paid_by, created=2)
        await told(run, ONECLICK)
        charge = {"id": "ch_2", "payment_intent": "pi_2", "amount": 4000, "amount_captured": 4000, "currency": "usd"}
        await stripe_event(run, "charge.refunded", charge | {"amount_refunded": 4000, "refunded": True}, created=100)
        await take_up(run)
        world.clock.turn(seconds=120)
        await one_pass(run, ONECLICK)
        assert 1 == len(stands(world))


@in_virtual_time
async def test_what_stripe_never_took_did_not_go_back(world_of):
    """200 were authorized, and the 80 of the order captured."""
    world = world_of(ONECLICK)
    async with world.run() as run:
        world.sandbox.shop.orders[0] = sold(1, sourceSystem="stripe", sourceId="pi_1")
        await bought(world, run, ONECLICK)
        charge = {"id": "ch_1", "payment_intent": "pi_1", "amount": 20000, "amount_captured": 8000, "currency": "usd"}
        await stripe_event(run, "charge.captured", charge | {"amount_refunded": 12000, "refunded": False}, created=9)
        await take_up(run)
        await undo(world, run, ONECLICK)
        assert ["WR-1"] == stands(world)


@in_virtual_time
async def test_a_stripe_refund_that_failed_is_none_whatever_is_listed(world_of):
    """Wicked Reports may not know it yet."""
    world = world_of(ONECLICK)
    async with world.run() as run:
        world.sandbox.shop.orders[0] = sold(1, sourceSystem="stripe", sourceId="pi_1")
        await bought(world, run, ONECLICK)
        await stripe_refund(run, 1, created=100)
        failed = {"id": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 8000, "currency": "usd"}
        await stripe_event(run, "refund.failed", failed | {"status": "failed"}, created=200)
        world.sandbox.shop.orders[0] |= {"payments": [paid("REFUNDED")]}
        await take_up(run)
        await undo(world, run, ONECLICK)
        assert ["WR-1"] == stands(world)
