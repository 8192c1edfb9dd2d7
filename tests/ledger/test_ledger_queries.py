"""What the ledger can be asked, with the same answers from both databases."""

from datetime import UTC, date, datetime

import pytest
from ledger_helpers import (
    KEYED,
    KEYLESS,
    NOON,
    after,
    answer,
    claim,
    claim_doubts,
    earned,
    in_doubt,
    offset,
    plan,
    plan_one,
    record,
    refunded,
    sale,
    trees,
)

from impactflow.errors import ConfigurationError
from impactflow.ledger import Move, Status, Total
from impactflow.models import ProviderName, Receipt


async def placed(ledger, number, quantity, at, price=250, provider=KEYED):
    """One purchase; the price is None where the provider does not say."""
    impact = offset(quantity) if provider is KEYED else trees(quantity)
    await plan_one(ledger, number, impact, at=at)
    sent = await claim(ledger, at, provider=provider)
    receipt = Receipt(f"ref-{number}", price)
    await record(ledger, Move(sent, Status.PLACING, Status.PLACED, at, "run-1", due_at=at, receipt=receipt))
    return sent


async def test_totals_add_up_per_day_slot_and_provider(ledger):
    """Exactly, in whole units, on UTC days; what was cancelled is not in them, what is complete is counted."""
    late = datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC)
    one = await placed(ledger, 1, 2500, NOON)
    await placed(ledger, 2, 9_000_000_000_000, late, price=10**12)
    await placed(ledger, 3, 1, late.replace(day=3), price=1)
    gone = await placed(ledger, 4, 77, NOON)
    await placed(ledger, 5, 3, NOON, price=None, provider=KEYLESS)
    await ledger.move(Move(one, Status.PLACED, Status.COMPLETED, after(1), "run-1"))
    await ledger.move(Move(gone, Status.PLACED, Status.CANCELLED, after(1), "run-1"))
    await plan_one(ledger, 6)
    second, third = date(2026, 3, 2), date(2026, 3, 3)
    expected = [
        Total(second, "offset", "cnaught", "offset", "g", 2, 9_000_000_002_500, 10**12 + 250, 1),
        Total(second, "trees", "oneclickimpact", "plant_trees", "tree", 1, 3, None, 0),
        Total(third, "offset", "cnaught", "offset", "g", 1, 1, 1, 0),
    ]
    assert expected == list(await ledger.totals())
    assert expected[:2] == list(await ledger.totals((second, second)))
    assert [] == list(await ledger.totals((date(2026, 3, 4), date(2026, 3, 9))))


async def test_counts_are_by_provider_and_status(ledger):
    """Of all orders, or of those sold in a half-open span."""
    await placed(ledger, 1, 5, NOON)
    await plan(ledger, (sale(2, ordered_at=after(0)), earned(offset(), trees())))
    everything = {(KEYED, Status.PLACED): 1, (KEYED, Status.PLANNED): 1, (KEYLESS, Status.PLANNED): 1}
    early = {(KEYED, Status.PLACED): 1}
    assert everything == await ledger.counts()
    assert early == await ledger.counts((after(-3600), NOON))
    assert {} == await ledger.counts((after(1), after(9)))


async def test_next_due_is_the_earliest(ledger):
    """Of one provider, in the statuses asked for."""
    await plan_one(ledger, 1, at=after(7))
    await plan_one(ledger, 2, at=after(5))
    await plan_one(ledger, 3, trees(), at=after(1))
    assert after(5) == await ledger.next_due(KEYED, "acme", [Status.PLANNED], now=NOON)
    assert None is await ledger.next_due(KEYED, "acme", [Status.IN_DOUBT], now=NOON)
    assert None is await ledger.next_due(ProviderName.IMPACTAPI, "acme", list(Status), now=NOON)


async def test_known_slots_are_told_by_any_name(ledger):
    """For the preview of a run."""
    await plan(ledger, (sale(1, names=("wr:WR-1", "src:shopify:9")), earned(offset(), trees())))
    found = await ledger.known_slots("acme", ["src:shopify:9", "wr:WR-2"])
    assert {("src:shopify:9", "offset"): False, ("src:shopify:9", "trees"): False} == found
    assert {} == await ledger.known_slots("other", ["src:shopify:9"])
    assert {} == await ledger.known_slots("acme", [])


async def test_known_slots_say_where_nothing_was_bought(ledger):
    """Held, or withdrawn before it was sent: planning may begin it yet."""
    await plan(ledger, (sale(1), earned(offset(None, held="no rate"))))
    await plan(ledger, (sale(2), earned(offset())))
    await plan(ledger, (sale(2, payments=()), refunded()), at=after(1))
    await plan_one(ledger, 3)
    await record(ledger, answer(await claim(ledger), Status.FAILED))
    found = await ledger.known_slots("acme", [f"wr:WR-{number}" for number in (1, 2, 3)])
    assert {("wr:WR-1", "offset"): True, ("wr:WR-2", "offset"): True, ("wr:WR-3", "offset"): False} == found


