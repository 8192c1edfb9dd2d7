"""Announced refunds: remembered before or after their order, withdrawing what waits, applied to what is planned."""

import asyncio
from decimal import Decimal

import pytest
from ledger_helpers import NOON, after, answer, claim, counted, earned, life, offset, path, plan, record, refunded, sale

from impactflow.ledger import Announcement, Due, Ledger, Origin, Page, Status
from impactflow.models import Payment, ProviderName, Refund

BY_SHOP, BY_WICKED = "src:shopify:7", "wr:WR-1"
PARTLY = "Partially Refunded"


def refund(ref="r1", amount="80", *, names=(BY_SHOP,), currency="USD", is_full=False):
    """All of the order's 80 USD, unless said otherwise."""
    return Refund(tuple(names), ref, None if amount is None else Decimal(amount), currency, is_full)


async def announce(ledger, *refunds, at=NOON):
    """How many placements each withdrew."""
    return [await ledger.record_refund(Announcement("acme", each, "run-refund", at)) for each in refunds]


async def evaluated(ledger, *, names=(BY_WICKED, BY_SHOP), at=NOON, counts_partly=False, announced=False, **fields):
    """Plan the order under a policy that may count partial refunds."""
    counts = {"APPROVED"} | ({PARTLY} if counts_partly else set())

    def evaluate(order):
        return earned(offset()) if {payment.status for payment in order.payments} <= counts else refunded()

    order = sale(names=names, **fields)
    page = Page(
        "acme",
        [(order, evaluate(order))],
        (),
        evaluate,
        "policy-1",
        "run-plan",
        at,
        Origin.ANNOUNCED if announced else Origin.READ,
    )
    return await ledger.plan(page)


async def test_a_refund_that_comes_before_its_order_is_remembered(ledger):
    """The order earns nothing when it comes."""
    await announce(ledger, refund())
    planned = await evaluated(ledger)

    assert ({}, 0) == (await counted(ledger), planned.eligible)
    assert (await ledger.story("WR-1"))["unearned"] == [{"slot": "", "reason": "a payment is REFUNDED"}]


@pytest.mark.parametrize("names", [(BY_SHOP,), (BY_WICKED,)])
async def test_a_refund_withdraws_what_waits(ledger, names):
    """In the transaction that remembers it, by any of the order's names."""
    await evaluated(ledger)

    assert [1] == await announce(ledger, refund(names=names))
    assert ["planned", "cancelled"] == await path(ledger)
    assert "refund" in (await life(ledger))["reason"]
    assert None is await claim(ledger)


async def test_a_refund_reaches_an_order_through_names_that_another_reading_gave_it(ledger):
    """The refund knows the shop's name, this reading only Wicked Reports'."""
    await announce(ledger, refund())
    await evaluated(ledger, names=(BY_SHOP,), announced=True)
    await evaluated(ledger, names=(BY_SHOP, BY_WICKED))
    await evaluated(ledger, names=(BY_WICKED,), amount=Decimal(81), at=after(60), counts_partly=True)

    assert {"planned": 1} == await counted(ledger)  # 80 of 81: in part, and that counts now
    assert {BY_WICKED} == set(await ledger.refunds("acme", [BY_WICKED, "wr:other"]))


async def test_a_refund_reaches_both_rows_of_orders_that_are_joined(ledger):
    """What either of them waits for is withdrawn."""
    await evaluated(ledger, names=(BY_SHOP,))
    await plan(ledger, (sale(names=(BY_WICKED,)), earned(offset(slot="more"))))
    await evaluated(ledger, names=(BY_SHOP, BY_WICKED), at=after(1))
    await announce(ledger, refund())

    assert {"cancelled": 2} == await counted(ledger)


async def test_what_was_sent_is_left_alone(ledger):
    """A later flow cancels it where that is possible."""
    await evaluated(ledger)
    await record(ledger, answer(await claim(ledger)))

    assert [0] == await announce(ledger, refund())
    assert {"placed": 1} == await counted(ledger)


async def test_a_refund_in_part_withdraws_until_the_order_is_read_again(ledger):
    """Then it counts, where the policy says so."""
    await evaluated(ledger, counts_partly=True)
    await announce(ledger, refund(amount="5"))
    assert {"cancelled": 1} == await counted(ledger)

    await evaluated(ledger, counts_partly=True, at=after(60))
    assert ["planned", "cancelled", "planned"] == await path(ledger)
    assert [0] == await announce(ledger, refund(amount="5"))  # a delivery that is handled again is no news

    await announce(ledger, refund("r2", amount="5"))
    await evaluated(ledger, counts_partly=True, at=after(120))
    assert {"planned": 1} == await counted(ledger)


