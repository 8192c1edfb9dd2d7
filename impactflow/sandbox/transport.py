"""
The sandbox in-process, as an httpx transport.

URLs are those of ``environment("http://sandbox.test")``; the host does not matter.
"""

import httpx

from impactflow.sandbox import Sandbox
from impactflow.sandbox.messages import Request


class SandboxTransport(httpx.AsyncBaseTransport):
    """Carries httpx requests to a sandbox; waits through the sandbox's clock and gives up at the read timeout."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """
        Send a request; its extension ``final_check`` is called before the sandbox hears of it, and may forbid it.

        Raises:
            httpx.ReadTimeout: The answer takes longer than the request's read timeout.
            httpx.ReadError: The connection was reset.
        """
        patience_s = request.extensions.get("timeout", {}).get("read")
        received = await _received(request)
        if final_check := request.extensions.get("final_check"):
            final_check()
        with self._sandbox.exchange(received) as reply:
            if patience_s is not None and reply.delay_s > patience_s:
                await self._sandbox.clock.sleep(patience_s)
                raise httpx.ReadTimeout("no answer within the read timeout", request=request)
            if reply.delay_s:
                await self._sandbox.clock.sleep(reply.delay_s)
        if reply.reset:
            raise httpx.ReadError("the connection was reset", request=request)
        return httpx.Response(reply.status, headers=reply.headers, content=reply.body, request=request)


async def _received(request: httpx.Request) -> Request:
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, path, query, headers, await request.aread())
