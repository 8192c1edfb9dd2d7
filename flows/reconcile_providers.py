"""
Resolve doubts, and compare the ledger with the providers' records: ``buying.reconcile``, ``audit``.

``place_impacts`` resolves doubts, too. This flow reads no orders, so it may run often, and buys only what repeats
safely. On a terminal: ``impactflow reconcile``.
"""

import time
from datetime import date
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from impactflow.accounts import Halt
from impactflow.audit import CANCELLED_UNASKED, choose_window
from impactflow.buying.hosts import wrong_by_file
from impactflow.buying.rounds import Round, work_off
from impactflow.buying.run import Run
from impactflow.errors import ConfigurationError
from impactflow.models import ProviderName
from impactflow.reports.reconciled import ReconcileOutcome
from impactflow.reports.summary import LedgerState, Outcome
from impactflow.taskgroup import side_by_side
from impactflow.window import Window
from tasks.announcing import announce
from tasks.checking import check_ledger
from tasks.context import flow_context
from tasks.naming import run_name
from tasks.reconciliation import audit_providers, resolve_doubts
from tasks.reporting import publish_audit, publish_report, publish_summary

NoneOrMore = Annotated[int, Field(ge=0)]


def _name() -> str:
    return run_name("reconcile and audit" if flow_run.get_parameters().get("audit") else "reconcile")


@flow(name="reconcile_providers", flow_run_name=_name, persist_result=False)
async def reconcile_providers(
    patience_s: float = 30.0,
    *,
    audit: bool = False,
    from_day: date | None = None,
    to_day: date | None = None,
    repair: bool = False,
    cancel_up_to: NoneOrMore = CANCELLED_UNASKED,
) -> ReconcileOutcome:
    """
    Find out what became of every placement whose answer was lost; then compare with the providers' own records.

    Args:
        patience_s: Go on until what is due lies further off than this many seconds.
        audit: Compare what was bought with the providers' records.
        from_day: First day of purchases to audit, UTC; by default 60 days ago.
        to_day: Last day of purchases to audit, included; by default today.
        repair: Cancel proven duplicates, record proven purchases and cancellations; buys nothing.
        cancel_up_to: How many duplicates may be cancelled at each provider; where there are more, none is.
    """
    began = time.monotonic()
    async with flow_context() as run:
        window = _window(run, from_day, to_day) if audit else None
        if window is None and (from_day or to_day or repair):
            raise ConfigurationError("from_day, to_day and repair belong to an audit: set audit too")
        store = await run.store()
        used = await run.ledger.used(store)
        refused = wrong_by_file(run.settings, used)  # a doubt may be sent again
        if repair and refused:
            raise ConfigurationError("; ".join(refused.values()))
        if repair:
            await check_ledger(sorted(used), None)
        asked = [name for name in ProviderName if name not in refused]
        resolved_at = await side_by_side(resolve_all(run, provider, store, patience_s) for provider in asked)
        rounds = {name: Round(0, Halt(why)) for name, why in refused.items()}
        rounds |= dict(zip(asked, resolved_at, strict=True))
        audited = await audit_providers(window, store, repair=repair, cancel_up_to=cancel_up_to) if window else None
        report = await publish_report(f"reconciled-{run.clock.now():%Y%m%d-%H%M%S}")
        resolved = Outcome(
            None,
            await LedgerState.read(run),
            rounds,
            requests=run.transport.requests,
            duration_s=time.monotonic() - began,
            report=report,
        )
        outcome = ReconcileOutcome(resolved, audited)
        await publish_summary("reconcile-providers", outcome.in_words())
        await announce()
        if audited:
            await publish_audit(audited)
        return outcome


def _window(run: Run, from_day: date | None, to_day: date | None) -> Window:
    from_text, to_text = (None if day is None else day.isoformat() for day in (from_day, to_day))
    return choose_window(from_text, to_text, today=run.clock.now().date())


async def resolve_all(run: Run, provider: ProviderName, store: str, patience_s: float) -> Round:
    """Resolve a store's doubts at one provider until none is due that is worth waiting for."""

    async def once() -> Round:
        return await resolve_doubts(provider, store)

    return await work_off(run.ledger, run.clock, provider, store, patience_s, once, policy=None)
