"""The type checker knows what the task of an operation takes and returns, as it knows the method."""

from decimal import Decimal
from typing import TYPE_CHECKING, assert_type

from processes import Served
from pydantic import SecretStr

from impactflow.clients.cnaught.models import Order
from impactflow.sandbox import environment
from tasks.cnaught import get_order, list_orders, submit_generic_order
from tasks.credentials import CNaughtCredentials, ImpactAPICredentials

if TYPE_CHECKING:

    async def misuse(cnaught: CNaughtCredentials, impactapi: ImpactAPICredentials) -> None:
        """What the type checker refuses: strict as it is set, it refuses an ignored error that is none, too."""
        await get_order(impactapi, "id")  # type: ignore[arg-type]
        await get_order(cnaught, 7)  # type: ignore[call-overload]
        await get_order(cnaught)  # type: ignore[call-overload]
        await list_orders(cnaught, limits=7)  # type: ignore[call-overload]


async def test_a_task_is_typed_as_its_operation(sandbox: Served) -> None:
    """A listing's as the list of what is listed."""
    variables = environment(sandbox.base_url)
    account = CNaughtCredentials(api_key=SecretStr(variables["CNAUGHT_API_KEY"]), url=variables["CNAUGHT_URL"])
    order = await submit_generic_order.fn(account, amount_kg=Decimal(1), idempotency_key="k")
    listed = await list_orders.fn(account, limit=1)
    assert_type(order, Order)
    assert_type(listed, list[Order])
    assert_type(await get_order.fn(account, order.id), Order)
    assert [order] == listed
