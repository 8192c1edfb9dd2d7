"""``place --dry-run`` says what would be bought, and neither buys nor plans anything."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from processes import order, sandbox_thread

from impactflow.proof.bookkeeping import in_ledger


@pytest.fixture(scope="module")
def dry(tmp_path_factory, command_line):
    """A sandbox with three orders, and two dry runs: one for a program, one for a person."""
    folder = tmp_path_factory.mktemp("dry")
    orders = [order(1), order(2, currency="SEK"), order(3, payments=None), order(4, amount="a lot")]
    with sandbox_thread(orders) as sandbox:
        impactflow = command_line(folder, sandbox)
        runs = impactflow.run("place", "--dry-run", "--json"), impactflow.run("place", "--dry-run")
        yield sandbox, impactflow, *runs


def test_a_dry_run_buys_nothing(dry):
    """The books are empty, and there is no ledger yet: a run that follows would find every order new."""
    sandbox, impactflow, *_ = dry
    status = impactflow.run("status", "--json")
    assert sandbox.purchases() == []
    assert (status.status, [*status.json]) == (2, ["error"])
    assert in_ledger(impactflow.ledger_url) == set()


def test_a_dry_run_tells_a_program_what_would_be_bought(dry):
    """Counts, totals by slot in the ledger's units, and what would be held for want of a rate."""
    output = dry[2].json
    totals = {(row["slot"], row["placements"], row["quantity"], row["unit"]) for row in output["totals"]}
    assert dry[2].status == 1  # one order cannot be read
    assert output["orders"] == {"read": 4, "eligible": 2, "broken": 1}
    assert (output["would_place"], output["would_hold"]) == (5, 1)
    assert totals == {("trees", 2, 2, "tree"), ("offset", 2, 10_000, "g"), ("giving", 1, 80, "usd_cent")}


def test_n10_a_dry_run_tells_a_person_what_would_be_bought_and_why_something_waits(dry):
    """In the units that a person reads, order by order; with the days, what donations cost and each reason once."""
    shown = dry[3]
    assert (shown.status, shown.says_traceback) == (1, False)
    for words in ("nothing was bought", "4 orders 2 count", "5 placements", "kg CO2", "WR-1", "fx.usd_per"):
        assert words in shown.out
    assert re.search(r"Orders of \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d are read", shown.out)
    assert "0.8 USD of that are donations" in shown.out
    assert "1 in slot giving, first order WR-2: no rate for SEK" in shown.out
    assert "1 order cannot be read, and would earn nothing:\n  " in shown.out
    assert "amount" in shown.out.partition("earn nothing:\n")[2].partition("\n")[0]


def test_a_dry_run_of_a_backfill_needs_no_seller_s_key_and_makes_no_ledger(dry):
    """It says what each window would buy, what it could not ask and what cannot be read, as that of ``place`` does."""
    sandbox, impactflow, *_ = dry
    keyless = impactflow.but(ONECLICKIMPACT_API_KEY="", CNAUGHT_API_KEY="", IMPACTAPI_API_KEY="")
    today = datetime.now(UTC).date()
    days = ("--from", f"{today - timedelta(days=2)}", "--to", f"{today}")
    for_program, shown = (
        keyless.run("backfill", *days, "--dry-run", "--json"),
        keyless.run("backfill", *days, "--dry-run"),
    )
    assert (for_program.status, for_program.json["would_place"], len(for_program.json["notes"])) == (1, 5, 3)
    assert (shown.status, shown.says_traceback) == (1, False)
    assert "5 placements would be made, 0 would await approval, 1 would be held" in shown.out
    assert "1 order cannot be read, and would earn nothing:\n  " in shown.out
    assert "What cnaught has sold to this store was not looked at" in shown.out
    assert (sandbox.purchases(), in_ledger(impactflow.ledger_url)) == ([], set())


START = (Path(__file__).parents[2] / "docs" / "start.md").read_text()


def shell_of_the_start() -> list[str]:
    """The lines under "Your own policy and orders", up to the dry run."""
    below = START.partition("## Your own policy and orders\n")[2]
    lines = [line[4:] for line in below.splitlines() if line.startswith("    ")]
    return lines[: 1 + next(number for number, line in enumerate(lines) if "--dry-run" in line)]


def test_n18_the_start_leads_line_by_line_from_a_clone_to_a_dry_run_without_keys(dry, tmp_path):
    """With a policy and orders of one's own, although the clone has a policy of its own; the ledger is not made yet."""
    sandbox, impactflow, *_ = dry
    clone, shop = tmp_path / "clone", tmp_path / "myshop"
    clone.mkdir()
    (clone / "policy.yaml").write_text("store: sample\n")
    (clone / ".venv").symlink_to(sys.prefix)
    exports = "\n".join(f"export {name}={value}" for name, value in sandbox.variables.items())
    instead = {
        "make install": "true",
        "impactflow init": "impactflow init --store acme --orders-from file --earns trees,donation",
        "impactflow sandbox --orders 0 | tee sandbox.env": f"echo '{exports}' > sandbox.env; cd ../clone",
    }
    typed = "\n".join(instead.get(line.partition("#")[0].strip(), line) for line in shell_of_the_start())
    known = {name: impactflow.variables[name] for name in ("HOME", "PATH", "PREFECT_API_URL")}
    ended = subprocess.run(
        ["bash", "-ec", typed], cwd=clone, env=known, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "2 placements would be made" in ended.stdout
    assert "is a policy for store acme" in ended.stdout
    assert {file.name for file in shop.iterdir()} == {"policy.yaml", ".env", "sandbox.env", "orders.csv"}
