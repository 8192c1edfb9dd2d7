"""The flow that the README composes of operations runs as it stands there."""

import json
import re

import pytest
from flow_runs import ROOT
from processes import Impactflow, base_environment, served

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
    """What the README's flow printed, and what it bought."""
    folder = tmp_path_factory.mktemp("composing")
    text = re.search(r"## Compose your own flow\n.*?```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
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
