"""Every operation of CNaught as production sends it, over real HTTP to the sandbox."""

from decimal import Decimal

import pytest
from processes import Served

from impactflow.clients import CNaughtClient
from impactflow.clients.cnaught.models import Order, Subaccount
from impactflow.clients.paging import items
from impactflow.errors import IdempotencyConflict, NotFound, Refused


async def order(cnaught: CNaughtClient, key: str, amount_kg: str = "1", subaccount_id: str | None = None) -> Order:
    """Some order."""
    return await cnaught.submit_generic_order(
        amount_kg=Decimal(amount_kg), idempotency_key=key, subaccount_id=subaccount_id
    )


async def department(cnaught: CNaughtClient, name: str = "Marketing") -> Subaccount:
    """A subaccount of that name."""
    return await cnaught.create_subaccount(name=name, idempotency_key=f"create {name}")


async def test_list_orders(cnaught: CNaughtClient) -> None:
    """Downwards, upwards, from where another reader stopped, and one subaccount's alone."""
    mine = await department(cnaught)
    made = [(await order(cnaught, f"k{n}", subaccount_id=mine.id if n == 2 else None)).id for n in range(5)]
    first = await anext(cnaught.list_orders(limit=2))
    rest = [found.id async for found in items(cnaught.list_orders(limit=2, cursor=first.next))]
    newer = [found.id async for found in items(cnaught.list_orders(limit=2, newer_than=made[0]))]
    theirs = [found.id async for found in items(cnaught.list_orders(subaccount_id=mine.id))]
    assert made[::-1] == [*(found.id for found in first.items), *rest]
    assert (made[1:], [made[2]]) == (newer, theirs)


async def test_submit_generic_order(cnaught: CNaughtClient, sandbox: Served) -> None:
    """Once per key, by amount or by price."""

    async def submit(amount_kg: str) -> Order:
        metadata = '{"order_id":"WR-1","impactflow_key":"k"}'
        return await cnaught.submit_generic_order(
            amount_kg=Decimal(amount_kg), idempotency_key="a", metadata=metadata, description="Thanks"
        )

    first, again = await submit("2.5"), await submit("2.50")
    with pytest.raises(IdempotencyConflict):
        await submit("3")
    priced = await cnaught.submit_generic_order(
        total_price_usd_cents=235, idempotency_key="b", notification_url="https://shop.example/hook"
    )
    assert (first, 6, "placed", "generic") == (again, first.price_usd_cents, first.state, first.type)
    assert (Decimal(100), 235, "https://shop.example/hook") == (
        priced.amount_kg,
        priced.price_usd_cents,
        priced.callback_url,
    )
    assert [(2_500, "WR-1"), (100_000, None)] == [(one.quantity, one.order_id) for one in sandbox.books.purchases]


async def test_submit_ride_order(cnaught: CNaughtClient, sandbox: Served) -> None:
    """The provider works the amount out."""
    ride = await cnaught.submit_ride_order(distance_km=Decimal("10.5"), idempotency_key="r", metadata="a ride")
    assert ("ride", Decimal("10.5"), Decimal("2.1"), "a ride") == (
        ride.type,
        ride.distance_km,
        ride.amount_kg,
        ride.metadata,
    )
    assert [(2_100, ride.id)] == [(purchase.quantity, purchase.ref) for purchase in sandbox.books.purchases]


async def test_get_order(cnaught: CNaughtClient) -> None:
    """By its id, and for its own subaccount only."""
    mine, other = await department(cnaught), await department(cnaught, "Sales")
    made = await order(cnaught, "k", "2.5", mine.id)
    assert made == await cnaught.get_order(made.id) == await cnaught.get_order(made.id, subaccount_id=mine.id)
    with pytest.raises(NotFound):
        await cnaught.get_order(made.id, subaccount_id=other.id)


async def test_cancel_order(cnaught: CNaughtClient, sandbox: Served) -> None:
    """Under the same key, under another, or for somebody else's."""
    mine, made = await department(cnaught), await order(cnaught, "k")
    with pytest.raises(NotFound):
        await cnaught.cancel_order(made.id, idempotency_key="c", subaccount_id=mine.id)
    cancelled = [await cnaught.cancel_order(made.id, idempotency_key=key) for key in ("c", "c", "d")]
    assert ["cancelled"] * 3 == [one.state for one in cancelled]
    assert [True] == [purchase.cancelled for purchase in sandbox.books.purchases]


