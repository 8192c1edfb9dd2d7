"""Settling: what became of each lost answer, by the means that each provider offers; ambiguous evidence is parked."""

import asyncio
import json
import re
from dataclasses import replace

import httpx
import pytest
from planting import buy
from virtual_time import in_virtual_time
from world import GIVING, NONE_DIFFER, OFFSET, TREES, differences, policy_of, sold, statuses, sweep, work

from impactflow.buying.loop import resolve_at
from impactflow.models import ProviderName
from impactflow.sandbox import Faults, Request
from impactflow.sandbox.faults import Draws

CNAUGHT, IMPACTAPI, ONECLICK = ProviderName.CNAUGHT, ProviderName.IMPACTAPI, ProviderName.ONECLICKIMPACT
KEYS = {
    CNAUGHT: {"authorization": "Bearer sandbox-cnaught-key"},
    IMPACTAPI: {"authorization": "Bearer sandbox-impactapi-key"},
    ONECLICK: {"x-api-key": "sandbox-oneclickimpact-key"},
}

REPEATING = pytest.mark.parametrize(
    ("provider", "rule", "word"), [(CNAUGHT, OFFSET, "/orders"), (IMPACTAPI, GIVING, "/confirm")]
)


def ask(world, provider, method, path, body=None, **headers):
    """Ask the provider behind the ledger's back."""
    content = b"" if body is None else json.dumps(body).encode()
    line = world.sandbox._lines[provider]
    line._draws = Draws(Faults(), provider, 0)  # this one is no accident
    request = Request(method, f"/{provider}{path}", "", {**KEYS[provider], **headers}, content)
    with world.sandbox.exchange(request) as reply:
        return json.loads(reply.body)


def mend(world):
    """From now on nothing goes wrong any more."""
    for provider, line in world.sandbox._lines.items():
        line._draws = Draws(Faults(), provider, 0)


async def doubtful(world, run, provider):
    """Plan, send, lose every answer, and stop losing."""
    await world.plan(run)
    swept = await sweep(run, provider)
    mend(world)
    return swept


async def placement(run, order="WR-1"):
    """The first placement of an order."""
    return (await run.ledger.story(order))["placements"][0]


class OneIsLate(httpx.AsyncBaseTransport):
    """Some requests of an operation are refused or lost, one is under way until ``arrive``, the rest are refused."""

    def __init__(self, world, word, lost=0, refused=0):
        self._inner, self._word, self._lost, self._refused, self._late = world.carrier, word, lost, refused, None
        world.carrier = self

    async def handle_async_request(self, request):
        if request.method != "POST" or not request.url.path.endswith(self._word):
            return await self._inner.handle_async_request(request)
        self._refused -= 1
        if self._late or self._refused >= 0:
            return httpx.Response(403, json={"detail": "not any more"})
        if self._lost:
            self._lost -= 1
        else:
            self._late = request
        raise httpx.ReadTimeout("no answer", request=request)

    async def arrive(self):
        await self._inner.handle_async_request(self._late)


@pytest.mark.parametrize("arrives", [True, False])
@REPEATING
@in_virtual_time
async def test_a_repeat_that_is_refused_says_nothing_before_the_settling_time(new_world, provider, rule, word, arrives):
    """What was sent first may still be on its way; only once it would have come is the refusal the last word."""
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    carrier = OneIsLate(world, word)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, provider)
        await resolve_at(run, provider, "acme")
        assert {"in_doubt": 1} == await statuses(run)
        if arrives:
            await carrier.arrive()
        await work(run, provider)
        assert {"placed" if arrives else "failed": 1} == await statuses(run)
        assert NONE_DIFFER == await differences(world, run)


@pytest.mark.parametrize("arrives", [True, False])
@REPEATING
@in_virtual_time
async def test_a_repeat_that_was_lost_may_still_come_though_the_next_one_is_refused(
    new_world, provider, rule, word, arrives
):
    """However old the doubt is: the settling time counts from the last request whose answer was lost."""
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    carrier = OneIsLate(world, word, lost=1)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, provider)
        for wait_s in (100, 10):  # the settling time is 30
            world.clock.turn(seconds=wait_s)
            await resolve_at(run, provider, "acme")
            assert {"in_doubt": 1} == await statuses(run)
        if arrives:
            await carrier.arrive()
        await work(run, provider)
        assert {"placed" if arrives else "failed": 1} == await statuses(run)
        assert NONE_DIFFER == await differences(world, run)


