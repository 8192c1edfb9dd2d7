"""Record a person's word that a delivery or an order that could not be read needs no action."""

from impactflow import stopping
from impactflow.cli import console, ledgers
from impactflow.clock import Clock
from impactflow.errors import ConfigurationError
from impactflow.ledger import Dismissal
from impactflow.settings import load_settings

#: The hint shown wherever an order or a delivery is listed that could not be read.
HOW = "`impactflow dismiss 'NAME' --why TEXT` takes one off this list; a good reading of the order does so by itself."


def dismiss(name: str, why: str, by: str, store: str | None, clock: Clock, *, as_json: bool) -> None:
    """
    Write the person's word into the ledger, and print the name that was dismissed.

    Raises:
        ConfigurationError: No reason is given, there is no ledger, or the name is not one that could not be read.
    """
    if not why.strip():
        raise ConfigurationError("say why nothing is to be done about it: --why 'a test order'")
    with ledgers.open_existing(load_settings()) as ledger:
        given = Dismissal(name, by, why.strip(), clock.now(), store)
        problem = stopping.run(ledger.dismiss(given))
    if as_json:
        console.print_json({"dismissed": name, "problem": problem, "by": by, "why": given.why, "at": given.at})
        return
    console.out.print(f"{name} is dismissed by {by}: {given.why}", markup=False)
    console.out.print(f"What could not be read: {problem}", markup=False)
    console.out.print("Another problem of it is shown again.")
