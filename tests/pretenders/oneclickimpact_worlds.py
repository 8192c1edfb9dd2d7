"""
Worlds in which the command line buys from the stand-in for 1ClickImpact, and the judgement of each by the books alone.

`PYTHONPATH=tests python -m pretenders.oneclickimpact_worlds --worlds 40 --first-seed 0` runs many and tells what is
wrong. What is relied on: a purchase that was answered with a no is listed by the time of the next look; records appear
within the settling time; where metadata is dropped nobody else buys the like for the same customer at the same time.
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

from pretenders import oneclickimpact
from pretenders.gateway import FAULTLESS, Faults
from pretenders.oneclickimpact import PURCHASE_KINDS, RICH, Lag, OneClickImpact, Poor, Purchase
from pretenders.shop import Order
from pretenders.worlds import Run, campaign, options

POLICY = """
store: acme
rules:
  - slot: trees
    provider: oneclickimpact
    impact: plant_trees
    quantity: {per_order: 1}
  - slot: food
    provider: oneclickimpact
    impact: plant_trees
    category: food
    quantity: {per_order: 1}
  - slot: share
    provider: oneclickimpact
    impact: donate
    quantity: {percent_of_order: 1}
"""
SLOTS = ("trees", "food", "share")
BOUGHT = {"placed", "completed"}
OPEN = {"in_doubt", "parked", "placing", "planned", "failed", "held"}
PROMPT = Lag()
REFUSED = "never@shop.test"
"""The customer for whom the seller sells nothing, where there is one."""
Place = tuple[str, str]


def fire(rate: float, mixed: float = 0) -> Faults:
    """Give faults of every kind; what is late still comes well within the settling time."""
    return Faults(rate, PURCHASE_KINDS, mixed, late_s=2.5)


#: How often a command is typed again that a passing refusal has ended.
_ASKED_AGAIN = 4


@dataclass(frozen=True)
class World:
    """What one run meets."""

    seed: int
    name: str = "rich"
    poor: Poor = RICH
    lag: Lag = PROMPT
    faults: Faults = FAULTLESS
    orders: int = 4
    customers: str = "each"
    """Whose the orders are: `each` its own customer's, all of one (`shared`), or nobody's (`none`)."""
    kills: int = 0
    """How many runs are killed before one may end."""
    at_once: bool = False
    """Whether two runs of `place` go at the same time."""
    others: float = 0
    """How often somebody else buys at the account right beside a purchase of ours."""
    earlier: int = 0
    """How much others bought there before, of the same kinds."""
    ends_early: int = 0
    """How many listings end before their end, all of them in the same order."""
    cancels: bool = False
    """Whether a person cancels one purchase at 1ClickImpact when all is complete."""
    loses_ledger: bool = False
    """Whether the ledger is lost once all is bought, and taken over from the records."""
    refuses: bool = False
    """Whether the seller refuses one customer for good, and a person settles what failed."""

    @property
    def healthy(self) -> bool:
        """Whether nothing happened that an audit could find."""
        return not (self.cancels or self.refuses or self.faults.mixed)


class Buying(Run):
    """One world while it runs."""

    provider = "oneclickimpact"
    unwatched = frozenset({"whoami"})
    rounds = 6

    def __init__(self, world: World, folder: Path):
        self.world = world
        draw = Random(f"amounts {world.seed}")
        orders = [
            Order(f"WR-{world.seed}-{n}", round(20 + n * 7 + draw.random() * 6, 2), email=self.customer(n))
            for n in range(world.orders)
        ]
        if world.refuses:
            orders.append(Order(f"WR-{world.seed}-N", 77, email=REFUSED))
        orders += [Order(f"WR-{world.seed}-R", 90, status="REFUNDED"), Order(f"WR-{world.seed}-F", 90, status="FAILED")]
        self.late = Order(f"WR-{world.seed}-late", 99.4, email=self.customer(world.orders))
        self.beside = Random(f"beside {world.seed}")
        self.api: OneClickImpact
        api = OneClickImpact(
            world.seed,
            world.poor,
            world.lag,
            world.faults,
            ends_early=world.ends_early,
            refuses_email=REFUSED if world.refuses else None,
            beside=self.buy_beside,
        )
        super().__init__(world, folder, POLICY, orders, api)

    def customer(self, number: int) -> str | None:
        """Give an order's customer."""
        return {"each": f"buyer{number}@shop.test", "shared": "buyer@shop.test", "none": None}[self.world.customers]

    def seller(self) -> dict[str, str]:
        """Give the environment's variables that name the seller."""
        return {"ONECLICKIMPACT_API_KEY": oneclickimpact.KEY, "ONECLICKIMPACT_URL": self.api.url}

    def books(self) -> list[Purchase]:
        """Give all purchases, for the story."""
        return self.api.purchases

    # Others at the same account.

    def buy_beside(self, api: OneClickImpact, ours: Purchase) -> None:
        """Let somebody else buy the like right after us; where nobody could tell whose it is, for another customer."""
        if self.beside.random() >= self.world.others:
            return
        body: dict[str, Any] = {"amount": ours.amount, "notify": False}
        if api.poor.metadata_dropped:
            body["customer_email"] = f"else{len(api.purchases)}@other.test"
        else:
            if ours.email:
                body["customer_email"] = ours.email
            body["metadata"] = self.beside.choice([{}, {"order": "X-1"}])
        api.book(ours.action, body)

    def buy_earlier(self) -> None:
        """Let others have bought the like, for the same customers too, before anything else happened."""
        for number in range(self.world.earlier):
            email = self.customer(number)
            body = {"amount": 1, **({"customer_email": email} if email else {})}
            self.api.book("plant_tree", body, ago_s=3600 * (number + 1))

    # What happens.

    def perform(self) -> Any:
        """Let all of it happen, and judge."""
        began = time.time()
        with self.shop, self.api:
            self.buy_earlier()
            self.claim()
            self.place_under_fire()
            self.run_until_quiet()
            if self.world.loses_ledger:
                self.lose_ledger()
            if not (self.world.loses_ledger and self.world.poor.metadata_dropped):  # Else refusing is all there is.
                rows = self.rows()
                self.evaluate(rows)
                self.audit(rows)
        if self.api.stalled_s > 1:
            self.verdict.notes.append(f"the seller's process stood still for {self.api.stalled_s:.1f} s")
        self.verdict.seconds = time.time() - began
        self.verdict.faults = sum(self.api.played.values())
        buys = tuple(oneclickimpact.FIELDS)
        self.verdict.doubts = sum(n for what, n in self.api.failed.items() if what.startswith(buys))
        self.verdict.bought = sum(map(len, self.booked().values()))
        return self.verdict

    def claim(self) -> None:
        """Say that what was bought earlier is not ours, where the records name nobody; `place` refuses until then."""
        if not self.world.earlier:
            return
        result = self.type("place", "--patience", "0", expected=frozenset({2}))
        if result.status != 2 or self.booked():
            self.verdict.wrong.append(f"`place` did not refuse an account with earlier purchases: {result.status}")
        for _ in range(_ASKED_AGAIN):  # a gateway may refuse one of its reads; a person types it once more
            if self.type("adopt", "--not-ours", "oneclickimpact", "--yes", expected=frozenset({0, 1, 2})).status == 0:
                return

    def place_under_fire(self) -> None:
        """Place while runs are killed, answers go wrong and the shop's orders change."""
        names = list(self.shop.orders)
        for number in range(self.world.kills):
            words = ["place", "--patience", "20"] if number % 3 < 2 else ["reconcile", "--patience", "8"]
            self.type(*words, killer=self.killer(8 * self.world.orders))
            self.api.watch = lambda _: None
            if number == 0:
                self.shop.refund(names[self.draw.randrange(2)])
                self.shop.add(self.late)
        if self.world.at_once:
            with ThreadPoolExecutor(2) as both:
                list(both.map(lambda _: self.type("place", "--patience", "15"), range(2)))
        else:
            self.type("place", "--patience", "10")

    def lose_ledger(self) -> None:
        """Lose the ledger; `place` must refuse to buy again until `adopt` has taken over what is bought."""
        for file in self.folder.glob("ledger.db*"):
            file.unlink()
        before = len(self.api.purchases)
        result = self.type("place", "--patience", "0", expected=frozenset({2}))
        if result.status != 2 or len(self.api.purchases) != before:
            self.verdict.wrong.append(f"`place` bought with an empty ledger: {result.status}, {result.err[-200:]}")
        if self.world.poor.metadata_dropped:
            return
        self.type("adopt")
        self.type("adopt", "--yes")
        self.type("place", "--patience", "5")
        self.run_until_quiet()

    # What the books say.

    def booked(self) -> dict[Place, list[Purchase]]:
        """Give what is ours and stands, by order and slot."""
        books = defaultdict(list)
        for purchase in self.api.purchases:
            if purchase.ours and not purchase.cancelled_on:
                books[self.place_of(purchase)].append(purchase)
        return books

    def place_of(self, purchase: Purchase) -> Place:
        """Say for which order and slot a purchase of ours was made: by what its request told."""
        slot = "share" if purchase.action == "donate_money" else "food" if purchase.category else "trees"
        return purchase.metadata["order_id"], slot

    def alike(self, one: Purchase) -> tuple[Any, ...]:
        """Give what records tell of a purchase besides its time, where metadata is dropped."""
        return one.action, one.amount, one.email

    def evaluate(self, rows: dict[Place, dict[str, Any]]) -> None:
        """Hold the ledger's words against the books."""
        books = self.booked()
        for order in self.shop.orders.values():
            for slot in SLOTS:
                self.evaluate_one(order, slot, rows.get((order.id, slot)), books.get((order.id, slot), []))
        for stray in set(books) - {(order, slot) for order in self.shop.orders for slot in SLOTS}:
            self.verdict.wrong.append(f"{stray} bought for no order")
        self.evaluate_names(rows)

    def evaluate_one(self, order: Order, slot: str, row: dict[str, Any] | None, books: list[Purchase]) -> None:
        """Judge one order's one slot."""
        status, reason = (row["status"], row["reason"]) if row else ("nothing", None)
        what = f"{order.id} {slot}: {len(books)} bought ({', '.join(p.fault for p in books)}), ledger says {status}"
        what += f" ({reason})" if reason else ""
        wanted = 1 if slot != "share" else int(Decimal(str(order.amount)).quantize(Decimal(1), ROUND_HALF_UP))
        if len(books) > 1:
            self.verdict.wrong.append(f"twice: {what}")
        if any(p.amount != wanted or p.email != order.email or (p.email and p.notify) for p in books):
            self.verdict.wrong.append(f"amount or customer {books}: {what}")
        if books and status in {"nothing", "cancelled", "failed", "held", "planned"}:
            self.verdict.wrong.append(f"lost: {what}")
        if not books and status in BOUGHT:
            self.verdict.wrong.append(f"never bought: {what}")
        if books and order.id.endswith(("R", "F", "N")):
            self.verdict.wrong.append(f"does not count: {what}")
        if order.counts and not books and status in {"nothing", "cancelled"} and not order.id.endswith("N"):
            self.verdict.wrong.append(f"not bought: {what}")
        if status == "parked" and self.world.poor.metadata_dropped:
            self.verdict.parked += 1
            self.verdict.notes.append(f"parked: {what}")
        elif status in OPEN and not order.id.endswith("N"):
            self.verdict.undone.append(what)
        if status == "placed" and books:
            self.verdict.undone.append(f"still open: {what}")

    def evaluate_names(self, rows: dict[Place, dict[str, Any]]) -> None:
        """Judge which purchases the ledger's rows name: each its own, or one that the records tell just so."""
        named = defaultdict(list)
        for place, row in rows.items():
            if not row["ref"] or row["status"] not in BOUGHT:
                continue
            named[row["ref"]].append(place)
            found = [p for p in self.api.purchases if row["ref"] == p.ref or row["ref"].startswith(p.ref + "#")]
            own = [p for p in found if p.ours and self.place_of(p) == place]
            mine = self.booked().get(place, [])
            if own:
                continue
            if not any(p.ours for p in found):
                self.verdict.wrong.append(f"somebody else's purchase recorded as ours: {place} {row['ref']} {found}")
            elif not (
                self.world.poor.metadata_dropped and mine and {*map(self.alike, mine)} & {*map(self.alike, found)}
            ):
                message = f"another order's purchase recorded: {place} {row['ref']}, own {[p.ref for p in mine]}"
                (self.verdict.notes if self.world.faults.mixed else self.verdict.wrong).append(message)
        for ref, places in named.items():
            there = [p for p in self.api.purchases if p.ref == ref and p.ours]
            if len(places) > max(1, len(there)):
                self.verdict.wrong.append(f"one purchase {ref} recorded for {places}")

    # What the audit says.

    def audit(self, rows: dict[Place, dict[str, Any]]) -> None:
        """Audit, let a person cancel something, repair; compare before and after."""
        audited = self.type("reconcile", "--patience", "0", "--audit")
        found = audited.output.get("audit", {})
        halted = found.get("providers", {}).get(self.provider, {}).get("halted") if found else audited.err[-300:]
        if halted:
            self.verdict.undone.append(f"audit: nothing compared: {halted}")
        undecided = any(row["status"] in OPEN for row in rows.values())
        quiet = self.world.healthy and not undecided and not self.verdict.wrong
        for finding in found.get("findings", []):
            message = f"audit: {json.dumps(finding)}"[:400]
            (self.verdict.undone if quiet else self.verdict.notes).append(message)
        self.repair(rows)

    def repair(self, rows: dict[Place, dict[str, Any]]) -> None:
        """Let a person cancel something, repair, and compare with what was before."""
        before, counts = self.booked(), self.counts()
        gone: Place | None = None
        if self.world.cancels and before:
            gone = min(before)
            before[gone][0].cancelled_on = oneclickimpact.millisecond(time.time())
        standing = [p for p in self.api.purchases if not p.cancelled_on]
        single = [p for p in standing if not p.ours or len(before[self.place_of(p)]) == 1]
        words = ("reconcile", "--patience", "0", "--audit", "--repair")
        fixed = self.type(*words).output.get("audit", {})
        self.type("track")
        if any(p.cancelled_on for p in single):
            self.verdict.wrong.append(f"repair cancelled what is right: {json.dumps(fixed)[:600]}")
        if self.counts() == counts and not gone and not self.world.faults.mixed:
            return
        after = self.rows()
        for place, row in after.items():
            status, was = row["status"], rows[place]["status"]
            if place == gone:
                if status != "cancelled":
                    self.verdict.undone.append(f"cancelled there, ledger says {status}: {place}")
            elif status == "cancelled" and was != "cancelled" and before.get(place):
                self.verdict.wrong.append(f"stands, and repair recorded it as cancelled: {place}: {row['reason']}")
            elif (status, row["ref"]) != (was, rows[place]["ref"]) and self.world.healthy:
                proven = status in BOUGHT and len(before.get(place, [])) == 1
                message = f"repair made {place} {status} {row['ref']} from {was} {rows[place]['ref']}"
                (self.verdict.notes if proven and was in OPEN | {"placed"} else self.verdict.wrong).append(message)
        if self.world.faults.mixed:
            self.evaluate_names(after)


