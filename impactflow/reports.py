"""
What was bought, for people who must match every cent: ledger totals to pandas frames to CSV.

The database adds up; pandas shapes the result. Amounts are in the unit that the column beside them names: kilograms for
offsets, dollars for donations. Called by the task ``publish_report``.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pandas as pd

from impactflow.errors import ConfigurationError
from impactflow.ledger import Total
from impactflow.models import Unit
from impactflow.units import shown

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


def write_csv(frame: pd.DataFrame, folder: Path, name: str) -> Path:
    """
    Write a frame as CSV; return where it lies.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    path = folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_csv(path, index=False)
    except OSError as error:
        msg = f"IMPACTFLOW_REPORTS: {path} cannot be written: {error.strerror}"
        raise ConfigurationError(msg) from None
    return path
