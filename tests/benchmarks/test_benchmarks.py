"""The benchmark runs from end to end; what it measures is not for a test to judge."""

import json
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent


def test_a_quick_benchmark_measures_every_contestant_and_says_which_targets_are_reached(tmp_path):
    """One small round leaves a table on standard output and the same as JSON."""
    out = tmp_path / "results.json"
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--out", str(out)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    (contest,) = json.loads(out.read_text())["contests"]
    assert set(contest["median_per_s"]) == {"ours", "client", "bare_default", "bare_limited", "tasks", "sdk"}
    assert all(rate > 0 for rate in contest["median_per_s"].values())
    assert set(contest["ratios"]) == {"bare", "client", "tasks"}
    assert "REACHED" in ended.stdout
