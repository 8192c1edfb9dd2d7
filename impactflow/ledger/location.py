"""The place of a ledger, in words for a person, and a copy of a ledger that is a file."""

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
    Return a file's absolute path, or a server's host and database, without user and password.

    Raises:
        ConfigurationError: The ledger cannot use the URL.
    """
    file = sqlite_file(url)
    if file is not None:
        return str(file)
    target = _connection(url)
    hosts = str(target.get("host", "localhost")).split(",")
    ports = str(target.get("port", "")).split(",")
    places = [":".join(filter(None, place)) for place in zip_longest(hosts, ports[: len(hosts)])]
    return f"{','.join(places)}/{target.get('dbname', '')}"


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite ledger, even if it does not exist; None for a database on a server."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path((parsed.database or "").removeprefix("file:")).absolute()


def back_up(url: str, target: Path) -> None:
    """
    Copy a ledger in its state at one moment, also while runs write to it; only the owner may read the copy.

    Args:
        url: The ledger, in a SQLite file.
        target: The copy, which must not exist yet.

    Raises:
        ConfigurationError: There is no such ledger, or the target exists already.
        LedgerError: The ledger or the copy could not be read or written; nothing is left at the target.
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
    The file of a SQLite ledger, which must exist.

    Raises:
        ConfigurationError: The file does not exist, or the ledger is a database on a server.
    """
    file = sqlite_file(url)
    if file is None:
        command = dump_command(url)
        raise ConfigurationError(f"the ledger is a Postgres database, which its own tool backs up: {command}")
    if not file.exists():
        raise ConfigurationError(missing(file))
    return file


def missing(file: Path) -> str:
    """The message for a ledger whose file does not exist."""
    return (
        f"there is no ledger at {file}: the first `impactflow place` (`--orders FILE`, `--webhooks`) makes one; if"
        " there was one, set IMPACTFLOW_LEDGER_URL to it, or restore a backup"
    )


def dump_command(url: str) -> str:
    """The command that copies a Postgres ledger; it asks for the password, or reads PGPASSWORD or ~/.pgpass."""
    target = _connection(url)
    options = {"--host": "host", "--port": "port", "--username": "user", "--dbname": "dbname"}
    return " ".join(
        ["pg_dump --format=custom", *(f"{option}={target[name]}" for option, name in options.items() if name in target)]
    )


def _connection(url: str) -> Mapping[str, Any]:
    """The target of a Postgres URL, in libpq's words: commas separate several hosts, and their ports."""
    parsed = parse_url(url)
    target: Mapping[str, Any] = parsed.get_dialect()().create_connect_args(parsed)[1]
    return target
