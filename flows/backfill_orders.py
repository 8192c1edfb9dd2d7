"""
Buy the impacts that orders of a past range have earned, window by window: the core is ``impactflow.buying.backfill``.

After a kill at any line, the next run continues in the window that was reached. Two runs at once do no harm: the ledger
plans each order once, lets one run claim each placement, and the remembered progress of a range never goes back. So
a backfill may run beside ``place``, whose watermark it leaves alone. On a terminal: ``impactflow backfill``.
"""

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from impactflow.buying.backfill import Backfilled, PlannedWindow, choose_days, remember, windows_left
from impactflow.buying.preview import DryBackfill, DryRun, what_stops, wrong_with
from impactflow.buying.rounds import Round
from impactflow.buying.run import Run
from impactflow.models import ProviderName
from impactflow.policy import Policy, load_policy
from impactflow.reports.summary import LedgerState, Outcome
from impactflow.window import Window
from tasks.announcing import announce
from tasks.buying import buy_all
from tasks.checking import check_ledger
from tasks.context import flow_context
from tasks.naming import run_name
from tasks.orders import plan_window, preview_orders
from tasks.progress import progress
from tasks.reporting import publish_preview, publish_report, publish_summary, publish_windows

AtLeastOne = Annotated[int, Field(ge=1)]


def _name() -> str:
    return run_name("preview backfill" if flow_run.get_parameters().get("dry_run") else "backfill")


@flow(name="backfill_orders", flow_run_name=_name, persist_result=False)
async def backfill_orders(
    from_day: date,
    to_day: date,
    window_days: AtLeastOne = 7,
    at_most: AtLeastOne | None = None,
    policy_file: str = "",
    *,
    dry_run: bool = False,
    patience_s: float = 30.0,
) -> Outcome | DryBackfill:
    """
    Read a past range of orders in windows, oldest first, buy what each has earned, once each, and report.

    Args:
        from_day: First day of orders to read, UTC.
        to_day: Last day of orders to read, included; today at the latest.
        window_days: How many days are read, planned and bought before the next ones are read.
        at_most: How many placements this run may plan; the rest of the range is left for the next run.
        policy_file: The policy's path; by default IMPACTFLOW_POLICY.
        dry_run: Show what each window would buy; buy and write nothing.
        patience_s: Go on in a window until what is due lies further off than this many seconds.
    """
    began = time.monotonic()
    async with flow_context(reports=not dry_run) as run:
        policy = load_policy(Path(policy_file) if policy_file else run.settings.impactflow_policy)
        days = choose_days(from_day, to_day, run.clock)
        windows = await windows_left(run.ledger, policy, days, window_days)
        if dry_run:
            notes = await what_stops(run, policy)
            wrong = await wrong_with(run, policy)
            return DryBackfill(await preview_all(policy, windows, at_most), notes, wrong)
        run.require_keys({rule.provider for rule in policy.rules})
        await check_ledger(sorted({rule.provider for rule in policy.rules}), policy)
        done, halted = await backfill_all(run, policy, days, windows, at_most, patience_s)
        backfilled = Backfilled.of(days, windows, done, halted)
        report = await publish_report(f"backfilled-{run.clock.now():%Y%m%d-%H%M%S}")
        outcome = Outcome(
            backfilled.planned,
            await LedgerState.read(run, policy, days),
            halted,
            requests=run.transport.requests,
            duration_s=time.monotonic() - began,
            report=report,
            rates=policy.remark_on_rates(run.clock.now().date()),
            backfilled=backfilled,
        )
        await publish_windows(backfilled)
        await publish_summary("backfill-orders", outcome.in_words())
        await announce(policy)
        return outcome


async def backfill_all(
    run: Run, policy: Policy, days: Window, windows: Sequence[Window], at_most: int | None, patience_s: float
) -> tuple[list[PlannedWindow], dict[ProviderName, Round]]:
    """Plan and place window after window, until a window cannot be finished or a provider is left alone."""
    done: list[PlannedWindow] = []
    halted = {} if windows else await buy_all(policy, patience_s)  # placements that an earlier run has left
    async with progress("backfilling", "Windows planned and placed", len(windows)) as far:
        for window in windows:
            room = None if at_most is None else at_most - sum(each.planned.placements for each in done)
            done.append(await plan_window(policy, window, at_most=room))
            halted = await buy_all(policy, patience_s)
            if done[-1].stopped:
                break
            await remember(run.ledger, policy, days, window, run.clock)
            far.done += 1
            if any(each.halted for each in halted.values()):
                break
    return done, halted


async def preview_all(policy: Policy, windows: Sequence[Window], at_most: int | None) -> list[DryRun]:
    """Preview the purchases of each window, up to the limit; write nothing but Prefect's pages."""
    previews: list[DryRun] = []
    for window in windows:
        room = None if at_most is None else at_most - sum(each.would.new for each in previews)
        previews.append(await preview_orders(policy, window, at_most=room, with_planned=False))
        if previews[-1].would.ends_before:
            break
    await publish_preview(previews)
    return previews
