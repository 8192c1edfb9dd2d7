"""
A durable workflow of DBOS for each order, with the purchase as its one step; the order is the workflow's id.

The next process resumes the work of a killed process from the last completed step when it launches. Run by ``harness``,
where ``dbos`` is installed.

Source: https://docs.dbos.dev/python/tutorials/step-tutorial and https://docs.dbos.dev/python/tutorials/queue-tutorial
"""

# This project does not depend on dbos, so dbos may not be there to be checked against.
# mypy: disable-error-code="import-not-found,untyped-decorator,no-any-return"

from dbos import DBOS, DBOSConfig, SetWorkflowID

from benchmarks.baselines.purchase import IN_FLIGHT, buy, orders

_QUEUE = "purchases"


@DBOS.step(retries_allowed=True, max_attempts=20, interval_seconds=0.5, backoff_rate=1.5)
def plant_tree(order_id: str) -> str:
    """Buy one tree."""
    return buy(order_id)


@DBOS.workflow()
def place(order_id: str) -> str:
    """Do the whole work for one order."""
    return plant_tree(order_id)


if __name__ == "__main__":
    config: DBOSConfig = {"name": "baseline", "system_database_url": "sqlite:///dbos.sqlite"}
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(_QUEUE, worker_concurrency=IN_FLIGHT)
    placed = []
    for order_id in orders():
        with SetWorkflowID(f"tree-{order_id}"):
            placed.append(DBOS.enqueue_workflow(_QUEUE, place, order_id))
    for handle in placed:
        handle.get_result()
    DBOS.destroy()
