"""Providers that tell less than they might, lag, fail for a moment, or mix answers up: still bought once, and found."""

import json

import httpx
import pytest
from planting import CNAUGHT, IMPACTAPI, ONECLICK, ask, buy, cancel
from test_answers_that_mislead import Tampering
from test_audit import audited
from test_settle_parked import BOUGHT, rule
from test_settling import Losing
from virtual_time import in_virtual_time
from world import (
    GIVING,
    NONE_DIFFER,
    OFFSET,
    RULE_OF,
    TREES,
    differences,
    policy_of,
    sold,
    statuses,
    sweep,
    track,
    work,
)

from impactflow.buying.loop import resolve_at
from impactflow.sandbox.faults import Draws, Faults


def with_body(response, body):
    """An answer with another body."""
    return httpx.Response(response.status_code, json=body)


async def row_of(run, order="WR-1"):
    """The first placement of an order."""
    return (await run.ledger.story(order))["placements"][0]


def without(world, *fields):
    """Sessions are answered without some fields, and confirmations with nothing at all where a field is ``*``."""

    def strip(request, response):
        if "/sessions" not in request.url.path or response.status_code >= 300:
            return None
        if "*" in fields and request.url.path.endswith("/confirm"):
            return httpx.Response(204)
        body = json.loads(response.content)
        return with_body(response, {name: value for name, value in body.items() if name not in fields})

    world.carrier = Tampering(world.carrier, after=strip)


POOR = [
    ("donation_intents",),
    ("donation_intents", "metadata", "created_at", "confirmed_at"),
    ("donation_intents", "status", "metadata"),
    ("*", "donation_intents"),
    ("*", "donation_intents", "status", "metadata"),
]


