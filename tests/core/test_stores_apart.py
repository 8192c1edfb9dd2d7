"""Two stores on one ledger, each with accounts of its own: a run touches nothing of the other store's."""

import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK
from test_audit import audited
from test_settle_parked import parked
from test_settling import Losing
from virtual_time import in_virtual_time
from world import RULE_OF, policy_of, sold, statuses, sweep, track, work

from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.errors import ConfigurationError, Unauthorized
from impactflow.models import ProviderName

NORTH = "north"


def two_stores(new_world, provider):
    """The world of ``acme``, and that of ``north``, which sells something else and buys at other accounts."""
    rule = RULE_OF[provider]
    acme = new_world(orders=[sold(1)], policy=policy_of(rule))
    ledger_url = acme.settings.impactflow_ledger_url
    # Another seed: a provider gives its purchases different names at different accounts.
    north = new_world(ledger_url=ledger_url, orders=[sold(2)], policy=policy_of(rule, store=NORTH), seed=1)
    return acme, north


def bought(*worlds):
    """How many purchases stand at the accounts of each."""
    return [sum(not purchase["cancelled"] for purchase in world.purchases) for world in worlds]


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("provider", ProviderName)
@in_virtual_time
async def test_a_doubt_is_settled_at_the_account_of_its_own_store(new_world, provider, effect):
    """At the other's it would seem never to have been bought."""
    acme, north = two_stores(new_world, provider)
    lose = Losing(acme, "/confirm" if provider is IMPACTAPI else "", effect=effect)
    async with acme.run() as run:
        await acme.plan(run)
        await sweep(run, provider)
        assert {"in_doubt": 1} == await statuses(run)
    lose.over()
    acme.clock.turn(hours=2)
    async with north.run() as run:
        await north.plan(run)
        await work(run, provider)
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)
    async with acme.run() as run:
        await acme.plan(run)
        await work(run, provider)
        assert {"placed": 2} == await statuses(run)
    assert [1, 1] == bought(acme, north)


@pytest.mark.parametrize("provider", ProviderName)
@in_virtual_time
async def test_purchases_are_followed_and_audited_at_the_account_of_their_own_store(new_world, provider):
    """At the other's all of them would be missing, and a run would stop because the account knows none of them."""
    acme, north = two_stores(new_world, provider)
    for world in (acme, north):
        async with world.run() as run:
            await world.plan(run)
            await work(run, provider)
    for world, store in ((acme, "acme"), (north, NORTH)):
        async with world.run() as run:
            assert 1 == (await track(run, provider, everything=True)).checked
            findings, tally = await audited(run, provider, store=store, repair=True)
            assert ([], 1) == (findings, tally.agreed)
    assert [1, 1] == bought(acme, north)


@in_virtual_time
async def test_a_ruling_is_checked_at_the_account_of_its_orders_store(new_world):
    """Not bought, says a person with the other store's keys: those accounts know none of this store's purchases."""
    acme, north = two_stores(new_world, ONECLICK)
    acme.sandbox.shop.orders = [sold(1), sold(3)]
    ruling = Ruling("WR-1", "trees", Resolution.NOT_BOUGHT, "a person")
    async with acme.run() as run:
        await parked(acme, run, ONECLICK)
        await work(run, ONECLICK)
        assert {"parked": 1, "placed": 1} == await statuses(run)
    async with north.run() as run:
        with pytest.raises(Unauthorized, match="for store acme"):
            await settle(run.ledger, run.account, run.clock, run.id, ruling)
    async with acme.run() as run:
        with pytest.raises(ConfigurationError, match="was bought"):
            await settle(run.ledger, run.account, run.clock, run.id, ruling)


@in_virtual_time
async def test_a_run_without_a_policy_asks_for_one_where_the_ledger_has_several_stores(new_world, tmp_path):
    """It cannot know whose accounts its keys open."""
    acme, north = two_stores(new_world, CNAUGHT)
    async with acme.run() as run:
        assert "" == await run.store()
        await acme.plan(run)
        assert "acme" == await run.store()
    policy = tmp_path / "policy.yaml"
    async with north.run(impactflow_policy=policy) as run:
        await north.plan(run)
        with pytest.raises(ConfigurationError, match=r"several stores \(acme, north\).*IMPACTFLOW_POLICY"):
            await run.store()
        rule = "{slot: trees, provider: oneclickimpact, impact: plant_trees, quantity: {per_order: 1}}"
        policy.write_text(f"store: north\nrules:\n- {rule}\n")
        assert NORTH == await run.store()
