"""The account at each provider, opened from the settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import httpx

from impactflow.callbacks import callback_path
from impactflow.clients import open_cnaught, open_impactapi, open_oneclickimpact
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


def _oneclickimpact(settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Provider:
    return OneClickImpact(open_oneclickimpact(settings, transport, clock))


def _cnaught(settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Provider:
    client = open_cnaught(settings, transport, clock)
    key_age_s = settings.impactflow_cnaught_key_age_s
    return CNaught(client, clock, key_age_s=key_age_s, callback_url=_callback_url(settings))


def _callback_url(settings: Settings) -> Callable[[str], str] | None:
    """The URL for CNaught's callbacks about the placement of a key; None where no receiver is reachable."""
    url, secret = settings.impactflow_webhooks_url, settings.impactflow_callback_secret
    if url is None or secret is None:
        return None
    return lambda key: url + callback_path(secret.get_secret_value(), key)


def _impactapi(settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Provider:
    return ImpactAPI(open_impactapi(settings, transport, clock), clock)


_OPENERS: Mapping[ProviderName, Callable[[Settings, httpx.AsyncBaseTransport, Clock], Provider]] = MappingProxyType(
    {
        ProviderName.ONECLICKIMPACT: _oneclickimpact,
        ProviderName.CNAUGHT: _cnaught,
        ProviderName.IMPACTAPI: _impactapi,
    }
)
