"""Dockerfile, compose and Kubernetes files name only what exists: files, commands, variables. None is started here."""

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_valid_setting_names
from ruamel.yaml import YAML
from typer.main import get_command

from deployments.job_template import with_our_choices
from impactflow.cli.commands import app
from impactflow.proof.bookkeeping import in_books
from impactflow.sandbox import environment
from impactflow.settings import Settings
from impactflow.webhooks.sources import CNAUGHT_VARIABLE, SCHEMES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deployments"
COMPOSE = YAML(typ="safe").load(FOLDER / "compose.yaml")
KUBERNETES = [
    each
    for name in ("register.yaml", "receiver.yaml")
    for each in YAML(typ="safe").load_all(FOLDER / "kubernetes" / name)
]
SERVER = YAML(typ="safe").load(FOLDER / "kubernetes" / "server.values.yaml")
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
        yield f"chart {name}", {each["name"] for each in SERVER[name]["env"]}
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
    """It faces the internet; on Kubernetes it has a secret of its own."""
    keys = {name.upper() for name in Settings.model_fields if name.endswith("_api_key")}
    assert keys
    assert not keys & set(COMPOSE["services"]["receiver"]["environment"])
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


def _locked(name: str) -> list[str]:
    return re.findall(rf"^{name}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def test_k1_prefect_runs_from_our_image_with_what_our_lock_holds():
    """Prefect's own image has an SQLAlchemy with which no scheduled run is ever made; ours has locked all of it."""
    services = COMPOSE["services"]
    assert {name for name, service in services.items() if service["image"] != "impactflow"} == {"postgres", "redis"}
    assert {services[name]["init"] for name in ("migrate", "server", "services")} == {True}
    (sqlalchemy,), (redis,) = _locked("sqlalchemy"), _locked("prefect-redis")
    assert sqlalchemy.startswith("2.0.")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(each.startswith("prefect-redis") for each in extras["servers"])
    assert redis.startswith("0.3.")
    assert "PREFECT_UI_STATIC_DIRECTORY=/tmp/" in _dockerfile()


def test_k1_the_charts_servers_run_from_our_image_too():
    """With a command that our image has: the chart's default is a script of Prefect's image."""
    image = SERVER["global"]["prefect"]["image"]
    (register,) = (container for name, container in _containers() if name == "Job register")
    assert f"{image['repository']}:{image['prefectTag']}" == register["image"]
    assert SERVER["server"]["command"] == SERVER["backgroundServices"]["command"] == ["env"]


def test_k2_a_copy_of_env_example_sets_nothing():
    """A ledger in SQLite or a folder of reports from it would go before those of the image, in every run."""
    lines = (FOLDER / "env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#") and not line.endswith("=")] == []


def test_k3_the_values_name_no_variable_that_the_chart_sets():
    """Helm 4 refuses a variable that stands twice; with Redis as the broker the chart sets these two."""
    named = {each["name"] for part in ("server", "backgroundServices") for each in SERVER[part]["env"]}
    assert SERVER["backgroundServices"]["messaging"]["broker"] == "prefect_redis.messaging"
    assert not named & {"PREFECT_SERVER_EVENTS_CAUSAL_ORDERING", "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"}


def test_k4_no_pool_of_docker_is_described():
    """It needs a worker with access to Docker's socket, and what else differs was never tried."""
    assert "--type docker" not in (FOLDER / "README.md").read_text()


def test_k5_the_receiver_starts_only_where_somebody_asks_for_it():
    """Without any secret it ends at once, and would be started again for ever."""
    assert {name: service["profiles"] for name, service in COMPOSE["services"].items() if "profiles" in service} == {
        "receiver": ["webhooks"]
    }
    assert "# COMPOSE_PROFILES=webhooks" in (FOLDER / "env.example").read_text()


def test_k6_what_the_image_writes_by_default_is_on_the_volume():
    """The ledger above all: lost with the container, everything in it would be looked for at the sellers again."""
    (volume,) = re.findall(r"^VOLUME (\S+)$", _dockerfile(), re.MULTILINE)
    for variable in ("IMPACTFLOW_LEDGER_URL=sqlite:///", "IMPACTFLOW_REPORTS="):
        assert f"{variable}{volume}/" in _dockerfile()
    assert re.findall(r"^WORKDIR (\S+)$", _dockerfile(), re.MULTILINE)[-1] == volume
    assert COMPOSE["services"]["register"]["working_dir"] == "/app"  # where prefect.yaml is


def test_k7_the_image_of_a_clone_that_only_its_owner_reads_can_be_read_by_its_user():
    """A clone made under umask 077 is copied with its modes, and the image's user is not root."""
    build, final = _dockerfile().split("\nFROM ")[-2:]
    assert build.index("COPY deployments") < build.index("chmod -R a+rX /app")
    assert "COPY --from=build /app /app" in final


