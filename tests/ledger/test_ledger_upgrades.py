"""
A ledger that any earlier version made opens, is upgraded, and is worked on.

``schemas/`` has one for each distinct history: the migrations 0001 (a, b) and 0004 (a to e) were edited after they had
landed. None is ever edited again: the digests below see to that.
"""

import hashlib
import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ledger_helpers import after, answer, claim, claim_doubts, counted, earned, life, offset, path, plan, sale
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from impactflow.errors import LedgerError
from impactflow.ledger import Ledger, Status, engine
from impactflow.ledger.tables import metadata

SCHEMAS = Path(__file__).parent / "schemas"
HISTORIES = sorted(each.stem for each in SCHEMAS.glob("0*.sql"))
DIGESTS = {
    "0001.py": "e7a796b298c81ee68707ad6b4025e8e564a25a15d46719c9e341bbd590c8abd7",
    "0002.py": "33ac1349c8ca83d111fb2d9a44b8113bf0bca7721d8df22aee19ed5724a9ec1c",
    "0003.py": "6c87828c7d3c2f3c852aa1428c682555c8b3315dc62ab31a826b14aeb8d961b3",
    "0004.py": "fc1c05dc32b995118de0e6194128083a073513fa4407907658ce448a4b66de51",
    "0005.py": "ea1e7f4488b3ee61d67abf6ffa782ef34d3b39f9d104d1083aa6bf53a2facd8c",
    "0006.py": "d19026cc0a69390062ddd7024955d3c49a5d962ca01b72140a0c4cde50b576da",
    "0007.py": "35eacfce65cc8e75ea4eb5be228fa8b4d87f662ee0dd13d3ee2e158385fb9874",
    "0008.py": "7b79d7ef9a70fc3fd1ebd35d0a5d64426b45cf6394d0445465be8f6ed0ee954e",
    "0009.py": "b1d4bfb9d0ed5225dcf599c793e21efa8f66dda1e20d87288639e9d2aeb4d2fd",
    "0010.py": "db835b374607a48801c4a5d017ad9238a6026a268aab856a1d8d0896c57c844d",
    "0011.py": "4c3908b2ea5b649ad1c6beff2eaf9704424e95b1fd1a1916057cce37a3e71bb4",
    "0012.py": "f96d9d7790b3c3a0ed0e448993386e9b8bc9cd2da4a84145e373c8937ec8321d",
    "0013.py": "1c0f57512949b18fa0b5ead35243698d692decc87f19518fe9e5f97b4cc0e620",
    "0014.py": None,
}


def in_postgres(script):
    """A script for SQLite, as Postgres takes it."""
    script = re.sub(r"\bid INTEGER NOT NULL", "id BIGSERIAL NOT NULL", script)
    script = re.sub(r'("order"|placement|same_as) INTEGER', r"\1 BIGINT", script)
    script = script.replace("BIGINT REFERENCES", "BIGINT CONSTRAINT fk_orders_same_as REFERENCES")
    shortened = postgresql.dialect().identifier_preparer
    for index in (index for table in metadata.sorted_tables for index in table.indexes):
        script = script.replace(str(index.name), shortened.format_index(index))
    script = script.replace("BLOB", "BYTEA").replace("version_num VARCHAR(32)", "version_num VARCHAR(31)")
    return script.replace(" VARCHAR(32)", " TIMESTAMP WITH TIME ZONE")


@pytest.fixture(params=HISTORIES)
def earlier_url(request, database_url):
    """A ledger of an earlier version: two orders, one purchase placed, one in doubt, one planned."""
    script = (SCHEMAS / f"{request.param}.sql").read_text() + (SCHEMAS / "rows.sql").read_text()
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            connection.executescript(script)
        connection.close()
        return database_url
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(in_postgres(script))
        for table in ("orders", "placements", "events"):
            connection.execute(f"SELECT setval('{table}_id_seq', 100)")
    return database_url


async def test_o8_a_ledger_of_any_earlier_version_is_upgraded_and_worked_on(earlier_url):
    """Exactly as the tables say, with all its rows; doubts are settled, and what is planned is sent once it is read."""
    with Ledger.open(earlier_url) as ledger:
        with ledger._engine.connect() as connection:
            options = {"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
            assert [] == compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        assert {"placed": 1, "in_doubt": 1, "planned": 1} == await counted(ledger)
        assert ("order-1", 250) == ((await life(ledger))["ref"], (await life(ledger))["price_usd_cents"])
        assert ["planned", "placing", "placed"] == await path(ledger)

        [doubt] = await claim_doubts(ledger, after(60))
        assert after(2) >= doubt.sent_until
        await ledger.record_found(answer(doubt, at=after(61), from_=Status.IN_DOUBT))
        assert None is await claim(ledger, after(61))  # nobody kept when its order was read: it is read again first
        await plan(ledger, (sale(2), earned(offset(), offset(900, slot="more"))), at=after(61))
        await ledger.move(answer(await claim(ledger, after(61)), at=after(62)))
        assert {"placed": 3} == await counted(ledger)
        await plan(ledger, (sale(1), earned(offset(7))), (sale(3), earned(offset())), at=after(63))
        assert {"placed": 3, "planned": 1} == await counted(ledger)


def test_o8_every_migration_is_as_it_landed():
    """A ledger that was made by another text of a migration is at the same number and lacks what was added later."""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in engine._migrations().glob("0*.py")}
    assert sorted(DIGESTS) == sorted(found), "add the new migration's name to DIGESTS, with None until it is on main"
    landed = {name: digest for name, digest in DIGESTS.items() if digest is not None}
    assert landed == {name: found[name] for name in landed}, (
        "a migration that is on main was edited: put it back, and write a new one; only the digest of one that lands"
        " now is filled in, as `sha256sum impactflow/ledger/migrations/versions/0*.py` prints it"
    )


def test_o8_a_ledger_that_lacks_a_column_is_refused(ledger_url):
    """Before anything is done, and with what to do; not half-way through a run."""
    opened = engine.open_engine(ledger_url)
    with opened.begin() as connection:
        connection.execute(text("ALTER TABLE placements DROP COLUMN sent_until"))
    opened.dispose()
    with pytest.raises(LedgerError, match=r"lacks placements.sent_until.* restore a backup"):
        Ledger.open(ledger_url)


def test_the_newest_migration_is_the_one_that_a_ledger_is_held_against():
    """Else no earlier ledger would open."""
    assert engine.HEAD == max(DIGESTS).removesuffix(".py")
