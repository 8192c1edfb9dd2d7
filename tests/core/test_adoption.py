"""A ledger that is new, old or copied is noticed from the sellers' records before anything is sent; and adopts them."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK, buy, cancel, metadata_of, standing
from virtual_time import in_virtual_time
from world import NONE_DIFFER, RULE_OF, differences, fresh_of, policy_of, sold, statuses

from impactflow.adoption import PurchasesUnknown, Scope, carry_out, survey
from impactflow.audit import Audit, choose_window
from impactflow.buying.loop import buy as buy_everywhere
from impactflow.buying.loop import steps_of
from impactflow.buying.run import Run
from impactflow.errors import ConfigurationError, Unavailable
from impactflow.ledger import Adopted, Claim, Move, Status, Vouched, placement_key
from impactflow.ledger.location import back_up, describe
from impactflow.models import ProviderName

SELLERS = [[CNAUGHT], [IMPACTAPI], [ONECLICK], list(ProviderName)]
each_seller = pytest.mark.parametrize("sellers", SELLERS, ids="+".join)


def a_world(new_world, sellers, count=3, **more):
    """A shop that buys of some sellers."""
    orders = [sold(number, contact=None) for number in range(1, count + 1)]
    return new_world(orders=orders, policy=policy_of(*(RULE_OF[seller] for seller in sellers)), **more)


async def place(world, run):
    """What ``impactflow place`` does."""
    await run.check_ledger({rule.provider for rule in world.policy.rules}, world.policy)
    await world.plan(run)
    await world.place_all(run)


async def surveyed(world, run):
    """What each account holds that the ledger does not."""
    scope = Scope(run.ledger, world.policy)
    return [await survey(run.account(name, world.policy.store), scope, None) for name in _sellers(world)]


async def adopt(world, run):
    """What ``impactflow adopt --yes`` does; what came of each."""
    done = [await carry_out(run.ledger, each, run.clock, run.id) for each in await surveyed(world, run)]
    return {what: sum(some[what] for some in done) for what in Adopted if any(some[what] for some in done)}


def _sellers(world):
    return sorted({rule.provider for rule in world.policy.rules})


async def audited(world, run, *, repair=False, **more):
    """The findings of an audit at each seller."""
    window = choose_window(None, None, today=run.clock.now().date())
    found = []
    for name in _sellers(world):
        audit = Audit(run.account(name, "acme"), window, repair=repair, **more)
        found += [finding async for finding in audit.run()]
    return found


def another(tmp_path, name="another"):
    """The settings of a run with another ledger."""
    return {"impactflow_ledger_url": f"sqlite:///{tmp_path / name}.db"}


async def refuses(world, run):
    """Nothing is bought, planned or lost; what was said."""
    before = len(world.purchases)
    with pytest.raises(PurchasesUnknown) as refused:
        await place(world, run)
    assert before == len(world.purchases)
    return refused.value


@each_seller
@in_virtual_time
async def test_n1_a_fresh_ledger_is_refused_and_adopts_what_was_bought(new_world, tmp_path, sellers):
    """Then it buys nothing, agrees with the books, and so does the audit."""
    world = a_world(new_world, sellers)
    async with world.run() as run:
        await place(world, run)
        await place(world, run)  # a ledger of its own is never refused
    bought = len(world.purchases)
    async with world.run(**another(tmp_path)) as run:
        refused = await refuses(world, run)
        assert str(tmp_path / "another.db") in str(refused)
        assert [(seller, 3) for seller in sorted(sellers)] == [
            (each["provider"], each["purchases"]) for each in refused.details["unknown"]
        ]
        assert {} == await statuses(run)
        assert {Adopted.NEW: bought} == await adopt(world, run)
        assert {} == await adopt(world, run)
    world.clock.turn(minutes=10)
    async with world.run(**another(tmp_path)) as run:
        await place(world, run)
        assert (bought, NONE_DIFFER) == (len(world.purchases), await differences(world, run))
        assert [] == await audited(world, run)
        assert {"placed": bought} == await statuses(run)


@each_seller
@in_virtual_time
async def test_n1_what_was_bought_is_found_behind_what_others_bought_since(new_world, tmp_path, sellers):
    """However few purchases a seller puts on a page."""
    world = a_world(new_world, sellers, page_items=1)
    async with world.run() as run:
        await place(world, run)
    for seller in sellers:
        buy(world, seller)
    async with world.run(**another(tmp_path)) as run:
        await refuses(world, run)


@each_seller
@in_virtual_time
async def test_o7_an_older_backup_is_refused_and_adopts_what_was_bought_since(new_world, tmp_path, sellers):
    """What it had planned and never sent, and what it had never heard of."""
    world = a_world(new_world, sellers)
    async with world.run() as run:
        await place(world, run)
        world.sandbox.shop.orders = [sold(number, contact=None) for number in range(1, 6)]
        await world.plan(run)
    back_up(world.settings.impactflow_ledger_url, tmp_path / "old.db")
    world.clock.turn(minutes=10)
    async with world.run() as run:
        world.sandbox.shop.orders = [sold(number, contact=None) for number in range(1, 8)]
        await place(world, run)
    bought = len(world.purchases)
    async with world.run(**another(tmp_path, "old")) as run:
        await refuses(world, run)
        assert {Adopted.NEW: 2 * len(sellers), Adopted.RECORDED: 2 * len(sellers)} == await adopt(world, run)
        await place(world, run)
        assert (bought, NONE_DIFFER) == (len(world.purchases), await differences(world, run))
        assert [] == await audited(world, run)


@each_seller
@in_virtual_time
async def test_n1_a_copy_that_is_used_on_both_sides_is_refused_on_both(new_world, tmp_path, sellers):
    """Each of them as soon as the other has bought."""
    world = a_world(new_world, sellers)
    async with world.run() as run:
        await place(world, run)
    back_up(world.settings.impactflow_ledger_url, tmp_path / "copy.db")
    world.sandbox.shop.orders = [sold(number, contact=None) for number in range(1, 5)]
    async with world.run() as run:
        await place(world, run)
    async with world.run(**another(tmp_path, "copy")) as run:
        await refuses(world, run)
        await adopt(world, run)
        world.sandbox.shop.orders = [sold(number, contact=None) for number in range(1, 6)]
        await place(world, run)
    async with world.run() as run:
        await refuses(world, run)
        await adopt(world, run)
        await place(world, run)
        assert NONE_DIFFER == await differences(world, run)


@pytest.mark.parametrize("provider", ProviderName)
@in_virtual_time
async def test_n1_strangers_at_an_account_that_tells_keys_refuse_nobody(new_world, provider):
    """Another store's purchases are under keys of its own."""
    world = a_world(new_world, [provider])
    theirs = {"order_id": "WR-1", "impactflow_key": placement_key("another store", "WR-1", RULE_OF[provider]["slot"])}
    buy(world, provider, theirs)
    buy(world, provider)
    async with world.run() as run:
        await place(world, run)
        assert {"placed": 3} == await statuses(run)


