"""
What an order said when it was told last, kept so that it can be judged again where nobody tells of it any more.

All that a policy can ask of it, and its names; the e-mail address is kept apart, and only where a provider is told.
What is told may be old by then: whether it is news is decided here, whatever follows from it in ``planning``.
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

from impactflow.ledger.fresh import FIRST, FRESH
from impactflow.ledger.states import WAITING, Status
from impactflow.ledger.tables import orders, placements
from impactflow.models import Click, Order, Payment, Product, ProviderName

#: How long after a change of an order its source may still list it as it was.
_LAG = timedelta(days=1)
#: How old what a webhook told may be when an order that was held for the policy's sake is bought after all.
RELEASED = timedelta(days=60)


class Told(StrEnum):
    """How a page's orders came."""

    #: Read from their source, as it shows them at that moment.
    READ = "read"
    #: Announced by their senders, one by one and in any order.
    ANNOUNCED = "announced"
    #: Not told again: taken from what is kept.
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """
    An order as it is kept.

    Args:
        row: The ledger's first row of the sale.
        order: What it said.
        read_at: When it was read or announced last.
        was_listed: Whether its source has listed it.
        was_held: Whether something of it was held.
    """

    row: int
    order: Order
    read_at: datetime
    was_listed: bool
    was_held: bool

    def is_sent(self, now: datetime) -> bool:
        """Whether what it has earned is sent without its being read once more."""
        released = self.was_held and not self.was_listed and now - self.read_at < RELEASED
        return released or now - self.read_at <= FRESH


def to_judge_again(connection: Connection, store: str, policy: str, after: int, limit: int) -> Sequence[Kept]:
    """
    Orders of which something waits that was planned under another policy, or of which something was announced.

    Args:
        connection: In a transaction.
        store: Whose orders.
        policy: The digest of the policy to judge by.
        after: Orders of rows after this.
        limit: How many at most.
    """
    values = {"store": store, "policy": policy, "after": after, "limit": limit}
    return [
        Kept(row.id, order_from_row(row), row.read_at, row.listed is not None, row.was_held)
        for row in connection.execute(_TO_JUDGE, values)
    ]


def said(order: Order) -> str:
    """A digest of all that an order says."""
    return _digest(_plain(order), order.ordered_at.isoformat(), order.customer_email, order.is_first)


def values_of(told: Told, order: Order) -> dict[str, Any]:
    """What the ledger keeps of an order that is news; nothing of one that only says by what names it goes."""
    if order.only_names:
        return {"facts": None, "facts_at": None}
    if told is Told.READ:
        return {"facts": as_text(order), "facts_at": None, "listed": listing(order)}
    return {"facts": as_text(order), "facts_at": _time_of(order)}


def as_text(order: Order) -> str:
    """What an order says, as the ledger keeps it."""
    told_at = None if order.told_at is None else order.told_at.isoformat()
    return json.dumps(_plain(order) | {"told_at": told_at})


def listing(order: Order) -> str:
    """A digest of what a source lists of an order: what changes when it is edited, paid or refunded."""
    return _digest(_plain_core(order), order.ordered_at.isoformat(), None)


def is_news(told: Told, order: Order, row: Any) -> bool:
    """
    Whether what is told of a known order holds, rather than what is kept of it.

    Of two words the later one holds. A source that says what it said before may not have heard yet what a webhook has
    announced since. Where nobody knows which of two is later, the one that earns less holds; only an announcement that
    does not say as of when it is true may be of any time before.

    Args:
        told: How it was told.
        order: What was told.
        row: The order's row: eligible, refunded, read_at, facts, facts_at, listed, and what ``order_from_row`` needs.
    """
    if told is Told.KEPT or order.only_names:
        return False
    return _is_read_anew(order, row) if told is Told.READ else _is_announced_anew(order, row)


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
    """An order as a webhook told it, with what only its source tells; that it is listed makes it one that was read."""
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
        told_at=None,
    )


def overrides(order: Order, earlier: Order, *, counts: bool) -> bool:
    """Whether what was announced of a sale holds, rather than what was announced just before; that may count or not."""
    if order.only_names or earlier.only_names:
        return earlier.only_names
    settled = counts or earlier.is_refunded or earlier.is_refunded_in_part
    return _holds(order, earlier, _time_of(earlier), counts=settled)


