"""
Commands that start at once: each is forked from a process that has imported what it needs, which is most of a start.

After the fork each command is like ``impactflow`` started by hand: a process of its own, with its own environment,
folder, connections and death.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from impactflow.proof.programs import Impactflow, base_environment

#: Modules that ``impactflow place`` imports, the last only once a flow begins.
_IMPORTS = ("impactflow.cli.commands", "flows.place_impacts", "fastapi")
#: Set as ``cli.prefect`` sets it: Prefect reads it while it is imported.
_LOGGERS = {"PREFECT_LOGGING_EXTRA_LOGGERS": "impactflow,tasks"}


@dataclass(frozen=True, slots=True)
class Forked:
    """
    A command that was started.

    Args:
        pid: The id of the command's process.
        output: The file with everything the command prints.
    """

    pid: int
    output: Path

    def is_alive(self) -> bool:
        """Whether the command is still running."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """End the command with SIGKILL."""
        self._send(signal.SIGKILL)

    def stop(self) -> None:
        """Stop the command, wherever it is."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the command go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class ForkServer:
    """
    The process that others are forked from, while the context is open.

    Args:
        home: The process's home, which the commands share as far as Prefect is concerned.
        prefect_api_url: The Prefect server that all commands use.

    Attributes:
        prefect_api_url: See Args.

    Raises:
        RuntimeError: The process has ended; it wrote the reason on standard error.
    """

    def __init__(self, home: Path, prefect_api_url: str) -> None:
        self.prefect_api_url = prefect_api_url
        self._process = subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-m", __name__],
            cwd=home,
            env={**base_environment(home), **_LOGGERS, "PREFECT_API_URL": prefect_api_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt is for the parent, which then ends the others
        )
        self._read()

    def __enter__(self) -> Self:
        """Open the context, which ends the process when left."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process; the commands it has started live on."""
        self._process.kill()
        self._process.communicate()

    def start(self, command: Impactflow, *arguments: str, output: Path) -> Forked:
        """
        Begin a command; the caller ends it.

        Raises:
            RuntimeError: The process that others are forked from has ended.
        """
        assert self._process.stdin is not None
        order = _Order(arguments, str(command.folder), command.variables, str(output))
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        return Forked(int(self._read()), output)

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that others are forked from has ended")
        return line


@dataclass(frozen=True, slots=True)
class _Order:
    """A command to start; sent to the server as one line of JSON."""

    arguments: tuple[str, ...]
    folder: str
    variables: Mapping[str, str]
    output: str

    def become(self) -> None:
        """Turn this process into the command."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        os.environ.update(self.variables)
        os.chdir(self.folder)
        with Path(os.devnull).open() as nothing, Path(self.output).open("w") as output:
            os.dup2(nothing.fileno(), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        sys.argv = ["impactflow", *self.arguments]
        importlib.import_module("impactflow.cli").main()


def _serve() -> None:
    for name in _IMPORTS:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process waits for the commands: dead ones must vanish
    _say("ready")
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return _Order(**order).become()
        _say(str(pid))
    return None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve()
