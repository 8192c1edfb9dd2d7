"""
Two workers of one pool, Prefect's server and the ledger on Postgres; one worker is killed together with its run.

The story is told once; each test looks at another part of how it ended. Nobody does anything after the kill.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from listening import Origin, listening
from postgres_server import SharedPostgres
from processes import Impactflow, Served, sandbox_thread
from ruamel.yaml import YAML

from impactflow.proof import experiment
from impactflow.proof.bookkeeping import NONE, differences, earned, in_books, in_ledger, undone_in_ledger
from impactflow.proof.programs import prefect_server
from impactflow.sandbox import Faults, generate_orders
from impactflow.sandbox.orders import CONVERTIBLE_CURRENCIES

pytestmark = pytest.mark.timeout(900)  # each wait has a limit of its own; the story is told in the first set-up

ROOT = Path(__file__).parents[2]
DEPLOYED = YAML(typ="safe").load(ROOT / "prefect.yaml")["deployments"]
#: Seconds. A run has vanished when the sign of life that comes every 30 s is missing; a start may take long under load.
LEASE_S, SCHEDULE_S, VANISHED_AFTER_S, PENDING_AFTER_S = 35, 60, 32, 30
#: When the next scheduled run is due after the first began: before that is marked, so it has to wait for its place.
NEXT_RUN_S = 40
#: So much is bought before the kill; it is a part of what there is to buy.
BOUGHT_BEFORE = 60


@dataclass(frozen=True)
class Story:
    """
    What happened.

    Args:
        orders: What the shop sold.
        purchases: The books in the end.
        ledger_url: The ledger.
        bought_before: How many purchases the books held when the worker was killed.
        began_after_s: From the kill until the run began that left nothing undone.
        killed: The run that was killed, as the server knows it.
        pending: The run that nobody started.
        notifications: What the notification block sent.
        deployments: By name, as the server knows them.
        automations: Their names, after installing them twice.
    """

    orders: list[dict[str, Any]]
    purchases: list[dict[str, Any]]
    ledger_url: str
    bought_before: int
    began_after_s: float
    killed: dict[str, Any]
    pending: dict[str, Any]
    notifications: list[Origin]
    deployments: dict[str, dict[str, Any]]
    automations: list[str]


@pytest.fixture(scope="module")
def story(postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Told once."""
    folder = tmp_path_factory.mktemp("two-workers")
    orders = generate_orders(120, 11, datetime.now(UTC), currencies=CONVERTIBLE_CURRENCIES)
    ledger_url = postgres.new_database()
    quick = {"PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "5"}
    with ExitStack() as stack:
        sandbox = stack.enter_context(sandbox_thread(orders, faults=Faults.parse("lost_answer=0.05"), latency_s=0.2))
        server = stack.enter_context(prefect_server(postgres.new_database(), quick))
        listener = stack.enter_context(listening())
        command = _command_line(folder, sandbox, ledger_url, server.api_url)
        api = httpx.Client(base_url=server.api_url, timeout=30, trust_env=False)
        workers = [stack.enter_context(_process("impactflow", "serve", command=command, log=folder / "serve.log"))]
        _save_block(command, listener.url)
        _install_automations(command)
        _announce_parked(api)
        _wait(lambda: len(_deployments(api)) == len(DEPLOYED), "the deployments")
        second = ("prefect", "worker", "start", "--pool", "impactflow")
        workers.append(stack.enter_context(_process(*second, command=command, log=folder / "worker.log")))
        deployments = _deployments(api)
        place, track = deployments["place"]["id"], deployments["track"]["id"]
        killed = api.post(f"/deployments/{place}/create_flow_run", json={}).raise_for_status().json()["id"]
        anchor = datetime.now(UTC) + timedelta(seconds=NEXT_RUN_S)
        every = {"interval": SCHEDULE_S, "anchor_date": anchor.isoformat()}
        api.post(f"/deployments/{place}/schedules", json=[{"active": True, "schedule": every}]).raise_for_status()
        pending = _leave_pending(api, track)
        _wait(lambda: len(sandbox.books.purchases) >= BOUGHT_BEFORE, "the first purchases")
        _kill_worker_of(killed, workers)
        killed_at, bought_before = datetime.now(UTC), len(sandbox.books.purchases)
        _install_automations(command)
        _wait(lambda: not undone_in_ledger(ledger_url), "an end")
        began_after_s = (_last_began(api, place) - killed_at).total_seconds()
        for run in (killed, pending):
            _wait(lambda run=run: _run(api, run)["state"]["type"] == "CRASHED", "a mark")
        _wait(lambda: len(listener.received) >= 3, "all notifications")
        _wait(lambda: _completed(api, place), "a scheduled run's end")
        yield Story(
            orders,
            sandbox.purchases(),
            ledger_url,
            bought_before,
            began_after_s,
            _run(api, killed),
            _run(api, pending),
            list(listener.received),
            deployments,
            [each["name"] for each in api.post("/automations/filter", json={}).json()],
        )


def _command_line(folder: Path, sandbox: Served, ledger_url: str, api_url: str) -> Impactflow:
    made = experiment.command_line(folder, sandbox.variables)
    own = {
        "PREFECT_API_URL": api_url,
        "IMPACTFLOW_LEDGER_URL": ledger_url,
        "IMPACTFLOW_POLICY": str(folder / "policy.yaml"),
        "IMPACTFLOW_REPORTS": str(folder / "reports"),
        "IMPACTFLOW_HOME": str(ROOT),
        "IMPACTFLOW_LEASE_S": str(LEASE_S),
    }
    return Impactflow(ROOT, {**made.variables, **own})


@contextmanager
def _process(module: str, *arguments: str, command: Impactflow, log: Path) -> Iterator[psutil.Popen]:
    """A process that serves, with all that it has started; it is killed in the end."""
    with log.open("w") as file:
        process = psutil.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=command.folder,
            env=command.variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.is_running():
            process.terminate()
        _, alive = psutil.wait_procs([process], timeout=20)
        for each in alive:
            each.kill()


def _save_block(command: Impactflow, url: str) -> None:
    """A notification block that posts to a local URL."""
    code = (
        "import sys; from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block\n"
        "content = {'subject': '{{subject}}', 'body': '{{body}}'}\n"
        "Block(name='told', url=sys.argv[1], json_data=content).save('impactflow')"
    )
    saved = command.python(code, url)
    assert saved.status == 0, saved.err


def _install_automations(command: Impactflow) -> None:
    times = (f"--vanished-after={VANISHED_AFTER_S}", f"--pending-after={PENDING_AFTER_S}")
    installed = command.run("automations", "--notify", "custom-webhook/impactflow", *times, "--json")
    assert installed.status == 0, installed.err


def _deployments(api: httpx.Client) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in api.post("/deployments/filter", json={}).json()}


