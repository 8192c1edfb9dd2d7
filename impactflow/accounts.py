"""
See that a key still opens the account that the ledger has bought from.

At another account nothing of what was bought can be found again: a doubt would look like no purchase and be bought a
second time. Called before anything is bought, settled or audited, by ``placement``, ``reconcile`` and ``audit``.
"""

from collections.abc import Sequence

from impactflow.clock import Clock
from impactflow.errors import Forbidden, Refused, Unauthorized
from impactflow.ledger import Ledger
from impactflow.models import Placement
from impactflow.providers import Provider

#: So many purchases must be unknown: one alone may have been deleted there by a person.
LATEST = 5
#: Wait in seconds before the second time: a purchase that a provider does not find for a moment is no other account.
_AGAIN_S = 5.0


async def check_account(ledger: Ledger, provider: Provider, clock: Clock, *, fewest: int = 1) -> None:
    """
    Ask after the latest purchases until one of them is known; ask twice before saying that none is.

    Args:
        ledger: Says what was bought.
        provider: The account.
        clock: Waits before the second time.
        fewest: How many purchases there must be for their absence to say something about the account.

    Raises:
        Unauthorized: None is: the key is of another account, or the URL of another system.
        Forbidden: The account may not look its purchases up.
        NotSent: The provider cannot be asked now.
    """
    latest = await ledger.latest(provider.name, LATEST)
    if await _is_known(provider, latest) or len(latest) < fewest:
        return
    await clock.sleep(_AGAIN_S)
    if not await _is_known(provider, latest):
        raise Unauthorized(
            f"this account knows none of the last {len(latest)} purchases that the ledger has made there: check the"
            " provider's key and URL; another account needs a ledger of its own (IMPACTFLOW_LEDGER_URL)",
            provider=provider.name,
            operation="track",
        )


async def _is_known(provider: Provider, latest: Sequence[Placement]) -> bool:
    """Whether the account knows one of these purchases."""
    for placement in latest:
        try:
            await provider.track(placement)
        except (Unauthorized, Forbidden):
            raise
        except Refused:
            continue
        return True
    return False
