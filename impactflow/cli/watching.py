"""The progress that a person sees during a run: on a terminal a moving line, elsewhere one line per change."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import asdict

from impactflow.cli.console import err
from impactflow.errors import LedgerError
from impactflow.ledger import Ledger, Status
from impactflow.reports.standing import Counts, Standing

#: The time between two looks, in seconds: on a terminal, and elsewhere.
_MOVING_S, _LINES_S = 0.5, 2.5
#: The longest time between two lines with the same text, in seconds.
_LONGEST_S = 60.0


@asynccontextmanager
async def watching(ledger_url: str, doing: str) -> AsyncIterator[None]:
    """
    Show how the ledger fills while something runs.

    Args:
        ledger_url: The ledger to read.
        doing: The name of what is running.
    """
    moving = err.status(doing) if err.is_terminal else None
    pace = Pace()

    def show(line: str, counts: Counts, elapsed_s: float) -> None:
        if moving is not None:
            moving.update(line)
        elif pace.is_due(counts, elapsed_s):
            err.print(line, markup=False)

    with moving or nullcontext(), Ledger.open(ledger_url) as ledger:
        watch = asyncio.create_task(_watch(ledger, doing, show, _LINES_S if moving is None else _MOVING_S))
        try:
            yield
        finally:
            watch.cancel()


class Pace:
    """Decides when the next lasting line is due: at each change, otherwise ever more rarely."""

    def __init__(self) -> None:
        self._last_counts: Counts | None = None
        self._due_s, self._pause_s = 0.0, 2 * _LINES_S

    def is_due(self, counts: Counts, elapsed_s: float) -> bool:
        """Whether the counts of placements are to be printed now, some seconds after the run began."""
        if counts != self._last_counts:
            self._last_counts, self._pause_s = counts, 2 * _LINES_S
        elif elapsed_s < self._due_s:
            return False
        else:
            self._pause_s = min(_LONGEST_S, 2 * self._pause_s)
        self._due_s = elapsed_s + self._pause_s
        return True


async def _watch(ledger: Ledger, doing: str, show: Callable[[str, Counts, float], None], every_s: float) -> None:
    before, began = Standing.of(await ledger.counts()), time.monotonic()
    while True:
        await asyncio.sleep(every_s)
        with suppress(LedgerError):  # the run reports its own errors
            counts, elapsed_s = await ledger.counts(), time.monotonic() - began
            show(progress(doing, before, Standing.of(counts), elapsed_s, sending=_sending(counts)), counts, elapsed_s)


def _sending(counts: Counts) -> int:
    return sum(count for (_, status), count in counts.items() if status is Status.PLACING)


def progress(doing: str, before: Standing, now: Standing, elapsed_s: float, *, sending: int = 0) -> str:
    """
    Return the progress of a run, in one line.

    Args:
        doing: The name of what the run does.
        before: The counts of placements when the run began.
        now: The counts of placements now.
        elapsed_s: The time since the run began, in seconds.
        sending: The number of placements in doubt with a request under way: no doubt during a run.
    """
    done = [
        f"{count} {name} ({count / elapsed_s:.1f} a second)"
        for name, count in {"placed": now.placed - before.placed, "completed": now.completed - before.completed}.items()
        if count > 0
    ]
    standing = asdict(now) | {"in_doubt": now.in_doubt - sending, "being_sent": sending}
    stand = [f"{count} {name.replace('_', ' ')}" for name, count in standing.items() if count]
    in_all = f"; in all {', '.join(stand)}" if stand else ""
    return f"{doing}, {elapsed_s:.0f} s: {', '.join(done) or 'nothing bought or completed by now'}{in_all}"
