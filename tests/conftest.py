"""
What all tests share: a closed network, a clock that can be turned, a world to buy in, a ledger on either database.

``ledger_url`` and ``database_url`` run a test twice, on SQLite and on Postgres; the server is started when the first
test asks for it.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from ledgers import new_ledger
from postgres_server import SharedPostgres
from prefect_servers import migrated_database, quick_prefect_server
from virtual_time import VirtualClock
from world import World, make_world

from impactflow.ledger import Ledger
from impactflow.proof.programs import PrefectServer

# No test depends on how fast the machine is.
settings.register_profile("impactflow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("impactflow")

#: The folders whose files take longest.
_LONG = frozenset({"acceptance", "benchmarks", "flows", "pretenders", "proof"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often commands are stopped and killed."""
    parser.addoption("--stops", type=int, default=3, help="SIGTERMs to a place that buys.")
    parser.addoption("--kills", type=int, default=3, help="SIGKILLs to a run that undoes refunds.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: one that began last would leave the other processors idle."""
    items.sort(key=lambda item: not _LONG.intersection(item.path.parts))


@pytest.fixture(scope="session", autouse=True)
def closed_network() -> Iterator[None]:
    """No test reaches anything but this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to connect to {address[0]}: tests stay on this machine")
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect database in which nothing is yet; to be copied."""
    own = tmp_path_factory.getbasetemp()
    return migrated_database(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session")
def server(migrated: Path) -> Iterator[PrefectServer]:
    """This process's Prefect server."""
    with quick_prefect_server(migrated) as started:
        yield started


@pytest.fixture(scope="module")
def own_server(migrated: Path) -> Iterator[PrefectServer]:
    """A Prefect server that knows of nothing but what the tests of a module bring about."""
    with quick_prefect_server(migrated) as started:
        yield started


@pytest.fixture(scope="session")
def postgres() -> Iterator[SharedPostgres]:
    """A Postgres server; ``new_database`` gives the URL of an empty database, ``new_ledger`` of an empty ledger."""
    with closing(SharedPostgres()) as started:
        yield started


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> SharedPostgres | None:
    """The server, or None for SQLite."""
    return request.getfixturevalue("postgres") if request.param == "postgres" else None


@pytest.fixture
def new_database_url(database: SharedPostgres | None, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """The URL of an empty database, another one with each call, in SQLite and in Postgres."""
    if database:
        yield from _lent(database, database.new_database)
    else:
        yield lambda: f"sqlite:///{_new_file(tmp_path)}"


@pytest.fixture
def new_ledger_url(database: SharedPostgres | None, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """The URL of an empty ledger, another one with each call, in SQLite and in Postgres."""
    if database:
        yield from _lent(database, database.new_ledger)
    else:
        yield lambda: new_ledger(_new_file(tmp_path))


def _lent(database: SharedPostgres, new: Callable[[], str]) -> Iterator[Callable[[], str]]:
    given: list[str] = []

    def lend() -> str:
        given.append(new())
        return given[-1]

    yield lend
    for url in given:
        database.give_back(url)


def _new_file(folder: Path) -> Path:
    return folder / f"ledger-{uuid4().hex}.db"


@pytest.fixture
def database_url(new_database_url: Callable[[], str]) -> str:
    """The URL of an empty database, in SQLite and in Postgres."""
    return new_database_url()


@pytest.fixture
def ledger_url(new_ledger_url: Callable[[], str]) -> str:
    """The URL of an empty ledger, in SQLite and in Postgres."""
    return new_ledger_url()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger, in SQLite and in Postgres."""
    with Ledger.open(ledger_url) as opened:
        yield opened


@pytest.fixture
def clock() -> VirtualClock:
    """The clock of a test ``@in_virtual_time``."""
    return VirtualClock()


@pytest.fixture
def new_world(clock: VirtualClock, tmp_path: Path) -> Callable[..., World]:
    """Makes a shop, its providers and a ledger in SQLite, as ``world.make_world`` says."""

    def new(**chosen: Any) -> World:
        ledger_url = chosen.pop("ledger_url", None) or new_ledger(tmp_path / "ledger.db")
        return make_world(clock, ledger_url, **chosen)

    return new
