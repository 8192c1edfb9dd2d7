"""A person's ruling: it is checked against the provider's records, done once, and the story says who, when and why."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK, buy, cancel, change, metadata_of, standing
from virtual_time import in_virtual_time
from world import OFFSET, RULE_OF, TREES, fresh_of, make_world, policy_of, sold, statuses, sweep, track, work

from impactflow.buying.loop import resolve_at
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.errors import ConfigurationError, ImpactError, NotSent, Unauthorized
from impactflow.ledger import Claim, Move, Status
from impactflow.models import Receipt
from impactflow.sandbox.faults import Draws, Faults

BOUGHT, NOT_BOUGHT, GIVEN_UP = Resolution
SLOT_OF = {provider: rule["slot"] for provider, rule in RULE_OF.items()}


async def rule(run, decision, *, order="WR-1", slot="trees", ref="", by="ana", why="I asked them"):
    """A ruling of a person's."""
    ruling = Ruling(order, slot, decision, by, why, ref)
    return await settle(run.ledger, run.account, run.clock, run.id, ruling)


class AnySpelling(httpx.AsyncBaseTransport):
    """A line behind which 1ClickImpact understands each spelling of a time."""

    def __init__(self, inner):
        self._inner = inner

    async def handle_async_request(self, request):
        asked = request.url.params.get("time_utc", "")
        if asked.endswith("+00:00"):
            request.url = request.url.copy_set_param("time_utc", asked.replace("+00:00", "Z"))
        return await self._inner.handle_async_request(request)


async def row_of(run, order="WR-1"):
    """The first placement of an order, as the ledger tells it."""
    return {"order_id": order} | (await run.ledger.story(order))["placements"][0]


async def parked(world, run, provider, *, sends=True):
    """The first order's placement, parked by hand an hour after its only attempt; bought or not."""
    await world.plan(run)
    now = run.clock.now()
    claim = Claim(provider, "acme", run.id, now, now + timedelta(seconds=60), exclusive=False, fresh=fresh_of(run))
    [placement] = await run.ledger.record_and_claim([], claim, 1)
    ref = buy(world, provider, {"order_id": "WR-1", "impactflow_key": placement.key}) if sends else ""
    evidence = Move(placement, Status.PLACING, Status.PARKED, now, run.id, "nobody can say")
    await run.ledger.record_and_claim([evidence], claim, 0)
    world.clock.turn(hours=1)
    return ref


def a_world(new_world, provider, count=1, **more):
    """A shop that buys at one provider, for nobody in particular."""
    orders = [sold(number, contact=None) for number in range(1, count + 1)]
    return new_world(orders=orders, policy=policy_of(RULE_OF[provider]), **more)


@pytest.mark.parametrize("provider", [CNAUGHT, IMPACTAPI, ONECLICK])
@in_virtual_time
async def test_what_was_bought_is_recorded_under_its_name(new_world, provider):
    """And is followed like every other purchase; the story says who ruled so and why."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        ref = await parked(world, run, provider)
        ruled = await rule(run, BOUGHT, slot=SLOT_OF[provider], ref=ref)
        row = await row_of(run)
        assert (Status.PARKED, Status.PLACED, ref) == (ruled.from_, ruled.to, ruled.ref)
        assert ("placed", ref, run.clock.now(), run.id) == (
            row["status"],
            row["ref"],
            row["placed_at"],
            row["events"][-1]["run_id"],
        )
        assert f"bought, says ana: I asked them; {ref}" == row["events"][-1]["detail"]
        assert (provider is ONECLICK) == (row["price_usd_cents"] is None)
        world.clock.turn(days=40)
        assert 1 == (await track(run, provider)).completed


@pytest.mark.parametrize("provider", [CNAUGHT, IMPACTAPI, ONECLICK])
@in_virtual_time
async def test_what_was_not_bought_is_sent_again(new_world, provider):
    """By the next run, once."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        await parked(world, run, provider, sends=False)
        await rule(run, NOT_BOUGHT, slot=SLOT_OF[provider])
        assert {"planned": 1} == await statuses(run)
        await work(run, provider)
        row = await row_of(run)
        assert ({"placed": 1}, [row["ref"]]) == (await statuses(run), standing(world, row))
        assert "not-bought, says ana: I asked them" in [event["detail"] for event in row["events"]]


