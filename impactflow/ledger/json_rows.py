"""
A whole list of rows as one parameter of one statement, in SQLite and in Postgres.

A statement for each row costs more in the driver than in the database, and delays the requests that wait for the
interpreter meanwhile; one statement over a list runs beside them. The list travels as JSON.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Subquery, Text, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


def listed(name: str, columns: Mapping[str, TypeEngine[Any]]) -> Subquery:
    """
    Rows from a parameter, to be selected from or updated from like a table.

    Args:
        name: The parameter's name, and the name of the rows in the statement; the value is from ``as_list``.
        columns: Names and types of the fields, in the order in which each row has them.
    """
    rows = _Elements(bindparam(name, type_=Text())).table_valued("value", name=f"{name}_list")
    fields = (
        _Field(rows.c.value, number, type_).label(column) for number, (column, type_) in enumerate(columns.items())
    )
    return select(*fields).subquery(name)


def as_list(rows: Iterable[Sequence[object]]) -> str:
    """
    Rows as the value of such a parameter.

    NUL and halves of characters, which no database keeps in a text, become U+FFFD: SQLite would end the text there, or
    fail when it is read, and Postgres would refuse all rows of the statement.
    """
    encoded = _encode(list(rows))
    if not _UNKEPT.search(encoded):
        return encoded
    return _encode(
        [[_kept(value) if isinstance(value, str) else value for value in row] for row in json.loads(encoded)]
    )


def _kept(text: str) -> str:
    whole = text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass")
    return whole.decode("utf-16", "replace")


def _plain(value: object) -> str:
    """Convert times and days to the form that ``tables`` keeps."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
    msg = f"{type(value).__name__} is nothing that the ledger keeps"
    raise TypeError(msg)


#: A possible NUL or half a character in JSON; whole characters that JSON writes as two halves match too.
_UNKEPT = re.compile(r"\\u(0000|d[89a-f])")
_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


class _Elements(FunctionElement[Any]):
    """The elements of a JSON list, as rows with the one column ``value``."""

    name = "elements"
    inherit_cache = True


class _Field(FunctionElement[Any]):
    """One field of a row that is itself a JSON list."""

    name = "field"
    inherit_cache = True

    def __init__(self, row: Any, number: int, type_: TypeEngine[Any]) -> None:
        super().__init__(row, bindparam(None, number, literal_execute=True))
        self.type = type_


@compiles(_Elements, "sqlite")
def _elements_in_sqlite(element: _Elements, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **more)})"


@compiles(_Elements, "postgresql")
def _elements_in_postgres(element: _Elements, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **more)} AS json))"


@compiles(_Field, "sqlite")
def _field_in_sqlite(element: _Field, compiler: SQLCompiler, **more: Any) -> str:
    row, number = element.clauses
    return f"json_extract({compiler.process(row, **more)}, '$[{number.value}]')"


@compiles(_Field, "postgresql")
def _field_in_postgres(element: _Field, compiler: SQLCompiler, **more: Any) -> str:
    row, number = element.clauses
    type_ = compiler.dialect.type_compiler_instance.process(element.type)
    return f"CAST(({compiler.process(row, **more)} ->> {number.value}) AS {type_})"