async def test_get_generic_quote(cnaught: CNaughtClient, sandbox: Served) -> None:
    """What the order then costs; asking buys nothing."""
    quote = await cnaught.get_generic_quote(amount_kg=Decimal("8.5"), portfolio_id="forests")
    assert [] == sandbox.books.purchases
    assert quote.price_usd_cents == (await order(cnaught, "k", "8.5")).price_usd_cents == 20
    with pytest.raises(Refused, match="not available"):
        await cnaught.get_generic_quote(amount_kg=Decimal(1), portfolio_id="unavailable")


async def test_get_ride_quote(cnaught: CNaughtClient, sandbox: Served) -> None:
    """What the ride then costs; asking buys nothing."""
    mine = await department(cnaught)
    quote = await cnaught.get_ride_quote(distance_km=Decimal(100), subaccount_id=mine.id)
    assert [] == sandbox.books.purchases
    ride = await cnaught.submit_ride_order(distance_km=Decimal(100), idempotency_key="r", subaccount_id=mine.id)
    assert (Decimal(20), 47) == (quote.amount_kg, quote.price_usd_cents) == (ride.amount_kg, ride.price_usd_cents)


async def test_get_impact_data(cnaught: CNaughtClient, sandbox: Served) -> None:
    """What stands in the books, for the account and for a part of it."""
    mine = await department(cnaught)
    made = await order(cnaught, "a", "60", mine.id)
    await order(cnaught, "b", "40")
    undone = await order(cnaught, "c", "1000")
    await cnaught.cancel_order(undone.id, idempotency_key="undo")
    whole, part = await cnaught.get_impact_data(), await cnaught.get_impact_data(subaccount_id=mine.id)
    standing_g = sum(int(purchase.quantity) for purchase in sandbox.books.purchases if not purchase.cancelled)
    assert (Decimal(100), Decimal(60)) == (whole.total_offset_kgs, part.total_offset_kgs)
    assert 1000 * whole.total_offset_kgs == standing_g
    assert ("Marketing", made.created_on) == (part.name, part.since_date)
    assert part.equivalents is not None
    assert 1 == part.equivalents["trees_planted"]


async def test_get_impact_hosted_page_config(cnaught: CNaughtClient) -> None:
    """One page for the account and one for each part of it."""
    mine = await department(cnaught)
    whole = await cnaught.get_impact_hosted_page_config()
    part = await cnaught.get_impact_hosted_page_config(subaccount_id=mine.id)
    assert (True, f"{whole.url}/{mine.id}") == (part.enabled, part.url)
    assert "trees_planted" in (whole.enabled_equivalents or ())


async def test_list_subaccounts(cnaught: CNaughtClient) -> None:
    """Downwards, upwards and from where another reader stopped."""
    made = [(await department(cnaught, f"n{number}")).id for number in range(5)]
    first = await anext(cnaught.list_subaccounts(limit=2))
    rest = [found.id async for found in items(cnaught.list_subaccounts(limit=2, cursor=first.next))]
    newer = [found.id async for found in items(cnaught.list_subaccounts(limit=2, newer_than=made[0]))]
    assert (made[::-1], made[1:]) == ([*(found.id for found in first.items), *rest], newer)


async def test_create_subaccount(cnaught: CNaughtClient) -> None:
    """Once per key; its orders are met from its own default."""
    made, again = [
        await cnaught.create_subaccount(name="Marketing", idempotency_key="s", default_portfolio_id="forests")
        for _ in range(2)
    ]
    with pytest.raises(IdempotencyConflict):
        await cnaught.create_subaccount(name="Sales", idempotency_key="s")
    assert (made, "Marketing", "forests") == (again, made.name, made.default_portfolio_id)
    assert "forests" == (await order(cnaught, "k", subaccount_id=made.id)).portfolio_id


async def test_get_subaccount(cnaught: CNaughtClient) -> None:
    """By its id."""
    made = await department(cnaught)
    assert made == await cnaught.get_subaccount(made.id)
    with pytest.raises(NotFound):
        await cnaught.get_subaccount("nobody")
