"""The processes of a benchmark: provider, Prefect server, contestants and the flow, each by itself; for ``rounds``."""

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from impactflow.proof import programs

ROOT = Path(__file__).parent.parent
#: The policy of the flow.
POLICY = """\
store: benchmark
rules:
  - slot: trees
    provider: oneclickimpact
    impact: plant_trees
    quantity: {per_order: 1}
    approve_above_per_day: unlimited
"""
#: The longest time that any process may take, in seconds.
_LONGEST_S = 300.0


@dataclass(frozen=True)
class FlowRun:
    """
    One run of ``place_impacts`` on a fresh ledger.

    Args:
        orders: Number of orders placed.
        placing_s: Seconds from the first claim to the last answer.
        flow_s: Seconds of the whole flow: reading, planning, placing, reporting.
        process_s: Seconds of the whole process, from its start to its end.
        peak_mb: The most memory that the process used, in megabytes.
    """

    orders: int
    placing_s: float
    flow_s: float
    process_s: float
    peak_mb: float


@contextmanager
def provider(orders: int, latency_ms: float) -> Iterator[str]:
    """Run a provider and shop while the context is open; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.provider", "--orders", str(orders), "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


@contextmanager
def prefect_server() -> Iterator[tuple[dict[str, str], float]]:
    """Run a Prefect server with a home of its own; yield the environment for it, and the seconds to start."""
    began = time.perf_counter()
    with programs.prefect_server() as server, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        variables = programs.base_environment(Path(home))
        yield (
            {**variables, "PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_API_URL": server.api_url},
            (time.perf_counter() - began),
        )


def contestant(name: str, url: str, orders: int, in_flight: int, variables: dict[str, str]) -> float:
    """Let one contestant place its orders; return its orders per second."""
    command = [sys.executable, "-m", "benchmarks.contestants", name, url, str(orders), str(in_flight)]
    ended = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )
    if ended.returncode != 0:
        sys.exit(f"{name} failed:\n{ended.stderr}")
    return orders / float(ended.stdout.split()[-1])


def variables_for(url: str, folder: str, in_flight: int) -> dict[str, str]:
    """The variables of a run whose ledger is in a folder, and whose shop and providers are at one URL."""
    keys = ("WICKED_REPORTS_API_KEY", "ONECLICKIMPACT_API_KEY", "CNAUGHT_API_KEY", "IMPACTAPI_API_KEY")
    return {
        **dict.fromkeys(keys, "key"),
        "WICKED_REPORTS_URL": url,
        "ONECLICKIMPACT_URL": url,
        "IMPACTAPI_URL": url,
        "IMPACTFLOW_CONCURRENCY": str(in_flight),
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder}/ledger.db",
    }


def flow_run(url: str, orders: int, in_flight: int, variables: dict[str, str]) -> FlowRun:
    """Place all of the shop's orders with ``impactflow place``, into a fresh ledger on disk."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "policy.yaml").write_text(POLICY)
        began = time.perf_counter()
        command = [sys.executable, "-m", "impactflow", "place", "--json"]
        result, peak_mb = measured(
            command, folder, {**variables, **variables_for(url, folder, in_flight), "PYTHONPATH": str(ROOT)}
        )
        process_s = time.perf_counter() - began
        placed, placing_s = _placing(Path(folder) / "ledger.db")
    if placed != orders:
        sys.exit(f"the flow placed {placed} of {orders} orders")
    return FlowRun(orders, placing_s, result["duration_s"], process_s, peak_mb)


def measured(command: list[str], folder: str, variables: dict[str, str]) -> tuple[dict[str, float], float]:
    """Run a command; return the object that it printed, and the most memory that it used, in megabytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            sys.exit(f"the flow failed:\n{err.read()}\n{out.read()}")
        return json.loads(out.read().splitlines()[-1]), megabytes(used)


def megabytes(used: resource.struct_rusage) -> float:
    """Convert ``ru_maxrss``, which counts kilobytes, except on macOS, where it counts bytes."""
    return used.ru_maxrss / (1_000_000 if sys.platform == "darwin" else 1000)


def _placing(ledger: Path) -> tuple[int, float]:
    """Return the number of placements that took effect, and the seconds from the first claim to the last answer."""
    connection = sqlite3.connect(ledger)
    try:
        placed, first, last = connection.execute(
            "SELECT count(*), min(first_attempted_at), max(placed_at) FROM placements WHERE status = 'placed'"
        ).fetchone()
    finally:
        connection.close()
    if not placed:
        return 0, 0.0
    return placed, (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
