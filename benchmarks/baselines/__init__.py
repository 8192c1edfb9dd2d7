"""
The usual ways to place orders, and impactflow, under the same faults: ``python -m benchmarks.baselines``.

Each baseline is a module that buys one tree for each of a number of orders, written as the documentation of its tool
advises, and run as a process: exit status 0 says that it is done, 1 that it must be started again. The baselines share
``purchase`` and ``orders_table``. ``harness`` runs each against the sandbox with faults, kills it again and again, and
counts the purchases. Nothing here is part of the product.
"""
