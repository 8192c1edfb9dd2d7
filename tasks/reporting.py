"""What a person sees of a run: a CSV file and artifacts in the Prefect UI. No personal data in either."""

from datetime import date

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from impactflow.outcome import AuditOutcome
from impactflow.reports import bought, write_csv
from tasks.context import current_run

#: The most lines of a table that a person is shown.
_LINES = 100


@task(name="publish_report", cache_policy=NO_CACHE, retries=1)
async def publish_report(name: str, days: tuple[date, date] | None = None) -> str:
    """Write what was bought per day, slot and provider as CSV and as a table artifact; return where the file lies."""
    run = current_run()
    frame = bought(await run.ledger.totals(days))
    path = write_csv(frame, run.settings.impactflow_reports, name)
    lines = [{str(column): str(value) for column, value in row.items()} for row in frame.to_dict("records")]
    await acreate_table_artifact(lines[-_LINES:], key="bought", description="Bought, per day, slot and provider")
    waiting = await run.ledger.attention(_LINES)
    if waiting:
        rows = [{column: str(value) for column, value in row.items()} for row in waiting]
        await acreate_table_artifact(rows, key="needs-attention", description="Placements that need attention, and why")
    return str(path)


@task(name="publish_audit", cache_policy=NO_CACHE, retries=1)
async def publish_audit(audited: AuditOutcome) -> None:
    """Show what an audit compared at each provider, and what disagrees."""
    told = audited.as_json()
    lines = [{"provider": name, **tally} for name, tally in told["providers"].items()]
    days = f"{told['from']} to {told['to']}"
    await acreate_table_artifact(lines, key="audit", description=f"Ledger and providers' records, {days}")
    if told["findings"]:
        description = f"What disagrees, {days}; {told['remaining']} are left for a person. All: {audited.csv}"
        await acreate_table_artifact(told["findings"], key="audit-findings", description=description)


@task(name="publish_summary", cache_policy=NO_CACHE, retries=1)
async def publish_summary(key: str, text: str) -> None:
    """Say in plain words what the run did."""
    await acreate_markdown_artifact(text, key=key, description="What the run did")
