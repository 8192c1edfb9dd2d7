"""
Mistakes in a policy that loads but would buy the wrong things: a slot or a store under another name, wrong rates.

For each, a line in the policy can say that it is intended. Called before anything is bought, by dry runs and by
``doctor``.
"""

from datetime import date

from impactflow.buying.hosts import wrong_hosts
from impactflow.buying.run import Run
from impactflow.errors import ConfigurationError
from impactflow.ledger import BoughtSlot, Ledger
from impactflow.policy import Policy


async def refuse_slips(run: Run, policy: Policy) -> None:
    """
    Check that a policy has no slips, and that the providers' hosts are as real as it says.

    Raises:
        ConfigurationError: Something is wrong; the message says what to write.
    """
    slips = await find_slips(run.ledger, policy, run.clock.now().date())
    hosts = wrong_hosts(policy, run.settings, await run.ledger.used(policy.store))
    if wrong := [*hosts.values(), *slips]:
        raise ConfigurationError("; ".join(wrong))


async def find_slips(ledger: Ledger, policy: Policy, today: date) -> list[str]:
    """
    Sentences for a person, one for each mistake.

    Args:
        ledger: The ledger, which knows the purchases so far and their slots.
        policy: Any policy.
        today: The day it is, UTC.
    """
    new = [rule for rule in policy.rules if rule.slot not in policy.new_slots]
    unused = await ledger.unused_slots(policy.store, [rule.slot for rule in new])
    bought = await ledger.bought_slots() if unused else []
    is_known = any(each.store == policy.store for each in bought)
    gone = [
        each
        for each in bought
        if (each.store == policy.store and each.slot not in policy.slots)
        or (not is_known and each.store != policy.store)
    ]
    return [
        *policy.wrong_rates(today),
        *(
            _renamed(policy.store, rule.slot, before[0])
            for rule in new
            if rule.slot in unused and (before := [each for each in gone if each.kind is rule.impact])
        ),
    ]


def _renamed(store: str, slot: str, before: BoughtSlot) -> str:
    """The names that look like a new name for a known slot, or for a known store."""
    if before.store == store:
        what, old, new = "slot", before.slot, slot
        where = f"slot {before.slot}"
    else:
        what, old, new = "store", before.store, store
        where = f"slot {before.slot} of store {before.store}"
    return (
        f"slot {slot} of store {store} is new, and {where}, with {before.purchases} purchases, is gone from the"
        f" policy: under another name all of it would be bought again. If {new} is only a new name, call the {what}"
        f" {old} again; if something else is meant, write new_slots: [{slot}] into the policy"
    )
