"""
Opening the database: connections, durability, migrations, and the database's errors in our words.

SQLite runs in WAL mode with full synchronous commits, and every writing transaction takes its lock at the start;
Postgres is accessed through psycopg.
"""

import functools
import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, StatementError
from sqlalchemy.pool import StaticPool

from impactflow.errors import (
    ConfigurationError,
    LedgerBusy,
    LedgerContended,
    LedgerError,
    LedgerFull,
    LedgerRefused,
    LedgerTooNew,
)
from impactflow.ledger.tables import metadata
from impactflow.texts import one_line

#: The newest migration; a database beyond it was written by a newer impactflow.
HEAD = "0014"
#: The longest wait for another program's lock, in seconds.
BUSY_S = 30.0
#: The greatest age of a connection to Postgres, in seconds: a name may have come to mean another server.
RECYCLED_S = 300.0
#: Where SQLite keeps what it needs for a moment only.
_TEMPORARY = "temp_store=MEMORY"
#: The pause before a new file's mode is tried again while another program changes it, in seconds.
_MODE_PAUSE_S = 0.02
#: The number of our advisory lock; nothing else in the same Postgres may use it.
_MIGRATION_LOCK = 7_431_912_605

#: Postgres's code for a write that a standby, or a setting, refuses.
_READ_ONLY = "25006"

P = ParamSpec("P")
R = TypeVar("R")


def open_engine(url: str) -> Engine:
    """
    Connect, and bring the schema up to date.

    Args:
        url: An SQLAlchemy URL, ``sqlite:///FILE`` or ``postgresql://...``.

    Raises:
        ConfigurationError: The ledger cannot use the URL, or the database keeps no letters.
        LedgerTooNew: A newer impactflow wrote the ledger.
        LedgerRefused: The database refuses the user in the URL.
        LedgerError: The ledger cannot be opened or written.
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


def scrub(engine: Engine) -> None:
    """
    Write a SQLite ledger anew, without its free pages and its log, which still hold what was deleted.

    Raises:
        LedgerBusy: Another program reads the ledger at this moment.
        LedgerError: The ledger cannot be written anew: its disk is full, or another program writes to it.
    """
    if engine.dialect.name != "sqlite":
        return  # a server does so in its own time
    try:
        is_busy = _written_anew(engine)
    except LedgerFull as error:
        msg = (
            f"{error}; the ledger's disk needs room for a second ledger, and so does the folder for temporary files:"
            " SQLITE_TMPDIR names another one, else it is TMPDIR or /var/tmp"
        )
        raise LedgerFull(msg) from error
    if is_busy:
        raise LedgerBusy("another program reads the ledger, so its log still holds what was deleted")


def _written_anew(engine: Engine) -> bool:
    """Write the file anew; return whether its log stayed, because another program reads."""
    with translated(), engine.execution_options(impactflow_outside=True).connect() as connection:
        connection.exec_driver_sql("PRAGMA temp_store=FILE")  # a copy of all that is left
        try:
            connection.exec_driver_sql("VACUUM")
            return bool(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one())
        finally:
            connection.exec_driver_sql(f"PRAGMA {_TEMPORARY}")


def reading(engine: Engine) -> Engine:
    """The same database for reads: its transactions take no writer's lock."""
    return engine.execution_options(impactflow_reads=True)


def one_at_a_time(connection: Connection, what: str) -> None:
    """Let the transactions of all programs that call this pass one after the other; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(what.encode()).digest()[:7])
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def parse_url(url: str) -> URL:
    """
    The URL of a ledger, in parts.

    Raises:
        ConfigurationError: The ledger cannot use it.
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
    """Whether SQLite keeps the ledger in a file: purchases must not be forgotten when the process ends."""
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
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _check_encoding, insert=True)  # before SQLAlchemy sends any query
        event.listen(engine, "handle_error", _give_up_standby)
        event.listen(engine, "begin", _begin_postgres)
    return engine


def _sqlite_options() -> dict[str, Any]:
    return {"connect_args": {"timeout": BUSY_S, "check_same_thread": False}}


def _postgres_options() -> dict[str, Any]:
    return {
        "pool_pre_ping": True,
        "pool_recycle": RECYCLED_S,
        "isolation_level": "READ COMMITTED",  # for any default of the database: rows are locked, see rows.lock
        "connect_args": {"prepare_threshold": None},  # behind a pooler the next transaction may have another session
    }


