"""Caps: no period buys more than its cap; what is more waits for the next one, the oldest first."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import httpx
import pytest
from test_changed_orders import mend
from test_hold import next_run
from test_settling import Losing
from virtual_time import in_virtual_time
from webhook_senders import shopify_paid
from world import GIVING, OFFSET, TREES, policy_of, sold, statuses

from impactflow.buying.approval import Answer, Decision, record_answer
from impactflow.buying.loop import sweep_at
from impactflow.buying.rulings import Resolution, Ruling, settle
from impactflow.intake.planning import unread
from impactflow.ledger import Pause, PauseScope, Resumption, caps
from impactflow.models import ProviderName
from impactflow.policy import Policy
from impactflow.reports.capped import reached

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TWO_A_DAY = {"caps": [{"per": "day", "slot": "trees", "quantity": 2}]}


def bought(world):
    """The orders for which something was bought, in that order."""
    return [purchase["order_id"] for purchase in world.purchases]


async def waiting(world, run):
    """The number of placements that wait for room in a cap."""
    now = run.clock.now()
    return (await run.ledger.caps("acme", world.policy.caps_at(now), now))[1]


def shop(count):
    """Orders of one day, the first one the oldest."""
    return [
        sold(number, date=f"2026-03-02T{10 + number // 60:02}:{number % 60:02}:00Z") for number in range(1, count + 1)
    ]


@in_virtual_time
async def test_what_is_more_is_caught_up_the_oldest_first(new_world):
    """Two a day; nothing is left undone meanwhile, and newer orders wait behind the older ones."""
    world = new_world(orders=shop(5), policy=policy_of(TREES, **TWO_A_DAY))
    async with world.run() as run:
        await next_run(world, run)
        assert 2 == len(bought(world))
        assert 3 == await waiting(world, run)
        await next_run(world, run)
        assert 2 == len(bought(world))
        world.clock.turn(days=1)
        world.sandbox.shop.orders = [*shop(5), sold(9, date="2026-03-03T10:00:00Z")]
        await next_run(world, run)
        assert 4 == len(bought(world))
        world.clock.turn(days=1)
        await next_run(world, run)
        assert ["WR-1", "WR-2", "WR-3", "WR-4", "WR-5", "WR-9"] == bought(world)


@in_virtual_time
async def test_a_cap_in_usd_covers_every_slot_that_it_names(new_world):
    """Trees at 0.80 USD and offsets at 0.10 USD a kg, within 2 USD a day: what does not fit waits."""
    rules = TREES | {"price_usd": Decimal("0.8")}, OFFSET | {"price_usd": Decimal("0.1")}
    world = new_world(orders=shop(3), policy=policy_of(*rules, caps=[{"per": "day", "usd": 2}]))
    async with world.run() as run:
        for _ in range(4):
            await next_run(world, run)
            [use], _ = await run.ledger.caps("acme", world.policy.caps_at(run.clock.now()), run.clock.now())
            assert use.used <= use.cap.most
            world.clock.turn(days=1)
        assert {"placed": 6} == await statuses(run)


@in_virtual_time
async def test_a_purchase_that_did_not_happen_gives_its_room_back_to_the_oldest(new_world):
    """While it is in doubt it counts; then the order that has waited longest is bought, not a newer one."""
    world = new_world(orders=shop(2), policy=policy_of(TREES, caps=[{"per": "day", "slot": "trees", "quantity": 1}]))
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        assert {"in_doubt": 1, "planned": 1} == await statuses(run)
        losing.over()
        world.clock.turn(hours=1)
        world.sandbox.shop.orders = [*shop(3)[1:], shop(1)[0] | {"payments": [{"status": "REFUNDED"}]}]
        await next_run(world, run)
        await next_run(world, run)
        assert ["WR-2"] == bought(world)
        assert {"cancelled": 1, "placed": 1, "planned": 1} == await statuses(run)


@pytest.mark.parametrize("by_webhook", [True, False])
@in_virtual_time
async def test_a_raised_cap_counts_at_once(new_world, by_webhook):
    """Whoever reported the orders."""
    world = new_world(orders=[] if by_webhook else shop(3), policy=policy_of(TREES, **TWO_A_DAY))
    async with world.run() as run:
        for number in range(1, 4) if by_webhook else ():
            await shopify_paid(run, number)
        await next_run(world, run)
        assert 2 == len(bought(world))
        mend(world, run, TREES, caps=[{"per": "day", "slot": "trees", "quantity": 3}])
        await next_run(world, run)
        assert 3 == len(bought(world))


@in_virtual_time
async def test_a_cap_that_is_lowered_below_what_was_bought_stops_the_rest_of_the_period(new_world):
    """Also where nothing waits."""
    world = new_world(orders=shop(2), policy=policy_of(TREES, **TWO_A_DAY))
    async with world.run() as run:
        await next_run(world, run)
        mend(world, run, TREES, caps=[{"per": "day", "slot": "trees", "quantity": 1}])
        await next_run(world, run)
        world.sandbox.shop.orders = shop(3)
        await next_run(world, run)
        assert (2, 1) == (len(bought(world)), await waiting(world, run))


@in_virtual_time
async def test_a_hold_outlasts_a_cap(new_world):
    """What waits for the next day is still on hold then."""
    world = new_world(orders=shop(3), policy=policy_of(TREES, hold_days=3, **TWO_A_DAY))
    async with world.run() as run:
        for expected in (0, 0, 0, 2, 3):
            await next_run(world, run)
            assert expected == len(bought(world))
            world.clock.turn(days=1, hours=1)


@in_virtual_time
async def test_what_never_fits_is_held(new_world):
    """It would wait for ever; a person raises the cap."""
    rule = TREES | {"quantity": {"per_order": 3}}
    world = new_world(orders=[sold(1)], policy=policy_of(rule, **TWO_A_DAY))
    async with world.run() as run:
        await next_run(world, run)
        [entry] = await run.ledger.attention()
        assert ("held", "it is more than the cap of 2 trees a day in slot trees ever allows") == (
            entry["status"],
            entry["reason"],
        )
        mend(world, run, rule, caps=[{"per": "day", "slot": "trees", "quantity": 3}])
        await next_run(world, run)
        assert {"placed": 1} == await statuses(run)


@in_virtual_time
async def test_two_runs_together_stay_within_a_cap(new_world, new_ledger_url):
    """At whatever moment each of them claims."""
    policy = policy_of(TREES, caps=[{"per": "day", "slot": "trees", "quantity": 7}])
    world = new_world(ledger_url=new_ledger_url(), orders=shop(20), policy=policy, latency_s=0.2)
    async with world.run() as run, world.run() as other:
        await world.plan(run)
        await asyncio.gather(world.place_all(run), world.place_all(other))
        assert (7, {"placed": 7, "planned": 13}) == (len(bought(world)), await statuses(run))


PER_ITEM = TREES | {"quantity": {"per_item": 1}}


def of_items(number, quantity):
    """An order of so many items, the first one the oldest."""
    products = [{"id": "P1", "name": "Apron", "qty": quantity, "PPU": 40}]
    return sold(number, products=products, date=f"2026-03-02T10:{number:02}:00Z")


def trees_a_day(quantity):
    """The cap."""
    return {"per": "day", "slot": "trees", "quantity": quantity}


@in_virtual_time
async def test_a_newer_order_that_would_fit_does_not_pass_one_that_waits(new_world):
    """Or small orders would eat up the room of a large one for ever."""
    world = new_world(orders=[of_items(1, 2), of_items(2, 2)], policy=policy_of(PER_ITEM, caps=[trees_a_day(3)]))
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders = [*world.sandbox.shop.orders, of_items(3, 1)]
        await next_run(world, run)
        assert ["WR-1"] == bought(world)
        world.clock.turn(days=1)
        await next_run(world, run)
        assert ["WR-1", "WR-2", "WR-3"] == bought(world)


@in_virtual_time
async def test_an_order_that_is_edited_while_it_waits_keeps_its_place(new_world):
    """The age of the sale counts, not that of the plan."""
    world = new_world(
        orders=[of_items(1, 2), of_items(2, 2), of_items(3, 2)], policy=policy_of(PER_ITEM, caps=[trees_a_day(2)])
    )
    async with world.run() as run:
        await next_run(world, run)
        world.sandbox.shop.orders = [of_items(1, 2), of_items(2, 1), of_items(3, 2)]
        await next_run(world, run)
        world.clock.turn(days=1)
        await next_run(world, run)
        assert ["WR-1", "WR-2"] == bought(world)


@in_virtual_time
async def test_a_run_that_reads_no_orders_keeps_the_room_of_what_waits_to_be_read(new_world):
    """For two days: what no run reads does not block for ever what webhooks report."""
    world = new_world(orders=shop(2), policy=policy_of(TREES, caps=[trees_a_day(1)]))
    async with world.run() as run:
        await next_run(world, run)
        world.clock.turn(days=1)
        await shopify_paid(run, 9, created_at="2026-03-03T00:10:00Z")
        await next_run(world, run, reads=False)
        assert ["WR-1"] == bought(world)
        world.clock.turn(days=1, hours=1)
        await next_run(world, run, reads=False)
        assert 2 == len(bought(world))


@in_virtual_time
async def test_what_waits_longer_than_runs_read_back_is_read_on_request(new_world):
    """Nothing newer waits for it then; the run's summary counts it, and names the command."""
    world = new_world(orders=shop(4), policy=policy_of(TREES, caps=[trees_a_day(1) | {"per": "month"}]))
    async with world.run() as run:
        for _ in range(24):
            await next_run(world, run)
            world.clock.turn(days=6)
        assert ["WR-1", "WR-2", "WR-3"] == bought(world)
        assert (1, "impactflow place --from 2026-03-02") == await unread(run.ledger, world.policy, run.clock)
        world.sandbox.shop.orders = [*shop(4), sold(9, date="2026-07-20T10:00:00Z")]
        await next_run(world, run)
        assert "WR-9" == bought(world)[-1]


