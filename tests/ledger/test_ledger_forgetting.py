"""A forgotten customer, on both databases: other programs plan and claim at the same moment."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa
from ledger_helpers import KEYLESS, after, claim, earned, fresh, life, plan, sale, trees

from impactflow.errors import LedgerBusy, LedgerFull
from impactflow.ledger import (
    Claim,
    Forget,
    OurPurchase,
    Page,
    engine,
    facts,
    forgetting,
    forgotten,
    moves,
    placement_key,
    planning,
)
from impactflow.ledger.addresses import folded
from impactflow.ledger.tables import deliveries, forgotten_customers, metadata, orders, placements
from impactflow.models import Click, Kind, Payment, Product, customer_digest

EMAIL = "Customer1@Example.com"
THEIRS = earned(trees(on_behalf_of_customer=True))


async def test_what_waits_is_sent_for_nobody_and_what_others_get_stays(ledger):
    """Both may be sent at once, since the seller's records can tell them apart."""
    await plan(ledger, (sale(1), THEIRS), (sale(2), THEIRS))
    assert (await ledger.forget(Forget(EMAIL, "ana", after(1)))).orders == 1
    claimed = [await claim(ledger, after(2), provider=KEYLESS, exclusive=True) for _ in range(2)]
    assert [None, "customer2@example.com"] == [each.customer_email for each in claimed]
    assert ["", customer_digest("customer2@example.com")] == [each.customer for each in claimed]


async def test_two_forgotten_customers_look_alike(ledger):
    """Both are sent for nobody, and so one after the other."""
    await plan(ledger, (sale(1), THEIRS), (sale(2), THEIRS))
    for number in (1, 2):
        await ledger.forget(Forget(f"customer{number}@example.com", "ana", after(1)))
    assert await claim(ledger, after(2), provider=KEYLESS, exclusive=True)
    assert await claim(ledger, after(2), provider=KEYLESS, exclusive=True) is None


async def test_forgetting_waits_for_a_claim_that_is_under_way(ledger):
    """Its snapshot is older, so that it sends the address; it is known then that it does."""
    await plan(ledger, (sale(1), THEIRS))
    wanted = Claim(KEYLESS, "acme", "run-1", after(0), after(60), exclusive=True, fresh=fresh())
    with ledger._engine.begin() as connection:
        [claimed] = moves.claim(connection, [wanted])
        word = asyncio.create_task(ledger.forget(Forget(EMAIL, "ana", after(1))))
        await asyncio.sleep(0.2)
    assert (await word).sending_until == after(60)
    assert claimed.customer_email == EMAIL.lower()
    assert (await life(ledger))["status"] == "placing"


async def test_forgetting_waits_for_a_page_that_is_being_planned(ledger):
    """It would write the address afterwards."""
    page = Page("acme", [(sale(1), THEIRS)], (), lambda _: THEIRS, "policy-1", "run-2", after(1))
    with ledger._engine.begin() as connection:
        planning.plan(connection, [page])
        word = asyncio.create_task(ledger.forget(Forget(EMAIL, "ana", after(2))))
        await asyncio.sleep(0.2)
    assert (await word).orders == 1
    await ledger.plan(replace(page, at=after(400)))
    assert (await claim(ledger, after(401), provider=KEYLESS)).customer_email is None


async def test_a_page_that_comes_at_the_same_moment_is_planned_without_the_address(ledger):
    """It waits for the forgetting, and sees it."""
    page = Page("acme", [(sale(1), THEIRS)], (), lambda _: THEIRS, "policy-1", "run-2", after(1))
    with ledger._engine.begin() as connection:
        forgetting.forget(connection, [Forget(EMAIL, "ana", after(2))])
        planned = asyncio.create_task(ledger.plan(page))
        await asyncio.sleep(0.2)
    await planned
    assert (await claim(ledger, after(3), provider=KEYLESS)).customer_email is None


async def test_who_uses_the_ledger_for_long_is_not_waited_for(ledger, monkeypatch):
    """Meanwhile all others would wait, too; nothing is forgotten, and the message says what to do."""
    if ledger._engine.dialect.name == "sqlite":
        pytest.skip("a reader does not keep a writer from SQLite's file")
    monkeypatch.setattr(forgetting, "_LOCK_MS", 50)
    await plan(ledger, (sale(1), THEIRS))
    with ledger._engine.begin() as connection:
        connection.execute(sa.select(placements.c.id)).all()
        with pytest.raises(LedgerBusy, match="nothing was forgotten: try again"):
            await ledger.forget(Forget(EMAIL, "ana", after(1)))
    assert (await ledger.held_of(Forget(EMAIL, "ana", after(2)))).orders == 1


