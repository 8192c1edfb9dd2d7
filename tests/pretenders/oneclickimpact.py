"""
A stand-in for 1ClickImpact, written from its reference alone, with books of its own.

It is as poor as the reference allows, one switch of `Poor` each, and as slow and unreliable as networks and gateways
are: `Faults` and `Lag`. Each decision depends only on the seed, on what is asked for, and on how often that was asked
for before. Amounts are trees, pounds and US cents; times are seconds.
"""

import base64
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar

from aiohttp import web

from pretenders.gateway import (
    FAULTLESS,
    GATEWAY,
    KINDS,
    Answer,
    Faults,
    Gateway,
    Json,
    Refused,
    odd,
)

KEY = "click-key"
USER = "U1234"
FIELDS = {
    "plant_tree": "tree_planted",
    "clean_ocean": "waste_removed",
    "capture_carbon": "carbon_captured",
    "donate_money": "money_donated",
}
"""What the answer to each purchase calls its amount."""
MOST = {"donate_money": 1_000_000_000}
PURCHASE_KINDS = tuple(
    kind for kind in (*KINDS, "denied_before", "denied_after", "failing_before", "failing_after") if kind != "repeated"
)
"""What may go wrong. Nothing repeats a request: here that would be a purchase of the gateway's own."""


@dataclass(frozen=True)
class Poor:
    """What the answers leave out or do although nobody would expect it; all of it fits the reference."""

    metadata_dropped: bool = True
    """What a purchase is told as `metadata` is never told back: the reference does not know that field."""
    metadata_in_records_only: bool = True
    """Neither the answer to a purchase nor `track` tells the metadata."""
    records_of_customers_too: bool = True
    """`/records` lists what was bought for customers too, as "full impact history" may mean, and names no customer."""
    days_left_out: bool = True
    """`start_date` and `end_date` leave out those days themselves: "after", and "up to"."""
    short_pages: bool = True
    """A page holds at most three records, whatever `limit` says."""
    page_after_time: bool = True
    """A cursor names the last time told: what else was bought in that millisecond is skipped in this order."""
    same_millisecond: bool = True
    """Purchases that come together get the same time, so that (`user_id`, `time_utc`) names several."""
    no_cancelling: bool = True
    """`cancel_impact` answers 404: the reference does not know it."""
    zeros: bool = True
    """A record tells each kind of impact, 0 for those it is not."""
    untracked: bool = True
    """`track` tells nothing but what is not called optional, and the end."""


RICH = Poor(*[False] * len(Poor.__dataclass_fields__))


@dataclass(frozen=True)
class Lag:
    """For how many seconds reads do not see what was written; at most, since each purchase draws its own time."""

    records_s: float = 0
    track_s: float = 0


@dataclass
class Purchase:
    """A line of the books: something that was bought."""

    action: str
    amount: int
    email: str | None
    name: str | None
    category: str | None
    metadata: Json
    notify: bool
    ours: bool
    at: float
    """When it took effect, in seconds since 1970."""
    time_utc: str
    """When it took effect, as it is told: with `USER` the only name it has."""
    listed: float
    """From when on records list it."""
    tracked: float
    """From when on `track` knows it."""
    cancelled_on: str | None = None
    fault: str = "fine"
    """What went wrong with the request that bought it."""

    @property
    def ref(self) -> str:
        """The name by which people settle it."""
        return f"{USER}|{self.time_utc}"


