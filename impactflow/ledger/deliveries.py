"""
Webhook deliveries: stored once, handled once, remembered for good.

Handlers for the ``Writer`` and reads. ``intake.senders`` interprets the deliveries.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, select

from impactflow.ledger import forgotten
from impactflow.ledger.dismissals import is_dismissed_delivery
from impactflow.ledger.engine import one_at_a_time
from impactflow.ledger.tables import Utc, broken_orders, deliveries

#: The prefix of the ids of deliveries that `impactflow webhooks send` makes up.
TEST_NAME = "impactflow-test-"


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    A verified webhook delivery.

    Args:
        store: The store that it belongs to.
        source: The source whose scheme it came by.
        webhook_id: The sender's id for it: a delivery with an id that was stored before is the same delivery.
        topic: Its subject, in the sender's words.
        received_at: The time when it first came.
        body: The body as it was sent. It is never logged.
        id: The ledger's row; 0 before it is stored.
    """

    store: str
    source: str
    webhook_id: str
    topic: str
    received_at: datetime
    body: bytes = field(repr=False)
    id: int = 0

    @property
    def is_test(self) -> bool:
        """Whether `impactflow webhooks send` made it up: it describes no real sale."""
        return self.webhook_id.startswith(TEST_NAME)


@dataclass(frozen=True, slots=True)
class Handled:
    """
    The result of a delivery.

    Args:
        id: The ledger's row.
        at: The time of the result.
        problem: The reason why it could not be read; in that case its body is kept.
        listed_as: Its name in the list of orders that could not be read; None if it is not listed.
        mapping: The digest of the mapping by which it could not be read, so that another mapping is tried; None if its
            sender needs no mapping.
    """

    id: int
    at: datetime
    problem: str | None = None
    listed_as: str | None = None
    mapping: str | None = None


@dataclass(frozen=True, slots=True)
class Mended:
    """
    The present mapping of a sender.

    Args:
        store: The store whose deliveries are read by it.
        source: The sender.
        mapping: The mapping's digest.
    """

    store: str
    source: str
    mapping: str


@dataclass(frozen=True, slots=True)
class Pending:
    """
    Deliveries of one source that are not handled.

    Args:
        store: The store that they belong to.
        source: The source whose scheme they came by.
        count: The number of deliveries.
        since: The time when the first of them came.
    """

    store: str
    source: str
    count: int
    since: datetime


def store(connection: Connection, brought: Sequence[Delivery]) -> list[bool]:
    """Keep deliveries; return for each whether it is new."""
    for name in sorted({each.store for each in brought}):
        one_at_a_time(connection, f"deliveries of {name}")  # two receivers of the same delivery would both fail
    return [_store(connection, each) for each in brought]


def _store(connection: Connection, each: Delivery) -> bool:
    names = {"store": each.store, "source": each.source, "webhook_id": each.webhook_id}
    if connection.execute(_KNOWN, names).first():
        return False
    connection.execute(_INSERT, {**names, "topic": each.topic, "received_at": each.received_at, "body": each.body})
    return True


def finish(connection: Connection, handled: Sequence[Handled]) -> list[None]:
    """Record the results of deliveries; a delivery that was handled meanwhile stays as it is."""
    problems = forgotten.cleared(connection, [each.problem for each in handled])
    rows = [
        {
            "b_id": each.id,
            "b_at": each.at,
            "b_problem": problem,
            "b_listed_as": each.listed_as,
            "b_mapping": each.mapping if each.problem is not None else None,
        }
        for each, problem in zip(handled, problems, strict=True)
    ]
    connection.execute(_FINISH, rows)
    forgotten.empty_bodies(connection, [each.id for each in handled if each.problem is not None])
    return [None] * len(handled)


def reopen(connection: Connection, mended: Sequence[Mended]) -> list[int]:
    """
    Reopen deliveries that could not be read by another mapping; return how many for each sender.

    Their entries in the list of broken orders are removed: a new reading records what is wrong. An entry that a person
    has dismissed stays as it is.
    """
    for name in sorted({each.store for each in mended}):
        one_at_a_time(connection, f"deliveries of {name}")  # another run may list them again meanwhile
    return [_reopen(connection, each) for each in mended]


