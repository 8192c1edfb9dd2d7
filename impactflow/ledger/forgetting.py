"""
Forget a customer: the address goes out of the ledger and stays out; what was bought, and what it cost, stays.

Handlers for the ``Writer`` and reads. The digest of the address stays with the orders: by it, a sale that is reported
again is not bought again, and a first order stays the first. An order of a forgotten customer has an empty text in the
place of the address: it is still an order in a customer's name, and what a person has decided about it holds, but the
seller is given no name from then on. A purchase that was sent in the name before keeps the digest by which the seller's
records are compared with it (``known_as``).

Forgetting has three steps. The first takes the address away from all that is planned or sent, at a moment at which no
other transaction is under way; from then on nothing that is written brings it back. The second searches the texts that
a person or a seller has written, while others write. The third writes a file anew. That all three are over is kept: if
they are cut off, forgetting once more goes on with them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table, bindparam, or_, select, text
from sqlalchemy.exc import OperationalError

from impactflow.errors import LedgerBusy
from impactflow.ledger import facts
from impactflow.ledger.addresses import SIGNS, folded, found_in, named_in, read, without
from impactflow.ledger.customers import customer
from impactflow.ledger.forgotten import AS_THEY_ARE, without_them
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
from impactflow.models import customer_digest

#: How long to wait for other transactions, in milliseconds: less than Postgres waits before it ends one of two that
#: wait for each other.
_LOCK_MS = 800
#: Postgres's code for a lock that was not given in time.
_NOT_LOCKED = "55P03"
#: After how long Postgres sees whom one who waits for a lock waits for.
_DEADLOCK_MS = "SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'"
#: The tables that are kept from all others for a moment, always in this order.
_LOCKED = (orders, placements, deliveries, forgotten_customers)
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
        named: The purchases that an attempt in the customer's name has made, or may have made: only the seller can
            take the name out. Order, slot, provider and ref.
        texts: How many other texts hold the address.
        bodies: How many webhook deliveries that could not be read hold it.
        names: How many names of orders, refunds or deliveries hold it: they stay, because things are known by them.
        was_forgotten: Whether the customer was forgotten before.
        is_unfinished: Whether that was cut off: texts, or the free space of a file, may still hold the address.
        sending_until: The time until which a purchase may be sent in the customer's name; None if none is being sent.
        pending: The deliveries that hold the address and were not processed yet: store, source and count.
    """

    orders: int = 0
    named: Sequence[Mapping[str, Any]] = field(default_factory=list)
    texts: int = 0
    bodies: int = 0
    names: int = 0
    was_forgotten: bool = False
    is_unfinished: bool = False
    sending_until: datetime | None = None
    pending: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def must_wait(self) -> bool:
        """Whether something is under way with the address, so that it cannot be forgotten now."""
        return self.sending_until is not None or bool(self.pending)

    def __bool__(self) -> bool:
        """Whether there is anything to forget."""
        return bool(self.orders or self.texts or self.bodies or self.pending or self.is_unfinished)


@dataclass(frozen=True, slots=True)
class Change:
    """
    Values of one row with an address in them, and the same without it.

    Args:
        table: The table.
        key: The key of the row.
        before: The values as they were read: a row that has others by now is left alone.
        after: The values to be written.
    """

    table: Table
    key: Mapping[str, Any]
    before: Mapping[str, Any] = field(repr=False)
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Left:
    """
    What still holds an address, apart from orders and purchases.

    Args:
        changes: The texts.
        bodies: The deliveries that could not be read.
        names: How many names hold it.
    """

    changes: Sequence[Change]
    bodies: Sequence[int]
    names: int


def held(connection: Connection, wanted: Forget) -> Holding:
    """What the ledger holds of a customer."""
    left = left_of(connection, wanted)
    return replace(
        _Theirs(connection, wanted).held(), texts=len(left.changes), bodies=len(left.bodies), names=left.names
    )


def forget(connection: Connection, wanted: Sequence[Forget]) -> list[Holding]:
    """
    Take customers' addresses away from orders and purchases, and keep them out; return what was held of each.

    Nothing is changed where something must be waited for.

    Raises:
        LedgerBusy: Others use the ledger too much at this moment.
    """
    _lock(connection)
    return [_forget(connection, each) for each in wanted]


