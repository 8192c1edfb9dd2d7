"""
Two builds in turns: the flow, and the commands that people wait for, as ratios of the second build to the first.

``python -m benchmarks.builds a79d5ed HEAD`` checks both revisions out into a temporary folder. Each build runs its own
code, with the packages of this environment, against the same provider and the same Prefect server.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.processes import POLICY, megabytes, prefect_server, provider, variables_for

#: Measures the flow of the build that it runs in.
_FLOW = """
import json, sys
from benchmarks.processes import flow_run
print(json.dumps(vars(flow_run(sys.argv[1], int(sys.argv[2]), 32, json.loads(sys.argv[3])))))
"""
#: The commands that are timed, each on a ledger that its build has filled.
_COMMANDS = (("--help",), ("status",), ("show", "order-1"), ("place", "--json"))
#: The orders in the ledger of the commands.
_FEW = 500

Figures = dict[str, list[float]]


def main() -> None:
    """Measure two builds in turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.builds", description=main.__doc__)
    parser.add_argument("before", help="a revision that git knows")
    parser.add_argument("after", nargs="?", default="HEAD", help="another; by default the last commit")
    parser.add_argument("--orders", type=int, default=20_000, help="orders of each run of the flow")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each build")
    chosen = parser.parse_args()
    revisions = (chosen.before, chosen.after)
    measured: Mapping[str, Figures] = {revision: defaultdict(list) for revision in revisions}
    with ExitStack() as stack:
        variables, _ = stack.enter_context(prefect_server())
        trees = {revision: stack.enter_context(_checked_out(revision)) for revision in revisions}
        many = stack.enter_context(provider(chosen.orders, 0))
        few = stack.enter_context(provider(_FEW, 0))
        for number in range(chosen.rounds):
            for revision in revisions if number % 2 == 0 else revisions[::-1]:
                _measure_flow(trees[revision], many, chosen.orders, variables, measured[revision])
                _measure_commands(trees[revision], few, variables, measured[revision])
    _show(revisions, measured, Console(width=120, highlight=False))


@contextmanager
def _checked_out(revision: str) -> Iterator[Path]:
    """A working tree of a revision, while the context is open."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(Path(__file__).parent), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def _measure_flow(tree: Path, url: str, orders: int, variables: Mapping[str, str], figures: Figures) -> None:
    command = [sys.executable, "-c", _FLOW, url, str(orders), json.dumps(variables)]
    ended = subprocess.run(command, cwd=tree, env=_code_of(tree), stdout=subprocess.PIPE, text=True, check=True)
    run = json.loads(ended.stdout.splitlines()[-1])
    for name in ("placing_s", "flow_s", "process_s", "peak_mb"):
        figures[f"flow: {name}"].append(run[name])


def _measure_commands(tree: Path, url: str, variables: Mapping[str, str], figures: Figures) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "policy.yaml").write_text(POLICY)
        environment = {**_code_of(tree), **variables, **variables_for(url, folder, 32)}
        first = [sys.executable, "-m", "impactflow", "place"]
        subprocess.run(first, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        for words in _COMMANDS:
            cpu_s, peak_mb = _used([sys.executable, "-m", "impactflow", *words], folder, environment)
            figures[f"{words[0]}: cpu_s"].append(cpu_s)
            figures[f"{words[0]}: peak_mb"].append(peak_mb)


def _used(command: Sequence[str], folder: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a command; return the seconds of processor time and the megabytes of memory that it used."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command[2:])} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, megabytes(used)


def _code_of(tree: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree)}


def _show(revisions: tuple[str, str], measured: Mapping[str, Figures], console: Console) -> None:
    before, after = (measured[revision] for revision in revisions)
    table = Table("", *revisions, "ratio")
    for name, figures in before.items():
        was, now = statistics.median(figures), statistics.median(after[name])
        table.add_row(name, f"{was:.2f}", f"{now:.2f}", f"{now / was:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
