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
from impactflow.errors import LedgerBusy, LedgerContended
from impactflow.intake.deliveries import process
from impactflow.ledger import (
    Claim,
    Delivery,
    Forget,
    Handled,
    Mended,
    Move,
    Pause,
    PauseScope,
    Postponement,
    Status,
    forgetting,
)
from impactflow.ledger.tables import metadata as schema
from impactflow.models import Receipt
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
        await run.ledger.scrub(Forget(email, "ana", run.clock.now()))
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


async def resolved(world, run, times=6):
    """Look after the doubts again and again."""
    for _ in range(times):
        world.clock.turn(seconds=100)
        await resolve(run.account(ONECLICK, "acme"))


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
        await resolved(world, run, times=1)
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
        await resolved(world, run, times=1)
        assert {"planned": 1} == await statuses(run)


@in_virtual_time
async def test_a_late_effect_of_an_attempt_before_is_found_by_the_audit(world_of):
    """It was made for the customer; what is held was made for nobody, since it was sent after the forgetting."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=False)
        await resolved(world, run, times=1)
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
        await resolved(world, run, times=1)
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
        await resolved(world, run, times=1)
        await forget(run)
        await world.plan(run)
        assert (await lose(world, run, bought=False)).customer_email is None
        buy_there(world, ONECLICK, email=CANARY)
        await resolved(world, run)
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
        assert (await forget(run)).pending == [{"store": "acme", "source": "shopify", "count": 1}]
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
        await run.ledger.scrub(Forget(CANARY, "ana", run.clock.now()))
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
            patch.setattr("impactflow.ledger.forgetting.left_of", killed)
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


AGAIN = {
    "the same": {},
    "no customer": {"email": None},
    "a text with the address": {"line_items": [{"quantity": 2, "title": f"A card for {CANARY}", "price": "40.50"}]},
}


@pytest.mark.parametrize("again", AGAIN)
@in_virtual_time
async def test_what_a_webhook_tells_again_goes_on_waiting_beyond_the_days_ceiling(world_of, again):
    """On another day, too: it did not change when its customer was forgotten."""
    world = world_of(TREES | {"approve_above_per_day": 1}, orders=[])
    texts = {name: value for name, value in AGAIN[again].items() if name != "email"}
    async with world.run() as run:
        await shopify_paid(run, 1)
        await process(run.ledger, world.policy, run.clock, run.id)
        await shopify_paid(run, 2, email=CANARY, total_price="81.00", **texts)
        await process(run.ledger, world.policy, run.clock, run.id)
        assert {"planned": 1, "awaiting_approval": 1} == await statuses(run)
        await forget(run)
        world.clock.turn(days=1)
        told = {"email": CANARY, "total_price": "81.00", "webhook_id": "again"} | AGAIN[again]
        await shopify_paid(run, 2, **told)
        await process(run.ledger, world.policy, run.clock, run.id)
        assert {"planned": 1, "awaiting_approval": 1} == await statuses(run)
        assert not holds_canary(run, bytes_too=False)


@pytest.mark.parametrize("name", ["Oak", f"A card for {CANARY}"])
@pytest.mark.parametrize(
    "rule", [TREES, {"slot": "o", "provider": "cnaught", "impact": "offset"}], ids=["named", "not"]
)
@in_virtual_time
async def test_what_is_read_again_goes_on_waiting_beyond_the_days_ceiling(world_of, rule, name):
    """Whether the seller gets the customer's name or not."""
    rule = rule | {"quantity": {"per_order": 1}, "approve_above_per_day": 1}
    products = [{"id": "P", "name": name, "qty": 2, "PPU": 40}]
    world = world_of(rule, orders=[sold(1), sold(2, contact=by(CANARY), amount=81, products=products)])
    async with world.run() as run:
        await world.plan(run)
        assert {"planned": 1, "awaiting_approval": 1} == await statuses(run)
        await forget(run)
        world.clock.turn(days=1)
        await world.plan(run)
        assert {"planned": 1, "awaiting_approval": 1} == await statuses(run)


