"""CSV row by row: nothing is held back in memory, and a folder that cannot be written is named."""

import csv

import pytest

from impactflow.errors import ConfigurationError
from impactflow.reports import csv_rows


def test_rows_are_written_under_their_columns(tmp_path):
    """Also what holds a comma or a line's end."""
    with csv_rows(tmp_path / "reports", "audit", ["order", "means"]) as (path, write):
        write({"order": "WR-1", "means": "one, two\nthree"})
    with path.open(newline="") as file:
        assert [{"order": "WR-1", "means": "one, two\nthree"}] == list(csv.DictReader(file))


def test_a_folder_that_cannot_be_written_is_a_wrong_configuration(tmp_path):
    """Told before anything is compared."""
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(ConfigurationError, match="IMPACTFLOW_REPORTS"), csv_rows(tmp_path / "reports", "audit", []):
        pass
