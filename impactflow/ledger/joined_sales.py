"""
Placements of one sale and slot that began before a name joined them as one sale: one purchase is enough.

The waiting ones are withdrawn when they are joined (``planning``). This module checks those that had been sent by then,
before they would be sent again.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, and_, func, or_, select

from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import ever_bought
from impactflow.ledger.states import UNRESOLVED, Status
from impactflow.ledger.tables import orders, placements

#: Bought, or perhaps bought and left to a person; a purchase that was cancelled since is handled apart.
_BOUGHT = (Status.PLACED, Status.COMPLETED, Status.CANCELLING, Status.PARKED)


def stronger(connection: Connection, ids: Sequence[int]) -> Mapping[int, str]:
    """The placements, among these, that another one of their sale and slot precedes, with that one's order id."""
    return {row.id: row.order_id for row in connection.execute(_STRONGER, {"ids": as_list([each] for each in ids)})}


_ROW, _OTHER, _OTHER_ROW = orders.alias("row"), placements.alias("other"), orders.alias("other_row")
_FIRST = func.coalesce(_ROW.c.same_as, _ROW.c.id)
_WAITS = placements.c.status == Status.PLANNED
_STRONGER = (
    select(placements.c.id, _OTHER_ROW.c.order_id)
    .join(_ROW, placements.c.order == _ROW.c.id)
    .join(_OTHER_ROW, or_(_OTHER_ROW.c.id == _FIRST, _OTHER_ROW.c.same_as == _FIRST))
    .join(_OTHER, (_OTHER.c.order == _OTHER_ROW.c.id) & (_OTHER.c.slot == placements.c.slot))
    .where(
        placements.c.id.in_(select(listed("ids", {"id": placements.c.id.type}).c.id)),
        _OTHER.c.id != placements.c.id,
        or_(
            _OTHER.c.status.in_(_BOUGHT),
            ever_bought(_OTHER),
            and_(_OTHER.c.status.in_(UNRESOLVED), or_(_WAITS, _OTHER.c.id < placements.c.id)),
            and_(_OTHER.c.status == Status.PLANNED, _WAITS, _OTHER.c.id < placements.c.id),
        ),
    )
)
