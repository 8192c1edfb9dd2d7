"""
The limits for a sender: the size of a delivery, the time it may take, and the total size of deliveries under way.

No sender is proven before the whole body was read, so these limits hold for all. They protect the receiver's memory.
The ledger needs no protection, since deliveries that come together are written with one commit.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from impactflow.errors import WebhookRejected

_CUT_SHORT, _TOO_SLOW, _TOO_LARGE, _TOO_MANY = 400, 408, 413, 429
#: The approximate memory of a delivery under way besides its body, in bytes.
_OVERHEAD = 8 * 1024
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    The limits for one source.

    Args:
        max_bytes: The size of the largest body, in bytes.
        body_s: The longest time for a body to arrive, in seconds.
        under_way_bytes: The most memory of all deliveries under way: thousands of ordinary ones, dozens of the largest.
        ledger_s: The time after which a slow ledger makes the sender repeat, in seconds; Shopify waits for 5.
    """

    max_bytes: int = 2 * 1024 * 1024
    body_s: float = 10.0
    under_way_bytes: int = 64 * 1024 * 1024
    ledger_s: float = 4.0


class Intake:
    """Receives the bodies of one source."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._free = bounds.under_way_bytes

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """
        Yield a delivery's body; its memory counts until the context is left.

        Raises:
            WebhookRejected: The body is too large, too slow or cut short, or too many are under way.
        """
        held = self._take(_OVERHEAD)
        body = bytearray()
        try:
            async for chunk in self._chunks(request):
                if len(body) + len(chunk) > self._bounds.max_bytes:
                    raise self._too_large()
                held += self._take(len(chunk))
                body += chunk
            yield bytes(body)
        finally:
            self._free += held

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, unless it is too slow or its announced size is too large."""
        if announced(request) > self._bounds.max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._bounds.body_s):
                async for chunk in request.stream():
                    yield chunk
        except TimeoutError:
            raise WebhookRejected(f"the body took longer than {self._bounds.body_s:g} s", _TOO_SLOW) from None
        except ClientDisconnect:
            raise WebhookRejected("the body was cut short", _CUT_SHORT) from None

    def _take(self, size: int) -> int:
        if size > self._free:
            raise WebhookRejected("too much at once; repeat it later", _TOO_MANY, retry_after_s=_RETRY_AFTER_S)
        self._free -= size
        return size

    def _too_large(self) -> WebhookRejected:
        return WebhookRejected(f"the body is larger than {self._bounds.max_bytes} bytes", _TOO_LARGE)


def announced(request: Request) -> int:
    """Return the announced size of the body, in bytes; 0 where none is announced. The server enforces this size."""
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        return 0
