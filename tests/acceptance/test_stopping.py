"""
Commands are stopped while they work, as ``docker stop``, a service manager and Ctrl-C do it (O9, O10, N3).

``python -m pytest tests/acceptance/test_stopping.py --stops 20`` stops ``place`` more often.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from processes import Impactflow, Served, served

from impactflow.ledger import Ledger, Status
from impactflow.proof import experiment
from impactflow.proof.bookkeeping import NONE, differences, earned, in_books, in_ledger, undone_in_ledger
from impactflow.proof.programs import Ended
from impactflow.sandbox import Options, Reply, Request, Sandbox, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES
from impactflow.stopping import run

pytestmark = pytest.mark.timeout(1800)  # each wait has a limit of its own; all stops are in one set-up

ROOT = Path(__file__).parents[2]
#: Requests in flight at each provider, and how long each takes to be answered, in seconds.
AT_ONCE, LATENCY_S = 64, 1.0
#: The promise: a stopped command has ended by then, in seconds.
WITHIN_S = 10.0
#: So many orders earn more than one run buys before it is stopped.
ORDERS = 75
#: Which signals are sent, in order, and the exit status that the first of them asks for.
SIGTERM, SIGINT = (signal.SIGTERM,), (signal.SIGINT,)
TWICE = (signal.SIGTERM, signal.SIGTERM)
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}


class Busy(Sandbox):
    """A sandbox that knows how many purchases it is being asked for."""

    in_flight = 0
    #: How many requests it was sent.
    requests = 0

    @contextmanager
    def exchange(self, request: Request) -> Iterator[Reply]:
        buys = request.method == "POST"
        self.in_flight += buys
        self.requests += 1
        try:
            with super().exchange(request) as reply:
                yield reply
        finally:
            self.in_flight -= buys


@dataclass(frozen=True)
class Shop:
    """What was sold, the pretend providers, and a command line that buys from them."""

    orders: list
    sandbox: Served
    command: Impactflow

    def begin_to_place(self) -> subprocess.Popen:
        """Start ``place``; it has as many requests in flight as it may, or has ended by itself."""
        process = self.command.start("place", "--json")
        wait_for(lambda: self.sandbox.sandbox.in_flight >= AT_ONCE or process.poll() is not None)
        return process

    def placing(self) -> int:
        """How many placements the ledger believes to be on their way."""

        async def count() -> int:
            with Ledger.open(self.command.ledger_url) as ledger:
                return sum(n for (_, status), n in (await ledger.counts()).items() if status is Status.PLACING)

        return run(count())


@contextmanager
def shop(folder: Path, orders: int = ORDERS, **variables: str | None) -> Iterator[Shop]:
    """A shop whose providers take a second to answer."""
    sold = generate_orders(orders, 7, datetime.now(UTC), days=3, currencies=CONVERTIBLE_CURRENCIES)
    options = Options(latency_s=LATENCY_S, wicked_reports_per_minute=1_000_000)
    with served(Busy(options, orders=sold)) as sandbox:
        own = {
            "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'impactflow.db'}",
            "IMPACTFLOW_CONCURRENCY": str(AT_ONCE),
            "IMPACTFLOW_LEASE_S": "60",
            "IMPACTFLOW_REQUEST_TIMEOUT_S": "15",
            "IMPACTFLOW_SETTLE_S": "16",
        }
        made = experiment.command_line(folder, {**sandbox.variables, **own}).but(**variables)
        yield Shop(sold, sandbox, Impactflow(folder, made.variables))


@dataclass(frozen=True)
class Stop:
    """How a command took its signals."""

    ended: Ended
    took_s: float
    in_flight: int
    placing: int
    left_over: list


def wait_for(what: Callable[[], object], longest_s: float = 120) -> None:
    """Look every few milliseconds."""
    until = time.monotonic() + longest_s
    while not what():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def stop(shop: Shop, process: subprocess.Popen, numbers: tuple) -> Stop:
    """Send the signals, a tenth of a second apart, and see how the process ends."""
    offspring = psutil.Process(process.pid).children(recursive=True)
    in_flight = shop.sandbox.sandbox.in_flight
    began = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)
    out, err = process.communicate(timeout=150)
    took_s = time.monotonic() - began
    _, alive = psutil.wait_procs(offspring, timeout=0.5)
    for each in alive:
        each.kill()
    return Stop(Ended(process.returncode, out, err), took_s, in_flight, shop.placing(), alive)


@pytest.fixture(scope="module")
def stops(request, tmp_path_factory, server) -> tuple[Shop, dict[tuple, list[Stop]], dict[str, int]]:
    """``place`` was stopped again and again while it bought, and at last left alone; what it came to is printed."""
    folder = tmp_path_factory.mktemp("stopping")
    seen: dict[tuple, list[Stop]] = {}
    some = request.config.getoption("--stops")
    often = [SIGTERM] * some + [SIGINT] * max(1, some // 5) + [TWICE] * max(1, some // 5)
    with shop(folder, ORDERS * (len(often) + 1), PREFECT_API_URL=server.api_url) as there:
        for numbers in often:
            before = len(there.sandbox.books.purchases)
            stopped = stop(there, there.begin_to_place(), numbers)
            seen.setdefault(numbers, []).append(stopped)
            bought = len(there.sandbox.books.purchases) - before
            print(numbers, stopped.ended.status, f"{stopped.took_s:.1f} s", stopped.in_flight, stopped.placing, bought)  # noqa: T201
        while (last := there.command.run("place", "--json", "--patience", "60", timeout_s=300)).status == 1:
            pass
        assert last.status == 0, last.err
        yield there, seen, differences(earned(there.orders), there.sandbox.purchases())


@pytest.fixture(params=[SIGTERM, SIGINT, TWICE], ids=["SIGTERM", "Ctrl-C", "SIGTERM twice"])
def each(request, stops) -> tuple[int, list[Stop]]:
    """The status that is promised for a signal, and how each stop by it went."""
    return STATUS[request.param[0]], stops[1][request.param]


def test_o9_a_stopped_place_ends_in_time_with_the_signals_status(each):
    """Within 10 s, with 143 or 130, one line for a person and one object for a program."""
    status, seen = each
    assert {stopped.ended.status for stopped in seen} == {status}
    assert max(stopped.took_s for stopped in seen) < WITHIN_S
    assert all(stopped.in_flight >= AT_ONCE for stopped in seen)
    assert not any(stopped.ended.says_traceback for stopped in seen), seen
    assert all("stopped" in stopped.ended.json["error"] for stopped in seen)


def test_o9_a_stopped_place_leaves_nothing_placing(each):
    """What was in flight is recorded, and what was claimed is given back."""
    assert [stopped.placing for stopped in each[1]] == [0] * len(each[1])


def test_o9_after_the_stops_everything_earned_is_bought_once(stops):
    """The next run finds what is left to do, and the ledger equals the books."""
    there, _, differ = stops
    assert differ == NONE
    assert in_ledger(there.command.ledger_url) == in_books(there.sandbox.purchases())
    assert undone_in_ledger(there.command.ledger_url) == 0


def test_o9_no_process_is_left_of_a_place_with_a_temporary_server(tmp_path, migrated):
    """Its Prefect server ends with it."""
    home = tmp_path / "prefect"
    home.mkdir()
    shutil.copy(migrated, home)
    with shop(tmp_path) as there:
        stopped = stop(there, there.begin_to_place(), SIGTERM)
        assert (stopped.ended.status, stopped.placing, stopped.left_over) == (143, 0, [])
        assert not stopped.ended.says_traceback, stopped.ended.err
        assert stopped.took_s < WITHIN_S


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_o11_a_killed_place_leaves_no_temporary_server(tmp_path):
    """Nobody but the kernel could end it."""
    with shop(tmp_path) as there:
        process = there.command.start("place", "--json")
        wait_for(lambda: psutil.Process(process.pid).children())
        offspring = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(offspring, timeout=5)
        assert alive == []


@pytest.mark.parametrize("numbers", [SIGINT, SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_n3_ctrl_c_while_the_temporary_server_starts_ends_it_in_a_line(tmp_path, numbers):
    """Sent to the whole group, as a terminal does; nothing is left behind."""
    with shop(tmp_path) as there:
        process = there.command.start("place")
        wait_for(lambda: psutil.Process(process.pid).children())
        time.sleep(0.5)
        stopped = stop(there, process, numbers)
        assert (stopped.ended.status, stopped.left_over) == (STATUS[numbers[0]], [])
        lines = [line for line in stopped.ended.err.splitlines() if "starting a temporary" not in line]
        assert lines == ["error: stopped; run it again to go on where it ended"]
        assert stopped.took_s < WITHIN_S  # 2 s are promised where the machine is not busy


@pytest.fixture(scope="module")
def stopped_worker(tmp_path_factory, own_server) -> tuple[Shop, Stop, dict]:
    """``impactflow serve`` was stopped while a run of its bought; the run as Prefect's server then shows it."""
    folder = tmp_path_factory.mktemp("worker")
    own = {"IMPACTFLOW_POLICY": str(folder / "policy.yaml"), "IMPACTFLOW_REPORTS": str(folder / "reports")}
    with shop(folder, PREFECT_API_URL=own_server.api_url, **own) as there:
        process = Impactflow(ROOT, there.command.variables).start("serve", "--json")
        api = httpx.Client(base_url=own_server.api_url, timeout=30, trust_env=False)
        try:
            assert process.stdout.readline(), process.stderr.read()
            place = api.get("/deployments/name/place_impacts/place").json()["id"]
            run_id = api.post(f"/deployments/{place}/create_flow_run", json={}).json()["id"]
            wait_for(lambda: there.sandbox.sandbox.in_flight >= AT_ONCE or process.poll() is not None)
            stopped = stop(there, process, SIGTERM)
            yield there, stopped, api.get(f"/flow_runs/{run_id}").json()
        finally:
            process.kill()
            api.close()


