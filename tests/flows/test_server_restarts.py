"""
Prefect's server goes away and comes back while runs are under way (F5, F13).

The server is started twice, once for all tests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prefect_servers import RestartableServer

from impactflow.cli.up import SERVER_SETTINGS


@dataclass(frozen=True)
class Restarted:
    """
    What was seen of a server that was killed and started again.

    Args:
        renewed: The status with which it answered the renewal of a lease from before.
        waits: The state of a second run of the same deployment after the restart.
        goes_on: The same once the first run had ended.
    """

    renewed: int
    waits: str
    goes_on: str


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory, migrated) -> Iterator[Restarted]:
    """A run has its deployment's only place; the server is killed and started again; the run renews its lease."""
    server = RestartableServer(tmp_path_factory.mktemp("restarting"), migrated, SERVER_SETTINGS)
    try:
        api_url = server.start().api_url
        with httpx.Client(base_url=api_url, timeout=60, trust_env=False) as api:
            limit = {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": "ENQUEUE"}}
            flow = _post(api, "/flows/", name="place_impacts")["id"]
            deployment = _post(api, "/deployments/", name="place", flow_id=flow, **limit)["id"]
            first, second = (_post(api, f"/deployments/{deployment}/create_flow_run")["id"] for _ in range(2))
            lease = _take(api, first)["state_details"]["deployment_concurrency_lease_id"]
            server.kill()
            server.start()
            renewing = {"lease_duration": 300}
            renewed = api.post(f"/v2/concurrency_limits/leases/{lease}/renew", json=renewing).status_code
            waits = _take(api, second)["name"]
            for state in ("RUNNING", "COMPLETED"):
                _post(api, f"/flow_runs/{first}/set_state", state={"type": state})
            _post(api, f"/flow_runs/{second}/set_state", state={"type": "SCHEDULED"}, force=True)
            yield Restarted(renewed, waits, _take(api, second)["name"])
    finally:
        server.kill()


def _post(api: httpx.Client, path: str, **content: Any) -> Any:
    return api.post(path, json=content).raise_for_status().json()


def _take(api: httpx.Client, run: str) -> dict[str, Any]:
    """The state of a run that a worker has asked for."""
    _post(api, f"/flow_runs/{run}/set_state", state={"type": "PENDING"})
    return api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]


def test_f5_a_run_under_way_keeps_its_place_through_a_restart_of_the_server(restarted: Restarted):
    """Its lease is known to the new server; were it not, Prefect would end the run at its next renewal."""
    assert 204 == restarted.renewed


def test_f5_nobody_else_takes_the_place_and_it_is_free_once_the_run_ends(restarted: Restarted):
    """So neither do two runs work at once, nor does a place stay taken for ever."""
    assert ("AwaitingConcurrencySlot", "Pending") == (restarted.waits, restarted.goes_on)
