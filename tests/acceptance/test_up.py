"""``impactflow up`` and ``impactflow serve``: everything at once, and nothing left behind."""

import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from processes import Impactflow
from ruamel.yaml import YAML

from impactflow.proof.programs import Ended, base_environment, finish, free_port

ROOT = Path(__file__).parents[2]
DEPLOYED = sorted(each["name"] for each in YAML(typ="safe").load(ROOT / "prefect.yaml")["deployments"])


@pytest.fixture
def command(tmp_path: Path) -> Impactflow:
    """The command line in a folder of its own that has what a clone has."""
    return _clone(tmp_path)


def _clone(folder: Path) -> Impactflow:
    for name in ("prefect.yaml", "flows"):
        (folder / name).symlink_to(ROOT / name)
    return Impactflow(folder, base_environment(folder))


@dataclass(frozen=True)
class Seen:
    """
    What was seen of ``up`` while it was up, and after Ctrl-C.

    Args:
        output: Its one JSON object.
        pages: What the server's pages answered.
        deployments: Those that the server knows.
        entrypoints: Where their flows are.
        automations: Likewise.
        artifacts: The text of each artifact, by its key.
        origins: Which pages the server lets call its API, by the page that asks.
        second: How another ``up`` in the same folder ended.
        ledger_stays: Whether the ledger was still there after that.
        ended: How it ended.
        took_s: How long that took.
        left: The processes that were still there afterwards.
        files: What its folder holds.
    """

    output: dict[str, Any]
    pages: str
    deployments: list[str]
    entrypoints: list[str]
    automations: list[str]
    artifacts: dict[str, str]
    origins: dict[str, bool]
    second: Ended
    ledger_stays: bool
    ended: Ended
    took_s: float
    left: list[psutil.Process]
    files: set[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """It was started once, in a folder that holds nothing, looked at, and interrupted."""
    folder = tmp_path_factory.mktemp("up")
    command = Impactflow(folder, base_environment(folder))
    process = command.start("up", "--json")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, finish(process).err
    output = YAML(typ="safe").load(line)
    started = psutil.Process(process.pid).children(recursive=True)
    with httpx.Client(trust_env=False, timeout=30) as client:
        pages = client.get(output["api_url"].removesuffix("/api"), follow_redirects=True).text
        deployments = client.post(f"{output['api_url']}/deployments/filter", json={}).json()
        automations = client.post(f"{output['api_url']}/automations/filter", json={}).json()
        artifacts = client.post(f"{output['api_url']}/artifacts/filter", json={}).json()
        own = output["api_url"].removesuffix("/api")
        pages_of = {"its own": own, "a stranger's": "http://example.com"}
        origins = {whose: _may_call(client, output["api_url"], page) for whose, page in pages_of.items()}
    second = command.run("up", "--json")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    took_s = time.monotonic() - began
    yield Seen(
        output,
        pages,
        sorted(each["name"] for each in deployments),
        [each["entrypoint"] for each in deployments],
        [each["name"] for each in automations],
        {each["key"]: each["data"] for each in artifacts},
        origins,
        second,
        (folder / "up" / "impactflow.db").exists(),
        ended,
        took_s,
        [each for each in started if each.is_running()],
        {path.name for path in (folder / "up").iterdir()},
    )
    shutil.rmtree(folder / "up")


def _may_call(client: httpx.Client, api_url: str, page: str) -> bool:
    """Whether a browser lets a page call the API."""
    asked = {"Origin": page, "Access-Control-Request-Method": "POST"}
    return client.options(f"{api_url}/flows/filter", headers=asked).headers.get("access-control-allow-origin") == page


def test_o13_a_second_up_in_the_same_folder_is_refused(seen: Seen):
    """It would delete the ledger of the first."""
    assert (2, True) == (seen.second.status, seen.ledger_stays)
    assert "runs in" in seen.second.json["error"]


def test_f18_only_the_servers_own_pages_may_call_its_api(seen: Seen):
    """A page of somebody else's in the same browser may not, though the server listens on loopback."""
    assert {"its own": True, "a stranger's": False} == seen.origins


def test_n17_up_brings_prefects_pages_and_all_deployments_in_any_folder(seen: Seen):
    """The server knows what prefect.yaml says, and its pages are there."""
    assert "<html" in seen.pages.lower()
    assert seen.deployments == DEPLOYED
    assert all(Path(entrypoint.partition(":")[0]).is_file() for entrypoint in seen.entrypoints)
    assert sum("mark a run" in name for name in seen.automations) == 2


def test_up_shows_a_month_among_the_artifacts(seen: Seen):
    """It was played meanwhile, and every figure is the sandbox's."""
    assert "Every figure equals the sellers' books." in seen.artifacts["a-month"]
    assert "month" in seen.files


def test_o9_up_ends_with_ctrl_c_and_leaves_no_process_behind(seen: Seen):
    """All that it started, and what that has started, is gone."""
    assert seen.ended.status == 130, seen.ended.err
    assert not seen.ended.says_traceback
    assert {"server", "sandbox", "deployments"} <= seen.output["pids"].keys()
    assert seen.left == []
    assert seen.took_s < 30


def test_up_keeps_all_it_writes_in_its_folder(seen: Seen):
    """Prefect's database, the policy, the secrets, a log for each part, and the environment for other terminals."""
    assert {"prefect", "policy.yaml", "secrets.json", "environment", "server.log", "sandbox.log"} <= seen.files


def test_up_ends_all_of_it_when_one_part_dies(command: Impactflow):
    """Which one is said, and the exit status is 1."""
    process = command.start("up", "--json")
    up = psutil.Process(process.pid)
    victim = _wait_for_child(up, "sandbox")
    others = up.children(recursive=True)
    victim.kill()
    ended = finish(process)
    assert ended.status == 1
    assert "sandbox ended by itself" in ended.json["error"]
    assert not ended.says_traceback
    assert [each for each in others if each.is_running()] == []


def _wait_for_child(parent: psutil.Process, word: str) -> psutil.Process:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for child in parent.children(recursive=True):
            if word in child.cmdline():
                return child
        time.sleep(0.05)
    raise AssertionError(f"no child has {word} in its command line")


@pytest.mark.parametrize("asked", ["serve", "automations"])
def test_without_a_server_it_is_said_what_to_set(asked: str, command: Impactflow):
    """PREFECT_API_URL is not set, or nobody answers there: exit status 2."""
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    for ended in (command.run(asked, "--json"), command.but(PREFECT_API_URL=nowhere).run(asked, "--json")):
        assert ended.status == 2
        assert "PREFECT_API_URL" in ended.json["error"]
