"""
Donation sessions, pretended.

    active ─── process ──▶ processing
       │                       │
       ├────── confirm ────────┼──▶ confirmed
       └──────── time ─────────┴──▶ expired

Processing locks the customer out, not the key. A confirmed or expired session changes no more, except for its metadata.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from impactflow.sandbox.api import Call, Declined, Route, is_whole
from impactflow.sandbox.faults import Nature
from impactflow.sandbox.ids import Ids, is_ulid
from impactflow.sandbox.impactapi.campaigns import show_campaign
from impactflow.sandbox.impactapi.checks import (
    MOST_CENTS,
    check_campaign,
    check_metadata,
    donations,
    has_key,
    merged,
    shown,
)
from impactflow.sandbox.impactapi.intents import Intent, Intents
from impactflow.sandbox.impactapi.parties import Parties
from impactflow.sandbox.messages import Reply, Request, iso_micros, json_reply
from impactflow.sandbox.options import Options

_INTERACTIVE = frozenset({"add_on", "portion_of_sales_choice"})
_TYPES = _INTERACTIVE | {"portion_of_sales"}
_MOST_ALLOCATIONS = 10
_LEAST_MINUTES, _MOST_MINUTES = 15, 1_440
_LEAST_EXTENSION, _EXTENSION, _MOST_EXTENSION = 60, 10_080, 43_200


class Status(StrEnum):
    """The status of a session."""

    #: The customer may choose, and the key may change everything.
    ACTIVE = "active"
    #: The customer is locked out; the key may still change everything.
    PROCESSING = "processing"
    #: Given, for good.
    CONFIRMED = "confirmed"
    #: Never given.
    EXPIRED = "expired"


@dataclass(slots=True, eq=False)
class Session:
    """A donation session; its allocations are (campaign, cents) pairs, its metadata is JSON text."""

    id: str
    type: str
    allocations: tuple[tuple[str, int], ...]
    amount: int
    available_campaigns: tuple[str, ...]
    secret: str | None
    customer_id: str | None
    vendor_id: str | None
    metadata: str | None
    approximated: bool
    created_at: datetime
    expires_at: datetime
    processing: bool = False
    confirmed_at: datetime | None = None
    intents: tuple[Intent, ...] = ()

    @property
    def interactive(self) -> bool:
        """Whether the customer chooses."""
        return self.type in _INTERACTIVE

    def status(self, now: datetime) -> Status:
        """Return ``confirmed`` for good; else the status until the session expires."""
        if self.confirmed_at is not None:
            return Status.CONFIRMED
        if now >= self.expires_at:
            return Status.EXPIRED
        return Status.PROCESSING if self.processing else Status.ACTIVE

    def show(self, now: datetime, *, metrics: bool = False) -> dict[str, Any]:
        """Return the session as ImpactAPI writes it."""
        written: dict[str, Any] = {
            "id": self.id,
            "type": self.type,
            "status": self.status(now),
            "amount": self.amount,
            "allocations": [{"campaign_identifier": slug, "amount": cents} for slug, cents in self.allocations],
            "customer_id": self.customer_id,
            "vendor_id": self.vendor_id,
            "metadata": shown(self.metadata),
            "approximated": self.approximated,
            "expires_at": iso_micros(self.expires_at),
            "created_at": iso_micros(self.created_at),
            "confirmed_at": self.confirmed_at and iso_micros(self.confirmed_at),
        }
        if self.interactive:
            written["available_campaigns"] = [show_campaign(slug, metrics=metrics) for slug in self.available_campaigns]
        return written


class Sessions:
    """Every session of the organization."""

    def __init__(self, options: Options, ids: Ids, intents: Intents, customers: Parties, vendors: Parties) -> None:
        self._options = options
        self._ids = ids
        self._intents = intents
        self._parties = {"customer_id": customers, "vendor_id": vendors}
        self._by_id: dict[str, Session] = {}

    def routes(self) -> Iterable[Route]:
        """Routes to create, get, update, allocate, choose_campaign, process and confirm."""
        yield Route("POST", "/sessions", self._create, Nature.WRITE)
        yield Route("GET", "/sessions/*", self._get, Nature.LOOK_UP)
        yield Route("PATCH", "/sessions/*", self._update, Nature.WRITE)
        yield Route("PUT", "/sessions/*/allocations", self._allocate, Nature.WRITE)
        yield Route("POST", "/sessions/*/choose_campaign", self._choose, Nature.WRITE)
        yield Route("POST", "/sessions/*/process", self._process, Nature.WRITE)
        yield Route("POST", "/sessions/*/confirm", self._confirm, Nature.WRITE)

    def lets_in(self, request: Request) -> bool:
        """Whether a request carries the secret of the session that it reads, or whose campaign it chooses."""
        match request.method, request.path.split("/"):
            case ("GET", [*_, "sessions", id_]) | ("POST", [*_, "sessions", id_, "choose_campaign"]):
                session = self._by_id.get(id_)
                secret = request.headers.get("x-session-secret")
                return session is not None and session.secret is not None and session.secret == secret
        return False

    def _create(self, call: Call) -> Reply:
        fields = call.fields()
        if fields.get("type") not in tuple(_TYPES):
            raise Declined(400, "type is not one of the session types.", code="session.invalid-type")
        self._check_details(fields)
        expires_in = fields.get("expires_in")
        if not (expires_in is None or is_whole(expires_in, _LEAST_MINUTES, _MOST_MINUTES)):
            raise Declined(422, f"expires_in must be {_LEAST_MINUTES} to {_MOST_MINUTES} minutes.", field="expires_in")
        interactive = fields["type"] in _INTERACTIVE
        allocations = () if interactive else _allocated(fields)
        if interactive:
            _check_interactive(fields)
        session = Session(
            id=self._ids.ulid(call.now),
            type=fields["type"],
            allocations=allocations,
            amount=fields["amount"] if interactive else _sum(allocations),
            available_campaigns=tuple(fields.get("available_campaigns") or ()),
            secret=self._ids.text(64) if interactive else None,
            customer_id=fields.get("customer_id"),
            vendor_id=fields.get("vendor_id"),
            metadata=merged(None, fields),
            approximated=fields.get("approximated", False),
            created_at=call.now,
            expires_at=call.now + timedelta(minutes=expires_in or _MOST_MINUTES),
        )
        self._by_id[session.id] = session
        secret = {"session_secret": session.secret} if session.secret else {}
        return json_reply(201, self._show(session, call) | secret)

    def _get(self, call: Call) -> Reply:
        return json_reply(200, self._show(self._find(call), call, metrics=True))

    def _update(self, call: Call) -> Reply:
        """Keep fields that are left out; whom a session is attributed to changes only while the session is open."""
        session, fields = self._find(call), call.fields()
        self._check_details(fields)
        if self._parties.keys() & fields.keys():
            _check_open(session, call)
        session.customer_id = fields.get("customer_id", session.customer_id)
        session.vendor_id = fields.get("vendor_id", session.vendor_id)
        session.metadata = merged(session.metadata, fields)
        session.approximated = fields.get("approximated", session.approximated)
        return json_reply(200, self._show(session, call))

    def _allocate(self, call: Call) -> Reply:
        session, fields = self._find(call), call.fields()
        _check_open(session, call)
        if session.interactive:
            code = "session.interactive-must-use-choose-campaign"
            raise Declined(400, "The customer of this session chooses.", code=code)
        session.allocations = _shares(fields.get("allocations") or [])
        session.amount = _sum(session.allocations)
        return json_reply(200, self._show(session, call))

    def _choose(self, call: Call) -> Reply:
        """
        Set the campaign that gets the whole amount; null is none.

        The secret is needed; a session without one is refused for its type, whoever asks. The key alone is refused
        with 401, which is made up.
        """
        session, slug = self._find(call), call.fields().get("campaign_identifier")
        _check_open(session, call)
        if not session.interactive:
            code = "session.non-interactive-cannot-choose-campaign"
            raise Declined(400, "There is nothing to choose in this session.", code=code)
        if session.secret != call.request.headers.get("x-session-secret"):
            raise Declined(401, "X-Session-Secret is missing or not this session's.")
        if session.processing and not has_key(call.request):
            raise Declined(403, "The order is being placed: the customer cannot change the session any more.")
        if slug is not None and slug not in session.available_campaigns:
            raise Declined(400, "This campaign is not to choose.", code="session.campaign-not-available")
        session.allocations = () if slug is None else ((slug, session.amount),)
        return json_reply(200, self._show(session, call))

    def _process(self, call: Call) -> Reply:
        session, fields = self._find(call), call.fields() if call.request.body else {}
        _check_open(session, call)
        extends_by = fields.get("extends_by")
        if not (extends_by is None or is_whole(extends_by, _LEAST_EXTENSION, _MOST_EXTENSION)):
            limits = f"{_LEAST_EXTENSION} to {_MOST_EXTENSION} minutes"
            raise Declined(422, f"extends_by must be {limits}.", field="extends_by")
        session.processing = True
        session.expires_at += timedelta(minutes=extends_by or _EXTENSION)
        return json_reply(200, self._show(session, call))

    def _confirm(self, call: Call) -> Reply:
        """Confirm once; a repeat answers with the same intents, or with an error in that mode."""
        session = self._find(call)
        if session.confirmed_at is None or self._options.already_confirmed_error:
            _check_open(session, call)
            if not session.allocations:
                raise Declined(400, "Nothing is allocated yet.", code="allocations.required")
            session.confirmed_at = call.now
            session.intents = self._intents.give(
                session.allocations,
                call.now,
                session_id=session.id,
                customer_id=session.customer_id,
                vendor_id=session.vendor_id,
                metadata=session.metadata,
            )
        return json_reply(200, self._show(session, call))

    def _show(self, session: Session, call: Call, *, metrics: bool = False) -> dict[str, Any]:
        """A session as this account shows it."""
        poor, shown = self._options.poor, session.show(call.now, metrics=metrics)
        if "sessions_without_metadata" in poor:
            del shown["metadata"]
        keeps_silent = "sessions_without_intents" if call.route.method == "GET" else "confirms_without_intents"
        if session.confirmed_at is not None and keeps_silent not in poor:
            listed = [intent for intent in session.intents if intent.purchase.listed_at <= call.now]
            shown["donation_intents"] = [self._intents.show(intent) for intent in listed]
        return shown

    def _find(self, call: Call) -> Session:
        session = self._by_id.get(call.names[0])
        if session is None:
            raise Declined(404, "There is no session with this id.")
        return session

    def _check_details(self, fields: dict[str, Any]) -> None:
        """Check the fields that may be given when a session is created and changed later."""
        check_metadata(fields)
        if not isinstance(fields.get("approximated", False), bool):
            raise Declined(422, "approximated must be true or false.", field="approximated")
        for name, parties in self._parties.items():
            value = fields.get(name)
            if value is not None and not (is_ulid(value) and value in parties):
                raise Declined(422, f"{name} must be the ULID of one there is.", field=name)


def _check_open(session: Session, call: Call) -> None:
    """Check that a session is neither confirmed nor expired."""
    match session.status(call.now):
        case Status.ACTIVE | Status.PROCESSING:
            return
        case Status.CONFIRMED:
            raise Declined(400, "The session is already confirmed.", code="session.already-confirmed")
        case Status.EXPIRED:
            raise Declined(400, "The session has expired.", code="session.cannot-confirm-expired")
        case never:
            assert_never(never)


def _check_interactive(fields: dict[str, Any]) -> None:
    """Check a session in which a customer will choose: an amount and campaigns, and nothing allocated."""
    if fields.get("allocations") is not None:
        raise Declined(400, "Allocations are not for this type.", code="session.interactive-cannot-have-allocations")
    if fields.get("amount") is None:
        raise Declined(400, "An amount is needed.", code="session.interactive-session-requires-amount")
    if not is_whole(fields["amount"], 1, MOST_CENTS):
        raise Declined(422, f"amount must be 1 to {MOST_CENTS} cents.", field="amount")
    campaigns = fields.get("available_campaigns")
    if not isinstance(campaigns, list) or not campaigns:
        raise Declined(422, "available_campaigns must name campaigns.", field="available_campaigns")
    for slug in campaigns:
        check_campaign(slug)


def _allocated(fields: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the allocations of a session in which everything is decided and nothing is left to choose."""
    if fields.get("allocations") is None:
        raise Declined(400, "Allocations are needed.", code="session.non-interactive-requires-allocations")
    for name in ("amount", "available_campaigns"):
        if fields.get(name) is not None:
            raise Declined(422, f"{name} is not for this type.", field=name)
    return _shares(fields["allocations"])


def _shares(items: object) -> tuple[tuple[str, int], ...]:
    shares = donations(items, "allocations", _MOST_ALLOCATIONS)
    if not shares:
        raise Declined(400, "At least one allocation is needed.", code="allocations.required")
    return shares


def _sum(allocations: Iterable[tuple[str, int]]) -> int:
    return sum(cents for _, cents in allocations)
