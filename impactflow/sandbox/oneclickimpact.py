"""
1ClickImpact, pretended: actions without any idempotency, records in two listings, totals, tracking over weeks.

The identity of a purchase is (``user_id``, ``time_utc``), so the times of one account are unique: two purchases within
one millisecond get times one millisecond apart. Features missing from the reference (coral, cancelling, projects, the
cause of a donation) exist only with ``extras``. Called through ``faulty_network.py``.

Source: the vendor's API reference, its records page and its official Python SDK ``makeimpact`` 2.0.0, read 2026-11-22.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import merge
from itertools import groupby
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from impactflow.models import Kind, ProviderName
from impactflow.sandbox.api import Api, Call, Declined, Route, day, is_text, is_whole, whole_number
from impactflow.sandbox.books import Purchase
from impactflow.sandbox.faults import Nature
from impactflow.sandbox.messages import Reply, Request, iso_millis, json_reply, to_json
from impactflow.sandbox.projects import LOCALES, PROJECTS, TYPE_OF, TYPES
from impactflow.sandbox.shared import Shared

T = TypeVar("T")

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
#: Kinds with a category: trees that bear food, and the cause of a donation.
_CATEGORISED = frozenset({Kind.PLANT_TREES, Kind.DONATE})
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
    cancelled_at: datetime | None = None
    reason: str | None = None

    @property
    def amount(self) -> dict[str, Any]:
        """The purchased amount, as answers, records and tracking show it."""
        category = {} if self.category is None else {"category": self.category}
        return {_FIELD[self.purchase.kind]: self.purchase.quantity, **category}

    @property
    def cancellation(self) -> dict[str, str]:
        """The cancellation, as records and tracking show it; empty while the impact stands."""
        if self.cancelled_at is None:
            return {}
        reason = {} if self.reason is None else {"cancellation_reason": self.reason}
        return {"cancelled_on": iso_millis(self.cancelled_at), **reason}


@dataclass(slots=True, eq=False)
class Customer:
    """A person on whose behalf something was bought, created by the first purchase."""

    customer_id: str
    customer_email: str
    customer_name: str | None
    onboarded_on: str
    impacts: list[Impact] = field(default_factory=list)

    def as_json(self) -> dict[str, str]:
        """The customer as the records show it."""
        name = {} if self.customer_name is None else {"customer_name": self.customer_name}
        return {"customer_id": self.customer_id, "customer_email": self.customer_email, **name}


class OneClickImpact(Api):
    """1ClickImpact's rules, and what one account has bought."""

    name = "oneclickimpact"
    account = "ONECLICKIMPACT"
    key = API_KEY
    weaknesses: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "records_with_customers": "the records list the purchases for customers too, unnamed",
        }
    )

    def __init__(self, shared: Shared) -> None:
        self._books = shared.books
        extras = shared.options.extras
        self._fields = [name for kind, name in _FIELD.items() if extras or kind is not Kind.RESTORE_CORAL]
        self._own: list[Impact] = []
        self._for_customers: list[Impact] = []
        self._all: list[Impact] = []
        self._customers: list[Customer] = []
        self._by_email: dict[str, Customer] = {}
        self._last_ms = 0
        super().__init__(shared)

    def routes(self) -> Iterable[Route]:
        """Account, actions, totals, listings and tracking; routes missing from the reference only with ``extras``."""
        yield Route("GET", "/v1/whoami", self._whoami)
        for kind in map(_KIND.__getitem__, self._fields):
            yield Route("POST", _PATH[kind], partial(self._act, kind), Nature.LISTED_WRITE)
        yield Route("GET", "/v1/impact", self._impact)
        yield Route("GET", "/v1/impact/daily", self._daily_impact)
        yield Route("GET", "/v1/records", self._records, Nature.LISTING)
        yield Route("GET", "/v1/customer_records", self._customer_records, Nature.LISTING)
        yield Route("GET", "/v1/customers", self._list_customers, Nature.LISTING)
        yield Route("GET", "/v1/track", self._track, Nature.LOOK_UP)
        if self._options.extras:
            yield Route("POST", "/v1/cancel_impact", self._cancel, Nature.WRITE)
            yield Route("GET", "/v1/projects", self._projects)
            yield Route("GET", "/v1/projects/*", self._project, Nature.LOOK_UP)

    def authorise(self, request: Request) -> None:
        """Check that ``x-api-key`` is the sandbox's."""
        if request.headers.get("x-api-key") != API_KEY:
            raise Declined(401, "The API key is missing or not valid.", code="key_error")

    def decline(self, declined: Declined) -> Reply:
        """Refuse with ``{"type", "message"}``."""
        kind = declined.code or ("invalid_request_error" if declined.status < 500 else "api_error")  # noqa: PLR2004
        return json_reply(declined.status, {"type": kind, "message": declined.message})

    def distinguishes(self, other: Reply, right: Reply) -> bool:
        """Compare by kind, amount or customer; the time of a purchase says nothing to the client that asked for it."""
        answered, asked = json.loads(other.body), json.loads(right.body)
        return any(value != asked.get(name) for name, value in answered.items() if name != "time_utc")

    def _whoami(self, _: Call) -> Reply:
        return json_reply(200, {"user_id": USER_ID, "email": "merchant@example.com"})

    def _act(self, kind: Kind, call: Call) -> Reply:
        """Buy; nothing stops a second identical request from buying again."""
        fields = call.fields()
        _check_action(kind, fields, extras=self._options.extras)
        if self._options.metadata == "echo":
            _check_metadata(fields.get("metadata"))
        impact = self._buy(kind, fields, call)
        answer = {"user_id": USER_ID, **impact.amount, "time_utc": impact.time_utc}
        customer = self._by_email.get(impact.purchase.customer_email or "")
        return json_reply(200, answer | ({"customer": customer.as_json()} if customer else {}))

    def _buy(self, kind: Kind, fields: dict[str, Any], call: Call) -> Impact:
        time_utc = self._unique_time(call.now)
        metadata, email = fields.get("metadata"), fields.get("customer_email")
        purchase = Purchase(
            provider=ProviderName.ONECLICKIMPACT,
            kind=kind,
            quantity=fields["amount"] * call.times,
            ref=f"{USER_ID}|{time_utc}",
            at=call.now,
            metadata=to_json(metadata) if metadata else None,
            listed_at=call.listed_at,
            customer_email=email,
        )
        impact = Impact(time_utc, purchase, fields.get("category") if kind in _CATEGORISED else None)
        self._books.record(purchase)
        self._all.append(impact)
        if email is None:
            self._own.append(impact)
        else:
            self._for_customers.append(impact)
            self._meet(email, fields.get("customer_name"), time_utc).impacts.append(impact)
        return impact

    def _unique_time(self, now: datetime) -> str:
        """Return the time in milliseconds, later than every time before."""
        self._last_ms = max(round(now.timestamp() * 1000), self._last_ms + 1)
        return iso_millis(datetime.fromtimestamp(self._last_ms / 1000, UTC))

    def _meet(self, email: str, name: str | None, time_utc: str) -> Customer:
        """Return the customer of this address, a new one where there is none yet."""
        customer = self._by_email.get(email)
        if customer is None:
            customer = self._by_email[email] = Customer(f"U{len(self._customers) + 1001}", email, name, time_utc)
            self._customers.append(customer)
        elif name is not None:
            customer.customer_name = name
        return customer

    def _impact(self, _: Call) -> Reply:
        """Return the totals of impacts that stand: cancelling reverses an impact in them too, as the SDK says."""
        own, theirs = self._totals(self._own), self._totals(self._for_customers)
        both = {name: own[name] + theirs[name] for name in self._fields}
        return json_reply(200, {"user_id": USER_ID, **both, "user_impact": own, "customer_impact": theirs})

    def _daily_impact(self, call: Call) -> Reply:
        """Return the days with impacts that stand; cancelling takes an impact from the day of its purchase."""
        query = call.query()
        chosen = ([impacts[at] for at in _between(query, impacts)] for impacts in (self._own, self._for_customers))
        standing = (impact for impact in merge(*chosen, key=_time_utc) if not impact.purchase.cancelled)
        days = [{"date": date, **self._totals(impacts)} for date, impacts in groupby(standing, key=_date)]
        return json_reply(200, {"user_id": USER_ID, "daily_impact": days})

    def _totals(self, impacts: Iterable[Impact]) -> dict[str, float]:
        totals: dict[str, float] = dict.fromkeys(self._fields, 0)
        for impact in impacts:
            if not impact.purchase.cancelled:
                totals[_FIELD[impact.purchase.kind]] += impact.purchase.quantity
        return totals

    def _records(self, call: Call) -> Reply:
        return self._listed_impacts(call, self._listed_as_own, "user_records", self._record)

    @property
    def _listed_as_own(self) -> list[Impact]:
        return self._all if "records_with_customers" in self._options.poor else self._own

    def _customer_records(self, call: Call) -> Reply:
        email = _email(call.query())
        if email is None:
            return self._listed_impacts(call, self._for_customers, "customer_records", self._customer_record)
        customer = self._by_email.get(email)
        impacts = customer.impacts if customer else []
        return self._listed_impacts(call, impacts, "customer_records", self._customer_record)

    def _listed_impacts(
        self, call: Call, impacts: Sequence[Impact], title: str, show: Callable[[Impact], dict[str, Any]]
    ) -> Reply:
        query = call.query()
        kinds = self._kinds(query)

        def wanted(impact: Impact) -> bool:
            return impact.purchase.kind in kinds and impact.purchase.listed_at <= call.now

        return self._listing(call, impacts, _between(query, impacts), title, show, wanted)

    def _list_customers(self, call: Call) -> Reply:
        email = _email(call.query())
        found = self._customers
        if email is not None:
            found = [self._by_email[email]] if email in self._by_email else []

        def show(customer: Customer) -> dict[str, str]:
            return customer.as_json() | {"onboarded_on": customer.onboarded_on}

        return self._listing(call, found, range(len(found)), "customers", show, lambda _: True)

    def _listing(
        self,
        call: Call,
        items: Sequence[T],
        span: range,
        title: str,
        show: Callable[[T], dict[str, Any]],
        wanted: Callable[[T], bool],
    ) -> Reply:
        query = call.query()
        asked = whole_number(query, "limit", least=0, most=1000, default=10)
        limit = min(asked, self._options.page_items or asked)
        unread, read = _positions(query, span)
        page, following = self.page(items, unread, call, limit=limit, wanted=wanted, before=read)
        answer: dict[str, Any] = {title: [show(item) for item in page]}
        if following is not None:
            answer["cursor"] = urlsafe_b64encode(f"position:{following}".encode()).decode()
        return json_reply(200, answer)

    def _kinds(self, query: dict[str, list[str]]) -> set[Kind]:
        """The kinds that a listing is filtered by."""
        names = query.get("filter_by", self._fields)
        if not set(names) <= set(self._fields):
            raise Declined(400, f"filter_by must be one of {', '.join(self._fields)}.")
        return {_KIND[name] for name in names}

    def _customer_record(self, impact: Impact) -> dict[str, Any]:
        customer = self._by_email[impact.purchase.customer_email or ""]
        return self._record(impact) | {"customer": customer.as_json()}

    def _record(self, impact: Impact) -> dict[str, Any]:
        named = {"user_id": USER_ID, "time_utc": impact.time_utc}
        return {**named, **impact.amount, **self._echo(impact), **impact.cancellation}

    def _echo(self, impact: Impact) -> dict[str, Any]:
        """The metadata, where this account returns it."""
        metadata = impact.purchase.metadata
        return {"metadata": json.loads(metadata)} if metadata and self._options.metadata == "echo" else {}

    def _cancel(self, call: Call) -> Reply:
        """Reverse an impact; a repeat changes nothing."""
        fields = call.fields()
        reason = fields.get("reason")
        if not is_text(reason, 200):
            raise Declined(400, "reason must be a text of at most 200 characters.")
        impact = self._named(fields.get("user_id"), fields.get("time_utc"))
        message = "The impact was cancelled before."
        if impact.cancelled_at is None:
            message = "The impact is cancelled."
            impact.cancelled_at, impact.reason = call.now, reason
            impact.purchase.cancelled = True
        answer = {"user_id": USER_ID, "time_utc": impact.time_utc, **impact.amount, "message": message}
        answer["cancelled_on"] = iso_millis(impact.cancelled_at)
        return json_reply(200, answer if impact.reason is None else answer | {"reason": impact.reason})

    def _track(self, call: Call) -> Reply:
        query = call.query()
        user_id, time_utc = (query.get(name, [None])[-1] for name in ("user_id", "time_utc"))
        return json_reply(200, self._progress(self._named(user_id, time_utc), call.now))

    def _named(self, user_id: object, time_utc: object) -> Impact:
        """
        Return the impact of this name.

        Raises:
            Declined: The name is not valid, or there is no such impact.
        """
        if not (user_id and isinstance(user_id, str) and time_utc and isinstance(time_utc, str)):
            raise Declined(400, "user_id and time_utc are both needed.")
        for impacts in (self._own, self._for_customers) if user_id == USER_ID else ():
            position = bisect_left(impacts, time_utc, key=_time_utc)
            if position < len(impacts) and impacts[position].time_utc == time_utc:
                return impacts[position]
        raise Declined(400, "There is no such impact.")

    def _progress(self, impact: Impact, now: datetime) -> dict[str, Any]:
        """Show the tracking: every step that has happened by now; after a cancellation, none."""
        purchase, tracking_id = impact.purchase, f"{USER_ID}-{impact.time_utc}"
        progress = {
            "tracking_id": tracking_id,
            "impact_initiated": impact.time_utc,
            **impact.amount,
            **self._echo(impact),
            **impact.cancellation,
        }
        until = impact.cancelled_at or now
        available, sent, completed = (
            purchase.at + step / self._options.speed for step in (_AVAILABLE, _SENT, _COMPLETED)
        )
        if until >= available:
            progress["donation_available"] = iso_millis(available)
        if until >= sent:
            progress |= {"donation_sent": iso_millis(sent), "assigned_agent": "Sandbox Stewards"}
            progress["project_location"] = "A hillside that exists only here."
            if purchase.kind is Kind.DONATE:
                progress["donation_category"] = impact.category or "planting trees"
            progress |= self._assigned_project(purchase.kind)
        if until >= completed:
            progress["impact_completed"] = iso_millis(completed)
            progress["certificate"] = f"https://oneclickimpact.example.com/certificate/{quote(tracking_id)}"
        return progress

    def _assigned_project(self, kind: Kind) -> dict[str, str]:
        """The project that an impact is made in, if this account knows projects and there is one for it."""
        if not self._options.extras:
            return {}
        found = [project.id for project in PROJECTS if project.available and project.type == TYPE_OF.get(kind)]
        return {"project_id": found[0]} if found else {}

    def _projects(self, call: Call) -> Reply:
        query = call.query()
        locale, type_ = _locale(query), query.get("type", [None])[-1]
        if type_ is not None and type_ not in TYPES:
            raise Declined(400, f"type must be one of {', '.join(TYPES)}.")
        found = [project.as_json(locale) for project in PROJECTS if type_ in {None, project.type}]
        return json_reply(200, {"projects": found})

    def _project(self, call: Call) -> Reply:
        locale = _locale(call.query())
        for project in PROJECTS:
            if project.id == call.names[0]:
                return json_reply(200, project.as_json(locale))
        raise Declined(404, "There is no such project.")


