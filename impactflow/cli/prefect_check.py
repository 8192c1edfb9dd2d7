"""Findings of ``impactflow doctor`` about Prefect's server; checked over HTTP: importing Prefect takes seconds."""

import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx

from impactflow.cli.prefect import ask, open_server, shortcomings
from impactflow.errors import ImpactError
from impactflow.settings import load_prefect_api

_FIELDS_OF_CRON = 5
_DAY_S = 86_400


def remarks_on_prefect() -> Iterator[str]:
    """
    Report our parts on Prefect's server, and settings there that harm our runs; one sentence each.

    Raises:
        ConfigurationError: No Prefect server that accepts us answers at PREFECT_API_URL.
        ImpactError: The server does not answer as it should, or accepts no events.
    """
    if not load_prefect_api().prefect_api_url:
        yield "PREFECT_API_URL is not set: each command starts a temporary server"
        return
    with open_server() as server:
        tag = {"deployments": {"tags": {"all_": ["impactflow"]}}}
        ours = ask(server, "POST", "deployments/filter", tag)
        yield _in_words(ours)
        yield from shortcomings(server)
        for deployment in ours:
            for schedule in deployment["schedules"]:
                if remark := remark_on_schedule(schedule["schedule"]):
                    yield f"{deployment['name']}: {remark}"
        if not _takes_events(server):
            raise ImpactError(
                "Prefect's server takes no events from here: the proxy before it, or that of HTTP_PROXY or HTTPS_PROXY,"
                " must pass websockets; until then no task runs are shown, no form for approval comes by itself and"
                " no notification is sent"
            )


def remark_on_schedule(schedule: Mapping[str, Any]) -> str:
    """
    Return a sentence on what is odd about the times of a schedule; an empty text where nothing is odd.

    Args:
        schedule: A schedule from Prefect's API.
    """
    cron, interval, zone = (schedule.get(name) for name in ("cron", "interval", "timezone"))
    if cron and len(cron.split()) > _FIELDS_OF_CRON:
        return (
            f"the schedule {cron!r} has six fields, so Prefect starts a run in every second of a minute: take one out"
        )
    if not _has_summer_time(zone):
        return ""
    if cron:
        return (
            f"the schedule {cron!r} follows the summer time of {zone}: in the night of its beginning a run may come an"
            " hour early, and at its end runs are an hour further apart; UTC has no such nights"
        )
    if interval and interval >= _DAY_S:
        return (
            f"the schedule of every {interval:g} s follows the summer time of {zone}: on some days two runs come, and"
            " afterwards all come an hour early; a cron in UTC has no such days"
        )
    return ""


def _has_summer_time(zone: str | None) -> bool:
    year = datetime.now(UTC).year
    try:
        offsets = {datetime(year, month, 1, tzinfo=ZoneInfo(zone or "UTC")).utcoffset() for month in (1, 7)}
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return len(offsets) > 1


def _in_words(ours: list[Mapping[str, Any]]) -> str:
    if not ours:
        return "the server answers; no deployment is registered: `impactflow register` or `impactflow serve` does so"
    paused = ", ".join(each["name"] for each in ours if each["paused"])
    return f"the server answers, with {len(ours)} deployments; paused: {paused or 'none'}"


def _takes_events(server: httpx.Client) -> bool:
    """Whether the server accepts a websocket at the address where runs send their events."""
    key = b64encode(secrets.token_bytes(16)).decode()
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    try:
        with server.stream("GET", "events/in", headers={**headers, "Sec-WebSocket-Protocol": "prefect"}) as answer:
            return answer.status_code == httpx.codes.SWITCHING_PROTOCOLS
    except httpx.HTTPError:
        return False
