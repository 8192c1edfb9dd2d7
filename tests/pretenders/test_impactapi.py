"""
The command line buys from the stand-in for ImpactAPI, and the stand-in's books say whether it keeps its promise.

IMPACTFLOW_PRETENDERS=40 tries that many worlds more, drawn at random; see `impactapi_worlds`.
"""

import os

import pytest

from impactflow.proof.programs import PrefectServer
from pretenders.impactapi_worlds import quick
from pretenders.worlds import apart

MORE = int(os.environ.get("IMPACTFLOW_PRETENDERS", "0"))


def run_campaign(server: PrefectServer, *words: str) -> dict[str, dict]:
    timeout_s = 270 + 120 * MORE
    worlds = apart("pretenders.impactapi_worlds", *words, prefect_api_url=server.api_url, timeout_s=timeout_s)
    return pytest.skip("this machine was too busy") if worlds is None else worlds


@pytest.fixture(scope="module")
def worlds(server: PrefectServer) -> dict[str, dict]:
    return run_campaign(server, "--quick", "--at-once", "3")


@pytest.mark.parametrize("name", [world.name for world in quick()])
def test_each_order_is_donated_for_once_and_the_ledger_says_so(worlds, name):
    world = worlds[name]
    if world["void"]:
        pytest.skip(f"this machine was too busy: {world['notes']}")
    assert world["wrong"] == []
    assert world["undone"] == []
    assert world["bought"] > 0


@pytest.mark.skipif(not MORE, reason="IMPACTFLOW_PRETENDERS says how many")
@pytest.mark.timeout(300 + 120 * MORE)
def test_many_worlds_drawn_at_random(server: PrefectServer):
    results = run_campaign(
        server, "--worlds", str(MORE), "--first-seed", os.environ.get("IMPACTFLOW_PRETENDERS_SEED", "1000")
    )
    assert {
        name: world["wrong"] + world["undone"] for name, world in results.items() if world["wrong"] or world["undone"]
    } == {}
