"""
Remarks for a person on a policy that loads: no remark is an error, and none stops a run.

    quantities that are rounded      0.5 trees for each order is 1, since trees are bought whole
    currencies without a rate        their orders are held where a rule needs the order's worth in another currency
    currencies that do not exist     EUX in a condition shuts out every order

Pure.
"""

from collections.abc import Collection, Iterator
from fractions import Fraction

from impactflow.models import UNIT_OF
from impactflow.policy.currencies import KNOWN
from impactflow.policy.document import Policy
from impactflow.policy.quantities import PerAmount, PercentOfOrder, PerItem, PerOrder, rounded
from impactflow.policy.rules import Rule
from impactflow.units import WHOLE


def remarks(policy: Policy) -> list[str]:
    """Return sentences for a person, one for each thing to check."""
    return [
        *_unknown_currencies(policy),
        *(
            f"slot {rule.slot}: {remark}"
            for rule in policy.rules
            for remark in (*_rounding(rule), *_rates(policy, rule))
        ),
    ]


def _unknown_currencies(policy: Policy) -> Iterator[str]:
    for place, named in _named(policy):
        for currency in named:
            if currency not in KNOWN:
                yield f"{place}: {currency} is not a currency of ISO 4217, so no order is likely to be paid in it"


def _named(policy: Policy) -> Iterator[tuple[str, Collection[str]]]:
    """Yield each place of the policy that names currencies, with these currencies."""
    if policy.fx:
        yield "fx.usd_per", policy.fx.usd_per
    for rule in policy.rules:
        where = f"slot {rule.slot}: when"
        yield f"{where}.currencies", rule.when.currencies or ()
        yield f"{where}.min_amount", rule.when.min_amount or ()
        yield f"{where}.max_amount", rule.when.max_amount or ()
        if isinstance(rule.quantity, PerAmount):
            yield f"slot {rule.slot}: per_amount.currency", (rule.quantity.per_amount.currency,)


def _rounding(rule: Rule) -> Iterator[str]:
    """Yield a remark where one order, or one item, earns a fraction of the smallest thing that can be bought."""
    match rule.quantity:
        case PerOrder(per_order=each):
            name = "per_order"
        case PerItem(per_item=each):
            name = "per_item"
        case _:
            return
    exact = Fraction(each) * rule.scale
    if exact.denominator == 1:
        return
    bought = rounded(exact, rule.rounding)
    earns = "nothing" if bought < rule.least else str(bought)
    one = "an order" if name == "per_order" else "an order of one item"
    yield (
        f"{WHOLE[UNIT_OF[rule.impact]]} are bought whole: with {name} {each:f} {rule.counts_in} {one} earns {earns}"
        f" (rounding: {rule.rounding})"
    )


def _rates(policy: Policy, rule: Rule) -> Iterator[str]:
    """Yield a remark on the orders that are held because a rate is missing."""
    only = _converted_to(rule)
    if only is None:
        return
    rated = set(policy.usd_per) if only in policy.usd_per else {only}
    allowed = _allowed(rule)
    if allowed is not None:
        if lacking := sorted(allowed - rated):
            yield f"orders in {', '.join(lacking)} are held {_UNTIL}"
    elif policy.fx is None or only not in policy.usd_per:
        yield f"the rule needs an order's worth in {only}, so orders in other currencies are held {_UNTIL}"


_UNTIL = "until fx.usd_per has their rates (`impactflow rates --help`)"


def _converted_to(rule: Rule) -> str | None:
    """Return the currency in which the rule needs an order's worth; None where it needs none."""
    in_usd = rule.when.min_amount_usd is not None or rule.when.max_amount_usd is not None
    match rule.quantity:
        case PercentOfOrder():
            return "USD"
        case PerAmount(per_amount=share) if not in_usd:
            return share.currency
        case _:
            return "USD" if in_usd else None


def _allowed(rule: Rule) -> set[str] | None:
    """Return the currencies of orders that can earn under the rule; None where all can."""
    named = [
        set(each) for each in (rule.when.currencies, rule.when.min_amount, rule.when.max_amount) if each is not None
    ]
    return set.intersection(*named) if named else None