def _time_utc(impact: Impact) -> str:
    return impact.time_utc


def _date(impact: Impact) -> str:
    return impact.time_utc[: len("2026-11-21")]


def _check_action(kind: Kind, fields: dict[str, Any], *, extras: bool) -> None:
    most = _MOST_CENTS if kind is Kind.DONATE else _MOST
    if not is_whole(fields.get("amount"), 1, most):
        raise Declined(400, f"amount must be a whole number from 1 to {most}.")
    email, name, category = (fields.get(field) for field in ("customer_email", "customer_name", "category"))
    if not (email is None or _is_email(email)):
        raise Declined(400, "customer_email must be an e-mail address.")
    if not (name is None or (isinstance(name, str) and email is not None)):
        raise Declined(400, "customer_name must be a text and needs customer_email.")
    if not isinstance(fields.get("notify", True), bool):
        raise Declined(400, "notify must be true or false.")
    if kind is Kind.PLANT_TREES and category not in (None, "food"):
        raise Declined(400, 'category can only be "food".')
    if kind is Kind.DONATE and category is not None and not (extras and isinstance(category, str)):
        raise Declined(400, "category must be a text." if extras else "This account cannot choose a category.")


def _is_email(value: object) -> bool:
    return isinstance(value, str) and "@" in value and is_text(value, 320)


