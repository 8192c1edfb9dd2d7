"""
Register ``prefect.yaml`` at a Prefect server and keep what a person has changed there.

``prefect deploy --all`` alone resumes a deployment that a person paused, and drops the schedules that a person added.
So Prefect reads a copy of the file in which each deployment and schedule is paused as it is on the server, and which
lists the added schedules too. One request per deployment carries all of it: at no moment does a paused one run.
"""

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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

#: The variable on the server that says for which store and ledger it works.
_CLAIM = "impactflow_registered"
_PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")


class NotRegistered(ImpactError):
    """Prefect did not take the deployments."""


@dataclass(frozen=True)
class Registered:
    """
    The deployments of ``prefect.yaml``, as the server has them now.

    Args:
        api_url: The server's API.
        pool: The name of the work pool.
        names: The names of the deployments.
        kept: What a person has changed on the server and what stays so, one sentence each.
        changed: What the file changes on the server, one sentence each.
    """

    api_url: str
    pool: str
    names: Sequence[str]
    kept: Sequence[str]
    changed: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """One object for a program."""
        return {
            "deployments": list(self.names), "api_url": self.api_url, "kept": list(self.kept),
            "changed": list(self.changed),
        }  # fmt: skip


@dataclass
class _Merged:
    """One deployment of the file, with what a person has changed on the server."""

    content: dict[str, Any]
    kept: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def run_register(*, as_json: bool) -> int:
    """Register, and say which deployments there are; ``register_project`` has said what it keeps and changes."""
    registered = register_project()
    if as_json:
        print_json(registered.as_json())
    else:
        out.print(f"registered {', '.join(registered.names)} at {registered.api_url}", markup=False)
    return 0


def register_project() -> Registered:
    """
    Make the work pool where there is none, and register all deployments; say first what is kept and what changes.

    Raises:
        ConfigurationError: There is no ``prefect.yaml`` here, or no server of this store at PREFECT_API_URL.
        NotRegistered: The server refused the pool or a deployment; the message has Prefect's words.
    """
    content = read_project()
    pool = content["definitions"]["work_pool"]["name"]
    with open_server() as server:
        _see_whose_server_it_is(server)
        merged = [_merge(server, deployment) for deployment in content["deployments"]]
        kept, changed = ([line for each in merged for line in getattr(each, what)] for what in ("kept", "changed"))
        for line in (*shortcomings(server), *kept, *changed):
            err.print(line, markup=False)
        _prefect("work-pool", "create", pool, "--type", "process", unless="already exists")
        with TemporaryDirectory(prefix="impactflow-") as folder:
            file = Path(folder) / "prefect.yaml"
            with file.open("w") as writable:
                YAML(typ="safe").dump({**content, "deployments": [each.content for each in merged]}, writable)
            _prefect("deploy", "--all", "--prefect-file", str(file))
        for deployment in content["deployments"]:
            _refuse_unknown_parameters(server, deployment)
        names = [deployment["name"] for deployment in content["deployments"]]
        return Registered(str(server.base_url).rstrip("/"), pool, names, kept, changed)


