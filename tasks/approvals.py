"""
Tasks that ask a person about placements above the approval limit, and carry out the decision.

The next placing run plans and buys the approved placements: nothing here buys.
"""

import logging
from collections.abc import Sequence
from uuid import UUID

from prefect import get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled

from impactflow.buying import approval
from impactflow.buying.approval import Answer, Answered, as_rows
from impactflow.escapes import for_page
from impactflow.ledger import Awaiting
from impactflow.policy import Policy
from tasks.context import current_run
from tasks.pages import show_rest


def _as_it_is(record: logging.LogRecord) -> bool:
    """Log a suspended run as information: Prefect calls every state other than success an error."""
    if record.getMessage().startswith("Finished in state Suspended("):
        record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
    return True


logging.getLogger("prefect.flow_runs").addFilter(_as_it_is)


@task(name="publish_question", cache_policy=NO_CACHE, retries=1)
async def publish_question(asked: Sequence[Awaiting]) -> None:
    """Show the placements that would be bought as a table; show nothing once all of them are answered."""
    lines = [{name: for_page(str(value)) for name, value in row.items()} for row in as_rows(asked)]
    await show_rest(
        lines,
        key="awaiting-approval",
        description="Bought only once a person approves it",
        empty="Nothing awaits approval",
    )


@task(name="end_other_questions", cache_policy=NO_CACHE, retries=1)
async def end_other_questions(order: str, slot: str, store: str) -> None:
    """End suspended runs that ask about the same placements: this run asks about all, and one form is enough."""
    here = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[UUID(deployment.get_id())]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])),
    )
    async with get_client() as client:
        for other in await client.read_flow_runs(flow_run_filter=here):
            if [other.parameters.get(name, "") for name in ("order", "slot", "store")] == [order, slot, store]:
                await client.set_flow_run_state(
                    other.id, Cancelled(message=f"The run {flow_run.get_id()} asks instead")
                )


@task(name="record_answer", cache_policy=NO_CACHE, retries=0)
async def record_answer(policy: Policy, asked: Sequence[Awaiting], answer: Answer) -> Answered:
    """Read the orders again and carry out a person's decision; see ``impactflow.buying.approval``."""
    run = current_run()
    return await approval.record_answer(run.ledger, run.order_source, policy, run.clock, run.id, asked, answer)
