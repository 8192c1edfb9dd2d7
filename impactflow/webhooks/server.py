"""
The receiver over real HTTP: uvicorn, with a limit on the time for the head of a request.

The proxy in front is responsible for TLS, and for the number of connections.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from impactflow.stopping import calling

#: The longest time for the head of a request, in seconds; on a new connection, from the connection's beginning.
_HEAD_S = 10.0
#: The longest time for deliveries under way when the server is ended, in seconds; ``docker stop`` kills after 10. A
#: sender that is cut off sends again.
_GRACE_S = 8


def listen(host: str, port: int) -> socket.socket:
    """
    Take a port.

    Args:
        host: One of this machine's addresses.
        port: 0 for any free one.

    Raises:
        OSError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
    except OSError:
        taken.close()
        raise
    return taken


async def serve(app: FastAPI, at: socket.socket, on_listening: Callable[[], None]) -> None:
    """
    Serve until SIGINT or SIGTERM, then finish what is under way.

    Raises:
        Stopped: Always, in the end.
    """
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    await _Server(config, on_listening).serve([at])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Call ``on_listening`` once the server listens."""
        await super().startup(sockets)
        self._on_listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Finish requests under way at the first signal, as our commands do, instead of dying of the signal after."""
        with calling(partial(self.handle_exit, signal.SIGTERM, None)):
            yield


class _Protocol(H11Protocol):
    """Closes a connection that does not send the head of a request in time; uvicorn would wait for ever."""

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        self._await_head()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE and self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(_HEAD_S, self.transport.close)