class OneClickImpact(Gateway):
    """The server. Its books are `purchases`."""

    can_be_missing = frozenset({"track"})
    not_found = Refused(404, "invalid_request_error")
    pages: ClassVar = {
        **GATEWAY,
        "denied": (
            [400, 401, 403, 404, 429],
            "application/json",
            '{"type": "invalid_request_error", "message": "This is refused."}',
        ),
        "failing": ([500], "application/json", '{"type": "api_error", "message": "Contact support."}'),
    }

    def __init__(
        self,
        seed: int,
        poor: Poor = RICH,
        lag: Lag = Lag(),
        faults: Faults = FAULTLESS,
        *,
        complete_s: float = 1,
        ends_early: int = 0,
        refuses_email: str | None = None,
        beside: Callable[["OneClickImpact", Purchase], None] = lambda *_: None,
    ):
        super().__init__(seed, faults)
        self.poor, self.lag, self.complete_s = poor, lag, complete_s
        self.ends_early = ends_early
        """How many listings still end before their end, all of them in the same order."""
        self.early_order = Random(f"early {seed}").choice(["asc", "desc"])
        self.refuses_email = refuses_email
        """The customer for whom nothing is ever sold."""
        self.beside = beside
        """Is told each purchase of ours; others may buy beside it."""
        self.purchases: list[Purchase] = []
        buys = [("POST", f"/v1/{action}", action, self.buy(action)) for action in FIELDS]
        self.routes = [
            *buys,
            ("GET", "/v1/whoami", "whoami", self.whoami),
            ("GET", "/v1/records", "records", self.records),
            ("GET", "/v1/customer_records", "customer_records", self.customer_records),
            ("GET", "/v1/customers", "customers", self.customers),
            ("GET", "/v1/impact", "impact", self.impact),
            ("GET", "/v1/impact/daily", "daily", self.daily),
            ("GET", "/v1/track", "track", self.track),
            ("POST", "/v1/cancel_impact", "cancel", self.cancel),
        ]

    def refuses(self, request: web.Request) -> Answer | None:
        """Answer a request without the right key."""
        if request.headers.get("x-api-key") != KEY:
            return self.error(Refused(401, "key_error"))
        return None

    def subject(self, kind: str, name: str | None, request: web.Request, text: str) -> str:
        """Say what a request is about: all that it says."""
        return text or request.query_string or kind

    def act(
        self, kind: str, name: str | None, handler: Callable[..., Answer], request: web.Request, text: str, fault: str
    ) -> Answer:
        """Let a request take effect."""
        if request.method != "POST":
            return handler(name) if kind == "unknown" else handler(request.query)
        try:
            body = json.loads(text)
        except ValueError:
            raise Refused(400, "invalid_request_error") from None
        return handler(name) if kind == "unknown" else handler(body, fault)

    def error(self, refused: Refused) -> Answer:
        """Tell an error in 1ClickImpact's form."""
        return refused.status, {"type": refused.code, "message": "This is refused."}

    def oddly(self, value: Any, draw: Random) -> Any:
        """Make an answer unusual in ways that JSON allows; whole numbers may have a fraction of 0."""
        return odd(value, draw, floats=draw.random() < 0.5)

    # What 1ClickImpact does.

    def whoami(self, _: Any) -> Answer:
        """Tell whose key it is."""
        return 200, {"user_id": USER, "email": "merchant@shop.test"}

    def buy(self, action: str) -> Callable[[Json, str], Answer]:
        """Give what answers one kind of purchase."""

        def bought(body: Json, fault: str) -> Answer:
            purchase = self.book(action, body, fault=fault, ours=True)
            self.beside(self, purchase)
            return 200, self.purchase_json(purchase, metadata=not self.poor.metadata_in_records_only)

        return bought

    def book(self, action: str, body: Json, *, ours: bool = False, fault: str = "fine", ago_s: float = 0) -> Purchase:
        """Write a purchase into the books, if its body is as the reference wants it."""
        checked(action, body)
        email = body.get("customer_email")
        if email is not None and email == self.refuses_email:
            raise Refused(400, "invalid_request_error")
        subject = json.dumps(body, sort_keys=True)
        draw = Random(f"{self.seed} {action} {subject} {len(self.purchases)}")
        now = time.time() - ago_s
        # What was answered with a no is listed by the time of the next look.
        prompt = fault.partition("_")[0] in {"refused", "limited", "denied"}
        purchase = Purchase(
            action=action,
            amount=body["amount"],
            email=email,
            name=body.get("customer_name"),
            category=body.get("category"),
            metadata=dict(body.get("metadata") or {}),
            notify=body.get("notify", True),
            ours=ours,
            at=now,
            time_utc=self.moment(now),
            listed=now + (0 if prompt else draw.uniform(0, self.lag.records_s)),
            tracked=now + draw.uniform(0, self.lag.track_s),
            fault=fault,
        )
        self.purchases.append(purchase)
        return purchase

    def moment(self, at: float) -> str:
        """Write a time in UTC in milliseconds, each only once unless purchases may share one."""
        at = at - at % 0.05 if self.poor.same_millisecond else at
        sharing = Counter(purchase.time_utc for purchase in self.purchases)
        while sharing[millisecond(at)] >= self.most_at_once():
            at += 0.001
        return millisecond(at)

    def most_at_once(self) -> float:
        """Say how many purchases may share a millisecond: of two each is listed in one order at least."""
        return 1 if not self.poor.same_millisecond else 2 if self.poor.page_after_time else math.inf

    def purchase_json(self, purchase: Purchase, *, metadata: bool, customer: bool = True) -> Json:
        """Tell a purchase as answers and records do."""
        fields: Json = dict.fromkeys(FIELDS.values(), 0) if self.poor.zeros else {}
        fields |= {"user_id": USER, "time_utc": purchase.time_utc, FIELDS[purchase.action]: purchase.amount}
        if metadata and purchase.metadata and not self.poor.metadata_dropped:
            fields["metadata"] = purchase.metadata
        if purchase.email and customer:
            fields["customer"] = customer_of(purchase)
        if purchase.cancelled_on:
            fields["cancelled_on"] = purchase.cancelled_on
        return fields

    def seen(self) -> list[Purchase]:
        """Give what records list by now, the oldest first."""
        return sorted((p for p in self.purchases if p.listed <= time.time()), key=lambda p: p.time_utc)

    def records(self, query: Any) -> Answer:
        """List what was bought for nobody, and maybe what was bought for customers."""
        found = [p for p in self.seen() if not p.email or self.poor.records_of_customers_too]
        page, cursor = self.page(found, query)
        return 200, {"user_records": [self.purchase_json(p, metadata=True, customer=False) for p in page], **cursor}

    def customer_records(self, query: Any) -> Answer:
        """List what was bought for customers, or for one."""
        found = [p for p in self.seen() if p.email and query.get("customer_email", p.email) == p.email]
        page, cursor = self.page(found, query)
        return 200, {"customer_records": [self.purchase_json(p, metadata=True) for p in page], **cursor}

    def page(self, found: list[Purchase], query: Any) -> tuple[list[Purchase], Json]:
        """Cut a page out of a list as the query wants it, and make the cursor to the next one."""
        wanted = query.getall("filter_by", list(FIELDS.values()))
        limit = int(query.get("limit", 10))
        order = query.get("sort_order", "asc")
        if set(wanted) - set(FIELDS.values()) or not 0 < limit <= 1000 or order not in {"asc", "desc"}:
            raise Refused(400, "invalid_request_error")
        first, last = (day(query.get(name)) for name in ("start_date", "end_date"))
        found = [p for p in found if FIELDS[p.action] in wanted and self.between(first, p.time_utc[:10], last)]
        if order == "desc":
            found.reverse()
        limit = min(limit, 3) if self.poor.short_pages else limit
        begin = 0
        if "cursor" in query:
            begin, after = json.loads(base64.b64decode(query["cursor"]))
            if self.poor.page_after_time:
                later = [
                    n for n, p in enumerate(found) if (p.time_utc > after) == (order == "asc") and p.time_utc != after
                ]
                begin = later[0] if later else len(found)
        page = found[begin : begin + limit]
        if begin + limit >= len(found):
            return page, {}
        if self.ends_early and order == self.early_order:
            self.ends_early -= 1
            self.played["ends_early"] += 1
            return page, {}
        place = json.dumps([begin + limit, page[-1].time_utc])
        return page, {"cursor": base64.b64encode(place.encode()).decode()}

    def between(self, first: str | None, day_: str, last: str | None) -> bool:
        """Say whether a day lies between two, which are left out or not."""
        if self.poor.days_left_out:
            return (first is None or first < day_) and (last is None or day_ < last)
        return (first is None or first <= day_) and (last is None or day_ <= last)

    def customers(self, query: Any) -> Answer:
        """List the customers for whom something was bought."""
        first: dict[str, Purchase] = {}
        for purchase in self.seen():
            if purchase.email and query.get("customer_email", purchase.email) == purchase.email:
                first.setdefault(purchase.email, purchase)
        listed = [{**customer_of(p), "onboarded_on": p.time_utc} for p in first.values()]
        return 200, {"customers": listed[: int(query.get("limit", 10))]}

    def impact(self, _: Any) -> Answer:
        """Tell the totals."""
        own = [p for p in self.seen() if not p.email and not p.cancelled_on]
        others = [p for p in self.seen() if p.email and not p.cancelled_on]
        impacts = {"user_impact": totals(own), "customer_impact": totals(others)}
        return 200, {"user_id": USER, **totals(own + others), **impacts}

    def daily(self, query: Any) -> Answer:
        """Tell the totals of each day."""
        first, last = (day(query.get(name)) for name in ("start_date", "end_date"))
        days: dict[str, list[Purchase]] = {}
        for purchase in self.seen():
            if self.between(first, purchase.time_utc[:10], last):
                days.setdefault(purchase.time_utc[:10], []).append(purchase)
        return 200, {"user_id": USER, "daily_impact": [{"date": d, **totals(found)} for d, found in days.items()]}

    def find(self, query: Any) -> Purchase:
        """Find the purchase of a name; the first, where there are several."""
        for purchase in self.purchases:
            if query.get("user_id") == USER and purchase.time_utc == query.get("time_utc"):
                return purchase
        raise self.not_found

    def track(self, query: Any) -> Answer:
        """Tell where a purchase is."""
        purchase = self.find(query)
        if purchase.tracked > time.time():
            raise self.not_found
        fields = self.purchase_json(purchase, metadata=not self.poor.metadata_in_records_only, customer=False)
        fields |= {"tracking_id": f"{USER}-{purchase.time_utc}", "impact_initiated": purchase.time_utc}
        del fields["user_id"], fields["time_utc"]
        if purchase.category:
            fields["category"] = purchase.category
        if not self.poor.untracked:
            fields |= {"donation_available": purchase.time_utc, "assigned_agent": "Planting On Demand"}
        if time.time() >= purchase.at + self.complete_s and not purchase.cancelled_on:
            fields["impact_completed"] = millisecond(purchase.at + self.complete_s)
        return 200, fields

    def cancel(self, body: Json, _: str) -> Answer:
        """Take a purchase back, if this account can."""
        if self.poor.no_cancelling:
            raise Refused(404, "not_found")
        purchase = self.find(body)
        purchase.cancelled_on = purchase.cancelled_on or millisecond(time.time())
        fields = {"user_id": USER, "time_utc": purchase.time_utc, "cancelled_on": purchase.cancelled_on}
        return 200, {**fields, "message": "The impact is cancelled."}


