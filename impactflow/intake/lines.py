"""
A text file, line by line: CSV whose first line names the columns, or JSON lines, one object a line.

A first line that begins with ``{`` makes it JSON lines. In CSV the separator is the comma, the semicolon or the tab,
whichever the first line has most of; nothing else is guessed. The meaning of the fields is left to ``file``.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from impactflow.errors import ConfigurationError

_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Line:
    """
    A line of a file.

    Args:
        number: The line number where it begins; the first line of a file is 1.
        fields: Its content, by the names of the fields; empty where it cannot be read.
        problem: Why it cannot be read.
    """

    number: int
    fields: Mapping[str, Any]
    problem: str | None = None


def heading_of(path: Path) -> tuple[Sequence[str], str]:
    """
    The names in a CSV file's first line, and the separator; no names and an empty separator for JSON lines.

    Raises:
        ConfigurationError: The file cannot be read, or a name stands there twice.
    """
    with _opened(path) as (first, _):
        if _is_json(first):
            return [], ""
        separator = _separator(first)
        return _columns(path, next(_cells(path, [first], separator))[1]), separator


def read_lines(path: Path) -> Iterator[Line]:
    """
    Yield the lines of a file that are not empty, without the first one of CSV.

    Raises:
        ConfigurationError: The file cannot be read, or not be split into lines.
    """
    with _opened(path) as (first, rest):
        lines = chain([first], rest)
        yield from _json_lines(lines) if _is_json(first) else _csv_lines(path, lines, _separator(first))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, TextIO]]:
    """The first line, and the file to read the others from; Excel's byte order mark is left out."""
    try:
        if path.exists() and not path.is_file():  # it is read twice, which a pipe cannot be
            raise ConfigurationError(f"orders file {path}: it is no file")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            if not first.strip():
                raise ConfigurationError(f"orders file {path}: its first line is empty, and should name the columns")
            yield first, file
    except OSError as error:
        raise ConfigurationError(f"orders file {path}: it cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f'orders file {path}: it is not UTF-8: in Excel, save it as "CSV UTF-8"') from None


def _is_json(first: str) -> bool:
    return first.lstrip().startswith("{")


def _separator(first: str) -> str:
    return max(_SEPARATORS, key=first.count)


def _columns(path: Path, cells: Sequence[str]) -> Sequence[str]:
    names = [cell.strip() for cell in cells]
    if any(name and name in names[:index] for index, name in enumerate(names)):
        raise ConfigurationError(f"orders file {path}: its first line names a column twice")
    return names


def _cells(path: Path, lines: Iterator[str] | Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line, and the line's number; a cell in quotes may go on over several lines."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:  # what comes after it may be one cell up to the next quotation mark
        problem = f"line {number} cannot be split into columns ({error}): mend its quotation marks"
        raise ConfigurationError(f"orders file {path}: {problem}") from None


def _csv_lines(path: Path, lines: Iterator[str], separator: str) -> Iterator[Line]:
    split = _cells(path, lines, separator)
    names = _columns(path, next(split)[1])
    for number, cells in split:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) == len(names):
            yield Line(number, dict(zip(names, cells, strict=True)))
        else:
            problem = f"it has {len(cells)} columns and the first line {len(names)}"
            yield Line(number, {}, f"{problem}: put what holds a separator in quotes, and write amounts with a point")


def _json_lines(lines: Iterator[str]) -> Iterator[Line]:
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                fields = json.loads(text, parse_float=Decimal, object_pairs_hook=_each_once)
            except (ValueError, RecursionError):
                fields = None
            is_read = isinstance(fields, dict)
            yield Line(number, fields if is_read else {}, None if is_read else "it is no JSON object of fields")


def _each_once(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError
    return fields
