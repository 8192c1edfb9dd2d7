"""
Register ``prefect.yaml`` at a Prefect server and keep a person's changes there.

``prefect deploy --all`` alone resumes a deployment that a person paused, and drops the schedules that a person added.
So Prefect reads a copy of the file. In the copy, each deployment and schedule is paused as on the server, and the
added schedules are listed, too. One request per deployment carries all of it: a paused deployment runs at no moment.
"""

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from ruamel.yaml import YAML

from impactflow.cli.console import err, out, print_json
from impactflow.cli.prefect import ask, open_server, shortcomings
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.ledger.location import describe
from impactflow.policy import load_policy
from impactflow.settings import load_settings

#: The variable on the server that names the store and the ledger that the server works for.
_CLAIM = "impactflow_registered"
_HERE = Path("prefect.yaml")
_PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")


class NotRegistered(ImpactError):
    """Prefect did not accept the deployments."""


@dataclass(frozen=True)
class Registered:
    """
    The deployments of ``prefect.yaml``, as the server has them now.

    Args:
        api_url: The server's API.
        pool: The name of the work pool.
        names: The names of the deployments.
        kept: A person's changes on the server that stay, one sentence each.
        changed: The file's changes on the server, one sentence each.
    """

    api_url: str
    pool: str
    names: Sequence[str]
    kept: Sequence[str]
    changed: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """Return one object for a program."""
        return {
            "deployments": list(self.names), "api_url": self.api_url, "kept": list(self.kept),
            "changed": list(self.changed),
        }  # fmt: skip


@dataclass(frozen=True)
class _Merged:
    """
    A part of the file, with a person's changes on the server.

    Args:
        content: The part.
        kept: As in ``Registered``.
        changed: As in ``Registered``.
    """

    content: Any
    kept: Sequence[str] = ()
    changed: Sequence[str] = ()


def run_register(*, as_json: bool) -> int:
    """Register, and print the deployments; ``register_project`` has printed what it keeps and changes."""
    registered = register_project()
    if as_json:
        print_json(registered.as_json())
    else:
        out.print(f"registered {', '.join(registered.names)} at {registered.api_url}", markup=False)
    return 0


def register_project() -> Registered:
    """
    Make the work pool where there is none, and register all deployments; first print what is kept and what changes.

    Raises:
        ConfigurationError: There is no server of this store at PREFECT_API_URL, or the working directory is unsuitable.
        NotRegistered: The server refused the pool or a deployment; the message has Prefect's text.
    """
    content = read_project()
    pool = content["definitions"]["work_pool"]["name"]
    with open_server() as server:
        _see_whose_server_it_is(server)
        merged = _merge_all([_merge(server, deployment) for deployment in content["deployments"]])
        for line in (*shortcomings(server), *merged.kept, *merged.changed):
            err.print(line, markup=False)
        if ask(server, "GET", f"work_pools/{pool}", or_none=True) is None:
            _prefect("work-pool", "create", pool, "--type", "process")
        with TemporaryDirectory(prefix="impactflow-") as folder:
            file = Path(folder) / "prefect.yaml"
            with file.open("w") as writable:
                YAML(typ="safe").dump({**content, "deployments": merged.content}, writable)
            _prefect("deploy", "--all", "--prefect-file", str(file))
        for deployment in content["deployments"]:
            _refuse_unknown_parameters(server, deployment)
        names = [deployment["name"] for deployment in content["deployments"]]
        return Registered(str(server.base_url).rstrip("/"), pool, names, merged.kept, merged.changed)


def read_project() -> Mapping[str, Any]:
    """
    Read ``prefect.yaml``: the one in the working directory, such as a clone, or the installed one.

    The installed one names the installed flows; runs take place in the working directory.

    Raises:
        ConfigurationError: A file in the working directory would be imported in place of our packages.
    """
    if _HERE.exists():
        here: Mapping[str, Any] = YAML(typ="safe").load(_HERE)
        return here
    if theirs := [name for name in ("flows", "tasks") if Path(name).exists()]:
        raise ConfigurationError(
            f"the runs' working directory is {Path.cwd()}, where Prefect would take {' and '.join(theirs)} for ours:"
            " change to another folder"
        )
    found = find_spec("flows")
    assert found is not None
    assert found.origin is not None
    packages = Path(found.origin).parent.parent
    # In the package `deployments` of a wheel, or beside the packages of a clone.
    file = next(each for each in (packages / "deployments" / _HERE, packages / _HERE) if each.exists())
    content: dict[str, Any] = YAML(typ="safe").load(file)
    deployments = [
        {**deployment, "entrypoint": str(packages / deployment["entrypoint"])} for deployment in content["deployments"]
    ]
    return {**content, "deployments": deployments}


def _see_whose_server_it_is(server: httpx.Client) -> None:
    """
    Claim the server for this store and ledger: another store's deployments have the same names and would be replaced.

    Raises:
        ConfigurationError: The server works for another store or ledger.
    """
    settings = load_settings()
    ours = {
        "store": load_policy(settings.impactflow_policy).store,
        "ledger": describe(settings.impactflow_ledger_url),
        "folder": f"{Path.cwd()} on {socket.gethostname()}",
    }
    known = ask(server, "GET", f"variables/name/{_CLAIM}", or_none=True)
    if known is None:
        ask(server, "POST", "variables/", {"name": _CLAIM, "value": ours})
        return
    theirs = known["value"]
    if any(theirs.get(what) != ours[what] for what in ("store", "ledger")):
        raise ConfigurationError(
            f"PREFECT_API_URL: this server works for the store {theirs.get('store')!r} with the ledger"
            f" {theirs.get('ledger')}, registered from {theirs.get('folder')}; here the store is {ours['store']!r} and"
            f" the ledger {ours['ledger']}. Each store needs a server of its own. If the other one is gone, delete the"
            f" variable {_CLAIM} on the server's page Variables, and register again"
        )


