"""
The part of impactflow that does not depend on Prefect.

An *order* was sold. Under the merchant's *policy* it has earned *impacts*, each in a *slot* with a lasting name. A
*placement* is the one purchase for one order and slot; the *ledger* records every placement and each event of its life.
An *attempt* is one request sent for a placement. *Tracking* asks for a placement's progress; *reconciling* finds out
what became of requests without an answer; an *audit* compares the ledger with the provider's own records.

Read in this order: ``intake``, ``policy``, ``ledger``, ``buying``, ``reports``; ``providers`` and ``clients`` speak to
outside systems, ``sandbox`` imitates them.
"""
