"""
A store's account at a provider, as a run works with it; and whether the key still opens the one that was bought from.

At another account nothing of what was bought can be found again: a doubt would look like no purchase and be bought a
second time. So the account is checked before anything is bought, settled or audited there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from impactflow.clock import Clock
from impactflow.errors import Forbidden, Refused, Unauthorized
from impactflow.ledger import Ledger
from impactflow.models import Placement, ProviderName
from impactflow.providers import Provider

#: So many purchases must be unknown: one alone may have been deleted there by a person.
LATEST = 5
#: Wait in seconds before the second time: a purchase that a provider does not find for a moment is no other account.
_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class RunConfig:
    """
    How a run works, from the settings.

    Args:
        lease_s: How long a placement belongs to the run that sends it.
        request_timeout_s: How long one request may take, the wait for its turn included.
        settle_s: How long after an attempt "not in their records" means "not placed".
        concurrency: Requests in flight per provider.
        track_s: How long after the first look a placement is tracked again.
    """

    lease_s: float
    request_timeout_s: float
    settle_s: float
    concurrency: int
    track_s: float


@dataclass(frozen=True, slots=True)
class StoreAccount:
    """
    A store's account at a provider, and all that a run needs to work with it.

    Several stores may share a ledger, each with accounts of its own: a run touches the placements of its store only.

    Args:
        store: Whose placements, as the policy names the store.
        provider: The account.
        ledger: Where the placements are.
        clock: Tells the time.
        config: How the run works.
        run_id: What the run's attempts and events are recorded under.
    """

    store: str
    provider: Provider
    ledger: Ledger
    clock: Clock
    config: RunConfig
    run_id: str

    @property
    def name(self) -> ProviderName:
        """The provider's name."""
        return self.provider.name


async def check_account(account: StoreAccount, *, fewest: int = 1) -> None:
    """
    Ask after the store's latest purchases until one of them is known; ask twice before saying that none is.

    Args:
        account: The account.
        fewest: How many purchases there must be for their absence to say something about the account.

    Raises:
        Unauthorized: None is: the key is of another account, or the URL of another system.
        Forbidden: The account may not look its purchases up.
        NotSent: The provider cannot be asked now.
    """
    latest = await account.ledger.latest(account.name, account.store, LATEST)
    if await _is_known(account.provider, latest) or len(latest) < fewest:
        return
    await account.clock.sleep(_AGAIN_S)
    if not await _is_known(account.provider, latest):
        raise Unauthorized(
            f"this account knows none of the last {len(latest)} purchases that the ledger has made there for store"
            f" {account.store}: check the provider's key and URL; another account needs a ledger of its own"
            " (IMPACTFLOW_LEDGER_URL)",
            provider=account.name,
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
