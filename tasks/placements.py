"""
The task that buys: one sweep over the due placements at one provider.

Never cached, never retried by Prefect. Killed at any line, the task leaves its claimed placements to the ledger.
"""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.buying.loop import BATCH, round_of, sweep_at
from impactflow.buying.rounds import Round
from impactflow.buying.sweep import Swept
from impactflow.ledger import Status
from impactflow.models import ProviderName
from impactflow.policy import Policy
from tasks.context import current_run
from tasks.progress import progress

log = logging.getLogger(__name__)


@task(name="place_batch", task_run_name="place at {provider}", cache_policy=NO_CACHE, retries=0)
async def place_batch(provider: ProviderName, policy: Policy) -> Round:
    """Place the due placements at one provider under a policy; see ``impactflow.buying.sweep``."""
    run = current_run()
    counts = await run.ledger.counts()
    due = min(BATCH, counts.get((provider, Status.PLANNED), 0))
    async with progress(f"placing-{provider}", f"Placements sent to {provider}", due) as far:

        def report(swept: Swept) -> None:
            far.done = swept.sent

        swept = await sweep_at(run, provider, policy, report=report).run()
        far.of = far.of if swept.halted else far.done  # another run has sent the other due placements
    log.info(
        "%s: %d placed, %d failed, %d in doubt, %d to be tried again%s",
        provider, swept.placed, swept.failed, swept.in_doubt, swept.again,
        f"; left alone: {swept.halted}" if swept.halted else "",
        extra={"action": "batch_placed"},
    )  # fmt: skip
    return round_of(swept)
