"""On Postgres another transaction may commit between any two statements of ours: each is tried at each position."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from ledger_helpers import KEYED, NOON, after, answer, earned, offset, refunded, sale
from sqlalchemy import Connection, Engine, event, select, text

from impactflow.errors import TransitionRefused
from impactflow.ledger import Announcement, Claim, Fresh, Page, Status, moves, planning, refunds, transitions
from impactflow.ledger import engine as engines
from impactflow.ledger.tables import events, further_purchases, orders, placements, unearned
from impactflow.ledger.tables import order_names as names
from impactflow.ledger.tables import refunds as refunded_names
from impactflow.models import Placement, Refund

#: How long what is locked out waits before it is tried again after the other one, in milliseconds.
_LOCKED_OUT_MS = 12
_BOUGHT = frozenset({"placing", "placed", "completed"})


def wanted(at: datetime) -> Claim:
    """One of what was planned under the policy that both orders were read under."""
    until = at + timedelta(seconds=60)
    return Claim(KEYED, "acme", "run-1", at, until, exclusive=False, fresh=Fresh.at("policy-1", at))


@dataclass
class Two:
    """One sale that was read by two names, each with an offset, and what has been sent for it."""

    engine: Engine
    sent: list[Placement] = field(default_factory=list)

    def run(self, work: Callable[[Connection], object]) -> object:
        """One transaction."""
        with self.engine.begin() as connection:
            return work(connection)

    def page(self, order, earnings, policy="policy-1", at=NOON) -> Page:
        return Page("acme", [(order, earnings)], (), lambda _: refunded(), policy, "run-plan", at)

    def read(self, number: int, name: str, at=NOON) -> None:
        impact = offset(approval_limit=9_999_999)
        self.run(lambda c: planning.plan(c, [self.page(sale(number, names=(name,)), earned(impact), at=at)]))

    def join(self, connection: Connection) -> None:
        """The order is read by both names."""
        both = sale(1, names=("wr:WR-1", "src:shopify:9"))
        planning.plan(connection, [self.page(both, earned(offset()), at=after(80))])

    def edit(self, connection: Connection) -> None:
        """The first order is read again, under another policy."""
        once = sale(1, names=("wr:WR-1",))
        planning.plan(connection, [self.page(once, earned(offset(7000)), "policy-2", after(80))])

    def claim(self, connection: Connection) -> bool:
        """A run takes one of what is due; whether there was any."""
        [claimed] = moves.claim(connection, [wanted(after(81))])
        return claimed is not None

    def answer_late(self, connection: Connection) -> None:
        """The first attempt's answer comes after all: it was bought."""
        moves.record_answer(connection, [answer(self.sent[0], at=after(82), ref="late")])

    def refund(self, connection: Connection) -> None:
        """The sale is refunded."""
        refund = Refund(("wr:WR-1", "src:shopify:9"), "refund-1", None, None, is_full=True)
        refunds.record(connection, [Announcement("acme", refund, "run-4", after(82))])

    def evaluate(self, connection: Connection) -> None:
        """What is in doubt turns out not to have been bought."""
        [row] = connection.execute(moves._ROW, {"id": self.sent[0].id})
        doubt = moves.placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
        transitions.move(connection, [answer(doubt, Status.PLANNED, after(82), from_=Status.IN_DOUBT, due_at=NOON)])


def fresh(two: Two, first: str) -> None:
    """Both wait to be sent; the one that is due first is named first."""
    two.read(1, "wr:WR-1", NOON if first == "one" else after(1))
    two.read(2, "src:shopify:9", NOON if first == "two" else after(1))


def doubted(two: Two, first: str) -> None:
    """One was sent and its lease is over; the other waits."""
    fresh(two, first)
    two.sent = two.run(lambda c: moves.claim(c, [wanted(after(1))]))
    two.run(lambda c: moves.expire_leases(c, [(after(61), "run-2")]))


def evaluated(two: Two, first: str) -> None:
    """One was sent, and is to be sent again because it was not found; the other waits."""
    doubted(two, first)
    two.run(two.evaluate)


