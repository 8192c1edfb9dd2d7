"""
Worlds in which the command line buys from the stand-in for ImpactAPI, and the judgement of each by the books alone.

`PYTHONPATH=tests python -m pretenders.impactapi_worlds --worlds 40 --first-seed 0` runs many and tells what is wrong,
with the Prefect server at PREFECT_API_URL or a temporary one. PRETENDERS_KEEP names a folder for their stories.
Times are seconds, money is in US cents.
"""

import dataclasses
import json
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any

from pretenders import impactapi
from pretenders.gateway import FAULTLESS, Faults
from pretenders.impactapi import RICH, ImpactAPI, Lag, Poor
from pretenders.shop import Order
from pretenders.worlds import Run, Verdict, campaign, options

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
PROMPT = Lag()


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
    others: int = 0
    """Donations of others in the same account, of the same amounts."""

    @property
    def forgets(self) -> bool:
        """Whether sessions vanish while the world runs, confirmed or not."""
        return self.poor.spent_is_gone and self.minute_s < PATIENT_MINUTE_S

    @property
    def undecidable(self) -> bool:
        """Whether nobody could tell, once a session has vanished, what became of it."""
        return self.forgets and not self.poor.shows_intents


class Buying(Run):
    """One world while it runs."""

    provider = "impactapi"

    def __init__(self, world: World, folder: Path):
        self.world = world
        self.draw = Random(f"world {world.seed}")
        orders = [Order(f"WR-{world.seed}-{n}", self.amount(n)) for n in range(world.orders)]
        orders += [Order(f"WR-{world.seed}-R", 90, status="REFUNDED"), Order(f"WR-{world.seed}-F", 90, status="FAILED")]
        self.api: ImpactAPI
        super().__init__(
            world, folder, POLICY, orders, ImpactAPI(world.seed, world.poor, world.lag, world.faults, world.minute_s)
        )

    def seller(self) -> dict[str, str]:
        """Give the environment's variables that name the seller."""
        return {"IMPACTAPI_API_KEY": impactapi.KEY, "IMPACTAPI_URL": self.api.url}

    def books(self) -> list[impactapi.Intent]:
        """Give all donations, for the story."""
        return self.api.intents

    def amount(self, number: int) -> float:
        """Draw an order's amount in USD, such that no two shares are the same."""
        return round(20 + number * 7 + self.draw.random() * 6, 2)

    def perform(self) -> Verdict:
        """Let all of it happen, and judge."""
        began = time.time()
        with self.shop, self.api:
            self.place_under_fire()
            self.run_until_quiet()
            rows = {} if self.agrees() else self.rows()
            if rows:
                self.evaluate(rows)
            self.audit(rows)
        self.verdict.seconds = time.time() - began
        self.verdict.faults = sum(self.api.played.values())
        return self.verdict

    def place_under_fire(self) -> None:
        """Place while runs are killed, answers go wrong and the shop's orders change."""
        names = list(self.shop.orders)
        for number in range(self.world.kills):
            words = ["place", "--patience", "20"] if number % 3 < 2 else ["reconcile", "--patience", "8"]
            self.type(*words, killer=self.killer(6 * self.world.orders))
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
        for _ in range(self.world.others):
            self.api.book({"amount": FIXED, "campaign_identifier": "trees-for-the-future"}, None, {})

    def agrees(self) -> bool:
        """Whether the books hold what each order has earned, once, and `status` counts as many."""
        books = self.booked()
        self.verdict.bought = sum(map(len, books.values()))
        wanted = {(order.id, slot) for order in self.shop.orders.values() if order.counts for slot in SLOTS.values()}
        right = all(len(i) == 1 and i[0].cents in self.earned(*place) for place, i in books.items())
        counts = {status: number for status, number in self.counts().items() if number and status != "cancelled"}
        return right and wanted <= books.keys() and counts == {"completed": len(books)}

    def earned(self, order: str, slot: str) -> set[int]:
        """Give what an order may have earned, in cents: by each amount that it ever had."""
        return {FIXED} if slot == "fixed" else {one_percent(amount) for amount in self.shop.orders[order].amounts}

    def booked(self) -> dict[tuple[str, str], list[impactapi.Intent]]:
        """Give the donations in the books that are ours and stand, by order and slot."""
        books = defaultdict(list)
        for intent in self.api.intents:
            if not intent.cancelled and "order_id" in intent.metadata:
                books[intent.metadata["order_id"], SLOTS[intent.campaign]].append(intent)
        return books

    def evaluate(self, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Hold the ledger's words against the books."""
        books = self.booked()
        for order in self.shop.orders.values():
            for slot in SLOTS.values():
                self.evaluate_one(order, slot, rows.get((order.id, slot)), books.get((order.id, slot), []))
        for stray in set(books) - {(order, slot) for order in self.shop.orders for slot in SLOTS.values()}:
            self.verdict.wrong.append(f"{stray} donated for no order")
        duplicates = defaultdict(list)
        for place, row in rows.items():
            if row["ref"]:
                duplicates[row["ref"]].append(place)
        for ref, places in duplicates.items():
            if len(places) > 1:
                self.verdict.wrong.append(f"one session {ref} recorded for {places}")

    def evaluate_one(self, order: Order, slot: str, row: dict[str, Any] | None, books: list[impactapi.Intent]) -> None:
        """Judge one order's one slot."""
        status, reason = (row["status"], row["reason"]) if row else ("nothing", None)
        what = f"{order.id} {slot}: {len(books)} donations, ledger says {status}" + (f" ({reason})" if reason else "")
        wanted = self.earned(order.id, slot)
        if len(books) > 1:
            self.verdict.wrong.append(f"twice: {what}")
        if any(intent.cents not in wanted for intent in books):
            self.verdict.wrong.append(f"amount {[i.cents for i in books]}, not of {wanted}: {what}")
        if books and status in {"nothing", "cancelled", "failed", "held", "planned"}:
            self.verdict.wrong.append(f"lost: {what}")
        if not books and status in BOUGHT:
            self.verdict.wrong.append(f"never bought: {what}")
        if (
            books
            and len(order.amounts) == 1
            and order.status in {"REFUNDED", "FAILED"}
            and order.id.endswith(("R", "F"))
        ):
            self.verdict.wrong.append(f"does not count: {what}")
        if status in {"in_doubt", "parked", "placing", "planned", "failed", "held"}:
            (self.verdict.notes if self.world.undecidable else self.verdict.undone).append(what)
        if status == "placed" and books:
            (self.verdict.notes if self.world.forgets else self.verdict.undone).append(f"still open: {what}")
        if order.counts and not books and status in {"nothing", "cancelled"}:
            self.verdict.wrong.append(f"not bought: {what}")

    def audit(self, rows: dict[tuple[str, str], dict[str, Any]]) -> None:
        """Audit, let a person cancel something, repair; compare before and after."""
        audited = self.type("reconcile", "--patience", "0", "--audit")
        found = audited.output.get("audit", {})
        halted = found.get("providers", {}).get("impactapi", {}).get("halted") if found else audited.err[-300:]
        if halted:
            self.verdict.undone.append(f"audit: nothing compared: {halted}")
        for finding in found.get("findings", []):
            not_ours = self.world.others and finding.get("finding") == "extra"
            (self.verdict.notes if not_ours else self.verdict.undone).append(f"audit: {json.dumps(finding)}"[:400])
        before, counts = self.booked(), self.counts()
        gone: tuple[str, str] | None = None
        if self.world.cancels and before:
            gone = min(before)
            before[gone][0].cancelled = True
        single = [intents[0] for intents in before.values() if len(intents) == 1 and not intents[0].cancelled]
        others = [intent for intent in self.api.intents if "order_id" not in intent.metadata]
        fixed = self.type("reconcile", "--patience", "0", "--audit", "--repair").output.get("audit", {})
        if any(intent.cancelled for intent in single + others):
            self.verdict.wrong.append(f"repair cancelled what is right: {json.dumps(fixed)[:400]}")
        self.type("track")
        if self.counts() == counts and not gone:
            return
        for place, row in self.rows().items():
            status, was = row["status"], rows[place]["status"] if rows else row["status"]
            if place == gone and status != "cancelled":
                (self.verdict.undone if self.world.poor.shows_intents else self.verdict.notes).append(
                    f"cancelled there, ledger says {status}: {place}"
                )
            proven = status in BOUGHT and len(before.get(place, [])) == 1
            if place != gone and status != was and not proven:
                self.verdict.wrong.append(f"repair made {place} {status} from {was}: {row['reason']}")


def one_percent(amount: float) -> int:
    """Give one percent of an amount in USD, in cents, halves up."""
    return int(Decimal(str(amount)).quantize(Decimal(1), ROUND_HALF_UP))


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
        others=draw.choice([0, 0, 2]),
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
        {"name": "rich, cancelled there", "cancels": True, "others": 2},
        {"name": "poorest", "poor": only(*poorest), "others": 2, **fire},
        {"name": "poorest, calm", "poor": only(*poorest), "others": 2, "cancels": True},
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
        World(2, "poorest", poor=only(*lasting), orders=6, others=2, **fire),
        World(3, "mixed, expired is gone", poor=only("expired_is_gone"), faults=Faults(0.1, mixed=0.15), kills=1),
        World(4, "cancelled there", poor=only("session_without_status", "again_is_an_error"), cancels=True, others=2),
    ]


def main() -> int:
    """Run the worlds that are chosen."""
    chosen = options(__doc__).parse_args()
    spared = frozenset(chosen.spare)
    drawn_ones = [drawn(chosen.first_seed + n, spared) for n in range(chosen.worlds)]
    worlds = poorness() if chosen.poorness else hard(spared) if chosen.hard else quick() if chosen.quick else drawn_ones
    return campaign(Buying, worlds, chosen)


if __name__ == "__main__":
    sys.exit(main())
