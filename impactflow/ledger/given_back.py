"""
Which orders were given back whole, as Wicked Reports lists them.

Apart from all else that is known of an order: buying goes by the report that earns less, whichever is later, and what
was bought is cancelled only while a list says that all money went back. Each reading sets the time anew. A webhook that
says otherwise clears it, and holds against the list for a day, because lists lag behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select

from impactflow.ledger.facts import Origin
from impactflow.ledger.fresh import FIRST, REREAD
from impactflow.ledger.pages import Page, Sale
from impactflow.ledger.tables import Utc, order_names, orders, refunds
from impactflow.models import Order
from impactflow.names import LISTED, is_listed

#: The time for which a webhook's word holds against a list that says that an order was given back.
_LAG = timedelta(days=1)


def note(connection: Connection, page: Page, sales: Sequence[Sale], rows: Mapping[int, Any]) -> None:
    """Keep for the known sales of a page whether they are listed as given back."""
    for sale in sales:
        if len(sale.row_ids) > 1 and (at := _denied_at(sale, rows)):  # they are one from now on
            cleared = {"given_back_at": None} if page.at - at < _LAG else {}
            _write(connection, [sale.row_ids[0]], not_given_back_at=at, **cleared)
    if page.origin is Origin.KEPT:
        return
    denied_names = {name for order, _ in page.earnings if denies(order) for name in order.names}
    denied = {sale.row_ids[0] for sale in sales if not denied_names.isdisjoint(sale.names)}
    if page.origin is Origin.ANNOUNCED:
        _write(connection, denied, given_back_at=None, not_given_back_at=page.at)
        return
    listed = {
        sale.row_ids[0]
        for sale in sales
        if is_listed(sale.read.names)
        and sale.read.is_given_back
        and not ((at := _denied_at(sale, rows)) and page.at - at < _LAG)
    } - denied
    before = {sale.row_ids[0] for sale in sales if any(rows[each].given_back_at for each in sale.row_ids)}
    _write(connection, listed, given_back_at=page.at)
    _write(connection, before - listed, given_back_at=None)


def denies(order: Order) -> bool:
    """Whether a report says that an order is not given back whole."""
    return not (order.is_given_back or order.only_names)


def _denied_at(sale: Sale, rows: Mapping[int, Any]) -> datetime | None:
    return max(filter(None, (rows[each].not_given_back_at for each in sale.row_ids)), default=None)


def _write(connection: Connection, ids: Iterable[int], **values: Any) -> None:
    if wanted := sorted(ids):
        connection.execute(orders.update().where(orders.c.id.in_(wanted)).values(values))


_NAMED = orders.alias("named")
_OF_SALE = or_(_NAMED.c.id == FIRST.c.id, _NAMED.c.same_as == FIRST.c.id)
#: The number of orders by which Wicked Reports lists a sale: of two, one may be given back and the other paid.
_LISTINGS = (
    select(func.count())
    .select_from(order_names.join(_NAMED, order_names.c.order == _NAMED.c.id))
    .where(_OF_SALE, order_names.c.name.like(sa.literal_column(f"'{LISTED}'")))
    .scalar_subquery()
)
#: Whether a sender has said that a refund failed.
_HAS_FAILED = (
    select(refunds.c.ref)
    .join(order_names, and_(refunds.c.store == order_names.c.store, refunds.c.name == order_names.c.name))
    .join(_NAMED, order_names.c.order == _NAMED.c.id)
    .where(_OF_SALE, refunds.c.is_undone)
    .exists()
)
_OTHER, _OTHERS = order_names.alias("other"), orders.alias("others")
#: Whether the id by which a sale is listed is the shop's own id of another sale, which the list may mean.
_IS_ANOTHERS = (
    select(_OTHER.c.name)
    .select_from(order_names)
    .join(_NAMED, order_names.c.order == _NAMED.c.id)
    .join(
        _OTHER,
        and_(
            _OTHER.c.store == order_names.c.store,
            _OTHER.c.name == sa.literal_column("'id:'").concat(func.substr(order_names.c.name, len("src:") + 1)),
        ),
    )
    .join(_OTHERS, _OTHER.c.order == _OTHERS.c.id)
    .where(
        _OF_SALE,
        order_names.c.name.like(sa.literal_column("'src:%'")),
        func.coalesce(_OTHERS.c.same_as, _OTHERS.c.id) != FIRST.c.id,
    )
    .exists()
)
#: Whether a sale was listed as given back since a time; a time to come was written by a clock that was ahead.
IS_LISTED_SO: ColumnElement[bool] = FIRST.c.given_back_at.between(
    bindparam("listed_since", type_=Utc()), bindparam("listed_until", type_=Utc())
)
#: Whether that leaves no doubt.
IS_GIVEN_BACK: ColumnElement[bool] = and_(IS_LISTED_SO, _LISTINGS <= 1, ~_HAS_FAILED, ~_IS_ANOTHERS)


def since(listed_since: datetime, now: datetime) -> dict[str, object]:
    """The parameters of these conditions."""
    return {"listed_since": listed_since, "listed_until": now + REREAD}
