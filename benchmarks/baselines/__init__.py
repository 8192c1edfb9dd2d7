"""
The usual ways to place orders, and impactflow, through the same trouble: ``python -m benchmarks.baselines``.

Each baseline is a module that buys one tree for each of so many orders, written as the documentation of its tool
advises, and run as a process: exit status 0 says that it is done, 1 that it wants to be started again. ``purchase`` and
``orders_table`` are what baselines share; ``harness`` lets each of them run against the sandbox with faults, kills it
again and again, and counts what was bought. Nothing here is part of the product.
"""
