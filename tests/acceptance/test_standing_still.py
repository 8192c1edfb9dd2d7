"""
The one promise, where machines stand still: real workers get SIGSTOP just after their claim, and SIGCONT much later.

By then the lease and the settling time are over, and another has bought what was theirs.
"""

import asyncio
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import pytest
from forking import start_forked
from processes import order, sandbox_thread
from standing_worker import stand

from impactflow.buying.loop import buy_at, steps_of
from impactflow.buying.run import open_run
from impactflow.intake.planning import plan
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.proof.bookkeeping import in_books, in_ledger, undone_in_ledger
from impactflow.proof.programs import base_environment
from impactflow.settings import Settings, load_settings
from impactflow.window import Window

pytestmark = pytest.mark.timeout(480)  # all of it is in the set-up of the first test

STOPS = 16
#: How much later after the claim each further one is stopped, in seconds: from the claim until the request has left a
#: few milliseconds pass.
STEP_S = 0.0002
#: Seconds. As short as a slow machine allows.
TIMES = {"IMPACTFLOW_LEASE_S": "2", "IMPACTFLOW_REQUEST_TIMEOUT_S": "0.5", "IMPACTFLOW_SETTLE_S": "4"}
POLICY = Policy.model_validate(
    {
        "store": "standing",
        "rules": [
            {"slot": "trees", "provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_order": 1}}
        ],
    }
)
DIGEST = POLICY.digest


@dataclass(frozen=True)
class Story:
    """
    What happened.

    Args:
        bought: How many purchases the books hold for each order, in the end.
        unsent: How many of the stopped had sent nothing.
        books: The purchases in the books.
        ledger: The purchases in the ledger.
        undone: How many placements the ledger leaves undone.
        ends: How each worker ended.
    """

    bought: Counter[str]
    unsent: int
    books: Any
    ledger: Any
    undone: int
    ends: list[int]


@dataclass(frozen=True)
class Worker:
    """A process, and how a word is passed to it."""

    process: BaseProcess
    word: Connection

    def send_signal(self, number: signal.Signals) -> None:
        """Stop it, or let it go on, if it has not ended."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def end(self) -> int | None:
        """Wait for its end: the exit status."""
        self.process.join(30)
        return self.process.exitcode


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Told once."""
    folder = tmp_path_factory.mktemp("standing")
    ledger_url = f"sqlite:///{folder / 'ledger.db'}"
    with ExitStack() as stack:
        sandbox = stack.enter_context(sandbox_thread([order(number) for number in range(STOPS)]))
        variables = {**sandbox.variables, **TIMES, "IMPACTFLOW_LEDGER_URL": ledger_url}
        settings = stack.enter_context(_environment(variables))
        asyncio.run(_plan(settings))
        workers = [stack.enter_context(_worker(number, folder, variables)) for number in range(STOPS)]
        for worker in workers:
            assert worker.word.poll(60)
            assert "ready" == worker.word.recv()
        with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None, timeout=0.1)) as ledger:
            for number, worker in enumerate(workers):
                _stop_after_claim(worker, f"worker-{number}", ledger, after_s=number * STEP_S)
            asked = {purchase["impactflow_key"] for purchase in sandbox.purchases()}
            for number, worker in enumerate(workers):
                _let_it_finish_its_step(worker, f"worker-{number}", folder, ledger, asked)
        unsent = STOPS - len(asked)
        asyncio.run(_buy_all(settings))
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
        ends = [worker.end() for worker in workers]
        asyncio.run(_buy_all(settings))
        books = sandbox.purchases()
        bought = Counter(purchase["order_id"] for purchase in books)
        print(f"\n{unsent} of {STOPS} stopped before they sent; {sum(n > 1 for n in bought.values())} twice")  # noqa: T201
        yield Story(bought, unsent, in_books(books), in_ledger(ledger_url), undone_in_ledger(ledger_url), ends)


def test_p4_who_stood_still_after_its_claim_sends_nothing_any_more(story):
    """Sixteen machines stood still for longer than lease and settling time; nothing is bought twice, all of it once."""
    assert {f"WR-{number}": 1 for number in range(STOPS)} == story.bought


def test_p4_the_ledger_knows_every_purchase_of_those_who_stood_still(story):
    """And nothing is left undone."""
    assert (story.books, 0) == (story.ledger, story.undone)


def test_p4_who_stood_still_goes_on_and_ends(story):
    """Another had its placement by then, which is no failure."""
    assert [0] * STOPS == story.ends


def test_p4_some_stops_came_between_claim_and_request(story):
    """Otherwise the tests above would prove little."""
    assert story.unsent > 0


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[Settings]:
    """This process's settings, for what the test itself does."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield load_settings()


@contextmanager
def _worker(number: int, folder: Path, variables: Mapping[str, str]) -> Iterator[Worker]:
    ours, its = Pipe()
    all_variables = {**base_environment(folder), **variables}
    process = start_forked(stand, f"worker-{number}", DIGEST, its, folder=folder, variables=all_variables)
    try:
        yield Worker(process, ours)
    finally:
        process.kill()
        process.join()


def _stop_after_claim(worker: Worker, run_id: str, ledger: sqlite3.Connection, *, after_s: float) -> None:
    """Let a worker begin, and stop it soon after its claim is on disk; not where it still locks the ledger."""
    worker.word.send("go")
    ends_at = time.monotonic() + 20
    claimed = "SELECT 1 FROM events WHERE run_id = ? AND to_status = 'placing'"
    while not ledger.execute(claimed, (run_id,)).fetchone():
        assert time.monotonic() < ends_at, f"{run_id} claims nothing"
    strikes_at = time.monotonic() + after_s
    while time.monotonic() < strikes_at:
        pass
    worker.send_signal(signal.SIGSTOP)
    with suppress(psutil.NoSuchProcess):  # it has done its work and ended before the signal came
        while psutil.Process(worker.process.pid).status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
            assert time.monotonic() < ends_at, f"{run_id} does not stop"
    try:
        ledger.execute("BEGIN IMMEDIATE")
        ledger.execute("ROLLBACK")
    except sqlite3.OperationalError:
        worker.send_signal(signal.SIGCONT)


def _let_it_finish_its_step(
    worker: Worker, run_id: str, folder: Path, ledger: sqlite3.Connection, asked: set[str]
) -> None:
    """Wake one that was stopped within the step that looks and sends: docs/promise.md assumes that none is."""
    claimed = "SELECT key FROM placements JOIN events ON placement = placements.id WHERE events.run_id = ?"
    (key,) = ledger.execute(claimed, (run_id,)).fetchone()
    if (folder / f"{run_id}.looks").exists() and key not in asked:
        worker.send_signal(signal.SIGCONT)


async def _plan(settings: Settings) -> None:
    async with open_run(settings, "planner") as run:
        window = Window.parse(None, None, today=datetime.now(UTC).date(), watermark=None)
        await plan(run.ledger, run.order_source(), POLICY, window, run.clock, run.id, moves_watermark=True)


async def _buy_all(settings: Settings) -> None:
    """Settle and place until nothing is left, as a run of ``place`` does."""
    async with open_run(settings, "another") as run:
        await buy_at(run, ProviderName.ONECLICKIMPACT, POLICY, 30, steps_of(run, POLICY))
