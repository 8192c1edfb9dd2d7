"""
1ClickImpact: plant, clean, capture, restore, donate, cancel, and look up purchases.

It knows no idempotency key: two accepted calls are two purchases. ``providers.oneclickimpact``, the caller, finds out
whether a lost call took effect. An account may lack the operations that only the official SDK knows (coral, cancelling,
projects); the error then says so.

Source: 1ClickImpact API reference, and its official SDK for what the reference leaves out; read 2026-11-22.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from impactflow.clients.answers import Account
from impactflow.clients.http import SYSTEM_CLOCK, HttpClient, Query, given
from impactflow.clients.oneclickimpact.models import (
    AggregatedImpact,
    CustomerRecord,
    DailyImpact,
    ImpactCancelled,
    ImpactMade,
    ImpactType,
    Listing,
    OnboardedCustomer,
    Project,
    ProjectList,
    Record,
    Track,
    WhoAmI,
)
from impactflow.clients.operations import operation
from impactflow.clients.paging import Page, follow
from impactflow.clients.values import Text, shaped
from impactflow.clock import Clock
from impactflow.errors import NotFound

T = TypeVar("T")

LONGEST_PAGE = 1000
RESERVED_METADATA = frozenset({"gift", "widgetID"})


def _not_reserved(metadata: Mapping[str, str]) -> Mapping[str, str]:
    if RESERVED_METADATA.isdisjoint(metadata):
        return metadata
    raise PydanticCustomError("reserved", "The keys gift and widgetID are reserved")


#: Trees, pounds or coral fragments.
Amount = Annotated[int, Field(ge=1, le=10_000_000)]
Cents = Annotated[int, Field(ge=1, le=1_000_000_000)]
Email = Annotated[str, Field(max_length=320), shaped(r"(?s).*@.*", "hold an @")]
Metadata = Annotated[
    Mapping[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]],
    Field(max_length=20),
    AfterValidator(_not_reserved),
]
#: Half of a purchase's name, or a project's id.
Name = Annotated[str, Field(min_length=1)]
Reason = Annotated[str, Field(max_length=200)]
PageSize = Annotated[int, Field(ge=0, le=LONGEST_PAGE)]
SortOrder = Literal["asc", "desc"]
ProjectType = Literal["trees", "ocean", "carbon"]
Locale = Literal["en", "de", "es", "fr", "nl"]


class OneClickImpactClient:
    """
    One account at 1ClickImpact.

    Args:
        base_url: The host, with a path prefix if needed; the operations' paths begin with ``/v1``.
        api_key: The account's key.
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

    @operation("GET /v1/whoami")
    async def whoami(self) -> WhoAmI:
        """
        Ask to which account the key belongs.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: 1ClickImpact cannot be reached now.

        Source: 1ClickImpact API reference, "WhoAmI", read 2026-11-21.
        """
        return await self._http.read("whoami", "/v1/whoami", WhoAmI.model_validate_json, always_there=True)

    @operation("POST /v1/plant_tree", writes=True)
    async def plant_tree(
        self,
        amount: Amount,
        *,
        customer_email: Email | None = None,
        customer_name: Text | None = None,
        notify: bool = False,
        category: Literal["food"] | None = None,
        metadata: Metadata | None = None,
    ) -> ImpactMade:
        """
        Plant trees.

        Args:
            amount: Trees, 1 to 10,000,000.
            customer_email: The customer on whose behalf to buy; None for the account itself.
            customer_name: The customer's name; needs ``customer_email``.
            notify: Whether 1ClickImpact writes to the customer.
            category: ``food`` for trees that bear food; None for reforestation.
            metadata: At most 20 pairs, of at most 40 and 500 characters, that the records may return; ``gift`` and
                ``widgetID`` are reserved.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was planted.
            NotSent: Nothing was planted; it may be later.
            OutcomeUnknown: No readable answer came; the trees may be planted.

        Source: 1ClickImpact API reference, "Plant Trees", read 2026-11-21.
        """
        return await self._act("plant_tree", amount, customer_email, customer_name, notify, metadata, category)

    @operation("POST /v1/clean_ocean", writes=True)
    async def clean_ocean(
        self,
        amount: Amount,
        *,
        customer_email: Email | None = None,
        customer_name: Text | None = None,
        notify: bool = False,
        metadata: Metadata | None = None,
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

    @operation("POST /v1/capture_carbon", writes=True)
    async def capture_carbon(
        self,
        amount: Amount,
        *,
        customer_email: Email | None = None,
        customer_name: Text | None = None,
        notify: bool = False,
        metadata: Metadata | None = None,
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

    @operation("POST /v1/donate_money", writes=True)
    async def donate_money(
        self,
        amount: Cents,
        *,
        customer_email: Email | None = None,
        customer_name: Text | None = None,
        notify: bool = False,
        category: Text | None = None,
        metadata: Metadata | None = None,
    ) -> ImpactMade:
        """
        Give money.

        Args:
            amount: US cents, 1 to 1,000,000,000.
            customer_email: As for ``plant_tree``.
            customer_name: As for ``plant_tree``.
            notify: As for ``plant_tree``.
            category: The cause, where the account can choose one; None for the one that it has set, or trees.
            metadata: As for ``plant_tree``.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was given.
            NotSent: Nothing was given; it may be later.
            OutcomeUnknown: No readable answer came; the money may be given.

        Source: 1ClickImpact API reference, "Donate Money", read 2026-11-21.
        """
        return await self._act("donate_money", amount, customer_email, customer_name, notify, metadata, category)

    @operation("POST /v1/restore_coral", writes=True)
    async def restore_coral(
        self,
        amount: Amount,
        *,
        customer_email: Email | None = None,
        customer_name: Text | None = None,
        notify: bool = False,
        metadata: Metadata | None = None,
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
            NotFound: This account does not have coral; nothing was ordered.
            Refused: The provider declined, or a limit is broken; nothing was ordered.
            NotSent: Nothing was ordered; it may be later.
            OutcomeUnknown: No readable answer came; the coral may be ordered.

        Source: the official SDK ``makeimpact`` 2.0.0 (the reference lacks it), read 2026-11-21.
        """
        with _missing("this account does not have restore_coral"):
            return await self._act("restore_coral", amount, customer_email, customer_name, notify, metadata)

    @operation("POST /v1/cancel_impact", writes=True)
    async def cancel_impact(self, user_id: Name, time_utc: Name, *, reason: Reason | None = None) -> ImpactCancelled:
        """
        Reverse a purchase, as for a refund; safe to repeat: the time and reason of the first call stay.

        Args:
            user_id: From the purchase's answer or record.
            time_utc: From the same place, with exactly the same text.
            reason: At most 200 characters.

        Raises:
            NotFound: There is no such purchase, or this account does not have cancelling; nothing was reversed.
            Refused: The provider declined, perhaps because there is no such purchase; nothing was reversed.
            NotSent: Nothing was reversed; it may be later.
            OutcomeUnknown: No readable answer came; it may be reversed, and a repeat does no harm.

        Source: the official SDK ``makeimpact`` 2.0.0 (the reference lacks it), read 2026-11-22.
        """
        body = given(user_id=user_id, time_utc=time_utc, reason=reason)
        with _missing("there is no such purchase, or this account does not have cancel_impact"):
            return await self._http.write(
                "cancel_impact", "/v1/cancel_impact", ImpactCancelled.model_validate_json, body=body
            )

    @operation("GET /v1/impact")
    async def impact(self) -> AggregatedImpact:
        """
        Ask for the total of all purchases, in trees, pounds of waste and of CO₂, US cents and coral fragments.

        Raises:
            Unauthorized: The key is wrong.
            NotSent: 1ClickImpact cannot be asked now.

        Source: 1ClickImpact API reference, "Aggregated Impact", read 2026-11-22.
        """
        return await self._http.read("impact", "/v1/impact", AggregatedImpact.model_validate_json)

    @operation("GET /v1/impact/daily")
    async def daily_impact(self, *, start_date: date | None = None, end_date: date | None = None) -> DailyImpact:
        """
        Ask for the totals of each day, in the units of ``impact``.

        Args:
            start_date: The first day; None for the account's first.
            end_date: The last day; None for today.

        Raises:
            Refused: The provider declined.
            NotSent: 1ClickImpact cannot be asked now.

        Source: 1ClickImpact API reference, "Daily Impact", read 2026-11-22.
        """
        query = given(start_date=start_date, end_date=end_date)
        return await self._http.read("daily_impact", "/v1/impact/daily", DailyImpact.model_validate_json, query=query)

    @operation("GET /v1/records")
    def records(
        self,
        *,
        filter_by: Sequence[ImpactType] = (),
        start_date: date | None = None,
        end_date: date | None = None,
        limit: PageSize = LONGEST_PAGE,
        sort_order: SortOrder = "asc",
        cursor: Text | None = None,
    ) -> AsyncIterator[Page[Record]]:
        """
        Yield the purchases that the account made for itself, page by page.

        Args:
            filter_by: The kinds of amount to list; empty for all.
            start_date: The first day.
            end_date: The last day.
            limit: Records per page, 0 to 1,000; the ``next`` of a page of 0 shows whether there are any.
            sort_order: By time, upwards or downwards.
            cursor: ``next`` of the page to continue after, with the other arguments as before.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The records cannot be read now.

        Source: 1ClickImpact API reference, "Records", read 2026-11-21.
        """
        query = given(filter_by=filter_by, start_date=start_date, end_date=end_date)
        return self._pages("records", Listing[Record], query, limit, sort_order, cursor)

    @operation("GET /v1/customer_records")
    def customer_records(
        self,
        customer_email: Email | None = None,
        *,
        filter_by: Sequence[ImpactType] = (),
        start_date: date | None = None,
        end_date: date | None = None,
        limit: PageSize = LONGEST_PAGE,
        sort_order: SortOrder = "asc",
        cursor: Text | None = None,
    ) -> AsyncIterator[Page[CustomerRecord]]:
        """
        Yield the purchases on behalf of customers, page by page.

        Args:
            customer_email: The customer whose records to list; None for every customer's.
            filter_by: As for ``records``.
            start_date: As for ``records``.
            end_date: As for ``records``.
            limit: As for ``records``.
            sort_order: As for ``records``.
            cursor: As for ``records``.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The records cannot be read now.

        Source: 1ClickImpact API reference, "Customer Records", read 2026-11-21.
        """
        query = given(customer_email=customer_email, filter_by=filter_by, start_date=start_date, end_date=end_date)
        return self._pages("customer_records", Listing[CustomerRecord], query, limit, sort_order, cursor)

    @operation("GET /v1/customers")
    def customers(
        self,
        customer_email: Email | None = None,
        *,
        limit: PageSize = LONGEST_PAGE,
        sort_order: SortOrder = "asc",
        cursor: Text | None = None,
    ) -> AsyncIterator[Page[OnboardedCustomer]]:
        """
        Yield every customer on whose behalf something was bought, page by page.

        Args:
            customer_email: Only the customer of this address, if there is one; None for all.
            limit: Customers per page, 0 to 1,000; the ``next`` of a page of 0 shows whether there are any.
            sort_order: By the time of the first purchase, upwards or downwards.
            cursor: As for ``records``.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The customers cannot be read now.

        Source: 1ClickImpact API reference, "Customers", read 2026-11-22.
        """
        query = given(customer_email=customer_email)
        return self._pages("customers", Listing[OnboardedCustomer], query, limit, sort_order, cursor)

    @operation("GET /v1/track")
    async def track(self, user_id: Name, time_utc: Name) -> Track:
        """
        Ask how far an impact has come.

        Args:
            user_id: From the purchase's answer or record.
            time_utc: From the same place, with exactly the same text.

        Raises:
            Refused: There is no such impact.
            NotSent: 1ClickImpact cannot be asked now.

        Source: 1ClickImpact API reference, "Track", read 2026-11-21.
        """
        query = {"user_id": user_id, "time_utc": time_utc}
        return await self._http.read("track", "/v1/track", Track.model_validate_json, query=query)

    @operation("GET /v1/projects")
    async def list_projects(
        self,
        *,
        type: ProjectType | None = None,  # noqa: A002 - the provider's word
        locale: Locale | None = None,
    ) -> Sequence[Project]:
        """
        Ask for every project in which impacts are made.

        Args:
            type: ``trees``, ``ocean`` or ``carbon``; None for all.
            locale: The language of the texts: ``en``, ``de``, ``es``, ``fr`` or ``nl``; None for English.

        Raises:
            NotFound: This account does not have projects.
            Refused: The provider declined, or a limit is broken.
            NotSent: The projects cannot be read now.

        Source: the official SDK ``makeimpact`` 2.0.0 (the reference lacks it), read 2026-11-22.
        """
        query = given(type=type, locale=locale)
        with _missing("this account does not have projects"):
            answer = await self._http.read(
                "list_projects", "/v1/projects", ProjectList.model_validate_json, query=query
            )
        return answer.projects

    @operation("GET /v1/projects/{project_id}")
    async def get_project(self, project_id: Name, *, locale: Locale | None = None) -> Project:
        """
        Ask for one project.

        Args:
            project_id: As ``list_projects`` or ``track`` name it.
            locale: As for ``list_projects``.

        Raises:
            NotFound: There is no such project, or this account does not have projects.
            Refused: The provider declined, or a limit is broken.
            NotSent: The project cannot be read now.

        Source: the official SDK ``makeimpact`` 2.0.0 (the reference lacks it), read 2026-11-22.
        """
        path = f"/v1/projects/{quote(project_id, safe='')}"
        with _missing("there is no such project, or this account does not have projects"):
            return await self._http.read("get_project", path, Project.model_validate_json, query=given(locale=locale))

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
        if customer_name is not None and customer_email is None:
            raise self._http.refused(operation, "customer_name needs customer_email")
        body = given(
            amount=amount,
            customer_email=customer_email,
            customer_name=customer_name,
            notify=None if customer_email is None else notify,  # leaving it out would mean yes
            category=category,
            metadata=metadata or None,
        )
        return await self._http.write(operation, f"/v1/{operation}", ImpactMade.model_validate_json, body=body)

    async def _pages(
        self,
        operation: str,
        listing: type[Listing[T]],
        filters: Query,
        limit: int,
        sort_order: SortOrder,
        cursor: str | None,
    ) -> AsyncIterator[Page[T]]:
        query = {**filters, "limit": limit, "sort_order": sort_order}

        async def fetch(after: str | None) -> Page[T]:
            asked = query | given(cursor=after)
            path, decode = f"/v1/{operation}", listing.model_validate_json
            page = await self._http.read(operation, path, decode, query=asked, always_there=after is None)
            return Page(page.items, page.cursor)

        async for page in follow(fetch, cursor, provider="oneclickimpact", operation=operation):
            yield page
            if limit == 0:  # the next page would be the same
                return


@contextmanager
def _missing(what: str) -> Iterator[None]:
    """Say in the error what a 404 means for an operation that the reference does not know."""
    try:
        yield
    except NotFound as error:
        raise error.with_message(f"{what}: {error.message}") from None