def _email(query: dict[str, list[str]]) -> str | None:
    email = query.get("customer_email", [None])[-1]
    if email is None or _is_email(email):
        return email
    raise Declined(400, "customer_email must be an e-mail address.")


def _locale(query: dict[str, list[str]]) -> str:
    locale = query.get("locale", ["en"])[-1]
    if locale not in LOCALES:
        raise Declined(400, f"locale must be one of {', '.join(LOCALES)}.")
    return locale


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


def _between(query: dict[str, list[str]], impacts: Sequence[Impact]) -> range:
    """The positions of the impacts from ``start_date`` to ``end_date``, both days included."""
    start, end = day(query, "start_date"), day(query, "end_date")
    least = bisect_left(impacts, f"{start}", key=_time_utc) if start else 0
    most = bisect_left(impacts, f"{end}~", key=_time_utc) if end else len(impacts)  # "~" sorts after "T"
    return range(least, most)


def _positions(query: dict[str, list[str]], span: range) -> tuple[range, range]:
    """The positions still to be read, in order, and those already read, nearest first."""
    at = _cursor(query)
    match query.get("sort_order", ["asc"])[-1]:
        case "asc":
            first = span.start if at is None else max(at, span.start)
            return range(first, span.stop), range(first - 1, span.start - 1, -1)
        case "desc":
            first = span.stop - 1 if at is None else min(at, span.stop - 1)
            return range(first, span.start - 1, -1), range(first + 1, span.stop)
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
