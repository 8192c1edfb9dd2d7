"""
Forget a customer: the address goes out of the ledger and stays out; what was bought, and what it cost, stays.

Handlers for the ``Writer`` and reads. The digest of the address stays with the orders: by it, a sale that is reported
again is not bought again, and a first order stays the first. An order of a forgotten customer has an empty text in the
place of the address: it is still an order in a customer's name, and what a person has decided about it holds, but the
seller is given no name from then on. A purchase that was sent in the name before keeps the digest by which the seller's
records are compared with it (``known_as``).

Forgetting has two steps. The first takes the address away from all that is planned or sent, at a moment at which no
other transaction is under way. The second searches the texts that a person or a seller has written; if it is cut off,
forgetting once more goes on with it.
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, or_, select, text
from sqlalchemy.exc import OperationalError

from impactflow.errors import LedgerContended
from impactflow.ledger.addresses import SIGNS, folded, found_in, read, without
from impactflow.ledger.customers import customer
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import NOBODY, look_alike_of
from impactflow.ledger.states import LONGEST_DELAY, WAITING, Status
from impactflow.ledger.tables import (
    approvals,
    broken_orders,
    deliveries,
    dismissals,
    events,
    forgotten_customers,
    further_purchases,
    metadata,
    orders,
    pauses,
    placements,
    unearned,
    vouched_accounts,
)
from impactflow.models import Order, customer_digest

#: How long to wait for other transactions, in milliseconds: less than Postgres waits before it ends one of two that
#: wait for each other. The ``Writer`` tries again.
_LOCK_MS = 800
#: Postgres's code for a lock that was not given in time.
_NOT_LOCKED = "55P03"
#: The tables that are kept from all others for a moment, always in this order.
_LOCKED = (orders, placements, deliveries, forgotten_customers)
#: The texts of a click.
_TAGS = ("source", "medium", "campaign", "content", "term")
#: How many rows are read at once.
_ROWS = 500


@dataclass(frozen=True, slots=True)
class Forget:
    """
    A person's word that a customer is to be forgotten, in every store of the ledger.

    Args:
        email: The customer's address.
        by: The person who says so.
        at: The time.
    """

    email: str = field(repr=False)
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """
    What the ledger holds of a customer, or held before it was forgotten.

    Args:
        orders: How many orders.
        named: The purchases that were sent in the customer's name, which only the seller can change: order, slot,
            provider and ref.
        texts: How many other texts hold the address.
        bodies: How many webhook deliveries that could not be read hold it.
        names: How many names of orders, refunds or deliveries hold it: they stay, because things are known by them.
        was_forgotten: Whether the customer was forgotten before.
        sending_until: The time until which a purchase may be sent in the customer's name; None if none is being sent.
        pending: How many deliveries that hold the address were not processed yet.
    """

    orders: int = 0
    named: Sequence[Mapping[str, Any]] = field(default_factory=list)
    texts: int = 0
    bodies: int = 0
    names: int = 0
    was_forgotten: bool = False
    sending_until: datetime | None = None
    pending: int = 0

    @property
    def must_wait(self) -> bool:
        """Whether something is under way with the address, so that it cannot be forgotten now."""
        return self.sending_until is not None or self.pending > 0

    def __bool__(self) -> bool:
        """Whether there is anything to forget."""
        return bool(self.orders or self.texts or self.bodies or self.pending)


def among(connection: Connection, emails: Iterable[str | None]) -> frozenset[str]:
    """The customers, among those with these addresses, who were forgotten: their addresses, folded."""
    by_digest = {customer("", email): folded(email) for email in emails if email and email.strip()}
    if not by_digest:
        return frozenset()
    found = connection.execute(_AMONG, {"digests": as_list([digest] for digest in by_digest)}).scalars()
    return frozenset(by_digest[digest] for digest in found)


def addresses_in(order: Order) -> Iterator[str]:
    """The addresses that an order holds: its customer's, and those in its texts."""
    if order.customer_email:
        yield order.customer_email
    clicks = [] if order.last_click is None else [getattr(order.last_click, tag) for tag in _TAGS]
    for written in filter(None, (*(each.name for each in order.products), *order.paid_with, *clicks)):
        if any(sign in written for sign in SIGNS):
            yield from found_in(written)


def as_kept(order: Order, gone: Container[str]) -> Order:
    """
    An order without the addresses of forgotten customers, as the ledger keeps it.

    Args:
        order: The order.
        gone: The addresses, folded.
    """
    if not any(folded(each) in gone for each in addresses_in(order)):
        return order

    def cleared(written: str | None) -> str | None:
        return without(written, gone.__contains__) if written else written

    kept: dict[str, Any] = {
        "products": tuple(replace(each, name=cleared(each.name)) for each in order.products),
        "paid_with": tuple(filter(None, map(cleared, order.paid_with))),
    }
    if (click := order.last_click) is not None:
        kept["last_click"] = replace(click, **{tag: cleared(getattr(click, tag)) for tag in _TAGS})
    if folded(order.customer_email or "") in gone:
        kept["customer_email"] = NOBODY
    return replace(order, **kept)


