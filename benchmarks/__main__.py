"""``python -m benchmarks``: measure, print one table, keep it as JSON in ``benchmarks/results/latest.json``."""

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.rounds import MANY, QUICK, SETTINGS, measure
from benchmarks.table import show

_RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    """Measure and tell; whether a target is reached is said, not judged: the exit status is 0 either way."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, to see that everything works")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant in each setting")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="where the JSON goes")
    given = parser.parse_args()
    console = Console(width=160, highlight=False)
    if given.quick:
        results = measure((QUICK,), 1, 0, console.print)
    else:
        results = measure(SETTINGS, given.rounds, MANY, console.print)
    show(results, console)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({**about, **results.as_json()}, indent=2) + "\n")
    console.print(f"Written to {given.out}")


if __name__ == "__main__":
    main()
