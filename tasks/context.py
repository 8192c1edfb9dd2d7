"""The run that tasks work in: opened by the flow, found by its tasks, never a parameter that Prefect looks into."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from prefect.runtime import flow_run

from impactflow.run import Run, open_run
from impactflow.settings import load_settings

_current: ContextVar[Run] = ContextVar("impactflow_run")


@asynccontextmanager
async def flow_context() -> AsyncIterator[Run]:
    """
    Open what the flow's tasks work with, under the flow run's id, and close it.

    Raises:
        ConfigurationError: A setting is missing or wrong.
        LedgerError: The ledger cannot be opened.
    """
    async with open_run(load_settings(), run_id=flow_run.get_id() or "without-prefect") as run:
        token = _current.set(run)
        try:
            yield run
        finally:
            _current.reset(token)


def current_run() -> Run:
    """The run that the calling task belongs to."""
    return _current.get()
