"""
The problems of a file's lines, each cause once: an export repeats one mistake on every line.

``file`` writes the texts of the problems.
"""

import re
from collections.abc import Iterable, Sequence

#: How many lines are named.
_NAMED = 3
_OF_LINE = re.compile(r"(?P<file>.*?) line (?P<line>[0-9]+): (?P<cause>.*)", re.DOTALL)
#: The quoted content of a field, which differs from line to line.
_QUOTED = re.compile(r" \(it says [^()]*\)")


def grouped(problems: Iterable[str]) -> list[tuple[str, Sequence[int]]]:
    """Each cause once, with its lines, in the order of ``problems``; and the indexes of its problems there."""
    groups: dict[tuple[str, str], list[tuple[int, str, str]]] = {}
    for index, problem in enumerate(problems):
        found = _OF_LINE.fullmatch(problem)
        file, line, cause = found.groups() if found else ("", "", problem)
        groups.setdefault((file, _QUOTED.sub("", cause)), []).append((index, line, cause))
    return [
        (_in_words(file, [line for _, line, _ in each], each[0][2]), [index for index, _, _ in each])
        for (file, _), each in groups.items()
    ]


def _in_words(file: str, lines: Sequence[str], cause: str) -> str:
    if not file:
        return cause
    return f"{file} {'line' if len(lines) == 1 else 'lines'} {named(lines, _NAMED)}: {cause}"


def named(names: Sequence[str], most: int) -> str:
    """The first of several, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
