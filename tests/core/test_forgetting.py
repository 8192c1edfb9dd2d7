"""Forgetting a customer: the address is nowhere any more and does not come back; purchases and accounts stay."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from planting import CNAUGHT, ONECLICK
from planting import buy as buy_there
from virtual_time import in_virtual_time
from webhook_senders import deliver, shopify_paid, shopify_refund
from world import NONE_DIFFER, TREES, differences, fresh_of, policy_for, policy_of, sold, statuses, work

from impactflow.audit import Audit
from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.buying.reconcile import resolve
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.errors import LedgerBusy
from impactflow.intake.deliveries import process
from impactflow.ledger import Claim, Delivery, Forget, Handled, Mended, Move, Pause, PauseScope, Status
from impactflow.ledger.tables import metadata as schema
from impactflow.window import Window

CANARY = "Canary.Bird@example.com"


def by(email):
    """A contact of Wicked Reports."""
    return {"id": "C1", "email": email}


@pytest.fixture
def world_of(new_world, ledger_url):
    """Makes a world with a ledger in SQLite and in Postgres; its one order is the canary's."""

    def new(rule=TREES, orders=None, **more):
        chosen = [sold(1, contact=by(CANARY))] if orders is None else orders
        return new_world(orders=chosen, policy=policy_of(rule), ledger_url=ledger_url, **more)

    return new


async def forget(run, email=CANARY):
    """A person's word."""
    found = await run.ledger.forget(Forget(email, "ana", run.clock.now()))
    if not found.must_wait:
        await run.ledger.scrub()
    return found


def kept(run, *, bytes_too=True):
    """All that the ledger keeps: every column of every table, and where that is a file, its bytes."""
    engine = run.ledger._engine
    with engine.connect() as connection:
        rows = [row for table in schema.sorted_tables for row in connection.execute(table.select())]
    texts = [repr(row).casefold().encode() for row in rows]
    if bytes_too and engine.dialect.name == "sqlite":
        file = Path(engine.url.database)
        texts += [each.read_bytes().lower() for each in file.parent.glob(f"{file.name}*")]
    return b"\n".join(texts)


def holds_canary(run, **which):
    """Whether the ledger holds the address, or a part of it."""
    return b"canary" in kept(run, **which)


async def lose(world, run, *, bought):
    """Send the one order's purchase and lose the answer; whether it had an effect there."""
    now = run.clock.now()
    claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run))
    [sent] = await run.ledger.record_and_claim([], claim, 1)
    if bought:
        buy_there(world, ONECLICK, email=sent.customer_email)
    move = Move(sent, Status.PLACING, Status.IN_DOUBT, now, run.id, "the answer was lost", now)
    await run.ledger.record_and_claim([move], claim, 0)
    return sent


@in_virtual_time
async def test_the_address_is_nowhere_and_all_purchases_are_as_they_were(world_of):
    """Not in the file either, nor in its log; another customer stays."""
    world = world_of(orders=[sold(1, contact=by(CANARY)), sold(2, contact=by("other@example.com"))])
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)
        before = await run.ledger.purchases(), await run.ledger.totals()
        assert holds_canary(run)
        found = await forget(run, f" {CANARY.upper()} ")
        assert (1, ["WR-1"]) == (found.orders, [each["order"] for each in found.named])
        assert not holds_canary(run)
        assert b"other@example.com" in kept(run)
        assert before == (await run.ledger.purchases(), await run.ledger.totals())
        assert not await run.ledger.held_of(Forget(CANARY, "ana", run.clock.now()))
        assert (await forget(run)).was_forgotten


