"""
Buy the impacts earned by orders that came by webhook: the core is ``impactflow.intake.deliveries`` and ``buying``.

The receiver stores deliveries and starts a run. A run processes stored deliveries until none is left, so one run at a
time is enough. ``place_impacts`` processes them, too.
"""

import time
from pathlib import Path

from prefect import flow

from impactflow.intake.deliveries import Processed
from impactflow.policy import load_policy
from impactflow.reports.summary import LedgerState, Outcome
from tasks.announcing import announce
from tasks.buying import buy_all
from tasks.checking import check_ledger
from tasks.context import flow_context
from tasks.events import process_deliveries
from tasks.naming import run_name
from tasks.reporting import publish_report, publish_summary
from tasks.tracking import track_batch


def _name() -> str:
    return run_name("place", "what webhooks told")


@flow(name="place_events", flow_run_name=_name, persist_result=False)
async def place_events(policy_file: str = "", patience_s: float = 10.0) -> Outcome:
    """
    Take up stored webhook deliveries, buy what each order has earned, once each, and report.

    Args:
        policy_file: The policy's path; by default IMPACTFLOW_POLICY.
        patience_s: Go on until what is due lies further off than this many seconds.
    """
    began = time.monotonic()
    async with flow_context() as run:
        policy = load_policy(Path(policy_file) if policy_file else run.settings.impactflow_policy)
        run.require_sellers({rule.provider for rule in policy.rules})
        await check_ledger(sorted({rule.provider for rule in policy.rules}), policy)
        taken = Processed()
        while True:
            now_taken = await process_deliveries(policy)
            taken += now_taken
            for provider in sorted(now_taken.due_at):
                await track_batch(provider, policy.store, everything=False)
            halted = await buy_all(policy, patience_s)
            report = await publish_report(f"events-{run.clock.now():%Y%m%d}")
            outcome = Outcome(
                taken.planned,
                await LedgerState.read(run, policy),
                halted,
                requests=run.transport.requests,
                duration_s=time.monotonic() - began,
                report=report,
                rates=policy.remark_on_rates(run.clock.now().date()),
                webhooks=taken,
            )
            await publish_summary("place-events", outcome.in_words())
            await announce(policy)
            # Asked last, for a run that is created meanwhile is cancelled.
            if await run.ledger.pending_since(policy.store) is None:
                return outcome
