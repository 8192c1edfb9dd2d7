"""
Everything at once, to look at.

A Prefect server with its pages, the deployments, the receiver and the sandbox, each a process of its own on loopback.
Nothing is special except for the shop, which is pretended, and the times, which are short. The folder ``up`` keeps
Prefect's history, the policy and the secrets. The sandbox and the ledger begin anew each time.
"""

import fcntl
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from impactflow.cli.console import err, out, print_json, print_table
from impactflow.cli.parts import Parts, interruptible, make_folder
from impactflow.cli.pretend_shop import policy_text
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.stopping import Stopped

#: The folder for all files, below the working directory.
FOLDER = Path("up")
#: The first ports to try in the search for free ones.
_SERVER_PORT, _SANDBOX_PORT, _RECEIVER_PORT = 4200, 4300, 4400
#: The longest that Prefect's server may take to start on a slow machine, in seconds.
_LONGEST_START_S = 180.0
#: Five weeks of tracking in two minutes; now and then an answer is lost, and two orders or so get twice the trees.
_SANDBOX = (
    "--orders=100",
    "--seed=7",
    "--speed=25000",
    "--latency-ms=20",
    "--faults=lost_answer=0.05,late_effect=0.02,oneclickimpact.wrong_amount=0.02",
)
#: In seconds: doubts are resolved, and purchases are tracked again, while a person watches.
_TIMES = {
    "IMPACTFLOW_LEASE_S": "20",
    "IMPACTFLOW_REQUEST_TIMEOUT_S": "5",
    "IMPACTFLOW_SETTLE_S": "15",
    "IMPACTFLOW_TRACK_S": "30",
}
#: Settings that our server needs and that Prefect's defaults lack. Leases in memory are lost with the server: a run
#: under way is then killed when it renews its lease, or its deployment's place stays taken for ever.
SERVER_SETTINGS = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
_COMMENT = "# The pretend shop's policy: try another one here; the next run goes by it.\n"
#: A large offset waits for a person's approval.
_LIMITS = {"offset": "approve_above: 15"}
_REEF = """\
  # A campaign that is gone: what it would get fails, and a person settles it.
  - slot: reef
    provider: impactapi
    impact: donate
    campaign: a-reef-that-is-gone
    quantity: {percent_of_order: 1}
    when: {min_amount_usd: 200}
"""
_OURSELVES = (sys.executable, "-m", "impactflow")


def run_up(*, as_json: bool) -> int:
    """
    Start everything, print the addresses, and wait for Ctrl-C, which ends all of it.

    Raises:
        ConfigurationError: The folder ``up`` cannot be made, or another ``up`` runs in it.
        PartEnded: A part ended by itself, and all were ended.
    """
    make_folder(FOLDER)
    try:
        with _alone(), interruptible(), Parts(FOLDER) as parts:
            _start(parts, as_json=as_json)
            parts.watch()
    except Stopped as stopped:
        err.print("ended")
        return stopped.exit_status
    raise AssertionError("all parts are watched until something ends")


@contextmanager
def _alone() -> Iterator[None]:
    """Lock the folder: a second ``up`` would delete its ledger."""
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(
                f"`impactflow up` runs in {Path.cwd()} already: use it, or end it with Ctrl-C, or start this one in"
                " another folder"
            ) from None
        yield


def _start(parts: Parts, *, as_json: bool) -> None:
    """Start all parts, the server at the same time, and print their addresses."""
    api_url = f"http://127.0.0.1:{_free_port(_SERVER_PORT)}/api"
    variables = _variables(api_url)
    err.print("starting Prefect's server, the deployments, the receiver and the sandbox: about half a minute")
    serving = ["--host", "127.0.0.1", "--port", str(httpx.URL(api_url).port)]
    parts.start("server", [sys.executable, "-m", "prefect", "server", "start", *serving], variables)
    port = _free_port(_SANDBOX_PORT)
    variables |= parts.start_talking(
        "sandbox", [*_OURSELVES, "sandbox", "--json", f"--port={port}", *_SANDBOX], variables
    )
    receiver_url = f"http://127.0.0.1:{_free_port(_RECEIVER_PORT)}"
    variables["IMPACTFLOW_WEBHOOKS_URL"] = receiver_url
    _begin_anew(variables)
    command = [*_OURSELVES, "webhooks", "--json", f"--port={httpx.URL(receiver_url).port}"]
    with _month() as month:
        parts.start_talking("receiver", command, variables)
        _await_server(parts, api_url)
        _mark_what_was_cut_off(api_url)
        parts.start_talking("deployments", [*_OURSELVES, "serve", "--json"], variables)
        _install_automations(variables)
        told = _publish_month(api_url, month)
    if as_json:
        where = {"api_url": api_url, "webhooks_url": receiver_url, "folder": str(FOLDER.resolve())}
        print_json({**where, "pids": parts.pids})
        return
    pages = api_url.removesuffix("/api")
    addresses = {
        "Prefect's pages": pages,
        "the receiver's health": f"{receiver_url}/health",
        "a month, told": f"{pages}/artifacts/artifact/{told}",
        "the sandbox's books": variables["WICKED_REPORTS_URL"].replace("/wickedreports", "/_sandbox/books"),
    }
    print_table("Running", [{"what": what, "where": where} for what, where in addresses.items()])
    out.print(
        f"Webhooks are sent to {receiver_url} (try `impactflow webhooks send standard`). PREFECT_API_URL is {api_url}.",
        markup=False,
    )
    out.print(
        f"Next: on {pages}/deployments choose `place`, Run, Quick run. A run of `approve` then comes by itself, and its"
        " page has a form behind Resume; `settle` is for what failed or is parked; then run `place` again, and `track`."
        f" In another terminal, `set -a; . {FOLDER}/environment` makes `impactflow status` and the other commands work"
        " on the pretend shop. Ctrl-C ends all of it.",
        markup=False,
    )


