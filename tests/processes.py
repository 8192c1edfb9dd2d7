"""What tests have besides ``impactflow.proof.programs``: sandboxes within this process, whose orders they may write."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from forking import code, command, forked

from impactflow.proof import programs
from impactflow.proof.programs import Ended, finish
from impactflow.sandbox import Books, Options, Sandbox, Shop, environment
from impactflow.sandbox.server import serve


class Impactflow(programs.Impactflow):
    """
    The command line, and Python beside it, which start at once; ``forking`` says how.

    Raises:
        TimeoutError: What was to end did not, and was killed.
    """

    def run(self, *arguments: str, timeout_s: float = 120) -> Ended:
        """A command from beginning to end."""
        return forked(command, *arguments, folder=self.folder, variables=self.variables, timeout_s=timeout_s)

    def run_anew(self, *arguments: str) -> Ended:
        """The same in a new interpreter, as a person starts it."""
        return finish(self.start(*arguments))

    def python(self, text: str, *arguments: str) -> Ended:
        """Some Python under the same environment, with Prefect loaded."""
        return forked(code, text, *arguments, folder=self.folder, variables=self.variables)

    def python_anew(self, text: str, *arguments: str) -> Ended:
        """The same in a new interpreter, which has loaded nothing."""
        process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return finish(process)


@dataclass(frozen=True)
class Served:
    """
    A sandbox that listens.

    Args:
        sandbox: The object that answers.
        base_url: Where it listens; each provider is below its own prefix.
    """

    sandbox: Sandbox
    base_url: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment that points at it."""
        return environment(self.base_url)

    @property
    def books(self) -> Books:
        """Every purchase that took effect."""
        return self.sandbox.books

    @property
    def shop(self) -> Shop:
        """What Wicked Reports knows."""
        return self.sandbox.shop

    def purchases(self) -> list[dict[str, Any]]:
        """The books as JSON, with what was late; to be asked for while nobody buys."""
        self.sandbox.catch_up()
        return self.books.as_json()["purchases"]


@contextmanager
def sandbox_thread(orders: list[Any], **options: Any) -> Iterator[Served]:
    """Serve a sandbox with these orders and options."""
    with served(Sandbox(Options(wicked_reports_per_minute=1_000_000, **options), orders=orders)) as there:
        yield there


@contextmanager
def served(sandbox: Sandbox) -> Iterator[Served]:
    """Serve a sandbox on a thread of its own, so that what blocks the caller does not block it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox")
    thread.start()
    serving = serve(sandbox)
    try:
        yield Served(sandbox, asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(30))
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def order(number: int, **fields: Any) -> dict[str, Any]:
    """An order of two items for 80 USD, sold a moment ago; a field that is None is left out."""
    sold_at = datetime.now(UTC) - timedelta(minutes=5)
    plain = {
        "id": f"WR-{number}",
        "sourceId": f"{1000 + number}",
        "sourceSystem": "shopify",
        "date": sold_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "contact": {"id": f"C{number}", "email": f"customer{number}@example.com"},
        "products": [{"id": "P1", "name": "Apron", "qty": 2, "PPU": 40}],
        "payments": [{"date": "2026-03-02T11:00:00", "status": "APPROVED", "amount": 80}],
        "amount": 80,
        "currency": "USD",
    }
    return {name: value for name, value in (plain | fields).items() if value is not None}
