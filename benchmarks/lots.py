"""
One purchase for all orders of a day, beside one for each order.

``python -m benchmarks.lots`` prints the orders per second and the memory of ``impactflow place`` both ways, with the
orders in a file and a provider that answers at once, and the number of purchases that were made.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from benchmarks import processes

_POOLED = f"{processes.POLICY}    rounding: carry\n    buy: {{every: day}}\n"
_SINGLE_ORDERS = 10_000


def main() -> None:
    """Buy for many orders at once, and for each order by itself."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lots", description=main.__doc__)
    parser.add_argument("--orders", type=int, default=100_000, help="orders that are bought for at once")
    chosen = parser.parse_args()
    console = Console(width=120, highlight=False)
    with processes.provider(0, 0) as url, processes.prefect_server() as (variables, _):
        single = _measure(url, variables, processes.POLICY, min(_SINGLE_ORDERS, chosen.orders), console)
        at_once = _measure(url, variables, _POOLED, chosen.orders, console)
    console.print(f"One purchase for all: {at_once / single:.2f} times as many orders per second")


def _measure(url: str, variables: dict[str, str], policy: str, orders: int, console: Console) -> float:
    """Place orders under a policy; return the orders per second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(policy)
        _write_orders(folder / "orders.jsonl", orders)
        command = [sys.executable, "-m", "impactflow", "place", "--orders", "orders.jsonl", "--json"]
        began = time.perf_counter()
        _, peak_mb = processes.measured(
            command, name, {**variables, **processes.variables_for(url, name, 64), "PYTHONPATH": str(processes.ROOT)}
        )
        took_s = time.perf_counter() - began
        purchases, quantity = _bought(folder / "ledger.db")
    if quantity != orders:
        sys.exit(f"{quantity} trees were bought for {orders} orders")
    console.print(f"{orders:,} orders in {purchases:,} purchases: {took_s:.0f} s, {peak_mb:.0f} MB")
    return orders / took_s


def _write_orders(path: Path, count: int) -> None:
    """Write orders of yesterday."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    with path.open("w") as file:
        for number in range(count):
            order = {
                "order_id": f"A-{number}",
                "ordered_at": (yesterday + timedelta(hours=23) * (number / count)).isoformat(),
                "payment_status": "APPROVED",
                "amount": 20 + number % 100,
                "currency": "USD",
                "customer_email": f"customer{number}@example.com",
            }
            file.write(json.dumps(order) + "\n")


def _bought(ledger: Path) -> tuple[int, int]:
    """The number of purchases in a ledger, and what they come to."""
    connection = sqlite3.connect(ledger)
    try:
        row = connection.execute(
            "SELECT count(*), sum(quantity) FROM placements WHERE placed_on IS NOT NULL"
        ).fetchone()
    finally:
        connection.close()
    return row[0], row[1]


if __name__ == "__main__":
    main()
