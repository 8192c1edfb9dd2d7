"""
The four clients, and how to open them from the settings.

A client builds requests and reads answers in the provider's words; ``providers`` and ``intake`` turn those into ours.
Each client needs a transport (``http.open_transport``). Its owner closes it; several clients may share one.
"""

import httpx

from impactflow.clients.cnaught.client import CNaughtClient
from impactflow.clients.http import SYSTEM_CLOCK
from impactflow.clients.impactapi.client import ImpactAPIClient
from impactflow.clients.oneclickimpact.client import OneClickImpactClient
from impactflow.clients.wickedreports.client import ELSEWHERE, WickedReportsClient
from impactflow.clock import Clock
from impactflow.settings import Settings, require_key, require_url

__all__ = [
    "CNaughtClient",
    "ImpactAPIClient",
    "OneClickImpactClient",
    "WickedReportsClient",
    "open_cnaught",
    "open_impactapi",
    "open_oneclickimpact",
    "open_wickedreports",
]


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
