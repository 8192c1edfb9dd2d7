"""Rules that buy for many orders at once, their orders, and what a test asks of both."""

from world import TREES, sold

THIRD = TREES | {
    "quantity": {"per_amount": {"quantity": 1, "per": 240}},
    "rounding": "carry",
}
AT_ONCE, DAILY = {"buy": {"at_least": 1}}, {"buy": {"every": "day"}}
DOWN = "oneclickimpact.rate_limited=1"


def shop(count, **fields):
    """So many orders of 80 USD, a third of 240."""
    return [sold(number, **fields) for number in range(1, count + 1)]


def bought(world):
    """The quantities of the purchases, in their order."""
    return [purchase["quantity"] for purchase in world.purchases]


async def balance(run, slot="trees"):
    """The one balance of a slot; both equations hold in all."""
    found = await run.ledger.balances()
    assert all(each.holds for each in found), found
    [mine] = [each for each in found if each.slot == slot]
    return mine


def refunded(number):
    """An order whose payment was given back."""
    return sold(number, payments=[{"status": "REFUNDED"}])
