"""
All deployments of ``prefect.yaml``, registered and run on this machine: called by ``impactflow serve``.

What a person would type one after the other: the pool is made where there is none, ``prefect deploy --all`` registers
the file, and this process becomes a worker of the pool. So there is one reading of the file, Prefect's own, and a
laptop's deployments are those of a cluster.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML

from impactflow.cli.console import err, print_json
from impactflow.cli.prefect import require_server
from impactflow.errors import ConfigurationError, ImpactError

#: Runs at a time: each takes 100 MB and, while it starts, a core.
_AT_A_TIME = 2
_PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")


class NotRegistered(ImpactError):
    """Prefect did not take the deployments."""


def serve_deployments(*, as_json: bool) -> NoReturn:
    """
    Register, say so on standard output, and go on as the worker.

    Raises:
        ConfigurationError: There is no ``prefect.yaml`` here, or no server at PREFECT_API_URL.
        NotRegistered: The server took the pool or the deployments not; with what Prefect said.
    """
    content = read_project()
    pool = content["definitions"]["work_pool"]["name"]
    api_url = require_server()
    variables = {**os.environ, "IMPACTFLOW_HOME": str(Path.cwd())}
    _prefect(variables, "work-pool", "create", pool, "--type", "process", unless="already exists")
    _prefect(variables, "deploy", "--all")
    names = [deployment["name"] for deployment in content["deployments"]]
    err.print(f"serving {', '.join(names)} for {api_url}, {_AT_A_TIME} runs at a time; Ctrl-C ends it", markup=False)
    if as_json:
        print_json({"deployments": names, "api_url": api_url})
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the worker's lines are no part of the one object
    worker = [sys.executable, "-m", "deployments.worker", pool, str(_AT_A_TIME)]
    os.execve(sys.executable, worker, variables)  # noqa: S606 - ourselves


def read_project() -> Mapping[str, Any]:
    """
    What ``prefect.yaml`` says.

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


def _prefect(variables: Mapping[str, str], *arguments: str, unless: str | None = None) -> None:
    """Run a command of Prefect's; ``unless`` is what it says where it failed because there was nothing to do."""
    ended = subprocess.run([*_PREFECT, *arguments], env=variables, capture_output=True, text=True, check=False)  # noqa: S603 - Prefect
    said = ended.stdout + ended.stderr
    if ended.returncode and not (unless and unless in said):
        raise NotRegistered(f"`prefect {' '.join(arguments)}` failed:\n{said.strip()}")
