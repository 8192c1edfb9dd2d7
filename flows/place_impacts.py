"""
Buy the impacts that new orders have earned: the core is ``impactflow.intake.planning`` and ``buying``.

Webhook deliveries are processed first, so that a lost trigger of ``place_events`` costs a delay, not a purchase.
After a kill at any line, the next run finishes the work. On a terminal: ``impactflow place``.
"""

import time
from dataclasses import replace
from datetime import date
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from impactflow.buying.preview import DryRun, what_stops
from impactflow.intake.columns import columns_needed
from impactflow.intake.planning import choose_window
from impactflow.policy import load_policy
from impactflow.reports.summary import LedgerState, Outcome
from tasks.announcing import announce
from tasks.buying import buy_all
from tasks.checking import check_ledger
from tasks.context import flow_context
from tasks.events import process_deliveries
from tasks.naming import run_name
from tasks.orders import plan_orders, preview_orders
from tasks.reporting import publish_preview, publish_report, publish_summary


def _name() -> str:
    parameters = flow_run.get_parameters()
    when = "a file of orders" if parameters.get("orders_file") else "what is new"
    return run_name("preview" if parameters.get("dry_run") else "place", when)


@flow(name="place_impacts", flow_run_name=_name, persist_result=False)
async def place_impacts(
    from_day: date | None = None,
    to_day: date | None = None,
    policy_file: str = "",
    *,
    orders_file: str = "",
    dry_run: bool = False,
    patience_s: float = 30.0,
) -> Outcome | DryRun:
    """
    Read orders, buy what each has earned, once each, and report.

    Args:
        from_day: First day of orders to read, UTC; by default a week before what was read last, back to what is still
            to be sent, and once a day the last 60 days; of a file its first day.
        to_day: Last day of orders to read, included; by default today; of a file its last day.
        policy_file: The policy's path; by default IMPACTFLOW_POLICY.
        orders_file: The path of a CSV or JSON lines file of orders, on the machine that the run takes place on, to read
            in the place of Wicked Reports; docs/orders-file.md says what it holds.
        dry_run: Show what would be bought; buy and write nothing.
        patience_s: Go on until what is due lies further off than this many seconds.
    """
    began = time.monotonic()
    async with flow_context(reports=not dry_run) as run:
        policy = load_policy(Path(policy_file) if policy_file else run.settings.impactflow_policy)
        file = run.orders_file(orders_file) if orders_file else None
        if file:
            window = file.window(from_day, to_day, run.clock.now().date())
        else:
            window = await choose_window(run.ledger, policy, from_day, to_day, run.clock)
        if dry_run:
            notes = await what_stops(run, policy)
            preview = await preview_orders(policy, window, orders_file=orders_file)
            await publish_preview([preview])
            return replace(preview, notes=[*preview.notes, *notes])
        run.require_keys({rule.provider for rule in policy.rules}, orders_file)
        await check_ledger(sorted({rule.provider for rule in policy.rules}), policy)
        taken = await process_deliveries(policy)
        is_default = from_day is None and to_day is None
        planned = await plan_orders(policy, window, moves_watermark=is_default, orders_file=orders_file)
        halted = await buy_all(policy, patience_s)
        report = await publish_report(f"bought-{run.clock.now():%Y%m%d-%H%M%S}")
        outcome = Outcome(
            planned,
            await LedgerState.read(run, policy, window, from_file=file is not None),
            halted,
            requests=run.transport.requests,
            duration_s=time.monotonic() - began,
            report=report,
            window=window,
            rates=policy.remark_on_rates(run.clock.now().date()),
            source_notes=file.notes(columns_needed(policy)) if file else (),
            webhooks=taken,
        )
        await publish_summary("place-impacts", outcome.in_words())
        await announce(policy)
        return outcome
