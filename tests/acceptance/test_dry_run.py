"""``place --dry-run`` says what would be bought, and neither buys nor plans anything."""

import re

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
    told = dry[2].json
    totals = {(row["slot"], row["placements"], row["quantity"], row["unit"]) for row in told["totals"]}
    assert dry[2].status == 1  # one order cannot be read
    assert told["orders"] == {"read": 4, "eligible": 2, "broken": 1}
    assert (told["would_place"], told["would_hold"]) == (5, 1)
    assert totals == {("trees", 2, 2, "tree"), ("offset", 2, 10_000, "g"), ("giving", 1, 80, "usd_cent")}


def test_n10_a_dry_run_tells_a_person_what_would_be_bought_and_why_something_waits(dry):
    """In the units that a person reads, order by order; with the days, what donations cost and each reason once."""
    told = dry[3]
    assert (told.status, told.says_traceback) == (1, False)
    for words in ("nothing was bought", "4 orders 2 count", "5 placements", "kg CO2", "WR-1", "fx.usd_per"):
        assert words in told.out
    assert re.search(r"Orders of \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d are read", told.out)
    assert "0.8 USD of that are donations" in told.out
    assert "1 in slot giving, first order WR-2: no rate for SEK" in told.out
    assert "1 order cannot be read, and would earn nothing:\n  " in told.out
    assert "amount" in told.out.partition("earn nothing:\n")[2].partition("\n")[0]
