"""
1ClickImpact, pretended: actions without any idempotency, records in two listings, tracking over weeks.

The identity of a purchase is (``user_id``, ``time_utc``), so the times of one account are unique: two purchases within
one millisecond are one apart. Called through ``line.py``.

Source: the vendor's API reference, its records page and its official Python SDK ``makeimpact`` 2.0.0, read 2026-11-21.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from impactflow.models import Kind, ProviderName
from impactflow.sandbox.api import Api, Call, Declined, Nature, Route, day, is_text, is_whole, whole_number
from impactflow.sandbox.books import Books, Purchase
from impactflow.sandbox.messages import Reply, Request, iso_millis, json_reply, to_json
from impactflow.sandbox.options import Options

API_KEY = "sandbox-oneclickimpact-key"
USER_ID = "U1000"

_FIELD = {
    Kind.PLANT_TREES: "tree_planted",
    Kind.CLEAN_OCEAN: "waste_removed",
    Kind.CAPTURE_CARBON: "carbon_captured",
    Kind.DONATE: "money_donated",
    Kind.RESTORE_CORAL: "coral_restored",
}
_KIND = {name: kind for kind, name in _FIELD.items()}
_PATH = {
    Kind.PLANT_TREES: "/v1/plant_tree",
    Kind.CLEAN_OCEAN: "/v1/clean_ocean",
    Kind.CAPTURE_CARBON: "/v1/capture_carbon",
    Kind.DONATE: "/v1/donate_money",
    Kind.RESTORE_CORAL: "/v1/restore_coral",
}
_MOST = 10_000_000
_MOST_CENTS = 1_000_000_000
_RESERVED = frozenset({"gift", "widgetID"})
_AVAILABLE, _SENT, _COMPLETED = timedelta(days=10), timedelta(days=14), timedelta(weeks=5)


@dataclass(slots=True, eq=False)
class Impact:
    """A purchase as 1ClickImpact keeps it."""

    time_utc: str
    purchase: Purchase
    category: str | None


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody on whose behalf something was bought."""

    customer_id: str
    customer_email: str
    customer_name: str | None

    def as_json(self) -> dict[str, str]:
        """As the records show it."""
        name = {} if self.customer_name is None else {"customer_name": self.customer_name}
        return {"customer_id": self.customer_id, "customer_email": self.customer_email, **name}


