"""The task that processes webhook deliveries. It buys nothing and may be repeated: the ledger drops known ones."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.intake.deliveries import Processed, process
from impactflow.intake.senders.mapping import load_senders
from impactflow.policy import Policy
from tasks.context import current_run
from tasks.retries import READS

log = logging.getLogger(__name__)


@task(name="process_deliveries", cache_policy=NO_CACHE, **READS)
async def process_deliveries(policy: Policy) -> Processed:
    """Plan, withdraw and hasten placements by stored deliveries; see ``impactflow.intake.deliveries``."""
    run = current_run()
    senders = load_senders(run.settings.impactflow_senders)
    alone = not run.settings.wicked_reports_api_key
    taken = await process(run.ledger, policy, run.clock, run.id, senders, alone=alone)
    if taken.deliveries:
        log.info("%s", taken.in_words(), extra={"action": "deliveries_taken_up"})
    return taken