def empty_bodies(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the bodies of deliveries that could not be read and name a forgotten customer; none is read again."""
    if ids and connection.execute(_ANY).first() is not None:
        bodies = connection.execute(_BODIES, {"ids": as_list([each] for each in ids)}).all()
        gone = [row.id for row in bodies if among(connection, found_in(read(bytes(row.body))))]
        _empty(connection, gone)


def held(connection: Connection, wanted: Forget) -> Holding:
    """What the ledger holds of a customer."""
    theirs = _Theirs(connection, wanted)
    changes, bodies = [*_changed_texts(connection, wanted.email)], _bodies(connection, wanted.email, _HANDLED)
    names = sum(_holds(value, wanted.email) for value in _texts(connection, _names()))
    return replace(theirs.held(), texts=len(changes), bodies=len(bodies), names=names)


def forget(connection: Connection, wanted: Sequence[Forget]) -> list[Holding]:
    """
    Take customers' addresses away from orders and purchases, and keep them out; return what was held of each.

    Nothing is changed where something must be waited for.

    Raises:
        LedgerContended: Others use the ledger too much at this moment.
    """
    _lock(connection)
    return [_forget(connection, each) for each in wanted]


def clear_texts(connection: Connection, wanted: Sequence[Forget]) -> list[Holding]:
    """Take customers' addresses out of all other texts; return how many held them, and how many names do."""
    return [_clear_texts(connection, each) for each in wanted]


class _Theirs:
    """What orders and purchases of a customer there are."""

    def __init__(self, connection: Connection, wanted: Forget) -> None:
        self._connection = connection
        self._wanted = wanted
        #: The rows of orders that have the address.
        self.named = [
            row.id
            for row in connection.execute(_NAMED, execution_options=_STREAMED)
            if folded(row.customer_email) == folded(wanted.email)
        ]
        digests = [[customer(store, wanted.email)] for store in connection.execute(_STORES).scalars().all()]
        known = connection.execute(_KNOWN, {"digests": as_list(digests)}).scalars()
        self.orders = {*self.named, *known}

    def placements(self) -> Sequence[Any]:
        """The placements that name the customer, or would."""
        return self._connection.execute(_PLACEMENTS, {"ids": as_list([each] for each in self.named)}).all()

    def held(self) -> Holding:
        """What they are, and what is under way."""
        found, now = self.placements(), self._wanted.at
        further = self._connection.execute(_FURTHER, {"ids": as_list([row.id] for row in found)}).all()
        named = [
            {"order": row.order_id, "slot": row.slot, "provider": row.provider, "ref": row.ref}
            for row in (*found, *further)
            if row.ref
        ]
        leases = [row.due_at for row in found if row.status == Status.PLACING and row.due_at is not None]
        running = [until for until in leases if now < until <= now + LONGEST_DELAY]
        was_forgotten = bool(among(self._connection, [self._wanted.email]))
        return Holding(
            orders=len(self.named if was_forgotten else self.orders),
            named=named,
            was_forgotten=was_forgotten,
            sending_until=max(running, default=None),
            pending=len(_bodies(self._connection, self._wanted.email, _PENDING)),
        )


def _lock(connection: Connection) -> None:
    """
    Let no other transaction be under way, so that none writes the address back, or sends in the customer's name.

    Raises:
        LedgerContended: Another one did not end in time.
    """
    if connection.dialect.name != "postgresql":
        return  # the transaction began with the only writer's lock
    connection.execute(text(f"SELECT set_config('lock_timeout', '{_LOCK_MS}ms', true)"))
    names = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in _LOCKED)
    try:
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_LOCKED:
            raise
        msg = "other programs use the ledger at this moment, so nothing was forgotten: try again in a minute"
        raise LedgerContended(msg) from error


def _forget(connection: Connection, each: Forget) -> Holding:
    theirs = _Theirs(connection, each)
    found = theirs.held()
    if found.must_wait:
        return found
    for row in theirs.placements():
        values: dict[str, Any] = {}
        if row.attempts and not row.known_as:
            values["known_as"] = customer_digest(row.customer_email)
        if row.status in WAITING:
            values["look_alike"] = look_alike_of(dict(row._mapping), NOBODY)  # noqa: SLF001 - SQLAlchemy's name for it is public
        if values:
            connection.execute(placements.update().where(placements.c.id == row.id).values(values))
    chosen = {"ids": as_list([row] for row in theirs.named)}
    connection.execute(orders.update().where(orders.c.id.in_(_IDS)).values(customer_email=NOBODY), chosen)
    if not found.was_forgotten:
        word = {"customer": customer("", each.email), "at": each.at, "by": each.by}
        connection.execute(forgotten_customers.insert(), word)
    return found


def _clear_texts(connection: Connection, each: Forget) -> Holding:
    changes = [*_changed_texts(connection, each.email)]
    for column, key, value in changes:
        table = column.table
        is_this = [table.c[name] == part for name, part in key.items()]
        connection.execute(table.update().where(*is_this).values({column.name: value}))
    bodies = _bodies(connection, each.email, _HANDLED)
    _empty(connection, bodies)
    names = sum(_holds(value, each.email) for value in _texts(connection, _names()))
    return Holding(texts=len(changes), bodies=len(bodies), names=names)