@pytest.mark.parametrize("fields", POOR)
@in_virtual_time
async def test_p1_a_session_that_does_not_tell_its_donations_is_bought_tracked_and_audited(new_world, fields):
    """What is not told is unknown: complete once confirmed, never cancelled, and the audit is silent."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(GIVING))
    without(world, *fields)
    async with world.run() as run:
        await world.plan(run)
        await work(run, IMPACTAPI)
        assert ({"placed": 2}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
        assert [] == (await audited(run, IMPACTAPI, repair=True))[0]
        await track(run, IMPACTAPI, everything=True)
        assert [] == (await audited(run, IMPACTAPI, repair=True))[0]
        assert {"completed": 2} == await statuses(run)


@pytest.mark.parametrize("fields", POOR)
@in_virtual_time
async def test_p1_a_lost_confirmation_is_found_where_donations_are_not_told(new_world, fields):
    """The session is confirmed again, which changes nothing; nothing is parked."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    without(world, *fields)
    lose = Losing(world, "/confirm", effect=True)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        await resolve_at(run, IMPACTAPI, "acme")
        row = await row_of(run)
        assert ("placed", None) == (row["status"], row["price_usd_cents"])
        assert NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_p1_what_is_parked_can_be_settled_as_bought_where_donations_are_not_told(new_world):
    """A person's word stands where the provider says nothing against it."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/confirm", effect=True)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        plain = run.transport._inner
        gone = lambda request: httpx.Response(404, json={}) if "/sessions/" in request.url.path else None  # noqa: E731
        run.transport._inner = Tampering(plain, before=gone)
        world.clock.turn(seconds=31)
        await work(run, IMPACTAPI)
        assert {"parked": 1} == await statuses(run)
        world.carrier = plain
        without(world, "donation_intents")
        run.transport._inner = world.carrier
        ref = (await row_of(run))["handle"]
        assert ref == (await rule(run, BOUGHT, slot="giving", ref=ref)).ref


@in_virtual_time
async def test_p1_donations_once_known_tell_a_cancellation_though_the_session_does_not(new_world):
    """Their ids are kept; a 404 for a moment is not enough, for the list of donations shows them."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    async with world.run() as run:
        await world.plan(run)
        await work(run, IMPACTAPI)
        row = await row_of(run)
        [purchase] = world.purchases
        assert purchase["intents"] == json.loads(row["parts"])
        plain = run.transport._inner
        passing = Tampering(
            plain, before=lambda r: httpx.Response(404, json={}) if "/donation_intents/" in r.url.path else None
        )
        run.transport._inner = passing
        assert [] == (await audited(run, IMPACTAPI, repair=True))[0]
        await track(run, IMPACTAPI, everything=True)
        assert {"completed": 1} == await statuses(run)
        cancel(world, IMPACTAPI, row["ref"])
        world.carrier = plain
        without(world, "donation_intents")
        run.transport._inner = world.carrier
        [finding] = (await audited(run, IMPACTAPI, repair=True))[0]
        assert ("cancelled_there", {"cancelled": 1}) == (finding.finding, await statuses(run))


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("forever", [True, False])
@in_virtual_time
async def test_p2_a_known_session_that_is_not_found_is_not_absent(new_world, effect, forever):
    """Seen again it is bought once; never seen again it is parked after the settling time, and no other is opened."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/confirm", effect=effect)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        plain = run.transport._inner
        gone = lambda request: httpx.Response(404, json={}) if "/sessions/" in request.url.path else None  # noqa: E731
        run.transport._inner = Tampering(plain, before=gone)
        await resolve_at(run, IMPACTAPI, "acme")
        assert {"in_doubt": 1} == await statuses(run)
        if not forever:
            run.transport._inner = plain
        await work(run, IMPACTAPI)
        assert {"parked" if forever else "placed": 1} == await statuses(run)
        assert 1 == len(world.sandbox._lines[IMPACTAPI].api._sessions._by_id)
        assert forever or NONE_DIFFER == await differences(world, run)


@in_virtual_time
async def test_p2_a_session_that_is_missing_for_a_moment_after_the_settling_time_is_not_parked(new_world):
    """The one look that counts comes at the wrong moment: it is looked for once more before a person is asked."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    lose = Losing(world, "/confirm", effect=True)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        lose.over()
        plain = run.transport._inner
        gone = lambda request: httpx.Response(404, json={}) if "/sessions/" in request.url.path else None  # noqa: E731
        run.transport._inner = Tampering(plain, before=gone)
        world.clock.turn(minutes=10)
        await resolve_at(run, IMPACTAPI, "acme")
        assert {"in_doubt": 1} == await statuses(run)
        run.transport._inner = plain
        await work(run, IMPACTAPI)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_p2_a_placement_with_a_session_that_is_not_found_is_in_doubt(new_world):
    """An earlier attempt opened it and was told to wait; another one is not opened beside it."""
    world = new_world(orders=[sold(1)], policy=policy_of(GIVING))
    plain = world.carrier
    world.carrier = Tampering(
        plain,
        before=lambda r: httpx.Response(429, headers={"retry-after": "1"}) if r.url.path.endswith("/confirm") else None,
    )
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, IMPACTAPI)
        assert "planned" == (await row_of(run))["status"]
        gone = lambda request: httpx.Response(404, json={}) if "/sessions/" in request.url.path else None  # noqa: E731
        run.transport._inner = Tampering(plain, before=gone)
        world.clock.turn(seconds=2)
        await sweep(run, IMPACTAPI)
        assert {"in_doubt": 1} == await statuses(run)
        run.transport._inner = plain
        await work(run, IMPACTAPI)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_p5_a_purchase_in_both_listings_is_not_taken_twice(new_world):
    """The merchant's records list customers' purchases too: what a customer's placement holds explains no doubt."""
    orders = [sold(1), sold(2, contact=None)]
    world = new_world(orders=orders, policy=policy_of(TREES), metadata="ignored")

    def list_all(request, response):
        if not request.url.path.endswith("/records"):
            return None
        body, api = json.loads(response.content), world.sandbox._lines[ONECLICK].api
        customers = [api._record(impact) for impact in api._for_customers]
        body["user_records"] += [
            {name: value for name, value in each.items() if name != "customer"} for each in customers
        ]
        return with_body(response, body)

    world.carrier = Tampering(world.carrier, after=list_all)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK, limit=1)
        world.sandbox._lines[ONECLICK]._draws = Draws(Faults.parse("lost_request=1"), ONECLICK, 0)
        await sweep(run, ONECLICK)
        world.sandbox.calm()
        assert {"placed": 1, "in_doubt": 1} == await statuses(run)
        await work(run, ONECLICK)
        assert ({"placed": 2}, 2, NONE_DIFFER) == (
            await statuses(run),
            len(world.purchases),
            await differences(world, run),
        )


