"""What the acceptance tests stand on: real processes, one real Prefect server, sandboxes that listen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Impactflow, Served

from impactflow.proof import experiment
from impactflow.proof.programs import PrefectServer


@pytest.fixture(scope="session")
def command_line(server: PrefectServer) -> Callable[[Path, Served], Impactflow]:
    """Makes a command line that works in a folder against a sandbox, with the policy that ``bookkeeping`` knows."""

    def make(folder: Path, sandbox: Served) -> Impactflow:
        own = {"IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'impactflow.db'}", "PREFECT_API_URL": server.api_url}
        return Impactflow(folder, experiment.command_line(folder, {**sandbox.variables, **own}).variables)

    return make
