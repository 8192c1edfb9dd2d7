"""
A store's account at a provider, as a run works with it; and a check that the key still opens the same account.

At another account no earlier purchase can be found: a doubt would look like no purchase and be bought a second time. So
the account is checked before anything is bought, resolved or audited there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from impactflow.clock import Clock
from impactflow.errors import Forbidden, ProviderError, Refused, Unauthorized
from impactflow.ledger import Ledger
from impactflow.models import Placement, ProviderName
from impactflow.providers import Provider

#: This many purchases must be unknown: one alone may have been deleted there by a person.
LATEST = 5
#: Wait in seconds before the second time: a purchase that a provider does not find for a moment is no other account.
_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Halt:
    """
    The reason why work at an account ended early; false where the work did not.

    Args:
        why: The reason, for a person; None where the work did not end early.
        unauthorized: Whether the provider did not accept the key, so that all further requests would fail, too.
    """

    why: str | None = None
    unauthorized: bool = False

    @classmethod
    def after(cls, error: ProviderError) -> "Halt":
        """Return the reason that an error gives."""
        return cls(str(error), isinstance(error, Unauthorized))

    def __bool__(self) -> bool:
        return self.why is not None

    def __add__(self, other: "Halt") -> "Halt":
        """Return the reason of two pieces of work: that of a key that was not accepted, or else the first."""
        return other if other.unauthorized and not self.unauthorized else self or other

    def __str__(self) -> str:
        return self.why or ""


#: The work went on to its end.
NOT_HALTED = Halt()


@dataclass(frozen=True, slots=True)
class RunConfig:
    """
    The configuration of a run, from the settings.

    Args:
        lease_s: How long a placement belongs to the run that sends it, in seconds.
        request_timeout_s: How long one request may take, the wait for its turn included.
        settle_s: How long after an attempt "not in their records" means "not placed".
        concurrency: Requests in flight per provider.
        track_s: How long after the first look a placement is tracked again, in seconds.
    """

    lease_s: float
    request_timeout_s: float
    settle_s: float
    concurrency: int
    track_s: float


@dataclass(frozen=True, slots=True)
class StoreAccount:
    """
    A store's account at a provider, with everything a run needs to work with it.

    Several stores may share a ledger, each with accounts of its own: a run touches the placements of its store only.

    Args:
        store: The store, as the policy names it.
        provider: The account.
        ledger: The ledger that holds the placements.
        clock: The clock.
        config: The run's configuration.
        run_id: The id under which the run's attempts and events are recorded.
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
    Ask about the store's latest purchases until the account knows one of them; ask twice before deciding that none is.

    Args:
        account: The account.
        fewest: How many purchases there must be for their absence to say something about the account.

    Raises:
        Unauthorized: None is known: the key is of another account, or the URL of another system.
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
