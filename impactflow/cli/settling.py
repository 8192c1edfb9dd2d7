"""Settle by hand what is parked or failed: called by ``settle``."""

from impactflow.ruling import Ruled, Ruling, settle_by_ruling
from impactflow.run import open_run
from impactflow.settings import load_settings


async def rule(ruling: Ruling) -> Ruled:
    """
    Record a person's word, after the provider's records were asked whether it can be so.

    Raises:
        ConfigurationError: It cannot be done; nothing was changed.
    """
    async with open_run(load_settings(), "settle") as run:
        return await settle_by_ruling(run.ledger, run.provider, run.clock, run.terms, run.id, ruling)
