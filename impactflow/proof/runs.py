"""
The work of impactflow's commands, in the calls that its flows make; the flows themselves need Prefect.

When a flow changes, its function here changes with it.
"""

from collections.abc import Iterable

from impactflow import audit
from impactflow.audit import Audit, Finding
from impactflow.buying.cancelling import CANCELLED_UNASKED, Cancelling, undoing
from impactflow.buying.loop import buy, steps_of
from impactflow.buying.run import Run
from impactflow.buying.tracking import Tracking
from impactflow.intake import planning
from impactflow.intake.deliveries import process
from impactflow.intake.planning import Preview
from impactflow.models import ProviderName
from impactflow.policy import Policy


async def place(run: Run, policy: Policy, patience_s: float) -> None:
    """
    Buy what is new, as ``flows/place_impacts.py`` does.

    Raises:
        ImpactError: The run failed; the next run continues the work left over.
    """
    await run.check_ledger(providers_of(policy), policy)
    window = await planning.choose_window(run.ledger, policy, None, None, run.clock)
    await process(run.ledger, policy, run.clock, run.id)
    await planning.plan(run.ledger, run.order_source(), policy, window, run.clock, run.id, moves_watermark=True)
    await buy(run, policy, patience_s, steps_of(run, policy))


async def preview(run: Run, policy: Policy) -> Preview:
    """Return what ``place`` would buy, as its dry run shows it."""
    window = await planning.choose_window(run.ledger, policy, None, None, run.clock)
    return await planning.preview(run.ledger, run.order_source(), policy, window, run.clock)


async def track(run: Run, *, everything: bool) -> None:
    """Ask for the progress of purchases, as ``flows/track_placements.py`` does."""
    store = await run.store()
    for name in sorted(await run.ledger.open_at(store)):
        await Tracking(run.account(name, store), everything=everything).run()


async def cancel_refunds(run: Run, policy: Policy) -> None:
    """
    Undo what was bought for refunded orders, as ``flows/cancel_refunds.py`` does.

    Raises:
        ImpactError: The run failed; the next run continues the work left over.
    """
    began_at = run.clock.now()
    oldest = await run.ledger.oldest_to_cancel(await undoing(run.ledger, policy, run.clock, run.config.settle_s))
    window = planning.watched(run.clock.now().date(), oldest and oldest.date())
    await planning.plan(run.ledger, run.order_source(), policy, window, run.clock, run.id, moves_watermark=False)
    await process(run.ledger, policy, run.clock, run.id)
    wanted = await undoing(run.ledger, policy, run.clock, run.config.settle_s, listed_since=began_at)
    names = sorted(await run.ledger.to_cancel_at(wanted))
    silent = await run.check_ledger(names, None)
    for name in names:
        if name not in silent:
            await Cancelling(run.account(name, policy.store), wanted, CANCELLED_UNASKED).run()


async def reconcile(run: Run, providers: Iterable[ProviderName], *, repair: bool) -> list[Finding]:
    """
    Compare the ledger with the providers' records, as ``flows/reconcile_providers.py`` does when it audits.

    Raises:
        PurchasesUnknown: Repairs were asked for, with a ledger that is not the one that has bought.
    """
    if repair:
        await run.check_ledger(list(providers), None)
    window = audit.choose_window(None, None, today=run.clock.now().date())
    store, found = await run.store(), []
    for name in providers:
        auditing = Audit(run.account(name, store), window, repair=repair)
        found += [finding async for finding in auditing.run()]
    return found


def providers_of(policy: Policy) -> list[ProviderName]:
    """The providers that a policy buys from."""
    return sorted({rule.provider for rule in policy.rules})
