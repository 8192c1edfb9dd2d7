"""
Write ``docs/cli.md``: every command with its arguments and options, made from the program; ``make docs`` runs this.

A test holds the committed page against the program.
"""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from typer.main import get_command

from impactflow.__main__ import add_proof
from impactflow.cli.commands import app

PAGE = Path(__file__).with_name("cli.md")
_OPENING = """# The command line, option by option

Made from the program by `make docs`, and held against the program by a test. `impactflow COMMAND --help` prints the
same. What the exit statuses mean, and how a command is stopped: [the commands](commands.md).
"""
#: Each command has it, and it says the same everywhere.
_HELP = "help"


def page() -> str:
    """The text of the page."""
    add_proof()
    program: Any = get_command(app)
    sections = [_OPENING, _before_the_command(program)]
    panel = ""
    for names, command in _commands(program, ("impactflow",)):
        if len(names) == 2 and command.rich_help_panel != panel:  # noqa: PLR2004 - `impactflow` and a command's name
            panel = command.rich_help_panel
            sections.append(f"## {panel}\n")
        sections.append(_section(names, command))
    return "\n".join(sections)


def _commands(group: Any, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands of a group and those below them, panel by panel, in the order of the program's help."""
    panels = list(dict.fromkeys(command.rich_help_panel for command in group.commands.values()))
    ordered = sorted(group.commands.items(), key=lambda each: panels.index(each[1].rich_help_panel))
    for name, command in ordered:
        yield (*before, name), command
        if hasattr(command, "commands"):
            yield from _commands(command, (*before, name))


def _before_the_command(program: Any) -> str:
    return f"{_text(program.help)} Before the command's name may stand:\n\n{_table(program.params)}\n"


def _section(names: tuple[str, ...], command: Any) -> str:
    level = "#" * (1 + len(names))
    parts = [f"{level} `{' '.join(names)}`", _text(command.help)]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    if usage := _usage(names, command, arguments):
        parts.append(f"    {usage}")
    if table := _table(command.params):
        parts.append(table)
    if command.epilog:
        examples = re.findall(r"impactflow .*", command.epilog.replace("  All of a kind: ", "\n"))
        parts.append("For example:\n\n" + "\n".join(f"    {example.rstrip()}" for example in examples))
    return "\n\n".join(parts) + "\n"


def _usage(names: tuple[str, ...], command: Any, arguments: list[Any]) -> str:
    if hasattr(command, "commands") and not command.invoke_without_command:
        return f"{' '.join(names)} COMMAND"
    words = [each.name.upper() if each.required else f"[{each.name.upper()}]" for each in arguments]
    return " ".join([*names, *words, "[OPTIONS]"])


def _table(parameters: list[Any]) -> str:
    rows = [_row(each) for each in parameters if each.name != _HELP and not getattr(each, "hidden", False)]
    if not rows:
        return ""
    return "\n".join(["| argument or option | means |", "|---|---|", *rows])


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        typed = f"`{parameter.name.upper()}`"
    else:
        typed = ", ".join(f"`{name}{_value(parameter)}`" for name in (*parameter.opts, *parameter.secondary_opts))
    text = _text(parameter.help or "")
    if parameter.required:
        text += " Required."
    elif parameter.show_default is not False and (default := _default(parameter)):
        text += f" Default: `{default}`."
    return f"| {typed} | {text.replace('|', chr(92) + '|').strip()} |"


def _value(option: Any) -> str:
    if option.is_flag:
        return ""
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " " + " or ".join(each.value for each in kind)
    return f" {option.metavar or 'NUMBER' if kind in {int, float} else option.metavar or 'TEXT'}"


def _default(parameter: Any) -> str:
    """As it is typed; empty where nothing is said without the option."""
    value = getattr(parameter.default, "value", parameter.default)
    if value is None or value is False:
        return ""
    if value is True:
        return parameter.opts[0] if parameter.secondary_opts else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(help_: str) -> str:
    return " ".join(help_.split())


if __name__ == "__main__":
    PAGE.write_text(page())
