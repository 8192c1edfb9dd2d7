"""What is owed, bought, waiting and credited in each slot, and whether the two equations hold."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import typer

from impactflow import stopping
from impactflow.cli import ledgers
from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import out, print_json, print_table
from impactflow.ledger import Balance
from impactflow.settings import load_settings
from impactflow.units import SHOWN, exact_text


def show_balances(slot: str | None, *, as_json: bool) -> int:
    """
    Print the balance of each store and slot; return the exit status: whether the equations hold.

    Args:
        slot: The slot; None for all.
        as_json: Whether a program reads the output.

    Raises:
        typer.BadParameter: Nothing was ever earned in the slot.
        ConfigurationError: There is no ledger.
        LedgerError: The ledger cannot be read.
    """
    with ledgers.open_existing(load_settings()) as ledger:
        known = stopping.run(ledger.balances())
    found = [each for each in known if slot in {None, each.slot}]
    if slot is not None and not found:
        names = ", ".join(sorted({each.slot for each in known})) or "none yet"
        raise typer.BadParameter(f"nothing was ever earned in slot {slot!r}: the ledger's slots are {names}")
    if as_json:
        print_json({"balances": list(map(_row, found)), "holds": all(each.holds for each in found)})
    else:
        _show(found)
    return DONE if all(each.holds for each in found) else UNDONE


def _row(each: Balance) -> dict[str, Any]:
    return {
        "store": each.store,
        "slot": each.slot,
        "unit": each.unit.value,
        "owed": exact_text(each.owed),
        "allocated": exact_text(each.allocated),
        "waiting": {why: exact_text(amount) for why, amount in sorted(each.waiting.items())},
        "bought": exact_text(each.bought),
        "credit": exact_text(each.credit),
        "holds": each.holds,
    }


def _show(found: Sequence[Balance]) -> None:
    print_table("", [_readable(each) for each in found])
    if not found:
        out.print("Nothing was earned yet.")
    for each in found:
        if not each.holds:
            out.print(
                f"[bold red]The equations of slot {each.slot} of store {each.store} do not hold[/bold red]: owed must"
                " be allocated + waiting, and bought must be allocated + credit. Buy nothing more, and look at what"
                " changed the ledger's database beside impactflow.",
            )


def _readable(each: Balance) -> dict[str, Any]:
    name, size = SHOWN[each.unit]

    def shown(amount: Fraction) -> str:
        return exact_text(amount / size)

    waiting = ", ".join(f"{shown(amount)} {why.replace('_', ' ')}" for why, amount in sorted(each.waiting.items()))
    return {
        "store": each.store,
        "slot": each.slot,
        "in": name,
        "owed": shown(each.owed),
        "allocated": shown(each.allocated),
        "waiting": waiting,
        "bought": shown(each.bought),
        "credit": shown(each.credit),
    }
