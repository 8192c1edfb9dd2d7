"""A policy that would buy what nobody meant is refused before anything is bought, and says how to mean it."""

from datetime import date
from decimal import Decimal

import pytest
from virtual_time import START, in_virtual_time
from world import GIVING, OFFSET, TREES, policy_of, sold

from impactflow.buying.slips import find_slips, refuse_slips
from impactflow.errors import ConfigurationError

TODAY = START.date()
RENAMED = TREES | {"slot": "trees2"}


async def bought(new_world, *rules):
    """A world in which three orders were bought for."""
    world = new_world(policy=policy_of(*rules), orders=[sold(number) for number in range(1, 4)])
    async with world.run() as run:
        await world.plan(run)
        await world.place_all(run)
    return world


@in_virtual_time
async def test_n9_a_renamed_slot_is_refused_until_it_is_said_to_be_new(new_world):
    """With what was bought under the old name; the word of the policy is enough."""
    world = await bought(new_world, TREES, OFFSET)
    async with world.run() as run:
        with pytest.raises(ConfigurationError, match="slot trees, with 3 purchases, is gone"):
            await refuse_slips(run, policy_of(RENAMED, OFFSET))
        [slip] = await find_slips(run.ledger, policy_of(RENAMED, OFFSET), TODAY)
        assert "new_slots: [trees2]" in slip
        for fine in (
            policy_of(TREES, OFFSET),
            policy_of(OFFSET),
            policy_of(RENAMED, OFFSET, new_slots=["trees2"]),
            policy_of(TREES, OFFSET, RENAMED),
            policy_of(OFFSET, GIVING),
        ):
            assert await find_slips(run.ledger, fine, TODAY) == []


@in_virtual_time
async def test_n9_a_renamed_store_is_refused_until_its_slots_are_said_to_be_new(new_world):
    """Under another store's name every key is another one."""
    world = await bought(new_world, TREES, OFFSET)
    async with world.run() as run:
        other = policy_of(TREES, OFFSET, store="acme2")
        slips = await find_slips(run.ledger, other, TODAY)
        assert len(slips) == 2
        assert "call the store acme again" in slips[0]
        meant = policy_of(TREES, OFFSET, store="acme2", new_slots=["trees", "offset"])
        assert await find_slips(run.ledger, meant, TODAY) == []


@in_virtual_time
async def test_n9_a_first_run_has_nothing_to_ask(new_world):
    """Every slot is new to an empty ledger; and what was planned, but never bought, is not bought again."""
    world = new_world(policy=policy_of(TREES), orders=[sold(1)])
    async with world.run() as run:
        assert await find_slips(run.ledger, policy_of(TREES), TODAY) == []
        await world.plan(run)
        assert await find_slips(run.ledger, policy_of(RENAMED), TODAY) == []


def test_n9_that_something_is_meant_makes_no_other_policy():
    """So nothing that is planned has to be read again for it."""
    assert policy_of(TREES).digest == policy_of(TREES, new_slots=["trees"]).digest


@pytest.mark.parametrize(
    ("fx", "message"),
    [
        ({"as_of": date(2026, 3, 1), "usd_per": {"JPY": Decimal("175.68")}}, "looks like its inverse: write 0.005692"),
        (
            {"as_of": date(2030, 1, 1), "usd_per": {"EUR": Decimal("1.08")}},
            "fx.as_of is 2030-01-01, which is still to come",
        ),
        ({"as_of": date(2026, 3, 1), "usd_per": {"KWD": Decimal("3.25"), "EUR": Decimal("1.08")}}, None),
        ({"as_of": date(2025, 1, 1), "usd_per": {"EUR": Decimal("1.08")}}, None),
        ({"as_of": date(2026, 3, 1), "usd_per": {"XAU": Decimal(2600)}, "above_5_usd": ["XAU"]}, None),
    ],
)
def test_n20_rates_of_a_day_to_come_and_rates_that_look_inverse_are_refused(fx, message):
    """Above 5 USD for one unit needs a yes in the policy."""
    policy = policy_of(GIVING, fx=fx)
    messages = policy.wrong_rates(TODAY)
    assert [message is not None] == [bool(messages)]
    assert all(message in each for each in messages)


def test_n20_rates_are_named_as_old_after_thirty_days():
    """Nothing is refused for that."""
    policy = policy_of(GIVING, fx={"as_of": date(2026, 1, 1), "usd_per": {"EUR": Decimal("1.08")}})
    assert policy.remark_on_rates(date(2026, 1, 31)) is None
    assert "31 days old" in policy.remark_on_rates(date(2026, 2, 1))
