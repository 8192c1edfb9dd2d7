"""Plans: each order and slot once, whatever names it goes by and however often it is read; nothing sent is touched."""

from datetime import date
from decimal import Decimal

import pytest
from ledger_helpers import (
    KEYED,
    NOON,
    after,
    answer,
    claim,
    claim_doubts,
    counted,
    earned,
    in_doubt,
    life,
    offset,
    path,
    plan,
    plan_one,
    record,
    refunded,
    sale,
    trees,
)

from impactflow.ledger import Claim, Move, Planned, Status, placement_key
from impactflow.models import BrokenOrder, Kind, Payment, ProviderName, Receipt, Unearned


async def test_a_new_order_is_planned(ledger):
    """A placement for each slot, with an event; what was not earned is told."""
    low = Unearned("giving", "it comes to 0 usd_cent")
    planned = await plan(ledger, (sale(1), earned(offset(), trees(), unearned=[low])))
    story = await ledger.story("WR-1")
    assert Planned(read=1, new=1, eligible=1, placements=2) == planned
    assert [("offset", 2500, "g", "planned", 0), ("trees", 1, "tree", "planned", 0)] == [
        (each["slot"], each["quantity"], each["unit"], each["status"], each["attempts"]) for each in story["placements"]
    ]
    assert [{"slot": "giving", "reason": "it comes to 0 usd_cent"}] == story["unearned"]
    assert [(None, "planned", "2500 g")] == [
        (event["from_status"], event["to_status"], event["detail"]) for event in story["placements"][0]["events"]
    ]


async def test_an_order_that_does_not_count_is_remembered_with_the_reason(ledger):
    """Nothing is bought for it, and ``show`` can say why."""
    planned = await plan(ledger, (sale(1), refunded()))
    story = await ledger.story("WR-1")
    assert (Planned(read=1, new=1), False, []) == (planned, story["counts"], story["placements"])
    assert [{"slot": "", "reason": "a payment is REFUNDED"}] == story["unearned"]


async def test_an_order_that_is_known_and_unchanged_adds_nothing(ledger):
    """Read again in another run: no new placement, no event."""
    await plan_one(ledger)
    again = await plan(ledger, (sale(1), earned(offset())), at=after(60))
    assert (Planned(read=1, eligible=1), ["planned"]) == (again, await path(ledger))


async def test_an_empty_page_is_fine(ledger):
    """A day without sales."""
    assert Planned() == await plan(ledger)


async def test_an_order_that_changed_while_it_waited_is_planned_anew(ledger):
    """Quantity and options follow the order; the key stays."""
    await plan_one(ledger)
    edited = offset(7500, options={"portfolio_id": "reef"})
    await plan(ledger, (sale(1, item_count=Decimal(3)), earned(edited)), at=after(9))
    found = await life(ledger)
    assert (7500, '{"portfolio_id": "reef"}', "planned", placement_key("acme", "WR-1", "offset")) == (
        found["quantity"],
        found["options"],
        found["status"],
        found["key"],
    )
    assert "planned anew: 7500 g" == found["events"][-1]["detail"]


async def test_an_edited_policy_plans_anew_only_what_waits(ledger):
    """The same order under another policy: a new slot is added, a slot that is gone is withdrawn."""
    await plan(ledger, (sale(1), earned(offset(), trees())))
    await plan(ledger, (sale(1), earned(offset(), trees(2, slot="more-trees"))), policy="policy-2")
    story = await ledger.story("WR-1")
    assert [("offset", "planned"), ("trees", "cancelled"), ("more-trees", "planned")] == [
        (each["slot"], each["status"]) for each in story["placements"]
    ]
    assert "its slot is no longer in the policy" == story["placements"][1]["reason"]


