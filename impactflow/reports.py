"""
What was bought, for people who must match every cent: ledger totals to pandas frames to CSV; long lists row by row.

The database adds up; pandas shapes the result. Amounts are in the unit that the column beside them names: kilograms for
offsets, dollars for donations. What a spreadsheet would take for a formula gets an apostrophe. Called by the tasks
``publish_report`` and ``audit_providers``.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pandas as pd

from impactflow.errors import ConfigurationError
from impactflow.escapes import for_spreadsheet
from impactflow.ledger import Effect, Total
from impactflow.models import Unit
from impactflow.units import shown

#: The columns of a list of single purchases.
EFFECT_COLUMNS = ("order", "slot", "provider", "became", "amount", "unit", "price_usd", "certificate")
_COLUMNS = ["day", "slot", "provider", "impact", "placements", "completed", "amount", "unit", "price_usd"]


def bought(totals: Sequence[Total]) -> pd.DataFrame:
    """
    One row per day, slot and provider, amounts as exact decimals.

    Args:
        totals: From ``Ledger.totals``.
    """
    rows = []
    for total in totals:
        amount, unit = shown(total.quantity, Unit(total.unit))
        price = None if total.price_usd_cents is None else Decimal(total.price_usd_cents) / 100
        rows.append(
            (total.day, total.slot, total.provider, total.kind, total.placements, total.completed, amount, unit, price)
        )
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"price_usd": object})


def effect_row(effect: Effect) -> dict[str, str]:
    """One purchase as a row under ``EFFECT_COLUMNS``; empty where the provider does not say."""
    amount, unit = shown(effect.quantity, Unit(effect.unit))
    price = "" if effect.price_usd_cents is None else str(Decimal(effect.price_usd_cents) / 100)
    values = (effect.order, effect.slot, effect.provider, effect.status, f"{amount:f}", unit, price)
    return dict(zip(EFFECT_COLUMNS, (*values, effect.certificate_url or ""), strict=True))


def write_csv(frame: pd.DataFrame, folder: Path, name: str) -> Path:
    """
    Write a frame as CSV; return where it lies.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    path = folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.map(lambda cell: for_spreadsheet(cell) if isinstance(cell, str) else cell).to_csv(path, index=False)
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


@contextmanager
def csv_rows(
    folder: Path, name: str, columns: Sequence[str]
) -> Iterator[tuple[Path, Callable[[Mapping[str, str]], object]]]:
    """
    A CSV file that is written row by row: where it lies, and what writes a row.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    path = folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None
    with file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        yield path, lambda row: writer.writerow({name: for_spreadsheet(cell) for name, cell in row.items()})


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"IMPACTFLOW_REPORTS: {path} cannot be written: {error.strerror}")
