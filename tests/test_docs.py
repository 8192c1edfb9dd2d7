"""README, pages, command line, flows, prefect.yaml, env.example and settings say the same; links lead somewhere."""

import importlib
import re
import runpy
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from impactflow.__main__ import add_proof
from impactflow.cli.commands import app
from impactflow.policy.conditions import When
from impactflow.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
TABLE = (DOCS / "commands.md").read_text()
CONTENTS = (DOCS / "README.md").read_text()
PAGES = sorted(page for folder in (ROOT, DOCS, ROOT / "deployments") for page in folder.glob("*.md"))
add_proof()
COMMANDS = sorted(name for name in get_command(app).commands if name != "policy")
FLOWS = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")
PREFECT = YAML(typ="safe").load(ROOT / "prefect.yaml")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_table_lists_every_command(command):
    """A command that the page of the commands does not name is a command that no reader finds."""
    assert f"| `impactflow {command}" in TABLE


@pytest.mark.parametrize("module", re.findall(r"automodule:: (\S+)", (DOCS / "api.rst").read_text()))
def test_the_page_of_the_modules_names_modules_that_there_are(module):
    """A renamed one would stop the site."""
    assert importlib.import_module(module).__doc__


def test_the_table_lists_no_command_that_is_gone():
    """Each command in the table exists."""
    listed = set(re.findall(r"^\| `impactflow (\w+)", TABLE, re.MULTILINE)) - {"policy"}

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
    assert {name: _as_written(defaults[name]) for name in shown} == shown


def _as_written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default).removesuffix(".0")


def test_every_command_that_the_readme_types_exists():
    """The README's lines can be typed."""
    typed = set(re.findall(r"(?:^    |`)impactflow (\w+)", README, re.MULTILINE))

    assert typed
    assert typed <= {*COMMANDS, "policy"}


@pytest.mark.parametrize("name", ["cli", "variables"])
def test_a_page_that_is_made_from_the_code_is_as_the_code(name):
    """``make docs`` writes it anew."""
    assert runpy.run_path(str(DOCS / f"{name}_page.py"))["page"]() == (DOCS / f"{name}.md").read_text()


def test_every_command_and_each_option_is_on_the_page_of_the_command_line():
    """Those of groups below a command, too."""
    page = (DOCS / "cli.md").read_text()
    for name, command in _commands(get_command(app), "impactflow"):
        section = page.partition(f"# `{name}`\n")[2].partition("\n#")[0]
        options = [option for each in command.params for option in each.opts if each.name != "help"]
        assert section
        assert [option for option in options if option.startswith("-") and f"`{option}" not in section] == []


def _commands(group, before):
    for name, command in group.commands.items():
        yield f"{before} {name}", command
        yield from _commands(command, f"{before} {name}") if hasattr(command, "commands") else ()


def test_the_contents_list_each_page_once():
    """A page that ``docs/README.md`` does not list is on no site, and no reader finds it."""
    listed = [(DOCS / link).resolve() for link in re.findall(r"^- .*?\]\((.+?)\)", CONTENTS, re.MULTILINE)]
    others = {ROOT / "README.md", DOCS / "README.md"}

    assert sorted(listed) == sorted({*PAGES, DOCS / "api.rst"} - others)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_leads_to_a_file_and_to_a_heading_of_it(page):
    """On GitHub as on the site, which ``make docs-site`` checks besides."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)

    assert broken == []


def _anchors(page):
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("field", sorted(When.model_fields))
def test_the_page_of_the_conditions_has_every_condition(field):
    """It is written by hand, and the one that users read."""
    assert f"`{field}" in (DOCS / "conditions.md").read_text()