def read_project() -> Mapping[str, Any]:
    """
    Read ``prefect.yaml``.

    Raises:
        ConfigurationError: It is not in the working directory.
    """
    try:
        content: Mapping[str, Any] = YAML(typ="safe").load(Path("prefect.yaml"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no prefect.yaml in {Path.cwd()}: change to the folder that impactflow was cloned into"
        ) from None
    return content


def _see_whose_server_it_is(server: httpx.Client) -> None:
    """
    Claim the server for this store and ledger: the deployments of another one would be taken over by the same names.

    Raises:
        ConfigurationError: The server works for another one.
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
    """Have the server refuse a run with a parameter that the flow has not, by its name; the run itself would crash."""
    known = _read(server, deployment)
    if known is not None:
        schema = {**known["parameter_openapi_schema"], "additionalProperties": False}
        ask(server, "PATCH", f"deployments/{known['id']}", {"parameter_openapi_schema": schema})


def _merge(server: httpx.Client, deployment: Mapping[str, Any]) -> _Merged:
    """Lay what a person has changed on the server over a deployment of the file."""
    name = deployment["name"]
    merged = _Merged(dict(deployment))
    known = _read(server, deployment)
    if known is None:
        return merged
    if known["paused"]:
        merged.content["paused"] = True
        merged.kept.append(f"{name} stays paused")
    merged.content["schedules"] = _merge_schedules(merged, name, deployment["schedules"], known["schedules"])
    if "triggers" in deployment:
        merged.content["triggers"] = _merge_triggers(server, merged, name, deployment["triggers"], known["id"])
    _compare(merged, name, deployment, known)
    return merged


def _read(server: httpx.Client, deployment: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A deployment as the server has it; None where it has none of that name."""
    flow = deployment["entrypoint"].rpartition(":")[2]
    known: Mapping[str, Any] | None = ask(server, "GET", f"deployments/name/{flow}/{deployment['name']}", or_none=True)
    return known


def _merge_schedules(
    merged: _Merged, name: str, ours: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The file's schedules, active or not as on the server, and those that a person has added there."""
    schedules: list[dict[str, Any]] = []
    slugs = {each.get("replaces", each["slug"]): each for each in ours}
    there = {each["slug"]: each for each in known if each["slug"] in slugs}
    for slug, schedule in slugs.items():
        before = there.get(slug)
        if before is None:
            merged.changed.append(f"{name} gets the schedule {schedule['slug']}: {_when(schedule)}")
            schedules.append(dict(schedule))
            continue
        if not before["active"]:
            merged.kept.append(f"{name}: the schedule {slug} stays paused")
        if _when(before["schedule"]) != _when(schedule):
            told = f"from {_when(before['schedule'])} to {_when(schedule)}"
            merged.changed.append(f"{name}: the schedule {slug} changes {told}")
        schedules.append({**schedule, "active": before["active"]})
    for each in known:
        if each["slug"] not in there:
            merged.kept.append(f"{name} keeps a schedule that is not in prefect.yaml: {_when(each['schedule'])}")
            schedules.append(_in_the_files_words(each))
    return schedules


def _in_the_files_words(known: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule of the server's in the words of ``prefect.yaml``."""
    told = {**known["schedule"], "active": known["active"], "parameters": known["parameters"], "slug": known["slug"]}
    return {name: value for name, value in told.items() if value is not None}


def _when(schedule: Mapping[str, Any]) -> str:
    what = next(f"{schedule[kind]}" for kind in ("cron", "rrule", "interval") if schedule.get(kind))
    every = f"every {what} s" if schedule.get("interval") else what
    return f"{every} {schedule.get('timezone') or 'UTC'}"


def _merge_triggers(
    server: httpx.Client, merged: _Merged, name: str, ours: Sequence[Mapping[str, Any]], deployment: str
) -> list[dict[str, Any]]:
    """The file's triggers; Prefect makes them anew each time, so a paused one is made paused."""
    there = ask(server, "GET", f"automations/related-to/prefect.deployment.{deployment}")
    paused = {each["name"] for each in there if not each["enabled"]}
    triggers = []
    for number, trigger in enumerate(ours, 1):
        is_paused = trigger.get("name", f"{name}__automation_{number}") in paused
        if is_paused:
            merged.kept.append(f"{name}: its automation stays paused")
        triggers.append({**trigger, "enabled": False} if is_paused else dict(trigger))
    return triggers


def _compare(merged: _Merged, name: str, deployment: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Say what else is otherwise on the server than in the file; the values may hold keys, so only their names."""
    limit = (known["global_concurrency_limit"] or {}).get("limit")
    values = {
        "entrypoint": (known["entrypoint"], deployment["entrypoint"]),
        "parameters": (known["parameters"], deployment.get("parameters", {})),
        "tags": (sorted(known["tags"]), sorted(deployment["tags"])),
        "concurrency limit": (limit, deployment["concurrency_limit"]["limit"]),
        "work pool": (known["work_pool_name"], deployment["work_pool"]["name"]),
        "job variables": (known["job_variables"], deployment["work_pool"]["job_variables"]),
    }
    if different := [what for what, (before, after) in values.items() if before != after]:
        merged.changed.append(f"{name}: prefect.yaml replaces the server's {', '.join(different)}")


def _prefect(*arguments: str, unless: str | None = None) -> None:
    """Run a command of Prefect's; ``unless`` is what it says where it failed because there was nothing to do."""
    ended = subprocess.run([*_PREFECT, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - Prefect
    said = ended.stdout + ended.stderr
    if ended.returncode and not (unless and unless in said):
        raise NotRegistered(f"`prefect {' '.join(arguments)}` failed:\n{said.strip()}")
