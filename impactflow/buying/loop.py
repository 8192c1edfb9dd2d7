"""
The loop of every run that buys: settle what is in doubt, then send what is planned, until nothing is due soon.

Flows, the simulation and the tests run this one loop. Only how a step is carried out differs: a flow makes each step a
task, so that Prefect shows it; everybody else calls the core, by ``steps_of``.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from impactflow.buying.reconcile import Settled, settle
from impactflow.buying.rounds import Round, work_off
from impactflow.buying.run import Run
from impactflow.buying.sweep import Sweep, Swept
from impactflow.errors import Unauthorized
from impactflow.intake.planning import policy_digest
from impactflow.ledger import UNRESOLVED
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.taskgroup import side_by_side

#: The most placements of one sweep. Requests drain at its end, so the number is large.
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Steps:
    """
    How a run carries out each step at a provider.

    Args:
        check: Hold the ledger against the provider's newest records; why nothing may be sent there yet, else None.
        settle: Settle the doubts that are due.
        place: Send the placements that are due.
    """

    check: Callable[[ProviderName], Awaitable[Round | None]]
    settle: Callable[[ProviderName], Awaitable[Round]]
    place: Callable[[ProviderName], Awaitable[Round]]


def steps_of(run: Run, policy: Policy) -> Steps:
    """The steps as plain calls of the core."""

    async def check(provider: ProviderName) -> Round | None:
        return (await check_at(run, [provider], policy)).get(provider)

    async def settle_there(provider: ProviderName) -> Round:
        return round_of(await settle_at(run, provider, policy.store))

    async def place(provider: ProviderName) -> Round:
        return round_of(await sweep_at(run, provider, policy).run())

    return Steps(check, settle_there, place)


async def buy(run: Run, policy: Policy, patience_s: float, steps: Steps) -> dict[ProviderName, Round]:
    """
    Settle and place at every provider side by side, until nothing is due that is worth waiting for.

    Args:
        run: The run.
        policy: The policy under which planned placements are sent.
        patience_s: How far off the next thing due may lie, in seconds.
        steps: How each step is carried out.

    Returns:
        What the rounds at each provider came to.

    Raises:
        LedgerError: The ledger failed; what was sent before is recorded, or in doubt.
    """
    rounds = await side_by_side(buy_at(run, provider, policy, patience_s, steps) for provider in ProviderName)
    return dict(zip(ProviderName, rounds, strict=True))


async def buy_at(run: Run, provider: ProviderName, policy: Policy, patience_s: float, steps: Steps) -> Round:
    """
    Settle and place at one provider.

    Nothing is sent where the ledger could not be held against the provider's newest records yet.
    """

    async def once() -> Round:
        if provider not in run.checked and (silent := await steps.check(provider)):
            return silent
        unresolved_at = await run.ledger.next_due(provider, policy.store, UNRESOLVED, now=run.clock.now())
        if unresolved_at is None or unresolved_at > run.clock.now():
            return await steps.place(provider)
        settled = await steps.settle(provider)
        return settled if settled.unauthorized else settled + await steps.place(provider)

    digest = policy_digest(policy)
    return await work_off(run.ledger, run.clock, provider, policy.store, patience_s, once, policy=digest)


async def check_at(run: Run, providers: Sequence[ProviderName], policy: Policy | None) -> dict[ProviderName, Round]:
    """
    Hold the ledger against the newest records of some providers; see ``impactflow.adoption``.

    Returns:
        Why nothing may be sent to those that did not answer.

    Raises:
        PurchasesUnknown: The store has bought what the ledger does not know: nothing may be sent at all.
    """
    silent = await run.check_ledger(providers, policy)
    return {name: Round(0, str(error), unauthorized=isinstance(error, Unauthorized)) for name, error in silent.items()}


async def settle_at(run: Run, provider: ProviderName, store: str) -> Settled:
    """Settle a store's doubts that are due at one provider; see ``impactflow.buying.reconcile``."""
    return await settle(run.account(provider, store))


def sweep_at(
    run: Run,
    provider: ProviderName,
    policy: Policy,
    *,
    limit: int = BATCH,
    report: Callable[[Swept], None] = lambda _: None,
) -> Sweep:
    """A sweep over what is due at one provider under a policy; see ``impactflow.buying.sweep``."""
    account, digest = run.account(provider, policy.store), policy_digest(policy)
    return Sweep(account, policy=digest, limit=limit, failed_sends=run.failed_sends, report=report)


def round_of(done: Settled | Swept) -> Round:
    """What settling or a sweep came to, as a part of a round."""
    changed = done.sent if isinstance(done, Swept) else done.changed
    return Round(changed, done.halted, done.unauthorized)
