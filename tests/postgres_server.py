"""The session's Postgres server, whose databases are used again."""

import psycopg

from impactflow.proof.postgres import PostgresServer


class SharedPostgres(PostgresServer):
    """A server that takes databases back: one for each test would be gigabytes."""

    def __init__(self) -> None:
        super().__init__()
        self._free: list[str] = []

    def new_database(self) -> str:
        """The URL of an empty database."""
        return self._free.pop() if self._free else super().new_database()

    def give_back(self, url: str) -> None:
        """Empty a database for another test."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self._free.append(url)
