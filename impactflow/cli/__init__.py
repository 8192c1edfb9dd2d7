"""
The command line: the commands that a person or a script types, and the results that they print.

``main`` runs the command that was typed. A command translates: it takes arguments, runs a flow or a query, prints the
result, and ends with an exit status that says whether anything is left undone. ``place``, ``backfill``,
``track`` and ``reconcile`` run their flow; ``automations``, ``register`` and ``up`` speak to Prefect's server. The
other commands never load Prefect and answer at once.
"""

import gc
import json
import sys
from collections.abc import Callable
from typing import NoReturn

_CTRL_C = 130
#: Garbage is collected after this number of new objects. Loading makes hundreds of thousands that all stay.
_NEW_OBJECTS = 20_000
#: The commands that continue where they ended when they are run again. The others begin anew.
_GO_ON = frozenset({"place", "backfill", "track", "reconcile"})


def stopped() -> str:
    """Return the message about a command that a signal ended."""
    goes_on = " to go on where it ended" if _GO_ON.intersection(sys.argv[1:]) else ""
    return f"stopped; run it again{goes_on}"


def main(add_more: Callable[[], object] = lambda: None) -> NoReturn:
    """
    Load the commands and run the one that was typed; loading takes a moment, and Ctrl-C may come during it, too.

    Args:
        add_more: Adds the commands of the layers above the command line.
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
