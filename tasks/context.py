"""The run that tasks work in: opened by the flow, found by its tasks, never a parameter that Prefect inspects."""

import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from prefect.runtime import flow_run

from impactflow.buying.run import Run, open_run
from impactflow.settings import load_settings, require_folder
from impactflow.stopping import cancelling
from tasks.credentials import with_blocks

_current: ContextVar[Run] = ContextVar("impactflow_run")


@asynccontextmanager
async def flow_context(*, reports: bool = True) -> AsyncIterator[Run]:
    """
    Open the resources of the flow's tasks, under the flow run's id, and close them.

    Args:
        reports: Whether the flow writes reports; then their folder is checked before anything is bought.

    Meanwhile a signal cancels the flow, where Prefect's own handler would raise in the middle of a commit. Requests in
    flight are recorded. Then Prefect reports the run as crashed.

    Raises:
        Stopped: A signal came.
        ConfigurationError: A setting or a block is missing or wrong.
        LedgerError: The ledger cannot be opened.
    """
    _let_lines_through()
    _make_haste()
    with cancelling():
        async with open_run(await with_blocks(load_settings()), run_id=flow_run.get_id() or "without-prefect") as run:
            if reports:
                require_folder(run.settings.impactflow_reports)
            token = _current.set(run)
            try:
                yield run
            finally:
                _current.reset(token)


def _let_lines_through() -> None:
    """Let log lines through: Prefect's ``EXTRA_LOGGERS`` sets no level, and the root logger's passes only warnings."""
    for name in ("impactflow", "tasks"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)


def _make_haste() -> None:
    """
    Change three settings of the interpreter, so that requests and commits run side by side.

    The ledger's thread and the event loop take turns. By default the loop gives way only every 5 ms, which is as long
    as a commit. Modules imported by now stay, so the garbage collector need not check them again. The collector runs
    after every 20,000 new objects instead of 700, because a hundred requests in flight hold more than 700.
    """
    sys.setswitchinterval(0.0005)
    gc.set_threshold(20_000)
    if not gc.get_freeze_count():
        gc.freeze()


def current_run() -> Run:
    """Return the run that the calling task belongs to."""
    return _current.get()
