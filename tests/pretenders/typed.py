"""
The real command line, as a user types it, in processes that can be killed at any moment.

Loading Prefect takes seconds, so one process loads it and each command is a fork of that: the same program, the same
arguments and environment, and a process of its own. `PREFECT_API_URL` must be in the environment before the first one.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELOAD = [
    "__main__",
    "impactflow.cli",
    "flows.place_impacts",
    "flows.track_placements",
    "flows.reconcile_providers",
    "prefect.flow_engine",
    "prefect.task_engine",
    "fastapi",
    "graphviz",
]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(PRELOAD)

LATE = 124
"""The exit status of a command that did not end in time."""


def command(arguments: list[str], environment: dict[str, str], folder: str, output: str) -> None:
    """Be the program `impactflow` in this process."""
    os.chdir(folder)
    os.environ.update(environment)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["impactflow", *arguments]
    from impactflow.cli import main

    main()


@dataclass
class Result:
    """What a command has said: its exit status, None where it was killed, and its two outputs."""

    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def output(self) -> dict[str, Any]:
        """The one JSON object of `--json`; empty where there is none."""
        try:
            return json.loads(self.out)
        except ValueError:
            return {}


def typed(
    arguments: list[str],
    environment: dict[str, str],
    folder: Path,
    *,
    timeout_s: float = 120,
    killer: Callable[[Callable[[], None]], None] | None = None,
) -> Result:
    """Run one command to its end; `killer` is given what kills it with SIGKILL."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        process = FORKS.Process(target=command, args=(arguments, environment, str(folder), output), daemon=True)
        began = time.monotonic()
        process.start()
        killed = threading.Event()

        def kill() -> None:
            killed.set()
            process.kill()

        if killer:
            killer(kill)
        process.join(timeout_s)
        late = process.is_alive()
        if late:
            process.kill()
            process.join(10)
        texts = [Path(output, name).read_text() if Path(output, name).exists() else "" for name in ("out", "err")]
        status = None if killed.is_set() and process.exitcode == -9 else LATE if late else process.exitcode
        return Result(status, *texts, time.monotonic() - began)
