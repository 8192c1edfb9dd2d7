"""
Each contestant against a sandbox of its own, with faults on, killed again and again until it reports that it is done.

The count of purchases is always what the sandbox's books say in the end, never what a contestant says.
"""

import asyncio
import importlib.util
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.baselines.purchase import IN_FLIGHT, TIMEOUT_S
from benchmarks.processes import prefect_server
from impactflow.sandbox import Faults, Options, Sandbox, environment
from impactflow.sandbox.server import serve

_ROOT = Path(__file__).parents[2]
#: The provider of all purchases, and the shares of its faults: a third of the purchases, a sixth of the reads.
_PROVIDER = "oneclickimpact"
_SHARES = {
    "lost_answer": 0.07,
    "lost_request": 0.04,
    "late_effect": 0.04,
    "error_before": 0.04,
    "error_after": 0.04,
    "reset": 0.03,
    "truncated": 0.03,
    "html": 0.03,
    "hang": 0.01,
    "rate_limited": 0.03,
    "late_records": 0.05,
    "shifting_pages": 0.1,
}
#: Faults noticed only by a program that reads the provider's records: on for all contestants, and counted for none.
_IN_RECORDS = {"late_records", "shifting_pages"}
_LATENCY_S = 0.3
#: The longest time for a contestant, in seconds, and the extra time for each order.
_LONGEST_S, _LONGEST_PER_ORDER_S = 120.0, 2.0
_SIDE_BY_SIDE = 3
#: impactflow's times, in seconds: a request's timeout lies within the lease; the settling time exceeds every delay.
_TIMES = {
    "IMPACTFLOW_LEASE_S": "3",
    "IMPACTFLOW_REQUEST_TIMEOUT_S": f"{TIMEOUT_S:g}",
    "IMPACTFLOW_SETTLE_S": "4.5",
    "IMPACTFLOW_CONCURRENCY": f"{IN_FLIGHT}",
}
_POLICY = """\
store: baselines
rules:
  - slot: trees
    provider: oneclickimpact
    impact: plant_trees
    quantity: {per_order: 1}
    approve_above_per_day: unlimited
"""