@pytest.mark.parametrize("offsets_kg", [5, 10])
@in_virtual_time
async def test_a_cap_that_does_not_cover_a_placement_does_not_keep_it(new_world, offsets_kg):
    """Though that cap was lowered below what is bought: the room that a doubt gives back goes to the oldest tree."""
    offsets = {"per": "day", "slot": "offset", "quantity": 10}
    world = new_world(orders=shop(2), policy=policy_of(TREES, OFFSET, caps=[trees_a_day(3), offsets]))
    losing = Losing(world, "", effect=False)
    losing.over()
    async with world.run() as run:
        await next_run(world, run)
        mend(world, run, TREES, OFFSET, caps=[trees_a_day(3), offsets | {"quantity": offsets_kg}])
        losing.again()
        world.sandbox.shop.orders = shop(4)
        await next_run(world, run, patience_s=0)
        losing.over()
        world.clock.turn(hours=1)
        first, second, third, *rest = shop(5)
        world.sandbox.shop.orders = [first, second, third | {"payments": [{"status": "REFUNDED"}]}, *rest]
        await next_run(world, run)
        await next_run(world, run)
        trees = [purchase["order_id"] for purchase in world.purchases if purchase["kind"] == "plant_trees"]
        assert ["WR-1", "WR-2", "WR-4"] == trees