async def test_a_refund_withdraws_what_waits(ledger):
    """Planned or held: cancelled, with the reason, and never claimed."""
    await plan(ledger, (sale(1), earned(offset(), offset(None, slot="held", held="no rate for XYZ"))))
    await plan(ledger, (sale(1, payments=(Payment("REFUNDED"),)), refunded()), at=after(9))
    story = await ledger.story("WR-1")
    assert [("cancelled", "a payment is REFUNDED", None)] * 2 == [
        (each["status"], each["reason"], each["due_at"]) for each in story["placements"]
    ]
    assert (None, False) == (await claim(ledger, after(9)), story["counts"])


@pytest.mark.parametrize(
    "status", [Status.PLACING, Status.IN_DOUBT, Status.PLACED, Status.FAILED, Status.COMPLETED, Status.PARKED]
)
async def test_what_was_sent_is_never_touched(ledger, status):
    """Neither an edit nor a refund nor another policy changes it."""
    await plan_one(ledger)
    sent = await claim(ledger)
    steps = {
        Status.PLACING: [],
        Status.COMPLETED: [Status.PLACED, Status.COMPLETED],
        Status.PARKED: [Status.IN_DOUBT, Status.PARKED],
    }.get(status, [status])
    from_ = Status.PLACING
    for to in steps:
        await ledger.move(answer(sent, to, from_=from_))
        from_ = to
    before = await life(ledger)
    await plan(ledger, (sale(1, amount=Decimal(1)), earned(offset(99))), at=after(9))
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(10), policy="policy-2")
    assert before == await life(ledger)


async def test_p3_a_request_that_had_no_effect_takes_what_is_earned_now(ledger):
    """Quantity and options of the present policy; the time that the provider asked to wait for stays."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger), Status.PLANNED, at=after(1), due_at=after(99)))
    mended = offset(9999, options={"portfolio_id": "other"})
    await plan(ledger, (sale(1, item_count=Decimal(9)), earned(mended)), at=after(9), policy="policy-2")
    assert None is await claim(ledger, after(98), policy="policy-2")
    claimed = await claim(ledger, after(99), policy="policy-2")
    assert (9999, {"portfolio_id": "other"}) == (claimed.quantity, claimed.options)


async def test_p3_a_request_in_doubt_keeps_its_body(ledger):
    """It may have to be sent again to settle the doubt, and must be the same then."""
    await in_doubt(ledger)
    await plan(ledger, (sale(1), earned(offset(9999))), at=after(9), policy="policy-2")
    assert [2500] == [doubt.quantity for doubt in await claim_doubts(ledger, after(99))]


async def test_a_refund_withdraws_what_was_tried_in_vain(ledger):
    """Nothing was bought, so nothing need be."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger), Status.PLANNED, at=after(1)))
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(9))
    assert ["planned", "placing", "planned", "cancelled"] == await path(ledger)


