"""
A run's things: settings, ledger, clients and providers, opened together and closed together.

Nothing is global: two runs in one process are independent.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from impactflow.accounts import RunConfig, StoreAccount
from impactflow.adoption import PurchasesUnknown, Scope, UnknownPurchase, check_ledger, find_unknown
from impactflow.buying.sweep import FailedSends
from impactflow.clients import open_wickedreports
from impactflow.clients.http import open_transport
from impactflow.clock import Clock, SystemClock
from impactflow.errors import ConfigurationError, NotSent, ProviderError
from impactflow.intake.file import OrdersFile
from impactflow.intake.source import OrderSource
from impactflow.intake.wickedreports import WickedReportsOrders
from impactflow.ledger import Ledger
from impactflow.ledger.location import describe
from impactflow.models import ProviderName
from impactflow.policy import Policy, load_policy
from impactflow.providers import Provider
from impactflow.providers.opening import open_provider
from impactflow.settings import Settings

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class CountingTransport(httpx.AsyncBaseTransport):
    """A transport that counts its requests."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Count the request and pass it on."""
        self.requests += 1
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


@dataclass(frozen=True)
class Run:
    """
    The things that one run works with.

    Args:
        id: The id under which its attempts and events are recorded.
        settings: The settings from the environment.
        clock: The clock.
        ledger: The ledger.
        transport: Carries every request of the run.
        config: The run's configuration.
        mark: The ledger's last event before the run began; the run's changes come after it.
        began_at: When the run began.
        failed_sends: The run's sends that had no effect.
        checked: The providers whose newest records were compared with the ledger, so that sending there is allowed.
        left_alone: The providers that it could not use, so that no room of a cap is kept for them.
    """

    id: str
    settings: Settings
    clock: Clock
    ledger: Ledger
    transport: CountingTransport
    config: RunConfig
    mark: int = 0
    began_at: datetime = _LONG_AGO
    failed_sends: FailedSends = field(default_factory=FailedSends)
    checked: set[ProviderName] = field(default_factory=set)
    left_alone: set[ProviderName] = field(default_factory=set)
    _providers: dict[ProviderName, Provider] = field(default_factory=dict)
    _files: dict[str, OrdersFile] = field(default_factory=dict)

    def provider(self, name: ProviderName) -> Provider:
        """
        The account at a provider, opened when it is first asked for.

        Raises:
            ConfigurationError: Its key is not set.
        """
        if name not in self._providers:
            self._providers[name] = open_provider(name, self.settings, self.transport, self.clock)
        return self._providers[name]

    def account(self, name: ProviderName, store: str) -> StoreAccount:
        """
        A store's account at a provider.

        Raises:
            ConfigurationError: Its key is not set.
        """
        return StoreAccount(store, self.provider(name), self.ledger, self.clock, self.config, self.id)

    async def store(self) -> str:
        """
        The store of a run that reads no orders: the ledger's only store, or else the policy's.

        Raises:
            ConfigurationError: The ledger has several stores, and there is no policy that says whose accounts the keys
                open.
        """
        stores = await self.ledger.stores()
        if len(stores) <= 1:
            return stores[0] if stores else ""
        try:
            return load_policy(self.settings.impactflow_policy).store
        except ConfigurationError as error:
            raise ConfigurationError(
                f"the ledger has orders of several stores ({', '.join(stores)}), and a run works for one of them: set"
                f" IMPACTFLOW_POLICY to the policy of the store whose accounts these keys open ({error})"
            ) from None

    @property
    def where(self) -> str:
        """The ledger's place, for a person: an absolute path, or host and database."""
        return describe(self.settings.impactflow_ledger_url)

    async def check_ledger(
        self, names: Iterable[ProviderName], policy: Policy | None
    ) -> dict[ProviderName, ProviderError]:
        """
        Check that this is the ledger that has bought for its stores, once for each provider; see ``adoption.check``.

        Before a ledger has bought anything for a store, all of the policy's providers must answer: one that does not
        may be the only one that knows of purchases by another ledger.

        Args:
            names: The providers to which something may be sent.
            policy: The policy, where there is one: its store and slots count as ours.

        Returns:
            The providers that did not answer; they must be asked again before anything is sent there.

        Raises:
            PurchasesUnknown: It is another ledger; nothing may be sent.
        """
        wanted = set(names) - self.checked
        is_new = bool(wanted) and policy is not None and not await self.ledger.has_sent(policy.store)
        asked = sorted(wanted.union(rule.provider for rule in policy.rules) if policy and is_new else wanted)
        providers, scope = [self.provider(name) for name in asked], Scope(self.ledger, policy)
        silent = await check_ledger(self.ledger, self.where, providers, scope, self.clock, self.id)
        if is_new and silent:
            return {name: silent.get(name) or _while_silent(name, silent) for name in wanted}
        self.checked.update(set(asked) - silent.keys())
        return silent

    async def compare_ledger(self, names: Iterable[ProviderName], policy: Policy | None) -> list[str]:
        """
        Find what ``check_ledger`` would refuse, for a caller that only looks: nothing is recorded, no key is needed.

        Args:
            names: The providers to which something would be sent.
            policy: The policy, where there is one: its store and slots count as ours.

        Returns:
            The reason for each provider that could not be asked.

        Raises:
            PurchasesUnknown: A run would refuse.
        """
        scope = Scope(self.ledger, policy)
        found: dict[ProviderName, Sequence[UnknownPurchase]] = {}
        unasked: list[str] = []
        for name in sorted(names):
            try:
                if some := await find_unknown(self.ledger, self.provider(name), scope):
                    found[name] = some
            except (ConfigurationError, ProviderError) as error:
                unasked.append(f"What {name} has sold to this store was not looked at, as a run does first: {error}")
        if found:
            raise PurchasesUnknown(self.where, found)
        return unasked

    def without_key(self, name: ProviderName) -> bool:
        """Whether a provider cannot be asked, because its key or its URL is not set."""
        try:
            self.provider(name)
        except ConfigurationError:
            return True
        return False

    def require_keys(self, names: Iterable[ProviderName], orders_file: str = "") -> None:
        """
        Check that everything a run of a policy needs is there, before anything is bought.

        Args:
            names: The providers to buy from.
            orders_file: The path of the file to read orders from; by default they are read from Wicked Reports.

        Raises:
            ConfigurationError: A key is not set, or the file cannot be read.
        """
        self.order_source(orders_file)
        self.require_sellers(names)

    def require_sellers(self, names: Iterable[ProviderName]) -> None:
        """
        Check that the key of each provider is set: a run that reads no orders needs no more.

        Raises:
            ConfigurationError: A key is not set.
        """
        for name in sorted(names):
            self.provider(name)

    def order_source(self, orders_file: str = "") -> OrderSource:
        """
        The source of orders: a file, or Wicked Reports where no file is named.

        Raises:
            ConfigurationError: The key of Wicked Reports is not set, or the file cannot be read.
        """
        if orders_file:
            return self.orders_file(orders_file)
        return WickedReportsOrders(open_wickedreports(self.settings, self.transport, self.clock))

    def orders_file(self, path: str) -> OrdersFile:
        """
        A file of orders, opened and checked when it is first asked for.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        if path not in self._files:
            self._files[path] = OrdersFile.open(Path(path))
        return self._files[path]


def _while_silent(name: ProviderName, silent: Iterable[ProviderName]) -> ProviderError:
    msg = (
        f"this ledger has bought nothing yet, and {', '.join(sorted(silent))} did not say whether another one has:"
        " nothing is sent until all have answered"
    )
    return NotSent(msg, provider=name, operation="check_ledger")


def config_of(settings: Settings) -> RunConfig:
    """The configuration of a run under these settings."""
    return RunConfig(
        lease_s=settings.impactflow_lease_s,
        request_timeout_s=settings.impactflow_request_timeout_s,
        settle_s=settings.impactflow_settle_s,
        concurrency=settings.impactflow_concurrency,
        track_s=settings.impactflow_track_s,
    )


@asynccontextmanager
async def open_run(
    settings: Settings,
    run_id: str,
    *,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Run]:
    """
    Open a run, and close it again.

    Args:
        settings: The settings from the environment.
        run_id: The id under which its attempts and events are recorded.
        clock: The clock; by default the machine's.
        transport: Carries the requests; by default real HTTP.

    Raises:
        ConfigurationError: The ledger's URL cannot be used.
        LedgerError: The ledger cannot be opened.
    """
    # All providers at once, each with its own share of requests in flight, and the source of orders.
    connections = settings.impactflow_concurrency * len(ProviderName) + 1
    carrier, clock = CountingTransport(transport or open_transport(connections)), clock or SystemClock()
    try:
        with Ledger.open(settings.impactflow_ledger_url) as ledger:
            mark = await ledger.last_event()
            yield Run(run_id, settings, clock, ledger, carrier, config_of(settings), mark, clock.now())
    finally:
        await carrier.aclose()
