"""
A small world to buy in: a shop's orders, the pretend providers, settings that point at them, and runs.

Everything is in-process and under a virtual clock; only the ledger is a real file or database.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx
from virtual_time import START, VirtualClock

from impactflow.buying.loop import Steps, buy, buy_at, steps_of, sweep_at
from impactflow.buying.rounds import Round
from impactflow.buying.run import Run, open_run
from impactflow.buying.sweep import Swept
from impactflow.buying.tracking import Tracked, Tracking
from impactflow.intake.planning import plan
from impactflow.ledger import Fresh, Status
from impactflow.models import ProviderName, provider_ref
from impactflow.policy import Policy
from impactflow.sandbox import Faults, Options, Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport
from impactflow.settings import Settings
from impactflow.window import Window

TREES = {"slot": "trees", "provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_order": 1}}
OFFSET = {"slot": "offset", "provider": "cnaught", "impact": "offset", "quantity": {"per_item": Decimal("2.5")}}
GIVING = {
    "slot": "giving",
    "provider": "impactapi",
    "impact": "donate",
    "campaign": "trees-for-the-future",
    "quantity": {"percent_of_order": 1},
}
RULE_OF = {ProviderName.ONECLICKIMPACT: TREES, ProviderName.CNAUGHT: OFFSET, ProviderName.IMPACTAPI: GIVING}
#: Long enough that whatever can be worked off is worked off.
PATIENCE_S = 5_000.0


def sold(number: int, **fields: Any) -> dict[str, Any]:
    """An order of two items for 80 USD, sold an hour before the test begins; a field that is None is left out."""
    order = {
        "id": f"WR-{number}",
        "sourceId": f"{1000 + number}",
        "sourceSystem": "shopify",
        "date": (START - timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
        "contact": {"id": f"C{number}", "email": f"customer{number}@example.com"},
        "products": [{"id": "P1", "name": "Apron", "qty": 2, "PPU": 40}],
        "payments": [{"date": "2026-03-02T11:00:00", "status": "APPROVED", "amount": 80}],
        "amount": 80,
        "currency": "USD",
    }
    return {name: value for name, value in (order | fields).items() if value is not None}


def policy_of(*rules: Mapping[str, Any], **fields: Any) -> Policy:
    """A policy with these rules; by default one for each provider."""
    return Policy.model_validate({"store": "acme", "rules": list(rules or (TREES, OFFSET, GIVING)), **fields})


#: The policy that each run works with, by the run's identity: what it planned last, or the world's.
_POLICY_OF: dict[int, Policy] = {}


def policy_for(run: Run) -> Policy:
    """The policy that a run works with."""
    return _POLICY_OF[id(run)]


def works_under(run: Run) -> str:
    """The digest of the policy that a run works with."""
    return _POLICY_OF[id(run)].digest


def fresh_of(run: Run) -> Fresh:
    """What a run may send now."""
    return Fresh.at(works_under(run), run.clock.now())


@dataclass
class World:
    """
    A shop, its policy, the providers and the ledger.

    Attributes:
        carrier: What carries requests to the sandbox; a test may put something else in its place.
    """

    clock: VirtualClock
    sandbox: Sandbox
    settings: Settings
    policy: Policy
    carrier: httpx.AsyncBaseTransport
    _runs: Iterable[int] = field(default_factory=lambda: count(1))

    @asynccontextmanager
    async def run(self, **settings: Any) -> AsyncIterator[Run]:
        """A run; settings by their field names replace the world's."""
        chosen = self.settings.model_copy(update=settings)
        run_id = f"run-{next(iter(self._runs))}"
        async with open_run(chosen, run_id, clock=self.clock, transport=self.carrier) as run:
            _POLICY_OF[id(run)] = self.policy
            yield run

    async def plan(self, run: Run, policy: Policy | None = None) -> None:
        """Plan the last days' orders."""
        _POLICY_OF[id(run)] = policy or self.policy
        today = self.clock.now().date()
        window = Window(today - timedelta(days=7), today, open_ended=True)
        await plan(
            run.ledger, run.order_source(), policy or self.policy, window, run.clock, run.id, moves_watermark=True
        )

    def works_under(self, run: Run, policy: Policy) -> None:
        """From now on a run works with this policy."""
        _POLICY_OF[id(run)] = policy

    async def place_all(self, run: Run, patience_s: float = PATIENCE_S) -> dict[ProviderName, Round]:
        """Settle and place at every provider side by side, as the flow does."""
        return await buy(run, policy_for(run), patience_s, unchecked(run))

    @property
    def purchases(self) -> list[dict[str, Any]]:
        """What the providers believe was bought."""
        self.sandbox.catch_up()
        return self.sandbox.books.as_json()["purchases"]


