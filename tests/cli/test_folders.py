"""What lies where: a ledger that is not there, a folder that cannot be made."""

import shutil
from pathlib import Path

import pytest

POLICY = Path(__file__).parents[2] / "policy.yaml"


@pytest.mark.parametrize(
    "command",
    [
        ["track"],
        ["refunds"],
        ["reconcile"],
        ["reconcile", "--audit"],
        ["settle", "WR-1", "trees", "--as", "given-up"],
        ["settle", "--failed", "--as", "given-up"],
        ["approve"],
        ["approve", "WR-1", "trees"],
        ["dismiss", "WR-1", "--why", "x"],
        ["pause", "--why", "x"],
        ["resume"],
        ["forget", "ana@example.com"],
        ["caps"],
        ["status"],
        ["show", "WR-1"],
    ],
)
def test_n22_what_needs_a_ledger_makes_none(terminal, command):
    """An empty one would hide that the right one is elsewhere; nothing is started to find that out."""
    shutil.copy(POLICY, terminal.folder)
    ended = terminal.type(*command, "--json")
    assert ended.status == 2
    assert "there is no ledger at" in ended.json["error"]
    assert [file.name for file in terminal.folder.iterdir()] == ["policy.yaml"]


@pytest.mark.parametrize(
    "command", [["place"], ["place", "--dry-run"], ["backfill", "--from", "2026-01-01", "--to", "2026-01-02"]]
)
def test_n22_a_ledger_in_a_folder_that_is_not_there_names_the_variable(terminal, command):
    """With exit status 2, before a server is started."""
    shutil.copy(POLICY, terminal.folder)
    terminal.set(IMPACTFLOW_LEDGER_URL=f"sqlite:///{terminal.folder}/nowhere/ledger.db")
    ended = terminal.type(*command, "--json")
    assert ended.status == 2
    assert "IMPACTFLOW_LEDGER_URL: there is no folder" in ended.json["error"]
    wrong = {check["what"]: check for check in terminal.type("doctor", "--json").json["checks"]}
    assert (wrong["ledger"]["ok"], wrong["ledger"]["status"]) == (False, 2)


@pytest.mark.parametrize("command", ["demo"])
def test_n22_a_folder_that_cannot_be_made_is_one_line(terminal, command):
    """Root may write to any folder, so a file stands in its place here."""
    (terminal.folder / command).write_text("mine")
    ended = terminal.type(command, "--json")
    assert ended.status == 2
    assert "cannot be made" in ended.json["error"]
    assert (terminal.folder / command).read_text() == "mine"
