"""Slips of the pen among variables and options are named."""

import logging
import shutil
from pathlib import Path

import pytest

from impactflow.settings import unknown_variables

POLICY = Path(__file__).parents[2] / "policy.yaml"


def test_n20_a_typo_in_a_variables_name_is_named_with_what_was_meant(terminal):
    """In the environment and in ``.env``; what a sender's secrets are called is anybody's."""
    terminal.set(IMPACTFLOW_LEDGR_URL="sqlite:///x.db", IMPACTFLOW_POLAR_SECRETS="whsec_x", IMPACTFLOW_HOME="/srv")
    (terminal.folder / ".env").write_text("CNAUGHT_APIKEY=x\nIMPACTFLOW_COLOUR=red\n")
    assert unknown_variables() == {
        "CNAUGHT_APIKEY": "CNAUGHT_API_KEY",
        "IMPACTFLOW_COLOUR": None,
        "IMPACTFLOW_LEDGR_URL": "IMPACTFLOW_LEDGER_URL",
    }


def test_n20_every_command_names_it_and_doctor_calls_it_wrong(terminal, caplog):
    """Once; what is like no variable of ours is nothing wrong."""
    caplog.set_level(logging.WARNING, "impactflow")
    terminal.set(IMPACTFLOW_LEDGR_URL="sqlite:///x.db", IMPACTFLOW_COLOURS="red")
    terminal.type("status")
    assert "IMPACTFLOW_LEDGR_URL is no variable of impactflow's: did you mean IMPACTFLOW_LEDGER_URL?" in caplog.text
    checks = terminal.type("doctor", "--json").json["checks"]
    results = {check["said"]: check["ok"] for check in checks if check["what"] == "settings"}
    assert results == {
        "IMPACTFLOW_LEDGR_URL: did you mean IMPACTFLOW_LEDGER_URL?": False,
        "IMPACTFLOW_COLOURS: nothing reads it": True,
    }


@pytest.mark.parametrize(
    "command", [["place"], ["adopt"], ["doctor"], ["backfill", "--from", "2026-01-01", "--to", "2026-01-02"]]
)
def test_n20_a_second_policy_is_an_error(terminal, command):
    """It is not known which one is meant."""
    for name in ("a.yaml", "b.yaml"):
        shutil.copy(POLICY, terminal.folder / name)
    ended = terminal.type(*command, "--policy", "a.yaml", "--policy", "b.yaml", "--json")
    assert ended.status == 2
    assert "--policy is given 2 times" in ended.json["error"]
