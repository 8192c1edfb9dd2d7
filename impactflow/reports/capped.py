"""The shares of a policy's caps that a run has used up, for whoever is to be warned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from impactflow.buying.run import Run
from impactflow.ledger import CapUse
from impactflow.policy import Policy

#: The shares of a cap, in per cent, at which people are warned.
SHARES = (50, 80, 100)


@dataclass(frozen=True, slots=True)
class Reached:
    """
    A cap of which a run has used up a share that was not used up before.

    Args:
        use: The cap, and its use by now.
        percent: The share, one of ``SHARES``.
    """

    use: CapUse
    percent: int


async def reached(run: Run, policy: Policy) -> Sequence[Reached]:
    """
    Find the caps of which a run has used up a further share; each with the largest one.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    if not policy.caps:
        return []
    now = run.clock.now()
    caps = policy.caps_at(now)
    uses, _ = await run.ledger.caps(policy.store, caps, now)
    before = await run.ledger.used_of_caps(policy.store, [replace(cap, until=run.began_at) for cap in caps])
    found = ((use, _share(use, earlier)) for use, earlier in zip(uses, before, strict=True))
    return [Reached(use, percent) for use, percent in found if percent is not None]


def _share(use: CapUse, before: Fraction) -> int | None:
    """The largest share that was passed; what waits for the next period has found a cap that is as good as full."""
    if use.waiting and use.used > before:
        return SHARES[-1]
    passed = [percent for percent in SHARES if before < percent * use.cap.most / 100 <= use.used]
    return max(passed, default=None)