async def test_what_was_tried_in_vain_and_withdrawn_is_sent_once_it_is_earned_again(ledger):
    """As much as it has earned by then."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger), Status.PLANNED, at=after(1)))
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(9))
    await plan(ledger, (sale(1, item_count=Decimal(9)), earned(offset(9999))), at=after(10))
    assert ["planned", "placing", "planned", "cancelled", "planned"] == await path(ledger)
    assert 9999 == (await claim(ledger, after(10))).quantity


@pytest.mark.parametrize("from_", [Status.PLACED, Status.PARKED, Status.FAILED])
async def test_what_was_undone_or_given_up_is_not_bought_though_it_is_earned_again(ledger, from_):
    """It took effect once, or a person has decided."""
    await plan_one(ledger)
    sent = await claim(ledger)
    await record(ledger, answer(sent, from_))
    await ledger.move(answer(sent, Status.CANCELLED, from_=from_))
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(9))
    await plan(ledger, (sale(1), earned(offset())), at=after(10))
    assert {"cancelled": 1} == await counted(ledger)


async def test_what_was_held_is_planned_once_a_person_mended_it(ledger):
    """A rate for the currency appears in the policy."""
    held = offset(None, held="no rate for SEK")
    await plan(ledger, (sale(1, currency="SEK"), earned(held)))
    found = await life(ledger)
    assert ("held", "no rate for SEK", None) == (found["status"], found["reason"], found["due_at"])
    await plan(ledger, (sale(1, currency="SEK"), earned(offset(800))), at=after(9), policy="policy-2")
    assert ["held", "planned"] == await path(ledger)
    assert 800 == (await claim(ledger, after(9), policy="policy-2")).quantity


async def test_what_was_planned_is_held_where_the_policy_says_wait(ledger):
    """The rate is gone again before anything was sent."""
    await plan_one(ledger)
    await plan(ledger, (sale(1), earned(offset(None, held="no rate"))), at=after(9), policy="policy-2")
    assert (["planned", "held"], None) == (await path(ledger), await claim(ledger, after(9)))


async def test_a_new_slot_for_an_order_that_is_known_is_planned_under_its_first_id(ledger):
    """The key derives from the id that the ledger met first, by whatever name the order comes now."""
    both = ("wr:WR-2", "src:shopify:9")
    await plan(ledger, (sale(1, names=("src:shopify:9",)), earned(offset())))
    await plan(ledger, (sale(2, names=both), earned(offset(), trees())), at=after(9))
    story = await ledger.story("WR-2")
    keys = [each["key"] for each in story["placements"]]
    assert ("WR-1", [placement_key("acme", "WR-1", slot) for slot in ("offset", "trees")]) == (story["order"], keys)


async def test_one_sale_twice_on_a_page_is_one(ledger):
    """By a shared name; as it was read last."""
    first = sale(1, names=("wr:WR-1", "src:shopify:9"))
    second = sale(2, names=("wr:WR-2", "src:shopify:9"), amount=Decimal(99))
    planned = await plan(ledger, (first, earned(offset(1))), (sale(3), earned(offset(3))), (second, earned(offset(2))))
    assert (2, {"planned": 2}) == (planned.placements, await counted(ledger))
    assert 2 == (await life(ledger, "WR-1"))["quantity"]
    assert (await ledger.story("WR-1"))["names"] == (await ledger.story("WR-2"))["names"]


async def test_one_sale_on_two_pages_is_one(ledger):
    """The second page brings another id and the same source."""
    await plan(ledger, (sale(1, names=("wr:WR-1", "src:shopify:9")), earned(offset())))
    again = await plan(ledger, (sale(2, names=("wr:WR-2", "src:shopify:9")), earned(offset())), at=after(9))
    assert (0, 0, {"planned": 1}) == (again.new, again.placements, await counted(ledger))
    assert ["src:shopify:9", "wr:WR-1", "wr:WR-2"] == (await ledger.story("WR-2"))["names"]


async def test_the_same_names_in_two_stores_are_two_sales(ledger):
    """Stores share nothing."""
    for store in ("acme", "other"):
        await plan(ledger, (sale(1), earned(offset())), store=store)
    assert {"planned": 2} == await counted(ledger)


async def two_rows(ledger):
    """One sale that the ledger met by two names, before anything told that they are one."""
    await plan(ledger, (sale(1, names=("wr:WR-1",)), earned(offset())))
    await plan(ledger, (sale(2, names=("src:shopify:9",)), earned(offset())))


def bridge():
    """The order that tells."""
    return sale(1, names=("wr:WR-1", "src:shopify:9"))


async def test_a_name_that_joins_two_rows_leaves_one_purchase(ledger):
    """While both wait, one is withdrawn."""
    await two_rows(ledger)
    await plan(ledger, (bridge(), earned(offset())), at=after(9))
    assert {"planned": 1, "cancelled": 1} == await counted(ledger)


@pytest.mark.parametrize("which", [0, 1])
async def test_a_name_that_joins_two_rows_leaves_the_one_that_was_sent(ledger, which):
    """Whichever of them was sent stands; the other is withdrawn."""
    await two_rows(ledger)
    claimed = [await claim(ledger) for _ in range(2)]
    await record(ledger, answer(claimed[which]))
    await record(ledger, answer(claimed[1 - which], Status.PLANNED))
    await plan(ledger, (bridge(), earned(offset())), at=after(9))
    await plan(ledger, (bridge(), earned(offset())), at=after(10), policy="policy-2")
    assert {"placed": 1, "cancelled": 1} == await counted(ledger)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("other", [Status.PLACED, Status.PARKED, Status.IN_DOUBT, Status.PLANNED])
async def test_what_was_in_doubt_when_two_rows_were_joined_is_not_sent_again(ledger, which, other):
    """It turned out not to have been bought; the other one was, or may be, or will be."""
    await two_rows(ledger)
    claimed = [await claim(ledger) for _ in range(2)]
    await record(ledger, answer(claimed[which], other, due_at=NOON))
    await record(ledger, answer(claimed[1 - which], Status.IN_DOUBT, due_at=NOON))
    await plan(ledger, (bridge(), earned(offset())), at=after(9))
    for doubt in await ledger.claim_doubts(Claim(KEYED, "acme", "run-2", after(10), after(70), exclusive=False)):
        if doubt.key == claimed[1 - which].key:
            await ledger.move(answer(doubt, Status.PLANNED, from_=Status.IN_DOUBT, due_at=after(10)))

    again = [each for _ in range(2) if (each := await claim(ledger, after(11)))]
    assert (1 if other is Status.PLANNED else 0) == len(again)
    left = Status.PLACING if other is Status.PLANNED else other
    assert {left.value: 1, "cancelled": 1} == await counted(ledger)


@pytest.mark.parametrize("which", [0, 1])
async def test_what_would_be_sent_again_to_settle_it_is_parked_where_its_sale_was_bought_for(ledger, which):
    """Its key is another than that of the one that was bought."""
    await two_rows(ledger)
    claimed = [await claim(ledger) for _ in range(2)]
    await record(ledger, answer(claimed[which]))
    await record(ledger, answer(claimed[1 - which], Status.IN_DOUBT, due_at=NOON))
    await plan(ledger, (bridge(), earned(offset())), at=after(9))

    assert [] == await ledger.claim_doubts(
        Claim(KEYED, "acme", "run-2", after(10), after(70), exclusive=False, repeats=True)
    )
    assert {"placed": 1, "parked": 1} == await counted(ledger)
    [waiting] = await ledger.attention()
    assert f"as order WR-{which + 1}" in waiting["reason"]


async def test_a_name_that_joins_two_rows_leaves_the_one_that_can_still_be_bought(ledger):
    """The first row's was withdrawn earlier: the second row's plan must not be withdrawn for its sake."""
    await two_rows(ledger)
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(1))
    await plan(ledger, (bridge(), earned(offset())), at=after(9))
    assert {"planned": 1, "cancelled": 1} == await counted(ledger)


@pytest.mark.parametrize("name", ["wr:WR-1", "src:shopify:9"])
async def test_rows_that_were_joined_are_one_sale_by_any_name_ever_after(ledger, name):
    """A slot that is new in the policy is bought once for them, though the joining name does not come again."""
    await two_rows(ledger)
    await plan(ledger, (bridge(), earned(offset())), at=after(9))
    for number in (1, 2):
        for order in (sale(number, names=(name,)), sale(1, names=("wr:WR-1",)), sale(2, names=("src:shopify:9",))):
            await plan(ledger, (order, earned(offset(), trees())), at=after(9 + number), policy="policy-2")
    story = await ledger.story(name)
    living = [each["slot"] for each in story["placements"] if each["status"] == "planned"]
    assert ({"planned": 2, "cancelled": 1}, ["offset", "trees"]) == (await counted(ledger), sorted(living))
    known = await ledger.known_slots("acme", ["wr:WR-1", "src:shopify:9"])
    assert {(n, slot): False for n in ("wr:WR-1", "src:shopify:9") for slot in ("offset", "trees")} == known


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("joined", ["before it was bought", "after it was bought", "after it was cancelled"])
@pytest.mark.parametrize("other", [Status.PLANNED, Status.IN_DOUBT, "idle"])
async def test_p7_what_was_bought_and_cancelled_keeps_its_slot(ledger, which, joined, other):
    """Whichever name it was bought under, whatever became of the other, and whenever the two were joined."""
    await two_rows(ledger)
    claimed = [await claim(ledger) for _ in range(2)]
    if other is Status.IN_DOUBT:
        await record(ledger, answer(claimed[1 - which], Status.IN_DOUBT, due_at=NOON))
    else:
        await record(ledger, answer(claimed[1 - which], Status.PLANNED, due_at=after(3 if other == "idle" else 0)))
    if joined == "before it was bought":
        await plan(ledger, (bridge(), earned(offset())), at=after(1))
    await record(ledger, answer(claimed[which], at=after(2)))
    if joined == "after it was bought":
        await plan(ledger, (bridge(), earned(offset())), at=after(3))
    cancelled = Receipt(f"ref-{claimed[which].id}")
    await ledger.move(Move(claimed[which], Status.PLACED, Status.CANCELLED, after(4), "run-1", receipt=cancelled))
    if joined == "after it was cancelled":
        await plan(ledger, (bridge(), earned(offset())), at=after(5))
    await plan(ledger, (bridge(), earned(offset())), at=after(6), policy="policy-2")
    for doubt in await ledger.claim_doubts(Claim(KEYED, "acme", "run-2", after(10), after(70), exclusive=False)):
        await ledger.move(answer(doubt, Status.PLANNED, from_=Status.IN_DOUBT, due_at=after(10)))
    await plan(ledger, (bridge(), earned(offset())), at=after(11), policy="policy-3")

    assert None is await claim(ledger, after(12))
    assert {"cancelled": 2} == await counted(ledger)


async def test_the_customer_who_was_told_first_stays(ledger):
    """Whom the provider knows the purchase for is whom its records are searched for."""
    mine = trees(on_behalf_of_customer=True)
    await plan(ledger, (sale(1), earned(mine)))
    sent = await claim(ledger, provider=ProviderName.ONECLICKIMPACT)
    await record(ledger, answer(sent, Status.PLANNED, after(1)))
    await plan(ledger, (sale(1, customer_email="new@example.com"), earned(mine)), at=after(9))
    found = await claim(ledger, after(9), provider=ProviderName.ONECLICKIMPACT)
    assert "customer1@example.com" == found.customer_email


async def test_a_corrected_address_counts_while_nothing_was_sent(ledger):
    """The provider is told the address that the order has now."""
    mine = trees(on_behalf_of_customer=True)
    await plan(ledger, (sale(1), earned(mine)))
    await plan(ledger, (sale(1, customer_email="new@example.com"), earned(mine)), at=after(9))
    found = await claim(ledger, after(9), provider=ProviderName.ONECLICKIMPACT)
    assert "new@example.com" == found.customer_email


async def test_what_was_withdrawn_and_is_earned_again_is_planned_again(ledger):
    """A rule was taken out and put back, or a refund was undone: nothing was sent, so nothing stands in the way."""
    await plan(ledger, (sale(1), earned(offset())))
    await plan(ledger, (sale(1, payments=()), refunded()), at=after(1))
    await plan(ledger, (sale(1), earned(offset())), at=after(2))
    assert "planned" == (await life(ledger))["status"]


async def test_two_listings_of_one_sale_by_different_names_are_one(ledger):
    """The ledger knows that both names are the same order's, though no listing on this page has both."""
    await plan(ledger, (sale(1, names=("wr:WR-1", "src:shop:1")), earned(offset())))
    by_one = sale(1, names=("wr:WR-1", "src:other:1"))
    by_the_other = sale(1, names=("src:shop:1",))
    await plan(ledger, (by_one, earned(offset())), (by_the_other, earned(offset())), at=after(1))
    assert {(KEYED, Status.PLANNED): 1} == dict(await ledger.counts())


