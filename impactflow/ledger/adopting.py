"""
Adoption of purchases that this ledger did not make, or has lost, from the providers' records.

Handlers for the ``Writer`` and reads. A purchase becomes the placement of its key, or is recorded at that placement; a
second purchase under a key is kept beside the first. A second call changes nothing. ``adoption`` decides what is ours.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, or_, select

from impactflow.ledger import allocations, forgotten, lots, moves, surplus_purchases, transitions
from impactflow.ledger.customers import customer
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.plan_rows import planned_on_day, write_day
from impactflow.ledger.rows import NOBODY, look_alike_of, names_for, placement_columns, placement_from_row
from impactflow.ledger.states import UNRESOLVED, WAITING, Status
from impactflow.ledger.tables import events, order_names, orders, placements, vouched_accounts
from impactflow.ledger.transitions import Move
from impactflow.models import UNIT_OF, Kind, ProviderName, Receipt, customer_digest
from impactflow.names import is_lot, lot_number, names_of


class BoughtSlot(NamedTuple):
    """A slot in which something was bought."""

    store: str
    slot: str
    kind: Kind
    purchases: int


@dataclass(frozen=True, slots=True)
class OurPurchase:
    """
    A purchase of ours, as a provider's record describes it.

    Args:
        store: The store whose order it was made for.
        order_id: The order's id, as the provider has it.
        slot: The slot of its key.
        key: The idempotency key that it carries.
        provider: The seller.
        kind: The kind of impact.
        quantity: The quantity in ``UNIT_OF[kind]``; None if the provider does not say it.
        customer_email: The customer on whose behalf it was bought; None for the merchant.
        ref: The provider's name for it.
        parts: The provider's names for its parts, if it says them.
        price_usd_cents: The price, if the provider says it.
        bought_at: The time when it took effect.
        cancelled: Whether it was undone afterwards.
        at: The time of adoption.
        run_id: The run that adopts it.
    """

    store: str
    order_id: str
    slot: str
    key: str
    provider: ProviderName
    kind: Kind
    quantity: int | None
    customer_email: str | None
    ref: str
    parts: tuple[str, ...]
    price_usd_cents: int | None
    bought_at: datetime
    cancelled: bool
    at: datetime
    run_id: str


class Adopted(StrEnum):
    """The result of adopting a purchase."""

    #: The ledger knew nothing of its key.
    NEW = "new"
    #: The ledger had planned it and knew of no purchase.
    RECORDED = "recorded"
    #: The placement of its key holds another purchase: this one is kept beside it.
    FURTHER = "further"
    #: The ledger holds it already, or there is nothing to keep.
    KNOWN = "known"
    #: Its placement is being sent or in doubt: the resolution of the doubt will find it.
    UNSETTLED = "unsettled"


@dataclass(frozen=True, slots=True)
class Vouched:
    """A person's word that no purchase without a key at a store's account was made for this ledger."""

    store: str
    provider: ProviderName
    by: str
    at: datetime


def adopt(connection: Connection, purchases: Sequence[OurPurchase]) -> list[Adopted]:
    """
    Write purchases, each in the way that its placement needs.

    Raises:
        AlreadyRecorded: Another placement holds one of them.
    """
    return [_adopt(connection, each) for each in purchases]


def vouch(connection: Connection, words: Sequence[Vouched]) -> list[None]:
    """Keep a person's word; the last word counts."""
    for word in words:
        one_at_a_time(connection, f"account {word.provider} {word.store}")
        values = {"vouched_at": word.at, "by": word.by}
        account = {"store": word.store, "provider": word.provider.value}
        known = vouched_accounts.update().filter_by(**account)
        if not connection.execute(known.values(values)).rowcount:
            connection.execute(vouched_accounts.insert().values(account | values))
    return [None] * len(words)


def has_sent(connection: Connection, store: str) -> bool:
    """Whether anything was ever sent for a store."""
    return connection.execute(_SENT.where(orders.c.store == store)).first() is not None


def account(connection: Connection, provider: ProviderName, store: str) -> tuple[bool, datetime | None]:
    """Whether anything was ever sent to a provider for a store, and when a person vouched for the store's account."""
    sent = connection.execute(_SENT.where(placements.c.provider == provider, orders.c.store == store)).first()
    words = select(func.max(vouched_accounts.c.vouched_at)).where(
        vouched_accounts.c.provider == provider, vouched_accounts.c.store.in_(["", store])
    )
    return sent is not None, connection.execute(words).scalar()


def slots(connection: Connection) -> Mapping[str, Mapping[str, Kind]]:
    """The slots of each store that has placements, with what they buy."""
    query = (
        select(orders.c.store, placements.c.slot, func.max(placements.c.kind))
        .join(orders, placements.c.order == orders.c.id)
        .group_by(orders.c.store, placements.c.slot)
    )
    found: dict[str, dict[str, Kind]] = {}
    for store, slot, kind in connection.execute(query):
        found.setdefault(store, {})[slot] = Kind(kind)
    return found


