"""What nobody would hear of otherwise: refused deliveries, and the reasons of what is held and what was not earned."""

from datetime import timedelta

from ledger_helpers import NOON, after, earned, offset, plan, sale, trees

from impactflow.ledger import Ledger, Page, Reason, Reasons, RefusedDeliveries
from impactflow.ledger.facts import Origin
from impactflow.ledger.tables import refused_deliveries
from impactflow.models import Unearned

TODAY = NOON.date()
NO_RATE = "no rate for HUF: add it to fx.usd_per in the policy"
FAILED = "no payment is APPROVED or MANUAL (seen: FAILED)"


async def test_c20_refused_deliveries_are_counted_by_source_and_status(ledger, ledger_url):
    """However many they are and whichever receiver refused them, they are one row a day; an older day is left out."""
    with Ledger.open(ledger_url) as other:
        for receiver in (ledger, other):
            for count in (3, 2):
                await receiver.count_refused(
                    [
                        RefusedDeliveries("acme", "shopify", TODAY, 413, count),
                        RefusedDeliveries("acme", "shopify", TODAY - timedelta(days=1), 413, 1),
                        RefusedDeliveries("acme", "shopify", TODAY, 401, 1),
                        RefusedDeliveries("other", "stripe", TODAY, 400, 1),
                        RefusedDeliveries("acme", "shopify", TODAY - timedelta(days=9), 413, 1000),
                    ]
                )
    week = TODAY - timedelta(days=6)

    assert {"shopify": {413: 14, 401: 4}, "stripe": {400: 4}} == await ledger.refused(week)
    assert {"shopify": {413: 14, 401: 4}} == await ledger.refused(week, store="acme")
    assert {} == await ledger.refused(TODAY + timedelta(days=1))
    with ledger._engine.connect() as connection:
        assert 5 == len(connection.execute(refused_deliveries.select()).all())


async def test_what_is_held_is_told_by_reason(ledger):
    """The most frequent first; what is not held is not told."""
    forint, other = trees(None, held=NO_RATE), trees(None, held="the amount is not believable")
    for number, impact in enumerate((other, forint, forint, trees(), offset()), start=1):
        await plan(ledger, (sale(number), earned(impact)))

    expected = [Reason(NO_RATE, None, 2), Reason("the amount is not believable", None, 1)]
    assert Reasons(expected, others=0) == await ledger.why_held()


async def test_what_was_not_earned_is_told_by_reason(ledger):
    """Of each slot, and of whole orders; of every store; not of what was sold before."""
    whole, tree = earned(eligible=False, unearned=[Unearned(None, FAILED)]), earned(unearned=[Unearned("trees", "few")])
    orders = [(sale(number), whole) for number in range(3)] + [(sale(3), tree), (sale(4), earned(trees()))]
    await plan(ledger, *orders)
    await plan(ledger, (sale(5), tree), store="other")
    await plan(ledger, (sale(6, ordered_at=after(-40 * 86_400)), tree))

    expected = [Reason(FAILED, None, 3), Reason("few", "trees", 2)]
    assert Reasons(expected, others=0) == await ledger.why_unearned(NOON - timedelta(days=30))
    assert Reasons([], others=0) == await ledger.why_unearned(NOON)


async def test_c17_an_old_order_of_which_a_webhook_told_lately_is_told_too(ledger):
    """A shop imports an order of years ago; a source that lists its old orders again tells nothing new."""
    old = earned(eligible=False, unearned=[Unearned(None, "too old")])
    long_ago = after(-2_000 * 86_400)
    page = Page(
        "acme", [(sale(1, ordered_at=long_ago), old)], (), lambda _: old, "policy-1", "run", NOON, Origin.ANNOUNCED
    )
    await ledger.plan(page)
    await plan(ledger, (sale(2, ordered_at=long_ago), old))

    assert Reasons([Reason("too old", None, 1)], others=0) == await ledger.why_unearned(NOON - timedelta(days=30))


async def test_rare_reasons_are_told_by_their_number(ledger):
    """Ten reasons are told, so that a page of them never hides the first."""
    orders = [(sale(n), earned(unearned=[Unearned("trees", f"reason {n % 12:02}")])) for n in range(25)]
    await plan(ledger, *orders)
    unearned = await ledger.why_unearned(NOON - timedelta(days=30))

    assert (10, 4, 3) == (len(unearned.first), unearned.others, unearned.first[0].count)
