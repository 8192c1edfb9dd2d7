"""
The one promise, with real processes: ``place`` is killed again and again while its requests are in flight.

Two streams run side by side, one for each thing that 1ClickImpact may do with metadata; each kills its own processes
and has its own sandbox and ledger. Answers get lost besides.
"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import pytest
from bookkeeping import NONE, Quantities, differences, earned, in_books, in_ledger
from processes import Ended, Impactflow, Listening, sandbox_process

pytestmark = pytest.mark.timeout(480)  # both streams run in the set-up of the first test

PROVIDERS = ("oneclickimpact", "cnaught", "impactapi")
MODES = ("echo", "ignored")
KILLS = 26
#: Enough that work is left for the last kill, however fast the machine.
ORDERS = 900
FAULTS = "rough,hang=0.002,rate_limited=0.002"
#: How often a run may end with something left undone after the last kill.
FURTHER_RUNS = 5


@dataclass
class Stream:
    """
    What one stream of kills came to.

    Args:
        aims: The provider that was sending at each kill.
        in_flight: How many requests were in flight at each kill, over all providers.
        last: The run that ended with nothing left undone.
        expected: What the orders have earned.
        purchases: The books in the end.
        recorded: The ledger in the end.
        requests: How many requests the providers have served.
    """

    aims: list[str] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    last: Ended | None = None
    expected: Quantities = field(default_factory=dict)
    purchases: list[dict] = field(default_factory=list)
    recorded: set[tuple] = field(default_factory=set)
    requests: int = 0


def kill_when_sending(impactflow: Impactflow, sandbox: Listening, aim: str, delay_s: float) -> int:
    """Start placing, kill it a moment after ``aim`` has requests in flight; how many were in flight at the kill."""
    process = impactflow.start("place", "--json")
    try:
        deadline = time.monotonic() + 60
        while not sandbox.in_flight()[aim]:
            assert process.poll() is None, f"no work is left at {aim}: {process.communicate()}"
            assert time.monotonic() < deadline, f"nothing was sent to {aim} in 60 s"
            time.sleep(0.02)
        time.sleep(delay_s)
        in_flight = sum(sandbox.in_flight().values())
    finally:
        process.kill()
        process.communicate()
    return in_flight


def run_until_done(impactflow: Impactflow) -> Ended:
    """Place until nothing is left undone, a few times at most; faster than before, as nobody aims any more."""
    for _ in range(FURTHER_RUNS):
        ended = impactflow.but(IMPACTFLOW_CONCURRENCY="64").run("place", "--json", timeout_s=300)
        if ended.status == 0:
            break
    return ended


def stream_of_kills(mode, folder, command_line) -> Stream:
    """One stream from the first start to the last run."""
    chance = Random(f"kills {mode}")
    stream = Stream()
    arguments = (f"--orders={ORDERS}", f"--faults={FAULTS}", f"--metadata={mode}", "--latency-ms=300", "--rate=100000")
    with sandbox_process(folder, *arguments, "--seed=11") as sandbox:
        impactflow = command_line(folder, sandbox)
        for number in range(KILLS):
            aim = PROVIDERS[number % len(PROVIDERS)]
            stream.aims.append(aim)
            stream.in_flight.append(kill_when_sending(impactflow, sandbox, aim, chance.uniform(0, 0.8)))
        stream.last = run_until_done(impactflow)
        stream.expected = earned(sandbox.orders())
        stream.purchases = sandbox.purchases()
        stream.recorded = in_ledger(impactflow.ledger_url)
        stream.requests = sum(sandbox.status()[provider]["requests"] for provider in PROVIDERS)
    return stream


@pytest.fixture(scope="module")
def streams(tmp_path_factory, command_line):
    """Both streams, run side by side; their figures are printed."""
    with ThreadPoolExecutor(len(MODES)) as pool:
        running = {
            mode: pool.submit(stream_of_kills, mode, tmp_path_factory.mktemp(f"kills-{mode}"), command_line)
            for mode in MODES
        }
        ended = {mode: future.result() for mode, future in running.items()}
    for mode, stream in ended.items():
        print(  # noqa: T201 - with -s, and where a test fails
            f"\nmetadata {mode}: {len(stream.in_flight)} kills, {sum(map(bool, stream.in_flight))} with requests in"
            f" flight ({sum(stream.in_flight)} requests), {stream.requests} requests in all,"
            f" {len(stream.purchases)} purchases of {len(stream.expected)} earned"
        )
    return ended


@pytest.fixture(params=MODES)
def stream(request, streams) -> Stream:
    """One of the two."""
    return streams[request.param]


def test_after_the_kills_everything_earned_is_bought_once(stream):
    """No purchase twice, none lost, none that was not earned, none of a wrong amount."""
    assert differences(stream.expected, stream.purchases) == NONE


def test_after_the_kills_the_ledger_equals_the_books(stream):
    """Each purchase that took effect is recorded, under the provider's own name for it, and no other is."""
    assert in_books(stream.purchases) == stream.recorded


def test_after_the_kills_nothing_is_left_undone(stream):
    """The last run ends with 0; no placement is parked, failed or in doubt."""
    assert stream.last is not None
    placements = stream.last.json["placements"]
    assert (stream.last.status, {name for name, count in placements.items() if count}) == (0, {"placed"})


def test_most_kills_hit_requests_in_flight(streams):
    """Otherwise the tests above would prove little."""
    in_flight = [count for stream in streams.values() for count in stream.in_flight]
    assert len(in_flight) >= 50
    assert sum(map(bool, in_flight)) > len(in_flight) / 2


def test_kills_hit_every_provider(stream):
    """In turn, each while it had requests in flight."""
    assert set(Counter(stream.aims)) == set(PROVIDERS)
