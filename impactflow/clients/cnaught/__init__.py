"""The client of CNaught, and how to open it from the settings."""

import httpx

from impactflow.clients.cnaught.client import CNaughtClient
from impactflow.clients.http import SYSTEM_CLOCK
from impactflow.clock import Clock
from impactflow.settings import Settings, require_key

__all__ = ["CNaughtClient", "open_cnaught"]


def open_cnaught(settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK) -> CNaughtClient:
    """
    Open the client of CNaught.

    Raises:
        ConfigurationError: CNAUGHT_API_KEY is not set.
    """
    return CNaughtClient(
        settings.cnaught_url,
        require_key(settings.cnaught_api_key, "CNAUGHT_API_KEY"),
        transport=transport,
        timeout_s=settings.impactflow_request_timeout_s,
        clock=clock,
    )
