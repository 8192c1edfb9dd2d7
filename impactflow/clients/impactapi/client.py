"""
ImpactAPI: prepare a donation in a session, confirm it, look it up.

A session costs nothing until it is confirmed, and confirming it again changes nothing; remembering its id before that
is left to ``providers.impactapi``, the caller.

Source: ImpactAPI, "API Endpoints"; read 2026-11-21.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import httpx

from impactflow.clients.answers import Account
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient
from impactflow.clients.impactapi.models import (
    CAMPAIGNS,
    INTENT,
    SESSION,
    Allocation,
    Campaign,
    DonationIntent,
    Session,
)
from impactflow.clock import Clock
from impactflow.errors import Refused

MOST_CENTS = 1_000_000_000
MOST_ALLOCATIONS = 10
SHORTEST_MINUTES, LONGEST_MINUTES = 15, 1440


class ImpactAPIClient:
    """
    One organization at ImpactAPI.

    Args:
        base_url: The organization's own host.
        api_key: Its key.
        transport: What carries the requests; its owner closes it.
        timeout_s: The most seconds that one request may take.
        clock: Tells the time and waits.
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

    async def campaigns(self) -> list[Campaign]:
        """
        List what can be given to.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Campaigns", read 2026-11-21.
        """
        return await self._http.read("campaigns", "/campaigns", CAMPAIGNS.validate_json)

    async def create_session(
        self,
        *,
        type: str,  # noqa: A002 - the provider's word
        allocations: Sequence[Allocation],
        metadata: Mapping[str, str],
        expires_in: int | None = None,
    ) -> Session:
        """
        Prepare a donation; it is not given until the session is confirmed.

        Args:
            type: ``portion_of_sales``, the one type that takes allocations.
            allocations: 1 to 10 shares, each 1 to 1,000,000,000 US cents.
            metadata: What the session tells when it is read back.
            expires_in: Minutes until it expires, 15 to 1,440; None for 1,440.

        Raises:
            Refused: The provider declined, or a limit is broken; there is no session.
            NotSent: There is no session; there may be later.
            OutcomeUnknown: No readable answer came; there may be a session, which costs nothing.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-21.
        """
        if not 1 <= len(allocations) <= MOST_ALLOCATIONS:
            raise self._http.refused("create_session", f"allocations must be 1 to {MOST_ALLOCATIONS}")
        if not all(1 <= share.amount <= MOST_CENTS for share in allocations):
            raise self._http.refused("create_session", f"an allocation's amount must be from 1 to {MOST_CENTS:,}")
        if expires_in is not None and not SHORTEST_MINUTES <= expires_in <= LONGEST_MINUTES:
            limits = f"{SHORTEST_MINUTES} to {LONGEST_MINUTES} minutes"
            raise self._http.refused("create_session", f"expires_in must be {limits}")
        body: dict[str, object] = {
            "type": type,
            "allocations": [
                {"campaign_identifier": share.campaign_identifier, "amount": share.amount} for share in allocations
            ],
            "metadata": dict(metadata),
        }
        if expires_in is not None:
            body["expires_in"] = expires_in
        return await self._http.write("create_session", "/sessions", SESSION.validate_json, body=body)

    async def get_session(self, id: str) -> Session:  # noqa: A002 - the provider's word
        """
        Read a session back.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such session.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-21.
        """
        return await self._http.read("get_session", f"/sessions/{quote(id, safe='')}", SESSION.validate_json)

    async def confirm_session(self, id: str) -> Session:  # noqa: A002 - the provider's word
        """
        Give what a session holds; one that is confirmed already is returned as it is.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such session; nothing was given.
            Refused: The provider declined, for one because the session expired; nothing was given.
            NotSent: Nothing was given; it may be later.
            OutcomeUnknown: No readable answer came; it may be given, and confirming again is safe.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-21.
        """
        path = f"/sessions/{quote(id, safe='')}/confirm"
        try:
            return await self._http.write("confirm_session", path, SESSION.validate_json)
        except Refused as refused:  # it may say so of a session that was confirmed before
            if refused.status != httpx.codes.BAD_REQUEST:
                raise
            session = await self.get_session(id)
            if session.status != "confirmed":
                raise
            return session

    async def get_donation_intent(self, id: str) -> DonationIntent:  # noqa: A002 - the provider's word
        """
        Look a donation up.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such donation, or it was cancelled, which deletes it.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Donation Intents", read 2026-11-21.
        """
        path = f"/donation_intents/{quote(id, safe='')}"
        return await self._http.read("get_donation_intent", path, INTENT.validate_json)
