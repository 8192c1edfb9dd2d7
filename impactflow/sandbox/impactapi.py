"""
ImpactAPI, pretended: sessions that cost nothing until they are confirmed, and the donation intents they become.

The references show no session as JSON; the fields here are those that they name in words. Called through ``line.py``.

Source: the vendor's endpoint reference and its page of error codes, read 2026-11-21.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from impactflow.models import Kind, ProviderName
from impactflow.sandbox.api import Api, Call, Declined, Nature, Route, is_whole
from impactflow.sandbox.books import Books, Purchase
from impactflow.sandbox.ids import Ids, is_ulid
from impactflow.sandbox.messages import Reply, Request, iso_micros, json_reply, to_json
from impactflow.sandbox.options import Options

API_KEY = "sandbox-impactapi-key"

CAMPAIGNS = {
    "trees-for-the-future": ("Trees for the Future", "Trees planted", 4.0),
    "cleanhub": ("CleanHub", "Plastic removed", 1.2),
    "school-meals": ("School Meals", "Meals served", 2.5),
    "clean-water": ("Clean Water", "Litres of water", 40.0),
}
_INTERACTIVE = frozenset({"add_on", "portion_of_sales_choice"})
_TYPES = _INTERACTIVE | {"portion_of_sales"}
_MOST_CENTS = 1_000_000_000
_MOST_ALLOCATIONS = 10
_LEAST_MINUTES, _MOST_MINUTES = 15, 1440
_CODES = {
    400: "request.invalid",
    401: "auth.unauthorized",
    403: "auth.forbidden",
    404: "resource.not-found",
    422: "validation.failed",
    429: "rate-limit.exceeded",
}


@dataclass(slots=True, eq=False)
class Session:
    """A donation session; what it allocates is (campaign, cents) pairs."""

    id: str
    type: str
    allocations: tuple[tuple[str, int], ...]
    amount: int | None
    available_campaigns: tuple[str, ...]
    secret: str | None
    customer_id: str | None
    vendor_id: str | None
    metadata: str | None
    created_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None = None
    intents: tuple[str, ...] = ()

    def status(self, now: datetime) -> str:
        """Confirmed for good, or active until it expires."""
        if self.confirmed_at is not None:
            return "confirmed"
        return "expired" if now >= self.expires_at else "active"


class ImpactApi(Api):
    """ImpactAPI's rules, and one organisation's sessions and intents."""

    name = "impactapi"

    def __init__(self, books: Books, options: Options) -> None:
        self._books = books
        self._options = options
        self._ids = Ids(options.seed, self.name)
        self._sessions: dict[str, Session] = {}
        self._session_of_intent: dict[str, Session] = {}
        super().__init__()

    def routes(self) -> Iterable[Route]:
        """Campaigns; sessions: create, get, confirm; intents: get."""
        yield Route("GET", "/campaigns", self._campaigns)
        yield Route("POST", "/sessions", self._create, Nature.WRITE)
        yield Route("GET", "/sessions/*", self._get_session)
        yield Route("POST", "/sessions/*/confirm", self._confirm, Nature.WRITE)
        yield Route("GET", "/donation_intents/*", self._get_intent)

    def authorise(self, request: Request) -> None:
        """The bearer must be the sandbox's key; one session's secret opens that session for reading."""
        if request.headers.get("authorization") == f"Bearer {API_KEY}":
            return
        secret, session = request.headers.get("x-session-secret"), self._sessions.get(request.path.rpartition("/")[2])
        if not (secret and session and request.method == "GET" and session.secret == secret):
            raise Declined(401, "The API key is missing or not valid.")

    def decline(self, declined: Declined) -> Reply:
        """``{"error": {"code", "message", "correlation_id"}}``."""
        code = declined.code or _CODES.get(declined.status, "server.error")
        error: dict[str, Any] = {"code": code, "message": declined.message, "correlation_id": self._ids.text(26)}
        if declined.field is not None:
            error["details"] = {declined.field: [declined.message]}
        return json_reply(declined.status, {"error": error})

    def _campaigns(self, _: Call) -> Reply:
        return json_reply(200, {"data": [_campaign(slug, metrics=True) for slug in CAMPAIGNS]})

    def _create(self, call: Call) -> Reply:
        fields = call.fields()
        kind = fields.get("type")
        if kind not in tuple(_TYPES):
            raise Declined(400, "type is not one of the session types.", code="session.invalid-type")
        interactive = kind in _INTERACTIVE
        _check_common(fields)
        (_check_interactive if interactive else _check_allocated)(fields)
        session = self._new_session(fields, call.now, interactive=interactive)
        self._sessions[session.id] = session
        secret = {"session_secret": session.secret} if session.secret else {}
        return json_reply(201, self._show(session, call.now) | secret)

    def _new_session(self, fields: dict[str, Any], now: datetime, *, interactive: bool) -> Session:
        metadata = fields.get("metadata")
        allocations = fields.get("allocations") or ()
        return Session(
            id=self._ids.ulid(now),
            type=fields["type"],
            allocations=tuple((item["campaign_identifier"], item["amount"]) for item in allocations),
            amount=fields.get("amount") if interactive else sum(item["amount"] for item in allocations),
            available_campaigns=tuple(fields.get("available_campaigns") or ()),
            secret=self._ids.text(64) if interactive else None,
            customer_id=fields.get("customer_id"),
            vendor_id=fields.get("vendor_id"),
            metadata=to_json(metadata) if metadata is not None else None,
            created_at=now,
            expires_at=now + timedelta(minutes=fields.get("expires_in") or _MOST_MINUTES),
        )

    def _get_session(self, call: Call) -> Reply:
        return json_reply(200, self._show(self._find(call.names[0]), call.now))

    def _confirm(self, call: Call) -> Reply:
        """Confirm once; a repeat answers with the same intents, or with an error in that mode."""
        session = self._find(call.names[0])
        match session.status(call.now):
            case "expired":
                raise Declined(400, "The session has expired.", code="session.cannot-confirm-expired")
            case "confirmed" if self._options.already_confirmed_error:
                raise Declined(400, "The session is already confirmed.", code="session.already-confirmed")
            case "active" if not session.allocations:
                raise Declined(400, "Nothing is allocated yet.", code="allocations.required")
            case "active":
                self._take_effect(session, call)
        return json_reply(200, self._show(session, call.now))

    def _take_effect(self, session: Session, call: Call) -> None:
        session.confirmed_at = call.now
        session.intents = tuple(self._ids.ulid(call.now) for _ in session.allocations)
        self._session_of_intent.update(dict.fromkeys(session.intents, session))
        self._books.record(
            Purchase(
                provider=ProviderName.IMPACTAPI,
                kind=Kind.DONATE,
                quantity=sum(amount for _, amount in session.allocations),
                ref=session.id,
                at=call.now,
                metadata=session.metadata,
                listed_at=call.now,
                intents=session.intents,
            )
        )

    def _get_intent(self, call: Call) -> Reply:
        intent_id = call.names[0]
        session = self._session_of_intent.get(intent_id)
        if session is None:
            raise Declined(404, "There is no donation intent with this id.")
        return json_reply(200, _intent(session, session.intents.index(intent_id)))

    def _find(self, session_id: str) -> Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise Declined(404, "There is no session with this id.")
        return session

    def _show(self, session: Session, now: datetime) -> dict[str, Any]:
        """A session as ImpactAPI writes it."""
        shown: dict[str, Any] = {
            "id": session.id,
            "type": session.type,
            "status": session.status(now),
            "amount": session.amount,
            "allocations": [{"campaign_identifier": slug, "amount": cents} for slug, cents in session.allocations],
            "customer_id": session.customer_id,
            "vendor_id": session.vendor_id,
            "metadata": _metadata(session),
            "expires_at": iso_micros(session.expires_at),
            "created_at": iso_micros(session.created_at),
            "confirmed_at": session.confirmed_at and iso_micros(session.confirmed_at),
        }
        if session.type in _INTERACTIVE:
            shown["available_campaigns"] = [_campaign(slug, metrics=False) for slug in session.available_campaigns]
        if session.confirmed_at is not None:
            shown["donation_intents"] = [_intent(session, place) for place in range(len(session.intents))]
        return shown


def _metadata(session: Session) -> Any:
    return None if session.metadata is None else json.loads(session.metadata)


def _campaign(slug: str, *, metrics: bool) -> dict[str, Any]:
    name, metric, per_dollar = CAMPAIGNS[slug]
    shown: dict[str, Any] = {"slug": slug, "name": name}
    if metrics:
        shown["impact_metrics"] = [{"name": metric, "impact_per_dollar": per_dollar}]
    return shown


def _intent(session: Session, place: int) -> dict[str, Any]:
    slug, cents = session.allocations[place]
    return {
        "id": session.intents[place],
        "amount": cents,
        "campaign_identifier": slug,
        "campaign": _campaign(slug, metrics=False),
        "session_id": session.id,
        "customer_id": session.customer_id,
        "vendor_id": session.vendor_id,
        "metadata": _metadata(session),
        "created_at": session.confirmed_at and iso_micros(session.confirmed_at),
    }


def _check_common(fields: dict[str, Any]) -> None:
    """What holds for sessions of every type."""
    metadata, expires_in = fields.get("metadata"), fields.get("expires_in")
    if not (metadata is None or isinstance(metadata, dict)):
        raise Declined(422, "metadata must be an object.", field="metadata")
    if not (expires_in is None or is_whole(expires_in, _LEAST_MINUTES, _MOST_MINUTES)):
        raise Declined(422, f"expires_in must be {_LEAST_MINUTES} to {_MOST_MINUTES} minutes.", field="expires_in")
    if not isinstance(fields.get("approximated", False), bool):
        raise Declined(422, "approximated must be true or false.", field="approximated")
    for name in ("customer_id", "vendor_id"):
        if not (fields.get(name) is None or is_ulid(fields[name])):
            raise Declined(422, f"{name} must be a ULID.", field=name)


def _check_interactive(fields: dict[str, Any]) -> None:
    """A customer will choose: an amount and campaigns, and nothing allocated."""
    if fields.get("allocations") is not None:
        raise Declined(400, "Allocations are not for this type.", code="session.interactive-cannot-have-allocations")
    if fields.get("amount") is None:
        raise Declined(400, "An amount is needed.", code="session.interactive-session-requires-amount")
    if not is_whole(fields["amount"], 1, _MOST_CENTS):
        raise Declined(422, f"amount must be 1 to {_MOST_CENTS} cents.", field="amount")
    campaigns = fields.get("available_campaigns")
    if not isinstance(campaigns, list) or not campaigns:
        raise Declined(422, "available_campaigns must name campaigns.", field="available_campaigns")
    for slug in campaigns:
        _check_campaign(slug)


def _check_allocated(fields: dict[str, Any]) -> None:
    """Everything is decided: allocations, and nothing to choose."""
    allocations = fields.get("allocations")
    if allocations is None:
        raise Declined(400, "Allocations are needed.", code="session.non-interactive-requires-allocations")
    for name in ("amount", "available_campaigns"):
        if fields.get(name) is not None:
            raise Declined(422, f"{name} is not for this type.", field=name)
    if not isinstance(allocations, list) or len(allocations) > _MOST_ALLOCATIONS:
        raise Declined(422, f"allocations must be a list of at most {_MOST_ALLOCATIONS}.", field="allocations")
    if not allocations:
        raise Declined(400, "At least one allocation is needed.", code="allocations.required")
    for item in allocations:
        if not isinstance(item, dict) or not is_whole(item.get("amount"), 1, _MOST_CENTS):
            raise Declined(422, f"Each allocation has an amount, 1 to {_MOST_CENTS} cents.", field="allocations")
        _check_campaign(item.get("campaign_identifier"))


def _check_campaign(slug: object) -> None:
    if not isinstance(slug, str) or slug not in CAMPAIGNS:
        raise Declined(400, "There is no such campaign to donate to.", code="session.campaign-not-available")
