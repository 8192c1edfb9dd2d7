"""
Programs as processes of their own: the command line, and one Prefect server for all of them.

The processes inherit nothing from the environment of their parent: each gets only the variables given to it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx

#: Inherited variables; no key, no URL and no Prefect setting is among them.
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "NO_COLOR": "1", "COLUMNS": "160"}
#: The longest time that a Prefect server may take to start on a slow machine, in seconds.
_LONGEST_START_S = 120.0


def base_environment(home: Path) -> dict[str, str]:
    """The variables of every process: only settings that keep it quiet, and a home of its own."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **_QUIET, "HOME": str(home), "PREFECT_HOME": str(home / "prefect")}


@dataclass(frozen=True)
class Ended:
    """The exit status of a command, and its output."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; more or less than one line there is an error."""
        (line,) = self.out.splitlines()
        content: dict[str, Any] = loads(line)
        return content

    @property
    def says_traceback(self) -> bool:
        """Whether the output shows a Python traceback."""
        return "Traceback" in self.out + self.err


class Impactflow:
    """
    The command line in one folder, under one environment.

    Args:
        folder: The working directory.
        variables: All environment variables.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = dict(variables)

    def but(self, **changes: str | None) -> Self:
        """Return the same command line with some variables changed, or removed by None."""
        merged = {**self.variables, **changes}
        return type(self)(self.folder, {name: value for name, value in merged.items() if value is not None})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command; the caller ends it. Its output goes to pipes."""
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "impactflow", *arguments],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout_s: float = 120) -> Ended:
        """
        Run a command from beginning to end.

        Raises:
            TimeoutError: As for ``finish``.
        """
        return finish(self.start(*arguments), timeout_s)

    @property
    def ledger_url(self) -> str:
        """The URL of this command line's ledger."""
        return self.variables["IMPACTFLOW_LEDGER_URL"]


def finish(process: subprocess.Popen[str], timeout_s: float = 120) -> Ended:
    """
    Wait for a process to end by itself.

    Raises:
        TimeoutError: The process did not end, and was killed; with all that it printed.
    """
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise TimeoutError(f"it did not end within {timeout_s:g} s\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server: its API's URL, the file of its database if that is SQLite, and the file with its output."""

    api_url: str
    database: Path
    log: Path


@contextmanager
def prefect_server(
    database_url: str | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[PrefectServer]:
    """
    Run a Prefect server while the context is open; the start takes 10 to 20 s, which every process is then spared.

    Args:
        database_url: An empty Postgres database, ``postgresql://...``; SQLite by default. On SQLite it may stand still
            for a minute when one of its clients is killed in the midst of a request (Prefect 3.8.8).
        settings: Prefect's own settings, as environment variables.

    Raises:
        RuntimeError: The server did not start; with what it printed.
    """
    with TemporaryDirectory(prefix="impactflow-prefect-", ignore_cleanup_errors=True) as folder:
        home, port = Path(folder), free_port()
        server = PrefectServer(f"http://127.0.0.1:{port}/api", home / "prefect" / "prefect.db", home / "server.log")
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        variables = {**base_environment(home), **(settings or {})}
        if database_url:
            variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url.replace(
                "postgresql:", "postgresql+asyncpg:"
            )
        with server.log.open("w") as log:
            process = subprocess.Popen(  # noqa: S603 - the Prefect that impactflow depends on
                command, cwd=home, env=variables, stdout=log, stderr=log, start_new_session=True
            )
        try:
            _await(server, process)
            yield server
        finally:
            with suppress(ProcessLookupError):  # it has ended already, and its output is reported
                os.killpg(process.pid, signal.SIGKILL)  # the server and its children are one group
            process.wait()


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(server: PrefectServer, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _LONGEST_START_S
    while not _answers(f"{server.api_url}/health"):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"Prefect's server did not start:\n{server.log.read_text()}")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
