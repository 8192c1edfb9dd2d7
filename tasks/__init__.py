"""
The tasks that flows are made of, of two kinds.

One thin task per verb of the core: its name, the steps that may repeat, the artifacts that it shows. Such a task
handles a batch of placements, never one: the ledger knows each. It takes and returns no data of an order, a customer or
a key; ``context`` has the resources of the run. Tasks that may buy are never cached and never retried by Prefect: the
ledger decides what to try again.

One task per operation of a provider, made by ``operations``, in a module with the provider's name: for your own flows.
The account comes first, a block of ``credentials``. The ledger does not know the purchases of these tasks.
"""
