"""
A crash at every boundary: boundaries are not sampled, but counted, one after the other.

A boundary is a moment that the ledger or a provider can tell from the one before (``process.Boundary``). The proof
places one sale of one slot, for each kind of action, each metadata mode of 1ClickImpact, and each possible outcome of a
first attempt. The process is killed at its n-th boundary, or loses its database there, and the next process must finish
the work.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from impactflow.proof.process import Act, Boundary, Fate, unharmed
from impactflow.proof.scenario import LATE_S, Sale, Scenario, Worker
from impactflow.proof.sellers import RULES
from impactflow.proof.simulation import Result, Simulator
from impactflow.sandbox import Faults, Options

#: Outcomes of the first attempt: not made yet; or its request or its answer was lost.
FIRST_ATTEMPTS = ("", "lost_request=1", "lost_answer=1")
_ENDLESS_S = 100_000.0


@dataclass(frozen=True)
class Setting:
    """
    The placement that is under way when the crash comes.

    Args:
        slot: The kind of action, by its name in ``sellers.RULES``.
        metadata: Whether 1ClickImpact returns metadata, ``echo`` or ``ignored``.
        first_attempt: The fault that struck the attempt before; empty where there was none.
    """

    slot: str
    metadata: str
    first_attempt: str

    @property
    def scenario(self) -> Scenario:
        """Build a scenario of one sale and one worker, with nothing left to chance."""
        provider = RULES[self.slot][0]["provider"]
        faults = Faults.parse(f"{provider}.{self.first_attempt}" if self.first_attempt else "")
        options = Options(faults=faults, latency_s=0.1, metadata=self.metadata, late_s=LATE_S)  # type: ignore[arg-type]
        return Scenario(
            seed=0,
            sales=[Sale(1, 2, "ana@example.com")],
            slots=[self.slot],
            on_behalf_of="customer",
            options=options,
            workers=[Worker("crash points", 0.0, 0.0, 0.0, {})],
            patience_s=[1.0, _ENDLESS_S] if self.first_attempt else [_ENDLESS_S],
            idle_s=1.0,
            calm_after=1 if self.first_attempt else None,
        )


@dataclass(frozen=True)
class Crash:
    """
    One crash and its result.

    Args:
        setting: The placement that was under way.
        boundary: The boundary of the crash.
        number: The number of that boundary in the process, from 0.
        act: What the crash did.
        result: The result of the simulation.
    """

    setting: Setting
    boundary: Boundary
    number: int
    act: Act
    result: Result


def settings() -> Iterator[Setting]:
    """Every kind of action, with each first attempt; both metadata modes where there are two."""
    for slot, (rule, _) in RULES.items():
        for metadata in ("echo", "ignored") if rule["provider"] == "oneclickimpact" else ("echo",):
            for first_attempt in FIRST_ATTEMPTS:
                yield Setting(slot, metadata, first_attempt)


def crashes(simulator: Simulator, where: Iterable[Setting]) -> Iterator[Crash]:
    """Crash at every boundary of some settings."""
    for setting in where:
        passed: list[Boundary] = []
        simulator.run(setting.scenario, _fates(setting, _Recording(passed)))
        for number, boundary in enumerate(passed):
            for act in (Act.DIE, Act.FAIL) if boundary in _DATABASE else (Act.DIE,):
                result = simulator.run(setting.scenario, _fates(setting, _Striking(number, act)))
                yield Crash(setting, boundary, number, act, result)


_DATABASE = frozenset({Boundary.COMMIT, Boundary.COMMITTED})


def _fates(setting: Setting, fate: Fate) -> Callable[[Worker, int], Fate]:
    """Leave the process of the first attempt alone where the crash must hit the second attempt."""
    return lambda _, life: unharmed if setting.first_attempt and life == 0 else fate


class _Recording:
    """A fate that lets the process go on and records every boundary."""

    def __init__(self, passed: list[Boundary]) -> None:
        self._passed = passed

    def __call__(self, boundary: Boundary) -> Act:
        self._passed.append(boundary)
        return Act.GO_ON


class _Striking:
    """A fate that strikes once, at the n-th boundary."""

    def __init__(self, number: int, act: Act) -> None:
        self._left = number
        self._act = act

    def __call__(self, _: Boundary) -> Act:
        self._left -= 1
        return self._act if self._left == -1 else Act.GO_ON
