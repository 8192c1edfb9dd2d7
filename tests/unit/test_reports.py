"""Reports: exact decimals in the units that people read, and CSV that a spreadsheet can add up."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from impactflow.ledger import Effect, Total
from impactflow.models import Unit
from impactflow.reports.files import EFFECT_COLUMNS, bought, effect_row, write_csv
from impactflow.units import SHOWN, shown

DAY = date(2026, 3, 2)
TOTALS = [
    Total(DAY, "giving", "impactapi", "donate", "usd_cent", 3, 1_005, 1_005, 1),
    Total(DAY, "offset", "cnaught", "offset", "g", 2, 9_000_000_002_501, 10**12 + 1, 0),
    Total(DAY, "trees", "oneclickimpact", "plant_trees", "tree", 7, 7, None, 7),
]


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        (7, Unit.TREE, (Decimal(7), "trees")),
        (7, Unit.LB, (Decimal(7), "lb")),
        (7, Unit.CORAL_FRAGMENT, (Decimal(7), "coral fragments")),
        (1, Unit.GRAM, (Decimal("0.001"), "kg CO2")),
        (9_007_199_254_740_993, Unit.GRAM, (Decimal("9007199254740.993"), "kg CO2")),
        (1, Unit.USD_CENT, (Decimal("0.01"), "USD")),
    ],
)
def test_a_quantity_is_shown_exactly(quantity, unit, expected):
    """In the unit that a person reads; beyond what a float could hold."""
    assert expected == shown(quantity, unit)


def test_every_unit_can_be_shown():
    """A new unit needs a name."""
    assert set(Unit) == set(SHOWN)


def test_what_was_bought_is_told_exactly():
    """One row for each total, no float anywhere; a price only where the provider says one."""
    rows = bought(TOTALS).to_dict("records")
    assert [Decimal("10.05"), Decimal("9000000002.501"), Decimal(7)] == [row["amount"] for row in rows]
    assert [Decimal("10.05"), Decimal("10000000000.01"), None] == [row["price_usd"] for row in rows]
    assert [("USD", 3, 1), ("kg CO2", 2, 0), ("trees", 7, 7)] == [
        (row["unit"], row["placements"], row["completed"]) for row in rows
    ]
    assert all(isinstance(row["amount"], Decimal) for row in rows)


def test_csv_holds_the_same_numbers(tmp_path):
    """As text, digit by digit; an unknown price is empty."""
    path = Path(write_csv(bought(TOTALS), tmp_path / "reports" / "march", "bought"))
    expected = (
        "day,slot,provider,impact,placements,completed,amount,unit,price_usd\n"
        "2026-03-02,giving,impactapi,donate,3,1,10.05,USD,10.05\n"
        "2026-03-02,offset,cnaught,offset,2,0,9000000002.501,kg CO2,10000000000.01\n"
        "2026-03-02,trees,oneclickimpact,plant_trees,7,7,7,trees,\n"
    )
    assert (tmp_path / "reports" / "march" / "bought.csv", expected) == (path, path.read_text())


def test_where_nothing_was_bought_the_csv_has_its_heading(tmp_path):
    """So that whoever reads it finds the columns."""
    path = Path(write_csv(bought([]), tmp_path, "bought"))
    assert "day,slot,provider,impact,placements,completed,amount,unit,price_usd\n" == path.read_text()


def test_n6_a_report_that_cannot_be_written_says_so(tmp_path):
    """In the place of its path, with the variable to look at."""
    (tmp_path / "file").write_text("")
    path_or_reason = write_csv(bought(TOTALS), tmp_path / "file", "bought")
    assert path_or_reason.startswith(f"none, {tmp_path}/file/bought.csv cannot be written (")
    assert path_or_reason.endswith("see IMPACTFLOW_REPORTS")


def test_a_purchase_is_a_row_that_a_person_reads():
    """Kilograms and dollars; empty where the provider does not say."""
    row = effect_row(Effect(7, "placed", "WR-1", "offset", "cnaught", 2500, "g", 1250, "https://example.com/c"))
    assert list(row.values()) == [
        "WR-1",
        "offset",
        "cnaught",
        "placed",
        "2.5",
        "kg CO2",
        "12.5",
        "https://example.com/c",
    ]
    unpriced = effect_row(Effect(8, "completed", "WR-1", "trees", "oneclickimpact", 1, "tree", None, None))
    assert (unpriced["price_usd"], unpriced["certificate"]) == ("", "")
    assert tuple(row) == EFFECT_COLUMNS
