"""Customers and vendors, pretended, whom donations are attributed to. Both have the same seven operations."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from impactflow.sandbox.api import Call, Declined, Route
from impactflow.sandbox.faults import Nature
from impactflow.sandbox.ids import Ids
from impactflow.sandbox.impactapi.campaigns import show_impact
from impactflow.sandbox.impactapi.checks import check_metadata, check_text, merged, period, shown
from impactflow.sandbox.impactapi.intents import Intent, Intents
from impactflow.sandbox.impactapi.pages import Cut, list_page
from impactflow.sandbox.messages import Reply, iso_micros, json_reply


@dataclass(slots=True, eq=False)
class Party:
    """A customer or a vendor; the metadata is JSON text."""

    id: str
    external_id: str | None
    name: str | None
    metadata: str | None
    created_at: datetime
    updated_at: datetime
    deleted: bool = False

    def show(self) -> dict[str, Any]:
        """Return the party as ImpactAPI writes it."""
        return {
            "id": self.id,
            "external_id": self.external_id,
            "name": self.name,
            "metadata": shown(self.metadata),
            "created_at": iso_micros(self.created_at),
            "updated_at": iso_micros(self.updated_at),
        }


_SORTS: dict[str, Callable[[Party], Any]] = {
    "created_at": lambda party: party.created_at,
    "name": lambda party: party.name or "",
    "updated_at": lambda party: party.updated_at,
}


class Parties:
    """All customers of the organization, or all its vendors."""

    def __init__(self, kind: Literal["customer", "vendor"], ids: Ids, intents: Intents, cut: Cut) -> None:
        self._kind = kind
        self._ids = ids
        self._intents = intents
        self._cut = cut
        self._all: list[Party] = []
        self._by_id: dict[str, Party] = {}

    def routes(self) -> Iterable[Route]:
        """Routes to list, create, get, update and delete, for impact metrics and donation intents."""
        all_, one = f"/{self._kind}s", f"/{self._kind}s/*"
        yield Route("GET", all_, self._list, Nature.LISTING)
        yield Route("POST", all_, self._create, Nature.WRITE)
        yield Route("GET", one, self._get, Nature.LOOK_UP)
        yield Route("PATCH", one, self._update, Nature.WRITE)
        yield Route("DELETE", one, self._delete, Nature.WRITE)
        yield Route("GET", f"{one}/impact_metrics", self._impact_metrics)
        yield Route("GET", f"{one}/donation_intents", self._donation_intents, Nature.LISTING)

    def __contains__(self, id_: str) -> bool:
        """Whether there is a party with this id."""
        return id_ in self._by_id

    def _list(self, call: Call) -> Reply:
        asked = call.query().get("external_id")

        def wanted(party: Party) -> bool:
            return not party.deleted and (asked is None or party.external_id == asked[-1])

        return list_page(self._cut, call, self._all, wanted, _SORTS, Party.show)

    def _create(self, call: Call) -> Reply:
        fields = call.fields()
        self._check(fields, None)
        party = Party(
            id=self._ids.ulid(call.now),
            external_id=fields.get("external_id"),
            name=fields.get("name"),
            metadata=merged(None, fields),
            created_at=call.now,
            updated_at=call.now,
        )
        self._all.append(party)
        self._by_id[party.id] = party
        return json_reply(201, party.show())

    def _get(self, call: Call) -> Reply:
        return json_reply(200, self._find(call).show())

    def _update(self, call: Call) -> Reply:
        """Update a party: fields left out stay, null clears, metadata is merged."""
        party, fields = self._find(call), call.fields()
        self._check(fields, party)
        party.external_id = fields.get("external_id", party.external_id)
        party.name = fields.get("name", party.name)
        party.metadata = merged(party.metadata, fields)
        party.updated_at = call.now
        return json_reply(200, party.show())

    def _delete(self, call: Call) -> Reply:
        """Remove a party for good; sessions and donations keep its id."""
        party = self._find(call)
        party.deleted = True
        del self._by_id[party.id]
        return Reply(204)

    def _impact_metrics(self, call: Call) -> Reply:
        given = self._intents.of(self._given(call))
        return json_reply(200, {"data": show_impact((intent.campaign, intent.cents) for intent in given)})

    def _donation_intents(self, call: Call) -> Reply:
        return self._intents.page_of(call, self._given(call))

    def _given(self, call: Call) -> Callable[[Intent], bool]:
        """Return a filter for the donations of a party in a period."""
        party, (first, last) = self._find(call), period(call)

        def given(intent: Intent) -> bool:
            whose = intent.customer_id if self._kind == "customer" else intent.vendor_id
            return whose == party.id and first <= intent.created_at.date() <= last

        return given

    def _check(self, fields: dict[str, Any], party: Party | None) -> None:
        check_text(fields, "external_id")
        check_text(fields, "name")
        check_metadata(fields)
        external_id = fields.get("external_id")
        others = (other for other in self._by_id.values() if other is not party)
        if external_id is not None and any(other.external_id == external_id for other in others):
            raise Declined(422, f"Another {self._kind} has this external_id.", field="external_id")

    def _find(self, call: Call) -> Party:
        party = self._by_id.get(call.names[0])
        if party is None:
            raise Declined(404, f"There is no {self._kind} with this id.")
        return party
