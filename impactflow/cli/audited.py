"""The output of a run that resolves doubts and audits, for a person."""

from collections.abc import Mapping

from impactflow.audit import Disagreement
from impactflow.cli import placed
from impactflow.cli.console import out
from impactflow.reports.reconciled import AuditOutcome, ReconcileOutcome

#: The number of findings that are printed; the file holds all of them.
_SHOWN = 20


def show(result: ReconcileOutcome) -> None:
    """Print the result of each doubt; then, of an audit, the records compared, the disagreements and the next steps."""
    placed.show_placed(result.resolved, undone=result.undone)
    if result.audit:
        _show_audit(result.audit)


def _show_audit(audit: AuditOutcome) -> None:
    out.print(f"Audit of the purchases from {audit.window.from_} to {audit.window.to}:")
    for name, row in audit.rows.items():
        counts = [
            f"{count} {what.replace('_', ' ')}"
            for what, count in row.items()
            if count and what not in {"halted", "left_standing"}
        ]
        out.print(f"  {name}: {', '.join(counts) or 'nothing to compare'}")
        if left := row["left_standing"]:
            out.print(
                f"  {name}: {left} purchases were made twice, and none was cancelled: another ledger may be buying"
                f" there. Once you know that none does: --cancel-up-to {left}"
            )
        if row["halted"]:
            out.print(f"  {name}: the audit ended early: {row['halted']}", markup=False)
    for finding in audit.findings[:_SHOWN]:
        _show_finding(finding.as_row())
    out.print(f"{audit.remaining} findings are left for a person. All of them: {audit.csv}")


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