@pytest.mark.parametrize("from_", ["parked", "failed"])
@in_virtual_time
async def test_what_is_given_up_is_never_sent(new_world, from_):
    """Its reason stays with it, also when the order is read again; nobody needs to look any more."""
    world = a_world(new_world, CNAUGHT)
    async with world.run() as run:
        await (parked(world, run, CNAUGHT, sends=False) if from_ == "parked" else failed(world, run))
        await rule(run, GIVEN_UP, slot="offset", why="a test order")
        await world.plan(run, policy_of(OFFSET | {"quantity": {"per_order": 9}}))
        await work(run, CNAUGHT)
        assert ({"cancelled": 1}, []) == (await statuses(run), world.purchases)
        assert "given-up, says ana: a test order" == (await row_of(run))["reason"]
        assert [] == await run.ledger.attention()


@pytest.mark.parametrize(("provider", "asked", "sold_"), [(ONECLICK, 1, 2), (CNAUGHT, 5_000, 10_000)])
@in_virtual_time
async def test_of_what_was_sold_in_a_wrong_amount_the_evidence_names_the_purchase(new_world, provider, asked, sold_):
    """It is parked and never repeated; it counts as not bought only once it is cancelled there."""
    world = a_world(new_world, provider, faults="wrong_amount=1")
    slot = SLOT_OF[provider]
    async with world.run() as run:
        await world.plan(run)
        await work(run, provider)
        row = await row_of(run)
        [purchase] = world.purchases
        assert ("parked", sold_) == (row["status"], purchase["quantity"])
        assert purchase["ref"] in row["reason"]
        world.clock.turn(hours=1)
        for decision, ref in ((BOUGHT, purchase["ref"]), (NOT_BOUGHT, "")):
            with pytest.raises(ConfigurationError, match=re.escape(purchase["ref"])):
                await rule(run, decision, slot=slot, ref=ref)
        cancel(world, provider, purchase["ref"])
        world.sandbox.calm()
        if provider is CNAUGHT:  # its key stands for the cancelled one for good
            await rule(run, GIVEN_UP, slot=slot)
        else:
            await rule(run, NOT_BOUGHT, slot=slot)
        await work(run, provider)
        standing_ = [each["quantity"] for each in world.purchases if not each["cancelled"]]
        assert ([] if provider is CNAUGHT else [asked]) == standing_


class Refusing(httpx.AsyncBaseTransport):
    """Refuses every purchase."""

    def __init__(self, inner):
        self._inner = inner

    async def handle_async_request(self, request):
        if request.method == "POST":
            return httpx.Response(400, json={"detail": "not today"})
        return await self._inner.handle_async_request(request)


async def failed(world, run):
    """The first order's offset, refused for good."""
    run.transport._inner = Refusing(run.transport._inner)
    await world.plan(run)
    await sweep(run, CNAUGHT)
    await resolve_at(run, CNAUGHT, "acme")
    run.transport._inner = world.carrier
    assert {"failed": 1} == await statuses(run)


@in_virtual_time
async def test_what_was_refused_can_be_tried_again(new_world):
    """Once whatever was wrong is mended there."""
    world = a_world(new_world, CNAUGHT)
    async with world.run() as run:
        await failed(world, run)
        ruled = await rule(run, NOT_BOUGHT, slot="offset")
        assert (Status.FAILED, Status.PLANNED) == (ruled.from_, ruled.to)
        await sweep(run, CNAUGHT)
        assert ({"placed": 1}, 1) == (await statuses(run), len(world.purchases))