@pytest.mark.parametrize("provider", ProviderName)
@in_virtual_time
async def test_n1_where_nothing_can_be_attributed_a_person_vouches_once(new_world, provider):
    """Before that nothing is sent; what the policy does not buy there matters to nobody."""
    world = a_world(new_world, [provider], metadata="ignored")
    buy(world, provider)
    async with world.run() as run:
        refused = await refuses(world, run)
        assert f"impactflow adopt --not-ours {provider} --yes" in str(refused)
        [account] = await surveyed(world, run)
        assert ([], 1) == (account.ours, len(account.unnamed))
        world.clock.turn(seconds=1)
        await run.ledger.vouch(Vouched("acme", provider, "ana", run.clock.now()))
        await place(world, run)
        assert {"placed": 3} == await statuses(run)
    async with world.run() as run:
        buy(world, provider)
        await place(world, run)
        assert {"placed": 3} == await statuses(run)


@in_virtual_time
async def test_n1_the_check_costs_a_reading_of_each_list_once_in_a_run(new_world):
    """And no look-ups, once the ledger holds what is newest."""
    world = a_world(new_world, list(ProviderName))
    async with world.run() as run:
        await place(world, run)
    async with world.run() as run:
        for _ in range(2):
            await run.check_ledger(ProviderName, world.policy)
        assert 5 == run.transport.requests  # 1ClickImpact keeps two lists, and only an empty page ends CNaught's