def test_o10_a_stopped_worker_ends_within_its_grace_time(stopped_worker):
    """``compose.yaml`` gives it 30 s; no process of a run is left."""
    _, stopped, _ = stopped_worker
    assert (stopped.ended.status, stopped.left_over) == (143, [])
    assert stopped.in_flight >= AT_ONCE
    assert stopped.took_s < 30


def test_o10_f6_a_stopped_workers_run_leaves_nothing_placing_and_is_crashed_at_once(stopped_worker):
    """It records what is in flight and reports itself; no automation has to mark it."""
    _, stopped, flow_run = stopped_worker
    assert (stopped.placing, flow_run["state"]["type"]) == (0, "CRASHED")


def test_o10_the_next_run_buys_the_rest_once(stopped_worker):
    """And finds what the stopped one bought."""
    there, _, _ = stopped_worker
    while (last := there.command.run("place", "--json", "--patience", "60", timeout_s=300)).status == 1:
        pass
    assert last.status == 0, last.err
    assert differences(earned(there.orders), there.sandbox.purchases()) == NONE
    assert in_ledger(there.command.ledger_url) == in_books(there.sandbox.purchases())


def test_o9_track_is_stopped_while_it_waits(tmp_path, server):
    """At once, with the signal's status."""
    with shop(tmp_path, 3, PREFECT_API_URL=server.api_url) as there:
        assert there.command.run("place", "--json").status == 0
        before = there.sandbox.sandbox.requests
        process = there.command.start("track", "--wait", "300", "--json")
        wait_for(lambda: there.sandbox.sandbox.requests > before or process.poll() is not None)
        stopped = stop(there, process, SIGTERM)
    assert (stopped.ended.status, stopped.ended.says_traceback) == (143, False)
    assert stopped.took_s < WITHIN_S
