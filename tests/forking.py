"""
Commands that start at once: forks of a process that has loaded what they need, which is most of a start.

From there on each is what a person starts: a process of its own, with its own arguments, environment, folder, outputs,
exit status and end. How a signal ends a command, and what its start loads, is for tests that start a new interpreter.
"""

import atexit
import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from impactflow.proof.programs import Ended, base_environment

#: What ``impactflow place`` and its like import, the last ones only once a flow runs.
_IMPORTS = [
    "impactflow.cli.main",
    "impactflow.proof.programs",
    "flows.place_impacts",
    "flows.track_placements",
    "flows.reconcile_providers",
    "flows.backfill_orders",
    "fastapi",
    "graphviz",
]
#: As ``impactflow.cli.prefect`` sets it before it imports Prefect.
_LOGGERS = {"PREFECT_LOGGING_EXTRA_LOGGERS": "impactflow,tasks"}
_FORKS = multiprocessing.get_context("forkserver")


def run_forked(arguments: tuple[str, ...], folder: Path, variables: Mapping[str, str], timeout_s: float) -> Ended:
    """
    Run a command from beginning to end.

    Raises:
        TimeoutError: It did not end, and was killed; with all that it printed.
    """
    _FORKS.set_forkserver_preload(_IMPORTS)
    with mock.patch.dict(os.environ, {**base_environment(folder), **_LOGGERS}, clear=True):
        ensure_running()
    with TemporaryDirectory(prefix="impactflow-forked-") as printed:
        out, err = Path(printed, "out"), Path(printed, "err")
        outputs = {1: out, 2: err}
        process = _FORKS.Process(target=_become, args=(arguments, folder, _LOGGERS | variables, outputs), daemon=True)
        process.start()
        process.join(timeout_s)
        late = process.exitcode is None
        if late:
            process.kill()
            process.join()
        texts = [each.read_text() if each.exists() else "" for each in (out, err)]
    if late:
        raise TimeoutError("\n".join([f"it did not end within {timeout_s:g} s", *texts]))
    return Ended(process.exitcode, *texts)


def _become(
    arguments: tuple[str, ...], folder: Path, variables: Mapping[str, str], outputs: Mapping[int, Path]
) -> None:
    from prefect.context import refresh_global_settings_context

    from impactflow.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, file in outputs.items():
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    refresh_global_settings_context()
    sys.argv = ["impactflow", *arguments]
    try:
        main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