def withdrawn(two: Two, first: str) -> None:
    """As judged; then what waited was withdrawn, since a refund was announced that was none."""
    evaluated(two, first)
    two.run(two.refund)
    two.run(lambda c: c.execute(text("DELETE FROM refunds")))


STATES = {state.__name__: state for state in (fresh, doubted, evaluated, withdrawn)}
#: Which of the two is due first, where they are, and what is interrupted.
CASES = (
    ("one", "fresh", "join"),
    ("two", "fresh", "join"),
    ("one", "doubted", "join"),
    ("two", "evaluated", "join"),
    ("one", "withdrawn", "join"),
    ("one", "evaluated", "edit"),
    ("one", "withdrawn", "edit"),
    ("one", "evaluated", "claim"),
    ("two", "withdrawn", "claim"),
    ("one", "evaluated", "refund"),
    ("one", "doubted", "evaluate"),
)
#: What is done at each position.
OTHERS = ("join", "claim", "answer_late", "refund")


@contextmanager
def interrupted(engine: Engine, position: int, intrude: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``intrude`` before the statement of this number, or before the commit; yields how many there were."""
    seen = [0]

    def count(*_: object) -> None:
        seen[0] += 1
        if seen[0] == position + 1:
            intrude()

    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", count)
        event.remove(engine, "commit", count)


@pytest.fixture(scope="module")
def engines_of_two(postgres):
    """Two programs' connections to one database; neither waits long for the other."""
    url = postgres.new_database()
    opened = [engines.open_engine(url) for _ in range(2)]
    for each in opened:

        @event.listens_for(each, "begin")
        def hurry(connection):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCKED_OUT_MS}")

    yield opened
    for each in opened:
        each.dispose()
    postgres.give_back(url)


def emptied(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in (events, further_purchases, refunded_names, names, unearned, placements, orders):
            connection.execute(table.delete())


def attempt(two: Two, what: str) -> bool:
    """Do something in a transaction of its own; whether it was done."""
    try:
        with engines.translated():
            return two.run(getattr(two, what)) is not False
    except engines.LedgerBusy:
        return False
    except TransitionRefused:
        return True


def findings(engine: Engine) -> list[str]:
    """What may not be: two purchases of the sale, a purchase that was overwritten, a story with a gap."""
    found = []
    with engine.begin() as connection:
        rows = connection.execute(select(placements, orders.c.same_as).join(orders)).all()
        bought = [row for row in rows if row.status in _BOUGHT]
        if len(bought) > 1 and any(row.same_as for row in rows):
            found.append("bought twice: " + ", ".join(f"{row.id} {row.status}" for row in bought))
        for row in rows:
            story = connection.execute(select(events).where(events.c.placement == row.id).order_by(events.c.id)).all()
            statuses = [each.to_status for each in story]
            if [None, *statuses[:-1]] != [each.from_status for each in story] or statuses[-1] != row.status:
                found.append(f"{row.id} is {row.status}, its story " + " ".join(statuses))
            if row.ref and row.status not in {"placed", "completed"}:
                found.append(f"{row.id} was bought and is {row.status}")
    return found


@pytest.mark.parametrize(("first", "state", "ours"), CASES)
def test_p8_another_transaction_between_any_two_statements(engines_of_two, state, ours, first):
    """Two names of one sale: at most one purchase, nothing that was bought is overwritten, and no story has a gap."""
    mine, others = engines_of_two
    failed = []
    for other in OTHERS:
        if state == "fresh" and other == "answer_late":
            continue  # nothing was sent
        position, more = 0, True
        while more:
            emptied(mine)
            two = Two(mine)
            STATES[state](two, first)
            if ours == "claim":  # before any name told that the two are one sale, both may be bought
                two.run(two.join)
            theirs = Two(others, two.sent)
            done = []
            with interrupted(mine, position, lambda: done.append(attempt(theirs, other))) as seen:  # noqa: B023
                again = not attempt(two, ours)
            more = seen[0] > position
            for what in ([ours] if again else []) + ([other] if done != [True] else []) + ["join"]:
                attempt(theirs, what)
            while attempt(theirs, "claim"):
                pass
            failed += [f"{other} at {position}: {finding}" for finding in findings(mine)]
            position += 1
    assert [] == failed
