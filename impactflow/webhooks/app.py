"""
The receiver's HTTP side: verify, store the delivery once, answer; refused and stored deliveries are counted.

A delivery is acknowledged (2xx) only when it is on disk or needs no action. Where the ledger does not accept the
delivery, the answer is 503, and the sender repeats. Neither body nor header is ever logged, except for topics that we
handle.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from impactflow.callbacks import CALLBACK_PATH, is_callback
from impactflow.clock import Clock
from impactflow.errors import LedgerError, WebhookRejected
from impactflow.ledger import Delivery, Ledger
from impactflow.webhooks.arrivals import Arrivals
from impactflow.webhooks.bounds import Bounds, Intake, announced
from impactflow.webhooks.refusals import Refusals
from impactflow.webhooks.sources import CALLBACK, CNAUGHT, Scheme, Secrets

log = logging.getLogger(__name__)

T = TypeVar("T")
_LONGEST_NAME = 255
_LEDGER_RETRY_AFTER_S = 10
#: After these answers the rest of the body is not read, so the connection cannot be used again.
_CLOSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS}


class Taken(BaseModel):
    """The result of a delivery: new and stored, known from before, or a ping or of a topic that is not handled."""

    result: Literal["stored", "known", "ignored"]


class Problem(BaseModel):
    """The reason why a delivery was not accepted."""

    error: str


class Health(BaseModel):
    """The receiver's health: whether deliveries can be stored."""

    ledger: Literal["takes deliveries", "takes no deliveries"]


def make_app(
    ledger: Ledger,
    store: str,
    secrets: Secrets,
    clock: Clock,
    bounds: Bounds,
    refusals: Refusals,
    arrivals: Arrivals | None = None,
) -> FastAPI:
    """
    Make the receiver of one store.

    Args:
        ledger: The ledger that keeps the deliveries.
        store: The store that the deliveries belong to.
        secrets: The secrets that prove deliveries; a source without a secret is not served.
        clock: Gives the time of arrival.
        bounds: The limits for each source.
        refusals: The counter of refused deliveries; the caller runs its ``go_on``.
        arrivals: The counter of stored deliveries; likewise.
    """
    app = FastAPI(
        title="impactflow webhooks",
        description="Keeps what senders tell of orders and has it handled. Repeat what was not answered with 2xx.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(WebhookRejected, partial(_say_why, refusals))
    resolver = _Resolver(ledger, store, clock, bounds, arrivals or Arrivals(clock))
    for scheme in secrets.schemes:
        if scheme.source in secrets.signing:
            _serve_signed(app, resolver, scheme, secrets.signing[scheme.source])
    if secrets.callback:
        _serve_callbacks(app, resolver, secrets.callback)
    _serve_health(app, resolver)
    return app


class _Resolver:
    """Stores deliveries."""

    def __init__(self, ledger: Ledger, store: str, clock: Clock, bounds: Bounds, arrivals: Arrivals) -> None:
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self.bounds = bounds
        self._arrivals = arrivals
        self._is_failing = False

    async def keep(self, source: str, name: str, topic: str, body: bytes) -> bool:
        """
        Store a delivery; return whether it is new.

        Raises:
            WebhookRejected: The ledger did not store the delivery in time. If it does later, a repeat is recognized.
        """
        delivery = Delivery(self._store, source, name, topic, self._clock.now(), body)
        is_new = await self._in_time(self._ledger.store_delivery(delivery))
        if is_new:
            self._arrivals.note(source, topic)
        return is_new

    async def check(self) -> None:
        """
        Check that the ledger accepts deliveries.

        Raises:
            WebhookRejected: The ledger does not accept deliveries.
        """
        await self._in_time(self._ledger.require_writes())

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.bounds.ledger_s):
                taken = await answer
        except (LedgerError, TimeoutError) as error:
            if not self._is_failing:  # ``refusals`` counts and logs the refusals meanwhile
                log.warning("deliveries cannot be stored: %s", error or "the ledger does not answer in time")
            self._is_failing = True
            why = "it cannot be stored now; repeat it later"
            raise WebhookRejected(why, HTTPStatus.SERVICE_UNAVAILABLE, retry_after_s=_LEDGER_RETRY_AFTER_S) from None
        if self._is_failing:
            log.warning("deliveries can be stored again")
        self._is_failing = False
        return taken


def _serve_signed(app: FastAPI, resolver: _Resolver, scheme: Scheme, secrets: Sequence[str]) -> None:
    intake = Intake(resolver.bounds)

    async def receive(request: Request) -> JSONResponse:
        async with intake.body(request) as body:
            if scheme.is_ping(body):
                return _answer(HTTPStatus.OK, Taken(result="ignored"))
            scheme.verify(secrets, request.headers, body)
            content = _object(body)
            name = _text(scheme.name(request.headers, content, body), "id")
            topic = _text(scheme.topic(request.headers, content), "topic")
            if topic not in scheme.topics:
                return _answer(HTTPStatus.ACCEPTED, Taken(result="ignored"))
            new = await resolver.keep(scheme.source, name, topic, body)
        return (
            _answer(HTTPStatus.ACCEPTED, Taken(result="stored"))
            if new
            else _answer(HTTPStatus.OK, Taken(result="known"))
        )

    app.add_api_route(
        f"/webhooks/{scheme.source}",
        receive,
        methods=["POST"],
        status_code=HTTPStatus.ACCEPTED,
        summary=f"A delivery of {scheme.source}",
        description="Handled are " + ", ".join(f"`{topic}`" for topic in sorted(scheme.topics)) + ".",
        responses=_RESPONSES,
        openapi_extra={
            "parameters": [_parameter(name, "header", text) for name, text in scheme.headers.items()],
            "requestBody": _request_body(scheme.body),
        },
    )


