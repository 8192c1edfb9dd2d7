"""Requests are held back before a limit is hit."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from client_helpers import NOON, LoopClock, PatientClock, run_virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from impactflow.clients.limits import HeldBackError, RateLimit, moment, seconds_until


@pytest.mark.parametrize(
    "text",
    [
        "90",
        str(NOON.timestamp() + 90),
        str(int(NOON.timestamp() + 90)),
        str(int(NOON.timestamp() + 90) * 1000),
        "2026-02-03T12:01:30Z",
        "2026-02-03T13:01:30+01:00",
        format_datetime(NOON + timedelta(seconds=90), usegmt=True),
    ],
)
def test_every_way_to_write_a_reset_is_understood(text):
    """Seconds from now, seconds or milliseconds since 1970, ISO 8601 and HTTP dates."""
    assert moment(text, NOON) == NOON + timedelta(seconds=90)


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "1e300", "-1e300", "9999-99-99"])
def test_a_reset_of_nonsense_is_no_time(text):
    """Nothing that a header may hold raises."""
    assert moment(text, NOON) is None


@given(st.text())
def test_no_header_text_raises(text):
    """Whatever it holds."""
    moment(text, NOON)
    seconds_until(text, NOON)


@pytest.mark.parametrize(("text", "expected"), [("7", 7.0), ("-5", 0.0), ("9e9", None), (None, None), ("x", None)])
def test_retry_after_is_read_as_seconds_to_wait(text, expected):
    """Never below zero, and not believed beyond a day."""
    assert expected == seconds_until(text, NOON)


async def test_without_a_header_nothing_ever_waits():
    """A provider that says nothing is not slowed down."""
    clock = PatientClock()
    limit = RateLimit(clock)
    for _ in range(1000):
        turn = await limit.take(0)
        limit.finish(turn, 200, {})
    assert clock.waits == []


def headers(remaining: int, reset: str, limit: int = 10) -> dict[str, str]:
    return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": reset}


async def test_the_last_request_of_a_window_is_followed_by_a_wait_for_the_next():
    """Nothing remains: the next turn comes when the window is over, its rounding included."""
    clock = PatientClock()
    limit = RateLimit(clock)
    limit.finish(await limit.take(0), 200, headers(0, "30"))
    await limit.take(60)
    assert clock.waits == [31.01]


async def test_a_caller_without_patience_is_told_how_long_it_would_take():
    """A write must not wait beyond its lease."""
    limit = RateLimit(PatientClock())
    limit.finish(await limit.take(0), 200, headers(0, "30"))
    with pytest.raises(HeldBackError) as held:
        await limit.take(10)
    assert held.value.wait_s == 31.01


async def test_after_a_429_one_request_goes_ahead_and_the_others_wait_for_its_answer():
    """A burst after the pause would only be refused again."""
    clock = PatientClock()
    limit = RateLimit(clock)
    limit.finish(await limit.take(0), 429, {"retry-after": "5"})
    ahead = await limit.take(60)
    other = asyncio.create_task(limit.take(60))
    await asyncio.sleep(0)
    assert (clock.waits, other.done()) == ([5.0], False)
    limit.finish(ahead, 200, {})
    assert (await other).ahead is False


async def test_a_429_without_a_time_is_waited_out_longer_each_time():
    """One second, two, four, with up to half as much again."""
    clock = PatientClock()
    limit = RateLimit(clock)
    for _ in range(3):
        limit.finish(await limit.take(100), 429, {})
    await limit.take(100)
    assert [True] * 3 == [least <= wait <= 1.5 * least for wait, least in zip(clock.waits, (1, 2, 4), strict=True)]


async def test_requests_refused_together_are_one_refusal():
    """Ten 429s at once do not make the pause a thousand times longer."""
    clock = PatientClock()
    limit = RateLimit(clock)
    turns = [await limit.take(0) for _ in range(10)]
    for turn in turns:
        limit.finish(turn, 429, {})
    await limit.take(100)
    assert 1 <= sum(clock.waits) <= 1.5


class StrictServer:
    """Counts requests by the window, answers late, and takes none too many."""

    def __init__(self, limit: int, window_s: float, style: str, offset_s: float) -> None:
        self.limit, self.window_s, self.style, self.offset_s = limit, window_s, style, offset_s
        self.window, self.count = -1, 0
        self.announced_at: float | None = None
        self.too_many: list[float] = []

    async def answer(self, there_s: float, back_s: float, *, lost: bool) -> tuple[int | None, dict[str, str]]:
        await asyncio.sleep(there_s)
        now = asyncio.get_running_loop().time()
        window = int((now + self.offset_s) // self.window_s)
        if window != self.window:
            self.window, self.count = window, 0
        self.count += 1
        if self.count > self.limit and self.announced_at is not None:
            self.too_many.append(now)
        limit_headers = self.headers(now)
        await asyncio.sleep(back_s)
        if lost:
            return None, {}
        if self.announced_at is None:
            self.announced_at = asyncio.get_running_loop().time()
        return 200, limit_headers

    def headers(self, now: float) -> dict[str, str]:
        ends_in_s = (self.window + 1) * self.window_s - self.offset_s - now
        at = NOON.timestamp() + now + ends_in_s
        reset = {
            "seconds": f"{ends_in_s}",
            "whole seconds": f"{int(ends_in_s)}",
            "epoch": f"{int(at)}",
            "milliseconds": f"{int(at * 1000)}",
        }[self.style]
        return headers(max(0, self.limit - self.count), reset, self.limit)


async def hammer(
    server: StrictServer, delays: list[tuple[float, float]], callers: int, requests: int, lose: int
) -> int:
    limit = RateLimit(LoopClock())
    sent = 0

    async def one(*, lost: bool) -> None:
        nonlocal sent
        turn = await limit.take(1e6)
        sent += 1
        there_s, back_s = delays[sent % len(delays)]
        status, limit_headers = await server.answer(there_s, back_s, lost=lost)
        limit.finish(turn, status, limit_headers)

    async def caller(number: int) -> None:
        for n in range(requests):
            await one(lost=lose > 0 and (number + n) % lose == 1)

    await one(lost=False)
    await asyncio.gather(*(caller(number) for number in range(callers)))
    return sent


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(1, 12),
    window_s=st.sampled_from([1.0, 5.0, 60.0]),
    style=st.sampled_from(["seconds", "whole seconds", "epoch", "milliseconds"]),
    offset_s=st.floats(0, 59),
    delays=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=7),
    callers=st.integers(1, 12),
    lose=st.sampled_from([0, 3, 5]),
)
def test_no_request_beyond_the_limit_is_ever_sent(limit, window_s, style, offset_s, delays, callers, lose):
    """Once the headers are known, with many callers, answers that overtake one another and answers that never come."""
    server = StrictServer(limit, window_s, style, offset_s)
    sent = run_virtual(hammer(server, delays, callers, 5, lose))
    assert ([], callers * 5 + 1) == (server.too_many, sent)
