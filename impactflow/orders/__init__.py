"""
Orders in: from Wicked Reports or from a file, as pages of ``Order`` and ``BrokenOrder``.

    window.py          the days that are read
    source.py          what planning asks of a source of orders, and the names that orders go by
    wickedreports.py   the orders of Wicked Reports, whose pages shift while they are read
    lines.py           a CSV file or JSON lines, as one mapping of field to content for each line
    file.py            the orders of such a file
    problems.py        what could not be read of its lines, each cause once

What an order earns is left to ``policy``, what is known already to ``ledger``.
"""

from impactflow.orders.source import OrderSource, identity, is_system, source_name
from impactflow.orders.window import Window

__all__ = ["OrderSource", "Window", "identity", "is_system", "source_name"]
