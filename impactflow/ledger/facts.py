"""
The last report of an order, kept so that the order can be judged again when no source reports it any more.

It has everything that a policy can ask, and the order's names; the e-mail address is kept apart, and only if a provider
gets it. A report may be old when it comes: this module decides whether it is news, ``planning`` decides what follows.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, or_, select, union

from impactflow.ledger.fresh import FIRST, FRESH, RELEASED
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import orders, placements, shares
from impactflow.models import Click, Order, Payment, Product, ProviderName

#: The time after a change of an order during which its source may still list the order unchanged.
_LAG = timedelta(days=1)


class Origin(StrEnum):
    """The way in which a page's orders came."""

    #: Read from their source, as the source shows them at that moment.
    READ = "read"
    #: Announced by their senders, one by one and in any order.
    ANNOUNCED = "announced"
    #: Not reported again: taken from the ledger.
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """
    An order as the ledger keeps it.

    Args:
        row: The ledger's first row of the sale.
        order: The order's content.
        read_at: The time when it was last read or announced.
        was_listed: Whether its source has listed it.
        was_held: Whether one of its placements was held, or on hold.
    """

    row: int
    order: Order
    read_at: datetime
    was_listed: bool
    was_held: bool

    def is_sent(self, now: datetime) -> bool:
        """Whether its placements are sent without another reading of the order."""
        released = self.was_held and not self.was_listed and now - self.read_at < RELEASED
        return released or now - self.read_at <= FRESH


def to_evaluate_again(connection: Connection, store: str, policy: str, after: int, limit: int) -> Sequence[Kept]:
    """
    The orders with a waiting placement that was planned under another policy, and those with an announcement.

    Args:
        connection: In a transaction.
        store: The store of the orders.
        policy: The digest of the policy to judge by.
        after: Only orders with rows after this one.
        limit: The most orders to return.
    """
    values = {"store": store, "policy": policy, "after": after, "limit": limit}
    return [
        Kept(row.id, order_from_row(row), row.read_at, row.listed is not None, row.was_held)
        for row in connection.execute(_TO_EVALUATE, values)
    ]


def content_digest(order: Order) -> str:
    """A digest of an order's whole content."""
    return _digest(_plain(order), order.ordered_at.isoformat(), order.customer_email, order.is_first)


def judged_digest(policy: str, order: Order, asks: str = "") -> str:
    """A digest that changes when the content of the order or the policy, or a person's question about it, changes."""
    asked = f" {asks}" if asks else ""
    return hashlib.sha256(f"{policy} {content_digest(order)}{asked}".encode()).hexdigest()[:24]


def values_of(origin: Origin, order: Order) -> dict[str, Any]:
    """The values that the ledger keeps of an order that is news; none for an order that only reports its names."""
    if order.only_names:
        return {"facts": None, "facts_at": None}
    if origin is Origin.READ:
        return {"facts": as_text(order), "facts_at": None, "listed": listing(order)}
    return {"facts": as_text(order), "facts_at": _time_of(order)}


def as_text(order: Order) -> str:
    """An order's content, as the ledger keeps it."""
    announced_at = None if order.announced_at is None else order.announced_at.isoformat()
    return json.dumps(_plain(order) | {"told_at": announced_at})


def listing(order: Order) -> str:
    """A digest of the values that a source lists for an order: it changes if the order is edited, paid or refunded."""
    return _digest(_plain_core(order), order.ordered_at.isoformat(), None)


def is_news(origin: Origin, order: Order, row: Any) -> bool:
    """
    Whether the new report of a known order holds, rather than the kept one.

    The later of two reports holds. A source that repeats its earlier report may not know yet what a webhook has
    announced since. If no one knows which of two reports is later, the one that earns less holds; except that an
    announcement that does not say its time may be from any time before.

    Args:
        origin: The way in which it came.
        order: The new report.
        row: The order's row: eligible, refunded, read_at, facts, facts_at, listed, and what ``order_from_row`` needs.
    """
    if origin is Origin.KEPT or order.only_names:
        return False
    return _is_read_anew(order, row) if origin is Origin.READ else _is_announced_anew(order, row)


def _is_read_anew(order: Order, row: Any) -> bool:
    if row.facts_at is None:
        return True
    if row.listed is not None:
        return bool(row.listed != listing(order))
    known = order_from_row(row)
    return _gives_back_more(order, known) or _is_less(order, known) or (known.is_paid and not order.is_paid)