@pytest.mark.parametrize("provider", [CNAUGHT, IMPACTAPI, ONECLICK])
@in_virtual_time
async def test_what_carries_the_key_and_stands_was_bought_whatever_a_person_says(new_world, provider):
    """Nothing is sent again."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        ref = await parked(world, run, provider)
        if provider is IMPACTAPI:
            with run.ledger._engine.begin() as connection:
                connection.exec_driver_sql("UPDATE placements SET handle = ?", (ref,))
        with pytest.raises(ConfigurationError, match="carries its key and stands"):
            await rule(run, NOT_BOUGHT, slot=SLOT_OF[provider])
        assert {"parked": 1} == await statuses(run)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("provider", [CNAUGHT, ONECLICK])
@in_virtual_time
async def test_what_carries_the_key_is_seen_though_pages_shift_while_they_are_read(new_world, provider, seed):
    """A page that shifts hides it from one reading."""
    world = a_world(new_world, provider, page_items=2)
    async with world.run() as run:
        theirs = range(2)
        if provider is ONECLICK:
            [buy(world, provider) for _ in theirs]
        await parked(world, run, provider)
        if provider is CNAUGHT:  # which tells the newest first
            [buy(world, provider) for _ in theirs]
        world.sandbox._lines[provider]._draws = Draws(Faults.parse("shifting_pages=1"), provider, seed)
        with pytest.raises(ConfigurationError, match="carries its key and stands"):
            await rule(run, NOT_BOUGHT, slot=SLOT_OF[provider])


@in_virtual_time
async def test_what_a_person_cancelled_there_is_bought_anew(new_world):
    """Where there is no idempotency key; also when the answer to the new purchase is lost."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        ref = await parked(world, run, ONECLICK)
        cancel(world, ONECLICK, ref)
        await rule(run, NOT_BOUGHT)
        world.sandbox._lines[ONECLICK]._draws = Draws(Faults.parse("lost_answer=1"), ONECLICK, 0)
        await sweep(run, ONECLICK)
        world.sandbox.calm()
        await resolve_at(run, ONECLICK, "acme")
        row = await row_of(run)
        assert ("placed", 2) == (row["status"], len(world.purchases))
        assert [row["ref"]] == standing(world, row)


@pytest.mark.parametrize("provider", [CNAUGHT, IMPACTAPI])
@in_virtual_time
async def test_what_a_person_cancelled_there_cannot_be_bought_again_under_its_key(new_world, provider):
    """The provider would answer with the cancelled purchase: so the ruling is refused."""
    world = a_world(new_world, provider)
    async with world.run() as run:
        ref = await parked(world, run, provider)
        with run.ledger._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE placements SET handle = ?", (ref,))
        cancel(world, provider, ref)
        with pytest.raises(ConfigurationError, match="settle it as given-up"):
            await rule(run, NOT_BOUGHT, slot=SLOT_OF[provider])
        await rule(run, GIVEN_UP, slot=SLOT_OF[provider])
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_what_may_still_take_effect_is_not_sent_again(new_world):
    """A person is asked to wait for the settling time."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        await parked(world, run, ONECLICK, sends=False)
        world.clock.turn(hours=-1, seconds=10)
        with pytest.raises(ConfigurationError, match="may still take effect until 12:00:30 UTC"):
            await rule(run, NOT_BOUGHT)
        world.clock.turn(seconds=20)
        await rule(run, NOT_BOUGHT)
        assert {"planned": 1} == await statuses(run)


REFUSALS = {
    "knows no purchase": lambda world, ref: "U1000|2026-03-01T00:00:00.000Z",
    "knows no purchase of that name": lambda world, ref: "nonsense",
    "was to be bought": lambda world, ref: change(world, ONECLICK, ref) or ref,
    "has cancelled it": lambda world, ref: cancel(world, ONECLICK, ref) or ref,
    "under another key": lambda world, ref: buy(world, ONECLICK, {"order_id": "WR-2", "impactflow_key": "impactflow2"}),
    "give the provider's name": lambda world, ref: "",
}


@pytest.mark.parametrize("why", REFUSALS)
@in_virtual_time
async def test_what_cannot_have_been_bought_so_is_refused_with_the_reason(new_world, why):
    """It stays parked."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        ref = await parked(world, run, ONECLICK)
        with pytest.raises(ConfigurationError, match=why):
            await rule(run, BOUGHT, ref=REFUSALS[why](world, ref))
        assert {"parked": 1} == await statuses(run)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_a_purchase_that_another_placement_holds_is_refused_with_its_name(new_world, metadata):
    """One purchase is one placement's, whether its record says so or not."""
    world = a_world(new_world, ONECLICK, 2, metadata=metadata)
    async with world.run() as run:
        await parked(world, run, ONECLICK, sends=False)
        await work(run, ONECLICK)
        [other] = await run.ledger.purchases()
        held = "under another key" if metadata == "echo" else "recorded already, for order WR-2, slot trees"
        with pytest.raises(ConfigurationError, match=held):
            await rule(run, BOUGHT, ref=other["ref"])
        assert {"parked": 1, "placed": 1} == await statuses(run)