@pytest.mark.parametrize(
    ("rule", "path", "cap"),
    [
        (GIVING, "confirm", {"slot": "giving", "usd": Decimal("0.8")}),
        (OFFSET, "orders", {"slot": "offset", "quantity": 5}),
    ],
)
@in_virtual_time
async def test_a_purchase_that_is_sent_again_on_the_next_day_counts_there(new_world, rule, path, cap):
    """It was claimed on the day before, without effect."""
    world = new_world(orders=shop(3), policy=policy_of(rule, caps=[cap | {"per": "day"}]))
    losing = Losing(world, path, effect=False)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        losing.over()
        world.clock.turn(days=1)
        await next_run(world, run)
        assert ["WR-1"] == bought(world)


PRICED_TREE = TREES | {"price_usd": Decimal(1)}
PRICED_OFFSET = OFFSET | {"price_usd": Decimal(1), "quantity": {"per_order": 1}}


def kinds(world):
    """What was bought, by order and kind."""
    return [(purchase["order_id"], purchase["kind"]) for purchase in world.purchases]


@in_virtual_time
async def test_what_waits_for_one_cap_does_not_stop_what_another_allows(new_world):
    """Trees wait; offsets, of which the store's cap allows many, go on."""
    caps = [trees_a_day(1), {"per": "day", "usd": 100}]
    world = new_world(orders=shop(3), policy=policy_of(PRICED_TREE, PRICED_OFFSET, caps=caps))
    async with world.run() as run:
        await next_run(world, run)
        assert 3 == len([kind for _, kind in kinds(world) if kind == "offset"])
        used = [(use.used, use.waiting) for use in (await run.ledger.caps("acme", world.policy.caps_at(NOON), NOON))[0]]
        assert [(1, 2), (4, 0)] == used


