"""
Send a provider's requests and read its answers; ``HttpClient._exchange`` is the only line that touches the network.

Reads are tried again here, writes never: the ledger decides what to do about a write. ``answers`` says what an answer
means, ``limits`` holds requests back. The four clients are the only callers; the code that opens a transport closes it.
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError

from impactflow.clients.answers import Account, Call, Misshapen
from impactflow.clients.limits import HeldBackError, RateLimit
from impactflow.clients.transport import AiohttpTransport, AnswerTooLarge, Unconnected
from impactflow.clock import Clock, SystemClock
from impactflow.errors import NotSent, ProviderError, RateLimited, Refused

_log = logging.getLogger(__name__)
T = TypeVar("T")
Query = Mapping[str, Any]
Headers = Sequence[tuple[str, str]]

#: The clock of a client that was given none.
SYSTEM_CLOCK = SystemClock()
#: The number of times that a read is tried.
TRIES = 5
#: The first wait of a read after a failure, in seconds; it doubles each time.
BACKOFF_S = 0.5
#: The longest that a read waits for its turn, in seconds; the next run may succeed.
READ_PATIENCE_S = 300.0
#: Errors that certainly happened before a byte was sent.
_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

#: Keeps the order of keys and adds no spaces: the same arguments make the same bytes, as idempotency keys require.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
#: Cached, since parsing a URL costs as much as all else about a request; the paths that buy are few and recur.
_parse_url = lru_cache(maxsize=64)(httpx.URL)


def open_transport(concurrency: int) -> httpx.AsyncBaseTransport:
    """
    Open the production transport; close it with ``aclose``.

    Args:
        concurrency: The most connections open at once.
    """
    return AiohttpTransport(concurrency)


def quick_copy(original: T) -> T:
    """Copy an object but nothing that it refers to. Each purchase needs a copy, and ``copy.copy`` is slower."""
    duplicate: T = object.__new__(type(original))
    duplicate.__dict__.update(original.__dict__)
    return duplicate


class HttpClient:
    """
    One account at one provider: its reads, its writes and its rate limit.

    Args:
        account: The address and the key.
        transport: The transport that carries the requests.
        timeout_s: The most seconds for a write from the call to its end, including the wait for its turn; and the most
            seconds for each try of a read.
        clock: Gives the time and waits.
    """

    def __init__(
        self, account: Account, *, transport: httpx.AsyncBaseTransport, timeout_s: float, clock: Clock
    ) -> None:
        self.account = account
        self._transport = transport
        self._timeout_s = timeout_s
        self._clock = clock
        self._limit = RateLimit(clock)
        # The fixed parts are put together once: most of a purchase's time is this client's own work.
        fixed = (("Host", httpx.URL(account.base_url).netloc.decode()), ("Accept", "application/json"))
        encodings = (("Accept-Encoding", "gzip, deflate"),)  # the encodings that httpx can always decode
        self._fixed, self._key = _raw((*fixed, *encodings)), _raw(account.headers)
        connect_s = timeout_s / 4
        timeouts = {"connect": connect_s, "pool": connect_s, "read": timeout_s, "write": timeout_s}
        self._extensions: dict[str, Any] = {"timeout": timeouts}
        self._write_extensions = self._extensions

    def with_final_check(self, final_check: Callable[[], None]) -> Self:
        """
        Copy the client, with the same rate limit; the copy's writes call ``final_check`` in the step that sends them.

        Args:
            final_check: A quick check that raises ``NotSent`` where the write may not be sent any more.
        """
        with_final_check = quick_copy(self)
        with_final_check._write_extensions = {**self._extensions, "final_check": final_check}  # noqa: SLF001 - a copy of this one
        return with_final_check

    async def read(
        self,
        operation: str,
        path: str,
        decode: Callable[[bytes], T],
        *,
        query: Query | None = None,
        body: object = None,
        headers: Headers = (),
        instead_of_key: Headers | None = None,
        always_there: bool = False,
    ) -> T:
        """
        Ask without changing anything, up to ``TRIES`` times.

        Args:
            operation: The provider's name of it.
            path: The path behind the base URL, its parts already quoted.
            decode: Turns the answer's body into a value, or raises ``ValidationError``.
            query: Names and values, not yet quoted; a list is written as its name with each of its values.
            body: The value to send as JSON, with POST; None for no body, with GET.
            headers: Headers besides the account's own.
            instead_of_key: The headers that show who asks, where the account's key does not.
            always_there: Whether every account has the resource, such as a list's first page.

        Raises:
            WrongAddress: A resource that is always there was not found (404): the URL is wrong.
            Refused: The provider declined (4xx).
            RateLimited: Too many requests, for longer than is worth waiting here.
            Unavailable: No readable answer came, in all tries.
        """
        secrets = _values(instead_of_key)
        call = Call(self.account, operation, is_write=False, always_there=always_there, secrets=secrets)
        url = (
            f"{self.account.base_url}{path}?{urlencode(query, doseq=True)}"
            if query
            else f"{self.account.base_url}{path}"
        )
        method = "GET" if body is None else "POST"
        request = self._build(method, httpx.URL(url), body, headers, instead_of_key, self._extensions)
        tries = 1
        while True:
            try:
                return await self._read_once(call, request, decode)
            except NotSent as error:
                if tries == TRIES or not _worth_repeating(error):
                    raise
                if not isinstance(error, RateLimited):  # a rate limit: the limiter waits before the next turn
                    await self._clock.sleep(BACKOFF_S * 2 ** (tries - 1) * random.uniform(0.5, 1.0))
                tries += 1
                more = {"action": "read_repeated", "provider": error.provider, "operation": operation}
                _log.info("Asking %s again: %s", error.provider, operation, extra=more)

    async def write(
        self,
        operation: str,
        path: str,
        decode: Callable[[bytes], T],
        *,
        method: str = "POST",
        body: object = None,
        headers: Headers = (),
        instead_of_key: Headers | None = None,
        idempotency_key: str | None = None,
    ) -> T:
        """
        Buy or change something, once.

        Args:
            operation: The provider's name of it.
            path: The path behind the base URL, its parts already quoted.
            decode: Turns the answer's body into a value, or raises ``ValidationError``.
            method: The HTTP method, in capitals.
            body: The value to send as JSON; None for no body.
            headers: Headers besides the account's own.
            instead_of_key: The headers that show who asks, where the account's key does not.
            idempotency_key: The value of ``Idempotency-Key``, for a provider that knows this header.

        Raises:
            Refused: The provider declined (4xx); nothing happened.
            NotSent: The write was not sent, for example because the last look forbade it or a rate limit was reached;
                nothing happened.
            OutcomeUnknown: No readable answer came, or a redirect; the write may have happened.
        """
        has_key, secrets = idempotency_key is not None, _values(instead_of_key)
        call = Call(self.account, operation, is_write=True, has_key=has_key, secrets=secrets)
        url = _parse_url(f"{self.account.base_url}{path}")
        if idempotency_key is not None:
            headers = (*headers, ("Idempotency-Key", idempotency_key))
        request = self._build(method, url, body, headers, instead_of_key, self._write_extensions)
        response = await self._exchange(call, request, self._timeout_s / 2)
        try:
            return decode(response.content)
        except ValidationError as broken:
            raise call.unreadable(response, broken) from None

    async def read_back(self, operation: str, reading: Awaitable[T]) -> T:
        """
        Read whether a declined write had been done before.

        Args:
            operation: The provider's name of the write.
            reading: The read.

        Raises:
            OutcomeUnknown: The read failed, so the write may have been done or not.
        """
        try:
            return await reading
        except ProviderError as error:
            raise Call(self.account, operation, is_write=True).undecided(error) from None

    def refused(self, operation: str, why: str) -> Refused:
        """Make the error for arguments that break a documented limit."""
        return Call(self.account, operation, is_write=True).refused(why)

    async def _read_once(self, call: Call, request: httpx.Request, decode: Callable[[bytes], T]) -> T:
        response = await self._exchange(call, request, READ_PATIENCE_S)
        try:
            return decode(response.content)
        except ValidationError as broken:
            raise call.unreadable(response, broken) from None

    def _build(
        self,
        method: str,
        url: httpx.URL,
        body: object,
        more: Headers,
        instead_of_key: Headers | None,
        extensions: dict[str, Any],
    ) -> httpx.Request:
        """Put a request together; its headers are raw, because merging headers costs more than sending."""
        headers, content = [*self._fixed], b""
        headers += self._key if instead_of_key is None else _raw(instead_of_key)
        if body is not None:
            content = _encode(body).encode()
            headers.append((b"Content-Type", b"application/json"))
        if method != "GET":
            headers.append((b"Content-Length", b"%d" % len(content)))
        headers += _raw(more)
        stream = httpx.ByteStream(content)
        request = httpx.Request(method, url, headers=headers, stream=stream, extensions=extensions)
        request.read()
        return request

    async def _exchange(self, call: Call, request: httpx.Request, patience_s: float) -> httpx.Response:
        """Wait for a turn, send, and return a successful answer; raise an error for any other outcome."""
        try:
            turn = await self._limit.take(patience_s)
        except HeldBackError as held:
            raise call.held_back(held.wait_s) from None
        response: httpx.Response | None = None
        deadline_s = self._timeout_s - turn.waited_s if call.is_write else self._timeout_s
        try:
            async with asyncio.timeout(deadline_s):
                response = await self._transport.handle_async_request(request)
                await response.aread()
        except Unconnected as error:
            raise call.unreachable(error.cause.why, error.cause.check) from None
        except _NOT_CONNECTED as error:
            raise call.unreachable(type(error).__name__) from None
        except AnswerTooLarge as error:
            raise call.too_large(str(error)) from None
        except (httpx.HTTPError, OSError) as error:
            raise call.unanswered(f"no whole answer came ({type(error).__name__})") from None
        finally:
            status = response.status_code if response is not None else None
            self._limit.finish(turn, status, response.headers if response is not None else {})
        if not response.is_success:
            raise call.failed(response, self._clock.now())
        return response


def given(**fields: Any) -> dict[str, Any]:
    """Return the fields of a query or a body that are not None, in their order."""
    return {name: value for name, value in fields.items() if value is not None}


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]


def _values(headers: Headers | None) -> tuple[str, ...]:
    return tuple(value for _, value in headers) if headers else ()


def _worth_repeating(error: NotSent) -> bool:
    """Whether asking again may help: not after our own limiter refused, nor after a complete but wrong answer."""
    held_back = isinstance(error, RateLimited) and error.status is None
    return not held_back and not isinstance(error, Misshapen)
