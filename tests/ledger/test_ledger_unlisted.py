"""What waits for orders that their source does not list any more, what would be sent now, and what is adopted."""

from datetime import timedelta

from ledger_helpers import KEYED, NOON, after, claim, counted, earned, fresh, life, offset, plan, plan_one, sale

from impactflow.ledger import Adopted, Listing, OurPurchase, placement_key
from impactflow.models import Kind

HOURS = 3600
SPAN = (NOON - timedelta(days=1), NOON + timedelta(days=1))


def listing(seconds):
    """A complete reading of the days around noon."""
    return Listing("acme", SPAN, after(seconds), "run-2")


def bought(ref="ours", order="WR-1", **fields):
    """An offset that the account shows under the order's key."""
    return OurPurchase(
        **{
            "store": "acme",
            "order_id": order,
            "slot": "offset",
            "key": placement_key("acme", order, "offset"),
            "provider": KEYED,
            "kind": Kind.OFFSET,
            "quantity": 2500,
            "customer_email": None,
            "ref": ref,
            "parts": (),
            "price_usd_cents": 250,
            "bought_at": after(-60),
            "cancelled": False,
            "at": NOON,
            "run_id": "run-1",
        }
        | fields
    )


async def test_what_is_not_listed_any_more_awaits_approval_once(ledger):
    """The order that was read again is left alone; nothing is sent for the other one, and its story says why."""
    await plan_one(ledger, 1)
    await plan_one(ledger, 2)
    await plan(ledger, (sale(2), earned(offset())), at=after(HOURS))
    assert (1, 0) == (await ledger.leave_unlisted(listing(HOURS)), await ledger.leave_unlisted(listing(HOURS)))
    assert {"awaiting_approval": 1, "planned": 1} == await counted(ledger)
    assert "not listed (any more)" in (await life(ledger))["events"][-1]["detail"]
    claimed = await claim(ledger, after(HOURS))
    assert ("WR-2", None) == (claimed and claimed.order_id, await claim(ledger, after(HOURS)))


async def test_what_only_a_webhook_has_told_of_waits_to_be_listed_until_it_is_old(ledger):
    """It may still come to be listed; six hours later it awaits approval, too."""
    await plan(ledger, (sale(1, names=("src:shopify:1",)), earned(offset())))
    assert 0 == await ledger.leave_unlisted(listing(HOURS))
    assert 1 == await ledger.leave_unlisted(listing(7 * HOURS))


async def test_only_what_was_read_lately_under_the_policy_would_be_sent(ledger):
    """As a run would claim it: not under another policy, nor six hours later."""
    await plan_one(ledger)
    [each] = await ledger.to_send("acme", fresh(after(HOURS)))
    assert ("WR-1", "offset", 2500, True) == (each.order, each.slot, each.quantity, each.was_listed)
    assert [] == await ledger.to_send("acme", fresh(after(7 * HOURS)))
    assert [] == await ledger.to_send("acme", fresh(after(HOURS), policy="policy-2"))
    assert [] == await ledger.to_send("another", fresh(after(HOURS)))


async def test_a_purchase_is_adopted_once_and_not_bought_again(ledger):
    """Whether the order is planned before or after; a second one under its key is kept beside the first."""
    await plan_one(ledger, 1)
    assert Adopted.RECORDED == await ledger.adopt(bought())
    assert Adopted.NEW == await ledger.adopt(bought("second", order="WR-2"))
    assert Adopted.FURTHER == await ledger.adopt(bought("beside"))
    assert {Adopted.KNOWN} == {await ledger.adopt(bought()), await ledger.adopt(bought("beside"))}
    await plan_one(ledger, 2)
    assert {"placed": 2} == await counted(ledger)
    assert None is await claim(ledger)
