"""
Tasks that ask a person about placements above the approval limit, and do what they decide.

What was decided is planned and bought by the next placing run: nothing here buys.
"""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from impactflow import approval
from impactflow.approval import Answer, Answered, as_rows
from impactflow.ledger import Awaiting
from tasks.context import current_run


@task(name="publish_question", cache_policy=NO_CACHE, retries=1)
async def publish_question(asked: Sequence[Awaiting]) -> None:
    """Show what would be bought as a table."""
    lines = [{name: str(value) for name, value in row.items()} for row in as_rows(asked)]
    await acreate_table_artifact(lines, key="awaiting-approval", description="Bought only once a person approves it")


@task(name="record_answer", cache_policy=NO_CACHE, retries=0)
async def record_answer(asked: Sequence[Awaiting], answer: Answer) -> Answered:
    """Do what a person has decided; see ``impactflow.approval``."""
    run = current_run()
    return await approval.record_answer(run.ledger, run.clock, run.id, asked, answer)
