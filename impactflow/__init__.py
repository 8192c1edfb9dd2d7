"""
Everything of impactflow that knows nothing of Prefect.

An *order* was sold. Under the merchant's *policy* it has earned *impacts*, each in a *slot* of a lasting name. A
*placement* is the one purchase for one order and slot; the *ledger* remembers every placement and each event of its
life. An *attempt* is one request sent for a placement. *Tracking* asks where a placement is; *reconciling* compares the
ledger with the provider's own records.

Read in this order: ``intake``, ``policy``, ``ledger``, ``buying``, ``reports``; ``providers`` and ``clients`` speak to
the outside, ``sandbox`` plays it.
"""
