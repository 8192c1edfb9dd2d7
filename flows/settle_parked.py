"""
Settle parked or failed placements by a person's decision: the core is ``impactflow.buying.rulings``.

The evidence is in the artifact ``needs-attention`` of every run. On a terminal: ``impactflow settle``.
"""

from prefect import flow

from impactflow.buying.rulings import Resolution, Ruled, Ruling
from impactflow.escapes import for_page
from tasks.announcing import announce
from tasks.context import flow_context
from tasks.reconciliation import settle
from tasks.reporting import publish_summary


@flow(name="settle_parked", flow_run_name="settle {order} {slot} as {decision}", persist_result=False)
async def settle_parked(
    order: str, slot: str, decision: Resolution, by: str, why: str = "", ref: str = "", store: str = ""
) -> Ruled:
    """
    Record what became of one placement; the provider's records are asked for a purchase of that ref, or of its key.

    Args:
        order: Any name of the order.
        slot: The slot, as the policy names it.
        decision: bought: it is recorded under ref; not-bought: it is sent again; given-up: it is cancelled.
        by: Who decides.
        why: How they know, or why it is given up.
        ref: The provider's name for the purchase, where it was bought; for 1ClickImpact USER_ID|TIME_UTC.
        store: Whose order, where several stores have one of that name.
    """
    async with flow_context(reports=False):
        ruled = await settle(Ruling(order, slot, decision, by, why, ref, store or None))
        await publish_summary("settle-parked", for_page(ruled.in_words()))
        await announce()
        return ruled