@pytest.mark.parametrize("is_forgotten", [False, True])
@in_virtual_time
async def test_a_late_answer_is_not_recorded_for_two_orders_of_the_customer(world_of, is_forgotten):
    """The first order's purchase was taken for the second one's, before its answer came."""
    orders = [sold(1, contact=by(CANARY)), sold(2, contact=by(CANARY), amount=90)]
    world = world_of(orders=orders, metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        first = await lose(world, run, bought=False)
        await resolved(world, run, times=1)
        await world.plan(run)
        placements = schema.tables["placements"]
        with run.ledger._engine.begin() as connection:  # the second one's turn
            later = placements.update().where(placements.c.id == first.id)
            connection.execute(later.values(due_at=run.clock.now() + timedelta(seconds=50)))
        assert (await lose(world, run, bought=False)).id != first.id
        ref = buy_there(world, ONECLICK, email=CANARY)
        await resolved(world, run, times=1)
        assert {"planned": 1, "placed": 1} == await statuses(run)
        if is_forgotten:
            await forget(run)
        now = run.clock.now()
        late = Move(first, Status.PLACING, Status.PLACED, now, run.id, None, now, Receipt(ref))
        await run.ledger.record_and_claim([late], Claim(ONECLICK, "acme", run.id, now, now, exclusive=True), 0)
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)


CARDS = [{"id": "P", "name": f"A card for {CANARY}", "qty": 2, "PPU": 40}]


def put_off(run, placement, seconds):
    """A placement is not due before so many seconds have passed."""
    table = schema.tables["placements"]
    due_at = run.clock.now() + timedelta(seconds=seconds)
    with run.ledger._engine.begin() as connection:
        connection.execute(table.update().where(table.c.id == placement.id).values(due_at=due_at))


async def two_orders_sent(world, run):
    """Two orders of the canary's were sent in its name, and perhaps bought; the first was judged as not bought."""
    await world.plan(run)
    first = await lose(world, run, bought=False)
    await resolved(world, run, times=1)
    await world.plan(run)
    put_off(run, first, 50)
    second = await lose(world, run, bought=False)
    assert second.id != first.id
    return first, second


async def sent_again_for_nobody(world, run, first):
    """After the forgetting the first one is sent once more."""
    await forget(run)
    world.clock.turn(seconds=60)
    await world.plan(run)
    again = await lose(world, run, bought=False)
    assert (again.id, again.customer_email) == (first.id, None)


async def answered_late(run, sent, ref):
    """An attempt is answered when nobody expects it any more."""
    now = run.clock.now()
    late = Move(sent, Status.PLACING, Status.PLACED, now, run.id, None, now, Receipt(ref))
    await run.ledger.record_and_claim([late], Claim(ONECLICK, "acme", run.id, now, now, exclusive=True), 0)


TWO = [sold(1, contact=by(CANARY)), sold(2, contact=by(CANARY))]


@in_virtual_time
async def test_a_late_answer_explains_the_record_of_the_attempt_that_it_answers(world_of):
    """It was sent in the customer's name, a later attempt for nobody: the record is not the other order's."""
    world = world_of(orders=TWO, metadata="ignored")
    async with world.run() as run:
        first, _ = await two_orders_sent(world, run)
        await sent_again_for_nobody(world, run, first)
        ref = buy_there(world, ONECLICK, email=CANARY)
        await answered_late(run, first, ref)
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)
        await resolved(world, run)
        assert {"planned": 1, "placed": 1} == await statuses(run)
        listed = await run.ledger.held_of(Forget(CANARY, "ana", run.clock.now()))
        assert [each["ref"] for each in listed.named] == [ref]


@in_virtual_time
async def test_a_record_that_may_be_a_parked_orders_is_not_taken_for_another_of_the_customer(world_of):
    """The parked one was sent for nobody since, so it does not look like the other any more."""
    world = world_of(orders=TWO, metadata="ignored")
    async with world.run() as run:
        first, second = await two_orders_sent(world, run)
        put_off(run, second, 700)  # another run looks after it meanwhile
        await sent_again_for_nobody(world, run, first)
        buy_there(world, ONECLICK, email=CANARY)
        await resolved(world, run)
        assert {"parked": 1, "in_doubt": 1} == await statuses(run)
        put_off(run, second, 0)
        await resolved(world, run)
        assert {"parked": 2} == await statuses(run)


