"""The task that settles what is in doubt. It may complete a purchase, so Prefect neither caches nor retries it."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.models import ProviderName
from impactflow.patience import Round
from impactflow.reconcile import settle
from tasks.context import current_run

log = logging.getLogger(__name__)


@task(name="settle_doubts", task_run_name="settle doubts at {provider}", cache_policy=NO_CACHE)
async def settle_doubts(provider: ProviderName) -> Round:
    """Settle the due doubts at one provider; see ``impactflow.reconcile``."""
    run = current_run()
    settled = await settle(run.ledger, run.provider(provider), run.clock, run.terms, run.id)
    log.info(
        "%s: of the doubts %d are placed, %d planned again, %d parked, %d still open%s",
        provider, settled.placed, settled.planned, settled.parked, settled.open,
        f"; {settled.halted}" if settled.halted else "",
        extra={"action": "doubts_settled"},
    )  # fmt: skip
    return Round(settled.placed + settled.planned + settled.parked, settled.halted, settled.unauthorized)
