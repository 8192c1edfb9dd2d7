"""CSV row by row: nothing is held back in memory, and what cannot be written is said and disturbs nobody."""

import csv
from pathlib import Path

import pytest

from impactflow.errors import ConfigurationError
from impactflow.reports.files import csv_rows
from impactflow.settings import require_folder


def test_rows_are_written_under_their_columns(tmp_path):
    """Also what holds a comma or a line's end."""
    with csv_rows(tmp_path / "reports", "audit", ["order", "means"]) as file:
        file.write({"order": "WR-1", "means": "one, two\nthree"})
    assert str(tmp_path / "reports" / "audit.csv") == file.path_or_reason
    with (tmp_path / "reports" / "audit.csv").open(newline="") as written:
        assert [{"order": "WR-1", "means": "one, two\nthree"}] == list(csv.DictReader(written))


def test_n6_a_folder_that_cannot_be_written_is_a_wrong_configuration(tmp_path):
    """Told before anything is bought; nothing is made where it can be."""
    (tmp_path / "file").write_text("a file")
    for folder in (tmp_path / "file", tmp_path / "file" / "reports"):
        with pytest.raises(ConfigurationError, match=r"^IMPACTFLOW_REPORTS: nothing can be written into .*another"):
            require_folder(folder)
    require_folder(tmp_path / "new" / "reports")
    assert ["file"] == [each.name for each in tmp_path.iterdir()]


def test_n6_a_report_that_cannot_be_made_says_so_and_disturbs_nobody(tmp_path):
    """What is compared and repaired goes on."""
    (tmp_path / "file").write_text("a file")
    with csv_rows(tmp_path / "file", "audit", ["order"]) as file:
        file.write({"order": "WR-1"})
    assert file.path_or_reason.startswith(f"none, {tmp_path}/file/audit.csv cannot be written (")
    assert file.path_or_reason.endswith("see IMPACTFLOW_REPORTS")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
@pytest.mark.parametrize("rows", [1, 10_000])
def test_n6_a_disk_that_fills_up_ends_a_report_and_nothing_else(tmp_path, rows):
    """Whether that shows with a row or when the file is closed."""
    (tmp_path / "audit.csv").symlink_to("/dev/full")
    with csv_rows(tmp_path, "audit", ["order"]) as file:
        for _ in range(rows):
            file.write({"order": "WR-1"})
    assert (
        f"none, {tmp_path}/audit.csv cannot be written (No space left on device): see IMPACTFLOW_REPORTS"
        == file.path_or_reason
    )