def _serve_callbacks(app: FastAPI, resolver: _Resolver, secret: str) -> None:
    intake = Intake(resolver.bounds)

    async def receive(request: Request) -> JSONResponse:
        key, token = request.path_params["key"], request.path_params["token"]
        if not is_callback(secret, key, token):
            raise WebhookRejected("nothing is called back here", HTTPStatus.NOT_FOUND)
        async with intake.body(request) as body:
            _object(body)
            name = f"{key}.{hashlib.sha256(body).hexdigest()}"  # callbacks have no id: the same body is the same one
            new = await resolver.keep(CNAUGHT, name, CALLBACK, body)
        # For a day, CNaught repeats each callback that is answered with anything but 200, even with 202.
        return _answer(HTTPStatus.OK, Taken(result="stored" if new else "known"))

    parameters = {"key": "The placement's key.", "token": "What proves that we gave out this path."}
    app.add_api_route(
        CALLBACK_PATH,
        receive,
        methods=["POST"],
        status_code=HTTPStatus.OK,
        summary="A callback of CNaught",
        description="Its body is a hint that something happened; what happened is asked of CNaught.",
        responses=_CALLBACK_RESPONSES,
        openapi_extra={
            "parameters": [_parameter(name, "path", text) for name, text in parameters.items()],
            "requestBody": _request_body({"type": "object"}),
        },
    )


def _serve_health(app: FastAPI, resolver: _Resolver) -> None:
    async def health() -> JSONResponse:
        try:
            await resolver.check()
        except WebhookRejected:
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, Health(ledger="takes no deliveries"))
        return _answer(HTTPStatus.OK, Health(ledger="takes deliveries"))

    app.add_api_route(
        "/health",
        health,
        methods=["GET"],
        summary="Whether deliveries can be stored",
        responses={status: {"model": Health} for status in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)},
    )


def _object(body: bytes) -> Mapping[str, Any]:
    """Return the body as JSON; numbers of any length pass, because only texts are read here."""
    try:
        content = json.loads(body, parse_int=float)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise WebhookRejected("the body is no JSON object", HTTPStatus.BAD_REQUEST)
    return content


def _text(value: object, what: str) -> str:
    """Return a name from the sender, if a database can keep it."""
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isascii() and value.isprintable():
        return value
    raise WebhookRejected(f"the delivery's {what} is missing or malformed", HTTPStatus.BAD_REQUEST)


def _answer(status: HTTPStatus, content: BaseModel, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(content.model_dump(), status, headers)


async def _say_why(refusals: Refusals, request: Request, rejected: Exception) -> JSONResponse:
    assert isinstance(rejected, WebhookRejected)
    size = announced(request)
    why = f"{rejected} ({size} bytes were announced)" if size else str(rejected)
    refusals.note(_source(request), rejected.status, why)
    headers = {"Connection": "close"} if rejected.status in _CLOSING else {}
    if rejected.retry_after_s is not None:
        headers["Retry-After"] = str(rejected.retry_after_s)
    return _answer(HTTPStatus(rejected.status), Problem(error=str(rejected)), headers)


def _source(request: Request) -> str:
    """Return the source by the pattern of the path: a callback's own path is its proof, and stays out of the log."""
    pattern: str = request.scope["route"].path
    return pattern.removeprefix("/webhooks/").partition("/")[0]


def _parameter(name: str, where: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": where, "required": True, "schema": {"type": "string"}, "description": description}


def _request_body(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": dict(schema)}}}


_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    HTTPStatus.BAD_REQUEST: {"model": Problem, "description": "Malformed: a header, the body, the id or the topic."},
    HTTPStatus.REQUEST_TIMEOUT: {"model": Problem, "description": "The body came too slowly."},
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {"model": Problem, "description": "The body is too large."},
    HTTPStatus.TOO_MANY_REQUESTS: {"model": Problem, "description": "Too much at once.", "headers": _RETRY_AFTER},
    HTTPStatus.SERVICE_UNAVAILABLE: {"model": Problem, "description": "Not stored now.", "headers": _RETRY_AFTER},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    HTTPStatus.ACCEPTED: {"model": Taken, "description": "New and stored, or of a topic that is not handled."},
    HTTPStatus.OK: {"model": Taken, "description": "Known from before, or a ping, of which nothing is kept."},
    HTTPStatus.UNAUTHORIZED: {"model": Problem, "description": "Not proven: the signature, or its time."},
    **_PROBLEMS,
}
_CALLBACK_RESPONSES: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK: {"model": Taken, "description": "New and stored, or known from before."},
    HTTPStatus.NOT_FOUND: {"model": Problem, "description": "We never gave out this path."},
    **_PROBLEMS,
}
