"""
See that a key still opens the account that the ledger has bought from.

At another account nothing of what was bought can be found again: a doubt would look like no purchase and be bought a
second time. Called before anything is bought, settled or audited, by ``placement``, ``reconcile`` and ``audit``.
"""

from impactflow.errors import Forbidden, Refused, Unauthorized
from impactflow.ledger import Ledger
from impactflow.providers import Provider

#: So many purchases must be unknown: one alone may have been deleted there by a person.
LATEST = 5


async def check_account(ledger: Ledger, provider: Provider, *, fewest: int = 1) -> None:
    """
    Ask after the latest purchases until one of them is known.

    Args:
        ledger: Says what was bought.
        provider: The account.
        fewest: How many purchases there must be for their absence to say something about the account.

    Raises:
        Unauthorized: None is: the key is of another account, or the URL of another system.
        Forbidden: The account may not look its purchases up.
        NotSent: The provider cannot be asked now.
    """
    latest = await ledger.latest(provider.name, LATEST)
    for placement in latest:
        try:
            await provider.track(placement)
        except (Unauthorized, Forbidden):
            raise
        except Refused:
            continue
        else:
            return
    if len(latest) >= fewest:
        raise Unauthorized(
            f"this account knows none of the last {len(latest)} purchases that the ledger has made there: check the"
            " provider's key and URL; another account needs a ledger of its own (IMPACTFLOW_LEDGER_URL)",
            provider=provider.name,
            operation="track",
        )
