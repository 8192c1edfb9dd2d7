"""A list of the purchases that refunds would undo, as the orders were read last."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from impactflow import stopping
from impactflow.buying.cancelling import undoing
from impactflow.cli.command import DONE
from impactflow.cli.console import out, print_json, print_table
from impactflow.cli.ledgers import open_existing
from impactflow.clock import SystemClock
from impactflow.ledger import Ledger
from impactflow.models import Unit
from impactflow.policy import load_policy
from impactflow.settings import Settings
from impactflow.texts import counted
from impactflow.units import amount_in_words

#: The most purchases that are listed.
_LISTED = 1000


def show_list(settings: Settings, path: Path, *, again: bool, as_json: bool) -> int:
    """
    Print the purchases that a run would cancel; nothing is asked for and nothing is changed.

    Raises:
        ConfigurationError: The policy cannot be read, or there is no ledger.
        LedgerError: The ledger cannot be read.
    """
    policy = load_policy(path)

    async def read(ledger: Ledger) -> list[dict[str, Any]]:
        wanted = await undoing(ledger, policy, SystemClock(), settings.impactflow_settle_s, again=again)
        return [_row(dict(each)) for each in await ledger.list_to_cancel(wanted, _LISTED)]

    with open_existing(settings) as ledger:
        rows = stopping.run(read(ledger))
    if as_json:
        print_json({"store": policy.store, "would_be_cancelled": rows})
        return DONE
    number = f"{_LISTED} purchases or more" if len(rows) == _LISTED else counted(len(rows), "purchase")
    out.print(f"As the orders were read last, {number} would be cancelled. Nothing was changed.")
    print_table("", rows)
    return DONE


def _row(row: dict[str, Any]) -> dict[str, Any]:
    amount = amount_in_words(row.pop("quantity"), Unit(row.pop("unit")))
    cents = row.pop("price_usd_cents")
    return row | {"amount": amount, "price_usd": None if cents is None else str(Decimal(cents) / 100)}
