"""The simulation: a share of the seeds, the same seed twice, and every planted bug's line."""

import asyncio
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from impactflow.ledger.tables import watermarks
from impactflow.proof import runs
from impactflow.proof.crashpoints import FIRST_ATTEMPTS, Setting, settings
from impactflow.proof.many import crash_everywhere, simulate
from impactflow.proof.memory import Memory
from impactflow.proof.mutations import MUTATIONS, catch_all, planted
from impactflow.proof.process import Act, Process, Wire
from impactflow.proof.scenario import BEGIN_S, LATE_S, SKEW_S, plain_scenario
from impactflow.proof.sellers import RULES
from impactflow.proof.simulation import ECHO, IGNORED, Simulator
from impactflow.proof.statistics import upper_bound
from impactflow.proof.twists import NAMES, TWISTS, healthy, scenario, twist
from impactflow.proof.verdict import harm
from impactflow.proof.virtual_time import START, SimulatedLoop
from impactflow.sandbox import Faults

#: ``impactflow prove --seeds 100000`` runs more of them.
SEEDS = 60
#: One of each kind of mistake that few seeds notice: sent, settled, matched.
SOME_BUGS = (
    "a lost answer is tried again at once",
    "P16: a refusal is believed unseen",
    "an order is known by its id alone",
)


def test_no_seed_buys_twice_or_loses_anything():
    """Whatever goes wrong: books, ledger and what was earned tell one story, and nothing is parked for nothing."""
    found = simulate(range(SEEDS), cores=1)
    assert ({}, SEEDS) == (found.failures, found.runs)
    assert found.deaths > SEEDS / 10
    assert min(found.doubts[f"oneclickimpact, {account}"] for account in (ECHO, IGNORED)) > 0


@pytest.mark.parametrize("seed", [3, 17])
def test_a_seed_is_one_run(seed):
    """Run again, in another order: the same in everything that is told."""
    simulator = Simulator()
    first = simulator.run(scenario(seed))
    simulator.run(scenario(seed + 1))
    assert first == simulator.run(scenario(seed))


@pytest.mark.parametrize(
    ("seed", "twist"),
    [
        (37659, "limited_after"),
        (41191, "shifting_pages"),
        (98592, "records_with_customers"),
        (510350, "shifting_pages"),
    ],
)
def test_what_another_look_decides_is_not_left_to_a_person(seed, twist):
    """A record is another doubt's of the same look; a page shows a held purchase twice; a customer's is missing."""
    world = scenario(seed)
    assert twist in {*world.twists, *(name for (_, name), share in world.options.faults.rates.items() if share)}
    assert Simulator().run(world).findings == ()


def test_a_new_ledger_sends_nothing_while_a_seller_is_silent():
    """Another one's purchases were listed at that seller only, and were being made at the one that answered."""
    world = scenario(20024237)
    assert "empty ledger" in world.twists
    assert Simulator().run(world).findings == ()


def test_orders_are_judged_again_once_their_purchase_is_given_up():
    """The policy was corrected while a purchase for many orders was in doubt, and nothing was bought."""
    world = scenario(2715)
    assert {"pooled", "corrected while unpaid"} <= {*world.twists}
    assert Simulator().run(world).findings == ()


@pytest.mark.parametrize("broken", [RuntimeError("no\nsuch thing"), None])
def test_a_seed_that_breaks_the_program_is_told(monkeypatch, broken):
    """By its number, like one that finds something; so is one in which everything waits for ever."""

    async def buy(*_):
        if broken:
            raise broken
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(runs, "buy", buy)
    result = Simulator().run(plain_scenario(3))
    assert 3 == result.seed
    assert ("RuntimeError: no such thing" if broken else "StuckError: everything waits") in result.findings[0]


def test_what_strangers_bought_before_is_told_from_ours():
    """Even if all took effect as late as it may and our clock is behind: what seed 56650 once left to a person."""
    bad = plain_scenario(56650)
    (worker, *_) = bad.workers
    late = Faults({("oneclickimpact", "late_effect"): 1.0})
    result = Simulator().run(
        replace(
            bad,
            slots=["coral"],
            options=replace(bad.options, faults=late, late_s=LATE_S, latency_s=0.0, metadata="ignored"),
            workers=[replace(worker, ahead_s=-SKEW_S / 2, first_after_s=BEGIN_S, harm={})],
            other_purchases=5,
        )
    )
    assert ({f"oneclickimpact, {IGNORED}": (1, 0)}, ()) == (result.unknown, result.findings)


class Arrivals(httpx.AsyncBaseTransport):
    """Remembers when each request arrived."""

    def __init__(self):
        self.at_s = []

    async def handle_async_request(self, request):
        self.at_s.append(asyncio.get_running_loop().time())
        return httpx.Response(200, request=request)


