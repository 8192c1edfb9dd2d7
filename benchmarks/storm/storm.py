"""
A real receiver in a storm, the flows that handle the stored deliveries, and their purchases.

Receiver, worker and the pretend providers are processes of their own, and every flow is the real one. In the end the
providers' books are compared with the sales.
"""

import asyncio
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil

from benchmarks.storm.changes import changed, repeated
from benchmarks.storm.firing import Answers, fire, send
from benchmarks.storm.plan import Shot, honest, plan
from benchmarks.storm.prefect import Gate
from benchmarks.storm.senders import SECRETS, VARIABLES
from impactflow.cli.parts import Parts
from impactflow.proof.bookkeeping import POLICY, differences, earned, in_books, in_ledger, undone_in_ledger
from impactflow.proof.programs import Impactflow, base_environment
from impactflow.sandbox import generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES

#: Number of deliveries for each one about a sale that Wicked Reports lists as well.
_LISTED = 20
#: Number of deliveries for each sale that changes, of every story.
_CHANGED = 150
#: The rest of an order after a refund earns, too.
_POLICY = POLICY.replace("rules:", "eligible_payments: [APPROVED, MANUAL, Partially Refunded]\nrules:", 1)
#: The longest time until waiting work is handled and bought, in seconds: the time of two vanished runs.
_LONGEST_S = 600.0
_BUSY = 503


@dataclass(frozen=True)
class Storm:
    """
    The settings of a storm.

    Args:
        deliveries: Number of deliveries.
        slow: Number of deliveries that never end, and the same number again that are only slow.
        at_once: Number of senders.
        seed: The source of chance.
    """

    deliveries: int
    slow: int
    at_once: int
    seed: int


@dataclass(frozen=True)
class Aftermath:
    """
    The results of a storm.

    Args:
        answers: Answers of the receiver.
        lost: Events that no run handled.
        unread: Events that a run could not read.
        strange: Deliveries stored without being events.
        earned: Number of purchases that the sales have earned, each order's in each slot.
        wrong: Errors in the books: the number of purchases that are ``lost`` or bought ``twice``, and others
            ``unasked`` or of a ``wrong`` amount; and ``unrecorded``: purchases that the ledger does not know, or that
            the books do not know.
        single_s: Seconds from the answer to a single delivery to its purchases in the books; before the storm and,
            where there was trouble, after it.
        took_s: Seconds of the storm itself, and of the trouble.
        waited_s: Seconds from the end of the storm until everything was handled and bought.
        runs: Number of runs of ``place_events``, by how they ended.
        memory_mb: The receiver's memory, at the start, in the middle and at the end.
        cpu_s: Seconds that the receiver computed, its start included.
    """

    answers: Answers
    lost: int
    unread: int
    strange: int
    earned: int
    wrong: Mapping[str, int]
    single_s: Sequence[float]
    took_s: float
    waited_s: float
    runs: Mapping[str, int]
    memory_mb: Sequence[float]
    cpu_s: float

    @property
    def right(self) -> bool:
        """Whether every answer was right, every event was handled, and every due purchase was made once."""
        return not (self.answers.wrong or self.lost or self.unread or self.strange or any(self.wrong.values()))


async def let_loose(
    storm: Storm,
    api_url: str,
    folder: Path,
    trouble: Callable[[Gate], Coroutine[Any, Any, None]] | None = None,
) -> Aftermath:
    """
    Send a storm to a receiver of its own.

    Args:
        storm: The settings of the storm.
        api_url: The API of the Prefect server that the receiver triggers.
        folder: The folder for the ledger and the logs.
        trouble: Does harm to the server at the height of the storm.
    """
    gate = Gate(api_url)
    with Parts(folder) as parts:
        async with gate.serve() as gate_url:
            scene = await asyncio.to_thread(_Scene, parts, storm, api_url, gate_url, folder)
            return await scene.play(trouble and (lambda: trouble(gate)))


