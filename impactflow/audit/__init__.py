"""
Audit: compare the ledger with each provider's own records, in both directions, for the purchases of some days.

    the provider's statement ──each record──▶ who holds it, or whose key does it name?   extra · duplicate ·
                                                                                         wrong amount · cancelled there
    the ledger's placements ──what the statement did not show──▶ looked up by name       missing · ...

``comparison`` reads and compares, ``findings`` describes the disagreements, ``repairs`` makes proven repairs where a
person asked for repairs.
"""

from impactflow.audit.comparison import DAYS, Audit, Tally, choose_window
from impactflow.audit.findings import COLUMNS, Disagreement, Finding
from impactflow.audit.repairs import CANCELLED_UNASKED

__all__ = ["CANCELLED_UNASKED", "COLUMNS", "DAYS", "Audit", "Disagreement", "Finding", "Tally", "choose_window"]