def test_what_stands_still_before_it_sends_sends_late():
    """However long: its own time limit is found to be over only afterwards, with the request on its way."""
    arrivals = Arrivals()

    async def send():
        wire = Wire(Process(lambda _: Act.PAUSE, pause_s=30.0), arrivals)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await wire.handle_async_request(httpx.Request("POST", "http://127.0.0.1/"))

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(send())
    assert [30.0] == arrivals.at_s


@pytest.mark.parametrize("slot", ["trees", "offset", "giving"])
def test_a_crash_at_every_boundary_is_recovered_from(slot):
    """One slot of each provider here, at the attempt after a lost answer; ``impactflow prove`` crashes in all."""
    where = [Setting(slot, "ignored", "lost_answer=1")]
    found = crash_everywhere(where, cores=1)
    assert ([], len(where)) == (found.failures, found.settings)
    assert {"it is killed before a request", "it is killed before a commit", "the database fails after a commit"} < set(
        found.points
    )
    assert found.points.total() > 20 * len(where)


def test_every_kind_of_action_is_crashed_in():
    """With both metadata modes where they matter, at the first attempt and at the second."""
    there = list(settings())
    assert {(slot, first) for slot in RULES for first in FIRST_ATTEMPTS} == {(s.slot, s.first_attempt) for s in there}
    assert {"echo", "ignored"} == {setting.metadata for setting in there if setting.slot == "trees"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_planted_bug_changes_a_line_that_is_there(mutation):
    """Exactly once: a mutation that no longer fits would prove nothing."""
    spec = find_spec(mutation.module)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text()
    assert text != planted(mutation, text)


def test_planted_bugs_are_noticed():
    """Some of them here; ``impactflow prove`` plants all."""
    caught = catch_all([mutation for mutation in MUTATIONS if mutation.name in SOME_BUGS])
    assert set(SOME_BUGS) == {each.mutation.name for each in caught if each.seeds is not None}


def test_there_are_enough_planted_bugs():
    """Each with a name of its own."""
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 25


def test_every_planted_bug_needs_a_twist_that_there_is():
    """Seeds without it are passed over: one that no seed has would be waited for without an end."""
    assert [mutation.name for mutation in MUTATIONS if mutation.twist and mutation.twist not in NAMES] == []


@pytest.mark.parametrize(
    ("events", "trials", "expected"),
    [(0, 1, 0.95), (0, 100, 1 - 0.05**0.01), (1, 100, 0.04656), (5, 10, 0.7776), (10, 10, 1.0)],
)
def test_a_bound_is_the_binomial_one(events, trials, expected):
    """As the tables have it."""
    assert upper_bound(events, trials) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("name", TWISTS)
def test_a_twist_is_one_run(name):
    """Twisted again and run again: the same in everything that is told, and nothing breaks the program."""
    simulator = Simulator()
    first, again = (simulator.run(twist(plain_scenario(1), [name])) for _ in range(2))
    assert first == again
    assert (name,) == first.twists
    assert not [finding for finding in first.findings if "Error" in finding]


def test_seeds_get_every_twist():
    """One of those that take weeks at most, and none in more than a fifth of the seeds."""
    chosen = [scenario(seed).twists for seed in range(1_000)]
    assert NAMES == {name for names in chosen for name in names}
    assert 0.2 < sum(not names for names in chosen) / len(chosen) < 0.5


def test_a_healthy_world_is_one_where_nothing_goes_wrong():
    """No fault, no poor answer, nobody who dies or stands still."""
    for seed in range(50):
        world = healthy(seed)
        assert (world.options.faults, world.options.poor) == (Faults(), frozenset())
        assert not any(worker.harm for worker in world.workers)


def test_a_repair_that_does_harm_is_found():
    """What stands must not be recorded as cancelled, and no sale may lose its only purchase."""
    row = {"order_id": "WR-1", "slot": "trees", "status": "completed"}
    purchase = {"order_id": "WR-1", "provider": "oneclickimpact", "kind": "plant_trees", "cancelled": False}
    before = [row], [purchase]

    assert harm(before, before) == []
    assert len(harm(before, ([row | {"status": "cancelled"}], [purchase]))) == 1
    assert len(harm(before, ([row], [purchase | {"cancelled": True}]))) == 1


def test_another_ledger_is_a_copy_or_empty():
    """And nothing that is written there comes back."""
    memory = Memory()
    memory.reset()
    with memory.engine.begin() as connection:
        connection.execute(watermarks.insert().values(store="acme", source="x", read_to=START.date()))
    for original, count in ((memory.engine, 1), (None, 0)):
        with memory.another(original) as other, other.begin() as connection:
            assert count == len(connection.execute(watermarks.select()).all())
            connection.execute(watermarks.insert().values(store="beta", source="x", read_to=START.date()))
    with memory.engine.connect() as connection:
        assert 1 == len(connection.execute(watermarks.select()).all())
