"""Other people's text in a terminal, a spreadsheet and a page: shown as it is, and never obeyed."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from impactflow.cli import console
from impactflow.escapes import for_page, for_spreadsheet, for_terminal, public_id
from impactflow.reports.files import csv_rows

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]WR-1[/red]\r\u202egnp"


@given(st.text())
def test_a_terminal_hears_of_no_control_character(text):
    """Nothing but letters, tabs and line ends comes through."""
    shown = for_terminal(text)
    assert not [letter for letter in shown if unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\t\n"]
    assert not set(shown) & set("\u202a\u202e\u2066\u2069\u200f\u2028")


def test_the_console_writes_hostile_ids_out(monkeypatch):
    """In lines and in tables; markup in them is text."""
    written = io.StringIO()
    monkeypatch.setattr(console, "out", console._Console(file=written, force_terminal=True, highlight=False, width=200))
    console.out.print(HOSTILE, markup=False)
    console.print_table("Needs attention", [{"order": HOSTILE, "reason": "[/nonsense]"}])
    shown = written.getvalue()
    assert "\x1b]0" not in shown
    assert "\x1b[2J" not in shown
    assert 2 == shown.count("[red]WR-1[/red]")
    assert "[/nonsense]" in shown


def test_the_console_is_still_one_of_rich():
    """Our own markup works."""
    assert isinstance(console.out, Console)
    assert "bold" == str(console.out.render_str("[bold]a[/bold]").spans[0].style)


@pytest.mark.parametrize("cell", ["=1+1", "+49 30 1", "-1+1", "@SUM(A1)", "\t=1", "\uff1d1+1", "=HYPERLINK(1)"])
def test_a_spreadsheet_computes_nothing(cell):
    """An apostrophe makes it text."""
    assert f"'{cell}" == for_spreadsheet(cell)


@pytest.mark.parametrize("cell", ["WR-1", "12.50", "-5", "+1,000.50", "", "trees"])
def test_a_spreadsheet_gets_plain_cells_as_they_are(cell):
    """Numbers and ordinary ids."""
    assert cell == for_spreadsheet(cell)


def test_lists_of_purchases_hold_no_formula(tmp_path):
    """As a program reads the file again."""
    with csv_rows(tmp_path, "list", ("order", "amount")) as rows:
        rows.write({"order": "=cmd|' /C calc'!A0", "amount": "2.5"})
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8") as file:
        assert [{"order": "'=cmd|' /C calc'!A0", "amount": "2.5"}] == list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        ("1001.", "1001\\."),
        ("7) trees", "7\\) trees"),
        ("_1001_", "\\_1001\\_"),
        ("__init__", "\\_\\_init\\_\\_"),
        ("<amount>", "\\<amount\\>"),
        ("# 1001", "\\# 1001"),
        ("- 1001", "\\- 1001"),
        ("![](//example.com/x)", "!\\[\\](//example.com/x)"),
    ],
)
def test_f14_a_page_shows_an_order_s_id_as_it_is(order, shown):
    """None of it is taken for a list, a heading, emphasis, HTML or a picture that a browser would fetch."""
    assert shown == for_page(order)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[approve](https://evil.example)", "\\[approve\\](https\\://evil.example)"),
        ("https://evil.example/x", "https\\://evil.example/x"),
        ("www.evil.example", "www\\.evil.example"),
        ("<img src=x>", "\\<img src=x\\>"),
        ("a | b\n# c", "a \\| b # c"),
        ("`x` **y**", "\\`x\\` \\*\\*y\\*\\*"),
        ("for ana@example.com", "for \\*\\*\\*"),
        ("WR-000017 at 12:30", "WR-000017 at 12:30"),
        ("plant_trees of 1001.5", "plant_trees of 1001.5"),
        ("-5", "-5"),
    ],
)
def test_a_page_follows_no_link_and_shows_no_address(text, shown):
    """Markdown's own escapes, in one line."""
    assert shown == for_page(text)


def test_an_id_that_is_an_address_is_known_by_a_digest():
    """The same one always; any other id stays."""
    shown = public_id("ana@example.com")
    assert shown == public_id("ana@example.com")
    assert shown != public_id("bob@example.com")
    assert "ana" not in shown
    assert "WR-000017" == public_id("WR-000017")