async def test_what_was_tried_in_vain_is_withdrawn_by_a_refund_in_part_only_until_then_too(ledger):
    """That it was sent before, and was not bought, takes nothing away from what the order has earned."""
    await evaluated(ledger, counts_partly=True)
    await record(ledger, answer(await claim(ledger), Status.PLANNED, at=after(1)))
    await announce(ledger, refund(amount="5"))
    assert {"cancelled": 1} == await counted(ledger)

    await evaluated(ledger, counts_partly=True, at=after(60))
    assert None is not await claim(ledger, after(60))


@pytest.mark.parametrize(
    ("refunds", "status"),
    [
        ([refund(amount="79.99")], PARTLY),
        ([refund(amount="80")], "REFUNDED"),
        ([refund(amount="40"), refund("r2", "40")], "REFUNDED"),
        ([refund(amount="40"), refund(amount="80")], "REFUNDED"),  # told again, more by now
        ([refund(amount="80"), refund(amount="40")], "REFUNDED"),  # in the other order
        ([refund(amount="40"), refund(amount="40")], PARTLY),  # told again, the same
        ([refund(amount="40", names=(BY_SHOP, BY_WICKED))], PARTLY),  # two names, one refund
        ([refund(amount="90", currency="EUR")], PARTLY),
        ([refund(amount=None, currency=None)], PARTLY),
        ([refund(amount=None, currency=None, is_full=True)], "REFUNDED"),
        ([refund(amount="5", is_full=True), refund(amount=None, currency=None)], "REFUNDED"),
    ],
)
async def test_refunds_add_up_to_all_of_an_order_or_to_a_part(ledger, refunds, status):
    """Each counts once; in another currency, or without an amount, only the sender's word makes it full."""
    await announce(ledger, *refunds)
    known = await ledger.refunds("acme", [BY_WICKED, BY_SHOP])
    payments = (Payment("FAILED"), Payment("approved"))
    order = sale(names=(BY_WICKED, BY_SHOP), payments=payments).after(known[BY_SHOP])

    assert (Payment("FAILED"), Payment(status)) == order.payments
    assert order == order.after(known[BY_SHOP])


async def test_no_order_is_planned_past_a_refund_that_another_program_is_told_of(ledger, ledger_url):
    """At the same moment: whichever is first, nothing waits in the end."""
    with Ledger.open(ledger_url) as other:
        for number in range(10):
            name = f"src:shopify:{number}"
            announcing = announce(other, refund(names=(name,)))
            await asyncio.gather(evaluated(ledger, id=f"WR-{number}", names=(name,)), announcing)

    assert "planned" not in await counted(ledger)


async def test_an_announced_order_changes_nothing_of_one_that_counts(ledger):
    """But for its names: the announcement may know less, or be old."""
    await evaluated(ledger, names=(BY_WICKED,))
    announced = (sale(names=(BY_SHOP, BY_WICKED), amount=Decimal(7)), earned())
    evaluate = {Decimal(7): earned(), Decimal(80): earned(offset())}
    page = Page(
        "acme", [announced], (), lambda order: evaluate[order.amount], "policy-1", "run-2", NOON, Origin.ANNOUNCED
    )
    await ledger.plan(page)

    assert {"planned": 1} == await counted(ledger)
    assert [BY_SHOP, BY_WICKED] == (await ledger.story("shopify:7"))["names"]


async def test_an_announced_order_that_did_not_count_is_planned(ledger):
    """It was not paid when it was read."""
    await evaluated(ledger, names=(BY_SHOP,), payments=(Payment("FAILED"),))
    await evaluated(ledger, names=(BY_SHOP,), announced=True)

    assert {"planned": 1} == await counted(ledger)


async def test_a_hint_makes_a_placement_due_to_be_tracked(ledger):
    """One that took effect, and only if it is not due anyway; an unknown key is nothing."""
    await evaluated(ledger)
    placement = await claim(ledger)
    keys = [placement.key, "impactflow" + "0" * 40]
    nothing = await ledger.make_due(Due(keys, NOON))
    await record(ledger, answer(placement, due_at=after(3600)))
    hinted = await ledger.make_due(Due(keys, after(5)))
    again = await ledger.make_due(Due(keys, after(6)))

    assert (frozenset(), {ProviderName.CNAUGHT}, frozenset()) == (nothing, hinted, again)
    due = await ledger.placed(ProviderName.CNAUGHT, "acme", due_by=after(5), after=0, limit=5)
    assert [placement.id] == [each.id for each, _ in due]
    assert frozenset() == await ledger.make_due(Due([], NOON))
