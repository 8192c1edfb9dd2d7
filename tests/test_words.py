"""Help texts, the policy's schema, errors and pages are plain: no word of a dialect, and the noun comes first."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import impactflow
from impactflow.cli.commands import app
from impactflow.policy import Policy

PACKAGE = Path(impactflow.__path__[0])
ROOT = PACKAGE.parent
#: All but the changelog, which keeps the words of its time.
PAGES = sorted(
    {page for folder in (".", "docs", "deployments") for page in (ROOT / folder).glob("*.md")} - {ROOT / "CHANGELOG.md"}
)
#: Blocks of code, code in a sentence, targets of links, and the one heading whose address other pages link to.
NO_PROSE = re.compile(
    r"^ *```.*?^ *```|(?<=\n\n)(?: {4}[^\n]*\n)+|`[^`]*`|(?<=\])\([^)\s]*\)|^## Being told, and vanished runs$",
    re.DOTALL | re.MULTILINE,
)
#: Words that this project once had its own meanings for, and words that hide a noun or a number.
RETIRED = re.compile(
    r"\b(told|tells?|telling|so (?:many|much)|the like|nobody|somebody|whoever|nudge[sd]?|in vain|twins?|look-?ups?)\b",
    re.IGNORECASE,
)
#: A description names a thing or says what is done, not what the thing is an answer to.
CLAUSE = re.compile(r"(What|Whether|By (?:what|which|whom)|Whom?|Which|How|Whose|Whoever|Where|Since when)\b")


def helps(name: str, command: Any) -> Iterator[tuple[str, str]]:
    """Each help text of a command and of those below it."""
    yield name, command.help or ""
    for parameter in command.params:
        yield f"{name} {parameter.name}", getattr(parameter, "help", None) or ""
    for below, other in getattr(command, "commands", {}).items():
        yield from helps(f"{name} {below}", other)


def descriptions(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each description in a JSON Schema."""
    match schema:
        case {"description": str(text), **rest}:
            yield path, text
            yield from descriptions(rest, path)
        case dict():
            for key, below in schema.items():
                yield from descriptions(below, f"{path}/{key}")
        case list():
            for below in schema:
                yield from descriptions(below, path)


def messages(path: Path) -> Iterator[tuple[str, str]]:
    """Each text that a module raises, or keeps as a message before it raises it."""
    for node in ast.walk(ast.parse(path.read_text())):
        is_message = isinstance(node, ast.Assign) and [getattr(each, "id", "") for each in node.targets] == ["msg"]
        if isinstance(node, ast.Raise) or is_message:
            parts = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
            yield f"{path.name}:{node.lineno}", "".join(part for part in parts if isinstance(part, str))


MESSAGES = [
    each for folder in (PACKAGE, ROOT / "tasks") for path in sorted(folder.rglob("*.py")) for each in messages(path)
]
TEXTS = [*helps("impactflow", get_command(app)), *descriptions(Policy.model_json_schema())]


@pytest.mark.parametrize(("pattern", "begins"), [(RETIRED, False), (CLAUSE, True)], ids=["words", "beginnings"])
def test_help_texts_and_the_schema_use_plain_words(pattern, begins):
    """One reads them as a stranger, at full speed."""
    find = pattern.match if begins else pattern.search
    assert len(TEXTS) > 250
    assert [(where, text) for where, text in TEXTS if find(text)] == []


def test_error_messages_use_plain_words():
    """They are read by a person whose work has just stopped."""
    assert len(MESSAGES) > 300
    assert [(where, text) for where, text in MESSAGES if RETIRED.search(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_plain_words(page):
    """Their readers are strangers, too; what the program prints stands in backticks."""
    text = " ".join(NO_PROSE.sub("``", page.read_text()).split())
    assert [text[max(0, found.start() - 50) : found.end() + 50] for found in RETIRED.finditer(text)] == []
