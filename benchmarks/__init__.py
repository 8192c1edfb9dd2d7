"""
How fast orders become purchases: ``make bench``, or ``python -m benchmarks``.

``provider`` answers at once, or after a fixed number of milliseconds; ``contestants`` place orders there; ``processes``
gives each a process of its own, ``rounds`` lets them take turns, ``table`` shows the results. Nothing here is part of
the product.
"""
