"""
Commands that start at once: forks of a process that has loaded what they need, which is most of a start.

From there on each is what a person starts: a process of its own, with its own arguments, environment, folder, outputs,
exit status and end. How a signal ends a command, and what its start loads, is for tests that start a new interpreter.
"""

import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from types import MappingProxyType, ModuleType
from unittest import mock

from impactflow.proof.programs import Ended, base_environment

#: What ``impactflow place`` and its like import, the last ones only once a flow runs.
_IMPORTS = [
    "impactflow.cli.commands",
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


def command(*arguments: str) -> None:
    """Be ``impactflow``."""
    from impactflow.__main__ import main

    sys.argv = ["impactflow", *arguments]
    main()


def code(text: str, *arguments: str) -> None:
    """Be ``python -c``."""
    main = sys.modules["__main__"] = ModuleType("__main__")
    sys.argv = ["-c", *arguments]
    exec(text, main.__dict__)


def forked(
    program: Callable[..., None], *arguments: str, folder: Path, variables: Mapping[str, str], timeout_s: float = 120
) -> Ended:
    """
    Run ``command`` or ``code`` from beginning to end.

    Raises:
        TimeoutError: It did not end, and was killed; with all that it printed.
    """
    with TemporaryDirectory(prefix="impactflow-forked-") as printed:
        outputs = {1: Path(printed, "out"), 2: Path(printed, "err")}
        process = start_forked(program, *arguments, folder=folder, variables=variables, outputs=outputs)
        process.join(timeout_s)
        late = process.exitcode is None
        if late:
            process.kill()
            process.join()
        out, err = (file.read_text() if file.exists() else "" for file in outputs.values())
    if late:
        raise TimeoutError(f"it did not end within {timeout_s:g} s\n{out}\n{err}")
    return Ended(process.exitcode, out, err)


def start_forked(
    program: Callable[..., None],
    *arguments: object,
    folder: Path,
    variables: Mapping[str, str],
    outputs: Mapping[int, Path] = MappingProxyType({}),
) -> BaseProcess:
    """
    Begin any function of a module; the caller ends it.

    Args:
        program: It, and what it is called with.
        arguments: As above.
        folder: The working directory.
        variables: All environment variables.
        outputs: Where its standard output (1) and standard error (2) go; where ours go by default.
    """
    _FORKS.set_forkserver_preload(_IMPORTS)
    # Prefect makes its home when it is imported; in the project's folder, ruff would take it for a package of ours.
    with mock.patch.dict(os.environ, {**base_environment(Path(gettempdir())), **_LOGGERS}, clear=True):
        ensure_running()
    passed = (program, arguments, folder, _LOGGERS | variables, dict(outputs))
    process = _FORKS.Process(target=_become, args=passed, daemon=True)
    process.start()
    return process


def _become(
    program: Callable[..., None],
    arguments: tuple[object, ...],
    folder: Path,
    variables: Mapping[str, str],
    outputs: Mapping[int, Path],
) -> None:
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for number, file in outputs.items():
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    refresh_global_settings_context()
    setup_logging(incremental=False)
    try:
        program(*arguments)
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
