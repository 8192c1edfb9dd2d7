"""ImpactAPI's donation intents: donations, direct or by a session, billed at the end of the billing cycle."""

from collections.abc import AsyncIterator

from impactflow.clients.http import given
from impactflow.clients.impactapi.models import INTENT, INTENTS, DonationIntent, Listing
from impactflow.clients.impactapi.parameters import (
    LONGEST_PAGE,
    Batch,
    Id,
    IntentSort,
    PageNumber,
    PageSize,
    SortOrder,
)
from impactflow.clients.impactapi.resource import Resource, at, nothing
from impactflow.clients.operations import operation
from impactflow.clients.paging import Page
from impactflow.errors import Contradiction


class DonationIntents(Resource):
    """The operations on donation intents."""

    @operation("POST /donation_intents", writes=True)
    async def create_donation_intents(self, intents: Batch) -> list[DonationIntent]:
        """
        Give at once, to one campaign or many. Not safe to repeat, for equal requests look alike; a session is safe.

        Args:
            intents: 1 to 50 donations, each 1 to 1,000,000,000 US cents.

        Raises:
            Refused: The provider declined, or a limit is broken; nothing was given.
            NotSent: Nothing was given; it may be later.
            OutcomeUnknown: No readable answer came; they may be given, and giving again would give twice.
            Contradiction: The answer lists more or fewer donations than were asked for.

        Source: ImpactAPI, "Donation Intents", read 2026-11-22. The limits of an amount are those of sessions. Whether
        some donations are given where others cannot be is not documented.
        """
        name, body = "create_donation_intents", list(intents)
        made = await self._http.write(name, "/donation_intents", INTENTS.validate_json, body=body)
        if len(made) != len(body):
            msg = f"{len(body)} donations were asked for and {len(made)} answered: see which with list_donation_intents"
            raise Contradiction(msg, provider=self._http.account.provider, operation=name)
        return made

    @operation("GET /donation_intents")
    def list_donation_intents(
        self,
        *,
        sort_by: IntentSort = "created_at",
        sort_order: SortOrder = "desc",
        limit: PageSize = LONGEST_PAGE,
        cursor: PageNumber | None = None,
    ) -> AsyncIterator[Page[DonationIntent]]:
        """
        List the organization's donations page by page, each once even where some are added meanwhile.

        A donation that is cancelled meanwhile may hide another.

        Args:
            sort_by: The field to sort by.
            sort_order: The direction.
            limit: Donations per request, 1 to 100.
            cursor: ``next`` of the page to continue after, with the other arguments as before. Additions since then
                may bring back donations of earlier pages.

        Raises:
            Refused: The provider declined, or a limit is broken.
            NotSent: The donations cannot be read now.

        Source: ImpactAPI, "Donation Intents", read 2026-11-22.
        """
        query = given(sort_by=sort_by, sort_order=sort_order)
        decode = Listing[DonationIntent].model_validate_json
        return self._pages("list_donation_intents", "/donation_intents", decode, query, limit=limit, cursor=cursor)

    @operation("GET /donation_intents/{id}")
    async def get_donation_intent(self, id: Id) -> DonationIntent:  # noqa: A002 - the provider's word
        """
        Look a donation up.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such donation, or it was cancelled, which deletes it.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Donation Intents", read 2026-11-22.
        """
        return await self._http.read("get_donation_intent", f"/donation_intents/{at(id)}", INTENT.validate_json)

    @operation("PUT /donation_intents/{id}/cancel", writes=True)
    async def cancel_donation_intent(self, id: Id) -> None:  # noqa: A002 - the provider's word
        """
        Cancel a donation, which deletes it for good.

        Args:
            id: ImpactAPI's id of it.

        Raises:
            NotFound: There is no such donation; it may have been cancelled before.
            Refused: The provider declined; it will be billed.
            NotSent: It was not cancelled; it may be later.
            OutcomeUnknown: No answer came; it may be cancelled, and ``get_donation_intent`` shows it.

        Source: ImpactAPI, "Donation Intents", read 2026-11-22.
        """
        path = f"/donation_intents/{at(id)}/cancel"
        await self._http.write("cancel_donation_intent", path, nothing, method="PUT")
