"""Opening a ledger: made where there is none, upgraded, refused with a clear word; and failing disks and databases."""

import asyncio
import multiprocessing
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ledger_helpers import NOON, answer, claim, counted, earned, offset, plan, plan_one, record, sale
from sqlalchemy import event, text

from impactflow.errors import ConfigurationError, LedgerBusy, LedgerError, LedgerFull, LedgerTooNew
from impactflow.ledger import Ledger, engine
from impactflow.ledger.tables import WHERE, metadata


def test_migrations_build_what_the_tables_say(database_url):
    """Nothing to add, nothing to change, nothing left over."""
    opened = engine.open_engine(database_url)
    with opened.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata}
        )
        assert [] == compare_metadata(context, metadata)
    opened.dispose()


def test_an_index_of_some_rows_is_of_those_that_the_tables_say(database_url):
    """Which the comparison leaves out."""
    opened = engine.open_engine(database_url)
    built_as = {
        "sqlite": "SELECT name, sql FROM sqlite_master",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes",
    }
    indexes = (index for table in metadata.sorted_tables for index in table.indexes)
    partial = {index.name: index.info[WHERE] for index in indexes if index.info}
    with opened.connect() as connection:
        built = dict(connection.execute(text(built_as[opened.dialect.name])).all())
    assert len(partial) == 4
    for name, where in partial.items():
        assert where in built[name].partition(" WHERE ")[2].replace("::text", "")
    opened.dispose()


def test_the_newest_migration_is_the_one_that_the_code_expects():
    """A new file in ``versions`` needs a new ``HEAD``."""
    versions = sorted(path.stem for path in engine._migrations().glob("[0-9]*.py"))
    assert engine.HEAD == versions[-1]


async def test_opening_again_finds_what_was_written(ledger_url):
    """Closed in between, as between two runs."""
    for number in (1, 2):
        with Ledger.open(ledger_url) as ledger:
            await plan_one(ledger, number)
    with Ledger.open(ledger_url) as ledger:
        assert {"planned": 2} == await counted(ledger)


def test_many_may_open_an_empty_database_at_once(new_database_url):
    """One of them builds the schema, the others wait; again and again."""

    def open_and_close(url):
        Ledger.open(url).close()

    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            url = new_database_url()
            list(threads.map(open_and_close, [url] * 4))


def _open_when_started(url, start, outcome):
    start.wait(10)
    try:
        Ledger.open(url).close()
        outcome.put("opened")
    except Exception as error:  # noqa: BLE001 - whatever it was, the test must hear of it
        outcome.put(repr(error))


def test_two_processes_may_open_an_empty_database_at_once(database_url):
    """As two workers do on their first day."""
    processes = multiprocessing.get_context("fork")
    start, outcome = processes.Event(), processes.Queue()
    both = [processes.Process(target=_open_when_started, args=(database_url, start, outcome)) for _ in range(2)]
    for process in both:
        process.start()
    start.set()
    assert ["opened", "opened"] == [outcome.get(timeout=30) for _ in both]
    for process in both:
        process.join(10)


