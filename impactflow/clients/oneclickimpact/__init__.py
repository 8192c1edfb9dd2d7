"""The client of 1ClickImpact, and how to open it from the settings."""

import httpx

from impactflow.clients.http import SYSTEM_CLOCK
from impactflow.clients.oneclickimpact.client import OneClickImpactClient
from impactflow.clock import Clock
from impactflow.settings import Settings, require_key

__all__ = ["OneClickImpactClient", "open_oneclickimpact"]


def open_oneclickimpact(
    settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK
) -> OneClickImpactClient:
    """
    Open the client of 1ClickImpact.

    Raises:
        ConfigurationError: ONECLICKIMPACT_API_KEY is not set.
    """
    return OneClickImpactClient(
        settings.oneclickimpact_url,
        require_key(settings.oneclickimpact_api_key, "ONECLICKIMPACT_API_KEY"),
        transport=transport,
        timeout_s=settings.impactflow_request_timeout_s,
        clock=clock,
    )
