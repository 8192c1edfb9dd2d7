"""The programs that the proof starts."""

import pytest

from impactflow.proof.programs import prefect_server


def test_a_prefect_server_that_ends_while_it_starts_says_why():
    """Nobody listens where its database should be; what it printed is told, not that its process is gone."""
    with (
        pytest.raises(RuntimeError, match=r"(?s)did not start:.*Connect call failed"),
        prefect_server("postgresql://127.0.0.1:1/none"),
    ):
        pass
