"""
ImpactAPI, pretended: campaigns, customers, vendors, donation intents, and sessions that cost nothing until confirmed.

The references show hardly any answer as JSON; the fields here are those that the references name in words. Each
resource has one module; ``ImpactApi`` puts them together, knows the key and writes refusals. Called through
``faulty_network.py``.

Source: the vendor's endpoint reference and its pages on sessions, errors, pages and metadata, read 2026-11-22.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from impactflow.sandbox.api import Api, Call, Declined, Route
from impactflow.sandbox.ids import Ids
from impactflow.sandbox.impactapi.campaigns import CAMPAIGNS, show_campaign
from impactflow.sandbox.impactapi.checks import API_KEY, has_key
from impactflow.sandbox.impactapi.intents import Intents
from impactflow.sandbox.impactapi.parties import Parties
from impactflow.sandbox.impactapi.sessions import Sessions
from impactflow.sandbox.messages import Reply, Request, json_reply
from impactflow.sandbox.shared import Shared

__all__ = ["API_KEY", "ImpactApi"]

_CODES = {
    400: "request.invalid",
    401: "auth.unauthorized",
    403: "auth.forbidden",
    404: "resource.not-found",
    422: "validation.failed",
    429: "rate-limit.exceeded",
}


class ImpactApi(Api):
    """ImpactAPI's rules, and one organization's records."""

    name = "impactapi"
    account = "IMPACTAPI"
    key = API_KEY
    weaknesses: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "confirms_without_intents": "the answer to a confirm has no donation intents",
            "sessions_without_intents": "a session that is read has no donation intents",
            "late_intents": "sessions and lists show donation intents only late_s after the confirm",
            "intents_without_amount": "donation intents do not say their amount",
            "intents_without_session": "donation intents do not name their session",
            "sessions_without_metadata": "sessions come back without their metadata",
        }
    )

    def __init__(self, shared: Shared) -> None:
        options = shared.options
        self._ids = Ids(options.seed, self.name)
        self._intents = Intents(shared.books, options, self._ids, self.page)
        self._customers = Parties("customer", self._ids, self._intents, self.page)
        self._vendors = Parties("vendor", self._ids, self._intents, self.page)
        self._sessions = Sessions(options, self._ids, self._intents, self._customers, self._vendors)
        super().__init__(shared)

    def routes(self) -> Iterable[Route]:
        """All 26 operations."""
        yield Route("GET", "/campaigns", self._campaigns)
        yield from self._customers.routes()
        yield from self._vendors.routes()
        yield from self._intents.routes()
        yield from self._sessions.routes()

    def authorise(self, request: Request) -> None:
        """Check that the bearer is the sandbox's key; a session's secret opens what its customer may do."""
        if not has_key(request) and not self._sessions.lets_in(request):
            raise Declined(401, "The API key is missing or not valid.")

    def decline(self, declined: Declined) -> Reply:
        """Write ``{"error": {"code", "message", "correlation_id"}}``; if a field is wrong, 422 with ``details``."""
        status = declined.status if declined.field is None else 422
        error: dict[str, Any] = {
            "code": declined.code or _CODES.get(status, "server.error"),
            "message": declined.message,
            "correlation_id": self._ids.text(26),
        }
        if declined.field is not None:
            error["details"] = {declined.field: [declined.message]}
        return json_reply(status, {"error": error})

    def _campaigns(self, _: Call) -> Reply:
        return json_reply(200, {"data": [show_campaign(slug, metrics=True) for slug in CAMPAIGNS]})
