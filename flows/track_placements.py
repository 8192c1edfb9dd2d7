"""
Ask for the progress of all purchases: the core is ``impactflow.buying.tracking``.

A run is one pass over the due purchases and ends. The ledger knows the next due ones, for weeks. On a terminal:
``impactflow track``.
"""

import time

from prefect import flow

from impactflow.buying.run import Run
from impactflow.buying.tracking import Tracked
from impactflow.reports.summary import TrackOutcome
from impactflow.taskgroup import side_by_side
from tasks.announcing import announce
from tasks.context import flow_context
from tasks.naming import run_name
from tasks.reporting import publish_report, publish_summary
from tasks.tracking import track_batch

#: The pause between two passes of a run that waits: at first, and at most, in seconds.
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


def _name() -> str:
    return run_name("track")


@flow(name="track_placements", flow_run_name=_name, persist_result=False)
async def track_placements(wait_s: float = 0.0) -> TrackOutcome:
    """
    Look at every placement that is due; or at all of them, again and again, until all are complete.

    Args:
        wait_s: Go on for at most this many seconds until all are complete; 0 for one pass over what is due.
    """
    began = time.monotonic()
    async with flow_context() as run:
        store = await run.store()
        total, pause_s = await track_all(run, store, everything=wait_s > 0), _PAUSE_S
        while (left_s := began + wait_s - time.monotonic()) > 0 and not total.halted.unauthorized:
            if not await open_count(run, store):
                break
            await run.clock.sleep(min(pause_s, left_s))
            total += await track_all(run, store, everything=True)
            pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)
        report = await publish_report(f"tracked-{run.clock.now():%Y%m%d-%H%M%S}")
        left = await open_count(run, store)
        outcome = TrackOutcome(total, left, time.monotonic() - began, report.totals, waited=wait_s > 0)
        await publish_summary("track-placements", outcome.in_words())
        await announce()
        return outcome


async def track_all(run: Run, store: str, *, everything: bool) -> Tracked:
    """Make one pass at every provider where a store has open purchases, side by side."""
    concerned = sorted(await run.ledger.open_at(store))
    passes = await side_by_side(track_batch(provider, store, everything=everything) for provider in concerned)
    return sum(passes, Tracked())


async def open_count(run: Run, store: str) -> int:
    """Return the number of a store's placements that took effect and are not complete."""
    return sum((await run.ledger.open_at(store)).values())