def _run(api: httpx.Client, run: str) -> dict[str, Any]:
    return api.get(f"/flow_runs/{run}").raise_for_status().json()


def _completed(api: httpx.Client, deployment: str) -> bool:
    """Whether a run that the schedule has made is complete."""
    wanted = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["COMPLETED"]}}}
    return any(run["auto_scheduled"] for run in api.post("/flow_runs/filter", json={"flow_runs": wanted}).json())


def _last_began(api: httpx.Client, deployment: str) -> datetime:
    """When the run began that began last."""
    wanted = {"deployment_id": {"any_": [deployment]}, "start_time": {"is_null_": False}}
    runs = api.post("/flow_runs/filter", json={"flow_runs": wanted}).raise_for_status().json()
    return max(datetime.fromisoformat(run["start_time"]) for run in runs)


def _leave_pending(api: httpx.Client, deployment: str) -> str:
    """A run that a worker has taken, and then died before it started it."""
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}
    run = api.post(f"/deployments/{deployment}/create_flow_run", json={"state": later}).raise_for_status().json()["id"]
    taken = api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "PENDING"}, "force": True})
    assert taken.json()["status"] == "ACCEPT"
    return run


def _kill_worker_of(run: str, workers: list[psutil.Popen]) -> None:
    """The worker that has the run, and the process groups of all its runs; the other worker stays."""
    children = {worker: worker.children(recursive=True) for worker in workers}
    (busy,) = (worker for worker in workers if any(_is_of(run, child) for child in children[worker]))
    flows = children[busy]
    busy.kill()
    for flow in flows:
        os.killpg(os.getpgid(flow.pid), signal.SIGKILL)


def _is_of(run: str, process: psutil.Process) -> bool:
    """Whether a worker started it for the run."""
    try:
        return process.environ().get("PREFECT__FLOW_RUN_ID") == run
    except psutil.NoSuchProcess:
        return False


def _announce_parked(api: httpx.Client) -> None:
    """What a run announces when it has parked placements."""
    content = {"store": "acceptance", "provider": "oneclickimpact", "status": "parked", "count": 3}
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "impactflow.placement.parked",
        "resource": {"prefect.resource.id": "impactflow.store.acceptance"},
        "payload": content,
    }
    api.post("/events", json=[event]).raise_for_status()


def _wait(happened: Callable[[], bool], what: str, longest_s: float = 300) -> None:
    until = time.monotonic() + longest_s
    while not happened():
        assert time.monotonic() < until, f"{what} did not come within {longest_s} s"
        time.sleep(0.2)


def test_every_order_is_bought_once_though_a_worker_was_killed_with_its_run(story: Story):
    """No purchase is doubled, none is lost, and the ledger knows each."""
    assert 0 < story.bought_before < len(story.purchases)
    assert differences(earned(story.orders), story.purchases) == NONE
    assert in_ledger(story.ledger_url) == in_books(story.purchases)


def test_the_work_of_the_killed_is_done_within_the_lease_plus_one_schedule(story: Story):
    """By the other worker, without a person."""
    assert story.began_after_s < LEASE_S + SCHEDULE_S


def test_the_killed_run_is_marked_and_never_started_again(story: Story):
    """The next scheduled run did the rest; the story waited for its end."""
    assert story.killed["state"]["message"] == f"Marked by an automation: no sign of life for {VANISHED_AFTER_S} s."
    assert story.killed["run_count"] == 1


def test_a_run_that_never_started_is_marked(story: Story):
    """It would keep its deployment's place for ever."""
    assert story.pending["state"]["message"] == f"Marked by an automation: not started for {PENDING_AFTER_S} s."


def test_somebody_is_told_of_both_and_of_what_is_parked(story: Story):
    """By the notification block, with their names and no more."""
    subjects = {each["subject"] for each in story.notifications}
    assert {f"impactflow: {run['name']} is Crashed" for run in (story.killed, story.pending)} <= subjects
    assert "impactflow: 3 parked at oneclickimpact" in subjects
    assert "@" not in str(story.notifications)


def test_serving_registers_what_the_file_says(story: Story):
    """With the pool, which it made."""
    assert {each["name"] for each in DEPLOYED} == set(story.deployments)
    assert {known["work_pool_name"] for known in story.deployments.values()} == {"impactflow"}


def test_installing_the_automations_twice_installs_them_once(story: Story):
    """They are known by their names."""
    ours = [name for name in story.automations if name.startswith("impactflow: ")]
    assert len(ours) == len(set(ours)) == 6
