"""
The journal of lots: which part of which lot covers which share. Double entry: rows are only added.

What a lot covers always adds up to its quantity, in parts of a unit (``models.PARTS``), or to nothing if the lot was
given up before anything was bought. A part that no order is owed any more is covered at the lot's own row: it is the
slot's credit, which is used up before anything new is bought. A purchase for one order is in the journal like a lot
while its order is owed less than all of it: see ``credit``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, and_, bindparam, cast, func, select

from impactflow.errors import LedgerError
from impactflow.ledger.fresh import UNLISTED
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.states import STANDING, UNSURE, WAITING, Status
from impactflow.ledger.tables import Utc, allocations, orders, placements, shares
from impactflow.models import PARTS


class Author(Protocol):
    """Who changes what is covered: a run, at a time, for a store."""

    @property
    def store(self) -> str:
        """The store."""

    @property
    def at(self) -> datetime:
        """The present time."""

    @property
    def run_id(self) -> str:
        """The run."""


class Entry(NamedTuple):
    """A part of a lot for an order, or for the lot's own row."""

    order: int
    parts: int


class Covering(NamedTuple):
    """
    A lot that covers a part of a share.

    Args:
        lot: The lot's placement.
        row: The lot's row among the orders; the order of a purchase for one order.
        parts: The part.
        is_waiting: Whether nothing of the lot was sent, or surely bought: it can still be given up.
        is_over: Whether it is not bought any more: a person, or its seller, has said so.
        is_for_one: Whether it was bought for one order.
    """

    lot: int
    row: int
    parts: int
    is_waiting: bool
    is_over: bool
    is_for_one: bool


def covering(connection: Connection, order: int, slot: str) -> Sequence[Covering]:
    """The lots that cover, or covered, a part of an order's share, the latest first; not those that were given up."""
    rows = connection.execute(_COVERING, {"order": order, "slot": slot})
    return [
        Covering(
            *(row.lot, row.row, int(row.parts), row.status in WAITING, row.status == Status.CANCELLED, row.is_for_one)
        )
        for row in rows
    ]


def add(connection: Connection, lot: int, entries: Sequence[Entry], at: datetime, run_id: str) -> None:
    """Add entries of one lot, and count them at the shares."""
    mark = last(connection)
    rows = [{"lot": lot, "order": each.order, "parts": each.parts, "at": at, "run_id": run_id} for each in entries]
    connection.execute(allocations.insert(), rows)
    count(connection, lot, mark)


def take_back(connection: Connection, lot: int, at: datetime, run_id: str) -> None:
    """Add the entries that undo all entries of a lot: it covers nothing any more."""
    mark = last(connection)
    connection.execute(_TAKE_BACK, {"lot": lot, "at": at, "run_id": run_id})
    count(connection, lot, mark)


def count(connection: Connection, lot: int, after: int) -> None:
    """Count the entries of a lot that were added after a row of the journal at the shares."""
    connection.execute(_COUNT, {"lot": lot, "after": after})


def last(connection: Connection) -> int:
    """The last row of the journal."""
    found: int = connection.execute(select(func.coalesce(func.max(allocations.c.id), 0))).scalar_one()
    return found


def free(connection: Connection, kept: Entry, covering: Sequence[Covering], at: datetime, run_id: str) -> None:
    """
    Move to their credit what lots cover of a share beyond a part that is kept.

    Args:
        connection: In a transaction.
        kept: The share's order, and the part.
        covering: The lots that cover the share; the first ones are freed first.
        at: The present time.
        run_id: The run.
    """
    beyond = sum(each.parts for each in covering) - kept.parts
    for each in covering:
        freed = min(beyond, each.parts)
        if freed <= 0 or each.is_over:
            continue
        _open_credit(connection, each.lot)
        add(connection, each.lot, [Entry(kept.order, -freed), Entry(each.row, freed)], at, run_id)
        beyond -= freed


