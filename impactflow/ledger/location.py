"""Where a ledger lies, as a person finds it again, and a copy of one that lies in a file."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

from impactflow.errors import ConfigurationError, LedgerError
from impactflow.ledger.engine import parse_url


def describe(url: str) -> str:
    """
    A file's absolute path; a server's host and database, without user and password.

    Raises:
        ConfigurationError: The URL is not one that the ledger can use.
    """
    file = sqlite_file(url)
    if file is not None:
        return str(file)
    told = _connection(url)
    hosts = str(told.get("host", "localhost")).split(",")
    ports = str(told.get("port", "")).split(",")
    places = [":".join(filter(None, place)) for place in zip_longest(hosts, ports[: len(hosts)])]
    return f"{','.join(places)}/{told.get('dbname', '')}"


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite ledger, whether it is there or not; None for a database on a server."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path((parsed.database or "").removeprefix("file:")).absolute()


def back_up(url: str, target: Path) -> None:
    """
    Copy a ledger as it stands at one moment, also while runs write to it; only the owner may read the copy.

    Args:
        url: The ledger, in a SQLite file.
        target: The copy, which must not be there yet.

    Raises:
        ConfigurationError: There is no such ledger, or something lies at the target already.
        LedgerError: It could not be read or written; nothing is left at the target.
    """
    file = require_file(url)
    try:
        target.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise ConfigurationError(f"{target}: {error.strerror}; name a file that is not there yet") from None
    try:
        with (
            closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as ledger,
            closing(sqlite3.connect(target)) as copy,
        ):
            ledger.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # all of it in the one file
    except (sqlite3.Error, OSError) as error:
        target.unlink()
        raise LedgerError(f"the ledger could not be copied to {target}: {error}") from None


def require_file(url: str) -> Path:
    """
    The file of a SQLite ledger, which is there.

    Raises:
        ConfigurationError: It is not, or the ledger is a database on a server.
    """
    file = sqlite_file(url)
    if file is None:
        command = dump_command(url)
        raise ConfigurationError(f"the ledger is a Postgres database, which its own tool backs up: {command}")
    if not file.exists():
        raise ConfigurationError(missing(file))
    return file


def missing(file: Path) -> str:
    """What to tell a person where a ledger's file is not there."""
    return (
        f"there is no ledger at {file}: the first `impactflow place` (`--orders FILE`, `--webhooks`) makes one; if"
        " there was one, set IMPACTFLOW_LEDGER_URL to it, or restore a backup"
    )


def dump_command(url: str) -> str:
    """How to copy a Postgres ledger; the password is asked for, or read from PGPASSWORD or ~/.pgpass."""
    told = _connection(url)
    options = {"--host": "host", "--port": "port", "--username": "user", "--dbname": "dbname"}
    return " ".join(
        ["pg_dump --format=custom", *(f"{option}={told[name]}" for option, name in options.items() if name in told)]
    )


def _connection(url: str) -> Mapping[str, Any]:
    """Where a Postgres URL leads, in libpq's words: several hosts, and their ports, are apart by commas."""
    parsed = parse_url(url)
    told: Mapping[str, Any] = parsed.get_dialect()().create_connect_args(parsed)[1]
    return told
