"""
Commands that start at once: forked from a process that has imported what they need, which is most of a start.

From there on each is what ``impactflow`` is when started by hand: a process of its own, with its own environment,
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

#: What ``impactflow place`` imports, the last only once a flow begins.
_IMPORTS = ("impactflow.cli.commands", "flows.place_impacts", "fastapi")
#: As ``cli.prefect`` sets it: Prefect reads it while it is imported.
_LOGGERS = {"PREFECT_LOGGING_EXTRA_LOGGERS": "impactflow,tasks"}


@dataclass(frozen=True, slots=True)
class Forked:
    """
    A command that was started.

    Args:
        pid: Its process.
        output: The file with all that it prints.
    """

    pid: int
    output: Path

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._send(signal.SIGKILL)

    def stop(self) -> None:
        """Have it stand still, wherever it is."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class ForkServer:
    """
    The process that others are forked from, while the context is open.

    Args:
        home: Its home, which they share as far as Prefect is concerned.
        prefect_api_url: The Prefect server that they all use.

    Attributes:
        prefect_api_url: As above.

    Raises:
        RuntimeError: It has ended, and has said on standard error why.
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
            start_new_session=True,  # an interrupt is for whoever started all this, who then ends the others
        )
        self._read()

    def __enter__(self) -> Self:
        """As a context that ends it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it; what it has started lives on."""
        self._process.kill()
        self._process.communicate()

    def start(self, command: Impactflow, *arguments: str, output: Path) -> Forked:
        """
        Begin a command; the caller ends it.

        Raises:
            RuntimeError: As above.
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
    """What is to be started; goes to the server as one line of JSON."""

    arguments: tuple[str, ...]
    folder: str
    variables: Mapping[str, str]
    output: str

    def become(self) -> None:
        """Run it in this process, as its only purpose."""
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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: the dead are to vanish
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
