"""A ledger on a Postgres of the world: behind a pooler, after a failover, with a role that may not do all."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from ledger_helpers import answer, claim, counted, plan_one, record
from sqlalchemy import event

from impactflow.errors import MISUSES, ConfigurationError, LedgerError, LedgerRefused
from impactflow.ledger import Ledger, engine
from impactflow.ledger.location import describe, dump_command


def as_owner(url, *statements):
    """Tell a database something; the last statement's rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def name_of(url):
    """The database's name."""
    return url.rpartition("/")[2]


@pytest.fixture
def url(postgres):
    """An empty ledger of the test's own."""
    url = postgres.new_ledger()
    yield url
    postgres.give_back(url)


def as_another_session(connection, _):
    """Forget all that a session knows, unseen by the driver: what a pooler does by giving the next transaction away."""
    assert connection.pgconn.exec_(b"DISCARD ALL").status == psycopg.pq.ExecStatus.COMMAND_OK


async def test_o1_a_ledger_works_where_each_transaction_has_another_session(url):
    """
    Often enough that the driver would have prepared statements, which the next session does not know.

    A real pgbouncer 1.18 in transaction mode with three connections was tried by hand: doctor, two times place over 40
    orders, and status, all of which failed before.
    """
    with Ledger.open(url) as ledger:
        event.listen(ledger._engine, "checkin", as_another_session)
        for number in range(20):
            await plan_one(ledger, number)
            await record(ledger, answer(await claim(ledger)))
        assert {"placed": 20} == await counted(ledger)


def test_o1_nothing_is_prepared_and_no_option_is_sent_when_a_connection_starts(url):
    """PgBouncer refuses the start-up parameter ``options``."""
    opened = engine.open_engine(url)
    with opened.connect() as connection:
        for _ in range(20):
            connection.exec_driver_sql("SELECT 1")
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar()
        assert "options" not in connection.connection.driver_connection.info.get_parameters()
    opened.dispose()


@pytest.mark.parametrize("reads", [False, True])
def test_o1_each_transaction_waits_for_locks_as_long_as_the_ledger_says_and_tells_time_in_utc(url, reads):
    """Whatever the database's own defaults are, and until the transaction ends only."""
    as_owner(
        url,
        f"ALTER DATABASE {name_of(url)} SET timezone = 'Asia/Tokyo'",
        f"ALTER DATABASE {name_of(url)} SET lock_timeout = '1h'",
    )
    opened = engine.open_engine(url)
    with (engine.reading(opened) if reads else opened).connect() as connection:
        with connection.begin():
            assert [f"{engine.BUSY_S:.0f}s", "UTC"] == _shown(connection)
        raw = connection.connection.dbapi_connection
        raw.rollback()
        assert ["1h", "Asia/Tokyo"] == [
            raw.execute(f"SHOW {each}").fetchone()[0] for each in ("lock_timeout", "timezone")
        ]
    opened.dispose()


def _shown(connection):
    return [connection.exec_driver_sql(f"SHOW {each}").scalar() for each in ("lock_timeout", "timezone")]


async def test_o2_a_ledger_finds_the_new_primary_by_itself(url):
    """
    Connections to a server that takes no writes any more are given up, not used until the program ends.

    New connections are like those to the former primary until the database says otherwise; old ones stay as they are.
    """
    with Ledger.open(url) as ledger:
        await plan_one(ledger)
        demote(url)
        with pytest.raises(LedgerError):  # the connections that broke
            await plan_one(ledger, 2)
        with pytest.raises(LedgerError, match=r"takes no writes \(cannot execute .*read-only.*leads to the primary"):
            await plan_one(ledger, 2)
        with pytest.raises(LedgerError, match="takes no writes"):
            await ledger.require_writes()
        assert {"planned": 1} == await counted(ledger)
        as_owner(
            url,
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {name_of(url)} RESET default_transaction_read_only",
        )
        with suppress(LedgerError):  # one connection is left from before
            await plan_one(ledger, 2)
        await plan_one(ledger, 2)
        assert {"planned": 2} == await counted(ledger)


def demote(url):
    """End all connections, and let new ones take no writes."""
    as_owner(
        url,
        f"ALTER DATABASE {name_of(url)} SET default_transaction_read_only = on",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE pid <> pg_backend_pid() AND datname = '{name_of(url)}'",
    )


def test_o2_several_hosts_are_told_a_person_without_user_and_password():
    """Where the ledger lies, and how to copy it."""
    url = "postgresql://ana:s3cret@/impact?host=db1:5433&host=db2&target_session_attrs=read-write"
    assert "db1:5433,db2/impact" == describe(url)
    assert "pg_dump --format=custom --host=db1,db2 --port=5433, --username=ana --dbname=impact" == dump_command(url)
    assert "localhost/impact" == describe("postgresql:///impact")


