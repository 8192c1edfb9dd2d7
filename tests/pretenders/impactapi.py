"""
A stand-in for ImpactAPI, written from its reference alone, with books of its own.

It is as poor as the reference allows: what no sentence promises is left out of the answers, one switch of `Poor` each.
It is as slow and as unreliable as networks and gateways are: `Faults` and `Lag`. Each decision depends only on the
seed, on what is asked for, and on how often that was asked for before, so that a run can be told by its seed.
Money is in US cents, times are seconds, `expires_in` is minutes of `minute_s` seconds.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from aiohttp import web

from pretenders.gateway import FAULTLESS, Answer, Faults, Gateway, Json, Refused, moment, without

KEY = "impact-key"
CAMPAIGNS = ("trees-for-the-future", "cleanhub")


@dataclass(frozen=True)
class Poor:
    """What the answers leave out or do although nobody would expect it; all of it fits the reference."""

    created_is_only_an_id: bool = True
    """Creating a session answers its id and no other field; else it answers all of the session."""
    confirmed_says_nothing: bool = True
    """Confirming answers a sentence; else it answers all of the session."""
    confirmed_without_intents: bool = True
    """Confirming answers the session, without its intents."""
    again_is_an_error: bool = True
    """Confirming again answers 400 `session.already-confirmed`."""
    session_without_status: bool = True
    """A session that is read does not say whether it is confirmed; so for the next ones."""
    session_without_intents: bool = True
    session_without_metadata: bool = True
    session_without_allocations: bool = True
    session_without_times: bool = True
    intent_without_session: bool = True
    """A donation intent does not say which session it came from."""
    intent_without_metadata: bool = True
    intent_without_time: bool = True
    expired_is_gone: bool = True
    """An unconfirmed session whose time is over answers 404; else it has the status `expired`."""
    spent_is_gone: bool = True
    """A confirmed session whose time is over answers 404 too: sessions are called temporary."""

    @property
    def shows_intents(self) -> bool:
        """Whether anything connects a donation intent with the session it came from."""
        return not (
            self.session_without_intents
            and (self.confirmed_says_nothing or self.confirmed_without_intents)
            and self.intent_without_session
            and self.intent_without_metadata
        )


RICH = Poor(*[False] * len(Poor.__dataclass_fields__))


@dataclass(frozen=True)
class Lag:
    """For how many seconds reads do not see what was written; at most, since each object draws its own time."""

    created_s: float = 0
    """A new session answers 404."""
    confirmed_s: float = 0
    """A confirmed session reads as unconfirmed, or as confirmed with an empty list of intents."""
    intents_s: float = 0
    """A new intent is not listed, and answers 404."""


@dataclass
class Intent:
    """A donation that took effect: a line of the bill, unless it was cancelled."""

    id: str
    cents: int
    campaign: str
    session: str | None
    metadata: Json
    at: float
    lag_s: float
    cancelled: bool = False


@dataclass
class Session:
    """What may become donations once, when it is confirmed in time."""

    id: str
    subject: str
    allocations: list[Json]
    metadata: Json
    customer_id: str | None
    vendor_id: str | None
    at: float
    ends: float
    lag_s: float
    processing: bool = False
    confirmed: float | None = None
    intents: list[Intent] = field(default_factory=list)


class ImpactAPI(Gateway):
    """The server. Its books are `intents`; `sessions` are what led to them."""

    can_be_missing = frozenset({"read", "confirm", "intent"})
    not_found = Refused(404, "session.not-found")

    def __init__(
        self,
        seed: int,
        poor: Poor = Poor(),
        lag: Lag = Lag(),
        faults: Faults = FAULTLESS,
        minute_s: float = 60,
    ):
        super().__init__(seed, faults)
        self.poor, self.lag, self.minute_s = poor, lag, minute_s
        self.sessions: dict[str, Session] = {}
        self.intents: list[Intent] = []
        self.routes = [
            ("GET", r"/campaigns", "campaigns", self.list_campaigns),
            ("POST", r"/sessions", "create", self.create),
            ("GET", r"/sessions/(\w+)", "read", self.read),
            ("PATCH", r"/sessions/(\w+)", "patch", self.patch),
            ("PUT", r"/sessions/(\w+)/allocations", "allocate", self.allocate),
            ("POST", r"/sessions/(\w+)/process", "process", self.process),
            ("POST", r"/sessions/(\w+)/confirm", "confirm", self.confirm),
            ("POST", r"/donation_intents", "donate", self.donate),
            ("GET", r"/donation_intents", "list", self.list_intents),
            ("GET", r"/donation_intents/(\w+)", "intent", self.read_intent),
            ("PUT", r"/donation_intents/(\w+)/cancel", "cancel", self.cancel),
        ]

    def refuses(self, request: web.Request) -> Answer | None:
        """Answer a request without the right key."""
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return self.error(Refused(401, "auth.unauthorized"))
        return None

    def subject(self, kind: str, name: str | None, request: web.Request, text: str) -> str:
        """Say what a request is about: what its session was made for, or all that it says."""
        return self.sessions[name].subject if name in self.sessions else name or request.query_string or text

    def act(
        self, kind: str, name: str | None, handler: Callable[..., Answer], request: web.Request, text: str, fault: str
    ) -> Answer:
        """Let a request take effect."""
        arguments = ([name] if name else []) + ([json.loads(text or "null")] if handler.__name__ in BODIES else [])
        return handler(*arguments, **({"query": request.query} if kind == "list" else {}))

    def error(self, refused: Refused) -> Answer:
        """Tell an error in ImpactAPI's form."""
        error = {"code": refused.code, "message": "This is refused.", "correlation_id": f"{len(self.log)}"}
        return refused.status, {"error": error}

    # What ImpactAPI does.

    def list_campaigns(self) -> Answer:
        """List the campaigns."""
        return 200, [{"slug": slug, "name": slug, "impact_metrics": []} for slug in CAMPAIGNS]

    def create(self, body: Json) -> Answer:
        """Create a session, which costs nothing."""
        if not isinstance(body, dict) or body.get("type") not in {
            "portion_of_sales",
            "add_on",
            "portion_of_sales_choice",
        }:
            raise Refused(422, "validation.failed")
        if body["type"] != "portion_of_sales":
            raise Refused(400, "session.invalid-type")  # This stand-in has nobody who could choose.
        if not body.get("allocations"):
            raise Refused(400, "session.non-interactive-requires-allocations")
        if body.get("amount") is not None or body.get("available_campaigns"):
            raise Refused(422, "validation.failed")
        minutes = body.get("expires_in") or 1440
        if type(minutes) is not int or not 15 <= minutes <= 1440:
            raise Refused(422, "validation.failed")
        subject = json.dumps(body.get("metadata") or body, sort_keys=True)
        draw = Random(f"{self.seed} session {subject} {sum(s.subject == subject for s in self.sessions.values())}")
        now = time.time()
        session = Session(
            id=ulid(draw),
            subject=subject,
            allocations=checked(body["allocations"]),
            metadata=dict(body.get("metadata") or {}),
            customer_id=body.get("customer_id"),
            vendor_id=body.get("vendor_id"),
            at=now,
            ends=now + minutes * self.minute_s,
            lag_s=draw.uniform(0, self.lag.created_s),
        )
        self.sessions[session.id] = session
        return 201, {"id": session.id} if self.poor.created_is_only_an_id else self.session_json(session, RICH)

    def find(self, name: str, *, reading: bool = False) -> Session:
        """Find a session that is still there and, for a read, already seen."""
        session = self.sessions.get(name)
        now = time.time()
        if session is None or (reading and now < session.at + session.lag_s):
            raise Refused(404, "session.not-found")
        if now > session.ends and (self.poor.expired_is_gone if session.confirmed is None else self.poor.spent_is_gone):
            raise Refused(404, "session.not-found")
        return session

    def read(self, name: str) -> Answer:
        """Tell a session's state, maybe an older one."""
        return 200, self.session_json(self.find(name, reading=True), self.poor, stale=True)

    def session_json(self, session: Session, poor: Poor, *, stale: bool = False) -> Json:
        """Tell a session, without what the switches leave out."""
        confirmed, intents = session.confirmed, [i for i in session.intents if not i.cancelled]
        draw = Random(f"{self.seed} stale {session.id}")
        if stale and confirmed and time.time() < confirmed + draw.uniform(0, self.lag.confirmed_s):
            intents = []
            confirmed = draw.choice([confirmed, None])
        ended = time.time() > session.ends
        status = "confirmed" if confirmed else "expired" if ended else "processing" if session.processing else "active"
        full = {
            "id": session.id,
            "type": "portion_of_sales",
            "status": status,
            "donation_intents": [self.intent_json(intent, poor) for intent in intents],
            "metadata": session.metadata or [],
            "allocations": session.allocations,
            "customer_id": session.customer_id,
            "vendor_id": session.vendor_id,
            "campaigns": [{"slug": a["campaign_identifier"], "impact_metrics": []} for a in session.allocations],
            "created_at": moment(session.at),
            "expires_at": moment(session.ends),
            "confirmed_at": moment(confirmed) if confirmed else None,
        }
        return without(
            full,
            status=poor.session_without_status,
            donation_intents=poor.session_without_intents,
            metadata=poor.session_without_metadata,
            allocations=poor.session_without_allocations,
            campaigns=poor.session_without_allocations,
            created_at=poor.session_without_times,
            expires_at=poor.session_without_times,
            confirmed_at=poor.session_without_times or poor.session_without_status,
        )

    def patch(self, name: str, body: Json) -> Answer:
        """Change a session's metadata, customer or vendor."""
        session = self.find(name)
        if "metadata" in body:
            session.metadata = {**session.metadata, **body["metadata"]} if body["metadata"] else {}
        for part in ("customer_id", "vendor_id"):
            if part in body:
                if session.confirmed or time.time() > session.ends:
                    raise Refused(400, "session.cannot-update")
                setattr(session, part, body[part])
        return 200, self.session_json(session, self.poor)

    def allocate(self, name: str, body: Json) -> Answer:
        """Change what an unconfirmed session would donate."""
        session = self.find(name)
        if session.confirmed:
            raise Refused(400, "session.already-confirmed")
        session.allocations = checked(body.get("allocations"))
        return 200, self.session_json(session, self.poor)

    def process(self, name: str, body: Json | None) -> Answer:
        """Lock a session, and give it more time."""
        session = self.find(name)
        if session.confirmed:
            raise Refused(400, "session.already-confirmed")
        session.processing = True
        session.ends += (body or {}).get("extends_by", 10080) * self.minute_s
        return 200, self.session_json(session, self.poor)

    def confirm(self, name: str) -> Answer:
        """Donate what a session says, the first time."""
        session = self.find(name)
        if session.confirmed:
            if self.poor.again_is_an_error:
                raise Refused(400, "session.already-confirmed")
        elif time.time() > session.ends:
            raise Refused(400, "session.cannot-confirm-expired")
        else:
            session.confirmed = time.time()
            session.intents = [self.book(a, session.id, session.metadata) for a in session.allocations]
        if self.poor.confirmed_says_nothing:
            return 200, {"message": "The session is confirmed."}
        return 200, self.session_json(
            session, replace(RICH, session_without_intents=self.poor.confirmed_without_intents)
        )

    def book(self, allocation: Json, session: str | None, metadata: Json) -> Intent:
        """Write a donation into the books."""
        draw = Random(f"{self.seed} intent {session} {len(self.intents) if session is None else allocation}")
        intent = Intent(
            id=ulid(draw),
            cents=allocation["amount"],
            campaign=allocation["campaign_identifier"],
            session=session,
            metadata=dict(metadata),
            at=time.time(),
            lag_s=draw.uniform(0, self.lag.intents_s),
        )
        self.intents.append(intent)
        return intent

    def intent_json(self, intent: Intent, poor: Poor) -> Json:
        """Tell a donation intent, without what the switches leave out."""
        full = {
            "id": intent.id,
            "amount": intent.cents,
            "campaign": {"slug": intent.campaign, "impact_metrics": []},
            "customer_id": None,
            "session_id": intent.session,
            "metadata": intent.metadata or [],
            "created_at": moment(intent.at),
        }
        return without(
            full,
            session_id=poor.intent_without_session,
            metadata=poor.intent_without_metadata,
            created_at=poor.intent_without_time,
        )

    def donate(self, body: list[Json]) -> Answer:
        """Donate at once, without a session; at most 50 donations."""
        if not isinstance(body, list) or not 1 <= len(body) <= 50:
            raise Refused(422, "validation.failed")
        made = [self.book(line, None, line.get("metadata") or {}) for line in checked(body, most=50)]
        return 201, [self.intent_json(intent, self.poor) for intent in made]

    def seen(self) -> list[Intent]:
        """Give the donations that reads see."""
        return [i for i in self.intents if not i.cancelled and time.time() >= i.at + i.lag_s]

    def list_intents(self, query: Any) -> Answer:
        """List donations a page at a time, the newest first unless asked otherwise."""
        size, page = int(query.get("per_page", 10)), int(query.get("page", 1))
        if not 1 <= size <= 100 or page < 1 or query.get("sort_by", "created_at") != "created_at":
            raise Refused(422, "validation.failed")
        found = sorted(self.seen(), key=lambda i: i.at, reverse=query.get("sort_order", "desc") == "desc")
        part = found[(page - 1) * size : page * size]
        first = (page - 1) * size + 1 if part else None
        return 200, {
            "data": [self.intent_json(intent, self.poor) for intent in part],
            "current_page": page,
            "from": first,
            "to": first + len(part) - 1 if first else None,
            "per_page": size,
            "last_page": max(1, -(-len(found) // size)),
            "total": len(found),
        }

    def find_intent(self, name: str) -> Intent:
        """Find a donation that stands and is seen."""
        for intent in self.seen():
            if intent.id == name:
                return intent
        raise Refused(404, "donation_intent.not-found")

    def read_intent(self, name: str) -> Answer:
        """Tell one donation."""
        return 200, self.intent_json(self.find_intent(name), self.poor)

    def cancel(self, name: str) -> Answer:
        """Cancel one donation for good."""
        self.find_intent(name).cancelled = True
        return 200, {"message": "The donation intent is cancelled."}


BODIES = {"create", "patch", "allocate", "process", "donate"}


def checked(allocations: Any, most: int = 10) -> list[Json]:
    """Give the allocations, if their campaigns and their whole cents are as the reference wants them."""
    if not isinstance(allocations, list) or not 1 <= len(allocations) <= most:
        raise Refused(422, "validation.failed")
    for part in allocations:
        if type(part.get("amount")) is not int or not 1 <= part["amount"] <= 1_000_000_000:
            raise Refused(422, "validation.failed")
        if part.get("campaign_identifier") not in CAMPAIGNS:
            raise Refused(400, "session.campaign-not-available")
    return allocations


def ulid(draw: Random) -> str:
    """Make a ULID."""
    return "01K" + "".join(draw.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=23))
