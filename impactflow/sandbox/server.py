"""
The sandbox over real HTTP, on loopback only. Called by the command line, by tests and by benchmarks.

One handler takes every request to ``Sandbox.exchange``; routes, faults and books are not this module's business.
"""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from impactflow.sandbox import Sandbox
from impactflow.sandbox.messages import Reply, Request

_HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@asynccontextmanager
async def serve(sandbox: Sandbox, port: int = 0) -> AsyncIterator[str]:
    """
    Serve a sandbox until the context is left, which does not wait for hanging requests.

    Args:
        sandbox: What answers.
        port: Where to listen on 127.0.0.1; 0 for any free port.

    Yields:
        The base URL, such as ``http://127.0.0.1:41231``.

    Raises:
        OSError: The port is taken.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        with sandbox.exchange(await _received(request)) as reply:
            if reply.delay_s:
                await sandbox.clock.sleep(reply.delay_s)
        return _break(request) if reply.reset else _response(reply)

    runner = web.ServerRunner(web.Server(answer, handler_cancellation=True, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, port, backlog=1024).start()
        yield f"http://{_HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _received(request: web.BaseRequest) -> Request:
    path, _, query = request.raw_path.partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, path, query, headers, await request.read())


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


def _break(request: web.BaseRequest) -> web.Response:
    """Reset the connection: with no time to linger, closing sends RST. The response goes nowhere."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
    return web.Response()
