"""
ImpactAPI's donation sessions: a session is prepared, perhaps shown to a customer who chooses, and given once confirmed.

A session costs nothing until it is confirmed, and confirming it again changes nothing.
"""

from typing import Unpack

from pydantic import SecretStr, ValidationError

from impactflow.clients.answers import is_not_json
from impactflow.clients.http import Headers, given
from impactflow.clients.impactapi.models import SESSION, Session
from impactflow.clients.impactapi.parameters import (
    Allocations,
    Cents,
    ExtensionMinutes,
    Id,
    JsonObject,
    LifetimeMinutes,
    SessionChanges,
    SessionSecret,
    SessionType,
    Slug,
    Slugs,
    Ulid,
)
from impactflow.clients.impactapi.resource import Resource, at
from impactflow.clients.operations import operation
from impactflow.errors import Refused, Unauthorized

#: The provider's error code for a session that is confirmed already.
_ALREADY_CONFIRMED = "session.already-confirmed"


class Sessions(Resource):
    """The operations on donation sessions."""

    @operation("POST /sessions", writes=True)
    async def create_session(
        self,
        *,
        type: SessionType,  # noqa: A002 - the provider's word
        amount: Cents | None = None,
        available_campaigns: Slugs | None = None,
        allocations: Allocations | None = None,
        customer_id: Ulid | None = None,
        vendor_id: Ulid | None = None,
        metadata: JsonObject | None = None,
        expires_in: LifetimeMinutes | None = None,
        approximated: bool | None = None,
    ) -> Session:
        """
        Prepare a donation; it is not given until the session is confirmed.

        Args:
            type: ``portion_of_sales`` takes allocations and asks no customer. In an ``add_on``, which the customer pays
                for, and in a ``portion_of_sales_choice``, the customer chooses among the available campaigns.
            amount: The donation to the campaign that the customer chooses, 1 to 1,000,000,000 US cents.
            available_campaigns: The slugs among which the customer chooses, at least one.
            allocations: 1 to 10 shares, each 1 to 1,000,000,000 US cents.
            customer_id: The customer to whom the donations are attributed, a ULID.
            vendor_id: The vendor to whom they are attributed, a ULID.
            metadata: The metadata that the session shows when it is read back.
            expires_in: Minutes until it expires, 15 to 1,440; None for 1,440.
            approximated: Whether the impact is shown as approximated; None for no.

        Raises:
            Refused: The provider declined, or a limit is broken; there is no session.
            NotSent: There is no session; there may be later.
            OutcomeUnknown: No readable answer came; there may be a session, which costs nothing.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        for_choice = type != "portion_of_sales"
        for name, value, needed in (
            ("amount", amount, for_choice),
            ("available_campaigns", available_campaigns, for_choice),
            ("allocations", allocations, not for_choice),
        ):
            if (value is not None) != needed:
                raise self._http.refused("create_session", f"{name}: {type} {'needs it' if needed else 'takes none'}")
        body = given(
            type=type,
            amount=amount,
            available_campaigns=available_campaigns,
            allocations=allocations,
            customer_id=customer_id,
            vendor_id=vendor_id,
            metadata=metadata,
            expires_in=expires_in,
            approximated=approximated,
        )
        return await self._http.write("create_session", "/sessions", SESSION.validate_json, body=body)

    @operation("GET /sessions/{id}")
    async def get_session(
        self,
        id: Id,  # noqa: A002 - the provider's word
        *,
        session_secret: SessionSecret | None = None,
    ) -> Session:
        """
        Read a session back, with all that is needed to show its campaigns.

        Args:
            id: ImpactAPI's id of it.
            session_secret: Sent instead of the key, as the customer's browser would.

        Raises:
            NotFound: There is no such session.
            NotSent: ImpactAPI cannot be asked now.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        decode, who = SESSION.validate_json, _speaking_with(session_secret)
        return await self._http.read("get_session", f"/sessions/{at(id)}", decode, instead_of_key=who)

    @operation("PATCH /sessions/{id}", writes=True)
    async def update_session(self, id: Id, **changes: Unpack[SessionChanges]) -> Session:  # noqa: A002 - the provider's word
        """
        Change the given fields of a session and leave the rest; None clears a field, and metadata is merged.

        Args:
            id: ImpactAPI's id of it.
            **changes: ``metadata`` and ``approximated`` at any time; ``customer_id`` and ``vendor_id``, ULIDs, until
                the session is confirmed or expires.

        Raises:
            NotFound: There is no such session; nothing was changed.
            Refused: The provider declined, or a limit is broken; nothing was changed.
            NotSent: Nothing was changed; it may be later.
            OutcomeUnknown: No readable answer came; it may be changed, and changing it again is safe.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        path, decode = f"/sessions/{at(id)}", SESSION.validate_json
        return await self._http.write("update_session", path, decode, method="PATCH", body=changes)

    @operation("PUT /sessions/{id}/allocations", writes=True)
    async def set_allocations(
        self,
        id: Id,  # noqa: A002 - the provider's word
        allocations: Allocations,
    ) -> Session | None:
        """
        Replace the allocations of a ``portion_of_sales`` session.

        Args:
            id: ImpactAPI's id of it.
            allocations: 1 to 10 shares, each 1 to 1,000,000,000 US cents.

        Returns:
            The session; None where the provider accepted but its answer holds no session.

        Raises:
            NotFound: There is no such session; nothing was changed.
            Refused: The provider declined, or a limit is broken; nothing was changed.
            NotSent: Nothing was changed; it may be later.
            OutcomeUnknown: No readable answer came; it may be changed, and changing it again is safe.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        path, decode = f"/sessions/{at(id)}/allocations", _session_if_read
        body = {"allocations": allocations}
        return await self._http.write("set_allocations", path, decode, method="PUT", body=body)

    @operation("POST /sessions/{id}/choose_campaign", writes=True)
    async def choose_campaign(
        self,
        id: Id,  # noqa: A002 - the provider's word
        campaign_identifier: Slug | None,
        *,
        session_secret: SessionSecret,
    ) -> Session:
        """
        Choose for the customer which campaign an ``add_on`` or ``portion_of_sales_choice`` session gives to.

        Args:
            id: ImpactAPI's id of it.
            campaign_identifier: The slug of an available campaign; None to give nothing.
            session_secret: The secret from ``create_session``, sent instead of the key.

        Raises:
            NotFound: There is no such session; nothing was chosen.
            Refused: The provider declined, for example because the session is processing, which locks the customer out.
            NotSent: Nothing was chosen; it may be later.
            OutcomeUnknown: No readable answer came; it may be chosen, and choosing again is safe.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        path, decode = f"/sessions/{at(id)}/choose_campaign", SESSION.validate_json
        body, who = {"campaign_identifier": campaign_identifier}, _speaking_with(session_secret)
        return await self._http.write("choose_campaign", path, decode, body=body, instead_of_key=who)

    @operation("POST /sessions/{id}/process", writes=True)
    async def process_session(
        self,
        id: Id,  # noqa: A002 - the provider's word
        *,
        extends_by: ExtensionMinutes | None = None,
    ) -> Session:
        """
        Lock the customer out of a session and extend it, while the payment is captured; the key may still change it.

        Args:
            id: ImpactAPI's id of it.
            extends_by: How many minutes later it expires, 60 to 43,200; None for 10,080, a week.

        Raises:
            NotFound: There is no such session; nothing was changed.
            Refused: The provider declined, or a limit is broken; nothing was changed.
            NotSent: Nothing was changed; it may be later.
            OutcomeUnknown: No readable answer came; it may be locked, and ``get_session`` shows it.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        path, body = f"/sessions/{at(id)}/process", given(extends_by=extends_by)
        return await self._http.write("process_session", path, SESSION.validate_json, body=body)

    @operation("POST /sessions/{id}/confirm", writes=True)
    async def confirm_session(self, id: Id) -> Session | None:  # noqa: A002 - the provider's word
        """
        Confirm a session, which gives its donations; a session that is confirmed already is returned as it is.

        Args:
            id: ImpactAPI's id of it.

        Returns:
            The session; None where the provider accepted but its answer holds no session.

        Raises:
            NotFound: There is no such session; nothing was given.
            Refused: The provider declined, for example because the session expired; nothing was given.
            NotSent: Nothing was given; it may be later.
            OutcomeUnknown: No readable answer came, or none that says whether it was confirmed before; it may be
                given, and confirming again is safe.

        Source: ImpactAPI, "Donation Sessions", read 2026-11-22.
        """
        try:
            return await self._http.write("confirm_session", f"/sessions/{at(id)}/confirm", _session_if_read)
        except Unauthorized:
            raise
        except Refused as refused:  # the provider may also decline for a session that was confirmed before
            session = await self._http.read_back("confirm_session", self.get_session(id))
            if session.status == "confirmed":
                return session
            if session.status is None and _ALREADY_CONFIRMED in refused.message:
                return session.model_copy(update={"status": "confirmed"})
            raise


def _session_if_read(body: bytes) -> Session | None:
    """Read the session in an answer; None where the answer is complete but holds no session."""
    if not body.strip():
        return None
    try:
        return SESSION.validate_json(body)
    except ValidationError as broken:
        if is_not_json(broken):
            raise
        return None


def _speaking_with(secret: str | SecretStr | None) -> Headers | None:
    """Return the headers that show who asks: a session's secret, or None for the account's key."""
    if secret is None:
        return None
    return (("X-Session-Secret", secret if isinstance(secret, str) else secret.get_secret_value()),)
