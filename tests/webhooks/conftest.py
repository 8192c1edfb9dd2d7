"""A ledger for each test; what differs between databases is tested with the ledger."""

import pytest
from ledgers import new_ledger

from impactflow.ledger import Ledger


@pytest.fixture
def ledger(tmp_path):
    """An empty ledger in SQLite."""
    with Ledger.open(new_ledger(tmp_path / "ledger.db")) as opened:
        yield opened
