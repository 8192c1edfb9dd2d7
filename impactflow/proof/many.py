"""
Many simulations and crash points, on several cores.

A failure is reported with its findings. ``python -m impactflow.proof.many SEED`` runs a seed again, ``... healthy
SEED`` runs one where nothing goes wrong, ``... SLOT METADATA [FIRST_ATTEMPT]`` crashes again at every boundary of one
setting.
"""

import logging
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from impactflow.proof import twists
from impactflow.proof.crashpoints import Setting, crashes, settings
from impactflow.proof.simulation import Result, Simulator

T = TypeVar("T")
R = TypeVar("R")
#: Seeds handed to a process at a time: enough to be worth the transfer, few enough for a smooth progress bar.
_BATCH = 20


@dataclass
class Simulated:
    """
    The results of many seeds.

    Attributes:
        runs: Number of seeds.
        purchases: Number of purchases that took effect.
        deaths: Number of processes that were killed.
        doubts: Attempts with an unknown effect, by provider and its weakness.
        parked: Placements left to a person, by provider and its weakness.
        twists: Number of seeds with each twist.
        failures: Each seed with findings, and the findings.
    """

    runs: int = 0
    purchases: int = 0
    deaths: int = 0
    doubts: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    twists: Counter[str] = field(default_factory=Counter)
    failures: dict[int, Sequence[str]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count one more result."""
        self.runs += 1
        self.purchases += result.purchases
        self.deaths += result.deaths
        self.twists.update(result.twists)
        for mode, (doubts, parked) in result.unknown.items():
            self.doubts[mode] += doubts
            self.parked[mode] += parked
        if result.findings:
            self.failures[result.seed] = result.findings


@dataclass
class Crashed:
    """
    The results of all crash points.

    Attributes:
        settings: Number of settings that were crashed in.
        points: Number of crashes, by act and boundary.
        failures: Each crash with findings, and the findings.
    """

    settings: int = 0
    points: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def simulate(
    seeds: range, *, cores: int, report: Callable[[int], None] = lambda _: None, healthy: bool = False
) -> Simulated:
    """
    Run seeds.

    Args:
        seeds: The seeds to run.
        cores: Number of processes to run them in.
        report: Called with the number of seeds done.
        healthy: Whether nothing goes wrong in the seeds.
    """
    found = Simulated()
    batches = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
    for results in _spread(_run_healthy if healthy else _run_seeds, batches, cores):
        for result in results:
            found.add(result)
        report(found.runs)
    return found


def crash_everywhere(
    where: Iterable[Setting] | None = None, *, cores: int, report: Callable[[int], None] = lambda _: None
) -> Crashed:
    """
    Crash at every boundary.

    Args:
        where: The settings to crash in; by default all.
        cores: Number of processes to run them in.
        report: Called with the number of settings done.
    """
    found = Crashed()
    for points, failures in _spread(_crash_in, list(settings() if where is None else where), cores):
        found.settings += 1
        found.points.update(points)
        found.failures += failures
        report(found.settings)
    return found


def _spread(work: Callable[[T], R], items: Sequence[T], cores: int) -> Iterator[R]:
    """Yield the results of the work on the items, as they come in."""
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as processes:
        futures = [processes.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            processes.shutdown(cancel_futures=True)


@cache
def _simulator() -> Simulator:
    """One simulator for each process: it compiles the statements once. Errors are in the results, not in a log."""
    logging.getLogger("impactflow").setLevel(logging.ERROR)
    return Simulator()


def _run_seeds(seeds: range) -> list[Result]:
    return [_simulator().run(twists.scenario(seed)) for seed in seeds]


def _run_healthy(seeds: range) -> list[Result]:
    return [_simulator().run(twists.healthy(seed)) for seed in seeds]


def _crash_in(setting: Setting) -> tuple[Counter[str], list[str]]:
    points: Counter[str] = Counter()
    failures = []
    for crash in crashes(_simulator(), [setting]):
        points[f"{crash.act.value} {crash.boundary.value}"] += 1
        if crash.result.findings:
            again = " ".join(filter(None, (setting.slot, setting.metadata, setting.first_attempt)))
            where = f"{crash.act.value} {crash.boundary.value} (boundary {crash.number} of {again})"
            found = "; ".join(crash.result.findings)
            failures.append(f"{where}: {found} (python -m impactflow.proof.many {again})")
    return points, failures


def _run_again(which: Sequence[str]) -> Sequence[str]:
    """Report the errors of one seed, or of one setting that is crashed in."""
    if len(which) == 1:
        return _simulator().run(twists.scenario(int(which[0]))).findings
    if which[0] == "healthy":
        return _simulator().run(twists.healthy(int(which[1]))).findings
    slot, metadata, *first = which
    _, failures = _crash_in(Setting(slot, metadata, "".join(first)))
    return failures


if __name__ == "__main__":
    sys.stdout.write("\n".join(_run_again(sys.argv[1:]) or ["nothing wrong"]) + "\n")
