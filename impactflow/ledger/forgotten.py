"""
What the ledger keeps out of all that is written: the addresses of customers who were forgotten.

An order that names one is kept without the address, and so is what shops and sellers write. Pure but for the one look
at whom the ledger has forgotten.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from typing import Any

from sqlalchemy import Connection, select

from impactflow.ledger.addresses import found_in, named_in, read, without
from impactflow.ledger.customers import customer
from impactflow.ledger.json_rows import as_list, listed
from impactflow.ledger.rows import NOBODY
from impactflow.ledger.tables import deliveries, forgotten_customers
from impactflow.models import Order

#: What of an order may hold no address, or keeps it: the names, by which things are known.
AS_THEY_ARE = frozenset({"id", "names", "refunds", "reporter"})


def among(connection: Connection, addresses: Iterable[str]) -> frozenset[str]:
    """The addresses, among some folded ones, whose customers were forgotten."""
    by_digest = {customer("", each): each for each in addresses if each}
    if not by_digest:
        return frozenset()
    found = connection.execute(_AMONG, {"digests": as_list([digest] for digest in by_digest)}).scalars()
    return frozenset(by_digest[digest] for digest in found)


def who(connection: Connection, email: str | None) -> str | None:
    """The address, folded, of the customer that was forgotten, if what was written in the place of one names such."""
    return min(among(connection, named_in(email)), default=None) if email else None


def named_by(connection: Connection, reported: Iterable[Order]) -> frozenset[str]:
    """The addresses of forgotten customers, folded, that some orders hold."""
    if connection.execute(_ANY).first() is None:
        return frozenset()
    return among(connection, chain.from_iterable(map(_addresses_in, reported)))


def as_kept(order: Order, gone: Container[str]) -> Order:
    """
    An order without the addresses of forgotten customers, as the ledger keeps it.

    Args:
        order: The order.
        gone: The addresses, folded.
    """
    if not any(each in gone for each in _addresses_in(order)):
        return order
    kept = {name: without_them(getattr(order, name), gone.__contains__) for name in _WRITTEN}
    if order.customer_email and any(each in gone for each in named_in(order.customer_email)):
        kept["customer_email"] = NOBODY
    return replace(order, **kept)


def as_reported(order: Order, kept: Order, reported: Order) -> Order:
    """
    An order with the addresses of forgotten customers, as far as a report of it has them.

    Args:
        order: The order, with all that the ledger knows of it.
        kept: The report as the ledger keeps it.
        reported: The report as it was.
    """
    names = (name for name in (*_WRITTEN, "customer_email") if getattr(order, name) == getattr(kept, name))
    return replace(order, **{name: getattr(reported, name) for name in names})


def cleared(connection: Connection, texts: Sequence[str | None]) -> Sequence[str | None]:
    """Texts of shops and sellers without the addresses of forgotten customers."""
    gone = among(connection, {address for each in texts if each for address in found_in(each)})
    return [each and without(each, gone.__contains__) for each in texts] if gone else texts


def empty_bodies(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the bodies of deliveries that could not be read and name a forgotten customer; none is read again."""
    if ids and connection.execute(_ANY).first() is not None:
        bodies = connection.execute(_BODIES, {"ids": as_list([each] for each in ids)}).all()
        empty(connection, [row.id for row in bodies if among(connection, found_in(read(bytes(row.body))))])


def empty(connection: Connection, ids: Sequence[int]) -> list[None]:
    """Delete the content of deliveries that could not be read; another mapping does not open them again."""
    connection.execute(_EMPTY, {"ids": as_list([each] for each in ids)})
    return [None] * len(ids)


def without_them(value: Any, is_theirs: Callable[[str], bool]) -> Any:
    """A value of an order, or of what is kept of it, without some addresses."""
    match value:
        case str():
            return without(value, is_theirs)
        case list() | tuple():
            return type(value)(without_them(each, is_theirs) for each in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{each.name: without_them(getattr(value, each.name), is_theirs) for each in fields(value)}
            )
        case _:
            return value


def _addresses_in(order: Order) -> Iterator[str]:
    """The addresses that an order holds: its customer's, and those in its texts."""
    if order.customer_email:
        yield from named_in(order.customer_email)
    for name in _WRITTEN:
        for written in _strings(getattr(order, name)):
            yield from found_in(written)


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list() | tuple():
            for each in value:
                yield from _strings(each)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from _strings(getattr(value, each.name))


#: The values of an order that may hold an address, apart from the customer's own.
_WRITTEN = tuple(each.name for each in fields(Order) if each.name not in AS_THEY_ARE | {"customer_email"})
_IDS = select(listed("ids", {"id": deliveries.c.id.type}).c.id)
_DIGESTS = select(listed("digests", {"digest": forgotten_customers.c.customer.type}).c.digest)
_ANY = select(forgotten_customers.c.customer).limit(1)
_AMONG = select(forgotten_customers.c.customer).where(forgotten_customers.c.customer.in_(_DIGESTS))
_BODIES = select(deliveries.c.id, deliveries.c.body).where(deliveries.c.id.in_(_IDS), deliveries.c.body.is_not(None))
#: One that was opened again meanwhile is read first.
_EMPTY = (
    deliveries.update()
    .where(deliveries.c.id.in_(_IDS), deliveries.c.handled_at.is_not(None))
    .values(body=None, mapping=None)
)
