"""
The one promise, with real processes: ``place`` is killed again and again while its requests are in flight.

Two ledgers side by side, one for each thing that 1ClickImpact may do with metadata. Each has one worker, so that nobody
else goes on with what a killed one leaves; ``test_proof_processes`` has several. Answers get lost besides.
"""

import asyncio

import pytest

from impactflow.proof.experiment import Counts, Experiment
from impactflow.proof.forkserver import ForkServer
from impactflow.taskgroup import together

pytestmark = pytest.mark.timeout(480)  # all kills are in the set-up of the first test

MODES = ("echo", "ignored")
KILLS = 5


async def conduct(experiments: list[Experiment]) -> None:
    """Each until it has had its kills."""
    async with together() as group:
        for experiment in experiments:
            group.create_task(experiment.conduct([0.0], lambda experiment=experiment: experiment.kills >= KILLS))


@pytest.fixture(scope="module")
def experiments(tmp_path_factory, server) -> dict[str, Counts]:
    """What both came to; it is printed."""
    folder = tmp_path_factory.mktemp("killing")
    with ForkServer(folder, server.api_url) as starter:
        begun = [Experiment(folder / mode, mode, f"sqlite:///{folder / mode}.db", starter, "killing") for mode in MODES]
        asyncio.run(conduct(begun))
    ended = {each.metadata: each.counts() for each in begun}
    print(f"\n{ended}")  # noqa: T201 - with -s, and where a test fails
    return ended


@pytest.fixture(params=MODES)
def counts(request, experiments) -> Counts:
    """One of the two."""
    return experiments[request.param]


def test_after_the_kills_everything_earned_is_bought_once(counts):
    """No purchase twice, none lost, none that was not earned, none of a wrong amount."""
    assert (counts.duplicates, counts.losses, counts.unasked, counts.wrong_amounts) == (0, 0, 0, 0)
    assert counts.purchases == counts.earned > 0


def test_after_the_kills_the_ledger_equals_the_books(counts):
    """Each purchase that took effect is recorded, under the provider's own name for it, and no other is."""
    assert (counts.unrecorded, counts.unfounded) == (0, 0)


def test_after_the_kills_nothing_is_left_undone(counts):
    """No placement is planned, held, in doubt, parked or failed; and no worker showed Python's insides."""
    assert (counts.undone, counts.tracebacks) == (0, 0)


def test_most_kills_hit_requests_that_buy(counts):
    """Otherwise the tests above would prove little."""
    assert counts.kills >= KILLS
    assert counts.kills_in_flight > counts.kills / 2
