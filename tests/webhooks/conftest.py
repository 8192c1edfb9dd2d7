"""A ledger for each test, copied from one that is made once: most tests here take less time than its migrations."""

import shutil

import pytest

from impactflow.ledger import Ledger


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory):
    """The file of an empty ledger."""
    file = tmp_path_factory.mktemp("empty") / "ledger.db"
    Ledger.open(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def ledger(empty_ledger, tmp_path):
    """An empty ledger in SQLite; what differs between databases is tested with the ledger."""
    with Ledger.open(f"sqlite:///{shutil.copy(empty_ledger, tmp_path / 'ledger.db')}") as opened:
        yield opened
