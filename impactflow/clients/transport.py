"""
The production transport: httpx requests sent by aiohttp.

It exists for speed and for honesty. httpx's own pool collapses with many requests in flight, and the public adapter
``httpx-aiohttp`` reports a connection that breaks after the request was sent as ``httpx.ConnectTimeout``, which reads
as "nothing was sent" and would buy twice. Here a connect error means that no byte of the request left.

Each request is sent once: what aiohttp by itself would repeat, a GET, PUT or DELETE whose kept-alive connection is
lost, the server may have acted on. A write may look once more whether it may still be sent, in the very step that
writes it: before that step there is a wait for a turn, for a connection and for the loop, in any of which a machine may
stand still for hours. What an answer means is left to ``http``, which alone uses this.

No answer takes more memory than a bound, neither as it comes nor unpacked: a few kilobytes can unpack to gigabytes.
"""

import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
from aiohttp.abc import AbstractStreamWriter

from impactflow.clients.causes import Cause, cause_of
from impactflow.clients.proxies import Proxies, read_proxies

#: Below the 5 s after which many servers close an idle connection: a write that meets a closed one is in doubt.
KEEP_ALIVE_S = 4.0
#: The longest answer that is read, in bytes: a page of a thousand records with all the metadata that 1ClickImpact takes
#: comes to 11 MB.
MOST_READ = 16 * 2**20
#: The most that it may be once it is unpacked, in bytes: JSON like that packs to a quarter or less.
MOST_UNPACKED = 4 * MOST_READ
#: What a packed answer begins with is told by its header; ``deflate`` comes with zlib's own header or without.
_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_CODINGS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _BARE)}
#: What is told of a packed answer, and no longer holds for what it unpacked to.
_OF_THE_PACKED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class AnswerTooLarge(httpx.TransportError):
    """The rest of an answer was not read, because it is larger than any that is documented."""


class Unconnected(httpx.ConnectError):
    """
    No connection could be made; nothing was sent.

    Args:
        cause: Why.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.why)
        self.cause = cause


class _Unpacker:
    """
    Unpacks one coding piece by piece, never more than a bound.

    Args:
        formats: Which of zlib's it may be; the first that fits the first piece.
        most: The most bytes that may come of it.
    """

    def __init__(self, formats: Sequence[int], most: int) -> None:
        self._formats = list(formats)
        self._inflater = zlib.decompressobj(self._formats.pop(0))
        self._left = most

    def unpack(self, piece: bytes) -> bytes:
        """
        What a piece unpacks to.

        Raises:
            AnswerTooLarge: More than the bound came of all pieces.
            httpx.DecodingError: It is not packed as its header says.
        """
        try:
            unpacked = self._inflater.decompress(piece, self._left + 1)
        except zlib.error as error:
            if not self._formats:
                raise httpx.DecodingError(str(error)) from None
            self._inflater = zlib.decompressobj(self._formats.pop(0))
            return self.unpack(piece)
        self._formats.clear()
        self._left -= len(unpacked)
        if self._left < 0:
            raise AnswerTooLarge(f"it unpacks to more than {MOST_UNPACKED >> 20} MiB")
        return unpacked


async def _whole(pieces: AsyncIterator[bytes], codings: Sequence[str]) -> bytes:
    """
    An answer's body, unpacked while it comes; nothing is read after it was found too large.

    Args:
        pieces: As they come.
        codings: How it was packed, the last first; what nobody asked for is left as it is.

    Raises:
        AnswerTooLarge: It is.
        httpx.DecodingError: It is not packed as its header says.
    """
    unpackers = [_Unpacker(_CODINGS[coding], MOST_UNPACKED) for coding in codings if coding in _CODINGS]
    read, body = 0, []
    async for piece in pieces:
        read += len(piece)
        if read > MOST_READ:
            raise AnswerTooLarge(f"it is longer than {MOST_READ >> 20} MiB")
        for unpacker in unpackers:
            piece = unpacker.unpack(piece)  # noqa: PLW2901 - from one coding to the next
        body.append(piece)
    return b"".join(body)


def _codings(answer: aiohttp.ClientResponse) -> list[str]:
    """How a body was packed, the last first; empty where it was not."""
    told = ",".join(answer.headers.getall("Content-Encoding", ()))
    return [coding.strip().lower() for coding in reversed(told.split(","))] if told else []


@lru_cache(maxsize=16)
def _timeout(connect_s: float | None) -> aiohttp.ClientTimeout:
    """Bound the connecting only; the caller's deadline bounds the whole."""
    return aiohttp.ClientTimeout(total=None, connect=connect_s)


