"""
The Prefect server that the receiver nudges: how it can be stopped, be busy, and who works for it. For ``storm``.

The worker stands in for ``place_events``: it takes each run that is due, handles what waits in the ledger, and ends
the run as completed. Where the flow itself is to run, start a Prefect worker instead of it.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from aiohttp import ClientSession, web

from impactflow.ledger import Handled, Ledger
from impactflow.proof.programs import base_environment, free_port

_START_S = 120.0


class Server:
    """
    A Prefect server that can be stopped and started again, on one port and one database.

    Args:
        folder: Its home.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.api_url = f"http://127.0.0.1:{self._port}/api"

    async def start(self) -> None:
        """Start it, and return once it answers."""
        self._begin()
        until = time.monotonic() + _START_S
        async with httpx.AsyncClient(trust_env=False) as client:
            while time.monotonic() < until:
                try:
                    if (await client.get(f"{self.api_url}/health")).is_success:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.2)
        sys.exit("the Prefect server did not start")

    def _begin(self) -> None:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        variables = base_environment(self._folder)
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=variables, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Kill it and its children: the group that began with it."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Gate:
    """Stands before a Prefect API and answers 503 while it is ``busy``."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self.busy = False
        self.refused = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Its own URL, in the API's place."""
        async with ClientSession() as session:

            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                if self.busy:
                    self.refused += 1
                    return web.Response(status=503)
                try:
                    async with session.request(
                        request.method, self._api_url + request.path_qs, data=await request.read(),
                        headers={"content-type": "application/json"},
                    ) as answered:  # fmt: skip
                        return web.Response(
                            status=answered.status, body=await answered.read(), content_type="application/json"
                        )
                except OSError:
                    if request.transport:
                        request.transport.abort()
                    return web.Response()

            runner = web.ServerRunner(web.Server(answer))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()


class Worker:
    """
    Works off runs of ``place_events/events``.

    Args:
        api_url: The server's.
        ledger: Where deliveries wait.
        store: Whose they are.
    """

    def __init__(self, api_url: str, ledger: Ledger, store: str) -> None:
        self._api = httpx.AsyncClient(base_url=api_url, timeout=30, trust_env=False)
        self._ledger = ledger
        self._store = store
        self.runs = 0
        self.handled: list[tuple[str, str]] = []

    async def deploy(self) -> None:
        """Make the deployment known, as ``prefect deploy`` does."""
        flow = (await self._api.post("/flows/", json={"name": "place_events"})).raise_for_status().json()
        deployment = {"name": "events", "flow_id": flow["id"]}
        (await self._api.post("/deployments/", json=deployment)).raise_for_status()

    async def work(self) -> None:
        """Until cancelled; a server that does not answer is asked again."""
        while True:
            try:
                await self._work_off()
            except httpx.HTTPError:
                await asyncio.sleep(1)
            await asyncio.sleep(0.5)

    async def _work_off(self) -> None:
        due = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        flows = {"name": {"any_": ["place_events"]}}
        answer = await self._api.post("/flow_runs/filter", json={"flow_runs": due, "flows": flows})
        for run in answer.raise_for_status().json():
            await self._set_state(run["id"], "RUNNING")
            self.runs += 1
            while waiting := await self._ledger.pending_deliveries(self._store):
                self.handled += [(each.source, each.webhook_id) for each in waiting]
                at = datetime.now(UTC)
                await asyncio.gather(*(self._ledger.finish_delivery(Handled(each.id, at)) for each in waiting))
            await self._set_state(run["id"], "COMPLETED")

    async def _set_state(self, run: str, state: str) -> None:
        (
            await self._api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": state}, "force": True})
        ).raise_for_status()
