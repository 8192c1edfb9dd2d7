"""
Opening the database: connections, durability, migrations, and its errors in our words.

Called by ``Ledger.open``. SQLite runs in WAL mode with full synchronous commits, and every writing transaction takes
its lock at the start; Postgres is spoken through psycopg.
"""

import functools
import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, StatementError
from sqlalchemy.pool import StaticPool

from impactflow.errors import ConfigurationError, LedgerBusy, LedgerContended, LedgerError, LedgerFull, LedgerTooNew
from impactflow.ledger.tables import metadata

#: The newest migration; a database beyond it was written by a newer impactflow.
HEAD = "0007"
#: How long to wait for another program's lock, in seconds.
BUSY_S = 30.0
#: The pause before a new file's mode is tried again while another program changes it, in seconds.
_MODE_PAUSE_S = 0.02
#: Any number, so long as nothing else in the same Postgres uses it for its own advisory locks.
_MIGRATION_LOCK = 7_431_912_605

P = ParamSpec("P")
R = TypeVar("R")


def open_engine(url: str) -> Engine:
    """
    Connect, and bring the schema up to date.

    Args:
        url: An SQLAlchemy URL, ``sqlite:///FILE`` or ``postgresql://...``.

    Raises:
        ConfigurationError: The URL is not one that the ledger can use.
        LedgerTooNew: A newer impactflow wrote it.
        LedgerError: It cannot be opened or written.
    """
    engine = _create(parse_url(url))
    with translated():
        version = _version(engine)
        if version != HEAD:
            if version is not None and not (_migrations() / f"{version}.py").exists():
                msg = f"the ledger was written by a newer impactflow (schema {version}): upgrade impactflow to use it"
                raise LedgerTooNew(msg)
            _migrate(engine)
        _check_columns(engine)
    return engine


def engine_over(connect: Callable[[], sqlite3.Connection]) -> Engine:
    """A SQLite ledger over one connection, opened by its owner, who lets no two transactions run at once."""
    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def reading(engine: Engine) -> Engine:
    """The same database for reads: its transactions take no writer's lock."""
    return engine.execution_options(impactflow_reads=True)


def one_at_a_time(connection: Connection, what: str) -> None:
    """Let the transactions of all programs that do this pass one after the other; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(what.encode()).digest()[:7])
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def parse_url(url: str) -> URL:
    """
    The URL of a ledger, in parts.

    Raises:
        ConfigurationError: It is not one that the ledger can use.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    match parsed.drivername if parsed is not None else "":
        case "sqlite" | "sqlite+pysqlite" if parsed is not None and _lasts(parsed):
            return parsed
        case "postgres" | "postgresql" | "postgresql+psycopg" if parsed is not None:
            return parsed.set(drivername="postgresql+psycopg")
    msg = "IMPACTFLOW_LEDGER_URL must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    raise ConfigurationError(msg)


def _lasts(url: URL) -> bool:
    """Whether SQLite keeps this in a file: what was bought must not be forgotten with the process."""
    return ":memory:" not in (url.database or ":memory:") and url.query.get("mode") != "memory"


def _create(url: URL) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        if is_sqlite:
            _make_private(url.database or "")
        engine = create_engine(url, hide_parameters=True, **(_sqlite_options() if is_sqlite else _postgres_options()))
    except (ArgumentError, NoSuchModuleError) as error:
        msg = f"IMPACTFLOW_LEDGER_URL cannot be used: {_first_line(error)}"
        raise ConfigurationError(msg) from None
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite if is_sqlite else _begin_postgres)
    return engine


def _sqlite_options() -> dict[str, Any]:
    return {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}


def _postgres_options() -> dict[str, Any]:
    return {
        "pool_pre_ping": True,
        "isolation_level": "READ COMMITTED",  # whatever the database's default is: rows are locked, see rows.lock
        "connect_args": {"options": f"-c timezone=utc -c lock_timeout={int(BUSY_S)}s"},
    }


