"""
The whole job, as a story.

A sandbox runs as a process of its own, with faults. The flows place, track and place again run. Then the sandbox's
books are compared with the ledger. Nothing is special: the same flows, the same HTTP, a ledger in the folder ``demo``.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from impactflow import stopping
from impactflow.cli.console import err, out, print_json, print_table
from impactflow.cli.parts import make_folder
from impactflow.cli.prefect import run_flow
from impactflow.cli.pretend_shop import NO_DAY_LIMIT, policy_text
from impactflow.ledger import Ledger, Planned, Status
from impactflow.reports.files import bought
from impactflow.reports.standing import Standing
from impactflow.reports.summary import Outcome, TrackOutcome
from impactflow.settings import load_settings

R = TypeVar("R")

#: The folder where the demo works; made anew each time.
FOLDER = Path("demo")
#: Answers are lost before and after the purchase, records come late, pages shift; all waits are as short as possible.
_FAULTS = "rough,hang=0.002,rate_limited=0.003"
#: In seconds: as in real life, only shorter, so that doubts are resolved while a person watches.
_TIMES = {"IMPACTFLOW_LEASE_S": "8", "IMPACTFLOW_REQUEST_TIMEOUT_S": "1", "IMPACTFLOW_SETTLE_S": "5"}
#: Five weeks pass in about two seconds.
_SPEED = 1_500_000


def run_demo(orders: int, seed: int, *, as_json: bool) -> int:
    """Print the story; return 0 when the books equal the ledger and nothing is left undone."""
    show = _Narrator(as_json=as_json)
    shutil.rmtree(FOLDER, ignore_errors=True)
    make_folder(FOLDER)
    (FOLDER / "policy.yaml").write_text(policy_text("demo", datetime.now(UTC).date(), NO_DAY_LIMIT))
    with _sandbox(orders, seed) as environment:
        os.environ.update(_environment(environment))
        sandbox = environment["WICKED_REPORTS_URL"].removesuffix("/wickedreports")
        show.beginning(orders)
        began = time.monotonic()
        placed: Outcome = run_flow("place_impacts", "placing")
        show.placed(placed, _get(f"{sandbox}/_sandbox/status"), _ask(Ledger.changes))
        bought_first = len(_get(f"{sandbox}/_sandbox/books")["purchases"])
        tracked: TrackOutcome = run_flow("track_placements", "tracking", wait_s=20.0)
        show.tracked(tracked)
        again: Outcome = run_flow("place_impacts", "placing again")
        purchases = _get(f"{sandbox}/_sandbox/books")["purchases"]
        bought_again = len(purchases) - bought_first
        show.again(again, bought_again)
        verdict = _compare(purchases)
        show.verdict(verdict)
        good = not (again.undone or bought_again or tracked.open or verdict["differences"])
        seconds = {
            "all": time.monotonic() - began,
            "flows": sum(each.duration_s for each in (placed, tracked, again)),
        }
        show.end(good, seconds, tracked.report)
        if as_json:
            print_json(
                {
                    "place": placed.as_json(),
                    "track": tracked.as_json(),
                    "again": again.as_json(),
                    "books": verdict,
                    "seconds": seconds,
                    "ok": good,
                }
            )
    return 0 if good else 1


class _Narrator:
    """The texts of the story."""

    def __init__(self, *, as_json: bool) -> None:
        self._console = err if as_json else out
        self._tables = not as_json

    def beginning(self, orders: int) -> None:
        self._console.print(
            f"A shop sold {orders} orders last week. Each plants a tree, offsets 2.5 kg of CO2 an item and gives 1 %.\n"
            "Three pretend providers sell that, over HTTP; answers get lost on purpose, before and after the purchase."
        )

    def placed(self, result: Outcome, status: Mapping[str, Any], changes: Mapping[Any, int]) -> None:
        read, standing = result.planned or Planned(), Standing.of(result.ledger.in_window)
        struck: Counter[str] = Counter()
        for each in status.values():
            struck.update(each["faults"])
        doubts = {to: changes.get((Status.IN_DOUBT, to), 0) for to in Status}
        self._console.print(f"[bold]1[/] read: {read.read} orders, of which {read.eligible} count")
        self._console.print(
            f"[bold]2[/] placed: {standing.placed} purchases with {result.requests} requests;"
            f" {standing.failed} failed, {standing.held} held"
        )
        self._console.print(
            f"[bold]3[/] {struck.total()} faults: {', '.join(f'{n} {name}' for name, n in struck.items())}"
        )
        self._console.print(
            f"[bold]4[/] lost and found: {doubts[Status.PLACED]} purchases whose answer was lost were found again,"
            f" {doubts[Status.PLANNED]} were found not to have happened and sent again, {doubts[Status.PARKED]} parked,"
            f" {standing.in_doubt} still in doubt"
        )

    def tracked(self, result: TrackOutcome) -> None:
        tracked = result.tracked
        self._console.print(
            f"[bold]5[/] tracked: {tracked.completed} completed in {tracked.checked} looks, {result.open} open"
        )

    def again(self, result: Outcome, bought_again: int) -> None:
        read = result.planned or Planned()
        self._console.print(
            f"[bold]6[/] run again: {read.read} orders read, {read.new} new, {bought_again} more purchases"
        )

    def verdict(self, verdict: Mapping[str, Any]) -> None:
        self._console.print(
            f"[bold]7[/] compared: the providers' books hold {verdict['bought']} purchases, the ledger"
            f" {verdict['recorded']}; {verdict['twice']} bought twice, {verdict['unrecorded']} not recorded,"
            f" {verdict['not_bought']} recorded but not bought, {verdict['wrong']} with a wrong amount"
        )

    def end(self, good: bool, seconds: Mapping[str, float], report: str) -> None:
        if self._tables:
            print_table("What was bought", _bought())
        self._console.print(f"report: {report}, ledger: {FOLDER / 'impactflow.db'}")
        verdict = "[bold green]The books equal the ledger.[/]" if good else "[bold red]Something differs.[/]"
        self._console.print(
            f"{verdict} The flows took {seconds['flows']:.1f} s, {seconds['all']:.1f} s with the Prefect server's"
            " starts."
        )


@contextmanager
def _sandbox(orders: int, seed: int) -> Iterator[dict[str, str]]:
    """Run a sandbox in a process of its own; yield the environment that points at it."""
    command = [
        sys.executable, "-m", "impactflow", "sandbox", "--json", f"--orders={orders}", f"--seed={seed}",
        f"--faults={_FAULTS}", f"--speed={_SPEED}", "--rate=100000", "--latency-ms=5",
    ]  # fmt: skip
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _environment(sandbox: Mapping[str, str]) -> dict[str, str]:
    return {
        **sandbox,
        **_TIMES,
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{FOLDER / 'impactflow.db'}",
        "IMPACTFLOW_POLICY": str(FOLDER / "policy.yaml"),
        "IMPACTFLOW_REPORTS": str(FOLDER / "reports"),
    }


def _get(url: str) -> Any:
    return httpx.get(url, timeout=30, trust_env=False).raise_for_status().json()


def _compare(purchases: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Compare the providers' books with the ledger, purchase by purchase, by the key sent with each purchase."""
    bought: dict[str, list[int]] = {}
    for purchase in purchases:
        bought.setdefault(purchase["impactflow_key"], []).append(purchase["quantity"])
    recorded = {row["key"]: row["quantity"] for row in _ask(Ledger.purchases)}
    found = {
        "twice": sum(len(quantities) > 1 for quantities in bought.values()),
        "unrecorded": len(bought.keys() - recorded.keys()),
        "not_bought": len(recorded.keys() - bought.keys()),
        "wrong": sum(bought[key][0] != recorded[key] for key in bought.keys() & recorded.keys()),
    }
    return {"bought": len(purchases), "recorded": len(recorded), **found, "differences": sum(found.values())}


def _ask(question: Callable[[Ledger], Awaitable[R]]) -> R:
    async def ask() -> R:
        with Ledger.open(load_settings().impactflow_ledger_url) as ledger:
            return await question(ledger)

    return stopping.run(ask())


def _bought() -> list[dict[str, Any]]:
    frame = bought(_ask(Ledger.totals)).drop(columns=["day", "impact"])
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