@pytest.mark.parametrize("arrives", [True, False])
@REPEATING
@in_virtual_time
async def test_a_repeat_that_was_lost_after_a_refusal_may_still_come_though_the_next_is_refused(
    new_world, provider, rule, word, arrives
):
    """Two refusals in a row fail a purchase; not with a request between them that nobody has answered."""
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    carrier = OneIsLate(world, word, refused=1)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, provider)
        for _ in range(2):
            await resolve_at(run, provider, "acme")
            assert {"in_doubt": 1} == await statuses(run)
            world.clock.turn(seconds=10)
        if arrives:
            await carrier.arrive()
        await work(run, provider)
        assert {"placed" if arrives else "failed": 1} == await statuses(run)
        assert NONE_DIFFER == await differences(world, run)


class Answering(httpx.AsyncBaseTransport):
    """Answers each request of an operation with the next of some statuses, and loses it where there is none."""

    def __init__(self, world, word, *statuses):
        self._inner, self._word, self._statuses = world.carrier, word, list(statuses)
        world.carrier = self

    async def handle_async_request(self, request):
        if request.method != "POST" or not request.url.path.endswith(self._word):
            return await self._inner.handle_async_request(request)
        if status := self._statuses.pop(0):
            return httpx.Response(status, json={"detail": "not any more"})
        raise httpx.ReadTimeout("no answer", request=request)


@REPEATING
@in_virtual_time
async def test_a_repeat_without_an_answer_begins_the_count_of_refusals_anew(new_world, provider, rule, word):
    """It may still take effect: so many refusals must come after it as after any other request that was lost."""
    world = new_world(orders=[sold(1)], policy=policy_of(rule))
    Answering(world, word, None, 403, 403, None, 403, 403)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, provider)
        counted = []
        for _ in range(5):
            world.clock.turn(seconds=60)  # the settling time is 30
            await resolve_at(run, provider, "acme")
            counted += re.findall(r"asked again before that counts \((\d) of 3\)", (await placement(run))["reason"])
        assert ["1", "2", "1", "2"] == counted
        assert {"in_doubt": 1} == await statuses(run)


async def status(run, slot):
    """How the placement of the first order stands in a slot."""
    [found] = [each for each in (await run.ledger.story("WR-1"))["placements"] if each["slot"] == slot]
    return found["status"]


OCEAN = TREES | {"slot": "ocean", "impact": "clean_ocean"}


