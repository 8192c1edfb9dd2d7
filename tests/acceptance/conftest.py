"""What the acceptance tests stand on: real processes, one real Prefect server, sandboxes that listen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bookkeeping import POLICY
from processes import Impactflow, Listening, PrefectServer, base_environment, prefect_server

#: Seconds. Short, and in order: a request's timeout within the lease, the settling time beyond all that comes late.
TIMES = {
    "IMPACTFLOW_LEASE_S": "3",
    "IMPACTFLOW_REQUEST_TIMEOUT_S": "1",
    "IMPACTFLOW_SETTLE_S": "4.5",
    "IMPACTFLOW_CONCURRENCY": "8",
}


@pytest.fixture(scope="session")
def server() -> PrefectServer:
    """The session's Prefect server."""
    return prefect_server()


@pytest.fixture(scope="session")
def command_line(server: PrefectServer) -> Callable[[Path, Listening], Impactflow]:
    """Makes a command line that works in a folder against a sandbox, with the policy that ``bookkeeping`` knows."""

    def make(folder: Path, sandbox: Listening) -> Impactflow:
        (folder / "policy.yaml").write_text(POLICY)
        own = {"IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'impactflow.db'}", "PREFECT_API_URL": server.api_url}
        return Impactflow(folder, {**base_environment(folder), **sandbox.variables, **TIMES, **own})

    return make
