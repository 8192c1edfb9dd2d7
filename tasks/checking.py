"""
The task that checks, before anything is sent, that the ledger is the one that has bought for this store.

It reads, and may record a purchase that was about to be made again: Prefect neither caches nor retries the task.
"""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.buying.loop import check_at
from impactflow.buying.rounds import Round
from impactflow.buying.slips import refuse_slips
from impactflow.models import ProviderName
from impactflow.policy import Policy
from tasks.context import current_run


@task(name="check_ledger", cache_policy=NO_CACHE, retries=0)
async def check_ledger(providers: Sequence[ProviderName], policy: Policy | None) -> dict[ProviderName, Round]:
    """
    Compare the ledger with the newest records of some providers; see ``impactflow.adoption``.

    Returns:
        The providers that did not answer, each with the reason why nothing may be sent to it.

    Raises:
        ConfigurationError: The policy would buy something unintended; see ``impactflow.buying.slips``.
        PurchasesUnknown: The store has purchases that the ledger does not know: nothing may be sent at all.
    """
    run = current_run()
    if policy is not None:
        await refuse_slips(run, policy)
    return await check_at(run, providers, policy)
