"""The list of commands, and the way each ends; the commands themselves are in the modules beside it."""

import logging
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from impactflow import stopping
from impactflow.cli import console, stopped
from impactflow.cli.command import MISUSED, UNDONE, fail
from impactflow.cli.commands.buying import buying_app
from impactflow.cli.commands.deciding import deciding_app
from impactflow.cli.commands.looking import looking_app
from impactflow.cli.commands.policy import policy_app, setup_app
from impactflow.cli.commands.serving import serving_app
from impactflow.cli.commands.webhooks import webhooks_app
from impactflow.errors import MISUSES, ImpactError

#: The parts of the list of commands in the help, in the order in which a new user needs them.
_PARTS = {
    "Set up": setup_app,
    "Buy and follow": buying_app,
    "See how things stand": looking_app,
    "Decide": deciding_app,
    "Serve and try": serving_app,
}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def add(part: typer.Typer, panel: str) -> None:
    """Add commands to the list in the help, under a heading."""
    for command in part.registered_commands:
        command.rich_help_panel = panel
    app.registered_commands += part.registered_commands


for _panel, _part in _PARTS.items():
    add(_part, _panel)
app.add_typer(policy_app, name="policy", rich_help_panel="Set up")
app.add_typer(webhooks_app, name="webhooks", rich_help_panel="Serve and try")

_KEPT = "what was done is in the ledger: `impactflow status` says how things stand"
#: The error that typer raises for wrong arguments; its module differs between typer's releases.
_UsageError: Any = typer.BadParameter.__base__


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"impactflow {version('impactflow')}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Log each step of a run on standard error; type this before COMMAND."),
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Make every order do some good: at most one purchase per order and slot, each one found and recorded."""
    if verbose:
        _log_to_stderr()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name in ("impactflow", "tasks"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).addHandler(handler)


def _spare_loopback() -> None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return
    from impactflow.clients.proxies import spare_loopback

    spare_loopback(os.environ)


def run() -> NoReturn:
    """Run the command that was typed; each expected error becomes one line and an exit status, never a traceback."""
    as_json = "--json" in sys.argv[1:]
    _spare_loopback()
    try:
        with stopping.raising():
            status = app(standalone_mode=False)
            sys.stdout.flush()
            sys.exit(status)
    except _UsageError as misuse:
        if as_json:
            sys.exit(fail(misuse.format_message(), MISUSED, as_json=True))
        misuse.show()  # a person who mistypes sees the usage; a program gets its one object
        sys.exit(MISUSED)
    except ImpactError as error:
        misused = isinstance(error, MISUSES)
        sys.exit(fail(str(error), MISUSED if misused else UNDONE, as_json=as_json, **error.details))
    except typer.Abort:  # Ctrl-D, or the end of the input, at a question
        sys.exit(fail("stopped: there was no answer", UNDONE, as_json=as_json))
    except stopping.Stopped as signal:
        sys.exit(fail(stopped(), signal.exit_status, as_json=as_json))
    except OSError as error:
        if _can_print():
            raise
        console.print_no_more()
        sys.exit(fail(f"standard output cannot be written ({error.strerror}); {_KEPT}", UNDONE, as_json=False))


def _can_print() -> bool:
    try:
        sys.stdout.write("\n")  # the text that failed is not always still in the buffer
        sys.stdout.flush()
    except OSError:
        return False
    return True
