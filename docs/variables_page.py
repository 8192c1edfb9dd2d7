"""
Write ``docs/variables.md``: every environment variable, made from ``deployments/env.example``; ``make docs`` runs this.

A test holds the committed page against that file, and another one that file against the settings.
"""

import re
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "deployments" / "env.example"
PAGE = Path(__file__).with_name("variables.md")
_OPENING = """# Variables

Made from [`deployments/env.example`](../deployments/env.example) by `make docs`, and held against that file by a test.
impactflow reads these variables from the environment and from the file `.env` in the working directory; the environment
wins. `impactflow doctor` names a variable that looks like one of these and that nothing reads.

A proxy and certificates have variables of their own: [networks](networks.md).

| variable | default | |
|---|---|---|
"""
#: What Prefect and Docker read: what env.example shows there is an example.
_OF_OTHERS = ("PREFECT_", "COMPOSE_")


def page() -> str:
    """The text of the page."""
    return _OPENING + "".join(_rows(EXAMPLE.read_text()))


def _rows(text: str) -> list[str]:
    """One row for each variable; the comment above a variable holds for the variables right below it, too."""
    rows, comment, is_open = [], [], True
    for line in text.splitlines()[4:]:
        if variable := re.fullmatch(r"(?:# )?([A-Z_]+)=(.*)", line):
            name, default = variable.groups()
            shown = f"such as `{default}`" if name.startswith(_OF_OTHERS) else f"`{default}`"
            rows.append(f"| `{name}` | {shown if default else ''} | {' '.join(comment)} |\n")
            is_open = False
        elif line.startswith("# "):
            comment = [*comment, line[2:]] if is_open else [line[2:]]
            is_open = True
        else:
            comment, is_open = [], True
    return rows


if __name__ == "__main__":
    PAGE.write_text(page())