def test_k8_each_service_gets_what_it_needs_and_no_more():
    """Keys for the worker, secrets of senders for the receiver, passwords of databases for nobody but their users."""
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "env_file" in service] == []
    ours = {name.upper() for name in Settings.model_fields}
    receivers = {scheme.variable for scheme in SCHEMES} | {"IMPACTFLOW_WEBHOOKS_MAX_BYTES"}
    elsewhere = {"IMPACTFLOW_POLICY", "IMPACTFLOW_REPORTS", "IMPACTFLOW_SENDERS"}  # the image's, and files
    assert set(services["worker"]["environment"]) & ours == ours - receivers - elsewhere
    keys = {name for name in ours if name.endswith("_API_KEY")}
    for name, service in services.items():
        text = str(service.get("environment", {}))
        assert ("LEDGER_DB_PASSWORD" in text) == (name in {"postgres", "worker", "receiver"}), name
        assert ("PREFECT_DB_PASSWORD" in text) == (name in {"postgres", "migrate", "server", "services"}), name
        assert ("PREFECT_ENCRYPTION_KEY" in text) == (name in {"server", "services"}), name
        assert bool(keys & set(service.get("environment", ()))) == (name == "worker"), name


def test_k8_the_secrets_of_kubernetes_hold_what_each_needs(tmp_path: Path):
    """The commands that the README gives, run on a file with every variable."""
    listed = re.findall(r"^(?:# )?([A-Z_]+)=", (FOLDER / "env.example").read_text(), re.MULTILINE)
    names = [*listed, "IMPACTFLOW_POLAR_SECRETS"]
    (tmp_path / ".env").write_text("".join(f"{name}=x\n" for name in names))
    for command in re.findall(r"^ {4}(grep (?:.+\\\n)?.+)$", (FOLDER / "README.md").read_text(), re.MULTILINE):
        subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    runs, receiver = (
        set(re.findall(r"^([A-Z_]+)=", (tmp_path / name).read_text(), re.MULTILINE))
        for name in ("runs.env", "receiver.env")
    )
    ours = {name.upper() for name in Settings.model_fields}
    senders = {scheme.variable for scheme in SCHEMES}
    files = {"IMPACTFLOW_POLICY", "IMPACTFLOW_REPORTS", "IMPACTFLOW_SENDERS"}
    assert runs == ours - senders - files - {"IMPACTFLOW_WEBHOOKS_MAX_BYTES"}
    shared = {"IMPACTFLOW_LEDGER_URL", "IMPACTFLOW_CALLBACK_SECRET", "IMPACTFLOW_WEBHOOKS_URL"}
    own = senders | {"IMPACTFLOW_POLAR_SECRETS", "IMPACTFLOW_WEBHOOKS_MAX_BYTES"}
    assert receiver == shared | own


def test_k9_the_first_install_does_not_wait_for_servers_that_wait_for_it():
    """The chart makes the tables after an install; with --wait Helm makes them after the servers, which need them."""
    lines = (FOLDER / "README.md").read_text().splitlines()
    assert [line for line in lines if "helm install" in line and "--wait" in line] == []
    assert SERVER["migrations"]["entrypoint"] == ["bash", "-c"]  # its script says pipefail, which Debian's sh refuses


def test_k10_postgres_is_healthy_once_it_listens():
    """The server that runs the first scripts answers on its socket only."""
    words = COMPOSE["services"]["postgres"]["healthcheck"]["test"]
    assert words[words.index("--host") + 1] == "127.0.0.1"


def test_k11_a_slow_machine_has_time_to_start_and_builds_one_image():
    """Each health check forgives the first minutes; one service builds for all."""
    services = COMPOSE["services"]
    checks = [service["healthcheck"] for service in services.values() if "healthcheck" in service]
    assert checks
    assert {check.get("start_period") for check in checks} == {"3m"}
    assert [name for name, service in services.items() if "build" in service] == ["migrate"]


def test_k13_registering_again_makes_a_job_of_another_name():
    """A finished job of the same name would refuse the new image until it is swept away."""
    (job,) = (each for each in KUBERNETES if each["kind"] == "Job")
    readme = (FOLDER / "README.md").read_text()
    assert job["metadata"]["generateName"] == "impactflow-register-"
    assert "name" not in job["metadata"]
    assert "kubectl create -f deployments/kubernetes/register.yaml" in readme
    assert readme.index("kubectl create namespace impactflow") < readme.index("helm install")


def test_k13_the_job_template_is_what_its_command_writes():
    """Laid over itself it stays as it is, and every choice of ours stands in the file."""
    template = json.loads((FOLDER / "kubernetes" / "base-job-template.json").read_text())
    assert with_our_choices(template) == template
    assert "python -m deployments.job_template" in (FOLDER / "README.md").read_text()


def test_k14_a_stopped_worker_has_time_to_record_what_is_in_flight():
    """Compose starts the worker that ends its runs, and waits for it; what it records is tested with O10."""
    worker = COMPOSE["services"]["worker"]
    assert worker["command"][:3] == ["python", "-m", "deployments.worker"]
    assert worker["stop_grace_period"] == "30s"