def left_of(connection: Connection, wanted: Forget) -> Left:
    """What still holds a customer's address, apart from orders and purchases."""
    names = sum(_is_part_of(value, wanted.email) for value in _texts(connection, _names()))
    bodies = [row.id for row in _bodies(connection, wanted.email, _HANDLED)]
    return Left([*_changed_texts(connection, wanted.email)], bodies, names)


def clear(connection: Connection, changes: Sequence[Change]) -> list[bool]:
    """Write values without an address; return for each row whether it was as it had been read."""
    return [_clear(connection, each) for each in changes]


def end(connection: Connection, wanted: Sequence[Forget]) -> list[None]:
    """Keep that nothing holds the customers' addresses any more."""
    for each in wanted:
        connection.execute(_WORD.values(ended_at=each.at), {"of": customer("", each.email)})
    return [None] * len(wanted)


class _Theirs:
    """What orders and purchases of a customer there are."""

    def __init__(self, connection: Connection, wanted: Forget) -> None:
        self._connection = connection
        self._wanted = wanted
        address = folded(wanted.email)
        #: The rows of orders that have the address.
        self.named = {
            row.id
            for row in connection.execute(_NAMED, execution_options=_STREAMED)
            if _may_name(row.customer_email, address) and address in named_in(row.customer_email)
        }
        digests = [[customer(store, wanted.email)] for store in connection.execute(_STORES).scalars().all()]
        known = set(connection.execute(_KNOWN, {"digests": as_list(digests)}).scalars())
        self.orders = self.named | known
        values = {"ids": as_list([each] for each in sorted(self.named)), "forgotten": customer("", wanted.email)}
        #: The placements that name the customer or would, and those that did before the customer was forgotten.
        self.placements = connection.execute(_PLACEMENTS, values).all()
        self.waiting = _bodies(connection, wanted.email, _PENDING)
        self.word = connection.execute(_SAID, {"of": customer("", wanted.email)}).first()

    def held(self) -> Holding:
        """What they are, and what is under way."""
        now = self._wanted.at
        further = self._connection.execute(_FURTHER, {"ids": as_list([row.id] for row in self.placements)}).all()
        named = [
            {"order": row.order_id, "slot": row.slot, "provider": row.provider, "ref": row.ref}
            for row in (*self.placements, *further)
            if row.ref
        ]
        placing = (row for row in self.placements if row.order in self.named and row.status == Status.PLACING)
        leases = [row.due_at for row in placing if row.due_at is not None]
        running = [until for until in leases if now < until <= now + LONGEST_DELAY]
        pending = Counter((row.store, row.source) for row in self.waiting)
        return Holding(
            orders=len(self.orders if self.word is None else self.named),
            named=named,
            was_forgotten=self.word is not None,
            is_unfinished=self.word is not None and self.word.ended_at is None,
            sending_until=max(running, default=None),
            pending=[
                {"store": store, "source": source, "count": count} for (store, source), count in sorted(pending.items())
            ],
        )


def _lock(connection: Connection) -> None:
    """
    Let no other transaction be under way, so that none writes the address back, or sends in the customer's name.

    Raises:
        LedgerBusy: Another one did not end in time.
    """
    if connection.dialect.name != "postgresql":
        return  # the transaction began with the only writer's lock
    error = _refused(connection, _LOCKED, _LOCK_MS)
    if error is None:
        return
    # An autovacuum gives way to those who wait for longer. Nothing is held meanwhile, so no two wait for each other.
    longer = connection.execute(text(_DEADLOCK_MS)).scalar_one() + _LOCK_MS
    one_by_one = (_refused(connection, [each], longer, keep=False) for each in _LOCKED)
    error = next(filter(None, one_by_one), None) or _refused(connection, _LOCKED, _LOCK_MS)
    if error is not None:
        msg = "other programs use the ledger at this moment, so nothing was forgotten: try again in a minute"
        raise LedgerBusy(msg) from error


