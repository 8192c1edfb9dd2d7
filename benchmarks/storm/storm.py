"""A real receiver in a storm, and what came of it. Called by ``python -m benchmarks.storm`` and by a test."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil

from benchmarks.storm.firing import Answers, fire
from benchmarks.storm.plan import plan
from benchmarks.storm.prefect import Gate, Worker
from benchmarks.storm.senders import SECRETS, VARIABLES
from impactflow.ledger import Ledger
from impactflow.proof.programs import Impactflow, base_environment

_POLICY = """\
store: storm
rules:
  - {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}
"""
#: How long what waits may take to be handled once the storm is over, in seconds.
_DRAIN_S = 60.0


@dataclass(frozen=True)
class Storm:
    """
    What is let loose.

    Args:
        deliveries: How many.
        slow: How many of them never end, and how many more are merely slow.
        at_once: How many senders there are.
        seed: What chance follows from.
    """

    deliveries: int
    slow: int
    at_once: int
    seed: int


@dataclass(frozen=True)
class Aftermath:
    """
    What came of it.

    Args:
        answers: Of the receiver.
        lost: Events that no run handled.
        doubled: Events that were handled more than once.
        strange: Handled without being events.
        runs: How many runs were made.
        waited_s: How long after the storm everything was handled.
        took_s: The storm itself.
        memory_mb: The receiver's, at the start, in the middle and at the end.
        cpu_s: How long the receiver computed, its start included.
    """

    answers: Answers
    lost: int
    doubled: int
    strange: int
    runs: int
    waited_s: float
    took_s: float
    memory_mb: tuple[float, float, float]
    cpu_s: float

    @property
    def right(self) -> bool:
        """Whether every answer was, and every event was handled once."""
        return not (self.answers.wrong or self.lost or self.doubled or self.strange)


async def let_loose(
    storm: Storm,
    api_url: str,
    folder: Path,
    trouble: Callable[[Gate], Awaitable[None]] | None = None,
) -> Aftermath:
    """
    Send a storm to a receiver of its own.

    Args:
        storm: What is sent.
        api_url: Of the Prefect server that it nudges.
        folder: For the ledger.
        trouble: What befalls the server when the storm is at its height.
    """
    (folder / "policy.yaml").write_text(_POLICY)
    ledger_url = f"sqlite:///{folder / 'ledger.db'}"
    gate = Gate(api_url)
    with Ledger.open(ledger_url) as ledger:
        worker = Worker(api_url, ledger, "storm")
        await worker.deploy()
        async with gate.serve() as gate_url:
            secrets = {VARIABLES[source]: secret for source, secret in SECRETS.items()}
            own = {**secrets, "IMPACTFLOW_LEDGER_URL": ledger_url, "PREFECT_API_URL": gate_url}
            receiver = Impactflow(folder, {**base_environment(folder), **own}).start(
                "webhooks", "--port", "0", "--json"
            )
            working = asyncio.create_task(worker.work())
            try:
                assert receiver.stdout is not None
                line = await asyncio.to_thread(receiver.stdout.readline)
                if not line:
                    sys.exit(f"the receiver did not start:\n{receiver.communicate()[1]}")
                return await _watch(storm, json.loads(line)["url"], psutil.Process(receiver.pid), worker, gate, trouble)
            finally:
                working.cancel()
                receiver.terminate()
                await asyncio.to_thread(receiver.communicate)


async def _watch(
    storm: Storm,
    url: str,
    receiver: psutil.Process,
    worker: Worker,
    gate: Gate,
    trouble: Callable[[Gate], Awaitable[None]] | None,
) -> Aftermath:
    shots = plan(storm.deliveries, storm.slow, Random(storm.seed))
    memory_mb: dict[int, float] = {}
    troubling: list[asyncio.Task[None]] = []

    def look(count: int) -> None:
        if count in {len(shots) // 10, len(shots) // 2}:
            memory_mb[count] = receiver.memory_info().rss / 1e6
        if trouble and count == len(shots) // 3:
            troubling.append(asyncio.create_task(trouble(gate)))  # type: ignore[arg-type]

    began = time.perf_counter()
    answers = await fire(url, shots, storm.at_once, look)
    took_s = time.perf_counter() - began
    await asyncio.gather(*troubling)
    expected = {shot.event for shot in shots if shot.event}
    waited_s = await _drained(worker, expected)
    memory_mb[len(shots)] = receiver.memory_info().rss / 1e6
    start_mb, middle_mb, end_mb = memory_mb.values()
    # A callback's id has a digest behind the placement's key.
    handled = Counter((source, name.partition(".")[0]) for source, name in worker.handled)
    return Aftermath(
        answers,
        lost=len(expected - handled.keys()),
        doubled=sum(times > 1 for times in handled.values()),
        strange=len(handled.keys() - expected),
        runs=worker.runs,
        waited_s=waited_s,
        took_s=took_s,
        memory_mb=(start_mb, middle_mb, end_mb),
        cpu_s=sum(receiver.cpu_times()[:2]),
    )


async def _drained(worker: Worker, expected: set[tuple[str, str]]) -> float:
    began = time.monotonic()
    while len(worker.handled) < len(expected) and time.monotonic() < began + _DRAIN_S:  # noqa: ASYNC110 - others fill it
        await asyncio.sleep(0.2)
    return time.monotonic() - began
