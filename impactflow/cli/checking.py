"""Read the policy file and say what it means, without asking anybody: called by ``policy check``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from impactflow import stopping
from impactflow.cli.command import DONE, MISUSED
from impactflow.cli.console import err, out, print_json, print_marked, print_table
from impactflow.cli.ledgers import missing_file
from impactflow.errors import LedgerError
from impactflow.ledger import Ledger
from impactflow.policy import Policy, load_policy
from impactflow.settings import Settings
from impactflow.slips import find_slips


def check_policy(file: Path, settings: Settings, *, as_json: bool) -> int:
    """
    Print the rules, and what a run would refuse to buy by.

    Args:
        file: The policy's.
        settings: Where the ledger is, which is looked at where there is one.
        as_json: Whether a program reads it.

    Raises:
        ConfigurationError: The file is no policy; the message says where and why.
    """
    policy, today = load_policy(file), datetime.now(UTC).date()
    slips, notes = policy.wrong_rates(today), []
    if missing_file(settings) is None:
        try:
            with Ledger.open(settings.impactflow_ledger_url) as ledger:
                slips = stopping.run(find_slips(ledger, policy, today))
        except LedgerError as error:
            notes.append(f"whether slots were renamed is not known: {error}")
    if not slips and (remark := policy.remark_on_rates(today)):
        notes.append(remark)
    rules = [_rule(rule) for rule in policy.rules]
    if as_json:
        told = {"policy": str(file.absolute()), "store": policy.store, "rules": rules}
        print_json({**told, "wrong": slips, "notes": notes, "ok": not slips})
    else:
        _tell(file, policy, rules, slips, notes)
    return MISUSED if slips else DONE


def _rule(rule: Any) -> dict[str, Any]:
    """A rule as the file has it."""
    said = rule.model_dump(mode="json", exclude_defaults=True)
    options = {name: said[name] for name in rule.told if name in said}
    return {
        "slot": rule.slot,
        "provider": rule.provider.value,
        "impact": rule.impact.value,
        "quantity": said["quantity"],
        "when": said.get("when", {}),
        "options": options,
    }


def _tell(file: Path, policy: Policy, rules: list[dict[str, Any]], slips: list[str], notes: list[str]) -> None:
    out.print(f"{file.absolute()} is a policy for store {policy.store}.", markup=False)
    print_table("Rules", [{name: _in_words(value) for name, value in rule.items()} for rule in rules])
    if policy.fx:
        told = ", ".join(f"{rate} for one {currency}" for currency, rate in policy.fx.usd_per.items())
        out.print(f"Rates of {policy.fx.as_of}, in USD: {told}", markup=False)
    for note in notes:
        out.print(f"Look at this: {note}.", markup=False)
    for slip in slips:
        print_marked(err, "wrong:", "bold red", slip)
    if not slips:
        out.print("`impactflow doctor` asks the accounts; `impactflow place --dry-run` shows what would be bought.")


def _in_words(value: object) -> str:
    """A field as it may stand in a table; a field of fields as ``name value``."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {_in_words(each)}" for name, each in value.items())
