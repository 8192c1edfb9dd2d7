"""Show the purchases that a ledger would take over from the providers' records, and take them over on a yes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from typing import Any

from impactflow.adoption import Scope, Survey, UnknownPurchase, carry_out, survey
from impactflow.buying.run import Run, open_run
from impactflow.cli.console import out, print_json, print_table, waiting_for
from impactflow.cli.ledgers import none_made
from impactflow.ledger import Adopted, Vouched
from impactflow.ledger.location import describe
from impactflow.models import ProviderName, Unit
from impactflow.policy import Policy
from impactflow.settings import Settings
from impactflow.units import shown

#: The number of purchases that are named.
_NAMED = 20


def run_adoption(
    settings: Settings,
    policy: Policy,
    since: date | None,
    not_ours: frozenset[ProviderName],
    by: str,
    *,
    yes: bool,
    as_json: bool,
) -> int:
    """
    Survey the accounts, report, and write the purchases on a yes; return 1 where something is left to be decided.

    Raises:
        ProviderError: An account cannot be read now. Nothing was written.
        LedgerError: The ledger failed. The entries written before stay.
    """
    where = describe(settings.impactflow_ledger_url)
    with nullcontext(settings) if yes else none_made(settings) as used, waiting_for("the providers' records"):
        surveys, done = asyncio.run(_adopt(used, policy, since, not_ours, by, yes=yes))
    left = [each for each in surveys if each.unnamed and not (yes and each.provider in not_ours)]
    if as_json:
        print_json(_as_json(surveys, done, where, yes=yes))
    else:
        _show(surveys, done, left, where, yes=yes)
    return 1 if left or (not yes and any(each.ours for each in surveys)) else 0


async def _adopt(
    settings: Settings, policy: Policy, since: date | None, not_ours: frozenset[ProviderName], by: str, *, yes: bool
) -> tuple[list[Survey], Counter[Adopted]]:
    done: Counter[Adopted] = Counter()
    async with open_run(settings, "adopt") as run:
        began = run.clock.now()
        used = await run.ledger.used(policy.store)
        scope = Scope(run.ledger, policy)
        names = sorted({*used, *(rule.provider for rule in policy.rules), *not_ours})
        surveys = [await survey(run.account(name, policy.store), scope, since) for name in names]
        for each in surveys if yes else ():
            done += await _carry_out(run, each)
        for name in sorted(not_ours) if yes else ():
            await run.ledger.vouch(Vouched(policy.store, name, by, began))
        return surveys, done


async def _carry_out(run: Run, surveyed: Survey) -> Counter[Adopted]:
    return await carry_out(run.ledger, surveyed, run.clock, run.id)


def _as_json(surveys: Sequence[Survey], done: Counter[Adopted], where: str, *, yes: bool) -> dict[str, Any]:
    return {
        "ledger": where,
        "written": yes,
        "read": {each.provider.value: each.read for each in surveys},
        "ours": [row for each in surveys for row in each.totals()],
        "name_nobody": {each.provider.value: len(each.unnamed) for each in surveys if each.unnamed},
        "adopted": {what.value: done[what] for what in Adopted} if yes else None,
    }


def _show(surveys: Sequence[Survey], done: Counter[Adopted], left: Sequence[Survey], where: str, *, yes: bool) -> None:
    out.print(f"Ledger: {where}", markup=False)
    for each in surveys:
        out.print(
            f"{each.provider}: {each.read} records read, {len(each.ours)} are this store's and not in the ledger."
        )
    print_table("This store's, and not in the ledger", [_readable(row) for each in surveys for row in each.totals()])
    print_table("The first of them", [_line(each.provider, found) for each in surveys for found in each.ours][:_NAMED])
    for each in left:
        out.print(
            f"{each.provider}: {len(each.unnamed)} purchases carry no key, so no record tells whether this store made"
            f" them. If none was: `impactflow adopt --not-ours {each.provider} --yes`",
            markup=False,
        )
    ours = any(each.ours for each in surveys)
    if yes:
        counts = [f"{count} {what}" for what, count in done.items() if count]
        out.print(f"Adopted: {', '.join(counts) or 'nothing'}.")
    elif ours:
        out.print("Nothing was written: `impactflow adopt --yes` takes them over.")
    if not ours and not left:
        out.print("The ledger knows all that this store has bought.")


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    amount, unit = shown(row["quantity"], Unit(row["unit"]))
    return {**row, "quantity": amount, "unit": unit}


def _line(provider: ProviderName, found: UnknownPurchase) -> dict[str, Any]:
    record = found.record
    return {
        "provider": provider.value,
        "order": record.order_id,
        "slot": found.slot,
        "bought": f"{record.at:%Y-%m-%d %H:%M}",
        "ref": record.ref,
        "in_the_ledger": found.known,
    }
