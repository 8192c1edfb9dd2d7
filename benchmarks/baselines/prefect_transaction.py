"""
A Prefect transaction around each purchase: its key is the order, its isolation SERIALIZABLE with locks in files.

The transaction's record says that an order is bought; a later run finds it committed and skips the order. Run by
``harness``.

Source: https://docs.prefect.io/v3/advanced/transactions, "Idempotency" and "Handling race conditions"
"""

import shutil
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.filesystems import LocalFileSystem
from prefect.futures import wait
from prefect.locking.filesystem import FileSystemLockManager
from prefect.results import ResultStore
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.transactions import IsolationLevel, transaction

from benchmarks.baselines.purchase import IN_FLIGHT, buy, orders

_LOCKS = Path("locks")


@task(retries=3, retry_delay_seconds=1, cache_policy=NO_CACHE)
def place(order_id: str) -> None:
    """Buy one tree, unless the order's transaction is committed."""
    store = ResultStore(
        result_storage=LocalFileSystem(basepath=str(Path("records").resolve())),
        lock_manager=FileSystemLockManager(lock_files_directory=_LOCKS),
    )
    with transaction(key=f"tree-{order_id}", store=store, isolation_level=IsolationLevel.SERIALIZABLE) as bought:
        if not bought.is_committed():
            bought.stage(buy(order_id))


@flow(task_runner=ThreadPoolTaskRunner(max_workers=IN_FLIGHT))  # type: ignore[arg-type] # Prefect's declaration
def place_orders(order_ids: list[str]) -> None:
    """Buy for every order; fail if one of them failed, after all have been tried."""
    placed = place.map(order_ids)
    wait(placed)
    placed.result()


if __name__ == "__main__":
    # The lock of a killed run never expires, and a run that wants it waits for ever. Only one run is alive at a time
    # here, so a lock that is left is stale: remove it, as a person would have to.
    shutil.rmtree(_LOCKS, ignore_errors=True)
    place_orders(orders())
