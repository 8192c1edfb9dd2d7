"""
The sellers' own records of this store, compared with a ledger that may be new, old, copied or doubled.

    newest records ──sorting──▶ all known here           the run goes on
                            └─▶ ours, and unknown here   refused, before anything is sent            (``check``)
    all records ────sorting──▶ ours, and unknown here    shown, and written into the ledger on a yes (``adopt``)

A key derives from store, order and slot, and the record names the order. So a ledger that has never seen a purchase can
still find that its own store made it.
"""

from impactflow.adoption.adopt import Survey, carry_out, survey
from impactflow.adoption.check import PurchasesUnknown, check_ledger, find_unknown
from impactflow.adoption.sorting import Known, Scope, UnknownPurchase

__all__ = [
    "Known",
    "PurchasesUnknown",
    "Scope",
    "Survey",
    "UnknownPurchase",
    "carry_out",
    "check_ledger",
    "find_unknown",
    "survey",
]