def _is_announced_anew(order: Order, row: Any) -> bool:
    counts = row.eligible or row.refunded
    if row.facts is None:
        return not counts or (not row.refunded and _is_later(order.as_of, row.read_at))
    known = order_from_row(row)
    counts = counts or known.is_refunded_in_part
    if row.facts_at is not None:
        return _holds(order, known, row.facts_at, counts=counts)
    if not counts or order.as_of is None:
        return not counts
    came_late = order.as_of > row.read_at - _LAG and _is_less(order, known)
    return _gives_back_more(order, known) or came_late or (not row.refunded and order.as_of > row.read_at)


def completed(kept: Order, listed: Order) -> Order:
    """A webhook's order, with the values that only its source has; since it is listed, it counts as read."""
    has_amount = kept.amount is not None
    return replace(
        kept,
        amount=kept.amount if has_amount else listed.amount,
        currency=kept.currency if has_amount else listed.currency,
        item_count=listed.item_count if kept.item_count is None else kept.item_count,
        products=kept.products or listed.products,
        paid_with=kept.paid_with or listed.paid_with,
        is_subscription=listed.is_subscription if kept.is_subscription is None else kept.is_subscription,
        last_click=listed.last_click,
        announced_at=None,
    )


def overrides(order: Order, earlier: Order, *, counts: bool) -> bool:
    """Whether an announcement of a sale overrides the one just before, which may count or not."""
    if order.only_names or earlier.only_names:
        return earlier.only_names
    counts_earlier = counts or earlier.is_refunded or earlier.is_refunded_in_part
    return _holds(order, earlier, _time_of(earlier), counts=counts_earlier)


def _holds(order: Order, known: Order, known_at: datetime, *, counts: bool) -> bool:
    """Whether an announcement holds: a later one; of the same second, the lesser; without a time, if nothing counts."""
    if order.as_of is None:
        return not counts
    if order.as_of == known_at:
        return not counts or _gives_back_more(order, known) or _is_less(order, known)
    return order.as_of > known_at


def _is_later(as_of: datetime | None, known_at: datetime | None) -> bool:
    return as_of is not None and known_at is not None and as_of > known_at


def _gives_back_more(order: Order, known: Order) -> bool:
    def given_back(each: Order) -> int:
        return 2 if each.is_refunded else int(each.is_refunded_in_part)

    return given_back(order) > given_back(known)


def _is_less(order: Order, known: Order) -> bool:
    """Whether the order costs less, or holds fewer things; an unknown value decides nothing."""
    amount, before = order.amount, known.amount
    if amount is not None and before is not None and order.currency == known.currency and amount != before:
        return amount < before
    items, items_before = order.item_count, known.item_count
    return items is not None and items_before is not None and items < items_before


def _time_of(order: Order) -> datetime:
    return order.as_of or order.ordered_at


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def with_what_stays(origin: Origin, order: Order, row: Any) -> Order:
    """
    An order that is news, with earlier values that it does not say.

    These are the values that some sources do not know and that never change: the click, the payment method, whether the
    order is of a subscription, and the gift cards. The time of the first webhook report stays too: later repetitions
    say nothing about the order's age, nor does another reading of it.
    """
    if not row.facts:
        return order
    kept = json.loads(row.facts)
    stays: dict[str, Any] = {
        "products": _with_gift_cards(order.products, _products(kept)),
        "paid_with": order.paid_with or tuple(kept.get("paid_with", ())),
        "last_click": order.last_click or _click(kept),
        "is_subscription": _is_subscription(kept.get("subscription"), order.is_subscription),
        "announced_at": _time(kept["told_at"]) if origin is Origin.ANNOUNCED else order.announced_at,
    }
    return order if all(getattr(order, name) == value for name, value in stays.items()) else replace(order, **stays)


def _with_gift_cards(products: tuple[Product, ...], known: tuple[Product, ...]) -> tuple[Product, ...]:
    """The reported products, with the known gift cards marked; the known products if none are reported."""
    gift_cards = [each for each in known if each.is_gift_card]
    if not products or not gift_cards:
        return products or known
    return tuple(
        replace(each, is_gift_card=each.is_gift_card or any(_is_same(each, card) for card in gift_cards))
        for each in products
    )


def _is_same(product: Product, other: Product) -> bool:
    """Whether two sources mean one product: not every source knows all of its ids."""
    return not set(product.ids).isdisjoint(other.ids) or (product.name is not None and product.name == other.name)


def _is_subscription(known: bool | None, reported: bool | None) -> bool | None:
    """Return true if one source says that the order is of a subscription; a source that says nothing has no effect."""
    return True if known is True else known if reported is None else reported


