"""
Worlds in which the command line buys from the stand-in for ImpactAPI, and the judgement of each by the books alone.

`PYTHONPATH=tests python -m pretenders.impactapi_worlds --worlds 40 --first-seed 0` runs many and tells what is wrong,
with the Prefect server at PREFECT_API_URL or a temporary one. PRETENDERS_KEEP names a folder for their stories.
Times are seconds, money is in US cents.
"""

import argparse
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
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any

from pretenders import impactapi, shop
from pretenders.impactapi import RICH, Faults, ImpactAPI, Lag, Poor
from pretenders.shop import Order, Shop
from pretenders.typed import LATE, Said, typed

FIXED = 25
POLICY = f"""
store: acme
rules:
  - slot: fixed
    provider: impactapi
    impact: donate
    campaign: trees-for-the-future
    quantity: {{per_order: {FIXED}}}
  - slot: share
    provider: impactapi
    impact: donate
    campaign: cleanhub
    quantity: {{percent_of_order: 1}}
"""
SLOTS = {"trees-for-the-future": "fixed", "cleanhub": "share"}
BOUGHT = {"placed", "completed"}
PATIENT_MINUTE_S = 1
"""With minutes of at least so many seconds, sessions outlive the world they are in."""
PROMPT, FAULTLESS = Lag(), Faults()


@dataclass(frozen=True)
class World:
    """What one run meets."""

    seed: int
    name: str = "rich"
    poor: Poor = RICH
    lag: Lag = PROMPT
    faults: Faults = FAULTLESS
    orders: int = 5
    kills: int = 0
    """How many runs are killed before one may end."""
    at_once: bool = False
    """Whether two runs of `place` go at the same time."""
    minute_s: float = 60
    """How long a session's minute is; small: sessions end while nobody runs."""
    pause_s: float = 0
    """How long nobody runs after the kills."""
    cancels: bool = False
    """Whether a person cancels one donation at ImpactAPI when all is complete."""
    strangers: int = 0
    """Donations of others in the same account, of the same amounts."""

    @property
    def forgets(self) -> bool:
        """Whether sessions vanish while the world runs, confirmed or not."""
        return self.poor.spent_is_gone and self.minute_s < PATIENT_MINUTE_S

    @property
    def undecidable(self) -> bool:
        """Whether nobody could tell, once a session has vanished, what became of it."""
        return self.forgets and not self.poor.tells_intents


@dataclass
class Judged:
    """What one world came to."""

    world: World
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
    seconds: float = 0


class TooBusyError(Exception):
    """A command did not end in time, or Prefect did not answer: nothing can be said of this world."""


