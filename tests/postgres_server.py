"""The session's Postgres server: empty databases, and empty ledgers without the time that migrations take."""

from functools import cached_property
from uuid import uuid4

import psycopg

from impactflow.ledger import Ledger
from impactflow.proof.postgres import PostgresServer


class SharedPostgres(PostgresServer):
    """A server that takes databases back: one for each test would be gigabytes."""

    def new_ledger(self) -> str:
        """The URL of an empty ledger, a copy of one that is made once."""
        name = f"copy_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        return f"{self.url}/{name}"

    def give_back(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    @cached_property
    def _template(self) -> str:
        url = self.new_database()
        Ledger.open(url).close()
        return _name(url)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(statement)


def _name(url: str) -> str:
    return url.rpartition("/")[2]
