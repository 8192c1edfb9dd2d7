"""
The temporary Prefect server of a command without a server: it lives no longer than the command.

Prefect starts one by itself, but waits two minutes for one that Ctrl-C has ended, and leaves it behind when the command
is killed. This server has its own session, where Ctrl-C does not reach it, so that a run can still be reported. On
Linux the kernel ends the server with the command, in every case. The server's output goes to a file, with the
tracebacks of its end. The file is named where the server fails and removed where it does not.
"""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import httpx
from prefect.settings import PREFECT_API_URL, temporary_settings

from impactflow.errors import ImpactError

#: The longest time for the server to start, with its migrations on a slow machine, in seconds.
_LONGEST_START_S = 120.0
#: The longest time for the server to end before it is killed, in seconds: it gets no more requests.
_LONGEST_END_S = 1.0
_POLL_S = 0.1
#: The settings that Prefect gives a temporary server of its own (``SubprocessASGIServer``).
_EPHEMERAL = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
_PR_SET_PDEATHSIG = 1


def server_settings() -> AbstractContextManager[Any]:
    """
    Return Prefect's settings for a run: the caller's where they name a server, else a temporary server's.

    Raises:
        ImpactError: The temporary server did not start.
    """
    return nullcontext() if PREFECT_API_URL.value() else temporary_settings({PREFECT_API_URL: _start()})


@cache
def _start() -> str:
    """Start the server, once for all flows of this process, and return its API's URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"]
    with NamedTemporaryFile(prefix="impactflow-prefect-", suffix=".log", delete=False) as log:
        process = subprocess.Popen(  # noqa: S603 - the Prefect that impactflow depends on
            command,
            env={**os.environ, **_EPHEMERAL},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 - no other thread holds a lock that the function needs
        )
    # Registered before Prefect registers its own exit functions, which still need the server.
    atexit.register(_end, process, Path(log.name))
    url = f"http://127.0.0.1:{port}/api"
    until = time.monotonic() + _LONGEST_START_S
    while not _answers(f"{url}/health"):
        if process.poll() is not None or time.monotonic() > until:
            raise ImpactError(
                f"the temporary Prefect server did not start, {log.name} says why: mend that, or set PREFECT_API_URL"
                " to a server that runs"
            )
        time.sleep(_POLL_S)
    return url


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _end(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is None:  # else the server failed, and a person has to read why
        log.unlink(missing_ok=True)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LONGEST_END_S)
    process.kill()
    process.wait()


def _end_with_parent() -> Callable[[], None] | None:
    """Make the kernel end a child once this process is gone; None where the kernel cannot."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent is gone already
            os._exit(1)

    return set_signal
