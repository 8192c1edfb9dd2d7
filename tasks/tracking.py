"""The task that follows purchases. It changes nothing at the provider; the ledger lists the purchases to ask about."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.buying.tracking import Tracked, Tracking
from impactflow.models import ProviderName
from tasks.context import current_run
from tasks.progress import progress

log = logging.getLogger(__name__)


@task(name="track_batch", task_run_name="track at {provider}", cache_policy=NO_CACHE, retries=0)
async def track_batch(provider: ProviderName, store: str, *, everything: bool) -> Tracked:
    """Make one pass over a store's due purchases, or over all open ones; see ``impactflow.buying.tracking``."""
    run = current_run()
    open_now = (await run.ledger.open_at(store)).get(provider, 0)
    async with progress(f"tracking-{provider}", f"Placements asked after at {provider}", open_now) as far:

        def report(tracked: Tracked) -> None:
            far.done = tracked.checked

        tracked = await Tracking(run.account(provider, store), everything=everything, report=report).run()
        far.of = far.of if tracked.halted else far.done  # the others are not due yet
    log.info(
        "%s: %d asked after, %d completed, %d cancelled there, %d not answered",
        provider, tracked.checked, tracked.completed, tracked.cancelled, tracked.unanswered,
        extra={"action": "batch_tracked"},
    )  # fmt: skip
    return tracked
