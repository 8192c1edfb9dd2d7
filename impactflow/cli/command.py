"""The common parts of the commands: options that many share, exit statuses, and the way a command ends with one."""

import functools
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, Protocol, TypeVar

import typer

from impactflow.cli import console

P = ParamSpec("P")


class Result(Protocol):
    """The result of a run or of a dry run."""

    @property
    def refused(self) -> str | None:
        """Why providers were left alone, where one did not accept its key; None where each was accepted."""
        ...

    @property
    def undone(self) -> bool:
        """Whether something is left for a further run or for a person."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        ...


R = TypeVar("R", bound=Result)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]
Store = Annotated[
    str | None,
    typer.Option(metavar="STORE", help="The order's store, where several stores have an order of that name."),
]
Patience = Annotated[
    float, typer.Option(metavar="SECONDS", min=0, help="Keep working while something is due within this many seconds.")
]
By = Annotated[
    str, typer.Option(metavar="NAME", help="Name of the person who decides; by default the user who is logged in.")
]
#: A list, so that a second file is noticed: click by itself silently uses the last one.
PolicyFile = Annotated[
    list[Path] | None, typer.Option("--policy", metavar="FILE", help="The policy file. Default: IMPACTFLOW_POLICY.")
]

#: Exit statuses, as docs/commands.md lists them.
DONE, UNDONE, MISUSED = 0, 1, 2


def ending(command: Callable[P, int]) -> Callable[P, None]:
    """Wrap a command that returns its exit status, so that typer ends with that status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        raise typer.Exit(command(*args, **kwargs))

    return run


def only(option: str, given: list[Path] | None) -> Path | None:
    """
    Return the file that an option names; None where the option was not given.

    Raises:
        typer.BadParameter: The option was given more than once.
    """
    if given and len(given) > 1:
        raise typer.BadParameter(f"{option} is given {len(given)} times: give the one that you mean")
    return given[0] if given else None


def whoever_types() -> str:
    """Return the name of the user who is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container without names
        return "somebody"


def fail(message: str, status: int, *, as_json: bool, **more: Any) -> int:
    """Report in one line what went wrong; to a program as one object, together with ``more``."""
    if as_json:
        try:
            console.print_json({"error": message, **more})
        except OSError:  # the reader is gone, or the disk is full: standard error has the message all the same
            console.print_no_more()
    console.print_marked(console.err, "error:", "bold red", message)
    return status


def end(result: R, show: Callable[[R], None], *, as_json: bool, **more: Any) -> int:
    """
    Print the result of a run, and return the exit status that follows from it.

    Args:
        result: The result.
        show: Prints it for a person.
        as_json: Whether a program reads the output.
        more: Further values for a program.
    """
    if as_json:
        console.print_json(result.as_json() | more)
    else:
        show(result)
    if result.refused:
        return fail(result.refused, MISUSED, as_json=False)  # a program has its one object already
    return UNDONE if result.undone else DONE
