"""
All deployments of ``prefect.yaml``, registered and run on this machine.

First ``impactflow register``, then this process becomes a worker of the pool. So Prefect alone reads the file, and a
laptop's deployments are those of a cluster. Runs take place in the working directory, where ``.env`` and the policy
are.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from impactflow.cli.console import err, print_json
from impactflow.cli.registering import register_project

#: The number of runs at a time: each takes 100 MB and, while it starts, a core.
_AT_A_TIME = 2


def serve_deployments(*, as_json: bool) -> NoReturn:
    """
    Register, report on standard output, and continue as the worker.

    Raises:
        ConfigurationError: There is no server at PREFECT_API_URL, or the working directory is unsuitable.
        NotRegistered: The server refused the pool or a deployment; the message has Prefect's text.
    """
    registered = register_project()
    err.print(
        f"serving {', '.join(registered.names)} for {registered.api_url}, {_AT_A_TIME} runs at a time; Ctrl-C ends it",
        markup=False,
    )
    if as_json:
        print_json(registered.as_json())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the worker's lines are not part of the one object
    worker = [sys.executable, "-m", "deployments.worker", registered.pool, str(_AT_A_TIME)]
    os.execve(sys.executable, worker, {**os.environ, "IMPACTFLOW_HOME": str(Path.cwd())})  # noqa: S606 - ourselves
