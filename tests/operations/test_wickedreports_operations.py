"""Wicked Reports: each operation once, over HTTP, as somebody would use it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from processes import Served

from impactflow.clients import WickedReportsClient
from impactflow.clients.paging import items
from impactflow.clients.wickedreports.models import WickedOrder
from impactflow.errors import NotFound


def last(days: int) -> tuple[date, date]:
    """The last days, with a day of margin on both sides."""
    today = datetime.now(UTC).date()
    return today - timedelta(days=days + 1), today + timedelta(days=1)


async def test_list_contacts(wickedreports: WickedReportsClient, sandbox: Served) -> None:
    """Every buyer of the week."""
    contacts = [contact async for contact in items(wickedreports.list_contacts(*last(7), limit=20))]
    buyers = {order["contact"]["id"] for order in sandbox.shop.orders if "contact" in order}
    assert sorted(buyers) == sorted(contact.id for contact in contacts)
    assert all(contact.create_date is not None and contact.create_date.tzinfo is UTC for contact in contacts)


async def test_get_contact(wickedreports: WickedReportsClient, sandbox: Served) -> None:
    """By its id, and by its address; what it spent is what it was sold."""
    buyer = sandbox.shop.orders[0]["contact"]
    sold = [order for order in sandbox.shop.orders if order.get("contact") == buyer]
    contact = await wickedreports.get_contact(buyer["id"])
    assert contact == await wickedreports.get_contact(buyer["email"])
    assert contact.ltv == sum((Decimal(str(order.get("amount", 0))) for order in sold), Decimal(0))
    with pytest.raises(NotFound):
        await wickedreports.get_contact("nobody@example.com")


async def test_list_clicks(wickedreports: WickedReportsClient) -> None:
    """Which campaigns led to the shop; a hundred days are read in several spans, each click once."""
    week = [click async for click in items(wickedreports.list_clicks(*last(8)))]
    hundred_days = [click async for click in items(wickedreports.list_clicks(*last(100), limit=7))]
    assert week == hundred_days
    assert {"direct", "brand", "Frühjahr"} == {click.utms.campaign for click in week if click.utms is not None}


async def test_list_contact_clicks(wickedreports: WickedReportsClient) -> None:
    """What led one contact to buy: the first click is theirs since they are known."""
    order = await anext(_orders(wickedreports))
    assert order.contact is not None
    assert order.contact.id is not None
    clicks = [click async for click in items(wickedreports.list_contact_clicks(order.contact.id))]
    (first,) = [click for click in clicks if click.is_first_click]
    assert order.attributions is not None
    assert order.attributions.first_click is not None
    assert order.attributions.first_click.date == first.date < order.date
    year = [click async for click in items(wickedreports.list_contact_clicks(order.contact.id, *last(400)))]
    assert clicks == year


async def test_list_orders(wickedreports: WickedReportsClient, sandbox: Served) -> None:
    """Page by page, each told how many there are; what a page left off goes on in another reader."""
    page = await anext(wickedreports.list_orders(*last(7), limit=25))
    assert (25, 60) == (len(page.items), page.total)
    rest = [order async for order in items(wickedreports.list_orders(*last(7), limit=25, cursor=page.next))]
    assert [order["id"] for order in sandbox.shop.orders] == [order.id for order in (*page.items, *rest)]


async def test_list_contact_orders(wickedreports: WickedReportsClient) -> None:
    """One contact's, without the contact."""
    order = await anext(_orders(wickedreports))
    assert order.contact is not None
    assert order.contact.email is not None
    theirs = [found async for found in items(wickedreports.list_contact_orders(order.contact.email, *last(7)))]
    assert order.model_copy(update={"contact": None}) in theirs


async def _orders(wickedreports: WickedReportsClient) -> AsyncIterator[WickedOrder]:
    """The orders of the week that tell who bought and why."""
    async for order in items(wickedreports.list_orders(*last(7))):
        if isinstance(order, WickedOrder) and order.contact is not None and order.attributions is not None:
            yield order
