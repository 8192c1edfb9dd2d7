"""
Real processes for tests: the command line, sandboxes that listen, and the one Prefect server of the session.

Nothing here is shared with the environment that the tests run in: each process gets the variables that it is told.
"""

import asyncio
import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from impactflow.sandbox import Books, Options, Sandbox, environment
from impactflow.sandbox.server import serve
from impactflow.sandbox.wickedreports import Shop

#: What is inherited; above all no key, no URL and no setting of Prefect's.
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")
_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "NO_COLOR": "1", "COLUMNS": "160"}


def base_environment(home: Path) -> dict[str, str]:
    """What every process gets: no settings but those that keep it quiet, and a home of its own."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **_QUIET, "HOME": str(home), "PREFECT_HOME": str(home / "prefect")}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; more or less than one line there is an error."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def says_traceback(self) -> bool:
        """Whether a person is shown Python's insides."""
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

    def but(self, **changes: str | None) -> "Impactflow":
        """The same with some variables changed, or taken away by None."""
        merged = {**self.variables, **changes}
        return Impactflow(self.folder, {name: value for name, value in merged.items() if value is not None})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command; the caller ends it. Its output goes to pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "impactflow", *arguments],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout_s: float = 120) -> Ended:
        """A command from beginning to end."""
        return finish(self.start(*arguments), timeout_s)

    def python(self, code: str, *arguments: str, timeout_s: float = 120) -> Ended:
        """Some Python under the same environment."""
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return finish(process, timeout_s)

    @property
    def ledger_url(self) -> str:
        """Where this command line keeps its ledger."""
        return self.variables["IMPACTFLOW_LEDGER_URL"]


def finish(process: subprocess.Popen[str], timeout_s: float = 120) -> Ended:
    """Wait for a process to end by itself; one that does not is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        message = f"it did not end within {timeout_s} s\n{out}\n{err}"
        raise AssertionError(message) from None
    return Ended(process.returncode, out, err)


class Listening:
    """A sandbox that listens, seen from outside."""

    def __init__(self, variables: Mapping[str, str], sandbox: Sandbox | None = None) -> None:
        self.variables = dict(variables)
        self.base_url = self.variables["WICKED_REPORTS_URL"].removesuffix("/wickedreports")
        self._sandbox = sandbox

    @property
    def shop(self) -> list[Any]:
        """The shop's orders, to change while it listens; only where the sandbox runs in this process."""
        assert self._sandbox is not None
        return self._sandbox.shop.orders

    def purchases(self) -> list[dict[str, Any]]:
        """The books: every purchase that took effect."""
        return self._get("/_sandbox/books").json()["purchases"]

    def orders(self) -> list[dict[str, Any]]:
        """All orders of the last days, read as often as faults ask for; no more than one page of them."""
        today = datetime.now(UTC).date()
        days = {"from": str(today - timedelta(days=20)), "to": str(today + timedelta(days=1)), "limit": "1000"}
        key = {"apikey": self.variables["WICKED_REPORTS_API_KEY"]}
        for _ in range(50):
            try:
                answer = httpx.get(
                    f"{self.variables['WICKED_REPORTS_URL']}/orders", params=days, headers=key, trust_env=False
                )
                page = answer.raise_for_status().json()
            except (httpx.HTTPError, ValueError):
                continue
            assert page["totalPages"] == 1
            return page["results"]
        message = "the sandbox gave no readable page of orders"
        raise AssertionError(message)

    def in_flight(self) -> dict[str, int]:
        """By provider, how many requests are being answered now."""
        return {name: line["in_flight"] for name, line in self.status().items()}

    def status(self) -> dict[str, dict[str, Any]]:
        """By provider, requests served, in flight and spoilt."""
        return self._get("/_sandbox/status").json()

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(self.base_url + path, timeout=30, trust_env=False).raise_for_status()


@contextmanager
def sandbox_process(home: Path, *arguments: str) -> Iterator[Listening]:
    """A sandbox as a process of its own, as a person starts it."""
    process = Impactflow(home, base_environment(home)).start("sandbox", "--json", *arguments)
    try:
        assert process.stdout is not None
        yield Listening(json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        finish(process, 20)


@contextmanager
def sandbox_thread(orders: list[Any], **options: Any) -> Iterator[Listening]:
    """A sandbox over HTTP within this process, whose orders a test may write itself."""
    sandbox = Sandbox(Options(wicked_reports_per_minute=1_000_000, **options), orders=orders)
    with served(sandbox) as there:
        yield Listening(environment(there.base_url), sandbox)


@dataclass(frozen=True)
class Served:
    """
    A sandbox that listens, seen from inside.

    Args:
        sandbox: The object that answers.
        base_url: Where it listens; each provider is below its own prefix.
    """

    sandbox: Sandbox
    base_url: str

    @property
    def books(self) -> Books:
        """Every purchase that took effect."""
        return self.sandbox.books

    @property
    def shop(self) -> Shop:
        """What Wicked Reports knows."""
        return self.sandbox.shop


@contextmanager
def served(sandbox: Sandbox) -> Iterator[Served]:
    """Serve a sandbox on a thread of its own, so that what blocks the caller does not block it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox")
    thread.start()
    serving = serve(sandbox)
    try:
        yield Served(sandbox, asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(30))
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server: its API's URL, the file of its database, and all that it printed."""

    api_url: str
    database: Path
    log: Path


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def prefect_server(purpose: str = "tests") -> PrefectServer:
    """One real Prefect server for each purpose, started when it is first asked for, ended with this process."""
    folder = tempfile.TemporaryDirectory(prefix=f"impactflow-prefect-{purpose}-")
    home, port = Path(folder.name), free_port()
    server = PrefectServer(f"http://127.0.0.1:{port}/api", home / "prefect" / "prefect.db", home / "server.log")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with server.log.open("w") as log:
        process = subprocess.Popen(
            command, cwd=home, env=base_environment(home), stdout=log, stderr=log, start_new_session=True
        )
    atexit.register(_end, process, folder)
    deadline = time.monotonic() + 90
    while not _answers(f"{server.api_url}/health"):
        assert process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.2)
    return server


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _end(process: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    """End the server and its children: the process group that began with it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
    folder.cleanup()
