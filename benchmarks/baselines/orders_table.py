"""A table of orders with a status each, in SQLite in the working directory; for the baselines that keep one."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

_FILE = "orders.db"


def open_table(orders: Iterable[str]) -> None:
    """Make the table if it is missing; every order that the table does not know is ``pending``."""
    with closing(sqlite3.connect(_FILE)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, status TEXT NOT NULL)")
        database.executemany("INSERT OR IGNORE INTO orders VALUES (?, 'pending')", ((order,) for order in orders))


def mark(order: str, status: str) -> None:
    """Change an order's status, durably; each thread has a connection of its own."""
    with closing(sqlite3.connect(_FILE, timeout=60)) as database, database:
        database.execute("UPDATE orders SET status = ? WHERE id = ?", (status, order))


def marked(*statuses: str) -> list[str]:
    """The orders that have one of these statuses."""
    places = ", ".join("?" * len(statuses))
    with closing(sqlite3.connect(_FILE)) as database:
        rows = database.execute(f"SELECT id FROM orders WHERE status IN ({places}) ORDER BY id", statuses)
        return [order for (order,) in rows]