def _reopen(connection: Connection, each: Mended) -> int:
    rows = connection.execute(_UNREAD, {"store": each.store, "source": each.source, "mapping": each.mapping}).all()
    if rows:
        names = sorted({row.listed_as for row in rows if row.listed_as is not None})
        connection.execute(_UNLIST, {"store": each.store, "names": names})
        connection.execute(_REOPEN, [{"b_id": row.id} for row in rows])
    return len(rows)


def pending(connection: Connection, store_name: str, after: int, limit: int) -> Sequence[Delivery]:
    """The store's deliveries that are not handled, in the order in which they came."""
    rows = connection.execute(_PENDING, {"store": store_name, "after": after, "limit": limit})
    return [
        Delivery(row.store, row.source, row.webhook_id, row.topic, row.received_at, bytes(row.body or b""), row.id)
        for row in rows
    ]


def pending_since(connection: Connection, store_name: str) -> datetime | None:
    """The time when the first of the store's deliveries came that is not handled; None if all are handled."""
    return connection.execute(_PENDING_SINCE, {"store": store_name}).scalar()


def pending_by_source(connection: Connection) -> Sequence[Pending]:
    """The deliveries that are not handled, counted by store and source."""
    found: list[Pending] = []
    after = ""
    while (store_name := connection.execute(_NEXT_STORE, {"after": after}).scalar()) is not None:
        after = store_name
        rows = connection.execute(_PENDING_BY_SOURCE, {"store": store_name})
        found += [Pending(store_name, row.source, row.number, row.since) for row in rows]
    return found


def topics(connection: Connection, store_name: str) -> frozenset[tuple[str, str]]:
    """The sources and topics of all the store's deliveries, without tests: they do not show what a sender sends."""
    return frozenset((row.source, row.topic) for row in connection.execute(_TOPICS, {"store": store_name}))


_MINE = deliveries.c.store == bindparam("store")
_TOPICS = (
    select(deliveries.c.source, deliveries.c.topic)
    .where(_MINE, deliveries.c.webhook_id.not_like(f"{TEST_NAME}%"))
    .distinct()
)
_KNOWN = select(deliveries.c.id).where(
    _MINE, deliveries.c.source == bindparam("source"), deliveries.c.webhook_id == bindparam("webhook_id")
)
_INSERT = deliveries.insert()
_FINISH = (
    deliveries.update()
    .where(deliveries.c.id == bindparam("b_id"), deliveries.c.handled_at.is_(None))
    .values(
        handled_at=bindparam("b_at", type_=Utc()),
        problem=bindparam("b_problem", type_=sa.Text()),
        listed_as=bindparam("b_listed_as", type_=sa.Text()),
        mapping=bindparam("b_mapping", type_=sa.Text()),
        body=sa.case((bindparam("b_problem", type_=sa.Text()).is_(None), sa.null()), else_=deliveries.c.body),
    )
)
_UNREAD = select(deliveries.c.id, deliveries.c.listed_as).where(
    _MINE,
    deliveries.c.source == bindparam("source"),
    deliveries.c.body.is_not(None),  # what names a forgotten customer has lost its content
    deliveries.c.mapping.is_not(None),
    deliveries.c.mapping != bindparam("mapping"),
    ~is_dismissed_delivery(),
)
_REOPEN = (
    deliveries.update()
    .where(deliveries.c.id == bindparam("b_id"))
    .values(handled_at=None, problem=None, listed_as=None, mapping=None)
)
_UNLIST = broken_orders.delete().where(
    broken_orders.c.store == bindparam("store"), broken_orders.c.name.in_(bindparam("names", expanding=True))
)
_UNHANDLED = _MINE & deliveries.c.handled_at.is_(None)
_PENDING = (
    select(*deliveries.c)
    .where(_UNHANDLED, deliveries.c.id > bindparam("after"))
    .order_by(deliveries.c.id)
    .limit(bindparam("limit"))
)
_PENDING_SINCE = select(deliveries.c.received_at).where(_UNHANDLED).order_by(deliveries.c.id).limit(1)
#: One look into the index for each store, since very many deliveries are remembered.
_NEXT_STORE = select(sa.func.min(deliveries.c.store)).where(deliveries.c.store > bindparam("after"))
_PENDING_BY_SOURCE = (
    select(deliveries.c.source, sa.func.count().label("number"), sa.func.min(deliveries.c.received_at).label("since"))
    .where(_UNHANDLED)
    .group_by(deliveries.c.source)
    .order_by(deliveries.c.source)
)