def _make_private(file: str) -> None:
    """Let only the owner read a new ledger, since it holds e-mail addresses; SQLite's other files get the same mode."""
    with suppress(OSError):  # the file exists already, or SQLite has a better message
        Path(file).touch(mode=0o600, exist_ok=False)


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    _use_write_ahead_log(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", _TEMPORARY):
        connection.execute(f"PRAGMA {pragma}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Set WAL mode. If several programs open a new file at once, one sets the mode, and SQLite lets no other wait."""
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
    options = connection.get_execution_options()
    if not options.get("impactflow_outside", False):
        connection.exec_driver_sql("BEGIN" if options.get("impactflow_reads", False) else "BEGIN IMMEDIATE")


def _begin_postgres(connection: Connection) -> None:
    """
    Set the options of one transaction: UTC, how long to wait for a lock, and that a commit waits for the disk.

    They are not set when a connection is made: behind a pooler the next transaction may have another session, and a
    pooler takes no options at the start.
    """
    connection.exec_driver_sql(
        f"SELECT set_config('timezone', 'utc', true), set_config('lock_timeout', '{BUSY_S * 1000:.0f}ms', true),"
        " CASE WHEN current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
        " THEN set_config('synchronous_commit', 'on', true) END"
    )


def _check_encoding(connection: Any, _: object) -> None:
    """
    Check that the database knows what a letter is.

    Raises:
        ConfigurationError: The database keeps texts as bytes.
    """
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        msg = (
            "IMPACTFLOW_LEDGER_URL: this database keeps texts as SQL_ASCII, which loses letters: make another one with"
            " CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )
        raise ConfigurationError(msg)


def _give_up_standby(context: ExceptionContext) -> None:
    """Drop all connections once one refuses writes: its server was the primary, and by now another server is."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def require_writes(connection: Connection, askers: Sequence[None]) -> Sequence[None]:
    """Check that this transaction may write, without writing anything; if not, raise the database's error."""
    connection.execute(text("UPDATE alembic_version SET version_num = version_num WHERE 1 = 0"))
    return askers


def shortcomings(connection: Connection) -> list[str]:
    """The reasons why a commit may not survive a loss of power, and what to do about each; in a writing transaction."""
    if connection.dialect.name == "postgresql":
        wanted = {"synchronous_commit": ("on", "remote_apply"), "fsync": ("on",), "full_page_writes": ("on",)}
        current = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in wanted}
        mend = "set it to on in postgresql.conf, for the database and for the role, and reload"
    else:
        wanted = {"journal_mode": ("wal",), "synchronous": ("2", "3")}
        current = {name: str(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in wanted}
        mend = "keep the ledger's file on a disk of this machine, not on a network share"
    return [
        f"{name} is {current[name]}: a purchase whose intent is lost with the power is made again; {mend}"
        for name in wanted
        if current[name] not in wanted[name]
    ]


def _version(engine: Engine) -> str | None:
    with reading(engine).begin() as connection:
        if not engine.dialect.has_table(connection, "alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check_columns(engine: Engine) -> None:
    """
    Check that the database has every column that the code needs, for any version that it states.

    Raises:
        LedgerError: The database lacks some columns.
    """
    with reading(engine).begin() as connection:
        query = text(_COLUMNS[engine.dialect.name])
        present = {(table, column) for table, column in connection.execute(query)}
    needed = {(table.name, column.name) for table in metadata.sorted_tables for column in table.columns}
    if missing := sorted(needed - present):
        names = ", ".join(f"{table}.{column}" for table, column in missing)
        msg = (
            f"the ledger lacks {names}, though its schema says {HEAD}: the database was changed by hand, or a"
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
    """Return the first line of a database's error; the lines after it may contain details of an order."""
    message = str(error).strip().removeprefix("connection failed: ")
    return one_line(message.splitlines()[0]) if message else type(error).__name__


#: The databases' messages, our errors and our messages; ``{line}`` is the first line of the database's message.
_MESSAGES: tuple[tuple[re.Pattern[str], type[LedgerError], str], ...] = (
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
        re.compile(r"read-only transaction", re.IGNORECASE),
        LedgerError,
        "the ledger's database takes no writes ({line}): see that IMPACTFLOW_LEDGER_URL leads to the primary",
    ),
    (
        re.compile(r"permission denied for \w+ ", re.IGNORECASE),
        LedgerRefused,
        "the ledger's database does not let its role do this ({line}): grant it, or have the role own the database",
    ),
    (
        re.compile(r"unable to open database file|readonly database|permission denied", re.IGNORECASE),
        LedgerRefused,
        "the ledger's file cannot be opened for writing: check IMPACTFLOW_LEDGER_URL and the folder's permissions",
    ),
    (
        re.compile(r"file is not a database|malformed", re.IGNORECASE),
        LedgerError,
        "the ledger's file is damaged or no SQLite database: check IMPACTFLOW_LEDGER_URL, or restore a backup",
    ),
    (
        re.compile(
            r"password authentication failed|no password supplied|not permitted to log in|no pg_hba\.conf entry|"
            r"(role|database) \S+ does not exist|no such database|not support SSL|SSL error|certificate|sslmode",
            re.IGNORECASE,
        ),
        LedgerRefused,
        "IMPACTFLOW_LEDGER_URL: the ledger's database refuses it ({line}): check user, password, database and sslmode",
    ),
    (
        re.compile(
            r"connection (to server|refused|failed|timeout)|server closed|could not translate|failed to resolve|"
            r"too many (clients|connections)|remaining connection slots|terminating connection|starting up|"
            r"shutting down|connection is closed|connection is lost",
            re.IGNORECASE,
        ),
        LedgerError,
        "the ledger's database cannot be reached ({line}): check IMPACTFLOW_LEDGER_URL, and that the database runs",
    ),
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the database's errors as ``LedgerError``; unique violations pass, because each caller interprets them."""
    try:
        yield
    except IntegrityError:
        raise
    except UnicodeError as error:
        msg = f"the ledger's database cannot keep a text: {_first_line(error)}"
        raise LedgerError(msg) from error
    except StatementError as error:
        line = _first_line(error.orig or error)
        for pattern, kind, message in _MESSAGES:
            if pattern.search(str(error.orig or error)):
                raise kind(message.format(line=line)) from error
        msg = f"the ledger's database said: {line}"
        raise LedgerError(msg) from error


def translates(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function under ``translated``."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        with translated():
            return function(*args, **kwargs)

    return wrapper