@in_virtual_time
async def test_p5_an_unresolved_purchase_for_a_customer_explains_no_other_doubt(new_world):
    """Neither order is held by a placement yet: the merchant's records name no customer, the customers' do."""
    orders = [sold(1), sold(2, contact=None)]
    poor = {"poor": frozenset({"records_with_customers"}), "metadata": "ignored"}
    world = new_world(orders=orders, policy=policy_of(TREES), **poor)
    async with world.run() as run:
        await world.plan(run)
        for fault in ("lost_answer", "lost_request"):
            world.sandbox._lines[ONECLICK]._draws = Draws(Faults.parse(f"{fault}=1"), ONECLICK, 0)
            await sweep(run, ONECLICK, limit=1)
        world.sandbox.calm()
        assert ({"in_doubt": 2}, 1) == (await statuses(run), len(world.purchases))
        await work(run, ONECLICK)
        assert ({"placed": 2}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@pytest.mark.parametrize(
    ("metadata", "becomes"), [({"campaign": "spring"}, "planned"), ({"gift": "yes", "widgetID": "w1"}, "placed")]
)
@in_virtual_time
async def test_p6_a_record_with_somebody_elses_metadata_is_not_ours(new_world, metadata, becomes):
    """What the provider itself writes into metadata says nothing; anything else is somebody's."""
    world = new_world(
        orders=[sold(1, contact=None)], policy=policy_of(TREES), metadata="ignored", faults="lost_request=1"
    )

    def label(request, response):
        if "records" not in request.url.path:
            return None
        body = json.loads(response.content)
        for each in body.get("user_records", []):
            each["metadata"] = metadata
        return with_body(response, body)

    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK)
        world.sandbox.calm()
        ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
        run.transport._inner = Tampering(run.transport._inner, after=label)
        world.clock.turn(seconds=31)
        await resolve_at(run, ONECLICK, "acme")
        assert {becomes: 1} == await statuses(run)
        await run.provider(ONECLICK).prepare()
        assert (becomes == "placed") == run.provider(ONECLICK).serialize_look_alikes


