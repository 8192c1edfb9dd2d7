"""
What a person sees on a terminal, and what a program reads with ``--json``.

One JSON object goes to standard output and nothing else does; everything for people goes to standard output without
``--json`` and to standard error with it. Called by the commands.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from impactflow.escapes import for_terminal
from impactflow.ledger import Ledger
from impactflow.outcome import Standing


class _Console(Console):
    """A console on which no text of a shop's or a provider's can move the cursor, or forge a line."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Render what a terminal would obey as letters."""
        return super().render_str(for_terminal(text), **options)


out = _Console(highlight=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Mapping[str, Any]) -> None:
    """One object on one line."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of like keys as a table; an empty one is not printed."""
    if not rows:
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    numbers = {name for name, value in rows[0].items() if isinstance(value, int | float | Decimal)}
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right" if name in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table, markup=False)


def _plain(value: object) -> object:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            msg = f"cannot print a {type(value).__name__} as JSON"
            raise TypeError(msg)


@asynccontextmanager
async def watching(ledger_url: str, doing: str) -> AsyncIterator[None]:
    """
    Show on a terminal how the ledger fills while something runs; elsewhere show nothing.

    Args:
        ledger_url: The ledger to look into twice a second.
        doing: What is running.
    """
    if not err.is_terminal:
        yield
        return
    with err.status(doing) as status, Ledger.open(ledger_url) as ledger:

        async def refresh() -> None:
            while True:
                standing = asdict(Standing.of(await ledger.counts()))
                told = " · ".join(f"{count} {name.replace('_', ' ')}" for name, count in standing.items() if count)
                status.update(f"{doing} [dim]{told}[/dim]")
                await asyncio.sleep(0.5)

        refreshing = asyncio.create_task(refresh())
        try:
            yield
        finally:
            refreshing.cancel()
