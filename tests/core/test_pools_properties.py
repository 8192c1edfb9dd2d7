"""
Whatever happens to orders, rule and answers: the sums of every slot agree after each step, and nothing is bought twice.

In the end less than one unit waits, and nothing waits while something is credited.
"""

import asyncio
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import new_ledger
from planting import ONECLICK
from refunding import undo
from test_changed_orders import mend
from test_hold import next_run
from test_settling import Losing
from virtual_time import VirtualClock, VirtualLoop
from world import NONE_DIFFER, TREES, differences, make_world, policy_of, sold

from impactflow.ledger import Pause, PauseScope, Resumption

THIRD = TREES | {"quantity": {"per_amount": {"quantity": 1, "per": 240}}, "on_behalf_of": "merchant"}
RULES = (
    THIRD | {"rounding": "up"},
    THIRD | {"rounding": "carry", "buy": {"at_least": 1}},
    THIRD | {"rounding": "carry", "buy": {"every": "day"}},
    THIRD | {"rounding": "up", "buy": {"at_least": 2}},
)
MOST_A_DAY = 4
ALL = {
    "refunds": {"full": "undo", "partial": "pro_rata"},
    "eligible_payments": ["APPROVED", "Partially Refunded"],
    "caps": [{"per": "day", "slot": "trees", "quantity": MOST_A_DAY}],
}
AMOUNTS = st.sampled_from([20, 80, 100, 240, 700])
NUMBERS = st.integers(0, 4)
STEPS = st.lists(
    st.tuples(st.just("sell"), AMOUNTS)
    | st.tuples(st.just("edit"), NUMBERS, AMOUNTS)
    | st.tuples(st.just("refund"), NUMBERS)
    | st.tuples(st.just("refund a part"), NUMBERS, AMOUNTS)
    | st.tuples(st.just("pay again"), NUMBERS)
    | st.tuples(st.just("rule"), st.sampled_from(RULES))
    | st.tuples(st.just("lose"), st.booleans())
    | st.tuples(st.sampled_from(["pause", "resume", "day", "answer", "run", "run", "two runs", "undo", "undo"])),
    min_size=6,
    max_size=20,
)
#: Something is bought in every example.
BEGINNING = [("sell", 240), ("sell", 700), ("run",)]
SCOPE = PauseScope(slot="trees")


class Example:
    """The world of one example, and what happens in it."""

    def __init__(self, folder, rule, *, cancels):
        ledger_url = new_ledger(Path(folder) / "ledger.db")
        self.world = make_world(VirtualClock(), ledger_url, policy=policy_of(rule, **ALL), extras=cancels)
        self.losing = []
        self.changed = set()

    async def happens(self, runs, what, *how):  # noqa: C901, PLR0912 - one case for each step
        """One step."""
        world, run = self.world, runs[0]
        rows = world.sandbox.shop.orders
        match what:
            case "sell":
                date = world.clock.now().isoformat().replace("+00:00", "Z")
                rows.append(sold(len(rows) + 1, amount=how[0], date=date, products=[]))
            case "edit" | "refund" | "refund a part" | "pay again" if how[0] < len(rows):
                self.changed.add(how[0])
                status = {"refund": "REFUNDED", "refund a part": "Partially Refunded"}.get(what, "APPROVED")
                new = {} if what == "edit" else {"payments": [{"status": status}]}
                rows[how[0]] = rows[how[0]] | new | ({"amount": how[1]} if len(how) > 1 else {})
            case "rule":
                for each in runs:
                    mend(world, each, how[0], **ALL)
            case "lose":
                self.losing.append(Losing(world, "", effect=how[0]))
            case "answer":
                self.answered()
            case "pause":
                await run.ledger.pause(Pause(SCOPE, "a person", "a change", world.clock.now()))
            case "resume":
                await run.ledger.resume(Resumption(None, "a person", world.clock.now()))
            case "day":
                world.clock.turn(days=1)
            case "run":
                await next_run(world, run)
            case "undo":  # twice: a no counts the second time
                for _ in range(2):
                    world.clock.turn(seconds=400)
                    await undo(world, run, ONECLICK)
            case "two runs":
                await asyncio.gather(*(next_run(world, each) for each in runs))

    def answered(self):
        """No answer is lost any more."""
        for each in self.losing:
            each.over()

    async def run(self, steps, last):
        """All steps, then whatever is left to do under the last rule."""
        async with self.world.run() as run, self.world.run() as other:
            for step in [*BEGINNING, *steps]:
                await self.happens([run, other], *step)
                assert all(each.holds for each in await run.ledger.balances()), step
                self.no_cap_is_exceeded()
            self.answered()
            await self.happens([run], "resume")
            await self.happens([run, other], "rule", last)
            await self.happens([run, other], "undo")
            for _ in range(12):
                self.world.clock.turn(days=1)
                await next_run(self.world, run)
            self.no_cap_is_exceeded()
            assert NONE_DIFFER == await differences(self.world, run)
            await self.all_is_bought(run, last)

    def no_cap_is_exceeded(self):
        """On any day."""
        sums = Counter()
        for purchase in self.world.purchases:
            sums[purchase["at"][:10]] += purchase["quantity"]
        assert max(sums.values(), default=0) <= MOST_A_DAY

    async def all_is_bought(self, run, last):
        """What is owed, to less than the least purchase; orders that did not change have all that they have earned."""
        found = await run.ledger.balances()
        assert all(each.holds for each in found)
        for each in found:
            assert each.waiting.keys() <= {"pool"}
            assert each.waiting.get("pool", 0) < (2 if last is RULES[3] else 1)
            assert not (each.waiting and each.credit)
            stands = [row["quantity"] for row in self.world.purchases if not row["cancelled"]]
            assert sum(stands) == each.bought
        for number, row in enumerate(self.world.sandbox.shop.orders):
            story = await run.ledger.story(row["id"])
            bought = [placement for placement in story["placements"] if placement["placed_at"]]
            shares = [each for each in story["shares"] if not each["is_of_own_purchase"]]
            assert len(bought) + len(shares) <= 1
            if number not in self.changed and not bought:
                [share] = shares
                exact = Fraction(row["amount"], 240)
                assert share["owed"] in {exact, Fraction(-(-exact.numerator // exact.denominator))}


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, first=st.sampled_from(RULES), last=st.sampled_from(RULES), cancels=st.booleans())
def test_the_sums_agree_after_each_step_and_nothing_is_bought_twice(steps, first, last, cancels):
    """One slot, two runs, at most four trees a day, at a seller that cancels or does not."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(Example(folder, first, cancels=cancels).run(steps, last))