@dataclass(frozen=True)
class Contestant:
    """
    A program that places the orders.

    Args:
        name: The name shown.
        command: The arguments after ``python -m``.
        orders_per_kill: Number of orders for each kill; fewer kills where a start takes long.
        needs: The module that has to be installed for it.
    """

    name: str
    command: tuple[str, ...]
    orders_per_kill: int
    needs: str | None = None

    @property
    def is_there(self) -> bool:
        """Whether the needed module is installed."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def _baseline(name: str, orders_per_kill: int, needs: str | None = None) -> Contestant:
    return Contestant(name, (f"benchmarks.baselines.{name}",), orders_per_kill, needs)


OURS = Contestant("impactflow", ("impactflow", "place", "--json"), 20)
MARK_AND_RETRY = _baseline("mark_and_retry", 6)
CONTESTANTS = (
    OURS,
    _baseline("sdk_prefect_retries", 20, "makeimpact"),
    _baseline("prefect_transaction", 20),
    _baseline("dbos_step", 8, "dbos"),
    MARK_AND_RETRY,
    _baseline("mark_first", 6),
)


@dataclass(frozen=True)
class Row:
    """
    The result of one contestant's orders.

    Args:
        name: The contestant's name.
        orders: Number of orders to place, one purchase each.
        faults: Number of its requests struck by a fault.
        kills: Number of times its process was killed; a kill cuts off up to ``IN_FLIGHT`` purchases at once.
        duplicates: Orders that were bought more than once.
        losses: Orders that were never bought, although the contestant reported that it was done.
    """

    name: str
    orders: int
    faults: int
    kills: int
    duplicates: int
    losses: int

    def per_1000(self, count: int) -> float:
        """Return the rate of a count for 1,000 faults and kills."""
        return 1000 * count / max(1, self._trials)

    @property
    def bound_per_1000(self) -> float:
        """The rate for 1,000 faults and kills that a count of 0 rules out with 95 % confidence."""
        return 1000 * (1 - 0.05 ** (1 / self._trials)) if self._trials else 1000.0

    @property
    def _trials(self) -> int:
        return self.faults + self.kills

    def as_json(self) -> dict[str, Any]:
        """Counts and rates; where a count is 0, also the rate that this rules out."""
        rates: dict[str, float | None] = {}
        for name, count in (("duplicates", self.duplicates), ("losses", self.losses)):
            rates[f"{name}_per_1000"] = self.per_1000(count)
            rates[f"{name}_per_1000_below"] = None if count else self.bound_per_1000
        return vars(self) | rates


def run(orders: int, seed: int, report: Callable[[str], None]) -> list[Row]:
    """
    Let every contestant place its orders, a few side by side.

    Args:
        orders: Number of orders for each contestant.
        seed: The source of faults and of the moments of kills; what they hit depends on the machine too.
        report: Called with the current step.

    Raises:
        RuntimeError: A contestant was not done in time, however often it was started; with the end of what it printed.
    """
    report("starting a Prefect server")
    with prefect_server() as (variables, _):
        present = [contestant for contestant in CONTESTANTS if contestant.is_there]
        return asyncio.run(_take_turns(present, orders, seed, variables, report))


def left_out() -> list[str]:
    """List the contestants that cannot take part here, and the reasons."""
    absent = [contestant for contestant in CONTESTANTS if not contestant.is_there]
    return [f"{contestant.name}: {contestant.needs} is not installed" for contestant in absent]


async def _take_turns(
    contestants: Iterable[Contestant],
    orders: int,
    seed: int,
    variables: Mapping[str, str],
    report: Callable[[str], None],
) -> list[Row]:
    places = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def turn(contestant: Contestant) -> Row:
        async with places:
            report(f"{contestant.name} places {orders} orders")
            return await measure(contestant, orders, seed, variables)

    return await asyncio.gather(*(turn(contestant) for contestant in contestants))


async def measure(contestant: Contestant, orders: int, seed: int, variables: Mapping[str, str]) -> Row:
    """
    Let one contestant place its orders, however often it is killed in the process.

    Args:
        contestant: The contestant.
        orders: Number of orders.
        seed: The source of faults and of the moments of kills.
        variables: The environment; with ``PREFECT_API_URL`` for those that need Prefect.

    Raises:
        RuntimeError: The contestant was not done in time, however often it was started; with the end of what it
            printed.
    """
    options = Options(
        seed=seed,
        faults=Faults.parse(",".join(f"{_PROVIDER}.{name}={share}" for name, share in _SHARES.items())),
        latency_s=_LATENCY_S,
        hang_s=2 * TIMEOUT_S,
        wicked_reports_per_minute=1_000_000,
    )
    sandbox = Sandbox(options, orders=[_sold(number) for number in range(orders)])
    with TemporaryDirectory(prefix="impactflow-baseline-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with serve(sandbox) as url:
            all_variables = {**variables, **environment(url), **_own_variables(folder, orders)}
            kills = await _place(contestant, folder, all_variables, sandbox, _moments(contestant, orders, seed))
            await asyncio.sleep(options.late_s)
            sandbox.catch_up()
    bought = Counter(purchase.order_id for purchase in sandbox.books.purchases)
    struck = sandbox.status()[_PROVIDER]["faults"]
    return Row(
        name=contestant.name,
        orders=orders,
        faults=sum(count for fault, count in struck.items() if fault not in _IN_RECORDS),
        kills=kills,
        duplicates=sum(count > 1 for count in bought.values()),
        losses=orders - len(bought),
    )


def _sold(number: int) -> dict[str, Any]:
    """An order as the shop lists it, for impactflow, which reads the shop; the others get the number of orders."""
    return {
        "id": f"order-{number}",
        "sourceId": f"{number}",
        "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "payments": [{"status": "APPROVED", "amount": 20}],
    }


def _own_variables(folder: Path, orders: int) -> dict[str, str]:
    """The variables that say what the contestant must do, and where it keeps its state."""
    policy = folder / "policy.yaml"
    policy.write_text(_POLICY)
    return {
        **_TIMES,
        "ORDERS": f"{orders}",
        "IMPACTFLOW_POLICY": str(policy),
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "PREFECT_LOCAL_STORAGE_PATH": str(folder / "results"),
        "PYTHONPATH": str(_ROOT),
    }


def _moments(contestant: Contestant, orders: int, seed: int) -> list[float]:
    """For each kill, the seconds after a run's first request; the last kill finds work left to do."""
    kills = max(1, orders // contestant.orders_per_kill)
    work_s = 1.5 * orders * _LATENCY_S / IN_FLIGHT
    chance = Random(f"{seed} kills {contestant.name}")
    return [chance.uniform(0, 2 * work_s / (kills + 2)) for _ in range(kills)]


async def _place(
    contestant: Contestant, folder: Path, variables: Mapping[str, str], sandbox: Sandbox, moments: Iterable[float]
) -> int:
    """Start a contestant until it reports that it is done; return the number of kills."""
    log = folder / "log"

    async def start() -> Process:
        command = (sys.executable, "-m", *contestant.command)
        with log.open("ab") as out:
            return await asyncio.create_subprocess_exec(*command, cwd=folder, env=variables, stdout=out, stderr=out)

    longest_s = _LONGEST_S + _LONGEST_PER_ORDER_S * len(sandbox.shop.orders)
    try:
        async with asyncio.timeout(longest_s):
            return await _run_until_done(start, moments, lambda: sandbox.status()[_PROVIDER]["requests"])
    except TimeoutError:
        printed = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{contestant.name} was not done in {longest_s:g} s; it printed last:\n{printed}") from None


async def _run_until_done(
    start: Callable[[], Awaitable[Process]], moments: Iterable[float], requests: Callable[[], int]
) -> int:
    """
    Start a process again and again, until one ends with status 0.

    Args:
        start: Starts it.
        moments: Seconds after its first request at which a process is killed; processes after the last moment are not.
        requests: Returns the number of requests that the provider has seen.

    Returns:
        The number of processes killed.
    """
    left, kills = iter(moments), 0
    while True:
        before, moment_s = requests(), next(left, None)
        process = await start()
        try:
            if moment_s is not None:
                while process.returncode is None and requests() == before:  # noqa: ASYNC110 - the provider counts
                    await asyncio.sleep(0.01)
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), moment_s)
                if process.returncode is None:
                    process.kill()
                    kills += 1
            if await process.wait() == 0:
                return kills
        finally:
            await _end(process)


async def _end(process: Process) -> None:
    """End the process, so that none is left behind."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
