"""Resolve by hand placements that are parked or failed, one or all of a kind."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import typer

from impactflow import stopping
from impactflow.buying.rulings import OPEN_TO_RULING, Resolution, Ruled, Ruling, settle
from impactflow.buying.run import open_run
from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import out, print_json, print_list, print_table, waiting_for
from impactflow.cli.ledgers import open_existing, require
from impactflow.errors import ConfigurationError, ProviderError, Unauthorized
from impactflow.ledger import Status
from impactflow.settings import load_settings

#: The number of placements that are listed.
_LISTED = 20


@dataclass(frozen=True)
class Selection:
    """
    A choice of placements.

    Args:
        statuses: Parked, failed or both.
        slot: The slot of the placements; None for any.
        reason: A text in the placements' reasons, upper or lower case; empty for any.
        store: The store of the orders; None for any.
    """

    statuses: frozenset[Status]
    slot: str | None
    reason: str
    store: str | None


def settle_one(ruling: Ruling, *, as_json: bool) -> int:
    """
    Record a person's word on one placement, after the provider's records show that it is possible.

    Raises:
        ConfigurationError: The word cannot be recorded. Nothing was changed.
        ProviderError: The provider's records cannot be read now. Nothing was changed.
    """
    with waiting_for("the provider's records"):
        [settled] = stopping.run(_settle([ruling])).settled
    if as_json:
        print_json(settled.as_json())
    else:
        out.print(settled.in_words(), markup=False)
    return DONE


def settle_all(kind: Selection, decision: Resolution, by: str, why: str, *, yes: bool, as_json: bool) -> int:
    """
    List the placements of a kind, and on a yes record the same word on each.

    Args:
        kind: The choice of placements.
        decision: The result of each purchase.
        by: The person who decides.
        why: The person's reason.
        yes: Whether the yes is given already; otherwise a question on a terminal asks for it.
        as_json: Whether a program reads the output.

    Raises:
        typer.BadParameter: The decision is "bought": each purchase has its own name at the provider.
    """
    if decision is Resolution.BOUGHT:
        raise typer.BadParameter("--as bought needs the ref of each purchase: give ORDER and SLOT")
    with open_existing(load_settings()) as ledger:
        found = stopping.run(
            ledger.like_these(sorted(kind.statuses), slot=kind.slot, reason=kind.reason, store=kind.store)
        )
    if not as_json:
        _list(found)
    if not found:
        if as_json:
            print_json({"found": 0, "settled": [], "refused": []})
        return DONE
    if not (yes or _is_confirmed(len(found), decision, as_json=as_json)):
        if as_json:
            print_json({"found": len(found), "placements": found, "settled": [], "refused": []})
        else:
            out.print("Nothing was changed: `--yes` settles all of them.")
        return UNDONE
    rulings = [Ruling(row["name"], row["slot"], decision, by, why, store=row["store"]) for row in found]
    with waiting_for("the providers' records"):
        done = stopping.run(_settle(rulings, goes_on=True))
    if as_json:
        print_json({"found": len(found), "settled": [each.as_json() for each in done.settled], "refused": done.refused})
    else:
        out.print(f"{len(done.settled)} are settled as {decision}, {len(done.refused)} are as they were.")
        print_list(
            "Not settled", [f"order {each['order']}, slot {each['slot']}: {each['why']}" for each in done.refused]
        )
    return UNDONE if done.refused else DONE


def _list(found: Sequence[Mapping[str, Any]]) -> None:
    """Print each reason with its count, then the first placements."""
    if not found:
        out.print("Nothing like that is parked or failed.")
        return
    counts = Counter((row["status"], row["provider"], row["slot"], row["reason"] or "") for row in found)
    print_list(
        "Would be settled",
        [
            f"{count} {status} at {provider}, slot {slot}: {reason}"
            for (status, provider, slot, reason), count in counts.most_common(_LISTED)
        ],
    )
    first = [{name: row[name] for name in ("order", "store", "slot", "status")} for row in found[:_LISTED]]
    print_table("The first of them" if len(found) > _LISTED else "These are", first)


def _is_confirmed(count: int, decision: Resolution, *, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        return False
    return typer.confirm(f"Settle all {count} as {decision}?", default=False)


@dataclass
class _Done:
    settled: list[Ruled] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)


async def _settle(rulings: Sequence[Ruling], *, goes_on: bool = False) -> _Done:
    """Record the rulings one after the other; one that cannot be recorded is skipped, unless it is the only one."""
    done, settings = _Done(), load_settings()
    require(settings)
    async with open_run(settings, "settle") as run:
        for ruling in rulings:
            try:
                ruled = await settle(run.ledger, run.account, run.clock, run.id, ruling)
            except Unauthorized:
                raise
            except (ConfigurationError, ProviderError) as error:
                if not goes_on:
                    raise
                done.refused.append({"order": ruling.order, "slot": ruling.slot, "why": str(error)})
            else:
                done.settled.append(ruled)
    return done


def statuses(*, failed: bool, parked: bool) -> frozenset[Status]:
    """Return the statuses that are asked for; both where none is."""
    asked = {Status.FAILED: failed, Status.PARKED: parked}
    return frozenset(status for status, is_asked in asked.items() if is_asked) or OPEN_TO_RULING
