"""A past range is planned window by window: a run goes on where the last one ended, and a cap is kept exactly."""

from datetime import date, timedelta
from decimal import Decimal

import httpx
import pytest
from virtual_time import in_virtual_time
from world import GIVING, OFFSET, TREES, policy_of, sold, statuses

from impactflow.accounts import Halt
from impactflow.buying.backfill import Backfilled, PlannedWindow, choose_days, remember, windows_left
from impactflow.buying.rounds import Round
from impactflow.errors import ConfigurationError
from impactflow.intake.planning import SOURCE, plan_pages, preview
from impactflow.ledger import Planned
from impactflow.models import ProviderName
from impactflow.window import Window

FEBRUARY = Window(date(2026, 2, 1), date(2026, 2, 28))
DAY = timedelta(days=1)
CNAUGHT = ProviderName.CNAUGHT


def sold_on(number, day, **fields):
    """An order of a day in February."""
    return sold(number, date=f"2026-02-{day:02}T10:00:00Z", **fields)


async def planned(run, policy, window=FEBRUARY, at_most=None):
    """Plan one window."""
    pages = plan_pages(run.ledger, run.order_source(), policy, window, run.clock, run.id, at_most=at_most)
    return PlannedWindow.of(window, *await pages)


async def days_left(run, policy, days=FEBRUARY, window_days=7):
    """The windows that are left, as first and last days of the month."""
    left = await windows_left(run.ledger, policy, days, window_days)
    return [(window.from_.day, window.to.day) for window in left]


@in_virtual_time
async def test_a_range_is_cut_into_windows_oldest_first(new_world):
    """The last one ends where the range does."""
    world = new_world()
    async with world.run() as run:
        assert [(1, 10), (11, 20), (21, 28)] == await days_left(run, world.policy, window_days=10)
        assert [(1, 28)] == await days_left(run, world.policy, window_days=365)


@in_virtual_time
async def test_what_is_remembered_is_not_read_again_unless_the_policy_changes(new_world):
    """Nor where the last day is a later one; another first day is another range; the watermark of place stays."""
    world = new_world()
    async with world.run() as run:
        first, second, *_ = await windows_left(run.ledger, world.policy, FEBRUARY, 7)
        await remember(run.ledger, world.policy, FEBRUARY, first, run.clock)
        await remember(run.ledger, world.policy, FEBRUARY, second, run.clock)
        assert [(15, 21), (22, 28)] == await days_left(run, world.policy)
        longer, later = Window(FEBRUARY.from_, date(2026, 3, 1)), Window(date(2026, 2, 2), FEBRUARY.to)
        assert [(15, 28), (1, 1)] == await days_left(run, world.policy, longer, window_days=14)
        assert [(2, 28)] == await days_left(run, world.policy, later, window_days=28)
        assert [(1, 28)] == await days_left(run, policy_of(TREES), window_days=28)
        assert None is await run.ledger.watermark("acme", SOURCE)


@in_virtual_time
async def test_a_day_that_is_not_over_is_read_again(new_world):
    """Orders of it are still to come."""
    world = new_world()
    async with world.run() as run:
        today = run.clock.now().date()
        days = choose_days(today - 2 * DAY, today, run.clock)
        [window] = await windows_left(run.ledger, world.policy, days, 7)
        await remember(run.ledger, world.policy, days, window, run.clock)
        assert [Window(today, today)] == await windows_left(run.ledger, world.policy, days, 7)


@in_virtual_time
async def test_days_to_come_are_refused(new_world):
    """And days in the wrong order."""
    world = new_world()
    today = world.clock.now().date()
    with pytest.raises(ConfigurationError, match="of the past"):
        choose_days(today, today + DAY, world.clock)
    with pytest.raises(ConfigurationError, match="days in order"):
        choose_days(today, today - DAY, world.clock)