@in_virtual_time
async def test_a_changed_price_counts_at_once(new_world):
    """A tree that is dearer than the cap is held, and nothing waits for it; once it is cheaper, it is bought."""
    caps = [{"per": "day", "usd": 2}]
    world = new_world(orders=shop(3), policy=policy_of(PRICED_TREE, PRICED_OFFSET, caps=caps))
    async with world.run() as run:
        await next_run(world, run)
        mend(world, run, PRICED_TREE | {"price_usd": Decimal(3)}, PRICED_OFFSET, caps=caps)
        for _ in range(2):
            world.clock.turn(days=1)
            await next_run(world, run)
        assert {"placed": 4, "held": 2} == await statuses(run)
        mend(world, run, PRICED_TREE, PRICED_OFFSET, caps=caps)
        for _ in range(2):
            world.clock.turn(days=1)
            await next_run(world, run)
        assert {"placed": 6} == await statuses(run)


@pytest.mark.parametrize("by_webhook", [True, False])
@in_virtual_time
async def test_no_seller_takes_what_an_older_order_waits_for_at_another(new_world, by_webhook):
    """Of one dollar a day the oldest order gets its offset and its tree, then the next one."""
    rules = PRICED_OFFSET, PRICED_TREE
    world = new_world(orders=[] if by_webhook else shop(3), policy=policy_of(*rules, caps=[{"per": "day", "usd": 1}]))
    async with world.run() as run:
        for number in range(1, 4) if by_webhook else ():
            await shopify_paid(run, number, created_at=f"2026-03-02T10:0{number}:00Z")
        for _ in range(4):
            await next_run(world, run)
            world.clock.turn(days=1)
        assert 4 == len(kinds(world))
        assert 2 == len({order for order, _ in kinds(world)})


@in_virtual_time
async def test_a_doubt_that_came_to_nothing_leaves_its_room_to_the_oldest_order(new_world):
    """A run that reads no orders does not give it to a newer one."""
    world = new_world(orders=shop(2), policy=policy_of(TREES, caps=[trees_a_day(1) | {"per": "month"}]))
    losing = Losing(world, "", effect=False)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        losing.over()
        world.clock.turn(hours=7)
        await shopify_paid(run, 9, created_at="2026-03-02T18:00:00Z")
        await next_run(world, run, reads=False)
        assert ([], {"planned": 3}) == (bought(world), await statuses(run))
        await next_run(world, run)
        assert ["WR-1"] == bought(world)


@in_virtual_time
async def test_what_was_bought_in_a_slot_that_is_gone_still_counts_for_the_store(new_world):
    """As a tree of the slot that came in its place."""
    trees, caps = TREES | {"price_usd": Decimal(1)}, [{"per": "day", "usd": 2}]
    world = new_world(orders=shop(2), policy=policy_of(trees, caps=caps))
    async with world.run() as run:
        await next_run(world, run)
        mend(world, run, trees | {"slot": "woods"}, caps=caps, new_slots=["woods"])
        world.sandbox.shop.orders = shop(4)
        await next_run(world, run)
        assert 2 == len(bought(world))


@in_virtual_time
async def test_look_alikes_are_bought_one_after_the_other_up_to_the_cap(new_world):
    """Of an account that returns no metadata: those that fit wait for each other, and not for the next day."""
    orders = [each | {"contact": None} for each in shop(7)]
    world = new_world(orders=orders, policy=policy_of(TREES, caps=[trees_a_day(3)]), metadata="ignored")
    async with world.run() as run:
        for count in (3, 6, 7):
            await next_run(world, run)
            assert count == len(bought(world))
            world.clock.turn(days=1)


@in_virtual_time
async def test_what_is_paused_does_not_keep_the_room_of_others(new_world):
    """While trees are paused, offsets go on, and once the pause is over everything is caught up."""
    rules = TREES | {"price_usd": Decimal(1)}, OFFSET | {"price_usd": Decimal(1), "quantity": {"per_order": 3}}
    world = new_world(orders=shop(4), policy=policy_of(*rules, caps=[{"per": "day", "usd": 4}]))
    scope = PauseScope("acme", ProviderName.ONECLICKIMPACT, None)
    async with world.run() as run:
        await run.ledger.pause(Pause(scope, "ana", "a question", run.clock.now()))
        for _ in range(2):
            await next_run(world, run)
            world.clock.turn(days=1)
        assert ["cnaught", "cnaught"] == [purchase["provider"] for purchase in world.purchases]
        await run.ledger.resume(Resumption(scope, "ana", run.clock.now()))
        for _ in range(4):
            await next_run(world, run)
            world.clock.turn(days=1)
        assert {"placed": 8} == await statuses(run)