@in_virtual_time
async def test_what_a_stopped_run_had_found_out_about_a_doubt_stays(new_world, monkeypatch):
    """Only the doubts that it had not come to are given back."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, OCEAN), faults="lost_request=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        move, moves = run.ledger.move, []

        async def stopped_at_the_second(change):
            moves.append(change)
            if len(moves) == 2:
                raise asyncio.CancelledError
            await move(change)

        monkeypatch.setattr(run.ledger, "move", stopped_at_the_second)
        with pytest.raises(asyncio.CancelledError):
            await resolve_at(run, ONECLICK, "acme")
        reasons = [each["reason"] for each in (await run.ledger.story("WR-1"))["placements"]]
        assert {"not in the provider's records", "the run was stopped"} == set(reasons)


@in_virtual_time
async def test_one_reading_proves_nothing_about_a_doubt_for_which_it_was_not_repeated(new_world, monkeypatch):
    """A record that may be the doubt's belongs to another placement by the reading that another doubt needed."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES, OCEAN), metadata="ignored")
    Answering(world, "", 429, 429)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK)
        assert {"in_doubt": 2} == await statuses(run)
        world.clock.turn(seconds=5)
        ref = buy(world, ONECLICK, email="customer1@example.com")
        claim, doubts, looks = run.ledger.claim_doubts, [], []

        async def claimed(wanted):
            doubts.extend(await claim(wanted))
            return list(doubts)

        async def taken_by_the_second_look(*_):
            looks.append(1)
            return [replace(each, id=0, ref=ref) for each in doubts if each.slot == "trees" and len(looks) > 1]

        monkeypatch.setattr(run.ledger, "claim_doubts", claimed)
        monkeypatch.setattr(run.ledger, "taken", taken_by_the_second_look)
        await resolve_at(run, ONECLICK, "acme")
        assert {"trees": "in_doubt", "ocean": "planned"} == {each.slot: await status(run, each.slot) for each in doubts}


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request"])
@in_virtual_time
async def test_cnaught_is_asked_again_under_the_same_key(new_world, fault):
    """The same order comes back, or it is bought now; once either way."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), faults=f"{fault}=1")
    async with world.run() as run:
        await doubtful(world, run, CNAUGHT)
        assert {"in_doubt": 1} == await statuses(run)
        resolved = await resolve_at(run, CNAUGHT, "acme")
        assert (1, {"placed": 1}, NONE_DIFFER) == (resolved.placed, await statuses(run), await differences(world, run))


@pytest.mark.parametrize("bought", [True, False])
@in_virtual_time
async def test_a_cnaught_key_that_may_be_forgotten_is_not_relied_on(new_world, bought):
    """Two hours later the key stands for nothing any more: the order is found by its metadata, or bought then."""
    fault = "lost_answer" if bought else "lost_request"
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), faults=f"{fault}=1", key_lifetime_s=3600)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await doubtful(world, run, CNAUGHT)
        world.clock.turn(hours=2)
        await resolve_at(run, CNAUGHT, "acme")
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_an_order_that_moves_while_cnaught_is_read_is_found_all_the_same(new_world, seed):
    """On the way to the second page it moves to the first, which was read already; its key is forgotten by then."""
    faults = "cnaught.lost_answer=1,cnaught.shifting_pages=1"
    world = new_world(
        orders=[sold(1)], policy=policy_of(OFFSET), faults=faults, key_lifetime_s=3600, page_items=2, seed=seed
    )
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await world.plan(run)
        await sweep(run, CNAUGHT)
        for amount_kg in (1, 2):
            ask(world, CNAUGHT, "POST", "/v1/orders", {"amount_kg": amount_kg})
        world.sandbox._lines[CNAUGHT]._draws = Draws(Faults.parse("cnaught.shifting_pages=1"), CNAUGHT, seed)
        world.clock.turn(hours=2)
        await work(run, CNAUGHT)
        assert ({"placed": 1}, 3) == (await statuses(run), len(world.purchases))


@in_virtual_time
async def test_a_cnaught_key_that_was_used_for_another_order_is_parked(new_world):
    """422: some purchase stands under this key, but not this one; a person must look."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET))
    async with world.run() as run:
        await world.plan(run)
        key = (await placement(run))["key"]
        ask(world, CNAUGHT, "POST", "/v1/orders", {"amount_kg": 77}, **{"idempotency-key": key})
        await work(run, CNAUGHT)
        await work(run, CNAUGHT)
        assert ({"parked": 1}, 1) == (await statuses(run), len(world.purchases))
        assert "used" in (await placement(run))["reason"]