@in_virtual_time
async def test_a_purchase_that_is_known_beside_an_orders_own_is_not_taken_for_another_order(world_of):
    """The late answer came while the order was being sent for nobody."""
    world = world_of(orders=TWO, metadata="ignored")
    async with world.run() as run:
        first, _ = await two_orders_sent(world, run)
        await forget(run)
        world.clock.turn(seconds=60)
        await world.plan(run)
        now = run.clock.now()
        claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run))
        await run.ledger.record_and_claim([], claim, 1)
        await answered_late(run, first, buy_there(world, ONECLICK, email=CANARY))
        await resolved(world, run)
        assert {"parked": 2} == await statuses(run)


@pytest.mark.parametrize("is_forgotten", [False, True])
@in_virtual_time
async def test_an_audit_sees_what_was_bought_for_nobody_beside_what_was_bought_for_the_customer(world_of, is_forgotten):
    """The placement holds the purchase of a late answer; the attempt after the forgetting has bought, too."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        first = await lose(world, run, bought=False)
        await resolved(world, run, times=1)
        if is_forgotten:
            await forget(run)
        await world.plan(run)
        await lose(world, run, bought=True)
        world.clock.turn(seconds=1)
        await answered_late(run, first, buy_there(world, ONECLICK, email=CANARY))
        assert {"placed": 1} == await statuses(run)
        today = run.clock.now().date()
        audit = Audit(run.account(ONECLICK, "acme"), Window(today, today), repair=False)
        assert [("duplicate", "WR-1")] == [(each.finding, each.order) async for each in audit.run()]


@pytest.mark.parametrize("rule", [TREES | {"approve_above": 0}, TREES | {"approve_above_per_day": 1}])
@in_virtual_time
async def test_a_decision_holds_when_the_shop_forgets_the_customer_too(world_of, rule):
    """From then on the shop names nobody: that is no other order."""
    world = world_of(rule, orders=[sold(2), sold(1, contact=by(CANARY), amount=81)])
    async with world.run() as run:
        await world.plan(run)
        asked = [each for each in await run.ledger.awaiting() if each.order == "WR-1"]
        answer = Answer(Decision.REJECT, "ana", "no")
        await record_answer(run.ledger, run.order_source, policy_for(run), run.clock, run.id, asked, answer)
        await forget(run)
        world.clock.turn(days=1)
        world.sandbox.shop.orders[1] = sold(1, contact=None, amount=81)
        await world.plan(run)
        assert (await run.ledger.story("WR-1"))["placements"][0]["status"] == "cancelled"


@pytest.mark.parametrize("written", [CANARY, f"Ana <{CANARY}>", f"{CANARY}."])
@in_virtual_time
async def test_purchases_are_listed_each_time(world_of, written):
    """Also those that come out later; the shop may have written more than the address."""
    world = world_of(orders=[sold(1, contact=by(written)), sold(2, contact=by(written), amount=90)], metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=True)
        assert [] == (await forget(run)).named
        await resolved(world, run)
        for _ in range(2):
            assert ["WR-1"] == [each["order"] for each in (await forget(run)).named]


@in_virtual_time
async def test_a_purchase_is_not_listed_for_whom_it_does_not_name(world_of):
    """The shop corrected the customer after the purchase."""
    world = world_of()
    async with world.run() as run:
        await world.plan(run)
        await work(run, ONECLICK)
        world.clock.turn(minutes=1)
        world.sandbox.shop.orders[:] = [sold(1, contact=by("ben@example.com"))]
        await world.plan(run)
        await forget(run)
        assert [] == (await run.ledger.held_of(Forget("ben@example.com", "ana", run.clock.now()))).named


@in_virtual_time
async def test_what_is_held_is_counted_while_something_must_be_waited_for(world_of):
    """As a look counts it."""
    world = world_of(orders=[sold(1, contact=by(CANARY), products=CARDS)])
    async with world.run() as run:
        await world.plan(run)
        await shopify_paid(run, 9, email=CANARY)
        wanted = Forget(CANARY, "ana", run.clock.now())
        look, done = await run.ledger.held_of(wanted), await run.ledger.forget(wanted)
        assert (done.must_wait, done.texts) == (True, 1)
        assert look == done


@pytest.mark.parametrize(
    ("name", "counts"),
    [("eva-{}", 1), ("eva_{}", 1), ("{}", 1), ("eva{}", 0), ("eva.{}", 0), ("{}.mx", 0), ("{}x", 0)],
)
@in_virtual_time
async def test_the_name_of_another_is_not_counted(world_of, name, counts):
    """An address may be the end of another one."""
    world = world_of(orders=[sold(1, contact=by("eva@example.com"))])
    async with world.run() as run:
        await world.plan(run)
        with run.ledger._engine.begin() as connection:
            named = name.format("a@example.com")
            connection.execute(schema.tables["orders"].update().values(order_id=named))
        assert counts == (await forget(run, "a@example.com")).names


def told_meanwhile(run, monkeypatch, times):
    """A run plans the order anew after its texts were read, and before they are written."""
    read = forgetting.left_of

    def then_written(connection, wanted):
        left = read(connection, wanted)
        table = schema.tables["orders"]
        if times and left.changes:
            with run.ledger._engine.begin() as other:
                facts = json.loads(other.execute(table.select()).one().facts)
                other.execute(table.update().values(facts=json.dumps(facts | {"amount": str(times.pop())})))
        return left

    monkeypatch.setattr(forgetting, "left_of", then_written)


@in_virtual_time
async def test_what_a_run_writes_meanwhile_stays(world_of, monkeypatch):
    """The texts are read again then."""
    world = world_of(orders=[sold(1, contact=by(CANARY), products=CARDS)])
    async with world.run() as run:
        await world.plan(run)
        told_meanwhile(run, monkeypatch, [20])
        assert (await forget(run)).texts == 1
        assert b'"amount": "20"' in kept(run, bytes_too=False)
        assert not holds_canary(run)


@in_virtual_time
async def test_a_text_that_changes_again_and_again_is_said_to_be_left(world_of, monkeypatch):
    """Forgetting goes on with it."""
    world = world_of(orders=[sold(1, contact=by(CANARY), products=CARDS)])
    async with world.run() as run:
        await world.plan(run)
        told_meanwhile(run, monkeypatch, [*range(10, 20)])
        with pytest.raises(LedgerContended, match="forget the customer again"):
            await forget(run)
        monkeypatch.undo()
        assert (await run.ledger.held_of(Forget(CANARY, "ana", run.clock.now()))).is_unfinished
        await forget(run)
        assert not holds_canary(run)


@in_virtual_time
async def test_many_texts_are_cleared_in_portions(world_of, monkeypatch):
    """Between which others write."""
    monkeypatch.setattr("impactflow.ledger._PORTION", 2)
    world = world_of(orders=[sold(n, contact=by(CANARY), amount=80 + n, products=CARDS) for n in range(1, 6)])
    async with world.run() as run:
        await world.plan(run)
        assert (await forget(run)).texts == 5
        assert not holds_canary(run)


FIELDS = [f"Ana <{CANARY}>", f"{CANARY}.", f"{CANARY};", f"mailto:{CANARY}", f"{CANARY}, x@example.com", f" {CANARY} "]


@pytest.mark.parametrize("written", FIELDS)
@in_virtual_time
async def test_an_address_is_found_in_the_field_in_whatever_it_is_written_there(world_of, written):
    """A name beside it, a full stop, a second address; also of a later order, and of a doubt."""
    world = world_of(orders=[sold(1, contact=by(written))], metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=True)
        assert (await forget(run)).orders == 1
        assert not holds_canary(run)
        await resolved(world, run, times=1)
        assert {"placed": 1} == await statuses(run)
        world.sandbox.shop.orders.append(sold(2, contact=by(written), amount=90))
        await world.plan(run)
        await work(run, ONECLICK)
        assert ({"placed": 2}, None) == (await statuses(run), world.purchases[1]["customer_email"])
        assert not holds_canary(run, bytes_too=False)


@pytest.mark.parametrize(
    "written", ["Canary.Bird@example.com.au", "my-canary.bird@example.com", "_Canary.Bird@example.com"]
)
@in_virtual_time
async def test_another_customer_of_a_like_address_is_not_forgotten(world_of, written):
    """Of which the forgotten one is a part."""
    world = world_of(orders=[sold(1, contact=by(written))])
    async with world.run() as run:
        await world.plan(run)
        assert (await forget(run)).orders == 0
        await world.plan(run)
        await work(run, ONECLICK)
        assert [written] == [each["customer_email"] for each in world.purchases]


@in_virtual_time
async def test_what_a_seller_says_later_is_kept_without_the_address(world_of):
    """A certificate's URL, with the receipt or later; why something is in doubt."""
    world = world_of(orders=[sold(n, contact=by(CANARY), amount=80 + n) for n in (1, 2)], metadata="ignored")
    url, said = f"https://seller.example/?for={CANARY}", f"HTTP 400 (they say: no records of {CANARY})"
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=False)
        await forget(run)
        now = run.clock.now()
        claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run))
        [doubt] = await run.ledger.claim_doubts(claim)
        await run.ledger.move(Move(doubt, Status.IN_DOUBT, Status.IN_DOUBT, now, run.id, said, now))
        [sent] = await run.ledger.record_and_claim([], claim, 1)
        done = Move(sent, Status.PLACING, Status.PLACED, now, run.id, None, now, Receipt("R", 1, url))
        await run.ledger.record_and_claim([done], claim, 0)
        assert b"https://seller.example/?for=(forgotten)" in kept(run)
        await run.ledger.postpone(Postponement(sent, now + timedelta(days=1), f"{url}&again"))
        assert b"https://seller.example/?for=(forgotten)&again" in kept(run)
        late = Move(doubt, Status.PLACING, Status.IN_DOUBT, now, run.id, said, now)
        await run.ledger.record_and_claim([late], claim, 0)
        assert b"they say: no records of (forgotten)" in kept(run)
        assert not holds_canary(run, bytes_too=False)


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
@in_virtual_time
async def test_no_value_of_an_order_keeps_the_address(world_of, is_first):
    """A product's id, a payment's status, the currency, and the reason why nothing is bought for it."""
    payments = [{"date": "2026-03-02T11:00:00", "status": CANARY, "amount": 80}]
    odd = {
        "products": [{"id": CANARY, "name": "x", "qty": 2, "PPU": 40}],
        "payments": [*payments, payments[0] | {"status": "APPROVED"}],
        "currency": CANARY,
    }
    orders = [sold(n, contact=by(CANARY), **{name: odd[name]}) for n, name in enumerate(odd, 1)]
    world = world_of(TREES | {"when": {"min_amount": {"USD": 50}}}, orders=orders)
    async with world.run() as run:
        if is_first:
            await world.plan(run)
        await forget(run)
        world.clock.turn(minutes=1)
        await world.plan(run)
        assert not holds_canary(run, bytes_too=False)


