"""Commands that load no Prefect, typed in this process: in a folder of their own, with no setting but a test's own."""

import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ledgers import new_ledger
from virtual_time import VirtualClock, in_virtual_time
from world import World, make_world

from impactflow.__main__ import main
from impactflow.buying.run import Run
from impactflow.cli import console
from impactflow.proof.programs import Ended

_OURS = ("IMPACTFLOW_", "WICKED_REPORTS_", "ONECLICKIMPACT_", "CNAUGHT_", "IMPACTAPI_", "PREFECT_API_URL")


@dataclass(frozen=True)
class Terminal:
    """
    A folder, and what is typed in it.

    Args:
        folder: The working directory.
        environment: What sets variables for the rest of the test.
        capture: What is printed.
    """

    folder: Path
    environment: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def set(self, **variables: str) -> None:
        """Set variables."""
        for name, value in variables.items():
            self.environment.setenv(name, value)

    def narrow(self, columns: int) -> None:
        """Be a window of so many columns, which breaks lines."""
        self.environment.setattr(console.out, "soft_wrap", False)
        self.environment.setattr(console.out, "width", columns)

    def type(self, *arguments: str) -> Ended:
        """A command from beginning to end."""
        self.capture.readouterr()
        self.environment.setattr(sys, "argv", ["impactflow", *arguments])
        try:
            main()
        except SystemExit as ended:
            printed = self.capture.readouterr()
            return Ended(int(ended.code or 0), printed.out, printed.err)

    def fill(self, what: Callable[[World, Run], Coroutine[Any, Any, None]], **world: Any) -> str:
        """Let a run bring about something in this folder's ledger; the ledger's URL."""
        url = new_ledger(self.folder / "impactflow.db")

        @in_virtual_time
        async def filled() -> None:
            there = make_world(VirtualClock(), url, **world)
            async with there.run() as run:
                await what(there, run)

        filled()
        return url


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """An empty folder."""
    for name in [each for each in os.environ if each.startswith(_OURS)]:
        with suppress(KeyError):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Terminal(tmp_path, monkeypatch, capsys)
