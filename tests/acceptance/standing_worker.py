"""
A worker that waits for its word, sweeps once for one placement at 1ClickImpact, and ends.

``test_standing_still`` starts some, and stops each just after its claim.
"""

import asyncio
import sys

from impactflow.models import ProviderName
from impactflow.placement import Sweep
from impactflow.run import open_run
from impactflow.settings import load_settings


async def sweep(run_id: str) -> None:
    """Claim one placement and send it."""
    async with open_run(load_settings(), run_id) as run:
        print("ready", flush=True)  # noqa: T201 - to whoever has started it
        await asyncio.to_thread(sys.stdin.readline)
        await Sweep(run.ledger, run.provider(ProviderName.ONECLICKIMPACT), run.clock, run.terms, run.id, limit=1).run()


asyncio.run(sweep(sys.argv[1]))
