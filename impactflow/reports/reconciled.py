"""The result of a run that resolves doubts and audits: for programs, for people, and for the exit status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from impactflow.audit import Disagreement, Finding, Tally
from impactflow.models import ProviderName
from impactflow.reports.standing import Standing
from impactflow.reports.summary import Outcome
from impactflow.window import Window


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """
    The result of an audit.

    Args:
        window: The days of purchase that were audited.
        tallies: How much was compared at each provider, and how much disagrees.
        findings: The first findings.
        csv: The path of the file that holds all findings.
    """

    window: Window
    tallies: Mapping[ProviderName, Tally]
    findings: Sequence[Finding]
    csv: str

    @property
    def remaining(self) -> int:
        """The number of findings that are left for a person."""
        return sum(tally.remaining for tally in self.tallies.values())

    @property
    def left_alone(self) -> dict[str, str]:
        """The reasons why an audit ended early, by provider."""
        return {name.value: str(tally.halted) for name, tally in self.tallies.items() if tally.halted}

    @property
    def refused_keys(self) -> list[str]:
        """Providers that did not accept their key."""
        return [name.value for name, tally in self.tallies.items() if tally.halted.unauthorized]

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The counts at each provider, by provider: a line of a table each."""
        return {
            name.value: {
                "read": tally.read,
                "agreed": tally.agreed,
                "not_ours": tally.not_ours,
                "unsettled": tally.unresolved,
                **{what.value: tally.found[what] for what in Disagreement},
                "repaired": tally.repaired,
                "left_standing": tally.left_standing,
                "halted": tally.halted.why,
            }
            for name, tally in self.tallies.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        return {
            "from": self.window.from_.isoformat(),
            "to": self.window.to.isoformat(),
            "providers": self.rows,
            "findings": [finding.as_row() for finding in self.findings],
            "remaining": self.remaining,
            "refused_keys": self.refused_keys,
            "csv": self.csv,
        }


@dataclass(frozen=True, slots=True)
class ReconcileOutcome:
    """
    The result of a run that resolves doubts.

    Args:
        resolved: What became of the doubts.
        audit: The result of the audit; None where there was none.
    """

    resolved: Outcome
    audit: AuditOutcome | None = None

    @property
    def left_alone(self) -> dict[str, str]:
        """The reasons why providers were left alone in the end."""
        return (self.audit.left_alone if self.audit else {}) | self.resolved.left_alone

    @property
    def refused(self) -> str | None:
        """Why providers were left alone, where one did not accept its key; None where each was accepted."""
        is_refused = self.resolved.refused_keys or (self.audit and self.audit.refused_keys)
        return "; ".join(self.left_alone.values()) if is_refused else None

    @property
    def undone(self) -> bool:
        """Whether a doubt or a disagreement is left; planned placements are for the next run that places."""
        standing = Standing.of(self.resolved.ledger.overall)
        disagrees = self.audit is not None and self.audit.remaining
        return bool(standing.in_doubt or standing.parked or self.left_alone or disagrees)

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        audit = {"audit": self.audit.as_json()} if self.audit else {}
        return self.resolved.as_json() | {"undone": self.undone} | audit

    def in_words(self) -> str:
        """Return the result in Markdown, for a person; the audit has a table of its own."""
        return self.resolved.in_words()