def end(connection: Connection, purchase: int, at: datetime, run_id: str) -> None:
    """
    Let a purchase for one order, which is cancelled by now, cover nothing of its order any more.

    What other orders have of it stays on record: as with a lot, what a seller takes back is not bought again for them.
    """
    row = connection.execute(_OWN, {"lot": purchase}).first()
    if row is None:
        return
    if row.parts:
        add(connection, purchase, [Entry(row.order, -int(row.parts))], at, run_id)
    mine = (shares.c.order == row.order) & (shares.c.slot == row.slot)
    connection.execute(shares.delete().where(mine, shares.c.covered == 0))
    connection.execute(shares.update().where(mine).values(owed=shares.c.covered))
    judge_anew(connection, row.order)


def judge_anew(connection: Connection, order: int) -> None:
    """Let the sale of an order's row be planned again at its next reading; what is not listed stays as it is."""
    first = select(func.coalesce(orders.c.same_as, orders.c.id)).where(orders.c.id == order).scalar_subquery()
    connection.execute(orders.update().where(orders.c.id == first, orders.c.digest != UNLISTED).values(digest=""))


def restore(connection: Connection, purchase: int, at: datetime, run_id: str) -> None:
    """Credit what no other order has of a purchase for one order that was cancelled, and stands after all."""
    if connection.execute(_LOT, {"lot": purchase}).one().covered:
        to_credit(connection, purchase, at, run_id)


def to_credit(connection: Connection, lot: int, at: datetime, run_id: str) -> None:
    """
    Credit what a lot has bought and covers for no order, since it was given up, or adopted.

    Raises:
        LedgerError: It covers more than was bought.
    """
    row = connection.execute(_LOT, {"lot": lot}).one()
    missing = row.quantity * PARTS - int(row.covered)
    if missing < 0:
        msg = f"lot {lot} covers {row.covered} parts, and was bought with {row.quantity * PARTS}"
        raise LedgerError(msg)
    if missing:
        _open_credit(connection, lot)
        add(connection, lot, [Entry(row.row, missing)], at, run_id)


def outdate(connection: Connection, rows: Sequence[int]) -> None:
    """Let no lot be sent, or sent again, with a share of these rows' orders: they are to be judged again."""
    connection.execute(_OUTDATE, {"rows": as_list([row] for row in rows)})


def _open_credit(connection: Connection, lot: int) -> None:
    """Make the row of a lot's own credit, unless there is one."""
    row = connection.execute(_LOT, {"lot": lot}).one()
    own = select(shares.c.order).where(shares.c.order == row.row, shares.c.slot == row.slot)
    if connection.execute(own).first() is None:
        values = {"order": row.row, "slot": row.slot, "kind": row.kind, "earned": 0, "owed": 0, "covered": 0}
        connection.execute(shares.insert(), values)


def check(connection: Connection, lot: int) -> None:
    """
    Check that what a lot covers adds up to its quantity.

    Raises:
        LedgerError: It does not; nothing of this transaction may be kept.
    """
    row = connection.execute(_LOT, {"lot": lot}).one()
    if row.quantity * PARTS != int(row.covered):
        msg = f"the parts of lot {lot} add up to {row.covered} instead of {row.quantity * PARTS}"
        raise LedgerError(msg)
    if connection.execute(_BELOW_NOTHING, {"lot": lot}).first() is not None:
        msg = f"an order has less than nothing of lot {lot}"
        raise LedgerError(msg)