def bought_slots(connection: Connection) -> Sequence[BoughtSlot]:
    """The slots in which anything was bought, those with the most purchases first."""
    return [BoughtSlot(row.store, row.slot, Kind(row.kind), row.purchases) for row in connection.execute(_BOUGHT_SLOTS)]


def unused_slots(connection: Connection, store: str, names: Iterable[str]) -> frozenset[str]:
    """The slots of a store, among these, that have no placement at all."""
    return frozenset(
        name for name in names if connection.execute(_IS_USED, {"store": store, "slot": name}).first() is None
    )


def parts(connection: Connection, provider: ProviderName, names: Iterable[str]) -> frozenset[str]:
    """The names, among these, that are the one part of some purchase in the ledger."""
    whole = {json.dumps([name]): name for name in names}
    query = select(placements.c.parts).where(placements.c.provider == provider, placements.c.parts.in_(whole))
    return frozenset(whole[text] for text in connection.execute(query).scalars())


def _adopt(connection: Connection, each: OurPurchase) -> Adopted:
    one_at_a_time(connection, each.store)  # like planners, which may meet the same order now
    row = connection.execute(_BY_KEY, {"key": each.key}).one_or_none()
    if row is None:
        _insert(connection, each)
        return Adopted.NEW
    is_others = is_lot(each.order_id) and row.ref is None and row.status not in UNRESOLVED and not each.cancelled
    if is_others:  # its orders may have been others than those of the purchase
        day = planned_on_day(connection, each.store, each.at)
        lots.give_up(connection, row.id, "it was bought by another ledger", day, each)
        lots.set_free(connection, row.id, each)
        write_day(connection, each.store, day)
        row = connection.execute(_BY_KEY, {"key": each.key}).one()
    if row.ref in names_for(each.ref) or surplus_purchases.known(connection, each.provider, [each.ref]):
        return Adopted.KNOWN
    if row.status in UNRESOLVED:
        return Adopted.UNSETTLED
    if each.cancelled and (row.attempts or row.ref is not None):
        return Adopted.KNOWN
    if row.ref is None:
        _record(connection, each, row)
        return Adopted.RECORDED
    surplus_purchases.note(
        connection, placement_from_row(row, attempted_at=None, alone=False, again=False), each.ref, each.at
    )
    event = {"placement": row.id, "at": each.at, "from_status": row.status, "to_status": row.status, "attempt": 1}
    detail = f"bought twice: {each.ref} was found beside {row.ref}"
    connection.execute(events.insert(), event | {"run_id": each.run_id, "detail": detail})
    return Adopted.FURTHER


def _insert(connection: Connection, each: OurPurchase) -> None:
    """Insert a placement for a purchase, and its order if that is new too."""
    status = Status.CANCELLED if each.cancelled else Status.PLACED
    values = {
        "order": _order_for(connection, _as_kept(connection, each)),
        "slot": each.slot,
        "key": each.key,
        "options": "{}",
        "status": status.value,
        "due_at": None if each.cancelled else each.at,
        "planned_at": each.bought_at,
        "checks": 0,
        "ref": _name_for(connection, each),
        "price_usd_cents": each.price_usd_cents,
        "parts": json.dumps(each.parts) if each.parts else None,
        **_as_bought(connection, each, each.quantity or 0),  # unknown is 0: the purchase itself must not be lost
    }
    transitions.start(connection, [values], [_detail(each)], each.at, each.run_id)
    if is_lot(each.order_id) and not each.cancelled:
        lot = connection.execute(select(placements.c.id).where(placements.c.key == each.key)).scalar_one()
        allocations.to_credit(connection, lot, each.at, each.run_id)


def _order_for(connection: Connection, each: OurPurchase) -> int:
    """
    The row of the order; it is made if there is none.

    If the same sale has a placement in that slot under another key, the purchase gets its own row, joined to the sale
    as planning joins rows of one sale; the placement that waited there is withdrawn.
    """
    if (number := lot_number(each.order_id)) is not None:
        return lots.new_row(connection, each.store, each.order_id, number, each.bought_at, policy=None)
    names = names_of(each.order_id)
    known = order_names.c.store == each.store, order_names.c.name.in_(names)
    root = connection.execute(
        select(func.coalesce(orders.c.same_as, orders.c.id))
        .join(order_names, order_names.c.order == orders.c.id)
        .where(*known)
        .limit(1)
    ).scalar()
    if root is None:
        made = _new_order(connection, each, None)
        connection.execute(order_names.insert(), [{"store": each.store, "name": name, "order": made} for name in names])
        return made
    sale = or_(orders.c.id == root, orders.c.same_as == root)
    rivals = connection.execute(
        select(placements.c.id, placements.c.status, placements.c.attempts)
        .join(orders, placements.c.order == orders.c.id)
        .where(sale, placements.c.slot == each.slot)
    ).all()
    for rival in rivals:
        if rival.status in WAITING:
            reason = f"its sale was bought for, as order {each.order_id}"
            transitions.withdraw(connection, rival, reason, each.at, each.run_id)
    if rivals:
        return _new_order(connection, each, root)
    if each.customer_email is not None:
        without_email = orders.c.id == root, orders.c.customer_email.is_(None)
        connection.execute(orders.update().where(*without_email).values(customer_email=each.customer_email))
    return int(root)


