"""Pausing on the command line: a scope that is mistyped or empty is refused, for buying would go on unnoticed."""

import asyncio

import pytest
from virtual_time import VirtualClock, in_virtual_time
from world import TREES, make_world, policy_of, sold

from impactflow.ledger import Ledger


@pytest.fixture
def planned(terminal):
    """A folder whose ledger has an order of store ``acme`` with a placement in slot ``trees``."""
    url = f"sqlite:///{terminal.folder}/impactflow.db"

    @in_virtual_time
    async def plan() -> None:
        world = make_world(VirtualClock(), url, orders=[sold(1)], policy=policy_of(TREES))
        async with world.run() as run:
            await world.plan(run)

    plan()
    return terminal


def standing(terminal):
    """The pauses that stand."""
    with Ledger.open(f"sqlite:///{terminal.folder}/impactflow.db") as ledger:
        return [each.scope.in_words for each in asyncio.run(ledger.pauses())]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--slot", "tress"], "there is no slot 'tress': the slots are trees"),
        (["--store", "acmee"], "there is no store 'acmee': the stores are acme"),
        (["--store", "acme", "--slot", "offset"], "there is no slot 'offset': the slots are trees"),
        (["--slot", ""], "it is empty"),
        (["--store", " "], "it is empty"),
    ],
)
def test_a_scope_that_is_not_there_is_refused(planned, words, message):
    """With what there is."""
    ended = planned.type("pause", *words, "--why", "x", "--json")
    assert (ended.status, standing(planned)) == (2, [])
    assert message in ended.json["error"]


def test_a_pause_ends_by_its_own_options_and_all_of_them_by_all(planned):
    """An empty option, such as a variable of the shell that is not set, ends nothing."""
    for words in ([], ["--slot", "trees"], ["--store", "acme"], ["--provider", "cnaught"]):
        assert planned.type("pause", *words, "--why", "x", "--json").status == 0
    assert planned.type("resume", "--slot", "", "--json").status == 2
    assert len(standing(planned)) == 4
    assert planned.type("resume", "--json").status == 0
    assert standing(planned) == ["slot trees", "store acme", "provider cnaught"]
    assert planned.type("resume", "--all", "--slot", "trees", "--json").status == 2
    assert planned.type("resume", "--json").status == 2
    assert len(planned.type("resume", "--all", "--json").json["ended"]) == 3
    assert standing(planned) == []
