"""
A person's view of a run: CSV files and artifacts in the Prefect UI. No personal data in either.

A link is written as Markdown, and texts that others wrote are escaped; ``pages`` gives the reason.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote

from prefect import task
from prefect.cache_policies import NO_CACHE

from impactflow.buying.backfill import Backfilled
from impactflow.buying.preview import DryRun
from impactflow.buying.run import Run
from impactflow.escapes import for_page
from impactflow.models import Unit
from impactflow.reports.files import EFFECT_COLUMNS, BoughtTotals, Reported, bought, csv_rows, effect_row, write_csv
from impactflow.reports.reconciled import AuditOutcome
from impactflow.reports.summary import needs_in_words
from impactflow.units import shown
from tasks.announcing import NO_EVENTS, events_arrive, waiting
from tasks.context import current_run
from tasks.pages import show_rest, show_table, show_text

log = logging.getLogger(__name__)

#: The number of lines that a person sees of a table.
_LINES = 100
#: The number of purchases that are read from the ledger at once.
_PAGE = 1000


@task(name="publish_report", cache_policy=NO_CACHE, retries=1)
async def publish_report(name: str, days: tuple[date, date] | None = None) -> Reported:
    """
    Write the purchases per day, slot and provider as CSV and a table artifact; return this run's purchases, too.

    The result names the files, or the reason why there are none. The task also shows each purchase that this run made,
    or saw completed, and the placements that need attention, where there are any.
    """
    run = current_run()
    purchases, made = await _publish_purchases(run, name)
    frame = bought(await run.ledger.totals(days))
    report = write_csv(frame, run.settings.impactflow_reports, name)
    lines = [{str(column): for_page(str(value)) for column, value in row.items()} for row in frame.to_dict("records")]
    await show_table(lines[-_LINES:], key="bought", description="Bought, per day, slot and provider")
    rows = [
        {column: for_page(str(value)) for column, value in row.items()} for row in await run.ledger.attention(_LINES)
    ]
    await show_rest(
        rows,
        key="needs-attention",
        description="Placements that need attention, and why",
        empty="Nothing needs attention",
    )
    return Reported(report, purchases, made.rows)


async def _publish_purchases(run: Run, name: str) -> tuple[str | None, BoughtTotals]:
    """Return the file of the run's purchases and completions, if there are any, and the sum of the purchases."""
    made = BoughtTotals()
    effects = await run.ledger.effects(run.id, after=run.mark, limit=_PAGE)
    if not effects:
        return None, made
    first = [effect_row(effect) for effect in effects[:_LINES]]
    count = 0
    with csv_rows(run.settings.impactflow_reports, f"{name}-purchases-{run.id[:8]}", EFFECT_COLUMNS) as file:
        while effects:
            count += len(effects)
            for effect in effects:
                file.write(effect_row(effect))
                made.add(effect)
            effects = await run.ledger.effects(run.id, after=effects[-1].event, limit=_PAGE)
    title = f"What this run bought, or saw completed: {'all' if count <= _LINES else f'the first {_LINES}'} of {count}"
    rows = [
        {name: _link(name, cell) if name == "certificate" else for_page(cell) for name, cell in row.items()}
        for row in first
    ]
    await show_table(rows, key="purchases", description=f"{title}; the file: {file.path_or_reason}")
    return file.path_or_reason, made


def _link(text: str, url: str) -> str:
    """Return a link for a table's cell; an empty text for no address; only a web address can be clicked."""
    if not url.startswith(("https://", "http://")):
        return for_page(url)
    return f"[{text}]({quote(url, safe=':/?#@!$&*+,;=%~')})"


@task(name="publish_cancelled", cache_policy=NO_CACHE, retries=1)
async def publish_cancelled(purchases: Sequence[Mapping[str, Any]]) -> None:
    """Show the first purchases that a run has cancelled."""
    rows = [{name: "" if cell is None else for_page(str(cell)) for name, cell in row.items()} for row in purchases]
    if rows:
        await show_table(rows[:_LINES], key="cancelled", description="What this run has cancelled, the first of it")


@task(name="publish_preview", cache_policy=NO_CACHE, retries=1)
async def publish_preview(previews: Sequence[DryRun]) -> None:
    """Show the purchases of a dry run, for one window or several."""
    rows = []
    for each in previews:
        for total in each.totals:
            amount, unit = shown(total["quantity"], Unit(total["unit"]))
            row = {**each.days, "slot": total["slot"], "provider": total["provider"]}
            rows.append({**row, "placements": total["placements"], "amount": f"{amount:f}", "unit": unit})
    placements, held = sum(each.would.placements for each in previews), sum(each.would.held for each in previews)
    description = f"A dry run, nothing was bought: {placements} placements would be made, {held} would be held"
    await show_table(rows[-_LINES:], key="preview", description=description)


@task(name="publish_windows", cache_policy=NO_CACHE, retries=1)
async def publish_windows(backfilled: Backfilled) -> None:
    """Show the result of each window of a backfill."""
    rows = [
        {
            "from": each.window.from_.isoformat(),
            "to": each.window.to.isoformat(),
            "read": each.planned.read,
            "new": each.planned.new,
            "count": each.planned.eligible,
            "planned": each.planned.placements,
            "left": for_page(each.stopped or ""),
        }
        for each in backfilled.windows
    ]
    if rows:
        title = f"Windows that this run read: {'all' if len(rows) <= _LINES else f'the last {_LINES}'} of {len(rows)}"
        await show_table(rows[-_LINES:], key="backfill-windows", description=title)


@task(name="publish_audit", cache_policy=NO_CACHE, retries=1)
async def publish_audit(audited: AuditOutcome) -> None:
    """Show the records that an audit compared at each provider, and the disagreements."""
    lines = [{"provider": name, **row, "halted": for_page(row["halted"] or "")} for name, row in audited.rows.items()]
    days = f"{audited.window.from_} to {audited.window.to}"
    await show_table(lines, key="audit", description=f"Ledger and providers' records, {days}")
    description = f"What disagrees, {days}; {audited.remaining} are left for a person. All: {audited.csv}"
    rows = [{name: for_page(cell) for name, cell in each.as_row().items()} for each in audited.findings]
    await show_rest(rows, key="audit-findings", description=description, empty="The last audit found no disagreement")


@task(name="publish_summary", cache_policy=NO_CACHE, retries=1)
async def publish_summary(key: str, text: str) -> None:
    """Report in plain words the run's actions, and the next steps for a person."""
    run = current_run()
    if not await events_arrive():
        text = f"{text}\n\n{for_page(NO_EVENTS)}"
        log.warning("%s", NO_EVENTS, extra={"action": "no_events"})
    needed = needs_in_words(await waiting(run))
    await show_text(
        f"{text}\n\nLedger: `{run.where}`\n\n{needed}", key=key, description="What the run did, and what needs you"
    )