def make_world(
    clock: VirtualClock,
    ledger_url: str,
    *,
    orders: Iterable[Any] = (),
    policy: Policy | None = None,
    faults: str = "",
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> World:
    """A world whose runs wait long enough for whatever its faults make late."""
    sandbox = Sandbox(Options(faults=Faults.parse(faults), **options), clock=clock, orders=orders)
    chosen = {name.lower(): value for name, value in environment("http://127.0.0.1").items()}
    times = {"impactflow_lease_s": 60, "impactflow_request_timeout_s": 5, "impactflow_settle_s": 30}
    more = {"impactflow_ledger_url": ledger_url, "impactflow_concurrency": 8, **(settings or {})}
    made = Settings(_env_file=None, **(chosen | times | more))
    return World(clock, sandbox, made, policy or policy_of(), SandboxTransport(sandbox))


def unchecked(run: Run) -> Steps:
    """The steps of a run that does not hold its ledger against the providers' newest records first."""

    async def check(_: ProviderName) -> None:
        """See nothing."""

    return replace(steps_of(run, policy_for(run)), check=check)


async def sweep(run: Run, provider: ProviderName, limit: int = 10_000) -> Swept:
    """One sweep over what is due."""
    return await sweep_at(run, provider, policy_for(run), limit=limit).run()


async def track(run: Run, provider: ProviderName, *, everything: bool = False) -> Tracked:
    """One pass of tracking."""
    tracking = Tracking(run.account(provider, policy_for(run).store), everything=everything)
    return await tracking.run()


async def work(run: Run, provider: ProviderName, patience_s: float = PATIENCE_S) -> Round:
    """Settle and place at one provider until nothing is due that is worth waiting for."""
    return await buy_at(run, provider, policy_for(run), patience_s, unchecked(run))


async def statuses(run: Run) -> dict[str, int]:
    """How many placements there are by status."""
    found: Counter[str] = Counter()
    for (_, status), number in (await run.ledger.counts()).items():
        found[status.value] += number
    return dict(found)


async def differences(world: World, run: Run) -> dict[str, list[str]]:
    """Where the providers' books and the ledger disagree, by the placement's key; all lists empty where they agree."""
    bought: dict[str, list[dict[str, Any]]] = {}
    for purchase in world.purchases:
        bought.setdefault(purchase["impactflow_key"], []).append(purchase)
    recorded = {row["key"]: row for row in await run.ledger.purchases()}
    both = bought.keys() & recorded.keys()
    return {
        "twice": [key for key, purchases in bought.items() if len(purchases) > 1],
        "unrecorded": sorted(bought.keys() - recorded.keys()),
        "not bought": sorted(recorded.keys() - bought.keys()),
        "wrong": [key for key in both if not _same(bought[key][0], recorded[key])],
    }


def _same(purchase: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    names = ("provider", "kind", "unit", "quantity", "order_id")
    return [purchase[name] for name in names] == [row[name] for name in names] and (
        purchase["ref"] == provider_ref(row["ref"])
    )


#: What ``differences`` finds where the books and the ledger agree.
NONE_DIFFER: dict[str, list[str]] = {"twice": [], "unrecorded": [], "not bought": [], "wrong": []}
#: Statuses that are an end, or from where only the provider's progress leads on.
DONE = {Status.PLACED, Status.COMPLETED}