def _new_order(connection: Connection, each: OurPurchase, same_as: int | None) -> int:
    values = {
        "store": each.store,
        "order_id": each.order_id,
        "ordered_at": each.bought_at,
        "customer_email": each.customer_email,
        "eligible": True,
        "digest": "",  # the next reading of the order says more
        "same_as": same_as,
    }
    made: int = connection.execute(orders.insert().values(values).returning(orders.c.id)).scalar_one()
    return made


def _record(connection: Connection, each: OurPurchase, row: Any) -> None:
    """Record the purchase of a placement that had none; a placement that was never sent gets its values."""
    chosen = placements.c.id == row.id
    if not row.attempts or is_lot(each.order_id):
        quantity = row.quantity if each.quantity is None else each.quantity
        connection.execute(placements.update().where(chosen).values(_as_bought(connection, each, quantity)))
    row = connection.execute(_BY_KEY, {"key": each.key}).one()
    placement = placement_from_row(row, attempted_at=row.attempted_at, alone=False, again=False)
    status = Status(row.status)
    if status is Status.HELD:
        transitions.move(connection, [Move(placement, status, Status.PLANNED, each.at, each.run_id, _detail(each))])
        status = Status.PLANNED
    receipt = Receipt(each.ref, each.price_usd_cents, parts=each.parts)
    placed = Move(placement, status, Status.PLACED, each.at, each.run_id, _detail(each), each.at, receipt)
    moves.record_found(connection, [placed])
    day = {"placed_at": each.bought_at, "placed_on": each.bought_at.astimezone(UTC).date()}
    connection.execute(placements.update().where(chosen).values(day))
    if each.cancelled:
        gone = Move(placement, Status.PLACED, Status.CANCELLED, each.at, each.run_id, "cancelled at the provider")
        transitions.move(connection, [gone])


def _as_kept(connection: Connection, each: OurPurchase) -> OurPurchase:
    """The purchase without its customer's address, if the customer was forgotten."""
    return replace(each, customer_email=NOBODY) if forgotten.who(connection, each.customer_email) else each


def _as_bought(connection: Connection, each: OurPurchase, quantity: int) -> dict[str, Any]:
    """The columns that say what was bought, and when; the purchase counts as one attempt."""
    values: dict[str, Any] = {
        "provider": each.provider.value,
        "kind": each.kind.value,
        "quantity": quantity,
        "unit": UNIT_OF[each.kind].value,
        "on_behalf": each.customer_email is not None,
        "attempts": 1,
        "first_attempted_at": each.bought_at,
        "attempted_at": each.bought_at,
        "sent_until": each.bought_at,
        "placed_at": each.bought_at,
        "placed_on": each.bought_at.astimezone(UTC).date(),
    }
    if who := forgotten.who(connection, each.customer_email):
        values |= {"known_as": customer_digest(each.customer_email), "forgotten": customer("", who)}
    return values | {"look_alike": look_alike_of(values, each.customer_email)}


def _name_for(connection: Connection, each: OurPurchase) -> str:
    """The provider's name for the purchase, with a number if another purchase shares that name."""
    shared = placements.c.provider == each.provider, placements.c.ref.in_(names_for(each.ref))
    taken = connection.execute(select(func.count()).select_from(placements).where(*shared)).scalar_one()
    return f"{each.ref}#{taken + 1}" if taken else each.ref


def _detail(each: OurPurchase) -> str:
    return f"adopted from the provider's records: {each.ref}, bought {each.bought_at:%Y-%m-%d %H:%M} UTC"


_SENT = (
    select(placements.c.id).join(orders, placements.c.order == orders.c.id).where(placements.c.attempts > 0).limit(1)
)
_BY_KEY = (
    select(*placement_columns())
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.key == bindparam("key"))
)
_BOUGHT_SLOTS = (
    select(orders.c.store, placements.c.slot, placements.c.kind, func.count().label("purchases"))
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.placed_on.is_not(None))
    .group_by(orders.c.store, placements.c.slot, placements.c.kind)
    .order_by(func.count().desc(), orders.c.store, placements.c.slot)
)
_IS_USED = (
    select(placements.c.id)
    .join(orders, placements.c.order == orders.c.id)
    .where(placements.c.slot == bindparam("slot"), orders.c.store == bindparam("store"))
    .limit(1)
)
