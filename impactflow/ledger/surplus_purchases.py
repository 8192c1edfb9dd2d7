"""
Purchases that took effect beside the one that a placement holds: they are kept as evidence and may be cancelled.

Handlers for the ``Writer`` and reads. A placement stays what it is: each step here is an event that changes no status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, select

from impactflow.errors import TransitionRefused
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import Entry, entry_from_row, placement_columns
from impactflow.ledger.states import Status
from impactflow.ledger.tables import Utc, events, further_purchases, orders, placements
from impactflow.models import Placement, ProviderName


@dataclass(frozen=True, slots=True)
class Step:
    """
    An action on a further purchase that a run is about to do, or has done.

    Args:
        placement: The placement whose key it was made under.
        ref: The provider's name for it.
        at: The time of the action.
        run_id: The run.
        detail: The action, in words for a person.
    """

    placement: Placement
    ref: str
    at: datetime
    run_id: str
    detail: str


def note(connection: Connection, placement: Placement, ref: str, at: datetime) -> None:
    """Remember a purchase of a placement's; a known purchase stays as it is."""
    one_at_a_time(connection, f"further {placement.provider} {ref}")
    this = (further_purchases.c.provider == placement.provider) & (further_purchases.c.ref == ref)
    if not connection.execute(select(further_purchases.c.ref).where(this)).first():
        values = {"provider": placement.provider.value, "ref": ref, "placement": placement.id, "found_at": at}
        connection.execute(further_purchases.insert().values(values))


def intend_to_cancel(connection: Connection, steps: Sequence[Step]) -> list[None]:
    """Record durably that further purchases are about to be cancelled."""
    for step in steps:
        note(connection, step.placement, step.ref, step.at)
        _take(connection, step, "cancelling_at")
    return [None] * len(steps)


def record_cancelled(connection: Connection, steps: Sequence[Step]) -> list[None]:
    """Record that further purchases are cancelled at the provider."""
    for step in steps:
        _take(connection, step, "cancelled_at")
    return [None] * len(steps)


def hold_the_earlier(connection: Connection, steps: Sequence[Step]) -> list[None]:
    """
    Let placements hold an earlier purchase under their key; the old one is further, and about to be cancelled.

    Raises:
        TransitionRefused: A placement holds another purchase by now, or is complete.
    """
    for step in steps:
        this = (further_purchases.c.provider == step.placement.provider) & (further_purchases.c.ref == step.ref)
        connection.execute(further_purchases.delete().where(this))
        holds = placements.c.id == step.placement.id, placements.c.ref == step.placement.ref
        placed = placements.update().where(*holds, placements.c.status == Status.PLACED.value)
        if not connection.execute(placed.values(ref=step.ref, certificate_url=None, due_at=step.at)).rowcount:
            raise TransitionRefused("the placement holds another purchase by now, or is complete")
        event = {"b_id": step.placement.id, "b_at": step.at, "b_run_id": step.run_id, "b_detail": step.detail}
        connection.execute(_EVENT, event)
        note(connection, step.placement, step.placement.provider_ref, step.at)
    return [None] * len(steps)


def known(connection: Connection, provider: ProviderName, refs: Sequence[str]) -> Sequence[tuple[str, Entry]]:
    """The further purchases, among these of a provider's, each with the placement under whose key it was."""
    wanted = select(listed("refs", {"ref": further_purchases.c.ref.type}).c.ref)
    rows = connection.execute(
        _FURTHER.where(further_purchases.c.provider == provider, further_purchases.c.ref.in_(wanted)),
        {"refs": as_list([ref] for ref in refs)},
    )
    return _with_refs(rows)


def being_cancelled(connection: Connection, provider: ProviderName, store: str) -> Sequence[tuple[str, Entry]]:
    """A store's further purchases that a run was about to cancel, with an unknown result."""
    begun = further_purchases.c.cancelling_at.is_not(None) & further_purchases.c.cancelled_at.is_(None)
    of_store = further_purchases.c.provider == provider, orders.c.store == store
    rows = connection.execute(_FURTHER.where(*of_store, begun))
    return _with_refs(rows)


def _with_refs(rows: Any) -> Sequence[tuple[str, Entry]]:
    return [(row.further_ref, entry_from_row(row)) for row in rows]


def _take(connection: Connection, step: Step, column: str) -> None:
    """Take a step that was not taken yet, and write an event for the placement."""
    values = {"b_provider": step.placement.provider.value, "b_ref": step.ref, "b_at": step.at}
    if connection.execute(_STEPS[column], values).rowcount:
        event = {"b_id": step.placement.id, "b_at": step.at, "b_run_id": step.run_id, "b_detail": step.detail}
        connection.execute(_EVENT, event)


_AT = bindparam("b_at", type_=Utc())
_STEPS = {
    column: further_purchases.update()
    .where(
        further_purchases.c.provider == bindparam("b_provider"),
        further_purchases.c.ref == bindparam("b_ref"),
        further_purchases.c[column].is_(None),
    )
    .values({column: _AT})
    for column in ("cancelling_at", "cancelled_at")
}
_EVENT = events.insert().from_select(
    ["placement", "at", "from_status", "to_status", "attempt", "run_id", "detail"],
    select(
        placements.c.id,
        _AT,
        placements.c.status,
        placements.c.status,
        placements.c.attempts,
        bindparam("b_run_id", type_=sa.Text()),
        bindparam("b_detail", type_=sa.Text()),
    ).where(placements.c.id == bindparam("b_id")),
)
_FURTHER = (
    select(*placement_columns(), further_purchases.c.ref.label("further_ref"))
    .join(orders, placements.c.order == orders.c.id)
    .join(further_purchases, further_purchases.c.placement == placements.c.id)
    .order_by(further_purchases.c.ref)
)
