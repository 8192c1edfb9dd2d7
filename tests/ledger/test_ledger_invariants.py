"""Whatever two runs do to one ledger, in whatever order: what may never happen does not."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_helpers import (
    KEYED,
    KEYLESS,
    after,
    answer,
    claim,
    claim_doubts,
    earned,
    offset,
    plan,
    record,
    refunded,
    sale,
    trees,
)
from sqlalchemy import select

from impactflow.errors import AlreadyRecorded, TransitionRefused
from impactflow.ledger import TRANSITIONS, Approval, Ledger, Status
from impactflow.ledger.approvals import digest
from impactflow.ledger.tables import approvals, events, metadata, order_names, placements

LEASE_S = 8
#: Which step, which of the two runs takes it, and a number that chooses among what there is to choose from.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "plan",
                "refund",
                "claim",
                "claim",
                "claim",
                "answer",
                "answer",
                "doubt",
                "resolve",
                "resolve",
                "expire",
                "rule",
                "approve",
                "approve",
            ]
        ),
        st.integers(0, 1),
        st.integers(0, 11),
    ),
    min_size=10,
    max_size=50,
)


class Happening:
    """Two runs at work on one ledger, and a provider that keeps honest books."""

    def __init__(self, ledgers):
        self._ledgers = ledgers
        self._time_s = 0.0
        self._sent = []
        self._doubts = []
        self._asked = []
        self.purchase_of = {}

    @property
    def now(self):
        return after(self._time_s)

    async def step(self, what, which, number):
        self._time_s += 1 + number % 4
        await getattr(self, what)(self._ledgers[which], number)

    async def plan(self, ledger, number):
        """Three sales; each goes by one of its names, or by both."""
        sold = number % 3
        names = [(f"wr:WR-{sold}",), (f"src:shop:{sold}",), (f"wr:WR-{sold}", f"src:shop:{sold}")][number // 4]
        wanted = earned(offset(number % 2 + 1), trees(number % 2 + 1, approval_limit=1))
        await plan(ledger, (sale(f"{sold}{names[0][:1]}", names=names), wanted), at=self.now, policy=f"p{number % 2}")

    async def refund(self, ledger, number):
        order = sale(number % 3, names=(f"src:shop:{number % 3}",), payments=())
        await plan(ledger, (order, refunded()), at=self.now)

    async def claim(self, ledger, number):
        """Send: the provider sells it or not."""
        provider = (KEYED, KEYLESS)[number % 2]
        sent = await claim(ledger, self.now, provider=provider, exclusive=provider is KEYLESS, lease_s=LEASE_S)
        if sent is not None:
            if number % 3:
                self.purchase_of.setdefault(sent.key, f"ref-{len(self.purchase_of)}")
            self._sent.append(sent)

    async def answer(self, ledger, number):
        """An answer comes, perhaps late: the truth, or nothing that can be read."""
        if not self._sent:
            return
        sent = self._sent.pop(number % len(self._sent))
        ref = self.purchase_of.get(sent.key)
        if number % 4 == 0:
            move = answer(sent, Status.IN_DOUBT, self.now)
        elif ref is None:
            move = answer(sent, (Status.PLANNED, Status.FAILED)[number % 2], self.now)
        else:
            move = answer(sent, at=self.now, ref=ref)
        await record(ledger, move)

    async def doubt(self, ledger, number):
        self._doubts += await claim_doubts(ledger, self.now, provider=(KEYED, KEYLESS)[number % 2])

    async def resolve(self, ledger, number):
        """The provider's books are looked into; what they say may come too late to matter."""
        if not self._doubts:
            return
        doubt = self._doubts.pop(number % len(self._doubts))
        ref = self.purchase_of.get(doubt.key)
        to = Status.PLACED if ref else (Status.PLANNED, Status.PARKED, Status.IN_DOUBT)[number % 3]
        move = answer(doubt, to, self.now, ref=ref or "", from_=Status.IN_DOUBT)
        with suppress(TransitionRefused, AlreadyRecorded):
            await (ledger.record_found(move) if ref else ledger.move(move))

    async def rule(self, ledger, number):
        """A person settles what is parked or failed: by the books, or by giving it up."""
        for entry in await ledger.slot(f"src:shop:{number % 3}", ("offset", "trees")[number % 2]):
            if entry.status in {Status.PARKED, Status.FAILED}:
                ref = self.purchase_of.get(entry.placement.key)
                to = Status.PLACED if ref else (Status.PLANNED, Status.CANCELLED)[number // 6]
                move = answer(entry.placement, to, self.now, ref=ref or "", from_=entry.status)
                move = replace(move, due_at=None) if to is Status.CANCELLED else move
                await (ledger.record_found(move) if ref else ledger.move(move))

    async def approve(self, ledger, number):
        """A person decides about what awaits it; the other one of the two may have seen it before an edit."""
        asked = await ledger.awaiting()
        self._asked += asked
        if self._asked:
            each = self._asked.pop(number % len(self._asked))
            quantity = (each.quantity, 1, None)[number % 3]
            with suppress(TransitionRefused):
                await ledger.decide(Approval(each, quantity, "ana", "", self.now, "run-8"))

    async def expire(self, ledger, number):
        self._time_s += number
        await ledger.expire_leases(self.now, "run-9")


#: Statuses without a time at which a run sees to them.
_NOT_DUE = {"held", "awaiting_approval", "cancelled"}


def check(connection, purchase_of):
    """What must hold at any time."""
    rows = {row.id: row for row in connection.execute(select(placements))}
    bought = [row for row in rows.values() if row.placed_at is not None]
    assert len({(row.order, row.slot) for row in rows.values()}) == len(rows)
    assert {(row.key, row.ref) for row in bought} <= set(purchase_of.items())
    for row in rows.values():
        story = list(connection.execute(select(events).where(events.c.placement == row.id).order_by(events.c.id)))
        statuses = [event.to_status for event in story]
        assert [None, *statuses[:-1]] == [event.from_status for event in story]
        assert row.status == statuses[-1]
        steps = {(event.from_status, event.to_status) for event in story[1:]}
        assert all(from_ == to or Status(to) in TRANSITIONS[Status(from_)] for from_, to in steps)
        assert statuses.count("placed") == (row.placed_at is not None)
        assert max(event.attempt for event in story) == row.attempts
        if row.attempts and row.approval_limit is not None and row.quantity > row.approval_limit:
            approved = connection.execute(select(approvals.c.digest).where(approvals.c.placement == row.id)).scalars()
            assert row.approved == digest(row._mapping)
            assert row.approved in set(approved)
        assert (row.unresolved_look_alike is None) or row.status in {"placing", "in_doubt"}
        assert (row.due_at is None) == (row.status in _NOT_DUE) or row.status in {"parked", "failed"}
    return rows


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(STEPS)
def test_no_sequence_of_steps_breaks_the_ledger(ledger_url, steps):
    """One purchase per order and slot; a gapless event for each change; what was bought is recorded as it was."""

    async def happen(ledgers):
        happening = Happening(ledgers)
        for step in steps:
            await happening.step(*step)
        return happening.purchase_of

    with Ledger.open(ledger_url) as one, Ledger.open(ledger_url) as other:
        with one._engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        purchase_of = asyncio.run(happen([one, other]))
        with one._engine.begin() as connection:
            check(connection, purchase_of)
            assert len(set(connection.execute(select(order_names.c.name)).scalars())) <= 6
