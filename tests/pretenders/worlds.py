"""
How a world is run: the shop, a ledger in a folder of its own, what was typed, and how many worlds are run and told.

A seller's own module says what its worlds meet and judges them. Times are seconds. PRETENDERS_KEEP names a folder for
the stories of the worlds. A campaign runs with the Prefect server at PREFECT_API_URL, or with a temporary one.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from pretenders import shop
from pretenders.gateway import Gateway
from pretenders.shop import Order, Shop
from pretenders.typed import LATE, Result, typed

TESTS = Path(__file__).parent.parent


class AnyWorld(Protocol):
    """What every world has: the seed that tells it, and a name."""

    @property
    def seed(self) -> int: ...
    @property
    def name(self) -> str: ...


@dataclass
class Verdict:
    """What one world came to."""

    world: Any
    wrong: list[str] = field(default_factory=list)
    """What breaks the promise or is recorded untruthfully."""
    undone: list[str] = field(default_factory=list)
    """What was left for a person or for later, although the server would have told."""
    notes: list[str] = field(default_factory=list)
    void: bool = False
    """Whether this machine was too busy to tell."""
    faults: int = 0
    kills: int = 0
    bought: int = 0
    parked: int = 0
    """Placements that a person had to decide, where nobody else could."""
    doubts: int = 0
    """Purchases whose outcome was unknown when they were asked for."""
    seconds: float = 0


class TooBusyError(Exception):
    """A command did not end in time, or Prefect did not answer: nothing can be said of this world."""


class Run(ABC):
    """One world while it runs: a shop, a seller, a ledger in a folder, and what was typed."""

    provider: str
    """The seller, as the policy names it."""
    unwatched: frozenset[str] = frozenset({"campaigns"})
    """Kinds of requests at which nobody is killed."""
    rounds = 3
    """How many times `place` runs at most until nothing moves."""

    def __init__(self, world: AnyWorld, folder: Path, policy: str, orders: list[Order], api: Gateway):
        self.folder, self.shop, self.api = folder, Shop(orders), api
        self.draw = Random(f"world {world.seed}")
        self.verdict = Verdict(world)
        self.commands: list[tuple[str, Result]] = []
        (folder / "policy.yaml").write_text(policy)

    @abstractmethod
    def seller(self) -> dict[str, str]:
        """Give the environment's variables that name the seller."""

    @abstractmethod
    def perform(self) -> Verdict:
        """Let all of it happen, and judge."""

    def environment(self) -> dict[str, str]:
        """Give the environment of every command."""
        return {
            "WICKED_REPORTS_API_KEY": shop.KEY,
            "WICKED_REPORTS_URL": self.shop.url,
            "IMPACTFLOW_LEDGER_URL": f"sqlite:///{self.folder}/ledger.db",
            "IMPACTFLOW_POLICY": f"{self.folder}/policy.yaml",
            "IMPACTFLOW_REPORTS": f"{self.folder}/reports",
            "IMPACTFLOW_LEASE_S": "6",
            "IMPACTFLOW_SETTLE_S": "8",
            "IMPACTFLOW_REQUEST_TIMEOUT_S": "1.5",
            "IMPACTFLOW_TRACK_S": "1",
            **self.seller(),
        }

    def type(
        self,
        *words: str,
        killer: Callable[[Callable[[], None]], None] | None = None,
        expected: frozenset[int | None] = frozenset({0, 1, None}),
    ) -> Result:
        """Type one command with `--json`; an exit status that is not expected is noted."""
        for _ in range(3):
            result = typed([*words, "--json"], self.environment(), self.folder, killer=killer)
            self.commands.append((" ".join(words), result))
            if "no Prefect server answers" not in result.err:
                break
        if result.status == LATE or "no Prefect server answers" in result.err:
            raise TooBusyError(" ".join(words))
        if result.status not in expected:
            self.verdict.notes.append(f"`{' '.join(words)}` ended with {result.status}: {result.err[-300:]}")
        return result

    def killer(self, most: int) -> Callable[[Callable[[], None]], None]:
        """Kill once the seller has seen so many moments of requests, at most `most`, or after some seconds."""
        left = [self.draw.choice([1, 2, self.draw.randint(1, most)])]

        def prepare(kill: Callable[[], None]) -> None:
            def watch(kind: str) -> None:
                left[0] -= kind not in self.unwatched
                if left[0] == 0:
                    kill()
                    self.verdict.kills += 1

            self.api.watch = watch

        return prepare

    def run_until_quiet(self) -> None:
        """Stop all faults; run until nothing moves any more, as the schedule would."""
        self.api.calm()
        before, asked = "", False
        for _ in range(self.rounds):
            status = self.type("status").output
            failed = [one for one in status["needs_attention"] if one["status"] == "failed"]
            if not failed and not status["undone"]:
                break
            state = json.dumps(status)
            if failed and not asked:
                asked = True
                for one in failed:
                    self.verdict.notes.append(
                        f"failed, settled as not bought: {one['order_id']} {one['slot']}: {one['reason']}"
                    )
                    self.type("settle", one["order_id"], one["slot"], "--as", "not-bought")
            elif state == before:
                break
            before = state
            self.type("place", "--patience", "10")
        self.type("track", "--wait", "12")

    def counts(self) -> dict[str, int]:
        """Ask `status` how many placements have which status."""
        return self.type("status").output.get("placements", {}).get(self.provider, {})

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Ask `show` for each placement of each order."""
        rows = {}
        for order in self.shop.orders:
            for row in self.type("show", order).output.get("placements", []):
                rows[order, row["slot"]] = row
        return rows

    @abstractmethod
    def books(self) -> list[Any]:
        """Give all that the seller's books hold, for the story."""

    def story(self) -> str:
        """Tell all that happened."""
        lines = [str(self.verdict), "", *self.api.log, "", *map(str, self.books()), ""]
        lines += [
            f"## {words} -> {result.status}, {result.seconds:.1f} s\n{result.out[:6000]}\n{result.err[-1500:]}"
            for words, result in self.commands
        ]
        return "\n".join(lines)