@pytest.mark.parametrize("behind", ["", "#2"])
@in_virtual_time
async def test_one_purchase_is_never_recorded_for_two_customers(new_world, behind):
    """Looked up by name a purchase does not say whom it is for; the number behind a shared name is the ledger's own."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(TREES), metadata="ignored")
    async with world.run() as run:
        await parked(world, run, ONECLICK, sends=False)
        await work(run, ONECLICK)
        [other] = await run.ledger.purchases()
        with pytest.raises(ConfigurationError, match="recorded already, for order WR-2, slot trees"):
            await rule(run, BOUGHT, ref=other["ref"] + behind)
        assert {"parked": 1, "placed": 1} == await statuses(run)


@in_virtual_time
async def test_another_spelling_of_a_recorded_purchase_is_refused(new_world):
    """The provider takes any spelling of an instant where it is asked for one purchase; the ledger knows one."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(TREES), metadata="ignored")
    world.carrier = AnySpelling(world.carrier)
    async with world.run() as run:
        await parked(world, run, ONECLICK, sends=False)
        await work(run, ONECLICK)
        [other] = await run.ledger.purchases()
        with pytest.raises(ConfigurationError, match="list no purchase under this name: write it as they do"):
            await rule(run, BOUGHT, ref=other["ref"].replace("Z", "+00:00"))
        assert {"parked": 1, "placed": 1} == await statuses(run)


async def joined(world, run, provider):
    """Two orders of which the first was refused and the second is bought turn out to be one sale."""
    await world.plan(run)
    now = run.clock.now()
    claim = Claim(provider, "acme", run.id, now, now + timedelta(seconds=60), exclusive=False, fresh=fresh_of(run))
    [refused] = await run.ledger.record_and_claim([], claim, 1)
    await run.ledger.record_and_claim(
        [Move(refused, Status.PLACING, Status.FAILED, now, run.id, "not today")], claim, 0
    )
    await work(run, provider)
    world.sandbox.shop.orders = [sold(1, sourceId="1002", contact=None), sold(2, contact=None)]
    await world.plan(run)
    assert {"failed": 1, "placed": 1} == await statuses(run)


@pytest.mark.parametrize("provider", [CNAUGHT, IMPACTAPI, ONECLICK])
@in_virtual_time
async def test_what_the_same_sale_has_bought_under_another_name_is_not_bought_again(new_world, provider):
    """Its keys differ, so the provider would sell it twice; giving it up is all that is left."""
    world = a_world(new_world, provider, 2)
    async with world.run() as run:
        await joined(world, run, provider)
        with pytest.raises(ConfigurationError, match="same sale as order WR-2, which is placed"):
            await rule(run, NOT_BOUGHT, slot=SLOT_OF[provider])
        await work(run, provider)
        assert 1 == len(world.purchases)
        await rule(run, GIVEN_UP, slot=SLOT_OF[provider])
        assert {"cancelled": 1, "placed": 1} == await statuses(run)


@in_virtual_time
async def test_of_two_refused_placements_of_one_sale_one_is_tried_again(new_world):
    """The one whose order was named; then the other can only be given up."""
    world = a_world(new_world, CNAUGHT, 2)
    async with world.run() as run:
        await joined(world, run, CNAUGHT)
        with run.ledger._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE placements SET status = 'failed', ref = NULL, placed_at = NULL")
        world.sandbox.books.purchases.clear()
        world.sandbox._lines[CNAUGHT].api._orders.clear()
        assert "WR-2" == (await rule(run, GIVEN_UP, order="WR-2", slot="offset")).order
        assert "WR-1" == (await rule(run, NOT_BOUGHT, order="WR-2", slot="offset")).order
        assert {"planned": 1, "cancelled": 1} == await statuses(run)


@pytest.mark.parametrize("decision", [BOUGHT, NOT_BOUGHT])
@pytest.mark.parametrize("provider", [CNAUGHT, IMPACTAPI])
@in_virtual_time
async def test_nothing_is_ruled_by_the_records_of_another_account(new_world, provider, decision):
    """What was bought is not there, and what is there was not bought for us."""
    world = a_world(new_world, provider, 2)
    async with world.run() as run:
        await parked(world, run, provider)
        await work(run, provider)
    other = make_world(world.clock, world.settings.impactflow_ledger_url, seed=1)
    theirs = buy(other, provider) if decision is BOUGHT else ""
    async with other.run() as run:
        with pytest.raises(Unauthorized, match="another account"):
            await rule(run, decision, slot=SLOT_OF[provider], ref=theirs)
        assert {"parked": 1, "placed": 1} == await statuses(run)