class Run:
    """One world while it runs: a shop, a seller, a ledger in a folder, and what was typed."""

    def __init__(self, world: World, folder: Path):
        self.world, self.folder, self.draw = world, folder, Random(f"world {world.seed}")
        orders = [Order(f"WR-{world.seed}-{n}", self.amount(n)) for n in range(world.orders)]
        orders += [Order(f"WR-{world.seed}-R", 90, status="REFUNDED"), Order(f"WR-{world.seed}-F", 90, status="FAILED")]
        self.shop = Shop(orders)
        self.api = ImpactAPI(world.seed, world.poor, world.lag, world.faults, world.minute_s)
        self.judged = Judged(world)
        self.said: list[tuple[str, Said]] = []
        (folder / "policy.yaml").write_text(POLICY)

    def amount(self, number: int) -> float:
        """Draw an order's amount in USD, such that no two shares are the same."""
        return round(20 + number * 7 + self.draw.random() * 6, 2)

    def environment(self) -> dict[str, str]:
        """Give the environment of every command."""
        return {
            "WICKED_REPORTS_API_KEY": shop.KEY,
            "WICKED_REPORTS_URL": self.shop.url,
            "IMPACTAPI_API_KEY": impactapi.KEY,
            "IMPACTAPI_URL": self.api.url,
            "IMPACTFLOW_LEDGER_URL": f"sqlite:///{self.folder}/ledger.db",
            "IMPACTFLOW_POLICY": f"{self.folder}/policy.yaml",
            "IMPACTFLOW_REPORTS": f"{self.folder}/reports",
            "IMPACTFLOW_LEASE_S": "6",
            "IMPACTFLOW_SETTLE_S": "8",
            "IMPACTFLOW_REQUEST_TIMEOUT_S": "1.5",
            "IMPACTFLOW_TRACK_S": "1",
        }

    def type(self, *words: str, killer: Callable[[Callable[[], None]], None] | None = None) -> Said:
        """Type one command with `--json`."""
        for _ in range(3):
            said = typed([*words, "--json"], self.environment(), self.folder, killer=killer)
            self.said.append((" ".join(words), said))
            if "no Prefect server answers" not in said.err:
                break
        if said.status == LATE or "no Prefect server answers" in said.err:
            raise TooBusyError(" ".join(words))
        if said.status not in {0, 1, None}:
            self.judged.notes.append(f"`{' '.join(words)}` ended with {said.status}: {said.err[-300:]}")
        return said

    def killer(self, kill: Callable[[], None]) -> None:
        """Kill once the seller has seen so many moments of requests, or after some seconds."""
        left = [self.draw.choice([1, 2, self.draw.randint(1, 6 * self.world.orders)])]

        def watch(kind: str) -> None:
            left[0] -= kind != "campaigns"
            if left[0] == 0:
                kill()
                self.judged.kills += 1

        self.api.watch = watch

    def perform(self) -> Judged:
        """Let all of it happen, and judge."""
        began = time.time()
        with self.shop, self.api:
            self.place_under_fire()
            self.settle_down()
            rows = {} if self.agrees() else self.rows()
            if rows:
                self.judge(rows)
            self.audit(rows)
        self.judged.seconds = time.time() - began
        self.judged.faults = sum(self.api.told.values())
        return self.judged

    def place_under_fire(self) -> None:
        """Place while runs are killed, answers go wrong and the shop's orders change."""
        names = list(self.shop.orders)
        for number in range(self.world.kills):
            words = ["place", "--patience", "20"] if number % 3 < 2 else ["reconcile", "--patience", "8"]
            self.type(*words, killer=self.killer)
            self.api.watch = lambda _: None
            if number == 0 and len(names) > 4:
                self.shop.refund(names[self.draw.randrange(2)])
                self.shop.edit(names[2], self.amount(40))
                self.shop.add(Order(f"WR-{self.world.seed}-late", self.amount(50)))
        time.sleep(self.world.pause_s)
        if self.world.at_once:
            with ThreadPoolExecutor(2) as both:
                list(both.map(lambda _: self.type("place", "--patience", "15"), range(2)))
        else:
            self.type("place", "--patience", "10")
        for _ in range(self.world.strangers):
            self.api.book({"amount": FIXED, "campaign_identifier": "trees-for-the-future"}, None, {})

    def settle_down(self) -> None:
        """Stop all faults; run until nothing moves any more, as the schedule would."""
        self.api.calm()
        before, asked = "", False
        for _ in range(3):
            status = self.type("status").told
            failed = [one for one in status["needs_attention"] if one["status"] == "failed"]
            if not failed and not status["undone"]:
                break
            state = json.dumps(status)
            if failed and not asked:
                asked = True
                for one in failed:
                    self.judged.notes.append(
                        f"failed, settled as not bought: {one['order_id']} {one['slot']}: {one['reason']}"
                    )
                    self.type("settle", one["order_id"], one["slot"], "--as", "not-bought")
            elif state == before:
                break
            before = state
            self.type("place", "--patience", "10")
        self.type("track", "--wait", "12")

    def agrees(self) -> bool:
        """Whether the books hold what each order has earned, once, and `status` counts as many."""
        books = self.booked()
        self.judged.bought = sum(map(len, books.values()))
        wanted = {(order.id, slot) for order in self.shop.orders.values() if order.counts for slot in SLOTS.values()}
        right = all(len(i) == 1 and i[0].cents in self.earned(*place) for place, i in books.items())
        counts = {status: number for status, number in self.counts().items() if number and status != "cancelled"}
        return right and wanted <= books.keys() and counts == {"completed": len(books)}

    def earned(self, order: str, slot: str) -> set[int]:
        """Give what an order may have earned, in cents: by each amount that it ever had."""
        return {FIXED} if slot == "fixed" else {one_percent(amount) for amount in self.shop.orders[order].amounts}

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Ask `show` for each placement of each order."""
        rows = {}
        for order in self.shop.orders:
            for row in self.type("show", order).told.get("placements", []):
                rows[order, row["slot"]] = row
        return rows

    def booked(self) -> dict[tuple[str, str], list[impactapi.Intent]]:
        """Give the donations in the books that are ours and stand, by order and slot."""
        books = defaultdict(list)
        for intent in self.api.intents:
            if not intent.cancelled and "order_id" in intent.metadata:
                books[intent.metadata["order_id"], SLOTS[intent.campaign]].append(intent)
        return books

    def judge(self, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Hold the ledger's words against the books."""
        books = self.booked()
        for order in self.shop.orders.values():
            for slot in SLOTS.values():
                self.judge_one(order, slot, rows.get((order.id, slot)), books.get((order.id, slot), []))
        for stray in set(books) - {(order, slot) for order in self.shop.orders for slot in SLOTS.values()}:
            self.judged.wrong.append(f"{stray} donated for no order")
        duplicates = defaultdict(list)
        for place, row in rows.items():
            if row["ref"]:
                duplicates[row["ref"]].append(place)
        for ref, places in duplicates.items():
            if len(places) > 1:
                self.judged.wrong.append(f"one session {ref} recorded for {places}")

    def judge_one(self, order: Order, slot: str, row: dict[str, Any] | None, books: list[impactapi.Intent]) -> None:
        """Judge one order's one slot."""
        status, reason = (row["status"], row["reason"]) if row else ("nothing", None)
        what = f"{order.id} {slot}: {len(books)} donations, ledger says {status}" + (f" ({reason})" if reason else "")
        wanted = self.earned(order.id, slot)
        if len(books) > 1:
            self.judged.wrong.append(f"twice: {what}")
        if any(intent.cents not in wanted for intent in books):
            self.judged.wrong.append(f"amount {[i.cents for i in books]}, not of {wanted}: {what}")
        if books and status in {"nothing", "cancelled", "failed", "held", "planned"}:
            self.judged.wrong.append(f"lost: {what}")
        if not books and status in BOUGHT:
            self.judged.wrong.append(f"never bought: {what}")
        if (
            books
            and len(order.amounts) == 1
            and order.status in {"REFUNDED", "FAILED"}
            and order.id.endswith(("R", "F"))
        ):
            self.judged.wrong.append(f"does not count: {what}")
        if status in {"in_doubt", "parked", "placing", "planned", "failed", "held"}:
            (self.judged.notes if self.world.undecidable else self.judged.undone).append(what)
        if status == "placed" and books:
            (self.judged.notes if self.world.forgets else self.judged.undone).append(f"still open: {what}")
        if order.counts and not books and status in {"nothing", "cancelled"}:
            self.judged.wrong.append(f"not bought: {what}")

    def audit(self, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Audit, let a person cancel something, repair; compare before and after."""
        audited = self.type("reconcile", "--patience", "0", "--audit")
        found = audited.told.get("audit", {})
        halted = found.get("providers", {}).get("impactapi", {}).get("halted") if found else audited.err[-300:]
        if halted:
            self.judged.undone.append(f"audit: nothing compared: {halted}")
        for finding in found.get("findings", []):
            stranger = self.world.strangers and finding.get("finding") == "extra"
            (self.judged.notes if stranger else self.judged.undone).append(f"audit: {json.dumps(finding)}"[:400])
        before, counts = self.booked(), self.counts()
        gone: tuple[str, str] | None = None
        if self.world.cancels and before:
            gone = min(before)
            before[gone][0].cancelled = True
        single = [intents[0] for intents in before.values() if len(intents) == 1 and not intents[0].cancelled]
        others = [intent for intent in self.api.intents if "order_id" not in intent.metadata]
        fixed = self.type("reconcile", "--patience", "0", "--audit", "--repair").told.get("audit", {})
        if any(intent.cancelled for intent in single + others):
            self.judged.wrong.append(f"repair cancelled what is right: {json.dumps(fixed)[:400]}")
        self.type("track")
        if self.counts() == counts and not gone:
            return
        for place, row in self.rows().items():
            status, was = row["status"], rows[place]["status"] if rows else row["status"]
            if place == gone and status != "cancelled":
                (self.judged.undone if self.world.poor.tells_intents else self.judged.notes).append(
                    f"cancelled there, ledger says {status}: {place}"
                )
            proven = status in BOUGHT and len(before.get(place, [])) == 1
            if place != gone and status != was and not proven:
                self.judged.wrong.append(f"repair made {place} {status} from {was}: {row['reason']}")

    def counts(self) -> dict[str, int]:
        """Ask `status` how many placements have which status."""
        return self.type("status").told.get("placements", {}).get("impactapi", {})


def one_percent(amount: float) -> int:
    """Give one percent of an amount in USD, in cents, halves up."""
    return int(Decimal(str(amount)).quantize(Decimal(1), ROUND_HALF_UP))


def perform(world: World) -> Judged:
    """Run one world in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(world, Path(folder))
        try:
            judged = run.perform()
        except TooBusyError as busy:
            judged = Judged(world, void=True, notes=[f"`{busy}` did not end, or Prefect did not answer"])
        except Exception as broken:  # noqa: BLE001
            judged = Judged(world, wrong=[f"this judge broke: {broken!r}"])
        if kept := os.environ.get("PRETENDERS_KEEP"):
            Path(kept, f"{world.seed}-{world.name}.txt".replace(" ", "_").replace("/", "_")).write_text(story(run))
        return judged


def story(run: Run) -> str:
    """Tell all that happened in a world."""
    lines = [str(run.judged), "", *run.api.log, "", *map(str, run.api.intents), ""]
    lines += [
        f"## {words} -> {said.status}, {said.seconds:.1f} s\n{said.out[:6000]}\n{said.err[-1500:]}"
        for words, said in run.said
    ]
    return "\n".join(lines)


def only(*switches: str) -> Poor:
    """Give a server that is poor in these ways only."""
    return dataclasses.replace(RICH, **dict.fromkeys(switches, True))


def drawn(seed: int, spared: frozenset[str] = frozenset()) -> World:
    """Draw a world: some poorness but what is spared, some lag, faults and kills."""
    draw = Random(f"drawn {seed}")
    names = list(Poor.__dataclass_fields__)
    switches = [name for name in names if name not in spared and draw.random() < 0.4]
    return World(
        seed=seed,
        name=f"drawn {seed}: {', '.join(switches) or 'rich'}",
        poor=only(*switches),
        lag=draw.choice([Lag(), Lag(2, 3, 3), Lag(5, 5, 5)]),
        faults=Faults(rate=draw.choice([0, 0.2, 0.4])),
        kills=draw.choice([0, 1, 2, 4]),
        at_once=draw.random() < 0.2,
        cancels=draw.random() < 0.3,
        strangers=draw.choice([0, 0, 2]),
    )


def poorness() -> list[World]:
    """Give one world for each switch alone, without faults."""
    return [World(n, name, only(name)) for n, name in enumerate(Poor.__dataclass_fields__)]


def hard(spared: frozenset[str] = frozenset()) -> list[World]:
    """Give worlds that each combine one poorness with what makes it matter; the poorest lack all but what is spared."""
    fire = {"lag": Lag(2, 3, 3), "faults": Faults(0.35), "kills": 2}
    short = {"faults": Faults(0.2), "kills": 2, "minute_s": 0.012, "pause_s": 12.0}
    reading = [name for name in Poor.__dataclass_fields__ if name.startswith(("session", "intent"))]
    poorest = [name for name in Poor.__dataclass_fields__ if name not in spared and not name.endswith("gone")]
    worlds: list[dict[str, Any]] = [
        {"name": "rich, faults", **fire},
        {"name": "rich, mixed answers", "faults": Faults(0.1, mixed=0.3), "kills": 1},
        {"name": "rich, short sessions", **short},
        {"name": "expired is gone", "poor": only("expired_is_gone"), **short},
        {"name": "spent is gone", "poor": only("spent_is_gone"), **short},
        {"name": "spent and expired are gone", "poor": only("spent_is_gone", "expired_is_gone"), **short},
        {"name": "rich, long lag", "lag": Lag(6, 6, 9), "kills": 1, "faults": Faults(0.15)},
        {"name": "rich, two at once", "at_once": True, **fire},
        {"name": "rich, cancelled there", "cancels": True, "strangers": 2},
        {"name": "poorest", "poor": only(*poorest), "strangers": 2, **fire},
        {"name": "poorest, calm", "poor": only(*poorest), "strangers": 2, "cancels": True},
        {
            "name": "poorest but metadata, mixed",
            "poor": only(*(n for n in poorest if "metadata" not in n)),
            "faults": Faults(0.1, mixed=0.3),
            "kills": 1,
        },
        {
            "name": "confirm says nothing, again is an error",
            "poor": only("confirmed_says_nothing", "again_is_an_error"),
            **fire,
        },
        {"name": "again is an error, mixed", "poor": only("again_is_an_error"), "faults": Faults(0.1, mixed=0.3)},
        *({"name": name.replace("_", " "), "poor": only(name), **fire} for name in reading),
    ]
    return [World(seed=100 + n, orders=6, **world) for n, world in enumerate(worlds)]


def quick() -> list[World]:
    """Give the few worlds that are always tried."""
    lasting = [name for name in Poor.__dataclass_fields__ if not name.endswith("gone")]
    fire = {"lag": Lag(2, 3, 3), "faults": Faults(0.3), "kills": 1}
    return [
        World(1, "rich, two at once", orders=6, at_once=True, **fire),
        World(2, "poorest", poor=only(*lasting), orders=6, strangers=2, **fire),
        World(3, "mixed, expired is gone", poor=only("expired_is_gone"), faults=Faults(0.1, mixed=0.15), kills=1),
        World(
            4, "cancelled there", poor=only("session_without_status", "again_is_an_error"), cancels=True, strangers=2
        ),
    ]


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


def main() -> int:
    """Run many worlds, two at a time, and tell what is wrong with each; SIGTERM ends all of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--poorness", action="store_true", help="one world for each switch alone instead")
    parser.add_argument("--quick", action="store_true", help="the few worlds that are always tried instead")
    parser.add_argument("--json", action="store_true", help="one JSON object for each world")
    parser.add_argument("--hard", action="store_true", help="one world for each chosen combination instead")
    parser.add_argument("--name", default="", help="only worlds whose name has this in it")
    parser.add_argument("--spare", nargs="*", default=[], help="switches of Poor that stay off")
    parser.add_argument("--at-once", type=int, default=2)
    chosen = parser.parse_args()
    spared = frozenset(chosen.spare)
    drawn_ones = [drawn(chosen.first_seed + n, spared) for n in range(chosen.worlds)]
    worlds = poorness() if chosen.poorness else hard(spared) if chosen.hard else quick() if chosen.quick else drawn_ones
    worlds = [world for world in worlds if chosen.name in world.name and world.seed >= chosen.first_seed]
    wrong = 0
    os.environ["PREFECT_LOGGING_TO_API_ENABLED"] = "false"
    with prefect(), ThreadPoolExecutor(chosen.at_once) as pool:
        for done in as_completed([pool.submit(perform, world) for world in worlds]):
            judged = done.result()
            wrong += bool(judged.wrong or judged.undone)
            print(json.dumps(dataclasses.asdict(judged)) if chosen.json else tell(judged), flush=True)  # noqa: T201
    if not chosen.json:
        print(f"{len(worlds)} worlds, {wrong} with something wrong or undone")  # noqa: T201
    return bool(wrong)


def tell(judged: Judged) -> str:
    """Tell one world's judgement in a few lines."""
    world = judged.world
    head = f"seed {world.seed} [{world.name}] {judged.bought} donations, {judged.faults} faults, {judged.kills} kills, "
    parts = [("WRONG", judged.wrong), ("UNDONE", judged.undone), ("note", judged.notes)]
    lines = [f"    {label} {line}" for label, told in parts for line in told]
    return "\n".join([head + f"{judged.seconds:.0f} s" + ", VOID" * judged.void, *lines])


if __name__ == "__main__":
    sys.exit(main())
