"""
``prefect.yaml`` becomes deployments that get scheduled runs.

Prefect ignores unknown keys in silence, and with the wrong SQLAlchemy its scheduler creates no run and says so in a log
line only: no other test would notice either.
"""

import time
from inspect import signature
from pathlib import Path

import httpx
import pytest
from flow_runs import ROOT, Api
from prefect.flows import load_flow_from_entrypoint
from processes import Impactflow
from ruamel.yaml import YAML

from deployments.pulling import go_to_impactflow_home
from impactflow.cli.registering import _added_by_hand, _merge_schedule
from impactflow.errors import ConfigurationError
from impactflow.proof.programs import base_environment

pytestmark = pytest.mark.timeout(1800)  # each registering starts Prefect twice

#: Of each parameter that a flow must be given.
DAYS = {"from_day": "2026-01-01", "to_day": "2026-01-31"}
SAMPLES = {**DAYS, "order": "WR-1", "slot": "trees", "decision": "bought", "by": "ana"}
FILE = YAML(typ="safe").load(ROOT / "prefect.yaml")
NAMES = [deployment["name"] for deployment in FILE["deployments"]]
#: What Prefect 3.8 reads; everything else it would ignore.
TOP = {"name", "prefect-version", "definitions", "build", "push", "pull", "deployments"}
DEPLOYMENT = {
    "name", "version", "version_type", "tags", "description", "schedule", "schedules", "entrypoint", "parameters",
    "enforce_parameter_schema", "work_pool", "build", "push", "pull", "triggers", "sla", "concurrency_limit",
}  # fmt: skip
WORK_POOL = {"name", "work_queue_name", "job_variables"}
SCHEDULE = {"cron", "interval", "rrule", "anchor_date", "timezone", "day_or", "active", "slug", "parameters"}
LIMIT = {"limit", "collision_strategy", "grace_period_seconds"}


@pytest.fixture(scope="module")
def deployed(own_server, tmp_path_factory):
    """All deployments by name, as the server knows them after `impactflow register`, which makes the pool, too."""
    home = tmp_path_factory.mktemp("deploying")
    command = Impactflow(ROOT, {**base_environment(home), "PREFECT_API_URL": own_server.api_url})
    ended = command.run("register", "--json", timeout_s=600)
    assert (0, []) == (ended.status, ended.json["kept"]), ended.err
    return {found["name"]: found for found in Api(own_server).filter("deployments")}


def test_the_file_holds_no_key_that_prefect_would_ignore():
    """At the top, in a deployment, and in each of its parts."""
    unknown = set(FILE) - TOP
    for deployment in FILE["deployments"]:
        unknown |= deployment.keys() - DEPLOYMENT
        unknown |= deployment["work_pool"].keys() - WORK_POOL
        unknown |= deployment["concurrency_limit"].keys() - LIMIT
        for schedule in deployment["schedules"]:
            unknown |= schedule.keys() - SCHEDULE
    assert unknown == set()


def test_every_deployment_is_known_to_the_server_once(deployed):
    """By the names of the file."""
    assert sorted(deployed) == sorted(NAMES)


@pytest.mark.parametrize("deployment", FILE["deployments"], ids=NAMES)
def test_the_server_knows_a_deployment_as_the_file_says(deployed, deployment):
    """Its entrypoint, tags, pool, limit and schedules."""
    known = deployed[deployment["name"]]
    schedules = [
        (each["schedule"]["cron"], each["schedule"]["timezone"], each["slug"], each["parameters"])
        for each in known["schedules"]
    ]
    assert known["entrypoint"] == deployment["entrypoint"]
    assert sorted(known["tags"]) == sorted(deployment["tags"])
    assert known["work_pool_name"] == deployment["work_pool"]["name"]
    assert known["global_concurrency_limit"]["limit"] == deployment["concurrency_limit"]["limit"]
    assert known["concurrency_options"]["collision_strategy"] == deployment["concurrency_limit"]["collision_strategy"]
    assert sorted(schedules, key=str) == sorted(
        [
            (each["cron"], each["timezone"], each["slug"], each.get("parameters", {}))
            for each in deployment["schedules"]
        ],
        key=str,
    )


def test_where_the_code_lies_is_asked_on_the_machine_that_runs_it(deployed):
    """So one registration serves a laptop, an image and a cluster."""
    for known in deployed.values():
        assert [{"deployments.pulling.go_to_impactflow_home": {}}] == known["pull_steps"]


@pytest.mark.parametrize(("home", "message"), [(None, "IMPACTFLOW_HOME is not set"), ("/nowhere", "names /nowhere")])
def test_f12_a_run_without_its_project_says_what_to_set(monkeypatch, home, message):
    """Prefect's own step completes where the variable is not set, and the run crashes without naming it."""
    monkeypatch.delenv("IMPACTFLOW_HOME", raising=False)
    if home:
        monkeypatch.setenv("IMPACTFLOW_HOME", home)
    with pytest.raises(ConfigurationError, match=message):
        go_to_impactflow_home()


