"""
Purchases for people who must match every cent: ledger totals to pandas frames to CSV; long lists row by row.

The database adds up; pandas shapes the result. Amounts are in the unit that the column beside them names: kilograms for
offsets, dollars for donations. A text that a spreadsheet would take for a formula gets an apostrophe.
"""

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from impactflow.escapes import for_spreadsheet
from impactflow.ledger import Effect, Status, Total
from impactflow.models import Unit
from impactflow.units import shown

log = logging.getLogger(__name__)

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
    """One purchase as a row under ``EFFECT_COLUMNS``; a cell is empty where the provider does not say."""
    amount, unit = shown(effect.quantity, Unit(effect.unit))
    price = "" if effect.price_usd_cents is None else str(Decimal(effect.price_usd_cents) / 100)
    values = (effect.order, effect.slot, effect.provider, effect.status, f"{amount:f}", unit, price)
    return dict(zip(EFFECT_COLUMNS, (*values, effect.certificate_url or ""), strict=True))


@dataclass(frozen=True, slots=True)
class Reported:
    """
    The reports of a run, and their paths.

    Args:
        totals: The path of the CSV of all purchases by day, slot and provider; or why it was not written.
        purchases: The same for the CSV of each purchase that the run made or saw completed; None where there is none.
        bought: The purchases that took effect in the run, by slot and provider, as ``--json`` prints them.
    """

    totals: str
    purchases: str | None
    bought: Sequence[Mapping[str, Any]]


class BoughtTotals:
    """The purchases of a run, added up by slot and provider while they are read."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], tuple[int, int, int | None]] = {}

    def add(self, effect: Effect) -> None:
        """Add a purchase that took effect; one that was completed took effect before."""
        if effect.status != Status.PLACED:
            return
        key = effect.slot, effect.provider, effect.unit
        count, quantity, cents = self._sums.get(key, (0, 0, 0))
        price = effect.price_usd_cents
        cents = None if cents is None or price is None else cents + price
        self._sums[key] = count + 1, quantity + effect.quantity, cents

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows by slot and provider: number, quantity in the unit that people read, price where it is fully known."""
        return [_row(key, *summed) for key, summed in sorted(self._sums.items())]


def _row(key: tuple[str, str, str], count: int, quantity: int, cents: int | None) -> dict[str, Any]:
    slot, provider, unit = key
    amount, name = shown(quantity, Unit(unit))
    price = None if cents is None else Decimal(cents) / 100
    return {
        "slot": slot,
        "provider": provider,
        "placements": count,
        "amount": f"{amount:f}",
        "unit": name,
        "price_usd": None if price is None else f"{price:f}",
    }


class Rows:
    """
    A CSV file that is written row by row. If writing fails, the file ends there: the purchases of a run matter more.

    Args:
        path: The path; its folder is made.
        columns: The names of the columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        #: The file's path; or why it is not there, or not whole.
        self.path_or_reason = str(path)
        self._file: TextIO | None = None
        with self._failing():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", newline="", encoding="utf-8")
            self._writer = csv.DictWriter(self._file, columns)
            self._writer.writeheader()

    def write(self, row: Mapping[str, str]) -> None:
        """Add a row; a text that a spreadsheet would take for a formula gets an apostrophe."""
        if self._file is not None:
            with self._failing():
                self._writer.writerow({name: for_spreadsheet(cell) for name, cell in row.items()})

    def close(self) -> None:
        """Write the remaining rows."""
        file, self._file = self._file, None
        if file is not None:
            with self._failing():
                file.close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """End the file at its first error, and report the error."""
        try:
            yield
        except OSError as error:
            self.path_or_reason = _unwritten(self._path, error)
            file, self._file = self._file, None
            if file is not None:
                with suppress(OSError):
                    file.close()


@contextmanager
def csv_rows(folder: Path, name: str, columns: Sequence[str]) -> Iterator[Rows]:
    """A CSV file in the folder of reports, whole when the block ends."""
    rows = Rows(folder / f"{name}.csv", columns)
    try:
        yield rows
    finally:
        rows.close()


def write_csv(frame: pd.DataFrame, folder: Path, name: str) -> str:
    """Write a frame as CSV; return the file's path, or why it cannot be written."""
    path = folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.map(lambda cell: for_spreadsheet(cell) if isinstance(cell, str) else cell).to_csv(path, index=False)
    except OSError as error:
        return _unwritten(path, error)
    return str(path)


def _unwritten(path: Path, error: OSError) -> str:
    """The text in place of a report's path where the report could not be written."""
    reason = f"none, {path} cannot be written ({error.strerror}): see IMPACTFLOW_REPORTS"
    log.warning("report: %s", reason)
    return reason
