"""
The requests and replies of the sandbox, free of any HTTP library.

``transport.py`` and ``server.py`` translate these to httpx and aiohttp; everything else in the sandbox knows only
these.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=float)  # decimals are numbers


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """
    One request as it arrived; two requests are never equal, however alike.

    Args:
        method: In capitals.
        path: As sent, still percent-encoded.
        query: As sent, without the question mark.
        headers: Names in lower case.
        body: The whole body.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """
    A reply of the sandbox.

    Args:
        status: The HTTP status; meaningless where ``reset``.
        headers: Headers to send besides the content's length.
        body: The whole body.
        delay_s: How long the provider takes before it answers, or before it drops the connection; seconds.
        reset: Whether the connection breaks instead of an answer. A hang is a reset after a long delay.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    reset: bool = False


def json_reply(
    status: int, content: Any, headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> Reply:
    """A reply with this content as JSON."""
    return Reply(status, {"content-type": media_type, **(headers or {})}, to_json(content).encode(errors="replace"))


def to_json(content: Any) -> str:
    """Compact JSON."""
    return _ENCODER.encode(content)


def iso_millis(moment: datetime) -> str:
    """Format a moment as in ``2026-11-21T09:30:00.000Z``."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def iso_micros(moment: datetime) -> str:
    """Format a moment as in ``2026-11-21T09:30:00.000000Z``."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
