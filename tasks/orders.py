"""Tasks that read orders. They buy nothing and the ledger drops what it knows, so Prefect may repeat them."""

import logging
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.ledger import Planned
from impactflow.orders import Window
from impactflow.planning import plan, preview
from impactflow.policy import Policy
from tasks.context import current_run
from tasks.retries import READS

log = logging.getLogger(__name__)


@task(name="plan_orders", task_run_name="plan {window.from_}..{window.to}", cache_policy=NO_CACHE, **READS)
async def plan_orders(policy: Policy, window: Window, *, moves_watermark: bool) -> Planned:
    """Read the window's orders and make durable what each has earned; see ``impactflow.planning.plan``."""
    run = current_run()
    planned = await plan(
        run.ledger, run.order_source(), policy, window, run.clock, run.id, moves_watermark=moves_watermark
    )
    log.info(
        "read %d orders, %d of them new, %d count, %d could not be read; %d placements planned",
        planned.read, planned.new, planned.eligible, planned.broken, planned.placements,
        extra={"action": "orders_planned"},
    )  # fmt: skip
    return planned


@task(name="preview_orders", cache_policy=NO_CACHE, **READS)
async def preview_orders(policy: Policy, window: Window) -> dict[str, Any]:
    """What a run would buy, with nothing written and nothing bought; see ``impactflow.planning.preview``."""
    run = current_run()
    would = await preview(run.ledger, run.order_source(), policy, window)
    totals = [
        {"slot": slot, "provider": provider, "placements": count, "quantity": quantity, "unit": unit}
        for (slot, provider, unit), (count, quantity) in sorted(would.totals.items())
    ]
    return {
        "dry_run": True,
        "orders": {"read": would.read, "eligible": would.eligible, "broken": would.broken},
        "would_place": would.placements,
        "would_hold": would.held,
        "would_await_approval": would.awaiting_approval,
        "totals": totals,
        "lines": would.lines,
        "requests": run.transport.requests,
    }
