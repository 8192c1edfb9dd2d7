"""
One experiment: workers, each a real ``impactflow place``, share a ledger and are killed again and again while sending.

Answers are lost as well, and new orders keep coming in. In the end the providers' books are compared with what the
orders have earned and with the ledger.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Literal, Self

from impactflow.models import ProviderName
from impactflow.proof.bookkeeping import (
    POLICY,
    What,
    differences,
    earned,
    in_books,
    in_ledger,
    undone_in_ledger,
)
from impactflow.proof.forkserver import Forked, ForkServer
from impactflow.proof.programs import Impactflow, base_environment
from impactflow.sandbox import Faults, Options, Reply, Request, Sandbox, environment, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES
from impactflow.sandbox.server import serve
from impactflow.taskgroup import together

Metadata = Literal["echo", "ignored"]

#: Short times in seconds. A request's timeout lies within the lease; the settling time exceeds every delay.
TIMES = {
    "IMPACTFLOW_LEASE_S": "3",
    "IMPACTFLOW_REQUEST_TIMEOUT_S": "1",
    "IMPACTFLOW_SETTLE_S": "4.5",
    "IMPACTFLOW_CONCURRENCY": "8",
}
#: Faults that strike a quarter of all purchases; few of them are of the kind that makes every worker wait.
FAULTS = "rough,hang=0.002,rate_limited=0.002"
#: Time a provider takes to answer, in seconds: longer than impactflow takes for its own part.
_LATENCY_S = 0.3
#: The longest time that a worker lives on after it was seen sending, and the time that it may send to providers other
#: than the one aimed at, in seconds.
_KILLED_WITHIN_S, _AIMED_S = 0.8, 3.0
#: The share of the workers seen sending that stand still first, and for how many seconds: longer than lease and
#: settling time.
_STOPPED_SHARE, _STILL_S = 0.3, 8.0
#: The number of purchases that keeps all workers busy for some seconds, and the number of orders sold at a time.
_BACKLOG, _BATCH = 300, 50
#: Time for which runs may end with work left undone after the last kill, in seconds.
_AFTERWARDS_S = 180.0
#: How often to look whether something has happened, in seconds.
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Counts:
    """
    The harm done to the workers of one ledger, and the result.

    Args:
        orders: Orders that the shop sold.
        earned: Purchases that the orders have earned.
        purchases: Purchases in the providers' books.
        afterwards: Purchases that took effect only when no worker was killed and nothing else went wrong any more.
        requests: Requests that the providers have served.
        faults: Requests struck by a fault, among all requests, including those that read orders.
        kills: Workers that were killed.
        stops: Workers that stood still for longer than lease and settling time, and went on.
        kills_in_flight: Killed workers that had sent a purchase and had no answer yet.
        cut_off: Requests of that kind.
        duplicates: Purchases bought more than once.
        losses: Purchases earned and not bought.
        wrong_amounts: Purchases bought, but with an amount other than earned.
        unasked: Purchases bought and not earned.
        unrecorded: Purchases in the books and not in the ledger.
        unfounded: Purchases in the ledger and not in the books.
        undone: Placements that the last run left planned, held, in doubt, parked or failed.
        tracebacks: Workers that ended by themselves and printed a Python traceback.
    """

    orders: int = 0
    earned: int = 0
    purchases: int = 0
    afterwards: int = 0
    requests: int = 0
    faults: int = 0
    kills: int = 0
    stops: int = 0
    kills_in_flight: int = 0
    cut_off: int = 0
    duplicates: int = 0
    losses: int = 0
    wrong_amounts: int = 0
    unasked: int = 0
    unrecorded: int = 0
    unfounded: int = 0
    undone: int = 0
    tracebacks: int = 0

    def __add__(self, other: Self) -> Self:
        """Add the counts of two ledgers."""
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def endangered(self) -> int:
        """The number of purchases that could have gone wrong."""
        return self.purchases - self.afterwards

    @property
    def violations(self) -> int:
        """The number of times the promise was broken."""
        bought = self.duplicates + self.losses + self.wrong_amounts + self.unasked
        return bought + self.unrecorded + self.unfounded


def command_line(folder: Path, variables: Mapping[str, str]) -> Impactflow:
    """A command line that works in a folder under ``bookkeeping.POLICY``, with short times and these variables."""
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(POLICY)
    return Impactflow(folder, {**base_environment(folder), **TIMES, **variables})


class Experiment:
    """
    A shop that goes on selling, its pretend providers, one ledger, and the workers that share the ledger; run once.

    Args:
        folder: Where the workers work; created if missing.
        metadata: Whether 1ClickImpact returns metadata or drops it: this decides how a doubt is resolved.
        ledger_url: The ledger.
        starter: Starts the workers.
        seed: The source of orders, faults and kills; what they hit depends on the machine, too.

    Attributes:
        metadata: See Args.
        kills: Workers killed so far.
        kills_in_flight: Killed workers that had sent a purchase and had no answer yet.
    """

    def __init__(self, folder: Path, metadata: Metadata, ledger_url: str, starter: ForkServer, seed: str) -> None:
        self.metadata = metadata
        self.kills = 0
        self.kills_in_flight = 0
        self._stops = 0
        self._cut_off = 0
        self._before_calm = 0
        self._tracebacks = 0
        self._expected: dict[What, int] = {}
        self._chance = Random(f"{seed} {metadata}")
        self._ledger_url = ledger_url
        self._starter = starter
        own = {"IMPACTFLOW_LEDGER_URL": ledger_url, "PREFECT_API_URL": starter.prefect_api_url}
        self._command = command_line(folder, own)
        self._sandbox = _Watched(
            Options(
                seed=self._chance.randrange(2**32),
                faults=Faults.parse(FAULTS),
                latency_s=_LATENCY_S,
                metadata=metadata,
                wicked_reports_per_minute=1_000_000,
            )
        )

    async def conduct(self, begins_s: Sequence[float], enough: Callable[[], bool]) -> None:
        """
        Let workers place and be killed; then stop all harm and let one worker do what is left.

        Args:
            begins_s: The first start of each worker, in seconds from now.
            enough: Whether no more workers must be killed.

        Raises:
            TimeoutError: One of the last runs did not end within minutes.
        """
        async with serve(self._sandbox) as url:
            async with together() as group:
                for number, after_s in enumerate(begins_s):
                    group.create_task(self._keep_killing(number, url, after_s, enough))
            self._before_calm = len(self._sandbox.books.purchases)
            self._sandbox.calm()
            last = self._worker("last", url).but(IMPACTFLOW_CONCURRENCY="64")  # no kill is aimed any more
            done_by = time.monotonic() + _AFTERWARDS_S
            while (
                await asyncio.to_thread(last.run, "place", "--json", timeout_s=_AFTERWARDS_S)
            ).status and time.monotonic() < done_by:
                pass

    def is_sending(self) -> bool:
        """Whether a purchase is in flight."""
        return self._sandbox.in_flight.total() > 0

    def counts(self) -> Counts:
        """Count the results."""
        self._sandbox.catch_up()
        purchases = self._sandbox.books.as_json()["purchases"]
        differs = {name: len(found) for name, found in differences(self._expected, purchases).items()}
        books, ledger = in_books(purchases), in_ledger(self._ledger_url)
        lines = self._sandbox.status()
        return Counts(
            orders=len(self._sandbox.shop.orders),
            earned=len(self._expected),
            purchases=len(purchases),
            afterwards=len(purchases) - self._before_calm,
            requests=sum(lines[name]["requests"] for name in ProviderName),
            faults=sum(sum(line["faults"].values()) for line in lines.values()),
            kills=self.kills,
            stops=self._stops,
            kills_in_flight=self.kills_in_flight,
            cut_off=self._cut_off,
            duplicates=differs["twice"],
            losses=differs["lost"],
            wrong_amounts=differs["wrong"],
            unasked=differs["unasked"],
            unrecorded=len(books - ledger),
            unfounded=len(ledger - books),
            undone=undone_in_ledger(self._ledger_url),
            tracebacks=self._tracebacks,
        )

    async def _keep_killing(self, number: int, url: str, after_s: float, enough: Callable[[], bool]) -> None:
        """Keep one worker running; kill it a moment after it was seen sending to one provider, then to the next."""
        await asyncio.sleep(after_s)
        for life, aim in enumerate(islice(cycle(ProviderName), number, None)):
            if enough():
                return
            self._sell()
            name = f"worker-{number}-{life}"
            worker = self._worker(name, url)
            process = self._starter.start(worker, "place", "--json", output=worker.folder / f"{name}.out")
            try:
                await self._live(process, name, aim, enough)
            finally:
                self._end(process, name)

    async def _live(self, process: Forked, name: str, aim: ProviderName, enough: Callable[[], bool]) -> None:
        """Return when a worker has lived long enough, or has ended by itself; the worker stands still at most once."""
        began_s, may_stand_still = None, self._chance.random() < _STOPPED_SHARE
        while process.is_alive() and not enough():
            await asyncio.sleep(_POLL_S)
            sends = {provider for provider in ProviderName if self._sandbox.in_flight[name, provider]}
            if not sends:
                continue
            began_s = began_s or time.monotonic()
            if aim not in sends and time.monotonic() < began_s + _AIMED_S:
                continue
            await asyncio.sleep(self._chance.uniform(0, _KILLED_WITHIN_S))
            if not may_stand_still:
                return
            may_stand_still = False
            await self._stand_still(process)

    async def _stand_still(self, process: Forked) -> None:
        """Stop a worker until others have taken over its work, and let it go on with that work for a moment."""
        process.stop()
        try:
            await asyncio.sleep(_STILL_S)
        finally:
            process.resume()
        self._stops += 1
        await asyncio.sleep(_KILLED_WITHIN_S)

    def _end(self, process: Forked, name: str) -> None:
        """Kill a worker, unless it has ended by itself."""
        if not process.is_alive():
            self._tracebacks += "Traceback" in process.output.read_text()
            return
        cut_off = sum(count for (who, _), count in self._sandbox.in_flight.items() if who == name)
        process.kill()
        self.kills += 1
        self.kills_in_flight += cut_off > 0
        self._cut_off += cut_off

    def _worker(self, name: str, url: str) -> Impactflow:
        return self._command.but(**environment(f"{url}/{name}"))

    def _sell(self) -> None:
        """Sell enough orders to keep the workers busy."""
        orders = self._sandbox.shop.orders
        while len(self._expected) < len(self._sandbox.books.purchases) + _BACKLOG:
            sold = generate_orders(
                _BATCH, self._chance.randrange(2**32), datetime.now(UTC), days=3, currencies=CONVERTIBLE_CURRENCIES
            )
            first = len(orders) + 1
            named = [{**order, "id": f"WR-{n}", "sourceId": f"{n}"} for n, order in enumerate(sold, first)]
            self._expected |= earned(named)
            orders += named


class _Watched(Sandbox):
    """
    A sandbox that knows which worker has sent a purchase: the first part of each path names the worker.

    Attributes:
        in_flight: Number of purchases that are being answered now, by worker and provider.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.in_flight: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def exchange(self, request: Request) -> Iterator[Reply]:
        """Answer as ``Sandbox.exchange`` does, after taking the worker's name off the path."""
        _, worker, path = request.path.split("/", 2)
        provider = path.partition("/")[0]
        buys = request.method == "POST"
        self.in_flight[worker, provider] += buys
        try:
            with super().exchange(replace(request, path=f"/{path}")) as reply:
                yield reply
        finally:
            self.in_flight[worker, provider] -= buys
