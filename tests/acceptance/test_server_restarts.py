"""
Prefect's server goes away in the middle of runs and comes back, and wants credentials (F5, F13, F15, F16, O5).

The server is started twice, once for all tests; the second time it has another key for its blocks.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect_servers import RestartableServer
from processes import Impactflow, order, sandbox_thread

from impactflow.cli.up import SERVER_SETTINGS
from impactflow.proof.bookkeeping import in_books, in_ledger, undone_in_ledger
from impactflow.proof.programs import Ended, base_environment, finish

pytestmark = pytest.mark.timeout(600)

CREDENTIALS = "ana:a-password"
POLICY = """\
store: acme
rules:
  - {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}
"""
#: So many orders, one after the other, are bought while the server is away and after it is back.
ORDERS, LATENCY_S = 60, 0.5
SAVE_BLOCK = "from tasks.credentials import CNaughtCredentials as C; C().save('impactflow')"
#: A Fernet key, made up.
NEW_KEY = "c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtbG9uZyE="


@dataclass(frozen=True)
class Restarted:
    """
    What was seen of a server that was killed and started again.

    Args:
        api_url: Its API.
        command: The command line, with the server's credentials.
        renewed: The status with which it answered the renewal of a lease from before.
        waits: The state of a second run of the same deployment after the restart.
        goes_on: The same once the first run had ended.
        placed: How a command ended that bought all the while.
        before: How many purchases had taken effect when the server went away.
        books: The purchases in the books in the end.
        ledger: The purchases in the ledger.
        undone: How many placements the ledger leaves undone.
        unreadable: How a command ended once the server could not decrypt a block.
    """

    api_url: str
    command: Impactflow
    renewed: int
    waits: str
    goes_on: str
    placed: Ended
    before: int
    books: Any
    ledger: Any
    undone: int
    unreadable: Ended


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory, migrated) -> Iterator[Restarted]:
    """A run has its deployment's only place, and a command buys; the server is killed and started again."""
    folder = tmp_path_factory.mktemp("restarting")
    server = RestartableServer(folder, migrated, {**SERVER_SETTINGS, "PREFECT_SERVER_API_AUTH_STRING": CREDENTIALS})
    orders = [order(number) for number in range(ORDERS)]
    with sandbox_thread(orders, latency_s=LATENCY_S) as sandbox:
        try:
            api_url = server.start().api_url
            command = _command_line(folder, {**sandbox.variables, "PREFECT_API_URL": api_url})
            with httpx.Client(base_url=api_url, auth=tuple(CREDENTIALS.split(":")), timeout=60, trust_env=False) as api:
                first, second, lease = _take_the_only_place(api)
                process = command.start("place", "--json", "--patience", "60")
                _wait(lambda: len(sandbox.books.purchases) >= 3 or process.poll() is not None)
                server.kill()
                before = len(sandbox.books.purchases)
                _wait(lambda: len(sandbox.books.purchases) >= before + 3 or process.poll() is not None)
                server.start()
                renewing = {"lease_duration": 300}
                renewed = api.post(f"/v2/concurrency_limits/leases/{lease}/renew", json=renewing).status_code
                waits = _take(api, second)["name"]
                for state in ("RUNNING", "COMPLETED"):
                    _post(api, f"/flow_runs/{first}/set_state", state={"type": state})
                _post(api, f"/flow_runs/{second}/set_state", state={"type": "SCHEDULED"}, force=True)
                goes_on = _take(api, second)["name"]
            placed = finish(process)
            saved = command.python(SAVE_BLOCK)
            assert saved.status == 0, saved.err
            server.kill()
            server.settings["PREFECT_SERVER_ENCRYPTION_KEY"] = NEW_KEY
            server.start()
            yield Restarted(
                api_url, command, renewed, waits, goes_on, placed, before, in_books(sandbox.purchases()),
                in_ledger(command.ledger_url), undone_in_ledger(command.ledger_url), command.run("place", "--json"),
            )  # fmt: skip
        finally:
            server.kill()


def _command_line(folder: Path, variables: dict[str, str]) -> Impactflow:
    (folder / "policy.yaml").write_text(POLICY)
    own = {
        "PREFECT_API_AUTH_STRING": CREDENTIALS,
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "IMPACTFLOW_CONCURRENCY": "1",
    }
    return Impactflow(folder, {**base_environment(folder), **variables, **own})


