"""The audit as a flow, and a ruling from a form: what a person sees in Prefect, and what they can do there."""

import csv
import json
import sqlite3
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from flow_runs import ROOT, WITH_PARAMETERS
from processes import Impactflow, order, sandbox_thread

from impactflow.proof.programs import base_environment

RULING = {"order": "WR-2", "slot": "trees", "decision": "bought", "by": "ana", "why": "I asked them"}


def park(ledger, name):
    """Let the ledger not know what became of an order's trees; the name of the purchase that it forgot."""
    with sqlite3.connect(ledger) as database:
        which = "slot = 'trees' AND \"order\" = (SELECT id FROM orders WHERE order_id = ?)"
        [[ref]] = database.execute(f"SELECT ref FROM placements WHERE {which}", (name,))
        forget = (
            "status = 'parked', reason = 'who knows', ref = NULL, placed_at = NULL, placed_on = NULL, due_at = NULL"
        )
        database.execute(f"UPDATE placements SET {forget} WHERE {which}", (name,))
    return ref


@pytest.fixture(scope="module")
def done(server, tmp_path_factory):
    """Three orders were placed; one was bought twice, one is parked: an audit, a repair, a ruling, an audit again."""
    folder = tmp_path_factory.mktemp("auditing")
    ledger = folder / "impactflow.db"
    own = {
        "PREFECT_API_URL": server.api_url,
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{ledger}",
        "IMPACTFLOW_POLICY": str(ROOT / "policy.yaml"),
        "IMPACTFLOW_REPORTS": str(folder / "reports"),
    }
    with sandbox_thread([order(number) for number in (1, 2, 3)]) as sandbox:
        command = Impactflow(ROOT, {**base_environment(folder), **sandbox.variables, **own})

        def run(*flows):
            ended = command.python(WITH_PARAMETERS, json.dumps(flows))
            assert ended.status == 0, ended.err
            return json.loads(ended.out.splitlines()[-1])

        run(["place_impacts", {}])
        [one] = [each for each in sandbox.purchases() if each["order_id"] == "WR-1" and each["kind"] == "plant_trees"]
        again(sandbox, one)
        ref = park(ledger, "WR-2")
        outputs = run(
            ["reconcile_providers", {"audit": True, "patience_s": 0}],
            ["reconcile_providers", {"repair": True}],
            ["settle_parked", {**RULING, "ref": "U1000|never"}],
            ["settle_parked", {**RULING, "ref": ref}],
            ["reconcile_providers", {"audit": True, "repair": True, "patience_s": 0}],
            ["reconcile_providers", {"audit": True, "patience_s": 0}],
        )
        yield SimpleNamespace(outputs=outputs, folder=folder, ref=ref, purchases=sandbox.purchases())


def again(sandbox, purchase):
    """Buy the same tree once more, under the same key."""
    body = {
        "amount": 1,
        "customer_email": purchase["customer_email"],
        "metadata": {"order_id": purchase["order_id"], "impactflow_key": purchase["impactflow_key"]},
    }
    url, key = sandbox.variables["ONECLICKIMPACT_URL"], sandbox.variables["ONECLICKIMPACT_API_KEY"]
    httpx.post(f"{url}/v1/plant_tree", json=body, headers={"x-api-key": key}, trust_env=False).raise_for_status()


def test_an_audit_tells_what_disagrees(done):
    """The second tree, and the one that the ledger has forgotten; besides what settling tells."""
    first = done.outputs[0]
    found = sorted((each["finding"], each["order"], each["slot"]) for each in first["audit"]["findings"])
    assert found == [("duplicate", "WR-1", "trees"), ("extra", "WR-2", "trees")]
    assert first["audit"]["remaining"] == 2
    assert first["all_placements"]["parked"] == 1


def test_a_repair_without_an_audit_is_refused(done):
    """Whoever asks for it means something."""
    assert "set audit too" in done.outputs[1]


def test_a_ruling_that_cannot_be_is_refused_and_one_that_can_be_is_done(done):
    """With the reason; and the result says from where to where."""
    assert "knows no purchase of that name" in done.outputs[2]
    changed = {"from": "parked", "to": "placed", "ref": done.ref}
    assert done.outputs[3] == {"order": "WR-2", "slot": "trees", "provider": "oneclickimpact", **changed}


def test_a_repair_leaves_nothing_to_find(done):
    """The duplicate is cancelled."""
    repaired, after = done.outputs[4]["audit"], done.outputs[5]["audit"]
    assert [(each["finding"], bool(each["repaired"])) for each in repaired["findings"]] == [("duplicate", True)]
    assert (repaired["remaining"], after["findings"], after["remaining"]) == (0, [], 0)
    standing = [each["order_id"] for each in done.purchases if not each["cancelled"] and each["kind"] == "plant_trees"]
    assert sorted(standing) == ["WR-1", "WR-2", "WR-3"]


def test_what_was_compared_and_what_disagrees_are_tables(api, done):
    """One line for each provider, one for each finding; where the last audit found nothing, none is left."""
    tables = defaultdict(list)
    for each in reversed(api.filter("artifacts", sort="CREATED_DESC")):
        if each["type"] == "table":
            tables[each["key"]].append(json.loads(each["data"]))
    assert {line["provider"]: line["duplicate"] for line in tables["audit"][-1]} == {
        "oneclickimpact": 0,
        "cnaught": 0,
        "impactapi": 0,
    }
    findings = [[line["finding"] for line in table] for table in tables["audit-findings"]]
    assert ["duplicate"] in findings
    assert [] == findings[-1]


def test_all_findings_are_in_a_csv_file(done):
    """Beside the reports."""
    with Path(done.outputs[0]["audit"]["csv"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == done.outputs[0]["audit"]["findings"]


def test_runs_are_named_by_what_they_do(api, done):
    """In the UI's list of runs."""
    names = {run["name"] for run in api.filter("flow_runs")}
    assert {"reconcile and audit acme", "settle WR-2 trees as bought"} <= names
