"""Another ledger, as a person meets it: what is refused, shown, adopted, copied; and that looking makes no ledger."""

import shutil

import pytest
from processes import order, sandbox_thread


@pytest.fixture(scope="module")
def shop(tmp_path_factory, command_line):
    """A sandbox whose two orders were placed from one folder, and the command line in another one."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    with sandbox_thread([order(number) for number in (1, 2)]) as sandbox:
        placed = command_line(first, sandbox).run("place", "--json")
        assert placed.status == 0, placed.err
        assert placed.json["ledger"] == str(first / "impactflow.db")
        yield sandbox, command_line(first, sandbox), command_line(second, sandbox)


def test_n22_what_only_reads_makes_no_ledger_and_says_where_it_looked(shop):
    """In one line, with what to do."""
    _, _, elsewhere = shop
    file = elsewhere.folder / "impactflow.db"
    for command in (("status",), ("show", "WR-1"), ("approve",), ("backup", "copy.db")):
        ended = elsewhere.run(*command, "--json")
        assert (ended.status, set(ended.json)) == (2, {"error"})
        assert f"there is no ledger at {file}" in ended.json["error"]
    assert elsewhere.run("place", "--dry-run", "--json").status == 2
    assert elsewhere.run("adopt").status == 1
    checked = elsewhere.run("doctor", "--json")
    checks = {check["what"]: check for check in checked.json["checks"]}
    assert (checked.status, checks["ledger"]["said"]) == (2, f"{file}: none yet, 0 purchases")
    assert "impactflow adopt" in checks["purchases"]["said"]
    assert f"The ledger is {file}." in checks["purchases"]["said"]
    assert not file.exists()


def test_m6_a_dry_run_says_what_a_run_would_refuse(shop):
    """The same words, of the ledger that a run would make; nothing is made."""
    sandbox, _, elsewhere = shop
    bought = len(sandbox.purchases())
    for command in (("place", "--dry-run"), ("place", "--webhooks", "--dry-run")):
        refused = elsewhere.run(*command, "--json")
        assert (refused.status, refused.json["ledger"]) == (2, str(elsewhere.folder / "impactflow.db"))
        assert refused.json["error"].startswith(
            "nothing was sent: this ledger does not know what this store has bought."
        )
        assert sum(each["purchases"] for each in refused.json["unknown"]) == bought
    assert not (elsewhere.folder / "impactflow.db").exists()


def test_n1_a_ledger_in_another_folder_is_refused_then_adopts_and_buys_nothing(shop):
    """Exit 2 with one object that says what was found; 0 after a yes."""
    sandbox, _, elsewhere = shop
    bought = len(sandbox.purchases())
    refused = elsewhere.run("place", "--json")
    assert (refused.status, refused.says_traceback, len(sandbox.purchases())) == (2, False, bought)
    assert set(refused.json) == {"error", "ledger", "unknown"}
    assert refused.json["ledger"] == str(elsewhere.folder / "impactflow.db")
    assert bought == sum(each["purchases"] for each in refused.json["unknown"])
    assert elsewhere.run("backfill", "--from", "2026-01-01", "--to", "2026-01-02", "--json").status == 2

    shown = elsewhere.run("adopt", "--json")
    assert (shown.status, shown.json["written"], sum(row["purchases"] for row in shown.json["ours"])) == (
        1,
        False,
        bought,
    )
    adopted = elsewhere.run("adopt", "--yes")
    assert (adopted.status, f"Adopted: {bought} new." in adopted.out) == (0, True)
    placed = elsewhere.run("place", "--json")
    assert (placed.status, placed.json["placements"]["placed"]) == (0, bought)
    assert len(sandbox.purchases()) == bought
    audited = elsewhere.run("reconcile", "--audit", "--repair", "--json")
    assert (audited.status, audited.json["audit"]["findings"]) == (0, [])
    assert "@" not in refused.out + refused.err + shown.out + adopted.out


def test_o7_a_backup_is_restored_and_its_repairs_are_refused_until_it_has_adopted(shop):
    """What was bought since is not in it."""
    sandbox, first, _ = shop
    assert first.run("backup", "copy.db").status == 0
    assert first.run("backup", "copy.db").status == 2
    sandbox.shop.orders = [order(number) for number in (1, 2, 3)]
    assert first.run("adopt").status == 0
    assert first.run("place").status == 0
    bought = len(sandbox.purchases())
    for leftover in first.folder.glob("impactflow.db*"):
        leftover.unlink()
    shutil.copy(first.folder / "copy.db", first.folder / "impactflow.db")
    assert first.run("reconcile", "--audit", "--repair", "--json").status == 2
    assert first.run("place").status == 2
    assert first.run("adopt", "--yes").status == 0
    assert first.run("place").status == 0
    assert len(sandbox.purchases()) == bought