def _take_the_only_place(api: httpx.Client) -> tuple[str, str, str]:
    """Two runs of a deployment, and the lease of the first."""
    limit = {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": "ENQUEUE"}}
    flow = _post(api, "/flows/", name="track_placements")["id"]
    deployment = _post(api, "/deployments/", name="track", flow_id=flow, **limit)["id"]
    first, second = (_post(api, f"/deployments/{deployment}/create_flow_run")["id"] for _ in range(2))
    return first, second, _take(api, first)["state_details"]["deployment_concurrency_lease_id"]


def _take(api: httpx.Client, run: str) -> dict[str, Any]:
    """The state of a run that a worker has asked for."""
    _post(api, f"/flow_runs/{run}/set_state", state={"type": "PENDING"})
    return api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]


def _post(api: httpx.Client, path: str, **content: Any) -> Any:
    while (answer := api.post(path, json=content)).status_code == 503:
        time.sleep(0.2)
    return answer.raise_for_status().json()


def _wait(happened: Callable[[], bool], longest_s: float = 120) -> None:
    until = time.monotonic() + longest_s
    while not happened():
        assert time.monotonic() < until, f"it did not happen within {longest_s} s"
        time.sleep(0.05)


def test_f5_a_run_under_way_keeps_its_place_through_a_restart_of_the_server(restarted: Restarted):
    """Its lease is known to the new server; were it not, Prefect would end the run at its next renewal."""
    assert 204 == restarted.renewed


def test_f5_nobody_else_takes_the_place_and_it_is_free_once_the_run_ends(restarted: Restarted):
    """So neither do two runs work at once, nor does a place stay taken for ever."""
    assert ("AwaitingConcurrencySlot", "Pending") == (restarted.waits, restarted.goes_on)


def test_f13_a_run_goes_on_while_the_server_is_away(restarted: Restarted):
    """It buys what it was to buy, once, and ends as if nothing had been."""
    assert (0, False) == (restarted.placed.status, restarted.placed.says_traceback), restarted.placed.err
    assert restarted.before < ORDERS == len(restarted.books)
    assert (restarted.books, 0) == (restarted.ledger, restarted.undone)


def test_f15_a_block_that_the_server_cannot_decrypt_is_told_in_a_line(restarted: Restarted):
    """With the variable that the server was given too late."""
    assert (2, False) == (restarted.unreadable.status, restarted.unreadable.says_traceback), restarted.unreadable.err
    assert "PREFECT_SERVER_ENCRYPTION_KEY" in restarted.unreadable.json["error"]


@pytest.mark.parametrize("credentials", [None, "ana:another"], ids=["none", "wrong"])
@pytest.mark.parametrize("asked", [("place",), ("register",), ("automations",)], ids=" ".join)
def test_o5_credentials_that_are_missing_or_wrong_are_told_in_a_line(
    restarted: Restarted, asked: tuple[str, ...], credentials: str | None
):
    """By every command that talks to the server, with the variable's name, exit status 2 and one object."""
    there = Impactflow(Path(__file__).parents[2], restarted.command.variables)
    ended = there.but(PREFECT_API_AUTH_STRING=credentials).run(*asked, "--json")
    assert (2, False) == (ended.status, ended.says_traceback), ended.err
    assert "PREFECT_API_AUTH_STRING" in ended.json["error"]


def test_o5_every_command_finds_the_server_in_the_env_file(restarted: Restarted, tmp_path):
    """`place` and the others read the same; none starts a temporary server where the file names one."""
    variables = restarted.command.variables
    (tmp_path / ".env").write_text(
        "".join(f"{name}={variables[name]}\n" for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"))
    )
    (tmp_path / "policy.yaml").write_text(POLICY)
    there = Impactflow(tmp_path, variables).but(PREFECT_API_URL=None, PREFECT_API_AUTH_STRING=None)
    installed, placed = there.run("automations", "--json"), there.run("place", "--json")
    assert 0 == installed.status, installed.err
    assert "temporary" not in placed.err
    assert "PREFECT_SERVER_ENCRYPTION_KEY" in placed.json["error"]  # it asked this server


@pytest.mark.parametrize("asked", ["place", "automations"])
def test_f16_a_url_that_is_not_the_apis_is_told_with_the_right_form(restarted: Restarted, asked: str):
    """The pages answer there, with 200."""
    there = restarted.command.but(PREFECT_API_URL=restarted.api_url.removesuffix("/api"))
    ended = there.run(asked, "--json")
    assert (2, False) == (ended.status, ended.says_traceback), ended.err
    assert "ends in /api" in ended.json["error"]
