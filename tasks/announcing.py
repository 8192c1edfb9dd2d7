"""
Events that automations react to: a run's changes, and the placements that wait for a person.

They are read from the ledger, not counted on the way, so they report the facts. Each is one event for many placements,
never one per placement: Prefect's server loses events that come in floods. ``docs/events.md`` describes them.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import ParamSpec

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event, get_events_client

from impactflow.buying.run import Run
from impactflow.escapes import without_addresses
from impactflow.ledger import Group
from impactflow.policy import Policy
from impactflow.reports.capped import Reached, reached
from impactflow.reports.standing import rounded_decimal
from tasks.context import current_run

#: The message for a person where events do not arrive.
NO_EVENTS = (
    "Prefect's server takes no events from here: the proxy before it, or that of HTTP_PROXY or HTTPS_PROXY, must pass"
    " websockets. Until then its pages show no task runs, no form for approval comes by itself, and no"
    " notification is sent."
)
#: The longest time for a connection for events, in seconds.
_LONGEST_CONNECT_S = 30.0
log = logging.getLogger(__name__)
P = ParamSpec("P")

#: The run after the settling time resolves a doubt; a doubt in its second hour has seen two such runs.
_TOO_LONG = timedelta(hours=1)
#: The longest text in an event, in characters: Prefect refuses an event above 1.5 MB.
_LONGEST = 200


@task(name="announce", cache_policy=NO_CACHE, retries=0)
async def announce(policy: Policy | None = None) -> None:
    """
    Announce this run's changes, and the placements that wait for a person: an event per store, provider and status.

    Every run announces the waiting placements anew, because a notification may be lost on its way. A run that buys
    also announces the caps of its policy of which it has used up a further share.
    """
    run = current_run()
    if policy:
        for each in await reached(run, policy):
            _emit(_emit_cap, policy.store, each, run.clock.now())
    for group in await run.ledger.changed(run.id, after=run.mark):
        _emit(_emit_event, group.status, group)
    for group in await waiting(run):
        _emit(_emit_event, "waiting", group)


async def waiting(run: Run) -> Sequence[Group]:
    """Return the placements that no run resolves by itself, or that runs have tried for too long."""
    resolved_by = timedelta(seconds=run.config.settle_s) + _TOO_LONG
    return await run.ledger.waiting(doubted_before=run.clock.now() - resolved_by)


async def events_arrive() -> bool:
    """Whether Prefect's server accepts events from here: they go over a websocket, which some proxies do not pass."""
    try:
        async with asyncio.timeout(_LONGEST_CONNECT_S), get_events_client(reconnection_attempts=0):
            return True
    except Exception:  # noqa: BLE001 - Prefect does not say what it raises
        return False


def _emit(emit: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Emit one event; if that fails, the run's purchases stay, and the summary reports them."""
    try:
        emit(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - Prefect does not say what it raises; the next run announces again
        log.warning(
            "an event could not be told to Prefect's server (%s)", type(error).__name__, extra={"action": "not_told"}
        )


def _emit_cap(store: str, each: Reached, now: datetime) -> None:
    use = each.use
    full_at = use.cap.full_at(use.used, now)
    emit_event(
        event="impactflow.cap.used",
        resource={
            "prefect.resource.id": f"impactflow.store.{store}",
            "prefect.resource.name": store,
            "impactflow.cap": use.cap.in_words,
            "impactflow.percent": str(each.percent),
        },
        payload={
            "store": store,
            "cap": use.cap.in_words,
            "percent": each.percent,
            "used": str(rounded_decimal(use.used)),
            "most": str(rounded_decimal(use.cap.most)),
            "unit": use.cap.unit,
            "waiting": use.waiting,
            "until": use.cap.until.isoformat(),
            "full_at": full_at and full_at.isoformat(),
        },
    )


def _emit_event(what: str, group: Group) -> None:
    first = [
        {
            "order": without_addresses(line.order)[:_LONGEST],
            "slot": line.slot,
            "reason": without_addresses(line.reason or "")[:_LONGEST],
            "since": line.since.isoformat(),
        }
        for line in group.first
    ]
    emit_event(
        event=f"impactflow.placement.{what}",
        resource={
            "prefect.resource.id": f"impactflow.store.{group.store}",
            "prefect.resource.name": group.store,
            "impactflow.provider": group.provider,
            "impactflow.status": group.status,
        },
        payload={
            "store": group.store,
            "provider": group.provider,
            "status": group.status,
            "count": group.count,
            "since": group.since.isoformat(),
            "first": first,
        },
    )
