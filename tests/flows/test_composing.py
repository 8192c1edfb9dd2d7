"""The flow that docs/compose.md composes of operations runs as it stands there."""

import json
import re

import pytest
from flow_runs import ROOT
from processes import Impactflow, served

from impactflow.proof.programs import base_environment
from impactflow.sandbox import Options, Sandbox, environment

#: Runs the flow of a file twice with the same arguments, and once with others.
RUN = """
import asyncio, json, runpy, sys
from decimal import Decimal
flow = runpy.run_path(sys.argv[1])["offset_trip"]
async def main():
    paid = [await flow("LIS-BER-1", Decimal("120.5")) for _ in range(2)]
    state = await flow("round the world", Decimal(99_000), return_state=True)
    print(json.dumps({"paid": paid, "dear": [state.name, state.message]}))
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def composed(server, tmp_path_factory):
    """What the page's flow printed, and what it bought."""
    folder = tmp_path_factory.mktemp("composing")
    text = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "compose.md").read_text(), re.DOTALL)
    assert text is not None
    (folder / "trips.py").write_text(text[1])
    with served(Sandbox(Options())) as sandbox:
        variables = environment(sandbox.base_url) | {"PREFECT_API_URL": server.api_url}
        ended = Impactflow(ROOT, base_environment(folder) | variables).python(RUN, str(folder / "trips.py"))
    assert ended.status == 0, ended.err
    return json.loads(ended.out.splitlines()[-1]), sandbox.books.purchases


def test_the_readmes_flow_buys_once(composed):
    """Though it ran twice: the key is the trip's."""
    printed, purchases = composed
    assert ([283, 283], [120_500]) == (printed["paid"], [purchase.quantity for purchase in purchases])


def test_the_readmes_flow_says_what_is_too_dear(composed):
    """As Prefect shows it."""
    printed, _ = composed
    assert "Failed" == printed["dear"][0]
    assert "round the world would cost 232650 US cents" in printed["dear"][1]


#: Flows that are run again after the purchase; the last is told so by its second run.
AGAIN = """
import asyncio, json
from decimal import Decimal
from prefect import flow
from tasks.cnaught import submit_generic_order
from tasks.credentials import CNaughtCredentials, OneClickImpactCredentials
from tasks.oneclickimpact import plant_tree, whoami

@flow(retries=1)
async def with_key():
    await submit_generic_order(CNaughtCredentials(), amount_kg=Decimal(2), idempotency_key="once")
    raise ValueError("after the purchase")

@flow(retries=1)
async def without_key():
    await whoami(OneClickImpactCredentials())
    plant_tree.map(OneClickImpactCredentials(), [3, 4]).result()
    raise ValueError("after the purchase")

async def main():
    states = [await run(return_state=True) for run in (with_key, without_key)]
    print(json.dumps([state.message for state in states]))
asyncio.run(main())
"""


def test_a_flow_that_is_run_again_buys_once(server, tmp_path):
    """By its key; where there is none, the second run does not come that far."""
    with served(Sandbox(Options())) as sandbox:
        variables = environment(sandbox.base_url) | {"PREFECT_API_URL": server.api_url}
        ended = Impactflow(ROOT, base_environment(tmp_path) | variables).python(AGAIN)
    assert ended.status == 0, ended.err
    assert [3, 4, 2000] == sorted(purchase.quantity for purchase in sandbox.books.purchases)
    with_key, without_key = json.loads(ended.out.splitlines()[-1])
    assert "after the purchase" in with_key
    assert "oneclickimpact plant_tree: the flow is run again and this would happen again" in without_key