def test_a_newer_ledger_is_refused(ledger_url):
    """It may hold what this code would break; the message says what to do."""
    opened = engine.open_engine(ledger_url)
    with opened.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.dispose()
    with pytest.raises(LedgerTooNew, match="upgrade impactflow"):
        Ledger.open(ledger_url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.db",
        "nonsense",
        "mysql://root:s3cret@localhost/ledger",
        "sqlite+aiosqlite:///ledger.db",
        "postgresql+asyncpg://root:s3cret@localhost/ledger",
        "postgresql://root:s3cret@localhost:port/ledger",
        "://root:s3cret@",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url):
    """Naming the variable, and never the password. A ledger in memory would forget what was bought."""
    with pytest.raises(ConfigurationError, match="IMPACTFLOW_LEDGER_URL") as refused:
        Ledger.open(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_may_be_spelled_as_hosts_spell_it(postgres, prefix):
    """All are spoken through psycopg."""
    Ledger.open(postgres.new_database().replace("postgresql", prefix)).close()


def test_an_unreachable_postgres_is_said_to_be_unreachable():
    """What to check, and no password."""
    with pytest.raises(LedgerError, match=r"cannot be reached \(.*refused\): check IMPACTFLOW_LEDGER_URL") as failed:
        Ledger.open("postgresql://ana:s3cret@127.0.0.1:1/ledger")
    assert "s3cret" not in str(failed.value)


def test_a_folder_that_does_not_exist_is_named_as_the_reason(tmp_path):
    """SQLite makes files, not folders."""
    with pytest.raises(LedgerError, match="check IMPACTFLOW_LEDGER_URL and the folder's permissions"):
        Ledger.open(f"sqlite:///{tmp_path / 'missing' / 'ledger.db'}")


def test_a_file_that_is_no_database_is_named_as_the_reason(tmp_path):
    """A letter, saved under the wrong name."""
    file = tmp_path / "ledger.db"
    file.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(LedgerError, match="no SQLite database"):
        Ledger.open(f"sqlite:///{file}")


@pytest.fixture
def impatient(monkeypatch):
    """Waits for another program's lock for a fraction of a second."""
    monkeypatch.setattr(engine, "BUSY_S", 0.2)


@pytest.fixture
def sqlite_file(tmp_path):
    """Where a ledger lies."""
    return tmp_path / "ledger.db"


async def test_a_locked_file_is_said_to_be_locked(impatient, sqlite_file):
    """After the wait; nothing is written, and it works again when the other program lets go."""
    with Ledger.open(f"sqlite:///{sqlite_file}") as ledger:
        other = sqlite3.connect(sqlite_file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy, match="end that program"):
            await plan_one(ledger)
        assert {} == await counted(ledger)
        other.execute("ROLLBACK")
        other.close()
        await plan_one(ledger)
        assert {"planned": 1} == await counted(ledger)


async def test_a_locked_table_is_said_to_be_locked(monkeypatch, postgres):
    """Postgres, likewise."""
    monkeypatch.setattr(engine, "BUSY_S", 1)
    url = postgres.new_database()
    with Ledger.open(url) as ledger:
        other = engine.open_engine(url)
        with other.begin() as connection:
            connection.execute(text("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(LedgerBusy, match="end that program"):
                await plan_one(ledger)
        other.dispose()
        await plan_one(ledger)
        assert {"planned": 1} == await counted(ledger)


async def test_a_full_disk_is_said_to_be_full(sqlite_file):
    """What was committed stands; with room again the same work goes through, once."""
    url = f"sqlite:///{sqlite_file}"
    with Ledger.open(url) as ledger:
        await plan_one(ledger)
        pages = _bounded(ledger, lambda used: used + 2)
        large = [(sale(number), earned(offset())) for number in range(2, 400)]
        with pytest.raises(LedgerFull, match="make room"):
            await plan(ledger, *large)
        assert {"planned": 1} == await counted(ledger)
    assert pages
    with Ledger.open(url) as ledger:
        await plan(ledger, *large)
        sent = await claim(ledger)
        await record(ledger, answer(sent))
        assert {"planned": 398, "placed": 1} == await counted(ledger)


def _bounded(ledger, most):
    """Let the file grow to so many pages; further connections are bounded too."""
    with ledger._engine.connect() as connection:
        pages = most(connection.exec_driver_sql("PRAGMA page_count").scalar())
    ledger._engine.dispose()
    event.listen(ledger._engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={pages}"))
    return pages


async def test_a_server_that_goes_away_is_said_to_be_unreachable(postgres):
    """Its connections end; the ledger goes on with new ones."""
    url = postgres.new_database()
    with Ledger.open(url) as ledger:
        await plan_one(ledger)
        killer = engine.open_engine(postgres.new_database())
        with killer.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                    " AND datname = :name"
                ),
                {"name": url.rpartition("/")[2]},
            )
        killer.dispose()
        await plan_one(ledger, 2)
        assert {"planned": 2} == await counted(ledger)


async def test_writes_are_durable_in_sqlite(sqlite_file):
    """Write-ahead log, full synchronous commits, foreign keys: on every connection."""
    with Ledger.open(f"sqlite:///{sqlite_file}") as ledger:
        await plan_one(ledger)
        with ledger._engine.connect() as connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
    assert ["wal", 2, 1] == values
    assert stat.S_ISREG(sqlite_file.stat().st_mode)


async def test_reads_do_not_wait_for_a_writer(sqlite_file):
    """A report can be made while a run writes."""
    with Ledger.open(f"sqlite:///{sqlite_file}") as ledger:
        await plan_one(ledger)
        other = sqlite3.connect(sqlite_file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert {"planned": 1} == await asyncio.wait_for(counted(ledger), 5)
        other.close()
        assert NOON == (await claim(ledger)).attempted_at


def test_only_its_owner_may_read_a_new_file(tmp_path):
    """It holds e-mail addresses; what SQLite keeps beside it is no more open, whatever the umask."""
    file = tmp_path / "ledger.db"
    with Ledger.open(f"sqlite:///{file}"):
        assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}


@pytest.mark.parametrize("whose", ["DATABASE {name}", "ROLE postgres"])
async def test_p9_commits_wait_for_the_disk_whatever_the_database_says(postgres, whose):
    """With ``synchronous_commit`` off for the database or the role, what is confirmed could be lost."""
    url = postgres.new_database()
    whose = whose.format(name=url.rpartition("/")[2])
    _as_owner(url, f"ALTER {whose} SET synchronous_commit = off")
    try:
        with Ledger.open(url) as ledger:
            with ledger._engine.begin() as connection:
                assert "on" == connection.exec_driver_sql("SHOW synchronous_commit").scalar()
            shortcomings = await ledger.shortcomings()
        assert ["fsync", "full_page_writes"] == [each.split()[0] for each in shortcomings]  # off in the tests' server
    finally:
        _as_owner(url, f"ALTER {whose} RESET synchronous_commit")
        postgres.give_back(url)


def test_p9_what_waits_for_a_standby_still_does(postgres):
    """``remote_apply`` waits for more than ``on`` does: it stays."""
    url = postgres.new_database()
    _as_owner(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = remote_apply")
    opened = engine.open_engine(url)
    with opened.begin() as connection:
        assert "remote_apply" == connection.exec_driver_sql("SHOW synchronous_commit").scalar()
    opened.dispose()


async def test_p9_a_file_that_would_lose_commits_is_named(sqlite_file):
    """As on a disk that takes no write-ahead log."""
    with Ledger.open(f"sqlite:///{sqlite_file}") as ledger:
        assert [] == await ledger.shortcomings()
        event.listen(ledger._engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        ledger._engine.dispose()
        [shortcoming] = await ledger.shortcomings()
        assert "synchronous is 0: a purchase" in shortcoming


def test_o14_transactions_read_what_is_committed_whatever_the_database_says(postgres):
    """Serializable by default, two runs would fail with each other."""
    url = postgres.new_database()
    _as_owner(url, f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_isolation = serializable")
    opened = engine.open_engine(url)
    with opened.begin() as connection:
        assert "read committed" == connection.exec_driver_sql("SHOW transaction_isolation").scalar()
    opened.dispose()


def _as_owner(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
