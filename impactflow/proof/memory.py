"""
The ledger's database of a simulation: SQLite in memory, reset to an empty ledger in a moment.

The tables, indexes and statements are the same as in every ledger.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine

from impactflow.ledger.engine import engine_over, open_engine


class Memory:
    """
    One database, used again and again.

    Attributes:
        engine: The engine that ledgers are opened on.
    """

    def __init__(self) -> None:
        self._empty = _empty_ledger()
        self.engine = engine_over(self._open)

    def reset(self) -> None:
        """Remove all data."""
        self.engine.dispose()

    @contextmanager
    def another(self, original: Engine | None) -> Iterator[Engine]:
        """Open another database while the context is open: a copy of the given one as it is now, or an empty ledger."""
        content = self._empty if original is None else _copy(original)
        engine = engine_over(lambda: _opened(content))
        try:
            yield engine
        finally:
            engine.dispose()

    def _open(self) -> sqlite3.Connection:
        return _opened(self._empty)


def _opened(content: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.deserialize(content)
    return connection


def _copy(engine: Engine) -> bytes:
    with engine.connect() as connection:
        original = connection.connection.driver_connection
        assert isinstance(original, sqlite3.Connection)
        return original.serialize()


def _empty_ledger() -> bytes:
    """A new empty ledger, as the bytes of its file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        open_engine(f"sqlite:///{path}").dispose()
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA journal_mode=DELETE")  # a file that expects a log beside it cannot be held in memory
            return file.serialize()
