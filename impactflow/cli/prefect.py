"""
Run a flow from the command line, against ``PREFECT_API_URL`` or a temporary server.

The one place that reaches from here to ``flows``: by name, as Prefect itself does, and only when a command needs it.
"""

import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx

from impactflow.cli.console import err
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.settings import load_prefect_api, load_settings
from impactflow.stopping import Stopped, putting_off, run
from impactflow.webhooks.trigger import address_of


def run_flow(name: str, doing: str, **parameters: object) -> dict[str, Any]:
    """
    Run a flow to its end and return its result.

    Args:
        name: Of the flow and its file.
        doing: What to tell a person meanwhile.
        parameters: The flow's own.

    Raises:
        ConfigurationError: What answers at PREFECT_API_URL is no Prefect server that takes us, or Prefect's home
            cannot be written.
        ImpactError: Whatever ended the flow.
        Stopped: A signal came; what was in flight is recorded.
    """
    # Prefect reads these when it is imported. A person's own settings win.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "impactflow,tasks")
    if has_server := address_of(load_prefect_api()) is not None:
        require_server()
    else:
        _check_home()
    if not has_server and "prefect" not in sys.modules:
        err.print("[dim]starting a temporary Prefect server, 10 to 20 s (PREFECT_API_URL names yours)[/dim]")
    from impactflow.cli.watching import watching  # noqa: PLC0415 - commands that only ask for a server need none

    with putting_off(), err.status("loading Prefect") if err.is_terminal else nullcontext():
        flow = getattr(importlib.import_module(f"flows.{name}"), name)
        server_settings = importlib.import_module("tasks.server").server_settings
    _hush()

    async def work() -> dict[str, Any]:
        async with watching(load_settings().impactflow_ledger_url, doing):
            result: Coroutine[Any, Any, dict[str, Any]] = flow(**parameters)
            return await result

    try:
        with server_settings():
            return run(work())
    except BaseException as ended:
        # Prefect's word for a SIGTERM that came while Prefect itself was at work, before the flow or after it.
        if type(ended).__name__ == "TerminationSignal":
            raise Stopped(signal.SIGTERM) from None
        if isinstance(ended, httpx.HTTPError) or type(ended).__name__ == "PrefectHTTPStatusError":
            said = next(iter(str(ended).splitlines()), "")
            raise ImpactError(
                f"Prefect's server did not do its part ({type(ended).__name__}: {said}): see that it works and that"
                " PREFECT_API_URL names it, then run this again; it goes on where it ended"
            ) from None
        raise


def require_server() -> str:
    """
    PREFECT_API_URL, at which a server answers.

    Raises:
        ConfigurationError: It is not set, or what answers there is no Prefect server that takes us.
    """
    with open_server() as server:
        return str(server.base_url).rstrip("/")


@contextmanager
def open_server() -> Iterator[httpx.Client]:
    """
    A client of the Prefect server at PREFECT_API_URL, which answers.

    Raises:
        ConfigurationError: As for ``require_server``.
    """
    address = address_of(load_prefect_api())
    if address is None:
        raise ConfigurationError(
            "PREFECT_API_URL is not set: start a server with `prefect server start` and set it to"
            " http://127.0.0.1:4200/api (`impactflow up` does all of it, with a pretend shop)"
        )
    with httpx.Client(base_url=address.url, headers=address.headers, timeout=30) as server:
        _check(server)
        yield server


def ask(
    server: httpx.Client, method: str, path: str, content: Mapping[str, Any] | None = None, *, or_none: bool = False
) -> Any:
    """
    What the server answers to a request; one that is busy, as Prefect's is on SQLite now and then, is asked again.

    Args:
        server: From ``open_server``.
        method: GET, POST, PATCH or DELETE.
        path: Below the API's URL.
        content: The request's JSON.
        or_none: Return None where there is no such thing.

    Raises:
        ImpactError: The server did not answer as it should.
    """
    try:
        for pause_s in (0.5, 1.0, 2.0, 4.0, 0.0):
            answer = server.request(method, path, json=content)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause_s)
        if or_none and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().json() if answer.content else None
    except (httpx.HTTPError, ValueError) as error:
        raise ImpactError(f"Prefect's server did not answer {method} {path} as it should: {error}") from None


def shortcomings(server: httpx.Client) -> list[str]:
    """What is set on the server that harms our runs or opens it to strangers, and what to set; one sentence each."""
    settings = (ask(server, "GET", "admin/settings", or_none=True) or {}).get("server", {})
    told = []
    if settings.get("concurrency", {}).get("lease_storage", "").endswith(".memory"):
        told.append(
            "Prefect's server keeps the leases of concurrency limits in memory: its restart ends the runs under way, or"
            " leaves their deployments' places taken; start it with"
            " PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem"
        )
    if settings.get("api", {}).get("cors_allowed_origins") == "*":
        told.append(
            "any page that is open in a browser on this network may call Prefect's server: start it with"
            " PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS=http://127.0.0.1:4200,http://localhost:4200 (where its pages are)"
        )
    return told


def _check(server: httpx.Client) -> None:
    """See that a Prefect server answers which takes us; its health alone would be told to anybody."""
    try:
        answer = server.post("deployments/count", json={})
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"PREFECT_API_URL: no Prefect server answers there ({type(error).__name__}): start one with"
            " `prefect server start`, or unset the variable to use a temporary one"
        ) from None
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise ConfigurationError(
            "PREFECT_API_AUTH_STRING is missing or wrong: set it to the USER:PASSWORD that the Prefect server at"
            " PREFECT_API_URL has as PREFECT_SERVER_API_AUTH_STRING (for Prefect Cloud, set PREFECT_API_KEY)"
        )
    if not answer.is_server_error and not (answer.is_success and answer.text.isdecimal()):
        raise ConfigurationError(
            "PREFECT_API_URL: what answers there is not the API of a Prefect server; the URL ends in /api, such as"
            " http://127.0.0.1:4200/api"
        )


def _check_home() -> None:
    """
    See that a temporary server can keep its database where Prefect does.

    Raises:
        ConfigurationError: It cannot.
    """
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        why = "" if os.access(home, os.W_OK | os.X_OK) else "permission denied"
    except OSError as error:
        why = str(error.strerror).lower()
    if why:
        raise ConfigurationError(
            f"Prefect cannot write into {home} ({why}): set PREFECT_HOME to a folder that it may write, or"
            " PREFECT_API_URL to a server that runs"
        )


def _hush() -> None:
    """Errors are told in one line by ``main``; Prefect's console lines would be tracebacks. Its UI has all of them."""
    logging.raiseExceptions = False  # a line that the server does not take any more would be a traceback, too
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs", ""):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler).__name__ == "PrefectConsoleHandler":
                logger.removeHandler(handler)
    logging.getLogger().addHandler(logging.NullHandler())