def _make_private(file: str) -> None:
    """Let only its owner read a new ledger, since it holds e-mail addresses; SQLite's other files get the same mode."""
    with suppress(OSError):  # it is there already, or SQLite says better than this what is wrong
        Path(file).touch(mode=0o600, exist_ok=False)


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    _use_write_ahead_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Where several open a new file at once one of them changes its mode, and SQLite does not let the others wait."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_MODE_PAUSE_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later fails at once when another program wrote in between.
    reads = connection.get_execution_options().get("impactflow_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _begin_postgres(connection: Connection) -> None:
    # In each transaction, because behind a pooler the next one may have another session.
    if not connection.get_execution_options().get("impactflow_reads", False):
        connection.exec_driver_sql(
            "SELECT set_config('synchronous_commit', 'on', true)"
            " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
        )


def shortcomings(connection: Connection) -> list[str]:
    """What keeps a commit from surviving the loss of power, and what to do about each; of a writing transaction."""
    if connection.dialect.name == "postgresql":
        wanted = {"synchronous_commit": ("on", "remote_apply"), "fsync": ("on",), "full_page_writes": ("on",)}
        said = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in wanted}
        mend = "set it to on in postgresql.conf, for the database and for the role, and reload"
    else:
        wanted = {"journal_mode": ("wal",), "synchronous": ("2", "3")}
        said = {name: str(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in wanted}
        mend = "keep the ledger's file on a disk of this machine, not on a network share"
    return [
        f"{name} is {said[name]}: a purchase whose intent is lost with the power is made again; {mend}"
        for name in wanted
        if said[name] not in wanted[name]
    ]


def _version(engine: Engine) -> str | None:
    with reading(engine).begin() as connection:
        if not engine.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check_columns(engine: Engine) -> None:
    """
    See that the database has every column that the code needs, whatever its version says.

    Raises:
        LedgerError: It lacks some.
    """
    with reading(engine).begin() as connection:
        query = text(_COLUMNS[engine.dialect.name])
        present = {(table, column) for table, column in connection.execute(query)}
    needed = {(table.name, column.name) for table in metadata.sorted_tables for column in table.columns}
    if missing := sorted(needed - present):
        told = ", ".join(f"{table}.{column}" for table, column in missing)
        msg = (
            f"the ledger lacks {told}, though its schema says {HEAD}: somebody has changed the database by hand, or a"
            " version of impactflow that was never released has; restore a backup, or add the columns as tables.py says"
        )
        raise LedgerError(msg)


_COLUMNS = {
    "sqlite": "SELECT tables.name, columns.name FROM sqlite_master tables, pragma_table_info(tables.name) columns",
    "postgresql": (
        "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE pg_table_is_visible(pg_class.oid) AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped"
    ),
}


def _migrations() -> Path:
    return Path(__file__).parent / "migrations" / "versions"


def _migrate(engine: Engine) -> None:
    # Imported here because commands on a ledger that is up to date should answer at once.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_migrations().parent))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


#: What the databases say, what we say.
_SAID: tuple[tuple[re.Pattern[str], type[LedgerError], str], ...] = (
    (
        re.compile(r"deadlock detected|could not serialize access", re.IGNORECASE),
        LedgerContended,
        "other programs change the same rows of the ledger again and again: run this again when fewer of them run",
    ),
    (
        re.compile(r"database is locked|lock timeout|could not obtain lock", re.IGNORECASE),
        LedgerBusy,
        f"the ledger was locked by another program for {BUSY_S:.0f} s: end that program, then run this again",
    ),
    (
        re.compile(r"disk is full|No space left|disk I/O error|disk full|could not extend", re.IGNORECASE),
        LedgerFull,
        "the ledger cannot be written, its disk is full or failing: make room, then run this again; nothing is lost",
    ),
    (
        re.compile(r"unable to open database file|readonly database|permission denied", re.IGNORECASE),
        LedgerError,
        "the ledger's file cannot be opened for writing: check IMPACTFLOW_LEDGER_URL and the folder's permissions",
    ),
    (
        re.compile(r"file is not a database|malformed", re.IGNORECASE),
        LedgerError,
        "the ledger's file is damaged or no SQLite database: check IMPACTFLOW_LEDGER_URL, or restore a backup",
    ),
    (
        re.compile(
            r"connection (to server|refused|failed|timeout)|server closed|could not translate|password auth|"
            r"terminating connection|does not exist|starting up|shutting down|connection is closed|"
            r"connection is lost",
            re.IGNORECASE,
        ),
        LedgerError,
        "the ledger's database cannot be reached: check IMPACTFLOW_LEDGER_URL and that the database is running",
    ),
)


@contextmanager
def translated() -> Iterator[None]:
    """The database's errors as ``LedgerError``; unique violations pass, because each caller knows what they mean."""
    try:
        yield
    except IntegrityError:
        raise
    except UnicodeError as error:
        msg = f"the ledger's database cannot keep a text: {_first_line(error)}"
        raise LedgerError(msg) from error
    except StatementError as error:
        said = _first_line(error.orig or error)
        for pattern, kind, message in _SAID:
            if pattern.search(str(error.orig or error)):
                raise kind(message) from error
        msg = f"the ledger's database said: {said}"
        raise LedgerError(msg) from error


def translates(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function under ``translated``."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        with translated():
            return function(*args, **kwargs)

    return wrapper
