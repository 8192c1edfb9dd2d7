"""What nobody would hear of otherwise: refused deliveries."""

from datetime import timedelta

from ledger_helpers import NOON

from impactflow.ledger import Ledger, Refused
from impactflow.ledger.tables import refused_deliveries

TODAY = NOON.date()
NO_RATE = "no rate for HUF: add it to fx.usd_per in the policy"
FAILED = "no payment is APPROVED or MANUAL (seen: FAILED)"


async def test_c20_refused_deliveries_are_counted_by_source_and_status(ledger, ledger_url):
    """However many they are and whichever receiver refused them, they are one row a day; an older day is left out."""
    with Ledger.open(ledger_url) as other:
        for receiver in (ledger, other):
            for count in (3, 2):
                await receiver.count_refused(
                    [
                        Refused("acme", "shopify", TODAY, 413, count),
                        Refused("acme", "shopify", TODAY - timedelta(days=1), 413, 1),
                        Refused("acme", "shopify", TODAY, 401, 1),
                        Refused("other", "stripe", TODAY, 400, 1),
                        Refused("acme", "shopify", TODAY - timedelta(days=9), 413, 1000),
                    ]
                )
    week = TODAY - timedelta(days=6)

    assert {"shopify": {413: 14, 401: 4}, "stripe": {400: 4}} == await ledger.refused(week)
    assert {"shopify": {413: 14, 401: 4}} == await ledger.refused(week, store="acme")
    assert {} == await ledger.refused(TODAY + timedelta(days=1))
    with ledger._engine.connect() as connection:
        assert 5 == len(connection.execute(refused_deliveries.select()).all())
