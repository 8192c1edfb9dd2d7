"""Pause buying, and let it go on."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from impactflow import stopping
from impactflow.cli import ledgers
from impactflow.cli.console import out, print_json
from impactflow.clock import Clock
from impactflow.errors import ConfigurationError
from impactflow.ledger import Ledger, Pause, PauseScope, Resumption
from impactflow.policy import load_policy
from impactflow.settings import Settings, load_settings


def pause(scope: PauseScope, why: str, by: str, clock: Clock, *, as_json: bool) -> None:
    """
    Write the pause into the ledger, and print it.

    Raises:
        ConfigurationError: No reason is given, or there is no ledger.
    """
    if not why.strip():
        raise ConfigurationError("say why nothing is to be bought: --why 'the campaign is being changed'")
    settings = load_settings()
    with ledgers.open_existing(settings) as ledger:
        given = Pause(scope, by, why.strip(), clock.now())
        stopping.run(_pause(ledger, given, settings))
    if as_json:
        print_json(given.as_json())
        return
    out.print(given.in_words, markup=False)
    out.print("Requests that are being sent now are still recorded.")


async def _pause(ledger: Ledger, given: Pause, settings: Settings) -> None:
    """Pause, unless neither ledger nor policy knows the store or the slot: buying would go on unnoticed."""
    known = {store: set(slots) for store, slots in (await ledger.slots()).items()}
    with suppress(ConfigurationError):
        policy = load_policy(settings.impactflow_policy)
        known.setdefault(policy.store, set()).update(policy.slots)
    store, slot = given.scope.store, given.scope.slot
    if store is not None and store not in known:
        raise ConfigurationError(f"there is no store {store!r}: {_named('the stores are', known)}")
    slots = known[store] if store is not None else set().union(*known.values())
    if slot is not None and slot not in slots:
        raise ConfigurationError(f"there is no slot {slot!r}: {_named('the slots are', slots)}")
    await ledger.pause(given)


def _named(what: str, names: Iterable[str]) -> str:
    """The names that there are, for a person who mistyped one."""
    return f"{what} {', '.join(sorted(names))}" if names else "nothing was planned yet"


def resume(scope: PauseScope | None, by: str, clock: Clock, *, as_json: bool) -> None:
    """
    End the pauses of a scope, or all of them, and print those that ended.

    Raises:
        ConfigurationError: No pause of the scope stands, or there is no ledger.
    """
    with ledgers.open_existing(load_settings()) as ledger:
        ended: Sequence[Pause] = stopping.run(ledger.resume(Resumption(scope, by, clock.now())))
    if as_json:
        print_json({"ended": [each.as_json() for each in ended], "by": by})
        return
    for each in ended:
        out.print(f"Buying goes on: {each.scope.in_words}, paused since {each.at:%Y-%m-%d %H:%M} UTC.", markup=False)
    out.print("The next run sends what waited." if ended else "Nothing was paused.")
