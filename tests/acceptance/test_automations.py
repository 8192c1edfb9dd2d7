"""
What people are told by the automations: of runs that wait, of what waits for them, and never too often (F2, F3, F17).

One server and one receiver of messages for all of it; the runs are made by the API, and no worker takes them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from listening import Listener, listening
from processes import Impactflow

from impactflow.proof.programs import Ended, base_environment

ROOT = Path(__file__).parents[2]
BLOCK = "custom-webhook/impactflow"
SAVE_BLOCK = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block
Block(name='told', url=sys.argv[1], json_data={'subject': '{{subject}}', 'body': '{{body}}'}).save('impactflow')
"""
#: As `impactflow automations` does, with other times.
INSTALL = """
import asyncio, sys
from deployments.automations import install
waiting, again = map(float, sys.argv[2:])
asyncio.run(install(sys.argv[1], 300, 300, waiting_after_s=waiting, again_after_s=again))
"""


@dataclass
class Post:
    """The server's API, the receiver of messages, and the command line."""

    api: httpx.Client
    listener: Listener
    command: Impactflow
    checked: dict[int, Ended] = field(default_factory=dict)

    def ask(self, path: str, **content: Any) -> Any:
        """Post, again where SQLite is busy."""
        while (answer := self.api.post(path, json=content)).status_code == 503:
            time.sleep(0.2)
        return answer.raise_for_status().json()

    def install(self, *, waiting_after_s: float, again_after_s: float) -> None:
        """Install or renew the automations."""
        ended = self.command.python(INSTALL, BLOCK, str(waiting_after_s), str(again_after_s))
        assert ended.status == 0, ended.err

    def announce(self, what: str, status: str, provider: str, count: int = 1) -> None:
        """What runs announce of placements."""
        event = {
            "occurred": datetime.now(UTC).isoformat(),
            "event": f"impactflow.placement.{what}",
            "resource": {
                "prefect.resource.id": "impactflow.store.acme", "impactflow.provider": provider,
                "impactflow.status": status,
            },
            "payload": {"store": "acme", "provider": provider, "status": status, "count": 3},
        }  # fmt: skip
        events = [{**event, "id": str(uuid4())} for _ in range(count)]
        self.api.post("/events", json=events).raise_for_status()

    def subjects(self) -> list[str]:
        """The messages that arrived, by their subjects."""
        return [each["subject"] for each in self.listener.received]


@pytest.fixture(scope="module")
def post(own_server, tmp_path_factory) -> Iterator[Post]:
    """The receiver first refuses a test message, then takes one."""
    folder = tmp_path_factory.mktemp("automations")
    variables = {**base_environment(folder), "PREFECT_API_URL": own_server.api_url}
    command = Impactflow(ROOT, variables)
    with listening() as listener, httpx.Client(base_url=own_server.api_url, timeout=60, trust_env=False) as api:
        saved = command.python(SAVE_BLOCK, listener.url)
        assert saved.status == 0, saved.err
        made = Post(api, listener, command)
        for status in (500, 204):
            listener.status = status
            made.checked[status] = command.run("automations", "--notify", BLOCK, "--check", "--json")
        yield made


def _wait(happened: Callable[[], bool], longest_s: float = 120) -> None:
    until = time.monotonic() + longest_s
    while not happened():
        assert time.monotonic() < until, f"it did not happen within {longest_s} s"
        time.sleep(0.2)


def test_f3_a_test_message_says_what_came_back(post: Post):
    """From the receiver, without its address, which is a key."""
    refused, taken = post.checked[500], post.checked[204]
    assert (1, 0, True) == (refused.status, taken.status, taken.json["test_arrived"])
    assert "answered 500" in refused.json["error"]
    assert post.listener.url not in refused.json["error"]
    assert "impactflow: a test" in post.subjects()


def test_f17_many_events_of_one_kind_are_one_message(post: Post):
    """Another kind is told at once."""
    post.announce("parked", "parked", "oneclickimpact", 30)
    post.announce("waiting", "parked", "oneclickimpact", 30)
    post.announce("failed", "failed", "cnaught")
    _wait(lambda: "impactflow: 3 failed at cnaught" in post.subjects())
    assert 1 == post.subjects().count("impactflow: 3 parked at oneclickimpact")


def test_f3_a_message_that_was_lost_is_followed_by_another(post: Post):
    """Every run announces what waits, so the next hour's message arrives; an hour is a second here."""
    post.install(waiting_after_s=3600, again_after_s=1)
    post.listener.status = 500
    post.announce("waiting", "awaiting_approval", "impactapi")
    _wait(lambda: bool(post.listener.lost))
    post.listener.status = 204
    subject = "impactflow: 3 awaiting_approval at impactapi"

    def next_run() -> bool:
        post.announce("waiting", "awaiting_approval", "impactapi")
        time.sleep(1)
        return subject in post.subjects()

    _wait(next_run)


def test_f2_a_run_that_waits_for_a_taken_place_is_told_of(post: Post):
    """Prefect does not call it late; nor one that was resumed and that no worker takes."""
    post.install(waiting_after_s=10, again_after_s=3600)
    place, approve = (_deployment(post, name, limit) for name, limit in (("place", 1), ("approve", None)))
    holder, waiter = (_new_run(post, place, name) for name in ("holder", "waiter"))
    for run in (holder, waiter):
        post.ask(f"/flow_runs/{run}/set_state", state={"type": "PENDING"})
    assert "AwaitingConcurrencySlot" == post.api.get(f"/flow_runs/{waiter}").json()["state"]["name"]
    resumed = _new_run(post, approve, "resumed")
    details = {"pause_timeout": (datetime.now(UTC) + timedelta(days=1)).isoformat(), "pause_reschedule": True}
    suspended = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    post.ask(f"/flow_runs/{resumed}/set_state", state=suspended, force=True)
    assert "ACCEPT" == post.ask(f"/flow_runs/{resumed}/resume")["status"]
    expected = {f"impactflow: {name} waits and does not start" for name in ("waiter", "resumed")}
    _wait(lambda: expected <= set(post.subjects()))
    assert "impactflow: holder waits and does not start" not in post.subjects()


def _deployment(post: Post, name: str, limit: int | None) -> str:
    flow = post.ask("/flows/", name=name)["id"]
    more = {"concurrency_limit": limit, "concurrency_options": {"collision_strategy": "ENQUEUE"}} if limit else {}
    return post.ask("/deployments/", name=name, flow_id=flow, tags=["impactflow"], **more)["id"]


def _new_run(post: Post, deployment: str, name: str) -> str:
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}
    return post.ask(f"/deployments/{deployment}/create_flow_run", name=name, state=later)["id"]