def without_cnaught(world):
    """An address at which it does not answer."""
    return world.settings.model_copy(update={"cnaught_url": "http://127.0.0.1/nobody"}).cnaught_url


@in_virtual_time
async def test_n1_a_seller_that_cannot_be_asked_is_asked_again_before_anything_is_sent_there(new_world):
    """The others go on."""
    world = a_world(new_world, [CNAUGHT, ONECLICK])
    async with world.run() as run:
        await place(world, run)
    async with world.run(cnaught_url=without_cnaught(world)) as run:
        silent = await run.check_ledger([CNAUGHT, ONECLICK], world.policy)
        assert ([CNAUGHT], {ONECLICK}) == (list(silent), run.checked)


@in_virtual_time
async def test_n1_nothing_is_sent_where_the_ledger_could_not_be_compared(new_world, monkeypatch):
    """Though it was, elsewhere."""
    world = a_world(new_world, [CNAUGHT, ONECLICK])

    async def silent(_, names, __):
        return {name: Unavailable("busy", provider=name, operation="list") for name in names if name is CNAUGHT}

    monkeypatch.setattr(Run, "check_ledger", silent)
    async with world.run() as run:
        await world.plan(run)
        run.checked.add(ONECLICK)
        await buy_everywhere(run, world.policy, 0.0, steps_of(run, world.policy))
        assert {ONECLICK.value} == {each["provider"] for each in world.purchases}


@pytest.mark.parametrize("asked", [[CNAUGHT, ONECLICK], [ONECLICK]])
@in_virtual_time
async def test_n1_a_new_ledger_sends_nothing_until_all_sellers_have_answered(new_world, asked):
    """The silent one may be the only one that knows what another ledger has bought."""
    world = a_world(new_world, [CNAUGHT, ONECLICK])
    async with world.run(cnaught_url=without_cnaught(world)) as run:
        silent = await run.check_ledger(asked, world.policy)
        assert (set(asked), set()) == (set(silent), run.checked)
        assert "cnaught did not say whether another one has" in str(silent[ONECLICK])
    async with world.run() as run:
        assert {} == await run.check_ledger(asked, world.policy)
        assert set(asked) <= run.checked


@pytest.mark.parametrize(("count", "apart_s"), [(70, 1), (3, 0)])
@in_virtual_time
async def test_o7_what_waits_to_be_sent_again_and_was_bought_is_not_sent_again(new_world, count, apart_s):
    """However many they are, more than the newest records show at once; also where they share one name there."""
    world = a_world(new_world, [ONECLICK], count=count)
    if not apart_s:
        world.sandbox._lines[ONECLICK].api._unique_time = lambda now: f"{now:%Y-%m-%dT%H:%M:%S}.000Z"
    async with world.run() as run:
        await world.plan(run)
        now = run.clock.now()
        for _ in range(count):
            claim = Claim(ONECLICK, "acme", run.id, now, now, exclusive=False, fresh=fresh_of(run))
            [claimed] = await run.ledger.record_and_claim([], claim, 1)
            later = now + timedelta(hours=1)
            await run.ledger.move(Move(claimed, Status.PLACING, Status.PLANNED, now, run.id, "not sent", later))
            buy(world, ONECLICK, {"order_id": claimed.order_id, "impactflow_key": claimed.key})
            world.clock.turn(seconds=apart_s)
        await place(world, run)
        assert (count, NONE_DIFFER) == (len(world.purchases), await differences(world, run))


@pytest.mark.parametrize("provider", [ONECLICK, IMPACTAPI])
@in_virtual_time
async def test_n1_a_second_purchase_under_one_key_is_kept_for_the_audit(new_world, tmp_path, provider):
    """And a purchase that was cancelled is not bought again."""
    world = a_world(new_world, [provider])
    async with world.run() as run:
        await place(world, run)
        one, other, _ = await run.ledger.purchases()
    world.clock.turn(minutes=1)
    buy(world, provider, metadata_of(one))
    cancel(world, provider, other["ref"])
    async with world.run(**another(tmp_path)) as run:
        await refuses(world, run)
        done = await adopt(world, run)
        assert 1 == done[Adopted.FURTHER]
        assert {} == await adopt(world, run)
        await place(world, run)
        assert ["duplicate"] == [each.finding for each in await audited(world, run)]


