"""
Settle what is in doubt: the core is ``impactflow.reconcile``.

``place_impacts`` settles too; this one does nothing else, so it may run often and buys only what repeats safely. On a
terminal: ``impactflow reconcile``.
"""

import asyncio
import time
from typing import Any

from prefect import flow

from impactflow.models import ProviderName
from impactflow.outcome import Outcome
from impactflow.patience import Round, work_off
from impactflow.run import Run
from tasks.context import flow_context
from tasks.reconciliation import settle_doubts
from tasks.reporting import publish_report, publish_summary


@flow(name="reconcile_providers", flow_run_name="reconcile", persist_result=False)
async def reconcile_providers(patience_s: float = 30.0) -> dict[str, Any]:
    """
    Find out what became of every placement whose answer was lost.

    Args:
        patience_s: Go on until what is due lies further off than this many seconds.
    """
    began = time.monotonic()
    async with flow_context() as run:
        rounds = await asyncio.gather(*(settle_all(run, provider, patience_s) for provider in ProviderName))
        report = await publish_report(f"reconciled-{run.clock.now():%Y%m%d-%H%M%S}")
        overall = await run.ledger.counts()
        outcome = Outcome(
            planned=None,
            in_window=overall,
            overall=overall,
            broken=await run.ledger.broken_count(),
            halted=dict(zip(ProviderName, rounds, strict=True)),
            requests=run.transport.requests,
            duration_s=time.monotonic() - began,
            report=report,
        )
        await publish_summary("reconcile-providers", outcome.in_words())
        return outcome.as_json()


async def settle_all(run: Run, provider: ProviderName, patience_s: float) -> Round:
    """Settle at one provider until nothing is due that is worth waiting for."""

    async def once() -> Round:
        return await settle_doubts(provider)

    return await work_off(run.ledger, run.clock, provider, patience_s, once, places=False)
