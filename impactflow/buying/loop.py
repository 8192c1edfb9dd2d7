"""
The loop of every run that buys: resolve the doubts, then send the planned placements, until nothing is due soon.

Flows, the simulation and the tests run this one loop. They differ only in how they carry out a step: a flow makes each
step a task, so that Prefect shows it; all others call the core, by ``steps_of``.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from impactflow.accounts import Halt
from impactflow.buying.reconcile import Resolved, resolve
from impactflow.buying.rounds import Round, work_off
from impactflow.buying.run import Run
from impactflow.buying.sweep import Sweep, Swept
from impactflow.ledger import UNRESOLVED, Drawing, Fresh
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.taskgroup import side_by_side

#: The most placements of one sweep. Requests drain at its end, so the number is large.
BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Steps:
    """
    The steps of a run at a provider.

    Args:
        check: Compare the ledger with the provider's newest records; return why nothing may be sent yet, else None.
        resolve: Resolve the doubts that are due.
        place: Send the placements that are due.
    """

    check: Callable[[ProviderName], Awaitable[Round | None]]
    resolve: Callable[[ProviderName], Awaitable[Round]]
    place: Callable[[ProviderName], Awaitable[Round]]


def steps_of(run: Run, policy: Policy) -> Steps:
    """The steps as plain calls of the core."""

    async def check(provider: ProviderName) -> Round | None:
        return (await check_at(run, [provider], policy)).get(provider)

    async def resolve_there(provider: ProviderName) -> Round:
        return round_of(await resolve_at(run, provider, policy.store))

    async def place(provider: ProviderName) -> Round:
        return round_of(await sweep_at(run, provider, policy).run())

    return Steps(check, resolve_there, place)


async def buy(run: Run, policy: Policy, patience_s: float, steps: Steps) -> dict[ProviderName, Round]:
    """
    Resolve doubts and place at every provider side by side, until nothing is due within the run's patience.

    Under caps that several providers share, each keeps the room for older orders at the others. What those that sell
    nothing did not use goes to the others in a second round. First, credit is used and purchases for many orders are
    drawn.

    Args:
        run: The run.
        policy: The policy under which planned placements are sent.
        patience_s: How far off the next thing due may lie, in seconds.
        steps: The functions that carry out each step.

    Returns:
        The result of the rounds at each provider.

    Raises:
        LedgerError: The ledger failed; the placements sent before are recorded, or in doubt.
    """

    async def buy_from(names: Sequence[ProviderName]) -> dict[ProviderName, Round]:
        rounds = await side_by_side(buy_at(run, name, policy, patience_s, steps) for name in names)
        return dict(zip(names, rounds, strict=True))

    run.left_alone.clear()
    unbalanced = await run.ledger.unbalanced(policy.store)
    if policy.is_pooled or unbalanced:
        now = run.clock.now()
        fresh = Fresh.at(policy.digest, now)
        await run.ledger.draw_lots(Drawing(policy.store, policy.pools_at(now, unbalanced), fresh, now, run.id))
    rounds = await buy_from(list(ProviderName))
    if not policy.caps:
        return rounds
    run.left_alone.update(name for name, done in rounds.items() if done.halted)
    run.left_alone.update(await run.ledger.failing(policy.store))
    if run.left_alone:
        others = await buy_from([name for name in ProviderName if name not in run.left_alone])
        rounds |= {name: rounds[name] + more for name, more in others.items()}
    return rounds


async def buy_at(run: Run, provider: ProviderName, policy: Policy, patience_s: float, steps: Steps) -> Round:
    """
    Resolve doubts and place at one provider.

    Nothing is sent where the ledger could not be compared with the provider's newest records yet.
    """

    async def once() -> Round:
        if provider not in run.checked and (silent := await steps.check(provider)):
            return silent
        unresolved_at = await run.ledger.next_due(provider, policy.store, UNRESOLVED, now=run.clock.now())
        if unresolved_at is None or unresolved_at > run.clock.now():
            return await steps.place(provider)
        resolved = await steps.resolve(provider)
        return resolved if resolved.halted.unauthorized else resolved + await steps.place(provider)

    digest = policy.digest
    return await work_off(run.ledger, run.clock, provider, policy.store, patience_s, once, policy=digest)


async def check_at(run: Run, providers: Sequence[ProviderName], policy: Policy | None) -> dict[ProviderName, Round]:
    """
    Compare the ledger with the newest records of some providers; see ``impactflow.adoption``.

    Returns:
        The reason why nothing may be sent to providers that did not answer.

    Raises:
        PurchasesUnknown: The store has made purchases that the ledger does not know: nothing may be sent at all.
    """
    silent = await run.check_ledger(providers, policy)
    return {name: Round(0, Halt.after(error)) for name, error in silent.items()}


async def resolve_at(run: Run, provider: ProviderName, store: str) -> Resolved:
    """Resolve a store's doubts that are due at one provider; see ``impactflow.buying.reconcile``."""
    return await resolve(run.account(provider, store))


def sweep_at(
    run: Run,
    provider: ProviderName,
    policy: Policy,
    *,
    limit: int = BATCH,
    report: Callable[[Swept], None] = lambda _: None,
) -> Sweep:
    """Sweep the placements that are due at one provider under a policy; see ``impactflow.buying.sweep``."""
    return Sweep(
        run.account(provider, policy.store),
        policy=policy.digest,
        limit=limit,
        caps=policy.caps_at,
        left_alone=run.left_alone,
        failed_sends=run.failed_sends,
        report=report,
    )


def round_of(done: Resolved | Swept) -> Round:
    """Return the result of resolving doubts, or of a sweep, as a part of a round."""
    changed = done.sent if isinstance(done, Swept) else done.changed
    return Round(changed, done.halted)