def checked(action: str, body: Json) -> None:
    """Refuse a purchase that the reference does not allow."""
    texts = ("customer_email", "customer_name", "category")
    amount = body.get("amount") if isinstance(body, dict) else None
    metadata = body.get("metadata") or {} if isinstance(body, dict) else None
    right = (
        type(amount) is int
        and 1 <= amount <= MOST.get(action, 10_000_000)
        and all(isinstance(body.get(name, ""), str) for name in texts)
        and not ("customer_name" in body and "customer_email" not in body)
        and body.get("category", "food") == "food"
        and isinstance(body.get("notify", True), bool)
        and isinstance(metadata, dict)
        and len(metadata) <= 20
        and not {"gift", "widgetID"} & metadata.keys()
        and all(len(k) <= 40 and isinstance(v, str) and len(v) <= 500 for k, v in metadata.items())
    )
    if not right:
        raise Refused(400, "invalid_request_error")


def customer_of(purchase: Purchase) -> Json:
    """Tell for whom something was bought."""
    return {
        "customer_id": f"C{sum(map(ord, purchase.email or ''))}",
        "customer_email": purchase.email,
        "customer_name": purchase.name,
    }


def totals(purchases: list[Purchase]) -> Json:
    """Add purchases up by kind."""
    return {field: sum(p.amount for p in purchases if FIELDS[p.action] == field) for field in FIELDS.values()}


def day(text: str | None) -> str | None:
    """Give a day as it is asked for, if it is one."""
    if text is None:
        return None
    try:
        return f"{datetime.strptime(text, '%Y-%m-%d').replace(tzinfo=UTC):%Y-%m-%d}"
    except ValueError:
        raise Refused(400, "invalid_request_error") from None


def millisecond(at: float) -> str:
    """Write a time as the reference does, in UTC: 2024-09-16T20:34:04.429Z."""
    return datetime.fromtimestamp(int(at * 1000 + 1e-4) / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
