"""
Prefect servers that start in half the time, on copies of a database that is migrated once for a whole session.

How a server of one's own starts on nothing is tested with ``impactflow up`` and with the temporary servers of commands.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from impactflow.proof.programs import PrefectServer, base_environment, prefect_server


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
def quick_prefect_server(migrated: Path) -> Iterator[PrefectServer]:
    """A Prefect server on a copy of a migrated database."""
    with TemporaryDirectory(prefix="impactflow-prefect-", ignore_cleanup_errors=True) as folder:
        database = Path(shutil.copy(migrated, folder))
        settings = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}"}
        with prefect_server(settings=settings) as server:
            yield replace(server, database=database)
