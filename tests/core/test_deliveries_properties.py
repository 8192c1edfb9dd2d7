"""One sale that webhooks, Wicked Reports and refunds tell of in any order is bought for at most once in each slot."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import VirtualClock, VirtualLoop
from webhook_senders import shopify_paid, shopify_refund, taken_up
from world import NONE_DIFFER, OFFSET, TREES, differences, make_world, policy_of, sold

#: By what Wicked Reports may know the sale: Shopify's order number, or its id.
BY_NUMBER, BY_ID = "1001", "5000000000001"
KNOWN_BY = st.sampled_from([BY_NUMBER, BY_ID])
#: What may happen next; work that is done in the same step is done at once, by two runs.
EVENTS = ["webhook", "webhook again", "row", "row by another id"]
WORK = ["take up", "plan", "place"]
STEPS = st.lists(
    st.sampled_from([*EVENTS, *WORK]).map(lambda one: [one]) | st.lists(st.sampled_from(WORK), min_size=2, max_size=2),
    max_size=10,
)


class Told:
    """The world of one example, and what happens in it."""

    def __init__(self, folder, known_by):
        self.known_by = known_by
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        self.world = make_world(VirtualClock(), url, policy=policy_of(TREES, OFFSET))
        self.refunded_unplaced = False

    async def happens(self, run, event):
        """One event, or one piece of work."""
        rows = self.world.sandbox.shop.orders
        match event:
            case "webhook":
                await shopify_paid(run, 1)
            case "webhook again":
                await shopify_paid(run, 1, webhook_id="another")
            case "refund":
                if self.known_by == BY_NUMBER:  # a refund names the id alone: only the order's webhook joins the two
                    await shopify_paid(run, 1, webhook_id="before the refund")
                await shopify_refund(run, 1)
            case "row" | "row by another id":
                row = sold(1, sourceId=self.known_by, id="WR-1" if event == "row" else "WR-1-again")
                rows[:] = [row, *(each for each in rows if each["id"] != row["id"])]
            case "take up":
                await taken_up(self.world, run)
            case "plan":
                await self.world.plan(run)
            case "place":
                await self.world.place_all(run)

    async def run(self, steps):
        """All steps, then whatever is left to do; how often each slot was bought."""
        async with self.world.run() as run, self.world.run() as other:
            for step in steps:
                await asyncio.gather(
                    *(self.happens(who, event) for who, event in zip([run, other], step, strict=False))
                )
                if step == ["refund"]:
                    await self.happens(run, "take up")
                    self.refunded_unplaced |= not self.world.purchases
            for event in WORK:
                await self.happens(run, event)
            assert await differences(self.world, run) == NONE_DIFFER
            return Counter(purchase["kind"] for purchase in self.world.purchases)


def outcome(steps, known_by):
    """What one example came to."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        told = Told(folder, known_by)
        return runner.run(told.run(steps)), told.refunded_unplaced


@settings(max_examples=15, deadline=None)
@given(STEPS, KNOWN_BY, st.sampled_from(EVENTS), st.integers(0, 10))
def test_a_sale_is_bought_for_once_in_each_slot(steps, known_by, certain, where):
    """By whatever names, however often, whoever works on it at the same time."""
    bought, _ = outcome([*steps[:where], [certain], *steps[where:]], known_by)

    assert bought == {"plant_trees": 1, "offset": 1}


@settings(max_examples=10, deadline=None)
@given(STEPS, KNOWN_BY, st.integers(0, 10))
def test_a_refunded_sale_is_bought_for_at_most_once_and_never_after_its_refund(steps, known_by, where):
    """Nothing that was not sent when the refund was taken up is sent later."""
    bought, refunded_unplaced = outcome([*steps[:where], ["refund"], *steps[where:]], known_by)

    assert set(bought.values()) <= {1}
    assert not (refunded_unplaced and bought)
