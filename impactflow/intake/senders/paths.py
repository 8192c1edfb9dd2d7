"""
Paths in a JSON document: names separated by dots, ``[0]`` for the first item of a list, ``[]`` for each item.

``data.items[0].id`` is the id of the first thing, ``data.items[].quantity`` is the quantity of every one. A name with a
dot or a bracket in it cannot be written.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

_NAME = r"[^.\[\]]+"
_PLACE = rf"{_NAME}(?:\[[0-9]{{0,4}}\])*"
_PATH = re.compile(rf"{_PLACE}(?:\.{_PLACE})*")
_STEP = re.compile(rf"(?P<name>{_NAME})|\[(?P<index>[0-9]*)\]")


class _Each(Enum):
    EACH = "[]"


_Step = str | int | _Each


def is_path(text: str) -> bool:
    """Whether a text is a path; it holds ``[]`` once at most."""
    return _PATH.fullmatch(text) is not None and text.count(_Each.EACH.value) <= 1


def find(path: str, content: object) -> Any:
    """
    The value at a path; a list of the values where the path has ``[]``. A path through null gives null.

    Raises:
        LookupError: There is no such place.
    """
    return _find(_steps(path), content)


def place(path: str, value: object) -> Any:
    """The smallest document in which a value stands at a path."""
    content = value
    for step in reversed(_steps(path)):
        match step:
            case str():
                content = {step: content}
            case int():
                content = [None] * step + [content]
            case _Each():
                content = [content]
    return content


def says_each(path: str) -> bool:
    """Whether several things may be at a path."""
    return _Each.EACH.value in path


def _steps(path: str) -> Sequence[_Step]:
    return [_step(match) for match in _STEP.finditer(path)]


def _step(match: re.Match[str]) -> _Step:
    if match["name"] is not None:
        return match["name"]
    return int(match["index"]) if match["index"] else _Each.EACH


def _find(steps: Sequence[_Step], content: object) -> Any:
    for number, step in enumerate(steps):
        match step, content:
            case _, None:
                return None
            case str(), dict():
                content = content[step]
            case int(), list():
                content = content[step]
            case _Each(), list():
                return [_find(steps[number + 1 :], each) for each in content]
            case _:
                raise LookupError(step)
    return content
