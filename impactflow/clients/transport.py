"""
The production transport: httpx requests sent by aiohttp.

It exists for speed and for correct errors. httpx's own pool collapses with many requests in flight. The public adapter
``httpx-aiohttp`` reports a connection that breaks after the request was sent as ``httpx.ConnectTimeout``, which reads
as "nothing was sent" and would buy twice. Here a connect error means that no byte of the request left.

Each request is sent once. aiohttp by itself would repeat a GET, PUT or DELETE whose kept-alive connection is lost, and
the server may have acted on the first. A write may check once more, in the very step that writes it, whether it may
still be sent: before that step it waits for a turn, for a connection and for the loop, and during each wait the machine
may be suspended for hours. ``http``, the only user of this module, decides what an answer means.

An answer's memory is bounded, both as it comes and unpacked: a few kilobytes can unpack to gigabytes.
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
#: The most bytes of an answer once it is unpacked: such JSON packs to a quarter or less.
MOST_UNPACKED = 4 * MOST_READ
#: The formats of a packed answer, by its header; ``deflate`` comes with zlib's own header or without.
_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_CODINGS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _BARE)}
#: The headers that describe a packed answer and no longer hold once it is unpacked.
_OF_THE_PACKED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class AnswerTooLarge(httpx.TransportError):
    """The rest of an answer was not read, because it is larger than any that is documented."""


class Unconnected(httpx.ConnectError):
    """
    No connection could be made; nothing was sent.

    Args:
        cause: The reason.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.why)
        self.cause = cause


class _Unpacker:
    """
    Unpacks one coding piece by piece, up to a bound.

    Args:
        formats: The zlib formats to try; the first that fits the first piece is used.
        most: The most bytes that may come out.
    """

    def __init__(self, formats: Sequence[int], most: int) -> None:
        self._formats = list(formats)
        self._inflater = zlib.decompressobj(self._formats.pop(0))
        self._left = most

    def unpack(self, piece: bytes) -> bytes:
        """
        Unpack one piece.

        Raises:
            AnswerTooLarge: All pieces together unpack to more than the bound.
            httpx.DecodingError: The piece is not packed as its header says.
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
    Read an answer's body and unpack it as it comes; stop once it is too large.

    Args:
        pieces: The body's pieces as they come.
        codings: The codings that packed the body, the last first; unknown codings stay as they are.

    Raises:
        AnswerTooLarge: The body is too large.
        httpx.DecodingError: The body is not packed as its header says.
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
    """Return the codings that packed a body, the last first; empty where it is not packed."""
    header = ",".join(answer.headers.getall("Content-Encoding", ()))
    return [coding.strip().lower() for coding in reversed(header.split(","))] if header else []


@lru_cache(maxsize=16)
def _timeout(connect_s: float | None) -> aiohttp.ClientTimeout:
    """Limit the time to connect only; the caller's deadline limits the whole request."""
    return aiohttp.ClientTimeout(total=None, connect=connect_s)


class _Connector(aiohttp.TCPConnector):
    """
    Connects, through a proxy where the environment says so.

    A failure here, also of CONNECT and the TLS behind it, means that no byte of the request was written.
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
        Return a connection, kept from before or new.

        Raises:
            Unconnected: No connection could be made.
        """
        try:
            return await super().connect(req, traces, timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise Unconnected(cause_of(error, self._proxies if req.proxy else None)) from None


class _Request(aiohttp.ClientRequest):
    """A request that can call ``final_check`` before it is written."""

    final_check: Callable[[], None] | None = None

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: aiohttp.connector.Connection, content_length: int | None = None
    ) -> None:
        """
        Call ``final_check``, then write head and body; nothing is awaited in between.

        Up to here aiohttp has only put the head together, and with a small body both leave at once. An error of
        ``final_check`` is raised where the answer is awaited, so that it reaches the caller unchanged.
        """
        if self.final_check is not None and conn.protocol is not None:
            try:
                self.final_check()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                conn.protocol.set_exception(error)
                return
        await super().write_bytes(writer, conn, content_length)


def _once(final_check: Callable[[], None] | None) -> aiohttp.ClientMiddlewareType:
    """Report a lost connection as an error that is not aiohttp's own: aiohttp sends again after its own errors."""

    async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if isinstance(request, _Request):
            request.final_check = final_check
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

        The extension ``final_check`` of a request that is not a GET is called in the step that writes the request. An
        error of ``final_check`` is raised, and nothing was sent.

        Raises:
            Unconnected: No connection could be made, or not in time; nothing was sent.
            httpx.ReadError: The connection broke after that; the request may have arrived.
            httpx.RemoteProtocolError: The answer is not HTTP; the request has arrived.
            httpx.DecodingError: The answer is not packed as its header says.
            AnswerTooLarge: The answer is too large; the rest of it was not read.
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
                middlewares=(_once(request.extensions.get("final_check")),),
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
        """Open the pool at the first request, when the pool's event loop runs."""
        self._session = aiohttp.ClientSession(
            connector=_Connector(self._proxies, limit=self._concurrency, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # unpacked here, within a bound
            skip_auto_headers=("Content-Type",),  # a request without a body has none
            request_class=_Request,
        )
        return self._session

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None
