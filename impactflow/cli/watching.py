"""What a person sees while a run goes on: on a terminal a line that moves, elsewhere a line every few seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import asdict

from impactflow.cli.console import err
from impactflow.errors import LedgerError
from impactflow.ledger import Ledger
from impactflow.standing import Standing

#: How often to look, in seconds: where a line moves, and where each look is a line.
_MOVING_S, _LINES_S = 0.5, 2.5


@asynccontextmanager
async def watching(ledger_url: str, doing: str) -> AsyncIterator[None]:
    """
    Show how the ledger fills while something runs.

    Args:
        ledger_url: The ledger to look into.
        doing: What is running.
    """
    moving = err.status(doing) if err.is_terminal else None

    def show(said: str) -> None:
        if moving is None:
            err.print(said, markup=False)
        else:
            moving.update(said)

    with moving or nullcontext(), Ledger.open(ledger_url) as ledger:
        watch = asyncio.create_task(_watch(ledger, doing, show, _LINES_S if moving is None else _MOVING_S))
        try:
            yield
        finally:
            watch.cancel()


async def _watch(ledger: Ledger, doing: str, show: Callable[[str], None], every_s: float) -> None:
    before, began = Standing.of(await ledger.counts()), time.monotonic()
    while True:
        await asyncio.sleep(every_s)
        with suppress(LedgerError):  # what the run meets, the run tells
            show(progress(doing, before, Standing.of(await ledger.counts()), time.monotonic() - began))


def progress(doing: str, before: Standing, now: Standing, elapsed_s: float) -> str:
    """
    How far a run has come, in one line.

    Args:
        doing: What it does.
        before: How placements stood when it began.
        now: How they stand.
        elapsed_s: How long it has run, in seconds.
    """
    done = [
        f"{count} {name} ({count / elapsed_s:.1f} a second)"
        for name, count in {"placed": now.placed - before.placed, "completed": now.completed - before.completed}.items()
        if count > 0
    ]
    stand = [f"{count} {name.replace('_', ' ')}" for name, count in asdict(now).items() if count]
    in_all = f"; in all {', '.join(stand)}" if stand else ""
    return f"{doing}, {elapsed_s:.0f} s: {', '.join(done) or 'nothing bought or completed by now'}{in_all}"
