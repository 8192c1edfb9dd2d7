"""``python -m benchmarks.storm``: let a storm loose, print the results; exit status 1 if anything was not right."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.storm.prefect import Gate, Server
from benchmarks.storm.storm import Aftermath, Storm, let_loose


def main() -> None:
    """Send a storm of webhooks to a real receiver, have real flows handle it, and look into the providers' books."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=main.__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=50, help="bodies that never end, and as many that are merely slow")
    parser.add_argument("--at-once", type=int, default=50, help="senders")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trouble", action="store_true", help="the server is busy, then killed and restarted")
    given = parser.parse_args()
    storm = Storm(given.deliveries, given.slow, given.at_once, given.seed)
    with tempfile.TemporaryDirectory(prefix="storm-", ignore_cleanup_errors=True) as folder:
        aftermath = asyncio.run(_run(storm, Path(folder), trouble=given.trouble))
    _show(aftermath, Console(width=120, highlight=False))
    sys.exit(not aftermath.right)


async def _run(storm: Storm, folder: Path, *, trouble: bool) -> Aftermath:
    server = Server(folder)
    await server.start()
    try:
        return await let_loose(storm, server.api_url, folder, _trouble(server) if trouble else None)
    finally:
        server.stop()


def _trouble(server: Server) -> Callable[[Gate], Coroutine[Any, Any, None]]:
    async def befall(gate: Gate) -> None:
        gate.busy = True
        await asyncio.sleep(10)
        gate.busy = False
        server.stop()
        await asyncio.sleep(10)
        await server.start()
        print(f"The server was busy for 10 s ({gate.refused} requests answered with 503), then killed and restarted.")

    return befall


def _show(aftermath: Aftermath, console: Console) -> None:
    answers = aftermath.answers
    wrong = [kind for kind, _ in answers.wrong]
    table = Table("deliveries", "answers", "wrong", title_justify="left")
    for kind, statuses in sorted(answers.statuses.items()):
        counts = ", ".join(f"{count} x {status or 'none'}" for status, count in sorted(statuses.items()))
        table.add_row(kind, counts, str(wrong.count(kind)))
    console.print(table)
    for kind, status in sorted(set(answers.wrong)):
        console.print(f"WRONG: {kind} was answered with {status or 'nothing'}")
    quantiles = ", ".join(f"{name} {answers.quantile(part) * 1000:.0f} ms" for name, part in _QUANTILES.items())
    console.print(f"{len(answers.seconds)} answers in {aftermath.took_s:.0f} s: {quantiles}")
    singles = " and, after the storm, ".join(f"{each:.1f} s" for each in aftermath.single_s)
    console.print(f"a single delivery was bought for {singles} after its answer")
    console.print(f"after the storm all was bought {aftermath.waited_s:.1f} s later; runs: {_in_words(aftermath.runs)}")
    console.print(
        f"events lost {aftermath.lost}, not understood {aftermath.unread}, kept though no events {aftermath.strange}"
    )
    console.print(f"{aftermath.earned} purchases were earned; in the providers' books: {_in_words(aftermath.wrong)}")
    memory = ", ".join(f"{each:.0f} MB" for each in aftermath.memory_mb)
    console.print(f"the receiver's memory: {memory}; it computed for {aftermath.cpu_s:.1f} s")


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


_QUANTILES = {"p50": 0.5, "p99": 0.99, "max": 1.0}

if __name__ == "__main__":
    main()
