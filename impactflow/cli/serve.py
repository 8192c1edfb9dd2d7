"""
All deployments of ``prefect.yaml``, registered and run on this machine: called by ``impactflow serve``.

What a person would type one after the other: the pool is made where there is none, ``prefect deploy --all`` registers
the file, and this process becomes a worker of the pool. So there is one reading of the file, Prefect's own, and a
laptop's deployments are those of a cluster. Runs take place in the working directory, where ``.env`` and the policy
are; the flows are those of the clone in it, or the installed ones.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from ruamel.yaml import YAML

from impactflow.cli.console import err, print_json
from impactflow.cli.prefect import require_server
from impactflow.errors import ConfigurationError, ImpactError

#: Runs at a time: each takes 100 MB and, while it starts, a core.
_AT_A_TIME = 2
_HERE = Path("prefect.yaml")
_PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")


class NotRegistered(ImpactError):
    """Prefect did not take the deployments."""


def serve_deployments(*, as_json: bool) -> NoReturn:
    """
    Register, say so on standard output, and go on as the worker.

    Raises:
        ConfigurationError: There is no server at PREFECT_API_URL, or the working directory will not do.
        NotRegistered: The server took the pool or the deployments not; with what Prefect said.
    """
    content = read_project()
    pool = content["definitions"]["work_pool"]["name"]
    api_url = require_server()
    variables = {**os.environ, "IMPACTFLOW_HOME": str(Path.cwd())}
    _prefect(variables, "work-pool", "create", pool, "--type", "process", unless="already exists")
    with _project_file(content) as file:
        _prefect(variables, "deploy", "--all", "--prefect-file", str(file))
    names = [deployment["name"] for deployment in content["deployments"]]
    err.print(f"serving {', '.join(names)} for {api_url}, {_AT_A_TIME} runs at a time; Ctrl-C ends it", markup=False)
    if as_json:
        print_json({"deployments": names, "api_url": api_url})
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the worker's lines are no part of the one object
    worker = [sys.executable, "-m", "deployments.worker", pool, str(_AT_A_TIME)]
    os.execve(sys.executable, worker, variables)  # noqa: S606 - ourselves


def read_project() -> dict[str, Any]:
    """What ``prefect.yaml`` says: that of the working directory, such as a clone, or the one that is installed."""
    file = next(each for each in (_HERE, *_installed()) if each.exists())
    content: dict[str, Any] = YAML(typ="safe").load(file)
    return content


def _installed() -> Sequence[Path]:
    """Where the file lies beside the packages: in the package ``deployments`` of a wheel, else in the clone."""
    folder = _packages()
    return folder / "deployments" / _HERE, folder / _HERE


def _packages() -> Path:
    """The folder that holds the packages ``flows`` and ``deployments``."""
    found = find_spec("flows")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent.parent


@contextmanager
def _project_file(content: Mapping[str, Any]) -> Iterator[Path]:
    """
    The file to deploy; where there is none in the working directory, one that names the installed flows.

    Raises:
        ConfigurationError: Something in the working directory would be taken for ours.
    """
    if _HERE.exists():
        yield _HERE
        return
    if theirs := [name for name in ("flows", "tasks") if Path(name).exists()]:
        raise ConfigurationError(
            f"the runs' working directory is {Path.cwd()}, where Prefect would take {' and '.join(theirs)} for ours:"
            " change to another folder"
        )
    deployments = [{**each, "entrypoint": str(_packages() / each["entrypoint"])} for each in content["deployments"]]
    with TemporaryDirectory(prefix="impactflow-") as folder:
        file = Path(folder) / _HERE
        YAML(typ="safe").dump({**content, "deployments": deployments}, file)
        yield file


def _prefect(variables: Mapping[str, str], *arguments: str, unless: str | None = None) -> None:
    """Run a command of Prefect's; ``unless`` is what it says where it failed because there was nothing to do."""
    ended = subprocess.run([*_PREFECT, *arguments], env=variables, capture_output=True, text=True, check=False)  # noqa: S603 - Prefect
    said = ended.stdout + ended.stderr
    if ended.returncode and not (unless and unless in said):
        raise NotRegistered(f"`prefect {' '.join(arguments)}` failed:\n{said.strip()}")