class OneClickImpact(Api):
    """1ClickImpact's rules, and what one account has bought."""

    name = "oneclickimpact"

    def __init__(self, books: Books, options: Options) -> None:
        self._books = books
        self._options = options
        self._own: list[Impact] = []
        self._for_customers: list[Impact] = []
        self._by_email: dict[str, list[Impact]] = {}
        self._customers: dict[str, Customer] = {}
        self._last_ms = 0
        super().__init__()

    def routes(self) -> Iterable[Route]:
        """Account, actions, listings and tracking; ``restore_coral`` only with ``extras``."""
        yield Route("GET", "/v1/whoami", self._whoami)
        yield Route("GET", "/v1/records", self._records, Nature.LISTING)
        yield Route("GET", "/v1/customer_records", self._customer_records, Nature.LISTING)
        yield Route("GET", "/v1/track", self._track)
        for kind, path in _PATH.items():
            if kind is not Kind.RESTORE_CORAL or self._options.extras:
                yield Route("POST", path, partial(self._act, kind), Nature.LISTED_WRITE)

    def authorise(self, request: Request) -> None:
        """``x-api-key`` must be the sandbox's."""
        if request.headers.get("x-api-key") != API_KEY:
            raise Declined(401, "The API key is missing or not valid.", code="key_error")

    def decline(self, declined: Declined) -> Reply:
        """``{"type", "message"}``."""
        kind = declined.code or ("invalid_request_error" if declined.status < 500 else "api_error")  # noqa: PLR2004
        return json_reply(declined.status, {"type": kind, "message": declined.message})

    def _whoami(self, _: Call) -> Reply:
        return json_reply(200, {"user_id": USER_ID, "email": "merchant@example.com"})

    def _act(self, kind: Kind, call: Call) -> Reply:
        """Buy; nothing stops a second identical request from buying again."""
        fields = call.fields()
        _check_action(kind, fields)
        if self._options.metadata == "echo":
            _check_metadata(fields.get("metadata"))
        impact = self._buy(kind, fields, call)
        answer = {"user_id": USER_ID, _FIELD[kind]: fields["amount"], "time_utc": impact.time_utc}
        customer = self._customers.get(impact.purchase.customer_email or "")
        return json_reply(200, answer | ({"customer": customer.as_json()} if customer else {}))

    def _buy(self, kind: Kind, fields: dict[str, Any], call: Call) -> Impact:
        time_utc = self._unique_time(call.now)
        metadata, email = fields.get("metadata"), fields.get("customer_email")
        purchase = Purchase(
            provider=ProviderName.ONECLICKIMPACT,
            kind=kind,
            quantity=fields["amount"],
            ref=f"{USER_ID}|{time_utc}",
            at=call.now,
            metadata=to_json(metadata) if metadata else None,
            listed_at=call.listed_at,
            customer_email=email,
        )
        impact = Impact(time_utc, purchase, fields.get("category"))
        self._books.record(purchase)
        if email is None:
            self._own.append(impact)
        else:
            self._for_customers.append(impact)
            self._by_email.setdefault(email, []).append(impact)
            self._meet(email, fields.get("customer_name"))
        return impact

    def _unique_time(self, now: datetime) -> str:
        """The time in milliseconds, later than every time before."""
        self._last_ms = max(round(now.timestamp() * 1000), self._last_ms + 1)
        return iso_millis(datetime.fromtimestamp(self._last_ms / 1000, UTC))

    def _meet(self, email: str, name: str | None) -> None:
        known = self._customers.get(email)
        if known is None:
            self._customers[email] = Customer(f"C{len(self._customers) + 1001}", email, name)
        elif name is not None and name != known.customer_name:
            self._customers[email] = Customer(known.customer_id, email, name)

    def _records(self, call: Call) -> Reply:
        return self._listing(call, self._own, "user_records")

    def _customer_records(self, call: Call) -> Reply:
        email = call.query().get("customer_email", [None])[-1]
        chosen = self._for_customers if email is None else self._by_email.get(email, [])
        return self._listing(call, chosen, "customer_records")

    def _listing(self, call: Call, impacts: Sequence[Impact], title: str) -> Reply:
        query = call.query()
        limit = whole_number(query, "limit", least=0, most=1000, default=10)
        unread, read = _positions(query, impacts)
        page, following = self.page(
            impacts,
            unread,
            call,
            limit=limit,
            wanted=_wanted(query, call.now, extras=self._options.extras),
            before=read,
        )
        answer: dict[str, Any] = {title: [self._record(impact) for impact in page]}
        if following is not None:
            answer["cursor"] = urlsafe_b64encode(f"position:{following}".encode()).decode()
        return json_reply(200, answer)

    def _record(self, impact: Impact) -> dict[str, Any]:
        purchase = impact.purchase
        record: dict[str, Any] = {"user_id": USER_ID}
        if purchase.customer_email is not None:
            record["customer"] = self._customers[purchase.customer_email].as_json()
        return record | {"time_utc": impact.time_utc, _FIELD[purchase.kind]: purchase.quantity, **self._echo(impact)}

    def _echo(self, impact: Impact) -> dict[str, Any]:
        """The metadata, where this account returns it."""
        metadata = impact.purchase.metadata
        return {"metadata": json.loads(metadata)} if metadata and self._options.metadata == "echo" else {}

    def _track(self, call: Call) -> Reply:
        query = call.query()
        user_id, time_utc = (query.get(name, [""])[-1] for name in ("user_id", "time_utc"))
        if not user_id or not time_utc:
            raise Declined(400, "user_id and time_utc are both needed.")
        impact = self._made_at(time_utc) if user_id == USER_ID else None
        if impact is None:
            raise Declined(400, "There is no such impact.")
        return json_reply(200, self._progress(impact, call.now))

    def _made_at(self, time_utc: str) -> Impact | None:
        for impacts in (self._own, self._for_customers):
            position = bisect_left(impacts, time_utc, key=_time_utc)
            if position < len(impacts) and impacts[position].time_utc == time_utc:
                return impacts[position]
        return None

    def _progress(self, impact: Impact, now: datetime) -> dict[str, Any]:
        """What tracking shows: what has happened by now, each step as soon as it has."""
        tracking_id = f"{USER_ID}-{impact.time_utc}"
        progress = {
            "tracking_id": tracking_id,
            "impact_initiated": impact.time_utc,
            _FIELD[impact.purchase.kind]: impact.purchase.quantity,
            **({"category": impact.category} if impact.category else {}),
            **self._echo(impact),
        }
        available, sent, completed = (
            impact.purchase.at + step / self._options.speed for step in (_AVAILABLE, _SENT, _COMPLETED)
        )
        if now >= available:
            progress["donation_available"] = iso_millis(available)
        if now >= sent:
            progress |= {"donation_sent": iso_millis(sent), "assigned_agent": "Sandbox Stewards"}
            progress["project_location"] = "A hillside that exists only here."
        if now >= completed:
            progress["impact_completed"] = iso_millis(completed)
            progress["certificate"] = f"https://oneclickimpact.example.com/certificate/{quote(tracking_id)}"
        return progress


