"""Conversion of the ledger's rows to values and back: only this module knows the layout of a placement's row."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, null, select

from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.states import Status
from impactflow.ledger.tables import orders, placements
from impactflow.models import KEYLESS, Kind, Placement, ProviderName

#: In the place of a forgotten customer's address.
NOBODY = ""
#: The most purchases of one provider that may share an identity; it has a millisecond's resolution at 1ClickImpact.
_MOST_SHARING = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A placement, and its status."""

    placement: Placement
    status: Status


def lock(connection: Connection, ids: Iterable[int]) -> None:
    """
    Let no other transaction change these placements before this one ends; a later statement reads them as they are.

    The rows are locked in the order of their ids, so that two transactions that lock the same ones never wait for each
    other. SQLite has one writer at a time, so it needs no locks.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"ids": as_list([each] for each in ids)})


def ever_bought(table: Any = placements) -> ColumnElement[bool]:
    """Whether a placement holds a purchase or held one, cancelled since: its slot is taken for good."""
    bought: ColumnElement[bool] = table.c.ref.is_not(None) | table.c.placed_at.is_not(None)
    return bought


def names_for(ref: str) -> Sequence[str]:
    """A provider's name for a purchase, and the ledger's names for further purchases with the same name."""
    return [ref, *(f"{ref}#{number}" for number in range(2, _MOST_SHARING))]


def look_alike_of(row: Mapping[str, Any], customer_email: str | None) -> str | None:
    """The same text for all placements that the provider's records could not tell apart; None if keys do."""
    if row["provider"] not in KEYLESS:
        return None
    customer = (customer_email or "").casefold() if row["on_behalf"] else ""
    said = "\n".join((row["provider"], row["kind"], str(row["quantity"]), customer))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def placement_columns() -> Sequence[ColumnElement[Any]]:
    """The columns that ``placement_from_row`` needs, from ``placements`` joined with ``orders``."""
    return (
        *(
            placements.c[name]
            for name in (
                "id",
                "key",
                "slot",
                "provider",
                "kind",
                "quantity",
                "options",
                "status",
                "attempts",
                "planned_at",
                "first_attempted_at",
                "attempted_at",
                "doubted_at",
                "sent_until",
                "unresolved_look_alike",
                "handle",
                "ref",
                "parts",
                "if_absent",
                "asked_again",
                "reason",
                "checks",
                "known_as",
                "is_renamed",
                "denied_at",
            )
        ),
        orders.c.store,
        orders.c.order_id,
        case((placements.c.on_behalf, orders.c.customer_email), else_=null()).label("customer_email"),
    )


def placement_from_row(row: Any, *, attempted_at: datetime | None, alone: bool, again: bool = True) -> Placement:
    """
    Convert a row to the value that providers work with.

    Args:
        row: With ``placement_columns``.
        attempted_at: The time when the attempt that buys began.
        alone: Whether its look-alikes are blocked for it.
        again: Whether this is the beginning of a further attempt; the row still counts only the earlier attempts.
    """
    began = attempted_at or row.planned_at
    return Placement(
        id=row.id,
        key=row.key,
        store=row.store,
        order_id=row.order_id,
        slot=row.slot,
        provider=_PROVIDERS[row.provider],
        kind=_KINDS[row.kind],
        quantity=row.quantity,
        options=json.loads(row.options) if row.options != "{}" else {},
        customer_email=row.customer_email or None,  # the customer may have been forgotten
        attempt=row.attempts + again,
        attempted_at=began,
        first_attempted_at=row.first_attempted_at or began,
        sent_until=max(row.sent_until or row.doubted_at or began, began),  # the kept time may be of an earlier attempt
        handle=row.handle,
        ref=row.ref,
        alone=alone,
        parts=tuple(json.loads(row.parts)) if row.parts else (),
        if_absent=row.if_absent,
        asked_again=row.asked_again or 0,
        reason=row.reason,
        known_as=row.known_as or "",
        is_renamed=row.is_renamed,
        was_denied=row.denied_at is not None,
    )


def entry_from_row(row: Any) -> Entry:
    """Convert a row, as it was last attempted, with its status."""
    return Entry(placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False), Status(row.status))


_LOCK = (
    select(placements.c.id)
    .where(placements.c.id.in_(select(listed("ids", {"id": placements.c.id.type}).c.id)))
    .order_by(placements.c.id)
    .with_for_update()
)
# A look-up is several times faster than calling the Enum, and this runs once per purchase.
_PROVIDERS = {name.value: name for name in ProviderName}
_KINDS = {kind.value: kind for kind in Kind}
