"""Read the policy file and explain it, without a request to any account."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from impactflow import stopping
from impactflow.buying.slips import find_slips
from impactflow.cli.command import DONE, MISUSED
from impactflow.cli.console import err, out, print_json, print_list, print_marked, print_table
from impactflow.cli.ledgers import missing_file
from impactflow.errors import LedgerError
from impactflow.ledger import Ledger
from impactflow.models import UNIT_OF
from impactflow.policy import Policy, load_policy
from impactflow.policy.remarks import remarks
from impactflow.settings import Settings
from impactflow.units import WHOLE, shown


def check_policy(file: Path, settings: Settings, *, as_json: bool) -> int:
    """
    Print the rules, and the reasons why a run would refuse to buy.

    Args:
        file: The policy's file.
        settings: The settings that name the ledger; a ledger that exists is read, too.
        as_json: Whether a program reads the output.

    Raises:
        ConfigurationError: The file is not a policy. The message says where and why.
    """
    policy, today = load_policy(file), datetime.now(UTC).date()
    slips, notes = policy.wrong_rates(today), []
    if missing_file(settings) is None:
        try:
            with Ledger.open(settings.impactflow_ledger_url) as ledger:
                slips = stopping.run(find_slips(ledger, policy, today))
        except LedgerError as error:
            notes.append(f"whether slots were renamed is not known: {error}")
    notes += remarks(policy)
    if not slips and (remark := policy.remark_on_rates(today)):
        notes.append(remark)
    rules = [_rule(rule) for rule in policy.rules]
    if as_json:
        limited = [{**each, **_limits(rule)} for each, rule in zip(rules, policy.rules, strict=True)]
        result = {"policy": str(file.absolute()), "store": policy.store, "rules": limited}
        print_json({**result, "wrong": slips, "notes": notes, "ok": not slips})
    else:
        _show(file, policy, rules, slips, notes)
    return MISUSED if slips else DONE


def _rule(rule: Any) -> dict[str, Any]:
    """Return a rule as the file states it."""
    stated = rule.model_dump(mode="json", exclude_defaults=True)
    options = {name: stated[name] for name in rule.option_fields if name in stated}
    return {
        "slot": rule.slot,
        "provider": rule.provider.value,
        "impact": rule.impact.value,
        "quantity": stated["quantity"],
        "when": stated.get("when", {}),
        "options": options,
    }


def _limits(rule: Any) -> dict[str, Any]:
    """Return the limits of a rule, stated in the file or not, in the ledger's unit; None: there is no limit."""
    return {
        "counts_in": rule.counts_in,
        "rounding": rule.rounding.value,
        "unit": UNIT_OF[rule.impact].value,
        "minimum": rule.least,
        "most_per_order": rule.most_of_order,
        "approve_above": rule.approval_limit,
        "approve_above_is_default": rule.approve_above is None,
        "approve_above_per_day": rule.day_limit,
        "approve_above_per_day_is_default": rule.approve_above_per_day is None,
    }


_ROUNDED = {"nearest": "rounded to the nearest, halves up", "up": "rounded up", "down": "rounded down"}


def _limits_in_words(rule: Any) -> str:
    """Return the same limits in one sentence."""
    whole = WHOLE[UNIT_OF[rule.impact]]
    bought = "bought whole" if whole == rule.counts_in else f"bought in whole {whole}"
    minimum = f"; nothing below {_amount(rule, rule.least)} is bought" if rule.least > 1 else ""
    if rule.most_of_order is not None:
        minimum += f"; at most {_amount(rule, rule.most_of_order)} for one order"
    order = _limit(rule, rule.approval_limit, "for one order", is_default=rule.approve_above is None)
    day = _limit(rule, rule.day_limit, "planned on one UTC day", is_default=rule.approve_above_per_day is None)
    return (
        f"{rule.slot}: quantity, minimum and limits are in {rule.counts_in}; {bought}, {_ROUNDED[rule.rounding]}"
        f"{minimum}; bought without asking a person: {order}, {day}"
    )


def _limit(rule: Any, most: int | None, what: str, *, is_default: bool) -> str:
    amount = "any amount" if most is None else f"up to {_amount(rule, most)}"
    return f"{amount} {what}{' (the default)' if is_default else ''}"


def _amount(rule: Any, quantity: int) -> str:
    amount, unit = shown(quantity, UNIT_OF[rule.impact])
    cents = f" ({quantity:,} cents)" if unit == "USD" else ""
    return f"{amount:,f} {unit}{cents}"


def _show(file: Path, policy: Policy, rules: list[dict[str, Any]], slips: list[str], notes: list[str]) -> None:
    out.print(f"{file.absolute()} is a policy for store {policy.store}.", markup=False)
    print_table("Rules", [{name: _in_words(value) for name, value in rule.items()} for rule in rules])
    print_list("Units, rounding and limits of each slot", [_limits_in_words(rule) for rule in policy.rules])
    if policy.fx:
        rates = ", ".join(f"{rate} for one {currency}" for currency, rate in policy.fx.usd_per.items())
        held = "orders in other currencies are held where a rule needs their worth"
        out.print(
            f"Rates of {policy.fx.as_of}, in USD: {rates}; {held}.",
            markup=False,
        )
    for note in notes:
        out.print(f"Look at this: {note}.", markup=False)
    for slip in slips:
        print_marked(err, "wrong:", "bold red", slip)
    if not slips:
        out.print("`impactflow doctor` asks the accounts; `impactflow place --dry-run` shows what would be bought.")


def _in_words(value: object) -> str:
    """Return a field as the file states it; a field that has fields becomes ``name value``."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return ", ".join(f"{name} {_in_words(each)}" for name, each in value.items())
        case list():
            return f"[{', '.join(map(_in_words, value))}]"
        case _:
            return str(value)
