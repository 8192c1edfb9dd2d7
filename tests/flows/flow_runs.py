"""Running flows as Prefect itself does it, and looking at what its server then holds."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from impactflow.proof.programs import Ended, PrefectServer

ROOT = Path(__file__).parents[2]
FLOWS = ("place_impacts", "track_placements", "reconcile_providers")
#: Loads flows from their files, as a worker does, and runs them one after the other; prints what became of each.
AS_PREFECT_DOES = """
import asyncio, json, sys
from prefect.flows import load_flow_from_entrypoint
async def main():
    states = {}
    for name in sys.argv[1:]:
        state = await load_flow_from_entrypoint(f"flows/{name}.py:{name}")(return_state=True)
        states[name] = state.name
    print(json.dumps(states))
asyncio.run(main())
"""

#: Runs flows with parameters, as a deployment's run does; prints what each returned, or why it failed.
WITH_PARAMETERS = """
import asyncio, json, sys
from prefect.flows import load_flow_from_entrypoint
async def main():
    told = []
    for name, parameters in json.loads(sys.argv[1]):
        state = await load_flow_from_entrypoint(f"flows/{name}.py:{name}")(**parameters, return_state=True)
        result = await state.aresult(raise_on_failure=False)
        told.append(str(result) if isinstance(result, Exception) else result.as_json())
    print(json.dumps(told))
asyncio.run(main())
"""


class Api:
    """The server's HTTP API, as far as it is asked here."""

    def __init__(self, server: PrefectServer) -> None:
        self._client = httpx.Client(base_url=server.api_url, timeout=30, trust_env=False)

    def filter(self, what: str, **body) -> list[dict]:
        """All of something that fits a filter, at most 200 of them."""
        return self._client.post(f"/{what}/filter", json={"limit": 200, **body}).raise_for_status().json()

    def events(self, **wanted) -> list[dict]:
        """The events that fit a filter, in the order in which they happened."""
        asked = {"filter": {"order": "ASC", **wanted}, "limit": 50}
        return self._client.post("/events/filter", json=asked).raise_for_status().json()["events"]


@dataclass(frozen=True)
class Ran:
    """
    One run of each flow.

    Args:
        ended: The process that ran them.
        refused: A second process, whose keys were refused.
        began: When the first began.
        folder: Where ledger and reports lie.
        secrets: What must not be found anywhere: keys, and the customers' addresses.
        purchases: What was bought.
    """

    ended: Ended
    refused: Ended
    began: datetime
    folder: Path
    secrets: frozenset[str]
    purchases: list[dict]


def flow_states(ended: Ended) -> dict[str, str]:
    """What became of each flow of a process."""
    return json.loads(ended.out.splitlines()[-1])
