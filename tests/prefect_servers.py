"""
Prefect servers that start in half the time, on copies of a database that is migrated once for a whole session.

How a server of one's own starts on nothing is tested with ``impactflow up`` and with the temporary servers of commands.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from unittest import mock

from impactflow.proof import programs
from impactflow.proof.programs import PrefectServer, base_environment, free_port


def migrated_database(shared: Path) -> Path:
    """
    The file of a Prefect database in which nothing is yet; the first process that asks makes it, the others wait.

    Args:
        shared: A folder that all processes of the session share.
    """
    file = shared / "prefect" / "prefect.db"
    with (shared / "prefect.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            with TemporaryDirectory(dir=shared) as folder:
                home = Path(folder)
                command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
                subprocess.run(command, env=base_environment(home), check=True, capture_output=True)
                (home / "prefect").rename(file.parent)
    return file


@contextmanager
def quick_prefect_server(migrated: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[PrefectServer]:
    """A Prefect server on a copy of a migrated database, with some settings of Prefect's as environment variables."""
    with TemporaryDirectory(prefix="impactflow-prefect-", ignore_cleanup_errors=True) as folder:
        database = Path(shutil.copy(migrated, folder))
        with _server_on(database, settings) as server:
            yield server


class RestartableServer:
    """
    A Prefect server that can be away for a while, and has the same database, home and URL when it is back.

    Args:
        folder: Where it keeps all of that.
        migrated: From ``migrated_database``.
        settings: Prefect's own, as environment variables.
    """

    def __init__(self, folder: Path, migrated: Path, settings: Mapping[str, str]) -> None:
        self._database = Path(shutil.copy(migrated, folder))
        self.settings = {**settings, "PREFECT_HOME": str(folder / "home")}
        self._port = free_port()
        self._running = ExitStack()

    def start(self) -> PrefectServer:
        """Let it answer."""
        return self._running.enter_context(_server_on(self._database, self.settings, self._port))

    def kill(self) -> None:
        """Let it answer no more."""
        self._running.close()


@contextmanager
def _server_on(database: Path, settings: Mapping[str, str], port: int | None = None) -> Iterator[PrefectServer]:
    own = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}", **settings}
    chosen = mock.patch.object(programs, "free_port", return_value=port) if port else nullcontext()
    with chosen, programs.prefect_server(settings=own) as server:
        yield replace(server, database=database)
