"""The client of ImpactAPI, and how to open it from the settings."""

import httpx

from impactflow.clients.http import SYSTEM_CLOCK
from impactflow.clients.impactapi.client import ImpactAPIClient
from impactflow.clock import Clock
from impactflow.settings import Settings, require_key, require_url

__all__ = ["ImpactAPIClient", "open_impactapi"]


def open_impactapi(
    settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK
) -> ImpactAPIClient:
    """
    Open the client of ImpactAPI.

    Raises:
        ConfigurationError: IMPACTAPI_URL or IMPACTAPI_API_KEY is not set.
    """
    return ImpactAPIClient(
        require_url(settings.impactapi_url, "IMPACTAPI_URL"),
        require_key(settings.impactapi_api_key, "IMPACTAPI_API_KEY"),
        transport=transport,
        timeout_s=settings.impactflow_request_timeout_s,
        clock=clock,
    )