@in_virtual_time
async def test_the_purchases_that_name_the_customer_are_listed_each_time(world_of):
    """Also a doubt that turned out bought since, and not what was sent for nobody."""
    orders = [sold(n, contact=by(CANARY), amount=80 + n) for n in (1, 2)]
    world = world_of(orders=orders, metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=True)
        assert [] == (await forget(run)).named
        await resolved(world, run, times=1)
        await world.plan(run)
        await work(run, ONECLICK)
        assert {"placed": 2} == await statuses(run)
        found = await run.ledger.held_of(Forget(CANARY.upper(), "ana", run.clock.now()))
        assert (False, ["WR-1"]) == (bool(found), [each["order"] for each in found.named])
        assert found.named == (await forget(run)).named


@in_virtual_time
async def test_what_is_being_sent_for_nobody_is_not_waited_for(world_of):
    """Though it was sent in the customer's name before."""
    world = world_of(metadata="ignored")
    async with world.run() as run:
        await world.plan(run)
        await lose(world, run, bought=False)
        await resolved(world, run, times=1)
        await forget(run)
        await world.plan(run)
        now = run.clock.now()
        claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=True, fresh=fresh_of(run))
        assert len(await run.ledger.record_and_claim([], claim, 1)) == 1
        assert not (await forget(run)).must_wait


@in_virtual_time
async def test_that_the_file_was_not_written_anew_is_remembered(world_of, monkeypatch):
    """Until it was."""
    world = world_of()
    async with world.run() as run:
        await world.plan(run)
        wanted = Forget(CANARY, "ana", run.clock.now())
        await run.ledger.forget(wanted)
        assert (await run.ledger.held_of(wanted)).is_unfinished
        await run.ledger.scrub(wanted)
        assert not await run.ledger.held_of(wanted)
        await run.ledger.forget(wanted)
        assert await run.ledger.held_of(wanted)
        await forget(run)
        assert not await run.ledger.held_of(wanted)
