"""The steps of a test about refunds: buy, refund, read again, cancel, and look at the books."""

from datetime import timedelta
from typing import Any

from planting import CNAUGHT, IMPACTAPI, ONECLICK
from webhook_senders import shopify_paid
from world import policy_for, sold, work

from impactflow.buying.cancelling import Cancelling, undoing
from impactflow.intake.deliveries import process
from impactflow.intake.planning import plan, watched
from impactflow.sandbox.faults import Draws, Faults

REFUNDED = [{"date": "2026-03-02T12:00:00", "status": "REFUNDED", "amount": 80}]
PROVIDERS = [CNAUGHT, ONECLICK, IMPACTAPI]
UNDO = {"refunds": {"full": "undo"}}


async def bought(world, run, provider):
    """Everything of the shop's, placed at the provider."""
    await world.plan(run)
    await work(run, provider)
    world.clock.turn(seconds=60)  # until no provider may show less than there is


def refund(world, *numbers):
    """The shop gives these orders' payments back."""
    for number in numbers:
        world.sandbox.shop.orders[number - 1] = sold(number, payments=REFUNDED)


async def read_again(world, run):
    """Read the last 60 days again, as the flow does."""
    window = watched(world.clock.now().date())
    policy = policy_for(run)
    await plan(run.ledger, run.order_source(), policy, window, run.clock, run.id, moves_watermark=False)


async def wanted(run, *, again=False):
    """What a refund undoes by now under the run's policy, if its order was read within two hours."""
    since = run.clock.now() - timedelta(hours=2)
    return await undoing(run.ledger, policy_for(run), run.clock, run.config.settle_s, listed_since=since, again=again)


async def one_pass(run, provider, up_to=100, *, again=False):
    """Cancel what is to be cancelled, with the orders as they were read last."""
    return await Cancelling(run.account(provider, "acme"), await wanted(run, again=again), up_to).run()


async def undo(world, run, provider, up_to=100, **more):
    """Read the orders again and cancel, as the flow does."""
    await read_again(world, run)
    return await one_pass(run, provider, up_to, **more)


async def undo_struck(world, run, provider, fault):
    """The same while this fault strikes at the provider; afterwards nothing goes wrong there."""
    struck(world, provider, fault)
    await undo(world, run, provider)
    world.sandbox._lines[provider].calm()


def numbers(done):
    """How many were cancelled, refused, and too many."""
    return done.cancelled, done.refused, done.beyond


def struck(world, provider, faults):
    """From now on the provider's requests meet these faults."""
    world.sandbox._lines[provider]._draws = Draws(Faults.parse(faults), provider, 1)


def stands(world):
    """The orders whose purchases stand, in the sellers' books."""
    return sorted(each["order_id"] for each in world.purchases if not each["cancelled"])


async def purchases_of(run):
    """The purchases of orders that were given back."""
    return await run.ledger.given_back(await wanted(run))


async def shopify_gives_back(run, number):
    """Shopify reports the order as refunded whole."""
    later = {"topic": "orders/updated", "webhook_id": f"back-{number}", "updated_at": "2026-03-02T11:30:00Z"}
    await shopify_paid(run, number, financial_status="refunded", **later)


async def take_up(run, **more: Any):
    """Take up what webhooks have told."""
    return await process(run.ledger, policy_for(run), run.clock, run.id, **more)
