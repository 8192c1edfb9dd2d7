"""
1ClickImpact: plant, clean, capture, restore, donate, and look up what was bought.

It knows no idempotency key: two calls that are accepted are two purchases. Telling whether a lost one took effect is
left to ``providers.oneclickimpact``, the caller.

Source: 1ClickImpact API reference, and its official SDK for what the reference leaves out; read 2026-11-21.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Literal

import httpx

from impactflow.clients.answers import Account
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient, Query
from impactflow.clients.oneclickimpact.models import (
    ImpactMade,
    Record,
    RecordPage,
    Track,
    WhoAmI,
)
from impactflow.clients.paging import follow
from impactflow.clock import Clock

MOST_PER_ACTION = 10_000_000
MOST_CENTS = 1_000_000_000
MOST_METADATA, LONGEST_METADATA_KEY, LONGEST_METADATA_VALUE = 20, 40, 500
RESERVED_METADATA = frozenset({"gift", "widgetID"})
LONGEST_PAGE = 1000


class OneClickImpactClient:
    """
    One account at 1ClickImpact.

    Args:
        base_url: The host, with a path prefix if need be; the operations' paths begin with ``/v1``.
        api_key: The account's key.
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
            provider="oneclickimpact",
            base_url=base_url,
            key=api_key,
            headers=(("x-api-key", api_key),),
            key_variable="ONECLICKIMPACT_API_KEY",
            url_variable="ONECLICKIMPACT_URL",
        )
        self._http = HttpClient(account, transport=transport, timeout_s=timeout_s, clock=clock)

    def __repr__(self) -> str:
        return f"OneClickImpactClient({self._http.account.base_url!r})"

    async def whoami(self) -> WhoAmI:
        """
        Ask whose key this is.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: 1ClickImpact cannot be reached now.

        Source: 1ClickImpact API reference, "WhoAmI", read 2026-11-21.
        """
        return await self._http.read("whoami", "/v1/whoami", WhoAmI.model_validate_json)

    async def plant_tree(
        self,
        amount: int,
        *,
        customer_email: str | None = None,
        customer_name: str | None = None,
        notify: bool = False,
        category: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ImpactMade:
        """
        Plant trees.

        Args:
            amount: Trees, 1 to 10,000,000.
            customer_email: On whose behalf; None for the account itself.
            customer_name: What the customer is called; needs ``customer_email``.
            notify: Whether 1ClickImpact writes to the customer.
            category: ``food`` for trees that bear food; None for reforestation.
            metadata: At most 20 pairs, of at most 40 and 500 characters, that the records may return.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was planted.
            NotSent: Nothing was planted; it may be later.
            OutcomeUnknown: No readable answer came; the trees may be planted.

        Source: 1ClickImpact API reference, "Plant Trees", read 2026-11-21.
        """
        if category not in {None, "food"}:
            raise self._http.refused("plant_tree", "category must be food or left out")
        return await self._act("plant_tree", amount, customer_email, customer_name, notify, metadata, category)

    async def clean_ocean(
        self,
        amount: int,
        *,
        customer_email: str | None = None,
        customer_name: str | None = None,
        notify: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> ImpactMade:
        """
        Have ocean-bound waste removed.

        Args:
            amount: Waste in whole pounds, 1 to 10,000,000.
            customer_email: As for ``plant_tree``.
            customer_name: As for ``plant_tree``.
            notify: As for ``plant_tree``.
            metadata: As for ``plant_tree``.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came; the waste may be ordered.

        Source: 1ClickImpact API reference, "Clean Ocean", read 2026-11-21.
        """
        return await self._act("clean_ocean", amount, customer_email, customer_name, notify, metadata)

    async def capture_carbon(
        self,
        amount: int,
        *,
        customer_email: str | None = None,
        customer_name: str | None = None,
        notify: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> ImpactMade:
        """
        Have CO₂ captured.

        Args:
            amount: CO₂ in whole pounds, 1 to 10,000,000.
            customer_email: As for ``plant_tree``.
            customer_name: As for ``plant_tree``.
            notify: As for ``plant_tree``.
            metadata: As for ``plant_tree``.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came; the CO₂ may be ordered.

        Source: 1ClickImpact API reference, "Capture Carbon", read 2026-11-21.
        """
        return await self._act("capture_carbon", amount, customer_email, customer_name, notify, metadata)

    async def donate_money(
        self,
        amount: int,
        *,
        customer_email: str | None = None,
        customer_name: str | None = None,
        notify: bool = False,
        category: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ImpactMade:
        """
        Give money.

        Args:
            amount: US cents, 1 to 1,000,000,000.
            customer_email: As for ``plant_tree``.
            customer_name: As for ``plant_tree``.
            notify: As for ``plant_tree``.
            category: The cause; None for the one that the account has set, or trees.
            metadata: As for ``plant_tree``.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was given.
            NotSent: Nothing was given; it may be later.
            OutcomeUnknown: No readable answer came; the money may be given.

        Source: 1ClickImpact API reference, "Donate Money", read 2026-11-21.
        """
        return await self._act("donate_money", amount, customer_email, customer_name, notify, metadata, category)

    async def restore_coral(
        self,
        amount: int,
        *,
        customer_email: str | None = None,
        customer_name: str | None = None,
        notify: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> ImpactMade:
        """
        Have coral restored.

        Args:
            amount: Coral fragments, 1 to 10,000,000.
            customer_email: As for ``plant_tree``.
            customer_name: As for ``plant_tree``.
            notify: As for ``plant_tree``.
            metadata: As for ``plant_tree``.

        Raises:
            NotFound: This account has no coral; nothing was ordered.
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came; the coral may be ordered.

        Source: the official SDK ``makeimpact`` 2.0.0 (the reference lacks it), read 2026-11-21.
        """
        return await self._act("restore_coral", amount, customer_email, customer_name, notify, metadata)

    async def records(
        self,
        *,
        filter_by: Sequence[str] = (),
        start_date: date | None = None,
        end_date: date | None = None,
        limit: int = LONGEST_PAGE,
        sort_order: Literal["asc", "desc"] = "asc",
    ) -> AsyncIterator[Record]:
        """
        Yield what the account bought for itself, page by page.

        Args:
            filter_by: Names of amounts, such as ``tree_planted``; none for all.
            start_date: The first day.
            end_date: The last day.
            limit: Records per request, 1 to 1,000.
            sort_order: By time, upwards or downwards.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The records cannot be read now.

        Source: 1ClickImpact API reference, "Records", read 2026-11-21.
        """
        query = self._listing("records", filter_by, start_date, end_date, limit, sort_order)

        async def fetch(cursor: str | None) -> RecordPage:
            more = [("cursor", cursor)] if cursor else []
            return await self._http.read(
                "records", "/v1/records", RecordPage.model_validate_json, query=[*query, *more]
            )

        async for page in follow(fetch, lambda page: page.cursor, provider="oneclickimpact", operation="records"):
            for record in page.records:
                yield record

    async def customer_records(
        self,
        customer_email: str | None = None,
        *,
        filter_by: Sequence[str] = (),
        start_date: date | None = None,
        end_date: date | None = None,
        limit: int = LONGEST_PAGE,
        sort_order: Literal["asc", "desc"] = "asc",
    ) -> AsyncIterator[Record]:
        """
        Yield what was bought on behalf of customers, page by page.

        Args:
            customer_email: Whose records; None for every customer's.
            filter_by: As for ``records``.
            start_date: As for ``records``.
            end_date: As for ``records``.
            limit: As for ``records``.
            sort_order: As for ``records``.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The records cannot be read now.

        Source: 1ClickImpact API reference, "Customer Records", read 2026-11-21.
        """
        query = self._listing("customer_records", filter_by, start_date, end_date, limit, sort_order)
        whose = [("customer_email", customer_email)] if customer_email else []
        async for record in self._records("customer_records", [*whose, *query]):
            yield record

    async def track(self, user_id: str, time_utc: str) -> Track:
        """
        Ask how far an impact has come.

        Args:
            user_id: From the purchase's answer or record.
            time_utc: From the same, the very text.

        Raises:
            NotFound: There is no such impact.
            NotSent: 1ClickImpact cannot be asked now.

        Source: 1ClickImpact API reference, "Track", read 2026-11-21.
        """
        query = [("user_id", user_id), ("time_utc", time_utc)]
        return await self._http.read("track", "/v1/track", Track.model_validate_json, query=query)

    async def _act(
        self,
        operation: str,
        amount: int,
        customer_email: str | None,
        customer_name: str | None,
        notify: bool,
        metadata: Mapping[str, str] | None,
        category: str | None = None,
    ) -> ImpactMade:
        most = MOST_CENTS if operation == "donate_money" else MOST_PER_ACTION
        if not 1 <= amount <= most:
            raise self._http.refused(operation, f"amount must be from 1 to {most:,}")
        if customer_name is not None and customer_email is None:
            raise self._http.refused(operation, "customer_name needs customer_email")
        body: dict[str, object] = {"amount": amount}
        if customer_email is not None:
            body["customer_email"] = customer_email
            if customer_name is not None:
                body["customer_name"] = customer_name
            body["notify"] = notify  # left out, it would mean yes
        if category is not None:
            body["category"] = category
        if metadata:
            body["metadata"] = self._check_metadata(operation, metadata)
        return await self._http.write(operation, f"/v1/{operation}", ImpactMade.model_validate_json, body=body)

    def _check_metadata(self, operation: str, metadata: Mapping[str, str]) -> dict[str, str]:
        if len(metadata) > MOST_METADATA:
            raise self._http.refused(operation, f"metadata may hold at most {MOST_METADATA} pairs")
        for name, value in metadata.items():
            if name in RESERVED_METADATA:
                raise self._http.refused(operation, f"the metadata key {name} is reserved")
            if len(name) > LONGEST_METADATA_KEY:
                raise self._http.refused(operation, f"a metadata key may have {LONGEST_METADATA_KEY} characters")
            if len(value) > LONGEST_METADATA_VALUE:
                raise self._http.refused(operation, f"metadata {name} may have {LONGEST_METADATA_VALUE} characters")
        return dict(metadata)

    async def _records(self, operation: str, query: Query) -> AsyncIterator[Record]:
        async def fetch(cursor: str | None) -> RecordPage:
            more = [("cursor", cursor)] if cursor else []
            path = f"/v1/{operation}"
            return await self._http.read(operation, path, RecordPage.model_validate_json, query=[*query, *more])

        async for page in follow(fetch, lambda page: page.cursor, provider="oneclickimpact", operation=operation):
            for record in page.records:
                yield record

    def _listing(
        self,
        operation: str,
        filter_by: Sequence[str],
        start_date: date | None,
        end_date: date | None,
        limit: int,
        sort_order: str,
    ) -> Query:
        if not 1 <= limit <= LONGEST_PAGE:
            raise self._http.refused(operation, f"limit must be from 1 to {LONGEST_PAGE:,}")
        return [
            *(("filter_by", name) for name in filter_by),
            *((("start_date", start_date.isoformat()),) if start_date else ()),
            *((("end_date", end_date.isoformat()),) if end_date else ()),
            ("limit", limit),
            ("sort_order", sort_order),
        ]