@in_virtual_time
async def test_a_cnaught_order_found_with_another_amount_is_parked(new_world):
    """It carries our metadata, but is not what was asked for."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), faults="lost_request=1")
    async with world.run(impactflow_cnaught_key_age_s=10.0) as run:
        await doubtful(world, run, CNAUGHT)
        found = await placement(run)
        metadata = json.dumps({"order_id": "WR-1", "impactflow_key": found["key"]}, separators=(",", ":"))
        ask(world, CNAUGHT, "POST", "/v1/orders", {"amount_kg": 77, "metadata": metadata})
        for parked in (0, 0, 0, 1):  # it is asked three times more before what it says counts
            world.clock.turn(minutes=1)
            assert parked == (await resolve_at(run, CNAUGHT, "acme")).parked
        assert {"parked": 1} == await statuses(run)


@in_virtual_time
async def test_a_session_whose_confirmation_was_lost_is_found_confirmed(new_world):
    """The answer to the confirmation was lost, the donation was made."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/confirm", effect=True)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        assert ({"in_doubt": 1}, 1) == (await statuses(run), len(world.purchases))
        await resolve_at(run, IMPACTAPI, "acme")
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_a_session_that_was_not_confirmed_is_confirmed_when_settled(new_world):
    """The confirmation never arrived; the session's id is on record, and confirming is safe."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/confirm", effect=False)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        assert ({"in_doubt": 1}, []) == (await statuses(run), world.purchases)
        await resolve_at(run, IMPACTAPI, "acme")
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_a_session_that_expired_is_opened_anew(new_world):
    """Two days later it can buy nothing any more: planned again, and bought in a new session."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/confirm", effect=False)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        world.clock.turn(days=2)
        resolved = await resolve_at(run, IMPACTAPI, "acme")
        assert (1, {"planned": 1}) == (resolved.planned, await statuses(run))
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@pytest.mark.parametrize("effect", [True, False])
@in_virtual_time
async def test_a_session_whose_id_was_lost_costs_nothing(new_world, effect):
    """It is never confirmed; another one is opened, and nothing is in doubt."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/sessions", effect=effect)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        assert ({"planned": 1}, None) == (await statuses(run), (await placement(run))["handle"])
        await work(run, IMPACTAPI)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


class Losing(httpx.AsyncBaseTransport):
    """Loses every answer to a write whose path ends so; the request arrives or not."""

    def __init__(self, world, path, *, effect):
        self._world = world
        self._inner = world.carrier
        self._path = path
        self._effect = effect
        world.carrier = self
        self._losing = True

    def over(self):
        self._losing = False

    def again(self):
        self._losing = True

    async def handle_async_request(self, request):
        if not (self._losing and request.method == "POST" and request.url.path.endswith(self._path)):
            return await self._inner.handle_async_request(request)
        if self._effect:
            await self._inner.handle_async_request(request)
        raise httpx.ReadError("lost", request=request)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@pytest.mark.parametrize("customer", [True, False])
@in_virtual_time
async def test_a_purchase_at_oneclickimpact_is_found_in_the_records(new_world, metadata, customer):
    """At once by our key, after the settling time by its look; among the customers' records or the merchant's own."""
    order = sold(1) if customer else sold(1, contact=None)
    world = new_world(orders=[order], policy=policy_of(TREES), faults="lost_answer=1", metadata=metadata)
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        resolved = await resolve_at(run, ONECLICK, "acme")
        if metadata == "ignored":
            assert {"in_doubt": 1} == await statuses(run)
            world.clock.turn(seconds=31)
            resolved = await resolve_at(run, ONECLICK, "acme")
        assert (1, {"placed": 1}, NONE_DIFFER) == (resolved.placed, await statuses(run), await differences(world, run))


@in_virtual_time
async def test_a_look_alike_is_not_taken_for_a_purchase_that_is_still_on_its_way(new_world):
    """Somebody else's stands in the records first; ours takes effect late: two fit, and a person decides."""
    order = sold(1, contact=None)
    world = new_world(orders=[order], policy=policy_of(TREES), faults="late_effect=1", late_s=20, metadata="ignored")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
        await work(run, ONECLICK)
        assert ({"parked": 1}, 2) == (await statuses(run), len(world.purchases))


@in_virtual_time
async def test_what_is_not_in_the_records_is_sent_again_only_after_the_settling_time(new_world):
    """Before that it may still come; then it is planned again and bought."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="lost_request=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        early = await resolve_at(run, ONECLICK, "acme")
        assert (1, {"in_doubt": 1}) == (early.open, await statuses(run))
        world.clock.turn(seconds=31)
        late = await resolve_at(run, ONECLICK, "acme")
        assert (1, {"planned": 1}) == (late.planned, await statuses(run))
        await work(run, ONECLICK)
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_a_purchase_that_takes_effect_late_is_not_made_again(new_world):
    """The request arrives after its sender gave up, within the settling time."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="late_effect=1", late_s=20, metadata="ignored")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        assert [] == world.purchases
        await work(run, ONECLICK)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_a_look_alike_that_somebody_else_bought_is_ambiguous(new_world):
    """Two records fit one doubt and neither names us: parked with both, and never bought again."""
    order = sold(1, contact=None)
    world = new_world(orders=[order], policy=policy_of(TREES), faults="lost_answer=1", metadata="ignored")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
        await work(run, ONECLICK)
        await work(run, ONECLICK)
        reason = (await placement(run))["reason"]
        assert ({"parked": 1}, 2) == (await statuses(run), len(world.purchases))
        assert all(purchase["ref"] in reason for purchase in world.purchases)


