"""Turns of the contestants, so that other load on the machine affects all of them; the medians count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.processes import FlowRun, contestant, flow_run, prefect_server, provider


@dataclass(frozen=True)
class Setting:
    """
    The conditions of a contest.

    Args:
        latency_ms: How long the provider takes to answer, in milliseconds.
        in_flight: Number of requests at a time.
        ours_to_client: The least share of our own client's rate that the flow must reach.
        orders: Number of orders that each contestant places in a round: enough for about three seconds.
    """

    latency_ms: float
    in_flight: int
    ours_to_client: float
    orders: Mapping[str, int]


_FAST = {"ours": 10_000, "client": 10_000}
SETTINGS = (
    Setting(0, 32, 0.85, {**_FAST, "bare_default": 600, "bare_limited": 600, "tasks": 300, "sdk": 600}),
    Setting(50, 128, 0.90, {**_FAST, "bare_default": 600, "bare_limited": 300, "tasks": 300, "sdk": 600}),
)
QUICK = Setting(
    0, 8, 0.85, {"ours": 200, "client": 200, "bare_default": 50, "bare_limited": 50, "tasks": 10, "sdk": 50}
)
#: The most memory that a run of ``MANY`` orders may use, in megabytes.
MOST_MB, MANY = 300.0, 100_000


@dataclass
class Contest:
    """The results of the rounds in one setting: orders per second of each contestant, round by round."""

    setting: Setting
    rates: dict[str, list[float]] = field(default_factory=dict)
    flows: list[FlowRun] = field(default_factory=list)

    def rate(self, name: str) -> float:
        """The median rate; for the bare loop, the median of its better half."""
        if name == "bare":
            return max(self.rate("bare_default"), self.rate("bare_limited"))
        return median(self.rates[name])

    def ratio(self, to: str) -> float:
        """The flow's rate divided by another contestant's."""
        return self.rate("ours") / self.rate(to)

    @property
    def targets(self) -> Mapping[str, float]:
        """By contestant, the least ratio that the flow must reach."""
        return {"bare": 4.0, "client": self.setting.ours_to_client, "tasks": 10.0}

    def as_json(self) -> dict[str, Any]:
        """All measurements and the figures made from them."""
        return {
            "latency_ms": self.setting.latency_ms,
            "in_flight": self.setting.in_flight,
            "orders": dict(self.setting.orders),
            "rates_per_s": self.rates,
            "median_per_s": {name: self.rate(name) for name in self.rates},
            "median_with_reading_per_s": self.with_reading,
            "process_and_reporting_s": self.apart_s,
            "ratios": {
                name: {"ours_to": self.ratio(name), "target": target, "reached": self.ratio(name) >= target}
                for name, target in self.targets.items()
            },
        }

    @property
    def with_reading(self) -> float:
        """Orders per second of the whole flow: reading, planning, placing and reporting."""
        return median(run.orders / run.flow_s for run in self.flows)

    @property
    def apart_s(self) -> float:
        """Seconds of the flow's process outside the flow: imports, and reporting to Prefect's server."""
        return median(run.process_s - run.flow_s for run in self.flows)


@dataclass(frozen=True)
class Results:
    """
    One run of the benchmark.

    Args:
        server_start_s: Time that Prefect's server took to start, in seconds.
        contests: One for each setting.
        many: The run that shows the memory for many orders; None where it was left out.
    """

    server_start_s: float
    contests: list[Contest]
    many: FlowRun | None

    def as_json(self) -> dict[str, Any]:
        """Return the object that is kept in ``results/``."""
        many = self.many
        return {
            "server_start_s": self.server_start_s,
            "contests": [contest.as_json() for contest in self.contests],
            "memory": many and {**vars(many), "target_mb": MOST_MB, "reached": many.peak_mb < MOST_MB},
        }


def measure(settings: tuple[Setting, ...], rounds: int, many: int, report: Callable[[str], None]) -> Results:
    """
    Start what is needed, let every contestant take turns, and stop it again.

    Args:
        settings: The conditions of the contests.
        rounds: Number of turns of each contestant in each setting.
        many: Number of orders in the run for the memory; 0 leaves it out.
        report: Called with the current step.
    """
    report("starting a Prefect server")
    with prefect_server() as (variables, server_start_s):
        contests = [Contest(setting) for setting in settings]
        for turn in range(1, rounds + 1):
            for contest in contests:
                _take_turns(contest, variables, lambda what, turn=turn: report(f"round {turn} of {rounds}: {what}"))
        if not many:
            return Results(server_start_s, contests, None)
        report(f"{many:,} orders in one run")
        with provider(many, 0) as url:
            return Results(server_start_s, contests, flow_run(url, many, 32, variables))


def _take_turns(contest: Contest, variables: dict[str, str], report: Callable[[str], None]) -> None:
    setting = contest.setting
    with provider(setting.orders["ours"], setting.latency_ms) as url:
        for name, orders in setting.orders.items():
            report(f"{name}, {setting.latency_ms:g} ms, {setting.in_flight} in flight")
            if name == "ours":
                run = flow_run(url, orders, setting.in_flight, variables)
                contest.flows.append(run)
                rate = run.orders / run.placing_s
            else:
                rate = contestant(name, url, orders, setting.in_flight, variables)
            contest.rates.setdefault(name, []).append(rate)