@in_virtual_time
@pytest.mark.parametrize("at_most", range(1, 8))
async def test_a_cap_is_never_exceeded_and_runs_under_it_get_to_the_end(new_world, at_most):
    """Two placements an order: what is left over is planned by the next run, and none is passed over."""
    world = new_world(orders=[sold_on(number, number) for number in range(1, 6)], policy=policy_of(TREES, OFFSET))
    so_far, stops = 0, 0
    async with world.run() as run:
        for _ in range(5):
            result = await planned(run, world.policy, at_most=at_most)
            now = sum((await statuses(run)).values())
            assert now - so_far == result.planned.placements <= at_most
            so_far = now
            if result.stopped is None:
                break
            stops += 1
            assert f"needs 2 placements and at_most leaves {at_most % 2}" in result.stopped
        assert (0, 5) if at_most == 1 else (10, -(-10 // (at_most - at_most % 2)) - 1) == (so_far, stops)


@in_virtual_time
async def test_a_cap_counts_what_was_held_before(new_world):
    """A rate that was missing has come: from now on that is bought, so it counts; what stays held does not."""
    foreign = [sold_on(number, number, currency="SEK") for number in (1, 2, 3)]
    world = new_world(orders=[*foreign, sold_on(4, 4, currency="NOK")], policy=policy_of(GIVING))
    async with world.run() as run:
        assert 0 == (await planned(run, world.policy, at_most=2)).planned.placements
        assert {"held": 4} == await statuses(run)
        mended = policy_of(GIVING, fx={"as_of": date(2026, 2, 1), "usd_per": {"SEK": Decimal("0.1")}})
        would = await preview(run.ledger, run.order_source(), mended, FEBRUARY, run.clock, at_most=2)
        assert (2, "WR-3") == (would.placements, would.ends_before)
        result = await planned(run, mended, at_most=2)
        assert (2, {"held": 2, "planned": 2}) == (result.planned.placements, await statuses(run))
        assert "order WR-3" in result.stopped


@in_virtual_time
async def test_what_was_bought_already_takes_no_room(new_world):
    """Whatever else the range holds."""
    world = new_world(orders=[sold_on(number, number) for number in (1, 2, 3)], policy=policy_of(TREES))
    async with world.run() as run:
        await planned(run, world.policy, Window(date(2026, 2, 1), date(2026, 2, 2)))
        await world.place_all(run)
        result = await planned(run, world.policy, at_most=1)
        assert (None, 1, {"placed": 2, "planned": 1}) == (
            result.stopped,
            result.planned.placements,
            await statuses(run),
        )


@in_virtual_time
async def test_orders_that_do_not_come_stop_it(new_world):
    """The source announces more than it gives: a window of which something is missing must not count as planned."""
    world = new_world(orders=[sold_on(1, 1), sold_on(2, 2)], policy=policy_of(TREES))
    carrier = world.carrier

    class Forgetful(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            answer = await carrier.handle_async_request(request)
            body = await answer.aread()
            return httpx.Response(answer.status_code, headers=headers, content=body.replace(b'"total":2', b'"total":3'))

    headers = {"content-type": "application/json"}
    world.carrier = Forgetful()
    async with world.run() as run:
        result = await planned(run, world.policy)
        assert (2, "no two readings of its orders agreed, 1 may be missing") == (
            result.planned.placements,
            result.stopped,
        )


def test_the_outcome_says_how_to_go_on():
    """Where it stopped, where a range was done before, and where it was done now."""
    stopped = Backfilled(FEBRUARY, (), Window(date(2026, 2, 8), FEBRUARY.to), "cnaught was left alone: it is down")
    assert "cnaught was left alone" in stopped.in_words()
    assert "From 2026-02-08 on" in stopped.in_words()
    done = Backfilled(FEBRUARY, (), None, None).in_words()
    assert "impactflow place --from 2026-02-01 --to 2026-02-28" in done


@pytest.mark.parametrize(
    ("stops", "halted", "left", "why"),
    [
        ((None, None, None), {}, None, None),
        ((None, None, None), {CNAUGHT: Round(0, Halt("it is down"))}, None, None),
        ((None, None, "order WR-9"), {}, 15, "order WR-9"),
        ((None,), {CNAUGHT: Round(0, Halt("it is down"))}, 8, "cnaught was left alone: it is down"),
    ],
)
def test_what_is_left_begins_with_the_window_that_could_not_be_finished(stops, halted, left, why):
    """A provider that was left alone at the very end leaves nothing of the range to plan."""
    windows = [Window(date(2026, 2, day), date(2026, 2, day + 6)) for day in (1, 8, 15)]
    done = [PlannedWindow(window, Planned(), stop) for window, stop in zip(windows, stops, strict=False)]
    outcome = Backfilled.of(FEBRUARY, windows, done, halted)
    assert (left and Window(date(2026, 2, left), FEBRUARY.to), why) == (outcome.left, outcome.stopped)


@in_virtual_time
async def test_a_cap_holds_where_only_the_ledger_knows_what_an_order_earns(new_world):
    """Whether it is its customer's first one: ten customers, of whom three may earn."""
    rule = TREES | {"when": {"first_order": True}}
    world = new_world(orders=[sold_on(number, number) for number in range(1, 11)], policy=policy_of(rule))
    async with world.run() as run:
        result = await planned(run, world.policy, at_most=3)
        assert (3, {"planned": 3}) == (result.planned.placements, await statuses(run))
        assert result.stopped is not None