@pytest.mark.parametrize("decision", Resolution)
@in_virtual_time
async def test_only_what_is_parked_or_failed_is_open_to_a_ruling(new_world, decision):
    """Not what is placed, planned or unknown."""
    world = a_world(new_world, ONECLICK)
    ref = "R" if decision is BOUGHT else ""
    async with world.run() as run:
        await world.plan(run)
        with pytest.raises(ConfigurationError, match="is planned: only what is parked or failed"):
            await rule(run, decision, ref=ref)
        await work(run, ONECLICK)
        with pytest.raises(ConfigurationError, match="is placed"):
            await rule(run, decision, ref=ref)
        with pytest.raises(ConfigurationError, match="no placement in slot 'flowers'"):
            await rule(run, decision, slot="flowers", ref=ref)
        with pytest.raises(ConfigurationError, match="order 'WR-404'"):
            await rule(run, decision, order="WR-404", ref=ref)


@in_virtual_time
async def test_an_order_is_found_by_any_of_its_names(new_world):
    """As it is by ``impactflow show``."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        await parked(world, run, ONECLICK, sends=False)
        await rule(run, GIVEN_UP, order="src:shopify:1001")
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_of_two_people_who_rule_at_once_one_is_heard(new_world):
    """The other is told that it has moved on."""
    world = a_world(new_world, ONECLICK, latency_s=0.1)
    async with world.run() as one, world.run() as other:
        await parked(world, one, ONECLICK, sends=False)
        both = await asyncio.gather(rule(one, NOT_BOUGHT), rule(other, NOT_BOUGHT, by="ben"), return_exceptions=True)
        assert 1 == sum(isinstance(each, ImpactError) for each in both)
        assert {"planned": 1} == await statuses(one)


@in_virtual_time
async def test_nothing_is_changed_while_the_provider_cannot_be_asked(new_world):
    """Unless there is nothing to ask: giving up needs no provider."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        ref = await parked(world, run, ONECLICK)
        world.sandbox._lines[ONECLICK]._draws = Draws(Faults.parse("error_before=1"), ONECLICK, 0)
        for decision in (BOUGHT, NOT_BOUGHT):
            with pytest.raises(NotSent):
                await rule(run, decision, ref=ref if decision is BOUGHT else "")
        assert {"parked": 1} == await statuses(run)
        await rule(run, GIVEN_UP)
        assert {"cancelled": 1} == await statuses(run)


@in_virtual_time
async def test_a_late_answer_counts_more_than_a_ruling(new_world):
    """It was not bought, said a person; then the first sender's answer came: it is not sent again."""
    world = a_world(new_world, ONECLICK)
    async with world.run() as run:
        await world.plan(run)
        now = run.clock.now()
        claim = Claim(ONECLICK, "acme", run.id, now, now + timedelta(seconds=60), exclusive=False, fresh=fresh_of(run))
        [placement] = await run.ledger.record_and_claim([], claim, 1)
        world.clock.turn(minutes=2)
        await run.ledger.expire_leases(run.clock.now(), "run-2")
        [doubt] = await run.ledger.claim_doubts(claim_at(run))
        await run.ledger.move(Move(doubt, Status.IN_DOUBT, Status.PARKED, run.clock.now(), "run-2", "who knows"))
        world.clock.turn(hours=1)
        await rule(run, NOT_BOUGHT)
        ref = buy(world, ONECLICK, metadata_of({"order_id": "WR-1", "key": placement.key}))
        late = Move(placement, Status.PLACING, Status.PLACED, run.clock.now(), run.id, due_at=now, receipt=Receipt(ref))
        await run.ledger.record_and_claim([late], claim, 0)
        await work(run, ONECLICK)
        assert ({"placed": 1}, 1) == (await statuses(run), len(world.purchases))


def claim_at(run):
    """A claim of what is in doubt now."""
    return Claim(
        ONECLICK,
        "acme",
        "run-2",
        run.clock.now(),
        run.clock.now() + timedelta(seconds=60),
        exclusive=False,
        fresh=fresh_of(run),
    )
