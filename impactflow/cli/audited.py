"""The output of an audit for a person."""

from collections.abc import Mapping
from typing import Any

from impactflow.audit import Disagreement
from impactflow.cli.console import out

#: The number of findings that are printed; the file holds all of them.
_SHOWN = 20


def show(audit: Mapping[str, Any]) -> None:
    """Print the records that were compared at each provider, the disagreements, and the steps to take."""
    out.print(f"Audit of the purchases from {audit['from']} to {audit['to']}:")
    for name, tally in audit["providers"].items():
        counts = [
            f"{count} {what.replace('_', ' ')}"
            for what, count in tally.items()
            if count and what not in {"halted", "left_standing"}
        ]
        out.print(f"  {name}: {', '.join(counts) or 'nothing to compare'}")
        if tally["left_standing"]:
            out.print(
                f"  {name}: {tally['left_standing']} purchases were made twice, and none was cancelled: another ledger"
                f" may be buying there. Once you know that none does: --cancel-up-to {tally['left_standing']}"
            )
        if tally["halted"]:
            out.print(f"  {name}: the audit ended early: {tally['halted']}", markup=False)
    for finding in audit["findings"][:_SHOWN]:
        _show_finding(finding)
    out.print(f"{audit['remaining']} findings are left for a person. All of them: {audit['csv']}")


def _show_finding(finding: Mapping[str, str]) -> None:
    slot = f", slot {finding['slot']} ({finding['status']})" if finding["slot"] else ""
    out.print(f"[bold]{finding['finding'].replace('_', ' ')}[/bold]", end=": ")
    out.print(f"order {finding['order'] or 'unknown'}{slot}. {finding['means']}", markup=False)
    if finding["finding"] != Disagreement.MISSING:
        out.print(f"  at {finding['provider']}: {_purchase(finding['ref'], finding['there'])}", markup=False)
    if finding["here"]:
        out.print(f"  in the ledger: {_purchase(finding['recorded_ref'], finding['here'])}", markup=False)
    out.print(f"  {finding['repaired'] or finding['to_do']}", markup=False)


def _purchase(ref: str, amount: str) -> str:
    return ", ".join(filter(None, (amount, ref)))
