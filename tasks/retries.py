"""The one rule for retries by Prefect itself: reads, and the ledger's database, never a purchase."""

from typing import Any

from prefect.client.schemas.objects import State
from prefect.tasks import Task

from impactflow.errors import LedgerBusy, NotSent


async def is_worth_repeating(_task: Task[..., Any], _run: object, state: State[Any]) -> bool:
    """Whether a read failed for a temporary reason: the provider was down, the ledger was locked."""
    try:
        await state.aresult()
    except (NotSent, LedgerBusy):
        return True
    except Exception:  # noqa: BLE001 - repeating does not help with any other error
        return False
    return False


#: For tasks that only read: one further try; the client has tried each request several times itself.
READS: dict[str, Any] = {"retries": 1, "retry_delay_seconds": 2, "retry_condition_fn": is_worth_repeating}
