"""Tasks that read orders. They buy nothing and the ledger drops known orders, so Prefect may repeat them."""

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.buying.backfill import PlannedWindow
from impactflow.buying.preview import DryRun, wrong_with
from impactflow.intake.columns import columns_needed
from impactflow.intake.deliveries import with_deliveries
from impactflow.intake.planning import plan, plan_pages, preview
from impactflow.intake.senders.mapping import load_senders
from impactflow.ledger import Planned
from impactflow.policy import Policy
from impactflow.window import Window
from tasks.context import current_run
from tasks.retries import READS

log = logging.getLogger(__name__)


@task(name="plan_orders", task_run_name="plan {window.from_}..{window.to}", cache_policy=NO_CACHE, **READS)
async def plan_orders(policy: Policy, window: Window, *, moves_watermark: bool, orders_file: str = "") -> Planned:
    """Read the window's orders and record the placements each has earned; see ``impactflow.intake.planning.plan``."""
    run = current_run()
    source = run.order_source(orders_file)
    planned = await plan(run.ledger, source, policy, window, run.clock, run.id, moves_watermark=moves_watermark)
    log.info(
        "read %d orders, %d of them new, %d count, %d could not be read; %d placements planned",
        planned.read, planned.new, planned.eligible, planned.broken, planned.placements,
        extra={"action": "orders_planned"},
    )  # fmt: skip
    return planned


@task(name="plan_window", task_run_name="plan {window.from_}..{window.to}", cache_policy=NO_CACHE, retries=0)
async def plan_window(policy: Policy, window: Window, *, at_most: int | None) -> PlannedWindow:
    """
    Plan one window of a backfill; see ``impactflow.buying.backfill``.

    Prefect does not repeat it: placements planned before a failure would not count towards ``at_most``.
    """
    run = current_run()
    planned, left = await plan_pages(run.ledger, run.order_source(), policy, window, run.clock, run.id, at_most=at_most)
    done = PlannedWindow.of(window, planned, left)
    log.info(
        "%s to %s: read %d orders, %d of them new, %d count, %d could not be read; %d placements planned%s",
        window.from_, window.to, done.planned.read, done.planned.new, done.planned.eligible, done.planned.broken,
        done.planned.placements, f"; {done.stopped}" if done.stopped else "",
        extra={"action": "window_planned"},
    )  # fmt: skip
    return done


@task(name="preview_orders", task_run_name="preview {window.from_}..{window.to}", cache_policy=NO_CACHE, **READS)
async def preview_orders(
    policy: Policy, window: Window, *, at_most: int | None = None, with_planned: bool = True, orders_file: str = ""
) -> DryRun:
    """
    Preview a run, with nothing written and nothing bought; see ``impactflow.intake.planning.preview``.

    ``with_planned``: include placements that are planned already, and stored webhook deliveries.
    """
    run = current_run()
    source = run.order_source(orders_file)
    if with_planned:
        source = await with_deliveries(source, run.ledger, policy, load_senders(run.settings.impactflow_senders))
    would = await preview(run.ledger, source, policy, window, run.clock, at_most=at_most, with_planned=with_planned)
    notes = run.orders_file(orders_file).notes(columns_needed(policy)) if orders_file else ()
    wrong = await wrong_with(run, policy) if with_planned else ()
    return DryRun(would, window, run.transport.requests, notes, wrong)
