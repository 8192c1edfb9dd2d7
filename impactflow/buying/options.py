"""
What a policy names at its providers, checked against the accounts: campaigns, portfolios.

A wrong name is refused order by order once it is bought with; here it is told before, with what the account knows by a
like name. Harmless calls only.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from impactflow.errors import ImpactError
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.providers import Provider


@dataclass(frozen=True, slots=True)
class Checked:
    """
    What a rule names, after a look at the account.

    Args:
        slot: Which rule.
        wrong: What is wrong with it; None where nothing is, or nobody could say.
        unchecked: Why nobody could say.
    """

    slot: str
    wrong: str | None = None
    unchecked: str | None = None

    def __str__(self) -> str:
        if self.wrong:
            return f"slot {self.slot}: {self.wrong}"
        return f"slot {self.slot} was not checked: {self.unchecked}"


async def check_options(provider_of: Callable[[ProviderName], Provider], policy: Policy) -> list[Checked]:
    """
    Ask the accounts about what each rule names; what is right is left out.

    Args:
        provider_of: Opens the account at a provider.
        policy: Whose rules.
    """
    checked = [await _check(provider_of, rule) for rule in policy.rules]
    return [each for each in checked if each.wrong or each.unchecked]


async def _check(provider_of: Callable[[ProviderName], Provider], rule: Any) -> Checked:
    options = {name: value for name in rule.told if (value := getattr(rule, name))}
    if not options:
        return Checked(rule.slot)
    try:
        return Checked(rule.slot, wrong=await provider_of(rule.provider).wrong_option(options))
    except ImpactError as error:
        return Checked(rule.slot, unchecked=str(error))


def told(checked: Iterable[Checked]) -> list[str]:
    """A line for each, for a person."""
    return [str(each) for each in checked]
