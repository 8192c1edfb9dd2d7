"""What the tests of the tasks share: a sandbox that listens, and an environment that points at it."""

from collections.abc import Iterator

import pytest
from processes import Served, served

from impactflow.sandbox import Options, Sandbox, environment


@pytest.fixture
def sandbox(monkeypatch) -> Iterator[Served]:
    """The four pretend providers over real HTTP; the environment holds their URLs and keys."""
    with served(Sandbox(Options(wicked_reports_per_minute=1_000_000))) as there:
        for name, value in environment(there.base_url).items():
            monkeypatch.setenv(name, value)
        yield there