_SUM: Any = func.sum(allocations.c.parts)
_OF_PURCHASE = (shares.c.order == placements.c.order) & (shares.c.slot == placements.c.slot)
_IS_IN_JOURNAL = and_(
    select(shares.c.order).where(_OF_PURCHASE).correlate(placements).exists(),
    select(allocations.c.id).where(allocations.c.lot == placements.c.id).correlate(placements).exists(),
)
#: Whether a placement's purchase, for one order, stands and is in the journal: its order is owed less than all of it.
IS_SHARED: ColumnElement[bool] = and_(
    placements.c.status.in_([*STANDING, Status.CANCELLING]),
    _IS_IN_JOURNAL,
)
#: The part of a placement's purchase that is its own order's, or credit.
OWN_PART: Any = func.coalesce(
    select(_SUM)
    .where(allocations.c.lot == placements.c.id, allocations.c.order == placements.c.order)
    .correlate(placements)
    .scalar_subquery(),
    0,
)
_OTHERS_PART: Any = func.coalesce(
    select(_SUM)
    .where(allocations.c.lot == placements.c.id, allocations.c.order != placements.c.order)
    .correlate(placements)
    .scalar_subquery(),
    0,
)
#: Whether no other order has a part of a placement's purchase.
IS_WHOLE: ColumnElement[bool] = _OTHERS_PART == 0
_LOT_ROW = orders.alias("lot_row")
_COVERING = (
    select(
        *(placements.c.id.label("lot"), placements.c.order.label("row"), placements.c.status, _SUM.label("parts")),
        _LOT_ROW.c.lot.is_(None).label("is_for_one"),
    )
    .join(placements, allocations.c.lot == placements.c.id)
    .join(_LOT_ROW, placements.c.order == _LOT_ROW.c.id)
    .where(
        allocations.c.order == bindparam("order"),
        placements.c.slot == bindparam("slot"),
    )
    .group_by(placements.c.id, placements.c.order, placements.c.status, _LOT_ROW.c.eligible, _LOT_ROW.c.lot)
    .having(_LOT_ROW.c.eligible | (_SUM != 0))
    .order_by(placements.c.id.desc())
)
_TAKE_BACK = allocations.insert().from_select(
    ["lot", "order", "parts", "at", "run_id"],
    select(
        allocations.c.lot,
        allocations.c.order,
        cast(-_SUM, BigInteger()),
        bindparam("at", type_=Utc()),
        bindparam("run_id", type_=Text()),
    )
    .where(allocations.c.lot == bindparam("lot"))
    .group_by(allocations.c.lot, allocations.c.order)
    .having(_SUM != 0),
)
_ADDED = (
    select(allocations.c.order, placements.c.slot, cast(_SUM, BigInteger()).label("parts"))
    .join(placements, allocations.c.lot == placements.c.id)
    .where(allocations.c.lot == bindparam("lot"), allocations.c.id > bindparam("after"))
    .group_by(allocations.c.order, placements.c.slot)
    .subquery("added")
)
_COUNT = (
    shares.update()
    .where(shares.c.order == _ADDED.c.order, shares.c.slot == _ADDED.c.slot)
    .values(covered=shares.c.covered + _ADDED.c.parts)
)
_LOT = select(
    placements.c.order.label("row"),
    placements.c.slot,
    placements.c.kind,
    placements.c.quantity,
    func.coalesce(
        select(_SUM).where(allocations.c.lot == placements.c.id).correlate(placements).scalar_subquery(), 0
    ).label("covered"),
).where(placements.c.id == bindparam("lot"))
_BELOW_NOTHING = (
    select(allocations.c.order)
    .where(allocations.c.lot == bindparam("lot"))
    .group_by(allocations.c.order)
    .having(_SUM < 0)
)
#: The part of a purchase for one order that its own order has.
_OWN = (
    select(
        placements.c.order,
        placements.c.slot,
        OWN_PART.label("parts"),
    )
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.id == bindparam("lot"), orders.c.lot.is_(None), _IS_IN_JOURNAL)
)
_OUTDATE = (
    placements.update()
    .where(
        placements.c.id.in_(
            select(allocations.c.lot).where(
                allocations.c.order.in_(select(listed("rows", {"id": orders.c.id.type}).c.id)), allocations.c.parts > 0
            )
        ),
        placements.c.status.in_([*WAITING, *UNSURE]),
    )
    .values(outdated=True)
)
