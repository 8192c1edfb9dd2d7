"""
A worker that waits for its word, sweeps once for one placement at 1ClickImpact, and ends.

``test_standing_still`` starts some with the digest of its policy, and stops each just after its claim.
"""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from impactflow.buying.run import open_run
from impactflow.buying.sweep import Sweep
from impactflow.clients.transport import AiohttpTransport
from impactflow.models import ProviderName
from impactflow.settings import load_settings


class Marking(AiohttpTransport):
    """Leaves a file behind before it looks for the last time whether a request may be sent."""

    def __init__(self, run_id: str) -> None:
        super().__init__(1)
        self._run_id = run_id

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        if (check := request.extensions.get("final_check")) is not None:

            def mark_and_check() -> None:
                Path(f"{self._run_id}.looks").touch()
                check()

            request.extensions["final_check"] = mark_and_check
        return await super().handle_async_request(request)


def stand(run_id: str, policy: str, word: Connection) -> None:
    """Say that it is ready, wait for the word, claim one placement and send it."""
    asyncio.run(_sweep(run_id, policy, word))


async def _sweep(run_id: str, policy: str, word: Connection) -> None:
    async with open_run(load_settings(), run_id, transport=Marking(run_id)) as run:
        word.send("ready")
        await asyncio.to_thread(word.recv)
        account = run.account(ProviderName.ONECLICKIMPACT, "standing")
        await Sweep(account, policy=policy, limit=1).run()
