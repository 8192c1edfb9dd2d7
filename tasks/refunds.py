"""
The task that cancels what orders have bought that were given back: one pass at one provider.

Never cached, never retried by Prefect. Killed at any line, the task leaves what it has taken to the ledger.
"""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.buying.cancelling import Cancelling, CancelPass
from impactflow.ledger import Undoing
from impactflow.models import ProviderName
from tasks.context import current_run

log = logging.getLogger(__name__)


@task(name="cancel_batch", task_run_name="cancel at {provider}", cache_policy=NO_CACHE, retries=0)
async def cancel_batch(provider: ProviderName, wanted: Undoing, up_to: int) -> CancelPass:
    """Cancel purchases at one provider; see ``impactflow.buying.cancelling``."""
    done = await Cancelling(current_run().account(provider, wanted.store), wanted, up_to).run()
    log.info(
        "%s: %d cancelled, %d not cancelled there%s",
        provider, done.cancelled, done.refused, f"; left alone: {done.halted}" if done.halted else "",
        extra={"action": "batch_cancelled"},
    )  # fmt: skip
    return done