class _Connector(aiohttp.TCPConnector):
    """
    Connects, where the environment says so by way of a proxy.

    Whatever fails here, CONNECT and the TLS behind it included, no byte of the request was written.
    """

    def __init__(self, proxies: Proxies, **options: Any) -> None:
        super().__init__(**options)
        self._proxies = proxies

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - its parent's
    ) -> aiohttp.connector.Connection:
        """
        A connection, kept from before or new.

        Raises:
            Unconnected: There is none.
        """
        try:
            return await super().connect(req, traces, timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise Unconnected(cause_of(error, self._proxies if req.proxy else None)) from None


class _Request(aiohttp.ClientRequest):
    """A request that can look once more before it is written."""

    last_look: Callable[[], None] | None = None

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: aiohttp.connector.Connection, content_length: int | None = None
    ) -> None:
        """
        Look, then write head and body; nothing is awaited in between.

        Up to here aiohttp has only put the head together, and with a small body both leave at once. What the look
        raises is told where the answer is awaited, so that it reaches the caller as it is.
        """
        if self.last_look is not None and conn.protocol is not None:
            try:
                self.last_look()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                conn.protocol.set_exception(error)
                return
        await super().write_bytes(writer, conn, content_length)


def _once(last_look: Callable[[], None] | None) -> aiohttp.ClientMiddlewareType:
    """Report a lost connection as an error that is not aiohttp's own: only after those does it send again."""

    async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if isinstance(request, _Request):
            request.last_look = last_look
        try:
            return await send(request)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise httpx.ReadError(type(error).__name__) from None

    return send_once


class AiohttpTransport(httpx.AsyncBaseTransport):
    """
    Sends each request once and reads the whole answer; no redirects or cookies; TLS is verified, also behind a proxy.

    Args:
        concurrency: The most connections open at once; a further request waits for one within its connect timeout.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._proxies = read_proxies()
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """
        Send the request and read its answer.

        Its extension ``last_look`` is called in the step that writes it, where it is not a GET; what that raises is
        raised, and nothing was sent.

        Raises:
            Unconnected: No connection could be made, or not in time; nothing was sent.
            httpx.ReadError: The connection broke after that; the request may have arrived.
            httpx.RemoteProtocolError: What came back is not HTTP; the request has arrived.
            httpx.DecodingError: The answer is not packed as it says.
            AnswerTooLarge: The answer is; the rest of it was not read.
        """
        session = self._session or self._open()
        timeouts = request.extensions.get("timeout", {})
        try:
            async with session.request(
                request.method,
                str(request.url),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=None if request.method == "GET" else request.content,  # an empty body is written all the same
                allow_redirects=False,
                proxy=self._proxies.url_for(request.url.host),
                timeout=_timeout(timeouts.get("connect")),
                middlewares=(_once(request.extensions.get("last_look")),),
            ) as answer:
                codings = _codings(answer)
                if codings or (answer.content_length or MOST_READ) >= MOST_READ:
                    body = await _whole(answer.content.iter_any(), codings)
                else:
                    body = await answer.read()
        except aiohttp.ClientResponseError as error:
            raise httpx.RemoteProtocolError(type(error).__name__, request=request) from None
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ReadError(type(error).__name__, request=request) from None
        headers = answer.raw_headers
        if codings:
            headers = tuple(header for header in headers if header[0].lower() not in _OF_THE_PACKED)
        return httpx.Response(answer.status, headers=headers, content=body, request=request)

    def _open(self) -> aiohttp.ClientSession:
        """Open the pool at the first request, when the loop that it belongs to runs."""
        self._session = aiohttp.ClientSession(
            connector=_Connector(self._proxies, limit=self._concurrency, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # there is a bound to it here
            skip_auto_headers=("Content-Type",),  # what has no body has none
            request_class=_Request,
        )
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None
