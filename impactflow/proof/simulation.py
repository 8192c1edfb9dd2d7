"""
One seed, simulated from the first order to the last audit, and the errors found.

The core is the real one: policy, ledger, placement, reconcile, tracking, clients. Time, the ledger's disk, the
processes' deaths, the shop and the providers are simulated. In the end the providers' books, the ledger and the sales'
earnings must agree. A dry run must have predicted the run after it. An audit that repairs must do no harm, and must
change nothing where nothing went wrong.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from math import inf
from random import Random
from typing import Any

from sqlalchemy import Engine, and_, bindparam, func, or_, select

from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.buying.run import CountingTransport, Run, config_of
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.ledger import UNRESOLVED, Delivery, Forget, Ledger, Pause, Resumption, Status, Vouched
from impactflow.ledger.tables import events, orders, placements
from impactflow.models import KEYLESS, ProviderName
from impactflow.policy import Policy
from impactflow.proof import credit, pools, runs
from impactflow.proof.approvers import Approvers
from impactflow.proof.memory import Memory
from impactflow.proof.other_buyers import THEIR_KEY, OtherBuyers
from impactflow.proof.process import Fate, Process, Wire, begin_task, enter, on_disk, unharmed
from impactflow.proof.scenario import (
    BEGIN_S,
    KEY_AGE_S,
    LATE_S,
    LEASE_S,
    SETTLE_S,
    TIMEOUT_S,
    Scenario,
    Webhook,
    Worker,
)
from impactflow.proof.sellers import SELLERS
from impactflow.proof.verdict import Place, findings, harm, place, sold
from impactflow.proof.virtual_time import START, SimulatedClock, SimulatedLoop
from impactflow.sandbox import WEAKNESSES, Reply, Request, Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport
from impactflow.settings import Settings

#: The states of an account that takes no keys, as far as they matter for resolving a doubt.
ECHO, IGNORED = "returns metadata", "drops metadata"
BUSY = "returns metadata; others buy the like there meanwhile"
#: A time longer than any placement waits for anything; the last process works until nothing is due.
_ENDLESS_S = 100_000.0
#: How often a person tries to forget a customer.
_MOST_TRIES = 40
#: The time after which every effect is complete at every provider.
_WEEKS = timedelta(weeks=7)
#: Longer than a process takes from reading an order to the effect of a cancellation, pauses included, in seconds.
_KNOWN_S = 1_800.0


@dataclass(frozen=True)
class Result:
    """
    The result of a simulation.

    Args:
        seed: The seed of the scenario.
        findings: The errors, one line each; empty where there are none.
        purchases: Number of our purchases that took effect.
        deaths: Number of processes that were killed.
        unknown: By each provider and its weakness, the number of attempts that ended with an unknown effect, and the
            number of placements left to a person.
        twists: The twists of the scenario.
    """

    seed: int
    findings: tuple[str, ...]
    purchases: int
    deaths: int
    unknown: Mapping[str, tuple[int, int]]
    twists: Sequence[str] = ()


class Simulator:
    """Runs simulations one after the other on one database."""

    def __init__(self) -> None:
        self._memory = Memory()

    def run(self, scenario: Scenario, fates: Callable[[Worker, int], Fate] | None = None) -> Result:
        """
        Simulate a scenario; an error in the program is a finding, so that its seed is reported like any other.

        Args:
            scenario: The scenario to simulate.
            fates: The fate of each worker's n-th process; by default the scenario decides.
        """
        self._memory.reset()
        random.seed(scenario.seed)  # the clients' jitter
        simulation = _Simulation(scenario, self._memory, fates or Worker.fate)
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                found = runner.run(simulation.run())
        except Exception as error:  # noqa: BLE001 - any error is a finding
            found = (" ".join(f"{type(error).__name__}: {error}".split()),)
        return simulation.result(found)


class _Simulation:
    def __init__(self, scenario: Scenario, memory: Memory, fates: Callable[[Worker, int], Fate]) -> None:
        self._scenario = scenario
        self._memory = memory
        self._engine = memory.engine
        self._fates = fates
        self._policy = scenario.policy()
        self._providers = runs.providers_of(self._policy)
        self._clock = SimulatedClock(timedelta(seconds=scenario.later_s))
        self._sandbox = _World(scenario, self._clock)
        self._other_buyers = OtherBuyers(scenario, self._sandbox, self._clock)
        self._persons = Approvers(scenario, self._engine, self._clock)
        self._settings = _settings()
        self._given_up: set[Place] = set()
        self._found: list[str] = []
        self._unknown: Mapping[str, tuple[int, int]] = {}
        self._forgotten_at: datetime | None = None
        self._runs = self._deaths = self._purchases = 0

    async def run(self) -> tuple[str, ...]:
        """Run everything; return the errors found afterwards."""
        self._other_buyers.came_before()
        await self._vouch()
        other_purchases = asyncio.create_task(self._other_buyers.keep_buying())
        vandal = asyncio.create_task(self._persons.vandalize())
        webhooks = (webhook for sale in self._scenario.sales for webhook in sale.webhooks)
        await asyncio.gather(
            *(self._work(worker) for worker in self._scenario.workers),
            *(self._persons.decide(name) for name in self._scenario.persons),
            *map(self._announce, webhooks),
            self._cancel(),
            self._stray(),
            self._pause(),
            self._forget(),
        )
        self._sandbox.calm()
        other_purchases.cancel()
        vandal.cancel()
        return await self._last()

    def result(self, found: tuple[str, ...]) -> Result:
        """The result of the simulation, with these findings."""
        return Result(
            self._scenario.seed,
            found,
            self._purchases,
            self._deaths,
            self._unknown,
            self._scenario.twists,
        )

    async def _work(self, worker: Worker) -> None:
        """Start one process after the other, regardless of how each ends."""
        chance = Random(f"{worker.seed} idle")
        clock = SimulatedClock(timedelta(seconds=self._scenario.later_s + worker.ahead_s))
        for after_s, ahead_s in worker.steps:
            ahead = timedelta(seconds=self._scenario.later_s + ahead_s)
            asyncio.get_running_loop().call_later(after_s, clock.put, ahead)
        starts_s = self._scenario.starts_s
        await clock.sleep(worker.first_after_s)
        for life, patience_s in enumerate(self._scenario.patience_s):
            if starts_s:
                await clock.sleep(starts_s[life] - asyncio.get_running_loop().time())
            await self._start(self._fates(worker, life), clock, patience_s, worker.pause_s)
            if life + 1 == self._scenario.calm_after:
                self._sandbox.calm()
            if starts_s:
                await self._track()
            else:
                await clock.sleep(chance.uniform(0, self._scenario.idle_s))

    async def _announce(self, webhook: Webhook) -> None:
        """Store a delivery, as the receiver does; the receiver never fails here."""
        enter(Process())
        await self._clock.sleep(webhook.after_s)
        body = json.dumps(webhook.body).encode()
        delivery = Delivery(self._policy.store, "shopify", webhook.id, webhook.topic, self._clock.now(), body)
        await Ledger(self._engine).store_delivery(delivery)

    async def _vouch(self) -> None:
        """A person declares once that the strangers' purchases, at an account that names no keys, are not ours."""
        enter(Process())
        for provider in self._providers:
            word = Vouched(self._policy.store, provider, "a person", self._clock.now() + _WEEKS)
            await Ledger(self._engine).vouch(word)

    async def _cancel(self) -> None:
        """Cancel at the providers all purchases made by then, as a person would."""
        if self._scenario.cancelled_after_s is None:
            return
        await self._clock.sleep(self._scenario.cancelled_after_s)
        for purchase in self._sandbox.books.purchases:
            for request in SELLERS[purchase.provider].cancelling(purchase):
                with self._sandbox.exchange(request):
                    pass

    async def _pause(self) -> None:
        """Pause buying for a while, as a person would; nothing may be claimed within the pause's scope meanwhile."""
        if self._scenario.paused_s is None:
            return
        from_s, to_s = self._scenario.paused_s
        await self._clock.sleep(from_s)
        enter(Process())
        ledger, scope = Ledger(self._engine), self._scenario.paused
        await ledger.pause(Pause(scope, "a person", "a change", self._clock.now()))
        first = await ledger.last_event()
        await self._clock.sleep(to_s - from_s)
        last = await ledger.last_event()
        await ledger.resume(Resumption(scope, "a person", self._clock.now()))
        with self._engine.connect() as connection:
            sent = connection.execute(_SENT, {"first": first, "last": last}).all()
        self._found += [
            f"sent while it was paused: {row.order_id}, {row.slot}"
            for row in sent
            if scope.provider in {None, row.provider} and scope.slot in {None, row.slot}
        ]

    async def _forget(self) -> None:
        """Forget a customer, as a person would: once more if something was under way."""
        if self._scenario.forgotten_s is None:
            return
        await self._clock.sleep(self._scenario.forgotten_s)
        enter(Process())
        for _ in range(_MOST_TRIES):
            wanted = Forget(self._scenario.forgotten, "a person", self._clock.now())
            if not (await Ledger(self._engine).forget(wanted)).must_wait:
                self._forgotten_at = self._clock.now()
                self._found += self._remembered(())
                return
            await self._clock.sleep(LEASE_S / 4)

    def _remembered(self, ours: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """What shows that a forgotten customer's address is still kept or sent, or that too much was forgotten."""
        if self._forgotten_at is None:
            return
        email, late_s = self._scenario.forgotten, LATE_S + LEASE_S
        with self._engine.connect() as connection:
            kept = connection.execute(select(orders.c.order_id).where(orders.c.customer_email == email)).scalars()
            yield from (f"the address of a forgotten customer is kept: {order_id}" for order_id in kept)
            unknown = orders.c.customer_email == "", orders.c.customer.is_(None)
            lost = connection.execute(select(orders.c.order_id).where(*unknown)).scalars()
            yield from (f"an order of a forgotten customer is nobody's: {order_id}" for order_id in lost)
        since = self._forgotten_at + timedelta(seconds=late_s)
        for purchase in ours:
            if purchase["customer_email"] == email and datetime.fromisoformat(purchase["at"]) > since:
                yield f"bought in the name of a forgotten customer: {sold(purchase)}"

    async def _stray(self) -> None:
        """Run one process with another ledger; it must not buy if that ledger knows less than the providers list."""
        scenario = self._scenario
        if not scenario.stray:
            return
        chance = Random(f"{scenario.seed} stray")
        await self._clock.sleep(chance.uniform(BEGIN_S, scenario.stray_after_s))
        with self._memory.another(None if scenario.stray == "empty" else self._engine) as other:
            await self._clock.sleep(max(0.0, scenario.stray_after_s - asyncio.get_running_loop().time()))
            with other.connect() as connection:
                tried = set(connection.execute(select(placements.c.key).where(placements.c.attempts > 0)).scalars())
            tried |= {None, THEIR_KEY}
            now, purchases = self._clock.now(), self._sandbox.books.purchases
            if any(each.impactflow_key not in tried and each.listed_at <= now for each in purchases):
                await self._start(unharmed, self._clock, 1.0, engine=other)

    async def _start(
        self,
        fate: Fate,
        clock: SimulatedClock,
        patience_s: float,
        pause_s: float = 0.0,
        *,
        engine: Engine | None = None,
    ) -> None:
        """Run one process to its end or death; with another ledger's database where one is given."""
        process = Process(fate, pause_s)
        self._runs += 1
        job = asyncio.create_task(self._place(process, f"run-{self._runs}", clock, patience_s, engine or self._engine))
        death = asyncio.create_task(process.died.wait())
        await asyncio.wait((job, death), return_when=asyncio.FIRST_COMPLETED)
        if process.died.is_set():
            self._deaths += 1
            await process.end(job)
        else:
            death.cancel()
            await job

    async def _place(
        self, process: Process, run_id: str, clock: SimulatedClock, patience_s: float, engine: Engine
    ) -> None:
        """Place as ``impactflow place`` does."""
        enter(process)
        self._sandbox.open_shop()
        run = self._open(process, run_id, clock, engine)
        try:
            await runs.place(run, self._policy_now, patience_s)
            if self._scenario.undoes_s:
                await runs.cancel_refunds(run, self._policy_now)
        except ImpactError:
            return  # this run has failed; the next one continues its work

    @property
    def _policy_now(self) -> Policy:
        if self._scenario.typo_until_s is None and self._scenario.undoes_s is None:
            return self._policy
        return self._scenario.policy(asyncio.get_running_loop().time())

    def _open(self, process: Process, run_id: str, clock: SimulatedClock, engine: Engine | None = None) -> Run:
        wire = CountingTransport(Wire(process, SandboxTransport(self._sandbox)))
        settings = self._settings
        return Run(run_id, settings, clock, Ledger(engine or self._engine), wire, config_of(settings))

    def _open_unharmed(self, run_id: str) -> Run:
        process = Process()
        enter(process)
        return self._open(process, run_id, self._clock)

    async def _track(self, *, everything: bool = False) -> None:
        await runs.track(self._open_unharmed("track"), everything=everything)

    async def _last(self) -> tuple[str, ...]:
        """Let all late effects come, let a run to which nothing happens finish the work, and compare."""
        await self._clock.sleep(LEASE_S + SETTLE_S)
        if self._scenario.undoes_s:  # the last run sees all refunds
            over_s = 1.0 + max(max(sale.changes_s) for sale in self._scenario.sales)
            await self._clock.sleep(max(0.0, over_s - asyncio.get_running_loop().time()))
        await self._foreseen()
        await self._rule()
        await self._start(unharmed, self._clock, _ENDLESS_S)
        # A list counts a day after a webhook said otherwise; a run finds out what became of what the one before asked.
        for pause_s in (25 * 3_600.0, *[2 * (LEASE_S + SETTLE_S)] * 2) if self._scenario.undoes_s else ():
            await self._clock.sleep(pause_s)
            await self._start(unharmed, self._clock, _ENDLESS_S)
        if self._scenario.repairs:
            await self._clock.sleep(LATE_S)
            await self._repair()
        await self._clock.sleep(_WEEKS.total_seconds())
        await self._track(everything=True)
        return await self._compare(Ledger(self._engine))

    async def _foreseen(self) -> None:
        """Finish the work in a run; where it can be said beforehand, the run must buy what its dry run shows."""
        counts = await Ledger(self._engine).counts()
        in_doubt = sum(count for (_, status), count in counts.items() if status in UNRESOLVED)
        if in_doubt or not self._scenario.previews:  # no dry run can know how a doubt ends
            await self._start(unharmed, self._clock, _ENDLESS_S)
            return
        self._sandbox.open_shop()
        would = await runs.preview(self._open_unharmed("dry run"), self._policy_now)
        waits = ("held", "needs_approval", "on_hold_until")
        lines = [line for line in would.lines if not any(line[name] for name in waits)]
        shown = Counter((place(str(line["order"]), str(line["slot"])), line["quantity"]) for line in lines)
        before = len(self._bought())
        with self._engine.connect() as connection:
            covered_before = credit.covered(connection).items()
        await self._start(unharmed, self._clock, _ENDLESS_S)
        did = Counter((sold(row), row["quantity"]) for row in self._bought()[before:])
        self._found += [f"not in the dry run, bought by the run after it: {each}" for each in did - shown]
        with self._engine.connect() as connection:
            shown -= Counter(credit.covered(connection).items() - covered_before)
        self._found += [f"in the dry run, not bought by the run after it: {each}" for each in shown - did]

    def _bought(self) -> Sequence[Mapping[str, Any]]:
        """Our purchases in the books, without the strangers' purchases."""
        return [
            purchase
            for purchase in self._sandbox.books.as_json()["purchases"]
            if purchase["impactflow_key"] not in {None, THEIR_KEY}
        ]

    async def _repair(self) -> None:
        """Audit and repair; in a healthy world there must be nothing to find."""
        run = self._open_unharmed("audit")
        before = await run.ledger.purchases(), self._bought()
        found = await runs.reconcile(run, self._providers, repair=True)
        after = await run.ledger.purchases(), self._bought()
        self._found += harm(before, after)
        if self._scenario.is_healthy:
            self._found += [f"the audit of a healthy world finds {each.finding}: {each.order}" for each in found]
            if before != after:
                self._found.append("an audit of a healthy world changed something")

    async def _rule(self) -> None:
        """
        A person has refused placements sent again or gives them up; always gives up where the sale has another name.

        Where a provider refuses nothing, the person does not look: nothing may have failed there.
        """
        gives_up = Random(f"{self._scenario.seed} ruling").choice([True, False])
        enter(Process())
        run = self._open(Process(), "person", self._clock)
        for row in await run.ledger.attention():
            if row["status"] != Status.FAILED or row["provider"] not in self._refuse:
                continue
            ruling = Ruling(row["order_id"], row["slot"], Resolution.NOT_BOUGHT, "a person")
            given_up = replace(ruling, decision=Resolution.GIVEN_UP)
            if gives_up:
                ruling = given_up
                self._given_up.add(place(row["order_id"], row["slot"]))
            try:
                await settle(run.ledger, run.account, run.clock, run.id, ruling)
            except ConfigurationError:
                await settle(run.ledger, run.account, run.clock, run.id, given_up)

    async def _compare(self, ledger: Ledger) -> tuple[str, ...]:
        """The differences between the books, the ledger and what was earned."""
        counts = await ledger.counts()
        by_status = Counter[Status]()
        for (_, status), count in counts.items():
            by_status[status] += count
        attention = await ledger.attention()
        parked = {
            place(row["order_id"], row["slot"]): row["provider"] for row in attention if row["status"] == Status.PARKED
        }
        doubts = self._count_doubts()
        self._unknown = {
            self._mode(provider): (doubts[provider], counts.get((provider, Status.PARKED), 0))
            for provider in self._providers
        }
        self._sandbox.catch_up()
        ours = self._bought()
        self._purchases = len(ours)
        wanted = {**self._scenario.earned(), **self._persons.expected()}
        unwanted = self._given_up | self._persons.rejected()
        if self._scenario.vandal_after_s is not None:  # what is not as it was approved waits for a person once more
            unwanted |= {place(each.order, each.slot) for each in await ledger.awaiting()}
        with self._engine.connect() as connection:
            unwanted = unwanted | credit.covered(connection).keys()
        earned = {where: quantity for where, quantity in wanted.items() if where not in unwanted}
        found = [*self._found, *self._beyond_caps(ours), *findings(earned, ours, await ledger.purchases(), parked)]
        began = START + timedelta(seconds=self._scenario.later_s)
        with self._engine.connect() as connection:
            found += pools.findings(connection, self._scenario, await ledger.balances(), ours, began)
            found += credit.findings(connection, self._scenario, began)
        bought_places = {sold(purchase) for purchase in ours}
        ours = pools.singles(ours)
        bought = [(sold(purchase), purchase["quantity"]) for purchase in ours]
        found += self._persons.findings(bought, await ledger.awaiting())
        if self._scenario.vandal_after_s is None:
            found += filter(None, map(self._unearned, ours))
        found += filter(None, map(self._too_early, ours))
        found += self._remembered(ours)
        found += self._not_undone(ours, parked)
        undone = {where for where, _ in bought} & self._scenario.undone()
        found += [f"bought in spite of its refund: {where}" for where in sorted(undone)]
        if await ledger.pending_since(self._policy.store) is not None:
            found.append("a delivery was not taken up")
        found += [f"{count} left {status}" for status, count in by_status.items() if status not in _ENDS]
        confused = self._confused(attention)
        found += [
            f"parked, though the provider would have told: {where}"
            for where, provider in parked.items()
            if where not in confused
            if self._would_show(ProviderName(provider), was_bought=where in bought_places)
        ]
        return tuple(found)

    def _beyond_caps(self, ours: Sequence[Mapping[str, Any]]) -> list[str]:
        """The days on which more was bought than a cap allows."""
        sums: Counter[tuple[str, str]] = Counter()
        for purchase in ours:
            sums[sold(purchase)[1], purchase["at"][:10]] += purchase["quantity"]
        most = self._scenario.most_a_day
        return [
            f"beyond the cap: {slot} on {day}" for (slot, day), bought in sums.items() if bought > most.get(slot, inf)
        ]

    def _not_undone(self, ours: Sequence[Mapping[str, Any]], parked: Container[Place]) -> list[str]:
        """The refunded sales of which a purchase stands, and the others of which none does."""
        if not self._scenario.undoes_s:
            return []
        given_back, kept = self._scenario.was_given_back, self._kept()
        is_undone = self._scenario.undoes_s[1] == inf
        standing = {sold(purchase) for purchase in ours if not purchase["cancelled"]}
        cancelled_s = {sold(purchase): self._sandbox.cancelled_s.get(purchase["ref"]) for purchase in ours}
        return [
            *(
                f"stands in spite of its refund: {where}"
                for where in standing
                if is_undone and self._scenario.must_be_undone(where[0]) and where not in parked and where not in kept
            ),
            *(
                f"cancelled without a refund: {where}"
                for where, at_s in cancelled_s.items()
                if at_s is not None and not given_back(where[0], at_s - _KNOWN_S, at_s)
            ),
        ]

    def _kept(self) -> Container[Place]:
        """The purchases that a provider does not cancel, where it refuses things or hides what is to be cancelled."""
        query = (
            select(orders.c.order_id, placements.c.slot, placements.c.provider)
            .join(placements, placements.c.order == orders.c.id)
            .where(placements.c.cancel_refused.is_not(None))
        )
        with self._engine.connect() as connection:
            refused = connection.execute(query).all()
        return {
            place(row.order_id, row.slot)
            for row in refused
            if row.provider in self._refuse or self._scenario.options.poor or not self._scenario.options.extras
        }

    @property
    def _refuse(self) -> Container[str]:
        """The providers that refuse something."""
        rates = self._scenario.options.faults.rates
        names = ("refused", "refused_after")
        return {provider for provider in ProviderName if any(rates.get((provider, name)) for name in names)}

    def _too_early(self, purchase: Mapping[str, Any]) -> str | None:
        """The error in a purchase that was made before its order's hold was over."""
        order_id, slot = sold(purchase)
        (sold_s,) = (sale.sold_s for sale in self._scenario.sales if order_id == f"WR-{sale.number}")
        over = START + timedelta(seconds=sold_s, days=self._scenario.hold_days)
        is_early = self._scenario.hold_days and datetime.fromisoformat(purchase["at"]) < over
        return f"bought within its hold: {order_id}, {slot}" if is_early else None

    def _unearned(self, purchase: Mapping[str, Any]) -> str | None:
        """The error in a purchase that shop and policy did not let its order earn when it was made."""
        (order_id, slot), quantity = sold(purchase), purchase["quantity"]
        at = datetime.fromisoformat(purchase["at"]) - START - timedelta(seconds=self._scenario.later_s)
        possible = self._scenario.possible(order_id, slot, at.total_seconds())
        if slot in self._scenario.asks_above and possible:
            return None  # a person decided how much
        if quantity in possible or quantity in self._persons.decisions.get((order_id, slot), ()):
            return None  # as earned, or as a person reduced a sale that may be listed twice
        return f"not earned when it was bought: {order_id}, {slot}: {quantity} instead of {sorted(possible)}"

    def _confused(self, attention: Sequence[Mapping[str, Any]]) -> Container[Place]:
        """The parked purchases of which two may be one: a late answer made both doubtful, and none has a key."""
        if self._scenario.options.metadata == "echo":
            return ()
        is_customers = self._scenario.on_behalf_of == "customer"
        emails = {f"WR-{sale.number}": sale.email if is_customers else None for sale in self._scenario.sales}
        alike: dict[tuple[str, str | None], set[Place]] = {}
        for row in attention:
            if row["status"] == Status.PARKED and row["provider"] in KEYLESS:
                where = place(row["order_id"], row["slot"])
                alike.setdefault((row["reason"], emails.get(where[0])), set()).add(where)
        return {where for places in alike.values() if len(places) > 1 for where in places}

    def _would_show(self, provider: ProviderName, *, was_bought: bool) -> bool:
        """Whether a provider's answers decide what happened to a placement, whoever else buys there."""
        if provider in KEYLESS and self._other_buyers.are_busy and not was_bought:
            return False
        return not SELLERS[provider].decides_unless & self._scenario.options.poor

    def _mode(self, provider: ProviderName) -> str:
        """A provider, and the weaknesses that make it harder to find out what happened to a purchase there."""
        modes = sorted(name for name in self._scenario.options.poor if WEAKNESSES[name][0] == provider)
        if provider in KEYLESS:
            account = ECHO if self._scenario.options.metadata == "echo" else IGNORED
            modes.insert(0, BUSY if self._other_buyers.are_busy else account)
        return ", ".join([f"{provider}", *modes])

    def _count_doubts(self) -> Counter[ProviderName]:
        """The number of attempts that ended with an unknown effect."""
        query = (
            select(placements.c.provider, func.count())
            .select_from(events.join(placements))
            .where(events.c.from_status == Status.PLACING, events.c.to_status.in_([Status.IN_DOUBT, Status.PARKED]))
            .group_by(placements.c.provider)
        )
        with self._engine.connect() as connection:
            return Counter({ProviderName(name): count for name, count in connection.execute(query)})


class _World(Sandbox):
    """
    The providers, and a shop whose orders change while they are read.

    Args:
        scenario: The sales.
        clock: Gives the time.
    """

    def __init__(self, scenario: Scenario, clock: SimulatedClock) -> None:
        super().__init__(scenario.options, clock=clock)
        self._scenario = scenario
        self._chaff = scenario.chaff
        #: When each purchase was seen to be cancelled, by its name, in seconds.
        self.cancelled_s: dict[str, float] = {}

    def open_shop(self) -> None:
        """Open a new listing for a run: an item missing once from another listing may be missing from this one."""
        self.shop.orders = self._orders()

    @contextmanager
    def exchange(self, request: Request) -> Iterator[Reply]:
        """Answer as ``Sandbox.exchange`` does, with the current orders; one without earnings goes between pages."""
        if request.path.startswith("/wickedreports/"):
            if "next=" in request.query and self._chaff:
                self._chaff -= 1
            self.shop.orders[:] = self._orders()
        with super().exchange(request) as reply:
            yield reply
        if self._scenario.undoes_s:
            now_s = asyncio.get_running_loop().time()
            self.cancelled_s |= {
                each.ref: now_s for each in self.books.purchases if each.cancelled and each.ref not in self.cancelled_s
            }

    def _orders(self) -> list[dict[str, Any]]:
        return self._scenario.orders(asyncio.get_running_loop().time(), self._chaff)


def _new_loop() -> SimulatedLoop:
    loop = SimulatedLoop()
    loop.disk = on_disk
    loop.set_task_factory(begin_task)
    return loop


#: The attempts between two events; a doubt's attempt may buy where the provider is asked to sell again.
_SENT = (
    select(orders.c.order_id, placements.c.slot, placements.c.provider)
    .join(placements, placements.c.order == orders.c.id)
    .join(events, events.c.placement == placements.c.id)
    .where(
        events.c.id > bindparam("first"),
        events.c.id <= bindparam("last"),
        or_(
            events.c.to_status == Status.PLACING.value,
            and_(
                events.c.from_status == Status.IN_DOUBT.value,
                events.c.to_status == Status.IN_DOUBT.value,
                events.c.detail.is_(None),
                placements.c.provider.not_in(sorted(KEYLESS)),
            ),
        ),
    )
)
#: The statuses that a simulation may leave placements in.
_ENDS = frozenset({Status.COMPLETED, Status.PARKED, Status.CANCELLED, Status.COVERED, Status.AWAITING_APPROVAL})


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
