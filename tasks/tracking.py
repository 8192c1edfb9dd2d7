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
    open_now = counts.get((provider, Status.PLACED), 0)
    async with progress(f"tracking-{provider}", f"Placements asked after at {provider}", open_now) as far:

        def report(tracked: Tracked) -> None:
            far.done = tracked.checked

        tracking = Tracking(
            run.ledger, run.provider(provider), run.clock, run.terms, run.id, everything=everything, report=report
        )
        tracked = await tracking.run()
        far.of = far.of if tracked.halted else far.done  # the others are not due yet
    log.info(
        "%s: %d asked after, %d completed, %d cancelled there, %d not answered",
        provider, tracked.checked, tracked.completed, tracked.cancelled, tracked.unanswered,
        extra={"action": "batch_tracked"},
    )  # fmt: skip
    return tracked
