"""
Run a flow from the command line, against ``PREFECT_API_URL`` or a temporary server.

This is the only module here that reaches ``flows``: by name, as Prefect itself does, and only when a command needs it.
"""

import importlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx

from impactflow.cli.console import err
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.settings import load_prefect_api, load_settings
from impactflow.stopping import Stopped, putting_off, run
from impactflow.webhooks.trigger import address_of


def run_flow(name: str, doing: str, **parameters: object) -> Any:
    """
    Run a flow to its end and return its result.

    Args:
        name: The name of the flow and of its file.
        doing: The text that a person sees meanwhile.
        parameters: The flow's parameters.

    Raises:
        ConfigurationError: No Prefect server that accepts us answers at PREFECT_API_URL, or Prefect's home
            cannot be written.
        ImpactError: The flow ended with this error.
        Stopped: A signal came. The requests in flight are recorded.
    """
    # Prefect reads these when it is imported. A person's own settings take precedence.
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

    async def work() -> Any:
        async with watching(load_settings().impactflow_ledger_url, doing):
            return await flow(**parameters)

    try:
        with server_settings():
            return run(work())
    except BaseException as ended:
        # Prefect's name for a SIGTERM that came while Prefect itself was at work, before or after the flow.
        if type(ended).__name__ == "TerminationSignal":
            raise Stopped(signal.SIGTERM) from None
        if isinstance(ended, httpx.HTTPError) or type(ended).__name__ == "PrefectHTTPStatusError":
            reason = next(iter(str(ended).splitlines()), "")
            raise ImpactError(
                f"Prefect's server did not do its part ({type(ended).__name__}: {reason}): see that it works and that"
                " PREFECT_API_URL names it, then run this again; it goes on where it ended"
            ) from None
        raise


def require_server() -> str:
    """
    Return PREFECT_API_URL, at which a server answers.

    Raises:
        ConfigurationError: The URL is not set, or no Prefect server that accepts us answers there.
    """
    with open_server() as server:
        return str(server.base_url).rstrip("/")


@contextmanager
def open_server() -> Iterator[httpx.Client]:
    """
    Open a client of the Prefect server at PREFECT_API_URL, which answers.

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
    Return the server's answer to a request; a busy server, as Prefect's is on SQLite now and then, is asked again.

    Args:
        server: From ``open_server``.
        method: GET, POST, PATCH or DELETE.
        path: The path below the API's URL.
        content: The JSON of the request.
        or_none: Whether to return None where the server answers that there is no such object.

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
    """Return a sentence for each setting that harms our runs or opens the server to strangers, with the remedy."""
    settings = (ask(server, "GET", "admin/settings", or_none=True) or {}).get("server", {})
    problems = []
    if settings.get("concurrency", {}).get("lease_storage", "").endswith(".memory"):
        problems.append(
            "Prefect's server keeps the leases of concurrency limits in memory: its restart ends the runs under way, or"
            " leaves their deployments' places taken; start it with"
            " PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem"
        )
    if settings.get("api", {}).get("cors_allowed_origins") == "*":
        problems.append(
            "any page that is open in a browser on this network may call Prefect's server: start it with"
            " PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS=http://127.0.0.1:4200,http://localhost:4200 (where its pages are)"
        )
    return problems


def _check(server: httpx.Client) -> None:
    """Check that a Prefect server that accepts us answers; its health check alone would answer anyone."""
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
    Check that a temporary server can keep its database where Prefect keeps it.

    Raises:
        ConfigurationError: The folder cannot be written.
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
    """Silence Prefect's console lines, which would be tracebacks: ``main`` reports errors, and the UI has all lines."""
    logging.raiseExceptions = False  # a line that the server does not accept any more would be a traceback, too
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs", ""):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler).__name__ == "PrefectConsoleHandler":
                logger.removeHandler(handler)
    logging.getLogger().addHandler(logging.NullHandler())
