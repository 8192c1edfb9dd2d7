"""Dockerfile, compose and Kubernetes files name only what exists: files, commands, variables. None is started here."""

import json
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_valid_setting_names
from ruamel.yaml import YAML
from typer.main import get_command

from impactflow.cli.main import app
from impactflow.settings import Settings
from impactflow.webhooks.sources import CNAUGHT_VARIABLE, SCHEMES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deployments"
COMPOSE = YAML(typ="safe").load(FOLDER / "compose.yaml")
KUBERNETES = list(YAML(typ="safe").load_all(FOLDER / "kubernetes" / "impactflow.yaml"))
IMPACTFLOW = get_command(app).commands
#: Read by Prefect outside of its settings, by its Redis integration, by images, and by prefect.yaml.
OTHERS = {
    "PREFECT_SERVER_ENCRYPTION_KEY", "PREFECT_REDIS_MESSAGING_HOST", "PREFECT_REDIS_MESSAGING_PORT", "DO_NOT_TRACK",
    "POSTGRES_PASSWORD", "PREFECT_DB_PASSWORD", "LEDGER_DB_PASSWORD", "IMPACTFLOW_HOME", "PATH",
}  # fmt: skip
KNOWN = _get_valid_setting_names(PrefectSettings) | {name.upper() for name in Settings.model_fields} | OTHERS


def _containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for each in KUBERNETES:
        for container in each["spec"].get("template", {}).get("spec", {}).get("containers", ()):
            yield f"{each['kind']} {container['name']}", container


def _commands() -> Iterator[tuple[str, list[str]]]:
    """What is started, as words; a script's lines one by one."""
    started = {name: service["command"] for name, service in COMPOSE["services"].items() if "command" in service}
    started |= {name: container["command"] for name, container in _containers()}
    for name, words in started.items():
        if words[0] != "sh":
            yield name, words
            continue
        for line in re.split(r"\n|&&|\|\|", words[-1]):
            if line.strip() not in {"", "fi"} and not line.strip().startswith("if "):
                yield f"{name}: {line.strip()}", shlex.split(line)


def _variables() -> Iterator[tuple[str, set[str]]]:
    for name, service in COMPOSE["services"].items():
        yield name, set(service.get("environment", ()))
    for name, container in _containers():
        yield name, {each["name"] for each in container.get("env", ())}
    for name in ("server", "backgroundServices"):
        values = YAML(typ="safe").load(FOLDER / "kubernetes" / "server.values.yaml")
        yield f"chart {name}", {each["name"] for each in values[name]["env"]}
    yield (
        "Dockerfile",
        set(re.findall(r"^(?:ENV| {4})\s*([A-Z_]+)=", _dockerfile(), re.MULTILINE)) - {"PIP_DISABLE_PIP_VERSION_CHECK"},
    )


def _dockerfile() -> str:
    return (FOLDER / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("name", "words"), list(_commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_command_of_ours_exists(name: str, words: list[str]):
    """Its name, and each of its options; Prefect's are started by other tests."""
    if words[0] == "python":
        assert find_spec(words[words.index("-m") + 1])
        return
    if words[0] != "impactflow":
        assert words[0] in {"prefect", "redis-server"}
        return
    options = {option for parameter in IMPACTFLOW[words[1]].params for option in parameter.opts}
    assert {word for word in words[2:] if word.startswith("--")} <= options


@pytest.mark.parametrize(
    ("name", "variables"), list(_variables()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_variable_is_read_by_somebody(name: str, variables: set[str]):
    """Prefect ignores a misspelt one in silence."""
    assert variables - KNOWN == set()


def test_each_file_that_the_image_is_made_of_exists_and_is_let_into_the_build():
    """What .dockerignore holds back would be missing."""
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.+)$", _dockerfile(), re.MULTILINE) for name in line.split()[:-1]
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied
    assert {name for name in copied if not (ROOT / name).exists()} == set()
    assert set(copied) == let_in


def test_the_image_runs_as_nobody_in_particular():
    """The last user is a number that is not root's: Kubernetes checks that."""
    assert re.findall(r"^USER (\S+)$", _dockerfile(), re.MULTILINE)[-1].isdigit()


def test_each_file_that_compose_mounts_exists():
    """And the Dockerfile that it builds."""
    named = {service["build"]["dockerfile"] for service in COMPOSE["services"].values() if "build" in service}
    mounted = {
        volume.partition(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    }
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert {name for name in mounted if not (FOLDER / name).exists()} == set()


def test_each_service_waits_only_for_services_that_say_when_they_are_ready():
    """A condition on a health check that is not there would wait for ever."""
    services = COMPOSE["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]


def test_the_receiver_gets_no_key_of_a_seller():
    """It faces the internet: only the worker's services read the file that holds the keys."""
    keys = {name.upper() for name in Settings.model_fields if name.endswith("_api_key")}
    services = COMPOSE["services"]
    assert {name for name, service in services.items() if "env_file" in service} == {"worker"}
    assert keys
    assert not keys & set(services["receiver"]["environment"])
    (receiver,) = (container for name, container in _containers() if name == "Deployment receiver")
    assert receiver["envFrom"] == [{"secretRef": {"name": "impactflow-receiver"}}]


def test_the_receiver_gets_every_variable_that_it_reads():
    """Whatever deliveries are proven with, and where it is reached."""
    read = {name.upper() for name in Settings.model_fields if name.startswith("impactflow_webhook")}
    read |= {scheme.variable for scheme in SCHEMES} | {CNAUGHT_VARIABLE}
    assert read <= set(COMPOSE["services"]["receiver"]["environment"])


def test_each_run_on_kubernetes_has_the_image_and_the_policy_of_the_receiver():
    """The pool's template and the manifest name the same; the runs have the secret with the sellers' keys."""
    template = json.loads((FOLDER / "kubernetes" / "base-job-template.json").read_text())
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    (receiver,) = (container for name, container in _containers() if name == "Deployment receiver")
    assert template["variables"]["properties"]["image"]["default"] == receiver["image"]
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "impactflow"}}]
    assert pod["containers"][0]["volumeMounts"] == receiver["volumeMounts"]


def test_every_variable_that_compose_asks_for_is_in_env_example():
    """With a comment sign before it where impactflow itself does not read it."""
    asked = set(re.findall(r"\$\{([A-Z_]+)", (FOLDER / "compose.yaml").read_text()))
    listed = re.findall(r"^(# )?([A-Z_]+)=", (FOLDER / "env.example").read_text(), re.MULTILINE)
    ours = {name.upper() for name in Settings.model_fields}
    assert asked <= {name for _, name in listed}
    assert not [name for sign, name in listed if name in asked and bool(sign) is (name in ours)]
