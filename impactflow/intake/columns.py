"""The columns of a file that the rules of a policy need: without them a rule earns nothing."""

from collections.abc import Iterator, Mapping, Sequence

from impactflow.policy import Policy
from impactflow.policy.quantities import PerAmount, PercentOfOrder, PerItem
from impactflow.policy.rules import Rule

#: The system of an order whose line names none.
_FILE = "file"


def columns_needed(policy: Policy) -> Mapping[str, Sequence[str]]:
    """The columns that rules cannot do without, each with the slots of these rules."""
    needed: dict[str, list[str]] = {}
    for rule in policy.rules:
        for column in _columns(rule):
            needed.setdefault(column, []).append(rule.slot)
    return needed


def _columns(rule: Rule) -> Iterator[str]:
    when = rule.when
    limits = (when.min_amount, when.max_amount, when.min_amount_usd, when.max_amount_usd)
    of_amount = isinstance(rule.quantity, PerAmount | PercentOfOrder) or any(each is not None for each in limits)
    asks = {
        "amount": of_amount,
        "currency": of_amount or when.currencies is not None,
        "item_count": isinstance(rule.quantity, PerItem) or when.min_items is not None,
        "customer_email": when.first_order is not None,
        "subscription": when.subscription is not None,
        "source_system": not when.may_hold_for(frozenset({_FILE})),
    }
    return (column for column, is_asked in asks.items() if is_asked)
