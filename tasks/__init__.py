"""
One thin Prefect task per verb of the core: its name, what it may repeat, what it shows.

A task handles a batch of placements, never one: the ledger knows each. No task takes or returns anything of an order, a
customer or a key; what a run works with is in ``context``. Tasks that may buy are never cached and never retried by
Prefect: the ledger says what to try again.
"""