@in_virtual_time
async def test_n1_adopting_twice_at_once_does_no_harm(new_world, tmp_path):
    """Unique keys hold."""
    world = a_world(new_world, list(ProviderName), count=12)
    async with world.run() as run:
        await place(world, run)
    async with world.run(**another(tmp_path)) as one, world.run(**another(tmp_path)) as other:
        await asyncio.gather(adopt(world, one), adopt(world, other))
        await place(world, one)
        assert NONE_DIFFER == await differences(world, one)


@in_virtual_time
async def test_n1_an_order_that_came_by_webhook_is_adopted_by_its_own_name(new_world, tmp_path):
    """So that it is the same order when it is told again."""
    world = a_world(new_world, [CNAUGHT], count=0)
    buy(world, CNAUGHT, {"order_id": "shopify:1001", "impactflow_key": placement_key("acme", "shopify:1001", "offset")})
    async with world.run(**another(tmp_path)) as run:
        await adopt(world, run)
        world.sandbox.shop.orders = [sold(1, contact=None)]  # its source's id is 1001
        await place(world, run)
        assert 1 == len(world.purchases)
        assert "wr:WR-1" in (await run.ledger.story("shopify:1001"))["names"]


@pytest.mark.parametrize("provider", [ONECLICK, IMPACTAPI])
@in_virtual_time
async def test_p10_two_ledgers_that_repair_at_once_leave_one_purchase_of_each_sale(new_world, tmp_path, provider):
    """Whichever of them holds which: the later one goes."""
    world = a_world(new_world, [provider])
    async with world.run() as one, world.run(**another(tmp_path)) as other:
        await world.plan(one)
        await world.place_all(one)
        world.clock.turn(minutes=1)
        await world.plan(other)
        await world.place_all(other)  # no check: two runs that began in the same moment
        world.clock.turn(minutes=1)
        rows = await one.ledger.purchases()
        await asyncio.gather(audited(world, one, repair=True), audited(world, other, repair=True))
        assert [[row["ref"]] for row in rows] == [standing(world, row) for row in rows]
        assert [] == await audited(world, one)


@in_virtual_time
async def test_p10_many_duplicates_are_cancelled_only_up_to_a_number_that_somebody_said(new_world):
    """None of them before."""
    world = a_world(new_world, [ONECLICK], count=7)
    async with world.run() as run:
        await place(world, run)
        rows = await run.ledger.purchases()
        world.clock.turn(minutes=1)
        for row in rows[:6]:
            buy(world, ONECLICK, metadata_of(row))
        world.clock.turn(minutes=1)
        found = await audited(world, run, repair=True)
        assert [None] * 6 == [each.repaired for each in found]
        assert "more than 5" in found[0].to_do
        assert 13 == len([each for each in world.purchases if not each["cancelled"]])
        assert all(each.repaired for each in await audited(world, run, repair=True, cancel_up_to=6))
        assert [[row["ref"]] for row in rows] == [standing(world, row) for row in rows]


def test_o7_a_backup_is_whole_private_and_never_in_the_place_of_another(tmp_path, ledger):
    """Taken while the ledger is open."""
    url = str(ledger._engine.url)
    if not url.startswith("sqlite"):
        url = ledger._engine.url.render_as_string(hide_password=False)
        with pytest.raises(ConfigurationError, match="pg_dump") as refused:
            back_up(url, tmp_path / "copy.db")
        assert "None" not in str(refused.value)
        return
    back_up(url, tmp_path / "copy.db")
    assert 0o600 == (tmp_path / "copy.db").stat().st_mode & 0o777
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert [("ok",)] == copy.execute("PRAGMA integrity_check").fetchall()
    with pytest.raises(ConfigurationError, match=r"copy\.db"):
        back_up(url, tmp_path / "copy.db")
    with pytest.raises(ConfigurationError, match="there is no ledger at"):
        back_up(f"sqlite:///{tmp_path}/nowhere.db", tmp_path / "other.db")
    assert not (tmp_path / "other.db").exists()


def test_n1_a_ledger_is_named_by_its_absolute_path_or_its_host_without_the_password():
    """As a person finds it."""
    assert str(Path.cwd() / "impactflow.db") == describe("sqlite:///impactflow.db")
    assert "db.example.com:5433/impact" == describe("postgresql://ana:secret@db.example.com:5433/impact")