class Saying(httpx.AsyncBaseTransport):
    """Answers the requests to a seller, or those that write to a path, with a no; they take effect or do not."""

    def __init__(self, world, seller, status, *, path=None, effect=False):
        self._inner = world.carrier
        self._seller, self._status, self._path, self._effect = seller, status, path, effect
        self._over = False
        world.carrier = self

    def over(self):
        self._over = True

    async def handle_async_request(self, request):
        is_meant = self._path is None or (request.method == "POST" and request.url.path.endswith(self._path))
        if self._over or self._seller not in str(request.url) or not is_meant:
            return await self._inner.handle_async_request(request)
        if self._effect:
            await self._inner.handle_async_request(request)
        return httpx.Response(self._status, headers={"Retry-After": "3600"}, json={})


@pytest.mark.parametrize("status", [429, 402])
@pytest.mark.parametrize(
    ("rule", "path", "usd"),
    [(PRICED_OFFSET, "/orders", 1), (GIVING, "/confirm", Decimal("0.8"))],
)
@in_virtual_time
async def test_a_purchase_that_was_denied_may_have_been_made(new_world, rule, path, usd, status):
    """At a seller that knows keys it is sent again; until then nothing else takes its room on this day."""
    world = new_world(orders=shop(2)[1:], policy=policy_of(rule, caps=[{"per": "day", "usd": usd}]))
    denying = Saying(world, rule["provider"], status, path=path, effect=True)
    async with world.run() as run:
        await next_run(world, run, patience_s=0)
        [use], _ = await run.ledger.caps("acme", world.policy.caps_at(NOON), NOON)
        assert ({"planned": 1}, ["WR-2"], True) == (await statuses(run), bought(world), use.used > use.cap.most / 2)
        world.sandbox.shop.orders = shop(2)
        await next_run(world, run, patience_s=0)
        denying.over()
        world.clock.turn(hours=2)
        await next_run(world, run)
        assert ({"planned": 1, "placed": 1}, ["WR-2"]) == (await statuses(run), bought(world))
        world.clock.turn(days=1)
        await next_run(world, run)
        assert ["WR-2", "WR-1"] == bought(world)


@pytest.mark.parametrize(("status", "path"), [(503, None), (401, None), (401, "/orders")])
@in_virtual_time
async def test_a_seller_that_cannot_sell_does_not_stop_the_others(new_world, status, path):
    """No room is kept for its older placements; once it can, they are the first."""
    rules = OFFSET | {"price_usd": Decimal(1), "quantity": {"per_order": 2}}, PRICED_TREE
    world = new_world(policy=policy_of(*rules, caps=[{"per": "day", "usd": 4}]))
    down = Saying(world, "cnaught", status, path=path)
    async with world.run() as run:
        for day in range(8):
            world.sandbox.shop.orders = [*world.sandbox.shop.orders, sold(day, date=f"2026-03-{day + 2:02}T09:00:00Z")]
            await next_run(world, run)
            world.clock.turn(days=1)
        assert 8 == len(world.purchases)
        down.over()
        await next_run(world, run)
        world.sandbox.shop.orders = [*world.sandbox.shop.orders, sold(8, date="2026-03-10T09:00:00Z")]
        await next_run(world, run)
        assert {("WR-0", "offset"), ("WR-1", "offset")} == set(kinds(world)[8:])


@in_virtual_time
async def test_what_was_planned_meanwhile_does_not_exceed_a_cap(new_world, monkeypatch):
    """In Postgres an older order may be planned between the look at the queue and the claim."""
    monkeypatch.setattr(caps, "_ends", lambda *_: [None])
    world = new_world(orders=shop(5), policy=policy_of(TREES, **TWO_A_DAY))
    async with world.run() as run:
        await next_run(world, run)
        assert 2 == len(bought(world))


def test_what_a_cap_does_not_cover_fits_beside_what_was_bought_beyond_it():
    """A cap that was lowered stops only what it covers."""
    [cap] = policy_of(TREES, OFFSET, caps=[trees_a_day(2)]).caps_at(NOON)
    tree = SimpleNamespace(slot="trees", provider="oneclickimpact", kind="plant_trees", quantity=1, denied_at=None)
    offset = SimpleNamespace(slot="offset", provider="cnaught", kind="offset", quantity=1, denied_at=None)
    assert [offset] == caps.Room([cap], [cap.most - 3], None).fitting([tree, offset])
    assert [tree, offset] == caps.Room([cap], [cap.most - 1], None).fitting([tree, offset, tree])


