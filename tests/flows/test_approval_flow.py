"""The run that asks a person: what its form shows, what becomes of each answer, and what is bought in the end."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
from flow_runs import ROOT
from processes import Impactflow, order, sandbox_thread

from impactflow.buying.run import open_run
from impactflow.intake.planning import plan
from impactflow.ledger import Ledger
from impactflow.policy import load_policy
from impactflow.proof.programs import base_environment
from impactflow.settings import Settings
from impactflow.window import Window

POLICY = """\
store: acme
rules:
  - {slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_item: 30}, approve_above: 59}
"""
#: Does to a run of the deployment what a worker has a process of its own do; each line of input names one.
EXECUTOR = """
import asyncio, sys
from uuid import UUID
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.states import Pending
from flows.approve_placements import approve_placements as flow
print(flow.to_deployment(name="approve").apply(), flush=True)
for line in sys.stdin:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(line.strip()), Pending())
        run = client.read_flow_run(UUID(line.strip()))
    try:
        state = asyncio.run(run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state"))
    except Pause as paused:
        state = paused.state
    print(state.name, flush=True)
"""
SERVE = "from flows.approve_placements import approve_placements as flow; flow.serve(name='served')"
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PAUSED"}


class Forms:
    """What the Prefect UI does: start a run, look at the form, fill it in."""

    def __init__(self, server, deployment):
        self._client = httpx.Client(base_url=server.api_url, timeout=30, trust_env=False)
        self.deployment = deployment

    def start(self, **parameters):
        made = self._ask("POST", f"/deployments/{self.deployment}/create_flow_run", json={"parameters": parameters})
        return made["id"]

    def state(self, run):
        return self._ask("GET", f"/flow_runs/{run}")["state"]

    def question(self, run):
        """The latest description of the form, as Markdown."""
        keyset = self.state(run)["state_details"]["run_input_keyset"]
        return self._ask("GET", f"/flow_runs/{run}/input/{keyset['description']}")

    def fields(self, run):
        """The form's schema."""
        keyset = self.state(run)["state_details"]["run_input_keyset"]
        return self._ask("GET", f"/flow_runs/{run}/input/{keyset['schema']}")

    def answer(self, run, **fields):
        """The Resume button: whether the server takes it."""
        return self._ask("POST", f"/flow_runs/{run}/resume", json={"run_input": fields})["status"]

    def wait(self, run):
        """Until a process is done with it: the state's type."""
        until = time.monotonic() + 60
        while (type_ := self.state(run)["type"]) not in OVER:
            assert time.monotonic() < until, type_
            time.sleep(0.2)
        return type_

    def artifact(self, run, key):
        wanted = {"flow_run_id": {"any_": [run]}, "key": {"any_": [key]}}
        found = self._ask("POST", "/artifacts/filter", json={"artifacts": wanted, "sort": "CREATED_DESC"})
        return found[0]["data"]

    def _ask(self, method, path, **more):
        for _ in range(20):
            response = self._client.request(method, path, **more)
            if response.status_code not in {404, 503}:  # the form comes a moment after the state; SQLite is busy
                return response.raise_for_status().json()
            time.sleep(0.5)
        raise AssertionError("the server was busy for ten seconds")


class Shop:
    """A sandbox, a policy with a limit, a ledger, and the command line beside them."""

    def __init__(self, folder: Path, sandbox, server):
        (folder / "policy.yaml").write_text(POLICY)
        self.sandbox = sandbox
        self._policy = load_policy(folder / "policy.yaml")
        own = {
            "PREFECT_API_URL": server.api_url,
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "IMPACTFLOW_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
            "IMPACTFLOW_POLICY": str(folder / "policy.yaml"),
            "IMPACTFLOW_REPORTS": str(folder / "reports"),
        }
        self.command = Impactflow(ROOT, {**base_environment(folder), **sandbox.variables, **own})
        self._settings = Settings(
            _env_file=None,
            **{n.lower(): v for n, v in {**sandbox.variables, **own}.items() if n.lower() in Settings.model_fields},
        )

    def read(self):
        """Read and plan the orders, as ``place`` does."""

        async def read():
            today = datetime.now(UTC).date()
            window = Window(date.fromordinal(today.toordinal() - 7), today, open_ended=True)
            async with open_run(self._settings, "test") as run:
                source = run.order_source()
                await plan(run.ledger, source, self._policy, window, run.clock, run.id, moves_watermark=False)

        asyncio.run(read())

    def placements(self):
        """Status, quantity and reason of each order's placement."""

        async def read():
            with Ledger.open(self.command.ledger_url) as ledger:
                stories = [await ledger.story(each["id"]) for each in self.sandbox.shop.orders]
            return {
                each["order"]: (row["status"], row["quantity"], row["reason"])
                for each in stories
                for row in each["placements"]
            }

        return asyncio.run(read())

    @property
    def bought(self):
        return sorted((each["order_id"], each["quantity"]) for each in self.sandbox.purchases())


@contextmanager
def a_shop(folder, server, *numbers):
    """A shop of these orders, each of which has earned sixty trees."""
    with sandbox_thread([order(number) for number in numbers], speed=1e7) as sandbox:
        yield Shop(folder, sandbox, server)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, server):
    """One shop for all tests that execute runs in one process; each adds orders of its own."""
    with a_shop(tmp_path_factory.mktemp("approving"), server) as made:
        yield made