def test_f12_a_run_finds_its_project(monkeypatch, tmp_path):
    """Wherever it begins."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPACTFLOW_HOME", str(ROOT))
    assert ({"directory": str(ROOT)}, ROOT) == (go_to_impactflow_home(), Path.cwd())


@pytest.mark.parametrize("deployment", FILE["deployments"], ids=NAMES)
def test_f7_every_parameter_of_the_file_is_one_of_the_flow_s(deployment):
    """With a value that the flow takes: Prefect itself deploys a schedule with any."""
    flow = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
    names = signature(flow.fn).parameters.keys()
    given = [deployment.get("parameters", {}), *(each.get("parameters", {}) for each in deployment["schedules"])]
    for parameters in given:
        assert parameters.keys() <= names
        needed = {name: value for name, value in SAMPLES.items() if name in flow.parameters.required}
        flow.validate_parameters({**needed, **parameters})


def test_every_run_of_ours_can_be_told_apart_and_shows_signs_of_life(deployed):
    """The automations go by the tag and by heartbeats; none must come once a run of approve is suspended."""
    for known in deployed.values():
        assert "impactflow" in known["tags"]
        every_s = known["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
        assert every_s == ("86400" if known["name"] == "approve" else "30"), known["name"]


def test_every_parameter_of_every_form_is_explained_and_flat(deployed):
    """An enumeration, a text, a number, a switch or a day: what Prefect shows as a JSON editor is for nobody."""
    for known in deployed.values():
        for name, field in known["parameter_openapi_schema"]["properties"].items():
            kinds = {each.get("type", "$ref" in each and "enum") for each in field.get("anyOf", [field])}
            assert field["description"], f"{known['name']}: {name}"
            assert kinds <= {"enum", "string", "number", "integer", "boolean", "null"}, f"{known['name']}: {name}"


def test_the_form_that_settles_offers_the_decisions(deployed):
    """A select, not a text to mistype; everything else is flat."""
    schema = deployed["settle"]["parameter_openapi_schema"]
    assert schema["definitions"]["Resolution"]["enum"] == ["bought", "not-bought", "given-up"]
    assert [name for name in schema["properties"] if name not in schema["required"]] == ["why", "ref", "store"]
    assert all("description" in schema["properties"][name] for name in ("order", "slot", "by", "why", "ref", "store"))


def test_every_deployment_with_a_schedule_gets_scheduled_runs(own_server, deployed):
    """Within half a minute, without anyone asking."""
    waiting = {known["id"] for known in deployed.values() if known["schedules"]}
    deadline = time.monotonic() + 30
    while waiting and time.monotonic() < deadline:
        time.sleep(0.5)
        scheduled = Api(own_server).filter("flow_runs", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}})
        waiting -= {run["deployment_id"] for run in scheduled}
    assert waiting == set()


#: The schedules that this project has ever registered. A slug that is renamed without `replaces` would leave its old
#: schedule active beside the new one, on every server that has it.
SLUGS = {
    "place": {"hourly"},
    "events": {"every-five-minutes"},
    "track": {"every-two-hours"},
    "refunds": {"every-six-hours"},
    "reconcile": {"hourly", "daily-audit"},
}


def test_f1_no_schedule_loses_its_slug():
    """A renamed one says which it replaces."""
    for deployment in FILE["deployments"]:
        kept = {schedule.get("replaces", schedule["slug"]) for schedule in deployment["schedules"]}
        assert SLUGS.get(deployment["name"], set()) <= kept, deployment["name"]


#: The schedules that a person adds on the pages.
BY_HAND = {
    "place": {"cron": "7 9 * * 1", "timezone": "Europe/Berlin"},
    "backfill": {"interval": 7200.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"},
}


def test_f1_a_schedule_whose_slug_is_renamed_takes_the_old_one_s_place():
    """With `replaces` in the file, also when the file is registered again; a paused one stays paused."""
    file = {"cron": "5 * * * *", "timezone": "UTC", "slug": "each-hour", "replaces": "hourly"}
    known = {"schedule": {"cron": "5 * * * *", "timezone": "UTC"}, "active": False, "parameters": {}}
    before = _merge_schedule("place", file, [{**known, "slug": "hourly"}])
    after = _merge_schedule("place", file, [{**known, "slug": "each-hour"}, {**known, "slug": None}])
    assert ("hourly", None) == (before.content.get("replaces"), after.content.get("replaces"))
    assert (False, False) == (before.content["active"], after.content["active"])
    assert [] == _added_by_hand("place", [file], [{**known, "slug": "hourly"}, {**known, "slug": "each-hour"}])


class Patient(httpx.HTTPTransport):
    """Asks again where the server is busy, as one on SQLite now and then is."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        while (answer := super().handle_request(request)).status_code == 503:
            answer.read()
            time.sleep(0.2)
        return answer


