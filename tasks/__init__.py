"""
The tasks that flows are made of, of two kinds.

One thin task per verb of the core: its name, what it may repeat, what it shows. Such a task handles a batch of
placements, never one: the ledger knows each. It takes and returns nothing of an order, a customer or a key; what a run
works with is in ``context``. Tasks that may buy are never cached and never retried by Prefect: the ledger says what to
try again.

One task per operation of a provider, made by ``operations``, in a module by the provider's name: for flows of your own.
The account comes first, a block of ``credentials``. The ledger knows nothing of what they buy.
"""
