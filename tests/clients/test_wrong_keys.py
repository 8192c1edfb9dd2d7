"""Every operation with a wrong key."""

from collections.abc import Callable

import pytest
import test_cnaught_client
import test_impactapi_client
import test_oneclickimpact_client
import test_wickedreports_client
from client_helpers import PatientClock

from impactflow.clients import CNaughtClient, ImpactAPIClient, OneClickImpactClient, WickedReportsClient
from impactflow.clients.operations import operations
from impactflow.errors import Unauthorized
from impactflow.sandbox import Sandbox, environment
from impactflow.sandbox.transport import SandboxTransport

CLIENTS: list[tuple[type, str, dict]] = [
    (WickedReportsClient, "WICKED_REPORTS", test_wickedreports_client.SAMPLES),
    (OneClickImpactClient, "ONECLICKIMPACT", test_oneclickimpact_client.SAMPLES),
    (CNaughtClient, "CNAUGHT", test_cnaught_client.SAMPLES),
    (ImpactAPIClient, "IMPACTAPI", test_impactapi_client.SAMPLES),
]
OPERATIONS = [
    pytest.param(client, variables, samples[name].call, id=f"{client.__name__}.{name}")
    for client, variables, samples in CLIENTS
    for name in operations(client)
]


@pytest.mark.parametrize(("client", "variables", "call"), OPERATIONS)
async def test_a_wrong_key_is_said_to_be_wrong(client, variables, call: Callable):
    """Asked as its sample is; the variable to look at is named, and nothing happened."""
    sandbox = Sandbox(clock=PatientClock())
    url = environment("http://127.0.0.1")[f"{variables}_URL"]
    mistaken = client(url, "wrong", transport=SandboxTransport(sandbox), timeout_s=20, clock=sandbox.clock)
    with pytest.raises(Unauthorized, match=f"check {variables}_API_KEY") as caught:
        await call(mistaken)
    assert ("wrong" in str(caught.value), []) == (False, sandbox.books.purchases)