@pytest.mark.parametrize(
    ("per", "zone", "since", "until"),
    [
        ("day", "UTC", "2026-03-29T00:00", "2026-03-30T00:00"),
        ("day", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),  # the clocks go forward
        ("week", "Europe/Berlin", "2026-03-22T23:00", "2026-03-29T22:00"),
        ("month", "Europe/Berlin", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("month", "Pacific/Kiritimati", "2026-02-28T10:00", "2026-03-31T10:00"),
    ],
)
def test_a_period_is_the_stores_own(per, zone, since, until):
    """From midnight to midnight there, however long that is."""
    policy = policy_of(TREES, time_zone=zone, caps=[{"per": per, "slot": "trees", "quantity": 2}])
    [cap] = policy.caps_at(datetime(2026, 3, 29, 9, tzinfo=UTC))
    assert (since, until) == (f"{cap.since:%Y-%m-%dT%H:%M}", f"{cap.until:%Y-%m-%dT%H:%M}")


@pytest.mark.parametrize(
    ("cap", "message"),
    [
        ({"per": "day"}, "exactly one of quantity and usd"),
        ({"per": "day", "quantity": 1, "usd": 1, "slot": "trees"}, "exactly one of quantity and usd"),
        ({"per": "day", "quantity": 1}, "needs the slot"),
        ({"per": "year", "quantity": 1, "slot": "trees"}, "day"),
        ({"per": "day", "quantity": 1, "slot": "other"}, "covers no rule"),
        (
            {"per": "day", "usd": 1, "provider": "oneclickimpact"},
            "needs the price_usd of each rule that it covers: trees",
        ),
    ],
)
def test_a_cap_that_means_nothing_is_refused(cap, message):
    """With what to do."""
    with pytest.raises(ValueError, match=message):
        Policy.model_validate({"store": "acme", "rules": [TREES], "caps": [cap]})


def test_a_time_zone_that_is_not_known_is_refused():
    """A misspelt one would be nobody's midnight."""
    with pytest.raises(ValueError, match="time zone such as Europe/Berlin"):
        Policy.model_validate({"store": "acme", "rules": [TREES], "time_zone": "Europe/Berln"})


class Once(httpx.AsyncBaseTransport):
    """CNaught says this status to purchases for one order; None for no connection."""

    def __init__(self, world, status, order=b""):
        self._inner = world.carrier
        self._status, self._order = status, order
        self.is_over = False
        world.carrier = self

    async def handle_async_request(self, request):
        is_meant = request.method == "POST" and request.url.path.endswith("/orders") and "cnaught" in str(request.url)
        if self.is_over or not is_meant or self._order not in await request.aread():
            return await self._inner.handle_async_request(request)
        if self._status is None:
            raise httpx.ConnectError("no connection", request=request)
        return httpx.Response(self._status, headers={"Retry-After": "3600"}, json={})


ONE_KG = PRICED_OFFSET | {"quantity": {"per_item": 1}}
KG_A_DAY = {"per": "day", "slot": "offset"}


async def denied(world, run, *, hours=2):
    """A run in which a seller says no for now, and the time until the next one."""
    await next_run(world, run, patience_s=0)
    world.clock.turn(hours=hours)


def kg_bought(world):
    """What was bought, in kg."""
    return sum(purchase["quantity"] for purchase in world.purchases) / 1000


@in_virtual_time
async def test_what_was_refused_and_is_tried_again_finds_its_room_taken(new_world):
    """It is certain that it had not been bought, so another had its room."""
    world = new_world(orders=shop(2), policy=policy_of(PRICED_OFFSET, caps=[{"per": "day", "usd": 1}]))
    no = Once(world, 400, b"WR-1")
    async with world.run() as run:
        for _ in range(3):
            await next_run(world, run)
            world.clock.turn(minutes=20)
        no.is_over = True
        ruling = Ruling("WR-1", "offset", Resolution.NOT_BOUGHT, "ana", "asked")
        await settle(run.ledger, run.account, run.clock, run.id, ruling)
        await next_run(world, run)
        assert ({"placed": 1, "planned": 1}, ["WR-2"]) == (await statuses(run), bought(world))


@in_virtual_time
async def test_what_was_denied_and_is_more_by_now_waits_for_room(new_world):
    """It counts as used as it was, and another has had the rest."""
    world = new_world(
        orders=[of_items(1, 1), of_items(2, 5)], policy=policy_of(ONE_KG, caps=[KG_A_DAY | {"quantity": 6}])
    )
    no = Once(world, 429, b"WR-1")
    async with world.run() as run:
        await denied(world, run)
        await denied(world, run)
        no.is_over = True
        world.sandbox.shop.orders = [of_items(1, 5), of_items(2, 5)]
        await next_run(world, run)
        assert kg_bought(world) == 5
        world.clock.turn(days=1)
        await next_run(world, run)
        assert kg_bought(world) == 10


@in_virtual_time
async def test_what_was_denied_and_approved_since_waits_for_room(new_world):
    """Others had it while a person was asked."""
    policy = policy_of(ONE_KG | {"approve_above": 1}, caps=[KG_A_DAY | {"quantity": 2}])
    world = new_world(orders=[of_items(1, 1)], policy=policy)
    no = Once(world, 429, b"WR-1")
    async with world.run() as run:
        await denied(world, run)
        no.is_over = True
        world.sandbox.shop.orders = [of_items(1, 2), of_items(2, 1), of_items(3, 1)]
        await next_run(world, run)
        answer = Answer(Decision.APPROVE, "ana", "")
        asked = await run.ledger.awaiting()
        await record_answer(run.ledger, run.order_source, world.policy, run.clock, run.id, asked, answer)
        await next_run(world, run)
        assert kg_bought(world) <= 2


@pytest.mark.parametrize("payment", ["PENDING", "REFUNDED"])
@in_virtual_time
async def test_what_was_denied_counts_also_when_its_order_counts_no_more(new_world, payment):
    """It may have been bought all the same; if the order counts again, it has its room."""
    world = new_world(orders=shop(2)[1:], policy=policy_of(PRICED_OFFSET, caps=[{"per": "day", "usd": 1}]))
    no = Once(world, 429, b"WR-2")
    async with world.run() as run:
        await denied(world, run)
        no.is_over = True
        world.sandbox.shop.orders = [shop(1)[0], shop(2)[1] | {"payments": [{"status": payment}]}]
        await denied(world, run)
        assert [] == bought(world)
        world.sandbox.shop.orders = shop(2)
        await next_run(world, run)
        assert len(bought(world)) <= 1


@pytest.mark.parametrize("change", [{"usd": 2}, {"usd": 3, "price": "1.2"}])
@in_virtual_time
async def test_what_was_denied_waits_where_the_cap_is_exceeded_by_now(new_world, change):
    """A person has lowered the cap, or the price is higher."""
    world = new_world(orders=shop(3), policy=policy_of(PRICED_OFFSET, caps=[{"per": "day", "usd": 3}]))
    no = Once(world, 429, b"WR-1")
    async with world.run() as run:
        await denied(world, run)
        await denied(world, run)
        no.is_over = True
        dearer = PRICED_OFFSET | {"price_usd": Decimal(change.get("price", "1"))}
        mend(world, run, dearer, caps=[{"per": "day", "usd": change["usd"]}])
        await next_run(world, run)
        assert ["WR-2", "WR-3"] == bought(world)


@pytest.mark.parametrize("status", [None, 401, 503])
@in_virtual_time
async def test_a_seller_that_was_down_for_a_day_is_not_starved(new_world, status):
    """Others could take the whole cap each day, but the oldest sale is the first once it sells again."""
    world = new_world(policy=policy_of(PRICED_OFFSET, PRICED_TREE, caps=[{"per": "day", "usd": 1}]))
    no = Once(world, status)
    async with world.run() as run:
        for day in range(12):
            world.sandbox.shop.orders = [*world.sandbox.shop.orders, sold(day, date=f"2026-03-{day + 2:02}T10:00:00Z")]
            await next_run(world, run)
            no.is_over = True
            world.clock.turn(days=1)
        found = Counter(kind for _, kind in kinds(world))
        assert (True, True) == (found.total() >= 11, found["offset"] > 4)  # a 503 may have been a purchase


@in_virtual_time
async def test_another_stores_key_does_not_starve_a_store(new_world):
    """The account is another one."""
    mine = policy_of(PRICED_OFFSET, PRICED_TREE, caps=[{"per": "day", "usd": 1}])
    theirs = Policy.model_validate({"store": "other", "rules": [PRICED_OFFSET]})
    world = new_world(policy=mine)
    no = Once(world, 401)
    async with world.run() as run:
        for day in range(8):
            world.sandbox.shop.orders = [*world.sandbox.shop.orders, sold(day, date=f"2026-03-{day + 2:02}T10:00:00Z")]
            for policy in (theirs, mine):
                world.policy, no.is_over = policy, policy is mine
                world.works_under(run, policy)
                await next_run(world, run)
            world.clock.turn(days=1)
        assert "offset" in {kind for _, kind in kinds(world)}


@in_virtual_time
async def test_what_waits_for_a_narrow_cap_takes_nothing_of_a_wide_one(new_world):
    """However much of it there is."""
    caps = [trees_a_day(1), {"per": "day", "usd": 10}]
    world = new_world(policy=policy_of(PRICED_OFFSET, PRICED_TREE, caps=caps))
    async with world.run() as run:
        for day in range(20):
            for number in (2 * day, 2 * day + 1):
                date = f"2026-03-{day + 2:02}T10:{number:02}:00Z"
                world.sandbox.shop.orders = [*world.sandbox.shop.orders, sold(number, date=date)]
            await next_run(world, run)
            world.clock.turn(days=1)
        assert Counter({"offset": 40, "plant_trees": 20}) == Counter(kind for _, kind in kinds(world))


@in_virtual_time
async def test_a_claim_that_comes_late_fits_into_the_next_period_too(new_world):
    """It was made before midnight, and waited for others to write, who have used up the new day."""
    world = new_world(orders=shop(4), policy=policy_of(TREES, **TWO_A_DAY))
    async with world.run() as run:
        await world.plan(run)
        world.clock.turn(seconds=(datetime(2026, 3, 3, tzinfo=UTC) - world.clock.now()).total_seconds() - 1)
        await world.plan(run)
        late, work = sweep_at(run, ProviderName.ONECLICKIMPACT, world.policy), run.ledger.record_and_claim

        async def after_midnight(answers, claim, count):
            run.ledger.record_and_claim = work
            world.clock.turn(seconds=2)
            await world.place_all(run)
            return await work(answers, claim, count)

        run.ledger.record_and_claim = after_midnight
        await late.run()
        assert ["WR-1", "WR-2"] == bought(world)


@pytest.mark.parametrize(
    ("used", "hours", "full_at"),
    [(50, 6, "2026-03-02T12:00"), (50, 12, None), (100, 6, None), (150, 6, None), (10, 0, None), (0, 6, None)],
)
def test_a_cap_is_full_at_the_present_pace(used, hours, full_at):
    """If not in this period, or if it is, there is no such time."""
    [cap] = policy_of(PRICED_TREE, caps=[{"per": "day", "usd": 100}]).caps_at(NOON)
    found = cap.full_at(Fraction(used), cap.since + timedelta(hours=hours))
    assert (found and f"{found:%Y-%m-%dT%H:%M}") == full_at


def test_a_quantity_is_rounded_down_to_what_can_be_bought():
    """Nobody plants half a tree."""
    [cap] = policy_of(TREES, caps=[trees_a_day(Decimal("2.5"))]).caps_at(NOON)
    assert (2, "2 trees a day in slot trees") == (cap.most, cap.in_words)


@pytest.mark.parametrize(("rule", "usd"), [(GIVING, "0.005"), (PRICED_TREE, "0.9")])
def test_a_cap_that_nothing_fits_into_is_refused(rule, usd):
    """Less than a cent, or than a tree costs."""
    with pytest.raises(ValueError, match="less than one can buy"):
        policy_of(rule, caps=[{"per": "day", "usd": Decimal(usd)}])


@pytest.mark.parametrize(("count", "most", "percent"), [(1, 3, None), (2, 4, 50), (4, 5, 80), (5, 5, 100), (6, 5, 100)])
@in_virtual_time
async def test_a_run_warns_of_a_share_once(new_world, count, most, percent):
    """The run after it has used up no further one."""
    world = new_world(orders=shop(count), policy=policy_of(TREES, caps=[trees_a_day(most)]))
    async with world.run() as run:
        await next_run(world, run)
        assert ([] if percent is None else [percent]) == [each.percent for each in await reached(run, world.policy)]
    world.clock.turn(minutes=10)
    async with world.run() as run:
        await next_run(world, run)
        assert [] == await reached(run, world.policy)


@in_virtual_time
async def test_a_run_warns_of_the_largest_share_that_it_has_passed(new_world):
    """From where the run before had ended."""
    world = new_world(orders=shop(2), policy=policy_of(TREES, caps=[trees_a_day(4)]))
    async with world.run() as run:
        await next_run(world, run)
    world.clock.turn(minutes=10)
    world.sandbox.shop.orders = shop(4)
    async with world.run() as run:
        await next_run(world, run)
        [found] = await reached(run, world.policy)
        assert (100, 4, 0) == (found.percent, found.use.used, found.use.waiting)
