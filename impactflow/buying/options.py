"""
The names that a policy uses at its providers (campaigns, portfolios), checked against the accounts.

A provider refuses a wrong name only at each purchase. This check reports it before, with similar names that the account
knows. Harmless calls only.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from impactflow.errors import ImpactError
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.providers import Provider


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """
    The names in one rule, checked against the account.

    Args:
        slot: The rule's slot.
        wrong: The mistake; None where there is none, or where the check was not possible.
        unchecked: The reason why the check was not possible.
    """

    slot: str
    wrong: str | None = None
    unchecked: str | None = None

    def __str__(self) -> str:
        if self.wrong:
            return f"slot {self.slot}: {self.wrong}"
        return f"slot {self.slot} was not checked: {self.unchecked}"


async def check_options(provider_of: Callable[[ProviderName], Provider], policy: Policy) -> list[CheckedRule]:
    """
    Ask the accounts about the names in each rule; names that are right are left out.

    Args:
        provider_of: Opens the account at a provider.
        policy: The policy with the rules.
    """
    checked = [await _check(provider_of, rule) for rule in policy.rules]
    return [each for each in checked if each.wrong or each.unchecked]


async def _check(provider_of: Callable[[ProviderName], Provider], rule: Any) -> CheckedRule:
    options = {name: value for name in rule.option_fields if (value := getattr(rule, name))}
    if not options:
        return CheckedRule(rule.slot)
    try:
        return CheckedRule(rule.slot, wrong=await provider_of(rule.provider).wrong_option(options))
    except ImpactError as error:
        return CheckedRule(rule.slot, unchecked=str(error))


def as_lines(checked: Iterable[CheckedRule]) -> list[str]:
    """Return one line for each check, for a person."""
    return [str(each) for each in checked]
