"""
Ask a person about placements above the approval limit, and carry out the decision: ``impactflow.buying.approval``.

The run is suspended while it waits and holds no process. When a person has filled in its form, the run begins again at
the top. So it asks by the digest of the shown placements: an answer counts for exactly that question, and changed
placements are asked about anew. Each order is read again before an approval. On a terminal: ``impactflow approve``.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Literal

from prefect import asuspend_flow_run, flow
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field

from impactflow.buying.approval import MOST_ASKED, Answer, Answered, Decision, digest, question
from impactflow.ledger import Awaiting
from impactflow.policy import load_policy
from tasks.announcing import announce
from tasks.approvals import end_other_questions, publish_question, record_answer
from tasks.context import flow_context
from tasks.naming import run_name
from tasks.reporting import publish_summary

#: A week. Prefect fails a run that is not resumed by then. The placements still await approval, and another run can ask
#: about them at any time.
_PATIENCE_S = 7 * 86_400


class Form(RunInput):
    """The form for a person; ``Answer.problem`` decides whether the answers make sense, and gives the reason if not."""

    decision: Literal["approve", "trim", "reject"] = Field(
        description="approve: all of it is bought; trim: at most so much of each; reject: nothing is bought."
    )
    at_most: float = Field(default=0, description="With trim: how much of each, in the unit shown above.")
    by: str = Field(description="Who decides; kept in the ledger.")
    why: str = Field(default="", description="For what reason; kept in the ledger.")

    @property
    def answer(self) -> Answer:
        """Return the same answer in the core's words."""
        at_most = Decimal(str(self.at_most)) if self.at_most else None
        return Answer(Decision(self.decision), self.by, self.why, at_most)


def _name() -> str:
    parameters = flow_run.get_parameters()
    return run_name("approve", " ".join(filter(None, (parameters.get("order"), parameters.get("slot")))))


@flow(name="approve_placements", flow_run_name=_name, persist_result=False)
async def approve_placements(order: str = "", slot: str = "", store: str = "") -> list[Answered]:
    """
    Show what awaits approval, wait for a person's word, and record it; the next placing run buys what was approved.

    Args:
        order: Any name of the order; by default all orders.
        slot: The slot, as the policy names it; by default all slots.
        store: Whose orders; by default those of all stores.
    """
    async with flow_context(reports=False) as run:
        policy = load_policy(run.settings.impactflow_policy)
        answers: list[Answered] = []
        while asked := await run.ledger.awaiting(
            order or None, slot or None, store=store or policy.store, limit=MOST_ASKED
        ):
            await end_other_questions(order, slot, store)
            await publish_question(asked)
            answered = await record_answer(policy, asked, await ask(asked))
            await publish_summary("approve-placements", answered.in_words())
            await announce()
            answers.append(answered)
        await publish_question([])
        if not answers:
            await publish_summary("approve-placements", "Nothing awaits approval.")
        return answers


async def ask(asked: Sequence[Awaiting]) -> Answer:
    """Suspend the run until a person has answered; ask again, with the reason, if the answer cannot be carried out."""
    text = question(asked)
    for attempt in count(1):
        form = Form.with_initial_data(description=text)
        given = await asuspend_flow_run(form, timeout=_PATIENCE_S, key=f"{digest(asked)}-{attempt}")
        answer = given.answer
        if not (problem := answer.problem(asked)):
            break
        text = f"**It was not done. {problem}.**\n\n{question(asked)}"
    return answer