def perform(run_in: Callable[[Any, Path], Run], world: AnyWorld) -> Verdict:
    """Run one world in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_in(world, Path(folder))
        try:
            verdict = run.perform()
        except TooBusyError as busy:
            verdict = Verdict(world, void=True, notes=[f"`{busy}` did not end, or Prefect did not answer"])
        except Exception as broken:  # noqa: BLE001
            verdict = Verdict(world, wrong=[f"this judge broke: {broken!r}"])
        if kept := os.environ.get("PRETENDERS_KEEP"):
            name = f"{world.seed}-{world.name[:60]}.txt".replace(" ", "_").replace("/", "_")
            Path(kept, name).write_text(f"{verdict}\n{run.story()}")
        return verdict


@contextmanager
def prefect() -> Iterator[None]:
    """Give a Prefect server: the one at PREFECT_API_URL, else a temporary one."""
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
        words = ["-m", "prefect", "server", "start", "--port", str(port), "--no-ui", "--no-services"]
        server = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        try:
            wait_for(f"http://127.0.0.1:{port}/api/health", server)
            yield
        finally:
            server.terminate()
            server.wait(20)


def wait_for(url: str, server: subprocess.Popen[bytes], patience_s: float = 120) -> None:
    """Wait until a server answers."""
    ends = time.monotonic() + patience_s
    while time.monotonic() < ends and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise TooBusyError(url)


def options(description: str | None) -> argparse.ArgumentParser:
    """Give the options that every campaign has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="the few worlds that are always tried instead")
    parser.add_argument("--hard", action="store_true", help="one world for each chosen combination instead")
    parser.add_argument("--poorness", action="store_true", help="one world for each switch alone instead")
    parser.add_argument("--json", action="store_true", help="one JSON object for each world")
    parser.add_argument("--name", default="", help="only worlds whose name has this in it")
    parser.add_argument("--spare", nargs="*", default=[], help="switches of Poor that stay off")
    parser.add_argument("--at-once", type=int, default=2)
    return parser


def campaign(run_in: Callable[[Any, Path], Run], worlds: list[Any], chosen: argparse.Namespace) -> int:
    """Run worlds, some at a time, and tell what is wrong with each; SIGTERM ends all of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    worlds = [world for world in worlds if chosen.name in world.name and world.seed >= chosen.first_seed]
    verdicts: list[Verdict] = []
    os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    with prefect(), ThreadPoolExecutor(chosen.at_once) as pool:
        for done in as_completed([pool.submit(perform, run_in, world) for world in worlds]):
            verdict = done.result()
            verdicts.append(verdict)
            print(json.dumps(dataclasses.asdict(verdict)) if chosen.json else summary(verdict), flush=True)  # noqa: T201
    wrong = sum(bool(verdict.wrong or verdict.undone) for verdict in verdicts)
    if not chosen.json:
        parked, doubts, bought = (sum(getattr(j, part) for j in verdicts) for part in ("parked", "doubts", "bought"))
        void = sum(verdict.void for verdict in verdicts)
        print(f"{len(worlds)} worlds, {void} void, {wrong} with something wrong or undone; {bought} bought")  # noqa: T201
        print(f"{doubts} purchases of unknown outcome, {parked} of them left for a person")  # noqa: T201
    return bool(wrong)


def summary(verdict: Verdict) -> str:
    """Tell one world's judgement in a few lines."""
    world = verdict.world
    head = f"seed {world.seed} [{world.name}] {verdict.bought} bought, {verdict.faults} faults, {verdict.kills} kills, "
    parts = [("WRONG", verdict.wrong), ("UNDONE", verdict.undone), ("note", verdict.notes)]
    lines = [f"    {label} {line}" for label, texts in parts for line in texts]
    return "\n".join([head + f"{verdict.seconds:.0f} s" + ", VOID" * verdict.void, *lines])


def apart(module: str, *words: str, prefect_api_url: str, timeout_s: float) -> dict[str, dict[str, Any]] | None:
    """Run a campaign in a process of its own; None: this machine was too busy."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "IMPACT"))}
    environment |= {"PYTHONPATH": str(TESTS), "PREFECT_API_URL": prefect_api_url}
    command = [sys.executable, "-m", module, "--json", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, cwd=TESTS.parent, start_new_session=True, **pipes) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    worlds = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if not worlds:
        raise AssertionError(err[-2000:])
    return {world["world"]["name"]: world for world in worlds}
