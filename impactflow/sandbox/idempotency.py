"""
Idempotency keys: one request at a time under each, one effect, and the same answer again.

A key is remembered with the request that took effect under it; a refused request leaves its key free.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from impactflow.sandbox.api import Call, Declined
from impactflow.sandbox.messages import Request

#: A function that makes an answer's content; it makes the same content each time.
Content = Callable[[], dict[str, Any]]

_MOST = 512
_PRINTABLE = re.compile(r"[ -~]+")


@dataclass(frozen=True, slots=True)
class _Remembered:
    fingerprint: bytes
    content: Content
    at: datetime


class IdempotencyKeys:
    """
    The meanings of one account's keys.

    Args:
        lifetime_s: How long a key is remembered, in seconds; None for ever.
    """

    def __init__(self, lifetime_s: float | None) -> None:
        self._lifetime = None if lifetime_s is None else timedelta(seconds=lifetime_s)
        self._remembered: dict[str, _Remembered] = {}
        self._running: dict[str, Request] = {}

    def hold(self, request: Request) -> None:
        """Let the first request to arrive with a key own it while it runs."""
        if key := _key(request):
            self._running.setdefault(key, request)

    def release(self, request: Request) -> None:
        """Free the key, if this request owned it."""
        key = _key(request)
        if key is not None and self._running.get(key) is request:
            del self._running[key]

    def once(self, call: Call, effect: Callable[[Call], Content]) -> tuple[Content, bool]:
        """
        Have this effect, unless the key already stands for it.

        Returns:
            The answer, and whether it was given before.

        Raises:
            Declined: The key is not valid (400), is in use (409) or stands for another request (422).
        """
        key = _key(call.request)
        if key is None:
            return effect(call), False
        _check(key)
        if self._running.get(key) is not call.request:
            raise Declined(409, "A request with this Idempotency-Key is still running.")
        known, fingerprint = self._recall(key, call.now), _fingerprint(call.request)
        if known is None:
            self._remembered[key] = _Remembered(fingerprint, effect(call), call.now)
            return self._remembered[key].content, False
        if known.fingerprint != fingerprint:
            raise Declined(422, "This Idempotency-Key was used with another request.")
        return known.content, True

    def _recall(self, key: str, now: datetime) -> _Remembered | None:
        known = self._remembered.get(key)
        if known is None or (self._lifetime is not None and now - known.at >= self._lifetime):
            return None
        return known


def _key(request: Request) -> str | None:
    return request.headers.get("idempotency-key")


def _check(key: str) -> None:
    if len(key) > _MOST:
        raise Declined(400, f"Idempotency-Key has at most {_MOST} characters.", code="idempotency-key-too-long")
    if not _PRINTABLE.fullmatch(key):
        raise Declined(400, "Idempotency-Key is made of printable ASCII.", field="Idempotency-Key")


def _fingerprint(request: Request) -> bytes:
    """Return a digest of everything in a request that bears on its effect."""
    line = f"{request.method} {request.path} {request.headers.get('x-subaccount-id')}\n"
    return blake2b(line.encode() + request.body, digest_size=16).digest()