@in_virtual_time
async def test_a_look_alike_does_not_matter_where_the_account_returns_metadata(new_world):
    """Ours names our key; the other one is somebody else's."""
    order = sold(1, contact=None)
    world = new_world(orders=[order], policy=policy_of(TREES), faults="lost_answer=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
        await work(run, ONECLICK)
        assert {"placed": 1} == await statuses(run)
        assert world.purchases[0]["ref"] == (await placement(run))["ref"]


@in_virtual_time
async def test_a_record_without_a_key_is_not_ours_where_others_carry_theirs(new_world):
    """Not even the only one that fits: sent before anybody had seen that the account returns metadata."""
    world = new_world(orders=[sold(1, contact=None)], policy=policy_of(TREES), faults="lost_request=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 2, "metadata": {"impactflow_key": "another store's"}})
        await work(run, ONECLICK)
        assert {"parked": 1} == await statuses(run)


@pytest.mark.parametrize("body", [{"amount": 2}, {"amount": 1, "customer_email": "ana@example.com"}])
@pytest.mark.parametrize("path", ["/v1/plant_tree", "/v1/clean_ocean"])
@in_virtual_time
async def test_that_the_account_returns_keys_is_seen_from_whatever_it_lists(new_world, body, path):
    """Also from what was bought of another kind, for another customer or for none."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="lost_request=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1, "customer_email": "customer1@example.com"})
        ask(world, ONECLICK, "POST", path, {**body, "metadata": {"impactflow_key": "another store's"}})
        await work(run, ONECLICK)
        assert {"parked": 1} == await statuses(run)


class Meanwhile(httpx.AsyncBaseTransport):
    """Once the first customers' records were read, something happens."""

    def __init__(self, world, happens):
        self._inner, self._happens = world.carrier, happens
        world.carrier = self

    async def handle_async_request(self, request):
        answer = await self._inner.handle_async_request(request)
        if self._happens and request.url.path.endswith("/customer_records"):
            happens, self._happens = self._happens, None
            happens()
        return answer


@in_virtual_time
async def test_a_record_without_a_key_that_only_the_second_reading_shows_is_not_ours_either(new_world):
    """Somebody buys the like between the two, where others' records carry keys."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="lost_request=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 2, "metadata": {"impactflow_key": "another store's"}})
        world.clock.turn(seconds=31)
        like = {"amount": 1, "customer_email": "customer1@example.com"}
        run.transport._inner = Meanwhile(world, lambda: ask(world, ONECLICK, "POST", "/v1/plant_tree", like))
        await resolve_at(run, ONECLICK, "acme")
        assert {"parked": 1} == await statuses(run)


@pytest.mark.parametrize("email", [None, "customer1@example.com"])
@pytest.mark.parametrize("seed", range(8, 12))
@in_virtual_time
async def test_one_reading_does_not_show_that_a_record_without_a_key_is_ours(new_world, seed, email):
    """The page on which another carries one shifts while it is read; it was bought for no customer."""
    world = new_world(
        orders=[sold(1) if email else sold(1, contact=None)],
        policy=policy_of(TREES),
        faults="lost_request=1",
        page_items=2,
    )
    line = world.sandbox._lines["oneclickimpact"]
    theirs = {"amount": 7, "metadata": {"impactflow_key": "another store's"}}
    for body in ({"amount": 7}, {"amount": 7}, theirs, {"amount": 7}, {"amount": 7}):
        ask(world, ONECLICK, "POST", "/v1/plant_tree", body)
    line._draws = Draws(Faults.parse("lost_request=1"), "oneclickimpact", 0)
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1} | ({"customer_email": email} if email else {}))
        world.clock.turn(seconds=31)
        line._draws = Draws(Faults.parse("shifting_pages=1"), "oneclickimpact", seed)
        await resolve_at(run, ONECLICK, "acme")
        assert {"parked": 1} == await statuses(run)


@in_virtual_time
async def test_what_was_bought_after_ours_must_have_come_is_not_ours(new_world):
    """Nobody looks at the doubt for a day; what somebody else buys meanwhile explains nothing."""
    order = sold(1, contact=None)
    world = new_world(orders=[order], policy=policy_of(TREES), faults="lost_request=1", metadata="ignored")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        world.clock.turn(hours=1)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
        world.clock.turn(days=1)
        await world.plan(run)
        await work(run, ONECLICK)
        assert ({"placed": 1}, 2) == (await statuses(run), len(world.purchases))
        assert world.purchases[1]["ref"] == (await placement(run))["ref"]


@in_virtual_time
async def test_a_look_alike_of_another_customer_amount_or_time_does_not_matter(new_world):
    """The records tell purchases apart by what they are."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="lost_answer=1", metadata="ignored")
    ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1, "customer_email": "customer1@example.com"})
    world.sandbox._lines["oneclickimpact"]._draws = Draws(Faults.parse("lost_answer=1"), "oneclickimpact", 0)
    world.clock.turn(minutes=10)
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1, "customer_email": "ana@example.com"})
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 2, "customer_email": "customer1@example.com"})
        ask(world, ONECLICK, "POST", "/v1/clean_ocean", {"amount": 1, "customer_email": "customer1@example.com"})
        world.clock.turn(seconds=31)
        await resolve_at(run, ONECLICK, "acme")
        assert {"placed": 1} == await statuses(run)
        assert world.purchases[1]["ref"] == (await placement(run))["ref"]


