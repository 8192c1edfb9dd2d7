"""
Blocks hold the accounts of flows and tasks, and no key and no address turns up anywhere: searched for byte by byte.

A Prefect server of this module's own, so that its whole home may be searched. Keys are planted in the environment,
where they are wrong, and in blocks, where they are right; flows and tasks succeed, are refused, are misused and crash.
What is meant to be there shows that the search finds something.
"""

import re
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flow_runs import AS_PREFECT_DOES, FLOWS, ROOT, Api, flow_states
from processes import Impactflow, served

from impactflow.proof.programs import Ended, PrefectServer, base_environment
from impactflow.sandbox import Options, Sandbox, environment, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES

#: By variable: the keys that the sandbox knows, those that it takes here in their place, and those that it refuses.
KNOWN = {name: key for name, key in environment("").items() if name.endswith("_KEY")}
RIGHT = {name: f"canary-right-{name.lower()}" for name in KNOWN}
WRONG = {name: f"canary-wrong-{name.lower()}" for name in KNOWN}
ADDRESS = "canary.customer@example.org"
SECRETS = [*RIGHT.values(), *WRONG.values(), ADDRESS]
#: No secret: a flow logs it, and a task of its own returns it to be kept, for the search to find.
MARKER = "marker-that-is-no-secret"

PREFECT = "import runpy; runpy.run_module('prefect', run_name='__main__')"
#: Keeps the environment's accounts as the blocks that the flows use.
SAVE = """
from tasks.credentials import *
for kind in CNaughtCredentials, ImpactAPICredentials, OneClickImpactCredentials, WickedReportsCredentials:
    kind().save("impactflow")
"""
#: Operations that succeed, are refused and are misused, by way of blocks; then the flow crashes.
COMPOSE = """
import asyncio, logging, sys
from datetime import date
from decimal import Decimal
from prefect import flow, get_run_logger, task
from prefect.cache_policies import INPUTS
from impactflow.errors import ImpactError
from tasks import cnaught, impactapi, oneclickimpact, wickedreports
from tasks.credentials import *

MARKER, ADDRESS, WRONG = sys.argv[1:]

@task(cache_policy=INPUTS, persist_result=True)
def keep(text):
    return text

@flow(persist_result=True)
async def compose(one: OneClickImpactCredentials):
    await oneclickimpact.plant_tree(one, 2, customer_email=ADDRESS, customer_name=ADDRESS)
    assert len(await oneclickimpact.customer_records(one, ADDRESS)) == 1
    await wickedreports.get_contact(await WickedReportsCredentials.aload("impactflow"), ADDRESS, return_state=True)
    await impactapi.list_campaigns(await ImpactAPICredentials.aload("impactflow"))
    offset = cnaught.submit_generic_order.submit(
        await CNaughtCredentials.aload("impactflow"), amount_kg=Decimal(1), idempotency_key="k", metadata=ADDRESS
    )
    assert offset.result().metadata == ADDRESS
    wrong = OneClickImpactCredentials(api_key=WRONG, url=one.url)
    for misuse in (
        lambda: oneclickimpact.plant_tree(wrong, 2, customer_email=ADDRESS),
        lambda: oneclickimpact.plant_tree(one, 0, customer_email=ADDRESS),
        lambda: oneclickimpact.customer_records(one, ADDRESS, ADDRESS),
        lambda: cnaught.list_orders(wrong),
        lambda: oneclickimpact.plant_tree.map(one, 2, customer_email=ADDRESS),
        lambda: oneclickimpact.plant_tree.map(one, [1, 2], customer_email=[ADDRESS]),
        lambda: oneclickimpact.plant_tree.map(credentials=wrong, amount=[1, 2], customer_email=ADDRESS).result(),
    ):
        try:
            await misuse()
        except ImpactError as error:
            get_run_logger().error("refused: %s", error)
        else:
            raise AssertionError
    try:
        oneclickimpact.plant_tree.delay(one, 2, customer_email=ADDRESS)
    except Exception:
        logging.exception("cannot be put off")
    keep(MARKER)
    get_run_logger().info(MARKER)
    sys.exit(3)

asyncio.run(compose(OneClickImpactCredentials.load("impactflow")))
"""


class TakesPlantedKeys(Sandbox):
    """A sandbox that takes the right planted keys and no others."""

    def exchange(self, request):
        headers = {name: _exchanged(value) for name, value in request.headers.items()}
        return super().exchange(replace(request, headers=headers))


def _exchanged(header: str) -> str:
    for name, key in RIGHT.items():
        header = header.replace(key, KNOWN[name])
    return header


@dataclass(frozen=True)
class Searched:
    """
    What was done, and all that is left of it.

    Args:
        refused: The placing flow with nothing but the environment's wrong keys.
        placed: The flows with blocks as well.
        composed: Operations as tasks.
        types: The names of the block types that the server knows.
        purchases: What was bought.
        left: All that was printed or written, by where.
    """

    refused: Ended
    placed: Ended
    composed: Ended
    types: frozenset[str]
    purchases: list[dict]
    left: Mapping[str, bytes]

    def places(self, text: str) -> set[str]:
        """Where a text is found."""
        return {place for place, content in self.left.items() if text.encode() in content}