def test_k15_more_servers_publish_no_port():
    """Three containers cannot have one port of the machine: the file for compose takes it away."""
    server = YAML().load(FOLDER / "servers.yaml")["services"]["server"]
    assert server["ports"].tag.value == "!reset"
    assert list(server["ports"]) == []
    assert server["deploy"]["replicas"] > 1


def test_every_variable_that_compose_asks_for_is_in_env_example():
    """With a comment sign before it where impactflow itself does not read it."""
    asked = set(re.findall(r"\$\{([A-Z_]+)", (FOLDER / "compose.yaml").read_text()))
    listed = re.findall(r"^(# )?([A-Z_]+)=", (FOLDER / "env.example").read_text(), re.MULTILINE)
    ours = {name.upper() for name in Settings.model_fields}
    assert asked <= {name for _, name in listed}
    assert [name for sign, name in listed if name in asked - ours and not sign] == []


TRY = FOLDER / "try"


@pytest.mark.parametrize("name", ["run", "engine.sh", "base-images.sh"])
def test_the_scripts_of_the_trial_can_be_parsed(name: str):
    """They need an engine to be run, so a slip would be seen late."""
    subprocess.run(["bash", "-n", str(TRY / name)], check=True)


def test_the_trial_changes_only_what_compose_has_and_adds_the_sandbox():
    """A service or a variable that is renamed there would be a new one here."""
    override = YAML().load(TRY / "override.yaml")["services"]
    ours = {name for name, service in COMPOSE["services"].items() if service["image"] == "impactflow"}
    assert set(override) == ours | {"sandbox"}
    assert {service["image"] for service in override.values()} == {"impactflow-try"}
    for name in ours:
        known = set(COMPOSE["services"][name].get("environment", ()))
        assert set(override[name].get("environment", ())) <= known, name
    assert set(override["sandbox"]["environment"]) <= set(COMPOSE["services"]["worker"]["environment"])


def test_the_trial_gives_the_worker_the_sellers_that_compose_asks_for():
    """Each URL and key of the sandbox, under the name by which compose hands it on."""
    asked = set(re.findall(r"\$\{([A-Z_]+)", (FOLDER / "compose.yaml").read_text()))
    assert set(environment("http://127.0.0.1:8123")) <= asked
    assert set(re.findall(r"^(IMPACTFLOW_[A-Z_]+)=", (TRY / "run").read_text(), re.MULTILINE)) <= asked


def test_the_trial_judges_by_the_orders_of_its_sandbox():
    """They follow from two numbers, which stand in two files."""
    words = YAML(typ="safe").load((TRY / "override.yaml").read_text().replace("!override", ""))
    command = words["services"]["sandbox"]["command"]
    asked = {option: command[command.index(option) + 1] for option in ("--orders", "--seed", "--port")}
    assert asked == {"--orders": str(JUDGE.ORDERS), "--seed": str(JUDGE.SEED), "--port": JUDGE.BOOKS.split(":")[2][:4]}


def _judge() -> Any:
    spec = spec_from_file_location("judge", TRY / "judge.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


JUDGE = _judge()
EARNED = {("1", "cnaught"): 2500, ("2", "cnaught"): 5000}


def _bought(order: str, quantity: int) -> dict[str, Any]:
    return {
        "order_id": order, "provider": "cnaught", "quantity": quantity,
        "impactflow_key": f"key-{order}", "ref": f"ref-{order}",
    }  # fmt: skip


BOTH = [_bought("1", 2500), _bought("2", 5000)]


@pytest.mark.parametrize(
    ("books", "recorded", "waiting", "wrong"),
    [
        (BOTH, BOTH, (), set()),
        (BOTH, BOTH[:1], (), {"not recorded"}),
        (BOTH[:1], BOTH, (), {"lost", "recorded but not bought"}),
        (BOTH[:1], BOTH[:1], (), {"lost"}),
        (BOTH[:1], BOTH[:1], {("2", "cnaught")}, set()),
        (BOTH, BOTH[:1], {("2", "cnaught")}, set()),
        ([*BOTH, _bought("2", 5000) | {"ref": "another"}], BOTH, (), {"twice", "not recorded"}),
        ([*BOTH, _bought("3", 2500)], [*BOTH, _bought("3", 2500)], (), {"unasked"}),
        ([_bought("1", 1), BOTH[1]], [_bought("1", 1), BOTH[1]], (), {"wrong"}),
    ],
)
def test_the_trials_verdict_finds_what_differs_and_nothing_else(
    books: Any, recorded: Any, waiting: Any, wrong: set[str]
):
    """What a person is told of may be bought or not; everything else is bought once and recorded."""
    assert set(JUDGE.wrong(EARNED, books, in_books(recorded), waiting)) == wrong