def _time_utc(impact: Impact) -> str:
    return impact.time_utc


def _check_action(kind: Kind, fields: dict[str, Any]) -> None:
    most = _MOST_CENTS if kind is Kind.DONATE else _MOST
    if not is_whole(fields.get("amount"), 1, most):
        raise Declined(400, f"amount must be a whole number from 1 to {most}.")
    email, name, category = (fields.get(field) for field in ("customer_email", "customer_name", "category"))
    if not (email is None or (is_text(email, 320) and "@" in email)):
        raise Declined(400, "customer_email must be an e-mail address.")
    if not is_text(name, 320) or (name is not None and email is None):
        raise Declined(400, "customer_name must be a text and needs customer_email.")
    if not isinstance(fields.get("notify", True), bool):
        raise Declined(400, "notify must be true or false.")
    if kind is Kind.PLANT_TREES and category not in (None, "food"):
        raise Declined(400, 'category can only be "food".')
    if not is_text(category, 500):
        raise Declined(400, "category must be a text.")


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or len(metadata) > 20:  # noqa: PLR2004
        raise Declined(400, "metadata must be an object of at most 20 pairs.")
    for name, value in metadata.items():
        if len(name) > 40 or not isinstance(value, str) or len(value) > 500:  # noqa: PLR2004
            raise Declined(400, "metadata keys have at most 40 characters, values are texts of at most 500.")
        if name in _RESERVED:
            raise Declined(400, f"The metadata key {name} is reserved.")


def _positions(query: dict[str, list[str]], impacts: Sequence[Impact]) -> tuple[Sequence[int], Sequence[int]]:
    """Which impacts are still to be read, in order, and which were read before, nearest first."""
    start, end = day(query, "start_date"), day(query, "end_date")
    least = bisect_left(impacts, f"{start}", key=_time_utc) if start else 0
    most = bisect_left(impacts, f"{end}~", key=_time_utc) if end else len(impacts)  # "~" sorts after "T"
    at = _cursor(query)
    match query.get("sort_order", ["asc"])[-1]:
        case "asc":
            first = least if at is None else max(at, least)
            return range(first, most), range(first - 1, least - 1, -1)
        case "desc":
            first = most - 1 if at is None else min(at, most - 1)
            return range(first, least - 1, -1), range(first + 1, most)
    raise Declined(400, "sort_order must be asc or desc.")


def _cursor(query: dict[str, list[str]]) -> int | None:
    text = query.get("cursor", [None])[-1]
    if text is None:
        return None
    try:
        word, _, position = urlsafe_b64decode(text.encode()).decode().partition(":")
        if word == "position":
            return int(position)
    except ValueError:
        pass
    raise Declined(400, "cursor is not one that was given out here.")


def _wanted(query: dict[str, list[str]], now: datetime, *, extras: bool) -> Callable[[Impact], bool]:
    """Which impacts the filters let through, and the listing knows of yet."""
    names = query.get("filter_by", [])
    known = set(_KIND) if extras else set(_KIND) - {"coral_restored"}
    if not known.issuperset(names):
        raise Declined(400, f"filter_by must be one of {', '.join(sorted(known))}.")
    kinds = {_KIND[name] for name in names or known}
    return lambda impact: impact.purchase.kind in kinds and impact.purchase.listed_at <= now