@pytest.fixture(scope="module")
def searched(tmp_path_factory, own_server) -> Searched:
    """The providers take the right keys only, which no process has in its environment but the one that saves them."""
    folder, server = tmp_path_factory.mktemp("canary"), own_server
    orders = generate_orders(20, 5, datetime.now(UTC), currencies=CONVERTIBLE_CURRENCIES)
    own = {
        "PREFECT_API_URL": server.api_url,
        "PREFECT_LOGGING_EXTRA_LOGGERS": "impactflow,tasks",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'impactflow.db'}",
        "IMPACTFLOW_POLICY": str(ROOT / "policy.yaml"),
        "IMPACTFLOW_REPORTS": str(folder / "reports"),
    }
    with served(TakesPlantedKeys(Options(speed=1e7), orders=orders)) as sandbox:
        common = base_environment(folder) | environment(sandbox.base_url) | own
        right, wrong = Impactflow(ROOT, common | RIGHT), Impactflow(ROOT, common | WRONG)
        ended = [
            wrong.python(AS_PREFECT_DOES, "place_impacts"),
            wrong.python(PREFECT, "block", "register", "-m", "tasks.credentials"),
            right.python(SAVE),
            wrong.python(AS_PREFECT_DOES, *FLOWS),
            wrong.python(COMPOSE, MARKER, ADDRESS, WRONG["ONECLICKIMPACT_API_KEY"]),
        ]
        purchases = sandbox.books.as_json()["purchases"]
    types = frozenset(found["name"] for found in Api(server).filter("block_types"))
    refused, _, _, placed, composed = ended
    return Searched(refused, placed, composed, types, purchases, _left(ended, folder, server))


def _left(ended: list[Ended], folder: Path, server: PrefectServer) -> dict[str, bytes]:
    """All bytes, once the last line that was logged has come to the server's database."""
    deadline = time.monotonic() + 30
    kept = server.database.parent
    while not any(MARKER.encode() in path.read_bytes() for path in kept.glob("prefect.db*")):
        assert time.monotonic() < deadline, ended[-1].err
        time.sleep(0.2)
    printed = {f"printed by {number}": (each.out + each.err).encode() for number, each in enumerate(ended)}
    files = (path for under in (folder, kept, server.log.parent) for path in under.rglob("*") if path.is_file())
    left = printed | {str(path): path.read_bytes() for path in files}
    return {place: content + _decoded(content) for place, content in left.items()}


def _decoded(content: bytes) -> bytes:
    """What is written in Base64, as Prefect writes what it pickles: in JSON, in lines."""
    runs = re.findall(rb"[A-Za-z0-9+/]{40,}", content.replace(b"\\n", b"").replace(b"\n", b""))
    return b"".join(b64decode(run[: len(run) // 4 * 4]) for run in runs)


def test_one_command_registers_the_four_types(searched):
    """So that a person can fill them in on Prefect's pages."""
    expected = {
        "Wicked Reports Credentials",
        "1ClickImpact Credentials",
        "CNaught Credentials",
        "ImpactAPI Credentials",
    }
    assert expected <= searched.types


def test_without_blocks_the_environments_accounts_are_used(searched):
    """They are refused here."""
    assert {"place_impacts": "Failed"} == flow_states(searched.refused)
    assert "check WICKED_REPORTS_API_KEY" in searched.refused.out + searched.refused.err


def test_blocks_named_impactflow_take_the_environments_place(searched):
    """The flows buy, though every key of the environment is wrong."""
    assert searched.placed.status == 0, searched.placed.err
    assert dict.fromkeys(FLOWS, "Completed") == flow_states(searched.placed)
    assert {"oneclickimpact", "cnaught", "impactapi"} == {purchase["provider"] for purchase in searched.purchases}


def test_operations_run_as_tasks_until_the_flow_crashes(searched):
    """All of them were tried: the flow came to its last line."""
    assert (3, 7) == (searched.composed.status, searched.composed.err.count("refused: ")), searched.composed.err
    assert 1 == sum(purchase["customer_email"] == ADDRESS for purchase in searched.purchases)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_nowhere(searched, secret):
    """Not in the server's database, its journal or its logs, nor in what was printed, the ledger or the reports."""
    assert set() == searched.places(secret)


def test_the_search_finds_what_is_there(searched):
    """A logged line, printed and in Prefect's database; a result that Prefect wrote; the ledger's orders."""
    places = searched.places(MARKER)
    assert {"printed by 4"} < places
    assert all(any(part in place for place in places) for part in ("/prefect.db", "/prefect/storage/"))
    assert any("/impactflow.db" in place for place in searched.places(searched.purchases[0]["order_id"]))
