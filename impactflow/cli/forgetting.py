"""Show what the ledger holds of a customer, and forget the customer on a yes."""

import sys
from collections.abc import Iterator

import typer

from impactflow import stopping
from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import out, print_json, print_list, print_table, waiting_for
from impactflow.cli.ledgers import open_existing
from impactflow.clock import Clock
from impactflow.errors import ConfigurationError, LedgerError
from impactflow.ledger import Forget, Holding, Ledger
from impactflow.ledger.addresses import found_in, is_address
from impactflow.settings import load_settings
from impactflow.texts import counted

#: The number of purchases that are listed.
_LISTED = 20


def forget(email: str, by: str, clock: Clock, *, yes: bool, as_json: bool) -> int:
    """
    Show what the ledger holds of a customer, and forget the customer on a yes; return 1 where something is left.

    Args:
        email: The customer's address; it is shown nowhere.
        by: The person who decides.
        clock: The clock.
        yes: Whether the yes is given already; otherwise a question on a terminal asks for it.
        as_json: Whether a program reads the output.

    Raises:
        ConfigurationError: The text is no address, or there is no ledger.
        LedgerError: The ledger failed, or its file still holds traces of the customer.
    """
    wanted = Forget(email.strip(), by, clock.now())
    with open_existing(load_settings()) as ledger:
        with waiting_for("the ledger"):
            found = stopping.run(ledger.held_of(wanted))
        if not is_address(email) and (found_in(email) or not found.orders):  # a shop may write anything in its place
            raise ConfigurationError("give the customer's e-mail address alone, such as ana@example.com")
        if not as_json:
            _show(found)
        if not (yes or _is_confirmed(found, as_json=as_json)):
            return _left(found, as_json=as_json)
        with waiting_for("the ledger"):
            found = stopping.run(_forget(ledger, wanted))
    if as_json:
        print_json(_as_json(found, is_forgotten=not found.must_wait))
    elif not found.must_wait:
        out.print("The customer is forgotten. Orders that name the address are kept without it from now on.")
        out.print("Not reached: backups, the shop, the sellers, logs of the web server, and Prefect's server.")
    _print_rest(found, as_json=as_json)
    return UNDONE if found.must_wait or found.names else DONE


async def _forget(ledger: Ledger, wanted: Forget) -> Holding:
    found = await ledger.forget(wanted)
    if not found.must_wait:
        try:
            await ledger.scrub(wanted)
        except LedgerError as error:
            msg = f"the customer is forgotten, but the ledger's file still holds traces: run this again ({error})"
            raise LedgerError(msg) from None
    return found


def _is_confirmed(found: Holding, *, as_json: bool) -> bool:
    if as_json or not found or found.must_wait or not sys.stdin.isatty():
        return False
    return typer.confirm("Forget this customer? It cannot be undone.", default=False)


def _left(found: Holding, *, as_json: bool) -> int:
    if as_json:
        print_json(_as_json(found, is_forgotten=False))
    elif found:
        out.print("Nothing was changed: `--yes` forgets the customer.")
    else:
        out.print("Nothing is to be forgotten; `--yes` keeps the address out of the ledger from now on.")
    _print_rest(found, as_json=as_json)
    return UNDONE if found or found.names else DONE


def _show(found: Holding) -> None:
    if not found:
        out.print(f"The ledger {'has forgotten' if found.was_forgotten else 'knows nothing of'} this address.")
    else:
        held = {"order": found.orders, "text with the address": found.texts, "unread webhook delivery": found.bodies}
        plurals = {
            "text with the address": "texts with the address",
            "unread webhook delivery": "unread webhook deliveries",
        }
        parts = [counted(number, name, plurals.get(name, f"{name}s")) for name, number in held.items() if number]
        if parts or found.pending:
            out.print(f"The ledger holds of this customer: {', '.join(parts) or 'a webhook delivery that waits'}.")
        if found.is_unfinished:
            out.print("Forgetting this customer was cut off, so the ledger's file may still hold traces.")
    title = "These purchases name the customer at the seller, or may: only the seller can change that"
    print_table(f"{title}; the first of them" if len(found.named) > _LISTED else title, found.named[:_LISTED])


def _print_rest(found: Holding, *, as_json: bool) -> None:
    if not as_json:
        print_list("Not forgotten", [*_rest(found)])


def _rest(found: Holding) -> Iterator[str]:
    """What is left, and what to do about it."""
    if found.sending_until is not None:
        yield (
            "a purchase may be on its way in the customer's name, so nothing was changed: forget the customer after"
            f" {found.sending_until:%Y-%m-%d %H:%M:%S} UTC"
        )
    for each in found.pending:
        number = counted(each["count"], "webhook delivery", "webhook deliveries")
        yield (
            f"{number} of store {each['store']} from {each['source']} with the address must be processed, so nothing"
            " was changed: `impactflow place --webhooks` with that store's policy, then forget the customer"
        )
    if found.names:
        yield (
            f"{counted(found.names, 'name')} of orders, deliveries or files with the address: by these names things are"
            " known, and not bought again"
        )


def _as_json(found: Holding, *, is_forgotten: bool) -> dict[str, object]:
    return {
        "forgotten": is_forgotten,
        "was_forgotten": found.was_forgotten,
        "was_cut_off": found.is_unfinished,
        "orders": found.orders,
        "texts": found.texts,
        "deliveries": found.bodies,
        "named_at_sellers": list(found.named),
        "left": {"names": found.names, "pending_deliveries": list(found.pending), "again_after": found.sending_until},
    }
