"""The one table at the end of a benchmark; for ``python -m benchmarks``."""

from rich.console import Console
from rich.table import Table

from benchmarks.rounds import MOST_MB, Contest, Results

_NAMES = {
    "ours": "the flow place_impacts, durable",
    "bare": "(a) bare loop, one httpx.AsyncClient",
    "client": "(b) our client, no ledger",
    "tasks": "(c) one Prefect task per order",
    "sdk": "(d) official SDK, 32 threads",
}


def show(results: Results, console: Console) -> None:
    """Print rates, ratios and whether each target is reached."""
    table = Table(title="Orders per second (median)", title_justify="left")
    table.add_column("who")
    for contest in results.contests:
        table.add_column(f"{contest.setting.latency_ms:g} ms, {contest.setting.in_flight} in flight", justify="right")
        table.add_column("the flow's ratio to it")
    for name, title in _NAMES.items():
        cells = ([f"{contest.rate(name):,.0f}", _verdict(contest, name)] for contest in results.contests)
        table.add_row(title, *(cell for pair in cells for cell in pair))
    with_reading = ([f"{contest.with_reading:,.0f}", ""] for contest in results.contests)
    table.add_row("the flow with reading, planning, reporting", *(cell for pair in with_reading for cell in pair))
    console.print(table)
    for contest in results.contests:
        console.print(f"Besides, {contest.apart_s:.1f} s for the flow's process to start and end ({_where(contest)}).")
    console.print(f"Prefect's server took {results.server_start_s:.1f} s to start.")
    if many := results.many:
        console.print(
            f"{many.orders:,} orders planned and placed in {many.flow_s:.0f} s, {many.placing_s:.0f} s of it placing;"
            f" peak memory {many.peak_mb:.0f} MB, target below {MOST_MB:.0f} MB: {_outcome(many.peak_mb < MOST_MB)}"
        )


def _where(contest: Contest) -> str:
    return f"{contest.setting.latency_ms:g} ms, {contest.setting.in_flight} in flight"


def _verdict(contest: Contest, name: str) -> str:
    if name == "ours":
        return ""
    ratio, target = contest.ratio(name), contest.targets.get(name)
    if target is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f}, target {target:g}: {_outcome(ratio >= target)}"


def _outcome(reached: bool) -> str:
    return "REACHED" if reached else "NOT REACHED"
