"""
The automations that correct the states of runs on a server, and that notify a person.

A run whose process and worker died together stays Running for ever, and a run that was never started stays Pending.
Both would keep their deployment's place in the queue. They are marked Crashed and never started again: the next run
of the same deployment is the recovery.
"""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.automations import AutomationCore, ChangeFlowRunState, EventTrigger, Posture, SendNotification
from prefect.blocks.abstract import NotificationError
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectHTTPStatusError

from impactflow.errors import ConfigurationError, ImpactError
from tasks.blocks import read_block

#: The address of a receiver is its key.
_URL = re.compile(r"https?://\S+")
#: Only runs of our own deployments: all of them bear this tag.
_OURS = {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.impactflow"}
_ANY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
_ANY_STORE = {"prefect.resource.id": "impactflow.store.*"}
_HEARTBEAT, _PENDING = "prefect.flow-run.heartbeat", "prefect.flow-run.Pending"
#: The states of a run that has stopped running; without one of these or a next heartbeat, the run has vanished.
_LEFT_RUNNING = {
    f"prefect.flow-run.{state}"
    for state in (
        "Completed", "Failed", "Crashed", "Cancelling", "Cancelled", "TimedOut", "RolledBack", "Paused", "Suspended",
        "Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Retrying", "Resuming",
    )
}  # fmt: skip
#: A run that no worker even tries to start: its deployment's place is taken, or no worker took it after it was resumed.
#: Prefect never calls such a run late.
_WAITING = {"prefect.flow-run.AwaitingConcurrencySlot", "prefect.flow-run.Resuming"}
#: More than two of the schedules of prefect.yaml that queue for a place: the hourly ones, in seconds.
WAITING_AFTER_S = 2 * 3600.0
#: The time in which a person is notified at most once of each kind of trouble, in seconds. Every run announces
#: what waits for a person, so a message that was lost on its way is sent again after this time.
AGAIN_AFTER_S = 3600.0
_LEFT_WAITING = {_PENDING, "prefect.flow-run.Running"} | {
    f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Crashed", "Cancelling", "Cancelled", "TimedOut")
}
#: The events about placements that wait for a person, as ``tasks`` announces them.
_FOR_A_PERSON = {f"impactflow.placement.{what}" for what in ("failed", "parked", "awaiting_approval", "waiting")}


async def install(
    notify: str | None,
    vanished_after_s: float,
    pending_after_s: float,
    *,
    waiting_after_s: float = WAITING_AFTER_S,
    again_after_s: float = AGAIN_AFTER_S,
) -> list[str]:
    """
    Make the automations, or renew existing ones, and return their names.

    Args:
        notify: The notification block for messages, as TYPE/NAME such as ``slack-webhook/impactflow``; None for only
            those automations that mark runs.
        vanished_after_s: The time after which a run without a heartbeat has vanished, in seconds; one comes every 30 s.
        pending_after_s: The longest time for a run to start, in seconds.
        waiting_after_s: The longest wait for a deployment's place, or for a worker after a resume, in seconds.
        again_after_s: The time without a second message about the same kind of trouble, in seconds.

    Raises:
        ConfigurationError: There is no such block.
        ImpactError: The server refused an automation; those before it are installed.
    """
    async with get_client() as client:
        wanted = _marking(vanished_after_s, pending_after_s)
        if notify:
            wanted += _notifying(await _find_block(client, notify), waiting_after_s, again_after_s)
        for automation in wanted:
            try:
                await _put(client, automation)
            except PrefectHTTPStatusError as refused:
                raise ImpactError(f"Prefect's server did not take {automation.name!r}: {refused}") from None
    return [automation.name for automation in wanted]


async def _put(client: PrefectClient, automation: AutomationCore) -> None:
    """Leave an up-to-date automation alone: an update forgets the runs whose events it was waiting for."""
    known = await client.read_automations_by_name(automation.name)
    if not known:
        await client.create_automation(automation)
    elif any(getattr(known[0], field) != getattr(automation, field) for field in ("description", "trigger", "actions")):
        await client.update_automation(known[0].id, automation.model_copy(update={"enabled": known[0].enabled}))


def _marking(vanished_after_s: float, pending_after_s: float) -> list[AutomationCore]:
    return [
        AutomationCore(
            name="impactflow: mark a run that vanished",
            description="Its process and its worker died together. The next run goes on where it ended.",
            trigger=_absence({_HEARTBEAT}, _LEFT_RUNNING | {_HEARTBEAT}, vanished_after_s),
            actions=[_crashed(f"no sign of life for {vanished_after_s:g} s")],
        ),
        AutomationCore(
            name="impactflow: mark a run that never started",
            description="Its worker died, or its machine could not start it. The next run does its work.",
            trigger=_absence({_PENDING}, _LEFT_RUNNING | {"prefect.flow-run.Running"}, pending_after_s),
            actions=[_crashed(f"not started for {pending_after_s:g} s")],
        ),
    ]


def _notifying(block: UUID, waiting_after_s: float, again_after_s: float) -> list[AutomationCore]:
    def happens(events: set[str], match: dict[str, str], kinds: set[str]) -> EventTrigger:
        return EventTrigger(
            expect=events,
            match=match,
            match_related=_OURS if match is _ANY_RUN else {},
            for_each=kinds,
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(seconds=again_after_s),
        )

    def automation(name: str, trigger: EventTrigger, subject: str, body: str) -> AutomationCore:
        notification = SendNotification(block_document_id=block, subject=subject, body=body)
        return AutomationCore(name=f"impactflow: {name}", trigger=trigger, actions=[notification])

    return [
        automation(
            "tell of a run that failed",
            happens(
                {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")},
                _ANY_RUN,
                {"related:deployment:prefect.resource.id"},
            ),
            "impactflow: {{ flow_run.name }} is {{ flow_run.state.name }}",
            "{{ flow_run.name }} of {{ flow.name }} is {{ flow_run.state.name }}. The next run goes on where it ended;"
            " what it says is at {{ flow_run|ui_url }}",
        ),
        automation(
            "tell of a schedule that is late",
            happens({"prefect.flow-run.Late"}, _ANY_RUN, {"related:deployment:prefect.resource.id"}),
            "impactflow: {{ flow_run.name }} is late",
            "A run of {{ flow.name }} should have started: is a worker alive, and not all its places taken?"
            " {{ flow_run|ui_url }}",
        ),
        automation(
            "tell of a run that waits for a place",
            _absence(_WAITING, _LEFT_WAITING, waiting_after_s),
            "impactflow: {{ flow_run.name }} waits and does not start",
            f"A run of {{{{ flow.name }}}} has waited for {waiting_after_s:g} s: another run has the only place of its"
            " deployment, or no worker takes a run that was resumed. If a run is shown as Running that nobody works on,"
            " set it to Crashed on its page. {{ flow_run|ui_url }}",
        ),
        automation(
            "tell of what waits for a person",
            happens(_FOR_A_PERSON, _ANY_STORE, {"prefect.resource.id", "impactflow.provider", "impactflow.status"}),
            "impactflow: {{ event.payload.count }} {{ event.payload.status }} at {{ event.payload.provider }}",
            "Placements of {{ event.payload.store }} that need a person. The artifact needs-attention and"
            " `impactflow status` say which and why.",
        ),
    ]


def _absence(after: set[str], expect: set[str], within_s: float) -> EventTrigger:
    """Return a trigger that fires for a run of ours when, after one event, no expected event comes in time."""
    return EventTrigger(
        after=after,
        expect=expect,
        match=_ANY_RUN,
        match_related=_OURS,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_s),
    )


async def send_test(notify: str) -> None:
    """
    Send a message through a notification block, as the server does for an automation.

    Args:
        notify: As for ``install``.

    Raises:
        ConfigurationError: There is no such block.
        ImpactError: The message did not arrive; the error has the answer.
    """
    async with get_client() as client:
        await _find_block(client, notify)
    loaded: Any = await Block.aload(notify)
    try:
        with loaded.raise_on_failure():
            await loaded.anotify("If you can read this, impactflow can tell you what needs you.", "impactflow: a test")
    except httpx.HTTPStatusError as refused:
        reason = f"its receiver answered {refused.response.status_code} {refused.response.reason_phrase}"
    except NotificationError as failed:
        reason = failed.log.strip()
    except (httpx.HTTPError, ValueError) as failed:
        reason = f"{type(failed).__name__}: {failed}"
    else:
        return
    raise ImpactError(f"the test through {notify} did not arrive: {_URL.sub('URL', reason)}")


def _crashed(why: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=f"Marked by an automation: {why}.")


async def _find_block(client: PrefectClient, notify: str) -> UUID:
    type_slug, _, name = notify.partition("/")
    if (block := await read_block(client, type_slug, name)) is None:
        raise ConfigurationError(
            f"--notify {notify}: the server has no such block; make it on the Blocks page and give TYPE/NAME, such as"
            " slack-webhook/impactflow"
        )
    return block.id