class _Scene:
    """The processes of a storm, and the events between them."""

    def __init__(self, parts: Parts, storm: Storm, api_url: str, gate_url: str, folder: Path) -> None:
        (folder / "policy.yaml").write_text(_POLICY)
        self._storm = storm
        self._ledger = folder / "ledger.db"
        self._variables = {
            **base_environment(folder),
            **{VARIABLES[source]: secret for source, secret in SECRETS.items()},
            "IMPACTFLOW_LEDGER_URL": f"sqlite:///{self._ledger}",
            "IMPACTFLOW_POLICY": str(folder / "policy.yaml"),
            "IMPACTFLOW_REPORTS": str(folder / "reports"),
            "PREFECT_API_URL": api_url,
        }
        listed = [f"--orders={storm.deliveries // _LISTED}", f"--seed={storm.seed}", "--rate=1000000"]
        self._variables |= parts.start_talking("sandbox", _command("sandbox", *listed), self._variables)
        busy = {"PREFECT_API_URL": gate_url}
        started = parts.start_talking("receiver", _command("webhooks", "--port=0"), self._variables | busy)
        self._url: str = started["url"]
        self._receiver = psutil.Process(parts.pids["receiver"])
        self._start_worker = partial(parts.start_talking, "worker", _command("serve"), self._variables)
        self._api = httpx.AsyncClient(base_url=api_url, timeout=60, trust_env=False)

    async def play(self, trouble: Callable[[], Coroutine[Any, Any, None]] | None) -> Aftermath:
        """
        Send changing sales; a single delivery; then the storm, while the shop's list is read; then finish what is left.

        No worker runs until the changing sales have all arrived, so their earnings follow from their final state.
        """
        storm, singles, random, answers = self._storm, [_FIRST], Random(self._storm.seed), Answers()
        listed = generate_orders(
            storm.deliveries // _LISTED, storm.seed, datetime.now(UTC), currencies=CONVERTIBLE_CURRENCIES
        )
        changes = changed(max(1, storm.deliveries // _CHANGED), random)
        shots = plan(storm.deliveries - len(changes), storm.slow, listed, random)
        shots += repeated(changes, random)
        await fire(self._url, changes, storm.at_once, lambda _: None, answers)
        await asyncio.to_thread(self._start_worker)
        async with self._api:
            single_s = [await self._single(_FIRST)]
            placing = asyncio.create_task(self._place())
            began = time.perf_counter()
            memory_mb = await self._fire(shots, trouble, answers)
            ended = time.perf_counter()
            await placing
            await self._until(lambda: not self._pending() and not undone_in_ledger(self._ledger_url), "an end")
            waited_s = time.perf_counter() - ended
            if trouble:
                single_s.append(await self._single(_LAST))
                singles.append(_LAST)
            sent = [*singles, *changes, *shots]
            expected = earned([*listed, *(shot.sold for shot in sent if shot.sold)])
            return Aftermath(
                answers,
                **self._deliveries(sent),
                earned=len(expected),
                wrong=await self._compare(expected, listed),
                single_s=single_s,
                took_s=ended - began,
                waited_s=waited_s,
                runs=await self._runs(),
                memory_mb=[*memory_mb, self._memory_mb()],
                cpu_s=sum(self._receiver.cpu_times()[:2]),
            )

    async def _fire(
        self, shots: Sequence[Shot], trouble: Callable[[], Coroutine[Any, Any, None]] | None, answers: Answers
    ) -> list[float]:
        """Fire the storm, with trouble when a third of it is over; the receiver's memory at a tenth and a half."""
        memory_mb: list[float] = []
        async with asyncio.TaskGroup() as tasks:

            def on_answer(count: int) -> None:
                if count in {len(shots) // 10, len(shots) // 2}:
                    memory_mb.append(self._memory_mb())
                if trouble and count == len(shots) // 3:
                    tasks.create_task(trouble())

            await fire(self._url, shots, self._storm.at_once, on_answer, answers)
        return memory_mb

    def _memory_mb(self) -> float:
        megabytes: float = self._receiver.memory_info().rss / 1e6
        return megabytes

    @property
    def _ledger_url(self) -> str:
        return self._variables["IMPACTFLOW_LEDGER_URL"]

    async def _single(self, shot: Shot) -> float:
        """Deliver one sale; return the seconds from the answer to all its earned purchases."""
        status, _ = await send(self._url, shot)
        began = time.perf_counter()
        if status not in shot.statuses or not shot.sold:
            sys.exit(f"a single delivery was answered with {status}")
        order, slots = shot.sold["id"], len(earned([shot.sold]))
        while sum(row["order_id"] == order for row in await self._books()) < slots:
            if time.perf_counter() > began + _LONGEST_S:
                sys.exit("a single delivery was not bought for")
            await asyncio.sleep(0.1)
        return time.perf_counter() - began

    async def _place(self) -> None:
        """Read the shop's list, while the same sales come by webhook; again, where the server went away meanwhile."""
        command, until = Impactflow(Path.cwd(), self._variables), time.monotonic() + _LONGEST_S
        while (ended := await asyncio.to_thread(command.run, "place", "--json", timeout_s=_LONGEST_S)).status:
            if time.monotonic() > until:
                sys.exit(f"`impactflow place` ended with {ended.status}: {ended.out}\n{ended.err}")

    async def _until(self, happened: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _LONGEST_S
        while not await asyncio.to_thread(happened):
            if time.monotonic() > until:
                sys.exit(f"{what} did not come within {_LONGEST_S:g} s")
            await asyncio.sleep(0.5)

    def _pending(self) -> int:
        return sum(handled_at is None for _, _, handled_at, _ in self._stored())

    def _stored(self) -> list[tuple[str, str, str | None, str | None]]:
        connection = sqlite3.connect(self._ledger)
        try:
            return connection.execute("SELECT source, webhook_id, handled_at, problem FROM deliveries").fetchall()
        finally:
            connection.close()

    def _deliveries(self, shots: Sequence[Shot]) -> dict[str, int]:
        """The state of the deliveries in the ledger."""
        sent = [*shots, *(shot.refund for shot in shots if shot.refund)]
        events = {shot.event for shot in sent if shot.event}
        # A callback's id has a digest behind the placement's key.
        stored = {(source, name.partition(".")[0]): rest for source, name, *rest in self._stored()}
        handled = {event for event, (handled_at, _) in stored.items() if handled_at}
        return {
            "lost": len(events - handled),
            "unread": sum(problem is not None for _, problem in stored.values()),
            "strange": len(stored.keys() - events),
        }

    async def _compare(
        self, expected: Mapping[tuple[str, str], int], listed: Sequence[Mapping[str, Any]]
    ) -> dict[str, int]:
        """Compare the books with the earnings and with the ledger; a sale counts under the name that came first."""
        purchases = await self._books()
        names = {f"{order['sourceSystem']}:{order['sourceId']}": order["id"] for order in listed}
        renamed = [{**row, "order_id": names.get(row["order_id"], row["order_id"])} for row in purchases]
        wrong = {name: len(found) for name, found in differences(expected, renamed).items()}
        known = await asyncio.to_thread(in_ledger, self._ledger_url)
        return {**wrong, "unrecorded": len(known ^ in_books(purchases))}

    async def _books(self) -> list[dict[str, Any]]:
        url = self._variables["WICKED_REPORTS_URL"].replace("/wickedreports", "/_sandbox/books")
        purchases: list[dict[str, Any]] = (await self._api.get(url)).raise_for_status().json()["purchases"]
        return purchases

    async def _runs(self) -> dict[str, int]:
        """Count runs of ``place_events`` by how they ended; runs that are still to come are left out."""
        asked = {
            "flows": {"name": {"any_": ["place_events"]}},
            "flow_runs": {"expected_start_time": {"before_": datetime.now(UTC).isoformat()}},
        }
        return Counter(run["state"]["name"] for run in await self._ask("POST", "/flow_runs/filter", asked))

    async def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Ask Prefect's API; ask again where it is busy, as an API on SQLite is now and then."""
        while True:
            answer = await self._api.request(method, path, json=content)
            if answer.status_code != _BUSY:
                return answer.raise_for_status().json()
            await asyncio.sleep(1)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "impactflow", *arguments, "--json"]


#: Kinds that come before and after the storm, on their own.
_FIRST, _LAST = honest("shopify", "first"), honest("stripe", "last")