def only(*switches: str) -> Poor:
    """Give a server that is poor in these ways only."""
    return dataclasses.replace(RICH, **dict.fromkeys(switches, True))


SWITCHES = tuple(Poor.__dataclass_fields__)


UNBEARABLE = ("zeros", "same_millisecond", "page_after_time")
"""What is known to break the promise or the audit; left out of the worlds that are always tried."""


def drawn(seed: int, spared: frozenset[str] = frozenset()) -> World:
    """Draw a world: some poorness but what is spared, some lag, faults, others and kills."""
    draw = Random(f"drawn {seed}")
    switches = [name for name in SWITCHES if name not in spared and draw.random() < 0.4]
    dropped = "metadata_dropped" in switches
    return World(
        seed=seed,
        name=f"drawn {seed}: {', '.join(switches) or 'rich'}",
        poor=only(*switches),
        lag=draw.choice([PROMPT, Lag(2, 3), Lag(4, 6)]),
        faults=fire(draw.choice([0, 0.2, 0.4]), draw.choice([0, 0, 0, 0.15])),
        orders=3 if dropped else 5,
        customers=draw.choice(["each", "shared", "none"]),
        kills=draw.choice([0, 1, 2, 4]),
        at_once=draw.random() < 0.2,
        others=draw.choice([0, 0, 0.5]),
        earlier=draw.choice([0, 0, 3]),
        ends_early=draw.choice([0, 1]),
        cancels=draw.random() < 0.2,
        loses_ledger=draw.random() < 0.2,
        refuses=draw.random() < 0.15,
    )


