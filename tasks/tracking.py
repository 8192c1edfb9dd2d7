"""The task that follows purchases. It changes nothing at the provider; the ledger says whom to ask after again."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.ledger import Status
from impactflow.models import ProviderName
from impactflow.tracking import Tracked, Tracking
from tasks.context import current_run
from tasks.progress import progress

log = logging.getLogger(__name__)


@task(name="track_batch", task_run_name="track at {provider}", cache_policy=NO_CACHE, retries=0)
async def track_batch(provider: ProviderName, *, everything: bool) -> Tracked:
    """One pass over what is due, or over everything that is open; see ``impactflow.tracking``."""
    run = current_run()
    counts = await run.ledger.counts()
    open_now = max(1, counts.get((provider, Status.PLACED), 0))
    so_far = Tracked()

    def report(tracked: Tracked) -> None:
        nonlocal so_far
        so_far = tracked

    tracking = Tracking(
        run.ledger, run.provider(provider), run.clock, run.terms, run.id, everything=everything, report=report
    )
    async with progress(f"tracking-{provider}", "Placements asked after", lambda: 100 * so_far.checked / open_now):
        tracked = await tracking.run()
    log.info(
        "%s: %d asked after, %d completed, %d cancelled there, %d not answered",
        provider, tracked.checked, tracked.completed, tracked.cancelled, tracked.unanswered,
        extra={"action": "batch_tracked"},
    )  # fmt: skip
    return tracked