async def test_o2_the_host_that_takes_writes_is_chosen_among_several(postgres, url):
    """As libpq does with ``target_session_attrs``, in the way in which SQLAlchemy writes several hosts."""
    address = postgres.url.rpartition("@")[2]
    several = f"postgresql://postgres@/{name_of(url)}?host=127.0.0.1:1&host={address}&target_session_attrs=read-write"
    with Ledger.open(several) as ledger:
        await plan_one(ledger)
        assert {"planned": 1} == await counted(ledger)


def test_o14_creating_the_schema_waits_where_the_database_is_serializable(postgres):
    """Two runs of the first day: one makes the schema, the other one finds it made."""
    url = postgres.new_database()
    as_owner(url, f"ALTER DATABASE {name_of(url)} SET default_transaction_isolation = serializable")
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda url: Ledger.open(url).close(), [url] * 3))
    assert [(engine.HEAD,)] == as_owner(url, "SELECT version_num FROM alembic_version")
    postgres.give_back(url)


@pytest.fixture
def role(url):
    """A role of the test's own, which may log in."""
    name = f"role_{name_of(url)}"
    as_owner(url, f"CREATE ROLE {name} LOGIN PASSWORD 'right-one'")
    yield name
    as_owner(url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def as_role(url, role, password=""):
    """The URL by which the role comes."""
    return url.replace("postgres@", f"{role}:{password}@" if password else f"{role}@")


def refused(url):
    """What is told where the ledger's URL cannot be used: in one line, with exit status 2, without the password."""
    with pytest.raises(LedgerRefused) as raised:
        Ledger.open(url)
    assert isinstance(raised.value, MISUSES)
    assert "s3cret" not in str(raised.value)
    assert 1 == len(str(raised.value).splitlines())
    return str(raised.value)


def test_o15_a_wrong_password_is_named(url, role):
    """As the server says it, which never says the password."""
    [(file,)] = as_owner(url, "SHOW hba_file")
    rule = f"host all {role} 127.0.0.1/32 scram-sha-256"
    as_owner(url, f"COPY (SELECT line FROM (VALUES ('{rule}'), ('host all all all trust')) lines(line)) TO '{file}'")
    as_owner(url, "SELECT pg_reload_conf()")
    while _gets_in(as_role(url, role)):  # the server reads the file in its own time
        pass
    message = refused(as_role(url, role, "s3cret"))
    assert f'password authentication failed for user "{role}"' in message
    assert message.startswith("IMPACTFLOW_LEDGER_URL: ")


def _gets_in(url):
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_o15_a_database_that_is_not_there_is_named(postgres):
    """And what to check."""
    message = refused(f"{postgres.url}/no_such_database")
    assert 'database "no_such_database" does not exist' in message
    assert message.endswith("check user, password, database and sslmode")


def test_o15_a_role_that_is_not_there_is_named(url):
    """Likewise."""
    assert 'role "nobody_here" does not exist' in refused(as_role(url, "nobody_here", "s3cret"))


def test_o15_a_server_without_tls_is_named(url):
    """Where the URL asks for TLS."""
    assert "server does not support SSL, but SSL was required" in refused(f"{url}?sslmode=require")


def test_o15_a_role_that_may_not_log_in_is_named(url, role):
    """Likewise."""
    as_owner(url, f"ALTER ROLE {role} NOLOGIN")
    assert f'role "{role}" is not permitted to log in' in refused(as_role(url, role))


def test_o15_a_role_that_may_not_read_the_tables_is_named(url, role):
    """With what it may not do."""
    assert "does not let its role do this (permission denied for table" in refused(as_role(url, role))


def test_o15_a_role_without_connections_left_is_named(url, role):
    """The URL may be right: it is no misuse."""
    as_owner(url, f"ALTER ROLE {role} CONNECTION LIMIT 0")
    with pytest.raises(LedgerError, match=f'cannot be reached .*too many connections for role "{role}"') as raised:
        Ledger.open(as_role(url, role))
    assert not isinstance(raised.value, MISUSES)


def test_o15_a_host_without_an_address_is_named():
    """Names that end in ``.invalid`` have none (RFC 2606)."""
    with pytest.raises(
        LedgerError, match=r"cannot be reached \(.*db\.invalid.*: check IMPACTFLOW_LEDGER_URL"
    ) as raised:
        Ledger.open("postgresql://ana:s3cret@db.invalid/ledger")
    assert "s3cret" not in str(raised.value)


def test_k12_a_database_that_keeps_texts_as_bytes_is_refused(postgres):
    """With the way to make one that does not."""
    url = postgres.new_database()
    name = f"ascii_{name_of(url)}"
    as_owner(url, f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match=r"IMPACTFLOW_LEDGER_URL: .*SQL_ASCII.*ENCODING 'UTF8' TEMPLATE"):
        Ledger.open(f"{postgres.url}/{name}")
    postgres.give_back(url)
