"""
At most once: an order is marked ``sent`` before the request goes out, and is never repeated, whatever the result.

Run by ``harness``.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx

from benchmarks.baselines.orders_table import mark, marked, open_table
from benchmarks.baselines.purchase import IN_FLIGHT, buy, orders


def place(order_id: str) -> None:
    """Mark, then buy; a failure is ignored, as it may have been a success."""
    mark(order_id, "sent")
    with suppress(httpx.HTTPError, ValueError):
        buy(order_id)


if __name__ == "__main__":
    open_table(orders())
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        list(threads.map(place, marked("pending")))
