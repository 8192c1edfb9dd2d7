"""
The common pattern: an order is ``pending``, ``done`` or ``failed``, and the next run tries each that is not ``done``.

Run by ``harness``, again and again as a cron job would.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.baselines.orders_table import mark, marked, open_table
from benchmarks.baselines.purchase import IN_FLIGHT, buy, orders


def place(order_id: str) -> None:
    """Buy, and mark the result."""
    try:
        buy(order_id)
    except (httpx.HTTPError, ValueError):
        mark(order_id, "failed")
    else:
        mark(order_id, "done")


if __name__ == "__main__":
    open_table(orders())
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        list(threads.map(place, marked("pending", "failed")))
    sys.exit(1 if marked("pending", "failed") else 0)
