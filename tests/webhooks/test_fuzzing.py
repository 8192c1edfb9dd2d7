"""A fuzzer that reads the receiver's OpenAPI document finds no answer that the document does not know."""

import json

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from benchmarks.storm.senders import SECRETS, content_of, signed
from impactflow.clock import SystemClock
from impactflow.webhooks.app import make_app
from impactflow.webhooks.bounds import Bounds
from impactflow.webhooks.refusals import Refusals
from impactflow.webhooks.sources import Secrets

OTHER_SECRET = "whsec_bm90IHRoZSByaWdodCBvbmUsIG5vIGluZGVlZA=="
SIGNED = ("standard", "shopify", "woocommerce", "stripe")
_NAMES = st.text("ab1_", min_size=1, max_size=5)
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


def test_no_request_is_answered_with_a_server_error(ledger):
    """Nor with a status, a type or a body that the document does not tell of; half are signed rightly."""
    secrets = Secrets({source: (SECRETS[source],) for source in SIGNED}, SECRETS["cnaught"])
    clock = SystemClock()
    app = make_app(ledger, "acme", secrets, clock, Bounds(), Refusals(ledger, "acme", clock))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    answered = set()

    for operation in schema.get_all_operations():
        answered |= _fuzz(operation.ok())

    assert {(source, status) for source in SIGNED for status in (202, 400)} <= answered
    assert {("standard", 401), ("cnaught", 200), ("cnaught", 404), (None, 200)} <= answered


def _fuzz(operation) -> set[tuple[str | None, int]]:
    """Which statuses came from which source."""
    source = operation.path.split("/")[2] if operation.path.startswith("/webhooks/") else None
    answered = set()

    @settings(
        max_examples=40, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(), sign=st.sampled_from(["no", "wrongly", "rightly", "usual"]), name=_NAMES)
    def fuzz(case, sign, name):
        if source and sign != "no":
            usual = content_of(source, name) if sign == "usual" else {}
            _sign(case, source, name, OTHER_SECRET if sign == "wrongly" else SECRETS[source], usual)
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        answered.add((source, response.status_code))

    fuzz()
    return answered


def _sign(case, source: str, name: str, secret: str, usual: dict) -> None:
    body = case.body if isinstance(case.body, dict) else {}
    post = signed(source, name, secret=secret, body=json.dumps(body | usual).encode())
    case.body = post.body
    case.headers = dict(case.headers or {}) | post.headers
    if source == "cnaught":
        case.path_parameters = dict(zip(("key", "token"), post.path.split("/")[3:], strict=True))
