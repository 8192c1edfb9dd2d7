"""``place --orders FILE``: a shop without Wicked Reports, by command line and real processes."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from processes import sandbox_thread

SOLD_AT = (datetime.now(UTC) - timedelta(days=400)).isoformat(timespec="seconds")
HEADER = "order_id;ordered_at;amount;currency;item_count;payment_status;customer_email;Notes\n"
GOOD = f"1;{SOLD_AT};80.00;USD;2;paid;ada@example.com;secret words\n2;{SOLD_AT};50.00;USD;1;refunded;;\n"
BROKEN = f"3;{SOLD_AT};80,00;USD;2;paid;bob@example.com;\n"


@pytest.fixture(scope="module")
def without(tmp_path_factory, command_line):
    """A sandbox, and a command line without a key of Wicked Reports."""
    folder = tmp_path_factory.mktemp("file")
    with sandbox_thread([]) as sandbox:
        yield sandbox, command_line(folder, sandbox).but(WICKED_REPORTS_API_KEY=None)


def test_a_file_is_placed_once_and_a_broken_line_is_told(without):
    """A dry run shows it, a run buys it, a further one buys nothing; no customer and no other cell is shown."""
    sandbox, impactflow = without
    file = impactflow.folder / "orders.csv"
    file.write_text("\ufeff" + HEADER + GOOD)

    dry = impactflow.run("place", "--orders", "orders.csv", "--dry-run", "--json")
    assert (dry.status, dry.json["would_place"], sandbox.purchases()) == (0, 3, [])
    assert dry.json["notes"] == ["Columns of the file that are not read: Notes."]

    keyless = impactflow.but(ONECLICKIMPACT_API_KEY=None, CNAUGHT_API_KEY=None, IMPACTAPI_API_KEY=None)
    tried = keyless.run("place", "--orders", "orders.csv", "--dry-run", "--json")
    assert (tried.status, tried.json["would_place"], len(tried.json["notes"])) == (0, 3, 4)

    placed = impactflow.run("place", "--orders", "orders.csv", "--json")
    assert (placed.status, placed.json["orders"]) == (
        0,
        {"read": 2, "new": 2, "eligible": 1, "broken": 0, "may_be_missing": 0},
    )
    assert (placed.json["placements"]["placed"], placed.json["notes"][:1]) == (3, dry.json["notes"])
    assert {purchase["order_id"] for purchase in sandbox.purchases()} == {"file:1"}

    file.write_text(HEADER + GOOD + BROKEN)
    again = impactflow.run("place", "--orders", "orders.csv")
    assert (again.status, again.says_traceback, len(sandbox.purchases())) == (1, False, 3)
    assert "Columns of the file that are not read: Notes." in again.out
    status = impactflow.run("status", "--json")
    assert [row["problem"].partition(": write")[0] for row in status.json["broken_orders"]] == [
        "orders.csv line 4: field amount"
    ]
    for hidden in ("example.com", "secret words", "80,00"):
        assert hidden not in f"{dry.out}{dry.err}{placed.out}{placed.err}{again.out}{again.err}{status.out}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "it cannot be read (No such file or directory)"),
        ("order_id,ordered_at,ammount\n1,2026-01-01,5\n", "ammount is not read: write amount"),
        (json.dumps({"number": 1}), "it has no ordered_at: each line should have the field ordered_at"),
        (
            "order_id,ordered_at\n1,2026-11-25 14:03\n2,2026-11-25 15:03\n",
            "no line of it can be read: wrong.csv lines 2, 3",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_anything_is_started(without, content, message):
    """One line, exit status 2; no server is named that could answer."""
    sandbox, impactflow = without
    before = sandbox.purchases()
    file = impactflow.folder / "wrong.csv"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content)
    ended = impactflow.but(PREFECT_API_URL="http://127.0.0.1:9/api").run("place", "--orders", "wrong.csv", "--json")
    assert (ended.status, ended.says_traceback, sandbox.purchases()) == (2, False, before)
    assert f"orders file {file}: {message}" in ended.json["error"]


def test_a_shop_without_a_key_is_told_of_the_file(without):
    """Where ``place`` would need one."""
    ended = without[1].run("place", "--json")
    assert ended.status == 2
    assert "WICKED_REPORTS_API_KEY is not set" in ended.json["error"]
    assert "impactflow place --orders FILE" in ended.json["error"]
