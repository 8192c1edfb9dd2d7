"""
Read a YAML file, with the line of each value, so that every problem names its line.

YAML goes in; a ``Policy``, another strict model or one ``ConfigurationError`` comes out. The models decide which values
are right. Numbers keep the digits that were typed: 1.08 is never a float.
"""

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from impactflow.errors import ConfigurationError
from impactflow.policy.document import Policy
from impactflow.policy.fields import Strict, explained

_Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=Strict)


@dataclass(frozen=True, slots=True)
class _Problem:
    line: int
    message: str


def load_policy(path: Path) -> Policy:
    """
    Read a policy file.

    Raises:
        ConfigurationError: The file cannot be read or does not make sense; the message has one line for each problem,
            with the file, the line in it and the field.
    """
    first = "" if path.exists() else "`impactflow init` writes a first one, or "
    return load_file(path, Policy, "policy", f"{first}give another with --policy or IMPACTFLOW_POLICY")


def parse_policy(text: str, path: Path) -> Policy:
    """
    Read a policy's text; its problems are reported with ``path``.

    Raises:
        ConfigurationError: As ``load_policy``.
    """
    return _parse(text, path, Policy, "policy")


def load_file(path: Path, model: type[Model], what: str, hint: str) -> Model:
    """
    Read a YAML file of any kind.

    Args:
        path: The file's path.
        model: The model to make of it.
        what: The kind of file, in a person's words.
        hint: The advice where it cannot be read.

    Raises:
        ConfigurationError: As ``load_policy``.
    """
    return _parse(_text(path, what, hint), path, model, what)


def _parse(text: str, path: Path, model: type[Model], what: str) -> Model:
    try:
        document = _Document(text)
    except (YAMLError, RecursionError) as broken:
        raise _configuration_error(path, [_yaml_problem(broken, text, what)]) from None
    try:
        made = model.model_validate(document.values)
    except ValidationError as invalid:
        problems = [document.problem(error["loc"], explained(error)) for error in invalid.errors(include_url=False)]
        raise _configuration_error(path, document.repeated + problems) from None
    if document.repeated:
        raise _configuration_error(path, document.repeated)
    return made


def _text(path: Path, what: str, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as failed:
        raise ConfigurationError(f"the {what} {path} cannot be read ({failed.strerror}): {hint}") from None
    except UnicodeDecodeError as failed:
        line = failed.object[: failed.start].count(b"\n") + 1
        raise _configuration_error(path, [_Problem(line, "is not UTF-8 text: save it as UTF-8")]) from None


def _configuration_error(path: Path, problems: list[_Problem]) -> ConfigurationError:
    ordered = sorted(problems, key=lambda problem: problem.line)
    return ConfigurationError("\n".join(f"{path} line {problem.line}: {problem.message}" for problem in ordered))


def _yaml_problem(broken: YAMLError | RecursionError, text: str, what: str) -> _Problem:
    match broken:
        case MarkedYAMLError(problem_mark=mark, problem=problem) if mark is not None:
            return _Problem(mark.line + 1, f"is not YAML: {problem}")
        case ReaderError(position=position):
            return _Problem(text.count("\n", 0, position) + 1, "is not YAML: a character that no text has")
        case _:
            return _Problem(1, f"is not YAML that a {what} could be: it contains itself or is nested too deeply")


class _ExactConstructor(SafeConstructor):
    """Makes decimals where YAML would make floats."""

    def construct_decimal(self, node: ScalarNode) -> Decimal | str:
        """Return the number as typed; ``.inf`` and ``.nan`` stay text, which no field for a number accepts."""
        try:
            return Decimal(node.value)
        except InvalidOperation:
            return str(node.value)


_ExactConstructor.add_constructor("tag:yaml.org,2002:float", _ExactConstructor.construct_decimal)


@dataclass(init=False)
class _Document:
    """
    A YAML text as plain values.

    Args:
        values: Mappings, lists and scalars.
        repeated: Fields that stand twice in one mapping; YAML forbids that, and most readers take the last one.
    """

    values: Any
    repeated: list[_Problem] = field(default_factory=list)

    def __init__(self, text: str) -> None:
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _ExactConstructor
        self.repeated = []
        self._lines: dict[_Place, int] = {(): 1}
        self._constructor = yaml.constructor
        root = yaml.compose(text)
        self.values = self._value(root, ()) if root is not None else {}

    def problem(self, loc: _Place, message: str) -> _Problem:
        """Make the problem of the field at pydantic's ``loc``, with its line or that of the mapping that lacks it."""
        place = _without_tags(loc)
        known = next(place[:length] for length in range(len(place), -1, -1) if place[:length] in self._lines)
        return _Problem(self._lines[known], f"{_shown(place)}: {message}" if place else message)

    def _value(self, node: Node, place: _Place) -> Any:
        match node:
            case MappingNode():
                return self._mapping(node, place)
            case SequenceNode():
                return [self._item(item, (*place, index)) for index, item in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node)

    def _mapping(self, node: MappingNode, place: _Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            within = (*place, name)
            if name in values:
                first = self._lines[within]
                self.repeated.append(
                    _Problem(line, f"{_shown(within)}: stands twice, first in line {first}: remove one")
                )
                continue
            self._lines[within] = line
            values[name] = self._value(value, within)
        return values

    def _item(self, node: Node, place: _Place) -> Any:
        self._lines[place] = node.start_mark.line + 1
        return self._value(node, place)

    def _scalar(self, node: ScalarNode) -> Any:
        try:
            return self._constructor.construct_object(node)
        except (ValueError, LookupError, AttributeError):
            # A text that looks like a day or a number but is none (2025-02-30) stays text; its field reports that.
            return node.value


def _without_tags(loc: _Place) -> _Place:
    """Remove pydantic's own words from a place: ``[key]``, and a model's tag (holds a blank, or its only field)."""
    loc = loc[:-1] if loc[-1:] == ("[key]",) else loc
    middle = [part for part, then in pairwise(loc) if " " not in str(part) and part != then]
    return (*middle, *loc[-1:])


def _shown(place: _Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
