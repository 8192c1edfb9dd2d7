"""
One seed, simulated from the first order to the last audit, and what was found wrong.

The core is the real one: policy, ledger, placement, reconcile, tracking, clients. Simulated are time, the ledger's
disk, the processes' deaths and the providers. In the end the providers' books, the ledger and what the sales have
earned must tell one story.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any

from sqlalchemy import func, select

from impactflow.deliveries import take_up
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.ledger import Delivery, Ledger, Status, Vouched
from impactflow.ledger.tables import events, placements
from impactflow.models import ProviderName
from impactflow.orders import Window
from impactflow.patience import Round, work_off
from impactflow.placement import Sweep
from impactflow.planning import plan, policy_digest
from impactflow.policy import Policy
from impactflow.proof.memory import Memory
from impactflow.proof.persons import Persons
from impactflow.proof.process import Fate, Process, Wire, enter, on_disk, unharmed
from impactflow.proof.scenario import KEY_AGE_S, LEASE_S, SETTLE_S, TIMEOUT_S, Scenario, Webhook, Worker
from impactflow.proof.strangers import THEIR_KEY, Strangers
from impactflow.proof.time import START, SimulatedClock, SimulatedLoop
from impactflow.proof.verdict import Place, findings, place, sold
from impactflow.reconcile import settle
from impactflow.ruling import Decision, Ruling, settle_by_ruling
from impactflow.run import CountingTransport, Run, terms_of
from impactflow.sandbox import Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport
from impactflow.settings import Settings
from impactflow.together import together
from impactflow.tracking import Tracking

#: What an account at 1ClickImpact may be like, as far as settling a doubt is concerned.
ECHO, IGNORED = "returns metadata", "drops metadata"
BUSY = "returns metadata; others buy the like there meanwhile"
#: Longer than any placement waits for anything; the last process works until nothing is due.
_ENDLESS_S = 100_000.0
#: After this, what took effect is complete at every provider.
_WEEKS = timedelta(weeks=7)


@dataclass(frozen=True)
class Result:
    """
    What a simulation came to.

    Args:
        seed: Of which scenario.
        findings: What is wrong, one line each; empty where all is well.
        purchases: How many of ours took effect.
        parked: Placements at 1ClickImpact that were left to a person.
        doubts: How many attempts there ended with nobody knowing whether they had their effect.
        deaths: How many processes were killed.
        account: What its 1ClickImpact was like.
    """

    seed: int
    findings: tuple[str, ...]
    purchases: int
    parked: int
    doubts: int
    deaths: int
    account: str


class Simulator:
    """Runs simulations one after the other on one database."""

    def __init__(self) -> None:
        self._memory = Memory()

    def run(self, scenario: Scenario, fates: Callable[[Worker, int], Fate] | None = None) -> Result:
        """
        Simulate a scenario; what breaks the program is a finding, so that its seed is told like any other.

        Args:
            scenario: Which.
            fates: What happens to each worker's n-th process; by default what the scenario says.
        """
        self._memory.reset()
        random.seed(scenario.seed)  # the clients' jitter
        simulation = _Simulation(scenario, self._memory, fates or Worker.fate)
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                found = runner.run(simulation.run())
        except Exception as error:  # noqa: BLE001 - whatever it is
            found = (" ".join(f"{type(error).__name__}: {error}".split()),)
        return simulation.result(found)


class _Simulation:
    def __init__(self, scenario: Scenario, memory: Memory, fates: Callable[[Worker, int], Fate]) -> None:
        self._scenario = scenario
        self._engine = memory.engine
        self._fates = fates
        self._policy = scenario.policy
        self._providers = sorted({rule.provider for rule in self._policy.rules})
        self._clock = SimulatedClock(timedelta(seconds=scenario.later_s))
        self._sandbox = Sandbox(scenario.options, clock=self._clock)
        self._strangers = Strangers(scenario, self._sandbox, self._clock)
        self._persons = Persons(scenario, self._engine, self._clock)
        self._settings = _settings()
        self._given_up: set[Place] = set()
        self._runs = self._deaths = self._purchases = self._parked = self._doubts = 0

    async def run(self) -> tuple[str, ...]:
        """Everything; what is wrong afterwards."""
        self._strangers.came_before()
        await self._vouch()
        strangers = asyncio.create_task(self._strangers.keep_buying())
        vandal = asyncio.create_task(self._persons.vandalize())
        told = (webhook for sale in self._scenario.sales for webhook in sale.webhooks)
        await asyncio.gather(
            *(self._work(worker) for worker in self._scenario.workers),
            *(self._persons.decide(name) for name in self._scenario.persons),
            *map(self._tell, told),
        )
        self._sandbox.calm()
        strangers.cancel()
        vandal.cancel()
        return await self._last()

    def result(self, found: tuple[str, ...]) -> Result:
        """What it came to, and what was found."""
        return Result(
            self._scenario.seed,
            found,
            self._purchases,
            self._parked,
            self._doubts,
            self._deaths,
            self._account,
        )

    @property
    def _account(self) -> str:
        if self._strangers.are_busy:
            return BUSY
        return ECHO if self._scenario.options.metadata == "echo" else IGNORED

    async def _work(self, worker: Worker) -> None:
        """Start one process after the other, whatever becomes of each."""
        chance = Random(f"{worker.seed} idle")
        clock = SimulatedClock(timedelta(seconds=self._scenario.later_s + worker.ahead_s))
        for after_s, ahead_s in worker.steps:
            ahead = timedelta(seconds=self._scenario.later_s + ahead_s)
            asyncio.get_running_loop().call_later(after_s, clock.put, ahead)
        await clock.sleep(worker.first_after_s)
        for life, patience_s in enumerate(self._scenario.patience_s):
            await self._start(self._fates(worker, life), clock, patience_s, worker.pause_s)
            if life + 1 == self._scenario.calm_after:
                self._sandbox.calm()
            await clock.sleep(chance.uniform(0, self._scenario.idle_s))

    async def _tell(self, webhook: Webhook) -> None:
        """Store a delivery, as the receiver does; nothing happens to that."""
        enter(Process())
        await self._clock.sleep(webhook.after_s)
        body = json.dumps(webhook.body).encode()
        delivery = Delivery(self._policy.store, "shopify", webhook.id, webhook.topic, self._clock.now(), body)
        await Ledger(self._engine).store_delivery(delivery)

    async def _vouch(self) -> None:
        """What strangers buy at an account that names no keys somebody says is not ours, once for all of it."""
        enter(Process())
        for provider in self._providers:
            word = Vouched(provider, "a person", self._clock.now() + _WEEKS)
            await Ledger(self._engine).vouch(word)

    async def _start(self, fate: Fate, clock: SimulatedClock, patience_s: float, pause_s: float = 0.0) -> None:
        """One process, to its end or death."""
        process = Process(fate, pause_s)
        self._runs += 1
        job = asyncio.create_task(self._place(process, f"run-{self._runs}", clock, patience_s))
        death = asyncio.create_task(process.died.wait())
        await asyncio.wait((job, death), return_when=asyncio.FIRST_COMPLETED)
        if process.died.is_set():
            self._deaths += 1
            job.cancel()
            await asyncio.wait((job,))
        else:
            death.cancel()
            await job

    async def _place(self, process: Process, run_id: str, clock: SimulatedClock, patience_s: float) -> None:
        """What ``impactflow place`` does."""
        enter(process)
        now_s = asyncio.get_running_loop().time()
        self._sandbox.shop.orders = self._scenario.orders(now_s)
        run = self._open(process, run_id, clock)
        try:
            await run.check_ledger(self._providers, self._policy)
            await take_up(run.ledger, self._policy, run.clock, run.id)
            await _plan(run, self._policy)
            async with together() as group:
                for provider in self._providers:
                    group.create_task(_work_off(run, self._policy, provider, patience_s))
        except ImpactError:
            return  # this run has failed; the next one takes up what it leaves

    def _open(self, process: Process, run_id: str, clock: SimulatedClock) -> Run:
        wire = CountingTransport(Wire(process, SandboxTransport(self._sandbox)))
        settings = self._settings
        return Run(run_id, settings, clock, Ledger(self._engine), wire, terms_of(settings))

    async def _last(self) -> tuple[str, ...]:
        """Once whatever is late has come, let a run to which nothing happens finish the work, and compare."""
        await self._clock.sleep(LEASE_S + SETTLE_S)
        await self._start(unharmed, self._clock, _ENDLESS_S)
        await self._rule()
        await self._start(unharmed, self._clock, _ENDLESS_S)
        await self._clock.sleep(_WEEKS.total_seconds())
        process = Process()
        enter(process)
        run = self._open(process, "last", self._clock)
        for provider in self._providers:
            await Tracking(run.ledger, run.provider(provider), run.clock, run.terms, run.id, everything=True).run()
        return await self._compare(run.ledger)

    async def _rule(self) -> None:
        """
        A person has what was refused sent again or gives it up, the latter always where the sale has another name.

        Where a provider refuses nobody they look away: nothing may have failed there.
        """
        gives_up = Random(f"{self._scenario.seed} ruling").choice([True, False])
        refuses = {
            provider for provider in ProviderName if self._scenario.options.faults.rates.get((provider, "refused"))
        }
        enter(Process())
        run = self._open(Process(), "person", self._clock)
        for row in await run.ledger.attention():
            if row["status"] != Status.FAILED or row["provider"] not in refuses:
                continue
            ruling = Ruling(row["order_id"], row["slot"], Decision.NOT_BOUGHT, "a person")
            given_up = replace(ruling, decision=Decision.GIVEN_UP)
            if gives_up:
                ruling = given_up
                self._given_up.add(place(row["order_id"], row["slot"]))
            try:
                await settle_by_ruling(run.ledger, run.provider, run.clock, run.terms, run.id, ruling)
            except ConfigurationError:
                await settle_by_ruling(run.ledger, run.provider, run.clock, run.terms, run.id, given_up)

    async def _compare(self, ledger: Ledger) -> tuple[str, ...]:
        """What is wrong between the books, the ledger and what was earned."""
        counts = await ledger.counts()
        by_status = Counter[Status]()
        for (_, status), count in counts.items():
            by_status[status] += count
        attention = await ledger.attention()
        parked = {place(row["order_id"], row["slot"]) for row in attention if row["status"] == Status.PARKED}
        self._parked = counts.get((ProviderName.ONECLICKIMPACT, Status.PARKED), 0)
        self._doubts = self._count_doubts()
        self._sandbox.settle()
        books = self._sandbox.books.as_json()["purchases"]
        ours = [purchase for purchase in books if purchase["impactflow_key"] not in {None, THEIR_KEY}]
        self._purchases = len(ours)
        wanted = {**self._scenario.earned(), **self._persons.expected()}
        earned = {where: quantity for where, quantity in wanted.items() if where not in self._given_up}
        found = findings(earned, ours, await ledger.purchases(), parked)
        bought = [(sold(purchase), purchase["quantity"]) for purchase in ours]
        found += self._persons.findings(bought, await ledger.awaiting())
        possible = self._scenario.possible()
        found += [
            f"never earned so much: {where}: {quantity}"
            for where, quantity in bought
            if self._scenario.vandal_after_s is None and where in possible and quantity not in possible[where]
        ]
        undone = {where for where, _ in bought} & self._scenario.undone()
        found += [f"bought in spite of its refund: {where}" for where in sorted(undone)]
        if await ledger.pending_since(self._policy.store) is not None:
            found.append("a delivery was not taken up")
        found += [f"{count} left {status}" for status, count in by_status.items() if status not in _ENDS]
        if parked and not self._strangers.are_busy:
            found.append(f"{len(parked)} parked for nothing")
        return tuple(found)

    def _count_doubts(self) -> int:
        query = (
            select(func.count())
            .select_from(events.join(placements))
            .where(
                placements.c.provider == ProviderName.ONECLICKIMPACT,
                events.c.from_status == Status.PLACING,
                events.c.to_status == Status.IN_DOUBT,
            )
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one()


def _new_loop() -> SimulatedLoop:
    loop = SimulatedLoop()
    loop.disk = on_disk
    return loop


#: What a simulation may leave placements in.
_ENDS = frozenset({Status.COMPLETED, Status.PARKED, Status.CANCELLED, Status.AWAITING_APPROVAL})


async def _plan(run: Run, policy: Policy) -> None:
    today = START.date()
    window = Window(today - timedelta(days=7), today, open_ended=True)
    await plan(run.ledger, run.order_source(), policy, window, run.clock, run.id, moves_watermark=True)


async def _work_off(run: Run, policy: Policy, provider: ProviderName, patience_s: float) -> Round:
    """Settle and place at one provider, as the flow does."""
    digest = policy_digest(policy)

    async def once() -> Round:
        if provider not in run.checked and (silent := await run.check_ledger([provider], policy)):
            return Round(0, str(silent[provider]))
        account = run.provider(provider)
        settled = await settle(run.ledger, account, run.clock, run.terms, run.id)
        done = Round(settled.changed, settled.halted, settled.unauthorized)
        if done.unauthorized:
            return done
        sweep = Sweep(
            run.ledger, account, run.clock, run.terms, run.id, policy=digest, limit=10_000, in_vain=run.in_vain
        )
        swept = await sweep.run()
        return done + Round(swept.sent, swept.halted, swept.unauthorized)

    return await work_off(run.ledger, run.clock, provider, patience_s, once, policy=digest)


@cache
def _settings() -> Settings:
    chosen: dict[str, Any] = {name.lower(): value for name, value in environment("http://127.0.0.1").items()}
    times = {
        "impactflow_lease_s": LEASE_S,
        "impactflow_request_timeout_s": TIMEOUT_S,
        "impactflow_settle_s": SETTLE_S,
        "impactflow_cnaught_key_age_s": KEY_AGE_S,
        "impactflow_concurrency": 4,
    }
    return Settings(_env_file=None, **(chosen | times))
