"""One sale that webhooks, Wicked Reports and refunds tell of in any order is bought for at most once in each slot."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import new_ledger
from virtual_time import VirtualClock, VirtualLoop
from webhook_senders import shopify_cancelled, shopify_paid, shopify_refund, taken_up
from world import GIVING, NONE_DIFFER, OFFSET, TREES, differences, make_world, policy_of, sold

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


class Example:
    """The world of one example, and what happens in it."""

    def __init__(self, folder, known_by):
        self.known_by = known_by
        self.world = make_world(VirtualClock(), new_ledger(Path(folder) / "ledger.db"), policy=policy_of(TREES, OFFSET))
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
        example = Example(folder, known_by)
        return runner.run(example.run(steps)), example.refunded_unplaced


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


#: What an order may become: its price, and Shopify's word for its payment; None where it is cancelled.
STATES = st.lists(
    st.tuples(
        st.integers(1, 500), st.sampled_from(["paid", "paid", "paid", "pending", "partially_refunded", "refunded"])
    )
    | st.none(),
    min_size=1,
    max_size=5,
)


@given(
    states=STATES,
    data=st.data(),
    listed=st.sampled_from(["as it is", "as it was first", "by another name", "not at all"]),
    one_by_one=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_an_order_has_become_is_bought_for_in_any_order_of_arrival(states, data, listed, one_by_one):
    """
    Deliveries come in any order, several times, or never; Wicked Reports lists it as it is, lags, or has another name.

    Where the last word comes and nobody lags, it holds; else no more is bought than the order was worth at some time.
    Where no name joins the two, the second waits for a person.
    """
    if None in states:
        states = states[: states.index(None) + 1]  # nothing happens to an order that is cancelled
    numbers = range(len(states))
    lost = data.draw(st.sets(st.sampled_from(numbers)), label="lost")
    if listed == "by another name":
        lost -= {len(states) - 1}  # of another amount as well, it is another sale
    arrivals = data.draw(st.permutations([*(set(numbers) - lost), *data.draw(st.lists(st.sampled_from(numbers)))]))
    arrivals = [number for number in arrivals if number not in lost]
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        bought = runner.run(_become(folder, states, arrivals, listed, one_by_one=one_by_one))

    worth = [_worth(state) for state in states]
    if len(states) - 1 in arrivals and listed != "as it was first":
        assert bought == worth[-1]
    else:
        assert bought <= max(worth)


def _worth(state):
    """In cents given away, one percent of the price."""
    return state[0] if state and state[1] == "paid" else 0


async def _become(folder, states, arrivals, listed, *, one_by_one):
    world = make_world(VirtualClock(), new_ledger(Path(folder) / "ledger.db"), policy=policy_of(GIVING))
    async with world.run() as run:
        for turn, number in enumerate(arrivals):
            await _send(run, states[number], number, turn)
            if one_by_one:
                await taken_up(world, run)
        await taken_up(world, run)
        shown = {"as it was first": states[0], "not at all": None}.get(listed, states[-1])
        if shown:
            status = {"paid": "APPROVED", "partially_refunded": "Partially Refunded", "refunded": "REFUNDED"}
            payments = [{"status": status.get(shown[1], "PENDING")}]
            named = {"sourceId": "EN-1-B"} if listed == "by another name" else {}
            world.sandbox.shop.orders[:] = [sold(1, amount=shown[0], payments=payments, **named)]
        for _ in range(2):
            await world.plan(run)
            await taken_up(world, run)
        await world.place_all(run)
    purchases = world.purchases
    assert len(purchases) <= 1
    return sum(each["quantity"] for each in purchases)


async def _send(run, state, number, turn):
    at, name = f"2026-03-02T11:{number:02}:00Z", f"{number}-{turn}"
    if state is None:
        await shopify_cancelled(run, 1, updated_at=at)
    else:
        price, status = state
        fields = {"current_total_price": f"{price}.00", "financial_status": status, "updated_at": at}
        topic = "orders/paid" if number == 0 else "orders/updated"
        await shopify_paid(run, 1, webhook_id=name, topic=topic, **fields)
