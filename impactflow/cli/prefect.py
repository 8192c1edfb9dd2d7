"""
Run a flow from the command line, against ``PREFECT_API_URL`` or a temporary server.

The one place that reaches from here to ``flows``: by name, as Prefect itself does, and only when a command needs it.
"""

import importlib
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import httpx

from impactflow.cli.console import err
from impactflow.errors import ConfigurationError
from impactflow.settings import load_settings
from impactflow.stopping import Stopped, run


def run_flow(name: str, doing: str, **parameters: object) -> dict[str, Any]:
    """
    Run a flow to its end and return its result.

    Args:
        name: Of the flow and its file.
        doing: What to tell a person meanwhile.
        parameters: The flow's own.

    Raises:
        ConfigurationError: Nothing answers at PREFECT_API_URL.
        ImpactError: Whatever ended the flow.
        Stopped: A signal came; what was in flight is recorded.
    """
    # Prefect reads these when it is imported. A person's own settings win.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "impactflow,tasks")
    if api_url := os.environ.get("PREFECT_API_URL"):
        _check_server(api_url)
    elif "prefect" not in sys.modules:
        err.print("[dim]starting a temporary Prefect server, 10 to 20 s (PREFECT_API_URL names yours)[/dim]")
    from impactflow.cli.watching import watching  # noqa: PLC0415 - commands that only ask for a server need none

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
        raise


def require_server() -> str:
    """
    PREFECT_API_URL, at which a server answers.

    Raises:
        ConfigurationError: It is not set, or nothing answers there.
    """
    api_url = os.environ.get("PREFECT_API_URL")
    if not api_url:
        raise ConfigurationError(
            "PREFECT_API_URL is not set: start a server with `prefect server start` and set it to"
            " http://127.0.0.1:4200/api (`impactflow up` does all of it, with a pretend shop)"
        )
    _check_server(api_url)
    return api_url


def _check_server(api_url: str) -> None:
    try:
        httpx.get(f"{api_url.rstrip('/')}/health", timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        msg = (
            f"PREFECT_API_URL: no Prefect server answers there ({type(error).__name__}): start one with"
            " `prefect server start`, or unset the variable to use a temporary one"
        )
        raise ConfigurationError(msg) from None


def _hush() -> None:
    """Errors are told in one line by ``main``; Prefect's console lines would be tracebacks. Its UI has all of them."""
    for name in ("prefect", "prefect.flow_runs", "prefect.task_runs", ""):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler).__name__ == "PrefectConsoleHandler":
                logger.removeHandler(handler)
    logging.getLogger().addHandler(logging.NullHandler())
