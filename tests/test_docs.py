"""README, command line, flows, prefect.yaml, env.example and settings say the same."""

import importlib
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from impactflow.cli.commands import app
from impactflow.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(name for name in get_command(app).commands if name != "policy")
FLOWS = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")
PREFECT = YAML(typ="safe").load(ROOT / "prefect.yaml")


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_lists_every_command(command):
    """A command that the README does not name is a command that nobody finds."""
    assert f"| `impactflow {command}" in README


def test_readme_lists_no_command_that_is_gone():
    """Each command in the README's table exists."""
    listed = set(re.findall(r"^\| `impactflow (\w+)", README, re.MULTILINE)) - {"policy"}

    assert set(COMMANDS) == listed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    """Help says what a command does and shows how it is typed."""
    described = get_command(app).commands[command]

    assert described.help
    assert described.epilog.startswith(f"Example: impactflow {command}")


@pytest.mark.parametrize("flow", FLOWS)
def test_every_flow_is_in_the_readme_the_table_and_a_deployment(flow):
    """A flow bears its file's name, is listed twice and is deployed once."""
    described = getattr(importlib.import_module(f"flows.{flow}"), flow)
    entrypoints = [deployment["entrypoint"] for deployment in PREFECT["deployments"]]

    assert described.name == flow
    assert f"[`{flow}`](flows/{flow}.py)" in README
    assert f"`{flow}`" in importlib.import_module("flows").__doc__
    assert entrypoints.count(f"flows/{flow}.py:{flow}") == 1


def test_no_deployment_names_a_flow_that_is_gone():
    """Each entrypoint of prefect.yaml exists."""
    named = sorted(deployment["entrypoint"].partition(":")[2] for deployment in PREFECT["deployments"])

    assert FLOWS == named


def test_env_example_lists_exactly_the_settings():
    """Every variable is explained, and none that nobody reads."""
    listed = re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / "deployments" / "env.example").read_text(), re.MULTILINE)
    others = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "IMPACTFLOW_HOME", "COMPOSE_PROFILES"} | {
        name for name in listed if name.endswith(("_PASSWORD", "_AUTH", "_ENCRYPTION_KEY"))
    }

    assert sorted(name.upper() for name in Settings.model_fields) == sorted(set(listed) - others)


def test_env_example_shows_the_defaults():
    """What env.example shows behind a variable is what happens without it."""
    text = (ROOT / "deployments" / "env.example").read_text()
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    shown = {name: value for name, value in re.findall(r"^# ([A-Z_]+)=(.+)$", text, re.MULTILINE) if name in defaults}

    assert shown
    assert {name: str(defaults[name]).removesuffix(".0") for name in shown} == shown
