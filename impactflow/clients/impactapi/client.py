"""
ImpactAPI: prepare a donation in a session, confirm it, look it up; name its customer and vendor, read what it achieved.

``providers.impactapi``, the caller of the operations that give, remembers a session's id before confirming it.

Source: ImpactAPI, "API Endpoints", and its pages on sessions, errors, pages and metadata; read 2026-11-22.
"""

import httpx

from impactflow.clients.answers import Account
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient
from impactflow.clients.impactapi.customers import Customers
from impactflow.clients.impactapi.donation_intents import DonationIntents
from impactflow.clients.impactapi.models import CAMPAIGNS, Campaign
from impactflow.clients.impactapi.sessions import Sessions
from impactflow.clients.impactapi.vendors import Vendors
from impactflow.clients.operations import operation
from impactflow.clock import Clock


class ImpactAPIClient(Customers, Vendors, DonationIntents, Sessions):
    """
    One organization at ImpactAPI.

    Args:
        base_url: The organization's own host.
        api_key: Its key.
        transport: The transport that carries the requests; its owner closes it.
        timeout_s: The most seconds that one request may take.
        clock: Gives the time and waits.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        transport: httpx.AsyncBaseTransport,
        timeout_s: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        account = Account(
            provider="impactapi",
            base_url=base_url,
            key=api_key,
            headers=(("Authorization", f"Bearer {api_key}"),),
            key_variable="IMPACTAPI_API_KEY",
            url_variable="IMPACTAPI_URL",
        )
        self._http = HttpClient(account, transport=transport, timeout_s=timeout_s, clock=clock)

    def __repr__(self) -> str:
        return f"ImpactAPIClient({self._http.account.base_url!r})"

    @operation("GET /campaigns")
    async def list_campaigns(self) -> list[Campaign]:
        """
        List the campaigns, each with what one US dollar achieves. There are no pages.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Campaigns", read 2026-11-22.
        """
        return await self._http.read("list_campaigns", "/campaigns", CAMPAIGNS.validate_json, always_there=True)
