"""``settle`` takes all of a kind, lists them first, and changes nothing without a yes."""

import pytest
from world import GIVING, TREES, policy_of, sold

from impactflow.sandbox import Sandbox
from impactflow.sandbox.transport import SandboxTransport

GONE = GIVING | {"campaign": "a-reef-that-is-gone"}


@pytest.fixture
def failed(terminal, monkeypatch):
    """Twelve donations to a campaign that is gone failed, and as many trees were bought."""
    sandboxes = []

    async def refused(world, run):
        sandboxes.append(world.sandbox)
        await world.plan(run)
        await world.place_all(run)

    orders = [sold(number) for number in range(1, 13)]
    terminal.fill(refused, policy=policy_of(GONE, TREES), orders=orders)
    [sandbox] = sandboxes
    assert isinstance(sandbox, Sandbox)
    monkeypatch.setattr("impactflow.buying.run.open_transport", lambda _: SandboxTransport(sandbox))
    terminal.set(
        IMPACTAPI_API_KEY="sandbox-impactapi-key",
        IMPACTAPI_URL="http://127.0.0.1/impactapi",
        IMPACTFLOW_SETTLE_S="30",
        IMPACTFLOW_REQUEST_TIMEOUT_S="5",
    )
    return terminal


def statuses(terminal):
    """How many placements are in which status."""
    counts = terminal.type("status", "--json").json["placements"]["impactapi"]
    return {name: count for name, count in counts.items() if count}


def test_n14_all_of_a_kind_are_listed_and_nothing_is_changed_without_a_yes(failed):
    """A pipe is never asked; the exit status says that nothing was done."""
    ended = failed.type("settle", "--failed", "--slot", "giving", "--as", "not-bought")
    assert ended.status == 1
    assert "12 failed at impactapi, slot giving" in ended.out
    assert "Nothing was changed" in ended.out
    assert statuses(failed) == {"failed": 12}


def test_n14_all_of_a_kind_are_settled_with_a_yes(failed):
    """One command, whatever their number; who said so and why is in each one's story."""
    args = ("--reason", "CAMPAIGN", "--as", "given-up", "--why", "no such campaign", "--by", "ann", "--yes", "--json")
    ended = failed.type("settle", *args)
    assert (ended.status, len(ended.json["settled"]), ended.json["refused"]) == (0, 12, [])
    assert statuses(failed) == {"cancelled": 12}
    assert "given-up, says ann: no such campaign" in failed.type("show", "WR-7").out


def test_n14_what_is_not_meant_stays(failed):
    """Another slot, another reason, another status."""
    for args in (["--slot", "trees"], ["--reason", "no such text"], ["--parked"]):
        ended = failed.type("settle", *args, "--as", "given-up", "--yes", "--json")
        assert (ended.status, ended.json["found"]) == (0, 0)
    assert statuses(failed) == {"failed": 12}


def test_n14_each_is_checked_at_the_provider_before_it_is_sent_again(failed):
    """As a single one is."""
    ended = failed.type("settle", "--failed", "--as", "not-bought", "--yes", "--json")
    assert (ended.status, len(ended.json["settled"])) == (0, 12)
    assert statuses(failed) == {"planned": 12}


@pytest.mark.parametrize(
    "args",
    [
        ["--as", "given-up"],
        ["WR-1", "--as", "given-up"],
        ["WR-1", "giving", "--failed", "--as", "given-up"],
        ["--failed", "--as", "bought"],
    ],
)
def test_n14_what_is_half_said_is_a_wrong_usage(failed, args):
    """And changes nothing."""
    assert failed.type("settle", *args, "--json").status == 2
    assert statuses(failed) == {"failed": 12}