@in_virtual_time
async def test_what_was_bought_twice_under_one_key_is_parked(new_world):
    """Somebody repeated our request by hand: a person must choose."""
    world = new_world(orders=[sold(1, contact=None)], policy=policy_of(TREES), faults="lost_answer=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
        metadata = {"order_id": "WR-1", "impactflow_key": (await placement(run))["key"]}
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1, "metadata": metadata})
        world.clock.turn(seconds=31)
        await resolve_at(run, ONECLICK, "acme")
        assert {"parked": 1} == await statuses(run)
        assert "more than once" in (await placement(run))["reason"]


@pytest.mark.parametrize("provider", [ONECLICK, CNAUGHT])
@in_virtual_time
async def test_a_provider_that_is_down_leaves_its_doubts_open(new_world, provider):
    """Half a reading proves nothing; the reason is told."""
    rule = {ONECLICK: TREES, CNAUGHT: OFFSET}[provider]
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(rule), faults="lost_answer=1")
    async with world.run() as run:
        await doubtful(world, run, provider)
        world.clock.turn(minutes=5)
        world.sandbox._lines[provider]._draws = Draws(Faults.parse("error_before=1"), provider, 0)
        resolved = await resolve_at(run, provider, "acme")
        assert (2, {"in_doubt": 2}) == (resolved.open, await statuses(run))
        assert "the provider" in str(resolved.halted)
        mend(world)
        await work(run, provider)
        assert ({"placed": 2}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_a_wrong_key_settles_nothing(new_world):
    """What is in doubt stays in doubt."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), faults="lost_answer=1")
    async with world.run() as run:
        await doubtful(world, run, ONECLICK)
    wrong = type(world.settings.cnaught_api_key)("wrong")
    world.clock.turn(minutes=5)
    async with world.run(oneclickimpact_api_key=wrong) as run:
        resolved = await resolve_at(run, ONECLICK, "acme")
        assert (True, {"in_doubt": 1}) == (resolved.halted.unauthorized, await statuses(run))


@in_virtual_time
async def test_a_purchase_that_names_its_key_is_recorded_though_a_further_reading_fails(new_world):
    """The other doubt needs that reading, and stays in doubt until it succeeds."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(TREES))
    inner = world.carrier

    class FailingInTheOtherOrder(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            if request.url.params.get("sort_order") == "desc":
                return httpx.Response(503)
            return await inner.handle_async_request(request)

    for effect in (True, False):
        lose = Losing(world, "/plant_tree", effect=effect)
        async with world.run() as run:
            await world.plan(run)
            await sweep(run, ONECLICK, limit=1)
        lose.over()
    world.clock.turn(hours=1)
    world.carrier = FailingInTheOtherOrder()
    async with world.run() as run:
        assert {"in_doubt": 2} == await statuses(run)
        await resolve_at(run, ONECLICK, "acme")
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)