@pytest.fixture(scope="module")
def executor(shop):
    """The process that executes runs, and the deployment's id."""
    command = [sys.executable, "-c", EXECUTOR]
    log = (Path(shop.command.variables["HOME"]) / "executor.log").open("w")
    with (
        log,
        subprocess.Popen(
            command, cwd=ROOT, env=shop.command.variables, stdin=-1, stdout=-1, stderr=log, text=True
        ) as process,
    ):
        yield process, process.stdout.readline().strip()
        process.stdin.close()


@pytest.fixture
def forms(server, executor):
    """Runs of the deployment."""
    _, deployment = executor
    return Forms(server, deployment)


@pytest.fixture
def execute(executor):
    """Let a process execute a run until it ends or is suspended; the name of its state."""
    process, _ = executor

    def run(run_id):
        process.stdin.write(f"{run_id}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    return run


def sell(shop, *numbers):
    """Further orders, each of which has earned sixty trees."""
    shop.sandbox.shop.orders += [order(number) for number in numbers]
    shop.read()


def test_where_nothing_awaits_approval_the_run_ends_saying_so(forms, execute):
    """It asks nobody."""
    run = forms.start()
    assert "Completed" == execute(run)
    assert forms.artifact(run, "approve-placements").startswith("Nothing awaits approval.")


def test_the_form_is_flat_and_says_what_would_be_bought(shop, forms, execute):
    """In plain words, in a table, and without anybody's address."""
    sell(shop, 11, 12)
    run = forms.start()
    assert "Suspended" == execute(run)
    text, fields = forms.question(run), forms.fields(run)["properties"]
    assert "May this be bought: 120 trees (plant_trees) from oneclickimpact?" in text
    assert "order WR-11, slot trees: 60 trees (plant_trees), above the approval limit of 59 trees" in text
    assert ["approve", "trim", "reject"] == fields["decision"]["enum"]
    assert {"at_most": "number", "by": "string", "why": "string"} == {
        name: fields[name]["type"] for name in ("at_most", "by", "why")
    }
    rows = json.loads(forms.artifact(run, "awaiting-approval"))
    assert [("WR-11", "60"), ("WR-12", "60")] == [(row["order"], row["quantity"]) for row in rows]
    assert "@" not in json.dumps([text, rows])
    forms.answer(run, decision="reject", by="ana")
    assert "Completed" == execute(run)


def test_n25_a_suspended_run_tells_of_no_error(shop, forms, execute):
    """It waits as it should, and its log is not red."""
    sell(shop, 14)
    run = forms.start(order="WR-14")
    assert "Suspended" == execute(run)
    forms.answer(run, decision="reject", by="ana")
    assert "Completed" == execute(run)
    log = Path(shop.command.variables["HOME"], "executor.log").read_text()
    assert "Finished in state Suspended(" in log
    assert " | ERROR " not in log


def test_f19_the_form_only_ever_gains_fields_that_may_be_left_out(shop, forms, execute):
    """A run that was suspended before an upgrade is resumed with the form of the older version."""
    sell(shop, 13)
    run = forms.start(order="WR-13")
    execute(run)
    assert {"decision", "by"} == set(forms.fields(run)["required"])
    forms.answer(run, decision="reject", by="ana")
    assert "Completed" == execute(run)


def test_an_answer_that_makes_no_sense_is_asked_again_with_the_reason(shop, forms, execute):
    """As often as need be; the run does not fail, and nothing is decided."""
    sell(shop, 21)
    run = forms.start(order="WR-21")
    execute(run)
    assert "REJECT" == forms.answer(run, decision="perhaps", by="ana")
    for wrong, message in (({"decision": "trim", "by": "ana"}, "at_most: say how much"),
                        ({"decision": "approve", "by": " "}, "by: say who decides")):  # fmt: skip
        assert "ACCEPT" == forms.answer(run, **wrong)
        assert "Suspended" == execute(run)
        assert forms.question(run).startswith(f"**It was not done. {message}")
        assert "awaiting_approval" == shop.placements()["WR-21"][0]
    forms.answer(run, decision="trim", at_most=20, by="ana")
    assert "Completed" == execute(run)
    assert ("planned", 20, None) == shop.placements()["WR-21"]
    text = forms.artifact(run, "approve-placements")
    assert "Order WR-21, slot trees: 20 trees (plant_trees) approved, bought by the next run." in text.splitlines()


def test_an_answer_counts_for_just_what_was_shown(shop, forms, execute):
    """The order was edited while somebody filled in the form: they are asked anew."""
    sell(shop, 31)
    run = forms.start(order="WR-31", slot="trees")
    execute(run)
    shop.sandbox.shop.orders[-1]["products"][0]["qty"] = 3
    shop.read()
    forms.answer(run, decision="approve", by="ana")
    assert "Suspended" == execute(run)
    assert "90 trees" in forms.question(run)
    assert ("awaiting_approval", 90) == shop.placements()["WR-31"][:2]
    forms.answer(run, decision="reject", by="ben", why="a test order")
    assert "Completed" == execute(run)
    assert ("cancelled", 90, "rejected by ben: a test order") == shop.placements()["WR-31"]


def test_a_newer_run_asks_instead_of_an_older_one(shop, forms, execute):
    """Of runs that ask about the same, one form is open at a time; an answered one that comes late finds nothing."""
    sell(shop, 41)
    older, newer, other = forms.start(), forms.start(), forms.start(order="WR-41")
    execute(other)
    execute(older)
    execute(newer)
    assert ["CANCELLED", "PAUSED", "PAUSED"] == [forms.state(run)["type"] for run in (older, newer, other)]
    assert "asks instead" in forms.state(older)["message"]
    for run in (newer, other):
        forms.answer(run, decision="approve", by="ana")
        assert "Completed" == execute(run)
    assert ("planned", 60) == shop.placements()["WR-41"][:2]
    assert forms.artifact(other, "approve-placements").startswith("Nothing awaits approval.")


def test_what_a_served_run_is_told_is_bought_once_and_nothing_else(server, tmp_path):
    """From the order to the books: the command line, the form of a served run, and ``place``."""
    with a_shop(tmp_path, server, 1, 2, 3, 4) as shop:
        shop.sandbox.shop.orders[3]["products"][0]["qty"] = 1
        shop.read()
        status = shop.command.run("status")
        assert (1, True) == (status.status, "`impactflow approve` lists what awaits approval" in status.out)
        listed = shop.command.run("approve", "--json")
        assert (1, ["WR-1", "WR-2", "WR-3"]) == (
            listed.status,
            [each["order"] for each in listed.json["awaiting_approval"]],
        )
        assert 0 == shop.command.run("approve", "WR-1", "trees", "--at-most", "20", "--by", "ana").status
        assert 0 == shop.command.run("approve", "WR-2", "trees", "--reject", "--why", "a test order").status
        assert 2 == shop.command.run("approve", "WR-2", "trees").status
        serving = shop.command.but(PYTHONUNBUFFERED="1")
        process = subprocess.Popen([sys.executable, "-c", SERVE], cwd=ROOT, env=serving.variables, stdout=-3, stderr=-3)
        try:
            forms = Forms(server, _served(server))
            run = forms.start()
            assert "PAUSED" == forms.wait(run)
            assert "60 trees (plant_trees) from oneclickimpact?" in forms.question(run)
            forms.answer(run, decision="approve", by="cleo")
            assert "COMPLETED" == _resumed(forms, run)
        finally:
            process.terminate()
            process.wait(30)
        placed = shop.command.run("place", "--json")
        assert (0, 3, 1) == (placed.status, *(placed.json["placements"][name] for name in ("placed", "cancelled")))
        assert [("WR-1", 20), ("WR-3", 60), ("WR-4", 30)] == shop.bought


def _served(server):
    """The id of the deployment that ``SERVE`` makes."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = httpx.get(f"{server.api_url}/deployments/name/approve_placements/served", trust_env=False)
        if found.is_success:
            return found.json()["id"]
        time.sleep(0.2)
    raise AssertionError("it was not served within a minute")


def _resumed(forms, run):
    """What becomes of a run that was answered."""
    while forms.state(run)["type"] == "PAUSED":
        time.sleep(0.2)
    return forms.wait(run)
