"""
The command line: what a person or a script types, and what it prints.

``main`` runs the command that was typed. Commands translate: arguments in, a flow or a query run, its result printed,
an exit status that says whether anything is left undone. ``place``, ``track`` and ``reconcile`` run the flow of that
name; the others never load Prefect and answer at once.
"""

import gc
import json
import sys
from collections.abc import Callable
from typing import NoReturn

_CTRL_C = 130
#: After how many new objects the collector looks for garbage; loading makes hundreds of thousands that all stay.
_NEW_OBJECTS = 20_000
#: What goes on where it ended when it is run again; the others begin anew.
_GO_ON = frozenset({"place", "backfill", "track", "reconcile"})


def stopped() -> str:
    """What is said of a command that a signal ended."""
    goes_on = " to go on where it ended" if _GO_ON.intersection(sys.argv[1:]) else ""
    return f"stopped; run it again{goes_on}"


def main(add_more: Callable[[], object] = lambda: None) -> NoReturn:
    """
    Load the commands, which takes a moment in which Ctrl-C may come, too, and run the one that was typed.

    Args:
        add_more: Adds the commands of what lies above the command line.
    """
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from impactflow.cli.commands import run  # noqa: PLC0415

        add_more()
    except KeyboardInterrupt:
        if "--json" in sys.argv[1:]:
            sys.stdout.write(json.dumps({"error": stopped()}) + "\n")
        sys.stderr.write(f"error: {stopped()}\n")
        sys.exit(_CTRL_C)
    run()