async def test_attention_lists_what_is_not_as_it_should_be(ledger):
    """Failed, held, in doubt and parked, with the reason and nothing personal; what went well is not in it."""
    await placed(ledger, 1, 5, NOON)
    await in_doubt(ledger, 2)
    await plan_one(ledger, 3)
    await record(ledger, answer(await claim(ledger), Status.FAILED, detail="too much"))
    await plan_one(ledger, 4, offset(None, held="no rate"))
    rows = await ledger.attention()
    assert [
        ("failed", "WR-3", "too much"),
        ("held", "WR-4", "no rate"),
        ("in_doubt", "WR-2", "the answer was lost"),
    ] == [(row["status"], row["order_id"], row["reason"]) for row in rows]
    assert 1 == len(await ledger.attention(limit=1))
    assert "@" not in str(rows)


async def test_placements_to_track_come_in_pages(ledger):
    """By id, each once; with ``due_by`` only those that are due."""
    for number in range(1, 6):
        await placed(ledger, number, 5, after(number))
    first = await ledger.placed(KEYED, "acme", due_by=None, after=0, limit=3)
    rest = await ledger.placed(KEYED, "acme", due_by=None, after=first[-1][0].id, limit=3)
    due = await ledger.placed(KEYED, "acme", due_by=after(2), after=0, limit=9)
    assert [3, 2, 2] == [len(first), len(rest), len(due)]
    assert ("ref-1", 1, 0) == (first[0][0].ref, first[0][0].attempt, first[0][1])


async def test_purchases_are_what_took_effect(ledger):
    """Whatever became of them afterwards; for the comparison with the providers' books."""
    one = await placed(ledger, 1, 5, NOON)
    await ledger.move(Move(one, Status.PLACED, Status.CANCELLED, after(1), "run-1"))
    await in_doubt(ledger, 2)
    rows = await ledger.purchases()
    assert [("WR-1", one.key, "cnaught", "offset", "g", 5, "ref-1", "cancelled")] == [
        tuple(row[name] for name in ("order_id", "key", "provider", "kind", "unit", "quantity", "ref", "status"))
        for row in rows
    ]


async def test_a_story_tells_everything_but_personal_data(ledger):
    """By the id, by the id with its prefix, or by the source's name."""
    await plan(ledger, (sale(1, names=("wr:WR-1", "src:shopify:9")), earned(trees(on_behalf_of_customer=True))))
    await record(ledger, answer(await claim(ledger, provider=KEYLESS)))
    stories = [await ledger.story(name) for name in ("WR-1", "wr:WR-1", "src:shopify:9")]
    assert stories[0] == stories[1] == stories[2]
    story = stories[0]
    assert ("WR-1", "acme", after(-3600), True) == (
        story["order"],
        story["store"],
        story["ordered_at"],
        story["counts"],
    )
    assert ["planned", "placing", "placed"] == [event["to_status"] for event in story["placements"][0]["events"]]
    assert "@" not in str(story)


async def test_an_order_that_nobody_knows_has_no_story(ledger):
    """None."""
    assert None is await ledger.story("WR-404")


async def test_times_come_back_as_they_were_given(ledger):
    """Aware, UTC, to the microsecond."""
    moment = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
    await plan_one(ledger, at=moment)
    due_at = await ledger.next_due(KEYED, "acme", [Status.PLANNED], now=NOON)
    assert (moment, UTC) == (due_at, due_at.tzinfo)


async def test_holders_are_found_by_purchase_and_by_key(ledger):
    """Whatever became of them; under a shared name all that share it."""
    one = await placed(ledger, 1, 5, NOON, provider=KEYLESS)
    two = await in_doubt(ledger, 2)
    await plan_one(ledger, 3, trees(6))
    shared = await claim(ledger, after(9), provider=KEYLESS)
    await record(ledger, answer(shared, ref="ref-1"))
    by_ref = await ledger.holders(KEYLESS, refs=["ref-1", "ref-9"], keys=[])
    by_key = await ledger.holders(KEYED, refs=[], keys=[two.key, "nobody's"])
    both = await ledger.holders(KEYLESS, refs=["ref-1"], keys=[one.key])
    assert [("WR-1", "ref-1", Status.PLACED), ("WR-3", "ref-1#2", Status.PLACED)] == sorted(
        (entry.placement.order_id, entry.placement.ref, entry.status) for entry in by_ref
    )
    assert [("WR-2", None, Status.IN_DOUBT)] == [
        (entry.placement.order_id, entry.placement.ref, entry.status) for entry in by_key
    ]
    assert {"WR-1", "WR-3"} == {entry.placement.order_id for entry in both}
    assert [] == await ledger.holders(KEYED, refs=["ref-1"], keys=[])
    assert [] == await ledger.holders(KEYED, refs=[], keys=[])


