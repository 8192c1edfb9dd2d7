"""
Translate our words into ImpactAPI's: a donation session, then its confirmation.

Its regime is ``RepeatsSafely``: a session buys nothing until it is confirmed, its id is made durable before that, and
confirming twice is confirming once. A session whose id was lost is never confirmed; it expires and costs nothing.

The reference promises hardly any field of an answer. A session may not list the donations that it gave, or list them
late: then they are unknown, not none. A donation counts as cancelled only where its own address and the list of
donations agree.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any, Final, Self

import httpx

from impactflow.clients import ImpactAPIClient, open_impactapi
from impactflow.clients.impactapi.models import DonationIntent, Session
from impactflow.clients.impactapi.parameters import Donation
from impactflow.clients.operations import with_final_check
from impactflow.clients.paging import items
from impactflow.clock import Clock
from impactflow.errors import (
    NotFound,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    Refused,
    Unauthorized,
    Unavailable,
)
from impactflow.models import Kind, Placement, Progress, ProviderName, Receipt, Stage
from impactflow.providers import Absent, Ambiguous, Found, Lease, Record, Verdict
from impactflow.settings import Settings
from impactflow.texts import one_line, plain

#: The type that asks the customer nothing: the campaign and the amount are given with the session.
_SESSION_TYPE: Final = "portion_of_sales"
#: The most sessions that one attempt opens, where their ids get lost.
_SESSIONS = 3
#: The most that the times of a session and of its donations may differ.
_MARGIN = timedelta(days=1)
#: The status of a session that gave, or that does not say its status.
_PERHAPS_CONFIRMED = frozenset({None, "confirmed"})


class ImpactAPI:
    """The account at ImpactAPI."""

    name = ProviderName.IMPACTAPI
    #: The session's id distinguishes placements.
    serialize_look_alikes = False
    #: A donation names its session, and only the session names us.
    keys_need_fetch = True

    def __init__(self, client: ImpactAPIClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    @classmethod
    def open(cls, settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock) -> Self:
        """
        Open the account whose key the settings hold.

        Raises:
            ConfigurationError: IMPACTAPI_URL or IMPACTAPI_API_KEY is not set.
        """
        return cls(open_impactapi(settings, transport, clock), clock)

    async def prepare(self) -> None:
        """Check the key."""
        await self.check()

    async def place(self, placement: Placement, lease: Lease) -> Receipt:
        """Open a session, remember its id, confirm it; see ``Provider.place``."""
        try:
            session = await self._bring_up_to_date(placement)
        except NotFound as error:
            raise self._unknown(f"{error.message}: session {placement.handle} may be there all the same") from error
        session = await self._confirmed(placement, session or await self._open(placement, lease), lease)
        if why := _wrong_amount(placement, session):
            raise self._unknown(why)
        return _receipt(session)

    async def resolve(self, doubt: Placement, lease: Lease) -> Verdict:
        """Read the session back, and confirm it where that has not happened yet."""
        try:
            session = await self._reopen(doubt)
        except NotFound:  # for a moment, perhaps: another session must not be opened while this one may give
            return Ambiguous(f"session {doubt.handle} is not found", so_far=True)
        if session is None:
            return Absent()
        if why := _is_of_another(doubt, doubt.handle, session):
            return Ambiguous(why, so_far=True)
        try:
            if session.status != "confirmed":
                session = await self._allocate(doubt, session)  # the attempt may have ended before it did so
            session = await self._confirmed(doubt, session, lease)
        except Unauthorized:
            raise
        except Refused:
            return Absent(so_far=True)  # it cannot be confirmed any more, and was not when it was read
        if why := _wrong_amount(doubt, session):
            return Ambiguous(why, so_far=True)
        return Found(_receipt(session), by_key=True)

    async def track(self, placement: Placement) -> Progress:
        """Complete once the session is confirmed; what it gave is billed at the end of the billing cycle."""
        session = await self._session(placement.ref or "")
        if session.status not in _PERHAPS_CONFIRMED:
            return Progress(Stage.OPEN, f"session is {one_line(session.status or '')}")
        parts = _parts(session, placement.parts)
        if parts and not await self._standing(parts, session):
            said = "every donation of the session was cancelled at the provider"
            return Progress(Stage.CANCELLED, said, parts=parts, unseen=True)
        return Progress(Stage.COMPLETED, "confirmed", parts=parts)

    async def check(self) -> str:
        """Return the number of campaigns that the account may give to."""
        return f"{len(await self._client.list_campaigns())} campaigns"

    async def wrong_option(self, options: Mapping[str, str | bool]) -> str | None:
        """Name a campaign that the account may not give to, and the campaigns with the nearest names."""
        campaign = str(options.get("campaign"))
        campaigns = await self._client.list_campaigns()
        known = [each.slug for each in campaigns]
        if campaign in {*known, *(each.id for each in campaigns)}:
            return None
        nearest = get_close_matches(campaign, known, n=3, cutoff=0.0)
        return f"campaign {campaign!r} is none that this account may give to; the nearest: {', '.join(nearest)}"

    async def statement(self, from_: date, to: date) -> AsyncIterator[Record]:
        """Yield every donation of some days that names its session, the newest first; see ``Provider.statement``."""
        async for intent in items(self._client.list_donation_intents()):
            at = intent.created_at or self._clock.now()
            if at.date() < from_:
                return
            if at.date() <= to and intent.session_id is not None:
                yield Record(intent.session_id, Kind.DONATE, intent.amount, customer_email=None, at=at, key=None)

    def newest(self, size: int) -> Sequence[AsyncIterator[Sequence[Record]]]:
        """Return every donation, the newest first, by its session where it names one; see ``Provider.newest``."""
        return [self._newest(size)]

    async def _newest(self, size: int) -> AsyncIterator[Sequence[Record]]:
        async for page in self._client.list_donation_intents(limit=size):
            yield [self._intent(intent) for intent in page.items]

    def _intent(self, intent: DonationIntent) -> Record:
        at = intent.created_at or self._clock.now()
        return Record(intent.session_id or intent.id, Kind.DONATE, intent.amount, customer_email=None, at=at, key=None)

    async def fetch(self, ref: str, parts: Sequence[str] = ()) -> Record | None:
        """Return the donations of the session of this id, and those that still stand; see ``Provider.fetch``."""
        try:
            session = await self._session(ref)
        except NotFound:
            return None
        if session.status not in _PERHAPS_CONFIRMED:
            return None
        parts = _parts(session, parts)
        standing = await self._standing(parts, session)
        given = _sum(standing) if parts else None
        key = _text(session.metadata.get("impactflow_key"))
        return Record(
            session.id,
            Kind.DONATE,
            given,
            customer_email=None,
            at=session.confirmed_at or session.created_at or self._clock.now(),
            key=key,
            order_id=_text(session.metadata.get("order_id")),
            cancelled=bool(parts) and not standing,
            price_usd_cents=given,
            is_somebodys=key is None and bool(session.metadata),
            parts=parts,
        )

    async def cancel(self, ref: str, parts: Sequence[str] = (), lease: Lease | None = None) -> None:
        """Cancel every donation of the session of this id; see ``Provider.cancel``."""
        session = await self._session(ref)
        client = with_final_check(self._client, lease.check) if lease else self._client
        if not (parts := _parts(session, parts)):
            msg = f"session {ref} does not say which donations it gave: cancel them at the provider"
            raise Refused(msg, provider=self.name, operation="cancel_donation_intent")
        not_found = []
        for part in parts:
            try:
                await client.cancel_donation_intent(part)
            except NotFound:  # another caller has just cancelled it, or it is not found for a moment
                not_found.append(part)
        if not_found and await self._standing(not_found, session):
            msg = f"donations of session {ref} were not found to be cancelled, and stand: try again later"
            raise NotSent(msg, provider=self.name, operation="cancel_donation_intent")

    async def _standing(self, parts: Iterable[str], session: Session) -> list[DonationIntent]:
        """Return those of a session's donations that were not cancelled; cancelling deletes a donation."""
        found, missing = [], set()
        for part in parts:
            try:
                intent = await self._client.get_donation_intent(part)
            except NotFound:
                missing.add(part)
            else:
                self._check_id(part, intent.id, "get_donation_intent")
                found.append(intent)
        return found + (await self._listed(missing, session) if missing else [])

    async def _listed(self, parts: set[str], session: Session) -> list[DonationIntent]:
        """Return those of a session's donations that the list shows, though a look-up by id does not find them."""
        found: list[DonationIntent] = []
        given_at = session.created_at or session.confirmed_at
        async for intent in items(self._client.list_donation_intents()):
            if given_at and intent.created_at and intent.created_at < given_at - _MARGIN:
                break
            if intent.id in parts:
                found.append(intent)
        return found

    async def _session(self, id_: str) -> Session:
        session = await self._client.get_session(id_)
        self._check_id(id_, session.id, "get_session")
        return session

    def _check_id(self, asked: str, answered: str, operation: str) -> None:
        """
        Check that an answer is about the record that was asked for.

        Raises:
            Unavailable: The answer is about another record, and says nothing.
        """
        if answered != asked:
            msg = f"asked for {asked}, the answer is of {answered}: try again later"
            raise Unavailable(msg, provider=self.name, operation=operation)

    async def _confirmed(self, placement: Placement, session: Session, lease: Lease) -> Session:
        """
        Confirm a session, unless it is confirmed and lists the donations that it gave.

        Raises:
            OutcomeUnknown: The answer does not say that the session is confirmed.
        """
        if session.status != "confirmed":
            return await self._confirm(placement, session, lease)
        if not session.donation_intents:
            with suppress(ProviderError):  # a repeat may say more; the session is known to be confirmed
                return await self._confirm(placement, session, lease)
        return session

    async def _confirm(self, placement: Placement, session: Session, lease: Lease) -> Session:
        answer = await with_final_check(self._client, lease.check).confirm_session(session.id)
        if answer is None or (answer.status is None and not answer.donation_intents):
            try:
                answer = await self._session(session.id)
            except ProviderError as error:
                raise self._unknown(
                    f"the answer is empty, and reading the session back failed: {error.message}"
                ) from error
        if why := _is_of_another(placement, session.id, answer):
            raise self._unknown(why)
        if answer.status not in _PERHAPS_CONFIRMED:
            raise self._unknown(f"session {session.id} is {one_line(answer.status or '')}, not confirmed")
        return answer

    def _unknown(self, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(why, provider=self.name, operation="confirm_session")

    async def _open(self, placement: Placement, lease: Lease) -> Session:
        """Open a session and remember its id. A session whose id got lost costs nothing, so another is opened."""
        tries = 0
        while True:
            try:
                session = await self._create(placement, lease)
            except OutcomeUnknown as lost:
                tries += 1
                if tries == _SESSIONS:
                    msg = f"{lost.message}; a session without its id is never confirmed"
                    raise NotSent(msg, provider=self.name, operation=lost.operation, status=lost.status) from lost
                continue
            await lease.remember(session.id)
            return session

    async def _create(self, placement: Placement, lease: Lease) -> Session:
        session = await with_final_check(self._client, lease.check).create_session(
            type=_SESSION_TYPE,
            allocations=_allocations(placement),
            metadata={"order_id": placement.order_id, "impactflow_key": placement.key},
        )
        why = _is_of_another(placement, session.id, session)
        if why or session.status in {"confirmed", "expired"}:
            msg = why or f"the answer is of a session that is {session.status}"
            raise OutcomeUnknown(msg, provider=self.name, operation="create_session")
        return session

    async def _bring_up_to_date(self, placement: Placement) -> Session | None:
        """Return the session of an earlier attempt, with the present allocations: a new plan may have changed them."""
        session = await self._reopen(placement)
        return session if session is None or session.status == "confirmed" else await self._allocate(placement, session)

    async def _allocate(self, placement: Placement, session: Session) -> Session:
        """Set the allocations of a session that is not confirmed; this costs nothing, however often it is done."""
        given = [(each.campaign_identifier, each.amount) for each in session.allocations]
        wanted = _allocations(placement)
        if given == [(each["campaign_identifier"], each["amount"]) for each in wanted]:
            return session
        try:
            answer = await self._client.set_allocations(session.id, wanted)
        except Unauthorized:
            raise
        except Refused:  # for example because an earlier request to confirm it has arrived by now
            now = await self._session(session.id)
            if now.status == "confirmed" or (now.status is None and not now.allocations):
                return now
            raise
        except OutcomeUnknown as lost:
            raise NotSent(
                f"{lost.message}; nothing is given before the session is confirmed",
                provider=self.name,
                operation=lost.operation,
                status=lost.status,
            ) from lost
        return session if answer is None or answer.id != session.id else answer

    async def _reopen(self, placement: Placement) -> Session | None:
        """
        Return the session that an earlier attempt opened, unless it can buy nothing any more.

        Raises:
            NotFound: The provider does not show the session; it may give money all the same.
        """
        if placement.handle is None:
            return None
        session = await self._session(placement.handle)
        return None if session.status == "expired" else session


def _is_of_another(placement: Placement, session_id: str | None, answer: Session) -> str | None:
    """Say why an answer is of another session than a placement's; None where nothing shows that."""
    if answer.id != session_id:
        return f"the answer is of session {answer.id}, not of {session_id}"
    if _text(answer.metadata.get("impactflow_key")) not in {None, placement.key}:
        return f"session {answer.id} carries the key of another purchase"
    if any(intent.session_id not in {None, answer.id} for intent in answer.donation_intents):
        return f"session {answer.id} is answered with donations of another one"
    return None


def _wrong_amount(placement: Placement, session: Session) -> str | None:
    """Say that another amount was given than was asked for; None where it is the same, or not known."""
    given = _sum(session.donation_intents) if session.donation_intents else None
    if given in {None, placement.quantity}:
        return None
    return f"session {session.id} is confirmed with {given} cents given; {placement.quantity} were asked for"


def _sum(intents: Iterable[DonationIntent]) -> int | None:
    """The cents that were given; None where a donation does not say its amount."""
    amounts = [intent.amount for intent in intents]
    return None if None in amounts else sum(amount or 0 for amount in amounts)


def _parts(session: Session, known: Iterable[str] = ()) -> tuple[str, ...]:
    """The ids of the donations that a session lists, and of those that are known from before."""
    return tuple(dict.fromkeys([*(intent.id for intent in session.donation_intents), *known]))


def _receipt(session: Session) -> Receipt:
    given = _sum(session.donation_intents) if session.donation_intents else None
    return Receipt(session.id, price_usd_cents=given, parts=_parts(session))


def _allocations(placement: Placement) -> list[Donation]:
    return [{"campaign_identifier": str(placement.options["campaign"]), "amount": placement.quantity}]


def _text(value: Any) -> str | None:
    return plain(value) if isinstance(value, str) else None
