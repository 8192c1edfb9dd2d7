"""The account at each provider, opened from the settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import httpx

from impactflow.clock import Clock
from impactflow.models import ProviderName
from impactflow.providers import Provider
from impactflow.providers.cnaught import CNaught
from impactflow.providers.impactapi import ImpactAPI
from impactflow.providers.oneclickimpact import OneClickImpact
from impactflow.settings import Settings


def open_provider(
    name: ProviderName, settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock
) -> Provider:
    """
    Open the account whose key the settings hold.

    Args:
        name: The provider.
        settings: The settings.
        transport: Carries the requests; its owner closes it.
        clock: Gives the time.

    Raises:
        ConfigurationError: The key or the URL is not set; the message names the variable.
    """
    return _OPENERS[name](settings, transport, clock)


_OPENERS: Mapping[ProviderName, Callable[[Settings, httpx.AsyncBaseTransport, Clock], Provider]] = MappingProxyType(
    {
        ProviderName.ONECLICKIMPACT: OneClickImpact.open,
        ProviderName.CNAUGHT: CNaught.open,
        ProviderName.IMPACTAPI: ImpactAPI.open,
    }
)
