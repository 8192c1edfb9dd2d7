"""
The output that a person sees on a terminal, and the output that a program reads with ``--json``.

With ``--json``, standard output has one JSON object and nothing else, and the texts for people go to standard error.
Without it, they go to standard output.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from threading import Timer
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from impactflow.escapes import for_terminal
from impactflow.units import exact_text


class _Console(Console):
    """A console on which no text of a shop or of a provider can move the cursor, or forge a line."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Render control characters, which a terminal would obey, as letters."""
        return super().render_str(for_terminal(text), **options)


def _console(*, to_stderr: bool) -> _Console:
    """Make a console: a terminal breaks lines between words; other outputs keep lines whole, and tables wide."""
    console = _Console(stderr=to_stderr, highlight=False)
    if not console.is_terminal:
        console.soft_wrap, console.width = True, _WIDE
    return console


#: The time after which a person is told what a command waits for, in seconds, where no terminal shows it at once.
_PATIENCE_S = 2.5
#: The greatest width of a table where no window limits it, in characters.
_WIDE = 200
out, err = _console(to_stderr=False), _console(to_stderr=True)


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Say what a command waits for: on a terminal while it waits, elsewhere in one line, if it takes seconds."""
    if err.is_terminal:
        with err.status(f"waiting for {what}"):
            yield
        return
    late = Timer(_PATIENCE_S, partial(err.print, f"waiting for {what}", markup=False))
    late.daemon = True
    late.start()
    try:
        yield
    finally:
        late.cancel()


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object on one line."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_no_more() -> None:
    """Send standard output to nowhere: Python would try to write the rest of its buffer again as the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows with the same keys as a table; an empty table is not printed."""
    if not rows:
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    numbers = {name for name, value in rows[0].items() if isinstance(value, int | float | Decimal)}
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    if _narrowest(table) > out.width:  # words would be broken to make the table fit
        print_list(
            title, [", ".join(f"{name.replace('_', ' ')} {value}" for name, value in _filled(row)) for row in rows]
        )
    else:
        out.print(table, markup=False)


def _narrowest(table: Table) -> int:
    """Return the width of a table whose cells are broken between words only."""
    return Measurement.get(out, out.options.update(width=10_000, markup=False), table).minimum


def _filled(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in row.items() if value is not None and value != ""]


def print_marked(console: Console, mark: str, style: str, sentence: str) -> None:
    """Print a sentence behind a coloured mark, as one text, so that lines break where the window ends."""
    console.print(Text.assemble((mark, style), " ", for_terminal(sentence)))


def print_list(title: str, lines: Sequence[str]) -> None:
    """Print sentences under a title, each wrapped at words on a terminal; an empty list is not printed."""
    if not lines:
        return
    out.print(title, style="italic", markup=False)
    for line in lines:
        text = Text(for_terminal(line))
        out.print(Text("  ") + text if out.soft_wrap else Padding(text, (0, 0, 0, 2), expand=False))  # never cut off


def _plain(value: object) -> object:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Fraction():
            return exact_text(value)
        case _:
            msg = f"cannot print a {type(value).__name__} as JSON"
            raise TypeError(msg)
