"""Webhook deliveries in the ledger."""

from datetime import UTC, datetime, timedelta

from impactflow.ledger import Delivery, Handled, Ledger

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def _delivery(name, store="acme", minutes=0):
    return Delivery(store, "shopify", name, "orders/paid", AT + timedelta(minutes=minutes), b'{"id": 1}')


async def test_a_delivery_is_stored_once(ledger):
    """A second one of the same id and source is known; another store's is not."""
    stored = [await ledger.store_delivery(each) for each in (_delivery("a"), _delivery("a"), _delivery("a", "other"))]

    assert stored == [True, False, True]
    assert [each.webhook_id for each in await ledger.pending_deliveries("acme")] == ["a"]


async def test_two_ledgers_store_a_delivery_once(ledger, ledger_url):
    """Two receivers are told the same at once."""
    with Ledger.open(ledger_url) as other:
        first, second = await ledger.store_delivery(_delivery("a")), await other.store_delivery(_delivery("a"))

    assert (first, second) == (True, False)


async def test_a_handled_delivery_is_remembered_without_its_body(ledger):
    """It is never pending again, and its id stays known."""
    await ledger.store_delivery(_delivery("a"))
    [delivery] = await ledger.pending_deliveries("acme")
    await ledger.finish_delivery(Handled(delivery.id, AT))

    assert await ledger.pending_deliveries("acme") == []
    assert await ledger.pending_since("acme") is None
    assert await ledger.store_delivery(_delivery("a")) is False


async def test_pending_deliveries_come_in_pages_in_the_order_of_their_coming(ledger):
    """The next page begins after the last one's end."""
    for number in range(5):
        await ledger.store_delivery(_delivery(str(number), minutes=number))
    first = await ledger.pending_deliveries("acme", limit=3)
    rest = await ledger.pending_deliveries("acme", after=first[-1].id, limit=3)

    assert [each.webhook_id for each in (*first, *rest)] == ["0", "1", "2", "3", "4"]
    assert first[0].body == b'{"id": 1}'
    assert await ledger.pending_since("acme") == AT
