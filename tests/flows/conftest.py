"""What the tests of the flows share: the server, and one run of each flow as Prefect itself does it."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flow_runs import AS_PREFECT_DOES, FLOWS, ROOT, Api, Ran
from processes import Impactflow, sandbox_thread

from impactflow.proof.programs import base_environment
from impactflow.sandbox import Faults, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES


@pytest.fixture(scope="session")
def api(server) -> Api:
    """Its API."""
    return Api(server)


@pytest.fixture(scope="session")
def ran(server, tmp_path_factory) -> Iterator[Ran]:
    """Each flow was run against a sandbox whose answers get lost, then the placing one with a key that is refused."""
    folder = tmp_path_factory.mktemp("flows")
    orders = generate_orders(60, 5, datetime.now(UTC), currencies=CONVERTIBLE_CURRENCIES)
    orders[0] |= {"currency": "SEK", "amount": 10, "payments": [{"status": "APPROVED"}]}  # is held: needs attention
    own = {
        "PREFECT_API_URL": server.api_url,
        "PREFECT_LOGGING_EXTRA_LOGGERS": "impactflow,tasks",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'impactflow.db'}",
        "IMPACTFLOW_POLICY": str(ROOT / "policy.yaml"),
        "IMPACTFLOW_REPORTS": str(folder / "reports"),
        "IMPACTFLOW_LEASE_S": "4",
        "IMPACTFLOW_REQUEST_TIMEOUT_S": "1",
        "IMPACTFLOW_SETTLE_S": "2.5",
    }
    began = datetime.now(UTC)
    with sandbox_thread(orders, faults=Faults.parse("rough,hang=0"), late_s=1.0, speed=1e7) as sandbox:
        command = Impactflow(ROOT, {**base_environment(folder), **sandbox.variables, **own})
        ended = command.python(AS_PREFECT_DOES, *FLOWS)
        wrong = dict.fromkeys(("WICKED_REPORTS_API_KEY", "CNAUGHT_API_KEY"), "canary-wrong-key")
        refused = command.but(**wrong).python(AS_PREFECT_DOES, "place_impacts")
        keys = {value for name, value in sandbox.variables.items() if name.endswith("_KEY")}
        addresses = {order["contact"]["email"] for order in orders if "contact" in order}
        secrets = frozenset(keys | addresses | {"canary-wrong-key", "@example."})
        yield Ran(ended, refused, began, folder, secrets, sandbox.purchases())


@pytest.fixture
def dump(server):
    """All that the server's database holds, as text."""

    def text() -> str:
        time.sleep(2)  # logs and events are written a moment after they were sent
        with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as database:
            return "\n".join(database.iterdump())

    return text