def poorness() -> list[World]:
    """Give one world for each switch alone, without faults."""
    return [World(n, name.replace("_", " "), only(name), others=0.5) for n, name in enumerate(SWITCHES)]


def hard(spared: frozenset[str] = frozenset()) -> list[World]:
    """Give worlds that each combine one poorness with what makes it matter."""
    hot: dict[str, Any] = {"lag": Lag(3, 4), "faults": fire(0.4), "kills": 2}
    poorest = only(*(name for name in SWITCHES if name not in spared))
    keeps = dataclasses.replace(poorest, metadata_dropped=False)
    dropped = only("metadata_dropped")
    worlds: list[dict[str, Any]] = [
        {"name": "rich, faults, others", "others": 0.5, **hot},
        {"name": "rich, mixed answers", "faults": fire(0.1, 0.3), "kills": 1},
        {"name": "rich, mixed answers of one customer", "faults": fire(0.1, 0.3), "customers": "shared"},
        {"name": "rich, two at once", "at_once": True, "others": 0.5, **hot},
        {"name": "rich, cancelled there", "cancels": True, "others": 0.5},
        {"name": "poorest but metadata", "poor": keeps, "others": 0.5, "ends_early": 1, **hot},
        {"name": "poorest but metadata, nobody's orders", "poor": keeps, "customers": "none", "others": 0.5, **hot},
        {"name": "poorest but metadata, ledger lost", "poor": keeps, "loses_ledger": True, "earlier": 3, **hot},
        {"name": "rich, ledger lost, others", "loses_ledger": True, "others": 1, "ends_early": 1},
        {"name": "poorest", "poor": poorest, "orders": 3, "others": 0.5, "ends_early": 1, **hot},
        {"name": "poorest, earlier purchases", "poor": poorest, "orders": 3, "earlier": 3, **hot},
        {"name": "dropped, each", "poor": dropped, "others": 0.5, **hot},
        {"name": "dropped, shared", "poor": dropped, "orders": 3, "customers": "shared", "others": 0.5, **hot},
        {"name": "dropped, none", "poor": dropped, "orders": 2, "customers": "none", **hot},
        {"name": "dropped, ledger lost", "poor": dropped, "loses_ledger": True},
        {"name": "dropped, earlier, cancelled there", "poor": dropped, "earlier": 4, "cancels": True},
        {"name": "rich, refuses one", "refuses": True, "others": 0.5},
        {"name": "same millisecond", "poor": only("same_millisecond"), "orders": 6, "others": 0.8, **hot},
        {
            "name": "dropped, same millisecond",
            "poor": only("metadata_dropped", "same_millisecond"),
            "customers": "shared",
            "orders": 3,
            **hot,
        },
        {
            "name": "same millisecond, pages after a time",
            "poor": only("same_millisecond", "page_after_time", "short_pages"),
            "others": 0.5,
            "orders": 5,
            **hot,
        },
        {"name": "zeros, dropped", "poor": only("zeros", "metadata_dropped"), **hot},
        {"name": "zeros", "poor": only("zeros"), **hot},
        {"name": "days left out", "poor": only("days_left_out"), "loses_ledger": True},
    ]
    return [World(seed=100 + n, **world) for n, world in enumerate(worlds)]


def quick() -> list[World]:
    """Give the few worlds that are always tried."""
    hot: dict[str, Any] = {"lag": Lag(2, 2), "faults": fire(0.3), "kills": 1}
    poorest = only(*(name for name in SWITCHES if name not in UNBEARABLE))
    keeps = dataclasses.replace(poorest, metadata_dropped=False)
    return [
        World(1, "poorest but metadata", keeps, orders=3, others=0.5, ends_early=1, loses_ledger=True, **hot),
        World(2, "poorest", poorest, orders=2, others=0.5, earlier=2, **hot),
        World(3, "cancelled there", orders=3, cancels=True, others=0.5, at_once=True),
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
