"""
Tasks that compare the ledger with the providers' records: resolve doubts, audit, carry out a person's ruling.

Resolving a doubt may complete a purchase, an audit may cancel one that was made twice, and a ruling may plan one again:
Prefect neither caches nor retries them.
"""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.accounts import StoreAccount
from impactflow.audit import CANCELLED_UNASKED, COLUMNS, Audit, Finding
from impactflow.buying.loop import resolve_at, round_of
from impactflow.buying.rounds import Round
from impactflow.buying.rulings import Ruled, Ruling
from impactflow.buying.rulings import settle as carry_out
from impactflow.buying.run import Run
from impactflow.errors import ConfigurationError
from impactflow.models import ProviderName
from impactflow.reports.files import csv_rows
from impactflow.reports.reconciled import AuditOutcome
from impactflow.taskgroup import together
from impactflow.window import Window
from tasks.context import current_run

log = logging.getLogger(__name__)

#: The number of findings that a person sees; all of them are in the CSV file.
_SHOWN = 100


@task(name="resolve_doubts", task_run_name="resolve doubts at {provider}", cache_policy=NO_CACHE)
async def resolve_doubts(provider: ProviderName, store: str) -> Round:
    """Resolve a store's due doubts at one provider; see ``impactflow.buying.reconcile``."""
    run = current_run()
    resolved = await resolve_at(run, provider, store)
    log.info(
        "%s: of the doubts %d are placed, %d planned again, %d failed, %d parked, %d still open%s",
        provider, resolved.placed, resolved.planned, resolved.failed, resolved.parked, resolved.open,
        f"; {resolved.halted}" if resolved.halted else "",
        extra={"action": "doubts_resolved"},
    )  # fmt: skip
    return round_of(resolved)


@task(name="audit_providers", task_run_name="audit {window.from_}..{window.to}", cache_policy=NO_CACHE, retries=0)
async def audit_providers(
    window: Window, store: str, *, repair: bool, cancel_up_to: int = CANCELLED_UNASKED
) -> AuditOutcome:
    """Compare a store's purchases with the records of each provider, side by side; see ``impactflow.audit``."""
    run = current_run()
    audits = [
        Audit(account, window, repair=repair, cancel_up_to=cancel_up_to) for account in await _accounts(run, store)
    ]
    shown: list[Finding] = []
    name = f"audit-{run.clock.now():%Y%m%d-%H%M%S}"
    with csv_rows(run.settings.impactflow_reports, name, COLUMNS) as file:

        async def write_findings(audit: Audit) -> None:
            async for finding in audit.run():
                file.write(finding.as_row())
                if len(shown) < _SHOWN:
                    shown.append(finding)

        async with together() as group:
            for audit in audits:
                group.create_task(write_findings(audit))
    for audit in audits:
        tally = audit.tally
        log.info(
            "audit of %s: %d records, %d purchases agree, %d records are not ours, %d findings, %d of them repaired%s",
            audit.name, tally.read, tally.agreed, tally.not_ours, tally.found.total(), tally.repaired,
            f"; ended early: {tally.halted}" if tally.halted else "",
            extra={"action": "provider_audited"},
        )  # fmt: skip
    return AuditOutcome(window, {audit.name: audit.tally for audit in audits}, shown, file.path_or_reason)


async def _accounts(run: Run, store: str) -> list[StoreAccount]:
    """Return a store's accounts that have a key; a key must be set where the store has placements."""
    used = await run.ledger.used(store)
    accounts = []
    for name in ProviderName:
        try:
            accounts.append(run.account(name, store))
        except ConfigurationError:
            if name in used:
                raise
    return accounts


@task(name="settle", task_run_name="settle {ruling.order} {ruling.slot}", cache_policy=NO_CACHE, retries=0)
async def settle(ruling: Ruling) -> Ruled:
    """Carry out a person's decision about one placement; see ``impactflow.buying.rulings``."""
    run = current_run()
    return await carry_out(run.ledger, run.account, run.clock, run.id, ruling)