@in_virtual_time
async def test_p12_an_order_is_found_by_its_key_however_its_metadata_is_written(new_world):
    """Other spacing, another order of fields, and one more field; its key is forgotten."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), faults="lost_answer=1", key_lifetime_s=3600)

    def rewrite(request, response):
        if "/orders" not in request.url.path or response.status_code >= 300:
            return None
        body = json.loads(response.content)
        for order in filter(lambda each: each.get("metadata"), body.get("data", [body])):
            metadata = json.loads(order["metadata"])
            order["metadata"] = json.dumps({"seen": 1} | dict(reversed(metadata.items())), indent=2)
        return with_body(response, body)

    world.carrier = Tampering(world.carrier, after=rewrite)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await world.plan(run)
        await sweep(run, CNAUGHT)
        world.sandbox.calm()
        world.clock.turn(hours=2)
        await work(run, CNAUGHT)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


def nameless(new_world, fault, orders):
    """A CNaught that forgets keys after an hour and never returns metadata."""
    poor = {"faults": f"{fault}=1", "key_lifetime_s": 3600, "poor": frozenset({"metadata_dropped"})}
    return new_world(orders=[sold(number) for number in range(1, orders + 1)], policy=policy_of(OFFSET), **poor)


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request"])
@in_virtual_time
async def test_p12_an_order_without_its_metadata_is_known_where_no_other_can_have_bought_it(new_world, fault):
    """Its key is forgotten; a purchase of the same amount is another placement's, and the one that is left is ours."""
    world = nameless(new_world, fault, orders=2)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await world.plan(run)
        await sweep(run, CNAUGHT, limit=1)
        world.sandbox.calm()
        await sweep(run, CNAUGHT, limit=1)
        assert {"in_doubt": 1, "placed": 1} == await statuses(run)
        world.clock.turn(hours=2)
        await work(run, CNAUGHT)
        assert ({"placed": 2}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_p12_orders_without_metadata_are_left_to_a_person_where_several_may_have_bought_them(new_world):
    """Their keys are forgotten: nothing is sent again, and nothing tells which is whose."""
    world = nameless(new_world, "lost_answer", orders=2)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await world.plan(run)
        await sweep(run, CNAUGHT)
        world.sandbox.calm()
        world.clock.turn(hours=2)
        await work(run, CNAUGHT)
        row = await row_of(run)
        assert ({"parked": 2}, 2) == (await statuses(run), len(world.sandbox.books.purchases))
        assert all(purchase.ref in row["reason"] for purchase in world.sandbox.books.purchases)


@in_virtual_time
async def test_p12_an_order_without_metadata_is_nobodys_we_know_where_the_account_returns_it(new_world):
    """A stranger's order of the same amount came without any; ours would have come with its own."""
    world = new_world(orders=[sold(1)], policy=policy_of(OFFSET), faults="lost_request=1", key_lifetime_s=3600)
    async with world.run(impactflow_cnaught_key_age_s=1800.0) as run:
        await world.plan(run)
        await sweep(run, CNAUGHT)
        world.sandbox.calm()
        buy(world, CNAUGHT)
        buy(world, CNAUGHT, metadata={"campaign": "spring"})
        world.clock.turn(hours=2)
        await work(run, CNAUGHT)
        assert ({"parked": 1}, 2) == (await statuses(run), len(world.sandbox.books.purchases))


@pytest.mark.parametrize("readings", [1, 2])
@in_virtual_time
async def test_a_page_that_begins_with_the_last_record_of_the_one_before_leaves_nothing_to_a_person(
    new_world, readings
):
    """It shows one purchase as two of one time, of which one may be the doubt's; read again, there is one."""
    sold_twice = [sold(1, contact=None), sold(2, contact=None)]
    world = new_world(orders=sold_twice, policy=policy_of(TREES), metadata="ignored", page_items=1)
    lost, pages = [], []

    def lose_the_second(request, response):
        if request.url.path.endswith("/plant_tree"):
            lost.append(response)
            if len(lost) == 2:
                raise httpx.ReadError("lost")

    def shift(request, response):
        if request.url.path.endswith("/records") and request.url.params.get("sort_order") == "asc":
            pages.append(response.json())
            if len(pages) in (2, 4)[:readings]:
                before, here = (page["user_records"] for page in pages[-2:])
                return with_body(response, {"user_records": before + here})
        return None

    async with world.run() as run:
        await world.plan(run)
        plain = run.transport._inner
        run.transport._inner = Tampering(plain, after=lose_the_second)
        await sweep(run, ONECLICK)
        assert {"placed": 1, "in_doubt": 1} == await statuses(run)
        world.clock.turn(hours=1)  # what was sent has come by now
        run.transport._inner = Tampering(plain, after=shift)
        await work(run, ONECLICK)
        assert len(pages) == 8  # two readings of two pages, twice
        assert ({"placed": 2}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@pytest.mark.parametrize("rule_", [TREES, OFFSET, GIVING])
@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_p13_an_answer_to_another_request_is_in_doubt_and_settled(new_world, rule_, metadata):
    """A proxy answers each purchase with what the first one was answered: no name is shared, all are recorded."""
    world = new_world(orders=[sold(number) for number in (1, 2, 3)], policy=policy_of(rule_), metadata=metadata)
    first = {}

    def mix_up(request, response):
        if request.method != "POST" or response.status_code >= 300 or "records" in request.url.path:
            return None
        operation = request.url.path.rsplit("/", 1)[-1]
        return first.setdefault(operation, response) if operation in {"plant_tree", "orders", "confirm"} else None

    provider = next(name for name, each in RULE_OF.items() if each is rule_)
    async with world.run() as run:
        await world.plan(run)
        plain = run.transport._inner
        run.transport._inner = Tampering(plain, after=mix_up)
        await sweep(run, provider)
        assert {"placed": 1, "in_doubt": 2} == await statuses(run)
        run.transport._inner = plain
        await work(run, provider)
        assert ({"placed": 3}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@in_virtual_time
async def test_p13_a_strangers_purchase_of_just_before_in_an_answer_is_not_ours(new_world, metadata):
    """Their clock may be behind, so its time says nothing; but it was listed before ours was sent."""
    world = new_world(orders=[sold(1, contact=None)], policy=policy_of(TREES), metadata=metadata)
    ask(world, ONECLICK, "POST", "/v1/plant_tree", {"amount": 1})
    [theirs] = world.purchases

    def mix_up(request, response):
        user_id, time_utc = theirs["ref"].split("|")
        body = {"user_id": user_id, "time_utc": time_utc, "tree_planted": 1}
        return with_body(response, body) if request.url.path.endswith("/plant_tree") else None

    async with world.run() as run:
        await world.plan(run)
        plain = run.transport._inner
        run.transport._inner = Tampering(plain, after=mix_up)
        await sweep(run, ONECLICK)
        assert {"in_doubt": 1} == await statuses(run)
        run.transport._inner = plain
        await work(run, ONECLICK)
        assert theirs["ref"] != (await row_of(run))["ref"]


@pytest.mark.parametrize("rule_", [TREES, OFFSET, GIVING])
@in_virtual_time
async def test_p13_a_read_that_is_answered_with_another_purchase_says_nothing(new_world, rule_):
    """Not that it is cancelled, nor that it is missing."""
    world = new_world(orders=[sold(1), sold(2)], policy=policy_of(rule_))
    provider = next(name for name, each in RULE_OF.items() if each is rule_)
    async with world.run() as run:
        await world.plan(run)
        await work(run, provider)
        cancel(world, provider, (await row_of(run, "WR-2"))["ref"])
        plain, kept = run.transport._inner, {}

        def mix_up(request, response):
            path = request.url.path.rsplit("/", 2)
            if request.method != "GET" or not (path[-1] == "track" or path[-2] in {"orders", "sessions"}):
                return None
            return kept.setdefault("answer", response)

        async def keep(order):
            await run.provider(provider).fetch((await row_of(run, order))["ref"])

        run.transport._inner = Tampering(plain, after=mix_up)
        await keep("WR-2")
        assert 1 == (await track(run, provider, everything=True)).unanswered
        assert "placed" == (await row_of(run))["status"]


def after_the_effect(world, status, **headers):
    """The first purchase takes effect, but is answered otherwise."""
    answered = []

    def deny(request, _):
        if request.method != "POST" or answered:
            return None
        answered.append(status)
        return httpx.Response(status, json={"message": "not today"}, headers=headers)

    world.carrier = Tampering(world.carrier, after=deny)


def before_the_effect(world, status, times=1, **headers):
    """Purchases are turned away."""
    left = [None] * times

    def deny(request):
        if request.method != "POST" or not left:
            return None
        left.pop()
        return httpx.Response(status, json={"message": "not today"}, headers=headers)

    world.carrier = Tampering(world.carrier, before=deny)


@pytest.mark.parametrize("metadata", ["echo", "ignored"])
@pytest.mark.parametrize("status", [429, 400, 403, 404])
@in_virtual_time
async def test_p15_p16_a_purchase_that_was_made_and_denied_is_found_and_not_made_again(new_world, status, metadata):
    """By its key at once; where it names nobody, after the settling time."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), metadata=metadata)
    after_the_effect(world, status)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK)
        assert {"in_doubt": 1} == await statuses(run)
        await work(run, ONECLICK)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))


@in_virtual_time
async def test_p15_what_was_one_too_many_is_sent_again_after_its_pause_and_a_look(new_world):
    """The settling time is not waited for."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), settings={"impactflow_settle_s": 1000.0})
    before_the_effect(world, 429, **{"retry-after": "20"})
    async with world.run() as run:
        began = world.clock.now()
        await world.plan(run)
        await work(run, ONECLICK)
        assert ({"placed": 1}, NONE_DIFFER) == (await statuses(run), await differences(world, run))
        assert 20 <= (world.clock.now() - began).total_seconds() < 60


@in_virtual_time
async def test_p16_what_is_refused_and_not_in_the_records_fails_at_once_in_their_words(new_world):
    """In the same run, and it is not sent again."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES), settings={"impactflow_settle_s": 1000.0})
    before_the_effect(world, 400)
    async with world.run() as run:
        began = world.clock.now()
        await world.plan(run)
        await work(run, ONECLICK)
        row = await row_of(run)
        assert ("failed", None, None) == (row["status"], row["due_at"], row["if_absent"])
        assert "not today" in row["reason"]
        assert (world.clock.now() - began).total_seconds() < 60
        assert ["planned", "placing", "in_doubt"] == [event["to_status"] for event in row["events"]][:3]
        assert [] == world.purchases


@in_virtual_time
async def test_p16_a_refusal_stays_in_doubt_while_nobody_can_look(new_world):
    """Its reason is kept."""
    world = new_world(orders=[sold(1)], policy=policy_of(TREES))
    before_the_effect(world, 404)
    async with world.run() as run:
        await world.plan(run)
        await sweep(run, ONECLICK)
        plain = run.transport._inner
        down = Tampering(plain, before=lambda r: httpx.Response(503) if "records" in r.url.path else None)
        run.transport._inner = down
        await resolve_at(run, ONECLICK, "acme")
        row = await row_of(run)
        assert ("in_doubt", "failed", True) == (row["status"], row["if_absent"], "not today" in row["reason"])
        run.transport._inner = plain
        await work(run, ONECLICK)
        assert {"failed": 1} == await statuses(run)


@in_virtual_time
async def test_p16_a_provider_that_forbids_everything_is_left_alone(new_world):
    """Also where each refusal is looked into before it counts."""
    world = new_world(orders=[sold(number) for number in range(1, 31)], policy=policy_of(TREES))
    before_the_effect(world, 403, times=999)
    async with world.run() as run:
        await world.plan(run)
        swept = await sweep(run, ONECLICK)
        assert "not today" in str(swept.halted)
        assert {"in_doubt", "planned"} == set(await statuses(run))


@in_virtual_time
async def test_p16_a_provider_that_forbids_one_after_the_other_is_left_alone_too(new_world):
    """Where purchases look alike, each is looked into before the next is sent: refusals in a row count all the same."""
    orders = [sold(number, contact=None) for number in range(1, 31)]
    world = new_world(orders=orders, policy=policy_of(TREES), metadata="ignored")
    before_the_effect(world, 403, times=999)
    async with world.run() as run:
        await world.plan(run)
        done = await work(run, ONECLICK, patience_s=5)
        found = await statuses(run)
        assert "not today" in str(done.halted)
        assert found["planned"] > found["failed"] >= 4
