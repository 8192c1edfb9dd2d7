"""
Read again what may have been refunded, and undo what was bought for it: the core is ``impactflow.buying.cancelling``.

It buys nothing. What was bought is cancelled at the provider where the policy says ``refunds: {full: undo}``; where it
undoes nothing, no orders are read. What waits to be bought for a refunded order is withdrawn, as by any run that reads
orders. On a terminal: ``impactflow refunds``.
"""

import time
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from impactflow.accounts import Halt
from impactflow.buying.cancelling import CANCELLED_UNASKED, CancelPass, undoing
from impactflow.buying.hosts import refuse_hosts
from impactflow.buying.run import Run
from impactflow.intake.planning import watched
from impactflow.ledger import Status, Undoing
from impactflow.models import ProviderName
from impactflow.policy import load_policy
from impactflow.reports.refunded import RefundsOutcome
from impactflow.taskgroup import side_by_side
from tasks.announcing import announce
from tasks.checking import check_ledger
from tasks.context import flow_context
from tasks.events import process_deliveries
from tasks.naming import run_name
from tasks.orders import plan_orders
from tasks.refunds import cancel_batch
from tasks.reporting import publish_cancelled, publish_summary

NoneOrMore = Annotated[int, Field(ge=0)]


def _name() -> str:
    return run_name("undo refunds")


@flow(name="cancel_refunds", flow_run_name=_name, persist_result=False)
async def cancel_refunds(
    policy_file: str = "", *, cancel_up_to: NoneOrMore = CANCELLED_UNASKED, again: bool = False
) -> RefundsOutcome:
    """
    Read the orders of the last 60 days again, and undo what was bought for those that were given back.

    Args:
        policy_file: The policy's path; by default IMPACTFLOW_POLICY.
        cancel_up_to: How many purchases may be cancelled at each provider; where there are more, none is.
        again: Ask again about purchases that a provider has refused to cancel.
    """
    began = time.monotonic()
    async with flow_context(reports=False) as run:
        policy = load_policy(Path(policy_file) if policy_file else run.settings.impactflow_policy)
        refuse_hosts(policy, run.settings)
        of_now = partial(undoing, run.ledger, policy, run.clock, run.config.settle_s, again=again)
        planned, window, began_at, before = None, None, None, await of_now()
        if before.slots or await run.ledger.to_cancel_at(before):
            oldest, began_at = await run.ledger.oldest_to_cancel(before), run.clock.now()
            window = watched(run.clock.now().date(), oldest and oldest.date())
            planned = await plan_orders(policy, window, moves_watermark=False)
        await process_deliveries(policy)  # the last word before anything is cancelled
        wanted = await of_now(listed_since=began_at or run.clock.now())  # only what was read since this run began to
        providers = await run.ledger.to_cancel_at(wanted)
        refuse_hosts(policy, run.settings, providers)
        passes = await cancel_all(run, wanted, providers, cancel_up_to)
        changed = await run.ledger.changed(run.id, after=run.mark)
        ended = sum(group.count for group in changed if group.status is Status.CANCELLED)
        outcome = RefundsOutcome(
            planned,
            window,
            await run.ledger.given_back(replace(wanted, at=run.clock.now())),
            withdrawn=ended - sum(done.cancelled for done in passes.values()),
            passes=passes,
            requests=run.transport.requests,
            duration_s=time.monotonic() - began,
        )
        await publish_cancelled(outcome.cancelled_purchases)
        await publish_summary("cancel-refunds", outcome.in_words())
        await announce()
        return outcome


async def cancel_all(
    run: Run, wanted: Undoing, providers: AbstractSet[ProviderName], up_to: int
) -> dict[ProviderName, CancelPass]:
    """Cancel purchases at these providers, side by side; those without a key are left alone."""
    keyless = {
        name: CancelPass(halted=Halt(f"the key of {name} is not set")) for name in providers if run.without_key(name)
    }
    names = sorted(providers - keyless.keys())
    silent = await check_ledger(names, None) if names else {}
    asked = [name for name in names if name not in silent]
    passes = await side_by_side(cancel_batch(name, wanted, up_to) for name in asked)
    left = {name: CancelPass(halted=done.halted) for name, done in silent.items()}
    return keyless | left | dict(zip(asked, passes, strict=True))