@in_virtual_time
async def test_the_address_stays_out(world_of):
    """Of orders that are read again, of later ones, and of those that come by webhook; each is bought once."""
    world = world_of()
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)
        await forget(run)
    world.clock.turn(hours=1)
    later = (world.clock.now() - timedelta(minutes=1)).isoformat()
    world.sandbox.shop.orders.append(sold(2, contact=by(CANARY.lower()), date=later, amount=90))
    async with world.run() as run:
        await world.plan(run)
        await shopify_paid(run, 3, email=CANARY, total_price="70.00")
        await process(run.ledger, world.policy, run.clock, run.id)
        await work(run, ONECLICK)
        assert ({"placed": 3}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
        assert not holds_canary(run, bytes_too=False)
        await forget(run)
        assert not holds_canary(run)  # nor, by now, the bytes of the delivery that was processed
        assert [CANARY, None, None] == [each["customer_email"] for each in world.purchases]


@pytest.mark.parametrize("spelled", [CANARY, CANARY.upper(), None])
@in_virtual_time
async def test_a_sale_that_is_reported_again_by_another_way_is_not_bought_again(world_of, spelled):
    """Under no name of the first one, so that only the customer's digest connects the two; a person is asked."""
    world = world_of(orders=[])
    async with world.run() as run:
        await shopify_paid(run, 1, email=CANARY)
        await process(run.ledger, world.policy, run.clock, run.id)
        await work(run, ONECLICK)
        await forget(run)
        world.sandbox.shop.orders = [sold(1, sourceId="EN1-B" if spelled else "1001", contact=by(spelled or CANARY))]
        await world.plan(run)
        await work(run, ONECLICK)
        assert {"placed": 1} | ({"awaiting_approval": 1} if spelled else {}) == await statuses(run)
        assert len(world.purchases) == 1
        assert not holds_canary(run)


@in_virtual_time
async def test_what_waits_is_bought_for_nobody(world_of):
    """The seller gets no address, and the order keeps its one purchase."""
    world = world_of()
    async with world.run() as run:
        await world.plan(run)
        await forget(run)
        await world.plan(run)
        await work(run, ONECLICK)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
        assert [None] == [each["customer_email"] for each in world.purchases]


@in_virtual_time
async def test_a_first_order_stays_the_first_and_a_second_one_the_second(world_of):
    """What was earned is bought, and no more."""
    world = world_of(TREES | {"when": {"first_order": True}})
    async with world.run() as run:
        await world.plan(run)
        await forget(run)
        later = (run.clock.now() - timedelta(minutes=1)).isoformat()
        world.sandbox.shop.orders.append(sold(2, contact=by(CANARY), date=later, amount=90))
        await world.plan(run)
        await work(run, ONECLICK)
        assert ["WR-1"] == [each["order_id"] for each in await run.ledger.purchases()]


@pytest.mark.parametrize(("decision", "then"), [(Decision.APPROVE, "placed"), (Decision.REJECT, "cancelled")])
@in_virtual_time
async def test_a_decision_holds(world_of, decision, then):
    """What was approved is bought, and what was rejected is not."""
    world = world_of(TREES | {"approve_above": 0})
    async with world.run() as run:
        await world.plan(run)
        asked, answer = await run.ledger.awaiting(), Answer(decision, "ana", f"a friend of {CANARY}")
        await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, asked, answer)
        await forget(run)
        await world.plan(run)
        await work(run, ONECLICK)
        assert {then: 1} == await statuses(run)
        assert not holds_canary(run)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@pytest.mark.parametrize("bought", [True, False])
@in_virtual_time
async def test_a_doubt_is_resolved_as_if_nobody_had_been_forgotten(world_of, bought, metadata):
    """The seller's records have the address, the ledger has its digest; what is sent again is sent for nobody."""
    world = world_of(metadata=metadata)
    async with world.run() as run:
        await world.plan(run)
        sent = await lose(world, run, bought=bought)
        assert sent.customer_email == CANARY
        assert not (await forget(run)).must_wait
        assert not holds_canary(run)
        world.clock.turn(seconds=100)
        await resolve(run.account(ONECLICK, "acme"))
        await world.plan(run)
        await work(run, ONECLICK)
        assert {"placed": 1} == await statuses(run)
        assert [CANARY if bought else None] == [each["customer_email"] for each in world.purchases]


