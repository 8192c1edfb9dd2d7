"""Approve, trim or reject placements above the policy's approval limit, or list those that await approval."""

from typing import Any

from impactflow import stopping
from impactflow.buying.approval import MOST_ASKED, Answer, Answered, as_rows, ask_about, record_answer
from impactflow.buying.run import open_run
from impactflow.cli import console
from impactflow.cli.ledgers import open_existing, require
from impactflow.errors import ConfigurationError
from impactflow.policy import load_policy
from impactflow.settings import load_settings


def show_awaiting(store: str | None, *, as_json: bool) -> int:
    """List the placements that await approval, of one store or of all; return the number of lines."""
    with open_existing(load_settings()) as ledger:
        rows: list[dict[str, Any]] = list(as_rows(stopping.run(ledger.awaiting(store=store, limit=MOST_ASKED))))
    if as_json:
        console.print_json({"awaiting_approval": rows})
    elif rows:
        console.print_table("Awaiting approval", [{**row, "since": f"{row['since']:%Y-%m-%d %H:%M}"} for row in rows])
        console.out.print("`impactflow approve ORDER SLOT` approves one; see --help for trimming and rejecting.")
        if len(rows) == MOST_ASKED:
            console.out.print(f"These are the first {MOST_ASKED}; `impactflow status` counts all.")
    else:
        console.out.print("Nothing awaits approval.")
    return len(rows)


def decide(order: str, slot: str, store: str | None, answer: Answer, *, as_json: bool) -> None:
    """
    Record a person's decision about one placement.

    Raises:
        ConfigurationError: The decision cannot be carried out. Nothing was changed.
    """
    answered = stopping.run(_decide(order, slot, store, answer))
    if as_json:
        console.print_json(answered.as_json())
    else:
        console.out.print(answered.in_words(), markup=False)


async def _decide(order: str, slot: str, store: str | None, answer: Answer) -> Answered:
    settings = load_settings()
    policy = load_policy(settings.impactflow_policy)
    require(settings)
    async with open_run(settings, "approve") as run:
        asked = await ask_about(run.ledger, order, slot, store)
        answered = await record_answer(run.ledger, run.order_source, policy, run.clock, run.id, [asked], answer)
    if answered.moved_on:
        raise ConfigurationError(
            f"order {order!r}, slot {slot!r} is not what was listed any more; it is {answered.now[asked.id]} now"
        )
    return answered