def _refuse_unknown_parameters(server: httpx.Client, deployment: Mapping[str, Any]) -> None:
    """Make the server refuse a run with an unknown parameter, by the parameter's name; the run itself would crash."""
    known = _read(server, deployment)
    if known is not None:
        schema = {**known["parameter_openapi_schema"], "additionalProperties": False}
        ask(server, "PATCH", f"deployments/{known['id']}", {"parameter_openapi_schema": schema})


def _merge(server: httpx.Client, deployment: Mapping[str, Any]) -> _Merged:
    """Apply a person's changes on the server to a deployment of the file."""
    name, known = deployment["name"], _read(server, deployment)
    if known is None:
        return _Merged(deployment)
    schedules = _merge_all(
        [_merge_schedule(name, each, known["schedules"]) for each in deployment["schedules"]]
        + _added_by_hand(name, deployment["schedules"], known["schedules"])
    )
    triggers = _merge_triggers(server, name, deployment.get("triggers", ()), known["id"])
    return _Merged(
        {**deployment, "paused": known["paused"], "schedules": schedules.content, "triggers": triggers.content},
        [*([f"{name} stays paused"] if known["paused"] else ()), *schedules.kept, *triggers.kept],
        [*schedules.changed, *_differences(name, deployment, known)],
    )


def _merge_all(parts: Sequence[_Merged]) -> _Merged:
    return _Merged(
        [each.content for each in parts],
        [line for each in parts for line in each.kept],
        [line for each in parts for line in each.changed],
    )


def _read(server: httpx.Client, deployment: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a deployment as the server has it; None where the server has none of that name."""
    flow = deployment["entrypoint"].rpartition(":")[2]
    known: Mapping[str, Any] | None = ask(server, "GET", f"deployments/name/{flow}/{deployment['name']}", or_none=True)
    return known


def _merge_schedule(name: str, schedule: Mapping[str, Any], known: Sequence[Mapping[str, Any]]) -> _Merged:
    """Return a schedule of the file, active or not as on the server, which may still know it by an earlier slug."""
    there = {each["slug"]: each for each in known if each["slug"]}
    slug = schedule["replaces"] if schedule.get("replaces") in there else schedule["slug"]
    content = {field: value for field, value in schedule.items() if field != "replaces" or value == slug}
    if (before := there.get(slug)) is None:
        return _Merged(content, changed=[f"{name} gets the schedule {slug}: {_when(schedule)}"])
    was, becomes = _when(before["schedule"]), _when(schedule)
    return _Merged(
        {**content, "active": before["active"]},
        [] if before["active"] else [f"{name}: the schedule {slug} stays paused"],
        [] if was == becomes else [f"{name}: the schedule {slug} changes from {was} to {becomes}"],
    )


def _added_by_hand(name: str, ours: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> list[_Merged]:
    """Return the server's schedules that are not in the file."""
    slugs = {slug for each in ours for slug in (each["slug"], each.get("replaces", each["slug"]))}
    return [
        _Merged(
            _in_the_files_words(each),
            [f"{name} keeps a schedule that is not in prefect.yaml: {_when(each['schedule'])}"],
        )
        for each in known
        if each["slug"] not in slugs
    ]


def _in_the_files_words(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return one of the server's schedules in the words of ``prefect.yaml``."""
    fields = {**known["schedule"], "active": known["active"], "parameters": known["parameters"], "slug": known["slug"]}
    return {name: value for name, value in fields.items() if value is not None}


def _when(schedule: Mapping[str, Any]) -> str:
    what = next(f"{schedule[kind]}" for kind in ("cron", "rrule", "interval") if schedule.get(kind))
    every = f"every {what} s" if schedule.get("interval") else what
    return f"{every} {schedule.get('timezone') or 'UTC'}"


def _merge_triggers(server: httpx.Client, name: str, ours: Sequence[Mapping[str, Any]], deployment: str) -> _Merged:
    """Return the file's triggers; Prefect makes them anew each time, so a paused one is made paused."""
    there = ask(server, "GET", f"automations/related-to/prefect.deployment.{deployment}") if ours else []
    paused = {each["name"] for each in there if not each["enabled"]}
    named = [(trigger.get("name", f"{name}__automation_{number}"), trigger) for number, trigger in enumerate(ours, 1)]
    return _Merged(
        [{**trigger, "enabled": False} if known_as in paused else trigger for known_as, trigger in named],
        [f"{name}: its automation stays paused" for known_as, _ in named if known_as in paused],
    )


def _differences(name: str, deployment: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Name the other differences between the server and the file; only by name, because the values may hold keys."""
    limit = (known["global_concurrency_limit"] or {}).get("limit")
    values = {
        "entrypoint": (known["entrypoint"], deployment["entrypoint"]),
        "parameters": (known["parameters"], deployment.get("parameters", {})),
        "tags": (sorted(known["tags"]), sorted(deployment["tags"])),
        "concurrency limit": (limit, deployment["concurrency_limit"]["limit"]),
        "work pool": (known["work_pool_name"], deployment["work_pool"]["name"]),
        "job variables": (known["job_variables"], deployment["work_pool"]["job_variables"]),
    }
    different = [what for what, (before, after) in values.items() if before != after]
    return [f"{name}: prefect.yaml replaces the server's {', '.join(different)}"] if different else []


def _prefect(*arguments: str) -> None:
    ended = subprocess.run([*_PREFECT, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - Prefect
    if ended.returncode:
        output = (ended.stdout + ended.stderr).strip()
        raise NotRegistered(f"`prefect {' '.join(arguments)}` failed:\n{output}")
