"""A person's word that nothing is to be done about what could not be read."""

import pytest
from ledger_helpers import NOON, after, earned, offset, plan, sale

from impactflow.errors import ConfigurationError
from impactflow.ledger import Delivery, Dismissal, Handled, Mended
from impactflow.models import BrokenOrder


def dismissal(name="WR-7", minutes=1, **fields):
    return Dismissal(name, "ana", "a test order", after(minutes), **fields)


async def test_c18_what_is_dismissed_is_listed_no_more_and_its_story_says_who_when_and_why(ledger):
    """Read again with the same problem, as every run does, it stays dismissed."""
    broken = [BrokenOrder("WR-7", "date"), BrokenOrder("WR-8", "date")]
    await plan(ledger, broken=broken)
    assert "date" == await ledger.dismiss(dismissal())
    await plan(ledger, broken=broken, at=after(5))

    assert (1, ["WR-8"]) == (await ledger.broken_count(), [each["name"] for each in await ledger.broken()])
    story = await ledger.story("WR-7")
    assert story["broken"]["dismissed"]
    assert [{"name": "WR-7", "problem": "date", "at": after(1), "by": "ana", "why": "a test order"}] == (
        story["dismissed"]
    )


async def test_c18_another_problem_of_a_dismissed_order_is_shown_again(ledger):
    """And can be dismissed in turn."""
    await plan(ledger, broken=[BrokenOrder("WR-7", "date")])
    await ledger.dismiss(dismissal())
    await plan(ledger, broken=[BrokenOrder("WR-7", "amount")], at=after(2))
    assert ["amount"] == [each["problem"] for each in await ledger.broken()]
    await ledger.dismiss(dismissal(minutes=3))

    assert [] == await ledger.broken()
    assert ["date", "amount"] == [each["problem"] for each in (await ledger.story("WR-7"))["dismissed"]]


async def test_c18_a_good_reading_mends_a_dismissed_order_and_the_word_is_kept(ledger):
    """It breaks again later: nobody has said anything about that."""
    await plan(ledger, broken=[BrokenOrder("WR-7", "date")])
    await ledger.dismiss(dismissal())
    await plan(ledger, (sale(7), earned(offset())), at=after(2))
    story = await ledger.story("WR-7")
    assert (["ana"], []) == ([each["by"] for each in story["dismissed"]], story["not_read"])

    await plan(ledger, broken=[BrokenOrder("WR-7", "date")], at=after(3))
    assert ["WR-7"] == [each["name"] for each in await ledger.broken()]
    assert ["date"] == [each["problem"] for each in (await ledger.story("WR-7"))["not_read"]]


async def test_c18_only_what_waits_can_be_dismissed_and_of_one_store(ledger):
    """Nothing is kept otherwise."""
    for unknown in (dismissal(), dismissal(store="other")):
        with pytest.raises(ConfigurationError, match="impactflow status"):
            await ledger.dismiss(unknown)
    await plan(ledger, broken=[BrokenOrder("WR-7", "date")])
    await plan(ledger, broken=[BrokenOrder("WR-7", "amount")], store="other")
    with pytest.raises(ConfigurationError, match="--store"):
        await ledger.dismiss(dismissal())
    assert "amount" == await ledger.dismiss(dismissal(store="other"))
    assert "date" == await ledger.dismiss(dismissal())
    with pytest.raises(ConfigurationError, match="impactflow status"):
        await ledger.dismiss(dismissal())


async def handle(ledger, problem, mapping="one", minutes=0):
    """Handle what pends; how many deliveries that was."""
    pending = await ledger.pending_deliveries("acme")
    for each in pending:
        listed_as = f"polar:{each.webhook_id}" if problem else None
        await ledger.finish_delivery(Handled(each.id, after(minutes), problem, listed_as, mapping))
    if problem and pending:
        await plan(ledger, broken=[BrokenOrder(f"polar:{each.webhook_id}", problem) for each in pending])
    return len(pending)


async def test_c18_a_delivery_that_another_mapping_could_not_read_is_handled_again(ledger):
    """Once: not by the same mapping again, not one that a person has dismissed, not one that was read."""
    for name, source in (("a", "polar"), ("b", "polar"), ("c", "shopify")):
        await ledger.store_delivery(Delivery("acme", source, name, "order.paid", NOON, b"{}"))
    assert 3 == await handle(ledger, "amount")
    assert 0 == await ledger.reopen_deliveries(Mended("acme", "polar", "one"))
    await ledger.dismiss(dismissal("polar:b"))

    assert 1 == await ledger.reopen_deliveries(Mended("acme", "polar", "two"))
    assert ["polar:c"] == [each["name"] for each in await ledger.broken()]
    assert [b"{}"] == [each.body for each in await ledger.pending_deliveries("acme")]
    assert 1 == await handle(ledger, None, "two")
    assert 0 == await ledger.reopen_deliveries(Mended("acme", "polar", "three"))
    assert [] == await ledger.pending_deliveries("acme")