def order_from_row(row: Any, email: str | None = None) -> Order:
    """
    The order as the ledger keeps it.

    Args:
        row: The order's row: order_id, ordered_at, customer_email, facts, facts_at.
        email: The customer's e-mail address, if it became known meanwhile.
    """
    kept = json.loads(row.facts)
    return Order(
        id=row.order_id,
        names=tuple(kept["names"]),
        ordered_at=row.ordered_at,
        amount=_number(kept["amount"]),
        currency=kept["currency"],
        item_count=_number(kept["items"]),
        payments=tuple(map(Payment, kept["payments"])),
        customer_email=row.customer_email if email is None else email,
        announced_at=_time(kept["told_at"]),
        as_of=row.facts_at,
        refunds=frozenset(kept["refunds"]),
        products=_products(kept),
        paid_with=tuple(kept.get("paid_with", ())),
        is_subscription=kept.get("subscription"),
        last_click=_click(kept),
    )


def _plain(order: Order) -> dict[str, Any]:
    """The order's values as JSON can hold them; a rare value only if this order has it."""
    more = {
        "products": [
            [list(each.ids), each.name, str(each.quantity), _text(each.amount), each.is_gift_card]
            for each in order.products
        ],
        "paid_with": list(order.paid_with),
        "subscription": order.is_subscription,
        "last_click": None if order.last_click is None else _tags(order.last_click),
    }
    return _plain_core(order) | {name: value for name, value in more.items() if value not in (None, [])}


def _plain_core(order: Order) -> dict[str, Any]:
    return {
        "names": sorted(order.names),
        "amount": _text(order.amount),
        "currency": order.currency,
        "items": _text(order.item_count),
        "payments": [payment.status for payment in order.payments],
        "refunds": sorted(order.refunds),
    }


def _products(kept: Mapping[str, Any]) -> tuple[Product, ...]:
    return tuple(_product(*product) for product in kept.get("products", ()))


def _click(kept: Mapping[str, Any]) -> Click | None:
    return Click(*click) if (click := kept.get("last_click")) else None


def _product(ids: list[str], name: str | None, quantity: str, amount: str | None, is_gift_card: bool) -> Product:
    return Product(tuple(ids), name, Decimal(quantity), _number(amount), is_gift_card)


def _tags(click: Click) -> list[str | None]:
    return [click.source, click.medium, click.campaign, click.content, click.term]


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_SALE = func.coalesce(orders.c.same_as, orders.c.id)
#: Orders with a waiting placement that may be changed. The providers are named, so that the index on them is used.
_WAITS = (
    select(_SALE.label("id"))
    .join(placements, placements.c.order == orders.c.id)
    .where(placements.c.provider.in_(list(ProviderName)), placements.c.status.in_(WAITING))
)
#: Orders with an announcement; written out, as an index of only these rows needs it.
_ANNOUNCED = select(orders.c.id).where(
    orders.c.store == bindparam("store"), literal_column("digest") == literal_column("''")
)
#: Orders with a share of which a part waits for a lot.
_SHARES = (
    select(_SALE.label("id")).join(shares, shares.c.order == orders.c.id).where(shares.c.covered < shares.c.owed)
).where(shares.c.covered != shares.c.owed)  # for the index
_CANDIDATES = union(_WAITS, _SHARES, _ANNOUNCED).subquery("candidates")
_IS_HELD = (
    select(placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(
        or_(orders.c.id == FIRST.c.id, orders.c.same_as == FIRST.c.id),
        or_(placements.c.status == Status.HELD, placements.c.buy_from.is_not(None)),
    )
    .exists()
)
_KEPT = ("id", "order_id", "ordered_at", "customer_email", "facts", "facts_at", "read_at", "listed")
_TO_EVALUATE = (
    select(*(FIRST.c[name] for name in _KEPT), _IS_HELD.label("was_held"))
    .join_from(_CANDIDATES, FIRST, FIRST.c.id == _CANDIDATES.c.id)
    .where(
        # Not by their indexes: SQLite would walk through all orders there are.
        FIRST.c.store.concat("") == bindparam("store"),
        FIRST.c.id + 0 > bindparam("after"),
        FIRST.c.facts.is_not(None),
        FIRST.c.policy.is_distinct_from(bindparam("policy")) | (FIRST.c.digest == ""),
    )
    .order_by(FIRST.c.id + 0)
    .limit(bindparam("limit"))
)
