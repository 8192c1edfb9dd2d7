"""Processes that start together and end together."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from impactflow.errors import ConfigurationError, ImpactError
from impactflow.stopping import raising

#: The longest that a part may take to end before it is killed, in seconds.
_LONGEST_END_S = 15.0
#: The time between two checks whether a process has ended, in seconds.
_POLL_S = 0.2
#: The length of the log's end that is reported when a part ended by itself, in lines.
_LAST_LINES = 15
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PartEnded(ImpactError):
    """One of the processes ended by itself."""


def make_folder(folder: Path) -> None:
    """
    Make a folder to work in, unless it exists.

    Raises:
        ConfigurationError: The folder cannot be made.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as failed:
        raise ConfigurationError(
            f"the folder {folder.absolute()} cannot be made ({failed.strerror}): change to one that you can write to"
        ) from None


@dataclass(frozen=True)
class _Part:
    name: str
    process: subprocess.Popen[str]
    log: Path


class Parts:
    """
    Processes that are started one by one and all ended when the context is left, the last one first.

    Each process has its own process group, so that Ctrl-C reaches this process alone, and its own log file.

    Args:
        folder: The folder of the logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[_Part] = []

    def __enter__(self) -> Self:
        """Return the parts; none runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all processes; further signals are ignored meanwhile."""
        with _handling(signal.SIG_IGN):
            for part in reversed(self._parts):
                _end(part.process)

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each part, by the part's name."""
        return {part.name: part.process.pid for part in self._parts}

    def start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Start a process; its output goes to its log."""
        self._start(name, command, variables, is_piped=False)

    def start_talking(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
        """
        Start a process that prints one line of JSON with its address once it works, then nothing; return the object.

        Raises:
            PartEnded: The process ended instead.
        """
        process = self._start(name, command, variables, is_piped=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            process.wait()
            self.check()
        printed: dict[str, Any] = json.loads(line)
        return printed

    def check(self) -> None:
        """
        Check that all processes are alive.

        Raises:
            PartEnded: One process has ended; the message has the end of its log.
        """
        for part in self._parts:
            if part.process.poll() is not None:
                last = "\n".join(part.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
                raise PartEnded(
                    f"{part.name} ended by itself (status {part.process.returncode}), so all of it was ended; its log"
                    f" {part.log} ends:\n{last}"
                )

    def _start(
        self, name: str, command: Sequence[str], variables: Mapping[str, str], *, is_piped: bool
    ) -> subprocess.Popen[str]:
        log = self._folder / f"{name}.log"
        with log.open("w") as file:
            process = subprocess.Popen(  # noqa: S603 - ourselves and Prefect
                command,
                env=dict(variables),
                stdout=subprocess.PIPE if is_piped else file,
                stderr=file,
                text=True,
                start_new_session=True,
            )
        self._parts.append(_Part(name, process, log))
        return process

    def watch(self) -> None:
        """
        Wait until a process ends.

        Raises:
            PartEnded: A process has ended.
        """
        while True:
            self.check()
            time.sleep(_POLL_S)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``Stopped`` for Ctrl-C, SIGTERM and a closed terminal, even where SIGINT was ignored so far."""
    with raising(_ENDING):
        yield


@contextmanager
def _handling(handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _ENDING}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end, and kill what is left of its group: a worker ends its runs when it is asked."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LONGEST_END_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
