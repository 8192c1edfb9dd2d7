"""What the receiver refused is counted for ``status`` and ``doctor``, and said in the log, and nobody can overdo it."""

import asyncio
import logging
from datetime import UTC, date, datetime, timedelta

import pytest
from test_receiver import SIGNED, send, serving, stored
from virtual_time import VirtualClock, in_virtual_time

from benchmarks.storm.senders import signed
from impactflow.errors import LedgerError
from impactflow.ledger.tables import refused_deliveries
from impactflow.webhooks.arrivals import Arrivals
from impactflow.webhooks.bounds import Bounds
from impactflow.webhooks.refusals import FLUSH_S, Refusals, in_words, what_to_do

EVER = date(2000, 1, 1)


def rows(ledger):
    with ledger._engine.connect() as connection:
        return len(connection.execute(refused_deliveries.select()).all())


@pytest.mark.parametrize("source", SIGNED)
async def test_c20_what_is_refused_is_counted_by_its_status(ledger, source):
    """Too large, not proven, malformed; what is taken is not counted, nor is anything of a refused one kept."""
    other = "whsec_" + "YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlcg=="
    large, forged = signed(source, "d1", body=b"x" * 2000), signed(source, "d2", secret=other)
    async with serving(ledger, Bounds(max_bytes=1500)) as client:
        for post in (large, forged, large, signed(source, "d3", body=b"[]"), large, signed(source, "d4")):
            await send(client, post)

    assert {source: {413: 3, 401: 1, 400: 1}} == await ledger.refused(EVER)
    assert 1 == len(await stored(ledger))


async def test_c20_a_stranger_fills_neither_the_disk_nor_the_log(ledger, caplog):
    """A thousand refusals under a thousand names are one row and one line, written together."""
    caplog.set_level(logging.WARNING, "impactflow")
    async with serving(ledger) as client:
        for number in range(1000):
            await client.post("/webhooks/shopify", content=b"{}", headers={"x-shopify-topic": f"topic-{number}"})
        assert {} == await ledger.refused(EVER)
        await client.post(f"/webhooks/{'x' * 100}", content=b"{}")
        await client.post("/webhooks/cnaught/some-key/some-token", content=b"{}")

    assert {"shopify": {400: 1000}, "cnaught": {404: 1}} == await ledger.refused(EVER)
    assert 2 == rows(ledger)
    messages = [record.getMessage() for record in caplog.records if record.name == "impactflow.webhooks.refusals"]
    assert 2 == len(messages)
    assert "some-" not in messages[1]


@in_virtual_time
async def test_c20_the_log_has_one_line_a_minute_for_each_source_with_the_number_since(ledger, caplog):
    """The first at once; the rest is said when the minute is over, though nothing more is refused."""
    caplog.set_level(logging.WARNING, "impactflow")
    clock = VirtualClock()
    refusals = Refusals(ledger, "acme", clock)
    going = asyncio.create_task(refusals.go_on())
    for number in range(100):
        refusals.note("shopify", 413 if number % 10 else 401, f"number {number}")
        refusals.note("stripe", 400, "the header stripe-signature is missing")
        await clock.sleep(0.1)
    await clock.sleep(120)
    going.cancel()

    messages = [record.getMessage() for record in caplog.records]
    assert [1, 1, 99, 99] == [int(line.split()[0]) for line in messages]
    assert messages[2].startswith(
        "99 deliveries of shopify were refused: 90 too large (413), 9 with a bad signature (401)"
    )
    assert "the last: number 99" in messages[2]
    assert {"shopify": {413: 90, 401: 10}, "stripe": {400: 100}} == await ledger.refused(EVER)


@in_virtual_time
async def test_c20_numbers_go_to_the_ledger_together_every_few_seconds(ledger, monkeypatch):
    """However many are refused, the ledger is written to once in that time; and not where nothing was refused."""
    clock, written = VirtualClock(), []

    async def keep(refused):
        written.append({(each.source, each.status): each.count for each in refused})

    monkeypatch.setattr(ledger, "count_refused", keep)
    refusals = Refusals(ledger, "acme", clock)
    going = asyncio.create_task(refusals.go_on())
    for _ in range(50):
        refusals.note("shopify", 401, "")
        refusals.note("stripe", 413, "")
        await clock.sleep(2 * FLUSH_S / 49)
    await clock.sleep(100)
    going.cancel()

    assert 3 >= len(written)
    assert 100 == sum(sum(each.values()) for each in written)


@in_virtual_time
async def test_c20_what_the_ledger_does_not_take_is_counted_later(ledger, monkeypatch):
    """A ledger that is away for hours costs no number, and does not end the receiver."""
    clock = VirtualClock()
    refusals = Refusals(ledger, "acme", clock)
    going = asyncio.create_task(refusals.go_on())

    async def fail(_):
        raise LedgerError("its disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(ledger, "count_refused", fail)
        for _ in range(10):
            refusals.note("stripe", 503, "it cannot be stored now; repeat it later")
            await clock.sleep(3600)
    await clock.sleep(2 * FLUSH_S)

    assert {"stripe": {503: 10}} == await ledger.refused(EVER)
    assert not going.done()
    going.cancel()


async def test_c20_days_are_those_of_utc(ledger):
    """One row for each."""

    class At:
        moment = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)

        def now(self):
            return self.moment

    clock = At()
    refusals = Refusals(ledger, "acme", clock)
    refusals.note("stripe", 401, "")
    clock.moment += timedelta(minutes=2)
    refusals.note("stripe", 401, "")
    await refusals.flush()

    assert {"stripe": {401: 2}} == await ledger.refused(date(2026, 3, 2))
    assert {"stripe": {401: 1}} == await ledger.refused(date(2026, 3, 3))


def test_c20_refusals_are_put_into_words_with_what_to_do():
    """Most first; each source's own variable."""
    text = in_words("shopify", {401: 2, 413: 10}, "in the last 7 days")

    expected = (
        "12 deliveries of shopify were refused in the last 7 days: 10 too large (413), 2 with a bad signature (401)"
    )
    assert expected == text
    assert "1 delivery of stripe was refused: 1 refused (418)" == in_words("stripe", {418: 1})
    to_do = what_to_do("shopify", {401: 2, 413: 10})
    assert to_do.index("IMPACTFLOW_WEBHOOKS_MAX_BYTES") < to_do.index("IMPACTFLOW_SHOPIFY_SECRETS")


@in_virtual_time
async def test_what_is_stored_is_said_at_once_and_then_together(caplog):
    """A line every ten seconds for each source at most, with the number since, also when nothing more comes."""
    caplog.set_level(logging.INFO, "impactflow")
    clock = VirtualClock()
    arrivals = Arrivals(clock)
    going = asyncio.create_task(arrivals.go_on())
    for number in range(50):
        arrivals.note("shopify", "orders/paid" if number % 5 else "refunds/create")
        await clock.sleep(0.1)
    arrivals.note("stripe", "charge.refunded")
    await clock.sleep(60)
    going.cancel()
    assert [
        "stored 1 delivery of shopify: 1 refunds/create",
        "stored 1 delivery of stripe: 1 charge.refunded",
        "stored 49 deliveries of shopify: 40 orders/paid, 9 refunds/create",
    ] == [record.getMessage() for record in caplog.records]
