"""
The orders of Wicked Reports: pages that may shift while they are read, and the conversion of its orders.

Pages stream; only a hash of each order's id is kept, to tell an order that was seen from one that a shifting page hid.
"""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal

from impactflow.clients import WickedReportsClient
from impactflow.clients.wickedreports.models import WickedOrder, WickedProduct, WickedTouch
from impactflow.escapes import public_id
from impactflow.models import BrokenOrder, Click, Order, Payment, Product
from impactflow.names import is_system, source_name, wicked_name
from impactflow.window import Window

log = logging.getLogger(__name__)

#: How often a window is read at most where its pages disagree, or readings do.
_READINGS = 4


@dataclass(frozen=True, slots=True)
class WickedReportsOrders:
    """
    The orders of an account at Wicked Reports.

    Args:
        client: The account.
        file: None: Wicked Reports lists all orders of a window.
    """

    client: WickedReportsClient
    file: None = field(default=None, init=False)

    async def read(
        self, window: Window, missing: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[list[Order | BrokenOrder]]:
        """
        Yield the window's orders, page by page, each order once.

        Pages are cut from a list that changes while it is read, so that an order can slip from a page still to come to
        one that was read. Where a reading contradicts itself (an order on two pages, another number of orders announced
        on one page than on the next, another number than came), the window is read again until two readings in a row
        agree.

        Args:
            window: The days to read.
            missing: Called at the end with how many orders may be missing, where no two readings agreed.

        Raises:
            ProviderError: A page could not be read; the pages before it are good.
        """
        seen: set[int] = set()
        before: _Reading | None = None
        for _ in range(_READINGS):
            reading = _Reading()
            async for page in self.client.list_orders(*window.reads):
                reading.announce(page.total)
                fresh = [order for order in page.items if reading.note(order) not in seen]
                seen |= reading.ids
                yield [_ordered(order) for order in fresh if _wanted(order, window)]
            if reading.agrees_with(before):
                return
            before, last = reading, before
        count = before.lacks(last) if before else 0
        missing(count)
        log.warning(
            "no two readings of the orders from %s to %s agreed, %d may be missing: the next run looks again",
            window.from_,
            window.to,
            count,
            extra={"action": "orders_missing", "missing": count, "read": len(seen)},
        )


@dataclass(slots=True)
class _Reading:
    """
    The orders announced and the orders received, in one reading of a window.

    Args:
        ids: A hash of each order's id: a hundred thousand take a few megabytes.
        announced: How many orders the source says there are, page by page, each number once.
        repeated: Whether an order came twice.
        nameless: Broken orders without an id; the third of them is taken for the third of another reading.
    """

    ids: set[int] = field(default_factory=set)
    announced: set[int] = field(default_factory=set)
    repeated: bool = False
    nameless: int = 0

    def announce(self, total: int | None) -> None:
        """Note the number of orders that a page announces; None or 0 where it announces none."""
        if total:
            self.announced.add(total)

    def note(self, order: WickedOrder | BrokenOrder) -> int:
        """Note an order that has come; return the hash by which it is known."""
        self.nameless += order.id is None
        key = hash((order.id, self.nameless if order.id is None else 0))
        self.repeated = self.repeated or key in self.ids
        self.ids.add(key)
        return key

    def agrees_with(self, before: "_Reading | None") -> bool:
        """Whether nothing is missing: a first reading is judged by itself, a later one by the reading before."""
        if before is None:
            return not self.repeated and self.announced <= {len(self.ids)}
        return self.ids == before.ids and max(self.announced, default=0) <= len(self.ids)

    def lacks(self, before: "_Reading | None") -> int:
        """The number of orders that may be missing, at least one."""
        changed = len(self.ids ^ before.ids) if before else 0
        return max(1, max(self.announced, default=0) - len(self.ids), changed)


def _wanted(order: WickedOrder | BrokenOrder, window: Window) -> bool:
    """Whether an order belongs to the window; a broken order has no day, and must not be dropped silently."""
    return isinstance(order, BrokenOrder) or window.contains(order.date)


def _ordered(order: WickedOrder | BrokenOrder) -> Order | BrokenOrder:
    return order if isinstance(order, BrokenOrder) else order_from_wicked(order)


def order_from_wicked(order: WickedOrder) -> Order:
    """Convert an order of Wicked Reports into an ``Order``."""
    email = order.contact.email if order.contact else None
    return Order(
        id=public_id(order.id),
        names=_names(order),
        ordered_at=order.date,
        amount=order.amount,
        currency=(order.currency or "").strip().upper() or None,
        item_count=_item_count(order),
        payments=tuple(Payment(payment.status or "") for payment in order.payments or ()),
        customer_email=(email or "").strip() or None,
        products=tuple(map(_product, order.products or ())),
        is_subscription=bool((order.subscription_id or "").strip()),
        last_click=_click(order.attributions.last_click) if order.attributions else None,
        reporter=f"wickedreports {(order.source_system or '').strip().lower()}".strip(),
    )


def _product(product: WickedProduct) -> Product:
    """Convert a product; without a quantity it was sold once."""
    quantity = Decimal(1) if product.qty is None else product.qty
    amount = None if product.price_per_unit is None else product.price_per_unit * quantity
    return Product((product.id,) if product.id else (), product.name, quantity, amount)


def _click(touch: WickedTouch | None) -> Click | None:
    if touch is None:
        return None
    return Click(touch.source, touch.medium, touch.campaign, touch.content, touch.term)


def _names(order: WickedOrder) -> tuple[str, ...]:
    """The names of an order; a source's id is a name only together with the source."""
    names = dict.fromkeys((wicked_name(order.id), wicked_name(public_id(order.id))))
    system = order.source_system or ""
    if not is_system(system) or not order.source_id.strip():
        return tuple(names)
    return *names, source_name(system, order.source_id)


def _item_count(order: WickedOrder) -> Decimal | None:
    return sum((_product(each).quantity for each in order.products), Decimal(0)) if order.products else None