@in_virtual_time
async def test_a_merchants_purchase_is_not_taken_for_a_forgotten_customers(world_of):
    """Another buyer's, made for the merchant in the same minute."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=False)
        buy_there(world, ONECLICK)
        await forget(run)
        world.clock.turn(seconds=100)
        await resolve(run.account(ONECLICK, "acme"))
        assert {"planned": 1} == await statuses(run)


@in_virtual_time
async def test_a_late_effect_of_an_attempt_before_is_found_by_the_audit(world_of):
    """It was made for the customer; what is held was made for nobody, since it was sent after the forgetting."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=False)
        world.clock.turn(seconds=100)
        await resolve(run.account(ONECLICK, "acme"))
        await forget(run)
        buy_there(world, ONECLICK, email=CANARY)
        await world.plan(run)
        await work(run, ONECLICK)
        assert {"placed": 1} == await statuses(run)
        today = run.clock.now().date()
        audit = Audit(run.account(ONECLICK, "acme"), Window(today, today), repair=False)
        assert [("duplicate", "WR-1")] == [(each.finding, each.order) async for each in audit.run()]


@in_virtual_time
async def test_a_late_answer_doubts_what_was_sent_before_the_forgetting(world_of):
    """The placement waits to be sent for nobody, then turns out to have been sent until now, for the customer."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        sent = await lose(world, run, bought=False)
        world.clock.turn(seconds=100)
        await resolve(run.account(ONECLICK, "acme"))
        await forget(run)
        buy_there(world, ONECLICK, email=CANARY)
        now = run.clock.now()
        late = Move(sent, Status.PLACING, Status.IN_DOUBT, now, run.id, "the answer was lost", now)
        claim = Claim(ONECLICK, "acme", run.id, now, now, exclusive=True, fresh=None)
        await run.ledger.record_and_claim([late], claim, 0)
        world.clock.turn(seconds=100)
        for _ in range(5):
            await resolve(run.account(ONECLICK, "acme"))
            world.clock.turn(seconds=100)
        assert {"parked": 1} == await statuses(run)
        assert len(world.purchases) == 1


@in_virtual_time
async def test_a_doubt_about_what_was_sent_for_nobody_knows_of_the_attempt_before(world_of):
    """That one was sent for the customer, and takes effect when nobody expects it any more: a person decides."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=False)
        world.clock.turn(seconds=100)
        await resolve(run.account(ONECLICK, "acme"))
        await forget(run)
        await world.plan(run)
        assert (await lose(world, run, bought=False)).customer_email is None
        buy_there(world, ONECLICK, email=CANARY)
        for _ in range(6):
            world.clock.turn(seconds=100)
            await resolve(run.account(ONECLICK, "acme"))
        assert {"parked": 1} == await statuses(run)
        assert len(world.purchases) == 1


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_a_forgotten_customers_purchase_explains_its_record(world_of, metadata):
    """Not another customer's doubt of the same amount, nor the merchant's; the audit agrees."""
    world = world_of(orders=[sold(1, contact=by(CANARY)), sold(2, contact=None)], metadata=metadata)
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)
        await forget(run)
        today = run.clock.now().date()
        audit = Audit(run.account(ONECLICK, "acme"), Window(today, today), repair=False)
        assert [] == [each async for each in audit.run()]
        assert audit.tally.agreed == 2


@in_virtual_time
async def test_nothing_is_forgotten_while_it_is_being_sent(world_of):
    """Until the lease is over, after which nobody sends it any more."""
    world = world_of()
    async with world.run() as run:
        await world.plan(run)
        now = run.clock.now()
        until = now + timedelta(seconds=60)
        claim = Claim(ONECLICK, "acme", run.id, now, until, exclusive=True, fresh=fresh_of(run))
        await run.ledger.record_and_claim([], claim, 1)
        found = await forget(run)
        assert (until, True) == (found.sending_until, found.must_wait)
        assert holds_canary(run)
        world.clock.turn(seconds=61)
        assert not (await forget(run)).must_wait
        assert not holds_canary(run)
        await work(run, ONECLICK)
        await world.plan(run)
        await work(run, ONECLICK)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_what_a_person_rules_not_bought_is_sent_for_nobody(world_of):
    """A failed purchase, planned again by hand after its customer was forgotten."""
    world = world_of(faults="oneclickimpact.refused=1")
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)
        assert {"failed": 1} == await statuses(run)
        await forget(run)
        world.sandbox.calm()
        ruling = Ruling("WR-1", "trees", Resolution.NOT_BOUGHT, "ana")
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        await world.plan(run)
        await work(run, ONECLICK)
        assert ({"placed": 1}, [None]) == (await statuses(run), [each["customer_email"] for each in world.purchases])


