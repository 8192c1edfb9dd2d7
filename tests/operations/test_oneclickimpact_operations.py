"""1ClickImpact over real HTTP: each operation once, as somebody would use it."""

from datetime import UTC, datetime

import pytest
from processes import Served

from impactflow.clients import OneClickImpactClient
from impactflow.clients.paging import items
from impactflow.errors import NotFound, Refused
from impactflow.models import Kind

ANA, BOB = "ana@example.org", "bob@example.org"
METADATA = {"order_id": "WR-1", "impactflow_key": "k-1"}


def bought(sandbox: Served) -> list[tuple[Kind, float, str | None]]:
    """What stands in the books."""
    purchases = (purchase for purchase in sandbox.books.purchases if not purchase.cancelled)
    return [(purchase.kind, purchase.quantity, purchase.customer_email) for purchase in purchases]


async def test_whoami(oneclickimpact: OneClickImpactClient) -> None:
    """Whose key this is."""
    me = await oneclickimpact.whoami()
    assert ("U1000", "merchant@example.com") == (me.user_id, me.email)


async def test_plant_tree(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """Trees that bear food, for a customer, told which order they are for."""
    made = await oneclickimpact.plant_tree(
        3, customer_email=ANA, customer_name="Ana", notify=True, category="food", metadata=METADATA
    )
    assert ("U1000", 3, "food") == (made.user_id, made.tree_planted, made.category)
    assert made.customer is not None
    assert (ANA, "Ana") == (made.customer.customer_email, made.customer.customer_name)
    assert [(Kind.PLANT_TREES, 3, ANA)] == bought(sandbox)
    assert ("WR-1", "k-1") == (sandbox.books.purchases[0].order_id, sandbox.books.purchases[0].impactflow_key)


async def test_clean_ocean(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """Two identical calls are two purchases."""
    made = [await oneclickimpact.clean_ocean(4) for _ in range(2)]
    assert [4, 4] == [one.waste_removed for one in made]
    assert made[0].time_utc < made[1].time_utc
    assert [(Kind.CLEAN_OCEAN, 4, None)] * 2 == bought(sandbox)


async def test_capture_carbon(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """The most pounds that one purchase may have, and no more."""
    made = await oneclickimpact.capture_carbon(10_000_000)
    with pytest.raises(Refused):
        await oneclickimpact.capture_carbon(10_000_001)
    assert 10_000_000 == made.carbon_captured
    assert [(Kind.CAPTURE_CARBON, 10_000_000, None)] == bought(sandbox)


async def test_donate_money(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """Cents, for a cause."""
    made = await oneclickimpact.donate_money(500, category="water", customer_email=BOB)
    assert (500, "water") == (made.money_donated, made.category)
    assert [(Kind.DONATE, 500, BOB)] == bought(sandbox)


async def test_restore_coral(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """Fragments, found again in the records."""
    made = await oneclickimpact.restore_coral(7)
    (record,) = [record async for record in items(oneclickimpact.records(filter_by=["coral_restored"]))]
    assert (7, made.time_utc) == (record.coral_restored, record.time_utc)
    assert [(Kind.RESTORE_CORAL, 7, None)] == bought(sandbox)


async def test_cancel_impact(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """A refund takes back one of two, however often it is told."""
    refunded, kept = [await oneclickimpact.plant_tree(amount) for amount in (2, 3)]
    first = await oneclickimpact.cancel_impact(refunded.user_id, refunded.time_utc, reason="refunded")
    again = await oneclickimpact.cancel_impact(refunded.user_id, refunded.time_utc)
    assert (2, "refunded", first.cancelled_on) == (first.tree_planted, again.reason, again.cancelled_on)
    assert [(Kind.PLANT_TREES, 3, None)] == bought(sandbox)
    records = [record async for record in items(oneclickimpact.records())]
    assert {refunded.time_utc: first.cancelled_on, kept.time_utc: None} == {
        record.time_utc: record.cancelled_on for record in records
    }


async def test_impact(oneclickimpact: OneClickImpactClient, sandbox: Served) -> None:
    """The account's own and its customers' make the total, and the total is what stands in the books."""
    await oneclickimpact.plant_tree(60)
    await oneclickimpact.plant_tree(40, customer_email=ANA)
    cancelled = await oneclickimpact.plant_tree(5, customer_email=ANA)
    await oneclickimpact.cancel_impact(cancelled.user_id, cancelled.time_utc)
    await oneclickimpact.donate_money(250)
    total = await oneclickimpact.impact()
    assert (60, 40, 100) == (
        total.user_impact.tree_planted,
        total.customer_impact.tree_planted,
        sum(quantity for kind, quantity, _ in bought(sandbox) if kind is Kind.PLANT_TREES),
    )
    assert (100, 0, 0, 250, 0) == (
        total.tree_planted,
        total.waste_removed,
        total.carbon_captured,
        total.money_donated,
        total.coral_restored,
    )


async def test_daily_impact(oneclickimpact: OneClickImpactClient) -> None:
    """What today's purchases come to, whomever they were for."""
    before = datetime.now(UTC).date()
    await oneclickimpact.clean_ocean(4)
    await oneclickimpact.clean_ocean(5, customer_email=ANA)
    after = datetime.now(UTC).date()
    found = await oneclickimpact.daily_impact(start_date=before, end_date=after)
    assert ("U1000", 9) == (found.user_id, sum(day.waste_removed for day in found.daily_impact))
    assert {day.date for day in found.daily_impact} <= {before, after}


async def test_records(oneclickimpact: OneClickImpactClient) -> None:
    """The account's own, the newest first, page by page; another process goes on where this one stops."""
    made = [await oneclickimpact.plant_tree(amount, metadata=METADATA) for amount in (1, 2, 3)]
    await oneclickimpact.plant_tree(9, customer_email=ANA)
    await oneclickimpact.clean_ocean(9)
    pages = oneclickimpact.records(filter_by=["tree_planted"], limit=2, sort_order="desc")
    first = await anext(pages)
    resumed = oneclickimpact.records(filter_by=["tree_planted"], limit=2, sort_order="desc", cursor=first.next)
    found = [*first.items, *[record async for record in items(resumed)]]
    assert [one.time_utc for one in reversed(made)] == [record.time_utc for record in found]
    assert [(3, METADATA), (2, METADATA), (1, METADATA)] == [(record.tree_planted, record.metadata) for record in found]


async def test_customer_records(oneclickimpact: OneClickImpactClient) -> None:
    """One customer's, or every customer's; never the account's own."""
    await oneclickimpact.plant_tree(1)
    for email in (ANA, BOB, ANA):
        await oneclickimpact.capture_carbon(5, customer_email=email)
    every = [record.customer.customer_email async for record in items(oneclickimpact.customer_records(limit=1))]
    anas = [record.carbon_captured async for record in items(oneclickimpact.customer_records(ANA))]
    assert ([ANA, BOB, ANA], [5, 5]) == (every, anas)


async def test_customers(oneclickimpact: OneClickImpactClient) -> None:
    """Everybody once, in the order of their first purchases."""
    for email, name in ((ANA, "Ana"), (BOB, None), (ANA, None)):
        await oneclickimpact.plant_tree(1, customer_email=email, customer_name=name)
    found = [customer async for customer in items(oneclickimpact.customers(limit=1))]
    assert [(ANA, "Ana"), (BOB, None)] == [(one.customer_email, one.customer_name) for one in found]
    assert found[0].onboarded_on < found[1].onboarded_on
    assert [] == [one async for one in items(oneclickimpact.customers("nobody@example.org"))]


async def test_track(oneclickimpact: OneClickImpactClient) -> None:
    """From the very answer of the purchase; of another time there is nothing."""
    made = await oneclickimpact.plant_tree(3, metadata=METADATA)
    track = await oneclickimpact.track(made.user_id, made.time_utc)
    assert (3, made.time_utc, None, METADATA) == (
        track.tree_planted,
        track.impact_initiated,
        track.impact_completed,
        track.metadata,
    )
    with pytest.raises(Refused, match="There is no such impact"):
        await oneclickimpact.track(made.user_id, "2024-09-16T20:34:04.429Z")


async def test_list_projects(oneclickimpact: OneClickImpactClient) -> None:
    """Of one type, in a language."""
    every = await oneclickimpact.list_projects()
    ocean = await oneclickimpact.list_projects(type="ocean", locale="de")
    assert {"trees", "ocean", "carbon"} == {project.type for project in every}
    assert [one.project_id for one in every if one.type == "ocean"] == [one.project_id for one in ocean]
    assert {project.name for project in ocean}.isdisjoint(project.name for project in every)


async def test_get_project(oneclickimpact: OneClickImpactClient) -> None:
    """By the id that the list gives; there is none of another id."""
    project = (await oneclickimpact.list_projects(type="carbon"))[0]
    assert project == await oneclickimpact.get_project(project.project_id)
    assert 13 in {goal.number for goal in project.sdgs}
    with pytest.raises(NotFound, match="there is no such project"):
        await oneclickimpact.get_project("P/none")
