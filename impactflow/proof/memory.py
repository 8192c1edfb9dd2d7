"""
The ledger's database of a simulation: SQLite in memory, brought back to an empty ledger in a moment.

The tables, indexes and statements are those of every ledger. Called by ``simulation``.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from impactflow.ledger.engine import engine_over, open_engine


class Memory:
    """
    One database, used again and again.

    Attributes:
        engine: What ledgers are opened on.
    """

    def __init__(self) -> None:
        self._empty = _empty_ledger()
        self.engine = engine_over(self._open)

    def reset(self) -> None:
        """Forget everything."""
        self.engine.dispose()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        connection.deserialize(self._empty)
        return connection


def _empty_ledger() -> bytes:
    """A ledger just made, as the bytes of its file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        open_engine(f"sqlite:///{path}").dispose()
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA journal_mode=DELETE")  # a file that expects a log beside it cannot be held in memory
            return file.serialize()
