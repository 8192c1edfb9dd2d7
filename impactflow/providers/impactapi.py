"""
Our words to ImpactAPI's: a donation session, then its confirmation.

Its regime is ``RepeatsSafely``: a session buys nothing until it is confirmed, its id is made durable before that, and
confirming twice is confirming once. A session whose id was lost is never confirmed; it expires and costs nothing.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from typing import Any, Final

from impactflow.clients import ImpactAPIClient
from impactflow.clients.impactapi.models import DonationIntent, Session
from impactflow.clients.operations import looking
from impactflow.clients.paging import items
from impactflow.clock import Clock
from impactflow.errors import Contradiction, NotFound, NotSent, OutcomeUnknown, Refused, Unauthorized
from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Stage
from impactflow.providers import Absent, Found, Hold, Record, Verdict
from impactflow.texts import one_line, plain

#: For which nobody is asked anything: the campaign and the amount are given with the session.
_SESSION_TYPE: Final = "portion_of_sales"
#: How many sessions one attempt opens at most, where their ids get lost.
_SESSIONS = 3


class ImpactAPI:
    """The account at ImpactAPI."""

    name = ProviderName.IMPACTAPI
    #: The session's id tells placements apart.
    one_twin_at_a_time = False
    #: A donation names its session, and only the session names us.
    keys_by_look_up = True

    def __init__(self, client: ImpactAPIClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def prepare(self) -> None:
        """Check the key."""
        await self.check()

    async def place(self, placement: Placement, hold: Hold) -> Receipt:
        """Open a session, remember its id, confirm it; see ``Provider.place``."""
        session = await self._reopen(placement) or await self._open(placement, hold)
        if session.status == "confirmed":
            return _receipt(placement, session)
        return _receipt(placement, await looking(self._client, hold.check).confirm_session(session.id))

    async def settle(self, doubt: Placement, hold: Hold) -> Verdict:
        """Read the session back, and confirm it where that has not happened yet."""
        session = await self._reopen(doubt)
        if session is None:
            return Absent()
        if session.status != "confirmed":
            try:
                session = await looking(self._client, hold.check).confirm_session(session.id)
            except Unauthorized:
                raise
            except Refused:
                return Absent(so_far=True)  # it cannot be confirmed any more, and was not when it was read
        return Found(_receipt(doubt, session))

    async def track(self, placement: Placement) -> Progress:
        """Complete once every donation of the session can be read; billed at the end of the billing cycle."""
        session = await self._client.get_session(placement.ref or "")
        if session.status != "confirmed":
            return Progress(Stage.OPEN, f"session is {one_line(session.status)}")
        if not session.donation_intents:
            return Progress(Stage.OPEN, "confirmed")
        if not await self._standing(session):
            return Progress(Stage.CANCELLED, "every donation of the session was cancelled at the provider")
        return Progress(Stage.COMPLETED, "confirmed")

    async def check(self) -> str:
        """How many campaigns the account may give to."""
        return f"{len(await self._client.list_campaigns())} campaigns"

    async def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """Every donation of some days that a session gave, the newest first; see ``Provider.statement``."""
        async for intent in items(self._client.list_donation_intents()):
            at = intent.created_at or self._clock.now()
            if at.date() < from_:
                return
            if at.date() <= to and intent.session_id is not None:
                yield Record(intent.session_id, Kind.DONATE, intent.amount or 0, customer_email=None, at=at, key=None)

    async def look_up(self, ref: str) -> Record | None:
        """What the session of this id gave, and what of it stands; see ``Provider.look_up``."""
        try:
            session = await self._client.get_session(ref)
        except NotFound:
            return None
        if session.status != "confirmed":
            return None
        standing = await self._standing(session)
        given = sum(intent.amount or 0 for intent in standing)
        return Record(
            session.id,
            Kind.DONATE,
            given,
            customer_email=None,
            at=session.confirmed_at or session.created_at or self._clock.now(),
            key=_text(session.metadata.get("impactflow_key")),
            order_id=_text(session.metadata.get("order_id")),
            cancelled=not standing,
            price_usd_cents=given,
        )

    async def cancel(self, ref: str) -> None:
        """Cancel every donation of the session of this id; see ``Provider.cancel``."""
        for intent in await self._standing(await self._client.get_session(ref)):
            with suppress(NotFound):  # somebody else has cancelled it in this moment
                await self._client.cancel_donation_intent(intent.id)

    async def _standing(self, session: Session) -> list[DonationIntent]:
        """The donations of a session that were not cancelled, which deletes them."""
        found = []
        for intent in session.donation_intents:
            with suppress(NotFound):
                found.append(await self._client.get_donation_intent(intent.id))
        return found

    async def _open(self, placement: Placement, hold: Hold) -> Session:
        """Open a session and remember it; one whose id was lost on the way costs nothing, so another is opened."""
        tries = 0
        while True:
            try:
                session = await self._create(placement, hold)
            except OutcomeUnknown as lost:
                tries += 1
                if tries == _SESSIONS:
                    msg = f"{lost.message}; a session without its id is never confirmed"
                    raise NotSent(msg, provider=self.name, operation=lost.operation, status=lost.status) from lost
                continue
            await hold.remember(session.id)
            return session

    async def _create(self, placement: Placement, hold: Hold) -> Session:
        campaign = str(placement.options["campaign"])
        return await looking(self._client, hold.check).create_session(
            type=_SESSION_TYPE,
            allocations=[{"campaign_identifier": campaign, "amount": placement.quantity}],
            metadata={"order_id": placement.order_id, "impactflow_key": placement.key},
        )

    async def _reopen(self, placement: Placement) -> Session | None:
        """The session that an earlier attempt opened, unless it can buy nothing any more."""
        if placement.handle is None:
            return None
        try:
            session = await self._client.get_session(placement.handle)
        except NotFound:
            return None
        return None if session.status == "expired" else session


def _text(value: Any) -> str | None:
    return plain(value) if isinstance(value, str) else None


def _receipt(placement: Placement, session: Session) -> Receipt:
    given = sum(intent.amount or 0 for intent in session.donation_intents)
    if session.status != "confirmed":
        msg = f"session {session.id} is {one_line(session.status)}, not confirmed"
        raise OutcomeUnknown(msg, provider=ProviderName.IMPACTAPI, operation="confirm_session")
    if given != placement.quantity:
        msg = f"session {session.id} is confirmed with {given} cents given; {placement.quantity} were asked for"
        raise Contradiction(msg, provider=ProviderName.IMPACTAPI, operation="confirm_session")
    return Receipt(session.id, price_usd_cents=given)