def _refused(
    connection: Connection, tables: Iterable[Table], wait_ms: int, *, keep: bool = True
) -> OperationalError | None:
    """
    Keep tables from all others until the transaction ends; return Postgres's error if that was not given in time.

    Args:
        connection: An open transaction.
        tables: The tables.
        wait_ms: How long to wait for each.
        keep: Whether they are kept; otherwise others may use them again at once.
    """
    names = ", ".join(connection.dialect.identifier_preparer.format_table(table) for table in tables)
    connection.execute(text(f"SELECT set_config('lock_timeout', '{wait_ms}ms', true)"))
    attempt = connection.begin_nested()
    try:
        connection.execute(text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
    except OperationalError as error:
        attempt.rollback()
        if getattr(error.orig, "sqlstate", None) == _NOT_LOCKED:
            return error
        raise
    if keep:
        attempt.commit()
    else:
        attempt.rollback()
    return None


def _forget(connection: Connection, each: Forget) -> Holding:
    theirs = _Theirs(connection, each)
    found = theirs.held()
    if found.must_wait:
        return found
    for row in theirs.placements:
        if row.order not in theirs.named:
            continue
        values: dict[str, Any] = {}
        if row.attempts and not row.known_as:
            values |= {"known_as": customer_digest(row.customer_email), "forgotten": customer("", each.email)}
        if row.status in WAITING:
            values["look_alike"] = look_alike_of(dict(row._mapping), NOBODY)  # noqa: SLF001 - SQLAlchemy's name for it is public
        if values:
            connection.execute(placements.update().where(placements.c.id == row.id).values(values))
    _forget_orders(connection, theirs.named)
    if theirs.word is not None:
        connection.execute(_WORD.values(ended_at=None), {"of": customer("", each.email)})
    else:
        word = {"customer": customer("", each.email), "at": each.at, "by": each.by}
        connection.execute(forgotten_customers.insert(), word)
    return found


def _forget_orders(connection: Connection, named: Iterable[int]) -> None:
    """Take the address away from orders, so that none of them counts as changed for it."""
    chosen = {"ids": as_list([each] for each in sorted(named))}
    without_address = [
        {"b_id": row.id, "b_digest": _digest_with(row, {"customer_email": NOBODY})}
        for row in connection.execute(_JUDGED, chosen).all()
    ]
    if without_address:
        connection.execute(_FORGET, without_address)


def _digest_with(row: Any, values: Mapping[str, Any]) -> str:
    """
    The digest by which an order counts as unchanged when some of its values are forgotten, as far as it is known how.

    An order that came to count as changed would be planned anew, beside the ceiling of another day.
    """
    digest: str = row.digest
    if row.facts is None or row.policy is None:
        return digest
    kept = row._asdict()
    before, after = facts.order_from_row(row), facts.order_from_row(SimpleNamespace(**{**kept, **values}))
    for is_first in (None, True, False):
        if digest == facts.judged_digest(row.policy, replace(before, is_first=is_first)):
            return facts.judged_digest(row.policy, replace(after, is_first=is_first))
    return digest


def _clear(connection: Connection, each: Change) -> bool:
    table = each.table
    is_this = (table.c[name] == value for name, value in {**each.key, **each.before}.items())
    return connection.execute(table.update().where(*is_this).values(each.after)).rowcount > 0


def _changed_texts(connection: Connection, email: str) -> Iterator[Change]:
    """The texts that hold an address."""
    address = folded(email)
    query = _JUDGED_ALL.where(_may_hold(orders.c.facts))
    for row in connection.execute(query, execution_options=_STREAMED):
        if _holds(row.facts, email) and (value := _facts_without(row.facts, address)) != row.facts:
            before = {"facts": row.facts, "digest": row.digest}
            after = {"facts": value, "digest": _digest_with(row, {"facts": value})}
            yield Change(orders, {"id": row.id}, before, after)
    for column in CLEARED:
        if column is orders.c.facts:
            continue
        keys = list(column.table.primary_key)
        query = select(*(key.label(f"key_{key.name}") for key in keys), column.label("text")).where(_may_hold(column))
        for row in connection.execute(query, execution_options=_STREAMED):
            if _holds(row.text, email):
                key = {each.name: getattr(row, f"key_{each.name}") for each in keys}
                after = {column.name: without(row.text, address.__eq__)}
                yield Change(column.table, key, {column.name: row.text}, after)


def _facts_without(kept: str, address: str) -> str:
    """What is kept of an order without an address, as of ``as_kept``."""
    values = json.loads(kept)
    return json.dumps(
        {name: value if name in AS_THEY_ARE else without_them(value, address.__eq__) for name, value in values.items()}
    )


def _may_name(field_: str, address: str) -> bool:
    """Whether it is worth a closer look if a field holds an address."""
    return address in field_.casefold() or any(sign in field_ for sign in SIGNS[1:])


def _texts(connection: Connection, columns: Iterable[Column[Any]]) -> Iterator[str]:
    for column in columns:
        yield from connection.execute(select(column).where(_may_hold(column)), execution_options=_STREAMED).scalars()


def _may_hold(column: Column[Any]) -> Any:
    return or_(*(column.contains(sign, autoescape=True) for sign in SIGNS))


def _holds(value: str, email: str) -> bool:
    return folded(email) in found_in(value)


def _is_part_of(name: str, email: str) -> bool:
    """Whether a name holds an address, also where a dash or an underscore joins it to the rest."""
    joined = rf"(?:(?<![\w.+'])|(?<=_)){re.escape(folded(email))}(?!\.?[^\W_])"
    return _holds(name, email) or re.search(joined, name.casefold()) is not None


def _bodies(connection: Connection, email: str, chosen: sa.Select[Any]) -> list[Any]:
    rows = connection.execute(chosen, execution_options={"yield_per": 20})
    return [row for row in rows if _holds(read(bytes(row.body)), email)]


#: The columns of texts that persons, shops or sellers write, which are cleared of an address.
CLEARED: tuple[Column[Any], ...] = (
    orders.c.facts,
    unearned.c.reason,
    broken_orders.c.problem,
    *(dismissals.c[name] for name in ("problem", "by", "why")),
    *(placements.c[name] for name in ("reason", "certificate_url", "cancel_refused")),
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
_NAMED = select(orders.c.id, orders.c.customer_email).where(orders.c.customer_email != NOBODY)
_STORES = select(orders.c.store).distinct()
_KNOWN = select(orders.c.id).where(orders.c.customer.in_(_DIGESTS))
_SAID = select(forgotten_customers.c.ended_at).where(forgotten_customers.c.customer == bindparam("of"))
_WORD = forgotten_customers.update().where(forgotten_customers.c.customer == bindparam("of"))
_LOOK = tuple(placements.c[name] for name in ("id", "provider", "kind", "quantity", "on_behalf"))
_PLACEMENTS = (
    select(
        *_LOOK,
        *(placements.c[name] for name in ("order", "slot", "status", "attempts", "due_at", "ref", "known_as")),
        orders.c.order_id,
        orders.c.customer_email,
    )
    .select_from(placements.join(orders, placements.c.order == orders.c.id))
    .where(
        placements.c.on_behalf,
        or_(
            orders.c.id.in_(_IDS),
            placements.c.forgotten == bindparam("forgotten", type_=sa.Text()),
        ),
    )
    .order_by(placements.c.id)
)
_FURTHER = (
    select(further_purchases.c.ref, further_purchases.c.provider, placements.c.slot, orders.c.order_id)
    .select_from(further_purchases.join(placements).join(orders, placements.c.order == orders.c.id))
    .where(placements.c.id.in_(_IDS))
)
_JUDGED_ALL = select(
    *(orders.c[name] for name in ("id", "order_id", "ordered_at", "customer_email", "facts", "facts_at")),
    *(orders.c[name] for name in ("digest", "policy")),
)
_JUDGED = _JUDGED_ALL.where(orders.c.id.in_(_IDS))
_FORGET = (
    orders.update()
    .where(orders.c.id == bindparam("b_id"))
    .values(customer_email=NOBODY, digest=bindparam("b_digest", type_=sa.Text()))
)
_BODY = select(*(deliveries.c[name] for name in ("id", "store", "source", "body"))).where(
    deliveries.c.body.is_not(None)
)
_HANDLED = _BODY.where(deliveries.c.handled_at.is_not(None))
_PENDING = _BODY.where(deliveries.c.handled_at.is_(None))
