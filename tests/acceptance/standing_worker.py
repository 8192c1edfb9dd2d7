"""
A worker that waits for its word, sweeps once for one placement at 1ClickImpact, and ends.

``test_standing_still`` starts some with the digest of its policy, and stops each just after its claim.
"""

import asyncio
import sys
from pathlib import Path

import httpx

from impactflow.clients.transport import AiohttpTransport
from impactflow.models import ProviderName
from impactflow.placement import Sweep
from impactflow.run import open_run
from impactflow.settings import load_settings


class Telling(AiohttpTransport):
    """Leaves a file behind before it looks for the last time whether a request may be sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        if (look := request.extensions.get("last_look")) is not None:

            def look_and_tell() -> None:
                Path(f"{sys.argv[1]}.looks").touch()
                look()

            request.extensions["last_look"] = look_and_tell
        return await super().handle_async_request(request)


async def sweep(run_id: str, policy: str) -> None:
    """Claim one placement and send it."""
    async with open_run(load_settings(), run_id, transport=Telling(1)) as run:
        print("ready", flush=True)  # noqa: T201 - to whoever has started it
        await asyncio.to_thread(sys.stdin.readline)
        provider = run.provider(ProviderName.ONECLICKIMPACT)
        await Sweep(run.ledger, provider, run.clock, run.terms, run.id, policy=policy, limit=1).run()


asyncio.run(sweep(sys.argv[1], sys.argv[2]))
