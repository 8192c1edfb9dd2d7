"""
The provider's official SDK in a Prefect task for each order, with retries; results are persisted and cached by order.

A run of the flow skips what an earlier run has finished. Run by ``harness``.

Source: https://docs.prefect.io/v3/concepts/caching and https://docs.prefect.io/v3/how-to-guides/workflows/retries
"""

import os
from typing import Any

from makeimpact import Environment, OneClickImpact
from prefect import flow, task
from prefect.context import TaskRunContext
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from benchmarks.baselines.purchase import IN_FLIGHT, metadata, orders

sdk = OneClickImpact(os.environ["ONECLICKIMPACT_API_KEY"], Environment.SANDBOX)
sdk.base_url = os.environ["ONECLICKIMPACT_URL"]


def by_order(_: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return the cache key of an order's purchase."""
    return f"tree-{parameters['order_id']}"


@task(retries=3, retry_delay_seconds=1, persist_result=True, cache_key_fn=by_order)
def place(order_id: str) -> str:
    """Buy one tree."""
    bought_at: str = sdk.plant_tree(amount=1, metadata=metadata(order_id)).time_utc
    return bought_at


@flow(task_runner=ThreadPoolTaskRunner(max_workers=IN_FLIGHT))  # type: ignore[arg-type] # Prefect's declaration
def place_orders(order_ids: list[str]) -> None:
    """Buy for every order; fail if one of them failed, after all have been tried."""
    placed = place.map(order_ids)
    wait(placed)
    placed.result()


if __name__ == "__main__":
    place_orders(orders())
