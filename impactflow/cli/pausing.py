"""Pause buying, and let it go on."""

from collections.abc import Mapping, Sequence
from typing import Any

from impactflow import stopping
from impactflow.cli import ledgers
from impactflow.cli.console import out, print_json
from impactflow.clock import Clock
from impactflow.errors import ConfigurationError
from impactflow.ledger import Pause, PauseScope, Resumption
from impactflow.reports.standing import in_force
from impactflow.settings import load_settings


def pause(scope: PauseScope, why: str, by: str, clock: Clock, *, as_json: bool) -> None:
    """
    Write the pause into the ledger, and print it.

    Raises:
        ConfigurationError: No reason is given, or there is no ledger.
    """
    if not why.strip():
        raise ConfigurationError("say why nothing is to be bought: --why 'the campaign is being changed'")
    with ledgers.open_existing(load_settings()) as ledger:
        given = Pause(scope, by, why.strip(), clock.now())
        stopping.run(ledger.pause(given))
    if as_json:
        print_json(as_row(given))
        return
    out.print(in_force(given), markup=False)
    out.print("Requests that are being sent now are still recorded.")


def resume(scope: PauseScope | None, by: str, clock: Clock, *, as_json: bool) -> None:
    """
    End the pauses of a scope, or all of them, and print those that ended.

    Raises:
        ConfigurationError: No pause of the scope stands, or there is no ledger.
    """
    with ledgers.open_existing(load_settings()) as ledger:
        ended: Sequence[Pause] = stopping.run(ledger.resume(Resumption(scope, by, clock.now())))
    if as_json:
        print_json({"ended": [as_row(each) for each in ended], "by": by})
        return
    for each in ended:
        out.print(f"Buying goes on: {each.scope.in_words}, paused since {each.at:%Y-%m-%d %H:%M} UTC.", markup=False)
    out.print("The next run sends what waited." if ended else "Nothing was paused.")


def as_row(each: Pause) -> Mapping[str, Any]:
    """A pause as ``--json`` prints it."""
    return {**each.scope.columns, "by": each.by, "why": each.why, "at": each.at}
