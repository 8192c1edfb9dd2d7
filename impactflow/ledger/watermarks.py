"""Watermarks: the day up to which each source of orders has been read."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import Connection, bindparam, select

from impactflow.ledger.tables import watermarks


def watermark(connection: Connection, store: str, source: str) -> date | None:
    """The day up to which a source has been read; None before the first time."""
    return connection.execute(_WATERMARK, {"store": store, "source": source}).scalar()


def advance(connection: Connection, marks: Sequence[tuple[str, str, date, date]]) -> list[None]:
    """
    Record that every order of a source dated up to a day is planned; each mark has today's day, which limits it.

    A mark never moves back, except from a future day: such a day was written by a clock that was ahead.
    """
    for store, source, day, today in marks:
        read_to, stands = min(day, today), watermark(connection, store, source)
        if stands is None or stands < read_to or stands > today:
            _mark(connection, store, source, read_to, stands)
    return [None] * len(marks)


def reach_back(connection: Connection, reaches: Sequence[tuple[str, str, date, date]]) -> list[None]:
    """
    Record that all days of a source from the first to the last one were read: its read days begin earlier now.

    Days that do not border on the read days do not count: the days between were not read.
    """
    for store, source, from_, to in reaches:
        stands = watermark(connection, store, source)
        if stands is None or from_ < stands <= to + timedelta(days=1):
            _mark(connection, store, source, from_, stands)
    return [None] * len(reaches)


def _mark(connection: Connection, store: str, source: str, day: date, stands: date | None) -> None:
    if stands is None:
        connection.execute(_FIRST_MARK, {"store": store, "source": source, "read_to": day})
    else:
        connection.execute(_NEXT_MARK, {"of_store": store, "of_source": source, "read_to": day})


# The queries and writes of every page are built once.
_WATERMARK = select(watermarks.c.read_to).where(
    watermarks.c.store == bindparam("store"), watermarks.c.source == bindparam("source")
)
_OF_SOURCE = (watermarks.c.store == bindparam("of_store"), watermarks.c.source == bindparam("of_source"))
_FIRST_MARK = watermarks.insert()
_NEXT_MARK = watermarks.update().where(*_OF_SOURCE).values(read_to=bindparam("read_to"))