def _variables(api_url: str) -> dict[str, str]:
    """Return the environment of all parts; a person's own settings are left out, and these win over `.env`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "IMPACTFLOW_"))}
    return {
        **inherited,
        **_TIMES,
        **_secrets(),
        "IMPACTFLOW_LEDGER_URL": f"sqlite:///{(FOLDER / 'impactflow.db').resolve()}",
        "IMPACTFLOW_POLICY": str((FOLDER / "policy.yaml").resolve()),
        "IMPACTFLOW_REPORTS": str((FOLDER / "reports").resolve()),
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str((FOLDER / "prefect").resolve()),
        "PREFECT_UI_API_URL": api_url,  # without this, the pages on another port than 4200 stay empty
        "PREFECT_UI_URL": api_url.removesuffix("/api"),
        **SERVER_SETTINGS,
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": _origins(api_url),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def _origins(api_url: str) -> str:
    """Return the pages that may call the API: the server's own. By default any page open in a browser may."""
    pages = api_url.removesuffix("/api")
    return f"{pages},{pages.replace('127.0.0.1', 'localhost')}"


def _secrets() -> dict[str, str]:
    """Return the receiver's secrets, made once for the folder."""
    file = FOLDER / "secrets.json"
    if not file.exists():
        file.touch(mode=0o600)
        made = {
            "IMPACTFLOW_WEBHOOK_SECRETS": f"whsec_{b64encode(secrets.token_bytes(24)).decode()}",
            "IMPACTFLOW_CALLBACK_SECRET": secrets.token_urlsafe(24),
        }
        file.write_text(json.dumps(made))
    kept: dict[str, str] = json.loads(file.read_text())
    return kept


def _begin_anew(variables: Mapping[str, str]) -> None:
    """Begin without the old ledger: the new sandbox has none of its purchases, so all of them would be missing."""
    for file in FOLDER.glob("impactflow.db*"):
        file.unlink()
    policy = FOLDER / "policy.yaml"
    if not policy.exists():
        policy.write_text(_COMMENT + policy_text("pretend", datetime.now(UTC).date(), _LIMITS) + _REEF)
    ours = {name: value for name, value in variables.items() if os.environ.get(name) != value}
    environment = FOLDER / "environment"
    environment.touch(mode=0o600)
    environment.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in ours.items()))


def _await_server(parts: Parts, api_url: str) -> None:
    until = time.monotonic() + _LONGEST_START_S
    while True:
        parts.check()
        try:
            if httpx.get(f"{api_url}/health", timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > until:
            raise ImpactError(f"Prefect's server did not start within {_LONGEST_START_S:g} s: see {FOLDER}/server.log")
        time.sleep(0.2)


def _mark_what_was_cut_off(api_url: str) -> None:
    """Mark runs that the last end cut off: they would stay Running, and keep their deployments' places."""
    under_way = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}
    crashed = {"type": "CRASHED", "name": "Crashed", "message": "Cut off when `impactflow up` was ended."}
    with httpx.Client(base_url=api_url, timeout=30, trust_env=False) as api:
        for run in api.post("/flow_runs/filter", json=under_way).raise_for_status().json():
            body = {"state": crashed, "force": True}
            api.post(f"/flow_runs/{run['id']}/set_state", json=body).raise_for_status()


def _install_automations(variables: Mapping[str, str]) -> None:
    command = [*_OURSELVES, "automations", "--json"]
    ended = subprocess.run(command, env=dict(variables), check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
    if ended.returncode:
        raise ImpactError("the automations could not be installed")


@contextmanager
def _month() -> Iterator[subprocess.Popen[str]]:
    """Play a made-up merchant's month, in a folder of its own, while the others start: see ``impactflow month``."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("IMPACTFLOW_")}
    command = [*_OURSELVES, "month", "--json"]
    with (FOLDER / "month.log").open("w") as log:
        playing = subprocess.Popen(  # noqa: S603 - ourselves
            command, cwd=FOLDER, env=plain, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with playing:
        try:
            yield playing
        finally:
            playing.terminate()


def _publish_month(api_url: str, month: subprocess.Popen[str]) -> str:
    """Publish the month's page as an artifact, which Prefect's pages show; return its id."""
    told, _ = month.communicate()
    if month.returncode:
        raise ImpactError(f"the month could not be played: see {FOLDER}/month.log")
    page = {
        "key": "a-month",
        "type": "markdown",
        "description": "A made-up month: type its commands in the folder up",
        "data": json.loads(told)["page"],
    }
    with httpx.Client(base_url=api_url, timeout=30, trust_env=False) as api:
        made: str = api.post("/artifacts/", json=page).raise_for_status().json()["id"]
    return made


def _free_port(first: int) -> int:
    """Return the first free port on loopback, from this one on."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was left a moment ago is free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ImpactError(f"no port from {first} to {first + 99} is free on 127.0.0.1")
