"""
The pretend shop's policy, as the text of its file: the demo, ``up`` and the proof buy by it.

What an order earns by it is worked out again, independently, in ``proof.sellers``.
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

_HEAD = """\
store: {store}
fx:
  as_of: {as_of}
  usd_per: {{EUR: 1.08, GBP: 1.27, CAD: 0.70, AUD: 0.64}}
rules:
"""
_RULES = {
    "trees": """\
  - slot: trees
    provider: oneclickimpact
    impact: plant_trees
    quantity: {per_order: 1}
""",
    "offset": """\
  - slot: offset
    provider: cnaught
    impact: offset
    quantity: {per_item: 2.5}
""",
    "giving": """\
  - slot: giving
    provider: impactapi
    impact: donate
    campaign: trees-for-the-future
    quantity: {percent_of_order: 1}
""",
}
#: The limits of a shop that sells so much on one day that a person would be asked.
NO_DAY_LIMIT: Mapping[str, str] = MappingProxyType(dict.fromkeys(_RULES, "approve_above_per_day: unlimited"))


def policy_text(store: str, as_of: date, limits: Mapping[str, str]) -> str:
    """
    Write the policy: a tree for each order, 2.5 kg of CO2 for each item, one percent given away.

    Args:
        store: The store's name.
        as_of: The day of the exchange rates.
        limits: By slot, a further line of the rule.

    Returns:
        The content of a policy file; more rules may be added at its end.
    """
    rules = [rule + (f"    {limits[slot]}\n" if slot in limits else "") for slot, rule in _RULES.items()]
    return _HEAD.format(store=store, as_of=as_of) + "".join(rules)
