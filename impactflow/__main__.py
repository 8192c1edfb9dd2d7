"""``impactflow``, also as ``python -m impactflow``: the command line, and the proof, which lies above it."""

import sys
from functools import cache
from typing import NoReturn

# It looks into the working directory first, where another folder `flows` or `tasks` would be taken for ours.
if __name__ == "__main__" and not sys.flags.safe_path:
    sys.path.append(sys.path.pop(0))


@cache
def add_proof() -> None:
    """Add the commands ``prove`` and ``month`` to those of the command line."""
    from impactflow.cli.commands import add  # noqa: PLC0415 - Ctrl-C may come while it loads: ``cli.main`` sees to that
    from impactflow.proof.command import proof_app  # noqa: PLC0415

    add(proof_app, "Serve and try")


def main() -> NoReturn:
    """Run the command that was typed."""
    from impactflow.cli import main as run_typed  # noqa: PLC0415

    run_typed(add_proof)


if __name__ == "__main__":
    main()
