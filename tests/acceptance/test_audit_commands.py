"""Auditing and settling as a person types them: what is printed, what is changed, and the exit status."""

import sqlite3

import httpx
import pytest
from processes import order, sandbox_thread
from typer.testing import CliRunner

from impactflow.cli.commands import app

#: Runs a command and tells on standard error whether Prefect was loaded.
WITNESSED = """
import atexit, sys
atexit.register(lambda: print("PREFECT" if "prefect" in sys.modules else "NO PREFECT", file=sys.stderr))
from impactflow.cli import main
main()
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory, command_line):
    """A sandbox whose two orders were placed, and the command line."""
    folder = tmp_path_factory.mktemp("audited")
    with sandbox_thread([order(number) for number in (1, 2)]) as sandbox:
        impactflow = command_line(folder, sandbox)
        placed = impactflow.run("place")
        assert placed.status == 0, placed.err
        yield sandbox, impactflow, folder / "impactflow.db"


def tree_of(sandbox, name):
    """The tree that was planted for an order, the first one."""
    return next(
        each for each in sandbox.purchases() if each["order_id"] == name and each["provider"] == "oneclickimpact"
    )


def buy_again(sandbox, purchase):
    """The same once more, under the same key: what a request does that came late."""
    metadata = {"order_id": purchase["order_id"], "impactflow_key": purchase["impactflow_key"]}
    body = {"amount": purchase["quantity"], "customer_email": purchase["customer_email"], "metadata": metadata}
    url, key = sandbox.variables["ONECLICKIMPACT_URL"], sandbox.variables["ONECLICKIMPACT_API_KEY"]
    answer = httpx.post(f"{url}/v1/plant_tree", json=body, headers={"x-api-key": key}, trust_env=False)
    made = answer.raise_for_status().json()
    return f"{made['user_id']}|{made['time_utc']}"


def test_no_doubt_is_sent_again_at_a_host_that_the_policy_refuses(shop):
    """And nothing is repaired there; who only looks is let."""
    _, impactflow, ledger = shop
    policy = ledger.parent / "policy.yaml"
    before = policy.read_text()
    policy.write_text(f"live: true\n{before}")
    looked = impactflow.run("reconcile", "--audit", "--json")
    repaired = impactflow.run("reconcile", "--audit", "--repair", "--json")
    policy.write_text(before)
    assert set(looked.json["left_alone"]) == {"cnaught", "impactapi", "oneclickimpact"}
    assert (looked.status, looked.json["audit"]["remaining"]) == (1, 0)
    assert (repaired.status, "is for tests" in repaired.json["error"]) == (2, True)


def test_an_audit_finds_a_planted_duplicate_and_repairs_it_on_demand(shop):
    """Exit 0 while the books agree, 1 while they do not, 0 once it is repaired."""
    sandbox, impactflow, _ = shop
    before = impactflow.run("reconcile", "--audit", "--json")
    assert (before.status, before.json["audit"]["remaining"]) == (0, 0), before.err
    assert before.json["audit"]["providers"]["cnaught"]["agreed"] == 2
    ref = buy_again(sandbox, tree_of(sandbox, "WR-1"))

    looked = impactflow.run("reconcile", "--audit", "--json")
    [finding] = looked.json["audit"]["findings"]
    assert (looked.status, finding["finding"], finding["order"], finding["ref"]) == (1, "duplicate", "WR-1", ref)
    assert not [each for each in sandbox.purchases() if each["cancelled"]]

    repaired = impactflow.run("reconcile", "--audit", "--repair")
    assert (repaired.status, repaired.says_traceback) == (0, False)
    assert f"{ref} is cancelled" in " ".join(repaired.out.split())
    assert [each["ref"] for each in sandbox.purchases() if each["cancelled"]] == [ref]

    after = impactflow.run("reconcile", "--audit", "--json")
    assert (after.status, after.json["audit"]["findings"]) == (0, [])
    assert "@" not in before.out + looked.out + repaired.out


def test_reconcile_without_an_audit_says_nothing_of_one(shop):
    """As before."""
    ended = shop[1].run("reconcile", "--json")
    assert (ended.status, "audit" in ended.json) == (0, False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile", "--repair"),
        ("reconcile", "--from", "2026-01-01"),
        ("reconcile", "--audit", "--from", "yesterday"),
        ("settle", "WR-404", "trees", "--as", "given-up"),
        ("settle", "WR-1", "flowers", "--as", "given-up"),
        ("settle", "WR-1", "trees", "--as", "given-up"),
        ("settle", "WR-1", "trees", "--as", "sold"),
        ("settle", "WR-1", "trees"),
    ],
)
def test_what_makes_no_sense_is_a_wrong_usage(shop, arguments):
    """Told before anything is done, in one JSON object."""
    ended = shop[1].run(*arguments, "--json")
    assert (ended.status, ended.says_traceback) == (2, False)
    assert set(ended.json) == {"error"}


def test_a_parked_placement_is_shown_with_its_evidence_and_settled_in_one_command(shop):
    """Without loading Prefect; the story says who decided and why."""
    _, impactflow, ledger = shop
    with sqlite3.connect(ledger) as database:
        which = "slot = 'trees' AND \"order\" = (SELECT id FROM orders WHERE order_id = 'WR-2')"
        [[ref]] = database.execute(f"SELECT ref FROM placements WHERE {which}")
        forget = "status = 'parked', reason = 'it may be any of two', ref = NULL, due_at = NULL"
        database.execute(f"UPDATE placements SET {forget} WHERE {which}")
    shown = impactflow.run("status")
    assert shown.status == 1
    assert "it may be any of two" in " ".join(shown.out.split())
    assert "impactflow settle ORDER SLOT" in shown.out
    again = impactflow.run("settle", "WR-2", "trees", "--as", "not-bought", "--json")
    assert again.status == 2
    assert "may still take effect" in again.json["error"] or "carries its key" in again.json["error"]
    options = ("--ref", ref, "--why", "I asked them", "--by", "ana")
    resolved = impactflow.python_anew(WITNESSED, "settle", "WR-2", "trees", "--as", "bought", *options)
    assert (resolved.status, resolved.err.strip()) == (0, "NO PREFECT")
    assert resolved.out.strip() == "Order WR-2, slot trees: was parked, is placed now."
    assert "bought, says ana: I asked them" in impactflow.run("show", "WR-2").out
    assert impactflow.run("status").status == 0


@pytest.mark.parametrize("command", ["settle", "reconcile"])
def test_help_shows_an_example(command):
    """That begins with the command itself."""
    shown = CliRunner().invoke(app, [command, "--help"])
    assert f"Example: impactflow {command}" in " ".join(shown.output.split())
