"""
The command line: what a person or a script types, and what it prints.

``main`` is the entry point. Commands translate: arguments in, a flow or a query run, its result printed, an exit status
that says whether anything is left undone. ``place``, ``track`` and ``reconcile`` run the flow of that name; the others
never load Prefect and answer at once.
"""

from impactflow.cli.main import main

__all__ = ["main"]