@pytest.fixture(scope="module")
def registered_anew(own_server, deployed, tmp_path_factory):
    """A person paused and added things on the pages; then `impactflow register` ran twice, and says what it did."""
    api = httpx.Client(base_url=own_server.api_url, timeout=60, transport=Patient())
    ids = {name: known["id"] for name, known in deployed.items()}
    api.patch(f"/deployments/{ids['events']}", json={"paused": True}).raise_for_status()
    (daily,) = (each for each in deployed["reconcile"]["schedules"] if each["slug"] == "daily-audit")
    api.patch(f"/deployments/{ids['reconcile']}/schedules/{daily['id']}", json={"active": False}).raise_for_status()
    for name, by_hand in BY_HAND.items():
        api.post(f"/deployments/{ids[name]}/schedules", json=[{"schedule": by_hand}]).raise_for_status()
    api.patch(f"/deployments/{ids['track']}", json={"parameters": {"wait_s": 5}}).raise_for_status()
    (automation,) = api.get(f"/automations/related-to/prefect.deployment.{ids['approve']}").json()
    api.patch(f"/automations/{automation['id']}", json={"enabled": False}).raise_for_status()
    variables = {**base_environment(tmp_path_factory.mktemp("anew")), "PREFECT_API_URL": own_server.api_url}
    command = Impactflow(ROOT, variables)
    ended = [command.run("register", "--json", timeout_s=600) for _ in range(2)]
    assert [0, 0] == [each.status for each in ended], ended
    found = {each["name"]: each for each in Api(own_server).filter("deployments")}
    triggers = api.get(f"/automations/related-to/prefect.deployment.{ids['approve']}").json()
    return [each.json for each in ended], found, triggers


def test_o6_what_a_person_paused_stays_paused(registered_anew):
    """A deployment, a schedule and the automation of a deployment; everything else goes on."""
    _, found, triggers = registered_anew
    assert ["events"] == [name for name, known in found.items() if known["paused"]]
    inactive = [each["slug"] for known in found.values() for each in known["schedules"] if not each["active"]]
    assert ["daily-audit"] == inactive
    assert [False] == [each["enabled"] for each in triggers]


def test_f1_a_schedule_that_was_added_by_hand_stays(registered_anew):
    """Beside those of the file, and where the file has none."""
    _, found, _ = registered_anew
    added = {name: [each["schedule"] for each in found[name]["schedules"] if each["slug"] is None] for name in BY_HAND}
    assert [{**BY_HAND["place"], "day_or": True}] == added["place"]
    assert [BY_HAND["backfill"]["interval"]] == [each["interval"] for each in added["backfill"]]
    assert ["hourly"] == [each["slug"] for each in found["place"]["schedules"] if each["slug"]]


def test_f7_a_run_with_a_parameter_that_is_not_the_flow_s_is_refused_by_its_name(own_server, registered_anew):
    """Prefect would make it, and it would crash."""
    _, found, _ = registered_anew
    asked = {"parameters": {"from_dya": "2026-01-31"}}
    url = f"{own_server.api_url}/deployments/{found['place']['id']}/create_flow_run"
    with httpx.Client(timeout=60, transport=Patient()) as api:
        answer = api.post(url, json=asked)
    assert (409, True) == (answer.status_code, "from_dya" in answer.text)


def test_f11_a_second_store_does_not_take_over_the_deployments(own_server, registered_anew, tmp_path):
    """Nor another ledger of a store of the same name: each is told of the other's folder."""
    for name in ("prefect.yaml", "flows"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "policy.yaml").write_text((ROOT / "policy.yaml").read_text().replace("store: acme", "store: other"))
    variables = {**base_environment(tmp_path), "PREFECT_API_URL": own_server.api_url}
    for asked in ("register", "serve"):
        ended = Impactflow(tmp_path, variables).run(asked, "--json")
        assert 2 == ended.status
        assert all(word in ended.json["error"] for word in ("'acme'", "'other'", str(ROOT), "a server of its own"))


def test_o6_registering_says_what_it_keeps_and_what_it_changes(registered_anew):
    """The second time nothing changes any more."""
    (first, second), found, _ = registered_anew
    assert (
        {
            "events stays paused",
            "reconcile: the schedule daily-audit stays paused",
            "approve: its automation stays paused",
            "place keeps a schedule that is not in prefect.yaml: 7 9 * * 1 Europe/Berlin",
            "backfill keeps a schedule that is not in prefect.yaml: every 7200.0 s UTC",
        }
        == set(first["kept"])
        == set(second["kept"])
    )
    assert (["track: prefect.yaml replaces the server's parameters"], []) == (first["changed"], second["changed"])
    assert {} == found["track"]["parameters"]
