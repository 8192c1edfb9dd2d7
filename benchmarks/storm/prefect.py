"""The Prefect server that the receiver triggers: it can be stopped, started again, and be busy."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from aiohttp import ClientSession, web

from impactflow.proof.programs import base_environment, free_port

_START_S = 120.0
#: The concurrency setting of deployments/README.md: in memory, a run's lease would stay taken for ever once the server
#: is killed.
_LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}


class Server:
    """
    A Prefect server that can be stopped and started again, on one port and one database.

    Args:
        folder: The server's home.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.api_url = f"http://127.0.0.1:{self._port}/api"

    async def start(self) -> None:
        """Start the server, and return once it answers."""
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
        variables = base_environment(self._folder) | _LEASES
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=variables, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Kill the server and its children, which form one process group."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Gate:
    """A gate in front of a Prefect API that answers 503 while it is ``busy``."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self.busy = False
        self.refused = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve on a URL of its own, in the API's place."""
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
