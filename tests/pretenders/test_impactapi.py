"""
The command line buys from the stand-in for ImpactAPI, and the stand-in's books say whether it keeps its promise.

IMPACTFLOW_PRETENDERS=40 tries that many worlds more, drawn at random; see `impactapi_worlds`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pretenders.impactapi_worlds import quick

MORE = int(os.environ.get("IMPACTFLOW_PRETENDERS", "0"))
TESTS = Path(__file__).parent.parent


def judged(*options: str) -> dict[str, dict]:
    """Run worlds in a process of their own, with a Prefect server of their own; give each one's judgement."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "IMPACT"))}
    environment["PYTHONPATH"] = str(TESTS)
    command = [sys.executable, "-m", "pretenders.impactapi_worlds", "--json", *options]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=270 + 120 * MORE)
        except subprocess.TimeoutExpired:
            pytest.skip("this machine was too busy")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    worlds = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert worlds, err[-2000:]
    return {world["world"]["name"]: world for world in worlds}


@pytest.fixture(scope="module")
def worlds() -> dict[str, dict]:
    return judged("--quick", "--at-once", "3")


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
def test_many_worlds_drawn_at_random():
    told = judged("--worlds", str(MORE), "--first-seed", os.environ.get("IMPACTFLOW_PRETENDERS_SEED", "1000"))
    assert {
        name: world["wrong"] + world["undone"] for name, world in told.items() if world["wrong"] or world["undone"]
    } == {}