async def test_a_vacuum_gives_way_to_forgetting(ledger, monkeypatch):
    """Postgres ends one of its own after a second, for those who still wait."""
    if ledger._engine.dialect.name == "sqlite":
        pytest.skip("SQLite has none")
    monkeypatch.setattr(forgetting, "_LOCK_MS", 300)
    await plan(ledger, (sale(1), THEIRS))
    with ledger._engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE placements IN SHARE UPDATE EXCLUSIVE MODE"))
        word = asyncio.create_task(ledger.forget(Forget(EMAIL, "ana", after(1))))
        await asyncio.sleep(1.1)
    assert (await word).orders == 1


async def test_what_is_deleted_is_overwritten(ledger):
    """However SQLite was built."""
    if ledger._engine.dialect.name != "sqlite":
        pytest.skip("a server does so in its own time")
    with ledger._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar_one() == 1


async def test_a_full_disk_is_named_with_the_folder_that_sqlite_writes_to(ledger, monkeypatch):
    """It need not be the ledger's own."""
    if ledger._engine.dialect.name != "sqlite":
        pytest.skip("a server does so in its own time")

    def full(_):
        raise LedgerFull("no room")

    monkeypatch.setattr(engine, "_written_anew", full)
    with pytest.raises(LedgerFull, match="SQLITE_TMPDIR"):
        await ledger.scrub(Forget(EMAIL, "ana", after(1)))


@pytest.mark.parametrize("kept", ["CUSTOMER1@Example.com", " customer1@example.com"])
async def test_an_adopted_purchase_is_found_by_its_address_and_kept_without_it(ledger, kept):
    """Before it is read, and when it is adopted after the forgetting; the seller knows it by the address still."""
    key = placement_key("acme", "WR-5", "trees")
    purchase = {"store": "acme", "order_id": "WR-5", "slot": "trees", "key": key, "provider": KEYLESS, "ref": "U|1"}
    purchase |= {"kind": Kind.PLANT_TREES, "quantity": 1, "bought_at": after(-600), "at": after(0), "run_id": "run-1"}
    purchase |= {"parts": (), "price_usd_cents": None, "cancelled": False, "customer_email": kept}
    await ledger.adopt(OurPurchase(**purchase))
    found = await ledger.forget(Forget(EMAIL, "ana", after(1)))
    assert (1, ["U|1"]) == (found.orders, [each["ref"] for each in found.named])
    again = {"order_id": "WR-6", "key": placement_key("acme", "WR-6", "trees"), "ref": "U|2"}
    await ledger.adopt(OurPurchase(**purchase | again))
    entries = await ledger.holders(KEYLESS, refs=["U|1", "U|2"], keys=[])
    assert [(None, customer_digest(kept))] * 2 == [
        (each.placement.customer_email, each.placement.customer) for each in entries
    ]


async def test_an_address_of_which_nothing_is_known_is_kept_out(ledger):
    """A customer may ask before the first order is read."""
    assert not await ledger.forget(Forget(EMAIL, "ana", after(0)))
    await ledger.plan(Page("acme", [(sale(1), THEIRS)], (), lambda _: THEIRS, "policy-1", "run-2", after(1)))
    assert (await claim(ledger, after(1), provider=KEYLESS)).customer_email is None


def test_an_order_loses_what_is_kept_of_it_loses():
    """Before it is kept, and after; else it would count as changed."""
    card = Product((EMAIL, "P"), f"A card for {EMAIL}", Decimal(1), None)
    order = replace(
        sale(1),
        currency=EMAIL,
        payments=(Payment(EMAIL), Payment("APPROVED")),
        products=(card,),
        paid_with=(f"by {EMAIL}", "cash"),
        last_click=Click(*[f"of <{EMAIL}>"] * 5),
        refunds=frozenset({EMAIL}),
    )
    kept = facts.as_text(forgotten.as_kept(order, {folded(EMAIL)}))
    assert kept == forgetting._facts_without(facts.as_text(order), folded(EMAIL))
    assert kept.count(EMAIL) == 1  # the refund's name


def test_each_column_of_a_text_is_cleared_or_is_a_name():
    """One that is new must be put into the one list or the other."""
    cleared = {f"{column.table.name}.{column.name}" for column in (*forgetting.CLEARED, forgetting.ADDRESS)}
    names = {f"{column.table.name}.{column.name}" for column in forgetting._names()}
    texts = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.Text)
    }
    assert texts == cleared | names
    assert not cleared & names
    assert {name.partition(".")[2] for name in names} <= {
        *("store", "order_id", "customer", "reporters", "duplicates", "digest", "policy", "listed", "name", "slot"),
        *(
            "key",
            "provider",
            "kind",
            "unit",
            "options",
            "status",
            "known_as",
            "forgotten",
            "look_alike",
            "unresolved_look_alike",
        ),
        *("handle", "ref", "parts", "if_absent", "approved", "decided", "from_status", "to_status", "run_id"),
        *("decision", "source", "webhook_id", "topic", "listed_as", "mapping", "amount", "currency", "uncaptured"),
        "basis",
    }
    assert {orders, placements, deliveries, forgotten_customers} == set(forgetting._LOCKED)
