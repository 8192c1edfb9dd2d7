"""ImpactAPI's vendors: the places to which donations are attributed. ``customers`` has the same operations."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Unpack

from impactflow.clients.http import given
from impactflow.clients.impactapi.models import (
    IMPACT_METRICS,
    VENDOR,
    DonationIntent,
    ImpactMetric,
    Listing,
    Vendor,
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


class Vendors(Resource):
    """The operations on vendors."""

    @operation("GET /vendors")
    def list_vendors(
        self,
        *,
        external_id: Text | None = None,
        sort_by: PartySort = "created_at",
        sort_order: SortOrder = "desc",
        limit: PageSize = LONGEST_PAGE,
        cursor: PageNumber | None = None,
    ) -> AsyncIterator[Page[Vendor]]:
        """
        List the organization's vendors page by page, each once even where some are added meanwhile.

        A vendor that is deleted meanwhile, or changes its place in the order, may hide another.

        Args:
            external_id: Only the vendor with exactly this id in your own system.
            sort_by: The field to sort by.
            sort_order: The direction.
            limit: Vendors per request, 1 to 100.
            cursor: ``next`` of the page to continue after, with the other arguments as before. Additions since then
                may bring back vendors of earlier pages.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The vendors cannot be read now.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        query = given(external_id=external_id, sort_by=sort_by, sort_order=sort_order)
        decode = Listing[Vendor].model_validate_json
        return self._pages("list_vendors", "/vendors", decode, query, limit=limit, cursor=cursor)

    @operation("POST /vendors", writes=True)
    async def create_vendor(
        self, *, external_id: Text255 | None = None, name: Text255 | None = None, metadata: JsonObject | None = None
    ) -> Vendor:
        """
        Create a vendor.

        Args:
            external_id: Its id in your own system, which no other vendor has; at most 255 characters.
            name: At most 255 characters.
            metadata: Any further facts, such as where it is.

        Raises:
            Refused: The provider declined, for example because the external id is taken; nothing was created.
            NotSent: Nothing was created; it may be later.
            OutcomeUnknown: No readable answer came; it may be created, and ``list_vendors`` finds it by external id.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        body = given(external_id=external_id, name=name, metadata=metadata)
        return await self._http.write("create_vendor", "/vendors", VENDOR.validate_json, body=body)

    @operation("GET /vendors/{id}")
    async def get_vendor(self, id: Id) -> Vendor:  # noqa: A002 - the provider's word
        """
        Look a vendor up.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such vendor.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        return await self._http.read("get_vendor", f"/vendors/{at(id)}", VENDOR.validate_json)

    @operation("PATCH /vendors/{id}", writes=True)
    async def update_vendor(self, id: Id, **changes: Unpack[PartyChanges]) -> Vendor:  # noqa: A002 - the provider's word
        """
        Change the given fields of a vendor and leave the rest; None clears a field, and metadata is merged.

        Args:
            id: ImpactAPI's id of it.
            **changes: ``external_id`` and ``name``, at most 255 characters each, and ``metadata``.

        Raises:
            NotFound: There is no such vendor; nothing was changed.
            Refused: The provider declined, for example because the external id is taken; nothing was changed.
            NotSent: Nothing was changed; it may be later.
            OutcomeUnknown: No readable answer came; it may be changed, and changing it again is safe.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        path, decode = f"/vendors/{at(id)}", VENDOR.validate_json
        return await self._http.write("update_vendor", path, decode, method="PATCH", body=changes)

    @operation("DELETE /vendors/{id}", writes=True)
    async def delete_vendor(self, id: Id) -> None:  # noqa: A002 - the provider's word
        """
        Delete a vendor for good; donations that name it stay.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such vendor; it may have been deleted before.
            Refused: The provider declined; nothing was deleted.
            NotSent: Nothing was deleted; it may be later.
            OutcomeUnknown: No answer came; it may be deleted, and ``get_vendor`` shows it.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        await self._http.write("delete_vendor", f"/vendors/{at(id)}", nothing, method="DELETE")

    @operation("GET /vendors/{id}/impact_metrics")
    async def get_vendor_impact_metrics(
        self,
        id: Id,  # noqa: A002 - the provider's word
        *,
        date_from: date | None = None,
        date_to: date | None = None,
    ) -> list[ImpactMetric]:
        """
        Add up what a vendor's confirmed donations achieved, such as trees planted and meals served.

        Args:
            id: ImpactAPI's id of it.
            date_from: The first day; None for no limit.
            date_to: The last day; None for no limit.

        Raises:
            NotFound: There is no such vendor.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        path, query = f"/vendors/{at(id)}/impact_metrics", given(date_from=date_from, date_to=date_to)
        decode = IMPACT_METRICS.validate_json
        return await self._http.read("get_vendor_impact_metrics", path, decode, query=query)

    @operation("GET /vendors/{id}/donation_intents")
    def list_vendor_donation_intents(
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
        List the donations of sessions attributed to a vendor, each once even where some are added meanwhile.

        A donation that is cancelled meanwhile may hide another.

        Args:
            id: ImpactAPI's id of the vendor.
            sort_by: The field to sort by.
            sort_order: The direction.
            date_from: Only those created on this day or later.
            date_to: Only those created on this day or earlier.
            limit: Donations per request, 1 to 100.
            cursor: ``next`` of the page to continue after, with the other arguments as before. Additions since then
                may bring back donations of earlier pages.

        Raises:
            NotFound: There is no such vendor.
            Refused: The provider declined, or a limit is broken.
            NotSent: The donations cannot be read now.

        Source: ImpactAPI, "Vendors", read 2026-11-22.
        """
        path, name = f"/vendors/{at(id)}/donation_intents", "list_vendor_donation_intents"
        query = given(sort_by=sort_by, sort_order=sort_order, date_from=date_from, date_to=date_to)
        decode = Listing[DonationIntent].model_validate_json
        return self._pages(name, path, decode, query, limit=limit, cursor=cursor)
