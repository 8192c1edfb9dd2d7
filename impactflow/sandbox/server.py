"""
The sandbox over real HTTP, on loopback only.

One handler passes every request to ``Sandbox.exchange``, one task posts the callbacks that fall due. This module does
not deal with routes, faults, books or the content of callbacks.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web

from impactflow.sandbox import Sandbox
from impactflow.sandbox.callbacks import Callback
from impactflow.sandbox.messages import Reply, Request, to_json

_HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
#: The time that a receiver may take to answer a callback.
_CALLBACK_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=10.0)


@asynccontextmanager
async def serve(sandbox: Sandbox, port: int = 0) -> AsyncIterator[str]:
    """
    Serve a sandbox until the context is left, which does not wait for hanging requests or callbacks.

    Args:
        sandbox: The sandbox that answers.
        port: The port to listen on at 127.0.0.1; 0 for any free port.

    Yields:
        The base URL, such as ``http://127.0.0.1:41231``.

    Raises:
        OSError: The port is taken.
    """
    bell = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        with sandbox.exchange(await _received(request)) as reply:
            if sandbox.callbacks.next_at() is not None:
                bell.set()
            if reply.delay_s:
                await sandbox.clock.sleep(reply.delay_s)
        return _break(request) if reply.reset else _response(reply)

    runner = web.ServerRunner(web.Server(answer, handler_cancellation=True, access_log=None), shutdown_timeout=0.01)
    await runner.setup()
    telling = asyncio.create_task(_notify(sandbox, bell))
    try:
        await web.TCPSite(runner, _HOST, port, backlog=1024).start()
        yield f"http://{_HOST}:{runner.addresses[0][1]}"
    finally:
        telling.cancel()
        await asyncio.wait({telling})
        await runner.cleanup()


async def _notify(sandbox: Sandbox, bell: asyncio.Event) -> None:
    """Post every callback when it is due, until cancelled; the bell says that there may be a new one."""
    callbacks, clock = sandbox.callbacks, sandbox.clock

    async def post(callback: Callback) -> None:
        callbacks.answered(callback, await _post(session, callback), clock.now())
        bell.set()

    async with aiohttp.ClientSession(timeout=_CALLBACK_TIMEOUT) as session, asyncio.TaskGroup() as posting:
        while True:
            bell.clear()
            for callback in callbacks.take_due(clock.now()):
                posting.create_task(post(callback))
            next_at = callbacks.next_at()
            wait_s = None if next_at is None else (next_at - clock.now()).total_seconds()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await bell.wait()


async def _post(session: aiohttp.ClientSession, callback: Callback) -> int | None:
    """Post a callback; return the status of the answer, None where none came."""
    body, headers = to_json(callback.content), {"content-type": "application/json"}
    try:
        async with session.post(callback.url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status
    except (aiohttp.ClientError, OSError, ValueError):  # the last where the URL is not valid
        return None


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
