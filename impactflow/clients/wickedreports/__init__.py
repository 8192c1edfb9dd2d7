"""The client of Wicked Reports, and how to open it from the settings."""

import httpx

from impactflow.clients.http import SYSTEM_CLOCK
from impactflow.clients.wickedreports.client import ELSEWHERE, WickedReportsClient
from impactflow.clock import Clock
from impactflow.settings import Settings, require_key

__all__ = ["WickedReportsClient", "open_wickedreports"]


def open_wickedreports(
    settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK
) -> WickedReportsClient:
    """
    Open the client that reads orders.

    Raises:
        ConfigurationError: WICKED_REPORTS_API_KEY is not set.
    """
    return WickedReportsClient(
        settings.wicked_reports_url,
        require_key(settings.wicked_reports_api_key, "WICKED_REPORTS_API_KEY", or_else=ELSEWHERE),
        transport=transport,
        timeout_s=settings.impactflow_request_timeout_s,
        clock=clock,
    )
