"""``python -m benchmarks.baselines``: run every contestant under the same faults, and print the results."""

import argparse
import json
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.baselines.harness import Row, left_out, run
from benchmarks.baselines.purchase import IN_FLIGHT


def main() -> None:
    """Measure and tell; whoever buys twice, the exit status is 0, and 1 only where somebody was not done in time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines", description=main.__doc__)
    parser.add_argument("--orders", type=int, default=60, help="orders that each contestant places (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="what faults and kills follow from (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures as JSON")
    given = parser.parse_args()
    if given.orders < 1:
        parser.error("--orders: at least 1")
    console = Console(width=140, highlight=False)
    began = time.monotonic()
    absent = left_out()
    for text in absent:
        console.print(f"left out: {text}")
    try:
        rows = run(given.orders, given.seed, console.print)
    except RuntimeError as error:
        sys.exit(str(error))
    show(rows, console)
    console.print(f"{time.monotonic() - began:.0f} s")
    if given.json:
        kept = {
            "orders": given.orders,
            "seed": given.seed,
            "versions": _versions(),
            "left_out": absent,
            "rows": [row.as_json() for row in rows],
        }
        given.json.write_text(json.dumps(kept, indent=2) + "\n")


def show(rows: list[Row], console: Console) -> None:
    """Print the table."""
    table = Table(title="One purchase for each order, with faults and kills", title_justify="left")
    table.add_column("who")
    for title in ("orders", "faults", "kills", "duplicates", "losses", "duplicates per 1,000", "losses per 1,000"):
        table.add_column(title, justify="right")
    for row in rows:
        counts = (row.orders, row.faults, row.kills, row.duplicates, row.losses)
        table.add_row(row.name, *map(str, counts), _rate(row, row.duplicates), _rate(row, row.losses))
    console.print(table)
    console.print(
        "Rates are for 1,000 faults and kills; where none was seen, with the 95 % upper bound. A kill cuts off up to"
        f" {IN_FLIGHT} purchases at once."
    )


def _versions() -> dict[str, str]:
    """The versions of the contestants' tools that are installed."""
    versions = {}
    for name in ("prefect", "makeimpact", "dbos"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _rate(row: Row, count: int) -> str:
    return f"{row.per_1000(count):.0f}" if count else f"0 (below {row.bound_per_1000:.1f})"


if __name__ == "__main__":
    main()