async def test_what_stands_comes_in_pages(ledger):
    """What took effect in the span, was not cancelled, is one provider's; by id, each once."""
    for number in range(1, 6):
        await placed(ledger, number, 5, after(number))
    gone, *_ = await ledger.holders(KEYED, refs=["ref-2"], keys=[])
    await ledger.move(Move(gone.placement, Status.PLACED, Status.CANCELLED, after(9), "run-1"))
    done, *_ = await ledger.holders(KEYED, refs=["ref-3"], keys=[])
    await ledger.move(Move(done.placement, Status.PLACED, Status.COMPLETED, after(9), "run-1"))
    await placed(ledger, 6, 3, after(3), provider=KEYLESS)
    span = (after(1), after(5))
    first = await ledger.standing(KEYED, "acme", span, after=0, limit=2)
    rest = await ledger.standing(KEYED, "acme", span, after=first[-1].placement.id, limit=2)
    assert ["ref-1", "ref-3", "ref-4"] == [entry.placement.ref for entry in (*first, *rest)]
    assert [] == await ledger.standing(KEYED, "acme", span, after=rest[-1].placement.id, limit=2)


async def test_what_may_have_bought_more_is_what_is_parked_or_was_sent_again_after_a_doubt(ledger):
    """Of one provider, tried since a moment; not what is in doubt now, nor what was refused or placed at once."""
    await plan_one(ledger, 1)
    await record(ledger, answer(await claim(ledger), Status.PARKED, detail="who knows"))
    await in_doubt(ledger, 2)
    await ledger.move(
        answer((await claim_doubts(ledger, after(1)))[0], Status.PLANNED, after(1), from_=Status.IN_DOUBT)
    )
    await record(ledger, answer(await claim(ledger, after(2)), at=after(3)))
    await in_doubt(ledger, 3)
    await placed(ledger, 4, 5, after(9))
    found = [(each.placement.order_id, each.status) for each in await ledger.uncertain(KEYED, "acme", NOON)]
    assert [("WR-1", Status.PARKED), ("WR-2", Status.PLACED)] == found
    assert ["WR-2"] == [each.placement.order_id for each in await ledger.uncertain(KEYED, "acme", after(1))]
    assert [] == await ledger.uncertain(KEYLESS, "acme", NOON)


async def test_a_slot_is_found_by_any_name_of_the_order(ledger):
    """With where it is."""
    await plan(ledger, (sale(1, names=("wr:WR-1", "src:shopify:9")), earned(offset(), trees())))
    for name in ("WR-1", "wr:WR-1", "src:shopify:9"):
        [entry] = await ledger.slot(name, "trees")
        assert ("trees", Status.PLANNED) == (entry.placement.slot, entry.status)
    assert [] == await ledger.slot("WR-1", "flowers")
    assert [] == await ledger.slot("WR-404", "trees")


async def test_the_reason_of_an_event_is_told_rather_than_the_purchases_name(ledger):
    """A ruling or a cancellation says why; a plain purchase its name."""
    one = await placed(ledger, 1, 5, NOON)
    why = Move(one, Status.PLACED, Status.CANCELLED, after(1), "run-1", "cancelled there", receipt=Receipt("ref-1"))
    await ledger.move(why)
    story = await ledger.story("WR-1")
    assert ["ref-1", "cancelled there"] == [event["detail"] for event in story["placements"][0]["events"]][-2:]


async def test_p14_an_order_that_two_stores_have_is_named_with_its_store(ledger):
    """Whoever settles, approves or shows one never acts on the other's."""
    large = offset(9_000, approval_limit=5_000)
    for store in ("acme", "other"):
        await plan(ledger, (sale(1), earned(large)), store=store)
    await plan(ledger, (sale(2), earned(large)), store="other")
    for ask in (ledger.story, lambda name: ledger.slot(name, "offset"), ledger.awaiting):
        with pytest.raises(ConfigurationError, match=r"the stores acme, other each have an order 'WR-1': .*--store"):
            await ask("WR-1")
    assert "other" == (await ledger.story("WR-1", store="other"))["store"]
    [entry] = await ledger.slot("WR-1", "offset", store="other")
    [asked] = await ledger.awaiting("WR-1", store="other")
    assert (entry.placement.id, "other") == (asked.id, asked.store)
    assert "other" == (await ledger.story("WR-2"))["store"]
    assert [] == await ledger.slot("WR-2", "offset", store="acme")
    assert 3 == len(await ledger.awaiting())
    assert 1 == len(await ledger.awaiting(store="acme"))


async def test_p14_a_name_that_two_orders_of_one_store_share_but_for_its_prefix_is_refused(ledger):
    """With the prefix it is one order's."""
    await plan(ledger, (sale(1, names=("wr:x:9",)), earned(offset())), (sale(2, names=("src:x:9",)), earned(offset())))
    with pytest.raises(ConfigurationError, match="2 orders of store acme go by 'x:9'"):
        await ledger.slot("x:9", "offset")
    assert "WR-2" == (await ledger.story("src:x:9"))["order"]