@in_virtual_time
async def test_a_refund_for_a_forgotten_customer_withdraws_what_waits(world_of):
    """By the order's own names."""
    world = world_of(orders=[])
    async with world.run() as run:
        await shopify_paid(run, 1, email=CANARY)
        await process(run.ledger, world.policy, run.clock, run.id)
        await forget(run)
        await shopify_refund(run, 1)
        await process(run.ledger, world.policy, run.clock, run.id)
        await work(run, ONECLICK)
        assert {"cancelled": 1} == await statuses(run)


async def fill_everywhere(run, world):
    """Write the address into what persons, shops and sellers may write."""
    await run.ledger.pause(Pause(PauseScope(), CANARY, f"asked by <{CANARY}>", run.clock.now()))
    said = json.dumps({"error": CANARY}).replace("@", "\\u0040")
    with run.ledger._engine.begin() as connection:
        for table, column in (
            ("broken_orders", "problem"), ("unearned", "reason"), ("events", "detail"), ("placements", "reason"),
            ("placements", "certificate_url"),
        ):  # fmt: skip
            tables = schema.tables[table]
            connection.execute(tables.update().values({column: f"the seller said {said}"}))
    assert world.policy


@in_virtual_time
async def test_no_column_of_any_table_keeps_the_address(world_of):
    """What a product is called, where a click came from, why a person paused."""
    product = {"id": "P1", "name": f"A card for {CANARY}", "qty": 2, "PPU": 40}
    orders = [sold(1, contact=by(CANARY), products=[product]), sold(2, date="nonsense"), sold(3, amount=1)]
    world = world_of(TREES | {"when": {"min_amount": {"USD": 50}}}, orders=orders)
    async with world.run() as run:
        await world.plan(run)
        await fill_everywhere(run, world)
        assert (await run.ledger.held_of(Forget(CANARY, "ana", run.clock.now()))).texts >= 6
        await forget(run)
        assert not holds_canary(run)
        assert b"a card for (forgotten)" in kept(run)
        world.clock.turn(minutes=1)
        world.sandbox.shop.orders.append(sold(4, contact=by("ben@example.com"), products=[product]))
        await world.plan(run)
        assert not holds_canary(run)


BODIES = [
    b'{"email":"canary.bird@example.com"}',
    b'{"email":"Canary.Bird\\u0040example.com"}',
    b"email=canary.bird%40example.com",
    b'{"note":"write to:\\nCanary.Bird@example.com."}',
    b'{"inner":"{\\"email\\":\\"canary.bird\\\\u0040example.com\\"}"}',
    json.dumps({"email": CANARY}).encode("utf-16"),
    b"[" * 200_000 + b'"canary.bird@example.com',
]


async def unread(run, body, webhook_id="d-1", mapping="old"):
    """A delivery that could not be read."""
    await run.ledger.store_delivery(Delivery("acme", "x", webhook_id, "t", run.clock.now(), body))
    [delivery] = await run.ledger.pending_deliveries("acme")
    await run.ledger.finish_delivery(Handled(delivery.id, run.clock.now(), "unreadable", mapping=mapping))


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@in_virtual_time
async def test_a_delivery_that_could_not_be_read_loses_its_content(world_of, body, first):
    """However the address is written in it, before the forgetting and after; no run stops at what is left of it."""
    world = world_of(orders=[])
    async with world.run() as run:
        if first:
            await unread(run, body)
        assert (await forget(run)).bodies == first
        if not first:
            await unread(run, body)
        assert body.lower() not in kept(run, bytes_too=first)
        assert not holds_canary(run, bytes_too=first)
        assert await run.ledger.reopen_deliveries(Mended("acme", "x", "new")) == 0
        await process(run.ledger, world.policy, run.clock, run.id)