def _holds(order: Order, known: Order, known_at: datetime, *, counts: bool) -> bool:
    """Of two announcements of one second the one holds by which there is less; of one without a time, no other one."""
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
    """Whether it costs less, or holds fewer things; of what is not told nothing follows."""
    amount, before = order.amount, known.amount
    if amount is not None and before is not None and order.currency == known.currency and amount != before:
        return amount < before
    items, items_before = order.item_count, known.item_count
    return items is not None and items_before is not None and items < items_before


def _time_of(order: Order) -> datetime:
    return order.as_of or order.ordered_at


def _digest(*told: Any) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]


def with_what_stays(told: Told, order: Order, row: Any) -> Order:
    """
    An order that is news, with what was told of it before and it does not say.

    That is what not every teller knows and never changes: by what click it came, how it was paid, whether it is of a
    subscription, what is a gift card. And since when a webhook has told of it: how long after it one did so once more
    says nothing about its age, nor where it was read besides.
    """
    if not row.facts:
        return order
    kept = json.loads(row.facts)
    stays: dict[str, Any] = {
        "products": _with_gift_cards(order.products, _products(kept)),
        "paid_with": order.paid_with or tuple(kept.get("paid_with", ())),
        "last_click": order.last_click or _click(kept),
        "is_subscription": _is_subscription(kept.get("subscription"), order.is_subscription),
        "told_at": _time(kept["told_at"]) if told is Told.ANNOUNCED else order.told_at,
    }
    return order if all(getattr(order, name) == value for name, value in stays.items()) else replace(order, **stays)


def _with_gift_cards(products: tuple[Product, ...], known: tuple[Product, ...]) -> tuple[Product, ...]:
    """Products as they are told, with what is known to be a gift card; as they were known where none is told."""
    gift_cards = [each for each in known if each.is_gift_card]
    if not products or not gift_cards:
        return products or known
    return tuple(
        replace(each, is_gift_card=each.is_gift_card or any(_is_same(each, card) for card in gift_cards))
        for each in products
    )


def _is_same(product: Product, other: Product) -> bool:
    """Whether two tellers mean one thing: not each knows it by all of its ids."""
    return not set(product.ids).isdisjoint(other.ids) or (product.name is not None and product.name == other.name)


def _is_subscription(known: bool | None, told: bool | None) -> bool | None:
    """What is of a subscription for one teller is; a teller that does not say changes nothing."""
    return True if known is True else known if told is None else told


def order_from_row(row: Any, email: str | None = None) -> Order:
    """
    The order as it is kept.

    Args:
        row: The order's row: order_id, ordered_at, customer_email, facts, facts_at.
        email: The customer's e-mail address, where it has been told meanwhile.
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
        customer_email=email or row.customer_email,
        told_at=_time(kept["told_at"]),
        as_of=row.facts_at,
        refunds=frozenset(kept["refunds"]),
        products=_products(kept),
        paid_with=tuple(kept.get("paid_with", ())),
        is_subscription=kept.get("subscription"),
        last_click=_click(kept),
    )


def _plain(order: Order) -> dict[str, Any]:
    """Of what few orders say, only what this one does."""
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
#: Of which something waits that may be changed. The providers are named, so that the index on them is used.
_WAITS = (
    select(_SALE.label("id"))
    .join(placements, placements.c.order == orders.c.id)
    .where(placements.c.provider.in_(list(ProviderName)), placements.c.status.in_(WAITING))
)
#: Of which something was announced; written out, as an index of only these rows needs it.
_ANNOUNCED = select(orders.c.id).where(
    orders.c.store == bindparam("store"), literal_column("digest") == literal_column("''")
)
_CANDIDATES = union(_WAITS, _ANNOUNCED).subquery("candidates")
_IS_HELD = (
    select(placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(or_(orders.c.id == FIRST.c.id, orders.c.same_as == FIRST.c.id), placements.c.status == Status.HELD)
    .exists()
)
_KEPT = ("id", "order_id", "ordered_at", "customer_email", "facts", "facts_at", "read_at", "listed")
_TO_JUDGE = (
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
