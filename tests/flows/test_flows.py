"""Each flow, loaded from its file and run against a real server: it ends well, and a person can see what it did."""

import csv
import json

import pytest
from flow_runs import FLOWS, flow_states

NAMES = {
    "place_impacts": "place acme what is new",
    "track_placements": "track acme",
    "reconcile_providers": "reconcile acme",
}


@pytest.fixture
def runs(api, ran):
    """The flow runs of this session's ``ran``, by flow, the first of each."""
    found = api.filter("flow_runs", flow_runs={"start_time": {"after_": ran.began.isoformat()}}, sort="START_TIME_DESC")
    flows = {flow["id"]: flow["name"] for flow in api.filter("flows")}
    return {flows[run["flow_id"]]: run for run in found}


@pytest.fixture
def artifacts(api, ran, runs):
    """The artifacts of those runs, by type and key."""
    wanted = {run["id"] for run in runs.values()}
    found = api.filter("artifacts", sort="CREATED_DESC")
    return {(each["type"], each["key"]): each for each in found if each["flow_run_id"] in wanted}


def test_flows_run_when_loaded_from_their_files(ran):
    """As a worker loads them; all complete."""
    assert ran.ended.status == 0, ran.ended.err
    assert flow_states(ran.ended) == dict.fromkeys(FLOWS, "Completed")
    assert ran.purchases


@pytest.mark.parametrize("flow", FLOWS)
def test_runs_have_names_that_tell_what_they_do(runs, flow):
    """In the UI's list of runs."""
    assert (runs[flow]["name"], runs[flow]["state_type"]) == (NAMES[flow], "COMPLETED")


@pytest.mark.parametrize("provider", ["oneclickimpact", "cnaught", "impactapi"])
def test_progress_is_shown_for_every_provider(artifacts, provider):
    """It ends at a hundred percent."""
    assert artifacts["progress", f"placing-{provider}"]["data"] == 100


def test_what_was_bought_is_a_table(artifacts, ran):
    """With as many purchases as the providers' books."""
    rows = json.loads(artifacts["table", "bought"]["data"])
    assert sum(int(row["placements"]) for row in rows) == len(ran.purchases)


def test_what_was_bought_is_a_csv_file_as_well(ran):
    """The same figures, for a spreadsheet."""
    newest = max((ran.folder / "reports").glob("*.csv"))
    with newest.open() as file:
        assert sum(int(row["placements"]) for row in csv.DictReader(file)) == len(ran.purchases)


def test_what_needs_attention_is_a_table(artifacts):
    """With the order and the reason."""
    assert "fx.usd_per" in artifacts["table", "needs-attention"]["data"]


def test_the_outcome_is_told_in_words(artifacts):
    """As Markdown."""
    text = artifacts["markdown", "place-impacts"]["data"]
    assert "Read 60 orders: 60 new" in text
    assert "1 held" in text


def test_what_happened_is_in_the_runs_log(api, runs):
    """The core's own lines too, although it knows nothing of Prefect."""
    wanted = {"flow_run_id": {"any_": [runs["place_impacts"]["id"]]}}
    lines = [line["message"] for line in api.filter("logs", logs=wanted)]
    assert any("orders" in line and "placements planned" in line for line in lines)


def test_a_refused_key_fails_the_run_with_one_line(ran):
    """Which names the variable."""
    assert ran.refused.status == 0, ran.refused.err
    assert '"Failed"' in ran.refused.out
    assert "check WICKED_REPORTS_API_KEY" in ran.refused.err