def _changed_texts(connection: Connection, email: str) -> Iterator[tuple[Column[Any], Mapping[str, Any], str]]:
    """The texts that hold an address: each with its column, the key of its row, and the text without the address."""
    address = folded(email)
    for column in CLEARED:
        keys = list(column.table.primary_key)
        query = select(*(key.label(f"key_{key.name}") for key in keys), column.label("text")).where(_may_hold(column))
        for row in connection.execute(query, execution_options=_STREAMED):
            if _holds(row.text, email):
                is_facts = column is orders.c.facts
                value = _facts_without(row.text, address) if is_facts else without(row.text, address.__eq__)
                if value != row.text:
                    yield column, {key.name: getattr(row, f"key_{key.name}") for key in keys}, value


def _facts_without(kept: str, address: str) -> str:
    """What is kept of an order without an address; the order's names and those of its refunds stay."""
    facts = json.loads(kept)
    return json.dumps(
        {name: value if name in {"names", "refunds"} else _deep(value, address) for name, value in facts.items()}
    )


def _deep(value: Any, address: str) -> Any:
    match value:
        case str():
            return without(value, address.__eq__)
        case list():
            return [_deep(each, address) for each in value]
        case _:
            return value


def _texts(connection: Connection, columns: Iterable[Column[Any]]) -> Iterator[str]:
    for column in columns:
        yield from connection.execute(select(column).where(_may_hold(column)), execution_options=_STREAMED).scalars()


def _may_hold(column: Column[Any]) -> Any:
    return or_(*(column.contains(sign, autoescape=True) for sign in SIGNS))


def _holds(value: str, email: str) -> bool:
    return folded(email) in found_in(value)


def _bodies(connection: Connection, email: str, chosen: sa.Select[Any]) -> list[int]:
    rows = connection.execute(chosen, execution_options={"yield_per": 20})
    return [row.id for row in rows if _holds(read(bytes(row.body)), email)]


def _empty(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the content of some deliveries, which could not be read; another mapping does not open them again."""
    if ids:
        emptied = deliveries.update().where(deliveries.c.id.in_(_IDS)).values(body=None, mapping=None)
        connection.execute(emptied, {"ids": as_list([each] for each in ids)})


#: The columns of texts that persons, shops or sellers write, which are cleared of an address.
CLEARED: tuple[Column[Any], ...] = (
    orders.c.facts,
    unearned.c.reason,
    broken_orders.c.problem,
    *(dismissals.c[name] for name in ("problem", "by", "why")),
    *(placements.c[name] for name in ("reason", "certificate_url")),
    events.c.detail,
    *(approvals.c[name] for name in ("by", "why")),
    deliveries.c.problem,
    vouched_accounts.c.by,
    *(pauses.c[name] for name in ("by", "why", "resumed_by")),
    forgotten_customers.c.by,
)
#: The column that has the customer's address.
ADDRESS = orders.c.customer_email


def _names() -> Iterator[Column[Any]]:
    """The columns of all other texts: names by which something is known, or words of the program's own."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if type(column.type) is sa.Text and column not in {*CLEARED, ADDRESS}:
                yield column


_STREAMED = {"yield_per": _ROWS}
_IDS = select(listed("ids", {"id": orders.c.id.type}).c.id)
_DIGESTS = select(listed("digests", {"digest": orders.c.customer.type}).c.digest)
_ANY = select(forgotten_customers.c.customer).limit(1)
_AMONG = select(forgotten_customers.c.customer).where(forgotten_customers.c.customer.in_(_DIGESTS))
_NAMED = select(orders.c.id, orders.c.customer_email).where(orders.c.customer_email != NOBODY)
_STORES = select(orders.c.store).distinct()
_KNOWN = select(orders.c.id).where(orders.c.customer.in_(_DIGESTS))
_JOINED = placements.join(orders, placements.c.order == orders.c.id)
_LOOK = tuple(placements.c[name] for name in ("id", "provider", "kind", "quantity", "on_behalf"))
_PLACEMENTS = (
    select(
        *_LOOK,
        *(placements.c[name] for name in ("slot", "status", "attempts", "due_at", "ref", "known_as")),
        orders.c.order_id,
        orders.c.customer_email,
    )
    .select_from(_JOINED)
    .where(placements.c.on_behalf, orders.c.id.in_(_IDS))
    .order_by(placements.c.id)
)
_FURTHER = (
    select(further_purchases.c.ref, further_purchases.c.provider, placements.c.slot, orders.c.order_id)
    .select_from(further_purchases.join(placements).join(orders, placements.c.order == orders.c.id))
    .where(placements.c.id.in_(_IDS))
)
_BODY = select(deliveries.c.id, deliveries.c.body).where(deliveries.c.body.is_not(None))
_HANDLED = _BODY.where(deliveries.c.handled_at.is_not(None))
_PENDING = _BODY.where(deliveries.c.handled_at.is_(None))
_BODIES = _BODY.where(deliveries.c.id.in_(_IDS))
