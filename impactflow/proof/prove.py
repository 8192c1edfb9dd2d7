"""
The whole proof at a chosen size: the parts, their numbers of trials, and the errors found.

Each part is a module of its own beside this one; this module runs them one after the other and collects their figures.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from impactflow.proof import crashpoints, processes
from impactflow.proof.many import crash_everywhere, simulate
from impactflow.proof.mutations import MOST_SEEDS, MUTATIONS, catch_all
from impactflow.proof.statistics import upper_bound

#: Folder of the baselines in a checkout; an installed package has none, nor the tools that they need.
_CHECKOUT = Path(__file__).parents[2]
#: The baselines' name for impactflow itself, which runs beside them.
_OURS = "impactflow"


@dataclass(frozen=True)
class Size:
    """
    The size of the proof.

    Args:
        first_seed: The first seed.
        seeds: Number of seeds to simulate.
        healthy_seeds: Number of the same shops to simulate where nothing goes wrong; 0 leaves them out.
        processes_s: How long real processes are killed, in seconds; 0 leaves that out.
        baseline_orders: Number of orders that each of the usual alternatives places; 0 leaves them out.
        planted_bugs: Whether bugs are planted.
        cores: Number of processes that simulate side by side.
    """

    first_seed: int = 0
    seeds: int = 1_000
    healthy_seeds: int = 500
    processes_s: float = 50.0
    baseline_orders: int = 30
    planted_bugs: bool = True
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)


@dataclass(frozen=True)
class Row:
    """
    The result of one part.

    Args:
        part: The name of the part.
        trials: Number of trials.
        wrong: Number of trials with an error afterwards.
        of: What a trial was, in words, with the part's other figures.
        duration_s: How long the part took, in seconds.
        sampled: Whether these are some of many possible trials; otherwise they are all possible trials.
    """

    part: str
    trials: int
    wrong: int
    of: str
    duration_s: float
    sampled: bool = True

    @property
    def bound(self) -> float | None:
        """
        The largest share of such trials that could go wrong and still not show here, 0 to 1; 95 % confidence.

        None where all trials were made: then no others exist.
        """
        return upper_bound(self.wrong, self.trials) if self.sampled else None


@dataclass
class Proof:
    """
    All figures.

    Attributes:
        rows: The parts that try to break the promise.
        planted: For each planted bug, the number of seeds until it was noticed; None where no seed noticed it.
        parked: By provider and its weakness, the number of attempts that ended in doubt, and of those that a person has
            to decide.
        baselines: The results of the usual alternatives; empty where they were left out.
        left_out: What was not tried, and why.
        failures: The errors found, with how to reproduce them.
    """

    rows: list[Row] = field(default_factory=list)
    planted: dict[str, int | None] = field(default_factory=dict)
    parked: dict[str, tuple[int, int]] = field(default_factory=dict)
    baselines: Sequence[Mapping[str, Any]] = ()
    left_out: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether no error was found, and every planted bug was noticed."""
        return not self.failures and None not in self.planted.values()

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "holds": self.holds,
            "parts": [{**vars(row), "at_most": row.bound} for row in self.rows],
            "planted_bugs": self.planted,
            "parked": {name: {"doubts": doubts, "parked": parked} for name, (doubts, parked) in self.parked.items()},
            "baselines": list(self.baselines),
            "left_out": self.left_out,
            "failures": self.failures,
        }


#: Called with the current step, the progress, and the total; 0 of 0 where the total is unknown.
Report = Callable[[str, int, int], None]


def prove(size: Size, report: Report) -> Proof:
    """Try everything at this size."""
    proof = Proof()
    _simulate(size, proof, report)
    if size.healthy_seeds:
        _simulate_health(size, proof, report)
    _crash(size, proof, report)
    if size.planted_bugs:
        _plant(size, proof, report)
    if size.processes_s:
        _kill(size, proof, report)
    if size.baseline_orders:
        _compare(size, proof, report)
    return proof


def _simulate(size: Size, proof: Proof, report: Report) -> None:
    seeds = range(size.first_seed, size.first_seed + size.seeds)
    report("simulating", 0, size.seeds)
    with _timed() as took_s:
        found = simulate(seeds, cores=size.cores, report=lambda done: report("simulating", done, size.seeds))
    of = f"{found.purchases:,} purchases, {found.deaths:,} processes killed"
    proof.rows.append(Row("simulated seeds", found.runs, len(found.failures), of, took_s()))
    proof.parked = {account: (doubts, found.parked[account]) for account, doubts in sorted(found.doubts.items())}
    proof.failures += [
        f"seed {seed}: {'; '.join(findings)} (python -m impactflow.proof.many {seed})"
        for seed, findings in sorted(found.failures.items())
    ]