async def test_an_address_is_kept_only_where_a_provider_is_told_it(ledger, ledger_url):
    """Orders bought for the merchant leave no personal data behind."""
    await plan(ledger, (sale(1), earned(offset())), (sale(2), earned(trees(on_behalf_of_customer=True))))
    with ledger._engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT customer_email FROM orders ORDER BY order_id").scalars().all()
    assert [None, "customer2@example.com"] == kept


async def test_a_quantity_may_be_as_large_as_money_gets(ledger):
    """Ten thousand tonnes in grams do not fit into 32 bits."""
    large = offset(10_000_000_000)
    await plan(ledger, (sale(1), earned(large)))
    assert 10_000_000_000 == (await claim(ledger)).quantity


async def test_broken_orders_are_kept_until_they_are_mended(ledger):
    """Counted once however often they are read, with the latest problem; gone when a later reading succeeds."""
    first = await plan(
        ledger, (sale(1), earned(offset())), broken=[BrokenOrder("WR-7", "date"), BrokenOrder(None, "x")]
    )
    await plan(ledger, broken=[BrokenOrder("WR-7", "date and amount")], at=after(9))
    assert (Planned(read=3, new=1, eligible=1, broken=2, placements=1), 2) == (first, await ledger.broken_count())
    nameless, named = await ledger.broken()
    assert ("WR-7", "date and amount", after(9)) == (named["name"], named["problem"], named["last_seen_at"])
    assert nameless["name"].startswith("?")
    assert "date and amount" == (await ledger.story("WR-7"))["broken"]["problem"]
    await plan(ledger, (sale(7), earned(offset())), at=after(10))
    assert 1 == await ledger.broken_count()


