"""Run the proof and show its figures as tables."""

import time
from statistics import median
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from impactflow.cli.console import err, out, print_json, print_table
from impactflow.cli.parts import interruptible
from impactflow.proof.prove import Proof, Size, prove
from impactflow.proof.statistics import upper_bound

#: Time between two progress lines, in seconds.
_EVERY_S = 5.0


def run_proof(size: Size, *, as_json: bool) -> int:
    """
    Prove at this size; the exit status is 0 if no error was found and every planted bug was noticed.

    However the proof is interrupted, the servers that it has started are ended.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with interruptible(), Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bars: dict[str, TaskID] = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=of or None)
            progress.update(bars[what], completed=done)

        proof = prove(size, report if err.is_terminal else _Lines().report)
    if as_json:
        print_json(proof.as_json())
    else:
        _show(proof)
    return 0 if proof.holds else 1


class _Lines:
    """Progress as a line every few seconds, where the output is no terminal."""

    def __init__(self) -> None:
        self._announced_at = -_EVERY_S

    def report(self, what: str, done: int, of: int) -> None:
        if (now := time.monotonic()) - self._announced_at >= _EVERY_S:
            self._announced_at = now
            err.print(f"{what}: {done} of {of}" if of else f"{what}: {done}", markup=False)


def _show(proof: Proof) -> None:
    print_table(
        "What was tried",
        [
            {
                "part": row.part,
                "trials": row.trials,
                "wrong": row.wrong,
                "at most (95 %)": "these are all" if row.bound is None else _percent(row.bound),
                "seconds": round(row.duration_s),
                "of these": row.of,
            }
            for row in proof.rows
        ],
    )
    print_table(
        "Left to a person, of the attempts whose outcome was unknown",
        [
            {
                "provider, and what its answers are like": mode,
                "unknown": doubts,
                "parked": parked,
                "at most (95 %)": _percent(upper_bound(parked, doubts)),
            }
            for mode, (doubts, parked) in proof.parked.items()
            if doubts
        ],
    )
    if proof.planted:
        seeds = [taken for taken in proof.planted.values() if taken]
        out.print(
            f"{len(seeds)} of {len(proof.planted)} planted bugs noticed, after {median(seeds or [0]):g} seeds (median),"
            f" at most {max(seeds, default=0)}"
        )
        print_table(
            "Planted bugs", [{"bug": name, "seeds": taken or "not noticed"} for name, taken in proof.planted.items()]
        )
    print_table("The usual alternatives, under the same faults and kills", [_brief(row) for row in proof.baselines])
    for text in proof.left_out:
        out.print(f"left out: {text}", markup=False)
    for text in proof.failures:
        out.print(f"WRONG: {text}", markup=False)
    out.print("[green]nothing wrong[/green]" if proof.holds else "[bold red]something is wrong[/bold red]")


def _brief(row: Any) -> dict[str, Any]:
    return {
        "who": row["name"],
        "orders": row["orders"],
        "faults": row["faults"],
        "kills": row["kills"],
        "duplicates per 1,000": _rate(row, "duplicates"),
        "losses per 1,000": _rate(row, "losses"),
    }


def _rate(row: Any, what: str) -> str:
    below = row[f"{what}_per_1000_below"]
    return f"{row[f'{what}_per_1000']:.1f}" if below is None else f"0 (below {below:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
