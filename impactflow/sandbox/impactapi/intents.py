"""Donation intents, pretended: the donations that will be billed, and the purchases in the books."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from impactflow.models import Kind, ProviderName
from impactflow.sandbox.api import Call, Declined, Route
from impactflow.sandbox.books import Books, Purchase
from impactflow.sandbox.faults import Nature
from impactflow.sandbox.ids import Ids
from impactflow.sandbox.impactapi.campaigns import show_campaign, show_impact
from impactflow.sandbox.impactapi.checks import donations
from impactflow.sandbox.impactapi.pages import Cut, list_page
from impactflow.sandbox.messages import Reply, iso_micros, json_reply
from impactflow.sandbox.options import Options

_MOST_AT_ONCE = 50


@dataclass(slots=True, eq=False)
class Intent:
    """One donation; its session decides whom it is attributed to."""

    id: str
    campaign: str
    cents: int
    created_at: datetime
    session_id: str | None
    customer_id: str | None
    vendor_id: str | None
    purchase: Purchase
    cancelled: bool = False

    def show(self, poor: Container[str] = ()) -> dict[str, Any]:
        """Return the intent as ImpactAPI writes it, with the weaknesses of an account."""
        shown = {
            "id": self.id,
            "amount": self.cents,
            "campaign_identifier": self.campaign,
            "campaign": show_campaign(self.campaign, metrics=False),
            "impact_metrics": show_impact([(self.campaign, self.cents)]),
            "session_id": self.session_id,
            "customer_id": self.customer_id,
            "vendor_id": self.vendor_id,
            "created_at": iso_micros(self.created_at),
        }
        if "intents_without_amount" in poor:
            del shown["amount"]
        if "intents_without_session" in poor:
            del shown["session_id"]
        return shown


_SORTS: dict[str, Callable[[Intent], Any]] = {"created_at": lambda intent: intent.created_at}


class Intents:
    """Every donation intent of the organization."""

    def __init__(self, books: Books, options: Options, ids: Ids, cut: Cut) -> None:
        self._books = books
        self._poor = options.poor
        self._late = timedelta(seconds=options.late_s if "late_intents" in options.poor else 0)
        self._ids = ids
        self._cut = cut
        self._all: list[Intent] = []
        self._by_id: dict[str, Intent] = {}

    def routes(self) -> Iterable[Route]:
        """Routes to create, list, get and cancel."""
        yield Route("POST", "/donation_intents", self._create, Nature.WRITE)
        yield Route("GET", "/donation_intents", self._list, Nature.LISTING)
        yield Route("GET", "/donation_intents/*", self._get, Nature.LOOK_UP)
        yield Route("PUT", "/donation_intents/*/cancel", self._cancel, Nature.WRITE)

    def give(
        self,
        given: Sequence[tuple[str, int]],
        now: datetime,
        *,
        session_id: str | None = None,
        customer_id: str | None = None,
        vendor_id: str | None = None,
        metadata: str | None = None,
    ) -> tuple[Intent, ...]:
        """Make donations of (campaign, cents) pairs: one intent for each, and one purchase in the books for all."""
        ids = tuple(self._ids.ulid(now) for _ in given)
        purchase = Purchase(
            provider=ProviderName.IMPACTAPI,
            kind=Kind.DONATE,
            quantity=sum(cents for _, cents in given),
            ref=session_id or ids[0],
            at=now,
            metadata=metadata,
            listed_at=now + self._late,
            intents=ids,
        )
        self._books.record(purchase)
        made = tuple(
            Intent(id_, campaign, cents, now, session_id, customer_id, vendor_id, purchase)
            for id_, (campaign, cents) in zip(ids, given, strict=True)
        )
        self._all += made
        self._by_id.update((intent.id, intent) for intent in made)
        return made

    def of(self, wanted: Callable[[Intent], bool]) -> list[Intent]:
        """The intents that are wanted and were not cancelled."""
        return [intent for intent in self._all if not intent.cancelled and wanted(intent)]

    def page_of(self, call: Call, wanted: Callable[[Intent], bool]) -> Reply:
        """One page of the intents that are wanted."""

        def stands(intent: Intent) -> bool:
            return not intent.cancelled and intent.purchase.listed_at <= call.now and wanted(intent)

        return list_page(self._cut, call, self._all, stands, _SORTS, self.show)

    def show(self, intent: Intent) -> dict[str, Any]:
        """A donation intent as this account shows it."""
        return intent.show(self._poor)

    def _create(self, call: Call) -> Reply:
        """Make all or none; the vendor's documentation shows a bare list, and once one within ``intents``."""
        content = call.content()
        items = content.get("intents") if isinstance(content, dict) else content
        wanted = donations(items, "intents", _MOST_AT_ONCE)
        if not wanted:
            raise Declined(422, "There must be at least one donation.", field="intents")
        made = [intent for pair in wanted for intent in self.give([pair], call.now)]
        return json_reply(201, {"data": [self.show(intent) for intent in made]})

    def _list(self, call: Call) -> Reply:
        return self.page_of(call, lambda _: True)

    def _get(self, call: Call) -> Reply:
        return json_reply(200, self.show(self._find(call)))

    def _cancel(self, call: Call) -> Reply:
        """Remove an intent for good; in the books, the rest of the purchase stands."""
        intent = self._find(call)
        intent.cancelled = True
        purchase = intent.purchase
        if purchase.intents == (intent.id,):
            purchase.cancelled = True
        else:
            purchase.quantity -= intent.cents
            purchase.intents = tuple(id_ for id_ in purchase.intents if id_ != intent.id)
        return Reply(204)

    def _find(self, call: Call) -> Intent:
        intent = self._by_id.get(call.names[0])
        if intent is None or intent.cancelled:
            raise Declined(404, "There is no donation intent with this id.")
        return intent