async def test_the_watermark_never_moves_back(ledger):
    """A run that read older days changes nothing; each store and source has its own."""
    assert None is await ledger.watermark("acme", "wickedreports")
    for day in (3, 5, 4):
        await ledger.advance_watermark("acme", "wickedreports", date(2026, 3, day), today=date(2026, 3, 9))
    assert date(2026, 3, 5) == await ledger.watermark("acme", "wickedreports")
    assert None is await ledger.watermark("acme", "webhooks")
    assert None is await ledger.watermark("other", "wickedreports")


async def test_a_failed_slot_is_not_planned_again(ledger):
    """Refused for good; the same order in a later run does not send it anew."""
    await plan_one(ledger)
    await record(ledger, answer(await claim(ledger), Status.FAILED))
    await plan(ledger, (sale(1, amount=Decimal(5)), earned(offset(1))), at=after(9), policy="policy-2")
    assert ({"failed": 1}, None) == (await counted(ledger), await claim(ledger, after(99)))


async def test_several_kinds_and_providers_lie_beside_each_other(ledger):
    """Each with its unit."""
    giving = trees(500, slot="giving", provider=ProviderName.IMPACTAPI, kind=Kind.DONATE, options={"campaign": "c"})
    await plan(ledger, (sale(1), earned(offset(), trees(), giving)))
    found = await claim(ledger, provider=ProviderName.IMPACTAPI)
    assert (Kind.DONATE, 500, {"campaign": "c"}, NOON) == (
        found.kind,
        found.quantity,
        found.options,
        found.attempted_at,
    )
    assert KEYED == (await claim(ledger)).provider


async def test_o12_a_watermark_never_lies_in_the_future(ledger):
    """Tomorrow's orders are not planned, whoever says so; and a mark of a clock that was ahead is taken back."""
    ahead, today = date(2026, 3, 9), date(2026, 3, 2)
    await ledger.advance_watermark("acme", "wickedreports", ahead, today=today)
    assert today == await ledger.watermark("acme", "wickedreports")
    await ledger.advance_watermark("acme", "wickedreports", ahead, today=ahead)
    await ledger.advance_watermark("acme", "wickedreports", today, today=today)
    assert today == await ledger.watermark("acme", "wickedreports")
