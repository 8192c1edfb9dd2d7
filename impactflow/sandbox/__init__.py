"""
The four APIs, pretended by one object: strict as their references, with faults by name, and honest books.

``Sandbox`` answers requests in three settings: in-process for tests (``transport.py``), over HTTP on loopback
(``server.py``), and under a simulated clock. All chance follows from ``Options.seed`` and all time from the clock that
it is given. It speaks JSON as the providers' documentation writes it and shares no code with the clients, so that a
wrong field name in a client fails a test.

Each API lives below its own prefix (``/cnaught/v1/orders``); ``/_sandbox/books``, ``/_sandbox/callbacks`` and
``/_sandbox/status`` need no key and tell the truth.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from impactflow.clock import Clock, SystemClock
from impactflow.sandbox.api import Api
from impactflow.sandbox.books import Books
from impactflow.sandbox.callbacks import Callbacks
from impactflow.sandbox.cnaught import CNaught
from impactflow.sandbox.faults import Faults
from impactflow.sandbox.faulty_network import Line
from impactflow.sandbox.impactapi import ImpactApi
from impactflow.sandbox.messages import Reply, Request, json_reply
from impactflow.sandbox.oneclickimpact import OneClickImpact
from impactflow.sandbox.options import Options
from impactflow.sandbox.orders import generate_orders
from impactflow.sandbox.shared import Shared, Shop
from impactflow.sandbox.wickedreports import WickedReports

__all__ = [
    "APIS",
    "WEAKNESSES",
    "Books",
    "Faults",
    "Options",
    "Reply",
    "Request",
    "Sandbox",
    "Shop",
    "environment",
    "generate_orders",
]

#: The pretended APIs.
APIS: tuple[type[Api], ...] = (WickedReports, OneClickImpact, CNaught, ImpactApi)
#: What the references leave open, by the name in ``Options.poor``: whose answers are poorer, and in what.
WEAKNESSES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {name: (api.name, text) for api in APIS for name, text in api.weaknesses.items()}
)


class Sandbox:
    """
    The four pretend providers and their books.

    Args:
        options: The sandbox's behaviour.
        clock: The only source of time.
        orders: The shop's orders, as Wicked Reports writes them.

    Attributes:
        shop: Its ``orders`` may be changed at any time.
        books: Every purchase that took effect.
        callbacks: The providers' callbacks; only ``server.py`` sends them.
    """

    def __init__(
        self, options: Options | None = None, *, clock: Clock | None = None, orders: Iterable[Any] = ()
    ) -> None:
        chosen = options or Options()
        self.clock: Clock = clock or SystemClock()
        self.shop = Shop(orders)
        self.books = Books()
        self.callbacks = Callbacks(chosen.speed)
        shared = Shared(chosen, self.shop, self.books, self.callbacks)
        self._lines = {api.name: Line(api(shared), chosen) for api in APIS}

    @contextmanager
    def exchange(self, request: Request) -> Iterator[Reply]:
        """
        Return the reply to a request, which counts as running until the context is left.

        The caller waits the reply's ``delay_s`` inside the context, and leaves early when the client gives up.
        """
        prefix, _, rest = request.path.lstrip("/").partition("/")
        line = self._lines.get(prefix)
        if line is None:
            yield self._control(request)
            return
        with line.exchange(request, f"/{rest}", self.clock.now()) as reply:
            yield reply

    async def handle(self, request: Request) -> Reply:
        """Return the reply to a request, after its delay."""
        with self.exchange(request) as reply:
            if reply.delay_s:
                await self.clock.sleep(reply.delay_s)
            return reply

    def routes(self) -> list[str]:
        """Every operation that is served, such as ``GET /cnaught/v1/orders/*``, with ``*`` for a variable part."""
        lines = self._lines.items()
        return [f"{route.method} /{name}{route.path}" for name, line in lines for route in line.api.routes()]

    def catch_up(self) -> None:
        """Let late requests whose time has come take effect; every request and every look at the books does so too."""
        for line in self._lines.values():
            line.catch_up(self.clock.now())

    def calm(self) -> None:
        """Stop all faults from now on; requests that are already late still take effect."""
        for line in self._lines.values():
            line.calm()

    def status(self) -> dict[str, Any]:
        """Count by provider: requests served, in flight, and still to take effect; and how often each fault struck."""
        return {name: line.status() for name, line in self._lines.items()}

    def _control(self, request: Request) -> Reply:
        self.catch_up()
        match request.method, request.path:
            case "GET", "/_sandbox/books":
                return json_reply(200, self.books.as_json())
            case "GET", "/_sandbox/callbacks":
                happened = self.callbacks.happened(self.clock.now())
                return json_reply(200, {"callbacks": [callback.as_json() for callback in happened]})
            case "GET", "/_sandbox/status":
                return json_reply(200, self.status())
        return json_reply(404, {"message": "There is nothing here; docs/operations.md names the sandbox's routes."})


def environment(base_url: str) -> dict[str, str]:
    """
    Return the environment variables that point impactflow at a sandbox.

    Args:
        base_url: The URL where the sandbox listens, such as ``http://127.0.0.1:8080``.
    """
    base = base_url.rstrip("/")
    variables = {}
    for api in APIS:
        variables[f"{api.account}_URL"] = f"{base}/{api.name}{api.root}"
        variables[f"{api.account}_API_KEY"] = api.key
    return variables
