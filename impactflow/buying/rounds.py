"""
Work at one provider until nothing is due, or until the next thing due lies further off than a run's patience.

Nothing here needs the process to stay alive: the next run picks up where this one ends.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from impactflow.accounts import NOT_HALTED, Halt
from impactflow.clock import Clock
from impactflow.ledger import UNRESOLVED, Fresh, Ledger
from impactflow.models import ProviderName

#: The extra wait for placements that are due later, in seconds, so that others due soon after share the same round.
_GATHER_S = 0.5
#: The first pause after a round in which nothing could be done, in seconds; each further one is twice as long.
_FIRST_PAUSE_S = 0.5
#: The same where the provider seems to be down.
_DOWN_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """
    The result of one round of work.

    Args:
        changed: How many placements it changed.
        halted: Why it ended early, if it did.
    """

    changed: int
    halted: Halt = NOT_HALTED

    def __add__(self, other: "Round") -> "Round":
        """Two pieces of work as one round."""
        return Round(self.changed + other.changed, self.halted + other.halted)


async def work_off(
    ledger: Ledger,
    clock: Clock,
    provider: ProviderName,
    store: str,
    patience_s: float,
    work: Callable[[], Awaitable[Round]],
    *,
    policy: str | None,
) -> Round:
    """
    Repeat a round of work while something is due within ``patience_s`` seconds.

    Args:
        ledger: The ledger that knows what is due.
        clock: The clock, also used to wait.
        provider: The provider.
        store: The store whose placements are due.
        patience_s: How far off the next thing due may lie.
        work: One round.
        policy: Digest of the policy under which the work sends planned placements, besides resolving doubts; None where
            it sends nothing. Placements that are not fresh under the policy are left to a run that reads orders.

    Returns:
        All rounds as one; ``halted`` is from the last round, unless nothing is left to do.
    """
    changed, pause_s = 0, 0.0
    sends = True
    done = Round(0)

    async def next_due() -> datetime | None:
        fresh = Fresh.at(policy, clock.now()) if policy is not None and sends else None
        return await ledger.next_due(provider, store, UNRESOLVED, fresh, now=clock.now())

    while (due_at := await next_due()) is not None:
        wait_s = max(_until(due_at, clock), pause_s)
        if wait_s > patience_s:
            break
        await clock.sleep(wait_s)
        done = await work()
        changed += done.changed
        if done.halted.unauthorized:
            break
        if done.changed and not done.halted:
            sends, pause_s = True, 0.0
            continue
        # The provider is down, or every planned placement waits for an unresolved look-alike: only doubts can progress.
        sends = bool(done.halted)
        pause_s = max(_DOWN_PAUSE_S if done.halted else _FIRST_PAUSE_S, 2 * pause_s)
    return Round(changed, NOT_HALTED if due_at is None else done.halted)


def _until(due_at: datetime, clock: Clock) -> float:
    """Seconds until the next round has something to do."""
    due_in_s = (due_at - clock.now()).total_seconds()
    return due_in_s + _GATHER_S if due_in_s > 0 else 0.0