def _simulate_health(size: Size, proof: Proof, report: Report) -> None:
    seeds = range(size.first_seed, size.first_seed + size.healthy_seeds)
    report("simulating health", 0, len(seeds))
    with _timed() as took_s:
        found = simulate(
            seeds, cores=size.cores, report=lambda done: report("simulating health", done, len(seeds)), healthy=True
        )
    of = f"{found.purchases:,} purchases, which an audit that repairs must leave alone"
    proof.rows.append(Row("healthy seeds", found.runs, len(found.failures), of, took_s()))
    proof.failures += [
        f"healthy seed {seed}: {'; '.join(findings)} (python -m impactflow.proof.many healthy {seed})"
        for seed, findings in sorted(found.failures.items())
    ]


def _crash(size: Size, proof: Proof, report: Report) -> None:
    total = len(list(crashpoints.settings()))
    report("crashing at every boundary", 0, total)
    with _timed() as took_s:
        found = crash_everywhere(
            cores=size.cores, report=lambda done: report("crashing at every boundary", done, total)
        )
    of = ", ".join(f"{times} {point}" for point, times in sorted(found.points.items()))
    trials, wrong = found.points.total(), len(found.failures)
    proof.rows.append(Row("crash points, all of them", trials, wrong, of, took_s(), sampled=False))
    proof.failures += found.failures


def _plant(size: Size, proof: Proof, report: Report) -> None:
    done = count(1)
    report("planting bugs", 0, len(MUTATIONS))
    every = catch_all(
        MUTATIONS, at_once=size.cores, report=lambda _: report("planting bugs", next(done), len(MUTATIONS))
    )
    proof.planted = {caught.mutation.name: caught.seeds for caught in every}
    proof.failures += [
        f"planted and not noticed in {MOST_SEEDS} seeds: {name} (python -m impactflow.proof.mutations '{name}')"
        for name, seeds in proof.planted.items()
        if not seeds
    ]


def _kill(size: Size, proof: Proof, report: Report) -> None:
    try:
        with _timed() as took_s:
            found = processes.run(size.processes_s, size.first_seed, lambda what: report(what, 0, 0))
    except (RuntimeError, TimeoutError) as error:
        proof.failures.append(f"real processes could not be tried to the end: {error}")
        return
    total = found.total
    of = (
        f"{total.kills} kills of real processes, {total.kills_in_flight} with requests in flight;"
        f" {total.stops} that stood still and went on;"
        f" {total.faults:,} faults; {found.database_stops} database stops;"
        f" not counted: {total.afterwards:,} purchases when all that was over"
    )
    proof.rows.append(Row("purchases of real processes", total.endangered, total.violations, of, took_s()))
    if total.violations or total.undone or total.tracebacks:
        proof.failures.append(f"real processes: {total}")
    if not total.kills:
        proof.left_out.append(f"kills of real processes: {size.processes_s:g} s left no time for any")
    if found.left_out:
        proof.left_out.append(found.left_out)


def _compare(size: Size, proof: Proof, report: Report) -> None:
    if not (_CHECKOUT / "benchmarks" / "baselines").is_dir():
        proof.left_out.append("the usual alternatives: they are in a checkout's benchmarks/ only")
        return
    report("the usual alternatives", 0, 0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks.baselines", "--orders", str(size.baseline_orders)]
        ended = subprocess.run(  # noqa: S603 - our own module
            [*command, "--json", str(path)], cwd=_CHECKOUT, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            text = ended.stderr.strip()
            (proof.failures if text.startswith(_OURS) else proof.left_out).append(f"the usual alternatives: {text}")
            return
        results = json.loads(path.read_text())
    proof.baselines = results["rows"]
    proof.left_out += results["left_out"]
    proof.failures += [
        f"among the usual alternatives: {row} ({' '.join(command[1:])})"
        for row in proof.baselines
        if row["name"] == _OURS and (row["duplicates"] or row["losses"])
    ]


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    """Measure how long the context was open, in seconds; ask once it is closed."""
    began = time.monotonic()
    ended = began
    try:
        yield lambda: ended - began
    finally:
        ended = time.monotonic()
