"""ImpactAPI's customers: the people to whom donations are attributed. ``vendors`` has the same operations."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Unpack

from impactflow.clients.http import given
from impactflow.clients.impactapi.models import (
    CUSTOMER,
    IMPACT_METRICS,
    Customer,
    DonationIntent,
    ImpactMetric,
    Listing,
)
from impactflow.clients.impactapi.parameters import (
    LONGEST_PAGE,
    Id,
    IntentSort,
    JsonObject,
    PageNumber,
    PageSize,
    PartyChanges,
    PartySort,
    SortOrder,
    Text255,
)
from impactflow.clients.impactapi.resource import Resource, at, nothing
from impactflow.clients.operations import operation
from impactflow.clients.paging import Page
from impactflow.clients.values import Text


class Customers(Resource):
    """The operations on customers."""

    @operation("GET /customers")
    def list_customers(
        self,
        *,
        external_id: Text | None = None,
        sort_by: PartySort = "created_at",
        sort_order: SortOrder = "desc",
        limit: PageSize = LONGEST_PAGE,
        cursor: PageNumber | None = None,
    ) -> AsyncIterator[Page[Customer]]:
        """
        List the organization's customers page by page, each once even where some are added meanwhile.

        A customer that is deleted meanwhile, or changes its place in the order, may hide another.

        Args:
            external_id: Only the customer with exactly this id in your own system.
            sort_by: The field to sort by.
            sort_order: The direction.
            limit: Customers per request, 1 to 100.
            cursor: ``next`` of the page to continue after, with the other arguments as before. Additions since then
                may bring back customers of earlier pages.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The customers cannot be read now.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        query = given(external_id=external_id, sort_by=sort_by, sort_order=sort_order)
        decode = Listing[Customer].model_validate_json
        return self._pages("list_customers", "/customers", decode, query, limit=limit, cursor=cursor)

    @operation("POST /customers", writes=True)
    async def create_customer(
        self, *, external_id: Text255 | None = None, name: Text255 | None = None, metadata: JsonObject | None = None
    ) -> Customer:
        """
        Create a customer.

        Args:
            external_id: Its id in your own system, which no other customer has; at most 255 characters.
            name: At most 255 characters.
            metadata: Any further facts, such as an e-mail address.

        Raises:
            Refused: The provider declined, for example because the external id is taken; nothing was created.
            NotSent: Nothing was created; it may be later.
            OutcomeUnknown: No readable answer came; it may be created, and ``list_customers`` finds it by external id.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        body = given(external_id=external_id, name=name, metadata=metadata)
        return await self._http.write("create_customer", "/customers", CUSTOMER.validate_json, body=body)

    @operation("GET /customers/{id}")
    async def get_customer(self, id: Id) -> Customer:  # noqa: A002 - the provider's word
        """
        Look a customer up.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such customer.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        return await self._http.read("get_customer", f"/customers/{at(id)}", CUSTOMER.validate_json)

    @operation("PATCH /customers/{id}", writes=True)
    async def update_customer(self, id: Id, **changes: Unpack[PartyChanges]) -> Customer:  # noqa: A002 - the provider's word
        """
        Change the given fields of a customer and leave the rest; None clears a field, and metadata is merged.

        Args:
            id: ImpactAPI's id of it.
            **changes: ``external_id`` and ``name``, at most 255 characters each, and ``metadata``.

        Raises:
            NotFound: There is no such customer; nothing was changed.
            Refused: The provider declined, for example because the external id is taken; nothing was changed.
            NotSent: Nothing was changed; it may be later.
            OutcomeUnknown: No readable answer came; it may be changed, and changing it again is safe.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        path, decode = f"/customers/{at(id)}", CUSTOMER.validate_json
        return await self._http.write("update_customer", path, decode, method="PATCH", body=changes)

    @operation("DELETE /customers/{id}", writes=True)
    async def delete_customer(self, id: Id) -> None:  # noqa: A002 - the provider's word
        """
        Delete a customer for good; donations that name it stay.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such customer; it may have been deleted before.
            Refused: The provider declined; nothing was deleted.
            NotSent: Nothing was deleted; it may be later.
            OutcomeUnknown: No answer came; it may be deleted, and ``get_customer`` shows it.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        await self._http.write("delete_customer", f"/customers/{at(id)}", nothing, method="DELETE")

    @operation("GET /customers/{id}/impact_metrics")
    async def get_customer_impact_metrics(
        self,
        id: Id,  # noqa: A002 - the provider's word
        *,
        date_from: date | None = None,
        date_to: date | None = None,
    ) -> list[ImpactMetric]:
        """
        Add up what a customer's confirmed donations achieved, such as trees planted and meals served.

        Args:
            id: ImpactAPI's id of it.
            date_from: The first day; None for no limit.
            date_to: The last day; None for no limit.

        Raises:
            NotFound: There is no such customer.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        path, query = f"/customers/{at(id)}/impact_metrics", given(date_from=date_from, date_to=date_to)
        decode = IMPACT_METRICS.validate_json
        return await self._http.read("get_customer_impact_metrics", path, decode, query=query)

    @operation("GET /customers/{id}/donation_intents")
    def list_customer_donation_intents(
        self,
        id: Id,  # noqa: A002 - the provider's word
        *,
        sort_by: IntentSort = "created_at",
        sort_order: SortOrder = "desc",
        date_from: date | None = None,
        date_to: date | None = None,
        limit: PageSize = LONGEST_PAGE,
        cursor: PageNumber | None = None,
    ) -> AsyncIterator[Page[DonationIntent]]:
        """
        List the donations of sessions attributed to a customer, each once even where some are added meanwhile.

        A donation that is cancelled meanwhile may hide another.

        Args:
            id: ImpactAPI's id of the customer.
            sort_by: The field to sort by.
            sort_order: The direction.
            date_from: Only those created on this day or later.
            date_to: Only those created on this day or earlier.
            limit: Donations per request, 1 to 100.
            cursor: ``next`` of the page to continue after, with the other arguments as before. Additions since then
                may bring back donations of earlier pages.

        Raises:
            NotFound: There is no such customer.
            Refused: The provider declined, or a limit is broken.
            NotSent: The donations cannot be read now.

        Source: ImpactAPI, "Customers", read 2026-11-22.
        """
        path, name = f"/customers/{at(id)}/donation_intents", "list_customer_donation_intents"
        query = given(sort_by=sort_by, sort_order=sort_order, date_from=date_from, date_to=date_to)
        decode = Listing[DonationIntent].model_validate_json
        return self._pages(name, path, decode, query, limit=limit, cursor=cursor)