@in_virtual_time
async def test_a_delivery_without_content_does_not_stop_a_run(world_of):
    """Should one be opened again by hand."""
    world = world_of(orders=[])
    async with world.run() as run:
        await deliver(run, "shopify", "orders/paid", {}, "d-1")
        with run.ledger._engine.begin() as connection:
            connection.execute(schema.tables["deliveries"].update().values(body=None))
        assert (await process(run.ledger, world.policy, run.clock, run.id)).planned.broken == 1


@in_virtual_time
async def test_a_delivery_with_another_address_stays(world_of):
    """Of which the forgotten one is a part."""
    world = world_of(orders=[])
    async with world.run() as run:
        await unread(run, body := b'{"email":"my-canary.bird@example.com"}')
        assert (await forget(run)).bodies == 0
        assert body in kept(run)


@in_virtual_time
async def test_a_delivery_that_waits_is_processed_first(world_of):
    """It may be an order."""
    world = world_of(orders=[])
    async with world.run() as run:
        await shopify_paid(run, 1, email=CANARY)
        assert (await forget(run)).pending == 1
        await process(run.ledger, world.policy, run.clock, run.id)
        assert not (await forget(run)).must_wait
        assert not holds_canary(run)


@in_virtual_time
async def test_a_file_that_another_program_reads_still_holds_traces(new_world, monkeypatch):
    """The customer is forgotten, and the person is told to try again."""
    monkeypatch.setattr("impactflow.ledger.engine.BUSY_S", 0.1)
    world = new_world(orders=[sold(1, contact=by(CANARY))], policy=policy_of(TREES))
    async with world.run() as run:
        await world.plan(run)
        with closing(sqlite3.connect(run.ledger._engine.url.database, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM orders").fetchall()
            with pytest.raises(LedgerBusy, match="still holds"):
                await forget(run)
            assert not holds_canary(run, bytes_too=False)
        await run.ledger.scrub()
        assert not holds_canary(run)


@in_virtual_time
async def test_what_is_cut_off_in_the_middle_is_finished_by_forgetting_again(world_of, monkeypatch):
    """The orders are without the address by then, the texts are not."""
    world = world_of(orders=[sold(1, contact=by(CANARY), products=[{"id": "P", "name": CANARY, "qty": 1, "PPU": 80}])])
    async with world.run() as run:
        await world.plan(run)

        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("impactflow.ledger.forgetting.clear_texts", killed)
            with pytest.raises(KeyboardInterrupt):
                await forget(run)
        assert holds_canary(run)
    async with world.run() as run:
        assert await run.ledger.held_of(Forget(CANARY, "ana", run.clock.now()))
        await forget(run)
        assert not holds_canary(run)


@in_virtual_time
async def test_a_purchase_of_another_seller_is_planned_as_it_was(world_of):
    """CNaught is given no customer, so nothing of a request changes."""
    offset = {"slot": "o", "provider": "cnaught", "impact": "offset", "quantity": {"per_item": 1}}
    world = world_of(offset, faults="cnaught.lost_answer=1")
    async with world.run() as run:
        await world.plan(run)
        await work(run, CNAUGHT, patience_s=0)
        assert {"in_doubt": 1} == await statuses(run)
        await forget(run)
        world.sandbox.calm()
        await world.plan(run)
        await work(run, CNAUGHT)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_the_name_of_an_order_stays(world_of):
    """By it the order is known; that it holds the address is said."""
    world = world_of()
    async with world.run() as run:
        await world.plan(run)
        with run.ledger._engine.begin() as connection:
            connection.execute(schema.tables["orders"].update().values(order_id=CANARY))
        assert (await forget(run)).names == 1
        found = await forget(run)
        assert (bool(found), found.names) == (False, 1)
