"""
``impactflow plan`` over many orders, beside the write path that a run takes for the same orders.

``python -m benchmarks.estimates`` prints the seconds and the memory of two policies compared, and how many times as
fast that is as planning each order twice, once under each policy, with a transaction of its own.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from benchmarks.processes import POLICY, megabytes
from impactflow.clock import SystemClock
from impactflow.intake.file import OrdersFile
from impactflow.intake.planning import evaluate, page_of
from impactflow.ledger import Ledger
from impactflow.models import Order
from impactflow.policy import Policy, load_policy

_OTHER = POLICY.replace("{per_order: 1}", "{per_amount: {quantity: 1, per: 30, currency: USD}}")
#: The orders of the write path: their time grows with their number.
_WRITTEN = 2_000


def main() -> None:
    """Compare two policies over many orders, and measure it beside the write path."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimates", description=main.__doc__)
    parser.add_argument("--orders", type=int, default=100_000, help="orders that are compared")
    chosen = parser.parse_args()
    console = Console(width=120, highlight=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (("a.yaml", POLICY), ("b.yaml", _OTHER)):
            (folder / file).write_text(text)
        _write_orders(folder / "orders.jsonl", chosen.orders)
        took_s, peak_mb = _compare(folder)
        each_s = took_s / chosen.orders
        console.print(f"{chosen.orders:,} orders, two policies: {took_s:.1f} s, {peak_mb:.0f} MB")
        policies = [load_policy(folder / file) for file in ("a.yaml", "b.yaml")]
        written_s = asyncio.run(_written(folder, policies)) / _WRITTEN
    console.print(
        f"{written_s / each_s:.0f} times as fast as the write path, one order at a time ({_WRITTEN:,} orders)"
    )


def _write_orders(path: Path, count: int) -> None:
    """Write orders of the last thirty days."""
    now = datetime.now(UTC)
    with path.open("w") as file:
        for number in range(count):
            order = {
                "order_id": f"A-{number}",
                "ordered_at": (now - timedelta(days=30) * (number / count)).isoformat(),
                "payment_status": "APPROVED",
                "amount": 20 + number % 100,
                "currency": "USD",
                "customer_email": f"customer{number % 30_000}@example.com",
            }
            file.write(json.dumps(order) + "\n")


def _compare(folder: Path) -> tuple[float, float]:
    """Run the command; return its seconds and the megabytes that it used."""
    words = ("plan", "--policy", "a.yaml", "--against", "b.yaml", "--orders", "orders.jsonl", "--json")
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "impactflow", *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    took_s = time.perf_counter() - began
    if not json.loads(ended.stdout)["difference"]:
        sys.exit("no difference was printed")
    return took_s, megabytes(resource.getrusage(resource.RUSAGE_CHILDREN))


async def _written(folder: Path, policies: list[Policy]) -> float:
    """Plan the first orders under each policy, one by one; return the seconds."""
    clock, source = SystemClock(), OrdersFile.open(folder / "orders.jsonl")
    window = source.window(None, None, clock.now().date())
    orders: list[Order] = []
    async for page in source.read(window):
        orders += (each for each in page if isinstance(each, Order))
        if len(orders) >= _WRITTEN:
            break
    began = time.perf_counter()
    for number, policy in enumerate(policies):
        with Ledger.open(f"sqlite:///{folder}/{number}.db") as ledger:
            for order in orders[:_WRITTEN]:
                earnings, _ = evaluate(policy, [order])
                await ledger.plan(page_of(policy, earnings, clock))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
